// CRC-32C (Castagnoli): the checksum of everything on disk.
//
// Polynomial 0x1EDC6F41, reflected, first and last inverted (RFC 3720, appendix B.4). By the
// processor's instruction where it has one, else eight bytes a step by tables; a test compares
// both.
// Threads: all functions from any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace omen {

// The checksum of `data` after `crc`, the checksum of what came before it (0 at the start).
uint32_t crc32c(uint32_t crc, const void* data, size_t length);

// The same by tables alone: the reference.
uint32_t crc32c_by_tables(uint32_t crc, const void* data, size_t length);

}  // namespace omen
