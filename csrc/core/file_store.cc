#include "file_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

namespace dctload {
namespace {

constexpr uint64_t kUnknownSize = 256 << 10;  // first room for what does not say its size: pipes, /proc
constexpr uint64_t kMostAtOnce = 1 << 30;     // some systems refuse to read 2^31 bytes in one call

// A descriptor that is closed on every way out.
class Descriptor {
 public:
  explicit Descriptor(const char* path) : number_(::open(path, O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Result system_error(uint64_t offset) { return {Code::kIo, static_cast<uint32_t>(errno), offset}; }

}  // namespace

Piece PiecePool::take(size_t least) {
  {
    const std::lock_guard lock(mutex_);
    const auto better = [&](const Piece& a, const Piece& b) {  // the smallest that is large enough
      return a.capacity >= least && (b.capacity < least || a.capacity < b.capacity);
    };
    const auto best = std::min_element(free_.begin(), free_.end(), better);
    if (best != free_.end() && best->capacity >= least) {
      Piece piece = std::move(*best);
      *best = std::move(free_.back());
      free_.pop_back();
      bytes_ -= piece.capacity;
      return piece;
    }
  }
  // Powers of two: a file that is a little larger than the last one finds a piece too.
  const size_t capacity = least <= kKeepPiece ? std::bit_ceil(std::max(least, kSmallest)) : least;
  return {std::make_unique_for_overwrite<uint8_t[]>(capacity), capacity};
}

void PiecePool::give(Piece piece) noexcept {
  const std::lock_guard lock(mutex_);
  if (piece.data == nullptr || piece.capacity > kKeepPiece || piece.capacity > kKeepAll - bytes_) return;
  const size_t capacity = piece.capacity;
  try {
    free_.push_back(std::move(piece));
    bytes_ += capacity;
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it is not kept
  }
}

void FileStore::clear() noexcept {
  for (Piece& piece : pieces_) pool_->give(std::move(piece));
  pieces_.clear();
  used_ = 0;
}

// What is free behind the last file, at least `least` bytes of it.
std::span<uint8_t> FileStore::room(size_t least) {
  if (pieces_.empty() || pieces_.back().capacity - used_ < least) {
    pieces_.emplace_back();  // first, so that what is taken is not lost
    used_ = 0;
    pieces_.back() = pool_->take(least);
  }
  return {pieces_.back().data.get() + used_, pieces_.back().capacity - used_};
}

Result FileStore::read(const std::string& path, uint64_t limit, std::span<const uint8_t>& bytes) {
  bytes = {};
  const Descriptor file(path.c_str());
  struct stat facts;
  if (file.number() < 0 || ::fstat(file.number(), &facts) != 0) return system_error(0);
  uint64_t expected = kUnknownSize;
  if (S_ISREG(facts.st_mode)) {
    expected = static_cast<uint64_t>(facts.st_size);
    if (expected > limit) return {Code::kLimitBytes, 0, 0};
  }
  const uint64_t most = std::max(limit, limit + 1);  // a byte more tells that the limit is passed
  try {
    std::span<uint8_t> to = room(std::min(expected + 1, most));  // a byte more than it has: so its end is seen
    size_t size = 0;
    while (size < most) {
      if (size == to.size()) {
        const std::span<uint8_t> larger = room(std::max<uint64_t>(2 * size, kUnknownSize));
        std::memcpy(larger.data(), to.data(), size);
        to = larger;
      }
      const uint64_t wanted = std::min(std::min<uint64_t>(to.size(), most) - size, kMostAtOnce);
      const ssize_t got = ::read(file.number(), to.data() + size, wanted);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error(size);
      if (got == 0) break;
      size += static_cast<size_t>(got);
    }
    bytes = to.first(size);
    used_ += size;
  } catch (const std::bad_alloc&) {
    return {Code::kNoMemory, 0, 0};
  }
  return {};
}

}  // namespace dctload
