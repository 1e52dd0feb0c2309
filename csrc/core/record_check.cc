// Section 4 of the wire format, in its order: nothing is read before what bounds it has been checked.
#include <algorithm>
#include <bit>
#include <cstddef>

#include "record_view.h"
#include "wire_io.h"

namespace dctload {
namespace {

using wire::ComponentRecord;
using wire::RecordHeader;

WireFault fault(const char* what, uint64_t offset) { return {what, offset, -1}; }

bool all_zero(const uint8_t* bytes, uint64_t size) {
  return std::all_of(bytes, bytes + size, [](uint8_t b) { return b == 0; });
}

// A failed sample: nothing but its header.
WireFault check_failed(const RecordHeader& h) {
  if (h.num_components != 0 || h.record_bytes != wire::kHeaderBytes) return fault("number of components of a failed image", 20);
  if (h.error_code == 0 || (h.minor == 0 && h.error_code > kLastCode)) return fault("error code of a failed image", 44);
  if (h.color > static_cast<uint8_t>(ColorSpace::kYcck)) return fault("colour space", 21);
  if (h.orientation > 8) return fault("orientation", 23);
  if (h.process > static_cast<uint8_t>(Process::kProgressive)) return fault("process", 26);
  if (h.valid_mcus != 0) return fault("valid MCUs of a failed image", 28);
  if (h.region[0] != 0 || h.region[1] != 0 || h.region[2] != 0 || h.region[3] != 0) return fault("region of a failed image", 32);
  return {};
}

// Enumerations and ranges of an image that has coefficients.
WireFault check_facts(const RecordHeader& h, const Header& facts) {
  if (h.width == 0 || h.height == 0) return fault("image size", 16);
  if (h.num_components == 0) return fault("number of components", 20);
  if (h.color > static_cast<uint8_t>(ColorSpace::kYcck)) return fault("colour space", 21);
  if (h.precision != 8 && h.precision != 12) return fault("precision", 22);
  if (h.orientation < 1 || h.orientation > 8) return fault("orientation", 23);
  if (h.h_max != facts.h_max || h.v_max != facts.v_max) return fault("largest sampling factors", 24);
  if (h.process > static_cast<uint8_t>(Process::kProgressive)) return fault("process", 26);
  if (h.status > wire::kStatusDamaged) return fault("status", 27);
  const uint32_t most = h.status == wire::kStatusOk ? 0 : facts.num_mcus();
  if (h.valid_mcus > most) return fault("valid MCUs", 28);
  if (h.error_offset != 0) return fault("error offset of an image without error", 40);
  if (h.error_code != 0) return fault("error code of an image without error", 44);
  return {};
}

// The region is made of whole MCUs of the image: snapping it changes nothing.
WireFault check_region(const RecordHeader& h, const Header& facts, Region& region) {
  const Box box{h.region[0], h.region[1], h.region[2], h.region[3]};
  if (!snap(facts, &box, region).ok()) return fault("region", 32);
  const Box& p = region.pixels;
  if (p.top != box.top || p.left != box.left || p.height != box.height || p.width != box.width) {
    return fault("end of the region", 32);
  }
  return {};
}

struct Sections {  // where the next table and the next tiles must begin
  uint64_t table = 0, payload = 0;
};

WireFault check_table(const RecordView& view, const ComponentRecord& c, uint32_t meta_bytes) {
  const uint64_t tiles = tile_count(c), end = uint64_t{c.table_offset} + wire::tables_bytes(tiles);
  if (end > meta_bytes) return fault("length of the tile table", c.table_offset);
  if (view.table(c, 0) != 0) return fault("start of the tile table", c.table_offset);
  const uint64_t least = wire::min_tile_bytes(c.channels) / wire::kAlign, most = wire::max_tile_bytes(c.channels) / wire::kAlign;
  for (uint64_t t = 0; t < tiles; ++t) {
    const uint64_t begin = view.table(c, t), next = view.table(c, t + 1);
    if (next < begin + least || next > begin + most) return fault("step of the tile table", c.table_offset + 4 * (t + 1));
  }
  if (wire::kAlign * uint64_t{view.table(c, tiles)} != c.payload_bytes)
    return fault("end of the tile table", c.table_offset + 4 * tiles);
  const uint64_t used = c.table_offset + 4 * (tiles + 1);
  if (!all_zero(view.bytes.data() + used, end - used)) return fault("padding of the tile table", used);
  return {};
}

WireFault check_component(const RecordView& view, uint32_t index, const Component& facts, const BlockRect& rect, Sections& next) {
  const ComponentRecord& c = view.components[index];
  const uint64_t at = wire::kHeaderBytes + wire::kComponentBytes * index;
  if (c.channels != std::popcount(c.mask)) return fault("number of channels", at + 36);
  for (uint32_t freq = 0; freq < 64; ++freq) {
    if ((c.mask >> freq & 1) != 0 && c.quantization[freq] == 0) return fault("quantisation step (zero)", at + 64 + 2 * freq);
  }
  if (c.block_cols != facts.block_cols || c.block_rows != facts.block_rows) return fault("block grid", at + 8);
  if (c.x0 != rect.x0 || c.y0 != rect.y0 || c.w != rect.w || c.h != rect.h) return fault("rectangle of blocks", at + 12);
  if (c.skip_x > 7 || c.skip_y > 7) return fault("skip", at + 41);
  const uint32_t tiles_x = c.channels == 0 ? 0 : (c.skip_x + c.w + 7u) / 8,
                 tiles_y = c.channels == 0 ? 0 : (c.skip_y + c.h + 7u) / 8;
  if (c.tiles_x != tiles_x || c.tiles_y != tiles_y) return fault("number of tiles", at + 20);
  if (c.index != index) return fault("own index", at + 43);
  if (view.header.minor == 0) {
    if (c.reserved0 != 0) return fault("reserved byte", at + 40);
    if (!all_zero(c.reserved1, sizeof c.reserved1)) return fault("reserved byte", at + 44);
  }
  if (c.table_offset != next.table) return fault("place of the tile table", at + 24);
  if (c.payload_offset != next.payload) return fault("place of the tiles", at + 28);
  const WireFault table = check_table(view, c, view.header.meta_bytes);
  if (!table.ok()) return table;
  next.table += wire::tables_bytes(tile_count(c));
  next.payload += c.payload_bytes;
  return next.payload > view.header.record_bytes ? fault("length of the tiles", at + 32) : WireFault{};
}

// Step 5: the one right length, nothing stored that need not be. Null if all is well.
const char* check_tile(const TileBytes& tile, uint32_t channels, bool has_dc) {
  const uint64_t masks = 2 + (channels + 1) / 2;
  uint64_t planes = 0, stored = 0;
  for (uint32_t k = 0; k < channels; ++k) planes += tile.planes(k);
  if (!has_dc && (tile[0] | tile[1]) != 0) return "base of a tile without DC";
  if (channels % 2 == 1 && tile[masks - 1] >> 4 != 0) return "last nibble of a tile";
  if (masks + planes > tile.size) return "plane masks of a tile";
  uint64_t mask_at = masks;
  for (uint32_t k = 0; k < channels; ++k) {
    const uint32_t w = tile.planes(k);
    if (w > 0 && w < 16 && tile[mask_at] == 0) return "top plane of a channel";
    for (uint32_t p = 0; p < w; ++p) stored += static_cast<uint64_t>(std::popcount(tile[mask_at++]));
  }
  const uint64_t end = masks + planes + stored;
  if (wire::align(end) != tile.size) return "length of a tile";
  const uint8_t* bytes = tile.data + masks + planes;
  if (std::any_of(bytes, bytes + stored, [](uint8_t b) { return b == 0; })) return "stored byte (zero)";
  return all_zero(tile.data + end, tile.size - end) ? nullptr : "padding of a tile";
}

WireFault check_tiles(const RecordView& view) {
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    const ComponentRecord& c = view.components[i];
    for (uint64_t t = 0; t < tile_count(c); ++t) {
      const TileBytes tile = view.tile(c, t);
      const char* what = check_tile(tile, c.channels, (c.mask & 1) != 0);
      if (what != nullptr) return fault(what, static_cast<uint64_t>(tile.data - view.bytes.data()));
    }
  }
  return {};
}

}  // namespace

