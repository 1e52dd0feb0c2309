// Any bytes as a record, through the kernels of csrc/ops on every CPU level: sizes and checksums are put right, so that only the
// other checks and the clamping stand between the bytes and the memory. What check_record passes is unpacked to what the core's
// unpack_component makes of it; resampled, every value is a number, and the levels agree up to rounding. What it refuses goes the
// same way and only has to stay inside its bytes.
//
// Input: a record, whose size is a multiple of 16, and behind it kTail bytes (or a few more) that say what it becomes: see Draws.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "../tests/ops_batches.h"
#include "fuzz_input.h"
#include "record_view.h"
#include "resampler.h"
#include "unpacker.h"
#include "wire_io.h"

using namespace dctload;
using fuzz::require;
using testing::Bytes;
using testing::ops_levels;

namespace {

constexpr size_t kTail = 48;
constexpr uint32_t kMostPixels = 72;  // of the output, either way
constexpr size_t kMostTaps = 7;

// Little-endian numbers out of the tail, zeros behind its end.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint32_t u8() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  uint32_t u16() {
    const uint32_t low = u8();
    return low | u8() << 8;
  }
  int32_t i16() { return static_cast<int16_t>(u16()); }
  uint64_t u64() {
    uint64_t out = 0;
    for (int i = 0; i < 8; ++i) out |= uint64_t{u8()} << (8 * i);
    return out;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

// What becomes of the record, from the tail: flags (1 turned, 2 pixels, 4 present, 8 blur, 16 requantised, 32 fill, 64 scale and
// bias); padding and taps; height, width; box in sixteenths of a pixel; valid and present (first pixel, pixels - 1); masks.
struct Draws {
  std::array<double, 4> box{}, valid{}, present{};
  std::array<double, kMostTaps> blur{};
  std::array<uint16_t, 128> requantize{};
  std::array<float, 3> fill{};
  std::vector<float> scale, bias;
  uint8_t transposed = 0;
  ops::Resampling job;

  explicit Draws(std::span<const uint8_t> tail) {
    Reader reader(tail);
    const uint32_t flags = reader.u8(), kind = reader.u8();
    transposed = flags & 1;
    job.padding = static_cast<ops::Padding>(kind & 3);
    job.height = 1 + reader.u8() % kMostPixels;
    job.width = 1 + reader.u8() % kMostPixels;
    for (double& edge : box) edge = reader.i16() / 16.0;
    for (std::array<double, 4>* range : {&valid, &present}) {
      for (size_t axis = 0; axis < 4; axis += 2) {
        (*range)[axis] = reader.i16() / 16;
        (*range)[axis + 1] = (*range)[axis] + 1 + reader.u16() / 16;
      }
    }
    const uint64_t mask = reader.u64();
    if ((flags & 2) == 0 && mask != 0) job.channels = Selection{mask, std::rotl(mask, 7), std::rotl(mask, 29)};
    const uint32_t seed = reader.u16();
    job.taps_y = job.taps_x = 1 + 2 * (kind >> 2 & 3);
    for (uint32_t i = 0; i < job.taps_y; ++i) blur[i] = 1.0 / job.taps_y;
    for (size_t i = 0; i < requantize.size(); ++i) requantize[i] = static_cast<uint16_t>(1 + (seed * (i + 1) & 1023));
    for (size_t i = 0; i < fill.size(); ++i) fill[i] = static_cast<float>(static_cast<int>(seed >> (4 * i) & 255) - 128);
    const uint32_t channels = ops::output_channels(job.channels);
    for (uint32_t c = 0; c < channels; ++c) {
      scale.push_back(0.25f * static_cast<float>(1 + (seed + c) % 7));
      bias.push_back(static_cast<float>(c) - 20);
    }
    job.box = box.data();
    job.valid = valid.data();
    if ((flags & 4) != 0) job.present = present.data();
    if ((flags & 8) != 0) job.blur_y = job.blur_x = blur.data();
    if ((flags & 16) != 0) job.requantize = requantize.data();
    if ((flags & 32) != 0) job.fill = fill.data();
    if ((flags & 64) != 0) job.scale = scale.data(), job.bias = bias.data();
    job.transposed = &transposed;
  }
  Draws(const Draws&) = delete;
  Draws& operator=(const Draws&) = delete;
};

template <typename T>
void put(std::span<uint8_t> out, size_t at, const T& value) {
  std::memcpy(out.data() + at, &value, sizeof value);
}

void repair(std::span<uint8_t> record) {
  if (record.size() < wire::kHeaderBytes) return;
  put(record, offsetof(wire::RecordHeader, record_bytes), static_cast<uint32_t>(record.size()));
  const auto meta = load_from<uint32_t>(record.data() + offsetof(wire::RecordHeader, meta_bytes));
  if (meta >= wire::kHeaderBytes && meta <= record.size()) seal_record(record.data());
}

// A batch of this one record, sound or not. No byte follows it, so that a sanitizer sees whoever reads one.
Bytes batch_of(std::span<const uint8_t> record) {
  constexpr size_t kFirst = wire::kHeaderBytes + wire::kEntryBytes;
  Bytes out(kFirst + record.size());
  wire::BatchHeader header{};
  std::memcpy(header.magic, "DCTB", 4);
  header.major = wire::kMajor;
  header.images = 1;
  put(out, 0, header);
  put(out, wire::kHeaderBytes, wire::ImageEntry{kFirst, static_cast<uint32_t>(record.size()), 0});
  std::copy(record.begin(), record.end(), out.begin() + kFirst);
  return out;
}

// Integers and floats of the batch on every level. The floats come back: empty where the record does not fit together.
std::vector<float> unpacked(std::span<const uint8_t> batch, std::span<const uint8_t> sound_record) {
  uint64_t values = 0;
  if (!ops::unpacked_values(batch, values)) {
    require(sound_record.empty(), "a sound record is refused");
    return {};
  }
  std::vector<int16_t> first, integers(values);
  std::vector<float> floats(values);
  for (const ops::OpsKernels* level : ops_levels()) {
    std::fill(integers.begin(), integers.end(), int16_t{12345});
    std::fill(floats.begin(), floats.end(), std::nanf(""));
    ops::Unpacker unpacker(1, *level);
    require(unpacker.unpack(batch, integers.data(), values) == ops::Status::kOk, "integers of a batch that fits together");
    require(unpacker.unpack(batch, floats.data(), values) == ops::Status::kOk, "floats of a batch that fits together");
    require(first.empty() || first == integers, "integers of two levels");
    first = integers;
  }
  if (sound_record.empty()) return floats;

  const RecordView view(sound_record);
  size_t at = 0;
  for (uint32_t k = 0; k < view.header.num_components; ++k) {
    const wire::ComponentRecord& c = view.components[k];
    const size_t area = size_t{c.w} * c.h;
    std::vector<int16_t> judge(c.channels * area);
    unpack_component(sound_record, static_cast<int>(k), judge.data());
    require(std::equal(judge.begin(), judge.end(), integers.begin() + static_cast<ptrdiff_t>(at)), "integers of the judge");
    size_t channel = 0;
    for (uint64_t left = c.mask; left != 0; left &= left - 1, ++channel) {
      const auto step = static_cast<float>(c.quantization[std::countr_zero(left)]);
      for (size_t i = channel * area; i < (channel + 1) * area; ++i) {
        require(floats[at + i] == static_cast<float>(judge[i]) * step, "floats are integers times their steps");
      }
    }
    at += judge.size();
  }
  require(at == values, "values of a batch");
  return floats;
}

// What bounds a result and hence its rounding: 64 times the largest value in a block of any component, and what is added.
double magnitude(const std::vector<float>& values, const Draws& draws) {
  double most = 0;
  for (const float x : values) most = std::max<double>(most, std::fabs(x));
  if (draws.job.requantize != nullptr) most += 1024;
  return (64 * most + (draws.job.fill != nullptr ? 8 * 128 : 0)) * (draws.job.scale != nullptr ? 2 : 1) + 200;
}

void resampled(std::span<const uint8_t> batch, Draws& draws, double bound) {
  const uint32_t rows = draws.job.channels ? (draws.job.height + 7) / 8 : draws.job.height,
                 columns = draws.job.channels ? (draws.job.width + 7) / 8 : draws.job.width;
  std::vector<float> first, out(size_t{ops::output_channels(draws.job.channels)} * rows * columns);
  draws.job.out = out.data();
  for (const ops::OpsKernels* level : ops_levels()) {
    std::fill(out.begin(), out.end(), std::nanf(""));
    require(ops::Resampler(1, *level).resample(batch, 1, draws.job) == ops::Status::kOk, "a record that was unpacked");
    for (size_t i = 0; i < out.size(); ++i) {
      require(std::isfinite(out[i]), "a result that is no number");
      require(std::fabs(out[i]) <= bound, "a result beyond what the record holds");
      require(first.empty() || std::fabs(out[i] - first[i]) <= 3e-7 * bound, "results of two levels");
    }
    first = out;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < wire::kHeaderBytes + kTail) return 0;
  const std::span<const uint8_t> input(data, size), body = input.first((size - kTail) & ~size_t{15});
  Draws draws(input.subspan(body.size()));
  Bytes record(body.begin(), body.end());
  repair(record);
  const bool sound = check_record(record).ok();
  const Bytes batch = batch_of(record);
  const std::vector<float> values = unpacked(batch, sound ? std::span<const uint8_t>(record) : std::span<const uint8_t>());
  uint64_t count = 0;
  if (ops::unpacked_values(batch, count)) resampled(batch, draws, magnitude(values, draws));
  return 0;
}
