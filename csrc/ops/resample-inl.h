// The two stages of the banded operator; compiled once a CPU level.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "ops_kernels.h"

namespace dctload::ops {
namespace {

// Eight floats: one register of AVX2, two of SSE2 or NEON.
#if defined(__AVX2__)
constexpr int kParts = 1;
#else
constexpr int kParts = 2;
#endif
typedef float Part __attribute__((vector_size(32 / kParts)));
struct Vec {
  Part part[kParts];
};

inline void clear(Vec& v) {
  for (Part& p : v.part) p = Part{};
}
inline void load(Vec& v, const float* from) {
  for (int i = 0; i < kParts; ++i) std::memcpy(&v.part[i], from + 8 / kParts * i, sizeof(Part));
}
inline void store(const Vec& v, float* to) {
  for (int i = 0; i < kParts; ++i) std::memcpy(to + 8 / kParts * i, &v.part[i], sizeof(Part));
}
inline void add(Vec& v, const Vec& other) {
  for (int i = 0; i < kParts; ++i) v.part[i] += other.part[i];
}
inline void add_scaled(Vec& v, float weight, const Vec& x) {
  for (int i = 0; i < kParts; ++i) v.part[i] += weight * x.part[i];
}
// v * scale + bias
inline void scale_and_shift(Vec& v, float scale, float bias) {
  for (int i = 0; i < kParts; ++i) v.part[i] = v.part[i] * scale + bias;
}

// out[j * out_stride + i] = in[i * in_stride + j]
inline void transpose8x8(const float* in, size_t in_stride, float* out, size_t out_stride) {
#if defined(__AVX2__)
  // Halves of rows i and i + 4 are joined while loading, which leaves two rounds of shuffles.
  __m256 r[8], s[8];
  for (size_t i = 0; i < 4; ++i) {
    const float* const upper = in + i * in_stride;
    const float* const lower = in + (i + 4) * in_stride;
    r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(upper)), _mm_loadu_ps(lower), 1);
    r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(upper + 4)), _mm_loadu_ps(lower + 4), 1);
  }
  for (int h = 0; h < 8; h += 4) {
    s[h] = _mm256_unpacklo_ps(r[h], r[h + 1]);
    s[h + 1] = _mm256_unpackhi_ps(r[h], r[h + 1]);
    s[h + 2] = _mm256_unpacklo_ps(r[h + 2], r[h + 3]);
    s[h + 3] = _mm256_unpackhi_ps(r[h + 2], r[h + 3]);
    float* const to = out + static_cast<size_t>(h) * out_stride;
    _mm256_storeu_ps(to, _mm256_shuffle_ps(s[h], s[h + 2], 0x44));
    _mm256_storeu_ps(to + out_stride, _mm256_shuffle_ps(s[h], s[h + 2], 0xEE));
    _mm256_storeu_ps(to + 2 * out_stride, _mm256_shuffle_ps(s[h + 1], s[h + 3], 0x44));
    _mm256_storeu_ps(to + 3 * out_stride, _mm256_shuffle_ps(s[h + 1], s[h + 3], 0xEE));
  }
#else
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) out[j * out_stride + i] = in[i * in_stride + j];
  }
#endif
}

// One output block, `kOutputs` of its frequencies from `u0` on, for one v': [outputs][8 places] at `z`.
template <int kOutputs>
inline void band_block(const BandTask& task, uint32_t block, uint32_t v, uint32_t u0, float* z) {
  const Support support = task.supports[block];
  const size_t tap = size_t{8} * task.operator_rows;
  const float* weights = task.weights + support.at + size_t{8} * u0;
  // Even and odd native frequencies have sums of their own: enough chains to hide the latency of an addition.
  Vec even[kOutputs], odd[kOutputs];
  for (int i = 0; i < kOutputs; ++i) {
    clear(even[i]);
    clear(odd[i]);
  }
  for (uint32_t col = support.first + task.skip, end = col + support.count; col < end; ++col, weights += tap) {
    const uint32_t tile = col >> 3, used = task.used[8 * tile + v];
    const float* from = task.tiles + kTileFloats * tile + size_t{512} * v + size_t{8} * (col & 7);
    for (uint32_t u = 0; u < used; u += 2, from += 128) {
      Vec first, second;
      load(first, from);
      load(second, from + 64);
#pragma GCC unroll 8
      for (int i = 0; i < kOutputs; ++i) add_scaled(even[i], weights[8 * i + static_cast<int>(u)], first);
#pragma GCC unroll 8
      for (int i = 0; i < kOutputs; ++i) add_scaled(odd[i], weights[8 * i + static_cast<int>(u) + 1], second);
    }
  }
  for (int i = 0; i < kOutputs; ++i) {
    add(even[i], odd[i]);
    store(even[i], z + 8 * i);
  }
}

