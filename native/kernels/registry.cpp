// Which kernels this processor can run.
#include <vector>

#include "kernels/kernel.hpp"

#ifdef PAIRDEX_X86
#include "kernels/x86_features.hpp"
#endif
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
#endif

std::vector<Kernel> detect() {
  std::vector<Kernel> usable;
#ifdef PAIRDEX_X86
  const X86Features has = x86_features();
  const BitKernel* bits = has.avx512_vpopcntdq ? &kAvx512Bits : &kAvx2Bits;
#ifdef PAIRDEX_AMX
  if (has.amx && amx_granted())
    usable.push_back(
        {"amx", &kAvx512Rows, &kAmxCodes, &kAvx512Nibbles, bits, &kAvx512Points, &kAvx512Join, &kAvx512Graph});
#endif
  if (has.avx512)
    usable.push_back(
        {"avx512", &kAvx512Rows, &kAvx512Codes, &kAvx512Nibbles, bits, &kAvx512Points, &kAvx512Join, &kAvx512Graph});
#ifdef PAIRDEX_AVX_VNNI
  if (has.avx_vnni)
    usable.push_back({"avxvnni", &kAvx2Rows, &kAvxVnniCodes, &kAvx2Nibbles, &kAvx2Bits, &kAvx2Points, &kAvxVnniJoin,
                      &kAvxVnniGraph});
#endif
  if (has.avx2)
    usable.push_back(
        {"avx2", &kAvx2Rows, &kAvx2Codes, &kAvx2Nibbles, &kAvx2Bits, &kAvx2Points, &kAvx2Join, &kAvx2Graph});
#endif
#ifdef PAIRDEX_ARM
#ifdef __linux__
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0)
    usable.push_back({"neondot", &kNeonRows, &kNeonDotCodes, &kNeonDotNibbles, &kNeonBits, &kNeonPoints, &kNeonDotJoin,
                      &kNeonDotGraph});
#endif
  usable.push_back({"neon", &kNeonRows, &kNeonCodes, &kNeonNibbles, &kNeonBits, &kNeonPoints, &kNeonJoin, &kNeonGraph});
#endif
  usable.push_back({"scalar", &kScalarRows, &kScalarCodes, &kScalarNibbles, &kScalarBits, &kScalarPoints, &kScalarJoin,
                    &kScalarGraph});
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
