// What the machine lends to this process.
#pragma once

#include <cstdint>

namespace omen {

// Bytes of memory that this process can count on at most: the machine's, or less where its cgroup
// says so.
uint64_t memory_limit();

}  // namespace omen
