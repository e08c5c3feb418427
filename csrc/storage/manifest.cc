// The manifest: to bytes and back, with its checksum.
#include "storage/manifest.h"

#include "base/crc32c.h"
#include "base/planted.h"
#include "storage/checks.h"
#include "storage/format.h"

namespace omen {

namespace {

constexpr size_t kChecksumAt = 92;
constexpr char kLogSuffix[] = ".wal";
constexpr char kSegmentSuffix[] = ".seg";
constexpr size_t kSuffixBytes = 4;
constexpr size_t kDigits = 6;

Status wrong_format(const std::string& path, const std::string& what) {
  return Status::error(ErrorCode::kFormat, path + " " + what).with_path(path);
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

// What is wrong with the list of files, its order included; nullptr: nothing.
const char* check_files(const Manifest& m) {
  ManifestFile before;
  before.kind = static_cast<uint32_t>(ManifestKind::kSegment);
  const ManifestFile* table = nullptr;
  for (const ManifestFile& file : m.files) {
    if (file.number == 0 || file.number > m.last_number) return "a file's number is impossible";
    const bool is_table = file.kind == static_cast<uint32_t>(ManifestKind::kTable);
    if (file.kind < before.kind || table != nullptr) return "its files are in disorder";
    if (file.kind == before.kind && file.number <= before.number) return "it names a file twice";
    if (file.kind == static_cast<uint32_t>(ManifestKind::kLog) && file.number <= m.log_number) {
      return "its logs are in disorder";
    }
    if (is_table) table = &file;
    before = file;
  }
  const std::vector<ManifestFile> segments = m.files_of(ManifestKind::kSegment);
  if (table == nullptr) return segments.empty() ? nullptr : "it names no table of the snapshot";
  for (const ManifestFile& segment : segments) {
    if (segment.number != table->number) continue;
    const bool is_within = table->sequence % kSegmentAlignment == 0 &&
                           table->sequence >= kSegmentHeaderBytes &&
                           table->sequence <= segment.size &&
                           table->size <= segment.size - table->sequence;
    return is_within ? nullptr : "the table of the snapshot is in no segment";
  }
  return "the table of the snapshot is in no segment";
}

Result<Manifest> decode(const std::vector<std::byte>& bytes, const std::string& path) {
  const std::byte* in = bytes.data();
  if (bytes.size() < kMagicBytes || std::memcmp(in, kManifestMagic, kMagicBytes) != 0) {
    return wrong_format(
        path, "is no manifest of an OmenDB database; check the path, or restore a backup");
  }
  const auto damaged = [&](const char* what) {
    return corrupt(path, path + " is damaged (" + what + ")");
  };
  if (bytes.size() < kManifestBytes) return damaged("it is cut off");
  // The version first: a newer one may have put its checksum elsewhere.
  const auto version = load_number<uint32_t>(in + 8);
  if (version > kFormatVersion && version < 1000) {
    return wrong_format(path, "has format " + std::to_string(version) +
                                  ", and this version of OmenDB knows " +
                                  std::to_string(kFormatVersion) + "; use a newer version");
  }
  if (load_number<uint32_t>(in + 12) != bytes.size()) return damaged("its size differs");
  if (load_number<uint32_t>(in + kChecksumAt) != checksum_of(bytes) &&
      !OMEN_PLANTED("no-manifest-checksum")) {
    return damaged("its checksum differs");
  }
  if (version != kFormatVersion) return damaged("its version is unknown");
  if ((load_number<uint64_t>(in + 16) & ~kKnownFeatures) != 0) {
    return wrong_format(
        path, "uses features that this version of OmenDB does not know; use a newer version");
  }
  const auto number = [&](size_t i) { return load_number<uint64_t>(in + 32 + 8 * i); };
  Manifest m{number(0), number(1), number(2), number(3), number(4), number(5), number(6), {}};
  const auto files = load_number<uint32_t>(in + 88);
  if (bytes.size() != kManifestBytes + uint64_t{files} * kManifestFileBytes) {
    return damaged("its list of files is cut off");
  }
  for (uint32_t i = 0; i < files; ++i) {
    const std::byte* at = in + kManifestBytes + size_t{i} * kManifestFileBytes;
    ManifestFile file{load_number<uint64_t>(at), load_number<uint64_t>(at + 8),
                      load_number<uint64_t>(at + 16), load_number<uint32_t>(at + 24),
                      load_number<uint32_t>(at + 28)};
    if (file.kind == 0 || file.kind > static_cast<uint32_t>(ManifestKind::kTable)) {
      return wrong_format(path, "names files of a kind that this version of OmenDB does not know; "
                                "use a newer version");
    }
    m.files.push_back(file);
  }
  if (m.log_first_sequence == 0 || m.log_number == 0) return damaged("it names no log");
  if (m.last_number < m.log_number || m.last_number > kFileNumberMax) {
    return damaged("its numbers are impossible");
  }
  if (const char* what = check_files(m); what != nullptr) return damaged(what);
  return m;
}

std::string path_of(const std::string& directory, uint64_t number, const char* suffix) {
  std::string digits = std::to_string(number);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return directory + "/" + digits + suffix;
}

bool is_numbered(const std::string& name, const char* suffix) {
  if (name.size() < kDigits + kSuffixBytes) return false;
  const size_t digits = name.size() - kSuffixBytes;
  return name.compare(digits, kSuffixBytes, suffix) == 0 &&
         name.find_first_not_of("0123456789") == digits;
}

}  // namespace

std::vector<ManifestFile> Manifest::files_of(ManifestKind kind) const {
  std::vector<ManifestFile> found;
  for (const ManifestFile& file : files) {
    if (file.kind == static_cast<uint32_t>(kind)) found.push_back(file);
  }
  return found;
}

void Manifest::drop_files(ManifestKind kind) {
  const auto unwanted = static_cast<uint32_t>(kind);
  std::erase_if(files, [&](const ManifestFile& file) { return file.kind == unwanted; });
}

std::set<std::string> Manifest::paths(const std::string& directory) const {
  std::set<std::string> named{log_path(directory, log_number)};
  for (const ManifestFile& file : files) {
    const bool is_log = file.kind == static_cast<uint32_t>(ManifestKind::kLog);
    named.insert(is_log ? log_path(directory, file.number) : segment_path(directory, file.number));
  }
  return named;
}

std::string log_path(const std::string& directory, uint64_t number) {
  return path_of(directory, number, kLogSuffix);
}
std::string segment_path(const std::string& directory, uint64_t number) {
  return path_of(directory, number, kSegmentSuffix);
}

bool is_log_name(const std::string& name) { return is_numbered(name, kLogSuffix); }
bool is_segment_name(const std::string& name) { return is_numbered(name, kSegmentSuffix); }

uint64_t number_of_name(const std::string& name) {
  uint64_t number = 0;
  for (size_t i = 0; i + kSuffixBytes < name.size(); ++i) {
    number = number * 10 + static_cast<uint64_t>(name[i] - '0');
    if (number > kFileNumberMax) return 0;
  }
  return number;
}

Result<Manifest> read_manifest(Env* env, const std::string& directory) {
  const std::string path = directory + "/" + kManifestName;
  OMEN_ASSIGN(const std::unique_ptr<File> file, File::open(env, path, Env::kRead));
  OMEN_ASSIGN(const FileStat stat, file->stat());
  if (stat.is_directory) return wrong_format(path, "is a directory, not a manifest");
  const size_t most = kManifestBytes + size_t{kManifestFilesMax} * kManifestFileBytes;
  if (stat.size > most) return corrupt(path, path + " is larger than a manifest can be");
  std::vector<std::byte> bytes(static_cast<size_t>(stat.size));
  OMEN_TRY(file->read_exactly(0, bytes.data(), bytes.size()));
  return decode(bytes, path);
}

Status rename_manifest(Env* env, const std::string& directory, const Manifest& manifest) {
  const std::vector<std::byte> bytes = encode(manifest);
  const std::string temporary = directory + "/" + kManifestTemporaryName;
  {
    OMEN_ASSIGN(const std::unique_ptr<File> file,
                File::open(env, temporary, Env::kWrite | Env::kCreate | Env::kTruncate));
    OMEN_TRY(file->write_at(0, bytes.data(), bytes.size()));
    if (!OMEN_PLANTED("manifest-not-synced")) OMEN_TRY(file->sync());
  }
  return rename_file(env, temporary, directory + "/" + kManifestName);
}

Status write_manifest(Env* env, const std::string& directory, const Manifest& manifest) {
  OMEN_TRY(rename_manifest(env, directory, manifest));
  return sync_directory(env, directory);
}

}  // namespace omen
