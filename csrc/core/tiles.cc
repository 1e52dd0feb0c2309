#include "tiles.h"

#include <cstring>

namespace dctload {

namespace {

constexpr uint64_t kEach = 0x0001000100010001u;  // times a value: that value in four lanes

}  // namespace

// Four columns of a row are neighbours (wire::lane), so that a row is two words of four values.
void fill_outside(int16_t* tile, bool has_dc, uint32_t w, uint32_t h) {
  if (!has_dc || w == 0 || h == 0) return;
  for (uint32_t y = 0; y < h && w < wire::kTileSide; ++y) {
    const uint32_t part = (w - 1) / 4, kept = 16 * (w - 4 * part);  // the word that holds the last value; bits of it to keep
    const uint64_t last = kEach * static_cast<uint16_t>(tile[wire::lane(y, w - 1)]);
    if (kept < 64) {
      uint64_t word;
      std::memcpy(&word, tile + wire::lane(y, 4 * part), 8);
      word = (word & ((uint64_t{1} << kept) - 1)) | last << kept;
      std::memcpy(tile + wire::lane(y, 4 * part), &word, 8);
    }
    if (part == 0) std::memcpy(tile + wire::lane(y, 4), &last, 8);
  }
  for (uint32_t y = h; y < wire::kTileSide; ++y) {
    std::memcpy(tile + wire::lane(y, 0), tile + wire::lane(h - 1, 0), 8);
    std::memcpy(tile + wire::lane(y, 4), tile + wire::lane(h - 1, 4), 8);
  }
}

}  // namespace dctload
