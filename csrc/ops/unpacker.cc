#include "unpacker.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <deque>
#include <new>
#include <vector>

#include "checked_batch.h"
#include "crew.h"
#include "ops_kernels.h"

namespace dctload::ops {
namespace {

uint64_t values_of(const wire::ComponentRecord& c) { return uint64_t{c.channels} * c.w * c.h; }

// Values before each image, and behind the last.
bool places(const CheckedBatch& batch, std::vector<uint64_t>& out) {
  out.assign(1, 0);
  ImageView image;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch.image(i, image)) return false;
    uint64_t values = out.back();
    for (uint32_t k = 0; k < image.num_components; ++k) values += values_of(image.components[k]);
    out.push_back(values);
  }
  return true;
}

template <typename T>
void unpack_component(const OpsKernels& kernels, const ImageView& image, uint32_t component, T* out, std::vector<uint8_t>& copy) {
  const wire::ComponentRecord& c = image.components[component];
  const auto kernel = sizeof(T) == sizeof(int16_t) ? kernels.unpack_int16 : kernels.unpack_float;
  float steps[64] = {};
  uint32_t k = 0;
  for (uint64_t left = c.mask; left != 0; left &= left - 1) steps[k++] = c.quantization[std::countr_zero(left)];
  PlaneTask task{};
  task.from = {nullptr, c.channels, (c.mask & 1) != 0, steps, nullptr};
  task.planes = out;
  task.plane = size_t{c.w} * c.h;
  task.row = c.w;
  for (uint32_t y = 0; y < c.tiles_y; ++y) {
    for (uint32_t x = 0; x < c.tiles_x; ++x) {
      const int32_t row = static_cast<int32_t>(8 * y) - c.skip_y, col = static_cast<int32_t>(8 * x) - c.skip_x;
      task.origin = static_cast<ptrdiff_t>(row) * c.w + col;
      task.y_begin = static_cast<uint32_t>(std::max(0, -row));
      task.x_begin = static_cast<uint32_t>(std::max(0, -col));
      task.y_end = static_cast<uint32_t>(std::min(8, c.h - row));
      task.x_end = static_cast<uint32_t>(std::min(8, c.w - col));
      image.unpack(component, uint64_t{y} * c.tiles_x + x, kernel, task, copy);
    }
  }
}

}  // namespace

bool unpacked_values(std::span<const uint8_t> bytes, uint64_t& values) {
  CheckedBatch batch;
  std::vector<uint64_t> at;
  if (!batch.open(bytes) || !places(batch, at)) return false;
  values = at.back();
  return true;
}

struct Unpacker::Impl {
  Impl(const OpsKernels& level, unsigned threads) : kernels(level), num_threads(threads) {}

  const OpsKernels& kernels;
  const unsigned num_threads;
  std::deque<std::vector<uint8_t>> copies;  // by thread: a tile at the batch's end
  std::vector<uint64_t> at;
  Crew crew;

  template <typename T>
  Status unpack(std::span<const uint8_t> bytes, T* out, uint64_t values);
};

template <typename T>
Status Unpacker::Impl::unpack(std::span<const uint8_t> bytes, T* out, uint64_t values) {
  CheckedBatch batch;
  if (!batch.open(bytes)) return Status::kBadBatch;
  if (!places(batch, at) || at.back() != values) return Status::kBadImage;
  // A part is one component, so that a single image keeps three threads busy.
  const size_t parts = batch.size() * kMaxComponents;
  const auto size = static_cast<unsigned>(std::min<size_t>(num_threads, std::max<size_t>(parts, 1)));
  while (copies.size() < size) copies.emplace_back();
  std::atomic<Status> status = Status::kOk;
  crew.for_each(size, parts, [&](unsigned worker, size_t part) {
    const size_t i = part / kMaxComponents;
    ImageView image;
    if (!batch.image(i, image)) {
      status = Status::kBadImage;
      return;
    }
    const auto component = static_cast<uint32_t>(part % kMaxComponents);
    if (component >= image.num_components) return;
    // Counted once more from the copy of the facts that is used: the bytes may have been written to in between.
    uint64_t begin = at[i], end = at[i];
    for (uint32_t k = 0; k <= component; ++k) {
      begin = end;
      end += values_of(image.components[k]);
    }
    if (end > at[i + 1]) {
      status = Status::kBadImage;
      return;
    }
    try {
      unpack_component(kernels, image, component, out + begin, copies[worker]);
    } catch (const std::bad_alloc&) {
      status = Status::kNoMemory;
    }
  });
  return status;
}

Unpacker::Unpacker(unsigned num_threads, const OpsKernels& kernels)
    : impl_(new Impl(kernels, num_threads != 0 ? num_threads : available_cores())) {}

Unpacker::~Unpacker() = default;

unsigned Unpacker::num_threads() const { return impl_->num_threads; }

Status Unpacker::unpack(std::span<const uint8_t> batch, int16_t* out, uint64_t values) {
  return impl_->unpack(batch, out, values);
}
Status Unpacker::unpack(std::span<const uint8_t> batch, float* out, uint64_t values) { return impl_->unpack(batch, out, values); }

}  // namespace dctload::ops
