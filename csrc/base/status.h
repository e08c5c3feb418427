// Status and Result: how every fallible function of the engine answers.
//
// Why: the engine is compiled without exceptions, and an error must carry a stable code, a message
// that says what failed, on what and what to do, and the row, path or id it concerns.
// Invariants:
//   1. An OK status allocates nothing.
//   2. A Result holds either a value or a status that is not OK.
// Threads: values; share by moving.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"

namespace omen {

enum class ErrorCode : uint8_t {
  kOk = 0,
#define X(name, text, http, grpc, advice) name,
#include "base/error_codes.def"
#undef X
};

// "ERR_ARGUMENT" and so on; "OK" for kOk.
const char* error_code_name(ErrorCode code);

class [[nodiscard]] Status {
 public:
  static constexpr int64_t kNoRow = -1;

  Status() = default;
  static Status ok() { return Status(); }
  static Status error(ErrorCode code, std::string message) {
    OMEN_ASSERT(code != ErrorCode::kOk);
    Status s;
    s.rep_ = std::make_unique<Rep>(Rep{code, std::move(message), kNoRow, {}, {}});
    return s;
  }

  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& o) : rep_(o.rep_ ? std::make_unique<Rep>(*o.rep_) : nullptr) {}
  Status& operator=(const Status& o) {
    if (this != &o) rep_ = o.rep_ ? std::make_unique<Rep>(*o.rep_) : nullptr;
    return *this;
  }

  bool is_ok() const { return rep_ == nullptr; }
  ErrorCode code() const { return rep_ ? rep_->code : ErrorCode::kOk; }
  const std::string& message() const {
    static const std::string kNone;
    return rep_ ? rep_->message : kNone;
  }
  // No memory, no file descriptor, a writer that was faster: nothing is known of what was asked
  // about, least of all that it is damaged, and it may be asked again.
  bool is_passing() const { return code() == ErrorCode::kMemory || code() == ErrorCode::kBusy; }
  // Zero-based row of the batch, or kNoRow.
  int64_t row() const { return rep_ ? rep_->row : kNoRow; }
  // Path within a filter or metadata ("year.$gte"); empty if none.
  std::string path() const { return rep_ ? rep_->path : std::string(); }
  // The id concerned, as JSON text (5, "a", {"$int":"..."}); empty if none.
  std::string id() const { return rep_ ? rep_->id : std::string(); }

  Status&& with_row(int64_t row) && {
    if (rep_) rep_->row = row;
    return std::move(*this);
  }
  Status&& with_path(std::string p) && {
    if (rep_) rep_->path = std::move(p);
    return std::move(*this);
  }
  Status&& with_id(std::string id) && {
    if (rep_) rep_->id = std::move(id);
    return std::move(*this);
  }

 private:
  struct Rep {
    ErrorCode code;
    std::string message;
    int64_t row;
    std::string path;
    std::string id;
  };
  std::unique_ptr<Rep> rep_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) { OMEN_ASSERT(!status_.is_ok()); }
  bool is_ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() {
    OMEN_ASSERT(value_.has_value());
    return *value_;
  }
  const T& value() const {
    OMEN_ASSERT(value_.has_value());
    return *value_;
  }
  T take() {
    OMEN_ASSERT(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace omen

// Returns the status to the caller unless it is OK.
#define OMEN_TRY(expression)                                                  \
  do {                                                                        \
    if (::omen::Status omen_s = (expression); !omen_s.is_ok()) return omen_s; \
  } while (0)

// OMEN_ASSIGN(auto x, f()): unpacks a Result or returns its status.
#define OMEN_CONCAT2(a, b) a##b
#define OMEN_CONCAT(a, b) OMEN_CONCAT2(a, b)
#define OMEN_ASSIGN(target, expression) \
  OMEN_ASSIGN2(OMEN_CONCAT(omen_r, __LINE__), target, expression)
#define OMEN_ASSIGN2(r, target, expression) \
  auto r = (expression);                    \
  if (!r.is_ok()) return r.status();        \
  target = r.take()
