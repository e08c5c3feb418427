// Directory: making, locking, reading and switching what a database consists of.
#include "storage/directory.h"

#include <cerrno>

#include "base/planted.h"

namespace omen {

namespace {

std::string parent_of(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.find_last_of('/', end);
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

Status not_found(const std::string& path) {
  return Status::error(ErrorCode::kNotFound,
                       "no database is at " + path +
                           "; check the path, or open without readOnly and createIfMissing: false")
      .with_path(path);
}

}  // namespace

Result<FileStat> Directory::prepare(Env* env, const std::string& path, const Options& options) {
  FileStat found;
  OMEN_ASSIGN(const bool exists, stat_path(env, path, &found));
  if (!exists) {
    if (options.read_only || !options.create_if_missing) return not_found(path);
    const int64_t made = uninterrupted([&] { return env->make_directory(path); });
    if (made < 0 && made != -EEXIST) return io_error(made, "make the directory", path);
    OMEN_ASSIGN(const bool is_there, stat_path(env, path, &found));
    if (!is_there) return not_found(path);
  }
  if (!found.is_directory) {
    return Status::error(ErrorCode::kFormat, path +
                                                 " is a file; a database is a directory: give the "
                                                 "path of one, or of nothing yet")
        .with_path(path);
  }
  return found;
}

// A directory without a manifest may be written to only if it holds nothing but what a database
// that was just being made leaves behind: no log with records, for one.
Status Directory::check_foreign() const {
  if (OMEN_PLANTED("any-directory-is-taken")) return Status::ok();
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, path_));
  for (const std::string& name : names) {
    if (name == kLockName || name == kManifestTemporaryName) continue;
    if (!is_log_name(name)) {
      return Status::error(ErrorCode::kFormat, path_ + " is no OmenDB database: it holds " + name +
                                                   " and no MANIFEST; give another path")
          .with_path(path_);
    }
    FileStat found;
    OMEN_ASSIGN(const bool exists, stat_path(env_, path_ + "/" + name, &found));
    if (exists && found.size > kLogHeaderBytes) {
      return Status::error(ErrorCode::kCorrupt, path_ + "/MANIFEST is missing, and " + name +
                                                    " has data; restore a backup of the database")
          .with_path(path_);
    }
  }
  return Status::ok();
}

Status Directory::make_database(const Options& options) {
  // Its own name first: what is in it is of no use without.
  OMEN_TRY(sync_directory(env_, parent_of(path_)));
  manifest_ = Manifest();
  manifest_.database_id = env_->random();
  manifest_.seed = options.seed;
  manifest_.generation = 1;
  manifest_.log_number = manifest_.last_number = 1;
  const LogHeader header{manifest_.database_id, env_->random(), manifest_.log_first_sequence};
  OMEN_ASSIGN(const std::unique_ptr<LogWriter> made,
              LogWriter::create(env_, log_path(path_, manifest_.log_number), header));
  OMEN_TRY(sync_directory(env_, path_));
  return write_manifest(env_, path_, manifest_);
}

Result<std::unique_ptr<Directory>> Directory::open(Env* env, const std::string& path,
                                                   const Options& options, MemoryAccount* account) {
  std::unique_ptr<Directory> directory(new Directory(env, path));
  OMEN_TRY(directory->load(options, account));
  return directory;
}

Status Directory::load(const Options& options, MemoryAccount* account) {
  Result<Manifest> manifest = read_manifest(env_, path_);
  const bool is_missing = manifest.status().code() == ErrorCode::kNotFound;
  if (!manifest.is_ok() && !is_missing) return manifest.status();
  if (is_missing && (options.read_only || !options.create_if_missing)) {
    OMEN_TRY(check_foreign());
    return not_found(path_);
  }
  if (!options.read_only) {
    if (is_missing) OMEN_TRY(check_foreign());
    OMEN_ASSIGN(lock_, File::open(env_, path_ + "/" + kLockName, Env::kWrite | Env::kCreate));
    OMEN_TRY(lock_->lock());
    // Again, now that nobody else writes.
    manifest = read_manifest(env_, path_);
    if (manifest.status().code() == ErrorCode::kNotFound) {
      OMEN_TRY(check_foreign());
      OMEN_TRY(make_database(options));
      manifest = manifest_;
    }
    if (!manifest.is_ok()) return manifest.status();
  }
  manifest_ = manifest.take();
  return open_log(options.read_only, account);
}

