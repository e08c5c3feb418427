// Nanoseconds per call of every kernel, for every table that this processor runs, with the inputs
// in the first-level cache. Row kernels are timed over 16 rows and given per row.
//
// Why: the kernels are the hot loops; a change of one is judged here before it is judged by
// searches. Each figure is the least of several rounds, since other work on the machine can only
// add time. Arguments: names of tables to run; all without any.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "base/random.h"
#include "simd/kernels.h"

namespace {

using omen::Random;
using omen::simd::Kernels;
using omen::simd::Weights;

constexpr size_t kDims[] = {128, 256, 784};
constexpr size_t kRows = 16;
constexpr size_t kPool = 64;

volatile double g_sink;  // Keeps results in use.

// The least nanoseconds per call over 40 rounds, each short enough to fall between interruptions.
double time_ns(const std::function<void(size_t)>& calls) {
  using Clock = std::chrono::steady_clock;
  const auto run = [&](size_t n) {
    const auto start = Clock::now();
    calls(n);
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  };
  size_t n = 16;
  while (run(n) < 1e5 && n < (size_t{1} << 24)) n *= 2;
  n = static_cast<size_t>(2e5 / (run(n) / static_cast<double>(n))) + 1;
  double best = INFINITY;
  for (int round = 0; round < 40; ++round) best = std::fmin(best, run(n) / static_cast<double>(n));
  return best;
}

// Inputs of one dimension; alignment as in the engine's pages.
struct Inputs {
  explicit Inputs(size_t n) : n(n), padded((n + 63) / 64 * 64) {
    Random random(n);
    const size_t stride = padded + 64;
    floats.resize(stride * (kRows + 4));
    for (float& x : floats) x = static_cast<float>(random.unit() * 2 - 1);
    bytes.resize(stride * (kRows + 4));
    for (uint8_t& x : bytes) x = static_cast<uint8_t>(random.next());
    for (size_t i = 0; i < kRows; ++i) {
      float_rows.push_back(aligned(floats.data()) + i * padded);
      code_rows.push_back(aligned(bytes.data()) + i * padded);
      int8_rows.push_back(reinterpret_cast<const int8_t*>(code_rows.back()));
    }
    low.assign(n, -1.0f);
    step.assign(n, 2.0f / 255);
    inverse.assign(n, 255.0f / 2);
    w.resize(padded + 64);
    hi.resize(padded + 64);
    lo.resize(padded + 64);
    code.resize(padded);
    copy.resize(padded);
  }
  template <class T>
  static T* aligned(T* p) {
    return reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(p) + 63) & ~uintptr_t{63});
  }
  Weights weights() {
    return {aligned(w.data()), aligned(hi.data()), aligned(lo.data())};
  }

  size_t n;
  size_t padded;
  std::vector<float> floats, low, step, inverse, copy;
  std::vector<uint8_t> bytes, code;
  std::vector<int16_t> w;
  std::vector<int8_t> hi, lo;
  std::vector<const float*> float_rows;
  std::vector<const uint8_t*> code_rows;
  std::vector<const int8_t*> int8_rows;
};

struct Line {
  const char* name;
  double ns[std::size(kDims)];
};

// Times `call(i)` for i = 0, 1, ...; divided by `per`.
template <class Call>
double ns_of(Call call, double per = 1) {
  return time_ns([&](size_t calls) {
           double sum = 0;
           for (size_t i = 0; i < calls; ++i) sum += static_cast<double>(call(i));
           g_sink = sum;
         }) /
         per;
}

template <class Kernel, class Row>
double ns_of_pairs(Kernel kernel, const std::vector<const Row*>& rows, size_t n) {
  return ns_of([&](size_t i) { return kernel(rows[0], rows[i % kRows], n); });
}

template <class Out, class Kernel, class Row>
double ns_of_rows(Kernel kernel, const std::vector<const Row*>& rows, size_t n) {
  Out out[kRows];
  return ns_of(
      [&](size_t) {
        kernel(rows[0], rows.data(), kRows, n, out);
        return out[kRows - 1];
      },
      kRows);
}

void time_distances(const Kernels& k, Inputs& in, std::vector<double>& ns) {
  const size_t n = in.n;
  ns.push_back(ns_of_pairs(k.l2_f32, in.float_rows, n));
  ns.push_back(ns_of_pairs(k.dot_f32, in.float_rows, n));
  ns.push_back(ns_of_pairs(k.cosine_f32, in.float_rows, n));
  ns.push_back(ns_of_rows<float>(k.l2_f32_rows, in.float_rows, n));
  ns.push_back(ns_of_rows<float>(k.dot_f32_rows, in.float_rows, n));
  ns.push_back(ns_of_rows<float>(k.cosine_f32_rows, in.float_rows, n));
  ns.push_back(ns_of_pairs(k.l2_i8, in.int8_rows, n));
  ns.push_back(ns_of_pairs(k.dot_i8, in.int8_rows, n));
  ns.push_back(ns_of_pairs(k.cosine_i8, in.int8_rows, n));
  ns.push_back(ns_of_rows<int32_t>(k.l2_i8_rows, in.int8_rows, n));
  ns.push_back(ns_of_rows<int32_t>(k.dot_i8_rows, in.int8_rows, n));
  ns.push_back(ns_of_rows<float>(k.cosine_i8_rows, in.int8_rows, n));
}