WireFault check_meta(std::span<const uint8_t> record) {
  if (record.size() < wire::kHeaderBytes || record.size() % wire::kAlign != 0) return fault("size of a record", 0);
  const auto h = load_from<RecordHeader>(record.data());
  if (std::memcmp(h.magic, "DCTI", 4) != 0) return fault("magic of a record", 0);
  if (h.major != wire::kMajor) return fault("major version of a record", 4);
  if (h.flags != 0) return fault("flags of a record", 6);
  if (h.record_bytes != record.size()) return fault("size of a record", 8);
  if (h.num_components > kMaxComponents) return fault("number of components", 20);
  const uint64_t fixed = wire::kHeaderBytes + wire::kComponentBytes * h.num_components;
  if (h.meta_bytes < fixed || h.meta_bytes > record.size() || h.meta_bytes % wire::kAlign != 0) return fault("meta bytes", 12);
  if (meta_crc(record, h.meta_bytes) != h.meta_crc) return fault("meta CRC", 60);
  if (h.minor == 0 && !all_zero(h.reserved, sizeof h.reserved)) return fault("reserved byte", 52);
  if (h.status == wire::kStatusFailed) return check_failed(h);

  const RecordView view(record);
  for (uint32_t i = 0; i < h.num_components; ++i) {
    const ComponentRecord& c = view.components[i];
    if (c.h_factor < 1 || c.h_factor > 4 || c.v_factor < 1 || c.v_factor > 4)
      return fault("sampling factors", 64 + 192 * uint64_t{i} + 38);
  }
  const Header facts = record_facts(record);
  WireFault found = check_facts(h, facts);
  Region region;
  if (found.ok()) found = check_region(h, facts, region);
  Sections next{fixed, h.meta_bytes};
  for (uint32_t i = 0; found.ok() && i < h.num_components; ++i) {
    found = check_component(view, i, facts.components[i], region.blocks[i], next);
  }
  if (!found.ok()) return found;
  if (next.table != h.meta_bytes) return fault("meta bytes", 12);
  if (next.payload != h.record_bytes) return fault("end of the tiles", next.payload);
  return {};
}

