// Sequential Huffman scans, baseline and extended (T.81 F.2.2): what the kernel works on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy_source.h"
#include "huffman.h"

namespace dctload {

inline constexpr uint32_t kOutside = 0xFFFFFFFFu;  // of a block column: parsed, not stored

// One block of an MCU. Its coefficients go to row + *column + map[...]. The blocks of an MCU are linked into a circle, so that
// the kernel has one counted loop and no inner one whose end would be mispredicted at each MCU (measured: 3 %).
struct BlockStep {
  const BlockStep* next;
  const DcTable* dc;
  const AcTable* ac;
  const ptrdiff_t* map;     // [256]: next zigzag position -> byte offset; what is not kept has an offset of its own (trash)
  int32_t* prediction;      // of the component
  uint8_t* row;             // block row
  const uint32_t* columns;  // byte offset of each block column from the run's first MCU on, or kOutside
  ptrdiff_t dc_offset;
  uint32_t last;  // last kept zigzag position; 0: DC only
  uint32_t step;  // block columns an MCU
  uint32_t left;  // blocks behind this one in the MCU
};

struct SequentialRun {
  BitPosition position;
  const uint8_t* stop;  // no MCU begins past it, but for the first
  const BlockStep* steps;
  uint32_t num_steps;
  uint32_t mcus;   // at most this many; on return those not done
  int skip_shift;  // 64 - index bits of AcTable::skips
  bool dc_only;    // no step keeps anything behind DC
  bool bad_code;   // set when a bit pattern was no code
};

}  // namespace dctload
