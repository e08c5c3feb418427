// Database: collections by name, and the registry of named in-memory engines.
#include "db/database.h"

#include "db/checkpoint.h"
#include "db/verify.h"
#include "exec/thread_pool.h"

namespace omen {

namespace {

// Named databases of this process; never destroyed, since threads may outlive main().
struct Registry {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Database>, std::less<>> databases;
};
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

Status out_of_range(const char* option, uint32_t value, uint32_t low, uint32_t high) {
  return Status::error(ErrorCode::kArgument, std::string(option) + " is " + std::to_string(value) +
                                                 ", and must be from " + std::to_string(low) +
                                                 " to " + std::to_string(high));
}

Receipt tagged(const ReceiptTag* tag, uint64_t count) {
  Receipt receipt;
  if (tag != nullptr) receipt.tag = *tag;
  receipt.count = count;
  return receipt;
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock* clock = new SystemClock;
  return *clock;
}

bool is_collection_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
    if (!ok) return false;
  }
  return true;
}

Status check_collection_options(const CollectionOptions& o) {
  const bool has_dimensions = (o.given & CollectionOptions::kGivenDimensions) != 0;
  if (has_dimensions && (o.dimensions < 1 || o.dimensions > kDimensionsMax)) {
    return out_of_range("dimensions", o.dimensions, 1, kDimensionsMax);
  }
  if (o.m < kMMin || o.m > kMMax) return out_of_range("m", o.m, kMMin, kMMax);
  if (o.ef_construction < 1 || o.ef_construction > kEfConstructionMax) {
    return out_of_range("efConstruction", o.ef_construction, 1, kEfConstructionMax);
  }
  if (!o.keep_vectors && o.quantization == Quantization::kNone) {
    return Status::error(ErrorCode::kOptions,
                         "keepVectors: false needs codes in place of the vectors, and quantization "
                         "'none' has none; use 'sq8' or 'binary', or keep the vectors");
  }
  return Status::ok();
}

Status check_combination(const CollectionOptions& o) {
  if (o.layout == Layout::kCompact) return Status::ok();
  if (!o.keep_vectors) {
    return Status::error(ErrorCode::kOptions,
                         "layout 'fast' reads originals at every step; keep the vectors, or leave "
                         "the layout out");
  }
  if (o.quantization == Quantization::kBinary) return Status::ok();
  return Status::error(ErrorCode::kOptions,
                       "layout 'fast' packs codes of one bit; give quantization: 'binary' with it, "
                       "or leave the layout out");
}

Database::Impl::Impl(const DatabaseOptions& o)
    : options(o), budget(std::make_shared<MemoryBudget>(o.max_memory_bytes)) {}
Database::Impl::~Impl() = default;

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() {
  if (impl_->journal != nullptr) close_on_disk();
  if (impl_->options.name.empty()) return;
  Registry& r = registry();
  const std::lock_guard<std::mutex> guard(r.mutex);
  const auto it = r.databases.find(impl_->options.name);
  if (it != r.databases.end() && it->second.expired()) r.databases.erase(it);
}

Result<std::shared_ptr<Database>> Database::make(const DatabaseOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  impl->executor = options.executor;
  if (impl->executor == nullptr) {
    OMEN_ASSIGN(impl->executor, process_executor());
  }
  OMEN_ASSIGN(impl->kernels, simd::choose_kernels());
  return std::shared_ptr<Database>(new Database(std::move(impl)));
}

Result<std::shared_ptr<Database>> Database::open_memory(const DatabaseOptions& options) {
  if (options.name.empty()) return make(options);
  Registry& r = registry();
  std::shared_ptr<Database> living;  // Outlives the lock: it may be the last one, which takes it.
  const std::lock_guard<std::mutex> guard(r.mutex);
  std::weak_ptr<Database>& entry = r.databases[options.name];
  living = entry.lock();
  if (living != nullptr) {
    if (options.given_max_memory_bytes &&
        options.max_memory_bytes != living->impl_->options.max_memory_bytes) {
      return Status::error(ErrorCode::kOptions,
                           "the database '" + options.name +
                               "' is open with another maxMemoryBytes; leave the option out");
    }
    if (options.given_seed && options.seed != living->impl_->options.seed) {
      return Status::error(
          ErrorCode::kOptions,
          "the database '" + options.name + "' is open with another seed; leave the option out");
    }
    return living;
  }
  OMEN_ASSIGN(std::shared_ptr<Database> fresh, make(options));
  entry = fresh;
  return fresh;
}

Result<std::shared_ptr<Collection>> Database::Impl::make(std::string_view name,
                                                         const CollectionOptions& given,
                                                         uint64_t journal_id) const {
  Collection::Env env;
  env.executor = executor;
  env.budget = budget;
  env.kernels = kernels;
  env.clock = &system_clock();
  env.seed = options.seed;
  env.residency = options.residency;
  env.journal = journal;
  env.journal_id = journal_id;
  return Collection::create(std::string(name), given, env);
}

