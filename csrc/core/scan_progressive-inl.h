// Kernels of progressive scans; compiled once a CPU level. See scan_progressive.h.
#pragma once

#include "bits-inl.h"
#include "scan_progressive.h"

namespace dctload {
namespace {

__attribute__((noinline)) uint32_t long_progressive_code(const CanonicalCode& code, uint64_t bits, bool refinement, bool& bad) {
  uint32_t symbol;
  const uint32_t length = code.find(static_cast<uint32_t>(bits >> 48), symbol);
  bad |= length == 17;
  return refinement ? ProgressiveAcTable::refinement_entry(length, symbol) : ProgressiveAcTable::first_entry(length, symbol);
}

inline bool past_end(const BitReader& r, const uint8_t* end) {
  return DCTLOAD_UNLIKELY(r.at > end) && (r.at - end) * 8 > static_cast<int64_t>(r.count & 63);
}

void dc_first(ProgressiveRun& run, BitReader& r, uint32_t x_end) {
  uint32_t& x = run.mcu_x;
  do {
    for (uint32_t i = 0; i < run.num_steps; ++i) {
      const DcStep& s = run.steps[i];
      uint32_t d = s.table->entries[r.peek(kDcBits)];
      r.refill();
      if (DCTLOAD_UNLIKELY(d == 0)) {
        uint32_t symbol;
        const uint32_t length = s.table->canonical.find(static_cast<uint32_t>(r.bits >> 48), symbol);
        run.bad_code |= length == 17;
        d = DcTable::entry(length, symbol);
      }
      *s.prediction = static_cast<int32_t>(static_cast<uint32_t>(*s.prediction) +
                                           static_cast<uint32_t>(BitReader::value(r.bits, d >> 8, d >> 16)));
      r.drop(d);
      const uint32_t column = x * s.step + s.first;
      if (s.row != nullptr && column < s.columns && !past_end(r, run.end)) {
        s.row[static_cast<size_t>(column) * s.stride] = static_cast<int16_t>(static_cast<uint32_t>(*s.prediction) << run.al);
      }
    }
    ++x;
    run.overrun = past_end(r, run.end);
  } while (x != x_end && r.at <= run.stop && !run.bad_code);
}

void dc_refine(ProgressiveRun& run, BitReader& r, uint32_t x_end) {
  uint32_t& x = run.mcu_x;
  const uint32_t bit = 1u << run.al;
  do {
    r.refill();
    for (uint32_t i = 0; i < run.num_steps; ++i) {  // at most 10 bits
      const DcStep& s = run.steps[i];
      const uint32_t one = r.take(1);
      const uint32_t column = x * s.step + s.first;
      if (one != 0 && s.row != nullptr && column < s.columns && !past_end(r, run.end)) {
        int16_t& dc = s.row[static_cast<size_t>(column) * s.stride];
        dc = static_cast<int16_t>(static_cast<uint16_t>(dc) | bit);
      }
    }
    ++x;
    run.overrun = past_end(r, run.end);
  } while (x != x_end && r.at <= run.stop);
}

void ac_first(ProgressiveRun& run, BitReader& r, uint32_t x_end) {
  uint32_t& x = run.mcu_x;
  const uint32_t* const entries = run.ac->entries.data();
  const uint8_t* const index = run.index;
  const uint32_t ss = run.ss, se = run.se, al = run.al;
  bool bad = false;
  do {
    if (run.eob_run != 0) {  // blocks inside a run hold nothing: pass over them at once
      const uint32_t n = run.eob_run < x_end - x ? run.eob_run : x_end - x;
      run.eob_run -= n;
      x += n;
      continue;
    }
    int16_t* const block = run.values + static_cast<size_t>(x) * run.stride;
    uint64_t found = 0;
    uint32_t k = ss;
    for (;;) {
      uint32_t e = entries[r.peek(kAcBits)];
      r.refill();
      int32_t value;
      if (DCTLOAD_UNLIKELY(e & kMiss)) {
        if (((e >> 16) & 63) == 0) e = long_progressive_code(run.ac->canonical, r.bits, false, bad);
        if ((e & kMiss) != 0 && (e >> 24) == 63 && ((e >> 8) & 255) < 15) {  // EOB run (a ZRL here has step 16)
          const uint32_t more = (e >> 8) & 15;
          r.drop(e & 63);
          run.eob_run = (1u << more) - 1 + r.take(more);
          break;
        }
        value = BitReader::value(r.bits, e >> 16, e >> 24);
        r.drop(e & 63);
      } else {
        value = static_cast<int16_t>(e >> 16);
        r.drop(e);
      }
      k += (e >> 8) & 255;
      const int16_t stored = static_cast<int16_t>(static_cast<uint32_t>(value) << al);
      // A run past the end of the band stores behind it, at 63 at the latest, as in libjpeg; but not if it was read past the end
      // of the data, since it may stand where an earlier scan has put a coefficient.
      if (stored != 0 && (k <= se + 1 || !past_end(r, run.end))) {
        block[index[k]] = stored;
        found |= uint64_t{1} << (k < 64 ? 64 - k : 0);
      }
      if (k > se) break;
    }
    run.history[x] |= found;
    ++x;
    if (past_end(r, run.end)) {
      run.overrun = true;
      break;
    }
  } while (x != x_end && r.at <= run.stop && !bad);
  run.bad_code |= bad;
}

// Adds one more bit to the coefficients that `corrections` marks (bit 63 - k), away from zero, where that bit is not set yet
// (G.1.2.3).
inline void correct(int16_t* block, uint64_t corrections, uint64_t kept, uint32_t al) {
  uint64_t marked = extract(corrections, kept);
  const int16_t bit = static_cast<int16_t>(1 << al);
#if defined(__AVX2__)
  const __m256i lanes = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
  const __m256i bits = _mm256_set1_epi16(bit);
  for (; marked != 0; marked >>= 16, block += 16) {
    if ((marked & 0xFFFF) == 0) continue;
    const __m256i chosen = _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(static_cast<int16_t>(marked)), lanes), lanes);
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
    const __m256i clear = _mm256_cmpeq_epi16(_mm256_and_si256(v, bits), _mm256_setzero_si256());
    const __m256i sign = _mm256_srai_epi16(v, 15);
    const __m256i add = _mm256_sub_epi16(_mm256_xor_si256(bits, sign), sign);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(block),
                        _mm256_add_epi16(v, _mm256_and_si256(_mm256_and_si256(chosen, clear), add)));
  }
