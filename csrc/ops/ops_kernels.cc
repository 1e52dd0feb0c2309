#include "ops_kernels.h"

namespace dctload::ops {

extern const OpsKernels kPortableOps;
#if defined(__x86_64__)
extern const OpsKernels kAvx2Ops;
#endif

const OpsKernels& ops_kernels(CpuLevel level) {
#if defined(__x86_64__)
  if (level == CpuLevel::kAvx2) return kAvx2Ops;
#endif
  (void)level;
  return kPortableOps;
}

const OpsKernels& chosen_ops_kernels() { return ops_kernels(chosen_kernels().level); }

}  // namespace dctload::ops
