#include "component_resampler.h"

#include <algorithm>
#include <bit>

namespace dctload::ops {
namespace {

constexpr size_t kLine = 16;

uint32_t count_of(int64_t begin, int64_t end) { return static_cast<uint32_t>(std::clamp<int64_t>(end - begin, 0, 8)); }

}  // namespace

uint32_t outputs_of(uint64_t channels, bool vertical) {
  if (vertical) return static_cast<uint32_t>(std::bit_width(channels) + 7) / 8;
  for (int shift = 32; shift >= 8; shift /= 2) channels |= channels >> shift;
  return static_cast<uint32_t>(std::bit_width(channels & 255));
}

// How the record's tiles are read: which channel is which frequency, and which way the axes run.
void ComponentResampler::set_tiles(const ComponentTask& task) {
  const wire::ComponentRecord& c = task.image->components[task.component];
  uint32_t k = 0;
  for (uint64_t left = c.mask; left != 0; left &= left - 1, ++k) {
    const auto frequency = static_cast<uint32_t>(std::countr_zero(left));
    const uint32_t v = frequency >> 3, u = frequency & 7;
    slots_[k] = static_cast<uint8_t>(task.transposed ? 8 * u + v : frequency);
    steps_[k] = c.quantization[frequency];
    if (task.requantize != nullptr) requant_[k] = task.requantize[frequency];
  }
  tile_ = {nullptr, c.channels, (c.mask & 1) != 0, steps_, task.requantize != nullptr ? requant_ : nullptr};
  tiles_first_ = task.transposed ? c.tiles_y : c.tiles_x;
  tiles_second_ = task.transposed ? c.tiles_x : c.tiles_y;
  skip_first_ = task.transposed ? c.skip_y : c.skip_x;
  skip_second_ = task.transposed ? c.skip_x : c.skip_y;
}

// Where the values of an output block row go: columns are (U, block) for coefficients, pixels for pixels.
void ComponentResampler::set_targets(const ComponentTask& task) {
  const int64_t rows = (int64_t{task.height} + 7) / 8, columns = (int64_t{task.width} + 7) / 8, padded = (columns + 7) / 8 * 8;
  outputs_first_ = outputs_second_ = 8;
  if (task.pixels) {
    width_ = static_cast<size_t>(8 * columns);
    row_step_ = 8 * int64_t{task.width};
  } else {
    outputs_first_ = outputs_of(task.channels, false);
    outputs_second_ = outputs_of(task.channels, true);
    width_ = static_cast<size_t>(outputs_first_ * padded);
    row_step_ = columns;
  }
  const size_t vectors = width_ / 8;
  const float gain = task.vertical->gain() * task.horizontal->gain();
  targets_.assign(8 * vectors, Target{});
  for (uint32_t v = 0; v < 8; ++v) {
    for (size_t i = 0; i < vectors; ++i) {
      Target& to = targets_[v * vectors + i];
      const auto column = static_cast<int64_t>(8 * i);
      int64_t channel = 0;
      if (task.pixels) {
        to.offset = v * int64_t{task.width} + column;
        to.count = count_of(column, task.width);
        to.ones = gain;
      } else {
        const int64_t u = column / padded, block = column % padded;
        const uint64_t bit = uint64_t{1} << (8 * v + static_cast<uint32_t>(u));
        if ((task.channels & bit) == 0) continue;
        channel = std::popcount(task.channels & (bit - 1));
        to.offset = channel * rows * columns + block;
        to.count = count_of(block, columns);
        to.ones = v == 0 && u == 0 ? 8 * gain : 0;
      }
      to.scale = task.scale != nullptr ? task.scale[channel] : 1;
      to.bias = task.bias != nullptr ? task.bias[channel] : 0;
    }
  }
  fill_sums_.clear();
  if (task.fill == 0 || !(task.vertical->dropped() || task.horizontal->dropped())) return;
  fill_sums_.resize(width_);
  const float* const sums = task.horizontal->sums();
  for (size_t block = 0; block < static_cast<size_t>(columns); ++block) {
    for (size_t u = 0; u < outputs_first_; ++u) {
      const size_t at = task.pixels ? 8 * block + u : u * static_cast<size_t>(padded) + block;
      fill_sums_[at] = sums[8 * block + u];
    }
  }
}

// Unpacks the tiles of one band and resamples them along the output's width.
void ComponentResampler::make_band(const ComponentTask& task, uint32_t index) {
  const AxisOperator& op = *task.horizontal;
  Band& band = bands_[index % bands_.size()];
  band = {index, 0};
  const uint32_t begin = (op.begin() + skip_first_) / 8, end = op.end() > op.begin() ? (op.end() + skip_first_ + 7) / 8 : begin;
  for (uint32_t t = begin; t < end; ++t) {
    const uint64_t place =
        task.transposed ? uint64_t{t} * tiles_second_ + index : uint64_t{index} * tiles_first_ + t;  // row by row in the record
    FloatTask unpack{tile_, slots_, task.transposed, tiles_[0].values + kTileFloats * t, used_.data() + size_t{8} * t};
    task.image->unpack(task.component, place, kernels_.unpack_tile, unpack, copy_);
    for (uint32_t v = 0; v < 8; ++v) band.present |= static_cast<uint32_t>(unpack.used[v] != 0) << v;
  }
  kernels_.resample_band({tiles_[0].values, used_.data(), band.present, op.supports(), op.weights(), op.blocks(), op.rows(),
                          outputs_first_, task.pixels, skip_first_, band_rows(index), width_});
}

// One output block row from the bands that it reads.
void ComponentResampler::make_output(const ComponentTask& task, uint32_t block) {
  const AxisOperator& op = *task.vertical;
  Support support = op.supports()[block];
  if (tiles_first_ == 0) support.count = 0;  // no frequencies, or no columns of blocks
  rows_.resize(size_t{8} * support.count);
  weights_.resize(8 * rows_.size() + 8);  // an address also where nothing is read
  size_t entries = 0;
  for (uint32_t i = 0; i < support.count; ++i) {
    const uint32_t at = support.first + i + skip_second_, index = at / 8;
    if (bands_[index % bands_.size()].index != index) make_band(task, index);
    const Band& band = bands_[index % bands_.size()];
    const float* const row = band_rows(index) + size_t{8} * width_ * (at % 8);
    const float* const tap = op.weights() + support.at + size_t{8} * op.rows() * i;
    for (uint32_t left = band.present; left != 0; left &= left - 1) {
      const auto v = static_cast<uint32_t>(std::countr_zero(left));
      rows_[entries] = row + v * width_;
      float* const weights = weights_.data() + 8 * entries++;
      for (uint32_t o = 0; o < op.rows(); ++o) weights[o] = tap[8 * o + v];
    }
  }
  const uint32_t outputs = task.pixels ? std::min(8u, task.height - 8 * block) : outputs_second_;
  const bool fills = !fill_sums_.empty();
  kernels_.resample_rows({rows_.data(), weights_.data(), entries, outputs, width_ / 8, targets_.data(),
                          fills ? op.sums() + size_t{8} * block : nullptr, fill_sums_.data(), task.fill,
                          task.out + row_step_ * block});
}

void ComponentResampler::run(const ComponentTask& task) {
  set_tiles(task);
  set_targets(task);
  tiles_.resize(std::max(tiles_.size(), kTileFloats / kLine * tiles_first_));
  used_.resize(std::max(used_.size(), size_t{8} * tiles_first_));
  const AxisOperator& op = *task.vertical;
  uint32_t most = 1;  // bands that one output block row reads
  for (uint32_t i = 0; i < op.blocks(); ++i) {
    const Support s = op.supports()[i];
    if (s.count > 0) most = std::max(most, (s.first + s.count - 1 + skip_second_) / 8 - (s.first + skip_second_) / 8 + 1);
  }
  bands_.assign(most, Band{});
  band_values_.resize(std::max(band_values_.size(), size_t{64} * width_ * most / kLine));
  for (uint32_t i = 0; i < op.blocks(); ++i) make_output(task, i);
}

}  // namespace dctload::ops
