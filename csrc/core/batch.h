// Many images at once: a thread pool, scratch that lives as long as the extractor, one output buffer that the caller owns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "decode_limits.h"
#include "errors.h"
#include "header.h"
#include "image.h"
#include "selection.h"

namespace dctload {

// One image to extract. Either `bytes`, which must stay alive and unchanged until write() returns, or a path that a worker reads.
struct Request {
  std::span<const uint8_t> bytes;
  std::string path;
  bool is_path = false;
  Selection selection;
  bool has_region = false;
  Box region;
};

class Extractor {
 public:
  // 0: one thread a core that this process may run on. One thread means the caller's own.
  explicit Extractor(unsigned num_threads);
  ~Extractor();
  Extractor(const Extractor&) = delete;
  Extractor& operator=(const Extractor&) = delete;

  unsigned num_threads() const;

  // Decodes all of them into scratch. Returns the bytes that write() will fill. Outcomes by image: outcome(i).
  // The packed bytes do not depend on the number of threads.
  uint64_t decode(std::span<const Request> requests, const DecodeOptions& options);
  const Outcome& outcome(size_t i) const;

  // Copies the batch of the last decode() to `out`, 16-aligned, of at least the size that decode() returned.
  void write(uint8_t* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dctload
