// Whole images: what a small writer coded must come back from both doors of the decoder (planes, packed records), on every CPU
// level.
#include <algorithm>
#include <array>
#include <optional>

#include "check.h"
#include "decode_both.h"
#include "jpeg_writer.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

std::vector<const Kernels*> levels() {
  std::vector<const Kernels*> out;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2}) {
    if (supported(level)) out.push_back(&kernels(level));
  }
  return out;
}

constexpr Selection kAll{};
constexpr Selection k24{0x0F0F0F0F, 0x0303, 0x0303}, kDcOnly{1, 1, 1}, kNoDc{0xFF00FE, 2, 0};

// The decoders live as long as the program: scratch of one image must not show in the next.
ImageDecoder& decoder(const Kernels& k) {
  static ImageDecoder portable(kernels(CpuLevel::kPortable)), best(kernels(CpuLevel::kAvx2));
  return k.level == CpuLevel::kPortable ? portable : best;
}

// On every level, which must agree in everything.
Decoded decode(std::span<const uint8_t> file, const Selection& selection = kAll, const Box* box = nullptr,
               const DecodeOptions& options = {}) {
  std::optional<Decoded> first;
  for (const Kernels* k : levels()) {
    Decoded d = decode_both(*k, decoder(*k), file, selection, box, options);
    CHECK_EQ(d.complaint, "");
    if (first) {
      CHECK(same_outcome(first->outcome, d.outcome));
      CHECK(first->planes == d.planes);
      CHECK(first->record == d.record);
    } else {
      first = std::move(d);
    }
  }
  return *first;
}

// What the picture holds there, in the layout of Decoded::planes.
std::vector<std::vector<int16_t>> expected(const Picture& picture, const Decoded& d) {
  std::vector<std::vector<int16_t>> out;
  for (uint32_t c = 0; c < picture.planes.size(); ++c) {
    const Plane& p = picture.planes[c];
    const BlockRect& r = d.region.blocks[c];
    std::vector<int16_t> values;
    for (uint32_t f = 0; f < 64; ++f) {
      if ((d.masks[c] >> f & 1) == 0) continue;
      for (uint32_t y = r.y0; y < r.y0 + r.h; ++y) {
        for (uint32_t x = r.x0; x < r.x0 + r.w; ++x) values.push_back(p.blocks[size_t{y} * p.cols + x][f]);
      }
    }
    out.push_back(std::move(values));
  }
  return out;
}

void check_clean(const Picture& picture, const Stream& stream, const Selection& selection = kAll, const Box* box = nullptr) {
  const Decoded d = decode(stream.bytes, selection, box);
  CHECK_EQ(d.outcome.result.code, Code::kOk);
  CHECK_EQ(d.outcome.status, wire::kStatusOk);
  CHECK_EQ(d.outcome.warnings, 0u);
  CHECK_EQ(d.outcome.valid_mcus, d.header.num_mcus());
  CHECK(d.planes == expected(picture, d));
}

std::vector<Picture> pictures() {
  const Noise tame{}, wild{30, 32767, 16000};
  return {
      make_picture(100, 75, {{1, 1}, {1, 1}, {1, 1}}, 1, tame),
      make_picture(130, 97, {{2, 2}, {1, 1}, {1, 1}}, 2, tame),
      make_picture(64, 64, {{1, 1}}, 3, wild),
      make_picture(61, 140, {{2, 2}}, 4, tame),
      make_picture(150, 33, {{3, 1}, {1, 1}, {1, 2}}, 5, wild),
      make_picture(90, 90, {{1, 1}, {2, 2}, {1, 2}, {2, 1}}, 6, tame),
      make_picture(1, 1, {{4, 2}, {1, 2}}, 7, wild),
      make_picture(9, 700, {{1, 3}, {1, 1}, {1, 1}}, 8, tame),
  };
}

