// Reserve: a file that grows by allocation and shrinks by truncation.
#include "storage/reserve.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "storage/manifest.h"

namespace omen {

namespace {

constexpr uint64_t kShare = 64;
constexpr uint64_t kBytesMin = uint64_t{64} << 10;
constexpr uint64_t kBytesMax = uint64_t{16} << 20;
constexpr uint64_t kStepBytes = uint64_t{4} << 10;

}  // namespace

Reserve::Reserve(Env* env, const std::string& directory)
    : env_(env), path_(directory + "/" + kReserveName) {
  (void)has_file(false);
}

bool Reserve::has_file(bool makes_it) {
  if (file_ != nullptr) return true;
  Result<std::unique_ptr<File>> file =
      File::open(env_, path_, Env::kWrite | (makes_it ? Env::kCreate : 0u));
  if (!file.is_ok()) return false;
  const Result<FileStat> stat = file.value()->stat();
  if (!stat.is_ok()) return false;
  file_ = file.take();
  size_ = stat.value().size;
  return true;
}

// As much of it as there is room for.
bool Reserve::grow() {
  if (size_ >= wanted_) return true;
  if (!has_file(true)) return false;
  for (uint64_t wanted = wanted_; wanted > size_; wanted -= std::min(wanted, kStepBytes)) {
    const Status status = file_->allocate(wanted);
    if (status.is_ok()) size_ = wanted;
    if (status.is_ok() || status.code() != ErrorCode::kNoSpace) break;
    if (wanted > 16 * kStepBytes) wanted -= wanted / 8 / kStepBytes * kStepBytes;
  }
  return size_ >= wanted_;
}

uint64_t Reserve::give_back(uint64_t to) {
  if (size_ <= to || !has_file(false) || !file_->truncate(to).is_ok()) return 0;
  return std::exchange(size_, to) - to;
}

void Reserve::aim(uint64_t stored_bytes) {
  const std::lock_guard<std::mutex> guard(mutex_);
  wanted_ = std::clamp(stored_bytes / kShare, kBytesMin, kBytesMax) / kStepBytes * kStepBytes;
  const uint64_t had = size_;
  if (grow()) {
    // What the database does not need any more it gives back, but not for every small change.
    if (size_ > 2 * wanted_) (void)give_back(wanted_);
    is_whole_.store(true, std::memory_order_release);
  } else if (is_whole() && had > 0) {
    wanted_ = had;  // Nothing was taken out of it.
  }
}

bool Reserve::restore() {
  if (is_whole()) return true;
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!grow()) return false;
  is_whole_.store(true, std::memory_order_release);
  return true;
}

uint64_t Reserve::spend() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return spend_to(size_ / 2 / kStepBytes * kStepBytes);
}

uint64_t Reserve::spend_all() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return spend_to(0);
}

uint64_t Reserve::spend_to(uint64_t to) {
  if (OMEN_PLANTED("no-reserve") || size_ == 0) return 0;
  is_whole_.store(false, std::memory_order_release);
  spendings_.fetch_add(1, std::memory_order_acq_rel);
  return give_back(to);
}

}  // namespace omen
