#include "tile_selector.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dctload {
namespace {

uint64_t load8(const uint8_t* data) { return load_from<uint64_t>(data); }

// Bits that are set in the first `w` (0..16) bytes.
uint32_t bits_set(const uint8_t* masks, uint32_t w) {
  if (w == 0) return 0;
  if (w <= 8) return static_cast<uint32_t>(std::popcount(load8(masks) << (64 - 8 * w)));
  return static_cast<uint32_t>(std::popcount(load8(masks)) + std::popcount(load8(masks + 8) << (128 - 8 * w)));
}

}  // namespace

TileSelector::TileSelector(uint64_t own, uint64_t kept)
    : channels_(static_cast<uint32_t>(std::popcount(own))),
      kept_(static_cast<uint32_t>(std::popcount(kept))),
      keeps_base_((kept & 1) != 0) {
  uint32_t place = 0, j = 0;
  for (uint32_t freq = 0; freq < 64; ++freq) {
    if ((own >> freq & 1) == 0) continue;
    if ((kept >> freq & 1) != 0) {
      place_[j++] = static_cast<uint8_t>(place);
      if (num_runs_ > 0 && runs_[num_runs_ - 1].end == place) {
        ++runs_[num_runs_ - 1].end;
      } else {
        runs_[num_runs_++] = {place, place + 1};
      }
    }
    ++place;
  }
}

// A copy of the tile that zeros follow, as many as it can promise: what lies past a tile's end reads as 0.
const uint8_t* TileSelector::padded(const TileBytes& from) {
  const size_t size = std::min<size_t>(from.size, wire::kMaxTileBytes);
  std::memcpy(padded_.data(), from.data, size);
  std::memset(padded_.data() + size, 0, padded_.size() - size);
  return padded_.data();
}

// `at`: where each channel's bytes begin in `in`. Returns the end of what was written.
uint8_t* TileSelector::copy_runs(const uint8_t* in, const std::array<uint16_t, 65>& at, uint8_t* out) const {
  for (uint32_t r = 0; r < num_runs_; ++r) {
    const uint8_t* const from = in + at[runs_[r].begin];
    const uint32_t size = static_cast<uint32_t>(at[runs_[r].end] - at[runs_[r].begin]);
    for (uint32_t i = 0; i < size; i += 16) std::memcpy(out + i, from + i, 16);
    out += size;
  }
  return out;
}

size_t TileSelector::select(const TileBytes& from, uint64_t readable, uint8_t* out) {
  const uint32_t nibbles_at = 2, masks_at = nibbles_at + (channels_ + 1) / 2;
  std::array<uint8_t, 66> codes;              // plane counts as they are stored: 15 stands for 16
  std::array<uint16_t, 65> mask_at, data_at;  // by channel, the end included
  for (uint32_t k = 0; k < channels_; k += 2) {
    codes[k] = from.data[nibbles_at + k / 2] & 15;
    codes[k + 1] = from.data[nibbles_at + k / 2] >> 4;
  }
  uint32_t planes = 0;
  for (uint32_t k = 0; k < channels_; ++k) {
    mask_at[k] = static_cast<uint16_t>(planes);
    planes += codes[k] + (codes[k] == 15 ? 1 : 0);
  }
  mask_at[channels_] = static_cast<uint16_t>(planes);

  // A tile with a right checksum may still promise more than it holds.
  const uint8_t* in = from.data;
  if (from.size + kSlack > readable || masks_at + planes > from.size) in = padded(from);
  uint32_t stored = 0;
  for (uint32_t k = 0; k < channels_; ++k) {
    data_at[k] = static_cast<uint16_t>(stored);
    stored += bits_set(in + masks_at + mask_at[k], static_cast<uint32_t>(mask_at[k + 1] - mask_at[k]));
  }
  data_at[channels_] = static_cast<uint16_t>(stored);
  if (masks_at + planes + stored > from.size && in == from.data) in = padded(from);

  out[0] = keeps_base_ ? in[0] : uint8_t{0};
  out[1] = keeps_base_ ? in[1] : uint8_t{0};
  uint8_t* to = out + nibbles_at;
  for (uint32_t j = 0; j < kept_; j += 2) {
    const uint32_t high = j + 1 < kept_ ? codes[place_[j + 1]] : 0;
    *to++ = static_cast<uint8_t>(codes[place_[j]] | high << 4);
  }
  to = copy_runs(in + masks_at, mask_at, to);
  to = copy_runs(in + masks_at + planes, data_at, to);
  std::memset(to, 0, wire::kAlign);
  // Dropping channels only moves bytes to the front, so what would lie past the old size are zeros that were read past it: they
  // are left off, and no tile grows.
  return std::min<size_t>(wire::align(static_cast<uint64_t>(to - out)), from.size);
}

}  // namespace dctload
