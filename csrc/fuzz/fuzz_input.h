// What a fuzz target does with a stretch of input: the whole of it is the file, and its last bytes also say what is asked of the
// decoder. Whatever follows EOI is ignored by the decoder, so that a plain JPEG file is a good seed, and so is one with a few
// bytes appended.
//
// An input that ends with EOI asks for the whole image, all channels, no mercy. Of any other the last 24 bytes count:
//   0 flags: 1 a region, 2 keep_truncated, 4 masks | 1..3 unused | 4..7 top, left, height, width in units of 8 pixels
//   8..23 masks of luma and chroma, the second shared by Cb and Cr (rotated)
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "image.h"
#include "selection.h"

namespace dctload::fuzz {

// Small images and few scans: an input takes milliseconds.
inline Limits limits() {
  Limits out;
  out.pixels = uint64_t{1} << 18;
  out.scans = 40;
  return out;
}

struct Asked {
  DecodeOptions options{limits(), false};
  Selection selection;
  Box box;
  bool has_region = false;

  const Box* region() const { return has_region ? &box : nullptr; }
};

inline Asked read_options(std::span<const uint8_t> input) {
  constexpr size_t kBytes = 24;
  Asked asked;
  const size_t n = input.size();
  if (n < kBytes || (input[n - 2] == 0xFF && input[n - 1] == 0xD9)) return asked;
  const uint8_t* const p = input.data() + n - kBytes;
  asked.has_region = (p[0] & 1) != 0;
  asked.options.keep_truncated = (p[0] & 2) != 0;
  asked.box = {8u * p[4], 8u * p[5], 8u * p[6] + 1, 8u * p[7] + 1};
  if ((p[0] & 4) != 0) {
    std::memcpy(&asked.selection.y, p + 8, 8);
    std::memcpy(&asked.selection.cb, p + 16, 8);
    asked.selection.cr = std::rotl(asked.selection.cb, 13);
  }
  return asked;
}

// Stops the fuzzer: the input is kept, the message says what is wrong with it.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace dctload::fuzz
