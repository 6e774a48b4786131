// What an x86-64 processor and its system offer, asked of the processor itself: __builtin_cpu_supports needs the
// compiler's runtime library, and with zig's it answers that nothing is supported.
#pragma once

namespace pairdex {

// True where the processor has the instructions and the system saves the registers that they use.
struct X86Features {
  bool avx2;              // with FMA and F16C
  bool avx512;            // F, BW, VL, DQ and VNNI, and all of `avx2`
  bool avx512_vpopcntdq;  // and all of `avx512`; Cascade Lake lacks it
  bool avx_vnni;          // and all of `avx2`
  bool amx;               // tiles and INT8, and all of `avx512`; the system must still grant the process its tiles
};

X86Features x86_features();

}  // namespace pairdex
