// The directory of a batch follows from its records alone, so joining the same records always gives the same bytes.
#include <algorithm>

#include "record_view.h"
#include "wire_io.h"

namespace dctload {
namespace {

struct Totals {
  uint64_t bytes = 0, components = 0, tiles = 0;
  uint64_t first_record = 0;
};

Totals count(std::span<const std::span<const uint8_t>> records) {
  Totals sum;
  for (const auto record : records) {
    const RecordView view(record);
    sum.bytes += record.size();
    sum.components += view.header.num_components;
    for (uint32_t i = 0; i < view.header.num_components; ++i) sum.tiles += tile_count(view.components[i]);
  }
  sum.first_record = wire::kHeaderBytes + wire::kEntryBytes * (records.size() + sum.components);
  sum.bytes += sum.first_record;
  return sum;
}

}  // namespace

uint64_t joined_bytes(std::span<const std::span<const uint8_t>> records) {
  const Totals sum = count(records);
  const bool fits = sum.bytes <= wire::kMaxBatchBytes && sum.tiles <= wire::kMaxTiles;  // which bounds images and components too
  return fits ? sum.bytes : 0;
}

void write_directory(std::span<const std::span<const uint8_t>> records, uint8_t* out) {
  const Totals sum = count(records);
  uint8_t* image_at = out + wire::kHeaderBytes;
  uint8_t* component_at = image_at + wire::kEntryBytes * records.size();
  uint64_t at = sum.first_record, tiles = 0, values = 0;
  uint32_t components = 0;
  for (const auto record : records) {
    const RecordView view(record);
    const wire::ImageEntry image{at, static_cast<uint32_t>(record.size()), components};
    std::memcpy(image_at, &image, sizeof image);
    image_at += sizeof image;
    for (uint32_t i = 0; i < view.header.num_components; ++i, ++components) {
      const wire::ComponentRecord& c = view.components[i];
      const uint64_t record_at = at + wire::kHeaderBytes + wire::kComponentBytes * i;
      const wire::ComponentEntry entry{static_cast<uint32_t>(record_at / wire::kAlign), static_cast<uint32_t>(tiles), values};
      std::memcpy(component_at, &entry, sizeof entry);
      component_at += sizeof entry;
      tiles += tile_count(c);
      values += uint64_t{c.channels} * c.w * c.h;
    }
    at += record.size();
  }
  wire::BatchHeader header{};
  std::memcpy(header.magic, "DCTB", 4);
  header.major = wire::kMajor;
  header.minor = wire::kMinor;
  header.batch_bytes = sum.bytes;
  header.images = static_cast<uint32_t>(records.size());
  header.components = components;
  header.tiles = static_cast<uint32_t>(tiles);
  header.first_record = static_cast<uint32_t>(sum.first_record);
  std::memcpy(out, &header, sizeof header);
  header.crc = directory_crc({out, sum.first_record}, sum.first_record);
  std::memcpy(out, &header, sizeof header);
}

void join(std::span<const std::span<const uint8_t>> records, uint8_t* out) {
  write_directory(records, out);
  uint64_t at = count(records).first_record;
  for (const auto record : records) {
    std::memcpy(out + at, record.data(), record.size());
    at += record.size();
  }
}

}  // namespace dctload
