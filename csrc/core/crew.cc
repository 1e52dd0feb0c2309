#include "crew.h"

#include <algorithm>
#include <atomic>

#if defined(__linux__)
#include <sched.h>
#endif

namespace dctload {
namespace {

constexpr int kPatience = 1000;  // 26 us on an EPYC

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void Crew::run(unsigned size, const std::function<void(unsigned)>& job) {
  if (size <= 1) return job(0);
  while (threads_.size() + 1 < size) {  // a new thread has no part in the rounds before it
    threads_.emplace_back([this, i = static_cast<unsigned>(threads_.size()) + 1, seen = round_] { work(i, seen); });
  }
  {
    const std::lock_guard lock(mutex_);
    job_ = &job;
    size_ = size;
    running_ = threads_.size();
    ++round_;
  }
  wake_.notify_all();
  job(0);
  // The others are at their last piece, most often: to sleep and be woken takes longer than that.
  for (int i = 0; i < kPatience && running_.load(std::memory_order_relaxed) != 0; ++i) relax();
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  job_ = nullptr;
}

void Crew::for_each(unsigned size, size_t count, const std::function<void(unsigned, size_t)>& job) {
  std::atomic<size_t> next = 0;
  run(static_cast<unsigned>(std::min<size_t>(size, std::max<size_t>(count, 1))), [&](unsigned worker) {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) job(worker, i);
  });
}

void Crew::work(unsigned worker, uint64_t seen) {
  for (;;) {
    const std::function<void(unsigned)>* job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
      job = worker < size_ ? job_ : nullptr;
    }
    if (job != nullptr) (*job)(worker);
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }
}

unsigned available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#endif
  return std::max(std::thread::hardware_concurrency(), 1u);
}

}  // namespace dctload
