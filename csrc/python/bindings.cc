#include "bindings.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "record_view.h"

namespace dctload::python {

Buffer::Buffer(py::handle object, bool writable) {
  // PyBUF_SIMPLE: one run of bytes or an error; no copy, no conversion.
  if (PyObject_GetBuffer(object.ptr(), &view_, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0) throw py::error_already_set();
}

Buffer::~Buffer() {
  if (view_.obj != nullptr) PyBuffer_Release(&view_);
}

Buffer::Buffer(Buffer&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}

std::vector<Buffer> buffers(const py::list& objects) {
  std::vector<Buffer> out;
  out.reserve(objects.size());
  for (const auto object : objects) out.emplace_back(object);
  return out;
}

std::vector<std::span<const uint8_t>> spans(const std::vector<Buffer>& buffers) {
  std::vector<std::span<const uint8_t>> out;
  out.reserve(buffers.size());
  for (const Buffer& buffer : buffers) out.push_back(buffer.bytes());
  return out;
}

py::array_t<uint8_t> aligned_empty(uint64_t size) {
  constexpr uint64_t kLine = 64;  // a cache line; the format asks for 16
  void* memory = std::aligned_alloc(kLine, std::max(kLine, (size + kLine - 1) / kLine * kLine));
  if (memory == nullptr) throw std::bad_alloc();
  const py::capsule owner(memory, [](void* p) { std::free(p); });
  return py::array_t<uint8_t>(static_cast<py::ssize_t>(size), static_cast<uint8_t*>(memory), owner);
}

py::array_t<int16_t> zero_planes(uint32_t channels, uint32_t rows, uint32_t cols, uint32_t extra) {
  // At most 65 planes of 8192 x 8192 blocks: no overflow in 64 bits.
  const size_t values = size_t{channels + extra} * rows * cols;
  void* memory = std::calloc(std::max<size_t>(values, 1), sizeof(int16_t));
  if (memory == nullptr) throw std::bad_alloc();
  const py::capsule owner(memory, [](void* p) { std::free(p); });
  const std::array<py::ssize_t, 3> shape = {static_cast<py::ssize_t>(channels), static_cast<py::ssize_t>(rows),
                                            static_cast<py::ssize_t>(cols)};
  return py::array_t<int16_t>(shape, static_cast<int16_t*>(memory), owner);
}

ResultTuple to_tuple(const Result& result) { return {static_cast<uint16_t>(result.code), result.detail, result.offset}; }
BoxTuple to_tuple(const Box& box) { return {box.top, box.left, box.height, box.width}; }

std::optional<FaultTuple> to_tuple(const WireFault& fault) {
  if (fault.ok()) return std::nullopt;
  return FaultTuple{fault.what, fault.offset, fault.image};
}

py::tuple to_tuple(const Header& h) {
  py::tuple components(h.num_components);
  for (uint32_t i = 0; i < h.num_components; ++i) {
    const Component& c = h.components[i];
    const py::array_t<uint16_t> table(64, c.quantization.data());
    components[i] = py::make_tuple(c.id, c.h, c.v, c.block_rows, c.block_cols, table);
  }
  return py::make_tuple(h.width, h.height, h.precision, h.orientation, static_cast<int>(h.process), static_cast<int>(h.color),
                        h.restart_interval, h.num_mcus(), components);
}

py::tuple masks_tuple(const ComponentMasks& masks, uint32_t num_components) {
  py::tuple out(num_components);
  for (uint32_t i = 0; i < num_components; ++i) out[i] = py::int_(masks[i]);
  return out;
}

Limits to_limits(const LimitsTuple& limits) {
  Limits out;
  std::tie(out.pixels, out.components, out.scans, out.bytes) = limits;
  return out;
}

Box to_box(const BoxTuple& box) {
  Box out;
  std::tie(out.top, out.left, out.height, out.width) = box;
  return out;
}

Selection to_selection(const MasksTuple& masks) {
  Selection out;
  std::tie(out.y, out.cb, out.cr) = masks;
  return out;
}

namespace {

uint32_t in_range(const py::handle& number, uint32_t least, uint32_t most, const char* what) {
  const auto value = number.cast<uint64_t>();
  if (value < least || value > most) throw py::value_error(std::string(what) + " is outside its range");
  return static_cast<uint32_t>(value);
}

}  // namespace

Header to_header(const py::tuple& facts) {
  if (facts.size() != 9) throw py::value_error("a header has 9 facts");
  Header h;
  h.width = in_range(facts[0], 1, 65535, "width");
  h.height = in_range(facts[1], 1, 65535, "height");
  h.precision = static_cast<uint8_t>(in_range(facts[2], 8, 12, "precision"));
  h.orientation = static_cast<uint8_t>(in_range(facts[3], 1, 8, "orientation"));
  h.process = static_cast<Process>(in_range(facts[4], 0, static_cast<uint32_t>(Process::kProgressive), "process"));
  h.color = static_cast<ColorSpace>(in_range(facts[5], 0, static_cast<uint32_t>(ColorSpace::kYcck), "colour space"));
  h.restart_interval = static_cast<uint16_t>(in_range(facts[6], 0, 65535, "restart interval"));
  const auto components = facts[8].cast<py::tuple>();
  h.num_components = static_cast<uint8_t>(in_range(py::int_(components.size()), 1, kMaxComponents, "number of components"));
  for (uint32_t i = 0; i < h.num_components; ++i) {
    const auto from = components[i].cast<py::tuple>();
    if (from.size() != 6) throw py::value_error("a component has 6 facts");
    Component& c = h.components[i];
    c.id = static_cast<uint8_t>(in_range(from[0], 0, 255, "component id"));
    c.h = static_cast<uint8_t>(in_range(from[1], 1, 4, "sampling factor"));
    c.v = static_cast<uint8_t>(in_range(from[2], 1, 4, "sampling factor"));
    const auto table = from[5].cast<py::array_t<uint16_t, py::array::c_style>>();
    if (table.size() != 64) throw py::value_error("a quantisation table has 64 values");
    std::copy_n(table.data(), 64, c.quantization.begin());
  }
  derive_grids(h);
  return h;
}

}  // namespace dctload::python
