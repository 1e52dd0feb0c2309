#include "bindings.h"

namespace dctload::python {

void bind_errors(py::module_& module) {
  py::tuple codes(kLastCode + 1);
  for (uint16_t number = 0; number <= kLastCode; ++number) {
    const auto code = static_cast<Code>(number);
    codes[number] = py::make_tuple(code_name(code), code_text(code), code_remedy(code), is_unsupported(code), is_limit(code));
  }
  module.attr("CODES") = codes;

  constexpr auto kLastFormat = static_cast<uint8_t>(Format::kZip);
  py::tuple formats(kLastFormat + 1);
  for (uint8_t number = 0; number <= kLastFormat; ++number) formats[number] = format_name(static_cast<Format>(number));
  module.attr("FORMATS") = formats;

  py::tuple warnings(kNumWarnings);
  for (int bit = 0; bit < kNumWarnings; ++bit) warnings[static_cast<size_t>(bit)] = warning_text(static_cast<Warning>(1u << bit));
  module.attr("WARNINGS") = warnings;
}

}  // namespace dctload::python
