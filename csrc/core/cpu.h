// CPU levels, chosen at run time; every level gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dctload {

struct SequentialRun;
struct ProgressiveRun;
struct Destuffed;
struct TileBytes;
struct TileSelector;

enum class CpuLevel : uint8_t { kPortable, kAvx2 };

// The hot functions, compiled once a level from the same *-inl.h files.
struct Kernels {
  CpuLevel level;
  const char* name;

  // Copies entropy-coded bytes without stuffing; stops at a marker or at either end (entropy_source.h).
  void (*destuff)(Destuffed& io);
  // Decodes MCUs of a sequential scan until `run.mcus` are done or the buffer is nearly used up (scan_sequential.h).
  void (*sequential)(SequentialRun& run);
  // The four kinds of progressive scan (scan_progressive.h).
  void (*progressive)(ProgressiveRun& run);
  // Packs a tile of int16 [channels][64] in lane order into at most wire::kMaxTileBytes (32 bytes of slack behind them may be
  // overwritten); returns the bytes, a multiple of 16. The tile is zero afterwards.
  size_t (*pack_tile)(int16_t* tile, uint32_t channels, bool has_dc, uint8_t* out);
  // 8 blocks of `count` coefficients (`stride` apart) transposed: out[slot[i] * slot_stride + 0..7] for coefficient i.
  void (*transpose8)(const int16_t* const* blocks, uint32_t count, const uint8_t* slots, int16_t* out, size_t slot_stride);
  // A packed tile with the channels of `selector` alone (it may write selector.room()); returns its bytes, a multiple of 16 and
  // not more than those of `from`. `readable` bytes lie in memory from the tile's first byte on, the tile's own among them.
  size_t (*select_tile)(const TileSelector& selector, const TileBytes& from, uint64_t readable, uint8_t* out);
  uint32_t (*crc32c)(uint32_t crc, const uint8_t* data, size_t size);
  // The same, of bytes that are copied.
  uint32_t (*copy_crc32c)(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to);
};

// The best level of this machine, or the one that the environment's DCTLOAD_FORCE_ISA names ("portable", "avx2"). An unknown or
// unsupported name gives null.
const Kernels* select_kernels();
// The same, asked for once: the environment may be changed by another thread later. Portable where the name was wrong.
const Kernels& chosen_kernels();
const Kernels& kernels(CpuLevel level);
bool supported(CpuLevel level);

// Extends a CRC-32C (Castagnoli, reflected) over more bytes; start with 0.
uint32_t crc32c(const Kernels& kernels, uint32_t crc, const uint8_t* data, size_t size);

}  // namespace dctload
