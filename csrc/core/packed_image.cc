#include "packed_image.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tiles.h"

namespace dctload {

void Arena::next_chunk() {
  if (chunk_ < chunks_.size()) ++chunk_;
  used_ = 0;
  if (chunk_ == chunks_.size()) chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(kChunk));
}

void PackedImage::start(const Header& header, const Region& region, const ComponentMasks& masks) {
  header_ = header;
  region_ = region;
  masks_ = masks;
  skips_ = {};
  outcome_ = {};
  runs_.clear();
  for (auto& table : tables_) table.assign(1, 0);
}

// Allocates nothing: it must work where memory ran out.
void PackedImage::fail(const Result& result) {
  header_ = {};
  region_ = {};
  masks_ = {};
  outcome_ = {};
  runs_.clear();
  outcome_.result = result;
  outcome_.status = wire::kStatusFailed;
}

void PackedImage::set_outcome(const Outcome& outcome) {
  if (!outcome.result.ok()) fail(outcome.result);
  outcome_ = outcome;
}

void PackedImage::add_tile(uint32_t component, const uint8_t* bytes, size_t size) {
  tables_[component].push_back(tables_[component].back() + static_cast<uint32_t>(size / wire::kAlign));
  if (!runs_.empty() && runs_.back().component == component && runs_.back().data + runs_.back().size == bytes &&
      runs_.back().size < 1u << 30) {
    runs_.back().size += static_cast<uint32_t>(size);
  } else {
    runs_.push_back({bytes, static_cast<uint32_t>(size), component});
  }
}

uint64_t PackedImage::record_bytes() const {
  uint64_t bytes = wire::kHeaderBytes;
  for (uint32_t c = 0; c < header_.num_components; ++c) {
    bytes += wire::kComponentBytes + wire::tables_bytes(tables_[c].size() - 1) + uint64_t{tables_[c].back()} * wire::kAlign;
  }
  return bytes;
}

void PackedImage::write(const Kernels& kernels, uint8_t* out) const {
  const uint32_t n = header_.num_components;
  wire::RecordHeader h{};
  std::memcpy(h.magic, "DCTI", 4);
  h.major = wire::kMajor;
  h.minor = wire::kMinor;
  h.record_bytes = static_cast<uint32_t>(record_bytes());
  h.width = static_cast<uint16_t>(header_.width);
  h.height = static_cast<uint16_t>(header_.height);
  h.num_components = static_cast<uint8_t>(n);
  h.color = static_cast<uint8_t>(header_.color);
  h.precision = header_.precision;
  h.orientation = header_.orientation;
  h.h_max = header_.h_max;
  h.v_max = header_.v_max;
  h.process = static_cast<uint8_t>(header_.process);
  h.status = outcome_.status;
  if (outcome_.status == wire::kStatusTruncated || outcome_.status == wire::kStatusDamaged) h.valid_mcus = outcome_.valid_mcus;
  const Box& box = region_.pixels;
  const uint32_t region[4] = {box.top, box.left, box.height, box.width};
  for (int i = 0; i < 4; ++i) h.region[i] = static_cast<uint16_t>(region[i]);
  if (outcome_.status == wire::kStatusFailed) {
    h.error_code = static_cast<uint16_t>(outcome_.result.code);
    h.error_offset = static_cast<uint32_t>(std::min<uint64_t>(outcome_.result.offset, 0xFFFFFFFFu));
  }
  h.restart_interval = header_.restart_interval;

  uint64_t table_at = wire::kHeaderBytes + wire::kComponentBytes * n, payload_at = table_at;
  for (uint32_t c = 0; c < n; ++c) payload_at += wire::tables_bytes(tables_[c].size() - 1);
  h.meta_bytes = static_cast<uint32_t>(payload_at);
  std::memset(out + table_at, 0, payload_at - table_at);
  for (uint32_t c = 0; c < n; ++c) {
    const Component& component = header_.components[c];
    const BlockRect& rect = region_.blocks[c];
    wire::ComponentRecord r{};
    r.mask = masks_[c];
    r.block_cols = static_cast<uint16_t>(component.block_cols);
    r.block_rows = static_cast<uint16_t>(component.block_rows);
    r.x0 = static_cast<uint16_t>(rect.x0);
    r.y0 = static_cast<uint16_t>(rect.y0);
    r.w = static_cast<uint16_t>(rect.w);
    r.h = static_cast<uint16_t>(rect.h);
    r.skip_x = static_cast<uint8_t>(skips_[c].x);
    r.skip_y = static_cast<uint8_t>(skips_[c].y);
    r.tiles_x = static_cast<uint16_t>(masks_[c] != 0 ? (skips_[c].x + rect.w + 7) / 8 : 0);
    r.tiles_y = static_cast<uint16_t>(masks_[c] != 0 ? (skips_[c].y + rect.h + 7) / 8 : 0);
    r.table_offset = static_cast<uint32_t>(table_at);
    r.payload_offset = static_cast<uint32_t>(payload_at);
    r.payload_bytes = tables_[c].back() * static_cast<uint32_t>(wire::kAlign);
    r.channels = static_cast<uint8_t>(std::popcount(masks_[c]));
    r.id = component.id;
    r.h_factor = component.h;
    r.v_factor = component.v;
    r.index = static_cast<uint8_t>(c);
    std::memcpy(r.quantization, component.quantization.data(), sizeof r.quantization);
    std::memcpy(out + wire::kHeaderBytes + wire::kComponentBytes * c, &r, sizeof r);
    std::memcpy(out + table_at, tables_[c].data(), 4 * tables_[c].size());
    table_at += wire::tables_bytes(tables_[c].size() - 1);
    uint8_t* to = out + payload_at;
    for (const Run& run : runs_) {
      if (run.component != c) continue;
      h.payload_crc = kernels.copy_crc32c(h.payload_crc, run.data, run.size, to);
      to += run.size;
    }
    payload_at += r.payload_bytes;
  }
  std::memcpy(out, &h, sizeof h);
  const uint32_t meta_crc = crc32c(kernels, 0, out, h.meta_bytes);
  std::memcpy(out + offsetof(wire::RecordHeader, meta_crc), &meta_crc, 4);
}

