// Unpacking of one tile (core's wire.h; unpack.cc is the judge); compiled once a CPU level.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "ops_kernels.h"
#include "wire.h"

namespace dctload::ops {
namespace {

// For each byte mask, where its set bits' bytes lie in the run of stored bytes (0x80: nowhere, reads as 0).
struct ExpandTable {
  uint64_t at[256];
};
constexpr ExpandTable expand_table() {
  ExpandTable t{};
  for (uint32_t mask = 0; mask < 256; ++mask) {
    uint64_t next = 0;
    for (uint32_t g = 0; g < 8; ++g) {
      const bool stored = (mask >> g & 1) != 0;
      t.at[mask] |= (stored ? next : uint64_t{0x80}) << (8 * g);
      next += stored ? 1 : 0;
    }
  }
  return t;
}
alignas(64) constexpr ExpandTable kExpand = expand_table();

// Place 8 i + j of the 64 values -> their lane: rows of the tile (i = y, j = x) or its columns (i = x, j = y).
struct Order {
  alignas(32) uint8_t group[64];
  alignas(32) uint8_t bit[64];
};
constexpr Order order(bool by_rows) {
  Order o{};
  for (uint32_t i = 0; i < 8; ++i) {
    for (uint32_t j = 0; j < 8; ++j) {
      const uint32_t lane = by_rows ? wire::lane(i, j) : wire::lane(j, i);
      o.group[8 * i + j] = static_cast<uint8_t>(lane >> 3);
      o.bit[8 * i + j] = static_cast<uint8_t>(1u << (lane & 7));
    }
  }
  return o;
}
constexpr Order kByColumns = order(false), kByRows = order(true);

inline uint32_t load_u16(const uint8_t* data) { return data[0] | static_cast<uint32_t>(data[1]) << 8; }

// Widths of a tile's channels, and where its planes lie.
struct TileHead {
  alignas(32) uint8_t widths[64];
  uint64_t filled;  // bit k: channel k has planes (or is DC with a base)
  int16_t base;
  const uint8_t* masks;
  const uint8_t* bytes;
};

inline void read_head(const TileTask& task, TileHead& head) {
  head.base = static_cast<int16_t>(task.has_dc ? load_u16(task.tile) : 0);
  const uint32_t nibbles = (task.channels + 1) / 2;
  const uint8_t* const from = task.tile + 2;
  uint32_t planes = 0;
#if defined(__AVX2__)
  // Nibbles of 32 bytes, low one first; those behind the last channel belong to the masks and count as 0. 15 stands for 16.
  const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)), low_bits = _mm256_set1_epi8(15);
  const __m256i low = _mm256_and_si256(raw, low_bits), high = _mm256_and_si256(_mm256_srli_epi16(raw, 4), low_bits);
  const __m256i first = _mm256_unpacklo_epi8(low, high), second = _mm256_unpackhi_epi8(low, high);
  const __m256i count = _mm256_set1_epi8(static_cast<char>(task.channels));
  const __m256i iota = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
                                        25, 26, 27, 28, 29, 30, 31);
  const auto known = [&](__m256i w, int offset) {
    w = _mm256_and_si256(w, _mm256_cmpgt_epi8(count, _mm256_add_epi8(iota, _mm256_set1_epi8(static_cast<char>(offset)))));
    return _mm256_sub_epi8(w, _mm256_cmpeq_epi8(w, low_bits));
  };
  const __m256i w0 = known(_mm256_permute2x128_si256(first, second, 0x20), 0);
  const __m256i w1 = known(_mm256_permute2x128_si256(first, second, 0x31), 32);
  _mm256_store_si256(reinterpret_cast<__m256i*>(head.widths), w0);
  _mm256_store_si256(reinterpret_cast<__m256i*>(head.widths + 32), w1);
  const __m256i zero = _mm256_setzero_si256();
  const auto empty = [&](__m256i w) { return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(w, zero))); };
  head.filled = ~(empty(w0) | static_cast<uint64_t>(empty(w1)) << 32);
  const __m256i sums = _mm256_add_epi64(_mm256_sad_epu8(w0, zero), _mm256_sad_epu8(w1, zero));
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  planes = static_cast<uint32_t>(_mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2));
#else
  head.filled = 0;
  for (uint32_t k = 0; k < task.channels; ++k) {
    const uint32_t nibble = from[k / 2] >> (4 * (k & 1)) & 15u, width = nibble == 15 ? 16 : nibble;
    head.widths[k] = static_cast<uint8_t>(width);
    head.filled |= static_cast<uint64_t>(width != 0) << k;
    planes += width;
  }
#endif
  if (head.base != 0) head.filled |= 1;
  head.masks = from + nibbles;
  head.bytes = head.masks + planes;
}

#if defined(__AVX2__)

// 64 int16 values, four vectors of 16.
struct Values {
  __m256i part[4];
};

// The next `planes` planes, most significant first, as 64 bytes in the order of `group` and `bit`.
struct PlaneReader {
  __m256i group[2], bit[2];

