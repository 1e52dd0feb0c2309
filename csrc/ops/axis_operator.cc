#include "axis_operator.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace dctload::ops {
namespace {

// kDct[u][x] = c(u) cos((2x + 1) u pi / 16), c(0) = sqrt(1/8), else 1/2 (T.81 A.3.3).
constexpr std::array<std::array<float, 8>, 8> dct_matrix() {
  constexpr double kCos[9] = {1,
                              0.98078528040323044913,
                              0.92387953251128675613,
                              0.83146961230254523708,
                              0.70710678118654752440,
                              0.55557023301960222474,
                              0.38268343236508977173,
                              0.19509032201612826785,
                              0};
  std::array<std::array<float, 8>, 8> out{};
  for (int u = 0; u < 8; ++u) {
    for (int x = 0; x < 8; ++x) {
      const int angle = (2 * x + 1) * u % 32, folded = angle > 16 ? 32 - angle : angle;
      const double cosine = folded > 8 ? -kCos[16 - folded] : kCos[folded];
      out[static_cast<size_t>(u)][static_cast<size_t>(x)] = static_cast<float>(u == 0 ? kCos[4] / 2 : cosine / 2);
    }
  }
  return out;
}

constexpr std::array<std::array<float, 8>, 8> kDct = dct_matrix();

constexpr std::array<std::array<float, 8>, 8> transposed(const std::array<std::array<float, 8>, 8>& m) {
  std::array<std::array<float, 8>, 8> out{};
  for (size_t i = 0; i < 8; ++i) {
    for (size_t j = 0; j < 8; ++j) out[j][i] = m[i][j];
  }
  return out;
}

constexpr std::array<std::array<float, 8>, 8> kDctOfPixel = transposed(kDct);  // [x][u]

void add_scaled(float* to, const float* from, float scale) {
  for (int i = 0; i < 8; ++i) to[i] += scale * from[i];
}

// Pixel `j` reflected into [0, size): the edge pixel is passed once (reflect) or twice (symmetric).
int64_t mirrored(int64_t j, int64_t size, bool twice) {
  if (size == 1) return 0;
  const int64_t period = twice ? 2 * size : 2 * size - 2;
  j = (j % period + period) % period;
  return j < size ? j : period - (twice ? 1 : 0) - j;
}

// The pixel that stands for `j`, or -1.
int64_t inside(int64_t j, const Axis& axis) {
  if (j >= axis.begin && j < axis.end) return j;
  const int64_t size = axis.end - axis.begin;
  if (size <= 0) return -1;
  switch (axis.padding) {
    case Padding::kEdge:
      return std::clamp(j, axis.begin, axis.end - 1);
    case Padding::kReflect:
      return axis.begin + mirrored(j - axis.begin, size, false);
    case Padding::kSymmetric:
      return axis.begin + mirrored(j - axis.begin, size, true);
    default:
      return -1;
  }
}

}  // namespace

void set_range(Axis& axis, const double box[2], const double valid[2], const double* present, uint32_t size, uint32_t factor,
               uint32_t most) {
  const double f = factor, m = most;
  axis.a = box[0] * f / m;
  axis.b = box[1] * f / m;
  axis.lo = std::floor(valid[0] * f / m);
  axis.hi = std::ceil(valid[1] * f / m);
  axis.begin = 0;
  axis.end = (int64_t{size} * factor + most - 1) / most;
  if (present == nullptr) return;
  axis.begin = std::max(axis.begin, static_cast<int64_t>(std::floor(present[0] * f / m)));
  axis.end = std::min(axis.end, static_cast<int64_t>(std::ceil(present[1] * f / m)));
}

// One row of R times D^T. `taps_` holds its weights, one a pixel, before they are divided by their sum.
void AxisOperator::add_row(const Axis& axis, double centre, double radius) {
  const auto begin = static_cast<int64_t>(std::max(std::ceil(centre - radius - 0.5), axis.lo));
  const auto end = static_cast<int64_t>(std::min(std::floor(centre + radius - 0.5) + 1, axis.hi));
  Row row;
  row.at = values_.size();
  taps_.resize(std::max(taps_.size(), static_cast<size_t>(std::max<int64_t>(end - begin, 0))));
  float total = 0;
  const auto per_pixel = static_cast<float>(1 / radius);
  for (int64_t j = begin; j < end; ++j) {
    const auto distance = static_cast<float>(static_cast<double>(j) + 0.5 - centre);
    const float weight = std::max(0.0f, 1 - std::fabs(distance) * per_pixel);
    taps_[static_cast<size_t>(j - begin)] = weight;
    total += weight;
  }
  if (total > 0) {
    int64_t low = INT64_MAX, high = -1;  // pixels that are read
    const bool is_inside = begin >= axis.begin && end <= axis.end;
    if (is_inside) {
      low = begin;
      high = end - 1;
    } else {
      for (int64_t j = begin; j < end; ++j) {
        const int64_t at = inside(j, axis);
        if (at < 0) continue;
        low = std::min(low, at);
        high = std::max(high, at);
      }
    }
    if (high >= 0) {
      row.first = std::clamp<int64_t>((low >> 3) - axis.first, 0, axis.count);
      row.count = std::max<int64_t>(std::clamp<int64_t>((high >> 3) + 1 - axis.first, 0, axis.count) - row.first, 0);
      values_.resize(row.at + 8 * static_cast<size_t>(row.count));
    }
    float* const out = values_.data() + row.at;
    const float share = 1 / total;
    for (int64_t j = begin; j < end; ++j) {
      const int64_t at = is_inside ? j : inside(j, axis);
      if (at < 0) continue;
      const float weight = taps_[static_cast<size_t>(j - begin)] * share;
      row.sum += weight;
      const int64_t block = (at >> 3) - axis.first - row.first;
      if (block >= 0 && block < row.count) add_scaled(out + 8 * block, kDctOfPixel[static_cast<size_t>(at & 7)].data(), weight);
    }
    if (is_inside) {
      row.sum = 1;
    } else if (axis.padding == Padding::kConstant) {
      dropped_ = true;
    }
  } else {
    dropped_ = true;  // nothing valid at all: the row is padding
  }
  pixel_rows_.push_back(row);
}

