#include "crc32c.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <array>
#include <cstring>

namespace dctload {
namespace {

// The crc32 instruction takes 3 cycles but one can start in each, so three runs of kRun bytes go side by side; a run's checksum
// is then carried over the bytes of the runs behind it. 512: the carrying costs a tenth, and what is left over (under 1536 bytes)
// stays short.
constexpr size_t kRun = 512;

using Carry = std::array<std::array<uint32_t, 256>, 4>;

// Carrying over kRun zero bytes is linear in the checksum's bits: carry[i][b] is what bits b << 8i become.
constexpr Carry make_carry() {
  std::array<uint32_t, 32> bits{};
  for (uint32_t i = 0; i < 32; ++i) {
    uint32_t crc = 1u << i;
    for (size_t zero = 0; zero < 8 * kRun; ++zero) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    bits[i] = crc;
  }
  Carry carry{};
  for (uint32_t i = 0; i < 4; ++i) {
    for (uint32_t b = 0; b < 256; ++b) {
      for (uint32_t bit = 0; bit < 8; ++bit) carry[i][b] ^= (b >> bit & 1) != 0 ? bits[8 * i + bit] : 0;
    }
  }
  return carry;
}

constexpr Carry kCarry = make_carry();

uint64_t carried(uint64_t crc) {
  return kCarry[0][crc & 255] ^ kCarry[1][crc >> 8 & 255] ^ kCarry[2][crc >> 16 & 255] ^ kCarry[3][crc >> 24 & 255];
}

uint64_t load(const uint8_t* data) {
  uint64_t x;
  std::memcpy(&x, data, 8);
  return x;
}

}  // namespace

uint32_t crc32c_sse42(uint32_t crc, const uint8_t* data, size_t size) {
  uint64_t a = ~crc;
  for (; size >= 3 * kRun; data += 3 * kRun, size -= 3 * kRun) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kRun; i += 8) {
      a = _mm_crc32_u64(a, load(data + i));
      b = _mm_crc32_u64(b, load(data + kRun + i));
      c = _mm_crc32_u64(c, load(data + 2 * kRun + i));
    }
    a = carried(carried(a) ^ b) ^ c;
  }
  for (; size >= 8; data += 8, size -= 8) a = _mm_crc32_u64(a, load(data));
  for (; size > 0; ++data, --size) a = _mm_crc32_u8(static_cast<uint32_t>(a), *data);
  return ~static_cast<uint32_t>(a);
}

}  // namespace dctload

#endif