  explicit PlaneReader(const Order& o) {
    for (int i = 0; i < 2; ++i) {
      group[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(o.group) + i);
      bit[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(o.bit) + i);
    }
  }

  void read(TileHead& head, uint32_t planes, __m256i& u0, __m256i& u1) const {
    u0 = u1 = _mm256_setzero_si256();
    for (uint32_t p = 0; p < planes; ++p) {
      const uint32_t mask = *head.masks++;
      const __m128i stored = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(head.bytes));
      const __m128i where = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kExpand.at + mask));
      const __m256i plane = _mm256_broadcastq_epi64(_mm_shuffle_epi8(stored, where));
      head.bytes += std::popcount(mask);
      const __m256i b0 = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(plane, group[0]), bit[0]), bit[0]);
      const __m256i b1 = _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(plane, group[1]), bit[1]), bit[1]);
      u0 = _mm256_sub_epi8(_mm256_add_epi8(u0, u0), b0);
      u1 = _mm256_sub_epi8(_mm256_add_epi8(u1, u1), b1);
    }
  }
};

inline void read_channel(const PlaneReader& reader, TileHead& head, uint32_t width, int16_t base, Values& out) {
  __m256i low[2], high[2];
  const auto widened = [](__m256i v, int half) { return half == 0 ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1); };
  if (width <= 8) {
    reader.read(head, width, low[0], low[1]);
    const __m256i one = _mm256_set1_epi8(1), zero = _mm256_setzero_si256();
    for (int i = 0; i < 2; ++i) {
      const __m256i sign = _mm256_sub_epi8(zero, _mm256_and_si256(low[i], one));
      const __m256i halved = _mm256_and_si256(_mm256_srli_epi16(low[i], 1), _mm256_set1_epi8(0x7F));
      const __m256i v = _mm256_xor_si256(halved, sign);
      for (int h = 0; h < 2; ++h) out.part[2 * i + h] = _mm256_cvtepi8_epi16(widened(v, h));
    }
  } else {
    reader.read(head, width - 8, high[0], high[1]);
    reader.read(head, 8, low[0], low[1]);
    const __m256i one = _mm256_set1_epi16(1), zero = _mm256_setzero_si256();
    for (int i = 0; i < 4; ++i) {
      const __m256i u = _mm256_or_si256(_mm256_cvtepu8_epi16(widened(low[i / 2], i % 2)),
                                        _mm256_slli_epi16(_mm256_cvtepu8_epi16(widened(high[i / 2], i % 2)), 8));
      const __m256i sign = _mm256_sub_epi16(zero, _mm256_and_si256(u, one));
      out.part[i] = _mm256_xor_si256(_mm256_srli_epi16(u, 1), sign);
    }
  }
  if (base != 0) {
    const __m256i b = _mm256_set1_epi16(base);
    for (int i = 0; i < 4; ++i) out.part[i] = _mm256_add_epi16(out.part[i], b);
  }
}

inline void set_zero(Values& values) {
  for (auto& part : values.part) part = _mm256_setzero_si256();
}

inline void store_row(const Values& values, int row, int16_t* out) {
  const __m256i part = values.part[row / 2];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   row % 2 == 0 ? _mm256_castsi256_si128(part) : _mm256_extracti128_si256(part, 1));
}

// Eight values times `step`, and, where `requant` is not 0, rounded to its multiples.
inline void store_row(const Values& values, int row, float step, float requant, float* out) {
  const __m256i part = values.part[row / 2];
  const __m128i eight = row % 2 == 0 ? _mm256_castsi256_si128(part) : _mm256_extracti128_si256(part, 1);
  __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(eight)), _mm256_set1_ps(step));
  if (requant != 0) {
    const __m256 q = _mm256_set1_ps(requant);
    x = _mm256_mul_ps(_mm256_round_ps(_mm256_div_ps(x, q), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), q);
  }
  _mm256_storeu_ps(out, x);
}

#else

struct Values {
  int16_t v[64];
};

struct PlaneReader {
  const Order& o;

  explicit PlaneReader(const Order& order) : o(order) {}

