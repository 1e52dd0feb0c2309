// Regions snapped out to MCUs, and channel masks by colour.
#include "selection.h"

#include <algorithm>
#include <tuple>

#include "check.h"
#include "jpeg_writer.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

Header header_of(uint32_t width, uint32_t height, const std::vector<std::pair<int, int>>& factors) {
  const Picture picture = make_picture(width, height, factors, 1, {0, 0, 0});
  Header h;
  h.width = width;
  h.height = height;
  h.num_components = static_cast<uint8_t>(factors.size());
  h.h_max = static_cast<uint8_t>(picture.h_max);
  h.v_max = static_cast<uint8_t>(picture.v_max);
  h.mcus_x = picture.mcus_x;
  h.mcus_y = picture.mcus_y;
  for (size_t i = 0; i < factors.size(); ++i) {
    h.components[i].h = picture.planes[i].h;
    h.components[i].v = picture.planes[i].v;
    h.components[i].block_cols = picture.planes[i].cols;
    h.components[i].block_rows = picture.planes[i].rows;
  }
  return h;
}

Region snapped(const Header& h, const Box& box) {
  Region region;
  REQUIRE(snap(h, &box, region).ok());
  return region;
}

void check_box(const Box& got, const Box& want) {
  CHECK_EQ(got.top, want.top);
  CHECK_EQ(got.left, want.left);
  CHECK_EQ(got.height, want.height);
  CHECK_EQ(got.width, want.width);
}

const std::vector<Header>& headers() {
  static const std::vector<Header> all = {
      header_of(100, 75, {{1, 1}}),
      header_of(100, 75, {{2, 2}, {1, 1}, {1, 1}}),
      header_of(61, 140, {{2, 2}}),
      header_of(150, 33, {{3, 1}, {1, 1}, {1, 2}}),
      header_of(33, 90, {{1, 1}, {4, 2}, {1, 4}, {3, 1}}),
      header_of(1, 1, {{4, 4}, {1, 1}}),
      header_of(65535, 9, {{2, 1}, {1, 1}, {1, 1}}),
  };
  return all;
}

}  // namespace

TEST(no_box_means_the_whole_image) {
  for (const Header& h : headers()) {
    Region region;
    REQUIRE(snap(h, nullptr, region).ok());
    check_box(region.pixels, {0, 0, h.height, h.width});
    for (uint32_t i = 0; i < h.num_components; ++i) {
      const BlockRect& r = region.blocks[i];
      CHECK_EQ(std::tuple(r.x0, r.y0, r.w, r.h) == std::tuple(0u, 0u, h.components[i].block_cols, h.components[i].block_rows),
               true);
    }
  }
}

TEST(a_box_is_snapped_out_to_mcus) {
  const Header h = header_of(100, 75, {{2, 2}, {1, 1}, {1, 1}});  // MCUs of 16 x 16 pixels
  const Region region = snapped(h, {17, 40, 20, 1});
  check_box(region.pixels, {16, 32, 32, 16});
  const BlockRect &y = region.blocks[0], &cb = region.blocks[1];
  CHECK_EQ(std::tuple(y.x0, y.y0, y.w, y.h) == std::tuple(4u, 2u, 2u, 4u), true);
  CHECK_EQ(std::tuple(cb.x0, cb.y0, cb.w, cb.h) == std::tuple(2u, 1u, 1u, 2u), true);
  check_box(snapped(h, {70, 90, 1000, 0xFFFFFFFF}).pixels, {64, 80, 11, 20});  // clipped to the image
  check_box(snapped(h, {16, 16, 16, 16}).pixels, {16, 16, 16, 16});
}

TEST(a_region_covers_its_box_and_snapping_it_changes_nothing) {
  Random random(1);
  for (const Header& h : headers()) {
    for (int trial = 0; trial < 300; ++trial) {
      const Box box{random.below(h.height), random.below(h.width), 1 + random.below(h.height), 1 + random.below(h.width)};
      const Region region = snapped(h, box);
      const Box& p = region.pixels;
      CHECK(p.top <= box.top);
      CHECK(p.left <= box.left);
      CHECK(p.top + p.height >= std::min(box.top + box.height, h.height));
      CHECK(p.left + p.width >= std::min(box.left + box.width, h.width));
      CHECK(p.top + p.height <= h.height);
      CHECK(p.left + p.width <= h.width);
      CHECK(box.top - p.top < 8u * h.v_max);
      CHECK(box.left - p.left < 8u * h.h_max);
      check_box(snapped(h, p).pixels, p);
      for (uint32_t i = 0; i < h.num_components; ++i) {
        const Component& c = h.components[i];
        const BlockRect& r = region.blocks[i];
        CHECK(r.w >= 1);
        CHECK(r.h >= 1);
        CHECK(r.x0 + r.w <= c.block_cols);
        CHECK(r.y0 + r.h <= c.block_rows);
        // Its first block begins where the region begins, in the component's own samples.
        CHECK_EQ(8 * r.x0 * h.h_max, p.left * c.h);
        CHECK_EQ(8 * r.y0 * h.v_max, p.top * c.v);
      }
    }
  }
}

TEST(a_box_beside_the_image_is_refused) {
  const Header h = header_of(100, 75, {{1, 1}});
  for (const Box& box : {Box{75, 0, 1, 1}, Box{0, 100, 1, 1}, Box{0, 0, 0, 5}, Box{0, 0, 5, 0}, Box{0xFFFFFFFF, 0, 2, 2}}) {
    Region region;
    CHECK_EQ(snap(h, &box, region).code, Code::kRegionOutside);
  }
}

TEST(masks_go_by_colour) {
  const Selection selection{1, 2, 4};
  const auto masks = [&](uint8_t components, ColorSpace color) {
    Header h;
    h.num_components = components;
    h.color = color;
    return component_masks(h, selection);
  };
  CHECK(masks(1, ColorSpace::kGray) == (ComponentMasks{1, 0, 0, 0}));
  CHECK(masks(2, ColorSpace::kUnknown) == (ComponentMasks{1, 1, 0, 0}));
  CHECK(masks(3, ColorSpace::kYCbCr) == (ComponentMasks{1, 2, 4, 0}));
  CHECK(masks(3, ColorSpace::kRgb) == (ComponentMasks{1, 1, 1, 0}));
  CHECK(masks(4, ColorSpace::kCmyk) == (ComponentMasks{1, 1, 1, 1}));
  CHECK(masks(4, ColorSpace::kYcck) == (ComponentMasks{1, 2, 4, 1}));
}

TEST_MAIN()
