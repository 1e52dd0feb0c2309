// Records and batches as bytes: check, join, cut, select, pack and unpack. Nothing here sees a JPEG stream.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "header.h"
#include "selection.h"
#include "wire.h"

namespace dctload {

// Where a buffer breaks the format. `what` is null when all is well.
struct WireFault {
  const char* what = nullptr;  // "payload CRC"
  uint64_t offset = 0;         // byte in the buffer
  int64_t image = -1;          // -1: the fault is in the batch's own header or directory, or a record was checked alone

  bool ok() const { return what == nullptr; }
};

// wire-format.md section 4. `deep` also walks every tile (step 5).
WireFault check_record(std::span<const uint8_t> record, bool deep = false);
// The same in two parts: all that can be said without the tiles, and the tiles' checksum, of a record that passed the first.
WireFault check_meta(std::span<const uint8_t> record);
WireFault check_payload(std::span<const uint8_t> record);
WireFault check_batch(std::span<const uint8_t> batch, bool deep = false);

// The functions below take records that check_record passed (check_meta is enough for memory's sake); they read nothing outside
// them whatever the tiles hold.

// Bytes of a batch of these records (0 if it would pass the format's bounds), and the batch itself: records are copied, the
// directory is made anew.
uint64_t joined_bytes(std::span<const std::span<const uint8_t>> records);
void join(std::span<const std::span<const uint8_t>> records, uint8_t* out);

// Header and both directories only, for records that already lie in place behind them, one after the other.
void write_directory(std::span<const std::span<const uint8_t>> records, uint8_t* out);

// Fills in both CRCs of a record whose bytes are complete.
void seal_record(uint8_t* record);

// Fewer channels of a record, byte runs copied, nothing decoded (stored_record.h). Appends to `out`; false if a channel
// asked for is not there.
bool select_channels(std::span<const uint8_t> record, const ComponentMasks& masks, std::vector<uint8_t>& out);
// What a record keeps of its file's header.
Header record_facts(std::span<const uint8_t> record);
// The masks that `selection` means for this record's colour space and components.
ComponentMasks record_masks(std::span<const uint8_t> record, const Selection& selection);

// A smaller region of a record: the tiles that touch it. `box`, in pixels as coded, is snapped out to MCUs and clipped to the
// record's own region; kRegionOutside if they do not meet.
Result cut_region(std::span<const uint8_t> record, const Box& box, std::vector<uint8_t>& out);

// One component's planes, int16 [channels][h][w], clamped against any payload (a byte past the tile's end reads as 0).
void unpack_component(std::span<const uint8_t> record, int component, int16_t* planes);

// A record from whole planes: int16 [64][block_rows][block_cols] a component. For transcoding, resized images and tests.
// `valid_mcus` counts where `status` is kStatusTruncated or kStatusDamaged. kLimitRecord if it gets too long.
Result pack_planes(const Header& header, const int16_t* const* planes, std::vector<uint8_t>& out,
                   wire::Status status = wire::kStatusOk, uint32_t valid_mcus = 0);

// Upper bound of a record's bytes. Exact arithmetic over tiles, no data needed.
uint64_t record_bound(const Header& header, const ComponentMasks& masks, const Region& region);

}  // namespace dctload
