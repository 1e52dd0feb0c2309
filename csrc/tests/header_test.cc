// Markers and segments: what a header says, what is refused and where, and what is passed over with a warning.
#include "header.h"

#include <cstring>

#include "check.h"
#include "jpeg_writer.h"
#include "scan_driver.h"

using namespace dctload;
using namespace dctload::testing;

namespace {

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes segment(uint8_t marker, const Bytes& body) {
  const size_t length = body.size() + 2;
  return Bytes{0xFF, marker, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)} + body;
}

Bytes text(const char* s) { return {s, s + std::strlen(s)}; }

const Bytes kSoi = {0xFF, 0xD8}, kEoi = {0xFF, 0xD9};

Bytes dqt(uint8_t index, uint8_t first) {
  Bytes body = {index};
  for (uint8_t k = 0; k < 64; ++k) body.push_back(static_cast<uint8_t>(first + k));
  return segment(0xDB, body);
}

struct FrameComponent {
  uint8_t id, factors, tq = 0;
};

Bytes sof(uint8_t marker, uint32_t width, uint32_t height, const std::vector<FrameComponent>& components, uint8_t precision = 8) {
  Bytes body = {precision,
                static_cast<uint8_t>(height >> 8),
                static_cast<uint8_t>(height),
                static_cast<uint8_t>(width >> 8),
                static_cast<uint8_t>(width),
                static_cast<uint8_t>(components.size())};
  for (const FrameComponent& c : components) body = body + Bytes{c.id, c.factors, c.tq};
  return segment(marker, body);
}

Bytes sos(const std::vector<uint8_t>& ids, uint8_t ss = 0, uint8_t se = 63, uint8_t a = 0) {
  Bytes body = {static_cast<uint8_t>(ids.size())};
  for (const uint8_t id : ids) body = body + Bytes{id, 0};
  return segment(0xDA, body + Bytes{ss, se, a});
}

const std::vector<FrameComponent> kThree = {{1, 0x22}, {2, 0x11}, {3, 0x11}};
const Bytes kData = {1, 2, 0xFF, 0, 3};

// The smallest stream of three components, with `extra` segments before the frame.
Bytes stream(const Bytes& extra = {}, const std::vector<FrameComponent>& components = kThree) {
  std::vector<uint8_t> ids;
  for (const FrameComponent& c : components) ids.push_back(c.id);
  return kSoi + dqt(0, 1) + extra + sof(0xC0, 100, 60, components) + sos(ids) + kData + kEoi;
}

struct Read {
  Result result;
  Header header;
  uint32_t warnings = 0;
};

Read read(const Bytes& bytes, const Limits& limits = {}) {
  Read r;
  r.result = read_header(bytes, limits, r.header, r.warnings);
  return r;
}

void refused(const Bytes& bytes, Code code, uint64_t offset, uint32_t detail = 0) {
  const Read r = read(bytes);
  CHECK_EQ(r.result.code, code);
  CHECK_EQ(r.result.offset, offset);
  CHECK_EQ(r.result.detail, detail);
}

}  // namespace

TEST(a_header_says_what_the_frame_says) {
  const Read r = read(kSoi + dqt(0, 1) + dqt(1, 100) + segment(0xDD, {1, 2}) +
                      sof(0xC2, 100, 60, {{7, 0x22, 0}, {8, 0x11, 1}, {9, 0x12, 0}}) + sos({7, 8, 9}, 0, 0) + kData + kEoi);
  CHECK(r.result.ok());
  CHECK_EQ(r.warnings, 0u);
  const Header& h = r.header;
  CHECK_EQ(h.width, 100u);
  CHECK_EQ(h.height, 60u);
  CHECK_EQ(h.num_components, 3);
  CHECK_EQ(h.process, Process::kProgressive);
  CHECK_EQ(h.color, ColorSpace::kYCbCr);
  CHECK_EQ(h.restart_interval, 0x102);
  CHECK_EQ(h.h_max, 2);
  CHECK_EQ(h.v_max, 2);
  CHECK_EQ(h.mcus_x, 7u);
  CHECK_EQ(h.mcus_y, 4u);
  CHECK_EQ(h.num_mcus(), 28u);
  const uint32_t cols[] = {13, 7, 7}, rows[] = {8, 4, 8};  // of 100 x 60, 50 x 30 and 50 x 60 samples
  for (size_t i = 0; i < 3; ++i) {
    CHECK_EQ(h.components[i].id, 7 + i);
    CHECK_EQ(h.components[i].block_cols, cols[i]);
    CHECK_EQ(h.components[i].block_rows, rows[i]);
    for (uint32_t k = 0; k < 64; ++k) CHECK_EQ(h.components[i].quantization[kZigzag[k]], (i == 1 ? 100 : 1) + k);
  }
}

