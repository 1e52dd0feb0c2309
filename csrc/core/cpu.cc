#include "cpu.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace dctload {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
#endif

bool supported(CpuLevel level) {
  if (level == CpuLevel::kPortable) return true;
#if defined(__x86_64__)
  // All that csrc/avx2.flags lets the compiler use; every one of them came with Haswell and with Zen.
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("sse4.2");
#else
  return false;
#endif
}

const Kernels& kernels(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::kAvx2) return kAvx2Kernels;
#endif
  (void)level;
  return kPortableKernels;
}

const Kernels* select_kernels() {
  const char* forced = std::getenv("DCTLOAD_FORCE_ISA");
  for (const CpuLevel level : {CpuLevel::kAvx2, CpuLevel::kPortable}) {
    if (!supported(level)) continue;
    const Kernels& k = kernels(level);
    if (forced == nullptr || *forced == '\0' || std::strcmp(forced, k.name) == 0) return &k;
  }
  return nullptr;
}

const Kernels& chosen_kernels() {
  static const Kernels& chosen = []() -> const Kernels& {
    const Kernels* best = select_kernels();
    return best != nullptr ? *best : kernels(CpuLevel::kPortable);
  }();
  return chosen;
}

uint32_t crc32c(const Kernels& level, uint32_t crc, const uint8_t* data, size_t size) { return level.crc32c(crc, data, size); }

}  // namespace dctload