  // By group of 8 lanes: a byte a lane, in the lane's order.
  static void read(TileHead& head, uint32_t planes, uint64_t* groups) {
    for (int g = 0; g < 8; ++g) groups[g] = 0;
    for (uint32_t p = 0; p < planes; ++p) {
      for (int g = 0; g < 8; ++g) groups[g] <<= 1;  // at most 8 planes: no bit leaves its byte
      for (uint32_t mask = *head.masks++; mask != 0; mask &= mask - 1) {
        // Bit i of the byte becomes bit 0 of byte i.
        const uint64_t bits = *head.bytes++ * 0x0101010101010101u & 0x8040201008040201u;
        groups[std::countr_zero(mask)] |= (bits + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u;
      }
    }
  }
};

inline void read_channel(const PlaneReader& reader, TileHead& head, uint32_t width, int16_t base, Values& out) {
  uint64_t low[8], high[8] = {};
  if (width > 8) PlaneReader::read(head, width - 8, high);
  PlaneReader::read(head, width > 8 ? 8 : width, low);
  for (int i = 0; i < 64; ++i) {
    const uint32_t group = reader.o.group[i], shift = 8 * static_cast<uint32_t>(std::countr_zero(reader.o.bit[i]));
    const auto u = static_cast<uint32_t>((low[group] >> shift & 255) | (high[group] >> shift & 255) << 8);
    out.v[i] = static_cast<int16_t>(static_cast<uint16_t>((u >> 1 ^ (0u - (u & 1u))) + static_cast<uint16_t>(base)));
  }
}

inline void set_zero(Values& values) { std::memset(values.v, 0, sizeof values.v); }
inline void store_row(const Values& values, int row, int16_t* out) { std::memcpy(out, values.v + 8 * row, 16); }

inline void store_row(const Values& values, int row, float step, float requant, float* out) {
  for (int i = 0; i < 8; ++i) {
    float x = static_cast<float>(values.v[8 * row + i]) * step;
    if (requant != 0) x = std::nearbyint(x / requant) * requant;
    out[i] = x;
  }
}

#endif

// Reads the filled channels in turn: `use(k, values)`. Returns the bytes of the tile that its own numbers claim.
template <typename Use>
inline size_t each_channel(const TileTask& task, TileHead& head, const Order& order, const Use& use) {
  const PlaneReader reader(order);
  for (uint64_t left = head.filled; left != 0; left &= left - 1) {
    const auto k = static_cast<uint32_t>(std::countr_zero(left));
    Values values;
    read_channel(reader, head, head.widths[k], k == 0 ? head.base : int16_t{0}, values);
    use(k, values);
  }
  return static_cast<size_t>(head.bytes - task.tile);
}

template <typename T, typename Row>
inline void store_clipped(const PlaneTask& task, uint32_t k, const Row& row) {
  T* const plane = static_cast<T*>(task.planes) + static_cast<ptrdiff_t>(k * task.plane) + task.origin;
  const auto stride = static_cast<ptrdiff_t>(task.row);
  if (task.x_begin == 0 && task.x_end == 8) {
    for (uint32_t y = task.y_begin; y < task.y_end; ++y) row(static_cast<int>(y), plane + static_cast<ptrdiff_t>(y) * stride);
    return;
  }
  T eight[8];
  for (uint32_t y = task.y_begin; y < task.y_end; ++y) {
    row(static_cast<int>(y), eight);
    for (uint32_t x = task.x_begin; x < task.x_end; ++x)
      plane[static_cast<ptrdiff_t>(y) * stride + static_cast<ptrdiff_t>(x)] = eight[x];
  }
}

template <typename T>
inline size_t unpack_planes(const PlaneTask& task) {
  TileHead head;
  read_head(task.from, head);
  const auto store = [&](uint32_t k, const Values& values) {
    if constexpr (sizeof(T) == 2) {
      store_clipped<T>(task, k, [&](int row, T* out) { store_row(values, row, out); });
    } else {
      const float step = task.from.steps[k];
      store_clipped<T>(task, k, [&](int row, T* out) { store_row(values, row, step, 0, out); });
    }
  };
  Values zero;
  set_zero(zero);
  for (uint32_t k = 0; k < task.from.channels; ++k) {
    if ((head.filled >> k & 1) == 0) store(k, zero);
  }
  return each_channel(task.from, head, kByRows, store);
}

size_t unpack_int16(const PlaneTask& task) { return unpack_planes<int16_t>(task); }
size_t unpack_float(const PlaneTask& task) { return unpack_planes<float>(task); }

size_t unpack_tile(const FloatTask& task) {
  TileHead head;
  read_head(task.from, head);
  uint64_t present = 0;
  const size_t size = each_channel(task.from, head, task.by_rows ? kByRows : kByColumns, [&](uint32_t k, const Values& values) {
    const uint32_t slot = task.slots[k];
    present |= uint64_t{1} << slot;
    float* const out = task.values + 64 * slot;
    const float step = task.from.steps[k], requant = task.from.requant != nullptr ? task.from.requant[k] : 0;
    for (int row = 0; row < 8; ++row) store_row(values, row, step, requant, out + 8 * row);
  });
  for (uint32_t v = 0; v < 8; ++v) {
    const auto row = static_cast<uint32_t>(present >> (8 * v) & 255);
    const auto used = (static_cast<uint32_t>(std::bit_width(row)) + 1) & ~1u;
    task.used[v] = static_cast<uint8_t>(used);
    for (uint32_t missing = ~row & ((1u << used) - 1); missing != 0; missing &= missing - 1) {
      std::memset(task.values + 64 * (8 * v + static_cast<uint32_t>(std::countr_zero(missing))), 0, 64 * sizeof(float));
    }
  }
  return size;
}

}  // namespace
}  // namespace dctload::ops
