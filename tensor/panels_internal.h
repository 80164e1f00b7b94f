/* The micro-kernels behind tensor/panels.h: what panels.c and its tests know of them. */
#ifndef REEL_TENSOR_PANELS_INTERNAL_H
#define REEL_TENSOR_PANELS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

/* The sizes of panels. */
static inline int64_t round_up(int64_t value, int64_t step)
{
    return (value + step - 1) / step * step;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A micro-kernel multiplies two packed panels into a tile of `out`: rows [<= narrow.width] come from a
 * narrow panel, columns [wide.width] from a wide one. Weights are packed as wide panels, which pass by
 * once per product while the few rows of the other operand stay in the caches. */
typedef struct TensorPanelsSide {
    int64_t width;  /* elements of a panel at one place of the inner axis */
    int64_t packed; /* floats from there to the next place */
    int64_t unit;   /* that many elements are read together: what a panel lacks is 0 up to a multiple of it */
} TensorPanelsSide;

typedef struct TensorPanelsKernel {
    const char *name;
    TensorPanelsSide narrow, wide;
    int64_t k_block;      /* the longest inner axis of a panel */
    int64_t narrow_block; /* rows of out whose panels stay in the L2 cache together */
    /* out[i, j] = sum over k of narrow[k, i] wide[k, j], added to out[i, j] where `add`. Rows of out are
     * contiguous. Every element is one chain of operations in the order of k, whatever the size of the tile.
     * The next two panels are a hint. */
    void (*run)(int64_t depth, int64_t rows, int64_t columns, const float *narrow, const float *wide,
                bool add, float *out, int64_t row_stride, const float *next_narrow, const float *next_wide);
    /* The same for few rows over panels that lie `panel_stride` floats apart and whose columns are side by
     * side in out: from the first one on, to as many as it returns, 0 where rows are not few. May be NULL. */
    int64_t (*run_few)(int64_t depth, int64_t rows, int64_t panels, const float *narrow, const float *wide,
                       int64_t panel_stride, bool add, float *out, int64_t row_stride);
} TensorPanelsKernel;

/* Tiles have at most that many elements. */
enum { PANELS_MAX_TILE = 1024 };

/* The one in use: the best that this processor has, or what the environment variable REEL_PANELS names.
 * NULL: none, only the fallback works. */
const TensorPanelsKernel *tensor_panels_kernel(void);
/* Tests: takes "avx512", "avx2", "blis" or "none" from now on; false where the processor (or the BLIS at
 * hand) lacks it. Not while other threads compute. Panels that were packed before stay valid. */
bool tensor_panels_set_kernel(const char *name);

/* Tests: forces the fallback to bli_sgemm (true) or lets the panels be used (false). */
void tensor_panels_force_fallback(bool force);

#endif
