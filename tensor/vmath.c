#include "tensor/vmath.h"
#include "tensor/vmath_table_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

/* NULL until the first use. Two threads may both choose; they choose the same. */
static _Atomic(const VmathTable *) table_in_use;

/* NULL where the processor lacks that level. */
static const VmathTable *table_of(VmathLevel level)
{
    if (level == VMATH_PORTABLE)
        return &vmath_portable_table;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return NULL;
    if (level == VMATH_AVX2)
        return &vmath_avx2_table;
    if (level == VMATH_AVX512 && __builtin_cpu_supports("avx512f"))
        return &vmath_avx512_table;
#endif
    return NULL;
}

static const VmathTable *choose(void)
{
    const char *wish = getenv("REEL_VMATH");
    for (int level = 0; wish && level < VMATH_LEVELS; level++)
        if (strcmp(wish, vmath_level_name(level)) == 0 && table_of(level))
            return table_of(level);
    for (int level = VMATH_LEVELS - 1; level > 0; level--)
        if (table_of(level))
            return table_of(level);
    return &vmath_portable_table;
}

static const VmathTable *table(void)
{
    const VmathTable *found = atomic_load_explicit(&table_in_use, memory_order_acquire);
    if (!found) {
        found = choose();
        atomic_store_explicit(&table_in_use, found, memory_order_release);
    }
    return found;
}

VmathLevel vmath_level(void)
{
    return table()->level;
}

const char *vmath_level_name(VmathLevel level)
{
    static const char *const names[VMATH_LEVELS] = {"portable", "avx2", "avx512"};
    return (unsigned)level < VMATH_LEVELS ? names[level] : "none";
}

bool vmath_set_level(VmathLevel level)
{
    const VmathTable *wanted = table_of(level);
    if (wanted)
        atomic_store_explicit(&table_in_use, wanted, memory_order_release);
    return wanted != NULL;
}

void vmath_exp(float *out, const float *x, size_t n)
{
    table()->exp(out, x, n);
}

void vmath_log(float *out, const float *x, size_t n)
{
    table()->log(out, x, n);
}

void vmath_tanh(float *out, const float *x, size_t n)
{
    table()->tanh(out, x, n);
}

void vmath_sigmoid(float *out, const float *x, size_t n)
{
    table()->sigmoid(out, x, n);
}

void vmath_softplus(float *out, const float *x, size_t n)
{
    table()->softplus(out, x, n);
}

void vmath_gated_memory(float *i, float *f, float *g, float *o, const float *c_prev, float *c, float *tanh_c,
                        float *h, size_t n)
{
    table()->gated_memory(i, f, g, o, c_prev, c, tanh_c, h, n);
}

void vmath_gated_memory_backward(const float *i, const float *f, const float *g, const float *o,
                                 const float *c_prev, const float *tanh_c, const float *dh, const float *dc,
                                 float *di, float *df, float *dg, float *do_, float *dc_prev, size_t n)
{
    table()->gated_memory_backward(i, f, g, o, c_prev, tanh_c, dh, dc, di, df, dg, do_, dc_prev, n);
}

void vmath_add(float *out, const float *a, const float *b, size_t n)
{
    table()->add(out, a, b, n);
}

void vmath_axpy(float *out, float alpha, const float *x, size_t n)
{
    table()->axpy(out, alpha, x, n);
}

void vmath_accumulate(double *sums, const float *x, size_t n)
{
    table()->accumulate(sums, x, n);
}

double vmath_sum(const float *x, size_t n)
{
    return table()->sum(x, n);
}

double vmath_sum_of_squares(const float *x, size_t n)
{
    return table()->sum_of_squares(x, n);
}

/* ---- Denormals ---- */

#if defined(__x86_64__)

enum { MXCSR_DENORMALS_ARE_ZERO = 0x0040, MXCSR_FLUSH_TO_ZERO = 0x8000 };

unsigned vmath_flush_denormals(void)
{
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | MXCSR_DENORMALS_ARE_ZERO | MXCSR_FLUSH_TO_ZERO);
    return mode;
}

void vmath_restore(unsigned mode)
{
    _mm_setcsr(mode);
}

#elif defined(__aarch64__)

enum { FPCR_FLUSH_TO_ZERO = 1 << 24 };

unsigned vmath_flush_denormals(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    __asm__ volatile("msr fpcr, %0" : : "r"(mode | FPCR_FLUSH_TO_ZERO));
    return (unsigned)mode;
}

void vmath_restore(unsigned mode)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode));
}

#else

unsigned vmath_flush_denormals(void)
{
    return 0;
}

void vmath_restore(unsigned mode)
{
    (void)mode;
}

#endif
