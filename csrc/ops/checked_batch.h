// A batch whose numbers are looked at once more before they are used as addresses: whatever its bytes hold, nothing outside it is
// read. Checksums are check_batch's affair (wire_io.h).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "header.h"
#include "record_view.h"
#include "wire.h"

namespace dctload::ops {

// Bytes that a kernel may read past the largest tile of a component.
inline constexpr size_t kTileSlack = 64;

// A record's facts, copied, with every offset inside the record.
struct ImageView {
  std::span<const uint8_t> record;
  const uint8_t* readable_end = nullptr;  // of the whole batch
  wire::RecordHeader header{};
  uint32_t num_components = 0;
  std::array<wire::ComponentRecord, kMaxComponents> components{};

  // Tile `t` of component `k`, cut to the component's payload.
  TileBytes tile(uint32_t k, uint64_t t) const;
  // Unpacks that tile with a kernel of OpsKernels; `task` says all but where the tile lies. A byte at or past the tile's end
  // counts as 0; `copy` is scratch.
  template <typename Task>
  void unpack(uint32_t k, uint64_t t, size_t (*kernel)(const Task&), Task& task, std::vector<uint8_t>& copy) const;
};

// Where a tile of `channels` channels may be read as if zeros followed its end, up to kTileSlack bytes behind the largest such
// tile: in `copy`.
const uint8_t* zero_padded(const TileBytes& tile, uint32_t channels, std::vector<uint8_t>& copy);

template <typename Task>
void ImageView::unpack(uint32_t k, uint64_t t, size_t (*kernel)(const Task&), Task& task, std::vector<uint8_t>& copy) const {
  const TileBytes bytes = tile(k, t);
  const uint32_t channels = components[k].channels;
  // What follows a tile does no harm as long as it can be read and the tile's own numbers do not claim it.
  if (static_cast<size_t>(readable_end - bytes.data) >= wire::max_tile_bytes(channels) + kTileSlack) {
    task.from.tile = bytes.data;
    if (kernel(task) <= bytes.size) return;
  }
  task.from.tile = zero_padded(bytes, channels, copy);
  kernel(task);
}

class CheckedBatch {
 public:
  // False: not a batch.
  bool open(std::span<const uint8_t> batch);
  size_t size() const { return images_; }
  // False: the record's numbers do not fit together.
  bool image(size_t i, ImageView& out) const;

 private:
  std::span<const uint8_t> batch_;
  size_t images_ = 0;
};

}  // namespace dctload::ops
