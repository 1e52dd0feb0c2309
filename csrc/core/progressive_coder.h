// Progressive images: kept coefficients and histories of the whole image, the scans that fill them, and their way into a sink.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "block_sink.h"
#include "cpu.h"
#include "huffman.h"
#include "scan_driver.h"
#include "scan_progressive.h"

namespace dctload {

// The kept coefficients of each component's rows, in the order of scan_progressive.h.
class CoefficientStore {
 public:
  struct Plane {
    BlockRect rect;  // what the sink wants; rows above it need histories, rows below nothing
    uint32_t cols = 0, channels = 0, stride = 0;
    uint64_t kept = 0;                 // bit 63 - zigzag position
    std::array<uint8_t, 256> index{};  // [next position]
    std::array<uint8_t, 64> slots{};   // kept index -> slot in the sink
    std::vector<int16_t> values;       // [rect.h][cols][stride]
    std::vector<uint64_t> history;     // [rect.y0 + rect.h][cols]
  };
  void start(const Header& header, const Region& region, const ComponentMasks& masks);
  // Values of block row `y` of the component, null where nobody keeps it.
  int16_t* row(uint32_t component, uint32_t y);
  Plane& plane(uint32_t component) { return planes_[component]; }

  void emit_tiles(const Kernels& kernels, const Header& header, BlockSink& sink);
  void emit_planes(const Kernels& kernels, const Header& header, BlockSink& sink);
  void release_if_large();

 private:
  std::array<Plane, kMaxComponents> planes_;
};

// Which scans matter for the kept frequencies: those whose band holds one, and the earlier scans of a refinement's whole band,
// since refining needs to know which coefficients are not zero. The rest is never read.
std::vector<bool> needed_scans(const std::vector<ScanHeader>& scans, const ComponentMasks& masks);

class ProgressiveCoder final : public ScanCoder {
 public:
  Result start(const Kernels& kernels, const Parser& parser, const ScanHeader& scan, CoefficientStore& store,
               ScanGeometry& geometry);

  void reset() override;
  void begin_row(uint32_t row) override;
  uint32_t run(EntropySource& source, uint32_t x, uint32_t n) override;
  void undo(uint32_t x) override;
  bool corrupt() const override { return run_.bad_code; }
  bool odd_size() const { return run_.odd_size; }

 private:
  struct Place {
    uint32_t component, y, rows;
  };
  const Kernels* kernels_ = nullptr;
  CoefficientStore* store_ = nullptr;
  ScanHeader scan_;
  ProgressiveRun run_{};
  std::array<DcTable, 4> dc_;
  ProgressiveAcTable ac_;
  std::array<int32_t, kMaxComponents> predictions_{};
  std::array<DcStep, 10> steps_{};
  std::array<Place, 10> places_{};
  std::array<int16_t, 96> scratch_{};
};

}  // namespace dctload
