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
  std::array<ptrdiff_t, 64> place;  // [frequency]
  ptrdiff_t next = 0;
  const ptrdiff_t trash = static_cast<ptrdiff_t>(channels) * bytes;
  for (uint32_t freq = 0; freq < 64; ++freq) {
    const bool is_kept = (kept >> freq & 1) != 0;
    place[freq] = is_kept ? next : trash;
    next += is_kept ? bytes : 0;
  }
  map[0] = trash;
  for (uint32_t k = 1; k <= 64; ++k) {
    map[k] = place[kZigzag[k - 1]];
    if (k > 1 && map[k] != trash) last = k - 1;
  }
  std::fill(map.begin() + 65, map.begin() + 128, map[64]);  // a run past 63 stores at 63
  std::fill(map.begin() + 128, map.end(), trash);           // behind an EOB
  dc_offset = place[0];
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
