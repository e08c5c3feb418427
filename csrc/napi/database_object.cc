// The class Database.
#include "napi/database_object.h"

#include "db/option_names.h"
#include "napi/classes.h"
#include "napi/collection_object.h"
#include "napi/operation.h"
#include "napi/output.h"
#include "napi/receipts.h"
#include "napi/request.h"

namespace omen::napi {
namespace {

constexpr size_t kNameBytesMax = 512;  // Of a database.
constexpr size_t kPathBytesMax = 4096;
constexpr size_t kCollectionNameBytesMax = 64;
constexpr size_t kSchemaBytesMax = size_t{1} << 20;

// --- Options -------------------------------------------------------------------------------------

// One property of an options object; null value if it is left out.
Status read_property(const Call& call, napi_value object, const char* name, napi_value* out) {
  napi_value value = nullptr;
  if (napi_get_named_property(call.env, object, name, &value) != napi_ok) {
    return argument_error(std::string("cannot read the option ") + name);
  }
  *out = is_undefined(call.env, value) ? nullptr : value;
  return Status::ok();
}

// Reads an integer option; sets `bit` in given if it is there.
struct IntegerOption {
  IntegerRange range;
  uint32_t bit;
};
Status read_option(const Call& call, napi_value object, const IntegerOption& option,
                   CollectionOptions* options, uint32_t* out) {
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, option.range.name, &value));
  if (value == nullptr) return Status::ok();
  uint64_t integer = 0;
  OMEN_TRY(read_integer(call.env, value, option.range, &integer));
  *out = static_cast<uint32_t>(integer);
  options->given |= option.bit;
  return Status::ok();
}

Status read_metric(const Call& call, napi_value object, CollectionOptions* out) {
  napi_value value = nullptr;
  std::string text;
  OMEN_TRY(read_property(call, object, "metric", &value));
  if (value == nullptr) return Status::ok();
  OMEN_TRY(read_text(call.env, value, {"metric", 64, ErrorCode::kArgument}, &text));
  out->given |= CollectionOptions::kGivenMetric;
  for (const Metric metric : {Metric::kCosine, Metric::kL2, Metric::kDot}) {
    out->metric = metric;
    if (text == name_of(metric)) return Status::ok();
  }
  return argument_error("metric must be 'cosine', 'l2' or 'dot', not " + describe(call.env, value));
}

Status read_quantization(const Call& call, napi_value object, CollectionOptions* out) {
  napi_value value = nullptr;
  std::string text;
  OMEN_TRY(read_property(call, object, "quantization", &value));
  if (value == nullptr) return Status::ok();
  OMEN_TRY(read_text(call.env, value, {"quantization", 64, ErrorCode::kArgument}, &text));
  out->given |= CollectionOptions::kGivenQuantization;
  for (const Quantization quantization :
       {Quantization::kSq8, Quantization::kNone, Quantization::kBinary}) {
    out->quantization = quantization;
    if (text == name_of(quantization)) return Status::ok();
  }
  return argument_error("quantization must be 'sq8', 'none' or 'binary', not " +
                        describe(call.env, value));
}

Status read_keep_vectors(const Call& call, napi_value object, CollectionOptions* out) {
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, "keepVectors", &value));
  if (value == nullptr) return Status::ok();
  out->given |= CollectionOptions::kGivenKeepVectors;
  if (napi_get_value_bool(call.env, value, &out->keep_vectors) == napi_ok) return Status::ok();
  return argument_error("keepVectors must be a boolean, not " + describe(call.env, value));
}

Status read_layout(const Call& call, napi_value object, CollectionOptions* out) {
  napi_value value = nullptr;
  std::string text;
  OMEN_TRY(read_property(call, object, "layout", &value));
  if (value == nullptr) return Status::ok();
  OMEN_TRY(read_text(call.env, value, {"layout", 64, ErrorCode::kArgument}, &text));
  out->given |= CollectionOptions::kGivenLayout;
  for (const Layout layout : {Layout::kCompact, Layout::kFast}) {
    out->layout = layout;
    if (text == name_of(layout)) return Status::ok();
  }
  return argument_error("layout must be 'compact' or 'fast', not " + describe(call.env, value));
}