TEST(the_zigzag_is_that_of_figure_a6) {
  uint32_t u = 0, v = 0;
  for (uint32_t k = 0; k < 64; ++k) {
    CHECK_EQ(kZigzag[k], 8 * v + u);
    if ((u + v) % 2 == 0) {  // up and to the right
      if (u == 7)
        ++v;
      else if (v == 0)
        ++u;
      else
        ++u, --v;
    } else {
      if (v == 7)
        ++u;
      else if (u == 0)
        ++v;
      else
        --u, ++v;
    }
  }
}

TEST(an_mcu_of_one_component_is_a_block) {
  const Read r = read(stream({}, {{1, 0x22}}));
  CHECK(r.result.ok());
  CHECK_EQ(r.header.color, ColorSpace::kGray);
  CHECK_EQ(r.header.num_mcus(), 13u * 8);
}

TEST(a_table_counts_that_is_in_force_at_the_first_scan) {
  const std::vector<FrameComponent> two = {{1, 0x11}, {2, 0x11}};
  const Bytes scans = kSoi + dqt(0, 1) + sof(0xC0, 8, 8, two) + sos({1}) + kData + dqt(0, 50) + sos({2}) + kData + kEoi;
  const Read r = read(scans);
  CHECK(r.result.ok());
  CHECK_EQ(r.header.components[0].quantization[0], 1);
  CHECK_EQ(r.header.components[1].quantization[0], 50);
}

TEST(wide_tables_have_two_bytes_a_step) {
  Bytes body = {0x10};
  for (int k = 0; k < 64; ++k) body = body + Bytes{3, static_cast<uint8_t>(k)};
  const Read r = read(stream(segment(0xDB, body)));
  CHECK_EQ(r.header.components[0].quantization[8], 0x300 + 2);
}

TEST(colour_follows_jfif_then_adobe_then_the_ids) {
  const Bytes jfif = segment(0xE0, text("JFIF") + Bytes{0, 1, 1, 0, 0, 1, 0, 1, 0, 0});
  const auto adobe = [](uint8_t transform) { return segment(0xEE, text("Adobe") + Bytes{0, 100, 0, 0, 0, 0, transform}); };
  const std::vector<FrameComponent> rgb = {{'R', 0x11}, {'G', 0x11}, {'B', 0x11}},
                                    four = {{1, 0x11}, {2, 0x11}, {3, 0x11}, {4, 0x11}};
  const auto color = [](const Bytes& bytes) { return read(bytes).header.color; };
  CHECK_EQ(color(stream()), ColorSpace::kYCbCr);
  CHECK_EQ(color(stream({}, rgb)), ColorSpace::kRgb);
  CHECK_EQ(color(stream(jfif, rgb)), ColorSpace::kYCbCr);
  CHECK_EQ(color(stream(adobe(0))), ColorSpace::kRgb);
  CHECK_EQ(color(stream(adobe(1), rgb)), ColorSpace::kYCbCr);
  CHECK_EQ(color(stream(jfif + adobe(0))), ColorSpace::kYCbCr);
  CHECK_EQ(color(stream({}, four)), ColorSpace::kCmyk);
  CHECK_EQ(color(stream(adobe(0), four)), ColorSpace::kCmyk);
  CHECK_EQ(color(stream(adobe(2), four)), ColorSpace::kYcck);
  CHECK_EQ(color(stream({}, {{1, 0x11}, {2, 0x11}})), ColorSpace::kUnknown);
  CHECK_EQ(read(stream(adobe(9))).warnings, uint32_t{kWarnAdobeTransform});
}

