#include <unistd.h>

#include <memory>
#include <new>
#include <string>

#include "bindings.h"
#include "resampler.h"
#include "unpacker.h"

namespace dctload::python {
namespace {

using Shape = std::vector<py::ssize_t>;
template <typename T>
using Array = py::array_t<T, py::array::c_style>;

std::string text_of(const Shape& shape) {
  std::string out = "[";
  for (const py::ssize_t n : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(n);
  return out + "]";
}

// The data of an array of exactly this type and shape, C-contiguous; nothing is converted. ValueError otherwise.
template <typename T>
T* data_of(const py::object& object, const char* name, const Shape& shape, bool writable = false) {
  const bool is_right = py::isinstance<Array<T>>(object) && [&] {
    const auto array = py::reinterpret_borrow<py::array>(object);
    return Shape(array.shape(), array.shape() + array.ndim()) == shape && (array.writeable() || !writable) &&
           reinterpret_cast<uintptr_t>(array.data()) % alignof(T) == 0;
  }();
  if (!is_right) {
    const auto type = py::str(py::dtype::of<T>()).cast<std::string>();
    throw py::value_error(std::string(name) + " is an array of " + type + " " + text_of(shape) + ", C-contiguous" +
                          (writable ? " and writable" : ""));
  }
  return static_cast<T*>(const_cast<void*>(py::reinterpret_borrow<py::array>(object).data()));
}

template <typename T>
const T* optional_data(const py::object& object, const char* name, const Shape& shape) {
  return object.is_none() ? nullptr : data_of<T>(object, name, shape);
}

void raise_for(ops::Status status) {
  switch (status) {
    case ops::Status::kOk:
      return;
    case ops::Status::kNoMemory:
      throw std::bad_alloc();
    case ops::Status::kBadBatch:
      throw py::value_error("not a packed batch");
    case ops::Status::kBadImage:
      throw py::value_error("an image is outside the batch, or its record is damaged");
  }
}

// One object of csrc/ops with threads of its own, made anew in a forked child, which has none of the parent's threads. Not for
// use from two threads at once: who shares one locks. (No lock here: a child forked while it is held would wait forever.)
template <typename T>
class Forkable {
 public:
  explicit Forkable(unsigned num_threads) : num_threads_(num_threads) { start(); }
  ~Forkable() { forget_parents(); }

  const T& operator*() const { return *own_; }
  T& get() {
    if (pid_ != getpid()) {
      forget_parents();
      start();
    }
    return *own_;
  }

 private:
  void start() {
    own_ = std::make_unique<T>(num_threads_);
    pid_ = getpid();
  }
  void forget_parents() {
    if (own_ != nullptr && pid_ != getpid()) (void)own_.release();  // joining threads that are not here would never end
  }

  unsigned num_threads_;
  std::unique_ptr<T> own_;
  pid_t pid_ = 0;
};

class PyUnpacker {
 public:
  explicit PyUnpacker(unsigned num_threads) : core_(num_threads) {}
  unsigned num_threads() const { return (*core_).num_threads(); }

  void unpack(const py::object& source, bool dequantize, const py::object& out) {
    const Buffer batch(source);
    uint64_t values = 0;
    if (!ops::unpacked_values(batch.bytes(), values)) throw py::value_error("not a packed batch, or a record is damaged");
    const Shape shape = {static_cast<py::ssize_t>(values)};
    ops::Unpacker& core = core_.get();
    const auto unpack_to = [&](auto* to) {
      const py::gil_scoped_release nogil;
      return core.unpack(batch.bytes(), to, values);
    };
    raise_for(dequantize ? unpack_to(data_of<float>(out, "out", shape, true))
                         : unpack_to(data_of<int16_t>(out, "out", shape, true)));
  }

 private:
  Forkable<ops::Unpacker> core_;
};

// Coordinates are finite and small enough to bound the work; ValueError otherwise.
void check_coordinates(const double* values, size_t count, const char* name, bool whole) {
  for (size_t i = 0; i < count; ++i) {
    const double v = values[i];
    if (!(v >= -ops::kMaxCoordinate && v <= ops::kMaxCoordinate) ||
        (whole && v != static_cast<double>(static_cast<int64_t>(v)))) {
      throw py::value_error(std::string(name) + " holds a number outside its range: " + (whole ? "whole, " : "") +
                            "at most 2^22 either way");
    }
  }
}

// [N, taps], odd; null for None.
const double* blur_of(const py::object& object, const char* name, py::ssize_t n, uint32_t& taps) {
  if (object.is_none()) return nullptr;
  const auto count = py::isinstance<py::array>(object) && py::reinterpret_borrow<py::array>(object).ndim() == 2
                         ? py::reinterpret_borrow<py::array>(object).shape(1)
                         : 0;
  if (count % 2 != 1 || count > 65535)
    throw py::value_error(std::string(name) + " is an array of float64 [N, odd number of taps, at most 65535]");
  taps = static_cast<uint32_t>(count);
  return data_of<double>(object, name, {n, count});
}

class PyResampler {
 public:
  explicit PyResampler(unsigned num_threads) : core_(num_threads) {}
  unsigned num_threads() const { return (*core_).num_threads(); }

  void resample(const py::object& source, const py::object& images, const py::object& box, const py::object& valid,
                const py::object& present, const py::object& transposed, const std::pair<uint32_t, uint32_t>& size,
                int padding_mode, const py::object& fill, const py::object& blur_y, const py::object& blur_x,
                const py::object& requantize, const std::optional<MasksTuple>& masks, const py::object& scale,
                const py::object& bias, const py::object& out) {
    const Buffer batch(source);
    if (!py::isinstance<py::array>(box) || py::reinterpret_borrow<py::array>(box).ndim() != 3)
      throw py::value_error("box is an array of float64 [N, 2, 2]");
    const py::ssize_t n = py::reinterpret_borrow<py::array>(box).shape(0);
    const auto count = static_cast<size_t>(n);
    ops::Resampling job;
    std::tie(job.height, job.width) = size;
    if (job.height < 1 || job.width < 1 || job.height > 65536 || job.width > 65536)
      throw py::value_error("size is 1 to 65536 pixels either way");
    if (padding_mode < 0 || padding_mode > static_cast<int>(ops::Padding::kSymmetric))
      throw py::value_error("padding_mode is 0 (constant), 1 (edge), 2 (reflect) or 3 (symmetric)");
    job.padding = static_cast<ops::Padding>(padding_mode);
    if (masks) job.channels = to_selection(*masks);
    const auto channels = static_cast<py::ssize_t>(ops::output_channels(job.channels));
    if (channels == 0) throw py::value_error("masks keep no channel");
    const py::ssize_t rows = masks ? (size.first + 7) / 8 : size.first, columns = masks ? (size.second + 7) / 8 : size.second;

    job.images = optional_data<int64_t>(images, "images", {n});
    job.box = data_of<double>(box, "box", {n, 2, 2});
    job.valid = data_of<double>(valid, "valid", {n, 2, 2});
    check_coordinates(job.box, 4 * count, "box", false);
    check_coordinates(job.valid, 4 * count, "valid", true);
    job.present = optional_data<double>(present, "present", {n, 2, 2});
    if (job.present != nullptr) check_coordinates(job.present, 4 * count, "present", true);
    job.transposed = data_of<uint8_t>(transposed, "transposed", {n});
    job.fill = optional_data<float>(fill, "fill", {n, 3});
    job.blur_y = blur_of(blur_y, "blur_y", n, job.taps_y);
    job.blur_x = blur_of(blur_x, "blur_x", n, job.taps_x);
    job.requantize = optional_data<uint16_t>(requantize, "requantize", {n, 2, 64});
    for (size_t i = 0; job.requantize != nullptr && i < 128 * count; ++i) {
      if (job.requantize[i] == 0) throw py::value_error("requantize holds a step of 0");
    }
    job.scale = optional_data<float>(scale, "scale", {n, channels});
    job.bias = optional_data<float>(bias, "bias", {n, channels});
    job.out = data_of<float>(out, "out", {n, channels, rows, columns}, true);
    ops::Resampler& core = core_.get();
    ops::Status status;
    {
      const py::gil_scoped_release nogil;
      status = core.resample(batch.bytes(), count, job);
    }
    raise_for(status);
  }

 private:
  Forkable<ops::Resampler> core_;
};

}  // namespace

void bind_ops(py::module_& module) {
  py::class_<PyUnpacker>(module, "Unpacker")
      .def(py::init<unsigned>(), py::arg("num_threads"))
      .def_property_readonly("num_threads", &PyUnpacker::num_threads)
      .def("unpack", &PyUnpacker::unpack, py::arg("batch"), py::arg("dequantize"), py::arg("out"));
  py::class_<PyResampler>(module, "Resampler")
      .def(py::init<unsigned>(), py::arg("num_threads"))
      .def_property_readonly("num_threads", &PyResampler::num_threads)
      .def("resample", &PyResampler::resample, py::arg("batch"), py::arg("images"), py::arg("box"), py::arg("valid"),
           py::arg("present"), py::arg("transposed"), py::arg("size"), py::arg("padding_mode"), py::arg("fill"),
           py::arg("blur_y"), py::arg("blur_x"), py::arg("requantize"), py::arg("masks"), py::arg("scale"), py::arg("bias"),
           py::arg("out"));
}

}  // namespace dctload::python
