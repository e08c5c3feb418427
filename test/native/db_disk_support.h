// What the tests of databases on disk share: workloads, and a database as text to compare.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "db_support.h"
#include "sim_env.h"

namespace omen::test {

inline constexpr char kPath[] = "/db";

// A database whose every step is on this thread.
struct DiskFixture {
  InlineExecutor executor;
  DatabaseOptions options(Env* env, Durability durability = Durability::kSync) {
    DatabaseOptions o;
    o.path = kPath;
    o.durability = durability;
    o.env = env;
    o.executor = &executor;
    o.has_committer = false;
    o.record_bytes = 256;  // Commits of several records are common.
    o.checkpoint_bytes = 2000;  // Many closes write a snapshot.
    return o;
  }
  // What was opened before decides whether vectors are mapped: in the end both happen everywhere.
  DatabaseOptions options(SimEnv* env, Durability durability = Durability::kSync) {
    DatabaseOptions o = options(static_cast<Env*>(env), durability);
    o.residency = env->calls() % 2 == 0 ? Residency::kMemory : Residency::kMapped;
    return o;
  }
};

// A database of one collection, opened again and again.
struct OneCollection {
  explicit OneCollection(uint64_t seed) : env(seed) {}
  void open(const DatabaseOptions& o, const CollectionOptions& options) {
    close();
    auto opened = Database::open(o);
    REQUIRE_OK(opened);
    database = opened.take();
    auto c = database->collection("a", options, OpenMode::kOpenOrCreate);
    REQUIRE_OK(c);
    collection = c.take();
  }
  void close() {
    collection.reset();
    database.reset();
  }
  // Where the database has threads: a task of the pool may be the last to hold the collection, and
  // with it files of the environment, which goes next.
  void close_files() {
    close();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (env.open_files() > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    CHECK_EQ(env.open_files(), size_t{0});
  }

  DiskFixture fixture;
  SimEnv env;
  std::shared_ptr<Database> database;
  std::shared_ptr<Collection> collection;
};

// With the rows that changed last, and the table.
inline std::string newest_segment(const SimEnv& env) {
  std::string newest;
  for (const std::string& path : env.paths()) {
    if (path.ends_with(".seg")) newest = std::max(newest, path);
  }
  return newest;
}

// One line of a receipt.
inline std::string text_of(const Receipt& receipt) {
  return "  told " + std::to_string(load_number<uint64_t>(receipt.tag.data())) + ": " +
         std::to_string(receipt.count) +
         (receipt.has_generated_ids ? " from " + std::to_string(receipt.first_generated_id) : "") +
         "\n";
}

// Everything that a user can read, sorted. ERR_CORRUPT: mapped vectors that are damaged.
inline Result<std::string> try_dump(Database& database) {
  std::string out;
  for (const std::string& name : database.list_collections()) {
    const auto c = database.collection(name, CollectionOptions(), OpenMode::kOpen).take();
    const CollectionStats stats = c->stats();
    out += name + " " + std::to_string(stats.options.dimensions) + " " +
           std::to_string(static_cast<int>(stats.options.metric)) + " m" +
           std::to_string(stats.options.m) + " " + stats.options.schema_json + " next " +
           std::to_string(stats.next_id) + " count " + std::to_string(stats.count) + "\n";
    std::map<std::string, std::string> records;
    uint64_t cursor = 0;
    do {
      Rows rows;
      OMEN_TRY(c->scroll(&cursor, 100, nullptr, kIncludeMetadata | kIncludeVector, &rows));
      for (size_t i = 0; i < rows.ids.size(); ++i) {
        const IdOut& id = rows.ids[i];
        const std::string key = id.is_string ? "'" + rows.text.substr(id.value, id.length) + "'"
                                             : std::to_string(id.value);
        Rows one;
        IdView view{id.is_string, id.is_string ? 0 : id.value,
                    id.is_string ? std::string_view(rows.text).substr(id.value, id.length)
                                 : std::string_view()};
        OMEN_TRY(c->get(&view, 1, kIncludeMetadata, &one));
        std::string& record = records[key];
        CHECK(record.empty());
        record = one.metadata;
        const size_t dimensions = rows.vectors.size() / rows.ids.size();
        for (size_t j = 0; j < dimensions; ++j) {
          record += " " + std::to_string(rows.vectors[i * dimensions + j]);
        }
      }
    } while (cursor != 0);
    CHECK_EQ(records.size(), stats.count);
    for (const auto& [key, record] : records) out += "  " + key + " " + record + "\n";
  }
  return out;
}

// Of a database that nothing is wrong with.
inline std::string dump(Database& database) {
  auto text = try_dump(database);
  return CHECK_OK(text) ? text.take() : std::string("nothing");
}

// With what commits came to.
inline std::string dump_all(Database& database) {
  std::string out = dump(database);
  for (const Receipt& receipt : database.receipts()) out += text_of(receipt);
  return out;
}

inline Status check_database(Database& database) {
  for (const CheckReport& report : database.check()) {
    if (!report.ok) return Status::error(ErrorCode::kCorrupt, report.problem);
    if (report.unreachable > 0) return Status::error(ErrorCode::kCorrupt, "unreachable records");
  }
  return Status::ok();
}

// One change of a workload, drawn from a seed; the same on every database in the same state. Some
// have tags; `told` hears what those came to, in the words of their answers.
class Operation {
 public:
  explicit Operation(uint64_t seed) : seed_(seed) {}

