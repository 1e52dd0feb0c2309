// Fewer channels, or a smaller region, of a packed record: byte runs are copied, no coefficient is decoded.
#include <algorithm>
#include <bit>

#include "record_view.h"
#include "wire_io.h"

namespace dctload {
namespace {

using wire::ComponentRecord;
using wire::RecordHeader;

// A record under construction at the end of `out`: header, components and tables keep their place, tiles are appended.
class RecordWriter {
 public:
  RecordWriter(std::vector<uint8_t>& out, const RecordView& from)
      : out_(out), start_(out.size()), header_(from.header), components_(from.components) {
    header_.minor = wire::kMinor;  // only bytes that version 1.0 describes are written
    std::fill(std::begin(header_.reserved), std::end(header_.reserved), uint8_t{0});
    for (ComponentRecord& c : components_) {
      c.reserved0 = 0;
      std::fill(std::begin(c.reserved1), std::end(c.reserved1), uint8_t{0});
    }
  }

  RecordHeader& header() { return header_; }
  ComponentRecord& component(uint32_t i) { return components_[i]; }

  // Call once the tile counts of all components are set.
  void begin_tiles() {
    uint64_t at = wire::kHeaderBytes + wire::kComponentBytes * header_.num_components;
    for (uint32_t i = 0; i < header_.num_components; ++i) {
      components_[i].table_offset = static_cast<uint32_t>(at);
      at += wire::tables_bytes(tile_count(components_[i]));
    }
    header_.meta_bytes = static_cast<uint32_t>(at);
    out_.resize(start_ + at);
  }

  void begin_component(uint32_t i) { components_[i].payload_offset = static_cast<uint32_t>(size()); }
  void end_component(uint32_t i) { components_[i].payload_bytes = static_cast<uint32_t>(size() - components_[i].payload_offset); }

  // The tile after number `t - 1` begins `offset` bytes into its component's tiles.
  void set_table(uint32_t i, uint64_t t, uint64_t offset) {
    const auto units = static_cast<uint32_t>(offset / wire::kAlign);
    std::memcpy(out_.data() + start_ + components_[i].table_offset + 4 * t, &units, 4);
  }

  uint64_t size() const { return out_.size() - start_; }
  std::vector<uint8_t>& out() { return out_; }

  void finish() {
    header_.record_bytes = static_cast<uint32_t>(size());
    std::memcpy(out_.data() + start_, &header_, sizeof header_);
    std::memcpy(out_.data() + start_ + wire::kHeaderBytes, components_.data(), wire::kComponentBytes * header_.num_components);
    seal_record(out_.data() + start_);
  }

 private:
  std::vector<uint8_t>& out_;
  uint64_t start_;
  RecordHeader header_;
  std::array<ComponentRecord, kMaxComponents> components_;
};

void append(std::vector<uint8_t>& out, std::span<const uint8_t> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void drop_tiles(ComponentRecord& c) {
  c.tiles_x = c.tiles_y = 0;
  c.skip_x = c.skip_y = 0;  // nothing is there to be skipped: the bytes are those of a fresh decode
}

// Writes the tile `from` with only the channels of `keep` (bit k: the k-th of `channels`) to `out`; returns its bytes.
//
// A tile whose lengths promise more than its bytes hold reads as 0 past its end. Dropping channels only moves bytes to the front,
// so what would lie past the old size are such zeros: they are left off, and no tile grows.
size_t select_tile(const TileBytes& from, uint32_t channels, uint64_t keep, bool keeps_base, uint8_t* out) {
  const auto kept = static_cast<uint32_t>(std::popcount(keep));
  const uint64_t nibbles = (kept + 1) / 2;
  uint64_t mask_at = 2 + (channels + 1) / 2, planes = 0, planes_kept = 0;
  for (uint32_t k = 0; k < channels; ++k) {
    planes += from.planes(k);
    planes_kept += (keep >> k & 1) != 0 ? from.planes(k) : 0;
  }
  std::fill_n(out, 2 + nibbles, uint8_t{0});
  if (keeps_base) {
    out[0] = static_cast<uint8_t>(from[0]);
    out[1] = static_cast<uint8_t>(from[1]);
  }
  uint64_t byte_at = mask_at + planes;
  uint8_t* mask_out = out + 2 + nibbles;
  uint8_t* byte_out = mask_out + planes_kept;
  uint32_t index = 0;
  for (uint32_t k = 0; k < channels; ++k) {
    const uint32_t w = from.planes(k);
    const bool take = (keep >> k & 1) != 0;
    if (take) {
      out[2 + index / 2] = static_cast<uint8_t>(out[2 + index / 2] | std::min(w, 15u) << (4 * (index & 1)));
      ++index;
    }
    for (uint32_t p = 0; p < w; ++p) {
      const uint32_t mask = from[mask_at++];
      const auto count = static_cast<uint32_t>(std::popcount(mask));
      if (take) {
        *mask_out++ = static_cast<uint8_t>(mask);
        for (uint32_t i = 0; i < count; ++i) *byte_out++ = static_cast<uint8_t>(from[byte_at + i]);
      }
      byte_at += count;
    }
  }
  const auto size = static_cast<size_t>(byte_out - out);
  std::fill(byte_out, out + wire::align(size), uint8_t{0});
  return std::min<size_t>(wire::align(size), from.size);
}

// Bit k of the result: the k-th set bit of `own` is in `wanted`.
uint64_t positions(uint64_t own, uint64_t wanted) {
  uint64_t out = 0;
  uint32_t k = 0;
  for (uint32_t freq = 0; freq < 64; ++freq) {
    if ((own >> freq & 1) != 0) out |= (wanted >> freq & 1) << k++;
  }
  return out;
}

void select_tiles(const RecordView& view, uint32_t i, RecordWriter& writer) {
  const ComponentRecord& from = view.components[i];
  const ComponentRecord& to = writer.component(i);
  const uint64_t keep = positions(from.mask, to.mask);
  std::vector<uint8_t>& out = writer.out();
  uint64_t offset = 0;
  for (uint64_t t = 0; t < tile_count(to); ++t) {
    const size_t at = out.size();
    out.resize(at + wire::max_tile_bytes(to.channels));
    const size_t bytes = select_tile(view.tile(from, t), from.channels, keep, (to.mask & 1) != 0, out.data() + at);
    out.resize(at + bytes);
    writer.set_table(i, t + 1, offset += bytes);
  }
}

uint32_t intersect(uint32_t a_start, uint32_t a_size, uint32_t b_start, uint32_t b_size, uint32_t& size) {
  const uint32_t start = std::max(a_start, b_start), end = std::min(a_start + a_size, b_start + b_size);
  size = end > start ? end - start : 0;
  return start;
}

struct TileSpan {  // tiles of the old grid that a cut keeps along one axis
  uint32_t first, count, skip;
};

// `start` and `size` in blocks; the old grid begins `skip` blocks before `old_start`.
TileSpan cut_axis(uint32_t start, uint32_t size, uint32_t old_start, uint32_t old_skip) {
  const uint32_t from_grid = start - old_start + old_skip;
  return {from_grid / 8, (from_grid % 8 + size + 7) / 8, from_grid % 8};
}

}  // namespace

bool select_channels(std::span<const uint8_t> record, const ComponentMasks& masks, std::vector<uint8_t>& out) {
  const RecordView view(record);
  bool same = true;
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    if ((masks[i] & ~view.components[i].mask) != 0) return false;
    same = same && masks[i] == view.components[i].mask;
  }
  if (same) {  // a failed image too
    append(out, record);
    return true;
  }
  RecordWriter writer(out, view);
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    ComponentRecord& c = writer.component(i);
    c.mask = masks[i];
    c.channels = static_cast<uint8_t>(std::popcount(masks[i]));
    if (c.channels == 0) drop_tiles(c);
  }
  writer.begin_tiles();
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    writer.begin_component(i);
    select_tiles(view, i, writer);
    writer.end_component(i);
  }
  writer.finish();
  return true;
}

