// Collection: the searches.
//
// searchSync and searchIntoSync are the fast paths: they look at plain numbers and one typed array,
// reuse the environment's buffers, and build no JavaScript objects. All else goes by request.h.
#include <algorithm>
#include <cstring>

#include "napi/collection_object.h"
#include "napi/output.h"
#include "napi/request.h"

namespace omen::napi {
namespace {

// What all searches take, at these arguments.
struct SearchIn {
  SearchOptions options;
  FilterIn filter;

  // k at `first`; the filter after the options.
  Status read(const Call& call, size_t first, const Subject& subject) {
    OMEN_TRY(read_search_options(call, first, &options));
    return filter.read(call, first + kSearchOptionArguments, subject);
  }
  Status finish(const Target& target) {
    OMEN_TRY(filter.parse(*target.collection));
    options.filter = filter.filter();
    options.cancel = target.token;
    return Status::ok();
  }
};

class SearchRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    OMEN_TRY(query_.read(call, 0, "query"));
    OMEN_TRY(in_.read(call, 1, subject));
    return read_include(call.env, call.arguments[6], kIncludeMetadata | kIncludeVector,
                        &in_.options.include);
  }
  Status run(const Target& target) override {
    OMEN_TRY(in_.finish(target));
    OMEN_TRY(target.collection->search(query_.data(), query_.length(), in_.options, &rows_.rows));
    rows_.finish({RowsKind::kHits, in_.options.include, target.collection->dimensions()});
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_rows(environment.env(), rows_);
  }

 private:
  FloatsIn query_;
  SearchIn in_;
  RowsOut rows_;
};

constexpr uint32_t kIdsInJson = 1;
constexpr uint32_t kHasDates = 2;
constexpr uint32_t kApproximate = 4;

uint32_t flags_of(const Rows& rows, bool ids_in_json) {
  return (ids_in_json ? kIdsInJson : 0) | (rows.has_dates ? kHasDates : 0) |
         (rows.approximate ? kApproximate : 0);
}

void write_hits(const Rows& rows, std::byte* ids, std::byte* distances) {
  const size_t count = rows.ids.size();
  for (size_t i = 0; i < count; ++i) {
    const auto id = static_cast<double>(rows.ids[i].value);
    std::memcpy(ids + i * sizeof id, &id, sizeof id);
  }
  if (count > 0) std::memcpy(distances, rows.distances.data(), count * sizeof(float));
}

// searchSync's twin: the hits go out by the buffer of answers if they find room there.
class QueuedRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    OMEN_TRY(query_.read(call, 0, "query"));
    OMEN_TRY(in_.read(call, 1, subject));
    OMEN_TRY(read_include(call.env, call.arguments[6], kIncludeMetadata, &in_.options.include));
    if (is_undefined(call.env, call.arguments[8])) return Status::ok();
    double expected_ms = 0;
    OMEN_TRY(read_number(call.env, call.arguments[8], "expectedMs", &expected_ms));
    const bool is_short = expected_ms >= 0 && expected_ms <= kShortMsMax;
    if (is_short) expected_ns_ = 1 + static_cast<uint64_t>(expected_ms * 1e6);
    return Status::ok();
  }
  uint64_t expected_ns() const override { return expected_ns_; }
  Status run(const Target& target) override {
    const uint64_t start_ns = system_clock().now_ns();
    OMEN_TRY(in_.finish(target));
    OMEN_TRY(target.collection->search(query_.data(), query_.length(), in_.options, &rows_.rows));
    rows_.finish({RowsKind::kHits, in_.options.include, target.collection->dimensions()});
    native_ns_ = system_clock().now_ns() - start_ns;
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    const napi_env env = environment.env();
    const Rows& rows = rows_.rows;
    const size_t count = rows.ids.size();
    napi_value place = nullptr, text = nullptr, pair = nullptr;
    if (!rows_.json.empty()) {
      OMEN_ASSIGN(text, make_text(env, rows_.json));
    }
    uint32_t offset = 0;
    std::byte* at = environment.answers.place(env, kHeadBytes + 12 * count, &offset);
    if (at == nullptr) return make_rows(env, rows_);
    const uint32_t head[] = {static_cast<uint32_t>(count), flags_of(rows, !rows_.ids_fit_numbers()),
                             static_cast<uint32_t>(std::min<uint64_t>(native_ns_, UINT32_MAX)), 0};
    static_assert(sizeof head == kHeadBytes);
    std::memcpy(at, head, sizeof head);
    write_hits(rows, at + kHeadBytes, at + kHeadBytes + 8 * count);
    napi_create_uint32(env, offset, &place);
    if (text == nullptr) return place;
    napi_create_array_with_length(env, 2, &pair);
    napi_set_element(env, pair, 0, place);
    napi_set_element(env, pair, 1, text);
    return pair;
  }

 private:
  static constexpr size_t kHeadBytes = 16;
  static constexpr double kShortMsMax = 1;
  FloatsIn query_;
  SearchIn in_;
  RowsOut rows_;
  uint64_t native_ns_ = 0;
  uint64_t expected_ns_ = 0;
};

class ExplainRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    OMEN_TRY(query_.read(call, 0, "query"));
    return in_.read(call, 1, subject);
  }
  Status run(const Target& target) override {
    OMEN_TRY(in_.finish(target));
    Rows rows;
    return target.collection->search(query_.data(), query_.length(), in_.options, &rows, &plan_);
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_plan(environment.env(), plan_);
  }

 private:
  FloatsIn query_;
  SearchIn in_;
  Plan plan_;
};

class BatchRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    uint64_t count = 0, dimensions = 0;
    OMEN_TRY(queries_.read(call, 0, "queries"));
    OMEN_TRY(read_integer(call.env, call.arguments[1], {"count", 0, kBatchRowsMax}, &count));
    OMEN_TRY(
        read_integer(call.env, call.arguments[2], {"dimensions", 0, kDimensionsMax}, &dimensions));
    OMEN_TRY(in_.read(call, 3, subject));
    if (count * dimensions != queries_.length()) {
      return Status::error(ErrorCode::kDimensions,
                           "queries hold " + std::to_string(queries_.length()) + " floats, not " +
                               std::to_string(count) + " x " + std::to_string(dimensions));
    }
    if (count * in_.options.k > kBatchHitsMax) {
      return Status::error(
          ErrorCode::kLimit,
          "queries x k must be at most " + std::to_string(kBatchHitsMax) + "; split the batch");
    }
    counts_.resize(count);
    dimensions_ = dimensions;
    return Status::ok();
  }
  Status run(const Target& target) override {
    OMEN_TRY(in_.finish(target));
    return target.collection->search_batch(queries_.data(), counts_.size(), dimensions_,
                                           in_.options, &rows_, counts_.data());
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_batch(environment.env(), rows_, counts_, in_.options.k);
  }

 private:
  FloatsIn queries_;
  SearchIn in_;
  size_t dimensions_ = 0;
  std::vector<uint32_t> counts_;
  Rows rows_;
};

// --- The fast paths ------------------------------------------------------------------------------

// Subject, query and options of a fast path. No code of the caller's runs in here.
struct FastIn {
  Subject* subject = nullptr;
  TypedArray query;
  SearchOptions options;

  Status read(const Call& call, size_t first) {
    subject = unwrap_self<Subject>(call);
    if (subject == nullptr) [[unlikely]]
      return not_ours();
    OMEN_TRY(subject->handle->check_open());
    OMEN_TRY(read_floats(call.env, call.arguments[0], "query", &query));
    OMEN_TRY(read_search_options(call, first, &options));
    if (is_undefined(call.env, call.arguments[first + kSearchOptionArguments])) [[likely]] {
      return Status::ok();
    }
    FilterIn filter;
    OMEN_TRY(filter.read(call, first + kSearchOptionArguments, *subject));
    OMEN_TRY(filter.parse(*subject->collection));
    options.filter = filter.filter();
    return Status::ok();
  }
};

// The environment's rows are reused; what one large answer made them hold is not kept.
void trim(Rows* rows) {
  constexpr size_t kKeptBytes = size_t{1} << 20;
  if (rows->metadata.capacity() > kKeptBytes || rows->text.capacity() > kKeptBytes) *rows = Rows();
}