void resample_band(const BandTask& task) {
  alignas(32) float z[8 * 64];  // [8 blocks][8 outputs][8 places]
  const size_t padded = (size_t{task.blocks} + 7) / 8 * 8;
  for (uint32_t block0 = 0; block0 < task.blocks; block0 += 8) {
    const uint32_t blocks = task.blocks - block0 < 8 ? task.blocks - block0 : 8;
    if (blocks < 8) std::memset(z, 0, sizeof z);
    for (uint32_t v = 0; v < 8; ++v) {
      if ((task.present >> v & 1) == 0) continue;
      for (uint32_t b = 0; b < blocks; ++b) {
        if (task.outputs <= 2) {
          band_block<2>(task, block0 + b, v, 0, z + 64 * b);
        } else {
          for (uint32_t u = 0; u < task.outputs; u += 4) band_block<4>(task, block0 + b, v, u, z + 64 * b + 8 * u);
        }
      }
      // Now places become rows, and blocks (or pixels) columns.
      float* const out = task.out + v * task.width;
      if (task.pixels) {
        for (uint32_t b = 0; b < blocks; ++b) transpose8x8(z + 64 * b, 8, out + size_t{8} * (block0 + b), 8 * task.width);
      } else {
        for (uint32_t u = 0; u < task.outputs; ++u) transpose8x8(z + 8 * u, 64, out + u * padded + block0, 8 * task.width);
      }
    }
  }
}

inline void finish(const OutputTask& task, uint32_t v, size_t vector, Vec& x) {
  const Target& to = task.targets[v * task.vectors + vector];
  if (to.count == 0 || v >= task.outputs) return;
  if (task.fill != nullptr) {
    Vec sums;
    load(sums, task.fill_sums + 8 * vector);
    scale_and_shift(sums, -task.fill_value * task.fill[v], task.fill_value * to.ones);
    add(x, sums);
  }
  scale_and_shift(x, to.scale, to.bias);
  float* const out = task.out + to.offset;
  if (to.count == 8) return store(x, out);
  float eight[8];
  store(x, eight);
  for (uint32_t i = 0; i < to.count; ++i) out[i] = eight[i];
}

// `kOutputs` frequencies from `v0` on, for `kVectors` vectors from `vector` on.
template <int kOutputs, int kVectors>
inline void output_vectors(const OutputTask& task, uint32_t v0, size_t vector) {
  Vec sum[kOutputs][kVectors];
  for (auto& row : sum) {
    for (Vec& s : row) clear(s);
  }
  const float* weights = task.weights + v0;
  for (size_t e = 0; e < task.entries; ++e, weights += 8) {
    const float* const from = task.rows[e] + 8 * vector;
    Vec x[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) load(x[j], from + 8 * j);
#pragma GCC unroll 8
    for (int i = 0; i < kOutputs; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) add_scaled(sum[i][j], weights[i], x[j]);
    }
  }
  for (int i = 0; i < kOutputs; ++i) {
    for (int j = 0; j < kVectors; ++j) finish(task, v0 + static_cast<uint32_t>(i), vector + static_cast<size_t>(j), sum[i][j]);
  }
}

// Does anybody want one of these?
inline bool wanted(const OutputTask& task, uint32_t v0, uint32_t outputs, size_t vector, size_t vectors) {
  for (uint32_t v = v0; v < v0 + outputs; ++v) {
    for (size_t i = vector; i < vector + vectors; ++i) {
      if (task.targets[v * task.vectors + i].count != 0) return true;
    }
  }
  return false;
}

template <int kOutputs, int kVectors>
inline void output_rows(const OutputTask& task, uint32_t v0) {
  size_t vector = 0;
  for (; vector + kVectors <= task.vectors; vector += kVectors) {
    if (wanted(task, v0, kOutputs, vector, kVectors)) output_vectors<kOutputs, kVectors>(task, v0, vector);
  }
  for (; vector < task.vectors; ++vector) {
    if (wanted(task, v0, kOutputs, vector, 1)) output_vectors<kOutputs, 1>(task, v0, vector);
  }
}

void resample_rows(const OutputTask& task) {
  if (task.outputs <= 2) return output_rows<2, 4>(task, 0);
  for (uint32_t v = 0; v < task.outputs; v += 4) output_rows<4, 2>(task, v);
}

}  // namespace
}  // namespace dctload::ops
