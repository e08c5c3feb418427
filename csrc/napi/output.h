// Output: JavaScript values made of the engine's plain structs, in the shapes of types/native.ts.
//
// Why: one writer per shape, so that the Sync and the async form of a method cannot differ.
// Invariants:
//   1. Every array is fresh memory that V8 owns (napi_create_arraybuffer), never external.
//   2. What is too large for one array or string is ERR_LIMIT, before V8 is asked.
// Threads: the JS thread; append_rows_json, fits_numbers and RowsOut any.
#pragma once

#include <node_api.h>

#include <string>

#include "db/collection.h"

namespace omen::napi {

// Bytes of vectors one call may return: past this the caller asks for fewer rows at once.
inline constexpr uint64_t kVectorBytesMax = uint64_t{1} << 30;
// Hits that one searchBatch may return.
inline constexpr uint64_t kBatchHitsMax = uint64_t{1} << 26;
inline constexpr size_t kStringBytesMax = kRowsTextBytesMax;

// Sets properties of a fresh object.
class ObjectOut {
 public:
  explicit ObjectOut(napi_env env) : env_(env) { napi_create_object(env, &object_); }
  ObjectOut& number(const char* name, double value);
  ObjectOut& count(const char* name, uint64_t value);
  ObjectOut& flag(const char* name, bool value);
  ObjectOut& text(const char* name, std::string_view value);
  ObjectOut& texts(const char* name, const std::vector<std::string>& values);
  ObjectOut& set(const char* name, napi_value value);
  napi_value value() const { return object_; }

 private:
  const napi_env env_;
  napi_value object_ = nullptr;
};

// An array of fresh memory, to be filled before JavaScript runs. nullptr data when length is 0.
struct ArrayOut {
  napi_value value = nullptr;
  void* data = nullptr;
};
Result<ArrayOut> make_array(napi_env env, napi_typedarray_type type, size_t length);
// Text, by V8's one-byte form where it is ASCII.
Result<napi_value> make_text(napi_env env, std::string_view text);
// A number up to 2^53-1, else a bigint.
napi_value make_integer(napi_env env, uint64_t value);

// Whether every id is an integer that a double holds.
bool fits_numbers(const Rows& rows);
// {"ids":[...],"metadata":[...]}, each if asked for.
struct JsonParts {
  bool ids;
  bool metadata;
};
void append_rows_json(const Rows& rows, const JsonParts& parts, std::string* out);

enum class RowsKind : uint8_t { kHits, kGet, kScroll };
struct RowsShape {
  RowsKind kind = RowsKind::kHits;
  uint32_t include = 0;
  uint32_t dimensions = 0;
};
// Rows on their way out, in two steps: what takes long is done where the request ran.
struct RowsOut {
  Rows rows;
  RowsShape shape;
  std::string json;  // NativeRows.json.

  // Any thread. Takes the metadata out of `rows`.
  void finish(const RowsShape& rows_shape);
  bool ids_fit_numbers() const { return shape.kind != RowsKind::kGet && fits_numbers(rows); }
};
Result<napi_value> make_rows(napi_env env, const RowsOut& out);
Result<napi_value> make_batch(napi_env env, const Rows& rows, const std::vector<uint32_t>& counts,
                              uint32_t k);
napi_value make_plan(napi_env env, const Plan& plan);
napi_value make_stats(napi_env env, const CollectionStats& stats);
napi_value make_stats(napi_env env, const DatabaseStats& stats);
napi_value make_report(napi_env env, const CheckReport& report);


}  // namespace omen::napi