Result cut_region(std::span<const uint8_t> record, const Box& box, std::vector<uint8_t>& out) {
  const RecordView view(record);
  if (view.header.status == wire::kStatusFailed) {
    append(out, record);
    return {};
  }
  const Header facts = record_facts(record);
  const uint16_t* own = view.header.region;
  Region region;
  const Result snapped = snap(facts, &box, region);
  if (!snapped.ok()) return snapped;
  Box part;
  part.top = intersect(region.pixels.top, region.pixels.height, own[0], own[2], part.height);
  part.left = intersect(region.pixels.left, region.pixels.width, own[1], own[3], part.width);
  if (part.height == 0 || part.width == 0 || !snap(facts, &part, region).ok()) return {Code::kRegionOutside, 0, 0};

  RecordWriter writer(out, view);
  std::array<TileSpan, kMaxComponents> across{}, down{};
  for (uint32_t i = 0; i < facts.num_components; ++i) {
    const ComponentRecord& from = view.components[i];
    const BlockRect& rect = region.blocks[i];
    across[i] = cut_axis(rect.x0, rect.w, from.x0, from.skip_x);
    down[i] = cut_axis(rect.y0, rect.h, from.y0, from.skip_y);
    ComponentRecord& c = writer.component(i);
    c.x0 = static_cast<uint16_t>(rect.x0);
    c.y0 = static_cast<uint16_t>(rect.y0);
    c.w = static_cast<uint16_t>(rect.w);
    c.h = static_cast<uint16_t>(rect.h);
    c.tiles_x = static_cast<uint16_t>(across[i].count);
    c.tiles_y = static_cast<uint16_t>(down[i].count);
    c.skip_x = static_cast<uint8_t>(across[i].skip);
    c.skip_y = static_cast<uint8_t>(down[i].skip);
    if (c.channels == 0) drop_tiles(c);
  }
  writer.begin_tiles();
  for (uint32_t i = 0; i < facts.num_components; ++i) {
    const ComponentRecord& from = view.components[i];
    writer.begin_component(i);
    uint64_t offset = 0, t = 0;
    for (uint32_t row = 0; row < writer.component(i).tiles_y; ++row) {  // each row's run of tiles is one copy
      const uint64_t first = uint64_t{down[i].first + row} * from.tiles_x + across[i].first;
      const uint64_t begin = view.table(from, first), end = view.table(from, first + across[i].count);
      append(writer.out(), record.subspan(from.payload_offset + wire::kAlign * begin, wire::kAlign * (end - begin)));
      for (uint32_t x = 0; x < across[i].count; ++x) {
        writer.set_table(i, ++t, offset + wire::kAlign * (view.table(from, first + x + 1) - begin));
      }
      offset += wire::kAlign * (end - begin);
    }
    writer.end_component(i);
  }
  RecordHeader& h = writer.header();
  h.region[0] = static_cast<uint16_t>(region.pixels.top);
  h.region[1] = static_cast<uint16_t>(region.pixels.left);
  h.region[2] = static_cast<uint16_t>(region.pixels.height);
  h.region[3] = static_cast<uint16_t>(region.pixels.width);
  writer.finish();
  return {};
}

}  // namespace dctload
