// One image: header -> plan -> entropy decoding -> packed tiles or planes. Scratch is kept from image to image.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "decode_limits.h"
#include "errors.h"
#include "header.h"
#include "selection.h"
#include "wire.h"

namespace dctload {

struct DecodeOptions {
  Limits limits;
  bool keep_truncated = false;  // lost data is a status, not an error
};

// How one image went.
struct Outcome {
  Result result;                          // ok, or why there is nothing
  wire::Status status = wire::kStatusOk;  // kStatusFailed exactly when !result.ok()
  Result loss;                            // status truncated, damaged: what was lost first
  uint32_t valid_mcus = 0;                // all of them when status is ok
  uint32_t warnings = 0;                  // Warning bits
};

class PackedImage;  // pieces of a record, in the decoder's arena (packed_image.h)
struct Kernels;

class ImageDecoder {
 public:
  explicit ImageDecoder(const Kernels& kernels);
  ~ImageDecoder();

  // Planes of each component, int16 [channels + 1][region rows][region cols], the extra plane being scratch. The caller zeroes
  // them. `header` and `region` come from read_header and snap for the same bytes.
  Outcome decode_planes(std::span<const uint8_t> file, const Region& region, const ComponentMasks& masks,
                        const std::array<int16_t*, kMaxComponents>& planes, const DecodeOptions& options, Header& header);

  // A packed image record, in pieces that stay in this decoder's arena until release().
  Outcome decode_packed(std::span<const uint8_t> file, const Selection& selection, const Box* region,
                        const DecodeOptions& options, PackedImage& out);
  void release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dctload
