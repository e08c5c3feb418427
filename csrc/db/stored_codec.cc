// Codecs to bytes and back.
#include "db/stored_codec.h"

#include <bit>
#include <vector>

#include "db/store.h"
#include "storage/format.h"

namespace omen {

namespace {

constexpr size_t kTextHeadBytes = 32;

Status damaged(const char* what) {
  return Status::error(ErrorCode::kCorrupt, std::string("stored codes are damaged: ") + what);
}

std::vector<float> floats_of(const std::byte* in, size_t n) {
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = std::bit_cast<float>(load_number<uint32_t>(in + 4 * i));
  return out;
}

Status append_number(uint32_t value, Array<std::byte>* out) {
  std::byte bytes[4];
  store_number(bytes, value);
  return out->append(bytes, sizeof(bytes));
}

}  // namespace

size_t StoredCodec::parameter_bytes(size_t dimensions) const {
  if (kind == kSq8) return 8 * dimensions;
  return kind == kBinary ? 4 * (dimensions + size_t{dominants}) : 0;
}

StoredCodec describe_codec(const CodeSet& codes) {
  StoredCodec out;
  out.trained_rows = codes.trained_rows;
  if (const Sq8Codec* sq8 = codes.sq8()) {
    out.kind = StoredCodec::kSq8;
    out.is_integer = sq8->is_integer();
    return out;
  }
  const BinaryCodec& binary = *codes.binary();
  out.kind = StoredCodec::kBinary;
  out.seed = binary.seed();
  out.bits = static_cast<uint32_t>(binary.bits());
  out.dominants = static_cast<uint32_t>(binary.dominants());
  return out;
}

Status append_parameters(const CodeSet& codes, size_t dimensions, Array<std::byte>* out) {
  const auto append = [&](float x) { return append_number(std::bit_cast<uint32_t>(x), out); };
  if (const Sq8Codec* sq8 = codes.sq8()) {
    for (size_t i = 0; i < dimensions; ++i) OMEN_TRY(append(sq8->low(i)));
    for (size_t i = 0; i < dimensions; ++i) OMEN_TRY(append(sq8->step(i)));
    return Status::ok();
  }
  const BinaryCodec& binary = *codes.binary();
  for (size_t i = 0; i < binary.dominants(); ++i) {
    OMEN_TRY(append_number(binary.dominant(i), out));
  }
  for (size_t i = 0; i < dimensions; ++i) OMEN_TRY(append(binary.centre()[i]));
  return Status::ok();
}

Result<std::unique_ptr<CodeSet>> restore_codec(const StoredCodec& codec,
                                               const std::byte* parameters, const CodecRoom& room) {
  const size_t n = room.dimensions;
  const Distance distance = distance_of(room.metric);
  const CodeSet::Marks marks{codec.trained_rows, room.serial};
  if (codec.kind == StoredCodec::kSq8) {
    const std::vector<float> values = floats_of(parameters, 2 * n);
    OMEN_ASSIGN(std::unique_ptr<Sq8Codec> sq8,
                Sq8Codec::restore(distance, n, room.kernels,
                                  {values.data(), values.data() + n, codec.is_integer}));
    return std::make_unique<CodeSet>(room.account, std::move(sq8), marks);
  }
  if (codec.kind != StoredCodec::kBinary || codec.dominants > PreparedQuery::kDominantMax) {
    return damaged("they are of no kind");
  }
  std::vector<uint32_t> dominants(codec.dominants);
  for (size_t i = 0; i < dominants.size(); ++i) {
    dominants[i] = load_number<uint32_t>(parameters + 4 * i);
  }
  const std::vector<float> centre = floats_of(parameters + 4 * dominants.size(), n);
  OMEN_ASSIGN(
      std::unique_ptr<BinaryCodec> binary,
      BinaryCodec::restore(distance, n, room.kernels,
                           {codec.seed, codec.bits, dominants.data(), codec.dominants,
                            centre.data()}));
  return std::make_unique<CodeSet>(room.account, std::move(binary), marks);
}

Status encode_codec(const CodeSet& codes, size_t dimensions, Array<std::byte>* out) {
  const StoredCodec codec = describe_codec(codes);
  std::byte head[kTextHeadBytes] = {};
  store_number<uint32_t>(head, codec.kind);
  store_number<uint32_t>(head + 4, codec.bits);
  store_number<uint64_t>(head + 8, codec.trained_rows);
  store_number<uint64_t>(head + 16, codec.seed);
  store_number<uint32_t>(head + 24, codec.dominants);
  store_number<uint32_t>(head + 28, codec.is_integer ? 1 : 0);
  OMEN_TRY(out->append(head, sizeof(head)));
  return append_parameters(codes, dimensions, out);
}

Result<std::unique_ptr<CodeSet>> decode_codec(std::string_view text, const CodecRoom& room) {
  const auto* in = reinterpret_cast<const std::byte*>(text.data());
  if (text.size() < kTextHeadBytes) return damaged("their parameters are cut off");
  StoredCodec codec;
  codec.kind = load_number<uint32_t>(in);
  codec.bits = load_number<uint32_t>(in + 4);
  codec.trained_rows = load_number<uint64_t>(in + 8);
  codec.seed = load_number<uint64_t>(in + 16);
  codec.dominants = load_number<uint32_t>(in + 24);
  const auto flags = load_number<uint32_t>(in + 28);
  codec.is_integer = flags == 1;
  if (flags > 1 || text.size() != kTextHeadBytes + codec.parameter_bytes(room.dimensions)) {
    return damaged("their parameters have another size");
  }
  return restore_codec(codec, in + kTextHeadBytes, room);
}

}  // namespace omen
