#include "sequential_coder.h"

#include <algorithm>

namespace dctload {
namespace {

// Where storing ends and looking up lengths only begins. Leaving the first loop costs a misprediction, so it pays only where much
// of the block lies behind the last kept position (measured: 2x2 of a block gains, 4x4 loses; nothing gains where blocks are
// short).
uint32_t store_through(uint32_t last, bool short_blocks) {
  const bool pays = last == 0 || (last <= 8 && !short_blocks);
  return pays ? last : 63;
}

}  // namespace

Result SequentialCoder::start(const Kernels& kernels, Parser& parser, const ScanHeader& scan, BlockSink& sink,
                              ScanGeometry& geometry) {
  kernels_ = &kernels;
  sink_ = &sink;
  scan_ = scan;
  bad_code_ = false;
  num_steps_ = 0;
  const Header& header = parser.header();
  const bool interleaved = scan.num_components > 1;
  geometry = {header.mcus_x, header.mcus_y, 0};
  bool pairs[4] = {}, skips[4] = {}, dc_only = true;
  uint64_t blocks = 0;
  for (uint32_t c = 0; c < header.num_components; ++c)
    blocks += uint64_t{header.components[c].block_rows} * header.components[c].block_cols;
  const bool short_blocks = parser.file().size() < 8 * blocks;  // bytes; ImageNet's files have 13 a block, small photographs 5
  for (uint32_t i = 0; i < scan.num_components; ++i) {
    const uint32_t c = scan.component[i];
    const Component& component = header.components[c];
    const ComponentLayout& layout = sink.layout(c);
    const uint32_t h = interleaved ? component.h : 1, v = interleaved ? component.v : 1;
    if (!interleaved) geometry = {component.block_cols, component.block_rows, 0};
    geometry.rows_needed = std::max(geometry.rows_needed, (layout.rect.y0 + layout.rect.h + v - 1) / v);
    if (scan.dc_table[i] > 3 || scan.ac_table[i] > 3) return {Code::kMissingHuffman, scan.dc_table[i], scan.data_offset};
    const bool whole = layout.rect.w == component.block_cols && layout.rect.y0 == 0;
    pairs[scan.ac_table[i]] |= layout.last > 0;
    skips[scan.ac_table[i]] |= store_through(layout.last, short_blocks) < 63 || !whole;
    dc_only &= layout.last == 0;
    for (uint32_t y = 0; y < v; ++y) {
      for (uint32_t x = 0; x < h; ++x) {
        places_[num_steps_] = {c, y, v};
        columns_[num_steps_] = layout.columns.data() + x;
        steps_[num_steps_++] = {nullptr,
                                &dc_[scan.dc_table[i]],
                                &ac_[scan.ac_table[i]],
                                layout.map.data(),
                                &predictions_[c],
                                nullptr,
                                nullptr,
                                layout.dc_offset,
                                store_through(layout.last, short_blocks),
                                h,
                                0};
      }
    }
  }
  for (uint32_t i = 0; i < num_steps_; ++i) {
    steps_[i].next = &steps_[i + 1 < num_steps_ ? i + 1 : 0];
    steps_[i].left = num_steps_ - 1 - i;
  }
  outside_.assign(size_t{geometry.cols} * 4, kOutside);
  // Measured: 10 index bits where coefficients are kept, 11 where only lengths are looked up.
  dc_only_ = dc_only;
  const int skip_bits = dc_only ? kMaxSkipBits : kAcBits;
  skip_shift_ = 64 - skip_bits;
  bool dc_built[4] = {}, ac_built[4] = {};
  for (uint32_t i = 0; i < scan.num_components; ++i) {
    const uint32_t d = scan.dc_table[i], a = scan.ac_table[i];
    if ((d < 2 && !parser.dc(d).defined) || (a < 2 && !parser.ac(a).defined)) parser.warn(kWarnStandardTables);
    const HuffmanSpec& dc = d < 2 && !parser.dc(d).defined ? standard_dc(d) : parser.dc(d);
    const HuffmanSpec& ac = a < 2 && !parser.ac(a).defined ? standard_ac(a) : parser.ac(a);
    if (!dc.defined) return {Code::kMissingHuffman, d, scan.data_offset};
    if (!ac.defined) return {Code::kMissingHuffman, a + 16, scan.data_offset};
    Result result;
    if (!dc_built[d]) result = dc_[d].build(dc);
    if (result.ok() && !ac_built[a]) result = ac_[a].build(ac, pairs[a], skips[a] ? skip_bits : 0);
    if (!result.ok()) return {result.code, 0, scan.data_offset};
    dc_built[d] = ac_built[a] = true;
  }
  return {};
}

void SequentialCoder::begin_row(uint32_t row) {
  for (uint32_t i = 0; i < num_steps_; ++i) {
    const Place& p = places_[i];
    const BlockRect& rect = sink_->layout(p.component).rect;
    const uint32_t y = row * p.rows + p.y;
    if (p.y == 0 && y > rect.y0) sink_->finish_rows(p.component, std::min(y - rect.y0, rect.h));
    const bool inside = y >= rect.y0 && y < rect.y0 + rect.h && sink_->layout(p.component).channels != 0;
    steps_[i].row = inside ? sink_->row(p.component, y - rect.y0) : nullptr;
  }
}

uint32_t SequentialCoder::run(EntropySource& source, uint32_t x, uint32_t n) {
  for (uint32_t i = 0; i < num_steps_; ++i) steps_[i].columns = column(i, x);
  SequentialRun run{source.position(), source.stop(), steps_.data(), num_steps_, n, skip_shift_, dc_only_, false};
  kernels_->sequential(run);
  source.position() = run.position;
  bad_code_ |= run.bad_code;
  return n - run.mcus;
}

void SequentialCoder::undo(uint32_t x) {
  for (uint32_t i = 0; i < num_steps_; ++i) {
    const BlockStep& s = steps_[i];
    const uint32_t offset = *column(i, x);
    if (offset == kOutside) continue;
    const ComponentLayout& layout = sink_->layout(places_[i].component);
    for (uint32_t slot = 0; slot < layout.channels; ++slot) {
      *reinterpret_cast<int16_t*>(s.row + offset + static_cast<ptrdiff_t>(slot) * layout.slot_bytes) = 0;
    }
  }
}

void SequentialCoder::finish() {
  for (uint32_t i = 0; i < scan_.num_components; ++i) {
    const uint32_t c = scan_.component[i];
    sink_->finish_rows(c, sink_->layout(c).rect.h);
  }
}

}  // namespace dctload
