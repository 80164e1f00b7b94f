/* The kernels of op_attention.c: see tensor/each_real.h. */

/* Sums in eight lanes, which compilers vectorise without being allowed to reorder. */
static REAL FN(dot)(const REAL *a, const REAL *b, int64_t n)
{
    REAL lane[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        lane[i & 7] += a[i] * b[i];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

static REAL FN(score)(REAL *hidden, const REAL *query, const REAL *key, const REAL *v, int64_t width)
{
    for (int64_t j = 0; j < width; j++)
        hidden[j] = query[j] + key[j];
    tensor_map(TENSOR_UNARY_TANH, REAL_DTYPE, hidden, hidden, width);
    return FN(dot)(hidden, v, width);
}

/* From the tanh in `hidden`: dv += g hidden; d = g v (1 - hidden^2), to dquery and dkey. */
static void FN(score_backward)(REAL g, const REAL *restrict hidden, const REAL *restrict v,
                               REAL *restrict dquery, REAL *restrict dkey, REAL *restrict dv, int64_t width)
{
    for (int64_t j = 0; j < width; j++) {
        REAL d = g * v[j] * (1 - hidden[j] * hidden[j]);
        dv[j] += g * hidden[j];
        dquery[j] += d;
        dkey[j] = d;
    }
}

static void FN(add_scaled)(REAL *restrict out, REAL factor, const REAL *restrict x, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        out[j] += factor * x[j];
}

/* ---- Of a list of steps ---- */

static void FN(step_scores)(Tensor out, const Tensor *in, Tensor hidden)
{
    int64_t count = out.shape[1];
    for (int64_t s = 0; s < count; s++)
        for (int64_t r = 0; r < out.shape[0]; r++)
            ((REAL *)out.data)[r * count + s] =
                FN(score)(hidden.data, op_row(in[SCORE_QUERY], r), op_row(in[SCORE_KEYS + s], r),
                          in[SCORE_V].data, hidden.shape[0]);
}

/* Of step s. */
static void FN(step_score_gradients)(Tensor dquery, Tensor dkey, Tensor dv, Tensor g, int64_t s,
                                     const Tensor *in, Tensor hidden)
{
    int64_t width = hidden.shape[0];
    const REAL *v = in[SCORE_V].data;
    for (int64_t r = 0; r < g.shape[0]; r++) {
        FN(score)(hidden.data, op_row(in[SCORE_QUERY], r), op_row(in[SCORE_KEYS + s], r), v, width);
        FN(score_backward)
        (((REAL *)g.data)[r * g.shape[1] + s], hidden.data, v, op_row(dquery, r), op_row(dkey, r), dv.data,
         width);
    }
}

/* Adds step s. */
static void FN(add_weighted)(Tensor out, Tensor weights, Tensor value, int64_t s)
{
    for (int64_t r = 0; r < out.shape[0]; r++)
        FN(add_scaled)(op_row(out, r), ((REAL *)op_row(weights, r))[s], op_row(value, r), out.shape[1]);
}

static void FN(weights_gradient)(Tensor dweights, Tensor g, Tensor value, int64_t s)
{
    for (int64_t r = 0; r < g.shape[0]; r++)
        ((REAL *)dweights.data)[r * dweights.shape[1] + s] =
            FN(dot)(op_row(g, r), op_row(value, r), g.shape[1]);
}

/* dvalue of step s, which is 0 before. */
static void FN(value_gradient)(Tensor dvalue, Tensor g, Tensor weights, int64_t s)
{
    for (int64_t r = 0; r < g.shape[0]; r++)
        FN(add_scaled)(op_row(dvalue, r), ((REAL *)op_row(weights, r))[s], op_row(g, r), g.shape[1]);
}

/* ---- Of the rows of segments ---- */

static void FN(segment_scores)(Tensor out, const Tensor *in, Tensor hidden)
{
    for (int64_t n = 0; n < out.shape[0]; n++)
        ((REAL *)out.data)[n] =
            FN(score)(op_row(hidden, n), op_row(in[SEGMENT_QUERY], tensor_i32(in[SEGMENT_INDEX])[n]),
                      op_row(in[SEGMENT_KEYS], n), in[SEGMENT_V].data, hidden.shape[1]);
}

static void FN(segment_score_gradients)(Tensor dkeys, Tensor dquery, Tensor dv, Tensor g, const Tensor *in,
                                        Tensor hidden)
{
    for (int64_t n = 0; n < hidden.shape[0]; n++)
        FN(score_backward)
    (((REAL *)g.data)[n], op_row(hidden, n), in[SEGMENT_V].data,
     op_row(dquery, tensor_i32(in[SEGMENT_INDEX])[n]), op_row(dkeys, n), dv.data, hidden.shape[1]);
}

static void FN(segment_sums)(Tensor out, const Tensor *in)
{
    const REAL *weights = in[SUM_WEIGHTS].data;
    for (int64_t n = 0; n < in[SUM_WEIGHTS].shape[0]; n++) {
        void *row = op_row(out, tensor_i32(in[SUM_INDEX])[n]), *value = op_row(in[SUM_VALUES], n);
        if (REAL_DTYPE == TENSOR_F32)
            tensor_vmath_axpy(row, (float)weights[n], value, (size_t)out.shape[1]);
        else
            FN(add_scaled)(row, weights[n], value, out.shape[1]);
    }
}

/* dvalues is 0 before. */
static void FN(segment_sum_gradients)(Tensor dweights, Tensor dvalues, Tensor g, const Tensor *in)
{
    for (int64_t n = 0; n < dweights.shape[0]; n++) {
        const REAL *gradient = op_row(g, tensor_i32(in[SUM_INDEX])[n]);
        ((REAL *)dweights.data)[n] = FN(dot)(gradient, op_row(in[SUM_VALUES], n), g.shape[1]);
        FN(add_scaled)(op_row(dvalues, n), ((REAL *)in[SUM_WEIGHTS].data)[n], gradient, g.shape[1]);
    }
}
