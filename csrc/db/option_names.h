// The names of options' values, as users write them.
#pragma once

#include "db/types.h"
#include "storage/wal.h"

namespace omen {

inline const char* name_of(Metric metric) {
  switch (metric) {
    case Metric::kCosine:
      return "cosine";
    case Metric::kL2:
      return "l2";
    case Metric::kDot:
      return "dot";
  }
  return "";
}

inline const char* name_of(Quantization quantization) {
  switch (quantization) {
    case Quantization::kSq8:
      return "sq8";
    case Quantization::kNone:
      return "none";
    case Quantization::kBinary:
      return "binary";
  }
  return "";
}

inline const char* name_of(Layout layout) { return layout == Layout::kFast ? "fast" : "compact"; }

inline const char* name_of(Durability durability) {
  switch (durability) {
    case Durability::kSync:
      return "sync";
    case Durability::kPeriodic:
      return "periodic";
    case Durability::kOs:
      return "os";
  }
  return "";
}

}  // namespace omen
