// Packing of one tile (wire.h); compiled once a CPU level.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "wire.h"

namespace dctload {
namespace {

// (v << 1) ^ (v >> 15): 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...
inline uint32_t fold(int32_t v) { return static_cast<uint16_t>(static_cast<uint32_t>(v) << 1 ^ static_cast<uint32_t>(v >> 15)); }

// Planes that a tile stores of a channel whose largest folded value is `largest`: 15 is written as 16.
inline uint32_t plane_count(uint32_t largest) {
  const uint32_t w = static_cast<uint32_t>(std::bit_width(largest));
  return w == 15 ? 16 : w;
}

// base = (min + max + 1) >> 1 of the DC values; it is taken off them, wrapping.
inline int16_t take_base(int16_t* dc) {
#if defined(__AVX2__)
  __m256i v[4];
  for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(dc) + i);
  const __m256i lo4 = _mm256_min_epi16(_mm256_min_epi16(v[0], v[1]), _mm256_min_epi16(v[2], v[3]));
  const __m256i hi4 = _mm256_max_epi16(_mm256_max_epi16(v[0], v[1]), _mm256_max_epi16(v[2], v[3]));
  // phminposuw finds the lowest unsigned 16-bit value: flip the sign bit for the minimum, all others for the maximum.
  const __m128i lo = _mm_min_epi16(_mm256_castsi256_si128(lo4), _mm256_extracti128_si256(lo4, 1));
  const __m128i hi = _mm_max_epi16(_mm256_castsi256_si128(hi4), _mm256_extracti128_si256(hi4, 1));
  const int low = _mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(lo, _mm_set1_epi16(-32768))), 0) - 32768;
  const int high = 32767 - _mm_extract_epi16(_mm_minpos_epu16(_mm_xor_si128(hi, _mm_set1_epi16(32767))), 0);
  const int16_t base = static_cast<int16_t>((low + high + 1) >> 1);
  const __m256i b = _mm256_set1_epi16(base);
  for (int i = 0; i < 4; ++i) _mm256_storeu_si256(reinterpret_cast<__m256i*>(dc) + i, _mm256_sub_epi16(v[i], b));
#else
  int32_t low = dc[0], high = dc[0];
  for (int i = 1; i < wire::kTileBlocks; ++i) {
    low = dc[i] < low ? dc[i] : low;
    high = dc[i] > high ? dc[i] : high;
  }
  const int16_t base = static_cast<int16_t>((low + high + 1) >> 1);
  for (int i = 0; i < wire::kTileBlocks; ++i)
    dc[i] = static_cast<int16_t>(static_cast<uint32_t>(dc[i]) - static_cast<uint32_t>(base));
#endif
  return base;
}

constexpr uint32_t kMaxChannels = 64;

// One bit of each of a channel's 64 values, lane 0 lowest; in halves, as they are made.
struct Plane {
  uint32_t half[2];
};

inline uint64_t bits(const Plane& plane) {
  uint64_t x;
  std::memcpy(&x, &plane, 8);
  return x;
}

// cut_channel() puts the planes of a channel in front of `end`, highest first, clears the channel and returns how many they are.
// It may write up to 16 planes, whatever it returns: which of them count is known late, and a loop or a branch over it
// mispredicts in every other channel. So channels are cut from the last to the first, each over what the one behind it wrote too
// much.
//
// squeeze() writes the mask bytes of a multiple of four planes to `masks`, their non-zero bytes to `out`, and returns the end of
// these; up to 8 bytes behind it are overwritten.
#if defined(__AVX2__)
// Bits 7 to 4 of 64 bytes.
inline void cut4(__m256i low, __m256i high, Plane* out) {
  for (uint32_t i = 0; i < 4; ++i) {
    // volatile: gcc would first put all eight halves together in a vector, one insertion each (measured: a tenth of packing).
    volatile uint32_t* const half = out[i].half;
    half[0] = static_cast<uint32_t>(_mm256_movemask_epi8(low));
    half[1] = static_cast<uint32_t>(_mm256_movemask_epi8(high));
    low = _mm256_add_epi8(low, low);  // the next bit to bit 7; nothing crosses from byte to byte
    high = _mm256_add_epi8(high, high);
  }
}

// Bits 7 to 0 of 64 bytes.
inline void cut8(__m256i low, __m256i high, Plane* out) {
  cut4(low, high, out);
  cut4(_mm256_slli_epi16(low, 4), _mm256_slli_epi16(high, 4), out + 4);  // what crosses stays below bit 4
}

