// The resampling operator of one axis: which blocks each output block reads, and with which weights.
//
// With R the resampling of pixels (rows sum to 1) and D the 8-point orthonormal DCT, M = D R D^T by 8 x 8 blocks. Coordinates are
// float64, as float32 would move a weight at pixel 500 by 3e-5; what follows from them is float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dctload::ops {

enum class Padding : uint8_t { kConstant, kEdge, kReflect, kSymmetric };  // in the order of dctload.ops.geometry.PADDING_MODES

// One axis of one component, in the component's own pixels.
struct Axis {
  double a = 0, b = 0;    // box; b < a: mirrored
  double lo = 0, hi = 0;  // valid pixels, whole numbers
  int64_t begin = 0;      // first pixel that exists
  int64_t end = 0;        // one past the last; pixels outside are what `padding` says, all of them where end <= begin
  int64_t first = 0;      // first block at hand
  int64_t count = 0;      // blocks at hand: what lies beyond reads as 0
  uint32_t n = 1;         // output pixels
  Padding padding = Padding::kConstant;
  const double* blur = nullptr;  // symmetric kernel of `blur_taps` (odd), or null
  uint32_t blur_taps = 0;
  uint32_t outputs = 8;  // output frequencies of each block, 1..8
  bool pixels = false;   // outputs are the block's 8 pixels
};

// From luma's box, valid and present range (null: the whole image) to those of a component with the sampling factor `factor` of
// `most`; `size` is luma's.
void set_range(Axis& axis, const double box[2], const double valid[2], const double* present, uint32_t size, uint32_t factor,
               uint32_t most);

// What one output block reads: native blocks first .. first + count of those at hand; weights [count][rows()][8] from `at` on, by
// output frequency (or pixel) and native frequency.
struct Support {
  uint32_t first, count;
  size_t at;
};

class AxisOperator {
 public:
  // Memory is kept from call to call.
  void build(const Axis& axis);

  uint32_t blocks() const { return static_cast<uint32_t>(supports_.size()); }
  uint32_t rows() const { return rows_; }  // 2, 4 or 8, at least `outputs`; rows from there on are zero
  const Support* supports() const { return supports_.data(); }
  const float* weights() const { return weights_.data(); }
  // [blocks()][8]: D s of each output block (s itself for pixels), s the row sums without what constant padding dropped.
  const float* sums() const { return sums_.data(); }
  bool dropped() const { return dropped_; }  // some weight fell on constant padding
  float gain() const { return gain_; }       // what a row would sum to if nothing were dropped: the sum of the blur, or 1
  // Blocks at hand that are read at all: begin .. end.
  uint32_t begin() const { return begin_; }
  uint32_t end() const { return end_; }

 private:
  struct Row {  // of R D^T: native blocks first .. first + count, 8 values each
    int64_t first = 0, count = 0;
    size_t at = 0;
    float sum = 0;
  };
  void add_row(const Axis& axis, double centre, double radius);
  void blur_rows(const Axis& axis);
  void add_block(const Axis& axis, uint32_t block);
  Row union_of(const std::vector<Row>& rows, int64_t from, int64_t to) const;

  uint32_t rows_ = 8, begin_ = 0, end_ = 0;
  bool dropped_ = false;
  float gain_ = 1;
  std::vector<Support> supports_;
  std::vector<float> weights_, sums_;
  std::vector<Row> pixel_rows_, blurred_rows_;
  std::vector<float> values_, blurred_values_;  // of the rows
  std::vector<float> taps_;                     // of the row at hand
};

}  // namespace dctload::ops
