// CRC-32C by tables of eight bytes a step, or by the processor's instruction.
#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace omen {

namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Reflected.

// tables[k][b]: what byte b does to the checksum when k more bytes of zero follow it.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables t{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    t[0][b] = crc;
  }
  for (uint32_t b = 0; b < 256; ++b) {
    for (size_t k = 1; k < 8; ++k) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xFF];
  }
  return t;
}

constexpr Tables kTables = make_tables();

#if (defined(__x86_64__) || defined(__aarch64__)) && (defined(__GNUC__) || defined(__clang__))
// The instruction answers after three cycles and can be begun in each: three lanes of so many bytes
// are worked on at a time.
constexpr size_t kLaneBytes = 512;

// What kLaneBytes bytes of zero make of a checksum: linear over its bits, so a matrix, which comes
// of that of one bit by squaring. tables[k][b]: what they make of byte k being b.
using Shift = std::array<std::array<uint32_t, 256>, 4>;

constexpr Shift make_shift() {
  using Matrix = std::array<uint32_t, 32>;
  const auto apply = [](const Matrix& m, uint32_t crc) {
    uint32_t sum = 0;
    for (int bit = 0; crc != 0; ++bit, crc >>= 1) sum ^= (crc & 1) != 0 ? m[bit] : 0;
    return sum;
  };
  Matrix m{kPolynomial};
  for (int bit = 1; bit < 32; ++bit) m[bit] = uint32_t{1} << (bit - 1);
  for (size_t bits = 1; bits < 8 * kLaneBytes; bits *= 2) {
    Matrix squared{};
    for (int bit = 0; bit < 32; ++bit) squared[bit] = apply(m, m[bit]);
    m = squared;
  }
  Shift tables{};
  for (int k = 0; k < 4; ++k) {
    for (uint32_t b = 0; b < 256; ++b) tables[k][b] = apply(m, b << (8 * k));
  }
  return tables;
}

constexpr Shift kShift = make_shift();

uint32_t shift_lane(uint32_t crc) {
  return kShift[0][crc & 0xFF] ^ kShift[1][crc >> 8 & 0xFF] ^ kShift[2][crc >> 16 & 0xFF] ^
         kShift[3][crc >> 24];
}
#endif

uint32_t load_32(const unsigned char* p) {  // Little-endian on any machine.
  return p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
}

#if (defined(__x86_64__) || defined(__aarch64__)) && (defined(__GNUC__) || defined(__clang__))
#define OMEN_CRC32C_INSTRUCTION 1

#if defined(__x86_64__)
#define OMEN_CRC32C_TARGET __attribute__((target("sse4.2")))
bool has_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }
#define OMEN_CRC32C_8(crc, byte) __builtin_ia32_crc32qi(crc, byte)
#define OMEN_CRC32C_64(crc, word) static_cast<uint32_t>(__builtin_ia32_crc32di(crc, word))
#else
#if defined(__clang__)
#define OMEN_CRC32C_TARGET __attribute__((target("crc")))
#define OMEN_CRC32C_8(crc, byte) __builtin_arm_crc32cb(crc, byte)
#define OMEN_CRC32C_64(crc, word) __builtin_arm_crc32cd(crc, word)
#else
#define OMEN_CRC32C_TARGET __attribute__((target("+crc")))
#define OMEN_CRC32C_8(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
#define OMEN_CRC32C_64(crc, word) __builtin_aarch64_crc32cx(crc, word)
#endif
bool has_instruction() {
#if defined(__linux__)
  constexpr unsigned long kCrc32 = 1 << 7;  // HWCAP_CRC32.
  return (getauxval(AT_HWCAP) & kCrc32) != 0;
#else
  return true;  // Every Apple processor of this kind.
#endif
}
#endif

OMEN_CRC32C_TARGET uint32_t by_instruction(uint32_t crc, const unsigned char* p, size_t length) {
  crc = ~crc;
  for (; length >= 3 * kLaneBytes; length -= 3 * kLaneBytes, p += 3 * kLaneBytes) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t at = 0; at < kLaneBytes; at += 8) {
      uint64_t words[3];
      std::memcpy(&words[0], p + at, 8);
      std::memcpy(&words[1], p + kLaneBytes + at, 8);
      std::memcpy(&words[2], p + 2 * kLaneBytes + at, 8);
      crc = OMEN_CRC32C_64(crc, words[0]);
      second = OMEN_CRC32C_64(second, words[1]);
      third = OMEN_CRC32C_64(third, words[2]);
    }
    crc = shift_lane(shift_lane(crc) ^ second) ^ third;
  }
  for (; length >= 8; length -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    crc = OMEN_CRC32C_64(crc, word);
  }
  for (; length > 0; --length) crc = OMEN_CRC32C_8(crc, *p++);
  return ~crc;
}
#endif

}  // namespace

uint32_t crc32c_by_tables(uint32_t crc, const void* data, size_t length) {
  const auto* p = static_cast<const unsigned char*>(data);
  crc = ~crc;
  for (; length >= 8; length -= 8, p += 8) {
    const uint32_t low = crc ^ load_32(p);
    const uint32_t high = load_32(p + 4);
    crc = kTables[7][low & 0xFF] ^ kTables[6][low >> 8 & 0xFF] ^ kTables[5][low >> 16 & 0xFF] ^
          kTables[4][low >> 24] ^ kTables[3][high & 0xFF] ^ kTables[2][high >> 8 & 0xFF] ^
          kTables[1][high >> 16 & 0xFF] ^ kTables[0][high >> 24];
  }
  for (; length > 0; --length) crc = (crc >> 8) ^ kTables[0][(crc ^ *p++) & 0xFF];
  return ~crc;
}

uint32_t crc32c(uint32_t crc, const void* data, size_t length) {
#if defined(OMEN_CRC32C_INSTRUCTION)
  static const bool has = has_instruction();
  if (has) return by_instruction(crc, static_cast<const unsigned char*>(data), length);
#endif
  return crc32c_by_tables(crc, data, length);
}

}  // namespace omen
