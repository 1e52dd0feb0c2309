#include "batch.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "cpu.h"
#include "crew.h"
#include "file_store.h"
#include "packed_image.h"
#include "record_view.h"
#include "stored_record.h"
#include "wire_io.h"

namespace dctload {

struct OpenFiles::Impl {
  struct Entry {
    std::span<const uint8_t> bytes;
    Result result;
    FrameFacts facts;
    std::unique_ptr<const StoredRecord> record;  // where it is one that check_meta passed
  };
  std::vector<FileStore> stores;  // one a thread
  std::vector<Entry> entries;
};

namespace {

FrameFacts frame_facts(const Header& header) {
  FrameFacts facts;
  facts.width = header.width;
  facts.height = header.height;
  facts.orientation = header.orientation;
  facts.num_components = header.num_components;
  facts.process = header.process;
  facts.color = header.color;
  for (uint32_t c = 0; c < header.num_components; ++c) {
    facts.h[c] = header.components[c].h;
    facts.v[c] = header.components[c].v;
  }
  return facts;
}

constexpr size_t kRecordsAThread = 16;  // at least, when they are opened

Result damaged(const WireFault& fault) { return {Code::kRecordDamaged, 0, fault.offset}; }

// What goes into the batch as an image: the pieces that were made of a file or of a record, or a record as it is.
struct Part {
  PackedImage image;
  std::span<const uint8_t> record;  // not empty: this
  bool record_checked = false;      // its tiles too
  uint32_t record_components = 0;
  Outcome outcome;

  void fail(const Result& result) {
    record = {};
    image.fail(result);
    outcome = image.outcome();
  }

  uint64_t record_bytes() const { return record.empty() ? image.record_bytes() : record.size(); }
  uint64_t entry_bytes() const {
    return wire::kEntryBytes * (1 + (record.empty() ? image.header().num_components : record_components));
  }

  // False if a record's tiles are found damaged.
  bool write(const Kernels& kernels, uint8_t* out) {
    if (record.empty()) {
      image.write(kernels, out);
    } else if (record_checked) {
      std::memcpy(out, record.data(), record.size());
    } else {
      record_checked = copy_checked(kernels, record, out);
      return record_checked;
    }
    return true;
  }
};

// The bytes of a source; those of a path are read into `store`.
Result load(const Source& source, uint64_t limit, FileStore& store, std::span<const uint8_t>& bytes) {
  if (source.is_path) return store.read(source.path, limit, bytes);
  bytes = source.bytes;
  return {};
}

}  // namespace

OpenFiles::OpenFiles() : impl_(new Impl) {}
OpenFiles::~OpenFiles() = default;
OpenFiles::OpenFiles(OpenFiles&&) noexcept = default;
OpenFiles& OpenFiles::operator=(OpenFiles&&) noexcept = default;

size_t OpenFiles::size() const { return impl_->entries.size(); }
std::span<const uint8_t> OpenFiles::bytes(size_t i) const { return impl_->entries[i].bytes; }
const Result& OpenFiles::result(size_t i) const { return impl_->entries[i].result; }
const FrameFacts& OpenFiles::facts(size_t i) const { return impl_->entries[i].facts; }

Request OpenFiles::request(size_t i) const {
  Request request;
  request.bytes = bytes(i);
  request.failed = result(i);
  request.record = impl_->entries[i].record.get();
  request.is_record = request.record != nullptr;
  return request;
}

struct Extractor::Impl {
  struct Worker {
    Worker(const Kernels& kernels, std::shared_ptr<PiecePool> pool) : decoder(kernels), file(std::move(pool)) {}
    ImageDecoder decoder;
    Parser parser;   // of headers
    FileStore file;  // the one that is decoded
    Arena arena;     // tiles of records with fewer channels
  };

  Impl(const Kernels& level, unsigned threads) : kernels(level), num_threads(threads) {}