  Status apply(Database& database) const {
    OMEN_TRY(prepare(database));
    return finish(database);
  }
  // The first part: there is the collection, by itself a change.
  Status prepare(Database& database, std::string* told = nullptr) const {
    Random random(seed_);
    const std::string name = random.below(3) == 0 ? "b" : "a";
    const uint64_t kind = random.below(16);
    if (kind == 0) return Status::ok();
    CollectionOptions options;
    options.metric = Metric::kL2;
    options.given = CollectionOptions::kGivenMetric;
    if (name == "b") options.schema_json = R"({"n":"number"})";
    if (kind == 1) {
      options.given |= CollectionOptions::kGivenDimensions;
      options.dimensions = kDimensions;
    }
    const std::vector<std::string> names = database.list_collections();
    const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    const std::optional<ReceiptTag> tag = this->tag(1);
    OMEN_TRY(database
                 .collection(name, options, OpenMode::kOpenOrCreate,
                             tag.has_value() ? &*tag : nullptr)
                 .status());
    if (is_new && tag.has_value()) tell({.tag = *tag, .count = 1}, told);
    return Status::ok();
  }
  // The second: the change itself.
  Status finish(Database& database, std::string* told = nullptr) const {
    Random random(seed_);
    const std::string name = random.below(3) == 0 ? "b" : "a";
    const uint64_t kind = random.below(16);
    if (kind == 0) {
      const std::optional<ReceiptTag> tag = this->tag(2);
      const auto dropped = database.drop_collection(name, tag.has_value() ? &*tag : nullptr);
      if (!dropped.is_ok()) return dropped.status();
      if (tag.has_value()) tell({.tag = *tag, .count = dropped.value() ? 1u : 0u}, told);
      return Status::ok();
    }
    if (kind == 1) return Status::ok();
    OMEN_ASSIGN(const std::shared_ptr<Collection> c,
                database.collection(name, CollectionOptions(), OpenMode::kOpen));
    Commit commit;
    bool has_generated_ids = false;
    if (kind == 2) {
      commit.kind = Commit::Kind::kClear;
    } else if (kind < 5) {
      commit.kind = Commit::Kind::kDeleteIds;
      for (uint64_t n = random.below(6); n > 0; --n) add_id(random, &commit);
    } else if (kind == 5) {
      commit.kind = Commit::Kind::kDeleteFilter;
      const std::string n = std::to_string(random.below(4));
      OMEN_ASSIGN(commit.filter, Filter::parse("{\"n\":" + n + "}", c->schema()));
    } else if (kind < 9) {
      commit.kind = Commit::Kind::kUpdate;
      add_id(random, &commit);
      if (random.below(2) == 0) commit.vector = vector(random);
      if (random.below(3) > 0) commit.metadata = metadata(random);
      if (commit.metadata.empty() && random.below(2) == 0) commit.unset.push_back("n");
    } else {
      OMEN_ASSIGN(has_generated_ids, fill_batch(*c, random, kind, &commit));
    }
    if (const std::optional<ReceiptTag> tag = this->tag(2)) commit.receipt = Receipt{.tag = *tag};
    c->run(&commit);
    if (commit.receipt.has_value() && commit.status.is_ok()) {
      Receipt receipt{.tag = commit.receipt->tag, .count = commit.count};
      receipt.has_generated_ids = has_generated_ids;
      receipt.first_generated_id = commit.first_generated_id;
      tell(receipt, told);
    }
    // Not there, or there already: part of life.
    const ErrorCode code = commit.status.code();
    if (code == ErrorCode::kNotFound || code == ErrorCode::kExists) return Status::ok();
    return commit.status;
  }