Status read_collection_options(const Call& call, napi_value object, CollectionOptions* out) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call.env, object, &type);
  if (type == napi_undefined) return Status::ok();
  if (type != napi_object) {
    return argument_error("options must be an object, not " + describe(call.env, object));
  }
  using Options = CollectionOptions;
  OMEN_TRY(read_option(call, object, {{"dimensions", 1, kDimensionsMax}, Options::kGivenDimensions},
                       out, &out->dimensions));
  OMEN_TRY(read_metric(call, object, out));
  OMEN_TRY(read_quantization(call, object, out));
  OMEN_TRY(read_layout(call, object, out));
  OMEN_TRY(read_option(call, object, {{"m", kMMin, kMMax}, Options::kGivenM}, out, &out->m));
  OMEN_TRY(read_option(call, object,
                       {{"efConstruction", 1, kEfConstructionMax}, Options::kGivenEfConstruction},
                       out, &out->ef_construction));
  OMEN_TRY(read_keep_vectors(call, object, out));
  napi_value schema = nullptr;
  OMEN_TRY(read_property(call, object, "schema", &schema));
  if (schema == nullptr) return Status::ok();
  out->given |= Options::kGivenSchema;
  return read_text(call.env, schema, {"schema", kSchemaBytesMax, ErrorCode::kArgument},
                   &out->schema_json);
}

Status read_database_options(const Call& call, napi_value object, DatabaseOptions* out) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call.env, object, &type);
  if (type == napi_undefined) return Status::ok();
  if (type != napi_object) {
    return argument_error("options must be an object, not " + describe(call.env, object));
  }
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, "name", &value));
  if (value != nullptr) {
    OMEN_TRY(read_text(call.env, value, {"name", kNameBytesMax, ErrorCode::kArgument}, &out->name));
  }
  OMEN_TRY(read_property(call, object, "maxMemoryBytes", &value));
  if (value != nullptr) {
    OMEN_TRY(read_integer(call.env, value, {"maxMemoryBytes", 0, kSafeIntegerMax},
                          &out->max_memory_bytes));
    out->given_max_memory_bytes = true;
  }
  OMEN_TRY(read_property(call, object, "seed", &value));
  if (value == nullptr) return Status::ok();
  out->given_seed = true;
  return read_integer(call.env, value, {"seed", 0, kSafeIntegerMax}, &out->seed);
}

// --- Methods -------------------------------------------------------------------------------------

using Opened = std::shared_ptr<Database>;  // What a construction from native code is given.

Result<Opened> open_memory(const Call& call) {
  DatabaseOptions options;
  OMEN_TRY(read_database_options(call, call.arguments[0], &options));
  OMEN_TRY(call.environment->executor().status());
  return Database::open_memory(options);
}

Status make(const Call& call, napi_callback_info info) {
  if (!is_construction(call, info)) return argument_error("Database is made with new");
  const std::unique_ptr<Opened> opened(static_cast<Opened*>(call.environment->take_seed()));
  Opened database = opened == nullptr ? nullptr : std::move(*opened);
  if (database == nullptr) {
    OMEN_ASSIGN(database, open_memory(call));
  }
  auto handle = std::make_shared<Handle>(std::move(database));
  auto subject = std::make_unique<Subject>(*call.environment, std::move(handle), nullptr);
  if (!wrap_self(call, subject.get(), Subject::finalize)) {
    return argument_error("cannot bind a Database to this object");
  }
  subject.release();
  return Status::ok();
}

napi_value construct(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  if (Status status = make(call, info); !status.is_ok()) call.environment->throw_status(status);
  return call.self;
}

Result<napi_value> make_database(Environment& environment, Opened database) {
  napi_value made = environment.construct(Environment::kDatabase, new Opened(std::move(database)));
  if (made != nullptr) return made;
  delete static_cast<Opened*>(environment.take_seed());
  return Status::error(ErrorCode::kMemory, "cannot make a Database object");
}