  const Kernels& kernels;
  const unsigned num_threads;
  std::deque<Worker> workers;  // as many as a batch has needed so far
  std::deque<Part> parts;      // kept from batch to batch, with their tables
  size_t count = 0;
  std::vector<size_t> to_do;                                        // images whose coefficients are not in memory as wanted
  std::vector<std::span<const uint8_t>> records;                    // where they lie in the batch that is written
  std::shared_ptr<PiecePool> pool = std::make_shared<PiecePool>();  // opened files may outlive the extractor
  Crew crew;

  // Threads for so many images, and what each of them needs.
  unsigned hire(size_t num_images) {
    const auto size = static_cast<unsigned>(std::min<size_t>(num_threads, std::max<size_t>(num_images, 1)));
    while (workers.size() < size) workers.emplace_back(kernels, pool);
    return size;
  }

  static void open_record(const Source& source, OpenFiles::Impl::Entry& entry) {
    entry.bytes = source.bytes;
    const WireFault fault = check_meta(source.bytes);
    if (!fault.ok()) {
      entry.result = damaged(fault);
      return;
    }
    entry.record.reset(new (std::nothrow) const StoredRecord(source.bytes));
    if (entry.record == nullptr) {
      entry.result = {Code::kNoMemory, 0, 0};
      return;
    }
    entry.result = entry.record->outcome().result;
    if (entry.result.ok()) entry.facts = frame_facts(entry.record->facts());
  }

  void open_one(Worker& worker, const Source& source, const Limits& limits, FileStore& store, OpenFiles::Impl::Entry& entry) {
    if (source.is_record) return open_record(source, entry);
    entry.result = load(source, limits.bytes, store, entry.bytes);
    if (!entry.result.ok()) return;
    worker.parser.reset(entry.bytes, limits);
    ScanHeader scan;
    if (worker.parser.next_scan(scan)) {
      entry.facts = frame_facts(worker.parser.header());
    } else {
      entry.result = worker.parser.result();
    }
  }

  void decode_one(Worker& worker, const Request& request, const DecodeOptions& options, Part& part) {
    part.record = {};
    if (!request.failed.ok()) return part.fail(request.failed);
    if (request.is_record) return take_record(worker, request, part);
    std::span<const uint8_t> bytes;
    const Result loaded = load(request, options.limits.bytes, worker.file, bytes);
    if (loaded.ok()) {
      part.outcome = worker.decoder.decode_packed(bytes, request.selection, wanted_box(request), options, part.image);
    } else {
      part.fail(loaded);
    }
    worker.file.clear();
  }

  static const Box* wanted_box(const Request& request) { return request.has_region ? &request.region : nullptr; }

  static ComponentMasks wanted_masks(const StoredRecord& record, const Request& request) {
    return request.all_channels ? record.masks() : component_masks(record.facts(), request.selection);
  }

  // Its tiles are checked when it is written, so that they come from memory once.
  static void take_whole(const StoredRecord& record, const Request& request, Part& part) {
    part.outcome = record.outcome();
    part.record = request.bytes;
    part.record_checked = request.payload_checked;
    part.record_components = record.facts().num_components;
  }

  // An opened record that is wanted whole; false: it is no such.
  static bool take_opened(const Request& request, Part& part) {
    if (request.record == nullptr || !request.failed.ok()) return false;
    if (!request.record->is_whole(wanted_masks(*request.record, request), wanted_box(request))) return false;
    take_whole(*request.record, request, part);
    return true;
  }

  void take_record(Worker& worker, const Request& request, Part& part) {
    std::optional<StoredRecord> own;
    if (request.record == nullptr) {
      const WireFault fault = check_meta(request.bytes);
      if (!fault.ok()) return part.fail(damaged(fault));
      own.emplace(request.bytes);
    }
    const StoredRecord& record = own ? *own : *request.record;
    try {
      const StoredRecord::Part taken =
          record.take(kernels, wanted_masks(record, request), wanted_box(request), worker.arena, part.image);
      if (!taken.result.ok()) return part.fail(taken.result);
      if (taken.whole) return take_whole(record, request, part);
      part.outcome = record.outcome();
      if (!request.payload_checked) {
        const WireFault found = check_payload(request.bytes);
        if (!found.ok()) part.fail(damaged(found));
      }
    } catch (const std::bad_alloc&) {
      part.fail({Code::kNoMemory, 0, 0});
    }
  }

