// The packed format, version 1: the one description of its layout (docs/wire-format.md explains it).
//
//   batch  = header 64 | image entries 16 x images | component entries 16 x components | records
//   record = header 64 | component records 192 x n | tile tables | tiles of component 0 | tiles of component 1 | ...
//
// Integers are little-endian; every record, section and tile starts at a multiple of 16 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dctload::wire {

static_assert(sizeof(void*) == 8, "64-bit only");

inline constexpr uint8_t kMajor = 1, kMinor = 0;
inline constexpr size_t kAlign = 16;
inline constexpr size_t kHeaderBytes = 64, kComponentBytes = 192, kEntryBytes = 16;
inline constexpr uint64_t kMaxRecordBytes = 0xFFFFFFF0u;
inline constexpr uint64_t kMaxBatchBytes = uint64_t{1} << 36;
inline constexpr uint64_t kMaxTiles = 0x7FFFFFFFu;
inline constexpr int kTileBlocks = 64, kTileSide = 8;
inline constexpr size_t kMaxTileBytes = 9264;
inline constexpr uint32_t kMaxGrid = 8192;

enum Status : uint8_t { kStatusOk = 0, kStatusTruncated = 1, kStatusFailed = 2, kStatusDamaged = 3 };

struct RecordHeader {
  char magic[4];  // "DCTI"
  uint8_t major, minor;
  uint16_t flags;
  uint32_t record_bytes;
  uint32_t meta_bytes;  // offset of the first tile
  uint16_t width, height;
  uint8_t num_components, color, precision, orientation;
  uint8_t h_max, v_max, process, status;
  uint32_t valid_mcus;
  uint16_t region[4];  // top, left, height, width
  uint32_t error_offset;
  uint16_t error_code;
  uint16_t restart_interval;
  uint32_t payload_crc;
  uint8_t reserved[8];
  uint32_t meta_crc;
};
static_assert(sizeof(RecordHeader) == kHeaderBytes);

struct ComponentRecord {
  uint64_t mask;
  uint16_t block_cols, block_rows;
  uint16_t x0, y0, w, h;
  uint16_t tiles_x, tiles_y;
  uint32_t table_offset;
  uint32_t payload_offset, payload_bytes;
  uint8_t channels, id, h_factor, v_factor;
  uint8_t reserved0;
  uint8_t skip_x, skip_y, index;
  uint8_t reserved1[20];
  uint16_t quantization[64];
};
static_assert(sizeof(ComponentRecord) == kComponentBytes && offsetof(ComponentRecord, quantization) == 64);
static_assert(offsetof(ComponentRecord, skip_x) == 41 && offsetof(ComponentRecord, channels) == 36);

struct BatchHeader {
  char magic[4];  // "DCTB"
  uint8_t major, minor;
  uint16_t flags;
  uint64_t batch_bytes;
  uint32_t images, components, tiles;
  uint32_t first_record;
  uint8_t reserved[28];
  uint32_t crc;
};
static_assert(sizeof(BatchHeader) == kHeaderBytes);

struct ImageEntry {
  uint64_t record_offset;
  uint32_t record_bytes;
  uint32_t first_component;
};
static_assert(sizeof(ImageEntry) == kEntryBytes);

struct ComponentEntry {
  uint32_t record_offset16;  // offset of the component record / 16
  uint32_t first_tile;
  uint64_t first_value;
};
static_assert(sizeof(ComponentEntry) == kEntryBytes);

inline constexpr uint64_t align(uint64_t n) { return (n + kAlign - 1) & ~uint64_t{kAlign - 1}; }

// Lane of block (y, x) of a tile: groups of 8 lanes are areas of 2 rows x 4 columns.
inline constexpr uint32_t lane(uint32_t y, uint32_t x) { return (y >> 1) << 4 | (x >> 2) << 3 | (y & 1) << 2 | (x & 3); }

// Bounds of one packed tile of K channels, in bytes, padded.
inline constexpr uint64_t min_tile_bytes(uint32_t channels) { return align(2 + (channels + 1) / 2); }
inline constexpr uint64_t max_tile_bytes(uint32_t channels) { return align(2 + (channels + 1) / 2 + uint64_t{144} * channels); }

inline uint64_t tables_bytes(uint64_t tiles) { return align(4 * (tiles + 1)); }

}  // namespace dctload::wire
