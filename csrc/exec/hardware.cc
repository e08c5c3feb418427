// How many threads are worth starting: OMENDB_THREADS, affinity, cgroup quotas. How much memory
// there is: the machine's, cgroup limits.
#include "exec/hardware.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "exec/thread.h"

#if defined(_WIN32)
#include "base/windows.h"
#else
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace omen {

namespace {

#if defined(__linux__)

// The first line of a small file, or "" if there is none.
std::string first_line(const std::string& path) {
  char line[256];
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  const char* got = std::fgets(line, sizeof line, file);
  std::fclose(file);
  return got == nullptr ? std::string() : std::string(line);
}

unsigned processors_for(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return kThreadsMax;
  const long long whole = (quota - 1) / period + 1;  // Rounded up: half a processor is one.
  return static_cast<unsigned>(std::min<long long>(whole, kThreadsMax));
}

// cpu.max of cgroup version 2: "max 100000" or "150000 100000".
unsigned quota_of_group(const std::string& directory) {
  long long quota = 0;
  long long period = 0;
  const std::string line = first_line(directory + "/cpu.max");
  if (std::sscanf(line.c_str(), "%lld %lld", &quota, &period) != 2) return kThreadsMax;
  return processors_for(quota, period);
}

// The path of our group, "" when unknown: the line "0::/path" of /proc/self/cgroup.
std::string own_group() {
  std::FILE* file = std::fopen("/proc/self/cgroup", "re");
  if (file == nullptr) return {};
  char line[512];
  std::string path;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, "0::", 3) == 0) path = line + 3;
  }
  std::fclose(file);
  while (!path.empty() && (path.back() == '\n' || path.back() == '/')) path.pop_back();
  return path;
}

// The smallest quota of our group and those above it; inside a container its group is the root.
unsigned quota_processors() {
  const std::string root = "/sys/fs/cgroup";
  unsigned processors = quota_of_group(root);
  for (std::string path = own_group(); !path.empty(); path.resize(path.rfind('/'))) {
    processors = std::min(processors, quota_of_group(root + path));
    if (path.find('/') == std::string::npos) break;
  }
  const long long quota = std::atoll(first_line(root + "/cpu/cpu.cfs_quota_us").c_str());
  const long long period = std::atoll(first_line(root + "/cpu/cpu.cfs_period_us").c_str());
  return std::min(processors, processors_for(quota, period));
}

unsigned affinity_processors() {
  constexpr int kProcessorsMax = 8192;
  cpu_set_t* set = CPU_ALLOC(kProcessorsMax);
  if (set == nullptr) return 1;
  const size_t bytes = CPU_ALLOC_SIZE(kProcessorsMax);
  const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 1;
  CPU_FREE(set);
  return static_cast<unsigned>(std::max(count, 1));
}

unsigned usable_processors() { return std::min(affinity_processors(), quota_processors()); }

uint64_t limit_in(const std::string& file) {
  unsigned long long bytes = 0;  // "max" where there is none.
  return std::sscanf(first_line(file).c_str(), "%llu", &bytes) == 1 ? bytes : UINT64_MAX;
}

// The smallest memory limit of our group and those above it.
uint64_t group_memory() {
  const std::string root = "/sys/fs/cgroup";
  uint64_t bytes = std::min(limit_in(root + "/memory.max"),
                            limit_in(root + "/memory/memory.limit_in_bytes"));
  for (std::string path = own_group(); !path.empty(); path.resize(path.rfind('/'))) {
    bytes = std::min(bytes, limit_in(root + path + "/memory.max"));
    if (path.find('/') == std::string::npos) break;
  }
  return bytes;
}

uint64_t machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
}

#elif defined(_WIN32)

unsigned usable_processors() {
  DWORD_PTR process = 0;
  DWORD_PTR system = 0;
  unsigned count = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system)) {
    for (; process != 0; process &= process - 1) ++count;
  }
  return count == 0 ? static_cast<unsigned>(GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)) : count;
}

uint64_t group_memory() { return UINT64_MAX; }

uint64_t machine_memory() {
  MEMORYSTATUSEX status;
  status.dwLength = sizeof(status);
  return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : UINT64_MAX;
}

#else

unsigned usable_processors() {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : static_cast<unsigned>(count);
}

uint64_t group_memory() { return UINT64_MAX; }

uint64_t machine_memory() {
#if defined(_SC_PHYS_PAGES)
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
#endif
  return UINT64_MAX;
}

#endif

}  // namespace

Result<unsigned> parse_thread_count(const char* text) {
  unsigned count = 0;
  size_t digits = 0;
  for (; text[digits] >= '0' && text[digits] <= '9' && count <= kThreadsMax; ++digits) {
    count = count * 10 + static_cast<unsigned>(text[digits] - '0');
  }
  if (digits > 0 && text[digits] == '\0' && count >= 1 && count <= kThreadsMax) return count;
  return Status::error(ErrorCode::kArgument, "OMENDB_THREADS is \"" + std::string(text, 0, 64) +
                                                 "\"; set it to an integer from 1 to " +
                                                 std::to_string(kThreadsMax) + ", or unset it");
}

uint64_t memory_limit() { return std::min(machine_memory(), group_memory()); }

Result<unsigned> hardware_threads() {
  if (const char* text = std::getenv("OMENDB_THREADS"); text != nullptr) {
    return parse_thread_count(text);
  }
  return std::clamp(usable_processors(), 1u, kThreadsMax);
}

}  // namespace omen
