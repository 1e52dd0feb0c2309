// Fewer channels of packed tiles: runs of bytes are moved, no coefficient is decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "wire.h"

namespace dctload {

// What Kernels::select_tile does with the tiles of a component; made once for all of them.
struct TileSelector {
  // Tiles with the frequencies `own`, of which `kept`, a subset, stay.
  TileSelector(uint64_t own, uint64_t kept);

  static constexpr size_t kSlack = 32;  // bytes are moved 16 at a time
  // Bytes that select_tile may write, beyond the tile's own included.
  size_t room() const { return wire::max_tile_bytes(num_kept) + kSlack; }

  struct Run {  // neighbouring channels that stay
    uint32_t begin, end;
  };

  uint32_t num_channels, num_kept, num_runs = 0;
  bool keeps_base;
  std::array<Run, 32> runs;
  std::array<uint8_t, 64> place;  // of the j-th kept channel among all
};

}  // namespace dctload
