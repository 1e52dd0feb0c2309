// The hot loop. See scan_sequential.h; compiled once a CPU level.
//
// Per lookup there is one exit test: k is the next zigzag position, an end of block adds 128, so `k > last` covers the last kept
// position, position 63 and EOB. Values that nobody keeps go to the trash offset of the map; behind the last kept position only
// lengths are looked up.
#pragma once

#include "bits-inl.h"
#include "scan_sequential.h"

namespace dctload {
namespace {

// A code longer than the index, in the form of a miss entry.
__attribute__((noinline)) uint32_t long_ac_code(const AcTable& table, uint64_t bits, bool& bad) {
  uint32_t symbol;
  const uint32_t length = table.canonical.find(static_cast<uint32_t>(bits >> 48), symbol);
  bad |= length == 17;
  const uint32_t run = symbol >> 4, size = symbol & 15;
  return miss_entry(length, size, size == 0 ? (run == 15 ? 16 : kStepEob) : run + 1);
}

__attribute__((noinline)) uint32_t long_dc_code(const DcTable& table, uint64_t bits, bool& bad) {
  uint32_t symbol;
  const uint32_t length = table.canonical.find(static_cast<uint32_t>(bits >> 48), symbol);
  bad |= length == 17;
  return DcTable::entry(length, symbol);
}

// Whether a group of symbols that takes position k past 63 ended this block, rather than reaching into the next one: it ends at
// 63 exactly, or with an EOB that belongs to this block.
inline bool ends_block(uint32_t k) { return k <= 64 || k >> 6 == 2; }

// The first symbol of an entry that reaches into the next block: drops it and returns its step.
inline uint32_t first_symbol(BitReader& r, const AcTable& ac, bool& bad) {
  const uint64_t e = ac.pairs[r.peek(kAcBits)];
  if ((e & kMiss) == 0) {
    r.drop(e >> 48);
    return (e >> 8) & 255;
  }
  uint32_t m = static_cast<uint32_t>(e);
  if (((m >> 16) & 63) == 0) m = long_ac_code(ac, r.bits, bad);
  r.drop(m & 63);
  return (m >> 8) & 255;
}

// kDcOnly: no block keeps anything behind DC.
template <bool kDcOnly>
void decode_blocks(SequentialRun& run) {
  BitReader r(run.position);
  const BlockStep* s = run.steps;
  const uint8_t* stop = run.stop;
  const int skip_shift = run.skip_shift;
  uint32_t blocks = run.mcus * run.num_steps;  // still to do
  uint32_t not_done = 0;
  size_t x = 0;  // MCU
  const DcTable* dc_table = s->dc;
  bool bad = false;
  uint32_t d = dc_table->entries[r.peek(kDcBits)];

  do {
    // Where a block ends is mispredicted each time, and the chain of lookups starts anew there. So nothing stands in its way: the
    // next block's DC table is fetched a block ahead, each lookup is issued before what the last one found is put away.
    const BlockStep* const next_step = s->next;
    const DcTable* const next_dc_table = next_step->dc;
    const AcTable& ac = *s->ac;
    r.refill();
    if (DCTLOAD_UNLIKELY(d == 0)) d = long_dc_code(*dc_table, r.bits, bad);
    const uint64_t dc_bits = r.bits;
    r.drop(d);
    uint64_t e = kDcOnly ? ac.skips[r.bits >> skip_shift] : ac.pairs[r.peek(kAcBits)];
    // DC sums wrap like libjpeg's: added as unsigned, stored as 16 bits.
    const int32_t dc = static_cast<int32_t>(static_cast<uint32_t>(*s->prediction) +
                                            static_cast<uint32_t>(BitReader::value(dc_bits, d >> 8, d >> 16)));
    *s->prediction = dc;

    uint32_t k = 1;
    const uint32_t column = s->columns[x * s->step];
    if (column != kOutside) {
      uint8_t* const block = s->row + column;
      const ptrdiff_t* const map = s->map;
      const uint32_t last = s->last;
      store16(block + s->dc_offset, static_cast<uint64_t>(dc));
      while (!kDcOnly && k <= last) {
        // Two lookups a refill: hits take at most 10 bits, so 36 are left for the next index.
        r.refill();
        if (DCTLOAD_UNLIKELY(e & kMiss)) goto miss;
        {
          const uint32_t k2 = k + static_cast<uint32_t>(e >> 56);
          if (k2 > last) goto leave;
          store16(block + map[k + ((e >> 8) & 255)], e >> 16);
          store16(block + map[k2], e >> 32);
          r.drop(e);
          k = k2;
        }
        e = ac.pairs[r.peek(kAcBits)];
        if (DCTLOAD_UNLIKELY(e & kMiss)) goto miss;
        {
          const uint32_t k2 = k + static_cast<uint32_t>(e >> 56);
          if (k2 > last) goto leave;
          store16(block + map[k + ((e >> 8) & 255)], e >> 16);
          store16(block + map[k2], e >> 32);
          r.drop(e);
          k = k2;
        }
        e = ac.pairs[r.peek(kAcBits)];
        continue;

      leave:
        {
          const uint32_t k1 = k + ((e >> 8) & 255), k2 = k + static_cast<uint32_t>(e >> 56);
          if (ends_block(k2)) {
            r.drop(e);
            k = k2;
            store16(block + map[k1], e >> 16);
            store16(block + map[k2], e >> 32);
            break;
          }
          r.drop(e >> 48);  // the block ended at 63 inside the pair
          k = k1;
          store16(block + map[k1], e >> 16);
          e = ac.pairs[r.peek(kAcBits)];
          continue;
        }

      miss:
        uint32_t m = static_cast<uint32_t>(e);
        if (DCTLOAD_UNLIKELY(((m >> 16) & 63) == 0)) m = long_ac_code(ac, r.bits, bad);
        const uint64_t value_bits = r.bits;
        r.drop(m & 63);
        e = ac.pairs[r.peek(kAcBits)];
        k += (m >> 8) & 255;
        store16(block + map[k], static_cast<uint64_t>(BitReader::value(value_bits, m >> 16, m >> 24)));
      }
    }
    if (k <= 63) {
      if (!kDcOnly) e = ac.skips[r.bits >> skip_shift];
      for (;;) {
        r.refill();
        const uint32_t next = k + static_cast<uint32_t>(e >> 6);
        if (next <= 63) {
          r.drop(e);
          k = next;
        } else if (ends_block(next)) {
          r.drop(e);
          break;
        } else {
          k += first_symbol(r, ac, bad);
          if (k > 63) break;
        }
        e = ac.skips[r.bits >> skip_shift];
      }
    }
    d = next_dc_table->entries[r.peek(kDcBits)];
    x += s->left == 0;
    if (DCTLOAD_UNLIKELY(r.at > stop)) {  // finish this MCU
      not_done = (blocks - 1 - s->left) / run.num_steps;
      blocks = 1 + s->left;
      stop = r.at + kMaxMcuBytes;  // not reached
    }
    s = next_step;
    dc_table = next_dc_table;
  } while (--blocks != 0);

  r.save(run.position);
  run.mcus = not_done;
  run.bad_code |= bad;
}

void decode_sequential(SequentialRun& run) { run.dc_only ? decode_blocks<true>(run) : decode_blocks<false>(run); }

}  // namespace
}  // namespace dctload