  uint64_t directory_bytes() const {
    uint64_t bytes = wire::kHeaderBytes;
    for (size_t i = 0; i < count; ++i) bytes += parts[i].entry_bytes();
    return bytes;
  }

  // Of the batch.
  uint64_t bytes() const {
    uint64_t bytes = directory_bytes();
    for (size_t i = 0; i < count; ++i) bytes += parts[i].record_bytes();
    return bytes;
  }

  // Where each record goes in `out`.
  void lay_out(uint8_t* out) {
    uint64_t at = directory_bytes();
    records.resize(count);
    for (size_t i = 0; i < count; ++i) {
      records[i] = {out + at, parts[i].record_bytes()};
      at += records[i].size();
    }
  }
};

Extractor::Extractor(unsigned num_threads)
    : impl_(new Impl(chosen_kernels(), num_threads != 0 ? num_threads : available_cores())) {}

Extractor::~Extractor() = default;

unsigned Extractor::num_threads() const { return impl_->num_threads; }

OpenFiles Extractor::open(std::span<const Source> sources, const Limits& limits) {
  Impl& d = *impl_;
  OpenFiles files;
  // A record's facts take a microsecond. 64 of them by two threads instead of one: a batch takes 3 to 5 % less.
  const size_t records = static_cast<size_t>(std::ranges::count_if(sources, [](const Source& s) { return s.is_record; }));
  const unsigned size = d.hire(sources.size() - records + records / kRecordsAThread);
  for (unsigned i = 0; i < size; ++i) files.impl_->stores.emplace_back(d.pool);
  std::vector<OpenFiles::Impl::Entry>& entries = files.impl_->entries;
  entries.resize(sources.size());
  d.crew.for_each(size, sources.size(), [&](unsigned worker, size_t i) {
    d.open_one(d.workers[worker], sources[i], limits, files.impl_->stores[worker], entries[i]);
  });
  return files;
}

uint64_t Extractor::decode(std::span<const Request> requests, const DecodeOptions& options) {
  Impl& d = *impl_;
  for (Impl::Worker& w : d.workers) {
    w.decoder.release();
    w.arena.reset();
  }
  if (d.parts.size() < requests.size()) d.parts.resize(requests.size());
  d.count = requests.size();
  // A record that is wanted as it is costs less than to wake a thread.
  d.to_do.clear();
  for (size_t i = 0; i < d.count; ++i) {
    if (!d.take_opened(requests[i], d.parts[i])) d.to_do.push_back(i);
  }
  d.crew.for_each(d.hire(d.to_do.size()), d.to_do.size(), [&](unsigned worker, size_t k) {
    const size_t i = d.to_do[k];
    d.decode_one(d.workers[worker], requests[i], options, d.parts[i]);
  });
  return d.bytes();
}

const Outcome& Extractor::outcome(size_t i) const { return impl_->parts[i].outcome; }

uint64_t Extractor::write(uint8_t* out) {
  Impl& d = *impl_;
  for (;;) {
    d.lay_out(out);
    std::atomic<bool> sound = true;
    d.crew.for_each(d.num_threads, d.count, [&](unsigned, size_t i) {
      if (d.parts[i].write(d.kernels, out + (d.records[i].data() - out))) return;
      d.parts[i].fail({Code::kRecordDamaged, 0, offsetof(wire::RecordHeader, payload_crc)});
      sound.store(false, std::memory_order_relaxed);
    });
    if (sound) {
      write_directory(d.records, out);
      return d.bytes();
    }
    // A damaged record gives way to its mark, which is shorter: the others move up, and are written once more.
  }
}

}  // namespace dctload
