#include "image.h"

#include <algorithm>
#include <new>
#include <vector>

#include "block_sink.h"
#include "cpu.h"
#include "entropy_source.h"
#include "packed_image.h"
#include "progressive_coder.h"
#include "scan_driver.h"
#include "sequential_coder.h"

namespace dctload {
namespace {

// Blocks that are read for a region: all those above its lower end.
uint64_t num_blocks(const Header& header, const Region& region) {
  uint64_t n = 0;
  for (uint32_t c = 0; c < header.num_components; ++c) {
    n += uint64_t{region.blocks[c].y0 + region.blocks[c].h} * header.components[c].block_cols;
  }
  return n;
}

// A quantisation step of 0 for a kept frequency (T.81 B.2.4.1 begins at 1): libjpeg hands out such coefficients, and so do
// planes, but a record is for dequantising.
bool has_zero_step(const Header& header, const ComponentMasks& masks) {
  for (uint32_t c = 0; c < header.num_components; ++c) {
    for (uint32_t freq = 0; freq < 64; ++freq) {
      if ((masks[c] >> freq & 1) != 0 && header.components[c].quantization[freq] == 0) return true;
    }
  }
  return false;
}

bool fits(const Header& header, const Region& region) {
  for (uint32_t c = 0; c < header.num_components; ++c) {
    const BlockRect& r = region.blocks[c];
    if (r.x0 + r.w > header.components[c].block_cols || r.y0 + r.h > header.components[c].block_rows) return false;
  }
  return true;
}

// What the scans so far add up to.
struct Progress {
  Outcome outcome;
  uint32_t scans = 0;
  bool one_scan = false;  // there is one scan so far, of all components: MCUs count in its order
  uint64_t one_scan_valid = 0;
  uint32_t complete_rows = ~0u;  // MCU rows that are complete in every scan

  void add(const ScanOutcome& o, const Header& header, const ScanHeader& scan, const ScanGeometry& g) {
    one_scan = ++scans == 1 && scan.num_components == header.num_components;
    one_scan_valid = o.valid_mcus;
    if (o.extra_data) outcome.warnings |= kWarnExtraData;
    if (o.loss.ok()) return;
    if (outcome.loss.ok()) outcome.loss = o.loss;
    if (!o.only_tail_lost) {
      outcome.status = wire::kStatusDamaged;
    } else if (outcome.status == wire::kStatusOk) {
      outcome.status = wire::kStatusTruncated;
    }
    uint32_t rows = static_cast<uint32_t>(o.first_lost / g.cols);
    if (scan.num_components == 1 && header.num_components > 1) rows /= header.components[scan.component[0]].v;
    complete_rows = std::min(complete_rows, rows);
  }

  void lose_all(const Result& loss) {
    if (outcome.loss.ok()) outcome.loss = loss;
    if (outcome.status == wire::kStatusOk) outcome.status = wire::kStatusTruncated;
    complete_rows = 0;
    one_scan = false;
  }

  void count(const Header& header) {
    if (outcome.status == wire::kStatusOk) {
      outcome.valid_mcus = header.num_mcus();
    } else if (one_scan) {
      outcome.valid_mcus = static_cast<uint32_t>(one_scan_valid);
    } else {
      const uint32_t across = header.num_components == 1 ? header.components[0].block_cols : header.mcus_x;
      outcome.valid_mcus = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{complete_rows} * across, header.num_mcus()));
    }
  }
};

}  // namespace

struct ImageDecoder::Impl {
  explicit Impl(const Kernels& level) : kernels(level) {}

  const Kernels& kernels;
  Parser parser;
  EntropySource source;
  SequentialCoder sequential;
  ProgressiveCoder progressive;
  CoefficientStore store;
  TileSink tiles;
  PlaneSink planes;
  Arena arena;
  std::vector<ScanHeader> scans;  // of the file in hand, where they must be known ahead
  Progress progress;
  ScanOutcome last_scan;                        // sequential
  std::array<bool, kMaxComponents> finished{};  // sequential: components that had a scan