std::vector<uint8_t> all_symbols(uint32_t count, Random& random) {
  std::vector<uint8_t> out(count);
  for (uint32_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(i);
  for (uint32_t i = count; i > 1; --i) std::swap(out[i - 1], out[random.below(i)]);
  return out;
}

Coding random_coding(Random& random) {
  Coding coding;
  for (auto& table : coding.dc) table = random_table(all_symbols(16, random), random, 5 + random.below(12));
  // All but E0, an EOB run of 2^14 blocks: 255 symbols are the most that a table can count in one length.
  for (auto& table : coding.ac) {
    auto symbols = all_symbols(256, random);
    std::erase(symbols, 0xE0);
    table = random_table(symbols, random, 9 + random.below(8));
  }
  return coding;
}

std::vector<Scan> scan_a_component(const Picture& picture) {
  std::vector<Scan> scans;
  for (uint32_t c = 0; c < picture.planes.size(); ++c) scans.push_back({{c}});
  return scans;
}

std::vector<Scan> progression(const Picture& picture) { return usual_progression(static_cast<uint32_t>(picture.planes.size())); }

// Bits in many small steps, bands of odd widths.
std::vector<Scan> deep_progression(const Picture& picture) {
  std::vector<Scan> scans(1);
  for (uint32_t c = 0; c < picture.planes.size(); ++c) scans[0].components.push_back(c);
  scans[0].se = 0;
  scans[0].al = 5;
  for (uint32_t al = 5; al-- > 0;) scans.push_back({scans[0].components, 0, 0, al + 1, al});
  for (uint32_t c = 0; c < picture.planes.size(); ++c) {
    for (const auto& [ss, se] : {std::pair{1u, 1u}, {2u, 17u}, {18u, 63u}}) {
      scans.push_back({{c}, ss, se, 0, 4});
      for (uint32_t al = 4; al-- > 0;) scans.push_back({{c}, ss, se, al + 1, al});
    }
  }
  return scans;
}

std::vector<Coding> codings(const Picture& picture, uint32_t seed) {
  Random random(seed);
  std::vector<Coding> out;
  for (const auto& scans : {std::vector<Scan>{}, scan_a_component(picture), progression(picture), deep_progression(picture)}) {
    for (const uint32_t interval : {0u, 1u, 5u, 1000u}) {
      Coding coding = random_coding(random);
      coding.scans = scans;
      coding.progressive = !scans.empty() && scans.size() > picture.planes.size();
      coding.restart_interval = interval;
      out.push_back(coding);
    }
  }
  return out;
}

bool fits_in_an_mcu(const Picture& picture) {
  uint32_t blocks = 0;
  for (const Plane& p : picture.planes) blocks += uint32_t{p.h} * p.v;
  return picture.planes.size() == 1 || blocks <= 10;
}

}  // namespace

TEST(what_was_coded_comes_back) {
  uint32_t seed = 0;
  for (const Picture& picture : pictures()) {
    REQUIRE(fits_in_an_mcu(picture));
    for (const Coding& coding : codings(picture, ++seed)) check_clean(picture, write_jpeg(picture, coding));
  }
}

TEST(a_selection_is_the_whole_with_channels_left_out) {
  uint32_t seed = 100;
  for (const Picture& picture : pictures()) {
    for (const Coding& coding : codings(picture, ++seed)) {
      if (coding.restart_interval > 1) continue;
      const Stream stream = write_jpeg(picture, coding);
      Random random(seed);
      const Selection any{uint64_t{random()} << 32 | random(), uint64_t{random()} << 32 | random(), random() & random()};
      for (const Selection& selection : {k24, kDcOnly, kNoDc, any, Selection{0, 1, 0}}) check_clean(picture, stream, selection);
    }
  }
}

TEST(a_region_is_a_part_of_the_whole) {
  uint32_t seed = 200;
  for (const Picture& picture : pictures()) {
    for (const Coding& coding : codings(picture, ++seed)) {
      if (coding.restart_interval > 5) continue;
      const Stream stream = write_jpeg(picture, coding);
      Random random(seed);
      for (int trial = 0; trial < 6; ++trial) {
        const Box box{random.below(picture.height), random.below(picture.width), 1 + random.below(picture.height),
                      1 + random.below(picture.width)};
        check_clean(picture, stream, trial % 2 == 0 ? kAll : k24, &box);
      }
      const Box outside{picture.height, 0, 5, 5};
      CHECK_EQ(decode(stream.bytes, kAll, &outside).outcome.result.code, Code::kRegionOutside);
    }
  }
}

TEST(long_scans_come_in_several_pieces) {
  // Far more than the source's buffer, and much of it FF: the noise makes blocks of some 200 bytes.
  const Picture picture = make_picture(700, 500, {{2, 1}, {1, 1}, {1, 1}}, 11, {60, 32767, 16000});
  for (const Coding& coding : codings(picture, 12)) {
    const Stream stream = write_jpeg(picture, coding);
    CHECK(stream.bytes.size() > 200000);
    check_clean(picture, stream);
    check_clean(picture, stream, kDcOnly);
  }
}

