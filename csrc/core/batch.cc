#include "batch.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <new>
#include <vector>

#include "cpu.h"
#include "crew.h"
#include "packed_image.h"
#include "wire_io.h"

namespace dctload {
namespace {

constexpr size_t kKeepBytes = 64 << 20;  // of a file's buffer, from batch to batch

// A whole file into `buffer`, which only grows. One byte more than the limit is enough to tell that it is passed.
Result read_file(const std::string& path, uint64_t limit, std::vector<uint8_t>& buffer, size_t& size) {
  size = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::FILE* const file = opened.get();
  if (file == nullptr) return {Code::kIo, static_cast<uint32_t>(errno), 0};
  std::setvbuf(file, nullptr, _IONBF, 0);
  while (size <= limit) {
    if (size == buffer.size()) buffer.resize(std::min<uint64_t>(std::max<uint64_t>(2 * size, 1 << 18), limit + 1));
    const size_t wanted = buffer.size() - size, got = std::fread(buffer.data() + size, 1, wanted, file);
    size += got;
    if (got == wanted) continue;
    if (std::ferror(file)) return {Code::kIo, static_cast<uint32_t>(errno), size};
    break;
  }
  return {};
}

}  // namespace

struct Extractor::Impl {
  struct Worker {
    explicit Worker(const Kernels& kernels) : decoder(kernels) {}
    ImageDecoder decoder;
    std::vector<uint8_t> file;
  };

  Impl(const Kernels& level, unsigned threads) : kernels(level), num_threads(threads) {}

  const Kernels& kernels;
  const unsigned num_threads;
  std::deque<Worker> workers;      // as many as a batch has needed so far
  std::deque<PackedImage> images;  // kept from batch to batch, with their tables
  size_t count = 0;
  Crew crew;

  void decode_one(Worker& worker, const Request& request, const DecodeOptions& options, PackedImage& image) {
    std::span<const uint8_t> bytes = request.bytes;
    if (request.is_path) {
      size_t size = 0;
      Result result;
      try {
        result = read_file(request.path, options.limits.bytes, worker.file, size);
      } catch (const std::bad_alloc&) {
        result = {Code::kNoMemory, 0, 0};
      }
      if (!result.ok()) return image.fail(result);
      bytes = {worker.file.data(), size};
    }
    worker.decoder.decode_packed(bytes, request.selection, request.has_region ? &request.region : nullptr, options, image);
  }
};

Extractor::Extractor(unsigned num_threads)
    : impl_(new Impl(chosen_kernels(), num_threads != 0 ? num_threads : available_cores())) {}

Extractor::~Extractor() = default;

unsigned Extractor::num_threads() const { return impl_->num_threads; }

uint64_t Extractor::decode(std::span<const Request> requests, const DecodeOptions& options) {
  Impl& d = *impl_;
  for (Impl::Worker& w : d.workers) {
    w.decoder.release();
    if (w.file.capacity() > kKeepBytes) w.file = {};
  }
  if (d.images.size() < requests.size()) d.images.resize(requests.size());
  d.count = requests.size();
  const unsigned size = static_cast<unsigned>(std::min<size_t>(d.num_threads, std::max<size_t>(requests.size(), 1)));
  while (d.workers.size() < size) d.workers.emplace_back(d.kernels);
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
