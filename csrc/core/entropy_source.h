// Entropy-coded data without its byte stuffing, in pieces: the decoder never sees FF00, a marker or the end of the file.
//
//   file   ... FF00 ... | FF00 ... | FFD0 ...
//   buffer [ left over from the last piece | this piece | zeros behind the last piece ]
//
// De-stuffing in a pass of its own (2 us per 100 kB) is cheaper than a test in every refill. One call of a kernel may read
// kMaxMcuBytes past the position it starts an MCU at, so it stops where fewer are left, or runs into zeros at the very end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cpu.h"

namespace dctload {

// A block takes at most 64 symbols of 31 bits; an MCU has at most 10 blocks (B.2.3).
inline constexpr size_t kMaxMcuBytes = 10 * 248 + 16;

// What a destuff kernel works on. 32 bytes behind dst_end may be written.
struct Destuffed {
  const uint8_t* src;
  const uint8_t* src_end;
  uint8_t* dst;
  uint8_t* dst_end;
  bool at_marker;  // src stands on the FF of a marker, or of the lone FF at the end of the file
};

// Bits not yet decoded: the top `count & 63` bits of `bits`, then the bytes from `at`.
struct BitPosition {
  uint64_t bits = 0;
  uint64_t count = 0;
  const uint8_t* at = nullptr;
};

class EntropySource {
 public:
  EntropySource();

  // Begins an interval of entropy-coded data at `offset`.
  void start(const Kernels& kernels, std::span<const uint8_t> file, uint64_t offset);
  // Brings in the next piece when position().at has passed stop() and the data goes on.
  void more();

  BitPosition& position() { return position_; }
  // An MCU may begin while `at` is not past stop().
  const uint8_t* stop() const { return last_ ? end_ : end_ - kMaxMcuBytes; }
  const uint8_t* end() const { return end_; }
  bool last() const { return last_; }  // no data behind end()
  bool overrun() const { return last_ && bits_left() < 0; }
  int64_t bits_left() const { return (end_ - position_.at) * 8 + static_cast<int64_t>(position_.count & 63); }

  // Where in the file the data ended (its marker, or the file's size). Valid when last().
  uint64_t end_offset() const { return static_cast<uint64_t>(src_ - file_.data()); }
  // File offset of the first byte not yet begun.
  uint64_t offset() const;

 private:
  static constexpr size_t kPiece = 24 << 10;
  static constexpr size_t kCapacity = 2 * kMaxMcuBytes + kPiece + 64;

  std::unique_ptr<uint8_t[]> buffer_;
  std::span<const uint8_t> file_;
  const Kernels* kernels_ = nullptr;
  const uint8_t* src_ = nullptr;
  uint8_t* end_ = nullptr;
  bool last_ = false;
  BitPosition position_;
};

}  // namespace dctload
