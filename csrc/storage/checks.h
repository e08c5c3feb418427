// The mark that every checksum starts with, and what is said where one differs.
//
// Why: stored bytes are chosen by users, and blocks may be written to the wrong place by a device.
// A checksum that starts with the seed of its file and its own offset is right in one place of one
// file only.
// Threads: all functions from any thread.
#pragma once

#include <string>

#include "base/status.h"

namespace omen {

// The checksum of a file's seed and an offset, 16 bytes.
uint32_t mark_of(uint64_t seed, uint64_t offset);

// ERR_CORRUPT: the message and what to do. `path`: of the file, or of the directory.
Status corrupt(const std::string& path, std::string message);
// The same: "<path> is damaged at byte <offset>: <what>; restore ...".
Status damaged(const std::string& path, uint64_t offset, const std::string& what);
// ERR_FORMAT of a file that a newer version wrote.
Status unknown_format(const std::string& path, uint32_t version);

}  // namespace omen
