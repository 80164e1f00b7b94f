/* A gated memory cell's pointwise part (Hochreiter & Schmidhuber 1997, with forget gate) for one type.
 * op_cell.c defines REAL, NAME(), FUSED(a, b, c) for a b + c, and SIGMOID() and TANH() of arrays, and
 * includes this. */
#ifndef REAL
#error "op_cell_loops_internal.h is included by op_cell.c only"
#endif

/* What is not given. */
static const REAL NAME(zeros)[CELL_BLOCK];

typedef struct NAME(Gates) {
    REAL *i, *f, *g, *o;
} NAME(Gates);

/* In two passes: in one, the chain of dependent operations from a gate to tanh(c) is so long that the
 * processor waits for it (1.5 times the time). */
TENSOR_INLINE void NAME(memory_block)(REAL *restrict i, REAL *restrict f, REAL *restrict g, REAL *restrict o,
                                      const REAL *restrict c_prev, REAL *restrict c, REAL *restrict tanh_c,
                                      REAL *restrict h, size_t n, bool fma)
{
    (void)fma;
    for (size_t k = 0; k < n; k++) {
        i[k] = SIGMOID(i[k]);
        f[k] = SIGMOID(f[k]);
        g[k] = TANH(g[k]);
        o[k] = SIGMOID(o[k]);
        c[k] = FUSED(f[k], c_prev[k], i[k] * g[k]);
    }
    for (size_t k = 0; k < n; k++) {
        tanh_c[k] = TANH(c[k]);
        h[k] = o[k] * tanh_c[k];
    }
}

/* The gates are pre-activations on entry and activated on return; c = f c_prev + i g, tanh_c = tanh(c),
 * h = o tanh_c. c_prev may be NULL, meaning zeros. */
TENSOR_INLINE void NAME(memory_loop)(NAME(Gates) a, const REAL *c_prev, REAL *c, REAL *tanh_c, REAL *h,
                                     size_t n, bool fma)
{
    for (size_t at = 0; at < n; at += CELL_BLOCK)
        NAME(memory_block)
    (a.i + at, a.f + at, a.g + at, a.o + at, c_prev ? c_prev + at : NAME(zeros), c + at, tanh_c + at, h + at,
     n - at < CELL_BLOCK ? n - at : CELL_BLOCK, fma);
}

/* With a = sigmoid(x), da/dx = a (1 - a); with a = tanh(x), (1 - a) (1 + a). */
TENSOR_INLINE void NAME(memory_backward_block)(const REAL *restrict i, const REAL *restrict f,
                                               const REAL *restrict g, const REAL *restrict o,
                                               const REAL *restrict c_prev, const REAL *restrict tanh_c,
                                               const REAL *restrict dh, const REAL *restrict dc,
                                               REAL *restrict di, REAL *restrict df, REAL *restrict dg,
                                               REAL *restrict do_, REAL *restrict dc_prev, size_t n, bool fma)
{
    (void)fma;
    for (size_t k = 0; k < n; k++) {
        REAL cell = FUSED(dh[k] * o[k], (1 - tanh_c[k]) * (1 + tanh_c[k]), dc[k]);
        di[k] = cell * g[k] * (i[k] * (1 - i[k]));
        df[k] = cell * c_prev[k] * (f[k] * (1 - f[k]));
        dg[k] = cell * i[k] * ((1 - g[k]) * (1 + g[k]));
        do_[k] = dh[k] * tanh_c[k] * (o[k] * (1 - o[k]));
        dc_prev[k] = cell * f[k];
    }
}

/* From dh and dc to the pre-activations' gradients d and to dc_prev; `a` are the activated gates. c_prev, dh
 * and dc may be NULL, meaning zeros. */
TENSOR_INLINE void NAME(memory_backward_loop)(NAME(Gates) a, const REAL *c_prev, const REAL *tanh_c,
                                              const REAL *dh, const REAL *dc, NAME(Gates) d, REAL *dc_prev,
                                              size_t n, bool fma)
{
    for (size_t at = 0; at < n; at += CELL_BLOCK)
        NAME(memory_backward_block)
    (a.i + at, a.f + at, a.g + at, a.o + at, c_prev ? c_prev + at : NAME(zeros), tanh_c + at,
     dh ? dh + at : NAME(zeros), dc ? dc + at : NAME(zeros), d.i + at, d.f + at, d.g + at, d.o + at,
     dc_prev + at, n - at < CELL_BLOCK ? n - at : CELL_BLOCK, fma);
}

