// Manifests: any bytes are refused, or are one that is written again as it was. Their checksum is
// put right first, since no fuzzer guesses it.
#include <cstdint>

#include "../native/sim_env.h"
#include "base/crc32c.h"
#include "storage/directory.h"

using namespace omen;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  test::SimEnv env;
  (void)env.make_directory("/d");
  std::vector<uint8_t> bytes(data, data + size);
  if (size >= kManifestBytes) {
    auto* out = reinterpret_cast<std::byte*>(bytes.data());
    std::memcpy(out, kManifestMagic, kMagicBytes);
    store_number<uint32_t>(out + 12, static_cast<uint32_t>(size));
    const uint32_t head = crc32c(0, out, 92);
    store_number(out + 92, crc32c(head, out + kManifestBytes, size - kManifestBytes));
  }
  const int64_t file = env.open("/d/MANIFEST", Env::kWrite | Env::kCreate);
  if (!bytes.empty()) (void)env.write(file, bytes.data(), bytes.size(), 0);
  (void)env.close(file);
  const Result<Manifest> read = read_manifest(&env, "/d");
  // What it names does not exist: it must be told, whatever it is.
  MemoryBudget budget;
  MemoryAccount account(&budget);
  Directory::Options how;
  how.read_only = true;
  OMEN_ASSERT(!Directory::open(&env, "/d", how, &account).is_ok());
  if (!read.is_ok()) return 0;
  OMEN_ASSERT(write_manifest(&env, "/d", read.value()).is_ok());
  const Result<Manifest> again = read_manifest(&env, "/d");
  OMEN_ASSERT(again.is_ok() && again.value().files == read.value().files &&
              again.value().last_number == read.value().last_number);
  return 0;
}