  // Reads up to the first scan; false with an error in progress.outcome.
  bool open(std::span<const uint8_t> file, const DecodeOptions& options, ScanHeader& scan);
  // All scans into the sink, `scan` first. False with an error in progress.outcome.
  bool decode(const ScanHeader& scan, const Region& region, const ComponentMasks& masks, const DecodeOptions& options,
              BlockSink& sink, bool tiled);
  bool decode_sequential(ScanHeader scan, const Region& region, const ComponentMasks& masks, const DecodeOptions& options,
                         BlockSink& sink);
  bool decode_overlaid(ScanHeader scan, const Region& region, const ComponentMasks& masks, const DecodeOptions& options,
                       BlockSink& sink);
  bool decode_progressive(ScanHeader scan, const Region& region, const ComponentMasks& masks, const DecodeOptions& options,
                          BlockSink& sink, bool tiled);
  // One sequential scan into a sink.
  bool sequential_scan(const ScanHeader& scan, BlockSink& sink, const DecodeOptions& options);
  void list_scans(const ScanHeader& first);
  // What is to be said when no more scan comes.
  bool close(const DecodeOptions& options);

  bool fail(const Result& result) {
    progress.outcome.result = result;
    progress.outcome.status = wire::kStatusFailed;
    return false;
  }
  // After a scan: is its loss an error?
  bool accept(const DecodeOptions& options) {
    return progress.outcome.loss.ok() || options.keep_truncated || fail(progress.outcome.loss);
  }
};

bool ImageDecoder::Impl::open(std::span<const uint8_t> file, const DecodeOptions& options, ScanHeader& scan) {
  progress = {};
  parser.reset(file, options.limits);
  return parser.next_scan(scan) || fail(parser.result());
}

void ImageDecoder::Impl::list_scans(const ScanHeader& first) {
  scans.assign(1, first);
  Parser ahead = parser;
  ahead.seek(ahead.find_marker(first.data_offset));
  for (ScanHeader scan; ahead.next_scan(scan); ahead.seek(ahead.find_marker(scan.data_offset))) scans.push_back(scan);
}

bool ImageDecoder::Impl::sequential_scan(const ScanHeader& scan, BlockSink& sink, const DecodeOptions& options) {
  ScanGeometry geometry;
  const Result started = sequential.start(kernels, parser, scan, sink, geometry);
  if (!started.ok()) return fail(started);
  last_scan = drive_scan(sequential, source, kernels, parser, scan.data_offset, geometry);
  sequential.finish();
  if (sequential.bad_code()) parser.warn(kWarnBadCode);
  progress.add(last_scan, parser.header(), scan, geometry);
  for (uint32_t i = 0; i < scan.num_components; ++i) finished[scan.component[i]] = true;
  // Nothing below a region is looked at in a file of one scan; in others the next scan must be found.
  const bool alone = scan.num_components == parser.header().num_components;
  if (!last_scan.stopped_early) {
    parser.seek(last_scan.end_offset);
  } else if (!alone) {
    parser.seek(parser.find_marker(scan.data_offset));
  }
  return accept(options);
}

bool ImageDecoder::Impl::decode_sequential(ScanHeader scan, const Region& region, const ComponentMasks& masks,
                                           const DecodeOptions& options, BlockSink& sink) {
  const uint32_t n = parser.header().num_components;
  finished.fill(false);
  if (scan.num_components == n) {
    if (!sequential_scan(scan, sink, options)) return false;
    if (last_scan.stopped_early) return true;
    if (parser.next_scan(scan)) return fail({Code::kBadScan, 0, scan.data_offset});  // the image is complete
    return close(options);
  }
  list_scans(scan);
  uint32_t seen[kMaxComponents] = {};
  for (const ScanHeader& s : scans) {
    for (uint32_t i = 0; i < s.num_components; ++i) ++seen[s.component[i]];
  }
  if (*std::max_element(seen, seen + n) > 1) {
    if (!decode_overlaid(scan, region, masks, options, sink)) return false;
  } else {
    do {
      if (!sequential_scan(scan, sink, options)) return false;
    } while (parser.next_scan(scan));
  }
  for (uint32_t c = 0; c < n; ++c) {
    if (finished[c]) continue;
    sink.finish_rows(c, sink.layout(c).rect.h);
    if (!parser.saw_eoi()) progress.lose_all({Code::kDataTruncated, 0, parser.file().size()});
  }
  return close(options);
}

