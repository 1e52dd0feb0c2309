// One image by both doors of the decoder, for tests and fuzz targets: planes, and a packed record that must say the same.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cpu.h"
#include "image.h"
#include "packed_image.h"
#include "selection.h"
#include "wire_io.h"

namespace dctload::testing {

struct Decoded {
  Outcome outcome;
  Header header;
  Region region;
  ComponentMasks masks{};
  std::vector<std::vector<int16_t>> planes;  // by component, int16 [channels][h][w] of the region
  std::vector<uint8_t> record;
  std::string complaint;  // empty: both doors agree and the record is sound
};

inline bool same_result(const Result& a, const Result& b) {
  return a.code == b.code && a.detail == b.detail && a.offset == b.offset;
}

inline bool same_outcome(const Outcome& a, const Outcome& b) {
  return same_result(a.result, b.result) && a.status == b.status && same_result(a.loss, b.loss) && a.valid_mcus == b.valid_mcus &&
         a.warnings == b.warnings;
}

inline size_t plane_values(const Decoded& d, uint32_t c) {
  return static_cast<size_t>(std::popcount(d.masks[c])) * d.region.blocks[c].w * d.region.blocks[c].h;
}

inline std::string compare_record(const Decoded& d) {
  const WireFault fault = check_record(d.record, true);
  if (!fault.ok()) return std::string("the record is unsound: ") + fault.what + " at " + std::to_string(fault.offset);
  const Header facts = record_facts(d.record);
  const uint32_t n = d.outcome.result.ok() ? d.header.num_components : 0;
  if (facts.num_components != n) return "number of components of the record";
  for (uint32_t c = 0; c < n; ++c) {
    if (facts.components[c].quantization != d.header.components[c].quantization) return "quantisation table of the record";
    std::vector<int16_t> unpacked(plane_values(d, c), 12345);
    unpack_component(d.record, static_cast<int>(c), unpacked.data());
    if (unpacked != d.planes[c]) return "planes of component " + std::to_string(c);
  }
  if (n != 0 && d.record.size() > record_bound(d.header, d.masks, d.region)) return "record_bound is too low";
  return {};
}

// Without planes where the header, or the region, is refused before any data is read.
inline Decoded decode_both(const Kernels& kernels, ImageDecoder& decoder, std::span<const uint8_t> file,
                           const Selection& selection, const Box* box, const DecodeOptions& options) {
  Decoded d;
  PackedImage packed;
  decoder.release();
  d.outcome = decoder.decode_packed(file, selection, box, options, packed);
  d.record.resize(packed.record_bytes());
  packed.write(kernels, d.record.data());

  Parser parser;
  parser.reset(file, options.limits);
  ScanHeader scan;
  const bool opened = parser.next_scan(scan);
  if (!opened || !snap(parser.header(), box, d.region).ok()) {
    if (d.outcome.result.ok()) d.complaint = "decoded without a header";
    if (!opened && !same_result(d.outcome.result, parser.result())) d.complaint = "another error than the parser's";
  } else {
    d.masks = component_masks(parser.header(), selection);
    std::array<int16_t*, kMaxComponents> pointers{};
    d.planes.resize(parser.header().num_components);
    for (uint32_t c = 0; c < d.planes.size(); ++c) {  // one channel more, which is scratch
      d.planes[c].resize(plane_values(d, c) + size_t{d.region.blocks[c].w} * d.region.blocks[c].h);
      pointers[c] = d.planes[c].data();
    }
    const Outcome by_planes = decoder.decode_planes(file, d.region, d.masks, pointers, options, d.header);
    for (uint32_t c = 0; c < d.planes.size(); ++c) d.planes[c].resize(plane_values(d, c));
    // A record refuses a quantisation step of 0, which planes may have.
    const bool zero_step = d.outcome.result.code == Code::kBadQuantization && by_planes.result.ok();
    if (!zero_step && !same_outcome(d.outcome, by_planes)) d.complaint = "the two outcomes differ";
  }
  if (d.complaint.empty()) d.complaint = compare_record(d);
  return d;
}

}  // namespace dctload::testing
