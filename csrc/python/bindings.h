// What the files of the module share: buffers, conversions between core structs and plain tuples, and one function a file.
//
// The module checks arguments, lets the GIL go around all work of the core, and hands plain tuples, ints and arrays to the Python
// side, which makes its own types and errors of them. No logic lives here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "decode_limits.h"
#include "errors.h"
#include "header.h"
#include "selection.h"
#include "wire_io.h"

namespace dctload::python {

namespace py = pybind11;

// Python's forms of the core's structs; dctload/_core.pyi names them alike.
using ResultTuple = std::tuple<uint16_t, uint32_t, uint64_t>;            // code, detail, offset
using LimitsTuple = std::tuple<uint64_t, uint32_t, uint32_t, uint64_t>;  // pixels, components, scans, bytes
using BoxTuple = std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>;     // top, left, height, width
using MasksTuple = std::tuple<uint64_t, uint64_t, uint64_t>;             // y, cb, cr
using FaultTuple = std::tuple<const char*, uint64_t, int64_t>;           // what, offset, image or -1

// The bytes of any object with a C-contiguous buffer, whatever its element type. Holds the object's buffer until destroyed, which
// needs the GIL. Raises what the object raises: TypeError without a buffer, BufferError or ValueError if it is not contiguous or
// read-only.
class Buffer {
 public:
  explicit Buffer(py::handle object, bool writable = false);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&&) = delete;

  std::span<const uint8_t> bytes() const { return {static_cast<const uint8_t*>(view_.buf), static_cast<size_t>(view_.len)}; }
  std::span<uint8_t> writable_bytes() const { return {static_cast<uint8_t*>(view_.buf), static_cast<size_t>(view_.len)}; }

 private:
  Py_buffer view_{};
};

std::vector<Buffer> buffers(const py::list& objects);
std::vector<std::span<const uint8_t>> spans(const std::vector<Buffer>& buffers);

// An array [shape...] that is not initialised, and where it begins.
template <typename T = int64_t, typename... Sizes>
std::pair<py::array_t<T>, T*> table(Sizes... shape) {
  py::array_t<T> out(std::array<py::ssize_t, sizeof...(Sizes)>{static_cast<py::ssize_t>(shape)...});
  T* const data = out.mutable_data();
  return {std::move(out), data};
}

// uint8 [size], 64-aligned, not initialised.
py::array_t<uint8_t> aligned_empty(uint64_t size);
// int16 [channels][rows][cols] of zeros; `extra` more planes lie behind them. Untouched pages cost nothing.
py::array_t<int16_t> zero_planes(uint32_t channels, uint32_t rows, uint32_t cols, uint32_t extra);

ResultTuple to_tuple(const Result& result);
BoxTuple to_tuple(const Box& box);
std::optional<FaultTuple> to_tuple(const WireFault& fault);
// (width, height, precision, orientation, process, color, restart_interval, num_mcus,
//  ((id, h, v, block_rows, block_cols, uint16 [64]), ...))
py::tuple to_tuple(const Header& header);
py::tuple masks_tuple(const ComponentMasks& masks, uint32_t num_components);

Limits to_limits(const LimitsTuple& limits);
Box to_box(const BoxTuple& box);
Selection to_selection(const MasksTuple& masks);
// From the tuple above; grids are computed anew. ValueError if a number is outside its range.
Header to_header(const py::tuple& facts);

void bind_errors(py::module_& module);  // tables of codes, formats, warnings
void bind_header(py::module_& module);  // read_header
void bind_decode(py::module_& module);  // decode, Extractor, cpu_level
void bind_wire(py::module_& module);    // check, join, select, cut, unpack, pack, bound, and the constants of wire.h
void bind_ops(py::module_& module);     // Unpacker, Resampler

}  // namespace dctload::python
