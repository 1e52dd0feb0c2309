// A record that was stored before and is wanted again: all of it, a smaller region, fewer channels, or both. No coefficient is
// decoded; what is taken goes the way of images from files.
#pragma once

#include <cstdint>
#include <span>

#include "errors.h"
#include "image.h"
#include "packed_image.h"
#include "record_view.h"
#include "selection.h"

namespace dctload {

class StoredRecord {
 public:
  // Of a record that check_meta passed. Its bytes must outlive this, and what is taken of it.
  explicit StoredRecord(std::span<const uint8_t> record);

  // What it keeps of its file's header.
  const Header& facts() const { return facts_; }
  // The frequencies that it holds.
  ComponentMasks masks() const;
  // How its file went when the record was made; kUnknownDetail where it failed.
  Outcome outcome() const;
  // Whether all of it is wanted, and nothing else: it then goes into a batch as it is.
  bool is_whole(const ComponentMasks& masks, const Box* box) const;

  struct Part {
    Result result;       // kChannelsMissing, kRegionOutside
    bool whole = false;  // the record itself is what is wanted, and nothing was put into `out`
  };
  // Puts the part into `out`: its tiles stay in the record, or lie in `arena` where channels are dropped. `box`, in pixels as
  // coded, is snapped out to MCUs and clipped to the record's own region; null: all of it. Of an image that failed there are no
  // parts: it is whole.
  Part take(const Kernels& kernels, const ComponentMasks& masks, const Box* box, Arena& arena, PackedImage& out) const;

 private:
  bool cut(const Box& box, Region& region) const;
  void take_tiles(const Kernels& kernels, uint32_t component, const BlockRect& rect, uint64_t mask, Arena& arena,
                  PackedImage& out) const;

  RecordView view_;
  Header facts_;
};

// Copies a record that check_meta passed; false, with anything in `out`, if its tiles are not those of its checksum. They are
// read once.
bool copy_checked(const Kernels& kernels, std::span<const uint8_t> record, uint8_t* out);

}  // namespace dctload
