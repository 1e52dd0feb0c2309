// Removes byte stuffing (T.81 F.1.2.3); compiled once a CPU level. See entropy_source.h.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "entropy_source.h"

namespace dctload {
namespace {

void destuff(Destuffed& io) {
  const uint8_t* src = io.src;
  uint8_t* dst = io.dst;
  while (src < io.src_end && dst < io.dst_end) {
#if defined(__AVX2__)
    // 32 bytes are copied whatever they hold; only those before the first FF count.
    while (src + 32 <= io.src_end && dst < io.dst_end) {
      const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), v);
      const uint32_t ff = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(-1))));
      if (ff != 0) {
        const uint32_t n = static_cast<uint32_t>(std::countr_zero(ff));
        src += n;
        dst += n;
        break;
      }
      src += 32;
      dst += 32;
    }
#else
    while (src + 8 <= io.src_end && dst < io.dst_end) {
      uint64_t v;
      std::memcpy(&v, src, 8);
      std::memcpy(dst, &v, 8);
      const uint64_t ff = v & (~v - 0x0101010101010101u) & 0x8080808080808080u;  // the lowest set bit marks the first FF
      if (ff != 0) {
        const uint32_t n = static_cast<uint32_t>(std::countr_zero(ff)) / 8;
        src += n;
        dst += n;
        break;
      }
      src += 8;
      dst += 8;
    }
#endif
    while (src < io.src_end && dst < io.dst_end && *src != 0xFF && src + 32 > io.src_end) *dst++ = *src++;
    if (src >= io.src_end || dst >= io.dst_end || *src != 0xFF) continue;
    const uint8_t* second = src + 1;
    while (second < io.src_end && *second == 0xFF) ++second;  // fill bytes, or FF FF 00: one FF
    if (second >= io.src_end || *second != 0) {
      io.at_marker = true;
      break;
    }
    *dst++ = 0xFF;
    src = second + 1;
  }
  io.src = src;
  io.dst = dst;
}

}  // namespace
}  // namespace dctload
