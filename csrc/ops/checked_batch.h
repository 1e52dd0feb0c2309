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
};

// A tile with at least kTileSlack readable bytes behind the largest that `channels` channels can need; `size` is where zeros are
// meant to begin. Where the batch ends too early, it lies in `copy`.
const uint8_t* with_slack(const TileBytes& tile, const uint8_t* readable_end, uint32_t channels, std::vector<uint8_t>& copy);
// The same, always as a copy with zeros behind the tile's end.
const uint8_t* zero_padded(const TileBytes& tile, uint32_t channels, std::vector<uint8_t>& copy);

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
