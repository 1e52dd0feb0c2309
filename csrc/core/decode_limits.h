// Bounds against hostile input, each with a default that real photographs do not reach.
#pragma once

#include <cstdint>

namespace dctload {

struct Limits {
  uint64_t pixels = uint64_t{1} << 28;  // width x height; 100 megapixels pass, 4 x 10^9 do not
  uint32_t components = 4;
  uint32_t scans = 1000;
  uint64_t bytes = uint64_t{1} << 31;  // of the file
};

}  // namespace dctload
