// The hot loops of csrc/ops, compiled once a CPU level. Levels agree to the bit on unpacked integers and up to rounding on
// floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "axis_operator.h"
#include "cpu.h"

namespace dctload::ops {

// One tile to unpack.
struct TileTask {
  const uint8_t* tile;  // with kTileSlack readable bytes behind the largest tile of this many channels
  uint32_t channels;
  bool has_dc;           // channel 0 is DC, which has the tile's base
  const float* steps;    // by channel: quantisation step (floats)
  const float* requant;  // by channel: new steps, or null
};

// Values of each channel of a tile -> its place in planes [channels][rows][cols].
struct PlaneTask {
  TileTask from;
  void* planes;                             // int16 or float32
  size_t plane, row;                        // strides, in values
  ptrdiff_t origin;                         // of the tile's block (0, 0); may lie before the plane after a cut
  uint32_t y_begin, y_end, x_begin, x_end;  // the part of the tile that is stored
};

// A tile as floats [8 v'][8 u'][8][8]: second frequency, first frequency (along the output's width), place along the first axis,
// place along the second. Only the channels that are there are written, and zeros below `used`.
struct FloatTask {
  TileTask from;
  const uint8_t* slots;  // by channel: 8 v' + u'
  bool by_rows;          // the first axis is the coded vertical one (a transposed picture)
  float* values;
  uint8_t* used;  // [8] by v': highest u' present + 1, rounded up to even; 0: none
};
inline constexpr size_t kTileFloats = 64 * 64 + 64;  // a little more than the tile, so that tiles do not share cache sets

// Stage 1: a band of tiles, 8 native blocks high along the second axis, resampled along the first.
struct BandTask {
  const float* tiles;   // [tiles][kTileFloats]
  const uint8_t* used;  // [tiles][8]
  uint32_t present;     // bit v': some tile of the band has such a frequency
  const Support* supports;
  const float* weights;
  uint32_t blocks, operator_rows, outputs;
  bool pixels;
  uint32_t skip;  // place of the first block at hand in the first tile
  float* out;     // [8 places][8 v'][width]
  size_t width;
};

// Where 8 neighbouring values of the width go.
struct Target {
  int64_t offset;  // from the output row's start
  float scale, bias;
  float ones;      // what a plane of ones becomes here
  uint32_t count;  // 0: nobody wants them
};

// Stage 2: one output block row, along the second axis.
struct OutputTask {
  const float* const* rows;  // [entries], `width` floats each
  const float* weights;      // [entries][8]
  size_t entries;
  uint32_t outputs;        // rows of the result that are wanted: 1..8
  size_t vectors;          // width / 8
  const Target* targets;   // [8][vectors]
  const float* fill;       // [8]: D s of this block row; null where nothing was dropped
  const float* fill_sums;  // [width]: D s along the first axis
  float fill_value;
  float* out;
};

struct OpsKernels {
  // Unpacking returns how many bytes of the tile its planes told it to read.
  size_t (*unpack_int16)(const PlaneTask& task);
  size_t (*unpack_float)(const PlaneTask& task);
  size_t (*unpack_tile)(const FloatTask& task);
  void (*resample_band)(const BandTask& task);
  void (*resample_rows)(const OutputTask& task);
};

const OpsKernels& ops_kernels(CpuLevel level);
// Those of the core's level.
const OpsKernels& chosen_ops_kernels();

}  // namespace dctload::ops
