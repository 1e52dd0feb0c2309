// One sequential scan: tables, block steps and rows around the kernel of scan_sequential.h.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "block_sink.h"
#include "cpu.h"
#include "huffman.h"
#include "scan_driver.h"
#include "scan_sequential.h"

namespace dctload {

class SequentialCoder final : public ScanCoder {
 public:
  // Builds the tables that the scan names. `geometry` is filled in; rows below the sink's rectangles are not needed.
  Result start(const Kernels& kernels, Parser& parser, const ScanHeader& scan, BlockSink& sink, ScanGeometry& geometry);
  // All rows of the scan's components are done, whatever came.
  void finish();
  bool bad_code() const { return bad_code_; }

  void reset() override { predictions_.fill(0); }
  void begin_row(uint32_t row) override;
  uint32_t run(EntropySource& source, uint32_t x, uint32_t n) override;
  void undo(uint32_t x) override;

 private:
  struct Place {                  // of a block in its MCU
    uint32_t component, y, rows;  // component; block row in the MCU; block rows an MCU
  };
  // Block column offsets of step `i` from MCU `x` of this row on.
  const uint32_t* column(uint32_t i, uint32_t x) const {
    return steps_[i].row != nullptr ? columns_[i] + static_cast<size_t>(x) * steps_[i].step : outside_.data();
  }

  const Kernels* kernels_ = nullptr;
  BlockSink* sink_ = nullptr;
  ScanHeader scan_;
  std::array<DcTable, 4> dc_;
  std::array<AcTable, 4> ac_;
  std::array<int32_t, kMaxComponents> predictions_{};
  std::array<BlockStep, 10> steps_{};
  std::array<Place, 10> places_{};
  std::array<const uint32_t*, 10> columns_{};  // of the row's first MCU
  std::vector<uint32_t> outside_;              // the columns of a row that nobody keeps
  uint32_t num_steps_ = 0;
  int skip_shift_ = 0;
  bool dc_only_ = false, bad_code_ = false;
};

}  // namespace dctload
