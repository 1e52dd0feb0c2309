#if defined(__x86_64__)

#include "cpu.h"
#include "crc32c.h"
#include "kernels-inl.h"

namespace dctload {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = {CpuLevel::kAvx2, "avx2",      &destuff,     &decode_sequential, &decode_progressive,
                              &pack_tile,      &transpose8, &select_tile, &crc32c_avx2,       &copy_crc32c_avx2};

}  // namespace dctload

#endif
