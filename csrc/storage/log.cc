// LogWriter and LogReader: records with their marks, whole or not at all.
#include "storage/log.h"

#include <algorithm>
#include <bit>

#include "base/crc32c.h"
#include "base/planted.h"
#include "storage/checks.h"

namespace omen {

static_assert(std::endian::native == std::endian::little, "vectors are written as they lie");

namespace {

// Read at once: most records are far smaller.
constexpr size_t kReadBytes = size_t{1} << 20;

void encode_header(const LogHeader& header, std::byte* out) {
  std::memset(out, 0, kLogHeaderBytes);
  std::memcpy(out, kLogMagic, kMagicBytes);
  store_number<uint32_t>(out + 8, kFormatVersion);
  store_number<uint32_t>(out + 12, kLogHeaderBytes);
  store_number<uint64_t>(out + 16, 0);
  store_number<uint64_t>(out + 24, 0);
  store_number<uint64_t>(out + 32, header.database_id);
  store_number<uint64_t>(out + 40, header.seed);
  store_number<uint64_t>(out + 48, header.first_sequence);
  store_number<uint32_t>(out + 60, crc32c(0, out, 60));
}

bool has_checksum(const std::byte* in) {
  return load_number<uint32_t>(in + 60) == crc32c(0, in, 60);
}

LogHeader decode_header(const std::byte* in) {
  return {load_number<uint64_t>(in + 32), load_number<uint64_t>(in + 40),
          load_number<uint64_t>(in + 48)};
}

// A header of which one byte is damaged: the checksum tells which one, and what it was.
bool mend_header(std::byte* in) {
  for (size_t i = 0; i < kLogHeaderBytes; ++i) {
    const std::byte damaged = in[i];
    for (unsigned other = 1; other < 256; ++other) {
      in[i] = damaged ^ static_cast<std::byte>(other);
      if (has_checksum(in)) return true;
    }
    in[i] = damaged;
  }
  return false;
}

struct Place {
  uint64_t seed;
  uint64_t offset;
};

// False if the bytes are no record's header at that place.
bool decode_record(const std::byte* in, const Place& at, RecordHeader* out) {
  const auto type = std::to_integer<uint8_t>(in[28]);
  if (type < 1 || type > kRecordTypeMax || in[30] != std::byte{0} || in[31] != std::byte{0}) {
    return false;  // Most of what is no header, without a checksum.
  }
  const uint32_t mark = mark_of(at.seed, at.offset);
  const uint32_t checksum = crc32c(mark, in + 4, kRecordHeaderBytes - 4);
  if (load_number<uint32_t>(in) != checksum && !OMEN_PLANTED("no-header-checksum")) return false;
  out->sequence = load_number<uint64_t>(in + 8);
  out->watermark = load_number<uint64_t>(in + 16);
  out->length = load_number<uint32_t>(in + 24);
  out->flags = std::to_integer<uint8_t>(in[29]);
  out->type = static_cast<RecordType>(type);
  return out->length <= kPayloadBytesMax && out->watermark < out->sequence;
}

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::create(Env* env, const std::string& path,
                                                     const LogHeader& header) {
  OMEN_ASSIGN(std::unique_ptr<File> file,
              File::open(env, path, Env::kWrite | Env::kCreate | Env::kTruncate));
  std::byte bytes[kLogHeaderBytes];
  encode_header(header, bytes);
  OMEN_TRY(file->write_at(0, bytes, sizeof(bytes)));
  OMEN_TRY(file->sync());
  const Place place{kLogHeaderBytes, header.first_sequence - 1};
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(file), header, place));
}

std::unique_ptr<LogWriter> LogWriter::resume(std::unique_ptr<File> file, const LogHeader& header,
                                             const LogEnd& end) {
  const Place place{end.offset, end.sequence};
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(file), header, place));
}

