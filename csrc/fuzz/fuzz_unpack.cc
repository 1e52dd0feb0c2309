// Any bytes as a record or a batch. Once as they are, where the checksums stop most of them; once with sizes and checksums put
// right, where only the other checks and the clamping stand between the bytes and the memory.
//
// Input: a record or a batch, whose size is a multiple of 16; up to 15 bytes behind it say which part of it is asked for.
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "fuzz_input.h"
#include "packed_image.h"
#include "record_view.h"
#include "stored_record.h"
#include "wire_io.h"

using namespace dctload;
using fuzz::require;
using Bytes = std::vector<uint8_t>;

namespace {

struct Wanted {
  ComponentMasks masks{};
  Box box;
};

Wanted read_wanted(std::span<const uint8_t> tail) {
  std::array<uint8_t, 15> p{};
  std::copy(tail.begin(), tail.end(), p.begin());
  Wanted wanted;
  uint64_t mask;
  std::memcpy(&mask, p.data(), 8);
  for (uint32_t i = 0; i < kMaxComponents; ++i) wanted.masks[i] = std::rotl(mask, static_cast<int>(7 * i));
  wanted.box = {8u * p[8], 8u * p[9], 8u * p[10] + 1u + p[12], 8u * p[11] + 1u + p[13]};
  return wanted;
}

template <typename T>
void put(std::span<uint8_t> out, size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof value);
}

using Planes = std::array<std::vector<int16_t>, kMaxComponents>;

Planes unpack(std::span<const uint8_t> record) {
  const RecordView view(record);
  Planes planes;
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    const wire::ComponentRecord& c = view.components[i];
    planes[i].assign(size_t{c.channels} * c.w * c.h, 0);
    unpack_component(record, static_cast<int>(i), planes[i].data());
  }
  return planes;
}

// The channels of `to` out of planes with the channels of `from`.
std::vector<int16_t> pick(const std::vector<int16_t>& planes, uint64_t from, uint64_t to, size_t area) {
  std::vector<int16_t> out;
  for (uint32_t f = 0; f < 64; ++f) {
    if ((to >> f & 1) == 0) continue;
    const auto k = static_cast<size_t>(std::popcount(from & ((uint64_t{1} << f) - 1)));
    out.insert(out.end(), planes.begin() + static_cast<ptrdiff_t>(k * area),
               planes.begin() + static_cast<ptrdiff_t>((k + 1) * area));
  }
  return out;
}

std::vector<int16_t> crop(const std::vector<int16_t>& planes, const wire::ComponentRecord& from,
                          const wire::ComponentRecord& to) {
  std::vector<int16_t> out;
  for (size_t k = 0; k < from.channels; ++k) {
    for (size_t y = 0; y < to.h; ++y) {
      const size_t row = (k * from.h + y + to.y0 - from.y0) * from.w + to.x0 - from.x0;
      out.insert(out.end(), planes.begin() + static_cast<ptrdiff_t>(row), planes.begin() + static_cast<ptrdiff_t>(row + to.w));
    }
  }
  return out;
}

// The road of stored records: whole, and with fewer channels of a smaller region at once.
void use_stored(std::span<const uint8_t> record, const Box& box, const ComponentMasks& masks, const Bytes& few,
                const Bytes& cut) {
  Bytes copy(record.size());
  require(copy_checked(chosen_kernels(), record, copy.data()), "a checked copy");
  require(std::equal(copy.begin(), copy.end(), record.begin(), record.end()), "a copy of a record");
  Arena arena;
  PackedImage image;
  const StoredRecord::Part both = StoredRecord(record).take(chosen_kernels(), masks, &box, arena, image);
  Bytes want;
  require(both.result.ok() == cut_region(few, box, want).ok(), "a region of fewer channels");
  if (!both.result.ok() || both.whole) return;
  Bytes got(image.record_bytes());
  image.write(chosen_kernels(), got.data());
  require(got == want, "select, then cut");
  Bytes other;
  require(select_channels(cut, masks, other), "channels of a cut");
  require(got == other, "cut, then select");
}

