// What the tests and the fuzz target of csrc/ops share: every CPU level of this machine, and records from coefficients.
#pragma once

#include <utility>
#include <vector>

#include "batches.h"
#include "check.h"
#include "cpu.h"
#include "header.h"
#include "jpeg_writer.h"
#include "ops_kernels.h"
#include "wire_io.h"

namespace dctload::testing {

inline std::vector<const ops::OpsKernels*> ops_levels() {
  std::vector<const ops::OpsKernels*> out;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
    if (supported(level)) out.push_back(&ops::ops_kernels(level));
  }
  return out;
}

// A header with components of these sampling factors (horizontal, vertical) and random quantisation steps 1 .. most_step.
inline Header header_of(Random& random, uint32_t width, uint32_t height, const std::vector<std::pair<uint8_t, uint8_t>>& factors,
                        uint32_t most_step) {
  Header header;
  header.width = width;
  header.height = height;
  header.num_components = static_cast<uint8_t>(factors.size());
  for (size_t k = 0; k < factors.size(); ++k) {
    header.components[k].h = factors[k].first;
    header.components[k].v = factors[k].second;
    for (uint16_t& step : header.components[k].quantization) step = static_cast<uint16_t>(1 + random.below(most_step));
  }
  derive_grids(header);
  return header;
}

// The record of these planes, int16 [64][block_rows][block_cols] a component.
inline Bytes record_of(const Header& header, const std::vector<std::vector<int16_t>>& planes) {
  std::vector<const int16_t*> pointers;
  for (const auto& plane : planes) pointers.push_back(plane.data());
  Bytes out;
  REQUIRE(pack_planes(header, pointers.data(), out).ok());
  return out;
}

}  // namespace dctload::testing
