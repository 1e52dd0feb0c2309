// A record's own facts, copied out of its bytes (which may lie at any address), and its tiles. For the files behind wire_io.h.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "cpu.h"
#include "header.h"
#include "wire.h"

namespace dctload {

template <typename T>
T load_from(const uint8_t* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// Reads one packed tile without ever leaving it: a byte at or past the end is 0, as in every other unpacker, so that bytes with a
// right checksum but a wrong length mean the same everywhere.
struct TileBytes {
  const uint8_t* data;
  uint64_t size;

  uint32_t operator[](uint64_t at) const { return at < size ? data[at] : 0; }
  // Bit-planes of channel k: the nibble, where 15 stands for 16.
  uint32_t planes(uint32_t k) const {
    const uint32_t nibble = (*this)[2 + k / 2] >> (4 * (k & 1)) & 15;
    return nibble == 15 ? 16 : nibble;
  }
};

struct RecordView {
  explicit RecordView(std::span<const uint8_t> record);

  std::span<const uint8_t> bytes;
  wire::RecordHeader header;
  std::array<wire::ComponentRecord, kMaxComponents> components{};  // num_components of them

  // Tile `t` of a component of a checked record.
  TileBytes tile(const wire::ComponentRecord& component, uint64_t t) const;
  uint32_t table(const wire::ComponentRecord& component, uint64_t t) const {
    return load_from<uint32_t>(bytes.data() + component.table_offset + 4 * t);
  }
};

inline uint64_t tile_count(const wire::ComponentRecord& component) { return uint64_t{component.tiles_x} * component.tiles_y; }

uint32_t meta_crc(std::span<const uint8_t> record, uint32_t meta_bytes);
uint32_t directory_crc(std::span<const uint8_t> batch, uint64_t first_record);
uint32_t payload_crc(std::span<const uint8_t> record, uint32_t meta_bytes);

}  // namespace dctload
