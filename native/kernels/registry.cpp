// Which kernels this processor can run.
#include <vector>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

std::vector<const Kernel*> detect() {
  std::vector<const Kernel*> usable;
#ifdef PAIRDEX_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    usable.push_back(&kAvx512);
  }
  if (avx2) usable.push_back(&kAvx2);
#endif
#ifdef PAIRDEX_ARM
  usable.push_back(&kNeon);
#endif
  usable.push_back(&kScalar);
  return usable;
}

}  // namespace

std::span<const Kernel* const> usable_kernels() {
  static const std::vector<const Kernel*> usable = detect();
  return usable;
}

const Kernel* find_kernel(std::string_view name) {
  for (const Kernel* kernel : usable_kernels()) {
    if (name.empty() || kernel->name == name) return kernel;
  }
  return nullptr;
}

}  // namespace pairdex
