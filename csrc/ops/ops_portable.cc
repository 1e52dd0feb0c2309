#include "ops_kernels.h"
#include "resample-inl.h"
#include "unpack_tile-inl.h"

namespace dctload::ops {

extern const OpsKernels kPortableOps;
const OpsKernels kPortableOps = {&unpack_int16, &unpack_float, &unpack_tile, &resample_band, &resample_rows};

}  // namespace dctload::ops
