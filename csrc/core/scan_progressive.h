// Progressive Huffman scans (T.81 G.1.2): what the kernels work on.
//
// Blocks are stored with the kept coefficients only, in falling zigzag order: index i of a block is the i-th kept position
// counted from 63 downwards. A 64-bit history says which coefficients are not zero, dropped ones included: bit 63 - k for
// position k. In this order the first correction bit of a run is the highest one, which is what a bit deposit needs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "entropy_source.h"
#include "huffman.h"

namespace dctload {

enum class ProgressiveKind : uint8_t { kDcFirst, kDcRefine, kAcFirst, kAcRefine };

struct DcStep {  // one block of an MCU of a DC scan
  const DcTable* table;
  int32_t* prediction;
  int16_t* row;          // DC coefficient of the row's first block, null where it is not stored
  uint32_t columns;      // blocks in the row; behind them an interleaved scan has padding
  uint32_t stride;       // int16 from block to block
  uint32_t step, first;  // block columns an MCU; this block's place in the first MCU
};

struct ProgressiveRun {
  ProgressiveKind kind;
  BitPosition position;
  const uint8_t* stop;   // no MCU begins past it, but for the first
  const uint8_t* end;    // of the data; an MCU that needs more is not stored
  uint32_t mcu_x, mcus;  // as in SequentialRun
  uint8_t ss, se, al;
  bool overrun;   // the last MCU counted as done needed data past `end`
  bool odd_size;  // a refinement named a new coefficient of a size other than 1
  bool bad_code;  // a bit pattern was no code: the last MCU counted as done is not to be trusted

  const DcStep* steps;  // DC scans
  uint32_t num_steps;

  const ProgressiveAcTable* ac;  // AC scans: one component
  int16_t* values;               // of block column 0 of this row; with stride 0 one scratch block for rows that nobody keeps
  uint32_t stride;
  uint64_t* history;     // of block column 0
  const uint8_t* index;  // [256]: next position -> kept index; what is not kept goes to a scratch index
  uint64_t kept;         // bit 63 - k for kept positions
  uint32_t eob_run;
};

}  // namespace dctload