#else
  for (; marked != 0; marked &= marked - 1) {
    int16_t& v = block[std::countr_zero(marked)];
    if ((v & bit) == 0) v = static_cast<int16_t>(v >= 0 ? v + bit : v - bit);
  }
#endif
}

// The next correction bits, one for each position of `passed` (highest bit first).
inline uint64_t take_corrections(BitReader& r, uint64_t passed) {
  uint32_t n = static_cast<uint32_t>(std::popcount(passed));
  if (DCTLOAD_UNLIKELY(n > 24)) {
    uint64_t out = 0;
    while (n > 0) {
      const uint32_t part = n < 24 ? n : 24;
      r.refill();
      out = out << part | r.take(part);
      n -= part;
    }
    r.refill();
    return deposit(out, passed);
  }
  const uint64_t out = deposit(r.take(n), passed);
  r.refill();
  return out;
}

void ac_refine(ProgressiveRun& run, BitReader& r, uint32_t x_end) {
  uint32_t& x = run.mcu_x;
  const uint32_t* const entries = run.ac->entries.data();
  const uint64_t band = ~uint64_t{0} >> run.ss & ~uint64_t{0} << (63 - run.se);
  const uint64_t kept = run.kept;
  const uint32_t scratch = static_cast<uint32_t>(std::popcount(kept));
  const int32_t bit = 1 << run.al;
  const auto place = [&](uint64_t position) {
    return (kept & position) != 0 ? static_cast<uint32_t>(std::popcount(kept & (position - 1))) : scratch;
  };
  bool bad = false;
  do {
    int16_t* const block = run.values + static_cast<size_t>(x) * run.stride;
    const uint64_t history = run.history[x];
    uint64_t rest = band, corrections = 0, found = 0;
    uint64_t behind = 0;  // a new coefficient past the end of the band, and its value
    int32_t behind_value = 0;
    uint32_t eob_run = run.eob_run, symbols = 0;
    if (eob_run == 0) {
      while (rest != 0) {
        uint32_t e = entries[r.peek(kAcBits)];
        r.refill();
        if (DCTLOAD_UNLIKELY(e & kMiss)) {
          if (((e >> 16) & 63) == 0) {
            e = long_progressive_code(run.ac->canonical, r.bits, true, bad);
            if ((e & 1u << 12) != 0) {
              const uint64_t sign = r.bits << (e & 63) >> 63;
              e = (e + 1) | static_cast<uint32_t>(sign) << 13;
            }
          }
          if ((e & kMiss) != 0) {
            const uint32_t more = (e >> 8) & 15;
            r.drop(e & 63);
            eob_run = (1u << more) + r.take(more);
            r.refill();
            break;
          }
        }
        r.drop(e & 63);
        symbols |= e;
        const uint32_t skip = (e >> 8) & 15;
        const uint64_t is_new = uint64_t{0} - ((e >> 12) & 1);  // not so for a run of 16 zeros
        const int32_t negative = static_cast<int32_t>((e >> 13) & 1) - 1;
        const int32_t value = ((bit ^ negative) - negative) & static_cast<int32_t>(is_new);
        const uint64_t zeros = ~history & rest;
        const uint32_t num_zeros = static_cast<uint32_t>(std::popcount(zeros));
        uint64_t passed = rest;
        if (skip < num_zeros) {
          const uint64_t target = deposit(uint64_t{1} << (num_zeros - 1 - skip), zeros);
          passed = rest & ~((target << 1) - 1);
          rest &= target - 1;
          block[place(target)] = static_cast<int16_t>(value);  // it was zero, and stays so where nothing is new
          found |= target & is_new;
        } else {  // the band ends first: libjpeg stores behind it, at 63 at the latest
          behind = (uint64_t{1} << (run.se < 63 ? 62 - run.se : 0)) & is_new;
          behind_value = value;
          rest = 0;
        }
        corrections |= take_corrections(r, history & passed);
      }
    }
    if (eob_run > 0) {
      corrections |= take_corrections(r, history & rest);
      --eob_run;
    }
    if (DCTLOAD_UNLIKELY(bad) || past_end(r, run.end)) {  // nothing of this block counts
      for (; found != 0; found &= found - 1) block[place(found & -found)] = 0;
      run.overrun = !bad;
      ++x;
      break;
    }
    run.eob_run = eob_run;
    run.odd_size |= (symbols & ProgressiveAcTable::kOddSize) != 0;
    if ((corrections & kept) != 0) correct(block, corrections, kept, run.al);
    if (DCTLOAD_UNLIKELY(behind != 0)) block[place(behind)] = static_cast<int16_t>(behind_value);
    run.history[x] = history | found | behind;
    ++x;
  } while (x != x_end && r.at <= run.stop && !bad);
  run.bad_code |= bad;
}

void decode_progressive(ProgressiveRun& run) {
  BitReader r(run.position);
  const uint32_t x_end = run.mcu_x + run.mcus;
  run.overrun = false;
  switch (run.kind) {
    case ProgressiveKind::kDcFirst:
      dc_first(run, r, x_end);
      break;
    case ProgressiveKind::kDcRefine:
      dc_refine(run, r, x_end);
      break;
    case ProgressiveKind::kAcFirst:
      ac_first(run, r, x_end);
      break;
    case ProgressiveKind::kAcRefine:
      ac_refine(run, r, x_end);
      break;
  }
  r.save(run.position);
  run.mcus = x_end - run.mcu_x;
}

}  // namespace
}  // namespace dctload
