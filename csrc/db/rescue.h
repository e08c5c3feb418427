// Rescue: the steps of a salvage, from remains into a database that is just being opened.
//
// What it does is told in db/salvage.h. Each step passes over what it cannot read or apply, and
// counts it; memory alone stops it.
// Threads: one.
#pragma once

#include <map>
#include <set>

#include "db/recovery.h"
#include "db/salvage.h"

namespace omen {

// The options of a collection, as something told them.
struct Told {
  CreateRecord record;
  std::string name;
  std::string schema;
};

class Rescue {
 public:
  Rescue(Database::Impl* to, Remains* from, SalvageReport* report)
      : db_(to), from_(*from), report_(*report), replay_(to),
        head_(to->journal->account(), Use::kScratch),
        vectors_(to->journal->account(), Use::kScratch),
        payload_(to->journal->account(), Use::kScratch) {
    replay_.count_missing(&report->loss.rows);
  }

  // ERR_MEMORY: nothing else stops it.
  Status run();

 private:
  // --- The snapshot ---
  Status take_snapshot();
  Status take_collection(CollectionSnapshot& in);
  Status take_segments();
  Status learn_options();
  Status take_extent(const SegmentReader& file, const SegmentReader::FoundExtent& at,
                     const CollectionSnapshot* in);
  Status put_extent(const SegmentReader& file, const SegmentReader::FoundExtent& at,
                    const CollectionSnapshot* in);
  class LiveRows;
  Status decode_rows(const ExtentHead& head, const std::vector<uint32_t>& rows);
  Status put_rows(const LiveRows& rows, const ExtentShape& shape);
  void lose_extent(const ExtentPlace& place, const Status& why);
  // --- The log ---
  Status survey(Remains::Log& log);
  Result<bool> next(Remains::Log& log, LogRecord* record, bool tells);
  Status take_log(size_t index);
  Status take_record(const LogRecord& record, const std::string& path);
  Status apply(const LogRecord& record);
  Status apply_create(const LogRecord& record);
  void note_sequence(uint64_t sequence, const Status& where);
  void tell_end();
  // --- Collections ---
  bool is_gone(uint64_t id) const {
    return gone_.count(id) > 0 || (id < known_below_ && alive_.count(id) == 0);
  }
  void note_alive(const Snapshot& table);
  void learn(const CreateRecord& record);
  // Makes a collection that is not there yet, of such records if nothing else tells its options.
  Status make(uint64_t id, uint32_t dimensions, bool has_norms);
  std::string free_name(const std::string& wanted, uint64_t id) const;

  Database::Impl* const db_;
  Remains& from_;
  SalvageReport& report_;
  Replay replay_;
  Array<std::byte> head_;
  Array<std::byte> vectors_;
  Array<std::byte> payload_;
  std::unique_ptr<CodeSet> codec_;  // Of the collection that is being taken, if its rows are codes.
  std::map<uint64_t, Told> told_;       // By logs and tables.
  std::set<uint64_t> gone_;             // Dropped, says the log.
  std::set<uint64_t> without_options_;  // Made by guessing.
  std::set<uint64_t> alive_;            // Of the newest table that is whole:
  uint64_t known_below_ = 0;            // others below this it knows to be gone.
  std::vector<uint64_t> ends_;          // Of the logs: behind the last whole commit; 0: lost.
  uint64_t last_sequence_ = 0;
  bool knows_sequence_ = false;
};

}  // namespace omen
