// Packed coefficients as planes, for a whole batch: what unpack_component (the judge) gives, quicker and on several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "ops_kernels.h"
#include "resampler.h"

namespace dctload::ops {

// Values of a batch: the sum of channels * rows * columns over all components. False: not a batch whose numbers fit together.
bool unpacked_values(std::span<const uint8_t> batch, uint64_t& values);

class Unpacker {
 public:
  // 0: one thread a core that this process may run on. One thread means the caller's own.
  explicit Unpacker(unsigned num_threads, const OpsKernels& kernels = chosen_ops_kernels());
  ~Unpacker();
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  unsigned num_threads() const;

  // Planes [channels][rows][columns] of every component of every image, one behind the other in the order of the batch's
  // directory (its "first value" numbers are the places), `values` in all, which must be unpacked_values(). Quantised int16, or
  // float32 times the quantisation step. Reads nothing outside `batch` whatever it holds.
  Status unpack(std::span<const uint8_t> batch, int16_t* out, uint64_t values);
  Status unpack(std::span<const uint8_t> batch, float* out, uint64_t values);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dctload::ops
