// The reference unpacker: the judge of every other one. Plain on purpose.
#include <algorithm>
#include <array>
#include <bit>

#include "record_view.h"
#include "wire_io.h"

namespace dctload {
namespace {

using Lanes = std::array<uint16_t, wire::kTileBlocks>;

// One channel of a tile, most significant plane first: each stored byte gives 8 lanes one more bit.
void read_lanes(const TileBytes& tile, uint32_t planes, uint64_t mask_at, uint64_t& byte_at, Lanes& lanes) {
  lanes.fill(0);
  for (uint32_t p = 0; p < planes; ++p) {
    const uint32_t shift = planes - 1 - p;
    for (uint32_t mask = tile[mask_at + p]; mask != 0; mask &= mask - 1) {
      uint16_t* group = lanes.data() + 8 * std::countr_zero(mask);
      const uint32_t byte = tile[byte_at++];
      for (uint32_t bit = 0; bit < 8; ++bit) group[bit] = static_cast<uint16_t>(group[bit] | (byte >> bit & 1) << shift);
    }
  }
}

// Zigzag folding undone: 0, 1, 2, 3 -> 0, -1, 1, -2; in wrapping 16-bit arithmetic, as is the base.
int16_t unfolded(uint16_t u, uint32_t base) {
  return static_cast<int16_t>(static_cast<uint16_t>((u >> 1 ^ (0u - (u & 1u))) + base));
}

struct Placement {  // where a tile lies over the rectangle of w x h blocks; first row and column may be negative after a cut
  int32_t row, col, w, h;
};

void store_lanes(const Lanes& lanes, uint32_t base, const Placement& at, int16_t* plane) {
  const int32_t y_end = std::min(8, at.h - at.row), x_begin = std::max(0, -at.col), x_end = std::min(8, at.w - at.col);
  for (int32_t y = std::max(0, -at.row); y < y_end; ++y) {
    int16_t* row = plane + static_cast<int64_t>(at.row + y) * at.w + at.col;
    for (int32_t x = x_begin; x < x_end; ++x) {
      row[x] = unfolded(lanes[wire::lane(static_cast<uint32_t>(y), static_cast<uint32_t>(x))], base);
    }
  }
}

void unpack_tile(const TileBytes& tile, const wire::ComponentRecord& c, const Placement& at, int16_t* planes) {
  const uint32_t base = tile[0] | tile[1] << 8;
  uint64_t mask_at = 2 + (c.channels + 1u) / 2, byte_at = mask_at;
  for (uint32_t k = 0; k < c.channels; ++k) byte_at += tile.planes(k);
  Lanes lanes;
  for (uint32_t k = 0; k < c.channels; ++k) {
    const uint32_t w = tile.planes(k);
    read_lanes(tile, w, mask_at, byte_at, lanes);
    mask_at += w;
    const bool is_dc = k == 0 && (c.mask & 1) != 0;
    store_lanes(lanes, is_dc ? base : 0, at, planes + size_t{k} * c.w * c.h);
  }
}

}  // namespace

void unpack_component(std::span<const uint8_t> record, int component, int16_t* planes) {
  const RecordView view(record);
  const wire::ComponentRecord& c = view.components[static_cast<size_t>(component)];
  for (uint32_t y = 0; y < c.tiles_y; ++y) {
    for (uint32_t x = 0; x < c.tiles_x; ++x) {
      const Placement at{static_cast<int32_t>(8 * y) - c.skip_y, static_cast<int32_t>(8 * x) - c.skip_x, c.w, c.h};
      unpack_tile(view.tile(c, uint64_t{y} * c.tiles_x + x), c, at, planes);
    }
  }
}

}  // namespace dctload
