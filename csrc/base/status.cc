// Names of the error codes, from the one table.
#include "base/status.h"

namespace omen {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk: return "OK";
#define X(name, text, http, grpc, advice) \
  case ErrorCode::name: return text;
#include "base/error_codes.def"
#undef X
  }
  return "ERR_NATIVE";
}

}  // namespace omen