inline uint32_t cut_channel(int16_t* values, Plane* end) {
  __m256i* const p = reinterpret_cast<__m256i*>(values);
  const __m256i a0 = _mm256_loadu_si256(p), a1 = _mm256_loadu_si256(p + 1), a2 = _mm256_loadu_si256(p + 2),
                a3 = _mm256_loadu_si256(p + 3);
  const __m256i any = _mm256_or_si256(_mm256_or_si256(a0, a1), _mm256_or_si256(a2, a3));
  if (_mm256_testz_si256(any, any)) return 0;
  const __m256i zero = _mm256_setzero_si256();
  _mm256_storeu_si256(p, zero);
  _mm256_storeu_si256(p + 1, zero);
  _mm256_storeu_si256(p + 2, zero);
  _mm256_storeu_si256(p + 3, zero);
  const auto folded = [](__m256i v) { return _mm256_xor_si256(_mm256_add_epi16(v, v), _mm256_srai_epi16(v, 15)); };
  const __m256i f0 = folded(a0), f1 = folded(a1), f2 = folded(a2), f3 = folded(a3);
  const __m256i all4 = _mm256_or_si256(_mm256_or_si256(f0, f1), _mm256_or_si256(f2, f3));
  const __m128i all = _mm_or_si128(_mm256_castsi256_si128(all4), _mm256_extracti128_si256(all4, 1));
  // phminposuw finds the lowest, so it is given complements; the OR of values has the width of the largest of them.
  const int lowest = _mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(all, _mm_set1_epi16(-1))));
  const uint32_t w = plane_count(static_cast<uint16_t>(~lowest));
  // Lane i of the tile becomes byte i: packus works by 128-bit halves, the permutation puts them in order.
  const auto join = [](__m256i x, __m256i y) { return _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xD8); };
  if (w <= 8) {
    cut8(join(f0, f1), join(f2, f3), end - 8);
    return w;
  }
  const auto low = [&](__m256i x, __m256i y) {
    const __m256i byte = _mm256_set1_epi16(0xFF);
    return join(_mm256_and_si256(x, byte), _mm256_and_si256(y, byte));
  };
  const auto high = [&](__m256i x, __m256i y) { return join(_mm256_srli_epi16(x, 8), _mm256_srli_epi16(y, 8)); };
  cut8(low(f0, f1), low(f2, f3), end - 8);
  cut8(high(f0, f1), high(f2, f3), end - 16);
  return w;
}

inline uint8_t* squeeze(const Plane* planes, const Plane* end, uint8_t* masks, uint8_t* out) {
  for (; planes < end; planes += 4, masks += 4) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(planes));
    const __m256i empty = _mm256_cmpeq_epi8(v, _mm256_setzero_si256());
    const uint32_t m = ~static_cast<uint32_t>(_mm256_movemask_epi8(empty));
    std::memcpy(masks, &m, 4);
    alignas(32) uint64_t keep[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(keep), _mm256_xor_si256(empty, _mm256_set1_epi8(-1)));
    // Each place from the front: counted one after the other they would wait for each other.
    const int places[4] = {0, std::popcount(m & 0xFF), std::popcount(m & 0xFFFF), std::popcount(m & 0xFFFFFF)};
    for (uint32_t i = 0; i < 4; ++i) {
      const uint64_t bytes = _pext_u64(bits(planes[i]), keep[i]);
      std::memcpy(out + places[i], &bytes, 8);
    }
    out += std::popcount(m);
  }
  return out;
}
#else
// Bits 0..7 of 8 bytes, transposed: bit p of byte i goes to bit i of byte p.
inline uint64_t transpose_bits(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAu;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCu;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0u;
  return x ^ t ^ (t << 28);
}

inline uint32_t cut_channel(int16_t* values, Plane* end) {
  uint32_t all = 0;
  uint8_t bytes[2][64];  // low, high
  for (int i = 0; i < wire::kTileBlocks; ++i) {
    const uint32_t u = fold(values[i]);
    all |= u;
    bytes[0][i] = static_cast<uint8_t>(u);
    bytes[1][i] = static_cast<uint8_t>(u >> 8);
  }
  if (all == 0) return 0;
  std::memset(values, 0, 2 * wire::kTileBlocks);
  const uint32_t w = plane_count(all);
  for (uint32_t part = 0; part < (w <= 8 ? 1u : 2u); ++part) {
    uint64_t planes[8] = {};
    for (uint32_t g = 0; g < 8; ++g) {
      uint64_t x;
      std::memcpy(&x, bytes[part] + 8 * g, 8);
      x = transpose_bits(x);
      for (uint32_t i = 0; i < 8; ++i) planes[7 - i] |= (x >> (8 * i) & 255) << (8 * g);
    }
    std::memcpy(end - 8 * (part + 1), planes, sizeof planes);
  }
  return w;
}