WireFault check_payload(std::span<const uint8_t> record) {
  const auto h = load_from<RecordHeader>(record.data());
  const bool same = payload_crc(record, h.meta_bytes) == h.payload_crc;
  return same ? WireFault{} : fault("payload CRC", offsetof(RecordHeader, payload_crc));
}

WireFault check_record(std::span<const uint8_t> record, bool deep) {
  WireFault found = check_meta(record);
  if (found.ok()) found = check_payload(record);
  return found.ok() && deep ? check_tiles(RecordView(record)) : found;
}

WireFault check_batch(std::span<const uint8_t> batch, bool deep) {
  const uint64_t size = batch.size();
  if (size < wire::kHeaderBytes || size % wire::kAlign != 0 || size > wire::kMaxBatchBytes) return fault("size of the batch", 0);
  const auto h = load_from<wire::BatchHeader>(batch.data());
  if (std::memcmp(h.magic, "DCTB", 4) != 0) return fault("magic of the batch", 0);
  if (h.major != wire::kMajor) return fault("major version of the batch", 4);
  if (h.flags != 0) return fault("flags of the batch", 6);
  if (h.batch_bytes != size) return fault("size of the batch", 8);
  const uint64_t components_at = wire::kHeaderBytes + wire::kEntryBytes * uint64_t{h.images};
  const uint64_t first = components_at + wire::kEntryBytes * uint64_t{h.components};
  if (first > size || h.images > wire::kMaxTiles || h.components > wire::kMaxTiles) return fault("size of the directory", 16);
  if (h.first_record != first) return fault("offset of the first record", 28);
  if (directory_crc(batch, first) != h.crc) return fault("directory CRC", 60);
  if (h.minor == 0 && !all_zero(h.reserved, sizeof h.reserved)) return fault("reserved byte", 32);

  uint64_t at = first, components = 0, tiles = 0, values = 0;
  for (uint32_t i = 0; i < h.images; ++i) {
    const uint64_t entry_at = wire::kHeaderBytes + wire::kEntryBytes * uint64_t{i};
    const auto entry = load_from<wire::ImageEntry>(batch.data() + entry_at);
    if (entry.record_offset != at) return {"offset of a record", entry_at, i};
    if (entry.record_bytes > size - at) return {"size of a record", entry_at + 8, i};
    if (entry.first_component != components) return {"first component of an image", entry_at + 12, i};
    const auto record = batch.subspan(at, entry.record_bytes);
    const WireFault found = check_record(record, deep);
    if (!found.ok()) return {found.what, at + found.offset, i};
    const RecordView view(record);
    for (uint32_t k = 0; k < view.header.num_components; ++k, ++components) {
      const uint64_t component_at = components_at + wire::kEntryBytes * components;
      if (components >= h.components) return {"number of components in all", 20, i};
      const auto component = load_from<wire::ComponentEntry>(batch.data() + component_at);
      const ComponentRecord& c = view.components[k];
      const uint64_t record_at = at + wire::kHeaderBytes + wire::kComponentBytes * k;
      if (component.record_offset16 != record_at / wire::kAlign || component.first_tile != tiles ||
          component.first_value != values) {
        return {"entry of a component", component_at, i};
      }
      tiles += tile_count(c);
      values += uint64_t{c.channels} * c.w * c.h;
      if (tiles > wire::kMaxTiles) return {"number of tiles in all", 24, i};
    }
    at += entry.record_bytes;
  }
  if (at != size) return fault("end of the records", at);
  if (components != h.components) return fault("number of components in all", 20);
  if (tiles != h.tiles) return fault("number of tiles in all", 24);
  return {};
}

}  // namespace dctload
