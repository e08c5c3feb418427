// The class Collection: its objects, names and sizes.
#include "napi/collection_object.h"

#include <vector>

#include "napi/output.h"
#include "napi/request.h"

namespace omen::napi {
namespace {

napi_value construct(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  std::unique_ptr<Subject> subject(static_cast<Subject*>(call.environment->take_seed()));
  if (subject != nullptr && wrap_self(call, subject.get(), Subject::finalize)) {
    subject.release();
  } else {
    call.environment->throw_status(
        argument_error("a Collection comes from Database.collection alone"));
  }
  return call.self;
}

// The open subject of a getter, or nullptr with an exception pending.
const Subject* open_subject(const Call& call) {
  const auto* subject = unwrap_self<Subject>(call);
  const Status status = subject == nullptr ? not_ours() : subject->handle->check_open();
  if (status.is_ok()) return subject;
  call.environment->throw_status(status);
  return nullptr;
}

napi_value name(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  const Subject* subject = open_subject(call);
  if (subject == nullptr) return nullptr;
  const Result<napi_value> text = make_text(env, subject->collection->name());
  return text.is_ok() ? text.value() : nullptr;
}

napi_value dimensions(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  napi_value value = nullptr;
  if (const Subject* subject = open_subject(call); subject != nullptr) {
    napi_create_uint32(env, subject->collection->dimensions(), &value);
  }
  return value;
}

napi_value is_dropped(napi_env env, napi_callback_info info) {
  const Call call(env, info);
  napi_value value = nullptr;
  if (const Subject* subject = open_subject(call); subject != nullptr) {
    napi_get_boolean(env, !subject->collection->check_alive().is_ok(), &value);
  }
  return value;
}

}  // namespace

bool define_collection(Environment& environment) {
  std::vector<Member> members = {{"name", nullptr, name},
                                 {"dimensions", nullptr, dimensions},
                                 {"isDropped", nullptr, is_dropped}};
  for (const auto& methods : {search_methods(), read_methods(), write_methods()}) {
    members.insert(members.end(), methods.begin(), methods.end());
  }
  napi_value made = define_class(environment, "Collection", construct, members);
  if (made != nullptr) environment.set_class(Environment::kCollection, made);
  return made != nullptr;
}

napi_value make_collection(Environment& environment, const std::shared_ptr<Handle>& handle,
                           std::shared_ptr<Collection> collection) {
  napi_value made = environment.construct(Environment::kCollection,
                                          new Subject(environment, handle, std::move(collection)));
  if (made == nullptr) delete static_cast<Subject*>(environment.take_seed());
  return made;
}

}  // namespace omen::napi
