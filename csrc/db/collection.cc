// Collection: birth, options, and what needs no pin.
#include "db/collection.h"

#include <new>

#include "db/collection_impl.h"
#include "db/option_names.h"

namespace omen {

void Rows::clear() {
  ids.clear();
  distances.clear();
  found.clear();
  text.clear();
  metadata.clear();
  vectors.clear();
  has_dates = false;
  approximate = false;
}

Collection::Impl::Impl(std::string name_in, const CollectionOptions& options_in, const Env& env_in)
    : name(std::move(name_in)),
      options(options_in),
      env(env_in),
      account(env_in.budget.get()),
      to_link_(&account, Use::kScratch) {
  options.given = 0;
  fixed_dimensions_ = options.dimensions;
}

Collection::Impl::~Impl() {
  // No handle is left, so nobody is pinned; what is retired goes with `epochs`.
  row_cache_.clear();
  workers_.clear();
}

Status Collection::Impl::make_store(uint32_t dimensions) {
  CollectionOptions o = options;
  o.dimensions = dimensions;
  std::shared_ptr<Store> fresh = std::make_shared<Store>(&account, &epochs, o, *env.kernels,
                                                         env.seed, next_generation_++, schema);
  if (env.journal != nullptr) fresh->keep_unsaved(env.journal->unsaved_bytes());
  store_.store(fresh.get(), std::memory_order_release);
  retire_store();
  owned_store_ = std::move(fresh);
  return Status::ok();
}

// Readers may still hold what store_ pointed to.
void Collection::Impl::retire_store() {
  if (owned_store_ == nullptr) return;
  owned_store_->unsaved.stop_counting();
  {
    // Whoever fills its columns ends first: nothing of a store is retired after the store itself.
    owned_store_->is_leaving.store(true, std::memory_order_relaxed);
    const std::lock_guard<std::mutex> guard(owned_store_->index_mutex);
  }
  auto* old = new (std::nothrow) std::shared_ptr<Store>(std::move(owned_store_));
  OMEN_ASSERT(old != nullptr);
  owned_store_.reset();
  epochs.retire(
      old, [](void* p, void*) { delete static_cast<std::shared_ptr<Store>*>(p); }, nullptr, 0);
}

Status Collection::Impl::check_alive() const {
  if (!dropped_) return Status::ok();
  return Status::error(ErrorCode::kNotFound, "collection '" + name + "' was dropped");
}

Result<std::shared_ptr<Collection>> Collection::create(std::string name,
                                                       const CollectionOptions& options,
                                                       const Env& env) {
  auto impl = std::make_unique<Impl>(std::move(name), options, env);
  if (!options.schema_json.empty()) {
    OMEN_ASSIGN(impl->schema, Schema::parse(options.schema_json));
    impl->options.schema_json = impl->schema->text();
  }
  return std::shared_ptr<Collection>(new Collection(std::move(impl)));
}

Collection::Collection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Collection::~Collection() = default;

const std::string& Collection::name() const { return impl_->name; }
const Schema* Collection::schema() const { return impl_->schema.get(); }

void Collection::mark_dropped() {
  if (impl_->dropped_.exchange(true)) return;
  auto* commit = new (std::nothrow) Commit;
  if (commit == nullptr) return;  // The memory goes with the last handle then.
  commit->kind = Commit::Kind::kDrop;
  commit->on_done = [](Commit* done, void*) { delete done; };
  submit(commit);
}

Status Collection::check_alive() const { return impl_->check_alive(); }

CollectionOptions Collection::options() const {
  const std::lock_guard<std::mutex> guard(impl_->store_mutex_);
  return impl_->options;
}

uint32_t Collection::dimensions() const {
  return impl_->fixed_dimensions_.load(std::memory_order_acquire);
}

uint64_t Collection::count() const {
  const EpochDomain::Pin pin = impl_->epochs.pin();
  const Store* s = impl_->store();
  return s == nullptr ? 0 : s->live();
}

namespace {

std::string quoted(const char* name) { return std::string("'") + name + "'"; }

// A schema: as much as helps to tell which.
std::string option_text(const std::string& value) {
  constexpr size_t kMost = 200;
  return value.size() <= kMost ? value : value.substr(0, kMost) + " ...";
}
std::string option_text(bool value) { return value ? "true" : "false"; }
std::string option_text(uint32_t value) { return std::to_string(value); }
template <class Named>
std::string option_text(Named value) {
  return quoted(name_of(value));
}

}  // namespace

template <class T>
Status Collection::Impl::differs(const char* option, const T& given, const T& stored) const {
  const std::string path = env.journal == nullptr ? "" : env.journal->path();
  return Status::error(ErrorCode::kOptions,
                       "collection '" + name + "'" + (path.empty() ? "" : " of " + path) +
                           " was created with " + option + ": " + option_text(stored) + ", not " +
                           option_text(given) + "; leave the option out to take the stored value")
      .with_path(path);
}

Status Collection::agree_on(const CollectionOptions& given) {
  const CollectionOptions mine = options();
  const Impl& impl = *impl_;
  using O = CollectionOptions;
  const auto check = [&](uint32_t flag, const char* option, const auto& wanted,
                         const auto& stored) {
    const bool agrees = (given.given & flag) == 0 || wanted == stored;
    return agrees ? Status::ok() : impl.differs(option, wanted, stored);
  };
  OMEN_TRY(check(O::kGivenMetric, "metric", given.metric, mine.metric));
  OMEN_TRY(check(O::kGivenQuantization, "quantization", given.quantization, mine.quantization));
  OMEN_TRY(check(O::kGivenLayout, "layout", given.layout, mine.layout));
  OMEN_TRY(check(O::kGivenM, "m", given.m, mine.m));
  OMEN_TRY(check(O::kGivenEfConstruction, "efConstruction", given.ef_construction,
                 mine.ef_construction));
  OMEN_TRY(check(O::kGivenKeepVectors, "keepVectors", given.keep_vectors, mine.keep_vectors));
  if ((given.given & O::kGivenSchema) != 0) {
    OMEN_ASSIGN(const std::shared_ptr<const Schema> schema, Schema::parse(given.schema_json));
    if (mine.schema_json.empty() && !schema->text().empty()) {
      return impl.differs("schema", schema->text(), std::string("none"));
    }
    OMEN_TRY(check(O::kGivenSchema, "schema", schema->text(), mine.schema_json));
  }
  if ((given.given & O::kGivenDimensions) == 0) return Status::ok();
  // Last: nothing is fixed by a call that is refused.
  Impl& c = *impl_;
  const std::lock_guard<std::mutex> guard(c.store_mutex_);
  const uint32_t fixed = c.fixed_dimensions_.load(std::memory_order_acquire);
  OMEN_TRY(fixed == 0 ? Status::ok()
                      : check(O::kGivenDimensions, "dimensions", given.dimensions, fixed));
  if (fixed != 0) return Status::ok();
  const Store* s = c.store();
  const bool staging = c.open_batches_.load(std::memory_order_acquire) > 0;
  if (s != nullptr && staging && s->dimensions() != given.dimensions)
    return c.differs("dimensions", given.dimensions, s->dimensions());
  if (c.env.journal != nullptr) {
    OMEN_TRY(c.env.journal->log_dimensions(c.env.journal_id, given.dimensions));
  }
  c.options.dimensions = given.dimensions;
  c.fixed_dimensions_.store(given.dimensions, std::memory_order_release);
  return Status::ok();
}

}  // namespace omen
