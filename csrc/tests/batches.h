// Batches in the tests: extracted, of records, and taken apart into records again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "batch.h"
#include "check.h"
#include "jpeg_writer.h"
#include "record_view.h"
#include "wire_io.h"

namespace dctload::testing {

// Room for a batch: it begins at a multiple of 16, which a vector of bytes does not promise.
struct Batch {
  explicit Batch(size_t size)
      : storage(size + 16), bytes(storage.data() + (-reinterpret_cast<uintptr_t>(storage.data()) & 15), size) {}
  std::vector<uint8_t> storage;
  std::span<uint8_t> bytes;
};

// The batch of these requests, which is sound.
inline Bytes extract(Extractor& extractor, std::span<const Request> requests, const DecodeOptions& options = {}) {
  const Batch batch(extractor.decode(requests, options));
  const uint64_t written = extractor.write(batch.bytes.data());
  CHECK(written <= batch.bytes.size());
  const Bytes out(batch.bytes.begin(), batch.bytes.begin() + static_cast<ptrdiff_t>(written));
  const WireFault fault = check_batch(out, true);
  CHECK_EQ(fault.what == nullptr ? "" : fault.what, "");
  return out;
}

// The batch of these records, and the records of a batch.
inline Bytes batch_of(const std::vector<Bytes>& records) {
  const std::vector<std::span<const uint8_t>> spans(records.begin(), records.end());
  Bytes out(joined_bytes(spans));
  join(spans, out.data());
  return out;
}

inline std::vector<Bytes> records_of(const Bytes& batch) {
  std::vector<Bytes> out;
  const auto header = load_from<wire::BatchHeader>(batch.data());
  for (size_t i = 0; i < header.images; ++i) {
    const auto entry = load_from<wire::ImageEntry>(batch.data() + wire::kHeaderBytes + wire::kEntryBytes * i);
    const auto begin = batch.begin() + static_cast<ptrdiff_t>(entry.record_offset);
    out.emplace_back(begin, begin + entry.record_bytes);
  }
  return out;
}

}  // namespace dctload::testing
