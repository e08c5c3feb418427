// Verifying files: the manifest, the table, and all that it names.
#include "db/verify.h"

#include <algorithm>

#include "db/saved.h"
#include "storage/read_again.h"

namespace omen {

namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

// The files of a snapshot, and what is wrong with them.
class Verifier {
 public:
  Verifier(Env* env, const Directory& directory, MemoryAccount* account)
      : env_(env),
        directory_(directory),
        head_(account, Use::kScratch),
        bytes_(account, Use::kScratch) {}

  // What all collections need: the manifest and the table.
  Result<Snapshot> open() {
    const Manifest manifest = directory_.manifest();
    for (const ManifestFile& file : manifest.files_of(ManifestKind::kSegment)) {
      auto opened = SegmentReader::open(env_, directory_.path(), file, manifest.database_id);
      if (!opened.is_ok()) {
        faults_[file.number] = opened.status();
        continue;
      }
      readers_[file.number] = opened.take();
    }
    for (const ManifestFile& table : manifest.files_of(ManifestKind::kTable)) {
      OMEN_ASSIGN(const SegmentReader* file, find(table.number));
      OMEN_TRY(verify_blob(*file, {table.number, table.sequence, table.size}));
    }
    return directory_.read_snapshot();
  }

  Status verify(const CollectionSnapshot& c) {
    for (uint32_t i = 0; i < c.extents.size(); ++i) {
      if (c.extents[i].segment != 0) OMEN_TRY(verify_extent(c, i));
    }
    for (const SnapshotBlob& blob : c.blobs) {
      OMEN_ASSIGN(const SegmentReader* file, find(blob.place.segment));
      OMEN_TRY(verify_blob(*file, blob.place));
    }
    return Status::ok();
  }

 private:
  Result<const SegmentReader*> find(uint64_t number) const {
    if (const auto at = readers_.find(number); at != readers_.end()) return at->second.get();
    const auto fault = faults_.find(number);
    OMEN_ASSERT(fault != faults_.end());  // The table names segments that the manifest has.
    return fault->second;
  }

  Status verify_extent(const CollectionSnapshot& c, uint32_t index) {
    const ExtentPlace& place = c.extents[index];
    OMEN_ASSIGN(const SegmentReader* file, find(place.segment));
    const bool has_norms = static_cast<Metric>(c.metric) == Metric::kCosine;
    const ExtentShape shape{c.collection, index,     c.extent_rows, c.dimensions,
                            c.stride,     has_norms, c.has_codes};
    ExtentHead head;
    OMEN_TRY(file->read_extent_head(place, shape, &head_, &head));
    bytes_.clear();
    OMEN_TRY(bytes_.resize(place.vector_bytes));
    return file->read_extent_vectors(place, head, bytes_.data());
  }

  Status verify_blob(const SegmentReader& file, const BlobPlace& place) {
    bytes_.clear();
    OMEN_TRY(bytes_.resize(kPieceBytes));
    for (uint64_t at = 0; at == 0 || at < place.bytes; at += kPieceBytes) {
      const uint64_t left = place.bytes - std::min(at, place.bytes);
      const auto n = static_cast<size_t>(std::min<uint64_t>(left, kPieceBytes));
      OMEN_TRY(file.read_blob(place, at, bytes_.data(), n));
    }
    return Status::ok();
  }

  Env* const env_;
  const Directory& directory_;
  std::map<uint64_t, std::unique_ptr<SegmentReader>> readers_;
  std::map<uint64_t, Status> faults_;  // Of those that cannot be opened.
  Array<std::byte> head_;
  Array<std::byte> bytes_;
};

void tell(const Status& status, CheckReport* report) {
  report->ok = false;
  if (!report->problem.empty()) report->problem += "; ";
  report->problem += status.message();
  if (status.is_passing()) report->status = status;
}

// ERR_CORRUPT also where a writer puts other files in place meanwhile: see ReadAgain.
Status try_directory(Env* env, const std::string& path, MemoryAccount* account,
                     std::vector<CheckReport>* reports) {
  const Directory::Options how{true, false, 0};
  OMEN_ASSIGN(const std::unique_ptr<Directory> directory,
              Directory::open(env, path, how, account));
  verify_snapshot(env, *directory, account, reports);
  OMEN_ASSIGN(const bool has_changed, directory->has_changed());
  if (!has_changed) return Status::ok();
  return Status::error(ErrorCode::kCorrupt, path + " changed while it was checked; try again")
      .with_path(path);
}

}  // namespace

void tell_all(const Status& status, std::vector<CheckReport>* reports) {
  if (reports->empty()) reports->emplace_back();
  for (CheckReport& report : *reports) tell(status, &report);
}

void verify_snapshot(Env* env, const Directory& directory, MemoryAccount* account,
                     std::vector<CheckReport>* reports) {
  if (!directory.has_snapshot()) return;
  Verifier verifier(env, directory, account);
  const Result<Snapshot> snapshot = verifier.open();
  if (!snapshot.is_ok()) return tell_all(snapshot.status(), reports);
  for (const CollectionSnapshot& collection : snapshot.value().collections) {
    const Status status = verifier.verify(collection);
    if (status.is_ok()) continue;
    auto report = std::find_if(reports->begin(), reports->end(), [&](const CheckReport& r) {
      return r.name == collection.name;
    });
    // One that was dropped is in the snapshot still, and the next opening reads it.
    if (report == reports->end()) {
      report = reports->insert(report, CheckReport());
      report->name = collection.name;
    }
    tell(status, &*report);
  }
}

void verify_directory(Env* env, const std::string& path, MemoryAccount* account,
                      std::vector<CheckReport>* reports) {
  ReadAgain again(env, path);
  for (;;) {
    again.begin();
    std::vector<CheckReport> found = *reports;
    Status status = try_directory(env, path, account, &found);
    if (status.is_ok()) {
      *reports = std::move(found);
      return;
    }
    if (!again.is_wanted(&status)) return tell_all(status, reports);
  }
}

}  // namespace omen
