#include "tile_selector.h"

#include <bit>

namespace dctload {

TileSelector::TileSelector(uint64_t own, uint64_t kept)
    : num_channels(static_cast<uint32_t>(std::popcount(own))),
      num_kept(static_cast<uint32_t>(std::popcount(kept))),
      keeps_base((kept & 1) != 0) {
  uint32_t k = 0, j = 0;
  for (uint32_t freq = 0; freq < 64; ++freq) {
    if ((own >> freq & 1) == 0) continue;
    if ((kept >> freq & 1) != 0) {
      place[j++] = static_cast<uint8_t>(k);
      if (num_runs > 0 && runs[num_runs - 1].end == k) {
        ++runs[num_runs - 1].end;
      } else {
        runs[num_runs++] = {k, k + 1};
      }
    }
    ++k;
  }
}

}  // namespace dctload
