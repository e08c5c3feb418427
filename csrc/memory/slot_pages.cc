// Growth of slot pages; see slot_pages.h.
#include "memory/slot_pages.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace omen {

namespace {

constexpr size_t kExtentBytesMax = size_t{16} << 20;
constexpr size_t kStrideMax = size_t{8} << 20;
constexpr size_t kSmallStepBytes = size_t{16} << 10;
// An array that fills three quarters of its first huge page takes the rest too.
constexpr size_t kSmallBytesMax = kHugePageBytes / 4 * 3;

size_t small_step() { return std::max(kSmallStepBytes, page_bytes()); }

// The bytes of an extent that fill whole huge pages.
size_t huge_part(size_t extent_bytes) { return extent_bytes / kHugePageBytes * kHugePageBytes; }

Status broken(int invariant, const std::string& what) {
  return Status::error(ErrorCode::kCorrupt,
                       "slot pages, invariant " + std::to_string(invariant) + ": " + what);
}

}  // namespace

SlotPages::SlotPages(MemoryAccount* account, Use use, size_t stride, Paging paging)
    : account_(account), use_(use), stride_(stride), paging_(paging) {
  OMEN_ASSERT(account != nullptr && stride > 0 && stride <= kStrideMax);
  const size_t rows = std::bit_floor(kExtentBytesMax / stride);
  shift_ = static_cast<uint32_t>(std::countr_zero(rows));
  mask_ = static_cast<uint32_t>(rows - 1);
}

size_t SlotPages::table_bytes() const {
  return static_cast<size_t>(extents_for(kSlotLimit)) * sizeof(std::byte*);
}

uint32_t SlotPages::extents_for(uint32_t rows) const {
  return (rows >> shift_) + ((rows & mask_) != 0 ? 1 : 0);
}

size_t SlotPages::committed_in(uint32_t extent, size_t row_bytes) const {
  // Pages become huge only where they are full, so small steps are what they take.
  const bool small =
      paging_ == Paging::kAtCollapse || (extent == 0 && row_bytes <= kSmallBytesMax);
  if (small || row_bytes > huge_part(extent_bytes())) return round_up(row_bytes, small_step());
  return round_up(row_bytes, kHugePageBytes);
}

size_t SlotPages::committed_in_last(uint32_t rows) const {
  const uint32_t last = extents_for(rows) - 1;
  return committed_in(last, static_cast<size_t>(rows - (last << shift_)) * stride_);
}

uint64_t SlotPages::bytes_for(uint32_t rows) const {
  const uint32_t extents = extents_for(rows);
  uint64_t bytes = round_up(static_cast<size_t>(extents) * sizeof(std::byte*), page_bytes());
  if (extents == 0) return 0;
  bytes += static_cast<uint64_t>(extents - 1) * round_up(extent_bytes(), small_step());
  return bytes + committed_in_last(rows);
}

uint32_t SlotPages::usable_rows(uint32_t rows) const {
  if (rows == 0) return 0;
  const size_t in_last = std::min<size_t>(committed_in_last(rows) / stride_, extent_rows());
  const uint64_t usable = (static_cast<uint64_t>(extents_for(rows) - 1) << shift_) + in_last;
  return static_cast<uint32_t>(std::min<uint64_t>(usable, kSlotLimit));
}

uint64_t SlotPages::bytes_to_ensure(uint32_t rows) const {
  if (rows <= this->rows()) return 0;
  return bytes_for(std::max(rows, asked_rows_)) - bytes();
}

Status SlotPages::ensure(uint32_t rows) {
  if (rows <= this->rows()) [[likely]]
    return Status::ok();
  if (rows > kSlotLimit) {
    return Status::error(ErrorCode::kLimit, std::to_string(rows) + " rows exceed the limit of " +
                                                std::to_string(kSlotLimit));
  }
  const uint64_t more = bytes_to_ensure(rows);
  OMEN_TRY(account_->reserve(use_, more));
  if (Status s = grow(rows); !s.is_ok()) {
    account_->release(use_, more);
    return s;
  }
  bytes_.fetch_add(more, std::memory_order_relaxed);
  asked_rows_ = rows;
  rows_.store(usable_rows(rows), std::memory_order_relaxed);
  return Status::ok();
}

Status SlotPages::make_table() {
  OMEN_ASSIGN(std::byte * block, map_block(table_bytes()));
  extents_.store(reinterpret_cast<std::byte**>(block), std::memory_order_release);
  return Status::ok();
}

Status SlotPages::grow(uint32_t rows) {
  const bool first = table() == nullptr;
  if (first) OMEN_TRY(make_table());
  Status grown = add_extents(extents_for(asked_rows_), rows);
  if (!grown.is_ok() && first) {
    unmap_block(reinterpret_cast<std::byte*>(table()), table_bytes());
    extents_.store(nullptr, std::memory_order_release);
  }
  return grown;
}

// Extents from `first` on for `rows` rows, then the rest of the extent before them: in this order
// a failure leaves nothing but what is unmapped again here.
Status SlotPages::add_extents(uint32_t first, uint32_t rows) {
  const uint32_t extents = extents_for(rows);
  std::byte** entries = table();
  Status status = commit_block(reinterpret_cast<std::byte*>(entries),
                               round_up(extents * sizeof(std::byte*), page_bytes()));
  const size_t full = round_up(extent_bytes(), small_step());
  uint32_t added = first;
  while (status.is_ok() && added < extents) {
    Result<std::byte*> extent = map_block(extent_bytes());
    if (!extent.is_ok()) {
      status = extent.status();
      break;
    }
    entries[added] = extent.value();
    status =
        use_extent(extent.value(), added, added + 1 == extents ? committed_in_last(rows) : full);
    ++added;
  }
  if (status.is_ok() && first > 0) {
    status = use_extent(entries[first - 1], first - 1,
                        first == extents ? committed_in_last(rows) : full);
  }
  if (status.is_ok()) return status;
  while (added > first) {
    unmap_block(entries[--added], extent_bytes());
    entries[added] = nullptr;
  }
  return status;
}

