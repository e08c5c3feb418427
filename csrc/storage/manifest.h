// The manifest: which files of a database are valid, and what holds for all of them.
//
// Why: files come and go by one atomic step. All that a new manifest names is on the device before
// it; it is written beside the old one, synced, renamed over it, and the directory synced. A crash
// leaves the old one or the new one, and files that neither names are leftovers.
// Format: storage/format.h. This version writes no snapshots: all data are in the log, and the list
// of files is empty.
// Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "io/file.h"

namespace omen {

struct ManifestFile {
  uint64_t number = 0;
  uint64_t size = 0;
  uint64_t sequence = 0;
  uint32_t kind = 0;
  uint32_t checksum = 0;
};

struct Manifest {
  uint64_t database_id = 0;
  uint64_t seed = 0;
  uint64_t generation = 0;
  uint64_t log_number = 0;
  uint64_t log_first_sequence = 1;
  uint64_t last_number = 0;
  // The log's records up to here were on the device: a log that ends before is damaged.
  uint64_t durable_sequence = 0;
  std::vector<ManifestFile> files;
};

inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr char kManifestTemporaryName[] = "MANIFEST.tmp";
inline constexpr char kLockName[] = "LOCK";

// "<directory>/000001.wal".
std::string log_path(const std::string& directory, uint64_t number);
// Whether a name is that of a log.
bool is_log_name(const std::string& name);

// ERR_NOT_FOUND if there is none; ERR_FORMAT: no manifest of OmenDB's, or of a newer version;
// ERR_CORRUPT.
Result<Manifest> read_manifest(Env* env, const std::string& directory);
// Makes it the valid one. When this fails, either may be.
Status write_manifest(Env* env, const std::string& directory, const Manifest& manifest);

}  // namespace omen
