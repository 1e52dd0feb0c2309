#include "resampler.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <deque>
#include <new>
#include <vector>

#include "checked_batch.h"
#include "component_resampler.h"
#include "crew.h"

namespace dctload::ops {
namespace {

constexpr uint32_t kRoles = 3;  // Y, Cb, Cr
constexpr uint8_t kColorRgb = static_cast<uint8_t>(ColorSpace::kRgb);

// Y, Cb, Cr of R, G, B and the way back, all level-shifted (JFIF 1.02, page 4).
constexpr float kFromRgb[3][3] = {{0.299f, 0.587f, 0.114f}, {-0.168736f, -0.331264f, 0.5f}, {0.5f, -0.418688f, -0.081312f}};
constexpr float kToRgb[3][3] = {{1, 0, 1.402f}, {1, -0.344136f, -0.714136f}, {1, 1.772f, 0}};

using Masks = std::array<uint64_t, kRoles>;

Masks role_masks(const std::optional<Selection>& channels) {
  if (!channels) return {};
  return {channels->y, channels->cb, channels->cr};
}

// Whether there is anything of this component at all. What is not there has no padding either.
bool holds_values(const ImageView& image, uint32_t component) {
  if (component >= image.num_components) return false;
  const wire::ComponentRecord& c = image.components[component];
  return c.channels > 0 && c.w > 0 && c.h > 0;
}

}  // namespace

uint32_t output_channels(const std::optional<Selection>& channels) {
  if (!channels) return kRoles;
  return static_cast<uint32_t>(std::popcount(channels->y) + std::popcount(channels->cb) + std::popcount(channels->cr));
}

struct Resampler::Impl {
  // An axis operator and what it was made for.
  struct Made {
    AxisOperator op;
    std::array<uint32_t, 3> facts{};  // sampling factor, first block, blocks
  };
  struct Worker {
    explicit Worker(const OpsKernels& kernels) : component(kernels) {}
    ComponentResampler component;
    std::array<std::array<Made, kRoles>, 2> operators;  // of the output's vertical and horizontal axis
    std::array<uint32_t, 2> num_operators{};
    std::vector<float> planes;  // of one component of an RGB file
  };
  // One image of the result.
  struct Image {
    ImageView view;
    size_t i;
    bool is_rgb;
    Masks masks;                     // of the output
    size_t rows, columns, channels;  // of the output's planes; all channels
  };

  Impl(const OpsKernels& level, unsigned threads) : kernels(level), num_threads(threads) {}

  const OpsKernels& kernels;
  const unsigned num_threads;
  std::deque<Worker> workers;
  Crew crew;