// The smallest run of blocks that holds those of rows from .. to (each clamped into the rows).
AxisOperator::Row AxisOperator::union_of(const std::vector<Row>& rows, int64_t from, int64_t to) const {
  int64_t first = INT64_MAX, end = 0;
  for (int64_t i = from; i < to; ++i) {
    const Row& row = rows[static_cast<size_t>(std::clamp<int64_t>(i, 0, static_cast<int64_t>(rows.size()) - 1))];
    if (row.count == 0) continue;
    first = std::min(first, row.first);
    end = std::max(end, row.first + row.count);
  }
  Row out;
  out.first = end > 0 ? first : 0;
  out.count = end > 0 ? end - first : 0;
  return out;
}

void AxisOperator::blur_rows(const Axis& axis) {
  const auto n = static_cast<int64_t>(pixel_rows_.size()), half = static_cast<int64_t>(axis.blur_taps / 2);
  gain_ = 0;
  for (int64_t k = 0; k < 2 * half + 1; ++k) gain_ += static_cast<float>(axis.blur[k]);
  blurred_rows_.clear();
  blurred_values_.clear();
  for (int64_t i = 0; i < n; ++i) {
    int64_t low = i, high = i;
    for (int64_t k = -half; k <= half; ++k) {
      const int64_t from = mirrored(i + k, n, false);
      low = std::min(low, from);
      high = std::max(high, from);
    }
    Row row = union_of(pixel_rows_, low, high + 1);
    row.at = blurred_values_.size();
    blurred_values_.resize(row.at + 8 * static_cast<size_t>(row.count));
    for (int64_t k = -half; k <= half; ++k) {
      const Row& from = pixel_rows_[static_cast<size_t>(mirrored(i + k, n, false))];
      const auto weight = static_cast<float>(axis.blur[k + half]);
      row.sum += weight * from.sum;
      for (int64_t b = 0; b < from.count; ++b) {
        add_scaled(blurred_values_.data() + row.at + 8 * static_cast<size_t>(from.first - row.first + b),
                   values_.data() + from.at + 8 * static_cast<size_t>(b), weight);
      }
    }
    blurred_rows_.push_back(row);
  }
  pixel_rows_.swap(blurred_rows_);
  values_.swap(blurred_values_);
}

void AxisOperator::add_block(const Axis& axis, uint32_t block) {
  const int64_t last = static_cast<int64_t>(pixel_rows_.size()) - 1;
  const Row all = union_of(pixel_rows_, 8 * int64_t{block}, 8 * int64_t{block} + 8);
  const Support support{static_cast<uint32_t>(all.first), static_cast<uint32_t>(all.count), weights_.size()};
  const size_t tap = size_t{8} * rows_;
  weights_.resize(support.at + tap * support.count);
  sums_.resize(sums_.size() + 8);
  float* const sums = sums_.data() + 8 * size_t{block};
  for (size_t p = 0; p < 8; ++p) {
    const Row& row = pixel_rows_[static_cast<size_t>(std::min<int64_t>(8 * int64_t{block} + static_cast<int64_t>(p), last))];
    for (size_t i = 0; i < axis.outputs; ++i) sums[i] += (axis.pixels ? static_cast<float>(i == p) : kDct[i][p]) * row.sum;
    for (int64_t b = 0; b < row.count; ++b) {
      float* const to = weights_.data() + support.at + tap * static_cast<size_t>(row.first - all.first + b);
      const float* const from = values_.data() + row.at + 8 * static_cast<size_t>(b);
      if (axis.pixels) {
        std::copy_n(from, 8, to + 8 * p);
      } else {
        for (size_t i = 0; i < axis.outputs; ++i) add_scaled(to + 8 * i, from, kDct[i][p]);
      }
    }
  }
  if (support.count > 0) {
    begin_ = std::min(begin_, support.first);
    end_ = std::max(end_, support.first + support.count);
  }
  supports_.push_back(support);
}

void AxisOperator::build(const Axis& axis) {
  rows_ = axis.pixels || axis.outputs > 4 ? 8 : axis.outputs > 2 ? 4 : 2;
  dropped_ = false;
  gain_ = 1;
  begin_ = UINT32_MAX;
  end_ = 0;
  supports_.clear();
  weights_.clear();
  sums_.clear();
  pixel_rows_.clear();
  values_.clear();
  const double step = (axis.b - axis.a) / axis.n, radius = std::max(std::fabs(step), 1.0);
  for (uint32_t i = 0; i < axis.n; ++i) {
    const double centre = axis.a + (i + 0.5) * step;
    add_row(axis, std::max(axis.lo, std::min(centre, axis.hi)), radius);
  }
  if (axis.blur != nullptr) blur_rows(axis);
  for (uint32_t block = 0; block < (axis.n + 7) / 8; ++block) add_block(axis, block);
  if (end_ == 0) begin_ = 0;
  weights_.resize(weights_.size() + 64);  // blocks that read nothing have addresses too
}

}  // namespace dctload::ops
