// Bump's chunks: doubling up to kChunkBytesMax, so that overhead stays a constant share.
#include "meta/bump.h"

#include <cstdlib>
#include <cstring>

namespace omen {

Bump::~Bump() {
  while (last_ != nullptr) {
    Chunk* previous = last_->previous;
    std::free(last_);
    last_ = previous;
  }
}

void* Bump::allocate_chunk(size_t rounded) {
  const size_t payload = rounded > chunk_bytes_ ? rounded : chunk_bytes_;
  if (payload > SIZE_MAX / 2) return nullptr;
  auto* chunk = static_cast<Chunk*>(std::malloc(sizeof(Chunk) + payload));
  if (chunk == nullptr) return nullptr;
  chunk->previous = last_;
  last_ = chunk;
  bytes_ += sizeof(Chunk) + payload;
  auto* begin = reinterpret_cast<std::byte*>(chunk + 1);
  // An outsized request gets a chunk of its own, and what is left of the current one stays in use.
  if (payload - rounded > static_cast<size_t>(end_ - next_)) {
    next_ = begin + rounded;
    end_ = begin + payload;
  }
  if (chunk_bytes_ < kChunkBytesMax) chunk_bytes_ *= 2;
  return begin;
}

bool Bump::copy(std::string_view text, std::string_view* out) {
  auto* p = static_cast<char*>(allocate(text.size() == 0 ? 1 : text.size()));
  if (p == nullptr) return false;
  if (!text.empty()) std::memcpy(p, text.data(), text.size());
  *out = {p, text.size()};
  return true;
}

}  // namespace omen
