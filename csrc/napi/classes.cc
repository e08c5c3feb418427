// Defining classes and methods.
#include "napi/classes.h"

#include <vector>

namespace omen::napi {
namespace {

std::vector<napi_property_descriptor> descriptors(Environment& environment,
                                                  std::span<const Member> members,
                                                  napi_property_attributes of_methods) {
  std::vector<napi_property_descriptor> out;
  for (const Member& member : members) {
    napi_property_descriptor descriptor{};
    descriptor.utf8name = member.name;
    descriptor.method = member.method;
    descriptor.getter = member.getter;
    descriptor.attributes = member.method != nullptr ? of_methods : napi_configurable;
    descriptor.data = &environment;
    out.push_back(descriptor);
  }
  return out;
}

}  // namespace

napi_value define_class(Environment& environment, const char* name, napi_callback constructor,
                        std::span<const Member> members) {
  const auto properties = descriptors(environment, members, napi_default_method);
  napi_value made = nullptr;
  napi_define_class(environment.env(), name, NAPI_AUTO_LENGTH, constructor, &environment,
                    properties.size(), properties.data(), &made);
  return made;
}

bool define_functions(Environment& environment, napi_value object,
                      std::span<const Member> functions) {
  const auto properties = descriptors(environment, functions, napi_default_jsproperty);
  return napi_define_properties(environment.env(), object, properties.size(), properties.data()) ==
         napi_ok;
}

bool is_construction(const Call& call, napi_callback_info info) {
  napi_value target = nullptr;
  return napi_get_new_target(call.env, info, &target) == napi_ok && target != nullptr;
}

bool wrap_self(const Call& call, void* native, napi_finalize finalize) {
  return napi_wrap(call.env, call.self, native, finalize, nullptr, nullptr) == napi_ok;
}

}  // namespace omen::napi
