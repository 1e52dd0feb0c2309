// Threads that work together on one job at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace dctload {

// Runs one function on several threads at a time; the caller is one of them. Threads start when they are first needed.
class Crew {
 public:
  Crew() = default;
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // `job(worker)` on threads 0 (the caller) to size - 1; returns when all are done.
  void run(unsigned size, const std::function<void(unsigned)>& job);
  // `job(worker, i)` for each i below count, each thread taking the next one; at most `size` threads.
  void for_each(unsigned size, size_t count, const std::function<void(unsigned, size_t)>& job);

 private:
  void work(unsigned worker, uint64_t seen);

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(unsigned)>* job_ = nullptr;
  std::atomic<size_t> running_ = 0;  // changed under the lock
  unsigned size_ = 0;
  uint64_t round_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

// Cores that this process may run on.
unsigned available_cores();

}  // namespace dctload