Status read_flag(const Call& call, napi_value object, const char* name, bool* out) {
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, name, &value));
  if (value == nullptr || napi_get_value_bool(call.env, value, out) == napi_ok) return Status::ok();
  return argument_error(std::string(name) + " must be a boolean, not " + describe(call.env, value));
}

Status read_durability(const Call& call, napi_value object, DatabaseOptions* out) {
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, "durability", &value));
  if (value == nullptr) return Status::ok();
  std::string text;
  OMEN_TRY(read_text(call.env, value, {"durability", 64, ErrorCode::kArgument}, &text));
  out->given_durability = true;
  constexpr struct {
    const char* name;
    Durability durability;
  } kNames[] = {
      {"sync", Durability::kSync}, {"periodic", Durability::kPeriodic}, {"os", Durability::kOs}};
  for (const auto& known : kNames) {
    out->durability = known.durability;
    if (text == known.name) return Status::ok();
  }
  return argument_error("durability must be 'sync', 'periodic' or 'os', not " +
                        describe(call.env, value));
}

Status read_residency(const Call& call, napi_value object, DatabaseOptions* out) {
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, object, "residency", &value));
  if (value == nullptr) return Status::ok();
  std::string text;
  OMEN_TRY(read_text(call.env, value, {"residency", 64, ErrorCode::kArgument}, &text));
  out->given_residency = true;
  out->residency = text == "mapped" ? Residency::kMapped : Residency::kMemory;
  if (text == "mapped" || text == "memory") return Status::ok();
  return argument_error("residency must be 'memory' or 'mapped', not " +
                        describe(call.env, value));
}

// The arguments of openDatabase(): path, options.
Status read_open(const Call& call, DatabaseOptions* out) {
  OMEN_TRY(read_text(call.env, call.arguments[0], {"path", kPathBytesMax, ErrorCode::kArgument},
                     &out->path));
  OMEN_TRY(read_database_options(call, call.arguments[1], out));
  if (is_undefined(call.env, call.arguments[1])) return Status::ok();
  OMEN_TRY(read_flag(call, call.arguments[1], "readOnly", &out->read_only));
  OMEN_TRY(read_flag(call, call.arguments[1], "createIfMissing", &out->create_if_missing));
  napi_value value = nullptr;
  OMEN_TRY(read_property(call, call.arguments[1], "checkpointBytes", &value));
  if (value != nullptr) {
    OMEN_TRY(read_integer(call.env, value, {"checkpointBytes", 1, kSafeIntegerMax},
                          &out->checkpoint_bytes));
  }
  OMEN_TRY(read_residency(call, call.arguments[1], out));
  return read_durability(call, call.arguments[1], out);
}

class OpenOp final : public PoolOp {
 public:
  explicit OpenOp(DatabaseOptions options) : options_(std::move(options)) {
    options_.progress = &progress_;
  }
  void launch(Executor& executor) override {
    operation->opening = &progress_;
    PoolOp::launch(executor);
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_database(environment, std::move(database_));
  }
  void settled(Environment&) override {
    operation->done = progress_.done.load(std::memory_order_relaxed);
    operation->total = progress_.total.load(std::memory_order_relaxed);
    operation->opening = nullptr;
  }

 protected:
  Status run() override {
    OMEN_ASSIGN(database_, Database::open(options_));
    return Status::ok();
  }

 private:
  DatabaseOptions options_;
  OpenProgress progress_;
  Opened database_;
};

napi_value open_async(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  DatabaseOptions options;
  Status status = read_open(call, &options);
  if (status.is_ok()) status = call.environment->executor().status();
  if (!status.is_ok()) return call.environment->rejected(status);
  auto operation = use_operation(env, call.arguments[2]);
  if (!operation.is_ok()) return call.environment->rejected(operation.status());
  auto op = std::make_unique<OpenOp>(std::move(options));
  op->operation = operation.take();
  return call.environment->start(std::move(op));
}

