#include "selection.h"

#include <algorithm>

namespace dctload {

ComponentMasks component_masks(const Header& header, const Selection& selection) {
  ComponentMasks masks{};
  for (uint32_t i = 0; i < header.num_components; ++i) masks[i] = selection.y;
  if (header.color == ColorSpace::kYCbCr || header.color == ColorSpace::kYcck) {
    masks[1] = selection.cb;
    masks[2] = selection.cr;
  }
  return masks;
}

Result snap(const Header& header, const Box* box, Region& region) {
  const uint32_t unit_x = 8u * header.h_max, unit_y = 8u * header.v_max;
  uint32_t left = 0, top = 0, right = header.mcus_x, bottom = header.mcus_y;  // in units
  if (box != nullptr) {
    if (box->width == 0 || box->height == 0 || box->left >= header.width || box->top >= header.height)
      return {Code::kRegionOutside, 0, 0};
    left = box->left / unit_x;
    top = box->top / unit_y;
    const uint64_t end_x = std::min<uint64_t>(uint64_t{box->left} + box->width, header.width);
    const uint64_t end_y = std::min<uint64_t>(uint64_t{box->top} + box->height, header.height);
    right = static_cast<uint32_t>((end_x + unit_x - 1) / unit_x);
    bottom = static_cast<uint32_t>((end_y + unit_y - 1) / unit_y);
  }
  region.pixels = {top * unit_y, left * unit_x, std::min(bottom * unit_y, header.height) - top * unit_y,
                   std::min(right * unit_x, header.width) - left * unit_x};
  for (uint32_t i = 0; i < header.num_components; ++i) {
    const Component& c = header.components[i];
    BlockRect& r = region.blocks[i];
    // A narrow component can end before the region's last MCU begins (its own blocks only): then nothing of it is delivered
    // there.
    r.x0 = std::min<uint32_t>(left * c.h, c.block_cols);
    r.y0 = std::min<uint32_t>(top * c.v, c.block_rows);
    r.w = std::min<uint32_t>(right * c.h, c.block_cols) - r.x0;
    r.h = std::min<uint32_t>(bottom * c.v, c.block_rows) - r.y0;
  }
  return {};
}

}  // namespace dctload
