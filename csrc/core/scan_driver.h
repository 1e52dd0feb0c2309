// Walks the MCUs of one scan through its restart intervals (T.81 E.1.4, E.2.4): which MCUs came, which are lost, where the scan
// ends.
#pragma once

#include <cstdint>

#include "entropy_source.h"
#include "errors.h"
#include "header.h"

namespace dctload {

struct ScanGeometry {
  uint32_t cols = 0, rows = 0;  // MCUs; of a scan of one component: its blocks (A.2.2)
  uint32_t rows_needed = 0;     // those below are not read
};

// One kind of scan, row by row.
class ScanCoder {
 public:
  virtual ~ScanCoder() = default;
  // DC predictions and EOB run to zero.
  virtual void reset() = 0;
  // MCU row `row` comes next; rows above it are complete.
  virtual void begin_row(uint32_t row) = 0;
  // Decodes at least one and at most `n` MCUs from column `x` on; returns how many.
  virtual uint32_t run(EntropySource& source, uint32_t x, uint32_t n) = 0;
  // The MCU at column `x` of this row did not come whole: its blocks become what they were before this scan.
  virtual void undo(uint32_t x) = 0;
  // The last MCU of the last run() cannot be trusted (no Huffman code fits).
  virtual bool corrupt() const { return false; }
};

struct ScanOutcome {
  Result loss;                 // kDataTruncated, kRestartLost or kBadCode: the first one
  bool only_tail_lost = true;  // nothing is missing before the last MCU that came
  uint64_t valid_mcus = 0;
  uint64_t first_lost = 0;  // number of the first MCU that did not come, or of all
  uint64_t end_offset = 0;  // where the parser goes on; unset where rows_needed ended the scan early
  uint32_t rows_begun = 0;  // MCU rows that any data went to
  bool stopped_early = false;
  bool extra_data = false;
};

ScanOutcome drive_scan(ScanCoder& coder, EntropySource& source, const Kernels& kernels, const Parser& parser,
                       uint64_t data_offset, const ScanGeometry& geometry);

}  // namespace dctload
