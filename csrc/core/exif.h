// The one EXIF fact that matters here: how the picture is turned.
#pragma once

#include <cstdint>
#include <span>

namespace dctload {

// Orientation 1..8 from a TIFF structure (tag 0x0112 of its first directory); 1 where it is absent or impossible.
uint8_t exif_orientation(std::span<const uint8_t> tiff);

}  // namespace dctload
