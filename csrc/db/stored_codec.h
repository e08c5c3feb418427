// A codec's parameters as bytes: what codes mean is lost without them.
//
// Where: in the header of a stored graph, whose codes can be made anew from vectors; and in the
// table of a snapshot, of collections whose codes are all that is kept of their vectors.
// Trust: checksums are the files'. What no training gives is ERR_CORRUPT.
// Threads: values.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "db/codes.h"
#include "db/types.h"

namespace omen {

struct StoredCodec {
  enum Kind : uint32_t { kNone = 0, kSq8 = 1, kBinary = 2 };
  uint32_t kind = kNone;
  bool is_integer = false;    // Of sq8.
  uint64_t trained_rows = 0;
  uint64_t seed = 0;          // Of binary, as the rest.
  uint32_t bits = 0;
  uint32_t dominants = 0;

  // Of the parameters that follow: lows and steps; or dominant dimensions, and the centre.
  size_t parameter_bytes(size_t dimensions) const;
};

// What a codec is, but for its parameters.
StoredCodec describe_codec(const CodeSet& codes);
Status append_parameters(const CodeSet& codes, size_t dimensions, Array<std::byte>* out);

// What codes are made for.
struct CodecRoom {
  Metric metric;
  size_t dimensions;
  const simd::Kernels& kernels;
  MemoryAccount* account;
  uint64_t serial;
};
// Codes without rows. `parameters` has parameter_bytes(). ERR_CORRUPT, ERR_MEMORY.
Result<std::unique_ptr<CodeSet>> restore_codec(const StoredCodec& codec,
                                               const std::byte* parameters, const CodecRoom& room);

// Both as one text, for the table: kind 4, bits 4, trained rows 8, seed 8, dominant dimensions 4,
// flags 4 (1: integers), parameters.
Status encode_codec(const CodeSet& codes, size_t dimensions, Array<std::byte>* out);
Result<std::unique_ptr<CodeSet>> decode_codec(std::string_view text, const CodecRoom& room);

}  // namespace omen
