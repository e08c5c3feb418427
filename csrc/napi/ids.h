// Ids as JavaScript gives them: numbers, bigints, strings, arrays and typed arrays of them.
//
// Why: 5 and 5n are one id, "5" another; fractions, negatives, empty and over-long strings and lone
// surrogates are none. Here that is decided, once, for every method.
// Threads: the JS thread.
#pragma once

#include <node_api.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "db/types.h"

namespace omen::napi {

// Past this a list of ids is refused (ERR_LIMIT): 16 bytes each.
inline constexpr size_t kIdListMax = size_t{1} << 24;

struct IdIn {
  // Room for kIdBytesMax, one more character that shows excess, and the zero.
  static constexpr size_t kBufferBytes = kIdBytesMax + 8;
  bool is_string = false;
  uint64_t integer = 0;
  std::string_view text;  // Into buffer.
  char buffer[kBufferBytes];

  IdView view() const { return {is_string, integer, text}; }
};
// ERR_ID.
Status read_id(napi_env env, napi_value value, IdIn* out);

// Ids with the bytes of their texts.
struct IdStore {
  std::vector<IdOut> ids;
  std::string text;

  void add(const IdIn& id);
  std::vector<IdView> views() const;
};

// Elements [from, to) of an array or typed array.
struct IdRange {
  napi_value ids;
  uint64_t from;
  uint64_t to;
  int64_t row;  // That of the first, for errors.
};
// What is done with each.
class IdSink {
 public:
  virtual Status take(uint64_t index, const IdIn& id) = 0;  // index counts from 0.

 protected:
  ~IdSink() = default;
};
// ERR_ID with the row; ERR_DETACHED if a typed array is shorter than `to`; ERR_ARGUMENT.
Status read_ids(napi_env env, const IdRange& range, IdSink* sink);
// All of them. ERR_LIMIT past kIdListMax.
Status read_all_ids(napi_env env, napi_value ids, IdStore* out);
// Appends; on an error nothing.
Status append_ids(napi_env env, const IdRange& range, IdStore* out);

// JSON text of an id: 5, "a", {"$int":"..."}.
void append_id_json(const IdOut& id, std::string_view text, std::string* out);

}  // namespace omen::napi
