// The C++ core as bare as it can be called, timed from inside: what benchmarks.decode holds against libjpeg-turbo without Python
// between them. Built by benchmarks/_core/__init__.py together with csrc/core; nothing here is part of the package.
#include <time.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "batch.h"
#include "cpu.h"
#include "header.h"
#include "image.h"
#include "packed_image.h"

namespace {

using namespace dctload;

using Bytes = std::span<const uint8_t>;
using Libjpeg = int (*)(const unsigned char* data, size_t size);  // warnings, or -1

enum Kind : int { kLibjpeg, kPlanes, kPacked, kTiles };

// CPU time of the calling thread: what else runs on the machine does not count.
int64_t now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// In place of packing: the tile is only cleared, as the next one needs it.
size_t drop_tile(int16_t* tile, uint32_t channels, bool, uint8_t*) {
  std::memset(tile, 0, size_t{channels} * wire::kTileBlocks * sizeof(int16_t));
  return 0;
}

Kernels dropping(Kernels kernels) {
  kernels.pack_tile = drop_tile;
  return kernels;
}

class Contest {
 public:
  bool planes(Bytes file, const Selection& selection) {
    Header header;
    Region region;
    uint32_t warnings = 0;
    if (!read_header(file, options_.limits, header, warnings).ok() || !snap(header, nullptr, region).ok()) return false;
    const ComponentMasks masks = component_masks(header, selection);
    std::array<size_t, kMaxComponents + 1> starts{};
    for (uint32_t c = 0; c < header.num_components; ++c) {
      const size_t blocks = size_t{region.blocks[c].w} * region.blocks[c].h;
      starts[c + 1] = starts[c] + (static_cast<size_t>(std::popcount(masks[c])) + 1) * blocks;
    }
    if (planes_.size() < starts[header.num_components]) planes_.resize(starts[header.num_components]);
    std::memset(planes_.data(), 0, starts[header.num_components] * sizeof(int16_t));
    std::array<int16_t*, kMaxComponents> pointers{};
    for (uint32_t c = 0; c < header.num_components; ++c) pointers[c] = planes_.data() + starts[c];
    return decoder_.decode_planes(file, region, masks, pointers, options_, header).result.ok();
  }

  // A batch of one, directory and checksums included.
  bool packed(Bytes file, const Selection& selection) {
    Request& request = request_[0];
    request.bytes = file;
    request.selection = selection;
    const uint64_t size = extractor_.decode(request_, options_);
    if (batch_.size() < size + wire::kAlign) batch_.resize(size + wire::kAlign);
    uint8_t* const out = batch_.data() + (-reinterpret_cast<uintptr_t>(batch_.data()) & (wire::kAlign - 1));
    extractor_.write(out);
    return extractor_.outcome(0).result.ok();
  }

  // What a batch of one takes before anything is packed: what kPacked takes more is packing, copying and checksums.
  bool tiles(Bytes file, const Selection& selection) {
    dropping_decoder_.release();
    return dropping_decoder_.decode_packed(file, selection, nullptr, options_, dropped_).result.ok();
  }

 private:
  const Kernels dropping_kernels_ = dropping(chosen_kernels());
  ImageDecoder decoder_{chosen_kernels()}, dropping_decoder_{dropping_kernels_};
  PackedImage dropped_;
  Extractor extractor_{1};
  std::array<Request, 1> request_;
  DecodeOptions options_;
  std::vector<int16_t> planes_;
  std::vector<uint8_t> batch_;
};

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void* contest_open() { return new Contest; }

__attribute__((visibility("default"))) const char* contest_level() { return chosen_kernels().name; }

// All files through one variant. Nanoseconds file by file; -1, or the number of the first file that cannot be read.
__attribute__((visibility("default"))) int64_t contest_turn(void* opened, int kind, const uint64_t* masks, Libjpeg libjpeg,
                                                            const unsigned char* const* files, const size_t* sizes, size_t count,
                                                            int64_t* nanoseconds) {
  Contest& contest = *static_cast<Contest*>(opened);
  const Selection selection{masks[0], masks[1], masks[2]};
  for (size_t i = 0; i < count; ++i) {
    const Bytes file(files[i], sizes[i]);
    bool ok = false;
    const int64_t begin = now();
    if (kind == kLibjpeg) ok = libjpeg(files[i], sizes[i]) >= 0;
    if (kind == kPlanes) ok = contest.planes(file, selection);
    if (kind == kPacked) ok = contest.packed(file, selection);
    if (kind == kTiles) ok = contest.tiles(file, selection);
    nanoseconds[i] = now() - begin;
    if (!ok) return static_cast<int64_t>(i);
  }
  return -1;
}
}
