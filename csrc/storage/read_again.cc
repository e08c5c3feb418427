// ReadAgain: the counts.
#include "storage/read_again.h"

namespace omen {

namespace {

constexpr int kSameMax = 5;
constexpr int kChangedMax = 50;

}  // namespace

uint64_t ReadAgain::generation() const {
  const Result<Manifest> manifest = read_manifest(env_, path_);
  return manifest.is_ok() ? manifest.value().generation : 0;
}

bool ReadAgain::is_wanted(Status* status) {
  if (status->is_ok()) return false;
  const bool may_be_a_race =
      status->code() == ErrorCode::kCorrupt || status->code() == ErrorCode::kNotFound;
  if (!may_be_a_race) return false;
  if (generation() == generation_) return ++same_ < kSameMax;
  if (++changed_ < kChangedMax) return true;
  *status = Status::error(ErrorCode::kBusy,
                          path_ + " changed each time that it was read; try again, or read it "
                                  "through the handle or the server that writes to it")
                .with_path(path_);
  return false;
}

}  // namespace omen
