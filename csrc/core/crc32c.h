// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, inverted before and after): the checksum of records and batches.
//
// Every version extends `crc`, the checksum of what came before (0 at the start), so the pieces of a buffer may be given one by
// one. The copying ones read `from` once, which they may do ahead of where they are: a checksum beside a copy from memory is then
// nearly free.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dctload {

// Eight table lookups for 8 bytes; about 2 GB/s.
uint32_t crc32c_portable(uint32_t crc, const uint8_t* data, size_t size);
uint32_t copy_crc32c_portable(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to);

#if defined(__x86_64__)

// The SSE4.2 instruction on three streams at once; about 20 GB/s.
uint32_t crc32c_sse42(uint32_t crc, const uint8_t* data, size_t size);
uint32_t copy_crc32c_sse42(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to);

// 32-byte carry-less multiplications (Ice Lake, Zen 3 and later); about 29 GB/s.
bool has_vpclmul();
uint32_t crc32c_vpclmul(uint32_t crc, const uint8_t* data, size_t size);
uint32_t copy_crc32c_vpclmul(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to);

// The faster of the two that this machine has.
uint32_t crc32c_avx2(uint32_t crc, const uint8_t* data, size_t size);
uint32_t copy_crc32c_avx2(uint32_t crc, const uint8_t* from, size_t size, uint8_t* to);

#endif

}  // namespace dctload
