#include "tiles.h"

#include <algorithm>

namespace dctload {

void fill_outside(int16_t* tile, bool has_dc, uint32_t w, uint32_t h) {
  if (!has_dc || w == 0 || h == 0) return;
  for (uint32_t y = 0; y < wire::kTileSide; ++y) {
    for (uint32_t x = 0; x < wire::kTileSide; ++x) {
      if (x < w && y < h) continue;
      tile[wire::lane(y, x)] = tile[wire::lane(std::min(y, h - 1), std::min(x, w - 1))];
    }
  }
}

}  // namespace dctload
