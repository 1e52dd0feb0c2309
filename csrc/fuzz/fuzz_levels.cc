// All CPU levels give the same planes, records and outcomes. Input: see fuzz_input.h.
#include <deque>

#include "../tests/decode_both.h"
#include "fuzz_input.h"

using namespace dctload;

namespace {

struct Level {
  explicit Level(const Kernels& k) : kernels(k), decoder(k) {}
  const Kernels& kernels;
  ImageDecoder decoder;
};

std::deque<Level>& levels() {
  static std::deque<Level> all;
  if (all.empty()) {
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
      if (supported(level)) all.emplace_back(kernels(level));
    }
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> file(data, size);
  const fuzz::Asked asked = fuzz::read_options(file);
  testing::Decoded first;
  for (Level& level : levels()) {
    testing::Decoded d = testing::decode_both(level.kernels, level.decoder, file, asked.selection, asked.region(), asked.options);
    fuzz::require(d.complaint.empty(), d.complaint.c_str());
    if (level.kernels.level == CpuLevel::kPortable) {
      first = std::move(d);
      continue;
    }
    fuzz::require(testing::same_outcome(first.outcome, d.outcome), "outcomes of two levels");
    fuzz::require(first.planes == d.planes, "planes of two levels");
    fuzz::require(first.record == d.record, "records of two levels");
  }
  return 0;
}
