// Request: one method of the addon that the engine carries out, for its Sync and its async form.
//
// Why: both forms read the same arguments, do the same and answer the same; written once, they
// cannot drift apart. Sync: read, run, answer on the JS thread. Async: read with copies on the JS
// thread, run on the pool (or, for a write, in the collection's commit queue), answer on the JS
// thread.
// Invariants:
//   1. run() and commits touch only the request's own memory and the target.
//   2. Between reading arguments, which may run getters of the caller's, and using the engine, it
//      is asked again whether the handle is still open.
// Threads: as above.
#pragma once

#include <node_api.h>

#include <memory>
#include <mutex>
#include <string>

#include "napi/call.h"
#include "napi/handle.h"

namespace omen::napi {

// The last filter of a collection object: the same text is not parsed again. Any thread.
class FilterCache {
 public:
  Result<std::shared_ptr<const Filter>> parse(std::string_view text, const Collection& collection);

 private:
  std::mutex mutex_;
  std::shared_ptr<const Filter> last_;
};

// The native side of a Database or a Collection object.
class Subject final : public HandleMember {
 public:
  Subject(Environment& e, std::shared_ptr<Handle> h, std::shared_ptr<Collection> c)
      : environment(e.shared_from_this()), handle(std::move(h)), collection(std::move(c)) {
    if (!handle->is_closed()) join(*handle);
  }
  void give_back(Disposal* disposal) override;
  // For wraps: gives everything back, on the pool.
  static void finalize(napi_env env, void* subject, void* hint);

  const std::shared_ptr<Environment> environment;
  const std::shared_ptr<Handle> handle;
  std::shared_ptr<Collection> collection;  // Null for a database, and once closed.
  std::shared_ptr<FilterCache> filters = std::make_shared<FilterCache>();
};

// What a request works on, owned while it does.
struct Target {
  std::shared_ptr<Database> database;
  std::shared_ptr<Collection> collection;
  const CancelToken* token = nullptr;
};

class Request {
 public:
  Request() = default;
  virtual ~Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // JS thread.
  virtual Status read(const Call& call, const Subject& subject) = 0;
  // Any thread, unless commit() is not null.
  virtual Status run(const Target& target) = 0;
  // A write: what to queue instead of calling run().
  virtual Commit* commit() { return nullptr; }
  // What run() will take, if that is little; 0: it gets a task of the pool for itself.
  virtual uint64_t expected_ns() const { return 0; }
  // A wait for the log: this is started instead of run(), so that no thread waits with it.
  virtual bool is_wait() const { return false; }
  virtual void wait(const Target&, DurableWaiter*) {}
  // JS thread.
  virtual Result<napi_value> answer(Environment& environment) = 0;
};

// The two ways to carry out a request. An async form takes its Operation, if any, at this argument.
napi_value run_sync(Call& call, Request& request);
napi_value run_async(Call& call, std::unique_ptr<Request> request, size_t operation_argument);
// Starts a request that is read already.
struct Started {
  std::shared_ptr<Handle> handle;
  Target target;
  napi_value operation = nullptr;  // An Operation object or undefined.
};
napi_value start_request(Environment& environment, std::unique_ptr<Request> request, Started how);

template <class R>
napi_value sync_method(napi_env env, napi_callback_info info) {
  Call call(env, info);
  R request;
  return run_sync(call, request);
}

template <class R, size_t operation_argument>
napi_value async_method(napi_env env, napi_callback_info info) {
  Call call(env, info);
  call.copies = true;
  return run_async(call, std::make_unique<R>(), operation_argument);
}

// A filter argument: undefined or JSON text. Parsed where the request runs.
class FilterIn {
 public:
  Status read(const Call& call, size_t index, const Subject& subject);
  Status parse(const Collection& collection);
  bool is_given() const { return given_; }
  const std::shared_ptr<const Filter>& filter() const { return filter_; }

 private:
  bool given_ = false;
  std::string text_;
  std::shared_ptr<FilterCache> cache_;
  std::shared_ptr<const Filter> filter_;
};

// A Float32Array argument, borrowed, or copied if the call copies.
class FloatsIn {
 public:
  Status read(const Call& call, size_t index, const char* name);
  const float* data() const { return data_; }
  size_t length() const { return length_; }

 private:
  const float* data_ = nullptr;
  size_t length_ = 0;
  std::unique_ptr<float[]> own_;
};

}  // namespace omen::napi
