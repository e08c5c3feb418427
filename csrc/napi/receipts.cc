// Receipts: arguments and results.
#include "napi/receipts.h"

#include <algorithm>
#include <span>

#include "napi/output.h"

namespace omen::napi {
namespace {

std::string hexadecimal(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

}  // namespace

Status read_tag(napi_env env, napi_value value, std::optional<ReceiptTag>* out) {
  if (is_undefined(env, value)) return Status::ok();
  TypedArray array;
  if (!read_typed_array(env, value, &array) || array.type != napi_uint8_array ||
      array.length != kReceiptTagBytes) {
    return argument_error("a receipt's tag is a Uint8Array of 32, not " + describe(env, value));
  }
  std::copy_n(static_cast<const std::byte*>(array.data), kReceiptTagBytes, out->emplace().begin());
  return Status::ok();
}

Result<napi_value> make_receipts(napi_env env, const std::vector<Receipt>& receipts) {
  napi_value list = nullptr;
  napi_create_array_with_length(env, receipts.size(), &list);
  for (size_t i = 0; i < receipts.size(); ++i) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env, &scope);
    ObjectOut out(env);
    out.text("tag", hexadecimal(receipts[i].tag)).count("count", receipts[i].count);
    if (receipts[i].has_generated_ids) {
      out.set("firstGeneratedId", make_integer(env, receipts[i].first_generated_id));
    }
    napi_set_element(env, list, static_cast<uint32_t>(i), out.value());
    napi_close_handle_scope(env, scope);
  }
  return list;
}

Result<napi_value> make_database_id(napi_env env, uint64_t id) {
  std::byte bytes[sizeof id];
  store_number(bytes, id);
  std::reverse(std::begin(bytes), std::end(bytes));
  return make_text(env, hexadecimal(bytes));
}

}  // namespace omen::napi