// A component coded in more than one sequential scan: libjpeg lays each scan's coefficients over those of the scans before it,
// zero AC coefficients excepted. No encoder writes such files; they are decoded by way of planes.
bool ImageDecoder::Impl::decode_overlaid(ScanHeader scan, const Region& region, const ComponentMasks& masks,
                                         const DecodeOptions& options, BlockSink& sink) {
  parser.warn(kWarnRepeatedScan);
  const Header& header = parser.header();
  // Two bits a block at least: a header that promises more than the file can hold gets no memory.
  if (!options.keep_truncated && parser.file().size() < num_blocks(header, region) / 4) {
    return fail({Code::kDataTruncated, 0, parser.file().size()});
  }
  std::array<std::vector<int16_t>, kMaxComponents> result, layer;
  std::array<int16_t*, kMaxComponents> pointers{};
  const auto size = [&](uint32_t c) { return static_cast<size_t>(region.blocks[c].w) * region.blocks[c].h; };
  for (uint32_t c = 0; c < header.num_components; ++c) {
    result[c].assign((static_cast<size_t>(std::popcount(masks[c])) + 1) * size(c), 0);
    layer[c] = result[c];
    pointers[c] = layer[c].data();
  }
  PlaneSink layer_sink;
  layer_sink.start(header, region, masks, pointers);
  do {
    if (!sequential_scan(scan, layer_sink, options)) return false;
    for (uint32_t i = 0; i < scan.num_components; ++i) {
      const uint32_t c = scan.component[i];
      const uint64_t begun = uint64_t{last_scan.rows_begun} * (scan.num_components > 1 ? header.components[c].v : 1);
      const uint64_t rows = std::min<uint64_t>(begun - std::min<uint64_t>(begun, region.blocks[c].y0), region.blocks[c].h);
      for (size_t slot = 0; slot * size(c) < layer[c].size(); ++slot) {
        const bool dc = slot == 0 && (masks[c] & 1) != 0;
        const auto from = layer[c].begin() + static_cast<ptrdiff_t>(slot * size(c));
        const auto to = result[c].begin() + static_cast<ptrdiff_t>(slot * size(c));
        for (ptrdiff_t j = 0; j < static_cast<ptrdiff_t>(rows * region.blocks[c].w); ++j) {
          if (dc || from[j] != 0) to[j] = from[j];
          from[j] = 0;
        }
      }
    }
  } while (parser.next_scan(scan));

  for (uint32_t c = 0; c < header.num_components; ++c) {
    const ComponentLayout& to = sink.layout(c);
    for (uint32_t y = 0; y < to.rect.h && to.channels != 0; ++y) {
      uint8_t* const row = sink.row(c, y);
      for (uint32_t slot = 0; slot < to.channels; ++slot) {
        for (uint32_t x = 0; x < to.rect.w; ++x) {
          *reinterpret_cast<int16_t*>(row + to.columns[to.rect.x0 + x] + static_cast<ptrdiff_t>(slot) * to.slot_bytes) =
              result[c][slot * size(c) + static_cast<size_t>(y) * to.rect.w + x];
        }
      }
      sink.finish_rows(c, y + 1);
    }
  }
  return true;
}

bool ImageDecoder::Impl::decode_progressive(ScanHeader scan, const Region& region, const ComponentMasks& masks,
                                            const DecodeOptions& options, BlockSink& sink, bool tiled) {
  const Header& header = parser.header();
  // Each block takes a bit of the first DC scan: a header that promises more than the file can hold gets no memory.
  if (!options.keep_truncated && parser.file().size() < num_blocks(header, region) / 8) {
    return fail({Code::kDataTruncated, 0, parser.file().size()});
  }
  list_scans(scan);
  const std::vector<bool> needed = needed_scans(scans, masks);
  store.start(header, region, masks);
  // Se and Al of the last scan of each coefficient, to find scans in an order that T.81 G.1.1.1 does not allow. -1: none yet.
  std::array<std::array<int8_t, 64>, kMaxComponents> seen;
  for (auto& s : seen) s.fill(-1);
  size_t number = 0;
  do {
    for (uint32_t i = 0; i < scan.num_components; ++i) {
      auto& s = seen[scan.component[i]];
      if (scan.ss != 0 && s[0] < 0) parser.warn(kWarnProgression);
      for (uint32_t k = scan.ss; k <= scan.se; ++k) {
        if (scan.ah != std::max<int>(s[k], 0)) parser.warn(kWarnProgression);
        s[k] = static_cast<int8_t>(scan.al);
      }
    }
    const bool matters = number < needed.size() && needed[number];
    ++number;
    if (!matters) {
      const uint64_t behind = parser.find_marker(scan.data_offset);
      // Cut inside: this scan does not matter, but what would have followed may.
      if (behind == parser.file().size()) progress.lose_all({Code::kDataTruncated, 0, behind});
      parser.seek(behind);
      continue;
    }
    ScanGeometry geometry;
    const Result started = progressive.start(kernels, parser, scan, store, geometry);
    if (!started.ok()) return fail(started);
    const ScanOutcome o = drive_scan(progressive, source, kernels, parser, scan.data_offset, geometry);
    if (progressive.odd_size()) parser.warn(kWarnRefinementSize);
    progress.add(o, header, scan, geometry);
    if (!accept(options)) return false;
    parser.seek(o.stopped_early ? parser.find_marker(scan.data_offset) : o.end_offset);
  } while (parser.next_scan(scan));
  if (!parser.saw_eoi()) {  // a stream cut between two scans: only a component without any shows it
    for (uint32_t c = 0; c < header.num_components; ++c) {
      if (seen[c][0] < 0) progress.lose_all({Code::kDataTruncated, 0, parser.file().size()});
    }
  }
  if (!close(options)) return false;
  if (tiled) {
    store.emit_tiles(kernels, header, sink);
  } else {
    store.emit_planes(kernels, header, sink);
  }
  store.release_if_large();
  return true;
}

