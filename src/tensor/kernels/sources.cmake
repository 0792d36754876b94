# The files that are compiled once for each instruction set, each time with
# -DMNI_ISA=<baseline|avx2|avx512|neon> -O2 -fno-trapping-math -fno-math-errno -ffp-contract=fast
# (-std=c11 would turn contraction off, and with it fused multiply-add) and the flags of that set:
# avx2 -march=x86-64-v3 -mtune=generic, avx512 -march=x86-64-v4 -mtune=generic
# -mprefer-vector-width=512, baseline beside these -Os, baseline elsewhere and neon (the baseline of
# aarch64) none. On x86-64 all of baseline, avx2 and avx512 are built, on aarch64 neon alone,
# elsewhere baseline alone: kernels.c, an ordinary source, refers to exactly these.
set(MNI_KERNEL_SOURCES
    src/tensor/kernels/kernels_isa.c
    src/tensor/kernels/direct_isa.c
    src/tensor/kernels/gemm_isa.c
    src/tensor/kernels/norm_isa.c
    src/tensor/kernels/pool_isa.c
    src/tensor/kernels/recurrent_isa.c
    src/tensor/kernels/winograd_isa.c
    src/optim/loops_isa.c)

# The same but with -ffp-contract=off: random draws have the same bits on every set.
set(MNI_KERNEL_EXACT_SOURCES
    src/tensor/kernels/random_isa.c)

