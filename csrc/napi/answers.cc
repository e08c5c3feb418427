// The buffer of answers; see answers.h.
#include "napi/answers.h"

#include <cstring>

namespace omen::napi {

Result<napi_value> Answers::buffer(napi_env env) {
  napi_value value = nullptr;
  if (buffer_ != nullptr && napi_get_reference_value(env, buffer_, &value) == napi_ok) return value;
  void* data = nullptr;
  if (napi_create_arraybuffer(env, kBytes, &data, &value) != napi_ok ||
      napi_create_reference(env, value, 1, &buffer_) != napi_ok) {
    return Status::error(ErrorCode::kMemory, "cannot allocate a buffer for answers");
  }
  return value;
}

std::byte* Answers::place(napi_env env, size_t bytes, uint32_t* offset) {
  napi_value value = nullptr;
  void* data = nullptr;
  size_t length = 0;
  if (buffer_ == nullptr || napi_get_reference_value(env, buffer_, &value) != napi_ok ||
      napi_get_arraybuffer_info(env, value, &data, &length) != napi_ok || length != kBytes) {
    return nullptr;
  }
  uint32_t unread = 0;
  std::memcpy(&unread, data, sizeof unread);
  if (unread == 0) next_ = kFirst;
  const size_t whole = (bytes + 7) / 8 * 8;
  if (whole > kBytes - next_) return nullptr;
  ++unread;
  std::memcpy(data, &unread, sizeof unread);
  std::byte* at = static_cast<std::byte*>(data) + next_;
  *offset = static_cast<uint32_t>(next_);
  next_ += whole;
  return at;
}

}  // namespace omen::napi