Status LogWriter::append(const Kind& kind, Array<std::byte>* record) {
  OMEN_ASSERT(record->size() >= kRecordHeaderBytes);
  const size_t length = record->size() - kRecordHeaderBytes;
  OMEN_ASSERT(length <= kPayloadBytesMax && kind.watermark <= place_.sequence);
  OMEN_TRY(record->resize(kRecordHeaderBytes + round_up_8(length)));
  const uint32_t mark = mark_of(header_.seed, place_.offset);
  std::byte* out = record->data();
  std::byte* payload = out + kRecordHeaderBytes;
  store_number<uint32_t>(out + 4, crc32c(mark, payload, round_up_8(length)));
  store_number<uint64_t>(out + 8, place_.sequence + 1);
  store_number<uint64_t>(out + 16, kind.watermark);
  store_number<uint32_t>(out + 24, static_cast<uint32_t>(length));
  out[28] = static_cast<std::byte>(kind.type);
  out[29] = static_cast<std::byte>(kind.flags);
  out[30] = out[31] = std::byte{0};
  store_number<uint32_t>(out, crc32c(mark, out + 4, kRecordHeaderBytes - 4));
  OMEN_TRY(file_->write_at(place_.offset, out, record->size()));
  place_.offset += record->size();
  ++place_.sequence;
  return Status::ok();
}

// Synced, or a crash could bring back a record that was refused.
Status LogWriter::rewind(const Place& place) {
  if (!OMEN_PLANTED("failed-append-stays")) OMEN_TRY(file_->truncate(place.offset));
  if (!OMEN_PLANTED("undone-without-sync")) OMEN_TRY(file_->sync());
  place_ = place;
  return Status::ok();
}

Status LogReader::corrupt(uint64_t offset, const std::string& what) const {
  return damaged(file_->path(), offset, what);
}

Status LogReader::open(uint64_t database_id) {
  OMEN_TRY(read_header());
  if (header_.database_id != database_id) return corrupt(32, "it belongs to another database");
  start();
  return Status::ok();
}

Status LogReader::open_any() {
  Status status = read_header();
  std::byte in[kLogHeaderBytes];
  if (status.code() == ErrorCode::kCorrupt && file_bytes_ >= sizeof(in)) {
    OMEN_TRY(file_->read_exactly(0, in, sizeof(in)));
    if (mend_header(in)) header_ = decode_header(in);
  }
  start();
  return status;
}

Status LogReader::read_header() {
  OMEN_ASSIGN(const FileStat stat, file_->stat());
  file_bytes_ = stat.size;
  std::byte in[kLogHeaderBytes];
  if (file_bytes_ < sizeof(in)) return corrupt(file_bytes_, "its header is cut off");
  OMEN_TRY(file_->read_exactly(0, in, sizeof(in)));
  header_ = decode_header(in);
  if (std::memcmp(in, kLogMagic, kMagicBytes) != 0) return corrupt(0, "it is no log");
  if (!has_checksum(in)) return corrupt(0, "the header's checksum differs");
  const auto version = load_number<uint32_t>(in + 8);
  const auto features = load_number<uint64_t>(in + 16);
  if (version != kFormatVersion || (features & ~kKnownFeatures) != 0) {
    return unknown_format(file_->path(), version);
  }
  return Status::ok();
}

bool LogReader::continue_after(uint64_t sequence) {
  if (header_.first_sequence == 0) header_.first_sequence = sequence + 1;
  start();
  return header_.first_sequence == sequence + 1;
}

Result<const std::byte*> LogReader::bytes_at(uint64_t offset, size_t size) {
  if (offset > file_bytes_ || size > file_bytes_ - offset) return nullptr;
  const uint64_t end = buffer_offset_ + buffer_.size();
  if (offset < buffer_offset_ || offset + size > end) {
    const uint64_t wanted = std::min<uint64_t>(std::max(size, kReadBytes), file_bytes_ - offset);
    buffer_.clear();
    OMEN_TRY(buffer_.resize(static_cast<size_t>(wanted)));
    buffer_offset_ = offset;
    OMEN_ASSIGN(const size_t got, file_->read_at(offset, buffer_.data(), buffer_.size()));
    if (got < size) return nullptr;  // It became shorter.
    buffer_.truncate(got);
  }
  return buffer_.data() + (offset - buffer_offset_);
}

