#include "entropy_source.h"

#include <algorithm>
#include <cstring>

namespace dctload {

EntropySource::EntropySource() : buffer_(new uint8_t[kCapacity]) {}

void EntropySource::start(const Kernels& kernels, std::span<const uint8_t> file, uint64_t offset) {
  kernels_ = &kernels;
  file_ = file;
  src_ = file.data() + std::min<uint64_t>(offset, file.size());
  end_ = buffer_.get();
  last_ = false;
  position_ = {0, 0, buffer_.get()};
  more();
}

void EntropySource::more() {
  if (last_) return;
  const size_t left = static_cast<size_t>(end_ - position_.at);
  std::memmove(buffer_.get(), position_.at, left);
  position_.at = buffer_.get();
  Destuffed io{src_, file_.data() + file_.size(), buffer_.get() + left, buffer_.get() + left + kPiece, false};
  kernels_->destuff(io);
  src_ = io.src;
  end_ = io.dst;
  if (io.at_marker || io.src == io.src_end) {
    last_ = true;
    std::memset(end_, 0, kMaxMcuBytes + 16);  // what is read past the end is zero, as in libjpeg
  }
}

uint64_t EntropySource::offset() const {
  // Walk back over the bytes that are in the buffer but not begun; a 00 behind FF is stuffing.
  const uint8_t* p = src_;
  int64_t back = std::max<int64_t>(bits_left(), 0) / 8;
  for (; back > 0 && p > file_.data(); --back) {
    --p;
    if (*p == 0 && p > file_.data() && p[-1] == 0xFF) {
      --p;
      while (p > file_.data() && p[-1] == 0xFF) --p;
    }
  }
  return static_cast<uint64_t>(p - file_.data());
}

}  // namespace dctload
