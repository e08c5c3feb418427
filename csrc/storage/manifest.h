// The manifest: which files of a database are valid, and what holds for all of them.
//
// Why: files come and go by one atomic step. All that a new manifest names is on the device before
// it; it is written beside the old one, synced, renamed over it, and the directory synced. A crash
// leaves the old one or the new one, and files that neither names are leftovers.
// Format: storage/format.h. Decoding checks all that can be checked without the files: a kind that
// is unknown is a newer version's.
// Threads: one at a time.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "io/file.h"
#include "storage/format.h"

namespace omen {

struct ManifestFile {
  uint64_t number = 0;
  uint64_t size = 0;
  uint64_t sequence = 0;
  uint32_t kind = 0;  // ManifestKind.
  uint32_t checksum = 0;
  bool operator==(const ManifestFile&) const = default;
};

struct Manifest {
  uint64_t database_id = 0;
  uint64_t seed = 0;
  uint64_t generation = 0;
  uint64_t log_number = 0;
  uint64_t log_first_sequence = 1;
  uint64_t last_number = 0;
  // The logs' records up to here were on the device: a log that ends before is damaged.
  uint64_t durable_sequence = 0;
  // Segments by number, then the logs behind log_number in order, then the table, if any.
  std::vector<ManifestFile> files;
  // Those of a kind.
  std::vector<ManifestFile> files_of(ManifestKind kind) const;
  void drop_files(ManifestKind kind);
  // Of all logs and segments that it names.
  std::set<std::string> paths(const std::string& directory) const;
};

inline constexpr char kManifestName[] = "MANIFEST";
inline constexpr char kManifestTemporaryName[] = "MANIFEST.tmp";
inline constexpr char kLockName[] = "LOCK";
inline constexpr char kReserveName[] = "RESERVE";

// "<directory>/000001.wal", "<directory>/000002.seg".
std::string log_path(const std::string& directory, uint64_t number);
std::string segment_path(const std::string& directory, uint64_t number);
// Whether a name is that of a log, of a segment.
bool is_log_name(const std::string& name);
bool is_segment_name(const std::string& name);
// The number in such a name; 0 if it is larger than any that is given out.
uint64_t number_of_name(const std::string& name);

// ERR_NOT_FOUND if there is none; ERR_FORMAT: no manifest of OmenDB's, or of a newer version;
// ERR_CORRUPT.
Result<Manifest> read_manifest(Env* env, const std::string& directory);
// Makes it the valid one. When this fails, either may be.
Status write_manifest(Env* env, const std::string& directory, const Manifest& manifest);
// The same without the last step, the sync of the directory.
Status rename_manifest(Env* env, const std::string& directory, const Manifest& manifest);

}  // namespace omen
