#include "crc32c.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <algorithm>
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

// The register, which is the inverted checksum, after bytes one behind the other.
uint64_t extend(uint64_t crc, const uint8_t* data, size_t size) {
  for (; size >= 8; data += 8, size -= 8) crc = _mm_crc32_u64(crc, load(data));
  for (; size > 0; ++data, --size) crc = _mm_crc32_u8(static_cast<uint32_t>(crc), *data);
  return crc;
}

}  // namespace

uint32_t crc32c_sse42(uint32_t crc, const uint8_t* data, size_t size) {
  constexpr size_t kLine = 64;
  uint64_t a = ~crc;
  for (; size >= 3 * kRun; data += 3 * kRun, size -= 3 * kRun) {
    // Three streams so near to each other do not look like one long read to the processor. From memory: 11 to 12 GB/s, without 6.
    for (size_t line = 3 * kRun; line < std::min(6 * kRun, size); line += kLine) __builtin_prefetch(data + line);
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kRun; i += 8) {
      a = _mm_crc32_u64(a, load(data + i));
      b = _mm_crc32_u64(b, load(data + kRun + i));
      c = _mm_crc32_u64(c, load(data + 2 * kRun + i));
    }
    a = carried(carried(a) ^ b) ^ c;
  }
  return ~static_cast<uint32_t>(extend(a, data, size));
}

uint32_t copy_crc32c_sse42(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to) {
  // In pieces that are in the first-level cache when their checksum is computed. Records in random order from memory: 8 to 10
  // GB/s.
  constexpr size_t kPiece = 3 * kRun, kAhead = 2 * kPiece, kLine = 64;
  for (size_t at = 0; at < size; at += kPiece) {
    const size_t part = std::min(kPiece, size - at);
    for (size_t line = at + kAhead; line < std::min(at + kAhead + part, size); line += kLine) __builtin_prefetch(from + line);
    std::memcpy(to + at, from + at, part);
    crc = crc32c_sse42(crc, to + at, part);
  }
  return crc;
}

namespace {

// x^n modulo the polynomial, in the form that a carry-less product of reflected numbers takes.
constexpr int64_t power(size_t n) {
  uint32_t x = 0x80000000u;
  for (; n > 0; --n) x = (x >> 1) ^ ((x & 1) != 0 ? 0x82F63B78u : 0u);
  return static_cast<int64_t>(uint64_t{x} << 1);
}

// Carries 16 bytes over `kBytes` more: Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction"
// (Intel, 2009).
template <size_t kBytes>
struct Fold {
  static constexpr int64_t kLow = power(8 * kBytes + 32), kHigh = power(8 * kBytes - 32);
};

#define DCTLOAD_VPCLMUL __attribute__((target("avx2,pclmul,vpclmulqdq")))

template <size_t kBytes>
DCTLOAD_VPCLMUL inline __m256i folded(__m256i x, __m256i data) {
  const __m256i k = _mm256_set_epi64x(Fold<kBytes>::kHigh, Fold<kBytes>::kLow, Fold<kBytes>::kHigh, Fold<kBytes>::kLow);
  return _mm256_xor_si256(data, _mm256_xor_si256(_mm256_clmulepi64_epi128(x, k, 0x00), _mm256_clmulepi64_epi128(x, k, 0x11)));
}

// 32 bytes, which go to `to` too where that is not null.
template <bool kCopy>
DCTLOAD_VPCLMUL inline __m256i taken(const uint8_t* from, uint8_t* to, size_t at) {
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at));
  if constexpr (kCopy) _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), x);
  return x;
}

template <bool kCopy>
DCTLOAD_VPCLMUL uint32_t by_vpclmul(uint32_t crc, const uint8_t* from, size_t size, [[maybe_unused]] uint8_t* to) {
  constexpr size_t kStep = 128, kAhead = 4096;  // a page: further than the processor looks by itself
  uint64_t state = ~crc;
  size_t at = 0;
  if (size >= kStep) {
    const __m256i start = _mm256_set_epi64x(0, 0, 0, static_cast<int64_t>(state & 0xFFFFFFFFu));
    __m256i a = _mm256_xor_si256(taken<kCopy>(from, to, 0), start);
    __m256i b = taken<kCopy>(from, to, 32), c = taken<kCopy>(from, to, 64), d = taken<kCopy>(from, to, 96);
    for (at = kStep; size - at >= kStep; at += kStep) {
      const uint8_t* const ahead = from + std::min(at + kAhead, size - kStep);
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + 64);
      a = folded<kStep>(a, taken<kCopy>(from, to, at));
      b = folded<kStep>(b, taken<kCopy>(from, to, at + 32));
      c = folded<kStep>(c, taken<kCopy>(from, to, at + 64));
      d = folded<kStep>(d, taken<kCopy>(from, to, at + 96));
    }
    d = folded<32>(folded<32>(folded<32>(a, b), c), d);
    const __m128i k = _mm_set_epi64x(Fold<16>::kHigh, Fold<16>::kLow), low = _mm256_castsi256_si128(d);
    const __m128i x = _mm_xor_si128(_mm256_extracti128_si256(d, 1),
                                    _mm_xor_si128(_mm_clmulepi64_si128(low, k, 0x00), _mm_clmulepi64_si128(low, k, 0x11)));
    state = _mm_crc32_u64(_mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(x))),
                          static_cast<uint64_t>(_mm_extract_epi64(x, 1)));
  }
  if constexpr (kCopy) {
    if (at < size) std::memcpy(to + at, from + at, size - at);
  }
  return ~static_cast<uint32_t>(extend(state, from + at, size - at));
}

#undef DCTLOAD_VPCLMUL

}  // namespace

bool has_vpclmul() {
  static const bool has = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("vpclmulqdq");
  return has;
}

uint32_t crc32c_vpclmul(uint32_t crc, const uint8_t* data, size_t size) { return by_vpclmul<false>(crc, data, size, nullptr); }

uint32_t copy_crc32c_vpclmul(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to) {
  return by_vpclmul<true>(crc, from, size, to);
}

uint32_t crc32c_avx2(uint32_t crc, const uint8_t* data, size_t size) {
  return has_vpclmul() ? crc32c_vpclmul(crc, data, size) : crc32c_sse42(crc, data, size);
}

uint32_t copy_crc32c_avx2(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to) {
  return has_vpclmul() ? copy_crc32c_vpclmul(crc, from, size, to) : copy_crc32c_sse42(crc, from, size, to);
}

}  // namespace dctload

#endif
