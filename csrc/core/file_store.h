// Files in memory: whole files, one behind the other, in large pieces that go round from batch to batch.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "errors.h"

namespace dctload {

struct Piece {
  std::unique_ptr<uint8_t[]> data;
  size_t capacity = 0;
};

// Pieces that nobody uses now. What was given back is taken again, with its pages, so that a steady run of batches asks the
// system for no memory. Safe to use from several threads.
class PiecePool {
 public:
  // A piece of at least `least` bytes, not initialised. Throws std::bad_alloc.
  Piece take(size_t least);
  // Allocates nothing that could fail. What passes kKeepPiece, or kKeepAll with the others, goes back to the system.
  void give(Piece piece) noexcept;

  static constexpr size_t kSmallest = 1 << 20;
  static constexpr size_t kKeepPiece = 64 << 20;
  static constexpr size_t kKeepAll = 512 << 20;

 private:
  std::mutex mutex_;
  std::vector<Piece> free_;
  size_t bytes_ = 0;  // of free_
};

// The files of one reader. For one thread at a time.
class FileStore {
 public:
  explicit FileStore(std::shared_ptr<PiecePool> pool) : pool_(std::move(pool)) {}
  ~FileStore() { clear(); }
  FileStore(FileStore&&) = default;
  FileStore& operator=(FileStore&&) = delete;

  // A whole file into `bytes`, which stay until clear(); one byte more than `limit` is the most that is read of it. kIo with the
  // system's number, kLimitBytes where the size is known beforehand, kNoMemory.
  Result read(const std::string& path, uint64_t limit, std::span<const uint8_t>& bytes);
  void clear() noexcept;

 private:
  std::span<uint8_t> room(size_t least);

  std::shared_ptr<PiecePool> pool_;
  std::vector<Piece> pieces_;
  size_t used_ = 0;  // of the last piece
};

}  // namespace dctload