TEST(orientation_comes_from_exif) {
  const Bytes little = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  const Bytes big = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0};
  const auto exif = [](const Bytes& tiff) { return segment(0xE1, text("Exif") + Bytes{0, 0} + tiff); };
  CHECK_EQ(read(stream()).header.orientation, 1);
  CHECK_EQ(read(stream(exif(little))).header.orientation, 6);
  CHECK_EQ(read(stream(exif(big))).header.orientation, 8);
  CHECK_EQ(read(stream(exif(big) + exif(little))).header.orientation, 8);  // the first one counts
  for (size_t size = 0; size <= little.size(); ++size) {                   // cut short anywhere: no orientation, no harm
    const uint8_t got =
        read(stream(exif(Bytes(little.begin(), little.begin() + static_cast<ptrdiff_t>(size))))).header.orientation;
    CHECK(got == 1 || got == 6);
  }
  Bytes far = little;
  for (const uint32_t offset : {0u, 7u, 9u, 25u, 26u, 0x7FFFFFFFu, 0xFFFFFFF0u, 0xFFFFFFFFu}) {
    std::memcpy(far.data() + 4, &offset, 4);
    CHECK(read(stream(exif(far))).header.orientation <= 8);
  }
}

TEST(what_is_no_jpeg_is_named) {
  const auto format = [](const Bytes& bytes) {
    const Read r = read(bytes);
    CHECK_EQ(r.result.code, Code::kNotJpeg);
    return static_cast<Format>(r.result.detail);
  };
  CHECK_EQ(format({}), Format::kEmpty);
  CHECK_EQ(format({0xFF}), Format::kUnknown);
  CHECK_EQ(format(text("\x89PNG\r\n")), Format::kPng);
  CHECK_EQ(format(text("GIF89a")), Format::kGif);
  CHECK_EQ(format(text("RIFF....WEBPVP8 ")), Format::kWebp);
  CHECK_EQ(format(text("<html>no such page</html>")), Format::kText);
  CHECK_EQ(format(text("PK\x03\x04")), Format::kZip);
  CHECK_EQ(format(Bytes{0} + kSoi), Format::kUnknown);
}

TEST(other_processes_are_refused_by_name) {
  const auto with = [](uint8_t marker) { return kSoi + sof(marker, 8, 8, {{1, 0x11}}); };
  for (const uint8_t marker : {0xC9, 0xCA}) refused(with(marker), Code::kArithmetic, 2);
  for (const uint8_t marker : {0xC3, 0xCB}) refused(with(marker), Code::kLossless, 2);
  for (const uint8_t marker : {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF}) refused(with(marker), Code::kHierarchical, 2);
  refused(with(0xF7), Code::kJpegLs, 2);
  refused(kSoi + sof(0xC1, 8, 8, {{1, 0x11}}, 12), Code::kPrecision, 2, 12);
}

