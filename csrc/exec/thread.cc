// Starting threads; see thread.h.
#include "exec/thread.h"

#include <cerrno>
#include <new>
#include <string>

#if defined(_WIN32)
#include <process.h>

#include "base/windows.h"
#else
#include <pthread.h>
#include <signal.h>
#endif

namespace omen {

namespace {

// Enough for our bounded recursion under sanitizers; musl's default of 128 KiB is not.
constexpr size_t kStackBytes = size_t{2} << 20;
constexpr size_t kThreadNameBytes = 16;

struct Start {
  void (*run)(void*);
  void* argument;
  char name[kThreadNameBytes];
};

Status no_thread(int error) {
  return Status::error(ErrorCode::kMemory, "the system refused to start a thread (error " +
                                               std::to_string(error) +
                                               "); raise its limit or set OMENDB_THREADS");
}

#if defined(_WIN32)
unsigned __stdcall enter(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  delete static_cast<Start*>(argument);
  start.run(start.argument);
  return 0;
}
#else
void* enter(void* argument) {
  const Start start = *static_cast<Start*>(argument);
  delete static_cast<Start*>(argument);
#if defined(__linux__)
  pthread_setname_np(pthread_self(), start.name);
#elif defined(__APPLE__)
  pthread_setname_np(start.name);
#endif
  start.run(start.argument);
  return nullptr;
}

// 0, or the error number.
int create(pthread_t* thread, Start* start) {
  pthread_attr_t attributes;
  if (const int error = pthread_attr_init(&attributes); error != 0) return error;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // A thread inherits the mask; the host's threads go on receiving its signals.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, &attributes, enter, start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

static_assert(sizeof(pthread_t) <= sizeof(uintptr_t));

pthread_t as_pthread(uintptr_t handle) { return (pthread_t)handle; }  // A pointer on some systems.
#endif

}  // namespace

Result<Thread> Thread::start(const char* name, void (*run)(void*), void* argument) {
  auto* start = new (std::nothrow) Start{run, argument, {}};
  if (start == nullptr) return no_thread(0);
  for (size_t i = 0; i + 1 < kThreadNameBytes && name[i] != '\0'; ++i) start->name[i] = name[i];
#if defined(_WIN32)
  const uintptr_t handle =
      _beginthreadex(nullptr, static_cast<unsigned>(kStackBytes), enter, start, 0, nullptr);
  const int error = handle == 0 ? errno : 0;
#else
  pthread_t thread{};
  const int error = create(&thread, start);
  const auto handle = (uintptr_t)thread;
#endif
  if (error != 0) {
    delete start;
    return no_thread(error);
  }
  return Thread(handle);
}

void Thread::join() {
  OMEN_ASSERT(handle_ != 0);
  // A thread that joined itself would go on in what its owner frees.
#if defined(_WIN32)
  OMEN_ASSERT(GetThreadId(reinterpret_cast<HANDLE>(handle_)) != GetCurrentThreadId());
  WaitForSingleObject(reinterpret_cast<HANDLE>(handle_), INFINITE);
  CloseHandle(reinterpret_cast<HANDLE>(handle_));
#else
  OMEN_ASSERT(pthread_equal(as_pthread(handle_), pthread_self()) == 0);
  pthread_join(as_pthread(handle_), nullptr);
#endif
  handle_ = 0;
}

void Thread::detach() {
  OMEN_ASSERT(handle_ != 0);
#if defined(_WIN32)
  CloseHandle(reinterpret_cast<HANDLE>(handle_));
#else
  pthread_detach(as_pthread(handle_));
#endif
  handle_ = 0;
}

}  // namespace omen
