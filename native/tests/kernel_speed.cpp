// How fast each kernel multiplies codes, beside the peak of VPDPBUSD measured in the same run on one thread.
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
// Only the instruction, on registers: 20 independent sums hide its latency.
double vnni_peak() {
  constexpr long kRounds = 2'000'000;
  const double seconds = fastest([] {
    asm volatile(
        "mov %0, %%rax\n1:\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm0\n vpdpbusd %%zmm30, %%zmm31, %%zmm1\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm2\n vpdpbusd %%zmm30, %%zmm31, %%zmm3\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm4\n vpdpbusd %%zmm30, %%zmm31, %%zmm5\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm6\n vpdpbusd %%zmm30, %%zmm31, %%zmm7\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm8\n vpdpbusd %%zmm30, %%zmm31, %%zmm9\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm10\n vpdpbusd %%zmm30, %%zmm31, %%zmm11\n"
        "dec %%rax\n jnz 1b\n vzeroupper\n" ::"r"(kRounds)
        : "rax", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
          "xmm11");
  });
  return 12.0 * 128.0 * kRounds / seconds / 1e9;
}
#endif

double dots_speed(const Kernel& kernel, std::size_t length, std::size_t n_queries) {
  constexpr std::size_t kGroups = 8;
  const std::vector<std::uint8_t> codes(kGroups * kGroupRows * length, 3);
  const std::vector<std::int8_t> queries(whole_blocks(n_queries) * length, 5);
  std::vector<std::int32_t> out(whole_blocks(n_queries) * kGroupRows);
  const std::size_t rounds = 1 + 20'000'000 / (kGroups * length * n_queries);
  kernel.codes->enter();
  const double seconds = fastest([&] {
    for (std::size_t i = 0; i < rounds * kGroups; ++i) {
      const std::uint8_t* group = codes.data() + i % kGroups * kGroupRows * length;
      kernel.codes->dots(group, length, queries.data(), n_queries, out.data());
    }
  });
  kernel.codes->leave();
  const auto products = static_cast<double>(rounds * kGroups * kGroupRows * length * n_queries);
  return 2.0 * products / seconds / 1e9;
}

}  // namespace

int main() {
  double peak = 0.0;
#ifdef PAIRDEX_X86
  if (find_kernel("avx512") != nullptr) peak = vnni_peak();
  std::printf("VPDPBUSD peak, one thread: %.0f GOP/s\n", peak);
#endif
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t length : {128u, 384u}) {
      const double speed = dots_speed(kernel, length, 128);
      std::printf("%.*s, %zu bytes a row, 128 queries: %.0f GOP/s", static_cast<int>(kernel.name.size()),
                  kernel.name.data(), length, speed);
      std::printf(peak > 0.0 ? ", %.0f %% of that peak\n" : "\n", 100.0 * speed / peak);
    }
  }
}
