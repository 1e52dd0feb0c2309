// Fewer channels of a packed tile (tile_selector.h); compiled once a CPU level.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "record_view.h"
#include "tile_selector.h"

namespace dctload {
namespace {

// Bits that are set in the first `w` (0..16) bytes.
inline uint32_t bits_set(const uint8_t* masks, uint32_t w) {
  if (w == 0) return 0;
  const uint64_t low = load_from<uint64_t>(masks);
  if (w <= 8) return static_cast<uint32_t>(std::popcount(low << (64 - 8 * w)));
  return static_cast<uint32_t>(std::popcount(low) + std::popcount(load_from<uint64_t>(masks + 8) << (128 - 8 * w)));
}

// `at`: where each channel's bytes begin in `in`. Returns the end of what was written.
inline uint8_t* copy_runs(const TileSelector& s, const uint8_t* in, const std::array<uint16_t, 65>& at, uint8_t* out) {
  for (uint32_t r = 0; r < s.num_runs; ++r) {
    const uint8_t* const from = in + at[s.runs[r].begin];
    const auto size = static_cast<uint32_t>(at[s.runs[r].end] - at[s.runs[r].begin]);
    for (uint32_t i = 0; i < size; i += 16) std::memcpy(out + i, from + i, 16);
    out += size;
  }
  return out;
}

size_t select_tile(const TileSelector& s, const TileBytes& from, uint64_t readable, uint8_t* out);

// A tile that may promise more than it holds, or lies at the end of memory: of a copy that zeros follow, as many as it can
// promise, since what lies past a tile's end reads as 0.
[[gnu::noinline]] size_t select_padded(const TileSelector& s, const TileBytes& from, uint8_t* out) {
  std::array<uint8_t, wire::kMaxTileBytes + TileSelector::kSlack> padded{};
  const size_t size = std::min<size_t>(from.size, wire::kMaxTileBytes);
  std::memcpy(padded.data(), from.data, size);
  return std::min<size_t>(select_tile(s, {padded.data(), wire::kMaxTileBytes}, padded.size(), out), from.size);
}

size_t select_tile(const TileSelector& s, const TileBytes& from, uint64_t readable, uint8_t* out) {
  const uint32_t nibbles_at = 2, masks_at = nibbles_at + (s.num_channels + 1) / 2;
  if (from.size + TileSelector::kSlack > readable || masks_at > from.size) return select_padded(s, from, out);
  std::array<uint8_t, 66> codes;              // plane counts as they are stored: 15 stands for 16
  std::array<uint16_t, 65> mask_at, data_at;  // by channel, the end included
  for (uint32_t k = 0; k < s.num_channels; k += 2) {
    codes[k] = from.data[nibbles_at + k / 2] & 15;
    codes[k + 1] = from.data[nibbles_at + k / 2] >> 4;
  }
  uint32_t planes = 0;
  for (uint32_t k = 0; k < s.num_channels; ++k) {
    mask_at[k] = static_cast<uint16_t>(planes);
    planes += codes[k] + (codes[k] == 15 ? 1 : 0);
  }
  mask_at[s.num_channels] = static_cast<uint16_t>(planes);
  if (masks_at + planes > from.size) return select_padded(s, from, out);

  uint32_t stored = 0;
  const uint32_t last = s.num_runs > 0 ? s.runs[s.num_runs - 1].end : 0;  // nothing behind it is moved
  for (uint32_t k = 0; k < last; ++k) {
    data_at[k] = static_cast<uint16_t>(stored);
    stored += bits_set(from.data + masks_at + mask_at[k], static_cast<uint32_t>(mask_at[k + 1] - mask_at[k]));
  }
  data_at[last] = static_cast<uint16_t>(stored);
  if (masks_at + planes + stored > from.size) return select_padded(s, from, out);

  out[0] = s.keeps_base ? from.data[0] : uint8_t{0};
  out[1] = s.keeps_base ? from.data[1] : uint8_t{0};
  uint8_t* to = out + nibbles_at;
  for (uint32_t j = 0; j < s.num_kept; j += 2) {
    const uint32_t high = j + 1 < s.num_kept ? codes[s.place[j + 1]] : 0;
    *to++ = static_cast<uint8_t>(codes[s.place[j]] | high << 4);
  }
  to = copy_runs(s, from.data + masks_at, mask_at, to);
  to = copy_runs(s, from.data + masks_at + planes, data_at, to);
  std::memset(to, 0, wire::kAlign);
  // Dropping channels only moves bytes to the front, so what would lie past the old size are zeros that were read past it: they
  // are left off, and no tile grows.
  return std::min<size_t>(wire::align(static_cast<uint64_t>(to - out)), from.size);
}

}  // namespace
}  // namespace dctload
