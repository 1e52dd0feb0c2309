// dctload._core: the C++ core for the Python package. Nothing in it is public; dctload/_core.pyi has its types.
#include "bindings.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace dctload::python;
  bind_errors(m);
  bind_header(m);
  bind_decode(m);
  bind_wire(m);
  bind_ops(m);
}
