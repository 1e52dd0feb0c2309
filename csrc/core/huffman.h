// Lookup tables for decoding, built for each file: optimised tables are the rule, so building must be fast (T.81 Annex C, F.2.2).
#pragma once

#include <array>
#include <cstdint>

#include "errors.h"
#include "header.h"

namespace dctload {

inline constexpr int kAcBits =
    10;  // index bits: two 8 kB pair tables and two DC tables leave room in a 32 kB L1 cache; 11 and 12 lose
inline constexpr int kDcBits = 9;
inline constexpr int kMaxSkipBits = 11;

inline constexpr uint32_t kMiss = 0x80;          // in the low byte of an entry: no hit, look at the other fields
inline constexpr uint16_t kLongSkip = 512 << 6;  // steps that no block has: the code is longer than the index
inline constexpr uint32_t kStepEob = 128;        // an end of block moves the next position past every other value

// Codes in canonical order (Annex C), for those longer than the index.
struct CanonicalCode {
  std::array<uint32_t, 17> limit{};  // [l]: codes of length <= l, left-aligned to 16 bits, are below it
  std::array<int32_t, 17> offset{};  // symbol = symbols[offset[l] + code]
  std::array<uint8_t, 256> symbols{};

  // Code length and symbol at the front of 16 bits. A pattern that is no code has length 17 and symbol 0, as in libjpeg-turbo's
  // fast path.
  // Inlined always: a copy compiled for one CPU level must not serve another.
  [[gnu::always_inline]] uint32_t find(uint32_t front16, uint32_t& symbol) const {
    for (uint32_t l = 1; l <= 16; ++l) {
      if (front16 < limit[l]) {
        symbol = symbols[static_cast<uint32_t>(offset[l] + static_cast<int32_t>(front16 >> (16 - l))) & 255];
        return l;
      }
    }
    symbol = 0;
    return 17;
  }
};

// The tables of T.81 Annex K.3, which files without DHT mean (Motion JPEG frames). `index` 0 luminance, 1 chrominance.
const HuffmanSpec& standard_dc(int index);
const HuffmanSpec& standard_ac(int index);

// False if the counts are no prefix code (a code of all ones included), as libjpeg checks.
bool build_canonical(const HuffmanSpec& spec, CanonicalCode& code);

// Fields of an entry that does not hold its value: bits 16-21 length of the code (0: longer than the index), 24-29 63 - size.
inline constexpr uint32_t miss_entry(uint32_t code_length, uint32_t size, uint32_t step) {
  return kMiss | ((code_length + size) & 63) | step << 8 | code_length << 16 | (63 - size) << 24;
}

// DC differences. Entry: bits 0-5 code + difference, 8-13 code, 16-21 63 - size; 0: code longer than the index.
struct DcTable {
  std::array<uint32_t, 1 << kDcBits> entries;
  CanonicalCode canonical;

  Result build(const HuffmanSpec& spec);
  static constexpr uint32_t entry(uint32_t code_length, uint32_t size) {
    return (code_length + size) | code_length << 8 | (63 - size) << 16;
  }
};

// AC coefficients of a sequential scan.
// pairs: bits 0-5 length of all, 7 miss, 8-15 step of the first symbol, 16-31 first value, 32-47 second value, 48-53 length of
// the first, 56-63 steps of both. A step is run + 1 (ZRL 16, EOB 128). A single symbol stands in both places. EOB is never first
// of two. skips: for positions that nobody keeps: bits 0-5 length, 6-15 steps, of as many symbols as the index holds (+128 with
// an EOB, which ends it); length 0: code longer than the index.
struct AcTable {
  std::array<uint64_t, 1 << kAcBits> pairs;
  std::array<uint16_t, 1 << kMaxSkipBits> skips;
  CanonicalCode canonical;

  // skip_bits 0: none, looked up with kAcBits. What was built of the same before is kept: many encoders write the same tables
  // into every file.
  Result build(const HuffmanSpec& spec, bool with_pairs, int skip_bits);

 private:
  HuffmanSpec spec_;
  bool with_pairs_ = false;
  int skip_bits_ = -1;  // nothing is built
};

// AC coefficients of a progressive scan (G.1.2.2). First pass: bits 0-5 length of all, 7 miss, 8-15 step, 16-31 value; an EOB run
// of one block has step 128. Refinement: bits 0-5 length of code and sign, 8-11 run, 12 new coefficient, 13 its sign is positive,
// 14 its size is not 1. Miss with a size field of 0: bits 8-11 of the symbol's run give an EOB run of 2^run + that many bits.
struct ProgressiveAcTable {
  std::array<uint32_t, 1 << kAcBits> entries;
  CanonicalCode canonical;

  static constexpr uint32_t kOddSize = 1u << 14;
  Result build(const HuffmanSpec& spec, bool refinement);
  static uint32_t first_entry(uint32_t code_length, uint32_t symbol);       // miss form
  static uint32_t refinement_entry(uint32_t code_length, uint32_t symbol);  // without the sign
};

}  // namespace dctload
