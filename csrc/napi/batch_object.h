// The native side of a WriteBatch object, and its batch while a stage call runs.
//
// Invariants:
//   1. While a stage call runs the engine's batch is out of the object: a getter of the caller's
//      that calls back in finds it in use, and nothing can free it meanwhile.
//   2. Rows of each kind are staged in order, each once; after a failure nothing is staged or
//      committed any more.
//   3. A batch is committed at most once.
// Threads: the JS thread.
#pragma once

#include <memory>
#include <span>

#include "napi/classes.h"
#include "napi/request.h"

namespace omen::napi {

// What is staged row by row, in order, each row once: the engine believes that.
enum class StagedKind : uint8_t { kVectors, kIds, kMetadata, kKindCount };

struct BatchObject final : HandleMember {
  BatchObject(const Subject& subject, std::unique_ptr<WriteBatch> b, Commit::Kind k)
      : environment(subject.environment),
        handle(subject.handle),
        collection(subject.collection),
        batch(std::move(b)),
        rows(batch->rows()),
        dimensions(batch->dimensions()),
        kind(k) {
    join(*handle);
  }
  void give_back(Disposal* disposal) override {
    if (batch != nullptr) {
      batch->abandon();
      disposal->batches.push_back(std::move(batch));
    }
    if (collection != nullptr) disposal->collections.push_back(std::move(collection));
    over = true;
  }
  // A commit takes it out: close() has nothing to give back any more.
  void leave_handle() { leave(); }
  // Gives all back now, on the pool.
  void drop() {
    leave();
    auto disposal = std::make_unique<Disposal>();
    give_back(disposal.get());
    if (disposal->batches.empty() && disposal->collections.empty()) return;
    disposal->handle = handle;
    dispose(*environment, std::move(disposal));
  }

  const std::shared_ptr<Environment> environment;
  const std::shared_ptr<Handle> handle;
  std::shared_ptr<Collection> collection;
  std::unique_ptr<WriteBatch> batch;
  const size_t rows;
  const uint32_t dimensions;
  const Commit::Kind kind;
  bool over = false;    // Committed, aborted or closed.
  bool failed = false;  // A stage call failed: what it had done by then is not known any more.
  size_t staged[static_cast<size_t>(StagedKind::kKindCount)] = {};
};

// ERR_ARGUMENT if the batch is committed, aborted, in use, or has failed.
Status check_usable(const BatchObject& object);

// The engine's batch, taken out for one stage call (invariant 1).
class Staging {
 public:
  explicit Staging(const Call& call) : timer_(*call.environment) {
    object_ = unwrap_self<BatchObject>(call);
  }
  ~Staging() {
    if (batch == nullptr) return;
    if (!object_->over) {
      object_->batch = std::move(batch);
      return;
    }
    // It was aborted or closed by a getter meanwhile.
    batch->abandon();
    auto disposal = std::make_unique<Disposal>();
    disposal->batches.push_back(std::move(batch));
    disposal->collections.push_back(std::move(collection_));
    disposal->database = std::move(database_);
    dispose(*object_->environment, std::move(disposal), object_->handle);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  Status begin() {
    if (object_ == nullptr) return not_ours();
    OMEN_TRY(object_->handle->check_open());
    OMEN_TRY(check_usable(*object_));
    collection_ = object_->collection;
    database_ = object_->handle->database();
    batch = std::move(object_->batch);
    return Status::ok();
  }
  // Checks that rows [row, row + count) are the next of this kind. Without done() the batch has
  // failed.
  Status claim(StagedKind kind, uint64_t row, uint64_t count);
  Status done() {
    object_->failed = false;
    return Status::ok();
  }
  uint32_t dimensions() const { return object_->dimensions; }

  std::unique_ptr<WriteBatch> batch;

 private:
  const SliceTimer timer_;
  BatchObject* object_ = nullptr;
  // The batch may not outlive these, and a getter may close the handle.
  std::shared_ptr<Database> database_;
  std::shared_ptr<Collection> collection_;
};

// stageVectors, stageVectorList, stageIds, stageMetadata.
std::span<const Member> stage_methods();

}  // namespace omen::napi
