// Which frequencies and which blocks are wanted: channel masks by component, and pixel regions snapped out to MCUs.
#pragma once

#include <array>
#include <cstdint>

#include "errors.h"
#include "header.h"

namespace dctload {

// Kept frequencies, bit 8 * v + u, by colour role. `y` also serves gray, RGB, CMYK, the K of YCCK and unknown colour.
struct Selection {
  uint64_t y = ~uint64_t{0}, cb = ~uint64_t{0}, cr = ~uint64_t{0};
};

using ComponentMasks = std::array<uint64_t, kMaxComponents>;
ComponentMasks component_masks(const Header& header, const Selection& selection);

struct Box {  // pixels as coded
  uint32_t top = 0, left = 0, height = 0, width = 0;
};

struct BlockRect {  // blocks of one component
  uint32_t x0 = 0, y0 = 0, w = 0, h = 0;
};

struct Region {
  Box pixels;                                    // snapped out to MCUs of 8 h_max x 8 v_max, clipped to the image
  std::array<BlockRect, kMaxComponents> blocks;  // what each component delivers
};

// Null `box` means the whole image. kRegionOutside if they do not meet.
Result snap(const Header& header, const Box* box, Region& region);

}  // namespace dctload
