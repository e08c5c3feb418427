// Collection: get, has, count, scroll, stats, check.
#include <charconv>
#include <string_view>

#include "napi/collection_object.h"
#include "napi/id_list.h"
#include "napi/output.h"
#include "napi/request.h"

namespace omen::napi {
namespace {

// Vectors of that many rows must fit one answer.
Status check_vector_bytes(uint64_t rows, uint32_t dimensions, uint32_t include) {
  if ((include & kIncludeVector) == 0) return Status::ok();
  const uint64_t bytes = rows * dimensions * sizeof(float);
  if (bytes <= kVectorBytesMax) return Status::ok();
  return Status::error(ErrorCode::kLimit, "the vectors of " + std::to_string(rows) +
                                              " rows exceed 1 GiB; ask for fewer at once");
}

class GetRequest final : public Request {
 public:
  Status read(const Call& call, const Subject&) override {
    OMEN_TRY(read_ids_or_list(call.env, call.arguments[0], &ids_));
    return read_include(call.env, call.arguments[1], kIncludeMetadata | kIncludeVector, &include_);
  }
  Status run(const Target& target) override {
    const uint32_t dimensions = target.collection->dimensions();
    OMEN_TRY(check_vector_bytes(ids_.ids.size(), dimensions, include_));
    const std::vector<IdView> views = ids_.views();
    OMEN_TRY(target.collection->get(views.data(), views.size(), include_, &rows_.rows));
    rows_.finish({RowsKind::kGet, include_, target.collection->dimensions()});
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_rows(environment.env(), rows_);
  }

 private:
  IdStore ids_;
  uint32_t include_ = 0;
  RowsOut rows_;
};

class HasRequest final : public Request {
 public:
  Status read(const Call& call, const Subject&) override {
    return read_id(call.env, call.arguments[0], &id_);
  }
  Status run(const Target& target) override {
    OMEN_TRY(target.collection->check_alive());
    has_ = target.collection->has(id_.view());
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    napi_value value = nullptr;
    napi_get_boolean(environment.env(), has_, &value);
    return value;
  }

 private:
  IdIn id_;
  bool has_ = false;
};

class CountRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    return filter_.read(call, 0, subject);
  }
  Status run(const Target& target) override {
    OMEN_TRY(filter_.parse(*target.collection));
    OMEN_ASSIGN(count_, target.collection->count_matching(filter_.filter(), target.token));
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_integer(environment.env(), count_);
  }

 private:
  FilterIn filter_;
  uint64_t count_ = 0;
};

// A cursor is the engine's position in decimal, and a tag that only a scroll of this collection
// gives it: any other text is ERR_ARGUMENT, not an early end. Callers take it for opaque.
std::string cursor_text(const Collection& collection, uint64_t cursor) {
  const std::string position = std::to_string(cursor);
  uint32_t tag = 2166136261u;  // FNV-1a.
  for (const std::string_view part : {std::string_view(collection.name()), {position}}) {
    for (const char c : part) tag = (tag ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  return position + "." + std::to_string(tag);
}

Status read_cursor(const Call& call, const Collection& collection, uint64_t* cursor) {
  const napi_value value = call.arguments[0];
  *cursor = 0;
  if (is_undefined(call.env, value)) return Status::ok();
  constexpr size_t kCursorBytesMax = 31;  // 20 digits, a dot, 10 digits.
  std::string text;
  OMEN_TRY(read_text(call.env, value, {"cursor", kCursorBytesMax, ErrorCode::kArgument}, &text));
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *cursor);
  if (parsed.ec == std::errc() && *cursor != 0 && text == cursor_text(collection, *cursor)) {
    return Status::ok();
  }
  return argument_error("cursor must be the next of an earlier scroll of this collection, not " +
                        describe(call.env, value));
}

class ScrollRequest final : public Request {
 public:
  Status read(const Call& call, const Subject& subject) override {
    OMEN_TRY(read_cursor(call, *subject.collection, &cursor_));
    OMEN_TRY(read_integer(call.env, call.arguments[1], {"limit", 1, kHitsMax}, &limit_));
    OMEN_TRY(filter_.read(call, 2, subject));
    return read_include(call.env, call.arguments[3], kIncludeMetadata | kIncludeVector, &include_);
  }
  Status run(const Target& target) override {
    OMEN_TRY(filter_.parse(*target.collection));
    const auto& filter = filter_.filter();
    OMEN_TRY(target.collection->scroll(&cursor_, limit_, filter, include_, &rows_.rows));
    rows_.finish({RowsKind::kScroll, include_, target.collection->dimensions()});
    if (cursor_ != 0) next_ = cursor_text(*target.collection, cursor_);
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    const napi_env env = environment.env();
    OMEN_ASSIGN(const napi_value rows, make_rows(env, rows_));
    if (next_.empty()) return rows;
    OMEN_ASSIGN(const napi_value next, make_text(env, next_));
    napi_set_named_property(env, rows, "next", next);
    return rows;
  }

 private:
  uint64_t cursor_ = 0;
  uint64_t limit_ = 0;
  FilterIn filter_;
  uint32_t include_ = 0;
  std::string next_;
  RowsOut rows_;
};

class StatsRequest final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target& target) override {
    OMEN_TRY(target.collection->check_alive());
    stats_ = target.collection->stats();
    stats_.options.dimensions = target.collection->dimensions();
    return Status::ok();
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_stats(environment.env(), stats_);
  }

 private:
  CollectionStats stats_;
};

class CheckRequest final : public Request {
 public:
  Status read(const Call&, const Subject&) override { return Status::ok(); }
  Status run(const Target& target) override {
    OMEN_TRY(target.collection->check_alive());
    report_ = target.collection->check();
    return report_.status;
  }
  Result<napi_value> answer(Environment& environment) override {
    return make_report(environment.env(), report_);
  }

 private:
  CheckReport report_;
};

}  // namespace

std::span<const Member> read_methods() {
  static constexpr Member kMethods[] = {
      {"getSync", sync_method<GetRequest>},       {"get", async_method<GetRequest, 2>},
      {"hasSync", sync_method<HasRequest>},       {"has", async_method<HasRequest, 1>},
      {"countSync", sync_method<CountRequest>},   {"count", async_method<CountRequest, 1>},
      {"scrollSync", sync_method<ScrollRequest>}, {"scroll", async_method<ScrollRequest, 4>},
      {"statsSync", sync_method<StatsRequest>},   {"stats", async_method<StatsRequest, 0>},
      {"checkSync", sync_method<CheckRequest>},   {"check", async_method<CheckRequest, 0>},
  };
  return kMethods;
}

}  // namespace omen::napi
