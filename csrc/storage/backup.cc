// Backup: segments byte by byte, the log record by record, then the manifest.
#include "storage/backup.h"

#include "storage/log_chain.h"

namespace omen {

namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;

// A copy on its way. What it made is removed unless it is finished.
class Copy {
 public:
  Copy(Env* env, const Directory& from, const std::string& to, MemoryAccount* account)
      : env_(env), from_(from), to_(to), account_(account), buffer_(account, Use::kScratch) {}
  ~Copy() {
    if (is_finished_) return;
    for (const std::string& path : made_) (void)remove_file(env_, path).is_ok();
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  Status run() {
    OMEN_TRY(take_destination());
    Manifest manifest = from_.manifest();
    for (const ManifestFile& file : manifest.files_of(ManifestKind::kSegment)) {
      OMEN_TRY(copy_segment(file));
    }
    OMEN_TRY(copy_log(&manifest));
    OMEN_TRY(sync_directory(env_, to_));
    made_.push_back(to_ + "/" + kManifestTemporaryName);
    made_.push_back(to_ + "/" + kManifestName);
    OMEN_TRY(write_manifest(env_, to_, manifest));
    is_finished_ = true;
    return Status::ok();
  }

 private:
  // Whoever moves the database away, or removes it, would take such a backup along.
  Status check_outside() const {
    FileStat own;
    OMEN_ASSIGN(const bool exists, stat_path(env_, from_.path(), &own));
    std::string at = to_;
    for (size_t slash; exists && (slash = at.find_last_of('/')) != std::string::npos;) {
      at.resize(slash);
      FileStat found;
      const Result<bool> is_there = stat_path(env_, at.empty() ? "/" : at, &found);
      const bool is_own = is_there.is_ok() && is_there.value() && found.device == own.device &&
                          found.inode == own.inode;
      if (is_own) {
        return Status::error(ErrorCode::kArgument, "a backup of " + from_.path() +
                                                       " cannot be within it; give another "
                                                       "directory than " + to_)
            .with_path(to_);
      }
    }
    return Status::ok();
  }

  Status take_destination() {
    OMEN_TRY(check_outside());
    OMEN_ASSIGN(const FileStat found, Directory::prepare(env_, to_, {}));
    (void)found;
    OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, to_));
    if (!names.empty()) {
      return Status::error(ErrorCode::kExists, to_ + " is not empty: it holds " + names[0] +
                                                   "; back up to a directory of its own")
          .with_path(to_);
    }
    // Its own name, or what is in it could be lost with it.
    const size_t slash = to_.find_last_of('/');
    return slash == std::string::npos || slash == 0
               ? Status::ok()
               : sync_directory(env_, to_.substr(0, slash));
  }

  Status copy_segment(const ManifestFile& file) {
    const std::string path = segment_path(to_, file.number);
    OMEN_ASSIGN(const std::unique_ptr<File> in,
                File::open(env_, segment_path(from_.path(), file.number), Env::kRead));
    OMEN_ASSIGN(const std::unique_ptr<File> out,
                File::open(env_, path, Env::kWrite | Env::kCreate | Env::kExclusive));
    made_.push_back(path);
    OMEN_TRY(buffer_.resize(kCopyBytes));
    for (uint64_t at = 0; at < file.size;) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(kCopyBytes, file.size - at));
      OMEN_TRY(in->read_exactly(at, buffer_.data(), n));
      OMEN_TRY(out->write_at(at, buffer_.data(), n));
      at += n;
    }
    return out->sync();
  }

  // All logs become one. Their watermarks stay true: all that is copied is on the device then.
  Status copy_log(Manifest* manifest) {
    LogChain chain(env_, from_.path(), account_);
    OMEN_TRY(chain.open(*manifest, true));
    const uint64_t number = manifest->last_number + 1;
    const std::string path = log_path(to_, number);
    made_.push_back(path);
    const LogHeader header{manifest->database_id, env_->random(), manifest->log_first_sequence};
    OMEN_ASSIGN(const std::unique_ptr<LogWriter> log, LogWriter::create(env_, path, header));
    OMEN_TRY(chain.copy_to(log.get()));
    manifest->log_number = manifest->last_number = number;
    manifest->durable_sequence = chain.end().sequence;
    manifest->drop_files(ManifestKind::kLog);
    ++manifest->generation;
    return Status::ok();
  }

  Env* const env_;
  const Directory& from_;
  const std::string to_;
  MemoryAccount* const account_;
  Array<std::byte> buffer_;
  std::vector<std::string> made_;
  bool is_finished_ = false;
};

}  // namespace

Status back_up(Env* env, const Directory& from, const std::string& to, MemoryAccount* account) {
  return Copy(env, from, to, account).run();
}

}  // namespace omen
