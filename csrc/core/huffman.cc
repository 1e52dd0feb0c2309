#include "huffman.h"

#include <algorithm>

namespace dctload {
namespace {

constexpr uint32_t ac_step(uint32_t symbol) {  // F.2.2.2; a size of 0 with run 1..14 ends the block, as in libjpeg
  const uint32_t run = symbol >> 4, size = symbol & 15;
  if (size == 0) return run == 15 ? 16 : kStepEob;
  return run + 1;
}

// The value that `bits` of `size` stand for (F.2.2.1, EXTEND).
constexpr int32_t extend(uint32_t bits, uint32_t size) {
  return size != 0 && bits < 1u << (size - 1) ? static_cast<int32_t>(bits) - (1 << size) + 1 : static_cast<int32_t>(bits);
}

// Calls visit(length, symbol) for each code of at most `index_bits` bits, in canonical order: the entries follow one another.
template <class Visit>
void for_short_codes(const HuffmanSpec& spec, uint32_t index_bits, Visit visit) {
  uint32_t p = 0;
  for (uint32_t length = 1; length <= index_bits; ++length) {
    for (uint32_t n = spec.counts[length]; n > 0; --n) visit(length, spec.symbols[p++]);
  }
}

uint64_t single(uint32_t length, uint32_t step, int32_t value) {
  const uint64_t v = static_cast<uint16_t>(value);
  return length | step << 8 | v << 16 | v << 32 | uint64_t{length} << 48 | uint64_t{step} << 56;
}

}  // namespace

bool build_canonical(const HuffmanSpec& spec, CanonicalCode& out) {
  uint32_t code = 0, p = 0, longest = 0;
  for (uint32_t l = 1; l <= 16; ++l) {
    if (spec.counts[l]) longest = l;
  }
  for (uint32_t l = 1; l <= 16; ++l) {
    out.offset[l] = static_cast<int32_t>(p) - static_cast<int32_t>(code);
    code += spec.counts[l];
    p += spec.counts[l];
    if (l <= longest && code >= 1u << l && spec.counts[l] != 0) return false;  // no code may be all ones (C.2)
    out.limit[l] = std::min(code << (16 - l), 1u << 16);
    code <<= 1;
  }
  out.symbols = spec.symbols;
  return true;
}

Result DcTable::build(const HuffmanSpec& spec) {
  if (!build_canonical(spec, canonical)) return {Code::kBadHuffman, 0, 0};
  uint32_t count = 0;
  for (uint32_t l = 1; l <= 16; ++l) count += spec.counts[l];
  for (uint32_t i = 0; i < count; ++i) {
    if (spec.symbols[i] > 15) return {Code::kBadHuffman, 0, 0};
  }
  uint32_t at = 0;
  for_short_codes(spec, kDcBits, [&](uint32_t length, uint32_t symbol) {
    const uint32_t n = 1u << (kDcBits - length);
    std::fill_n(entries.begin() + at, n, entry(length, symbol));
    at += n;
  });
  std::fill(entries.begin() + at, entries.end(), 0);
  return {};
}

Result AcTable::build(const HuffmanSpec& spec, bool with_pairs, int skip_bits) {
  if (skip_bits == skip_bits_ && with_pairs == with_pairs_ && spec == spec_) return {};
  skip_bits_ = -1;
  if (!build_canonical(spec, canonical)) return {Code::kBadHuffman, 0, 0};
  uint32_t at = 0;
  for_short_codes(spec, kAcBits, [&](uint32_t length, uint32_t symbol) {
    const uint32_t size = symbol & 15, step = ac_step(symbol);
    if (length + size > kAcBits) {
      const uint32_t n = 1u << (kAcBits - length);
      std::fill_n(pairs.begin() + at, n, miss_entry(length, size, step));
      at += n;
      return;
    }
    const uint32_t n = 1u << (kAcBits - length - size);
    for (uint32_t bits = 0; bits < 1u << size; ++bits) {
      const uint64_t e = single(length + size, step, extend(bits, size));
      for (uint32_t i = 0; i < n; ++i) pairs[at++] = e;
    }
  });
  std::fill(pairs.begin() + at, pairs.end(), miss_entry(0, 0, 0));

  if (skip_bits == 0) {
    std::fill_n(skips.begin(), 1 << kAcBits, kLongSkip);  // every lookup then takes the long way round
  } else {
    // Lengths and steps of single symbols first, by an index of skip_bits: they need the code alone, not its value.
    std::array<uint16_t, 1 << kMaxSkipBits> one;
    const uint32_t bits = static_cast<uint32_t>(skip_bits), mask = (1u << bits) - 1;
    uint32_t to = 0;
    for_short_codes(spec, bits, [&](uint32_t length, uint32_t symbol) {
      const uint32_t n = 1u << (bits - length);
      std::fill_n(one.begin() + to, n, static_cast<uint16_t>((length + (symbol & 15)) | ac_step(symbol) << 6));
      to += n;
    });
    std::fill(one.begin() + to, one.begin() + mask + 1, 0);
    for (uint32_t i = 0; i <= mask; ++i) {
      uint32_t length = one[i] & 63, steps = one[i] >> 6;
      while (length != 0 && length < bits && steps < kStepEob) {
        const uint32_t next = one[(i << length) & mask], next_length = next & 63;
        if (next_length == 0 || length + next_length > bits) break;
        const uint32_t next_steps = steps + (next >> 6);
        if ((next_steps & 127) > 63) break;
        length += next_length;
        steps = next_steps;
      }
      skips[i] = length != 0 ? static_cast<uint16_t>(length | steps << 6) : kLongSkip;
    }
  }

  if (with_pairs) {
    // In place: an entry's first symbol stays readable after it has become a pair.
    for (uint32_t i = 0; i < 1u << kAcBits; ++i) {
      const uint64_t a = pairs[i];
      const uint32_t length = a & 63, step = (a >> 8) & 255;
      if ((a & kMiss) != 0 || step >= kStepEob || length >= kAcBits) continue;
      const uint64_t b = pairs[(i << length) & ((1u << kAcBits) - 1)];
      const uint32_t second_length = (b >> 48) & 63, second_step = (b >> 8) & 255;
      if ((b & kMiss) != 0 || length + second_length > kAcBits) continue;
      pairs[i] =
          (a & 0x003F0000FFFFFF00u) | (length + second_length) | (b & 0xFFFF0000u) << 16 | uint64_t{step + second_step} << 56;
    }
  }
  spec_ = spec;
  with_pairs_ = with_pairs;
  skip_bits_ = skip_bits;
  return {};
}

uint32_t ProgressiveAcTable::first_entry(uint32_t code_length, uint32_t symbol) {
  const uint32_t run = symbol >> 4, size = symbol & 15;
  if (size == 0 && run < 15) return kMiss | code_length | run << 8 | code_length << 16 | 63u << 24;  // EOB run
  return miss_entry(code_length, size, run + 1);
}

uint32_t ProgressiveAcTable::refinement_entry(uint32_t code_length, uint32_t symbol) {
  const uint32_t run = symbol >> 4, size = symbol & 15;
  if (size == 0 && run < 15) return kMiss | code_length | run << 8 | code_length << 16 | 63u << 24;
  return code_length | run << 8 | (size != 0 ? 1u << 12 : 0) | (size > 1 ? kOddSize : 0) | code_length << 16;
}

Result ProgressiveAcTable::build(const HuffmanSpec& spec, bool refinement) {
  if (!build_canonical(spec, canonical)) return {Code::kBadHuffman, 0, 0};
  uint32_t at = 0;
  for_short_codes(spec, kAcBits, [&](uint32_t length, uint32_t symbol) {
    const uint32_t size = symbol & 15, run = symbol >> 4;
    const uint32_t n = 1u << (kAcBits - length);
    if (refinement) {
      const uint32_t e = refinement_entry(length, symbol);
      if ((e & kMiss) != 0 || size == 0) {
        std::fill_n(entries.begin() + at, n, e);
      } else if (length == kAcBits) {  // no room for the sign: the long way round
        entries[at] = kMiss;
      } else {
        std::fill_n(entries.begin() + at, n / 2, e + 1);
        std::fill_n(entries.begin() + at + n / 2, n / 2, (e + 1) | 1u << 13);
      }
      at += n;
      return;
    }
    if (size == 0 && run == 0) {
      std::fill_n(entries.begin() + at, n, length | kStepEob << 8);
      at += n;
    } else if ((size == 0 && run < 15) || length + size > kAcBits) {
      std::fill_n(entries.begin() + at, n, first_entry(length, symbol));
      at += n;
    } else {
      const uint32_t each = 1u << (kAcBits - length - size);
      for (uint32_t bits = 0; bits < 1u << size; ++bits) {
        const uint32_t e =
            (length + size) | (run + 1) << 8 | static_cast<uint32_t>(static_cast<uint16_t>(extend(bits, size))) << 16;
        for (uint32_t i = 0; i < each; ++i) entries[at++] = e;
      }
    }
  });
  std::fill(entries.begin() + at, entries.end(), kMiss);  // longer than the index
  return {};
}

}  // namespace dctload
