// Backup: a copy of a database's files, while the database goes on.
//
// Why it may simply copy: segments never change, and the log only grows; the checkpoint that drops
// either is the caller's to hold off. What was appended to the log when the copy came to it is
// copied up to the last whole commit: the copy is a prefix of the commits, as after a crash.
// The manifest comes last, so that a copy that was cut off is no database.
// Threads: any, one at a time for a destination.
#pragma once

#include "storage/directory.h"

namespace omen {

// `to`: a directory that is empty or missing. ERR_EXISTS, ERR_FORMAT (it is a file), ERR_NO_SPACE,
// ERR_IO, ERR_CORRUPT; what was written to it is removed then.
Status back_up(Env* env, const Directory& from, const std::string& to, MemoryAccount* account);

}  // namespace omen
