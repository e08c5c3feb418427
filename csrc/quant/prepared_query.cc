// PreparedQuery's memory: one aligned block, carved into the four arrays.
#include "quant/prepared_query.h"

#include <cstring>
#include <new>

namespace omen {

static constexpr std::align_val_t kAlign{64};

PreparedQuery::~PreparedQuery() { ::operator delete(block_, kAlign); }

Status PreparedQuery::reserve(size_t dimensions) {
  const size_t padded = (dimensions + 63) / 64 * 64;
  if (padded <= capacity_) return Status::ok();
  const size_t bytes = padded * (sizeof(float) + sizeof(int16_t) + 2 * sizeof(int8_t));
  void* block = ::operator new(bytes, kAlign, std::nothrow);
  if (block == nullptr) {
    return Status::error(ErrorCode::kMemory, "cannot allocate " + std::to_string(bytes) +
                                                 " bytes for a query; free memory and retry");
  }
  ::operator delete(block_, kAlign);
  std::memset(block, 0, bytes);
  block_ = block;
  bytes_ = bytes;
  capacity_ = padded;
  floats = static_cast<float*>(block);
  w = reinterpret_cast<int16_t*>(floats + padded);
  hi = reinterpret_cast<int8_t*>(w + padded);
  lo = hi + padded;
  return Status::ok();
}

}  // namespace omen
