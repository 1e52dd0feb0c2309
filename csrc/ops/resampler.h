// Packed coefficients to one grid of coefficients (or pixels) for a whole batch: unpacking, dequantising and the banded operator
// in one go, tile by tile (dctload/ops/geometry.py has the meaning of every number).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "axis_operator.h"
#include "ops_kernels.h"
#include "selection.h"

namespace dctload::ops {

// N images of a batch and what is to become of them. Arrays belong to the caller.
struct Resampling {
  const int64_t* images = nullptr;      // [N]: places in the batch; null: 0 .. N - 1
  const double* box = nullptr;          // [N][2][2]: vertical, horizontal as coded; a, b in luma pixels
  const double* valid = nullptr;        // [N][2][2]: lo, hi
  const double* present = nullptr;      // [N][2][2]: lo, hi of the pixels that exist, or null: all of the image
  const uint8_t* transposed = nullptr;  // [N]
  uint32_t height = 8, width = 8;       // output pixels
  Padding padding = Padding::kConstant;
  const float* fill = nullptr;     // [N][3], level-shifted, or null: 0
  const double* blur_y = nullptr;  // [N][taps_y], odd, for the output's vertical axis, or null
  const double* blur_x = nullptr;  // [N][taps_x]
  uint32_t taps_y = 0, taps_x = 0;
  const uint16_t* requantize = nullptr;  // [N][2][64], luma and chroma, 8v + u as coded, none of them 0, or null
  std::optional<Selection> channels;     // output frequencies of Y, Cb, Cr; none: level-shifted pixels of the three
  const float* scale = nullptr;          // [N][C]: the result times scale plus bias, or null
  const float* bias = nullptr;           // [N][C]
  float* out = nullptr;                  // [N][C][grid or pixel rows][columns], every value is written
};

// Channels of the result: those of `channels`, or the three planes.
uint32_t output_channels(const std::optional<Selection>& channels);

// Largest coordinate of a box or a range: it bounds the work, and leaves room beside the largest JPEG image.
inline constexpr double kMaxCoordinate = 1 << 22;

enum class Status : uint8_t { kOk, kBadBatch, kBadImage, kNoMemory };

class Resampler {
 public:
  // 0: one thread a core that this process may run on. One thread means the caller's own.
  explicit Resampler(unsigned num_threads, const OpsKernels& kernels = chosen_ops_kernels());
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  unsigned num_threads() const;

  // `count` images of a batch that check_batch passed. Reads nothing outside `batch` whatever it holds. A failed image, and a
  // component that an image lacks or of which no frequency was sent, is zero (before scale and bias). Components are taken for Y,
  // Cb, Cr in this order, those of an RGB file for what they are; a fourth is not looked at. kBadImage: a place outside
  // the batch or a record whose numbers do not fit together; `out` is then partly written.
  Status resample(std::span<const uint8_t> batch, size_t count, const Resampling& job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dctload::ops
