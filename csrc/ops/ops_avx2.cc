#if defined(__x86_64__)

#include "ops_kernels.h"
#include "resample-inl.h"
#include "unpack_tile-inl.h"

namespace dctload::ops {

extern const OpsKernels kAvx2Ops;
const OpsKernels kAvx2Ops = {&unpack_int16, &unpack_float, &unpack_tile, &resample_band, &resample_rows};

}  // namespace dctload::ops

#endif