inline uint8_t* squeeze(const Plane* planes, const Plane* end, uint8_t* masks, uint8_t* out) {
  for (; planes < end; ++planes) {
    const uint64_t plane = bits(*planes);
    uint32_t m = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const uint8_t byte = static_cast<uint8_t>(plane >> (8 * g));
      *out = byte;
      m |= (byte != 0 ? 1u : 0u) << g;
      out += byte != 0;
    }
    *masks++ = static_cast<uint8_t>(m);
  }
  return out;
}
#endif

// 8 numbers below 16, a byte each, as 8 nibbles.
inline uint32_t to_nibbles(const uint8_t* numbers) {
  uint64_t x;
  std::memcpy(&x, numbers, 8);
#if defined(__BMI2__)
  return static_cast<uint32_t>(_pext_u64(x, 0x0F0F0F0F0F0F0F0Fu));
#else
  x = (x | x >> 4) & 0x00FF00FF00FF00FFu;
  x = (x | x >> 8) & 0x0000FFFF0000FFFFu;
  return static_cast<uint32_t>(x | x >> 16);
#endif
}

// All planes first: their number says where the non-zero bytes begin, and the squeezing that follows is one loop with no branch
// that depends on values.
size_t pack_tile(int16_t* tile, uint32_t channels, bool has_dc, uint8_t* out) {
  constexpr size_t kLead = 3;  // zero planes that may fill up the first four
  const int16_t base = has_dc ? take_base(tile) : int16_t{0};
  Plane planes[kLead + 16 * kMaxChannels];
  Plane* const end = std::end(planes);
  Plane* begin = end;
  uint8_t widths[kMaxChannels] = {};
  for (uint32_t c = channels; c-- > 0;) {
    const uint32_t w = cut_channel(tile + c * wire::kTileBlocks, begin);
    widths[c] = static_cast<uint8_t>(w < 15 ? w : 15);
    begin -= w;
  }
  const size_t count = static_cast<size_t>(end - begin), lead = -count & 3;
  std::memset(begin - kLead, 0, kLead * sizeof(Plane));

  const uint32_t nibble_bytes = (channels + 1) / 2;
  uint8_t* const masks = out + 2 + nibble_bytes;
  uint8_t* const last = squeeze(begin - lead, end, masks - lead, masks + count);
  // Only now, as the masks of the zero planes lie on them; at least 3 bytes stand there.
  uint8_t nibbles[kMaxChannels / 2];
  for (uint32_t c = 0; c < channels; c += 8) {
    const uint32_t eight = to_nibbles(widths + c);
    std::memcpy(nibbles + c / 2, &eight, 4);
  }
  std::memcpy(out, &base, 2);
  std::memcpy(out + 2, nibbles, nibble_bytes);
  std::memset(last, 0, wire::kAlign);  // the padding, and some of the slack
  return wire::align(static_cast<size_t>(last - out));
}

// 8 blocks of `count` values -> rows of 8 values, row i at out + slots[i] * slot_stride.
void transpose8(const int16_t* const* blocks, uint32_t count, const uint8_t* slots, int16_t* out, size_t slot_stride) {
  uint32_t i = 0;
#if defined(__SSE2__)
  for (; i + 8 <= count; i += 8) {
    __m128i r[8];
    for (int b = 0; b < 8; ++b) r[b] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks[b] + i));
    __m128i s[8];
    for (int b = 0; b < 4; ++b) {
      s[b] = _mm_unpacklo_epi16(r[2 * b], r[2 * b + 1]);
      s[4 + b] = _mm_unpackhi_epi16(r[2 * b], r[2 * b + 1]);
    }
    for (int half = 0; half < 2; ++half) {
      const __m128i* t = s + 4 * half;
      const __m128i a = _mm_unpacklo_epi32(t[0], t[1]), b = _mm_unpackhi_epi32(t[0], t[1]);
      const __m128i c = _mm_unpacklo_epi32(t[2], t[3]), d = _mm_unpackhi_epi32(t[2], t[3]);
      const __m128i rows[4] = {_mm_unpacklo_epi64(a, c), _mm_unpackhi_epi64(a, c), _mm_unpacklo_epi64(b, d),
                               _mm_unpackhi_epi64(b, d)};
      for (int j = 0; j < 4; ++j) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + slots[i + static_cast<uint32_t>(4 * half + j)] * slot_stride), rows[j]);
      }
    }
  }
#endif
  for (; i < count; ++i) {
    int16_t* const row = out + slots[i] * slot_stride;
    for (int b = 0; b < 8; ++b) row[b] = blocks[b][i];
  }
}

}  // namespace
}  // namespace dctload
