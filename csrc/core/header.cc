#include "header.h"

#include <algorithm>
#include <cstring>

#include "exif.h"

namespace dctload {

const std::array<uint8_t, 64> kZigzag = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                         41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                         30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

namespace {

// Second bytes of markers (B.1.1.3).
enum : uint8_t {
  kTem = 0x01,
  kSof0 = 0xC0,
  kSof1 = 0xC1,
  kSof2 = 0xC2,
  kSof3 = 0xC3,
  kDht = 0xC4,
  kSof5 = 0xC5,
  kSof6 = 0xC6,
  kSof7 = 0xC7,
  kJpg = 0xC8,
  kSof9 = 0xC9,
  kSof10 = 0xCA,
  kSof11 = 0xCB,
  kDac = 0xCC,
  kSof13 = 0xCD,
  kSof14 = 0xCE,
  kSof15 = 0xCF,
  kRst0 = 0xD0,
  kRst7 = 0xD7,
  kSoi = 0xD8,
  kEoi = 0xD9,
  kSos = 0xDA,
  kDqt = 0xDB,
  kDnl = 0xDC,
  kDri = 0xDD,
  kDhp = 0xDE,
  kExp = 0xDF,
  kApp0 = 0xE0,
  kApp1 = 0xE1,
  kApp14 = 0xEE,
  kApp15 = 0xEF,
  kSof55 = 0xF7,
  kCom = 0xFE,
};

uint32_t be16(const uint8_t* p) { return static_cast<uint32_t>(p[0]) << 8 | p[1]; }
uint32_t ceil_div(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

bool starts(std::span<const uint8_t> data, size_t at, const char* text) {
  const size_t n = std::strlen(text);
  return data.size() >= at + n && std::memcmp(data.data() + at, text, n) == 0;
}

Format guess_format(std::span<const uint8_t> f) {
  if (f.empty()) return Format::kEmpty;
  if (starts(f, 0, "\x89PNG")) return Format::kPng;
  if (starts(f, 0, "GIF8")) return Format::kGif;
  if (starts(f, 0, "RIFF") && starts(f, 8, "WEBP")) return Format::kWebp;
  if (starts(f, 0, "BM")) return Format::kBmp;
  if (starts(f, 0, "II*") || starts(f, 0, "MM")) return Format::kTiff;
  if (starts(f, 4, "ftyp")) return Format::kHeif;
  if (starts(f, 0, "\xFF\x0A") || starts(f, 4, "JXL ")) return Format::kJpegXl;
  if (starts(f, 4, "jP  ") || starts(f, 0, "\xFF\x4F\xFF\x51")) return Format::kJpeg2000;
  if (starts(f, 0, "%PDF")) return Format::kPdf;
  if (starts(f, 0, "PK\x03\x04")) return Format::kZip;
  const auto head = f.first(std::min<size_t>(f.size(), 64));
  const bool text = std::all_of(head.begin(), head.end(),
                                [](uint8_t c) { return (c >= 32 && c < 127) || c == '\n' || c == '\r' || c == '\t'; });
  return text ? Format::kText : Format::kUnknown;
}

}  // namespace

uint32_t Header::num_mcus() const {
  if (num_components == 1) return components[0].block_rows * components[0].block_cols;
  return mcus_x * mcus_y;
}

void derive_grids(Header& header) {
  header.h_max = header.v_max = 1;
  for (uint32_t i = 0; i < header.num_components; ++i) {
    header.h_max = std::max(header.h_max, header.components[i].h);
    header.v_max = std::max(header.v_max, header.components[i].v);
  }
  for (uint32_t i = 0; i < header.num_components; ++i) {
    Component& c = header.components[i];
    c.block_cols = ceil_div(ceil_div(header.width * c.h, header.h_max), 8);
    c.block_rows = ceil_div(ceil_div(header.height * c.v, header.v_max), 8);
  }
  header.mcus_x = ceil_div(header.width, 8u * header.h_max);
  header.mcus_y = ceil_div(header.height, 8u * header.v_max);
}

void Parser::reset(std::span<const uint8_t> file, const Limits& limits) {
  *this = Parser();
  file_ = file;
  limits_ = limits;
}

bool Parser::fail(Code code, uint64_t offset, uint32_t detail) {
  if (result_.ok()) result_ = {code, detail, offset};
  return false;
}

uint64_t Parser::find_marker(uint64_t offset) const {
  const uint8_t* p = file_.data();
  const uint64_t size = file_.size();
  while (offset + 1 < size) {
    const void* hit = std::memchr(p + offset, 0xFF, size - 1 - offset);
    if (hit == nullptr) return size;
    offset = static_cast<uint64_t>(static_cast<const uint8_t*>(hit) - p);
    const uint8_t second = p[offset + 1];
    if (second == 0xFF) {
      ++offset;  // fill byte (B.1.1.2)
    } else if (second == 0 || (second >= kRst0 && second <= kRst7)) {
      offset += 2;
    } else {
      return offset;
    }
  }
  return size;
}

// The next marker from `at_`, past junk and fill bytes; false at the end of the data.
bool Parser::next_marker(uint8_t& marker) {
  const uint64_t size = file_.size();
  bool junk = false;
  for (;;) {
    while (at_ < size && file_[at_] != 0xFF) {
      ++at_;
      junk = true;
    }
    marker_at_ = at_;
    while (at_ < size && file_[at_] == 0xFF) ++at_;
    if (at_ >= size) {
      at_ = size;
      return false;
    }
    marker = file_[at_++];
    if (marker != 0) break;
    junk = true;  // FF00 outside entropy-coded data
  }
  if (junk) warn(kWarnJunkBetweenSegments);
  marker_at_ = at_ - 2;
  return true;
}

// The segment behind a marker (B.1.1.4), its length bytes taken off. A length of 0 or 1 is passed over where libjpeg does so.
bool Parser::segment(uint8_t marker, bool may_be_short, std::span<const uint8_t>& body) {
  const uint64_t size = file_.size();
  if (at_ + 2 > size) {
    at_ = size;
    return fail(num_scans_ ? Code::kDataTruncated : Code::kNoImage, size);
  }
  const uint32_t length = be16(&file_[at_]);
  at_ += 2;
  if (length < 2) {
    if (!may_be_short) return fail(Code::kBadLength, marker_at_, marker);
    warn(kWarnShortSegment);
    body = {};
    return true;
  }
  if (at_ + length - 2 > size) {
    if (!may_be_short || num_scans_ == 0) return fail(num_scans_ ? Code::kDataTruncated : Code::kNoImage, size);
    body = {};
    at_ = size;
    return true;
  }
  body = file_.subspan(at_, length - 2);
  at_ += length - 2;
  return true;
}

bool Parser::next_scan(ScanHeader& scan) {
  if (!result_.ok()) return false;
  if (at_ == 0) {
    if (file_.size() > limits_.bytes) return fail(Code::kLimitBytes, 0);
    if (file_.size() < 2 || file_[0] != 0xFF || file_[1] != kSoi) {
      return fail(Code::kNotJpeg, 0, static_cast<uint32_t>(guess_format(file_)));
    }
    at_ = 2;
  }
  uint8_t marker = 0;
  while (next_marker(marker)) {
    std::span<const uint8_t> body;
    switch (marker) {
      case kSof0:
      case kSof1:
      case kSof2:
        if (!read_frame(marker)) return false;
        break;
      case kSof9:
      case kSof10:
        return fail(Code::kArithmetic, marker_at_);
      case kSof3:
      case kSof11:
        return fail(Code::kLossless, marker_at_);
      case kSof5:
      case kSof6:
      case kSof7:
      case kSof13:
      case kSof14:
      case kSof15:
      case kDhp:
      case kExp:
        return fail(Code::kHierarchical, marker_at_);
      case kSof55:
        return fail(Code::kJpegLs, marker_at_);
      case kSoi:
        return fail(Code::kDuplicateMarker, marker_at_, marker);
      case kEoi:
        saw_eoi_ = true;
        if (num_scans_ == 0) return fail(Code::kNoImage, marker_at_);
        return false;
      case kSos:
        return read_scan(scan);
      case kDht:
        if (!read_huffman()) return false;
        break;
      case kDqt:
        if (!read_quantization()) return false;
        break;
      case kDac:
        if (!read_conditioning()) return false;
        break;
      case kDri:
        if (!segment(marker, false, body)) return false;
        if (body.size() != 2) return fail(Code::kBadLength, marker_at_, marker);
        restart_interval_ = be16(body.data());
        break;
      case kDnl:
      case kCom:
        if (!segment(marker, true, body)) return false;
        break;
      default:
        if (marker >= kApp0 && marker <= kApp15) {
          if (!segment(marker, true, body)) return false;
          read_app(marker, body);
        } else if (marker >= kRst0 && marker <= kRst7) {
          warn(kWarnUnexpectedRestart);
        } else if (marker != kTem) {
          return fail(Code::kBadMarker, marker_at_, marker);
        }
    }
  }
  if (num_scans_ == 0) return fail(Code::kNoImage, file_.size());
  return false;
}

// B.2.2
bool Parser::read_frame(uint8_t marker) {
  const uint64_t at = marker_at_;
  std::span<const uint8_t> body;
  if (!segment(marker, false, body)) return false;
  if (saw_frame_) return fail(Code::kDuplicateMarker, at, marker);
  if (body.size() < 6) return fail(Code::kBadLength, at, marker);
  Header& h = header_;
  h.process = marker == kSof0 ? Process::kBaseline : marker == kSof1 ? Process::kExtended : Process::kProgressive;
  h.precision = body[0];
  h.height = be16(&body[1]);
  h.width = be16(&body[3]);
  const uint32_t n = body[5];
  if (h.height == 0 || h.width == 0 || n == 0) return fail(Code::kBadFrame, at);
  if (body.size() != 6 + 3 * n) return fail(Code::kBadLength, at, marker);
  if (h.precision != 8) return fail(Code::kPrecision, at, h.precision);
  if (n > kMaxComponents || n > limits_.components) return fail(Code::kLimitComponents, at, n);
  if (uint64_t{h.width} * h.height > limits_.pixels) return fail(Code::kLimitPixels, at, h.width * h.height);
  h.num_components = static_cast<uint8_t>(n);
  for (uint32_t i = 0; i < n; ++i) {
    Component& c = h.components[i];
    const uint8_t* p = &body[6 + 3 * i];
    c.id = p[0];
    c.h = p[1] >> 4;
    c.v = p[1] & 15;
    c.tq = p[2];
    if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4) return fail(Code::kBadFrame, at);
    for (uint32_t j = 0; j < i; ++j) {
      if (h.components[j].id == c.id) warn(kWarnDuplicateId);
    }
  }
  derive_grids(h);
  saw_frame_ = true;
  return true;
}

// B.2.3
bool Parser::read_scan(ScanHeader& scan) {
  const uint64_t at = marker_at_;
  if (!saw_frame_) return fail(Code::kBadScan, at);
  if (num_scans_ >= limits_.scans) return fail(Code::kLimitScans, at, num_scans_ + 1);
  std::span<const uint8_t> body;
  if (!segment(kSos, false, body)) return false;
  const uint32_t n = body.empty() ? 0 : body[0];
  if (n < 1 || n > kMaxComponents || body.size() != 4 + 2 * n) return fail(Code::kBadLength, at, kSos);
  scan = {};
  scan.num_components = static_cast<uint8_t>(n);
  uint32_t blocks = 0;
  for (uint32_t i = 0; i < n; ++i) {
    const uint8_t id = body[1 + 2 * i];
    // libjpeg's rule, which settles duplicate ids: the first component of that id from the i-th on, and none twice.
    uint32_t found = kMaxComponents;
    for (uint32_t c = i; c < header_.num_components; ++c) {
      if (header_.components[c].id == id) {
        found = c;
        break;
      }
    }
    const auto named = std::span(scan.component).first(i);
    if (found == kMaxComponents || std::find(named.begin(), named.end(), found) != named.end())
      return fail(Code::kBadScan, at, id);
    scan.component[i] = static_cast<uint8_t>(found);
    scan.dc_table[i] = body[2 + 2 * i] >> 4;
    scan.ac_table[i] = body[2 + 2 * i] & 15;
    blocks += uint32_t{header_.components[found].h} * header_.components[found].v;
  }
  if (n > 1 && blocks > 10) return fail(Code::kBadScan, at);
  scan.ss = body[1 + 2 * n];
  scan.se = body[2 + 2 * n];
  scan.ah = body[3 + 2 * n] >> 4;
  scan.al = body[3 + 2 * n] & 15;
  if (header_.process == Process::kProgressive) {  // G.1.1.1.1
    const bool dc = scan.ss == 0;
    if ((dc && scan.se != 0) || (!dc && (scan.ss > scan.se || scan.se > 63 || n != 1)) ||
        (scan.ah != 0 && scan.al != scan.ah - 1) || scan.al > 13) {
      return fail(Code::kBadProgression, at);
    }
  } else if (scan.ss != 0 || scan.se != 63 || scan.ah != 0 || scan.al != 0) {
    warn(kWarnScanParameters);
    scan.ss = scan.ah = scan.al = 0;
    scan.se = 63;
  }
  for (uint32_t i = 0; i < n; ++i) {  // a component's quantisation table is the one in force when its first scan begins
    Component& c = header_.components[scan.component[i]];
    if (c.latched) continue;
    if (c.tq > 3 || !quantization_defined_[c.tq]) return fail(Code::kMissingQuantization, at, c.tq);
    c.quantization = quantization_[c.tq];
    c.latched = true;
  }
  if (num_scans_ == 0) {
    header_.restart_interval = static_cast<uint16_t>(restart_interval_);
    resolve_color();
  }
  ++num_scans_;
  scan.data_offset = at_;
  return true;
}

void Parser::latch_remaining() {
  for (uint32_t i = 0; i < header_.num_components; ++i) {
    Component& c = header_.components[i];
    if (c.latched) continue;
    warn(kWarnMissingScan);
    if (c.tq <= 3 && quantization_defined_[c.tq]) c.quantization = quantization_[c.tq];  // else unknown: zeros
    c.latched = true;
  }
}

// B.2.4.2. Whether it is a prefix code is checked when a scan uses it, as libjpeg does.
bool Parser::read_huffman() {
  const uint64_t at = marker_at_;
  std::span<const uint8_t> body;
  if (!segment(kDht, false, body)) return false;
  while (body.size() >= 17) {
    const uint8_t index = body[0];
    HuffmanSpec spec;
    uint32_t count = 0;
    for (uint32_t i = 1; i <= 16; ++i) count += spec.counts[i] = body[i];
    if (count > 256 || count > body.size() - 17) return fail(Code::kBadHuffman, at);
    if ((index & 0xEF) > 3) return fail(Code::kBadHuffman, at);
    std::copy_n(body.begin() + 17, count, spec.symbols.begin());
    spec.defined = true;
    (index & 0x10 ? ac_ : dc_)[index & 3] = spec;
    body = body.subspan(17 + count);
  }
  return body.empty() || fail(Code::kBadLength, at, kDht);
}

// B.2.4.1
bool Parser::read_quantization() {
  const uint64_t at = marker_at_;
  std::span<const uint8_t> body;
  if (!segment(kDqt, false, body)) return false;
  while (!body.empty()) {
    const bool wide = body[0] >> 4;
    const uint32_t index = body[0] & 15;
    if (index > 3) return fail(Code::kBadQuantization, at);
    const size_t need = 1 + (wide ? 128 : 64);
    if (body.size() < need) return fail(Code::kBadLength, at, kDqt);
    for (uint32_t k = 0; k < 64; ++k) {
      quantization_[index][kZigzag[k]] = static_cast<uint16_t>(wide ? be16(&body[1 + 2 * k]) : body[1 + k]);
    }
    quantization_defined_[index] = true;
    body = body.subspan(need);
  }
  return true;
}

// B.2.4.3: of no use to Huffman coding, but a file with a wrong one is damaged.
bool Parser::read_conditioning() {
  const uint64_t at = marker_at_;
  std::span<const uint8_t> body;
  if (!segment(kDac, false, body)) return false;
  if (body.size() % 2 != 0) return fail(Code::kBadLength, at, kDac);
  for (size_t i = 0; i < body.size(); i += 2) {
    const bool dc = body[i] < 16;
    if (body[i] >= 32 || (dc && (body[i + 1] & 15) > body[i + 1] >> 4)) return fail(Code::kBadConditioning, at);
  }
  return true;
}

void Parser::read_app(uint8_t marker, std::span<const uint8_t> body) {
  if (marker == kApp0 && starts(body, 0, "JFIF") && body.size() >= 14 && body[4] == 0) saw_jfif_ = true;
  if (marker == kApp14 && starts(body, 0, "Adobe") && body.size() >= 12) {
    saw_adobe_ = true;
    adobe_transform_ = body[11];
  }
  if (marker == kApp1 && !saw_exif_ && num_scans_ == 0 && starts(body, 0, "Exif") && body.size() >= 6 && body[4] == 0 &&
      body[5] == 0) {
    saw_exif_ = true;
    header_.orientation = exif_orientation(body.subspan(6));
  }
}

// libjpeg's rules: JFIF and Adobe markers first, then the components' ids.
void Parser::resolve_color() {
  Header& h = header_;
  if (h.num_components == 1) {
    h.color = ColorSpace::kGray;
  } else if (h.num_components == 3) {
    const uint8_t a = h.components[0].id, b = h.components[1].id, c = h.components[2].id;
    if (saw_jfif_) {
      h.color = ColorSpace::kYCbCr;
    } else if (saw_adobe_) {
      h.color = adobe_transform_ == 0 ? ColorSpace::kRgb : ColorSpace::kYCbCr;
      if (adobe_transform_ > 1) warn(kWarnAdobeTransform);
    } else {
      h.color = a == 'R' && b == 'G' && c == 'B' ? ColorSpace::kRgb : ColorSpace::kYCbCr;
    }
  } else if (h.num_components == 4) {
    h.color = saw_adobe_ && adobe_transform_ != 0 ? ColorSpace::kYcck : ColorSpace::kCmyk;
    if (saw_adobe_ && adobe_transform_ != 0 && adobe_transform_ != 2) warn(kWarnAdobeTransform);
  }
}

Result read_header(std::span<const uint8_t> file, const Limits& limits, Header& header, uint32_t& warnings) {
  Parser parser;
  parser.reset(file, limits);
  ScanHeader scan;
  const auto complete = [&] {
    const Header& h = parser.header();
    return std::all_of(h.components.begin(), h.components.begin() + h.num_components,
                       [](const Component& c) { return c.latched; });
  };
  while (parser.next_scan(scan)) {
    if (complete()) break;
    parser.seek(parser.find_marker(scan.data_offset));
  }
  if (!complete() && parser.num_scans() > 0 && parser.result().ok()) parser.latch_remaining();
  // What follows the first scan is not the header's business: a cut there is the decoder's to report.
  Result result = parser.result();
  if (!result.ok() && parser.num_scans() > 0 && result.code == Code::kDataTruncated) {
    result = {};
    parser.latch_remaining();
  }
  header = parser.header();
  warnings = parser.warnings();
  return result;
}

}  // namespace dctload