TEST(the_largest_mcu_fits) {
  // Ten blocks of 64 coefficients with codes of 16 bits and values of 15: 2,480 bytes an MCU.
  Picture picture = make_picture(400, 64, {{2, 4}, {1, 1}, {1, 1}}, 13);
  for (Plane& p : picture.planes) {
    for (Block& block : p.blocks) {
      for (uint32_t f = 0; f < 64; ++f) block[f] = static_cast<int16_t>(f % 2 == 0 ? 16384 : -16384);
    }
  }
  Coding coding;
  for (auto& table : coding.ac) {
    table = HuffmanSpec{};
    table.defined = true;
    table.counts[16] = 2;
    table.symbols = {0x00, 0x0F};
  }
  for (auto& table : coding.dc) table = coding.ac[0];
  const Stream stream = write_jpeg(picture, coding);
  CHECK(stream.data_end[0] - stream.data[0] > 7 * 2 * 2480);
  check_clean(picture, stream);
  check_clean(picture, stream, kDcOnly);
}

TEST(an_mcu_that_ends_with_the_file_is_whole) {
  const Picture picture = make_picture(64, 8, {{1, 1}}, 14);
  Coding coding;
  coding.eoi = false;
  const Decoded d = decode(write_jpeg(picture, coding).bytes);
  CHECK_EQ(d.outcome.status, wire::kStatusOk);
  CHECK_EQ(d.outcome.warnings, uint32_t{kWarnNoEoi});
  CHECK(d.planes == expected(picture, d));
}

TEST(a_cut_file_keeps_the_mcus_that_came) {
  const Picture picture = make_picture(100, 75, {{2, 1}, {1, 1}, {1, 1}}, 15);
  for (const uint32_t interval : {0u, 4u}) {
    Coding coding;
    coding.restart_interval = interval;
    const Stream stream = write_jpeg(picture, coding);
    uint32_t before = 0;
    for (size_t size = stream.data[0]; size < stream.data_end[0] - 1; size += 7) {
      const std::span<const uint8_t> cut = std::span<const uint8_t>(stream.bytes).first(size);
      const Decoded strict = decode(cut);
      CHECK_EQ(strict.outcome.result.code, Code::kDataTruncated);
      CHECK(strict.outcome.result.offset + 2 >= size);
      CHECK(strict.outcome.result.offset <= size);

      const Decoded d = decode(cut, kAll, nullptr, {{}, true});
      CHECK_EQ(d.outcome.result.code, Code::kOk);
      CHECK_EQ(d.outcome.status, wire::kStatusTruncated);
      CHECK_EQ(d.outcome.loss.code, Code::kDataTruncated);
      CHECK(d.outcome.valid_mcus >= before);
      CHECK(d.outcome.valid_mcus < picture.mcus_x * picture.mcus_y);
      before = d.outcome.valid_mcus;
      Picture part = picture;  // what did not come is zero, DC too
      for (Plane& p : part.planes) {
        for (uint32_t y = 0; y < p.rows; ++y) {
          for (uint32_t x = 0; x < p.cols; ++x) {
            if (y / p.v * picture.mcus_x + x / p.h >= d.outcome.valid_mcus) p.blocks[size_t{y} * p.cols + x] = {};
          }
        }
      }
      CHECK(d.planes == expected(part, d));
    }
    CHECK(before > 50);
  }
}

TEST(a_progressive_file_may_be_cut_anywhere) {
  const Picture picture = make_picture(70, 50, {{2, 2}, {1, 1}, {1, 1}}, 16);
  for (const uint32_t interval : {0u, 3u}) {
    Coding coding;
    coding.progressive = true;
    coding.scans = progression(picture);
    coding.restart_interval = interval;
    const Stream stream = write_jpeg(picture, coding);
    for (size_t size = stream.data[0]; size + 2 < stream.bytes.size(); size += 11) {
      const std::span<const uint8_t> cut = std::span<const uint8_t>(stream.bytes).first(size);
      const Decoded d = decode(cut, size % 2 == 0 ? kAll : k24, nullptr, {{}, true});
      CHECK_EQ(d.outcome.result.code, Code::kOk);
      // A coefficient is right in the bits that came: never larger than the original, never of the other sign.
      const auto whole = expected(picture, d);
      for (size_t c = 0; c < whole.size(); ++c) {
        const size_t dc = (d.masks[c] & 1) != 0 ? size_t{d.region.blocks[c].w} * d.region.blocks[c].h : 0;
        for (size_t i = dc; i < whole[c].size(); ++i) {
          const int got = d.planes[c][i], want = whole[c][i];
          CHECK(std::abs(got) <= std::abs(want));
          CHECK(got == 0 || (got < 0) == (want < 0));
        }
      }
    }
  }
}

