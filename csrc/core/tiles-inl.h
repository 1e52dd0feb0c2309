// Packing of one tile (wire.h); compiled once a CPU level.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "wire.h"

namespace dctload {
namespace {

// (v << 1) ^ (v >> 15): 0, -1, 1, -2, ... -> 0, 1, 2, 3, ...
inline uint32_t fold(int32_t v) { return static_cast<uint16_t>(static_cast<uint32_t>(v) << 1 ^ static_cast<uint32_t>(v >> 15)); }

// Number of planes a tile stores for values whose OR is `all`: 15 is written as 16.
inline uint32_t plane_count(uint32_t all) {
  const uint32_t w = static_cast<uint32_t>(std::bit_width(all));
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

#if defined(__AVX2__)
// Four planes of 64 bits: their mask bytes at `masks`, their non-zero bytes squeezed together at `out`. Returns how many.
inline uint32_t squeeze4(const uint64_t* planes, uint8_t* masks, uint8_t* out) {
  const __m256i v = _mm256_set_epi64x(static_cast<int64_t>(planes[3]), static_cast<int64_t>(planes[2]),
                                      static_cast<int64_t>(planes[1]), static_cast<int64_t>(planes[0]));
  const uint32_t m = ~static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256())));
  std::memcpy(masks, &m, 4);
  const uint8_t* const begin = out;
  for (uint32_t i = 0; i < 4; ++i) {
    const uint64_t one = (m >> (8 * i)) & 255;
    const uint64_t packed = _pext_u64(planes[i], _pdep_u64(one, 0x0101010101010101u) * 255);
    std::memcpy(out, &packed, 8);
    out += std::popcount(one);
  }
  return static_cast<uint32_t>(out - begin);
}

// The upper `w` bits of 64 bytes, highest first. Planes below them are zero and leave nothing behind but a mask byte that the
// next channel overwrites: always four at a time, since a loop over w mispredicts in every channel.
inline uint32_t squeeze_bytes(__m256i b0, __m256i b1, uint32_t w, uint8_t* masks, uint8_t* out) {
  const __m128i up = _mm_cvtsi32_si128(static_cast<int>(8 - w));
  b0 = _mm256_sll_epi16(b0, up);  // the highest plane to bit 7; nothing crosses from byte to byte
  b1 = _mm256_sll_epi16(b1, up);
  uint64_t planes[4];
  uint32_t stored = 0;
  for (uint32_t done = 0;;) {
    for (uint64_t& plane : planes) {
      plane = static_cast<uint32_t>(_mm256_movemask_epi8(b0)) |
              static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(b1))) << 32;
      b0 = _mm256_add_epi8(b0, b0);
      b1 = _mm256_add_epi8(b1, b1);
    }
    stored += squeeze4(planes, masks + done, out + stored);
    done += 4;
    if (done >= w) return stored;
  }
}
#else
// The non-zero bytes of one plane, squeezed together, and the mask that says which they are.
inline uint32_t squeeze(uint64_t plane, uint8_t* out, uint8_t& mask) {
  uint32_t n = 0, m = 0;
  for (uint32_t g = 0; g < 8; ++g) {
    const uint8_t byte = static_cast<uint8_t>(plane >> (8 * g));
    out[n] = byte;
    m |= (byte != 0 ? 1u : 0u) << g;
    n += byte != 0;
  }
  mask = static_cast<uint8_t>(m);
  return n;
}

// Bits 0..7 of 8 bytes, transposed: bit p of byte i goes to bit i of byte p.
inline uint64_t transpose_bits(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAu;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCu;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0u;
  return x ^ t ^ (t << 28);
}
#endif

