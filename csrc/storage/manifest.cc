// The manifest: to bytes and back, with its checksum.
#include "storage/manifest.h"

#include "base/crc32c.h"
#include "base/planted.h"
#include "storage/format.h"

namespace omen {

namespace {

constexpr size_t kChecksumAt = 92;
constexpr char kLogSuffix[] = ".wal";
constexpr size_t kLogDigits = 6;

Status fault(ErrorCode code, const std::string& path, const std::string& what) {
  return Status::error(code, path + " " + what).with_path(path);
}

uint32_t checksum_of(const std::vector<std::byte>& bytes) {
  const uint32_t head = crc32c(0, bytes.data(), kChecksumAt);
  return crc32c(head, bytes.data() + kManifestBytes, bytes.size() - kManifestBytes);
}

std::vector<std::byte> encode(const Manifest& m) {
  std::vector<std::byte> bytes(kManifestBytes + m.files.size() * kManifestFileBytes);
  std::byte* out = bytes.data();
  std::memcpy(out, kManifestMagic, kMagicBytes);
  store_number<uint32_t>(out + 8, kFormatVersion);
  store_number<uint32_t>(out + 12, static_cast<uint32_t>(bytes.size()));
  store_number<uint64_t>(out + 16, 0);
  store_number<uint64_t>(out + 24, 0);
  const uint64_t numbers[] = {m.database_id,        m.seed,        m.generation,      m.log_number,
                              m.log_first_sequence, m.last_number, m.durable_sequence};
  for (size_t i = 0; i < std::size(numbers); ++i) store_number(out + 32 + 8 * i, numbers[i]);
  store_number<uint32_t>(out + 88, static_cast<uint32_t>(m.files.size()));
  for (size_t i = 0; i < m.files.size(); ++i) {
    const ManifestFile& file = m.files[i];
    std::byte* at = out + kManifestBytes + i * kManifestFileBytes;
    store_number(at, file.number);
    store_number(at + 8, file.size);
    store_number(at + 16, file.sequence);
    store_number(at + 24, file.kind);
    store_number(at + 28, file.checksum);
  }
  store_number<uint32_t>(out + kChecksumAt, checksum_of(bytes));
  return bytes;
}

Result<Manifest> decode(const std::vector<std::byte>& bytes, const std::string& path) {
  const std::byte* in = bytes.data();
  if (bytes.size() < kMagicBytes || std::memcmp(in, kManifestMagic, kMagicBytes) != 0) {
    return fault(ErrorCode::kFormat, path,
                 "is no manifest of an OmenDB database; check the path, or restore a backup");
  }
  const auto damaged = [&](const char* what) {
    return fault(ErrorCode::kCorrupt, path,
                 std::string("is damaged (") + what + "); restore a backup of the database");
  };
  if (bytes.size() < kManifestBytes) return damaged("it is cut off");
  // The version first: a newer one may have put its checksum elsewhere.
  const auto version = load_number<uint32_t>(in + 8);
  if (version > kFormatVersion && version < 1000) {
    return fault(ErrorCode::kFormat, path,
                 "has format " + std::to_string(version) + ", and this version of OmenDB knows " +
                     std::to_string(kFormatVersion) + "; use a newer version");
  }
  if (load_number<uint32_t>(in + 12) != bytes.size()) return damaged("its size differs");
  if (load_number<uint32_t>(in + kChecksumAt) != checksum_of(bytes) &&
      !OMEN_PLANTED("no-manifest-checksum")) {
    return damaged("its checksum differs");
  }
  if (version != kFormatVersion) return damaged("its version is unknown");
  if ((load_number<uint64_t>(in + 16) & ~kKnownFeatures) != 0) {
    return fault(ErrorCode::kFormat, path,
                 "uses features that this version of OmenDB does not know; use a newer version");
  }
  const auto number = [&](size_t i) { return load_number<uint64_t>(in + 32 + 8 * i); };
  Manifest m{number(0), number(1), number(2), number(3), number(4), number(5), number(6), {}};
  const auto files = load_number<uint32_t>(in + 88);
  if (bytes.size() != kManifestBytes + uint64_t{files} * kManifestFileBytes) {
    return damaged("its list of files is cut off");
  }
  if (files > 0) {
    return fault(ErrorCode::kFormat, path,
                 "names snapshots, which this version of OmenDB does not know; use a newer one");
  }
  if (m.log_first_sequence == 0 || m.log_number == 0) return damaged("it names no log");
  return m;
}

}  // namespace

std::string log_path(const std::string& directory, uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < kLogDigits) digits.insert(0, kLogDigits - digits.size(), '0');
  return directory + "/" + digits + kLogSuffix;
}

bool is_log_name(const std::string& name) {
  const size_t suffix = sizeof(kLogSuffix) - 1;
  if (name.size() < kLogDigits + suffix) return false;
  if (name.compare(name.size() - suffix, suffix, kLogSuffix) != 0) return false;
  return name.find_first_not_of("0123456789") == name.size() - suffix;
}

Result<Manifest> read_manifest(Env* env, const std::string& directory) {
  const std::string path = directory + "/" + kManifestName;
  OMEN_ASSIGN(const std::unique_ptr<File> file, File::open(env, path, Env::kRead));
  OMEN_ASSIGN(const FileStat stat, file->stat());
  if (stat.is_directory) return fault(ErrorCode::kFormat, path, "is a directory, not a manifest");
  const size_t most = kManifestBytes + size_t{kManifestFilesMax} * kManifestFileBytes;
  if (stat.size > most) return fault(ErrorCode::kCorrupt, path, "is larger than a manifest can be");
  std::vector<std::byte> bytes(static_cast<size_t>(stat.size));
  OMEN_TRY(file->read_exactly(0, bytes.data(), bytes.size()));
  return decode(bytes, path);
}

Status write_manifest(Env* env, const std::string& directory, const Manifest& manifest) {
  const std::vector<std::byte> bytes = encode(manifest);
  const std::string temporary = directory + "/" + kManifestTemporaryName;
  {
    OMEN_ASSIGN(const std::unique_ptr<File> file,
                File::open(env, temporary, Env::kWrite | Env::kCreate | Env::kTruncate));
    OMEN_TRY(file->write_at(0, bytes.data(), bytes.size()));
    if (!OMEN_PLANTED("manifest-not-synced")) OMEN_TRY(file->sync());
  }
  OMEN_TRY(rename_file(env, temporary, directory + "/" + kManifestName));
  return sync_directory(env, directory);
}

}  // namespace omen
