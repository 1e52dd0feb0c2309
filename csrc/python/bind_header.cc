#include "bindings.h"

namespace dctload::python {
namespace {

// (result, facts or None, warnings)
py::tuple read_header_of(const py::object& source, const LimitsTuple& limits) {
  const Buffer file(source);
  Header header;
  uint32_t warnings = 0;
  Result result;
  {
    const py::gil_scoped_release nogil;
    result = read_header(file.bytes(), to_limits(limits), header, warnings);
  }
  return py::make_tuple(to_tuple(result), result.ok() ? py::object(to_tuple(header)) : py::none(), warnings);
}

}  // namespace

void bind_header(py::module_& module) { module.def("read_header", &read_header_of, py::arg("source"), py::arg("limits")); }

}  // namespace dctload::python