Result<napi_value> open_now(const Call& call) {
  DatabaseOptions options;
  OMEN_TRY(read_open(call, &options));
  OMEN_TRY(call.environment->executor().status());
  OMEN_ASSIGN(Opened database, Database::open(options));
  return make_database(*call.environment, std::move(database));
}

napi_value open_sync(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const Result<napi_value> result = open_now(call);
  if (result.is_ok()) {
    call.environment->report_memory();
    return result.value();
  }
  call.environment->throw_status(result.status());
  return nullptr;
}

Result<Subject*> open_subject(const Call& call) {
  auto* subject = unwrap_self<Subject>(call);
  if (subject == nullptr) return not_ours();
  OMEN_TRY(subject->handle->check_open());
  return subject;
}

Result<napi_value> open_collection(const Call& call) {
  OMEN_ASSIGN(const Subject* subject, open_subject(call));
  std::string name;
  uint64_t mode = 0;
  CollectionOptions options;
  OMEN_TRY(read_text(call.env, call.arguments[0],
                     {"name", kCollectionNameBytesMax, ErrorCode::kArgument}, &name));
  OMEN_TRY(read_integer(call.env, call.arguments[2], {"mode", 0, 2}, &mode));
  OMEN_TRY(read_collection_options(call, call.arguments[1], &options));
  std::optional<ReceiptTag> tag;
  OMEN_TRY(read_tag(call.env, call.arguments[3], &tag));
  // Reading options may have run a getter that closed the handle.
  OMEN_TRY(subject->handle->check_open());
  OMEN_ASSIGN(std::shared_ptr<Collection> collection,
              subject->handle->database()->collection(name, options, static_cast<OpenMode>(mode),
                                                      tag.has_value() ? &*tag : nullptr));
  call.environment->report_memory();
  return make_collection(*call.environment, subject->handle, std::move(collection));
}

Result<napi_value> list(const Call& call) {
  OMEN_ASSIGN(const Subject* subject, open_subject(call));
  const std::vector<std::string> names = subject->handle->database()->list_collections();
  napi_value array = nullptr;
  napi_create_array_with_length(call.env, names.size(), &array);
  for (size_t i = 0; i < names.size(); ++i) {
    OMEN_ASSIGN(const napi_value name, make_text(call.env, names[i]));
    napi_set_element(call.env, array, static_cast<uint32_t>(i), name);
  }
  return array;
}

Result<napi_value> drop(const Call& call) {
  OMEN_ASSIGN(const Subject* subject, open_subject(call));
  std::string name;
  OMEN_TRY(read_text(call.env, call.arguments[0],
                     {"name", kCollectionNameBytesMax, ErrorCode::kArgument}, &name));
  std::optional<ReceiptTag> tag;
  OMEN_TRY(read_tag(call.env, call.arguments[1], &tag));
  const std::shared_ptr<Database>& database = subject->handle->database();
  // Held until the pool frees it: much memory may go with the last reference.
  auto collection = database->collection(name, CollectionOptions(), OpenMode::kOpen);
  OMEN_ASSIGN(const bool is_dropped,
              database->drop_collection(name, tag.has_value() ? &*tag : nullptr));
  napi_value existed = nullptr;
  napi_get_boolean(call.env, is_dropped, &existed);
  if (collection.is_ok()) {
    auto disposal = std::make_unique<Disposal>();
    disposal->collections.push_back(collection.take());
    disposal->handle = subject->handle;
    collection = Status::error(ErrorCode::kClosed, "given away");
    dispose(*call.environment, std::move(disposal));
  }
  return existed;
}

Result<napi_value> receipts(const Call& call) {
  OMEN_ASSIGN(const Subject* subject, open_subject(call));
  return make_receipts(call.env, subject->handle->database()->receipts());
}

Result<napi_value> id(const Call& call) {
  OMEN_ASSIGN(const Subject* subject, open_subject(call));
  return make_database_id(call.env, subject->handle->database()->id());
}

