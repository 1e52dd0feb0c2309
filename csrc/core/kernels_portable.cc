#include "cpu.h"
#include "crc32c.h"
#include "kernels-inl.h"

namespace dctload {

extern const Kernels kPortableKernels;
const Kernels kPortableKernels = {CpuLevel::kPortable, "portable",  &destuff,     &decode_sequential, &decode_progressive,
                                  &pack_tile,          &transpose8, &select_tile, &crc32c_portable,   &copy_crc32c_portable};

}  // namespace dctload
