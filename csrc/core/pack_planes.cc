// From whole planes to a record, and the bound of a record's bytes.
#include <algorithm>
#include <bit>
#include <vector>

#include "packed_image.h"
#include "record_view.h"
#include "tiles.h"
#include "wire_io.h"

namespace dctload {
namespace {

constexpr uint32_t kAllChannels = 64;
constexpr size_t kPackSlack = 32;  // Kernels::pack_tile may write this far past the tile's end

// Tile (tile_y, tile_x) of int16 [64][rows][cols] into lanes; `tile` comes and goes zeroed (packing does that).
void gather_tile(const int16_t* planes, const Component& c, uint32_t tile_y, uint32_t tile_x, int16_t* tile) {
  const uint32_t w = std::min(8u, c.block_cols - 8 * tile_x), h = std::min(8u, c.block_rows - 8 * tile_y);
  for (uint32_t k = 0; k < kAllChannels; ++k) {
    const int16_t* plane = planes + size_t{k} * c.block_rows * c.block_cols;
    for (uint32_t y = 0; y < h; ++y) {
      const int16_t* row = plane + size_t{8 * tile_y + y} * c.block_cols + 8 * tile_x;
      for (uint32_t x = 0; x < w; ++x) tile[k * wire::kTileBlocks + wire::lane(y, x)] = row[x];
    }
  }
  if (w < 8 || h < 8) fill_outside(tile, true, w, h);
}

}  // namespace

Result pack_planes(const Header& header, const int16_t* const* planes, std::vector<uint8_t>& out, wire::Status status,
                   uint32_t valid_mcus) {
  Region whole;
  const Result snapped = snap(header, nullptr, whole);
  if (!snapped.ok()) return snapped;
  ComponentMasks masks;
  masks.fill(~uint64_t{0});
  Arena arena;
  PackedImage image;
  image.start(header, whole, masks);
  std::vector<int16_t> tile(size_t{kAllChannels} * wire::kTileBlocks);
  for (uint32_t i = 0; i < header.num_components; ++i) {
    const Component& c = header.components[i];
    for (uint32_t tile_y = 0; 8 * tile_y < c.block_rows; ++tile_y) {
      for (uint32_t tile_x = 0; 8 * tile_x < c.block_cols; ++tile_x) {
        gather_tile(planes[i], c, tile_y, tile_x, tile.data());
        uint8_t* const to = arena.reserve(wire::kMaxTileBytes + kPackSlack);
        const size_t size = chosen_kernels().pack_tile(tile.data(), kAllChannels, true, to);
        arena.keep(size);
        image.add_tile(i, to, size);
      }
      if (image.record_bytes() > wire::kMaxRecordBytes) return {Code::kLimitRecord, 0, 0};
    }
  }
  Outcome outcome;
  outcome.status = status;
  outcome.valid_mcus = valid_mcus;
  image.set_outcome(outcome);
  const size_t start = out.size();
  out.resize(start + image.record_bytes());
  image.write(chosen_kernels(), out.data() + start);
  return {};
}

uint64_t record_bound(const Header& header, const ComponentMasks& masks, const Region& region) {
  uint64_t bytes = wire::kHeaderBytes + wire::kComponentBytes * header.num_components;
  for (uint32_t i = 0; i < header.num_components; ++i) {
    const auto channels = static_cast<uint32_t>(std::popcount(masks[i]));
    const BlockRect& r = region.blocks[i];
    const uint64_t tiles = channels == 0 ? 0 : uint64_t{(r.w + 7) / 8} * ((r.h + 7) / 8);
    bytes += wire::tables_bytes(tiles) + tiles * wire::max_tile_bytes(channels);
  }
  return bytes;
}

}  // namespace dctload
