// The class IdList.
#include "napi/id_list.h"

#include "napi/call.h"
#include "napi/classes.h"

namespace omen::napi {
namespace {

constexpr napi_type_tag kTag = {0x6f6d656e64620002, 0x49644c6973740000};

Status make(const Call& call, napi_callback_info info) {
  if (!is_construction(call, info)) return argument_error("IdList is made with new");
  OMEN_TRY(tag_object(call.env, call.self, kTag));
  auto store = std::make_unique<IdStore>();
  const bool bound = wrap_self(
      call, store.get(), [](napi_env, void* data, void*) { delete static_cast<IdStore*>(data); });
  if (!bound) return argument_error("cannot bind an IdList to this object");
  store.release();
  return Status::ok();
}

napi_value construct(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (Status status = make(call, info); !status.is_ok()) call.environment->throw_status(status);
  return call.self;
}

Status push_ids(const Call& call) {
  auto* store = unwrap_self<IdStore>(call);
  if (store == nullptr) return not_ours();
  const SliceTimer timer(*call.environment);
  uint64_t from = 0, to = 0;
  OMEN_TRY(read_integer(call.env, call.arguments[1], {"from", 0, UINT32_MAX}, &from));
  OMEN_TRY(read_integer(call.env, call.arguments[2], {"to", 0, UINT32_MAX}, &to));
  const auto row = static_cast<int64_t>(store->ids.size());
  return append_ids(call.env, {call.arguments[0], from, to, row}, store);
}

napi_value push(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (Status status = push_ids(call); !status.is_ok()) call.environment->throw_status(status);
  return nullptr;
}

napi_value length(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const auto* store = unwrap_self<IdStore>(call);
  napi_value value = nullptr;
  if (store == nullptr) {
    call.environment->throw_status(not_ours());
  } else {
    napi_create_double(env, static_cast<double>(store->ids.size()), &value);
  }
  return value;
}

}  // namespace

bool define_id_list(Environment& environment, napi_value exports) {
  static constexpr Member kMembers[] = {{"push", push}, {"length", nullptr, length}};
  napi_value made = define_class(environment, "IdList", construct, kMembers);
  return made != nullptr &&
         napi_set_named_property(environment.env(), exports, "IdList", made) == napi_ok;
}

Status read_ids_or_list(napi_env env, napi_value value, IdStore* out) {
  const auto* store = static_cast<IdStore*>(unwrap_tagged(env, value, kTag));
  if (store == nullptr) return read_all_ids(env, value, out);
  *out = *store;
  return Status::ok();
}

}  // namespace omen::napi