TEST(a_lost_restart_interval_is_lost_alone) {
  const Picture picture = make_picture(128, 64, {{1, 1}, {1, 1}}, 17);
  Coding coding;
  coding.restart_interval = 8;  // of 16 MCUs a row
  const Stream stream = write_jpeg(picture, coding);
  for (const size_t lost : {size_t{1}, size_t{4}, size_t{11}}) {
    Bytes bytes = stream.bytes;
    const auto at = [&](size_t i) { return bytes.begin() + static_cast<ptrdiff_t>(stream.restarts[i]); };
    bytes.erase(at(lost), at(lost + 1));
    CHECK_EQ(decode(bytes).outcome.result.code, Code::kRestartLost);
    const Decoded d = decode(bytes, kAll, nullptr, {{}, true});
    CHECK_EQ(d.outcome.status, wire::kStatusDamaged);
    CHECK_EQ(d.outcome.loss.code, Code::kRestartLost);
    CHECK_EQ(d.outcome.valid_mcus, 128u - 8);
    Picture part = picture;
    for (Plane& p : part.planes) {
      for (size_t i = 8 * (lost + 1); i < 8 * (lost + 2); ++i) p.blocks[i] = {};
    }
    CHECK(d.planes == expected(part, d));
  }
}

TEST(scans_of_a_component_coded_twice_are_laid_over_each_other) {
  const Picture picture = make_picture(40, 40, {{1, 1}, {1, 1}}, 18);
  Coding coding;
  coding.scans = {{{0}}, {{1}}, {{0}}};
  const Decoded d = decode(write_jpeg(picture, coding).bytes);
  CHECK_EQ(d.outcome.status, wire::kStatusOk);
  CHECK_EQ(d.outcome.warnings, uint32_t{kWarnRepeatedScan});
  CHECK(d.planes == expected(picture, d));
}

TEST(a_component_without_a_scan_is_zero) {
  Picture picture = make_picture(40, 40, {{1, 1}, {1, 1}, {1, 1}}, 19);
  Coding coding;
  coding.scans = {{{2}}, {{0}}};
  const Decoded d = decode(write_jpeg(picture, coding).bytes);
  CHECK_EQ(d.outcome.status, wire::kStatusOk);
  CHECK_EQ(d.outcome.warnings, uint32_t{kWarnMissingScan});
  for (Block& block : picture.planes[1].blocks) block = {};
  CHECK(d.planes == expected(picture, d));
}

// A buffer may change between the caller's look at the header and the decoding: planes of another size must not be written past.
TEST(planes_of_another_header_are_refused) {
  const auto frame = [](uint8_t side) {
    std::vector<uint8_t> file(71, 1);  // SOI and a table of ones
    std::ranges::copy(std::array<uint8_t, 7>{0xFF, 0xD8, 0xFF, 0xDB, 0, 0x43, 0}, file.begin());
    const std::array<uint8_t, 26> rest = {0xFF, 0xC0, 0, 0x0B, 8, 0, side, 0, side, 1, 1,    0x11, 0,
                                          0xFF, 0xDA, 0, 8,    1, 1, 0,    0, 0x3F, 0, 0x2B, 0xFF, 0xD9};
    for (const uint8_t byte : rest) file.push_back(byte);
    return file;
  };
  const std::vector<uint8_t> large = frame(64), small = frame(8);
  Header header;
  Region region;
  uint32_t warnings = 0;
  CHECK(read_header(large, {}, header, warnings).ok());
  CHECK(snap(header, nullptr, region).ok());
  ComponentMasks masks{};
  masks[0] = ~uint64_t{0};
  std::vector<int16_t> planes(size_t{65} * 64);
  for (const Kernels* k : levels()) {
    const Outcome outcome = decoder(*k).decode_planes(small, region, masks, {planes.data()}, {}, header);
    CHECK(outcome.result.code == Code::kIo);
    CHECK_EQ(outcome.status, wire::kStatusFailed);
  }
}

TEST(damaged_bytes_never_part_the_levels) {
  Random random(20);
  uint32_t decoded = 0;
  for (const Picture& picture : pictures()) {
    for (const Coding& coding : codings(picture, random())) {
      const Stream stream = write_jpeg(picture, coding);
      for (int trial = 0; trial < 12; ++trial) {
        Bytes bytes = stream.bytes;
        for (uint32_t n = 1 + random.below(6); n > 0; --n) {
          const size_t at = stream.data[0] + random.below(static_cast<uint32_t>(bytes.size() - stream.data[0]));
          bytes[at] = static_cast<uint8_t>(random.below(4) == 0 ? 255 : random());
        }
        const Box box{random.below(picture.height), random.below(picture.width), 1 + random.below(picture.height),
                      1 + random.below(picture.width)};
        const Decoded d = decode(bytes, trial % 3 == 0 ? k24 : kAll, trial % 2 == 0 ? nullptr : &box, {{}, trial % 4 != 0});
        decoded += d.outcome.result.ok();
      }
    }
  }
  CHECK(decoded > 500);
}

TEST_MAIN()
