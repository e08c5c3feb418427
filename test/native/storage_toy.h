// A toy database on the storage room alone: what its tests of checkpoints run.
#pragma once

#include "storage_support.h"

namespace omen::test {

inline constexpr char kPath[] = "/db";

// One record that holds a text.
class TextSource final : public LogSource {
 public:
  explicit TextSource(std::string text, size_t records = 1)
      : text_(std::move(text)), records_(records) {}
  RecordType type() const override { return RecordType::kClear; }
  Status next(Array<std::byte>* record, bool* more) override {
    *more = --records_ > 0;
    return record->append(reinterpret_cast<const std::byte*>(text_.data()), text_.size());
  }

 private:
  const std::string text_;
  size_t records_;
};

// Its state is the list of texts that were ever logged; a snapshot is a blob of them all. It
// checkpoints as a real database does.
class Toy {
 public:
  static Result<std::unique_ptr<Toy>> open(Env* env, bool read_only = false) {
    std::unique_ptr<Toy> toy(new Toy(env));
    OMEN_TRY(toy->load(read_only));
    return toy;
  }
  ~Toy() {
    if (wal_ != nullptr) (void)wal_->close().is_ok();
  }
  const std::vector<std::string>& texts() const { return texts_; }
  uint64_t cut_bytes() const { return cut_bytes_; }
  Wal& wal() { return *wal_; }
  Directory& directory() { return *directory_; }

  Status add(const std::string& text, bool is_synced, size_t records = 1) {
    TextSource source(text, records);
    OMEN_ASSIGN(const uint64_t sequence, wal_->append(&source));
    for (size_t i = 0; i < records; ++i) texts_.push_back(text);
    return is_synced ? wal_->wait_durable(sequence) : Status::ok();
  }
  // How far a checkpoint goes.
  enum class Until : uint8_t { kBegun, kRotated, kWritten, kInstalled };
  Status checkpoint(Until until = Until::kInstalled) {
    SnapshotFiles files;
    OMEN_ASSIGN(std::unique_ptr<LogWriter> log, directory_->begin_log(&files.log_number));
    if (until == Until::kBegun) return Status::ok();
    OMEN_ASSIGN(files.sequence, wal_->rotate(std::move(log)));
    if (until == Until::kRotated) return Status::ok();
    OMEN_ASSIGN(const auto writer,
                SegmentWriter::create(env_, kPath, directory_->take_number(),
                                      directory_->manifest().database_id, &memory_.account));
    OMEN_TRY(writer->begin_blob());
    for (const std::string& text : texts_) {
      const uint64_t length = text.size();
      OMEN_TRY(writer->append(&length, sizeof(length)));
      OMEN_TRY(writer->append(text.data(), text.size()));
    }
    Snapshot snapshot;
    snapshot.sequence = files.sequence;
    snapshot.next_collection = 2;
    CollectionSnapshot& c = snapshot.collections.emplace_back();
    c.collection = 1;
    OMEN_ASSIGN(const BlobPlace texts, writer->end_blob());
    c.blobs.push_back({1, texts});
    Array<std::byte> table(&memory_.account, Use::kScratch);
    OMEN_TRY(encode_snapshot(snapshot, &table));
    OMEN_TRY(writer->begin_blob());
    OMEN_TRY(writer->append(table.data(), table.size()));
    OMEN_ASSIGN(files.table, writer->end_blob());
    OMEN_TRY(writer->finish());
    if (until == Until::kWritten) return Status::ok();
    files.segments.push_back(writer->manifest_file());
    return directory_->install(files);
  }
  Status close() {
    OMEN_TRY(wal_->close());
    return directory_->note_durable(wal_->synced());
  }

 private:
  explicit Toy(Env* env) : env_(env) {}
  Status load(bool read_only) {
    Directory::Options how;
    how.read_only = read_only;
    OMEN_ASSIGN(directory_, Directory::open(env_, kPath, how, &memory_.account));
    if (directory_->has_snapshot()) OMEN_TRY(load_snapshot());
    directory_->start();
    for (LogRecord record;;) {
      OMEN_ASSIGN(const bool is_one, directory_->next(&record));
      if (!is_one) break;
      if (record.header.type == RecordType::kSeal) continue;
      texts_.emplace_back(reinterpret_cast<const char*>(record.payload), record.header.length);
    }
    cut_bytes_ = directory_->log_end().cut_bytes;
    if (read_only) return Status::ok();
    OMEN_ASSIGN(Directory::Writer writer, directory_->open_writer());
    Wal::Options options;
    options.executor = &executor_;
    options.has_committer = false;
    options.synced = writer.synced;
    options.log_bytes = writer.bytes;
    OMEN_ASSIGN(wal_, Wal::start(std::move(writer.log), &memory_.account, options));
    return Status::ok();
  }
  Status load_snapshot() {
    OMEN_ASSIGN(const Snapshot snapshot, directory_->read_snapshot());
    const BlobPlace place = snapshot.collections.at(0).blobs.at(0).place;
    OMEN_ASSIGN(const auto reader, directory_->segment(place.segment));
    std::string bytes(place.bytes, '\0');
    OMEN_TRY(reader->read_blob(place, 0, bytes.data(), bytes.size()));
    for (size_t at = 0; at < bytes.size();) {
      const auto length = load_number<uint64_t>(reinterpret_cast<std::byte*>(bytes.data()) + at);
      texts_.push_back(bytes.substr(at + 8, length));
      at += 8 + length;
    }
    return Status::ok();
  }

  Env* const env_;
  InlineExecutor executor_;
  Memory memory_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Wal> wal_;
  std::vector<std::string> texts_;
  uint64_t cut_bytes_ = 0;
};

inline void make_directory(SimEnv* env) { CHECK_EQ(env->make_directory(kPath), 0); }

inline std::vector<std::string> files_of(const SimEnv& env, const std::string& suffix) {
  std::vector<std::string> found;
  for (const std::string& path : env.paths()) {
    if (path.size() > suffix.size() && path.substr(path.size() - suffix.size()) == suffix) {
      found.push_back(path);
    }
  }
  return found;
}

inline std::vector<std::string> texts_in(Env* env, bool read_only = false) {
  const auto toy = Toy::open(env, read_only);
  if (!CHECK_OK(toy)) return {};
  return toy.value()->texts();
}

inline ErrorCode code_of(Env* env) { return Toy::open(env).status().code(); }

}  // namespace omen::test
