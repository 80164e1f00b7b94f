/* The kernels of op_attention.c: see tensor/each_real.h. `fma` as in tensor/levels.h. Products and sums stay
 * apart, so that all versions give the same bits. */

/* Sums in eight lanes. */
typedef REAL FN(Lanes) __attribute__((vector_size(8 * sizeof(REAL))));

TENSOR_INLINE REAL FN(dot)(const REAL *a, const REAL *b, int64_t n)
{
    FN(Lanes) sum = {0}, x, y;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        sum += x * y;
    }
    for (; i < n; i++)
        sum[i & 7] += a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* hidden = tanh(query + key) */
TENSOR_INLINE void FN(tanh_of_sum)(REAL *restrict hidden, const REAL *restrict query,
                                   const REAL *restrict key, int64_t width, bool fma)
{
    for (int64_t j = 0; j < width; j++)
        hidden[j] = FN(tanh)(query[j] + key[j], fma);
}

TENSOR_INLINE REAL FN(score)(REAL *hidden, const REAL *query, const REAL *key, const REAL *v, int64_t width,
                             bool fma)
{
    FN(tanh_of_sum)(hidden, query, key, width, fma);
    return FN(dot)(hidden, v, width);
}

/* From the tanh in `hidden`: dv += g hidden; d = g v (1 - hidden^2), to dquery and dkey. */
TENSOR_INLINE void FN(score_backward)(REAL g, const REAL *restrict hidden, const REAL *restrict v,
                                      REAL *restrict dquery, REAL *restrict dkey, REAL *restrict dv,
                                      int64_t width)
{
    for (int64_t j = 0; j < width; j++) {
        REAL d = g * v[j] * (1 - hidden[j] * hidden[j]);
        dv[j] += g * hidden[j];
        dquery[j] += d;
        dkey[j] = d;
    }
}

TENSOR_INLINE void FN(scale)(REAL *restrict out, REAL factor, const REAL *restrict x, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = factor * x[j];
}

TENSOR_INLINE void FN(add_scaled)(REAL *restrict out, REAL factor, const REAL *restrict x, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        out[j] += factor * x[j];
}

/* Four of them, one after another, in one pass over `out`. */
TENSOR_INLINE void FN(add_four_scaled)(REAL *restrict out, const REAL *factor, const REAL *restrict a,
                                       const REAL *restrict b, const REAL *restrict c, const REAL *restrict d,
                                       int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        out[j] = out[j] + factor[0] * a[j] + factor[1] * b[j] + factor[2] * c[j] + factor[3] * d[j];
}

/* ---- Of a list of steps ---- */

TENSOR_INLINE void FN(step_scores_loop)(Tensor out, const Tensor *in, Tensor hidden, bool fma)
{
    int64_t count = out.shape[1];
    for (int64_t s = 0; s < count; s++)
        for (int64_t r = 0; r < out.shape[0]; r++)
            ((REAL *)out.data)[r * count + s] =
                FN(score)(hidden.data, op_row(in[SCORE_QUERY], r), op_row(in[SCORE_KEYS + s], r),
                          in[SCORE_V].data, hidden.shape[0], fma);
}

/* Of step s. */
TENSOR_INLINE void FN(step_score_gradients_loop)(Tensor dquery, Tensor dkey, Tensor dv, Tensor g, int64_t s,
                                                 const Tensor *in, Tensor hidden, bool fma)
{
    int64_t width = hidden.shape[0];
    for (int64_t r = 0; r < g.shape[0]; r++) {
        FN(tanh_of_sum)
        (hidden.data, op_row(in[SCORE_QUERY], r), op_row(in[SCORE_KEYS + s], r), width, fma);
        FN(score_backward)
        (((REAL *)g.data)[r * g.shape[1] + s], hidden.data, in[SCORE_V].data, op_row(dquery, r),
         op_row(dkey, r), dv.data, width);
    }
}

