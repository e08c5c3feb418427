// The log's file: records written in order, and read back as far as they are whole.
//
// Why two kinds of end: a crash leaves a torn record at the end of the log, and a failing device
// damage within it. Both look alike where they begin. But each record carries the watermark of the
// moment it was written, so a later record that is whole, and whose watermark covers the bad one,
// proves that the bad one had been on the device: damage, ERR_CORRUPT. Else it is a torn tail,
// which was never promised to anybody, and is cut.
// Invariants:
//   1. Sequences rise by one from record to record.
//   2. After a failed append the writer is at its place before it, or the file is not to be used.
//   3. A reader asks for no more memory than the file has bytes.
// Threads: one writer at a time; sync() beside it.
#pragma once

#include <memory>

#include "io/file.h"
#include "memory/array.h"
#include "storage/format.h"

namespace omen {

struct LogHeader {
  uint64_t database_id = 0;
  uint64_t seed = 0;  // Of the file's checksums.
  uint64_t first_sequence = 1;  // 0: one more than the last of the log before.
};

struct RecordHeader {
  uint64_t sequence = 0;
  uint64_t watermark = 0;
  uint32_t length = 0;
  RecordType type = RecordType::kSeal;
  uint8_t flags = 0;
};

// Where a log ends.
struct LogEnd {
  uint64_t offset = kLogHeaderBytes;  // Behind the last record of the last whole commit.
  uint64_t sequence = 0;              // Its sequence; first_sequence - 1 if there is none.
  uint64_t cut_bytes = 0;             // What follows: a torn tail.
  bool is_sealed = false;             // The last record says that all before it is on the device.
};

class LogWriter {
 public:
  // A new file with its header, synced. Its directory is the caller's to sync.
  static Result<std::unique_ptr<LogWriter>> create(Env* env, const std::string& path,
                                                   const LogHeader& header);
  // Goes on after `end` in a file opened for writing.
  static std::unique_ptr<LogWriter> resume(std::unique_ptr<File> file, const LogHeader& header,
                                           const LogEnd& end);

  // What a record is, beside its payload.
  struct Kind {
    RecordType type = RecordType::kSeal;
    uint8_t flags = 0;
    uint64_t watermark = 0;
  };
  // `record` holds kRecordHeaderBytes bytes of any content, then the payload. It is completed (the
  // header, zeros at the end) and written.
  Status append(const Kind& kind, Array<std::byte>* record);
  Status sync() { return file_->sync(); }

  struct Place {
    uint64_t offset;
    uint64_t sequence;  // Of the last record before it.
    bool operator==(const Place&) const = default;
  };
  Place place() const { return place_; }
  // Of an empty log: what its records come after.
  void continue_after(uint64_t sequence) {
    OMEN_ASSERT(place_.offset == kLogHeaderBytes);
    place_.sequence = sequence;
  }
  // Makes all that was written after `place` unwritten, on the device too.
  Status rewind(const Place& place);
  const std::string& path() const { return file_->path(); }

 private:
  LogWriter(std::unique_ptr<File> file, const LogHeader& header, const Place& place)
      : file_(std::move(file)), header_(header), place_(place) {}
  const std::unique_ptr<File> file_;
  const LogHeader header_;
  Place place_;
};

// A record that was read. The payload lies in the reader until its next call.
struct LogRecord {
  RecordHeader header;
  uint64_t offset = 0;
  const std::byte* payload = nullptr;
};

class LogReader {
 public:
  LogReader(const File* file, MemoryAccount* account)
      : file_(file), buffer_(account, Use::kScratch) {}

  // ERR_FORMAT of another version, ERR_CORRUPT if the header is damaged or of another database.
  Status open(uint64_t database_id);
  const LogHeader& header() const { return header_; }
  // What its first record comes after. False: its header says otherwise.
  bool continue_after(uint64_t sequence);
  // Reads all records once and tells where whole commits end. ERR_CORRUPT with the offset.
  Result<LogEnd> scan();
  // The next record before `end`, from the first one on after start(). False at the end.
  void start() { place_ = {kLogHeaderBytes, header_.first_sequence - 1}; }
  Result<bool> next(const LogEnd& end, LogRecord* record);
  // The first record from the log's beginning on whose header is valid, whatever lies before it.
  Result<bool> find_record(LogRecord* record);
  // For salvage: opens whatever is there, and tells what is wrong with the header. What lies behind
  // it can be read, by the seed that it names, if no more than one byte is damaged, or others are.
  Status open_any();
  // The next whole record, whatever lies before it.
  Result<bool> next_whole(LogRecord* record);
  uint64_t position() const { return place_.offset; }  // Behind the last record.
  uint64_t bytes() const { return file_bytes_; }
  // The highest of any valid header that next_whole() met.
  uint64_t watermark() const { return watermark_; }
  // Until it reads again it needs none.
  void drop_buffer() { buffer_.drop(); }

 private:
  Status read_header();
  // The record at `offset`; false if what lies there is none, or not whole.
  Result<bool> read_record(uint64_t offset, LogRecord* record);
  // Whether some record behind `offset` was written when `sequence` was on the device already.
  Result<bool> is_covered(uint64_t offset, uint64_t sequence);
  // Makes bytes [offset, offset + size) available; nullptr past the end of the file.
  Result<const std::byte*> bytes_at(uint64_t offset, size_t size);
  Status corrupt(uint64_t offset, const std::string& what) const;

  const File* const file_;
  Array<std::byte> buffer_;  // Bytes of the file from buffer_offset_ on.
  uint64_t buffer_offset_ = 0;
  uint64_t file_bytes_ = 0;
  LogHeader header_;
  LogWriter::Place place_{kLogHeaderBytes, 0};
  uint64_t watermark_ = 0;
};

}  // namespace omen