template <Result<napi_value> (*function)(const Call&)>
napi_value method(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const Result<napi_value> result = function(call);
  if (result.is_ok()) return result.value();
  call.environment->throw_status(result.status());
  return nullptr;
}

class StatsRequest final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target& target) override {
    stats_ = target.database->stats();
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_stats(environment.env(), stats_);
  }

 private:
  DatabaseStats stats_;
};

class CheckRequest final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target& target) override {
    reports_ = target.database->check();
    for (const CheckReport& report : reports_) OMEN_TRY(Status(report.status));
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    napi_value array = nullptr;
    napi_create_array_with_length(environment.env(), reports_.size(), &array);
    for (size_t i = 0; i < reports_.size(); ++i) {
      napi_set_element(environment.env(), array, static_cast<uint32_t>(i),
                       make_report(environment.env(), reports_[i]));
    }
    return array;
  }

 private:
  std::vector<CheckReport> reports_;
};

template <Database::Extent extent>
class FlushRequest final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target& target) override { return target.database->flush(extent); }
  bool is_wait() const override { return true; }
  void wait(const Target& target, DurableWaiter* waiter) override {
    target.database->flush(extent, waiter);
  }
  Result<napi_value> answer(Environment& environment) override {
    napi_value value = nullptr;
    napi_get_undefined(environment.env(), &value);
    return value;
  }
};
using Flush = FlushRequest<Database::Extent::kDevice>;
using Settle = FlushRequest<Database::Extent::kPromised>;

class BackupRequest final : public Request {
 public:
  Status read(const Call& call, const Subject&) override {
    return read_text(call.env, call.arguments[0], {"path", kPathBytesMax, ErrorCode::kArgument},
                     &path_);
  }
  Status run(const Target& target) override { return target.database->backup(path_); }
  bool is_wait() const override { return true; }
  void wait(const Target& target, DurableWaiter* waiter) override {
    target.database->backup(path_, waiter);
  }
  Result<napi_value> answer(Environment& environment) override {
    napi_value value = nullptr;
    napi_get_undefined(environment.env(), &value);
    return value;
  }

 private:
  std::string path_;
};

napi_value close_sync(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  if (const auto* subject = unwrap_self<Subject>(call); subject != nullptr) {
    const Status status = subject->handle->close_sync(*call.environment);
    if (!status.is_ok()) call.environment->throw_status(status);
  } else {
    call.environment->throw_status(not_ours());
  }
  return nullptr;
}

napi_value close_async(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const auto* subject = unwrap_self<Subject>(call);
  if (subject == nullptr) return call.environment->rejected(not_ours());
  return subject->handle->close(*call.environment);
}

}  // namespace

bool define_database(Environment& environment, napi_value exports) {
  static constexpr Member kMembers[] = {
      {"collection", method<open_collection>},
      {"listCollections", method<list>},
      {"dropCollection", method<drop>},
      {"receipts", method<receipts>},
      {"id", method<id>},
      {"statsSync", sync_method<StatsRequest>},
      {"stats", async_method<StatsRequest, 0>},
      {"flushSync", sync_method<Flush>},
      {"flush", async_method<Flush, 0>},
      {"settleSync", sync_method<Settle>},
      {"settle", async_method<Settle, 0>},
      {"backupSync", sync_method<BackupRequest>},
      {"backup", async_method<BackupRequest, 1>},
      {"checkSync", sync_method<CheckRequest>},
      {"check", async_method<CheckRequest, 0>},
      {"closeSync", close_sync},
      {"close", close_async},
  };
  napi_value made = define_class(environment, "Database", construct, kMembers);
  if (made != nullptr) environment.set_class(Environment::kDatabase, made);
  static constexpr Member kFunctions[] = {
      {"openDatabase", open_async},
      {"openDatabaseSync", open_sync},
  };
  return made != nullptr && define_functions(environment, exports, kFunctions) &&
         napi_set_named_property(environment.env(), exports, "Database", made) == napi_ok;
}

}  // namespace omen::napi