Result<napi_value> search_to_scratch(const Call& call) {
  FastIn in;
  OMEN_TRY(in.read(call, 1));
  OMEN_TRY(read_include(call.env, call.arguments[6], kIncludeMetadata, &in.options.include));
  Environment& environment = *call.environment;
  const Environment::Scratch scratch = environment.scratch();
  if (scratch.capacity < in.options.k) {
    return argument_error("scratch(k) must come before a search for that many hits");
  }
  Rows& rows = environment.rows;
  OMEN_TRY(in.subject->collection->search(static_cast<const float*>(in.query.data), in.query.length,
                                          in.options, &rows));
  const size_t count = rows.ids.size();
  OMEN_ASSERT(count <= in.options.k);
  const bool with_ids = !fits_numbers(rows);
  const uint32_t header[] = {static_cast<uint32_t>(count), flags_of(rows, with_ids)};
  std::memcpy(scratch.data, header, sizeof header);
  write_hits(rows, scratch.data + 8, scratch.data + 8 + 8 * scratch.capacity);
  napi_value result = nullptr;
  const bool with_metadata = in.options.include == kIncludeMetadata;
  if (!with_ids && !with_metadata) return result;
  environment.text.clear();
  append_rows_json(rows, {with_ids, with_metadata}, &environment.text);
  OMEN_ASSIGN(result, make_text(call.env, environment.text));
  trim(&rows);
  return result;
}

Result<napi_value> search_to_arrays(const Call& call) {
  FastIn in;
  OMEN_TRY(in.read(call, 3));
  TypedArray ids, distances;
  const bool is_typed = read_typed_array(call.env, call.arguments[1], &ids);
  if (!is_typed || (ids.type != napi_float64_array && ids.type != napi_biguint64_array)) {
    return argument_error("ids must be a Float64Array or a BigUint64Array, not " +
                          describe(call.env, call.arguments[1]));
  }
  OMEN_TRY(read_floats(call.env, call.arguments[2], "distances", &distances));
  if (ids.length < in.options.k || distances.length < in.options.k) {
    if (ids.length == 0 && is_detached(call.env, call.arguments[1])) {
      return Status::error(ErrorCode::kDetached, "the buffer of ids is detached");
    }
    return argument_error("ids and distances must have room for k hits, " +
                          std::to_string(in.options.k));
  }
  size_t count = 0;
  auto* integers = static_cast<uint64_t*>(ids.data);
  OMEN_TRY(in.subject->collection->search_into(static_cast<const float*>(in.query.data),
                                               in.query.length, in.options, integers,
                                               static_cast<float*>(distances.data), &count));
  if (ids.type == napi_float64_array) {
    for (size_t i = 0; i < count; ++i) {
      if (integers[i] > kSafeIntegerMax) {
        return Status::error(ErrorCode::kId, "id " + std::to_string(integers[i]) +
                                                 " does not fit a Float64Array; pass a "
                                                 "BigUint64Array");
      }
      const auto number = static_cast<double>(integers[i]);
      std::memcpy(&integers[i], &number, sizeof number);
    }
  }
  napi_value result = nullptr;
  napi_create_uint32(call.env, static_cast<uint32_t>(count), &result);
  return result;
}

napi_value returned(const Call& call, const Result<napi_value>& result) {
  if (result.is_ok()) [[likely]]
    return result.value();
  call.environment->throw_status(result.status());
  return nullptr;
}

napi_value search_sync(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return returned(call, search_to_scratch(call));
}

napi_value search_into_sync(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  return returned(call, search_to_arrays(call));
}

}  // namespace

std::span<const Member> search_methods() {
  static constexpr Member kMethods[] = {
      {"searchSync", search_sync},
      {"searchIntoSync", search_into_sync},
      {"searchRowsSync", sync_method<SearchRequest>},
      {"search", async_method<SearchRequest, 7>},
      {"searchQueued", async_method<QueuedRequest, 7>},
      {"searchBatchSync", sync_method<BatchRequest>},
      {"searchBatch", async_method<BatchRequest, 8>},
      {"explainSync", sync_method<ExplainRequest>},
      {"explain", async_method<ExplainRequest, 6>},
  };
  return kMethods;
}

}  // namespace omen::napi
