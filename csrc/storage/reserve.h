// Reserve: room on the disk that is kept for deleting when there is no other.
//
// Why: on a full disk deleting is what helps, and a deletion is logged like any write. So a file
// beside the database keeps some room allocated, in which nothing is written, and gives it back
// bit by bit when a deletion, or the checkpoint that makes room, finds none. Until it has its size
// again nothing but deletions is accepted: they would be the next that find no room.
// How much: a sixty-fourth of what is stored, 64 KiB to 16 MiB. A record takes about 800 bytes on
// disk, and to say that it is gone takes a dozen.
// Invariants:
//   1. No call fails: a database whose reserve cannot be had does without, as on file systems that
//      cannot allocate.
//   2. is_whole() is false from the first spend() until the file has its size again.
// Threads: all methods from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "io/file.h"

namespace omen {

class Reserve {
 public:
  // What is there already, if anything.
  Reserve(Env* env, const std::string& directory);
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;

  // So many bytes are stored now: the size that it should have follows, if there is room for it.
  void aim(uint64_t stored_bytes);
  bool is_whole() const { return is_whole_.load(std::memory_order_acquire); }
  // Whether it is whole, or can be made so.
  bool restore();
  // Gives half of it back, or all: how many bytes. 0: nothing was left.
  uint64_t spend();
  uint64_t spend_all();
  // Calls so far that gave some back.
  uint64_t spendings() const { return spendings_.load(std::memory_order_acquire); }

 private:
  // With mutex_ held.
  bool has_file(bool makes_it);
  uint64_t give_back(uint64_t to);
  uint64_t spend_to(uint64_t to);
  bool grow();

  Env* const env_;
  const std::string path_;
  std::atomic<bool> is_whole_{true};
  std::atomic<uint64_t> spendings_{0};
  std::mutex mutex_;  // Guards all below.
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
  uint64_t wanted_ = 0;
};

}  // namespace omen
