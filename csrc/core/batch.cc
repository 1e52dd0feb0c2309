#include "batch.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "cpu.h"
#include "crew.h"
#include "file_store.h"
#include "packed_image.h"
#include "wire_io.h"

namespace dctload {

struct OpenFiles::Impl {
  struct Entry {
    std::span<const uint8_t> bytes;
    Result result;
    FrameFacts facts;
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
  return request;
}

struct Extractor::Impl {
  struct Worker {
    Worker(const Kernels& kernels, std::shared_ptr<PiecePool> pool) : decoder(kernels), file(std::move(pool)) {}
    ImageDecoder decoder;
    Parser parser;   // of headers
    FileStore file;  // the one that is decoded
  };

  Impl(const Kernels& level, unsigned threads) : kernels(level), num_threads(threads) {}

  const Kernels& kernels;
  const unsigned num_threads;
  std::deque<Worker> workers;      // as many as a batch has needed so far
  std::deque<PackedImage> images;  // kept from batch to batch, with their tables
  size_t count = 0;
  std::shared_ptr<PiecePool> pool = std::make_shared<PiecePool>();  // opened files may outlive the extractor
  Crew crew;

  // Threads for so many images, and what each of them needs.
  unsigned hire(size_t num_images) {
    const auto size = static_cast<unsigned>(std::min<size_t>(num_threads, std::max<size_t>(num_images, 1)));
    while (workers.size() < size) workers.emplace_back(kernels, pool);
    return size;
  }

  void open_one(Worker& worker, const Source& source, const Limits& limits, FileStore& store, OpenFiles::Impl::Entry& entry) {
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

  void decode_one(Worker& worker, const Request& request, const DecodeOptions& options, PackedImage& image) {
    std::span<const uint8_t> bytes;
    const Result loaded = request.failed.ok() ? load(request, options.limits.bytes, worker.file, bytes) : request.failed;
    if (loaded.ok()) {
      worker.decoder.decode_packed(bytes, request.selection, request.has_region ? &request.region : nullptr, options, image);
    } else {
      image.fail(loaded);
    }
    worker.file.clear();
  }
};

Extractor::Extractor(unsigned num_threads)
    : impl_(new Impl(chosen_kernels(), num_threads != 0 ? num_threads : available_cores())) {}

Extractor::~Extractor() = default;

unsigned Extractor::num_threads() const { return impl_->num_threads; }

OpenFiles Extractor::open(std::span<const Source> sources, const Limits& limits) {
  Impl& d = *impl_;
  OpenFiles files;
  const unsigned size = d.hire(sources.size());
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
  for (Impl::Worker& w : d.workers) w.decoder.release();
  if (d.images.size() < requests.size()) d.images.resize(requests.size());
  d.count = requests.size();
  const unsigned size = d.hire(requests.size());
  d.crew.for_each(size, requests.size(),
                  [&](unsigned worker, size_t i) { d.decode_one(d.workers[worker], requests[i], options, d.images[i]); });
  uint64_t bytes = wire::kHeaderBytes;
  for (size_t i = 0; i < d.count; ++i) {
    const PackedImage& image = d.images[i];
    bytes += wire::kEntryBytes * (1 + image.header().num_components) + image.record_bytes();
  }
  return bytes;
}

const Outcome& Extractor::outcome(size_t i) const { return impl_->images[i].outcome(); }

void Extractor::write(uint8_t* out) {
  Impl& d = *impl_;
  std::vector<std::span<const uint8_t>> records(d.count);
  uint64_t at = wire::kHeaderBytes;
  for (size_t i = 0; i < d.count; ++i) at += wire::kEntryBytes * (1 + d.images[i].header().num_components);
  for (size_t i = 0; i < d.count; ++i) {
    records[i] = {out + at, d.images[i].record_bytes()};
    at += records[i].size();
  }
  d.crew.for_each(d.num_threads, d.count,
                  [&](unsigned, size_t i) { d.images[i].write(d.kernels, out + (records[i].data() - out)); });
  write_directory(records, out);
}

}  // namespace dctload
