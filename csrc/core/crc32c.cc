#include "crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace dctload {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is read in place");

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[i][b]: the effect of byte b, i bytes before the end of an 8-byte step ("slicing by 8").
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    tables[0][b] = crc;
  }
  for (size_t i = 1; i < 8; ++i) {
    for (size_t b = 0; b < 256; ++b) tables[i][b] = tables[0][tables[i - 1][b] & 255] ^ (tables[i - 1][b] >> 8);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c_portable(uint32_t crc, const uint8_t* data, size_t size) {
  crc = ~crc;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t x;
    std::memcpy(&x, data, 8);
    x ^= crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(x >> (8 * i)) & 255];
  }
  for (; size > 0; ++data, --size) crc = kTables[0][(crc ^ *data) & 255] ^ (crc >> 8);
  return ~crc;
}

uint32_t copy_crc32c_portable(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to) {
  if (size > 0) std::memcpy(to, from, size);
  return crc32c_portable(crc, to, size);
}

}  // namespace dctload