 private:
  static constexpr uint32_t kDimensions = 3;
  static constexpr uint64_t kIds = 24;

  static std::vector<float> vector(Random& random) {
    std::vector<float> v(kDimensions);
    for (float& x : v) x = static_cast<float>(random.below(1000)) / 8 + 1;
    return v;
  }
  static std::string metadata(Random& random) {
    std::string text = "{\"n\":" + std::to_string(random.below(4));
    if (random.below(2) == 0) text += ",\"t\":\"" + std::string(random.below(60), 'x') + "\"";
    return text + "}";
  }
  static std::string text_id(uint64_t n) { return std::string(n % 5 + 1, 'i') + std::to_string(n); }
  static void add_id(Random& random, Commit* commit) {
    const uint64_t n = random.below(kIds);
    if (random.below(2) == 0) {
      commit->ids.push_back({false, 0, n});
      return;
    }
    const std::string text = text_id(n);
    commit->ids.push_back({true, static_cast<uint32_t>(text.size()), commit->id_text.size()});
    commit->id_text += text;
  }
  // Answers whether ids are generated.
  static Result<bool> fill_batch(Collection& c, Random& random, uint64_t kind, Commit* commit) {
    commit->kind = kind < 13 ? Commit::Kind::kUpsert : Commit::Kind::kAdd;
    const size_t rows = 1 + random.below(12);
    const bool generated = random.below(3) == 0;
    const bool texts = random.below(2) == 0;
    OMEN_ASSIGN(commit->batch, c.begin_write(rows, kDimensions));
    const uint64_t first = random.below(kIds);
    const bool has_metadata = random.below(3) > 0;
    for (size_t row = 0; row < rows; ++row) {
      OMEN_TRY(commit->batch->stage_vectors(row, 1, vector(random).data()));
      const uint64_t n = (first + row) % kIds;
      if (!generated && (texts ? row % 3 > 0 : false)) {
        OMEN_TRY(commit->batch->stage_string_id(row, text_id(n)));
      } else if (!generated) {
        OMEN_TRY(commit->batch->stage_integer_id(row, n));
      }
      if (has_metadata && random.below(4) > 0) {
        OMEN_TRY(commit->batch->stage_metadata(row, metadata(random)));
      }
    }
    return generated;
  }
  // Of every second operation; `part`: of its two changes.
  std::optional<ReceiptTag> tag(uint64_t part) const {
    const uint64_t drawn = mix64(seed_ + part);
    if (drawn % 2 == 0) return std::nullopt;
    ReceiptTag tag{};
    store_number(tag.data(), drawn);
    return tag;
  }
  static void tell(const Receipt& receipt, std::string* told) {
    if (told != nullptr) *told += text_of(receipt);
  }

  uint64_t seed_;
};

// A database in memory that is told the same: what the one on disk must be like.
class Twin {
 public:
  explicit Twin(Executor* executor) {
    DatabaseOptions o;
    o.executor = executor;
    database_ = Database::open_memory(o).take();
  }
  Status apply(const Operation& operation) { return operation.apply(*database_); }
  Status prepare(const Operation& operation) { return operation.prepare(*database_, &told_); }
  Status finish(const Operation& operation) { return operation.finish(*database_, &told_); }
  std::string text() { return dump(*database_); }
  // As dump_all() of one on disk.
  std::string all() { return text() + told_; }

 private:
  std::string told_;
  std::shared_ptr<Database> database_;
};

}  // namespace omen::test
