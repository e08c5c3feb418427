// ReadAgain: whether what failed in reading a directory beside its writer is worth another try.
//
// Why: a reader takes no lock. A writer may put other files in place, and remove those that the
// reader was told of, or append to the log while the reader looks at its end: that is as damage
// looks. What fails some times though no other files came is damage; what fails for other files
// each time is a writer that is too quick, and nothing is known of the data.
// Threads: one.
#pragma once

#include <string>

#include "io/file.h"
#include "storage/manifest.h"

namespace omen {

class ReadAgain {
 public:
  ReadAgain(Env* env, std::string path) : env_(env), path_(std::move(path)) {}

  // Before each try.
  void begin() { generation_ = generation(); }
  // After one that came to *status: whether there should be another. Else *status is to be told:
  // it is ERR_BUSY where other files came each time.
  bool is_wanted(Status* status);

 private:
  // Of the manifest that is there now; 0: none, or none that can be read.
  uint64_t generation() const;

  Env* const env_;
  const std::string path_;
  uint64_t generation_ = 0;
  int same_ = 0;     // Tries in which no other files came,
  int changed_ = 0;  // and the others.
};

}  // namespace omen
