// How fast each kernel is on data in the first-level cache, beside the peak of its instruction (VPDPBUSD, VPOPCNTQ,
// VFMADD of 512 bits) measured in the same run on one thread.
//
//   cmake -S . -B build/speed -DPAIRDEX_TESTS=ON && cmake --build build/speed && build/speed/native/tests/kernel_speed
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernels/kernel.hpp"

using namespace pairdex;

namespace {

constexpr int kRuns = 7;

// Seconds of the fastest of a few runs.
template <typename Work>
double fastest(const Work& work) {
  double best = 1e9;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

#ifdef PAIRDEX_X86
// Times an instruction alone, on registers: 12 independent ones hide its latency.
#define PEAK(name, instruction)                                                                                     \
  double name() {                                                                                                   \
    constexpr long kRounds = 2'000'000;                                                                             \
    const double seconds = fastest([] {                                                                             \
      asm volatile("mov %0, %%rax\n1:\n" instruction("0") instruction("1") instruction("2") instruction("3")        \
                       instruction("4") instruction("5") instruction("6") instruction("7") instruction("8")         \
                           instruction("9") instruction("10") instruction("11") "dec %%rax\n jnz 1b\n vzeroupper\n" \
                   :                                                                                                \
                   : "r"(kRounds)                                                                                   \
                   : "rax", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",   \
                     "xmm10", "xmm11", "xmm15");                                                                    \
    });                                                                                                             \
    return 12.0 * kRounds / seconds / 1e9;                                                                          \
  }
#define VPDPBUSD(to) "vpdpbusd %%zmm15, %%zmm15, %%zmm" to "\n"
#define VPOPCNTQ(to) "vpopcntq %%zmm15, %%zmm" to "\n"
#define VFMADD(to) "vfmadd231ps %%zmm15, %%zmm15, %%zmm" to "\n"
// 10^9 instructions a second.
PEAK(vpdpbusd_peak, VPDPBUSD)
PEAK(vpopcntq_peak, VPOPCNTQ)
PEAK(vfmadd_peak, VFMADD)
#endif

// 10^9 operations a second of `dots` on groups of codes of `row_bytes` bytes a row.
template <typename CodeOrNibbleKernel>
double dots_speed(const CodeOrNibbleKernel& kernel, std::size_t row_bytes, std::size_t length, std::size_t n_queries) {
  constexpr std::size_t kGroups = 8;
  const std::vector<std::uint8_t> codes(kGroups * kGroupRows * row_bytes, 3);
  const std::vector<std::int8_t> queries(whole_blocks(n_queries) * length, 5);
  std::vector<std::int32_t> out(whole_blocks(n_queries) * kGroupRows);
  const std::size_t rounds = 1 + 20'000'000 / (kGroups * length * n_queries);
  const double seconds = fastest([&] {
    for (std::size_t i = 0; i < rounds * kGroups; ++i) {
      const std::uint8_t* group = codes.data() + i % kGroups * kGroupRows * row_bytes;
      kernel.dots(group, length, queries.data(), n_queries, out.data());
    }
  });
  const auto products = static_cast<double>(rounds * kGroups * kGroupRows * length * n_queries);
  return 2.0 * products / seconds / 1e9;
}

// 10^9 pairs of row and query a second, by tiles or row by row, that find nothing.
template <typename Value, typename Score>
double near_speed(const NearKernel<Value, Score>& kernel, std::size_t dim, std::size_t n_queries, bool by_tile) {
  const std::vector<Value> rows(kTileRows * dim, static_cast<Value>(3));
  const std::vector<Value> queries(n_queries * padded(dim), static_cast<Value>(4));
  const std::vector<Score> limits(n_queries, static_cast<Score>(0));
  std::vector<Near<Score>> found(kTileRows * n_queries);
  const std::size_t rounds = 1 + 20'000'000 / (dim * n_queries * kTileRows);
  const double seconds = fastest([&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      if (by_tile) {
        kernel.tile(rows.data(), dim, queries.data(), n_queries, limits.data(), found.data());
      } else {
        for (std::size_t q = 0; q < n_queries; ++q) {
          kernel.rows(rows.data(), kTileRows, dim, queries.data() + q * padded(dim), limits[q], found.data());
        }
      }
    }
  });
  return static_cast<double>(rounds * kTileRows * n_queries) / seconds / 1e9;
}

void print_speed(const char* what, double speed, const char* unit, double peak) {
  std::printf("  %s: %.2f %s", what, speed, unit);
  std::printf(peak > 0.0 ? ", %.0f %% of the peak\n" : "\n", 100.0 * speed / peak);
}

}  // namespace

int main() {
  double codes_peak = 0.0, bits_peak = 0.0, points_peak = 0.0;
#ifdef PAIRDEX_X86
  if (find_kernel("avx512") != nullptr) {
    codes_peak = 128.0 * vpdpbusd_peak();
    points_peak = 32.0 * vfmadd_peak();
    if (find_kernel("avx512")->bits == &kAvx512Bits) bits_peak = vpopcntq_peak() / 2.0;
  }
  std::printf("peaks, one thread: VPDPBUSD %.0f GOP/s, VPOPCNTQ %.2f G pairs of 1024 bits/s, VFMADD %.0f GFLOP/s\n",
              codes_peak, bits_peak, points_peak);
#endif
  for (const Kernel& kernel : usable_kernels()) {
    std::printf("%.*s\n", static_cast<int>(kernel.name.size()), kernel.name.data());
    kernel.codes->enter();
    print_speed("codes of 128 bytes, 128 queries", dots_speed(*kernel.codes, 128, 128, 128), "GOP/s", codes_peak);
    print_speed("codes of 384 bytes, 128 queries", dots_speed(*kernel.codes, 384, 384, 128), "GOP/s", codes_peak);
    kernel.codes->leave();
    for (const std::size_t n_queries : {1, 7, 128}) {
      std::printf("  %zu queries:\n", n_queries);
      print_speed("192 coordinates of 4 bits", dots_speed(*kernel.nibbles, 96, 192, n_queries), "GOP/s", codes_peak);
    }
    for (const bool by_tile : {true, false}) {
      const char* way = by_tile ? "by tiles" : "row by row";
      std::printf("  %s:\n", way);
      print_speed("1024 bits", near_speed(*kernel.bits, 16, 64, by_tile), "G pairs/s", bits_peak);
      print_speed("96 floats", 0.192 * near_speed(*kernel.points, 96, 64, by_tile) * 1e3, "GFLOP/s", points_peak);
    }
  }
}
