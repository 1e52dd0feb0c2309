// A tile of 8 x 8 blocks before packing: int16 [channels][64], lanes in wire::lane order.
#pragma once

#include <cstdint>

#include "wire.h"

namespace dctload {

// Lanes outside the first `w` columns and `h` rows: the nearest block's DC, and 0 for AC (they are zero already).
void fill_outside(int16_t* tile, bool has_dc, uint32_t w, uint32_t h);

}  // namespace dctload
