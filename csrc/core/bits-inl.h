// The bit buffer, included by every kernel file. Top-aligned: the next bit is the highest. All functions are local to the file
// that includes this one, since the same code is compiled for several CPU levels.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__BMI2__)
#include <immintrin.h>
#endif

#include "entropy_source.h"
#include "huffman.h"

namespace dctload {
namespace {

#define DCTLOAD_UNLIKELY(x) __builtin_expect(!!(x), 0)

inline uint64_t big_endian64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}

// Only the low 6 bits of `count` mean anything, so whole table entries can be subtracted from it.
struct BitReader {
  uint64_t bits;
  uint64_t count;
  const uint8_t* at;

  explicit BitReader(const BitPosition& p) : bits(p.bits), count(p.count), at(p.at) { refill(); }
  void save(BitPosition& p) const { p = {bits, count & 63, at}; }

  // At least 56 bits afterwards. Look up first, refill, then consume: the refill then stays out of the chain from symbol to
  // symbol.
  void refill() {
    bits |= big_endian64(at) >> (count & 63);
    at += ((count ^ 63) >> 3) & 7;
    count |= 56;
  }
  uint32_t peek(int n) const { return static_cast<uint32_t>(bits >> (64 - n)); }
  void drop(uint64_t n) {  // the low 6 bits of n
    bits <<= n & 63;
    count -= n;
  }
  // The value behind a code of `code_length` bits; `size_field` is 63 - size (F.2.2.1, EXTEND without a branch).
  static int32_t value(uint64_t bits, uint64_t code_length, uint64_t size_field) {
    const uint64_t t = bits << (code_length & 63);
    const uint64_t size_shift = size_field & 63;
    const int64_t raw = static_cast<int64_t>(t >> 1 >> size_shift);
    const int64_t negative = ~(static_cast<int64_t>(t) >> 63);
    return static_cast<int32_t>(raw + (negative & (1 - static_cast<int64_t>(uint64_t{1} << 63 >> size_shift))));
  }
  uint32_t take(uint32_t n) {  // n <= 32
    const uint32_t v = static_cast<uint32_t>(bits >> 1 >> (63 - n));
    drop(n);
    return v;
  }
};

inline void store16(uint8_t* p, uint64_t value) {
  const uint16_t v = static_cast<uint16_t>(value);
  std::memcpy(p, &v, 2);
}

#if defined(__BMI2__)
inline uint64_t deposit(uint64_t value, uint64_t mask) { return _pdep_u64(value, mask); }
inline uint64_t extract(uint64_t value, uint64_t mask) { return _pext_u64(value, mask); }
#else
inline uint64_t deposit(uint64_t value, uint64_t mask) {
  uint64_t out = 0;
  for (; mask != 0; mask &= mask - 1, value >>= 1) {
    if (value & 1) out |= mask & -mask;
  }
  return out;
}
inline uint64_t extract(uint64_t value, uint64_t mask) {
  uint64_t out = 0;
  for (uint64_t bit = 1; mask != 0; mask &= mask - 1, bit <<= 1) {
    if (value & mask & -mask) out |= bit;
  }
  return out;
}
#endif

}  // namespace
}  // namespace dctload