void TileSink::start(const Kernels& kernels, const Header& header, const Region& region, const ComponentMasks& masks,
                     Arena& arena, PackedImage& out) {
  kernels_ = &kernels;
  arena_ = &arena;
  out_ = &out;
  for (uint32_t c = 0; c < header.num_components; ++c) {
    ComponentLayout& layout = layouts_[c];
    Band& band = bands_[c];
    layout.set(header, c, region.blocks[c], masks[c], 2 * wire::kTileBlocks);
    // Packing clears what is kept, so tiles of as many channels can be used again, unless an image broke off before its last band
    // was packed. Their trash, which nothing clears, lies where it lay: behind as many channels.
    const bool clear = band.channels != layout.channels || band.packed < band.rows;
    band.channels = layout.channels;
    band.packed = band.rows = band.tiles_x = 0;
    if (masks[c] == 0) continue;
    band.tiles_x = (layout.rect.w + 7) / 8;
    band.rows = (layout.rect.h + 7) / 8;
    const size_t tile_bytes = static_cast<size_t>(layout.channels + 1) * 2 * wire::kTileBlocks;
    band.bands = wire::kTileSide % header.components[c].v != 0 ? 2 : 1;
    band.bytes = tile_bytes * band.tiles_x;
    const size_t values = band.bands * band.bytes / 2;
    if (clear) {
      band.tiles.assign(values, 0);
    } else if (band.tiles.size() < values) {
      band.tiles.resize(values, 0);
    }
    for (uint32_t x = 0; x < layout.rect.w; ++x) {
      layout.columns[layout.rect.x0 + x] = static_cast<uint32_t>((x >> 3) * tile_bytes + 2 * wire::lane(0, x & 7));
    }
  }
}

uint8_t* TileSink::row(uint32_t component, uint32_t y) {
  Band& band = bands_[component];
  return reinterpret_cast<uint8_t*>(band.tiles.data()) + (y >> 3) % band.bands * band.bytes + 2 * wire::lane(y & 7, 0);
}

void TileSink::finish_rows(uint32_t component, uint32_t rows) {
  Band& band = bands_[component];
  if (band.tiles_x == 0) return;
  const uint32_t complete = rows >= layouts_[component].rect.h ? band.rows : rows / 8;
  while (band.packed < complete) pack_band(component);
}

void TileSink::pack_band(uint32_t component) {
  Band& band = bands_[component];
  const ComponentLayout& layout = layouts_[component];
  const bool has_dc = layout.mask & 1;
  const size_t room = wire::max_tile_bytes(layout.channels) + 32;
  int16_t* tile = band.tiles.data() + band.packed % band.bands * band.bytes / 2;
  const uint32_t h = std::min(layout.rect.h - 8 * band.packed, 8u);
  for (uint32_t t = 0; t < band.tiles_x; ++t, tile += (layout.channels + 1) * wire::kTileBlocks) {
    const uint32_t w = std::min(layout.rect.w - 8 * t, 8u);
    if (w < 8 || h < 8) fill_outside(tile, has_dc, w, h);
    uint8_t* const to = arena_->reserve(room);
    const size_t size = kernels_->pack_tile(tile, layout.channels, has_dc, to);
    arena_->keep(size);
    out_->add_tile(component, to, size);
  }
  ++band.packed;
}

}  // namespace dctload
