// Which kernels this processor can run.
#include <vector>

#include "kernels/kernel.hpp"

#if defined(PAIRDEX_X86) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(PAIRDEX_ARM) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace pairdex {
namespace {

#ifdef PAIRDEX_AMX
// AMX tiles are off until the process asks for them: once, for all its later threads.
bool amx_granted() {
#ifdef __linux__
  constexpr long kRequestPermission = 0x1023;
  constexpr unsigned kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool has_amx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 7;
  asm("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(7), "c"(0));
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
  return (edx & kTile) != 0 && (edx & kInt8) != 0 && amx_granted();
}

#endif

#ifdef PAIRDEX_AVX_VNNI
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  asm("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(7), "c"(1));
  return (eax & 1u << 4) != 0;
}
#endif

std::vector<Kernel> detect() {
  std::vector<Kernel> usable;
#ifdef PAIRDEX_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
  // Cascade Lake has no instruction that counts the bits of a vector.
  const bool counts = avx512 && __builtin_cpu_supports("avx512vpopcntdq");
  const BitKernel* bits = counts ? &kAvx512Bits : &kAvx2Bits;
#ifdef PAIRDEX_AMX
  if (avx512 && has_amx()) usable.push_back({"amx", &kAvx512Rows, &kAmxCodes, &kAvx512Nibbles, bits, &kAvx512Points, &kAvx512Join});
#endif
  if (avx512) usable.push_back({"avx512", &kAvx512Rows, &kAvx512Codes, &kAvx512Nibbles, bits, &kAvx512Points, &kAvx512Join});
#ifdef PAIRDEX_AVX_VNNI
  if (avx2 && has_avx_vnni())
    usable.push_back({"avxvnni", &kAvx2Rows, &kAvxVnniCodes, &kAvx2Nibbles, &kAvx2Bits, &kAvx2Points, &kAvxVnniJoin});
#endif
  if (avx2) usable.push_back({"avx2", &kAvx2Rows, &kAvx2Codes, &kAvx2Nibbles, &kAvx2Bits, &kAvx2Points, &kAvx2Join});
#endif
#ifdef PAIRDEX_ARM
#ifdef __linux__
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0)
    usable.push_back({"neondot", &kNeonRows, &kNeonDotCodes, &kNeonDotNibbles, &kNeonBits, &kNeonPoints, &kNeonDotJoin});
#endif
  usable.push_back({"neon", &kNeonRows, &kNeonCodes, &kNeonNibbles, &kNeonBits, &kNeonPoints, &kNeonJoin});
#endif
  usable.push_back({"scalar", &kScalarRows, &kScalarCodes, &kScalarNibbles, &kScalarBits, &kScalarPoints, &kScalarJoin});
  return usable;
}

}  // namespace

std::span<const Kernel> usable_kernels() {
  static const std::vector<Kernel> usable = detect();
  return usable;
}

const Kernel* find_kernel(std::string_view name) {
  for (const Kernel& kernel : usable_kernels()) {
    if (name.empty() || kernel.name == name) return &kernel;
  }
  return nullptr;
}

}  // namespace pairdex