// A record that passed check_record: whatever its tiles hold, what is made of it means the same.
void use_record(std::span<const uint8_t> record, const Wanted& wanted) {
  const RecordView view(record);
  const bool sound = check_record(record, true).ok();
  const Planes planes = unpack(record);

  ComponentMasks masks = wanted.masks;
  for (uint32_t i = 0; i < view.header.num_components; ++i) masks[i] &= view.components[i].mask;
  Bytes few;
  require(select_channels(record, masks, few), "channels that are there");
  require(check_record(few, sound).ok(), "a selection is no record");
  require(few.size() <= record.size(), "a selection has grown");
  const Planes few_planes = unpack(few);
  for (uint32_t i = 0; i < view.header.num_components; ++i) {
    const wire::ComponentRecord& c = view.components[i];
    require(few_planes[i] == pick(planes[i], c.mask, masks[i], size_t{c.w} * c.h), "planes of a selection");
  }

  Bytes cut;
  if (cut_region(record, wanted.box, cut).ok()) {
    require(check_record(cut, sound).ok(), "a cut is no record");
    const RecordView part(cut);
    const Planes cut_planes = unpack(cut);
    for (uint32_t i = 0; i < view.header.num_components; ++i) {
      require(cut_planes[i] == crop(planes[i], view.components[i], part.components[i]), "planes of a cut");
    }
  } else {
    require(cut.empty(), "a refused cut has left bytes");
  }

  use_stored(record, wanted.box, masks, few, cut);

  const std::span<const uint8_t> twice[] = {record, few, record};
  Bytes batch(joined_bytes(twice));
  join(twice, batch.data());
  require(check_batch(batch, sound).ok(), "a joined batch");
}

void repair_record(std::span<uint8_t> record) {
  if (record.size() < wire::kHeaderBytes) return;
  put(record, offsetof(wire::RecordHeader, record_bytes), static_cast<uint32_t>(record.size()));
  const auto meta = load_from<uint32_t>(record.data() + offsetof(wire::RecordHeader, meta_bytes));
  if (meta >= wire::kHeaderBytes && meta <= record.size()) seal_record(record.data());
}

// Its own size, its records' checksums, and the directory that follows from them if they are sound.
void repair_batch(std::span<uint8_t> batch) {
  auto h = load_from<wire::BatchHeader>(batch.data());
  const uint64_t first = wire::kHeaderBytes + wire::kEntryBytes * (uint64_t{h.images} + h.components);
  if (first > batch.size()) return;
  h.batch_bytes = batch.size();
  h.first_record = static_cast<uint32_t>(first);
  std::memcpy(batch.data(), &h, sizeof h);
  uint64_t at = first;
  for (uint32_t i = 0; i < h.images; ++i) {
    if (at + wire::kHeaderBytes > batch.size()) break;
    const auto bytes = load_from<uint32_t>(batch.data() + at + offsetof(wire::RecordHeader, record_bytes));
    if (bytes < wire::kHeaderBytes || bytes > batch.size() - at) break;
    repair_record(batch.subspan(at, bytes));
    at += bytes;
  }
  put(batch, offsetof(wire::BatchHeader, crc), directory_crc(batch, first));
}

void use_batch(std::span<const uint8_t> batch, const Wanted& wanted) {
  const auto h = load_from<wire::BatchHeader>(batch.data());
  std::vector<std::span<const uint8_t>> records;
  for (uint32_t i = 0; i < h.images; ++i) {
    const auto entry = load_from<wire::ImageEntry>(batch.data() + wire::kHeaderBytes + wire::kEntryBytes * i);
    records.push_back(batch.subspan(entry.record_offset, entry.record_bytes));
    if (i < 3) use_record(records.back(), wanted);
  }
  Bytes again(joined_bytes(records));
  join(records, again.data());
  if (h.minor == 0) require(std::equal(again.begin(), again.end(), batch.begin(), batch.end()), "a batch is its records");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> input(data, size), body = input.first(size & ~size_t{15});
  const Wanted wanted = read_wanted(input.subspan(body.size()));
  if (check_record(input).ok()) use_record(input, wanted);
  if (check_batch(input).ok()) use_batch(input, wanted);
  if (body.size() < wire::kHeaderBytes) return 0;

  Bytes repaired(body.begin(), body.end());
  if (std::memcmp(repaired.data(), "DCTB", 4) == 0) {
    repair_batch(repaired);
    if (check_batch(repaired).ok()) use_batch(repaired, wanted);
  } else {
    repair_record(repaired);
    if (check_record(repaired).ok()) use_record(repaired, wanted);
  }
  return 0;
}
