#include "stored_record.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tile_selector.h"
#include "wire_io.h"

namespace dctload {
namespace {

Box own_box(const wire::RecordHeader& h) { return {h.region[0], h.region[1], h.region[2], h.region[3]}; }

bool same(const Box& a, const Box& b) { return a.top == b.top && a.left == b.left && a.height == b.height && a.width == b.width; }

uint32_t intersect(uint32_t a_start, uint32_t a_size, uint32_t b_start, uint32_t b_size, uint32_t& size) {
  const uint32_t start = std::max(a_start, b_start), end = std::min(a_start + a_size, b_start + b_size);
  size = end > start ? end - start : 0;
  return start;
}

struct TileSpan {  // tiles of the record's grid that a rectangle touches along one axis
  uint32_t first, count, skip;
};

// `start` and `size` in blocks; the record's grid begins `skip` blocks before its own `old_start`.
TileSpan span_axis(uint32_t start, uint32_t size, uint32_t old_start, uint32_t old_skip) {
  const uint32_t from_grid = start - old_start + old_skip;
  return {from_grid / 8, (from_grid % 8 + size + 7) / 8, from_grid % 8};
}

// The part appended to `out` as a record.
Result append_part(std::span<const uint8_t> record, const ComponentMasks* masks, const Box* box, std::vector<uint8_t>& out) {
  const StoredRecord stored(record);
  Arena arena;
  PackedImage image;
  const StoredRecord::Part part = stored.take(chosen_kernels(), masks != nullptr ? *masks : stored.masks(), box, arena, image);
  if (!part.result.ok()) return part.result;
  const size_t at = out.size();
  if (part.whole) {
    out.insert(out.end(), record.begin(), record.end());
  } else {
    out.resize(at + image.record_bytes());
    image.write(chosen_kernels(), out.data() + at);
  }
  return {};
}

}  // namespace

StoredRecord::StoredRecord(std::span<const uint8_t> record) : view_(record), facts_(record_facts(record)) {}

ComponentMasks StoredRecord::masks() const {
  ComponentMasks masks{};
  for (uint32_t i = 0; i < facts_.num_components; ++i) masks[i] = view_.components[i].mask;
  return masks;
}

Outcome StoredRecord::outcome() const {
  Outcome outcome;
  outcome.status = static_cast<wire::Status>(view_.header.status);
  outcome.valid_mcus = outcome.status == wire::kStatusOk ? facts_.num_mcus() : view_.header.valid_mcus;
  if (outcome.status == wire::kStatusFailed) {
    outcome.result = {static_cast<Code>(view_.header.error_code), kUnknownDetail, view_.header.error_offset};
  }
  return outcome;
}

bool StoredRecord::is_whole(const ComponentMasks& masks, const Box* box) const {
  if (view_.header.status == wire::kStatusFailed) return true;
  for (uint32_t i = 0; i < facts_.num_components; ++i) {
    if (masks[i] != view_.components[i].mask) return false;
  }
  Region region;
  return box == nullptr || (cut(*box, region) && same(region.pixels, own_box(view_.header)));
}

StoredRecord::Part StoredRecord::take(const Kernels& kernels, const ComponentMasks& masks, const Box* box, Arena& arena,
                                      PackedImage& out) const {
  if (is_whole(masks, box)) return {{}, true};
  for (uint32_t i = 0; i < facts_.num_components; ++i) {
    if ((masks[i] & ~view_.components[i].mask) != 0) return {{Code::kChannelsMissing, i, 0}, false};
  }
  Region region;
  if (!cut(box != nullptr ? *box : own_box(view_.header), region)) return {{Code::kRegionOutside, 0, 0}, false};
  out.start(facts_, region, masks);
  for (uint32_t i = 0; i < facts_.num_components; ++i) take_tiles(kernels, i, region.blocks[i], masks[i], arena, out);
  out.set_outcome(outcome());
  return {};
}

bool StoredRecord::cut(const Box& box, Region& region) const {
  if (!snap(facts_, &box, region).ok()) return false;
  const Box own = own_box(view_.header), snapped = region.pixels;
  Box part;
  part.top = intersect(snapped.top, snapped.height, own.top, own.height, part.height);
  part.left = intersect(snapped.left, snapped.width, own.left, own.width, part.width);
  return part.height > 0 && part.width > 0 && snap(facts_, &part, region).ok();
}

void StoredRecord::take_tiles(const Kernels& kernels, uint32_t component, const BlockRect& rect, uint64_t mask, Arena& arena,
                              PackedImage& out) const {
  if (mask == 0) return;
  const wire::ComponentRecord& from = view_.components[component];
  const TileSpan across = span_axis(rect.x0, rect.w, from.x0, from.skip_x);
  const TileSpan down = span_axis(rect.y0, rect.h, from.y0, from.skip_y);
  out.set_skip(component, across.skip, down.skip);
  const TileSelector selector(from.mask, mask);
  const uint8_t* const end = view_.bytes.data() + view_.bytes.size();
  for (uint32_t row = 0; row < down.count; ++row) {
    const uint64_t first = uint64_t{down.first + row} * from.tiles_x + across.first;
    for (uint64_t t = first; t < first + across.count; ++t) {
      const TileBytes tile = view_.tile(from, t);
      if (mask == from.mask) {  // neighbours stay neighbours, so that a row of tiles becomes one copy
        out.add_tile(component, tile.data, tile.size);
        continue;
      }
      uint8_t* const to = arena.reserve(selector.room());
      const size_t bytes = kernels.select_tile(selector, tile, static_cast<uint64_t>(end - tile.data), to);
      arena.keep(bytes);
      out.add_tile(component, to, bytes);
    }
  }
}

bool copy_checked(const Kernels& kernels, std::span<const uint8_t> record, uint8_t* out) {
  const auto h = load_from<wire::RecordHeader>(record.data());
  std::memcpy(out, record.data(), h.meta_bytes);
  return kernels.copy_crc32c(0, record.data() + h.meta_bytes, record.size() - h.meta_bytes, out + h.meta_bytes) == h.payload_crc;
}

bool select_channels(std::span<const uint8_t> record, const ComponentMasks& masks, std::vector<uint8_t>& out) {
  return append_part(record, &masks, nullptr, out).ok();
}

Result cut_region(std::span<const uint8_t> record, const Box& box, std::vector<uint8_t>& out) {
  return append_part(record, nullptr, &box, out);
}

}  // namespace dctload
