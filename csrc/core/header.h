// Markers and segments (T.81 Annex B): from bytes to a frame, its tables and its scans, one scan at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "decode_limits.h"
#include "errors.h"

namespace dctload {

inline constexpr int kMaxComponents = 4;

// Zigzag position -> frequency 8 * v + u (T.81 Figure A.6).
extern const std::array<uint8_t, 64> kZigzag;

enum class Process : uint8_t { kBaseline, kExtended, kProgressive };              // values of the wire format
enum class ColorSpace : uint8_t { kUnknown, kGray, kYCbCr, kRgb, kCmyk, kYcck };  // values of the wire format

struct Component {
  uint8_t id = 0, h = 1, v = 1;             // sampling factors 1..4
  uint8_t tq = 0;                           // quantisation table that the frame header names
  bool latched = false;                     // `quantization` was taken at the start of the component's first scan
  uint32_t block_rows = 0, block_cols = 0;  // own blocks, without the padding to whole MCUs (A.2.2, A.2.3)
  std::array<uint16_t, 64> quantization{};  // row-major 8 * v + u
};

struct Header {
  uint32_t width = 0, height = 0;  // pixels as coded, 1..65535
  uint8_t precision = 8;
  uint8_t orientation = 1;  // EXIF, 1..8
  Process process = Process::kBaseline;
  ColorSpace color = ColorSpace::kUnknown;
  uint8_t num_components = 0;
  uint8_t h_max = 1, v_max = 1;
  uint32_t mcus_x = 0, mcus_y = 0;  // MCUs of a scan of all components
  uint16_t restart_interval = 0;    // MCUs, as the first scan finds it
  std::array<Component, kMaxComponents> components;

  uint32_t num_mcus() const;  // MCUs of a one-scan file (a single component: its own blocks, A.2.2)
};

// What the formulas of T.81 A.1.1 and A.2 give for a header's sizes and factors: h_max, v_max, MCUs, block grids.
void derive_grids(Header& header);

// One Huffman table as DHT gives it (B.2.4.2).
struct HuffmanSpec {
  bool defined = false;
  std::array<uint8_t, 17> counts{};  // [1..16]: codes of that length
  std::array<uint8_t, 256> symbols{};

  bool operator==(const HuffmanSpec&) const = default;
};

struct ScanHeader {
  uint8_t num_components = 0;
  std::array<uint8_t, kMaxComponents> component{}, dc_table{}, ac_table{};  // index in the frame; table selectors
  uint8_t ss = 0, se = 63, ah = 0, al = 0;
  uint64_t data_offset = 0;  // first byte of the entropy-coded data
};

// Walks the markers of one stream. Nothing is copied but tables; `file` must outlive the parser.
class Parser {
 public:
  void reset(std::span<const uint8_t> file, const Limits& limits);

  // Reads on until a scan header (true), or until EOI or the end of the data (false). On an error, false and result().
  bool next_scan(ScanHeader& scan);

  // Continues behind entropy-coded data: `offset` is where the marker that ended it begins.
  void seek(uint64_t offset) { at_ = offset; }

  // From `offset` inside entropy-coded data to the next marker that is no RSTn (or the end of the file).
  uint64_t find_marker(uint64_t offset) const;

  // Takes the tables now in force for components that had no scan (EOI came first).
  void latch_remaining();

  const Header& header() const { return header_; }
  const HuffmanSpec& dc(int i) const { return dc_[i]; }
  const HuffmanSpec& ac(int i) const { return ac_[i]; }
  uint32_t restart_interval() const { return restart_interval_; }
  const Result& result() const { return result_; }
  bool saw_eoi() const { return saw_eoi_; }
  uint32_t num_scans() const { return num_scans_; }
  uint32_t warnings() const { return warnings_; }
  void warn(uint32_t warning) { warnings_ |= warning; }
  std::span<const uint8_t> file() const { return file_; }

 private:
  bool fail(Code code, uint64_t offset, uint32_t detail = 0);
  bool next_marker(uint8_t& marker);
  bool segment(uint8_t marker, bool may_be_short, std::span<const uint8_t>& body);
  bool read_frame(uint8_t marker);
  bool read_scan(ScanHeader& scan);
  bool read_huffman();
  bool read_quantization();
  bool read_conditioning();
  void read_app(uint8_t marker, std::span<const uint8_t> body);
  void resolve_color();

  std::span<const uint8_t> file_;
  Limits limits_;
  uint64_t at_ = 0;
  uint64_t marker_at_ = 0;  // where the marker in hand begins
  Header header_;
  std::array<HuffmanSpec, 4> dc_, ac_;
  std::array<std::array<uint16_t, 64>, 4> quantization_{};
  std::array<bool, 4> quantization_defined_{};
  uint32_t restart_interval_ = 0;
  bool saw_frame_ = false, saw_eoi_ = false, saw_jfif_ = false, saw_adobe_ = false, saw_exif_ = false;
  uint8_t adobe_transform_ = 0;
  uint32_t num_scans_ = 0;
  uint32_t warnings_ = 0;
  Result result_;
};

// The header with every component's quantisation table, walking past scans where tables may still change.
Result read_header(std::span<const uint8_t> file, const Limits& limits, Header& header, uint32_t& warnings);

}  // namespace dctload
