// Marks of places, and the words of damage.
#include "storage/checks.h"

#include "base/crc32c.h"
#include "base/planted.h"
#include "storage/format.h"

namespace omen {

uint32_t mark_of(uint64_t seed, uint64_t offset) {
  if (OMEN_PLANTED("checksum-without-place")) offset = 0;
  std::byte place[16];
  store_number(place, seed);
  store_number(place + 8, offset);
  return crc32c(0, place, sizeof(place));
}

Status corrupt(const std::string& path, std::string message) {
  message += "; restore a backup of the database, or rescue what is readable: ";
  message += "omendb check --salvage";
  return Status::error(ErrorCode::kCorrupt, std::move(message)).with_path(path);
}

Status damaged(const std::string& path, uint64_t offset, const std::string& what) {
  return corrupt(path, path + " is damaged at byte " + std::to_string(offset) + ": " + what);
}

Status unknown_format(const std::string& path, uint32_t version) {
  return Status::error(ErrorCode::kFormat, path + " has format " + std::to_string(version) +
                                               ", which this version does not know; use a newer "
                                               "version of OmenDB")
      .with_path(path);
}

}  // namespace omen
