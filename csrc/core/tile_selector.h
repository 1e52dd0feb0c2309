// Fewer channels of packed tiles: runs of bytes are moved, no coefficient is decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "record_view.h"
#include "wire.h"

namespace dctload {

// Made once for the tiles of a component.
class TileSelector {
 public:
  // Tiles with the frequencies `own`, of which `kept`, a subset, stay.
  TileSelector(uint64_t own, uint64_t kept);

  // Bytes that select() may write, beyond the tile's own included.
  size_t room() const { return wire::max_tile_bytes(kept_) + kSlack; }

  // The tile with what is kept; returns its bytes, a multiple of 16 and not more than those of `from`. `readable` bytes lie in
  // memory from the tile's first byte on, the tile's own among them.
  size_t select(const TileBytes& from, uint64_t readable, uint8_t* out);

 private:
  static constexpr size_t kSlack = 32;  // bytes are moved 16 at a time

  struct Run {  // neighbouring channels that stay
    uint32_t begin, end;
  };

  uint8_t* copy_runs(const uint8_t* in, const std::array<uint16_t, 65>& at, uint8_t* out) const;
  const uint8_t* padded(const TileBytes& from);

  uint32_t channels_, kept_, num_runs_ = 0;
  bool keeps_base_;
  std::array<Run, 32> runs_;
  std::array<uint8_t, 64> place_;  // of the j-th kept channel among all
  std::array<uint8_t, wire::kMaxTileBytes + kSlack> padded_;
};

}  // namespace dctload