size_t pack_tile(int16_t* tile, uint32_t channels, bool has_dc, uint8_t* out) {
  const int16_t base = has_dc ? take_base(tile) : int16_t{0};
  const uint32_t nibble_bytes = (channels + 1) / 2;
  std::memcpy(out, &base, 2);
  std::memset(out + 2, 0, nibble_bytes);
  uint8_t* masks = out + 2 + nibble_bytes;
  uint8_t bytes[8 * 16 * 64 + 32];  // the non-zero bytes: their place is known when all masks are written
  uint8_t* data = bytes;

  for (uint32_t c = 0; c < channels; ++c) {
    int16_t* const values = tile + c * wire::kTileBlocks;
#if defined(__AVX2__)
    __m256i* const p = reinterpret_cast<__m256i*>(values);
    const __m256i a0 = _mm256_loadu_si256(p), a1 = _mm256_loadu_si256(p + 1), a2 = _mm256_loadu_si256(p + 2),
                  a3 = _mm256_loadu_si256(p + 3);
    const __m256i any = _mm256_or_si256(_mm256_or_si256(a0, a1), _mm256_or_si256(a2, a3));
    if (_mm256_testz_si256(any, any)) continue;
    const __m256i zero = _mm256_setzero_si256();
    _mm256_storeu_si256(p, zero);
    _mm256_storeu_si256(p + 1, zero);
    _mm256_storeu_si256(p + 2, zero);
    _mm256_storeu_si256(p + 3, zero);
    const auto folded = [](__m256i v) { return _mm256_xor_si256(_mm256_slli_epi16(v, 1), _mm256_srai_epi16(v, 15)); };
    const __m256i f0 = folded(a0), f1 = folded(a1), f2 = folded(a2), f3 = folded(a3);
    const __m256i all4 = _mm256_or_si256(_mm256_or_si256(f0, f1), _mm256_or_si256(f2, f3));
    __m128i all = _mm_or_si128(_mm256_castsi256_si128(all4), _mm256_extracti128_si256(all4, 1));
    all = _mm_or_si128(all, _mm_unpackhi_epi64(all, all));
    uint64_t wide = static_cast<uint64_t>(_mm_cvtsi128_si64(all));
    wide |= wide >> 32;
    const uint32_t w = plane_count(static_cast<uint32_t>((wide | wide >> 16) & 0xFFFF));
    // Lane i of the tile becomes byte i: packus works by 128-bit halves, the permutation puts them in order.
    const auto join = [](__m256i x, __m256i y) { return _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xD8); };
    if (w <= 8) {
      data += squeeze_bytes(join(f0, f1), join(f2, f3), w, masks, data);
      masks += w;
    } else {
      const auto high = [&](__m256i x, __m256i y) { return join(_mm256_srli_epi16(x, 8), _mm256_srli_epi16(y, 8)); };
      const auto low = [&](__m256i x, __m256i y) {
        const __m256i byte = _mm256_set1_epi16(0xFF);
        return join(_mm256_and_si256(x, byte), _mm256_and_si256(y, byte));
      };
      data += squeeze_bytes(high(f0, f1), high(f2, f3), w - 8, masks, data);
      masks += w - 8;
      data += squeeze_bytes(low(f0, f1), low(f2, f3), 8, masks, data);
      masks += 8;
    }
#else
    uint32_t all = 0;
    uint8_t low[64], high[64];
    for (int i = 0; i < wire::kTileBlocks; ++i) {
      const uint32_t u = fold(values[i]);
      all |= u;
      low[i] = static_cast<uint8_t>(u);
      high[i] = static_cast<uint8_t>(u >> 8);
    }
    if (all == 0) continue;
    std::memset(values, 0, 2 * wire::kTileBlocks);
    const uint32_t w = plane_count(all);
    uint64_t planes[16] = {};
    for (uint32_t g = 0; g < 8; ++g) {
      uint64_t x;
      std::memcpy(&x, low + 8 * g, 8);
      x = transpose_bits(x);
      for (uint32_t i = 0; i < 8; ++i) planes[i] |= (x >> (8 * i) & 255) << (8 * g);
      if (w <= 8) continue;
      std::memcpy(&x, high + 8 * g, 8);
      x = transpose_bits(x);
      for (uint32_t i = 0; i < 8; ++i) planes[8 + i] |= (x >> (8 * i) & 255) << (8 * g);
    }
    for (uint32_t i = w; i > 0; --i) data += squeeze(planes[i - 1], data, *masks++);
#endif
    out[2 + c / 2] = static_cast<uint8_t>(out[2 + c / 2] | (w < 15 ? w : 15) << (4 * (c & 1)));
  }
  const size_t stored = static_cast<size_t>(data - bytes);
  std::memcpy(masks, bytes, stored);
  const size_t size = static_cast<size_t>(masks - out) + stored;
  const size_t padded = wire::align(size);
  std::memset(out + size, 0, padded - size);
  return padded;
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