Status SlotPages::use_extent(std::byte* extent, uint32_t index, size_t committed) {
  OMEN_TRY(commit_block(extent, committed));
  // The advice covers parts that are not committed yet: they cost nothing before they are touched.
  if (paging_ == Paging::kAtCollapse) return Status::ok();
  if (index > 0 || committed >= kHugePageBytes) advise_huge(extent, huge_part(extent_bytes()));
  return Status::ok();
}

void SlotPages::collapse(uint32_t rows) {
  if (paging_ != Paging::kAtCollapse || rows == 0) return;
  for (uint32_t index = collapsed_rows_ >> shift_; index <= (rows - 1) >> shift_; ++index) {
    const uint32_t start = index << shift_;
    const auto filled = [&](uint32_t end) {
      const uint32_t in_extent = end <= start ? 0 : std::min(end - start, mask_ + 1);
      return static_cast<size_t>(in_extent) * stride_ / kHugePageBytes * kHugePageBytes;
    };
    const size_t from = filled(collapsed_rows_);
    const size_t to = std::max(from, filled(rows));
    if (to > from) collapse_huge(row(start) + from, to - from);
  }
  collapsed_rows_ = std::max(collapsed_rows_, rows);
}

// fn(extent, begin, end) of rows, in bytes, for each extent.
template <class Fn>
void SlotPages::each_part(uint32_t first, uint32_t count, const Fn& fn) const {
  for (const uint32_t end = first + count; first < end;) {
    const uint32_t in_extent = std::min(end - first, extent_rows() - (first & mask_));
    const size_t begin = static_cast<size_t>(first & mask_) * stride_;
    fn(table()[first >> shift_], begin, begin + static_cast<size_t>(in_extent) * stride_);
    first += in_extent;
  }
}

void SlotPages::populate(uint32_t first, uint32_t count) const {
  each_part(first, count, [](std::byte* extent, size_t begin, size_t end) {
    begin = begin / page_bytes() * page_bytes();
    populate_block(extent + begin, round_up(end, page_bytes()) - begin);
  });
}

void SlotPages::expect_huge(uint32_t first, uint32_t count) const {
  each_part(first, count, [](std::byte* extent, size_t begin, size_t end) {
    begin = round_up(begin, kHugePageBytes);
    end = end / kHugePageBytes * kHugePageBytes;
    if (begin < end) advise_huge(extent + begin, end - begin);
  });
}

void SlotPages::shrink(uint32_t rows) {
  if (table() == nullptr || rows == 0 || rows >= this->rows()) return;
  std::byte** entries = table();
  const uint32_t had = extents_for(asked_rows_);
  const uint32_t keep = extents_for(rows);
  const size_t full = round_up(extent_bytes(), small_step());
  const size_t committed = keep == had ? committed_in_last(asked_rows_) : full;
  const size_t kept = committed_in_last(rows);
  for (uint32_t i = keep; i < had; ++i) {
    unmap_block(entries[i], extent_bytes());
    entries[i] = nullptr;
  }
  if (committed > kept) decommit_block(entries[keep - 1] + kept, committed - kept);
  // The rest of the last step stays usable, and rows there are new again when they come back.
  const size_t used = static_cast<size_t>(rows - ((keep - 1) << shift_)) * stride_;
  std::memset(entries[keep - 1] + used, 0, std::min(kept, committed) - used);
  // Table pages that only the freed extents needed stay touched and are not counted: one page for
  // 512 extents.
  const uint64_t after = bytes_for(rows);
  account_->release(use_, bytes() - after);
  bytes_.store(after, std::memory_order_relaxed);
  asked_rows_ = rows;
  rows_.store(usable_rows(rows), std::memory_order_relaxed);
}

void SlotPages::release_all() {
  collapsed_rows_ = 0;
  std::byte** entries = table();
  if (entries == nullptr) return;
  for (uint32_t i = 0; i < extents_for(asked_rows_); ++i) unmap_block(entries[i], extent_bytes());
  unmap_block(reinterpret_cast<std::byte*>(entries), table_bytes());
  extents_.store(nullptr, std::memory_order_release);
  account_->release(use_, bytes());
  bytes_.store(0, std::memory_order_relaxed);
  rows_.store(0, std::memory_order_relaxed);
  asked_rows_ = 0;
}

Status SlotPages::validate() const {
  const std::byte* const* entries = table();
  if (entries == nullptr) {
    if (rows() != 0 || bytes() != 0) return broken(2, "rows without a table");
    return Status::ok();
  }
  const uint32_t extents = extents_for(rows());
  if (extents != extents_for(asked_rows_)) return broken(2, "rows beyond the last extent");
  for (uint32_t i = 0; i < extents; ++i) {
    if (reinterpret_cast<uintptr_t>(entries[i]) % kHugePageBytes != 0 || entries[i] == nullptr) {
      return broken(1, "extent " + std::to_string(i) + " is not a mapped block");
    }
  }
  if (asked_rows_ > rows() || rows() != usable_rows(asked_rows_)) {
    return broken(2, std::to_string(rows()) + " rows are more than is committed");
  }
  if (bytes() != bytes_for(asked_rows_)) return broken(3, "bytes() is not what is committed");
  if (account_->used(use_) < bytes()) return broken(3, "the account holds less");
  return Status::ok();
}

}  // namespace omen
