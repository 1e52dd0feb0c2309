#include "progressive_coder.h"

#include <algorithm>
#include <bit>

namespace dctload {

void CoefficientStore::start(const Header& header, const Region& region, const ComponentMasks& masks) {
  for (uint32_t c = 0; c < header.num_components; ++c) {
    Plane& p = planes_[c];
    p.rect = region.blocks[c];
    p.cols = header.components[c].block_cols;
    p.channels = static_cast<uint32_t>(std::popcount(masks[c]));
    p.stride = p.channels + (p.channels < 64 && masks[c] != 1 ? 1 : 0);  // one more for what is not kept
    p.kept = 0;
    p.slots.fill(0);
    uint32_t next = 0;
    for (int k = 63; k >= 0; --k) {
      const uint64_t bit = uint64_t{1} << kZigzag[k];
      p.index[k + 1] = static_cast<uint8_t>(p.channels);
      if ((masks[c] & bit) == 0) continue;
      p.kept |= uint64_t{1} << (63 - k);
      p.slots[next] = static_cast<uint8_t>(std::popcount(masks[c] & (bit - 1)));
      p.index[k + 1] = static_cast<uint8_t>(next++);
    }
    std::fill(p.index.begin() + 65, p.index.end(), p.index[64]);
    p.index[0] = p.index[1];
    // 16 more: corrections are applied to whole vectors.
    p.values.assign(p.channels != 0 ? static_cast<size_t>(p.rect.h) * p.cols * p.stride + 16 : 0, 0);
    p.history.assign(static_cast<size_t>(p.rect.y0 + p.rect.h) * p.cols, 0);
  }
}

int16_t* CoefficientStore::row(uint32_t component, uint32_t y) {
  Plane& p = planes_[component];
  if (p.channels == 0 || y < p.rect.y0 || y >= p.rect.y0 + p.rect.h) return nullptr;
  return p.values.data() + static_cast<size_t>(y - p.rect.y0) * p.cols * p.stride;
}

namespace {
constexpr int16_t kZeroBlock[64] = {};
}

// Groups of 2 rows x 4 columns are 8 neighbours in a tile (wire::lane).
void CoefficientStore::emit_tiles(const Kernels& kernels, const Header& header, BlockSink& sink) {
  for (uint32_t c = 0; c < header.num_components; ++c) {
    const Plane& p = planes_[c];
    if (p.channels == 0) continue;
    const ComponentLayout& layout = sink.layout(c);
    for (uint32_t y = 0; y < p.rect.h; y += 2) {
      uint8_t* const to = sink.row(c, y);
      for (uint32_t x = 0; x < p.rect.w; x += 4) {
        const int16_t* blocks[8];
        for (uint32_t i = 0; i < 8; ++i) {
          const uint32_t by = y + (i >> 2), bx = x + (i & 3);
          blocks[i] = by < p.rect.h && bx < p.rect.w
                          ? p.values.data() + (static_cast<size_t>(by) * p.cols + p.rect.x0 + bx) * p.stride
                          : kZeroBlock;
        }
        kernels.transpose8(blocks, p.channels, p.slots.data(), reinterpret_cast<int16_t*>(to + layout.columns[p.rect.x0 + x]),
                           static_cast<size_t>(layout.slot_bytes) / 2);
      }
      sink.finish_rows(c, std::min(y + 2, p.rect.h));
    }
  }
}

void CoefficientStore::emit_planes(const Kernels& kernels, const Header& header, BlockSink& sink) {
  for (uint32_t c = 0; c < header.num_components; ++c) {
    const Plane& p = planes_[c];
    if (p.channels == 0) continue;
    const size_t slot_stride = static_cast<size_t>(sink.layout(c).slot_bytes) / 2;
    for (uint32_t y = 0; y < p.rect.h; ++y) {
      int16_t* const to = reinterpret_cast<int16_t*>(sink.row(c, y));
      const int16_t* const from = p.values.data() + (static_cast<size_t>(y) * p.cols + p.rect.x0) * p.stride;
      uint32_t x = 0;
      for (; x + 8 <= p.rect.w; x += 8) {
        const int16_t* blocks[8];
        for (uint32_t i = 0; i < 8; ++i) blocks[i] = from + static_cast<size_t>(x + i) * p.stride;
        kernels.transpose8(blocks, p.channels, p.slots.data(), to + x, slot_stride);
      }
      for (; x < p.rect.w; ++x) {
        for (uint32_t i = 0; i < p.channels; ++i) to[p.slots[i] * slot_stride + x] = from[static_cast<size_t>(x) * p.stride + i];
      }
    }
  }
}

void CoefficientStore::release_if_large() {
  constexpr size_t kKeep = 64 << 20;  // bytes; a photograph of 10 megapixels stays below it
  for (Plane& p : planes_) {
    if (p.values.capacity() * 2 + p.history.capacity() * 8 <= kKeep) continue;
    p.values = {};
    p.history = {};
  }
}

std::vector<bool> needed_scans(const std::vector<ScanHeader>& scans, const ComponentMasks& masks) {
  std::array<uint64_t, kMaxComponents> wanted{};  // by zigzag position
  for (uint32_t c = 0; c < kMaxComponents; ++c) {
    for (uint32_t k = 0; k < 64; ++k) wanted[c] |= (masks[c] >> kZigzag[k] & 1) << k;
  }
  std::vector<bool> needed(scans.size(), false);
  for (size_t i = scans.size(); i-- > 0;) {
    const ScanHeader& scan = scans[i];
    const uint64_t band = ~uint64_t{0} << scan.ss & ~uint64_t{0} >> (63 - scan.se);
    for (uint32_t j = 0; j < scan.num_components; ++j) {
      uint64_t& w = wanted[scan.component[j]];
      if ((w & band) == 0) continue;
      needed[i] = true;
      if (scan.ah != 0) w |= band;
    }
  }
  return needed;
}

Result ProgressiveCoder::start(const Kernels& kernels, const Parser& parser, const ScanHeader& scan, CoefficientStore& store,
                               ScanGeometry& geometry) {
  kernels_ = &kernels;
  store_ = &store;
  scan_ = scan;
  run_ = {};
  run_.ss = scan.ss;
  run_.se = scan.se;
  run_.al = scan.al;
  const bool dc = scan.ss == 0, first = scan.ah == 0, interleaved = scan.num_components > 1;
  run_.kind = dc ? (first ? ProgressiveKind::kDcFirst : ProgressiveKind::kDcRefine)
                 : (first ? ProgressiveKind::kAcFirst : ProgressiveKind::kAcRefine);
  const Header& header = parser.header();
  geometry = {header.mcus_x, header.mcus_y, 0};
  for (uint32_t i = 0; i < scan.num_components; ++i) {
    const uint32_t c = scan.component[i];
    const Component& component = header.components[c];
    CoefficientStore::Plane& p = store.plane(c);
    const uint32_t h = interleaved ? component.h : 1, v = interleaved ? component.v : 1;
    if (!interleaved) geometry = {component.block_cols, component.block_rows, 0};
    geometry.rows_needed = std::max(geometry.rows_needed, (p.rect.y0 + p.rect.h + v - 1) / v);
    if (dc) {
      const uint32_t t = scan.dc_table[i];
      if (first) {
        if (t > 3 || !parser.dc(t).defined) return {Code::kMissingHuffman, t, scan.data_offset};
        if (!dc_[t].build(parser.dc(t)).ok()) return {Code::kBadHuffman, t, scan.data_offset};
      }
      for (uint32_t y = 0; y < v; ++y) {
        for (uint32_t x = 0; x < h; ++x) {
          places_[run_.num_steps] = {c, y, v};
          steps_[run_.num_steps++] = {&dc_[t & 3], &predictions_[c], nullptr, p.cols, p.stride, h, x};
        }
      }
    } else {
      const uint32_t t = scan.ac_table[i];
      if (t > 3 || !parser.ac(t).defined) return {Code::kMissingHuffman, t + 16, scan.data_offset};
      if (!ac_.build(parser.ac(t), !first).ok()) return {Code::kBadHuffman, t, scan.data_offset};
      run_.ac = &ac_;
      run_.index = p.index.data();
      run_.kept = p.kept;
    }
  }
  run_.steps = steps_.data();
  return {};
}

void ProgressiveCoder::reset() {
  predictions_.fill(0);
  run_.eob_run = 0;
  run_.bad_code = false;
}

void ProgressiveCoder::begin_row(uint32_t row) {
  if (scan_.ss == 0) {
    for (uint32_t i = 0; i < run_.num_steps; ++i) {
      const Place& place = places_[i];
      const CoefficientStore::Plane& p = store_->plane(place.component);
      int16_t* const values = p.kept >> 63 != 0 ? store_->row(place.component, row * place.rows + place.y) : nullptr;
      steps_[i].row = values != nullptr ? values + p.index[1] : nullptr;
    }
    return;
  }
  const uint32_t c = scan_.component[0];
  CoefficientStore::Plane& p = store_->plane(c);
  run_.values = store_->row(c, row);
  run_.stride = run_.values != nullptr ? p.stride : 0;
  if (run_.values == nullptr) run_.values = scratch_.data();
  run_.history = p.history.data() + static_cast<size_t>(row) * p.cols;
}

uint32_t ProgressiveCoder::run(EntropySource& source, uint32_t x, uint32_t n) {
  run_.position = source.position();
  run_.stop = source.stop();
  run_.end = source.last() ? source.end() : source.end() + kMaxMcuBytes;
  run_.mcu_x = x;
  run_.mcus = n;
  kernels_->progressive(run_);
  source.position() = run_.position;
  return n - run_.mcus;
}

void ProgressiveCoder::undo(uint32_t x) {
  // A refinement of AC coefficients has stored nothing of a block that ran past the end; the other kinds store as they go.
  if (scan_.ss == 0) {
    const uint32_t keep = run_.kind == ProgressiveKind::kDcFirst ? 0u : ~(1u << run_.al);
    for (uint32_t i = 0; i < run_.num_steps; ++i) {
      const DcStep& s = steps_[i];
      const uint32_t column = x * s.step + s.first;
      if (s.row == nullptr || column >= s.columns) continue;
      int16_t& dc = s.row[static_cast<size_t>(column) * s.stride];
      dc = static_cast<int16_t>(static_cast<uint16_t>(dc) & keep);
    }
  } else if (run_.kind == ProgressiveKind::kAcFirst) {
    int16_t* const block = run_.values + static_cast<size_t>(x) * run_.stride;
    for (uint32_t k = scan_.ss; k <= scan_.se; ++k) block[run_.index[k + 1]] = 0;
    run_.history[x] &= ~(~uint64_t{0} >> scan_.ss & ~uint64_t{0} << (63 - scan_.se));
  }
}

}  // namespace dctload
