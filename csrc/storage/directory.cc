// Directory: making, locking, opening and recovering what a database consists of.
#include "storage/directory.h"

#include <algorithm>
#include <cerrno>

#include "base/planted.h"
#include "storage/checks.h"

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
    if (made == -ENOENT) {
      return Status::error(ErrorCode::kNotFound, "cannot make the directory " + path + ": " +
                                                     parent_of(path) +
                                                     " does not exist; make it first, or check "
                                                     "the path")
          .with_path(path);
    }
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
    if (name == kLockName || name == kManifestTemporaryName || name == kReserveName) continue;
    if (!is_log_name(name) && !is_segment_name(name)) {
      return Status::error(ErrorCode::kFormat, path_ + " is no OmenDB database: it holds " + name +
                                                   " and no MANIFEST; give another path")
          .with_path(path_);
    }
    FileStat found;
    OMEN_ASSIGN(const bool exists, stat_path(env_, path_ + "/" + name, &found));
    if (exists && found.size > kLogHeaderBytes) {
      return corrupt(path_, path_ + "/MANIFEST is missing, and " + name + " has data");
    }
  }
  return Status::ok();
}

// Where no manifest was found. Another process may be making the database just now: it puts the
// manifest in place before any record, so what speaks against a new one is believed only if there
// is no manifest still. ERR_NOT_FOUND: one may be made.
Result<Manifest> Directory::look_again() const {
  const Status foreign = check_foreign();
  Result<Manifest> manifest = read_manifest(env_, path_);
  const bool is_missing = manifest.status().code() == ErrorCode::kNotFound;
  if (is_missing && !foreign.is_ok()) return foreign;
  return manifest;
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
  if (manifest.status().code() == ErrorCode::kNotFound) manifest = look_again();
  const bool is_missing = manifest.status().code() == ErrorCode::kNotFound;
  if (!manifest.is_ok() && !is_missing) return manifest.status();
  if (is_missing && (options.read_only || !options.create_if_missing)) return not_found(path_);
  if (!options.read_only) {
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
  account_ = account;
  return open_files(options.read_only);
}

Status Directory::open_files(bool read_only) {
  last_number_ = manifest_.last_number;
  if (!read_only) OMEN_TRY(count_leftovers());
  // At once: a reader must hold them before a writer removes them.
  for (const ManifestFile& file : manifest_.files_of(ManifestKind::kSegment)) {
    OMEN_ASSIGN(segments_[file.number], open_segment(file.number));
  }
  chain_ = std::make_unique<LogChain>(env_, path_, account_);
  OMEN_TRY(chain_->open(manifest_, read_only));
  end_ = chain_->end();
  return Status::ok();
}

// Their numbers are used, although no manifest says so.
Status Directory::count_leftovers() {
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, path_));
  for (const std::string& name : names) {
    if (!is_log_name(name) && !is_segment_name(name)) continue;
    last_number_ = std::max(last_number_, number_of_name(name));
  }
  return Status::ok();
}

Result<bool> Directory::has_changed() const {
  OMEN_ASSIGN(const Manifest now, read_manifest(env_, path_));
  const std::lock_guard<std::mutex> guard(mutex_);
  return now.log_number != manifest_.log_number || now.files != manifest_.files;
}

Result<Directory::Writer> Directory::open_writer() {
  const std::lock_guard<std::mutex> guard(mutex_);
  Writer writer;
  writer.bytes = chain_->bytes();
  reserve_ = std::make_unique<Reserve>(env_, path_);
  room_ = std::make_unique<Room>(env_, path_);
  if (chain_->can_resume() || OMEN_PLANTED("goes-on-after-a-crash")) {
    OMEN_ASSIGN(LogChain::Resumed resumed, chain_->resume());
    writer.log = std::move(resumed.log);
    writer.synced = resumed.synced;
  } else {
    Manifest next = manifest_;
    next.log_number = next_number();
    next.durable_sequence = end_.sequence;
    next.drop_files(ManifestKind::kLog);
    Status status = switch_to_copy(next, &writer.log);
    const bool is_full = status.code() == ErrorCode::kNoSpace && failed_.is_ok();
    if (is_full && reserve_->spend_all() > 0) {
      status = switch_to_copy(next, &writer.log);
    }
    OMEN_TRY(Status(status));
    writer.synced = end_.sequence;
  }
  chain_.reset();
  OMEN_TRY(sweep());
  return writer;
}

Status Directory::switch_to_copy(const Manifest& next, std::unique_ptr<LogWriter>* log) {
  Result<std::unique_ptr<LogWriter>> copy = copy_chain(next);
  if (copy.is_ok() && OMEN_PLANTED("old-log-goes-first")) {
    OMEN_TRY(remove_file(env_, chain_->record_path()));
  }
  const Status status = copy.is_ok() ? switch_to(next) : copy.status();
  // On a full disk its room is wanted. It is no part of the database yet; sweep() tries again.
  const bool is_unnamed = !copy.is_ok() || status.code() == ErrorCode::kNoSpace;
  if (!status.is_ok() && is_unnamed && failed_.is_ok()) {
    (void)remove_file(env_, log_path(path_, next.log_number)).is_ok();
  }
  if (status.is_ok()) *log = copy.take();
  return status;
}

void Directory::renew_reserve(uint64_t log_bytes) {
  uint64_t stored = log_bytes;
  for (const ManifestFile& file : segments()) stored += file.size;
  reserve_->aim(stored);
}

Result<std::unique_ptr<LogWriter>> Directory::copy_chain(const Manifest& next) {
  const LogHeader header{next.database_id, env_->random(), next.log_first_sequence};
  OMEN_ASSIGN(std::unique_ptr<LogWriter> writer,
              LogWriter::create(env_, log_path(path_, next.log_number), header));
  OMEN_TRY(chain_->copy_to(writer.get()));
  OMEN_TRY(sync_directory(env_, path_));
  return writer;
}

// What the manifest does not name is left over from a crash, or from a switch that failed.
Status Directory::sweep() const {
  OMEN_ASSIGN(const std::vector<std::string> names, list_directory(env_, path_));
  const std::set<std::string> named = manifest_.paths(path_);
  for (const std::string& name : names) {
    const std::string path = path_ + "/" + name;
    const bool is_left = (is_log_name(name) || is_segment_name(name)) && named.count(path) == 0;
    if (is_left || name == kManifestTemporaryName) OMEN_TRY(remove_file(env_, path));
  }
  return Status::ok();
}

// A sync of the directory that failed is not repeated: the system may say yes the next time. One
// that could not begin is: the next switch syncs this one's name too, or puts its own in place.
Status Directory::switch_to(Manifest next) {
  OMEN_TRY(Status(failed_));
  next.last_number = last_number_;
  ++next.generation;
  OMEN_TRY(rename_manifest(env_, path_, next));
  manifest_.generation = next.generation;  // Readers may have seen it: it is given once.
  OMEN_TRY(sync_directory(env_, path_, &failed_));
  manifest_ = std::move(next);
  return Status::ok();
}

Status Directory::note_durable(uint64_t sequence) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (sequence <= manifest_.durable_sequence) return Status::ok();
  Manifest next = manifest_;
  next.durable_sequence = sequence;
  return switch_to(std::move(next));
}

}  // namespace omen