TEST(damaged_headers_are_refused_where_the_damage_is) {
  const Bytes start = kSoi + dqt(0, 1);
  const uint64_t at = start.size();
  const Bytes frame = sof(0xC0, 8, 8, {{1, 0x11}});
  refused(start + sof(0xC0, 0, 8, {{1, 0x11}}), Code::kBadFrame, at);
  refused(start + sof(0xC0, 8, 0, {{1, 0x11}}), Code::kBadFrame, at);
  refused(start + sof(0xC0, 8, 8, {}), Code::kBadFrame, at);
  refused(start + sof(0xC0, 8, 8, {{1, 0x01}}), Code::kBadFrame, at);
  refused(start + sof(0xC0, 8, 8, {{1, 0x15}}), Code::kBadFrame, at);
  refused(start + segment(0xC0, {8, 0, 8, 0, 8, 2, 1, 0x11, 0}), Code::kBadLength, at, 0xC0);
  refused(start + frame + frame, Code::kDuplicateMarker, at + frame.size(), 0xC0);
  refused(start + kSoi, Code::kDuplicateMarker, at, 0xD8);
  refused(start + segment(0xF0, {}), Code::kBadMarker, at, 0xF0);
  refused(start + segment(0xDD, {1}), Code::kBadLength, at, 0xDD);
  refused(start + segment(0xCC, {1}), Code::kBadLength, at, 0xCC);
  refused(start + segment(0xCC, {32, 0}), Code::kBadConditioning, at);
  refused(start + segment(0xDB, {4}), Code::kBadQuantization, at);
  refused(start + segment(0xDB, {0, 1, 2}), Code::kBadLength, at, 0xDB);
  refused(start + segment(0xC4, Bytes(1, 4) + Bytes(16, 0)), Code::kBadHuffman, at);
  refused(start + segment(0xC4, Bytes(1, 0) + Bytes(16, 1)), Code::kBadHuffman, at);
  refused(start + segment(0xC4, Bytes(5, 0)), Code::kBadLength, at, 0xC4);
  refused(start + sos({1}), Code::kBadScan, at);
  refused(start + frame + sos({2}), Code::kBadScan, at + frame.size(), 2);
  refused(start + frame + sos({1, 1}), Code::kBadScan, at + frame.size(), 1);
  refused(start + frame + segment(0xDA, {1, 1, 0}), Code::kBadLength, at + frame.size(), 0xDA);
  refused(start + sof(0xC0, 8, 8, {{1, 0x11, 2}}) + sos({1}), Code::kMissingQuantization, at + frame.size(), 2);
  const Bytes eleven = sof(0xC0, 64, 64, {{1, 0x33}, {2, 0x12}});
  refused(start + eleven + sos({1, 2}), Code::kBadScan, at + eleven.size());
}

TEST(progressive_parameters_are_checked) {
  const Bytes start = kSoi + dqt(0, 1) + sof(0xC2, 8, 8, {{1, 0x11}, {2, 0x11}});
  const auto code = [&](const Bytes& scan) { return read(start + scan + kData + sos({2}, 0, 0) + kData + kEoi).result.code; };
  CHECK_EQ(code(sos({1}, 0, 0, 0x00)), Code::kOk);
  CHECK_EQ(code(sos({1, 2}, 0, 0, 0x0D)), Code::kOk);
  CHECK_EQ(code(sos({1}, 1, 63, 0x21)), Code::kOk);
  CHECK_EQ(code(sos({1}, 63, 63, 0x0D)), Code::kOk);
  CHECK_EQ(code(sos({1}, 0, 63)), Code::kBadProgression);
  CHECK_EQ(code(sos({1}, 5, 4)), Code::kBadProgression);
  CHECK_EQ(code(sos({1}, 1, 64)), Code::kBadProgression);
  CHECK_EQ(code(sos({1, 2}, 1, 5)), Code::kBadProgression);
  CHECK_EQ(code(sos({1}, 1, 5, 0x20)), Code::kBadProgression);
  CHECK_EQ(code(sos({1}, 1, 5, 0x0E)), Code::kBadProgression);
}

TEST(a_stream_that_ends_early_holds_no_image) {
  const Bytes bytes = stream(segment(0xC4, Bytes(1, 0) + Bytes(16, 0)));
  const size_t data = bytes.size() - kData.size() - 2;
  for (size_t size = 2; size < bytes.size(); ++size) {
    const Read r = read({bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)});
    CHECK_EQ(r.result.code, size < data ? Code::kNoImage : Code::kOk);
  }
  refused(kSoi + kEoi, Code::kNoImage, 2);
}

