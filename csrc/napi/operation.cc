// The class Operation.
#include "napi/operation.h"

#include <cmath>

#include "napi/call.h"
#include "napi/classes.h"
#include "napi/receipts.h"

namespace omen::napi {
namespace {

constexpr napi_type_tag kTag = {0x6f6d656e64620001, 0x4f7065726174696f};
// Longer timeouts are none: 2^53 ms is 285 000 years.
constexpr double kTimeoutMsMax = 9.0e12;

using State = std::shared_ptr<OperationState>;

Status make(const Call& call, napi_callback_info info) {
  if (!is_construction(call, info)) return argument_error("Operation is made with new");
  auto state = std::make_unique<State>(std::make_shared<OperationState>());
  if (!is_undefined(call.env, call.arguments[0])) {
    double timeout_ms = 0;
    OMEN_TRY(read_number(call.env, call.arguments[0], "timeoutMs", &timeout_ms));
    if (timeout_ms < 0) {
      return argument_error("timeoutMs must be at least 0, not " +
                            describe(call.env, call.arguments[0]));
    }
    if (timeout_ms < kTimeoutMsMax) {
      const auto timeout_ns = static_cast<uint64_t>(timeout_ms * 1e6);
      (*state)->token.set_deadline_ns(system_clock().now_ns() + timeout_ns);
    }
  }
  OMEN_TRY(tag_object(call.env, call.self, kTag));
  const bool bound = wrap_self(
      call, state.get(), [](napi_env, void* data, void*) { delete static_cast<State*>(data); });
  if (!bound) return argument_error("cannot bind an Operation to this object");
  state.release();
  return Status::ok();
}

napi_value construct(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (Status status = make(call, info); !status.is_ok()) call.environment->throw_status(status);
  return call.self;
}

napi_value cancel(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (State* state = unwrap_self<State>(call); state != nullptr) {
    (*state)->token.cancel();
  } else {
    call.environment->throw_status(not_ours());
  }
  return nullptr;
}

napi_value keep_receipt(napi_env env, napi_callback_info info) {
  Call call(env, info);
  State* state = unwrap_self<State>(call);
  Status status = state == nullptr ? not_ours() : Status::ok();
  if (status.is_ok()) status = read_tag(env, call.arguments[0], &(*state)->receipt);
  if (!status.is_ok()) call.environment->throw_status(status);
  return nullptr;
}

napi_value progress(napi_env env, napi_callback_info info) {
  Call call(env, info);
  State* state = unwrap_self<State>(call);
  if (state == nullptr) {
    call.environment->throw_status(not_ours());
    return nullptr;
  }
  const OperationState& operation = **state;
  uint64_t done = operation.done;
  uint64_t total = operation.total;
  if (operation.commit != nullptr) {
    done = operation.commit->done.load(std::memory_order_relaxed);
    total = operation.commit->total.load(std::memory_order_relaxed);
  }
  if (operation.opening != nullptr) {
    done = operation.opening->done.load(std::memory_order_relaxed);
    total = operation.opening->total.load(std::memory_order_relaxed);
  }
  napi_value pair = nullptr, first = nullptr, second = nullptr;
  napi_create_array_with_length(env, 2, &pair);
  napi_create_double(env, static_cast<double>(done), &first);
  napi_create_double(env, static_cast<double>(total), &second);
  napi_set_element(env, pair, 0, first);
  napi_set_element(env, pair, 1, second);
  return pair;
}

}  // namespace

bool define_operation(Environment& environment, napi_value exports) {
  static constexpr Member kMembers[] = {
      {"cancel", cancel}, {"keepReceipt", keep_receipt}, {"progress", progress}};
  napi_value made = define_class(environment, "Operation", construct, kMembers);
  return made != nullptr &&
         napi_set_named_property(environment.env(), exports, "Operation", made) == napi_ok;
}

Result<std::shared_ptr<OperationState>> use_operation(napi_env env, napi_value value) {
  if (value == nullptr || is_undefined(env, value)) return std::make_shared<OperationState>();
  auto* state = static_cast<State*>(unwrap_tagged(env, value, kTag));
  if (state == nullptr) {
    return argument_error("operation must be an Operation, not " + describe(env, value));
  }
  if ((*state)->used) return argument_error("an Operation serves one call only; make another");
  (*state)->used = true;
  return *state;
}

}  // namespace omen::napi