bool ImageDecoder::Impl::close(const DecodeOptions& options) {
  const Result& result = parser.result();
  if (!result.ok()) {
    if (!options.keep_truncated) return fail(result);
    progress.lose_all(result);
  }
  if (!parser.saw_eoi()) parser.warn(kWarnNoEoi);
  parser.latch_remaining();
  return accept(options);
}

bool ImageDecoder::Impl::decode(const ScanHeader& scan, const Region& region, const ComponentMasks& masks,
                                const DecodeOptions& options, BlockSink& sink, bool tiled) {
  const bool done = parser.header().process == Process::kProgressive
                        ? decode_progressive(scan, region, masks, options, sink, tiled)
                        : decode_sequential(scan, region, masks, options, sink);
  progress.outcome.warnings |= parser.warnings();
  if (done) progress.count(parser.header());
  return done;
}

ImageDecoder::ImageDecoder(const Kernels& kernels) : impl_(new Impl(kernels)) {}
ImageDecoder::~ImageDecoder() = default;

Outcome ImageDecoder::decode_planes(std::span<const uint8_t> file, const Region& region, const ComponentMasks& masks,
                                    const std::array<int16_t*, kMaxComponents>& planes, const DecodeOptions& options,
                                    Header& header) {
  Impl& d = *impl_;
  ScanHeader scan;
  try {
    if (!d.open(file, options, scan)) return d.progress.outcome;
    if (!fits(d.parser.header(), region)) {  // the bytes changed since the caller read the header
      d.fail({Code::kIo, 0, 0});
      return d.progress.outcome;
    }
    d.planes.start(d.parser.header(), region, masks, planes);
    d.decode(scan, region, masks, options, d.planes, false);
  } catch (const std::bad_alloc&) {
    d.fail({Code::kNoMemory, 0, 0});
  }
  header = d.parser.header();
  return d.progress.outcome;
}

Outcome ImageDecoder::decode_packed(std::span<const uint8_t> file, const Selection& selection, const Box* box,
                                    const DecodeOptions& options, PackedImage& out) {
  Impl& d = *impl_;
  ScanHeader scan;
  try {
    if (d.open(file, options, scan)) {
      const Header& header = d.parser.header();
      const ComponentMasks masks = component_masks(header, selection);
      Region region;
      const Result snapped = snap(header, box, region);
      if (!snapped.ok()) {
        d.fail(snapped);
      } else {
        out.start(header, region, masks);
        d.tiles.start(d.kernels, header, region, masks, d.arena, out);
        if (d.decode(scan, region, masks, options, d.tiles, true)) {
          out.set_header(d.parser.header());
          if (has_zero_step(d.parser.header(), masks)) d.fail({Code::kBadQuantization, 0, 0});
          if (out.record_bytes() > wire::kMaxRecordBytes) d.fail({Code::kLimitRecord, 0, 0});
        }
      }
    }
  } catch (const std::bad_alloc&) {
    d.fail({Code::kNoMemory, 0, 0});
  }
  out.set_outcome(d.progress.outcome);
  return d.progress.outcome;
}

void ImageDecoder::release() { impl_->arena.reset(); }

}  // namespace dctload