/* out = the sum over all steps, in their order; out is 0 before. */
TENSOR_INLINE void FN(weighted_sums_loop)(Tensor out, Tensor weights, const Tensor *values, bool fma)
{
    (void)fma;
    int64_t count = weights.shape[1], width = out.shape[1];
    for (int64_t r = 0; r < out.shape[0]; r++) {
        const REAL *weight = op_row(weights, r);
        int64_t s = 0;
        for (; s + 4 <= count; s += 4)
            FN(add_four_scaled)
        (op_row(out, r), weight + s, op_row(values[s], r), op_row(values[s + 1], r), op_row(values[s + 2], r),
         op_row(values[s + 3], r), width);
        for (; s < count; s++)
            FN(add_scaled)(op_row(out, r), weight[s], op_row(values[s], r), width);
    }
}

/* Of step s: its weights' gradients, and its value's. */
TENSOR_INLINE void FN(weighted_sum_gradients_loop)(Tensor dweights, Tensor dvalue, Tensor g, Tensor weights,
                                                   Tensor value, int64_t s, bool fma)
{
    (void)fma;
    int64_t width = g.shape[1];
    for (int64_t r = 0; r < g.shape[0]; r++) {
        const REAL *gradient = op_row(g, r);
        ((REAL *)dweights.data)[r * dweights.shape[1] + s] = FN(dot)(gradient, op_row(value, r), width);
        FN(scale)(op_row(dvalue, r), ((REAL *)op_row(weights, r))[s], gradient, width);
    }
}

/* ---- Of the rows of segments ---- */

TENSOR_INLINE void FN(segment_scores_loop)(Tensor out, const Tensor *in, Tensor hidden, bool fma)
{
    for (int64_t n = 0; n < out.shape[0]; n++)
        ((REAL *)out.data)[n] =
            FN(score)(op_row(hidden, n), op_row(in[SEGMENT_QUERY], tensor_i32(in[SEGMENT_INDEX])[n]),
                      op_row(in[SEGMENT_KEYS], n), in[SEGMENT_V].data, hidden.shape[1], fma);
}

TENSOR_INLINE void FN(segment_score_gradients_loop)(Tensor dkeys, Tensor dquery, Tensor dv, Tensor g,
                                                    const Tensor *in, Tensor hidden, bool fma)
{
    (void)fma;
    for (int64_t n = 0; n < hidden.shape[0]; n++)
        FN(score_backward)
    (((REAL *)g.data)[n], op_row(hidden, n), in[SEGMENT_V].data,
     op_row(dquery, tensor_i32(in[SEGMENT_INDEX])[n]), op_row(dkeys, n), dv.data, hidden.shape[1]);
}

TENSOR_INLINE void FN(segment_sums_loop)(Tensor out, const Tensor *in, bool fma)
{
    const REAL *weights = in[SUM_WEIGHTS].data;
    for (int64_t n = 0; n < in[SUM_WEIGHTS].shape[0]; n++) {
        REAL *row = op_row(out, tensor_i32(in[SUM_INDEX])[n]);
        const REAL *value = op_row(in[SUM_VALUES], n);
        for (int64_t j = 0; j < out.shape[1]; j++)
            row[j] = FN(fused)(weights[n], value[j], row[j], fma);
    }
}

TENSOR_INLINE void FN(segment_sum_gradients_loop)(Tensor dweights, Tensor dvalues, Tensor g, const Tensor *in,
                                                  bool fma)
{
    (void)fma;
    for (int64_t n = 0; n < dweights.shape[0]; n++) {
        const REAL *gradient = op_row(g, tensor_i32(in[SUM_INDEX])[n]);
        ((REAL *)dweights.data)[n] = FN(dot)(gradient, op_row(in[SUM_VALUES], n), g.shape[1]);
        FN(scale)(op_row(dvalues, n), ((REAL *)in[SUM_WEIGHTS].data)[n], gradient, g.shape[1]);
    }
}
