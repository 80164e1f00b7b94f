#include "tensor/blis_internal.h"

/* Debian puts the header straight into the include path, BLIS's own installation into a folder. */
#if __has_include(<blis.h>)
#include <blis.h>
#else
#include <blis/blis.h>
#endif

#include <stdio.h>
#include <stdlib.h>

/* BLIS knows processors by family, model and the name they give themselves, so that 0.9 takes kernels for
 * AVX2, or generic ones, on many that have AVX-512: new ones, and virtual machines without a name. What a
 * processor has is asked here instead. BLIS can be told by an environment variable alone, which it reads
 * once, when it is initialised. That is therefore done as Reel is loaded: in a program that is linked with
 * it no other thread exists yet that could read the environment while it is written, and no program that is
 * started later inherits the variable (Valgrind would run it without AVX-512). A BLIS_ARCH_TYPE that the user
 * has set stays. BLIS reads a number, that of its header (AMD's fork also reads names). Asked for kernels
 * that it was built without it ends the process, so the header is asked for these, too. */
#if defined __x86_64__ && defined BLIS_CONFIG_SKX
__attribute__((constructor)) static void choose_kernels(void)
{
    char number[16];
    snprintf(number, sizeof number, "%d", BLIS_ARCH_SKX);
    __builtin_cpu_init();
    if (getenv("BLIS_ARCH_TYPE") || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        setenv("BLIS_ARCH_TYPE", number, 0) != 0)
        return;
    bli_init();
    unsetenv("BLIS_ARCH_TYPE");
}
#endif

void tensor_blis_multiply(TensorDtype dtype, int64_t m, int64_t n, int64_t k, double alpha, const void *a,
                          int64_t a_row, int64_t a_column, const void *b, int64_t b_row, int64_t b_column,
                          double beta, void *c, int64_t c_row, int64_t c_column)
{
    rntm_t runtime = BLIS_RNTM_INITIALIZER; /* bli_rntm_init() is another function since BLIS 1.0 */
    bli_rntm_set_num_threads(1, &runtime);
    bli_rntm_disable_l3_sup(&runtime);
    if (dtype == TENSOR_F32) {
        float alpha_f32 = (float)alpha, beta_f32 = (float)beta;
        bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha_f32, (float *)a, a_row, a_column,
                     (float *)b, b_row, b_column, &beta_f32, c, c_row, c_column, NULL, &runtime);
    } else {
        bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &alpha, (double *)a, a_row, a_column,
                     (double *)b, b_row, b_column, &beta, c, c_row, c_column, NULL, &runtime);
    }
}
