// Packing of one tile: every CPU level writes the same bytes, which unpack to the same values.
#include "tiles.h"

#include <algorithm>
#include <bit>

#include "check.h"
#include "cpu.h"
#include "image.h"
#include "jpeg_writer.h"
#include "packed_image.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

constexpr size_t kSlack = 32;  // pack_tile may write this far past the largest tile

std::vector<const Kernels*> levels() {
  std::vector<const Kernels*> out;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
    if (supported(level)) out.push_back(&kernels(level));
  }
  return out;
}

using Tile = std::vector<int16_t>;  // [channels][64], in lane order

// The values of a packed tile, by docs/wire-format.md. False if its length is not the one right length.
bool slow_unpack(const Bytes& packed, uint32_t channels, bool has_dc, Tile& values) {
  size_t mask_at = 2 + (channels + 1) / 2, planes = 0;
  std::vector<uint32_t> widths(channels);
  for (uint32_t k = 0; k < channels; ++k) {
    widths[k] = packed[2 + k / 2] >> (4 * (k % 2)) & 15;
    if (widths[k] == 15) widths[k] = 16;
    planes += widths[k];
  }
  size_t byte_at = mask_at + planes;
  values.assign(size_t{channels} * 64, 0);
  for (uint32_t k = 0; k < channels; ++k) {
    uint16_t folded[64] = {};
    for (uint32_t p = widths[k]; p-- > 0;) {
      const uint8_t mask = packed[mask_at++];
      if (p == widths[k] - 1 && widths[k] < 16 && mask == 0) return false;  // not the smallest width
      for (uint32_t g = 0; g < 8; ++g) {
        const uint8_t byte = (mask >> g & 1) != 0 ? packed[byte_at++] : uint8_t{0};
        if ((mask >> g & 1) != 0 && byte == 0) return false;
        for (uint32_t b = 0; b < 8; ++b) folded[8 * g + b] = static_cast<uint16_t>(folded[8 * g + b] | (byte >> b & 1) << p);
      }
    }
    int base = 0;
    if (k == 0 && has_dc) base = static_cast<int16_t>(packed[0] | packed[1] << 8);
    for (uint32_t i = 0; i < 64; ++i) {
      const int v = (folded[i] >> 1) ^ -(folded[i] & 1);
      values[size_t{k} * 64 + i] = static_cast<int16_t>(v + base);
    }
  }
  if (!has_dc && (packed[0] | packed[1]) != 0) return false;
  return packed.size() == wire::align(byte_at) &&
         std::all_of(packed.begin() + static_cast<ptrdiff_t>(byte_at), packed.end(), [](uint8_t b) { return b == 0; });
}

void check_tile(const Tile& tile, uint32_t channels, bool has_dc) {
  Bytes first;
  for (const Kernels* k : levels()) {
    Tile work = tile;
    work.insert(work.end(), 64, 77);  // what lies behind the tile stays as it is: there the decoder keeps its trash
    Bytes out(wire::max_tile_bytes(channels) + kSlack, 0xAB);
    const size_t size = k->pack_tile(work.data(), channels, has_dc, out.data());
    REQUIRE(size <= wire::max_tile_bytes(channels));
    REQUIRE(size >= wire::min_tile_bytes(channels));
    CHECK_EQ(size % 16, 0u);
    out.resize(size);
    CHECK(std::all_of(work.begin(), work.end() - 64, [](int16_t v) { return v == 0; }));
    CHECK(std::all_of(work.end() - 64, work.end(), [](int16_t v) { return v == 77; }));
    if (first.empty()) {
      first = out;
      Tile values;
      CHECK(slow_unpack(out, channels, has_dc, values));
      CHECK(values == tile);
    } else {
      CHECK(out == first);
    }
  }
}

Bytes record(ImageDecoder& decoder, const Kernels& kernels, const Bytes& file, const Selection& selection) {
  PackedImage image;
  decoder.release();
  decoder.decode_packed(file, selection, nullptr, {}, image);
  Bytes out(image.record_bytes() + 16);
  uint8_t* const aligned = out.data() + (-reinterpret_cast<uintptr_t>(out.data()) & 15);
  image.write(kernels, aligned);
  return {aligned, aligned + image.record_bytes()};
}

}  // namespace

TEST(random_tiles_of_every_width) {
  Random random(1);
  for (uint32_t channels = 1; channels <= 64; ++channels) {
    for (int trial = 0; trial < 60; ++trial) {
      Tile tile(size_t{channels} * 64);
      for (uint32_t k = 0; k < channels; ++k) {
        const uint32_t width = random.below(17), filled = 1 + random.below(64);
        for (uint32_t i = 0; i < 64 && width != 0; ++i) {
          const uint32_t folded = random() & ((1u << width) - 1);
          if (random.below(filled) == 0) tile[k * 64 + i] = static_cast<int16_t>((folded >> 1) ^ (0u - (folded & 1)));
        }
      }
      check_tile(tile, channels, trial % 2 == 0);
    }
  }
}

TEST(each_width_at_its_bounds) {
  // The smallest and the largest values that need w planes: fold(v) = 2^(w-1) and 2^w - 1.
  for (uint32_t w = 1; w <= 16; ++w) {
    for (const uint32_t folded : {1u << (w - 1), (1u << w) - 1}) {
      for (const uint32_t lane : {0u, 7u, 8u, 31u, 32u, 63u}) {
        Tile tile(64 * 3);
        tile[64 + lane] = static_cast<int16_t>((folded >> 1) ^ (0u - (folded & 1)));
        check_tile(tile, 3, false);
        check_tile(tile, 3, true);
        std::fill(tile.begin(), tile.end(), tile[64 + lane]);
        check_tile(tile, 3, false);
        check_tile(tile, 3, true);
      }
    }
  }
}

