// Counters of memory. The budget's own counter decides: an account counts only what it granted.
#include "memory/budget.h"

#include <algorithm>

namespace omen {

namespace {

// Of the limit; a search by many threads takes as much of a small one as of a large one.
constexpr uint64_t kHeadroomShare = 32;
constexpr uint64_t kHeadroomShareMost = 8;
constexpr uint64_t kHeadroomBytesMin = uint64_t{1} << 20;
constexpr uint64_t kHeadroomBytesMax = uint64_t{8} << 20;

uint64_t headroom_of(uint64_t limit) {
  const uint64_t share = std::clamp(limit / kHeadroomShare, kHeadroomBytesMin, kHeadroomBytesMax);
  return std::min(share, limit / kHeadroomShareMost);
}

constexpr auto kRelaxed = std::memory_order_relaxed;

std::atomic<uint64_t> process_used{0};  // Constant-initialised and never destroyed.

#ifdef OMENDB_TEST_POINTS
std::atomic<uint64_t> reservations{0};
std::atomic<uint64_t> refused_first{0};
std::atomic<uint64_t> refused_count{0};

bool is_refused_by_test() {
  const uint64_t number = reservations.fetch_add(1, kRelaxed);
  const uint64_t first = refused_first.load(kRelaxed);
  return number >= first && number - first < refused_count.load(kRelaxed);
}
#else
bool is_refused_by_test() { return false; }
#endif

void subtract(std::atomic<uint64_t>& counter, uint64_t bytes) {
  const uint64_t before = counter.fetch_sub(bytes, kRelaxed);
  OMEN_ASSERT(before >= bytes);
}

}  // namespace

const char* use_name(Use use) {
  switch (use) {
    case Use::kVectors:
      return "vectors";
    case Use::kCodes:
      return "codes";
    case Use::kGraph:
      return "graph";
    case Use::kIds:
      return "ids";
    case Use::kMetadata:
      return "metadata";
    case Use::kColumns:
      return "columns";
    case Use::kScratch:
      return "scratch";
    case Use::kRetired:
      return "retired";
    case Use::kCount:
      break;
  }
  OMEN_ASSERT(false);
  return "";
}

uint64_t process_memory_used() { return process_used.load(kRelaxed); }

#ifdef OMENDB_TEST_POINTS
void test_refuse_reservations(uint64_t first, uint64_t count) {
  refused_first.store(first, kRelaxed);
  refused_count.store(count, kRelaxed);
  reservations.store(0, kRelaxed);
}

uint64_t test_reservations() { return reservations.load(kRelaxed); }
#endif

MemoryBudget::~MemoryBudget() { OMEN_ASSERT(used() == 0); }

MemoryBudget::MemoryBudget(uint64_t limit)
    : limit_(limit), headroom_(headroom_of(limit)) {}

Status MemoryBudget::reserve(uint64_t bytes, Use use) {
  uint64_t used = used_.load(kRelaxed);
  const uint64_t kept = use == Use::kScratch || use == Use::kRetired ? 0 : headroom_;
  const uint64_t limit = (limit_ == 0 ? UINT64_MAX : limit_) - kept;
  for (;;) {
    if (bytes > limit - std::min(limit, used) || is_refused_by_test()) {
      return Status::error(ErrorCode::kMemory, "cannot reserve " + std::to_string(bytes) +
                                                   " bytes: " + std::to_string(used) +
                                                   " of maxMemoryBytes " + std::to_string(limit_) +
                                                   " are in use");
    }
    if (used_.compare_exchange_weak(used, used + bytes, kRelaxed)) break;
  }
  process_used.fetch_add(bytes, kRelaxed);
  return Status::ok();
}

void MemoryBudget::release(uint64_t bytes) {
  subtract(used_, bytes);
  subtract(process_used, bytes);
}

MemoryAccount::MemoryAccount(MemoryBudget* budget) : budget_(budget) {
  OMEN_ASSERT(budget != nullptr);
}

MemoryAccount::~MemoryAccount() { OMEN_ASSERT(total() == 0); }

Status MemoryAccount::reserve(Use use, uint64_t bytes) {
  OMEN_TRY(budget_->reserve(bytes, use));
  used_[static_cast<size_t>(use)].fetch_add(bytes, kRelaxed);
  return Status::ok();
}

void MemoryAccount::release(Use use, uint64_t bytes) {
  subtract(used_[static_cast<size_t>(use)], bytes);
  budget_->release(bytes);
}

void MemoryAccount::move(Use from, Use to, uint64_t bytes) {
  subtract(used_[static_cast<size_t>(from)], bytes);
  used_[static_cast<size_t>(to)].fetch_add(bytes, kRelaxed);
}

uint64_t MemoryAccount::used(Use use) const {
  return used_[static_cast<size_t>(use)].load(kRelaxed);
}

uint64_t MemoryAccount::total() const {
  uint64_t sum = 0;
  for (const std::atomic<uint64_t>& part : used_) sum += part.load(kRelaxed);
  return sum;
}

}  // namespace omen