  const AxisOperator& axis_operator(Worker& worker, const Image& image, uint32_t component, bool vertical,
                                    const Resampling& job) const;
  void run(Worker& worker, const Image& image, uint32_t component, uint64_t mask, const Resampling& job,
           ComponentTask task) const;
  void run_rgb(Worker& worker, const Image& image, const Resampling& job) const;
  bool image_roles(Worker& worker, const CheckedBatch& batch, size_t i, uint32_t begin, uint32_t end,
                   const Resampling& job) const;
};

// The operator of one of the output's axes for a component; components of the same sampling share it.
const AxisOperator& Resampler::Impl::axis_operator(Worker& worker, const Image& image, uint32_t component, bool vertical,
                                                   const Resampling& job) const {
  const bool coded_vertical = vertical != (job.transposed[image.i] != 0);
  const auto facts = [&](uint32_t k) {
    const wire::ComponentRecord& c = image.view.components[k];
    return coded_vertical ? std::array<uint32_t, 3>{c.v_factor, c.y0, c.h} : std::array<uint32_t, 3>{c.h_factor, c.x0, c.w};
  };
  const auto own = facts(component);
  auto& made = worker.operators[vertical ? 0 : 1];
  uint32_t& num_made = worker.num_operators[vertical ? 0 : 1];
  for (uint32_t m = 0; m < num_made; ++m) {
    if (made[m].facts == own) return made[m].op;
  }
  Axis axis;
  const wire::RecordHeader& header = image.view.header;
  const size_t at = 4 * image.i + (coded_vertical ? 0 : 2);
  set_range(axis, job.box + at, job.valid + at, job.present != nullptr ? job.present + at : nullptr,
            coded_vertical ? header.height : header.width, own[0], coded_vertical ? header.v_max : header.h_max);
  axis.first = own[1];
  axis.count = own[2];
  axis.n = vertical ? job.height : job.width;
  axis.padding = job.padding;
  axis.blur_taps = vertical ? job.taps_y : job.taps_x;
  const double* const blur = vertical ? job.blur_y : job.blur_x;
  if (blur != nullptr) axis.blur = blur + size_t{axis.blur_taps} * image.i;
  axis.pixels = !job.channels.has_value();
  if (!axis.pixels) {
    axis.outputs = 1;
    for (uint32_t k = 0; k < std::min(image.view.num_components, kRoles); ++k) {
      if (image.is_rgb || facts(k) == own) axis.outputs = std::max(axis.outputs, outputs_of(image.masks[k], vertical));
    }
  }
  Made& next = made[num_made++];
  next.facts = own;
  next.op.build(axis);
  return next.op;
}

// One component; `task` says already how much is filled and where the result goes.
void Resampler::Impl::run(Worker& worker, const Image& image, uint32_t component, uint64_t mask, const Resampling& job,
                          ComponentTask task) const {
  task.image = &image.view;
  task.component = component;
  task.transposed = job.transposed[image.i] != 0;
  task.vertical = &axis_operator(worker, image, component, true, job);
  task.horizontal = &axis_operator(worker, image, component, false, job);
  task.height = job.height;
  task.width = job.width;
  task.channels = mask;
  task.pixels = !job.channels.has_value();
  if (job.requantize != nullptr) {
    task.requantize = job.requantize + 64 * (2 * image.i + (component == 0 || image.is_rgb ? 0 : 1));
  }
  worker.component.run(task);
}

// An RGB file: each component has a share in each of Y, Cb and Cr. Rare, so it goes through memory.
void Resampler::Impl::run_rgb(Worker& worker, const Image& image, const Resampling& job) const {
  const bool pixels = !job.channels.has_value();
  const uint64_t all = image.masks[0] | image.masks[1] | image.masks[2];
  const size_t plane = image.rows * image.columns, first = image.i * image.channels;
  worker.planes.resize(std::max(worker.planes.size(), plane * (pixels ? 1 : static_cast<size_t>(std::popcount(all)))));
  for (uint32_t component = 0; component < kRoles; ++component) {
    ComponentTask task{};
    if (job.fill != nullptr && holds_values(image.view, component)) {
      const float* const fill = job.fill + kRoles * image.i;
      for (uint32_t role = 0; role < kRoles; ++role) task.fill += kToRgb[component][role] * fill[role];
    }
    task.out = worker.planes.data();
    run(worker, image, component, all, job, task);
    size_t channel = first;
    for (uint32_t role = 0; role < kRoles; ++role) {
      const float share = kFromRgb[role][component];
      for (uint64_t left = pixels ? 1 : image.masks[role]; left != 0; left &= left - 1, ++channel) {
        const uint64_t before = (left & (~left + 1)) - 1;
        const float* const from = worker.planes.data() + plane * (pixels ? 0 : static_cast<size_t>(std::popcount(all & before)));
        float* const to = job.out + plane * channel;
        const bool is_last = component + 1 == kRoles;
        const float scale = is_last && job.scale != nullptr ? job.scale[channel] : 1;
        const float bias = is_last && job.bias != nullptr ? job.bias[channel] : 0;
        for (size_t j = 0; j < plane; ++j) to[j] = ((component == 0 ? 0 : to[j]) + share * from[j]) * scale + bias;
      }
    }
  }
}

// Output planes of roles begin .. end of image i of the result.
bool Resampler::Impl::image_roles(Worker& worker, const CheckedBatch& batch, size_t i, uint32_t begin, uint32_t end,
                                  const Resampling& job) const {
  const bool pixels = !job.channels.has_value();
  Image image{{}, i, false, role_masks(job.channels), job.height, job.width, output_channels(job.channels)};
  if (!pixels) image.rows = (image.rows + 7) / 8, image.columns = (image.columns + 7) / 8;
  const int64_t place = job.images != nullptr ? job.images[i] : static_cast<int64_t>(i);
  if (place < 0 || !batch.image(static_cast<size_t>(place), image.view)) return false;
  worker.num_operators = {};
  image.is_rgb = image.view.header.color == kColorRgb && image.view.num_components == kRoles;
  if (image.is_rgb) {
    if (begin == 0) run_rgb(worker, image, job);
    return true;
  }
  size_t channel = i * image.channels;
  for (uint32_t role = 0; role < end; ++role) {
    const size_t first = channel, plane = image.rows * image.columns;
    channel += pixels ? 1 : static_cast<size_t>(std::popcount(image.masks[role]));
    if (role < begin || channel == first) continue;
    if (!holds_values(image.view, role)) {
      for (size_t c = first; c < channel; ++c) std::fill_n(job.out + c * plane, plane, job.bias != nullptr ? job.bias[c] : 0.0f);
      continue;
    }
    ComponentTask task{};
    if (job.fill != nullptr) task.fill = job.fill[kRoles * i + role];
    if (job.scale != nullptr) task.scale = job.scale + first;
    if (job.bias != nullptr) task.bias = job.bias + first;
    task.out = job.out + first * plane;
    run(worker, image, role, image.masks[role], job, task);
  }
  return true;
}

Resampler::Resampler(unsigned num_threads, const OpsKernels& kernels)
    : impl_(new Impl(kernels, num_threads != 0 ? num_threads : available_cores())) {}

Resampler::~Resampler() = default;

unsigned Resampler::num_threads() const { return impl_->num_threads; }

Status Resampler::resample(std::span<const uint8_t> bytes, size_t count, const Resampling& asked) {
  Impl& d = *impl_;
  Resampling job = asked;
  if (job.padding != Padding::kConstant) job.fill = nullptr;
  CheckedBatch batch;
  if (!batch.open(bytes)) return Status::kBadBatch;
  // Few images: a thread takes one component at a time, and makes the operators for it alone.
  const uint32_t parts = count < d.num_threads ? kRoles : 1;
  const auto size = static_cast<unsigned>(std::min<size_t>(d.num_threads, std::max<size_t>(count * parts, 1)));
  while (d.workers.size() < size) d.workers.emplace_back(d.kernels);
  std::atomic<Status> status = Status::kOk;
  d.crew.for_each(size, count * parts, [&](unsigned worker, size_t part) {
    const auto begin = static_cast<uint32_t>(part % parts), end = parts == 1 ? kRoles : begin + 1;
    try {
      if (!d.image_roles(d.workers[worker], batch, part / parts, begin, end, job)) status = Status::kBadImage;
    } catch (const std::bad_alloc&) {
      status = Status::kNoMemory;
    }
  });
  return status;
}

}  // namespace dctload::ops
