// Answers: one buffer of JavaScript's through which small answers of searches on the pool go out.
//
// Why: an object with two typed arrays per answer costs more than a small search. Here an answer is
// some bytes and a number, and all that one turn settles lie side by side.
// How: the buffer begins with a count of answers that nobody has read. Native code writes an answer
// behind the last one, adds one, and resolves the promise with the place; lib/ reads it and
// subtracts one. Once nothing is unread the next answer goes to the front again.
// Invariants:
//   1. What is unread is not written over, however late it is read.
//   2. The buffer is JavaScript's: its count only decides whether to start at the front again, and
//      it is asked for its memory each time, for it may have been detached.
// Threads: the JS thread of its environment.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace omen::napi {

class Answers {
 public:
  // About two thousand answers of ten hits.
  static constexpr size_t kBytes = size_t{256} << 10;

  // The buffer, made at the first call.
  Result<napi_value> buffer(napi_env env);
  // Room for `bytes` at *offset, a multiple of 8; counted as unread. nullptr: there is none now.
  std::byte* place(napi_env env, size_t bytes, uint32_t* offset);

 private:
  static constexpr size_t kFirst = 8;  // After the count.
  napi_ref buffer_ = nullptr;
  size_t next_ = kFirst;
};

}  // namespace omen::napi
