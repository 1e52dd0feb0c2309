#include "checked_batch.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace dctload::ops {
namespace {

bool fits(const wire::ComponentRecord& c, const wire::RecordHeader& header, uint64_t record_bytes) {
  if (c.h_factor < 1 || c.h_factor > header.h_max || c.v_factor < 1 || c.v_factor > header.v_max) return false;
  if (c.channels != std::popcount(c.mask) || c.skip_x > 7 || c.skip_y > 7) return false;
  if (c.w > wire::kMaxGrid || c.h > wire::kMaxGrid) return false;
  const uint32_t tiles_x = c.channels == 0 ? 0 : (c.skip_x + c.w + 7u) / 8,
                 tiles_y = c.channels == 0 ? 0 : (c.skip_y + c.h + 7u) / 8;
  if (c.tiles_x != tiles_x || c.tiles_y != tiles_y) return false;
  return c.table_offset + 4 * (tile_count(c) + 1) <= record_bytes && uint64_t{c.payload_offset} + c.payload_bytes <= record_bytes;
}

}  // namespace

TileBytes ImageView::tile(uint32_t k, uint64_t t) const {
  const wire::ComponentRecord& c = components[k];
  const uint8_t* const entry = record.data() + c.table_offset + 4 * t;
  const uint64_t end = std::min<uint64_t>(wire::kAlign * uint64_t{load_from<uint32_t>(entry + 4)}, c.payload_bytes);
  const uint64_t begin = std::min(wire::kAlign * uint64_t{load_from<uint32_t>(entry)}, end);
  return {record.data() + c.payload_offset + begin, end - begin};
}

const uint8_t* zero_padded(const TileBytes& tile, uint32_t channels, std::vector<uint8_t>& copy) {
  const size_t most = wire::max_tile_bytes(channels), own = std::min<size_t>(tile.size, most);
  copy.resize(wire::kMaxTileBytes + kTileSlack);
  std::memcpy(copy.data(), tile.data, own);
  std::memset(copy.data() + own, 0, most + kTileSlack - own);
  return copy.data();
}

bool CheckedBatch::open(std::span<const uint8_t> batch) {
  batch_ = batch;
  images_ = 0;
  if (batch.size() < wire::kHeaderBytes) return false;
  const auto header = load_from<wire::BatchHeader>(batch.data());
  if (std::memcmp(header.magic, "DCTB", 4) != 0 || header.major != wire::kMajor) return false;
  if (wire::kHeaderBytes + wire::kEntryBytes * uint64_t{header.images} > batch.size()) return false;
  images_ = header.images;
  return true;
}

bool CheckedBatch::image(size_t i, ImageView& out) const {
  if (i >= images_) return false;
  const auto entry = load_from<wire::ImageEntry>(batch_.data() + wire::kHeaderBytes + wire::kEntryBytes * i);
  if (entry.record_offset > batch_.size() || entry.record_bytes > batch_.size() - entry.record_offset) return false;
  if (entry.record_bytes < wire::kHeaderBytes) return false;
  out.record = batch_.subspan(entry.record_offset, entry.record_bytes);
  out.readable_end = batch_.data() + batch_.size();
  out.header = load_from<wire::RecordHeader>(out.record.data());
  out.num_components = out.header.num_components;
  if (out.num_components > kMaxComponents) return false;
  if (out.num_components > 0 && (out.header.width == 0 || out.header.height == 0)) return false;
  if (out.record.size() < wire::kHeaderBytes + wire::kComponentBytes * out.num_components) return false;
  for (uint32_t k = 0; k < out.num_components; ++k) {
    out.components[k] =
        load_from<wire::ComponentRecord>(out.record.data() + wire::kHeaderBytes + wire::kComponentBytes * size_t{k});
    if (!fits(out.components[k], out.header, out.record.size())) return false;
  }
  return true;
}

}  // namespace dctload::ops