TEST(dc_takes_a_base_over_the_whole_range) {
  Random random(2);
  const int16_t extremes[] = {-32768, -32767, -1, 0, 1, 32766, 32767};
  for (const int16_t a : extremes) {
    for (const int16_t b : extremes) {
      Tile tile(64, a);
      check_tile(tile, 1, true);
      tile[random.below(64)] = b;
      check_tile(tile, 1, true);
      for (int16_t& v : tile) v = random.below(2) == 0 ? a : b;
      check_tile(tile, 1, true);
    }
  }
  for (int trial = 0; trial < 2000; ++trial) {
    Tile tile(64);
    const int middle = random.between(-32768, 32767), range = 1 << random.below(16);
    for (int16_t& v : tile) v = static_cast<int16_t>(middle + random.between(-range, range));
    check_tile(tile, 1, true);
  }
}

TEST(a_full_tile_has_the_largest_size) {
  Tile tile(64 * 64, -32768);  // 16 planes of ones each, or one plane and 15 empty ones: take both
  check_tile(tile, 64, false);
  Random random(3);
  for (int16_t& v : tile) v = static_cast<int16_t>(random());
  check_tile(tile, 64, false);
  CHECK_EQ(wire::max_tile_bytes(64), wire::kMaxTileBytes);
}

TEST(an_empty_tile_has_the_smallest_size) {
  for (uint32_t channels = 1; channels <= 64; ++channels) {
    Tile tile(size_t{channels} * 64);
    check_tile(tile, channels, true);
    Bytes out(wire::max_tile_bytes(channels) + kSlack);
    CHECK_EQ(levels()[0]->pack_tile(tile.data(), channels, true, out.data()), wire::min_tile_bytes(channels));
  }
}

TEST(outside_lanes_repeat_the_nearest_dc) {
  for (uint32_t w = 1; w <= 8; ++w) {
    for (uint32_t h = 1; h <= 8; ++h) {
      int16_t tile[128], without[128];
      for (int i = 0; i < 128; ++i) tile[i] = without[i] = static_cast<int16_t>(1000 + i);
      fill_outside(tile, true, w, h);
      for (uint32_t y = 0; y < 8; ++y) {
        for (uint32_t x = 0; x < 8; ++x) {
          CHECK_EQ(tile[wire::lane(y, x)], static_cast<int16_t>(1000 + wire::lane(std::min(y, h - 1), std::min(x, w - 1))));
        }
      }
      for (int i = 64; i < 128; ++i) CHECK_EQ(tile[i], 1000 + i);
      fill_outside(without, false, w, h);
      for (int i = 0; i < 128; ++i) CHECK_EQ(without[i], 1000 + i);
    }
  }
}

TEST(lanes_are_a_permutation_in_groups_of_two_rows_by_four_columns) {
  uint64_t seen = 0;
  for (uint32_t y = 0; y < 8; ++y) {
    for (uint32_t x = 0; x < 8; ++x) {
      const uint32_t lane = wire::lane(y, x);
      seen |= uint64_t{1} << lane;
      CHECK_EQ(lane / 8, y / 2 * 2 + x / 4);
    }
  }
  CHECK_EQ(seen, ~uint64_t{0});
}

TEST(blocks_are_transposed_on_every_level) {
  Random random(4);
  for (uint32_t count = 1; count <= 64; ++count) {
    int16_t storage[8][64];
    const int16_t* blocks[8];
    for (int b = 0; b < 8; ++b) {
      for (int16_t& v : storage[b]) v = static_cast<int16_t>(random());
      blocks[b] = storage[b];
    }
    uint8_t slots[64];
    for (uint32_t i = 0; i < count; ++i) slots[i] = static_cast<uint8_t>(count - 1 - i);
    const size_t stride = 8 + random.below(60);
    for (const Kernels* k : levels()) {
      std::vector<int16_t> out(stride * count, 5);
      k->transpose8(blocks, count, slots, out.data(), stride);
      for (uint32_t i = 0; i < count; ++i) {
        for (uint32_t b = 0; b < stride; ++b) CHECK_EQ(out[slots[i] * stride + b], b < 8 ? storage[b][i] : int16_t{5});
      }
    }
  }
}

TEST(tiles_are_used_again_and_keep_nothing_of_the_image_before) {
  // Other widths, samplings and channels one after the other, and images that end in an error within a band of tiles.
  constexpr Selection kSelections[] = {{}, {0x0F0F0F0F, 0x0303, 0x0303}, {1, 0, 0}, {~uint64_t{0}, 0, 1}};
  const std::vector<std::vector<std::pair<int, int>>> layouts = {
      {{1, 1}, {1, 1}, {1, 1}}, {{2, 2}, {1, 1}, {1, 1}}, {{1, 1}}, {{1, 3}, {1, 1}, {1, 2}}};
  std::vector<Bytes> files;
  for (uint32_t seed = 0; seed < 16; ++seed) {
    files.push_back(write_jpeg(make_picture(70 + 40 * (seed % 3), 60 + 33 * (seed % 5), layouts[seed % 4], seed), {}).bytes);
    if (seed % 3 == 0) files.back().resize(files.back().size() * 2 / 3);
  }
  for (const Kernels* k : levels()) {
    ImageDecoder used(*k);
    Random random(5);
    for (int trial = 0; trial < 200; ++trial) {
      const Bytes& file = files[random.below(static_cast<uint32_t>(files.size()))];
      const Selection& selection = kSelections[random.below(4)];
      ImageDecoder fresh(*k);
      CHECK(record(used, *k, file, selection) == record(fresh, *k, file, selection));
    }
  }
}

TEST_MAIN()
