// Many images at once: a thread pool, scratch that lives as long as the extractor, one output buffer that the caller owns.
//
// One phase: decode(requests), write(out); a file's bytes are in memory while it is decoded. Two phases, where what is wanted of
// an image depends on its header: open(sources), and later decode(requests) with the requests of the opened files.
//
// Records that were stored before go the same way: where nothing is left out of them they are copied while they are checked, else
// their tiles are moved (stored_record.h).
#pragma once

#include <array>
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

class StoredRecord;

// Where an image comes from. Either `bytes`, which must stay alive while they are in use, or a path that a worker reads.
struct Source {
  std::span<const uint8_t> bytes;
  std::string path;
  bool is_path = false;
  bool is_record = false;  // `bytes` are no JPEG file but an image record
};

// One image to extract. `bytes` must stay unchanged until write() returns.
struct Request : Source {
  Result failed;  // not ok: the source is not looked at, this is how the image went
  Selection selection;
  bool all_channels = false;  // of a record: `selection` does not count, all that it holds is wanted
  bool has_region = false;
  Box region;
  // Of records: what has been checked before. Bytes that are not what is claimed here may make it read and write anywhere.
  const StoredRecord* record = nullptr;  // what check_meta passed, from open(), whose result must outlive this
  bool payload_checked = false;          // check_payload passed
};

// The part of a header that a plan is made of.
struct FrameFacts {
  uint32_t width = 0, height = 0;  // pixels as coded
  uint8_t orientation = 0, num_components = 0;
  Process process{};
  ColorSpace color{};
  std::array<uint8_t, kMaxComponents> h{}, v{};  // sampling factors, 0 where there is no such component
};

// Files in memory and what their headers say; of records, what check_meta lets pass. May outlive its extractor, which takes the
// memory of the files again when this is destroyed; given bytes must outlive it.
class OpenFiles {
 public:
  OpenFiles();
  ~OpenFiles();
  OpenFiles(OpenFiles&&) noexcept;
  OpenFiles& operator=(OpenFiles&&) noexcept;

  size_t size() const;
  // Empty where the file could not be read.
  std::span<const uint8_t> bytes(size_t i) const;
  // Ok, or why there is no header: what decode() would say of the file, whatever else is asked of it.
  const Result& result(size_t i) const;
  // All zero where there is no header.
  const FrameFacts& facts(size_t i) const;
  // For decode(): file i as it was opened. All of it, unless the caller says what else is wanted. A record's tiles have not been
  // looked at.
  Request request(size_t i) const;

 private:
  friend class Extractor;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Extractor {
 public:
  // 0: one thread a core that this process may run on. One thread means the caller's own.
  explicit Extractor(unsigned num_threads);
  ~Extractor();
  Extractor(const Extractor&) = delete;
  Extractor& operator=(const Extractor&) = delete;

  unsigned num_threads() const;

  // Reads the files and parses their headers, up to the first scan.
  OpenFiles open(std::span<const Source> sources, const Limits& limits);

  // Decodes all of them into scratch. Returns the bytes that write() will fill. Outcomes by image: outcome(i).
  // The packed bytes do not depend on the number of threads.
  uint64_t decode(std::span<const Request> requests, const DecodeOptions& options);
  const Outcome& outcome(size_t i) const;

  // Copies the batch of the last decode() to `out`, 16-aligned, of at least the size that decode() returned; returns the bytes of
  // the batch. These are fewer where a record proves damaged only now: its outcome is then kRecordDamaged.
  uint64_t write(uint8_t* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dctload