static NAME(Gates) NAME(gates_of)(Tensor row, int64_t r, const VarGateOrder *order)
{
    REAL *at = op_row(row, r);
    int64_t hidden = row.shape[1] / 4;
    return (NAME(Gates)){.i = at + order->input * hidden,
                         .f = at + order->forget * hidden,
                         .g = at + order->cell * hidden,
                         .o = at + order->output * hidden};
}

/* ---- A gated recurrent unit's pointwise part (Cho et al. 2014) ---- */

typedef struct NAME(Unit) {
    REAL *r, *z, *n;
} NAME(Unit);

TENSOR_INLINE void NAME(unit_block)(REAL *restrict r, REAL *restrict z, REAL *restrict n,
                                    const REAL *restrict u_r, const REAL *restrict u_z,
                                    const REAL *restrict u_n, const REAL *restrict h_prev, REAL *restrict h,
                                    size_t count, bool fma)
{
    (void)fma;
    for (size_t k = 0; k < count; k++) {
        r[k] = SIGMOID(r[k] + u_r[k]);
        z[k] = SIGMOID(z[k] + u_z[k]);
    }
    for (size_t k = 0; k < count; k++) {
        n[k] = TANH(n[k] + r[k] * u_n[k]);
        h[k] = n[k] + z[k] * (h_prev[k] - n[k]);
    }
}

/* `a` holds x on entry, what is activated on return; h_prev may be NULL, meaning zeros. */
TENSOR_INLINE void NAME(unit_loop)(NAME(Unit) a, NAME(Unit) u, const REAL *h_prev, REAL *h, size_t n,
                                   bool fma)
{
    for (size_t at = 0; at < n; at += CELL_BLOCK)
        NAME(unit_block)
    (a.r + at, a.z + at, a.n + at, u.r + at, u.z + at, u.n + at, h_prev ? h_prev + at : NAME(zeros), h + at,
     n - at < CELL_BLOCK ? n - at : CELL_BLOCK, fma);
}

TENSOR_INLINE void NAME(unit_backward_block)(const REAL *restrict r, const REAL *restrict z,
                                             const REAL *restrict n, const REAL *restrict u_n,
                                             const REAL *restrict h_prev, const REAL *restrict dh,
                                             REAL *restrict dx_r, REAL *restrict dx_z, REAL *restrict dx_n,
                                             REAL *restrict du_r, REAL *restrict du_z, REAL *restrict du_n,
                                             REAL *restrict dh_prev, size_t count, bool fma)
{
    (void)fma;
    for (size_t k = 0; k < count; k++) {
        REAL old = dh[k] * z[k], fresh = (dh[k] - old) * ((1 - n[k]) * (1 + n[k]));
        dx_n[k] = fresh;
        du_n[k] = fresh * r[k];
        dx_r[k] = du_r[k] = fresh * u_n[k] * (r[k] * (1 - r[k]));
        dx_z[k] = du_z[k] = dh[k] * (h_prev[k] - n[k]) * (z[k] * (1 - z[k]));
        dh_prev[k] = old;
    }
}

TENSOR_INLINE void NAME(unit_backward_loop)(NAME(Unit) a, const REAL *u_n, const REAL *h_prev, const REAL *dh,
                                            NAME(Unit) dx, NAME(Unit) du, REAL *dh_prev, size_t n, bool fma)
{
    for (size_t at = 0; at < n; at += CELL_BLOCK)
        NAME(unit_backward_block)
    (a.r + at, a.z + at, a.n + at, u_n + at, h_prev ? h_prev + at : NAME(zeros), dh + at, dx.r + at,
     dx.z + at, dx.n + at, du.r + at, du.z + at, du.n + at, dh_prev + at,
     n - at < CELL_BLOCK ? n - at : CELL_BLOCK, fma);
}

static NAME(Unit) NAME(unit_of)(Tensor row, int64_t r)
{
    REAL *at = op_row(row, r);
    int64_t hidden = row.shape[1] / 3;
    return (NAME(Unit)){at, at + hidden, at + 2 * hidden};
}
