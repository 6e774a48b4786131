#include "kernels/x86_features.hpp"

#include <cpuid.h>

#include <cstdint>

namespace pairdex {
namespace {

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero where the processor does not know the leaf.
Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers found;
  if (__get_cpuid_count(leaf, subleaf, &found.eax, &found.ebx, &found.ecx, &found.edx) == 0) return {};
  return found;
}

// The sets of registers that the system saves when it switches between threads, one bit each.
std::uint64_t saved_registers(const Registers& basic) {
  constexpr unsigned kOsXsave = 1u << 27;
  if ((basic.ecx & kOsXsave) == 0) return 0;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

constexpr bool all(std::uint64_t value, std::uint64_t bits) { return (value & bits) == bits; }

}  // namespace

// Bits: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID; volume 1, 13.3 (XCR0).
X86Features x86_features() {
  constexpr std::uint64_t kYmm = 0x6, kZmm = 0xe0, kTiles = 0x60000;
  const Registers basic = cpuid(1, 0);
  const Registers extended = cpuid(7, 0);
  const std::uint64_t saved = saved_registers(basic);
  const bool avx2 = all(saved, kYmm) && all(basic.ecx, 1u << 12 | 1u << 28 | 1u << 29)  // FMA, AVX, F16C
                    && all(extended.ebx, 1u << 5);                                      // AVX2
  const bool avx512 = avx2 && all(saved, kZmm) && all(extended.ebx, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) &&
                      all(extended.ecx, 1u << 11);  // F, DQ, BW, VL; VNNI
  return {.avx2 = avx2,
          .avx512 = avx512,
          .avx512_vpopcntdq = avx512 && all(extended.ecx, 1u << 14),
          .avx_vnni = avx2 && all(cpuid(7, 1).eax, 1u << 4),
          .amx = avx512 && all(saved, kTiles) && all(extended.edx, 1u << 24 | 1u << 25)};  // TILE, INT8
}

}  // namespace pairdex
