// A packed image in pieces: its tiles lie in a thread's arena, in the order they came, until write() puts the record together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "block_sink.h"
#include "cpu.h"
#include "header.h"
#include "image.h"
#include "selection.h"
#include "wire.h"

namespace dctload {

// Bump allocation in chunks that are kept from batch to batch.
class Arena {
 public:
  // At least `size` bytes (at most kChunk). Only as much as keep() is told is used up.
  uint8_t* reserve(size_t size) {
    if (chunk_ == chunks_.size() || used_ + size > kChunk) next_chunk();
    return chunks_[chunk_].get() + used_;
  }
  void keep(size_t size) { used_ += size; }
  void reset() { chunk_ = 0, used_ = 0; }

  static constexpr size_t kChunk = 256 << 10;

 private:
  void next_chunk();

  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  size_t chunk_ = 0, used_ = 0;
};

class PackedImage {
 public:
  void start(const Header& header, const Region& region, const ComponentMasks& masks);
  void fail(const Result& result);
  // The first block of a component lies so many blocks (0..7) behind the first tile's corner. 0 until it is called.
  void set_skip(uint32_t component, uint32_t x, uint32_t y) { skips_[component] = {x, y}; }
  void add_tile(uint32_t component, const uint8_t* bytes, size_t size);
  void set_outcome(const Outcome& outcome);
  void set_header(const Header& header) { header_ = header; }

  const Outcome& outcome() const { return outcome_; }
  const Header& header() const { return header_; }
  uint64_t record_bytes() const;
  // The record with both checksums; `out` is 16-aligned and holds record_bytes().
  void write(const Kernels& kernels, uint8_t* out) const;

 private:
  struct Run {
    const uint8_t* data;
    uint32_t size;
    uint32_t component;
  };
  struct Skip {
    uint32_t x = 0, y = 0;
  };
  Header header_;
  Region region_;
  ComponentMasks masks_{};
  std::array<Skip, kMaxComponents> skips_;
  Outcome outcome_;
  std::vector<Run> runs_;
  std::array<std::vector<uint32_t>, kMaxComponents> tables_;  // tile starts in 16 bytes, the end included
};

// Bands of tiles: the decoder fills rows, a band is packed as soon as its 8 block rows are complete.
class TileSink final : public BlockSink {
 public:
  void start(const Kernels& kernels, const Header& header, const Region& region, const ComponentMasks& masks, Arena& arena,
             PackedImage& out);
  uint8_t* row(uint32_t component, uint32_t y) override;
  void finish_rows(uint32_t component, uint32_t rows) override;

 private:
  struct Band {
    std::vector<int16_t> tiles;  // int16 [bands][tiles_x][channels + 1][64], or more
    uint32_t channels = 0;       // of these tiles
    uint32_t bands = 1;          // 2 where an MCU row can lie in two of them
    uint32_t tiles_x = 0;
    size_t bytes = 0;               // of one band
    uint32_t packed = 0, rows = 0;  // bands packed so far, and in all
  };
  void pack_band(uint32_t component);

  const Kernels* kernels_ = nullptr;
  Arena* arena_ = nullptr;
  PackedImage* out_ = nullptr;
  std::array<Band, kMaxComponents> bands_;
};

}  // namespace dctload
