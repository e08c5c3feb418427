// The table of test points, and which bug is planted; empty in every build but the test build.
#include "base/test_points.h"

#include "base/planted.h"

#ifdef OMENDB_TEST_POINTS

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

namespace omen {
namespace {

constexpr size_t kPoints = 64;
constexpr size_t kNameBytes = 32;

struct Point {
  char name[kNameBytes] = {};
  std::atomic<bool> armed{false};
  std::atomic<uint32_t> paused{0};
};

// Constant-initialised; its destruction does nothing (invariant 2).
Point points[kPoints];
std::atomic<size_t> point_count{0};
std::mutex& adding() {
  static auto* mutex = new std::mutex;  // Leaked on purpose (invariant 2).
  return *mutex;
}

Point* find(const char* name) {
  const size_t count = point_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(points[i].name, name) == 0) return &points[i];
  }
  return nullptr;
}

}  // namespace

bool test_point_arm(const char* name) {
  if (std::strlen(name) >= kNameBytes) return false;
  const std::lock_guard<std::mutex> lock(adding());
  Point* point = find(name);
  if (point == nullptr) {
    const size_t count = point_count.load(std::memory_order_relaxed);
    if (count == kPoints) return false;
    point = &points[count];
    std::memcpy(point->name, name, std::strlen(name) + 1);
    point_count.store(count + 1, std::memory_order_release);
  }
  point->armed.store(true);
  return true;
}

bool test_point_release(const char* name) {
  Point* point = find(name);
  if (point == nullptr) return false;
  point->armed.store(false);
  return true;
}

bool test_point_paused(const char* name) {
  const Point* point = find(name);
  return point != nullptr && point->paused.load() > 0;
}

void test_point_reached(const char* name) {
  Point* point = find(name);
  if (point == nullptr || !point->armed.load()) return;
  point->paused.fetch_add(1);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kTestPauseSeconds);
  while (point->armed.load() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  point->paused.fetch_sub(1);
}

bool is_planted(const char* name) {
  static const char* const planted = std::getenv("OMENDB_PLANTED");
  return planted != nullptr && std::strcmp(planted, name) == 0;
}

}  // namespace omen

#endif
