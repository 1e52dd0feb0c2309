#include "block_sink.h"

#include <algorithm>
#include <bit>

#include "scan_sequential.h"

namespace dctload {

void ComponentLayout::set(const Header& header, uint32_t component, const BlockRect& rectangle, uint64_t kept, ptrdiff_t bytes) {
  rect = rectangle;
  mask = kept;
  channels = static_cast<uint32_t>(std::popcount(kept));
  slot_bytes = bytes;
  last = 0;
  const ptrdiff_t trash = static_cast<ptrdiff_t>(channels) * bytes;
  const auto place = [&](uint32_t position) -> ptrdiff_t {
    const uint64_t bit = uint64_t{1} << kZigzag[position];
    return kept & bit ? std::popcount(kept & (bit - 1)) * bytes : trash;
  };
  map[0] = trash;
  for (uint32_t k = 1; k < 256; ++k) map[k] = k < 128 ? place(std::min(k - 1, 63u)) : trash;  // a run past 63 stores at 63
  dc_offset = place(0);
  for (uint32_t k = 1; k < 64; ++k) {
    if (kept >> kZigzag[k] & 1) last = k;
  }
  columns.assign(static_cast<size_t>(header.mcus_x) * header.components[component].h, kOutside);
}

void PlaneSink::start(const Header& header, const Region& region, const ComponentMasks& masks,
                      const std::array<int16_t*, kMaxComponents>& planes) {
  planes_ = planes;
  for (uint32_t c = 0; c < header.num_components; ++c) {
    const BlockRect& r = region.blocks[c];
    layouts_[c].set(header, c, r, masks[c], static_cast<ptrdiff_t>(r.w) * r.h * 2);
    if (masks[c] == 0) continue;
    for (uint32_t x = 0; x < r.w; ++x) layouts_[c].columns[r.x0 + x] = 2 * x;
  }
}

uint8_t* PlaneSink::row(uint32_t component, uint32_t y) {
  return reinterpret_cast<uint8_t*>(planes_[component] + static_cast<size_t>(y) * layouts_[component].rect.w);
}

}  // namespace dctload
