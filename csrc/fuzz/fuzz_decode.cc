// Any bytes as a file: header, planes and packed record, which have to tell the same story. Input: see fuzz_input.h.
#include <algorithm>
#include <string>

#include "../tests/decode_both.h"
#include "fuzz_input.h"

using namespace dctload;

namespace {

// What the header promises holds whatever the file says.
void check_header(const Header& h) {
  using fuzz::require;
  require(h.width >= 1 && h.width <= 65535 && h.height >= 1 && h.height <= 65535, "image size");
  require(h.num_components >= 1 && h.num_components <= kMaxComponents, "number of components");
  require(h.orientation >= 1 && h.orientation <= 8, "orientation");
  for (uint32_t i = 0; i < h.num_components; ++i) {
    const Component& c = h.components[i];
    require(c.h >= 1 && c.h <= h.h_max && c.v >= 1 && c.v <= h.v_max && h.h_max <= 4 && h.v_max <= 4, "sampling factors");
    require(c.block_cols >= 1 && c.block_cols <= wire::kMaxGrid && c.block_rows >= 1 && c.block_rows <= wire::kMaxGrid,
            "block grid");
    require(c.block_cols <= h.mcus_x * c.h && c.block_rows <= h.mcus_y * c.v, "MCUs");
    require(c.latched, "a component without a quantisation table");
  }
}

void check_outcome(const testing::Decoded& d, const DecodeOptions& options) {
  using fuzz::require;
  const Outcome& o = d.outcome;
  require(o.result.ok() == (o.status != wire::kStatusFailed), "status of a failed image");
  require(o.warnings >> kNumWarnings == 0, "warnings");
  if (!o.result.ok()) return;
  check_header(d.header);
  const bool lost = o.status == wire::kStatusTruncated || o.status == wire::kStatusDamaged;
  require(lost != o.loss.ok(), "loss and status");
  require(!lost || options.keep_truncated, "a loss that strict decoding passed");
  require(o.valid_mcus <= d.header.num_mcus(), "valid MCUs");
  require(lost || o.valid_mcus == d.header.num_mcus(), "valid MCUs of a whole image");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> file(data, size);
  const fuzz::Asked asked = fuzz::read_options(file);
  Header header;
  uint32_t warnings = 0;
  const Result read = read_header(file, asked.options.limits, header, warnings);
  if (read.ok()) check_header(header);

  static const Kernels* const kernels = select_kernels();
  static ImageDecoder decoder(*kernels);  // scratch of earlier inputs must not show
  const testing::Decoded d = testing::decode_both(*kernels, decoder, file, asked.selection, asked.region(), asked.options);
  fuzz::require(d.complaint.empty(), d.complaint.c_str());
  check_outcome(d, asked.options);
  // What strict decoding takes has a header to read, and it is the same one.
  if (d.outcome.result.ok() && !asked.options.keep_truncated) {
    fuzz::require(read.ok(), "decoded, but its header cannot be read");
    fuzz::require(header.width == d.header.width && header.height == d.header.height && header.color == d.header.color,
                  "two headers");
    for (uint32_t i = 0; i < header.num_components; ++i) {
      fuzz::require(header.components[i].quantization == d.header.components[i].quantization, "two quantisation tables");
    }
  }
  return 0;
}