void time_codes(const Kernels& k, Inputs& in, std::vector<double>& ns) {
  const size_t n = in.n;
  const Weights weights = in.weights();
  auto* w = const_cast<int16_t*>(weights.w);
  auto* hi = const_cast<int8_t*>(weights.hi);
  auto* lo = const_cast<int8_t*>(weights.lo);
  k.make_weights(in.float_rows[0], 1000, n, w, hi, lo);
  ns.push_back(ns_of([&](size_t i) { return k.dot_u8(weights, in.code_rows[i % kRows], n); }));
  int32_t out[kRows];
  ns.push_back(ns_of(
      [&](size_t) {
        k.dot_u8_rows(weights, in.code_rows.data(), kRows, n, out);
        return out[0];
      },
      kRows));
  ns.push_back(ns_of([&](size_t i) { return k.norm_f32(in.float_rows[i % kRows], n); }));
  ns.push_back(ns_of(
      [&](size_t i) { return k.copy_norm_f32(in.copy.data(), in.float_rows[i % kRows], n); }));
  const Kernels::Quantizer quantizer = {in.low.data(), in.step.data(), in.inverse.data()};
  ns.push_back(ns_of([&](size_t i) {
    return k.quantize_u8(quantizer, in.float_rows[i % kRows], 1.0f, n, in.code.data());
  }));
  ns.push_back(ns_of([&](size_t i) {
    k.make_weights(in.float_rows[i % kRows], 1000, n, w, hi, lo);
    return w[0];
  }));
  ns.push_back(ns_of([&](size_t i) {
    k.code_weights(in.code_rows[i % kRows], in.step.data(), 100, n, w, hi, lo);
    return w[0];
  }));
}

// Codes of a bit or two take what dimensions are padded to, the transform a power of two of them.
void time_bits(const Kernels& k, Inputs& in, std::vector<double>& ns) {
  const size_t n = (in.n + 63) / 64 * 64;
  const std::vector<int8_t> q(n, 77);
  const std::vector<uint8_t> code(n / 4, 0x5A);
  const std::vector<const uint8_t*> rows(kRows, code.data());
  int32_t out[kRows];
  for (const auto dot_rows : {k.dot_u1_rows, k.dot_u2_rows}) {
    ns.push_back(ns_of(
        [&](size_t) {
          dot_rows(q.data(), rows.data(), kRows, n, out);
          return out[0];
        },
        kRows));
  }
  std::vector<float> x(std::bit_floor(n));
  ns.push_back(ns_of([&](size_t) {
    std::copy_n(in.float_rows[0], x.size(), x.begin());
    k.hadamard_f32(x.data(), x.size());
    return x[0];
  }));
}

// Steps of a search do not depend on dimensions: lists of 32, a pool of 64.
void print_steps(const Kernels& k) {
  Random random(5);
  std::vector<uint32_t> ids(32 * 64), out(32);
  for (uint32_t& id : ids) id = static_cast<uint32_t>(random.below(100000));
  std::vector<uint64_t> visited(100000 / 64 + 1);
  for (uint64_t& word : visited) word = random.next();
  const std::vector<uint64_t> fresh = visited;
  const double gather = ns_of([&](size_t i) {
    if (i % 64 == 0) visited = fresh;
    return k.gather_unvisited(ids.data() + i % 64 * 32, 32, visited.data(), out.data());
  });
  std::vector<float> d(4096);
  for (float& x : d) x = static_cast<float>(random.unit());
  const double mask = ns_of([&](size_t i) { return k.mask_below(&d[i % 4000], 32, 0.5f); });
  std::vector<float> distances(kPool + 16);
  std::vector<uint32_t> pool_ids(kPool + 16);
  size_t size = 0;
  const double pool = ns_of([&](size_t i) {
    // Distances sink slowly, so that most inserts land somewhere in the middle.
    const float x = d[i % 4096] - static_cast<float>(i % 4096) * 1e-2f;
    if (i % 4096 == 0) size = 0;
    const size_t at =
        k.pool_insert(distances.data(), pool_ids.data(), size, kPool, x, static_cast<uint32_t>(i));
    size += size < kPool;
    return at;
  });
  std::printf("  gather_unvisited(32) %.1f ns   mask_below(32) %.1f ns   pool_insert(64) %.1f ns\n",
              gather, mask, pool);
}

void print_table(const Kernels& k) {
  static const char* const kNames[] = {
      "l2_f32",       "dot_f32",        "cosine_f32",    "l2_f32_rows",  "dot_f32_rows",
      "cosine_f32_rows", "l2_i8",       "dot_i8",        "cosine_i8",    "l2_i8_rows",
      "dot_i8_rows",  "cosine_i8_rows", "dot_u8",        "dot_u8_rows",  "norm_f32",
      "copy_norm_f32", "quantize_u8",   "make_weights",  "code_weights",
      "dot_u1_rows",  "dot_u2_rows",    "hadamard_f32"};
  std::vector<double> columns[std::size(kDims)];
  for (size_t c = 0; c < std::size(kDims); ++c) {
    Inputs in(kDims[c]);
    time_distances(k, in, columns[c]);
    time_codes(k, in, columns[c]);
    time_bits(k, in, columns[c]);
  }
  std::printf("\n%s%s%s: ns per call (rows: per row)\n  %-18s", k.name, *k.features ? " " : "",
              k.features, "dimensions");
  for (size_t n : kDims) std::printf("%10zu", n);
  std::printf("\n");
  for (size_t i = 0; i < std::size(kNames); ++i) {
    std::printf("  %-18s", kNames[i]);
    for (const auto& column : columns) std::printf("%10.1f", column[i]);
    std::printf("\n");
  }
  print_steps(k);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Kernels* const* t = omen::simd::available_kernels(); *t != nullptr; ++t) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted = wanted || std::strcmp(argv[i], (*t)->name) == 0;
    if (wanted) print_table(**t);
  }
  return 0;
}