Result<std::shared_ptr<Collection>> Database::collection(std::string_view name,
                                                         const CollectionOptions& options,
                                                         OpenMode mode, const ReceiptTag* tag) {
  if (!is_collection_name(name)) {
    return Status::error(ErrorCode::kArgument,
                         "a collection's name has 1 to 64 characters of A-Z a-z 0-9 _ -");
  }
  Impl& d = *impl_;
  const std::lock_guard<std::mutex> guard(d.mutex);
  const auto it = d.collections.find(name);
  if (it != d.collections.end()) {
    if (mode == OpenMode::kCreate) {
      return Status::error(ErrorCode::kExists,
                           "collection '" + std::string(name) + "' exists; open it instead");
    }
    OMEN_TRY(check_collection_options(options));
    OMEN_TRY(it->second->agree_on(options));
    return it->second;
  }
  if (mode == OpenMode::kOpen) {
    return Status::error(ErrorCode::kNotFound,
                         "no collection is named '" + std::string(name) + "'; create it first");
  }
  OMEN_TRY(check_collection_options(options));
  // Whoever only reads asked for one that is there.
  if (mode == OpenMode::kOpenOrCreate && d.options.read_only && d.journal != nullptr) {
    return Status::error(ErrorCode::kNotFound, "no collection is named '" + std::string(name) +
                                                   "' in " + d.options.path +
                                                   ", which is open read-only: none can be made")
        .with_path(d.options.path);
  }
  OMEN_TRY(check_combination(options));
  if (d.collections.size() >= kCollectionsMax) {
    return Status::error(ErrorCode::kLimit, "a database holds at most 65 536 collections");
  }
  OMEN_ASSIGN(std::shared_ptr<Collection> made, d.make(name, options, d.next_journal_id));
  if (d.journal != nullptr) {
    const Receipt receipt = tagged(tag, 1);
    OMEN_TRY(d.journal->log_create(d.next_journal_id, made->name(), made->options(),
                                   tag == nullptr ? nullptr : &receipt));
    ++d.next_journal_id;
  }
  d.collections.emplace(name, made);
  return made;
}

std::vector<std::string> Database::list_collections() const {
  const std::lock_guard<std::mutex> guard(impl_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, collection] : impl_->collections) names.push_back(name);
  return names;
}

Result<bool> Database::drop_collection(std::string_view name, const ReceiptTag* tag) {
  std::shared_ptr<Collection> dropped;  // Freed outside of the lock.
  {
    const std::lock_guard<std::mutex> guard(impl_->mutex);
    const auto it = impl_->collections.find(name);
    const bool is_there = it != impl_->collections.end();
    if (Journal* const journal = impl_->journal.get(); journal != nullptr) {
      const Receipt receipt = tagged(tag, is_there ? 1 : 0);
      const Receipt* const given = tag == nullptr ? nullptr : &receipt;
      uint64_t sequence = 0;
      if (is_there) {
        const Collection& c = *it->second;
        const uint64_t freed = c.count() * c.dimensions() * sizeof(float);
        OMEN_TRY(journal->log_drop(c.journal_id(), freed, given));
      }
      if (!is_there && given != nullptr) OMEN_TRY(journal->log_receipt(*given, &sequence));
    }
    if (!is_there) return false;
    dropped = std::move(it->second);
    impl_->collections.erase(it);
  }
  dropped->mark_dropped();
  return true;
}

std::vector<Receipt> Database::receipts() const {
  if (impl_->journal == nullptr) return {};
  return impl_->journal->receipts().list(std::numeric_limits<uint64_t>::max());
}

uint64_t Database::id() const { return impl_->id; }

DatabaseStats Database::stats() const {
  DatabaseStats stats;
  const std::lock_guard<std::mutex> guard(impl_->mutex);
  for (const auto& [name, collection] : impl_->collections) {
    stats.collections.push_back(collection->stats());
  }
  stats.bytes = impl_->budget->used();
  stats.bytes_limit = impl_->budget->limit();
  stats.simd = impl_->kernels->name;
  stats.simd_features = impl_->kernels->features;
  stats.threads = impl_->executor->width();
  stats.is_on_disk = impl_->journal != nullptr;
  stats.recovery = impl_->recovery;
  if (impl_->checkpointer != nullptr) stats.storage = impl_->checkpointer->stats();
  return stats;
}

std::vector<CheckReport> Database::check() {
  std::vector<std::shared_ptr<Collection>> all;
  {
    const std::lock_guard<std::mutex> guard(impl_->mutex);
    for (const auto& [name, collection] : impl_->collections) all.push_back(collection);
  }
  std::vector<CheckReport> reports;
  for (const auto& collection : all) reports.push_back(collection->check());
  if (impl_->checkpointer != nullptr) {
    impl_->checkpointer->check(&reports);
  } else if (impl_->journal != nullptr) {
    verify_directory(impl_->env, impl_->options.path, impl_->account.get(), &reports);
  }
  return reports;
}

uint64_t process_memory_bytes() { return process_memory_used(); }

Result<Executor*> process_executor() {
  OMEN_ASSIGN(const simd::Kernels* kernels, simd::choose_kernels());
  (void)kernels;
  OMEN_ASSIGN(ThreadPool * pool, ThreadPool::process());
  return static_cast<Executor*>(pool);
}

}  // namespace omen
