// WriteBatch: rows staged into uncommitted slots, checked as they come.
#include <cmath>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "db/collection_impl.h"

namespace omen {

namespace {

// What is asked for at once: some 40 us, on a thread that must not stall.
constexpr size_t kPopulateBytes = size_t{256} << 10;
constexpr size_t kPopulateRows = 1024;
// One call with so much is no slice of an asynchronous write: on small pages it takes far longer
// than a slice may. Its caller stalls anyway, and longer than it takes to clear huge pages.
constexpr size_t kHugeBytes = size_t{16} << 20;
constexpr size_t kHugeParts = 4;

Status vector_error(size_t row, const std::string& what) {
  return Status::error(ErrorCode::kVector, "row " + std::to_string(row) + ": " + what)
      .with_row(static_cast<int64_t>(row));
}

}  // namespace

WriteBatch::Rep::~Rep() {
  if (store != nullptr && slots != nullptr && !committed) {
    for (size_t row = 0; row < rows; ++row) store->free_slot(slots[row]);
    store->trim_staged();
  }
  ::operator delete(slots);
  drop_metadata();
}

void WriteBatch::Rep::drop_metadata() {
  delete[] metadata;
  metadata = nullptr;
  if (metadata_bytes > 0) store->account->release(Use::kScratch, metadata_bytes);
  metadata_bytes = 0;
}

WriteBatch::WriteBatch(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

WriteBatch::~WriteBatch() {
  const std::shared_ptr<Collection> keep = std::move(rep_->collection);
  const bool is_open = !rep_->abandoned;
  rep_.reset();
  if (is_open) keep->impl().open_batches_.fetch_sub(1, std::memory_order_acq_rel);
}

// The batch holds its store, so another may take that one's place before the slots are back.
void WriteBatch::abandon() {
  if (std::exchange(rep_->abandoned, true)) return;
  rep_->collection->impl().open_batches_.fetch_sub(1, std::memory_order_acq_rel);
}

size_t WriteBatch::rows() const { return rep_->rows; }
uint32_t WriteBatch::dimensions() const { return rep_->dimensions; }

float* WriteBatch::vector_of(size_t row) {
  OMEN_ASSERT(row < rep_->rows);
  return rep_->vector_to_fill(row);
}

// Slots apart from each other were others' before, and have their pages.
bool WriteBatch::Rep::are_fresh(size_t first, size_t count) const {
  return floats.empty() && slots[first + count - 1] - slots[first] == count - 1 &&
         store->mapped == nullptr;
}

void WriteBatch::Rep::populate(size_t first, size_t count) {
  if (!floats.empty()) return floats.populate(first * dimensions, count * dimensions);
  if (!are_fresh(first, count)) return;
  store->vectors.populate(slots[first], static_cast<uint32_t>(count));
}

void WriteBatch::Rep::populate_from(size_t row) {
  const size_t row_bytes = dimensions * sizeof(float);
  const size_t count = std::min(rows - row, std::max<size_t>(kPopulateBytes / row_bytes, 1));
  populated_rows = row + count;
  populate(row, count);
}

// `squares` is the sum of squares in double.
static Status check_norm(Store& store, uint32_t slot, size_t row, double squares) {
  if (!(squares <= static_cast<double>(std::numeric_limits<float>::max()))) {
    return vector_error(row, std::isfinite(squares)
                                 ? "the vector's squared length overflows float32; scale it down"
                                 : "the vector holds NaN or Infinity; remove it");
  }
  if (!store.has_norms) return Status::ok();
  // Below the smallest normal float the inverse would overflow: as good as zero.
  if (!(squares >= static_cast<double>(std::numeric_limits<float>::min()))) {
    return vector_error(row, "a zero vector has no direction; cosine cannot compare it");
  }
  *store.norms.row_as<float>(slot) = static_cast<float>(1.0 / std::sqrt(squares));
  return Status::ok();
}

Status WriteBatch::Rep::copy_vectors(size_t first, size_t count, const float* vectors) {
  for (size_t i = 0; i < count; ++i) {
    float* const to = vector_to_fill(first + i);
    const double squares =
        store->kernels.copy_norm_f32(to, vectors + i * dimensions, dimensions);
    OMEN_TRY(check_norm(*store, slots[first + i], first + i, squares));
  }
  return Status::ok();
}

// Pages that come for the first time are most of the time, and several threads get them at once.
Status WriteBatch::Rep::copy_many(Executor& executor, size_t first, size_t count,
                                  const float* vectors) {
  if (are_fresh(first, count)) {
    store->vectors.expect_huge(slots[first], static_cast<uint32_t>(count));
  }
  populated_rows = first + count;
  std::mutex mutex;
  Status fault;  // Of the first row that has one.
  const size_t some = std::max<size_t>(kHugeBytes / kHugeParts / (dimensions * sizeof(float)), 1);
  parallel_for(executor, count, some, [&](size_t begin, size_t end, unsigned) {
    populate(first + begin, end - begin);
    Status copied = copy_vectors(first + begin, end - begin, vectors + begin * dimensions);
    if (copied.is_ok()) return;
    const std::lock_guard<std::mutex> guard(mutex);
    if (fault.is_ok() || copied.row() < fault.row()) fault = std::move(copied);
  });
  return fault;
}

Status WriteBatch::stage_vectors(size_t first, size_t count, const float* vectors) {
  OMEN_ASSERT(first + count <= rep_->rows);
  if (count * rep_->dimensions * sizeof(float) >= kHugeBytes) {
    Executor& executor = *rep_->collection->impl().env.executor;
    OMEN_TRY(rep_->copy_many(executor, first, count, vectors));
  } else {
    OMEN_TRY(rep_->copy_vectors(first, count, vectors));
  }
  rep_->vectors_staged += count;
  return Status::ok();
}

Status WriteBatch::finish_vector(size_t row) {
  OMEN_ASSERT(row < rep_->rows);
  Store& store = *rep_->store;
  const uint32_t slot = rep_->slots[row];
  const double squares = store.kernels.norm_f32(rep_->vector(row), rep_->dimensions);
  OMEN_TRY(check_norm(store, slot, row, squares));
  ++rep_->vectors_staged;
  return Status::ok();
}

Status WriteBatch::stage_integer_id(size_t row, uint64_t id) {
  OMEN_ASSERT(row < rep_->rows);
  const IdView view{.is_string = false, .integer = id, .text = {}};
  OMEN_TRY(rep_->store->stage_id(rep_->slots[row], view));
  ++rep_->ids_staged;
  return Status::ok();
}

Status WriteBatch::stage_string_id(size_t row, std::string_view id) {
  OMEN_ASSERT(row < rep_->rows);
  if (id.empty() || id.size() > kIdBytesMax) {
    return Status::error(ErrorCode::kId, "row " + std::to_string(row) + ": a string id has 1 to " +
                                             std::to_string(kIdBytesMax) + " bytes of UTF-8, not " +
                                             std::to_string(id.size()))
        .with_row(static_cast<int64_t>(row));
  }
  const IdView view{.is_string = true, .integer = 0, .text = id};
  OMEN_TRY(rep_->store->stage_id(rep_->slots[row], view));
  ++rep_->ids_staged;
  return Status::ok();
}

Status WriteBatch::stage_metadata(size_t row, std::string_view json) {
  OMEN_ASSERT(row < rep_->rows);
  if (json.size() > kRecordBytesMax) {
    return Status::error(ErrorCode::kMetadata, "row " + std::to_string(row) + ": metadata has " +
                                                   std::to_string(json.size()) +
                                                   " bytes, more than 1 MiB")
        .with_row(static_cast<int64_t>(row));
  }
  MemoryAccount& account = *rep_->store->account;
  if (rep_->metadata == nullptr) {
    const uint64_t bytes = uint64_t{rep_->rows} * sizeof(std::string);
    OMEN_TRY(account.reserve(Use::kScratch, bytes));
    rep_->metadata_bytes += bytes;
    rep_->metadata = new (std::nothrow) std::string[rep_->rows];
    if (rep_->metadata == nullptr) {
      return Status::error(ErrorCode::kMemory, "no memory to stage metadata; send smaller batches");
    }
  }
  OMEN_TRY(account.reserve(Use::kScratch, json.size()));
  rep_->metadata_bytes += json.size();
  rep_->metadata[row].assign(json);
  return Status::ok();
}

// Slots for all rows, with the memory that staging fills.
Status WriteBatch::Rep::take_slots() {
  auto* taken = static_cast<uint32_t*>(::operator new(rows * sizeof(uint32_t), std::nothrow));
  if (taken == nullptr) {
    return Status::error(ErrorCode::kMemory, "no memory for a batch of " + std::to_string(rows) +
                                                 " rows; send smaller ones");
  }
  Status status = store->slots.allocate_many(static_cast<uint32_t>(rows), taken);
  if (status.is_ok()) {
    const std::lock_guard<std::mutex> guard(store->stage_mutex);
    status = store->ensure_staged(taken[rows - 1] + 1);
    if (status.is_ok()) status = store->own_vectors(taken, rows);
    for (size_t i = 0; !status.is_ok() && i < rows; ++i) store->slots.release(taken[i]);
    if (status.is_ok() && rows >= kPopulateRows && taken[rows - 1] - taken[0] == rows - 1) {
      store->populate_staged(taken[0], static_cast<uint32_t>(rows));
    }
  }
  if (!status.is_ok())
    ::operator delete(taken);
  else
    slots = taken;
  return status;
}

Status WriteBatch::Rep::take_floats() {
  if (store->keep_vectors || !floats.empty()) return Status::ok();
  return floats.reserve(store->account, rows * dimensions);
}

Result<std::unique_ptr<WriteBatch>> Collection::begin_write(size_t rows, uint32_t dimensions) {
  Impl& c = *impl_;
  OMEN_TRY(c.check_alive());
  OMEN_TRY(c.check_writable());
  if (rows > kBatchRowsMax) {
    return Status::error(ErrorCode::kLimit, "a batch has at most " + std::to_string(kBatchRowsMax) +
                                                " rows; send several");
  }
  auto rep = std::make_unique<WriteBatch::Rep>(&c.account);
  rep->rows = rows;
  rep->dimensions = dimensions;
  {
    const std::lock_guard<std::mutex> guard(c.store_mutex_);
    const uint32_t fixed = c.fixed_dimensions_.load(std::memory_order_acquire);
    Store* current = c.store();
    const bool busy = c.open_batches_.load(std::memory_order_acquire) > 0;
    const uint32_t wanted = fixed != 0                   ? fixed
                            : current != nullptr && busy ? current->dimensions()
                                                         : dimensions;
    if (rows > 0 && dimensions != wanted) {
      return Status::error(ErrorCode::kDimensions, "vectors have " + std::to_string(dimensions) +
                                                       " dimensions, collection '" + c.name +
                                                       "' has " + std::to_string(wanted));
    }
    if (rows > 0 && (current == nullptr || current->dimensions() != dimensions)) {
      OMEN_TRY(c.make_store(dimensions));
    }
    rep->store = c.owned_store_;
    c.open_batches_.fetch_add(1, std::memory_order_acq_rel);
  }
  rep->collection = shared_from_this();
  std::unique_ptr<WriteBatch> batch(new WriteBatch(std::move(rep)));
  if (rows == 0) return batch;
  WriteBatch::Rep& r = *batch->rep_;
  r.generation = r.store->generation();
  const auto take_memory = [&]() -> Status {
    OMEN_TRY(r.take_floats());
    return r.take_slots();
  };
  Status status = take_memory();
  if (status.code() == ErrorCode::kMemory) {
    // What was retired may wait for nothing but the next commit; where one runs, it collects.
    const std::unique_lock<std::mutex> lock(c.commit_mutex_, std::try_to_lock);
    if (lock.owns_lock()) {
      c.epochs.collect();
      status = take_memory();
    }
  }
  if (!status.is_ok()) return status;
  return batch;
}

}  // namespace omen