Status Directory::open_log(bool read_only, MemoryAccount* account) {
  account_ = account;
  const std::string path = log_path(path_, manifest_.log_number);
  Result<std::unique_ptr<File>> file =
      File::open(env_, path, read_only ? Env::kRead : Env::kRead | Env::kWrite);
  if (file.status().code() == ErrorCode::kNotFound) {
    return Status::error(ErrorCode::kCorrupt, path +
                                                  " is missing, and the manifest names it; restore "
                                                  "a backup of the database")
        .with_path(path);
  }
  if (!file.is_ok()) return file.status();
  log_ = file.take();
  reader_ = std::make_unique<LogReader>(log_.get(), account);
  OMEN_TRY(reader_->open(manifest_.database_id));
  OMEN_ASSIGN(end_, reader_->scan());
  const bool is_its_own = reader_->header().first_sequence == manifest_.log_first_sequence;
  if (OMEN_PLANTED("shorter-log-is-taken")) manifest_.durable_sequence = 0;
  if (is_its_own && end_.sequence >= manifest_.durable_sequence) {
    reader_->start();
    return Status::ok();
  }
  return Status::error(
             ErrorCode::kCorrupt,
             path + " is damaged at byte " + std::to_string(end_.offset) + ": it ends at record " +
                 std::to_string(end_.sequence) + ", and had been stored up to record " +
                 std::to_string(manifest_.durable_sequence) + "; restore a backup of the database")
      .with_path(path);
}

Result<bool> Directory::has_changed() const {
  OMEN_ASSIGN(const Manifest now, read_manifest(env_, path_));
  return now.log_number != manifest_.log_number;
}

Result<Directory::Writer> Directory::open_writer() {
  Writer writer;
  const bool is_empty = end_.offset == kLogHeaderBytes && end_.cut_bytes == 0;
  if (end_.is_sealed || is_empty || OMEN_PLANTED("goes-on-after-a-crash")) {
    const LogHeader header = reader_->header();
    reader_.reset();
    writer.log = LogWriter::resume(std::move(log_), header, end_);
    writer.synced = is_empty ? end_.sequence : end_.sequence - 1;
  } else {
    Manifest next = manifest_;
    next.log_number = ++next.last_number;
    ++next.generation;
    next.durable_sequence = end_.sequence;
    Result<std::unique_ptr<LogWriter>> copy = copy_log(next);
    if (!copy.is_ok()) {
      // On a full disk its room is wanted. It is no part of the database yet; sweep() tries again.
      (void)remove_file(env_, log_path(path_, next.log_number)).is_ok();
      return copy.status();
    }
    if (OMEN_PLANTED("old-log-goes-first")) OMEN_TRY(remove_file(env_, log_->path()));
    OMEN_TRY(write_manifest(env_, path_, next));
    manifest_ = next;
    writer.log = copy.take();
    writer.synced = end_.sequence;
    reader_.reset();
    log_.reset();
  }
  OMEN_TRY(sweep());
  return writer;
}

Result<std::unique_ptr<LogWriter>> Directory::copy_log(const Manifest& next) {
  const LogHeader header{next.database_id, env_->random(), next.log_first_sequence};
  OMEN_ASSIGN(std::unique_ptr<LogWriter> writer,
              LogWriter::create(env_, log_path(path_, next.log_number), header));
  Array<std::byte> bytes(account_, Use::kScratch);
  reader_->start();
  for (LogRecord record;;) {
    OMEN_ASSIGN(const bool is_one, reader_->next(end_, &record));
    if (!is_one) break;
    bytes.clear();
    OMEN_TRY(bytes.resize(kRecordHeaderBytes));
    OMEN_TRY(bytes.append(record.payload, record.header.length));
    const RecordHeader& h = record.header;
    OMEN_TRY(writer->append({h.type, h.flags, h.watermark}, &bytes));
  }
  if (!OMEN_PLANTED("manifest-before-data")) OMEN_TRY(writer->sync());
  OMEN_TRY(sync_directory(env_, path_));
  return writer;
}

// What the manifest does not name is left over from a crash.
Status Directory::sweep() const {
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, path_));
  const std::string current = log_path(path_, manifest_.log_number);
  for (const std::string& name : names) {
    const std::string path = path_ + "/" + name;
    const bool is_old_log = is_log_name(name) && path != current;
    if (is_old_log || name == kManifestTemporaryName) OMEN_TRY(remove_file(env_, path));
  }
  return Status::ok();
}

Status Directory::note_durable(uint64_t sequence) {
  if (sequence <= manifest_.durable_sequence) return Status::ok();
  Manifest next = manifest_;
  next.durable_sequence = sequence;
  ++next.generation;
  OMEN_TRY(write_manifest(env_, path_, next));
  manifest_ = next;
  return Status::ok();
}

}  // namespace omen
