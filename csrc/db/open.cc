// Databases on disk: opening, sharing by directory, closing.
//
// Handles of one directory share one engine, also those of worker threads: the registry knows it by
// device and inode, and while one thread opens or closes it the others wait for that to be over.
#include <condition_variable>
#include <new>
#include <utility>

#include "db/checkpoint.h"
#include "db/option_names.h"
#include "db/recovery.h"
#include "storage/read_again.h"

namespace omen {

namespace {

using FileId = std::pair<uint64_t, uint64_t>;

// Databases that write, by directory. An entry without an engine that lives is one that is being
// opened or closed. Never destroyed, since threads may outlive main().
struct Registry {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<FileId, std::weak_ptr<Database>> databases;
};
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

const char* residency_text(Residency residency) {
  if (residency == Residency::kAuto) return "as it fits into memory";
  return residency == Residency::kMapped ? "'mapped'" : "'memory'";
}

// `has`: with what.
Status open_with_another(const std::string& path, const char* option, const std::string& has) {
  return Status::error(ErrorCode::kOptions, "the database " + path + " is open with " + option +
                                                ": " + has + "; leave the option out")
      .with_path(path);
}

}  // namespace

Status check_path(const std::string& path) {
  if (!path.empty() && path.find('\0') == std::string::npos) return Status::ok();
  return Status::error(ErrorCode::kArgument, "the path of a database is a name, without NUL bytes");
}

Status Database::Impl::close_files() {
  if (journal == nullptr) return Status::ok();
  Wal* const wal = journal->wal();
  if (checkpointer != nullptr) {
    checkpointer->stop();
    // Without it the next opening takes longer, and no more.
    if (wal != nullptr) (void)checkpointer->run_at_close().is_ok();
  }
  Status status = journal->close();
  checkpointer.reset();
  // Without it, damage that cuts whole records off the log would go unseen, and no more.
  if (wal != nullptr && status.is_ok()) (void)directory->note_durable(wal->synced()).is_ok();
  directory.reset();
  return status;
}

// Of what lives already: given options must be its own.
Status Database::agree_on(const DatabaseOptions& given) const {
  const DatabaseOptions& mine = impl_->options;
  if (given.given_durability && given.durability != mine.durability) {
    return open_with_another(mine.path, "durability",
                             std::string("'") + name_of(mine.durability) + "'");
  }
  if (given.given_max_memory_bytes && given.max_memory_bytes != mine.max_memory_bytes) {
    const uint64_t bytes = mine.max_memory_bytes;
    return open_with_another(mine.path, "maxMemoryBytes",
                             bytes == 0 ? "no limit" : std::to_string(bytes));
  }
  if (given.given_residency && given.residency != mine.residency) {
    return open_with_another(mine.path, "residency", residency_text(mine.residency));
  }
  if (given.given_seed && given.seed != mine.seed) {
    return open_with_another(mine.path, "seed", std::to_string(mine.seed));
  }
  if (given.checkpoint_bytes != 0 && given.checkpoint_bytes != mine.checkpoint_bytes) {
    const uint64_t bytes = mine.checkpoint_bytes;
    return open_with_another(mine.path, "checkpointBytes",
                             bytes == 0 ? "as it follows from what is stored"
                                        : std::to_string(bytes));
  }
  return Status::ok();
}

// Reads the directory's log; the database is complete, but for writing.
Status Database::load(Env* env) {
  OMEN_TRY(open_directory(env));
  Impl& d = *impl_;
  Replay replay(&d);
  if (d.directory->has_snapshot()) OMEN_TRY(replay.load(*d.directory));
  OMEN_TRY(replay.run(d.directory.get()));
  if (d.options.read_only) {
    OMEN_ASSIGN(const bool has_changed, d.directory->has_changed());
    if (has_changed) {
      return Status::error(ErrorCode::kCorrupt,
                           d.options.path + " changed while it was read; try again");
    }
  }
  return start();
}

Status Database::open_directory(Env* env) {
  Impl& d = *impl_;
  const DatabaseOptions& o = d.options;
  d.env = env;
  d.account = std::make_unique<MemoryAccount>(d.budget.get());
  d.journal = std::make_shared<Journal>(o.path, o.record_bytes);
  const Directory::Options how{o.read_only, o.create_if_missing, o.seed};
  OMEN_ASSIGN(d.directory, Directory::open(env, o.path, how, d.account.get()));
  d.id = d.directory->manifest().database_id;
  const uint64_t seed = d.directory->manifest().seed;
  if (o.given_seed && o.seed != seed) {
    return Status::error(ErrorCode::kOptions,
                         "the database " + o.path + " was made with seed: " + std::to_string(seed) +
                             ", not " + std::to_string(o.seed) +
                             "; leave the option out to take the stored one")
        .with_path(o.path);
  }
  d.options.seed = seed;
  return Status::ok();
}

// What the files brought becomes a database: graphs, and the log to write to.
Status Database::start() {
  Impl& d = *impl_;
  const DatabaseOptions& o = d.options;
  OpenProgress* const progress = std::exchange(d.options.progress, nullptr);
  for (const auto& [name, collection] : d.collections) {
    if (progress != nullptr) progress->total += collection->to_link();
  }
  for (const auto& [name, collection] : d.collections) {
    OMEN_TRY(collection->finish_replay(progress));
    collection->start_indexing();
  }
  if (o.read_only) {
    d.directory.reset();
    d.journal->start_reading();
    return Status::ok();
  }
  OMEN_ASSIGN(Directory::Writer writer, d.directory->open_writer());
  Wal::Options options;
  options.durability = o.durability;
  options.executor = d.executor;
  options.has_committer = o.has_committer;
  options.synced = writer.synced;
  options.log_bytes = writer.bytes;
  d.directory->room().count(d.journal->unsaved_bytes());
  options.room = &d.directory->room();
  options.reserve = &d.directory->reserve();
  d.directory->renew_reserve(writer.bytes);
  OMEN_ASSIGN(std::unique_ptr<Wal> wal,
              Wal::start(std::move(writer.log), d.journal->account(), options));
  d.journal->start_writing(std::move(wal));
  d.checkpointer = std::make_shared<Checkpointer>(&d);
  d.journal->watch(d.checkpointer);
  return d.checkpointer->start();
}

Result<std::shared_ptr<Database>> Database::open_read_only(Env* env,
                                                           const DatabaseOptions& options) {
  ReadAgain again(env, options.path);
  for (;;) {
    again.begin();
    OMEN_ASSIGN(std::shared_ptr<Database> database, make(options));
    Status status = database->load(env);
    if (status.is_ok()) return database;
    if (!again.is_wanted(&status)) return status;
  }
}

Result<std::shared_ptr<Database>> Database::open(const DatabaseOptions& given) {
  DatabaseOptions options = given;
  Env* env = options.env != nullptr ? options.env : system_env();
  OMEN_TRY(check_path(given.path));
  const int64_t resolved = env->absolute(given.path, &options.path);
  if (resolved < 0) return io_error(resolved, "resolve the path", given.path);
  const Directory::Options how{options.read_only, options.create_if_missing, options.seed};
  OMEN_ASSIGN(const FileStat stat, Directory::prepare(env, options.path, how));
  if (options.read_only) return open_read_only(env, options);

  const FileId id(stat.device, stat.inode);
  Registry& r = registry();
  std::unique_lock<std::mutex> lock(r.mutex);
  for (;;) {
    const auto found = r.databases.find(id);
    if (found == r.databases.end()) break;
    if (std::shared_ptr<Database> living = found->second.lock()) {
      lock.unlock();  // It may be the last one, which takes the lock.
      OMEN_TRY(living->agree_on(options));
      return living;
    }
    r.changed.wait(lock);
  }
  r.databases[id];  // Being opened.
  lock.unlock();
  Result<std::shared_ptr<Database>> made = make(options);
  Status status = made.status();
  if (made.is_ok()) status = made.value()->load(env);
  if (!status.is_ok()) made = status;  // Its lock goes before others may try.
  lock.lock();
  if (status.is_ok()) {
    made.value()->impl_->file_id = id;
    made.value()->impl_->is_registered = true;
    r.databases[id] = made.value();
  } else {
    r.databases.erase(id);
  }
  r.changed.notify_all();
  lock.unlock();
  if (!status.is_ok()) return status;
  return made;
}

void Database::close_on_disk() {
  (void)impl_->close_files().is_ok();  // Whoever wants to know has called prepare_close().
  if (!impl_->is_registered) return;
  Registry& r = registry();
  const std::lock_guard<std::mutex> guard(r.mutex);
  r.databases.erase(impl_->file_id);
  r.changed.notify_all();
}

bool Database::is_on_disk() const { return impl_->journal != nullptr; }

void Database::flush(Extent extent, DurableWaiter* waiter) {
  Journal* const journal = impl_->journal.get();
  Wal* const wal = journal == nullptr ? nullptr : journal->wal();
  const bool is_nothing =
      wal == nullptr || (extent == Extent::kPromised && wal->durability() != Durability::kSync);
  waiter->sequence = is_nothing ? 0 : wal->last_commit();
  if (!is_nothing) return wal->answer_when_durable(waiter);
  impl_->answer(waiter);
}

Status Database::flush(Extent extent) {
  Journal* const journal = impl_->journal.get();
  Wal* const wal = journal == nullptr ? nullptr : journal->wal();
  if (wal == nullptr) return Status::ok();
  if (extent == Extent::kPromised && wal->durability() != Durability::kSync) return Status::ok();
  return wal->wait_durable(wal->last_commit());
}

Status Database::checkpoint() {
  if (impl_->journal == nullptr) return Status::ok();
  OMEN_TRY(impl_->journal->check_writable());
  return impl_->checkpointer->run();
}

Status Database::Impl::check_copyable() const {
  if (journal == nullptr) {
    return Status::error(ErrorCode::kUnsupported,
                         "a database in memory has no files to copy; read it with records()");
  }
  return journal->check_writable();
}

Status Database::backup(const std::string& to) {
  OMEN_TRY(impl_->check_copyable());
  OMEN_TRY(check_path(to));
  return impl_->checkpointer->backup(to);
}

void Database::backup(const std::string& to, DurableWaiter* waiter) {
  Status status = impl_->check_copyable();
  if (status.is_ok()) status = check_path(to);
  if (status.is_ok()) return impl_->checkpointer->backup(to, waiter);
  waiter->status = std::move(status);
  impl_->answer(waiter);
}

// On the pool.
void Database::Impl::answer(DurableWaiter* waiter) const {
  waiter->task.run = [](Task* task) {
    auto* self = reinterpret_cast<DurableWaiter*>(task);
    self->on_durable(self);
  };
  executor->submit(&waiter->task);
}

Status Database::prepare_close() {
  Journal* const journal = impl_->journal.get();
  Wal* const wal = journal == nullptr ? nullptr : journal->wal();
  // Who waited for each sync knows already.
  if (wal == nullptr || wal->durability() == Durability::kSync) return Status::ok();
  return wal->wait_durable(wal->last_commit());
}

}  // namespace omen
