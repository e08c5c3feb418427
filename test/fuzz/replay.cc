// A main for fuzz targets where there is no libFuzzer: runs each file of the corpus, and changes of
// it that are drawn from a seed. So every build, every sanitizer and every processor runs them.
//
//   json_fuzz CORPUS_DIRECTORY    OMEN_FUZZ_MUTATIONS (5000): changes that are tried, all together
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

// Its own memory, so that a sanitizer sees a read past its end.
void run(const Bytes& bytes) {
  const Bytes copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

Bytes changed(Bytes bytes, const Bytes& other, omen::Random& random) {
  for (uint64_t n = 1 + random.below(4); n > 0; --n) {
    const size_t at = random.below(bytes.size() + 1);
    const auto place = bytes.begin() + static_cast<ptrdiff_t>(at);
    switch (random.below(5)) {
      case 0:
        if (at < bytes.size()) bytes[at] ^= static_cast<uint8_t>(1 << random.below(8));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<uint8_t>(random.next());
        break;
      case 2:
        bytes.insert(place, static_cast<uint8_t>(random.next()));
        break;
      case 3:
        bytes.erase(place, place + static_cast<ptrdiff_t>(random.below(bytes.size() - at + 1)));
        break;
      default: {  // A piece of another one.
        const size_t from = random.below(other.size() + 1);
        const size_t length = random.below(other.size() - from + 1);
        const auto start = other.begin() + static_cast<ptrdiff_t>(from);
        bytes.insert(place, start, start + static_cast<ptrdiff_t>(length));
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]), 2;
  const std::string name = std::filesystem::path(argv[1]).filename().string();
  std::vector<Bytes> corpus;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  const auto start = std::chrono::steady_clock::now();
  for (const Bytes& bytes : corpus) run(bytes);
  const char* given = std::getenv("OMEN_FUZZ_MUTATIONS");
  const size_t mutations = given == nullptr ? 5000 : std::strtoul(given, nullptr, 10);
  omen::Random random(omen::hash_bytes(name.data(), name.size()));
  for (size_t i = 0; i < mutations && !corpus.empty(); ++i) {
    const Bytes& other = corpus[random.below(corpus.size())];
    run(changed(corpus[random.below(corpus.size())], other, random));
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::steady_clock::now() - start)
                      .count();
  const bool passed = !corpus.empty();
  std::printf("%s - %s: a corpus of %zu and %zu changes (%lld ms)\n", passed ? "ok" : "not ok",
              name.c_str(), corpus.size(), mutations, static_cast<long long>(ms));
  std::printf("%d passed, %d failed\n", passed ? 1 : 0, passed ? 0 : 1);
  return passed ? 0 : 1;
}
