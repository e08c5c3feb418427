// What the native benches share: reading sets, arguments, clocks, and giving up on a fault.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/status.h"

namespace omen::bench {

template <class T>
std::vector<T> read_file(const std::string& path) {
  std::vector<T> values;
  FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "cannot open %s\n", path.c_str());
    std::exit(1);
  }
  std::fseek(file, 0, SEEK_END);
  values.resize(static_cast<size_t>(std::ftell(file)) / sizeof(T));
  std::rewind(file);
  const size_t got = std::fread(values.data(), sizeof(T), values.size(), file);
  std::fclose(file);
  if (got != values.size()) std::exit(1);
  return values;
}

inline std::string argument(int argc, char** argv, const char* key, const char* otherwise) {
  const std::string prefix = std::string(key) + "=";
  for (int i = 2; i < argc; ++i) {
    if (std::strncmp(argv[i], prefix.c_str(), prefix.size()) == 0) return argv[i] + prefix.size();
  }
  return otherwise;
}

inline void check(const omen::Status& status) {
  if (status.is_ok()) return;
  std::fprintf(stderr, "%s: %s\n", omen::error_code_name(status.code()), status.message().c_str());
  std::exit(1);
}

}  // namespace omen::bench
