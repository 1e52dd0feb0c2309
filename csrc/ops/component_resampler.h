// One component of one image: tiles in, output planes out. Scratch is kept from component to component.
#pragma once

#include <cstdint>
#include <vector>

#include "axis_operator.h"
#include "checked_batch.h"
#include "ops_kernels.h"

namespace dctload::ops {

// 1 + the highest of the frequencies `channels` (bit 8 V + U) along one axis; 0 for none.
uint32_t outputs_of(uint64_t channels, bool vertical);

// What a component becomes.
struct ComponentTask {
  const ImageView* image;
  uint32_t component;
  bool transposed;
  const AxisOperator* vertical;  // of the output's axes
  const AxisOperator* horizontal;
  uint32_t height, width;  // output pixels
  uint64_t channels;       // output frequencies, bit 8 V + U
  bool pixels;             // one plane of pixels instead
  float fill;
  const uint16_t* requantize;  // [64] or null
  const float* scale;          // by channel of this component, or null
  const float* bias;
  float* out;  // [channels][rows][columns]
};

class ComponentResampler {
 public:
  explicit ComponentResampler(const OpsKernels& kernels) : kernels_(kernels) {}
  void run(const ComponentTask& task);

 private:
  struct alignas(64) Line {
    float values[16];
  };
  struct Band {
    int64_t index = -1;  // along the second axis
    uint32_t present = 0;
  };
  void set_tiles(const ComponentTask& task);
  void set_targets(const ComponentTask& task);
  void make_band(const ComponentTask& task, uint32_t index);
  void make_output(const ComponentTask& task, uint32_t block);
  float* band_rows(uint32_t index) { return band_values_[0].values + size_t{64} * width_ * (index % bands_.size()); }

  const OpsKernels& kernels_;
  // Of the component at hand.
  TileTask tile_{};
  uint8_t slots_[64] = {};
  float steps_[64] = {}, requant_[64] = {};
  uint32_t tiles_first_ = 0, tiles_second_ = 0;  // along the output's width and height
  uint32_t skip_first_ = 0, skip_second_ = 0;
  uint32_t outputs_first_ = 8, outputs_second_ = 8;
  size_t width_ = 0;      // of a row between the stages, a multiple of 8
  int64_t row_step_ = 0;  // of an output block row, in values

  std::vector<Line> tiles_, band_values_;
  std::vector<uint8_t> used_, copy_;
  std::vector<Band> bands_;
  std::vector<Target> targets_;
  std::vector<const float*> rows_;
  std::vector<float> weights_;
  std::vector<float> fill_sums_;
};

}  // namespace dctload::ops