TEST(oddities_are_warned_about) {
  const auto warnings = [](const Bytes& bytes) {
    const Read r = read(bytes);
    CHECK(r.result.ok());
    return r.warnings;
  };
  CHECK_EQ(warnings(stream()), 0u);
  CHECK_EQ(warnings(stream({0xFF, 0xFF, 0xFF})), 0u);  // fill bytes (B.1.1.2)
  CHECK_EQ(warnings(stream(segment(0xFE, text("a comment")))), 0u);
  CHECK_EQ(warnings(stream(text("junk"))), uint32_t{kWarnJunkBetweenSegments});
  CHECK_EQ(warnings(stream({0xFF, 0x00})), uint32_t{kWarnJunkBetweenSegments});
  CHECK_EQ(warnings(stream({0xFF, 0xFE, 0, 0})), uint32_t{kWarnShortSegment});
  CHECK_EQ(warnings(stream({0xFF, 0xD3})), uint32_t{kWarnUnexpectedRestart});
  CHECK_EQ(warnings(stream({}, {{1, 0x11}, {1, 0x11}, {1, 0x11}})), uint32_t{kWarnDuplicateId});
  const Bytes frame = kSoi + dqt(0, 1) + sof(0xC0, 8, 8, {{1, 0x11}});
  CHECK_EQ(warnings(frame + sos({1}, 0, 62) + kData + kEoi), uint32_t{kWarnScanParameters});
  const Bytes two = kSoi + dqt(0, 1) + sof(0xC0, 8, 8, {{1, 0x11}, {2, 0x11}});
  CHECK_EQ(warnings(two + sos({1}) + kData + kEoi), uint32_t{kWarnMissingScan});
}

TEST(limits_are_bounds_that_still_pass) {
  const Bytes bytes = stream();
  const auto code = [&](const Limits& limits) { return read(bytes, limits).result.code; };
  CHECK_EQ(code({6000, 3, 1, bytes.size()}), Code::kOk);
  CHECK_EQ(code({5999, 3, 1, bytes.size()}), Code::kLimitPixels);
  CHECK_EQ(code({6000, 2, 1, bytes.size()}), Code::kLimitComponents);
  CHECK_EQ(code({6000, 3, 0, bytes.size()}), Code::kLimitScans);
  CHECK_EQ(code({6000, 3, 1, bytes.size() - 1}), Code::kLimitBytes);
  const Bytes five = kSoi + dqt(0, 1) + sof(0xC0, 8, 8, {{1, 0x11}, {2, 0x11}, {3, 0x11}, {4, 0x11}, {5, 0x11}});
  CHECK_EQ(read(five).result.code, Code::kLimitComponents);
}

TEST(a_parser_gives_scan_after_scan) {
  const Bytes restart_in_data = {9, 0xFF, 0xD0, 9, 0xFF, 0, 9, 0xFF, 0xFF};
  const Bytes head = kSoi + dqt(0, 1) + sof(0xC0, 16, 16, kThree);
  const Bytes bytes = head + sos({1}) + restart_in_data + sos({2}) + kData + segment(0xDD, {0, 5}) + sos({3}) + kData + kEoi;
  Parser parser;
  parser.reset(bytes, {});
  uint64_t offset = head.size();
  ScanHeader scan;
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(parser.next_scan(scan));
    CHECK_EQ(parser.num_scans(), i + 1);
    CHECK_EQ(scan.num_components, 1);
    CHECK_EQ(scan.component[0], i);
    const size_t size = sos({1}).size() + (i == 2 ? 6 : 0);
    CHECK_EQ(scan.data_offset, offset + size);
    CHECK_EQ(parser.restart_interval(), i == 2 ? 5u : 0u);
    offset += size + (i == 0 ? restart_in_data.size() : kData.size());
    const uint64_t end = parser.find_marker(scan.data_offset);
    CHECK(end == offset || (i == 0 && end + 2 == offset));  // fill bytes belong to the marker
    parser.seek(end);
  }
  CHECK(!parser.next_scan(scan));
  CHECK(parser.saw_eoi());
  CHECK(parser.result().ok());
  CHECK_EQ(parser.find_marker(bytes.size() + 5), bytes.size());
}

TEST_MAIN()
