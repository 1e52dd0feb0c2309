// Where the decoder puts blocks. A block's address is row(component, y) + columns[block column]; a coefficient of it lies at
// map[next zigzag position] from there. Tiles and planes differ in these numbers only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "header.h"
#include "selection.h"

namespace dctload {

struct ComponentLayout {
  BlockRect rect;
  uint64_t mask = 0;
  uint32_t channels = 0;
  uint32_t last = 0;         // last kept zigzag position; 0 where at most DC is kept
  ptrdiff_t slot_bytes = 0;  // from one kept frequency to the next
  ptrdiff_t dc_offset = 0;
  std::array<ptrdiff_t, 256> map{};  // [next zigzag position]
  std::vector<uint32_t> columns;     // [block column, MCU padding included]: byte offset, or kOutside

  // `slot_bytes` from slot to slot; the slot behind the last one takes what is not kept.
  void set(const Header& header, uint32_t component, const BlockRect& rect, uint64_t mask, ptrdiff_t slot_bytes);
};

class BlockSink {
 public:
  virtual ~BlockSink() = default;
  // Block row `y` of the component's rectangle. Rows are asked for in rising order, a component at a time or interleaved.
  virtual uint8_t* row(uint32_t component, uint32_t y) = 0;
  // Rows below `rows` will not be asked for again.
  virtual void finish_rows(uint32_t component, uint32_t rows) = 0;

  const ComponentLayout& layout(uint32_t component) const { return layouts_[component]; }

 protected:
  std::array<ComponentLayout, kMaxComponents> layouts_;
};

// Planes int16 [channels + 1][h][w] a component, the last one being scratch. The caller has zeroed them.
class PlaneSink final : public BlockSink {
 public:
  void start(const Header& header, const Region& region, const ComponentMasks& masks,
             const std::array<int16_t*, kMaxComponents>& planes);
  uint8_t* row(uint32_t component, uint32_t y) override;
  void finish_rows(uint32_t, uint32_t) override {}

 private:
  std::array<int16_t*, kMaxComponents> planes_{};
};

}  // namespace dctload