Result<bool> LogReader::read_record(uint64_t offset, LogRecord* record) {
  OMEN_ASSIGN(const std::byte* header, bytes_at(offset, kRecordHeaderBytes));
  if (header == nullptr || !decode_record(header, {header_.seed, offset}, &record->header)) {
    return false;
  }
  const size_t length = round_up_8(record->header.length);
  OMEN_ASSIGN(const std::byte* whole, bytes_at(offset, kRecordHeaderBytes + length));
  if (whole == nullptr) return false;
  record->payload = whole + kRecordHeaderBytes;
  record->offset = offset;
  return OMEN_PLANTED("no-payload-checksum") ||
         load_number<uint32_t>(whole + 4) ==
         crc32c(mark_of(header_.seed, offset), record->payload, length);
}

Result<bool> LogReader::is_covered(uint64_t offset, uint64_t sequence) {
  if (OMEN_PLANTED("damage-is-a-torn-tail")) return false;
  for (;; offset += 8) {
    OMEN_ASSIGN(const std::byte* header, bytes_at(offset, kRecordHeaderBytes));
    if (header == nullptr) return false;
    RecordHeader found;
    if (!decode_record(header, {header_.seed, offset}, &found)) continue;
    if (found.sequence > sequence && found.watermark >= sequence) return true;
  }
}

Result<bool> LogReader::find_record(LogRecord* record) {
  for (uint64_t offset = kLogHeaderBytes;; offset += 8) {
    OMEN_ASSIGN(const std::byte* header, bytes_at(offset, kRecordHeaderBytes));
    if (header == nullptr) return false;
    if (!decode_record(header, {header_.seed, offset}, &record->header)) continue;
    record->offset = offset;
    return true;
  }
}

Result<bool> LogReader::next_whole(LogRecord* record) {
  for (;; place_.offset += 8) {
    OMEN_ASSIGN(const std::byte* header, bytes_at(place_.offset, kRecordHeaderBytes));
    if (header == nullptr) return false;
    if (!decode_record(header, {header_.seed, place_.offset}, &record->header)) continue;
    watermark_ = std::max(watermark_, record->header.watermark);
    OMEN_ASSIGN(const bool is_whole, read_record(place_.offset, record));
    if (!is_whole) continue;
    place_.offset += kRecordHeaderBytes + round_up_8(record->header.length);
    return true;
  }
}

Result<LogEnd> LogReader::scan() {
  OMEN_ASSERT(header_.first_sequence > 0);  // continue_after() told it.
  LogEnd end;
  end.sequence = header_.first_sequence - 1;
  uint64_t offset = kLogHeaderBytes;
  uint64_t sequence = end.sequence;
  bool is_within = false;  // A commit that goes on.
  for (;;) {
    LogRecord record;
    OMEN_ASSIGN(const bool is_whole, read_record(offset, &record));
    if (!is_whole || record.header.sequence != sequence + 1) break;
    offset += kRecordHeaderBytes + round_up_8(record.header.length);
    ++sequence;
    is_within = (record.header.flags & kMoreFollows) != 0;
    if (OMEN_PLANTED("part-of-a-batch-is-whole")) is_within = false;
    if (is_within) continue;
    end.offset = offset;
    end.sequence = sequence;
    end.is_sealed =
        record.header.type == RecordType::kSeal && record.header.watermark + 1 == sequence;
  }
  OMEN_ASSIGN(const bool is_damage, is_covered(offset, sequence + 1));
  if (is_damage) {
    return corrupt(offset, "record " + std::to_string(sequence + 1) +
                               ", which had been stored, cannot be read");
  }
  if (OMEN_PLANTED("cut-within-the-last") && end.offset > kLogHeaderBytes) end.offset -= 8;
  end.cut_bytes = file_bytes_ - end.offset;
  if (end.cut_bytes > 0) end.is_sealed = false;
  return end;
}

Result<bool> LogReader::next(const LogEnd& end, LogRecord* record) {
  if (place_.offset >= end.offset) return false;
  OMEN_ASSIGN(const bool is_whole, read_record(place_.offset, record));
  if (!is_whole || record->header.sequence != place_.sequence + 1) {
    return corrupt(place_.offset, "a record changed while it was read");
  }
  place_.offset += kRecordHeaderBytes + round_up_8(record->header.length);
  ++place_.sequence;
  return true;
}

}  // namespace omen
