/* The loops of skip_gram for one dtype: REAL, and NAME() for its names. Included by op_skip_gram.c, once for
 * each. Sums are kept in lanes, so that they are the same in every version and fill a vector. */

/* The rows of a use: pair p has word row `word[p]` and the target rows target[segment[p] * m] and on. */
typedef struct NAME(Pairs) {
    int64_t pairs, m, width;
    const int32_t *word, *segment, *target;
    const REAL *words, *targets; /* [U, width] */
} NAME(Pairs);

TENSOR_INLINE REAL NAME(dot)(const REAL *x, const REAL *y, int64_t n, bool fma)
{
    (void)fma;
    REAL lane[16] = {0};
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int l = 0; l < 16; l++)
            lane[l] = FUSED(x[j + l], y[j + l], lane[l]);
    for (; j < n; j++)
        lane[j & 15] = FUSED(x[j], y[j], lane[j & 15]);
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* scores [pairs, m]: with the sign with which it makes the loss grow. */
TENSOR_INLINE void NAME(score_loop)(NAME(Pairs) a, REAL *scores, bool fma)
{
    for (int64_t p = 0; p < a.pairs; p++) {
        const REAL *x = a.words + a.word[p] * a.width;
        const int32_t *target = a.target + a.segment[p] * a.m;
        for (int64_t k = 0; k < a.m; k++) {
            REAL score = NAME(dot)(x, a.targets + target[k] * a.width, a.width, fma);
            scores[p * a.m + k] = k == 0 ? -score : score;
        }
    }
}

/* d_words [U, width] and d_targets add up what each pair gives them: scale times the score's derivative times
 * the other row. */
TENSOR_INLINE void NAME(gradient_loop)(NAME(Pairs) a, const REAL *slopes, REAL scale, REAL *d_words,
                                       REAL *d_targets, bool fma)
{
    (void)fma;
    for (int64_t p = 0; p < a.pairs; p++) {
        const REAL *restrict x = a.words + a.word[p] * a.width;
        REAL *restrict dx = d_words + a.word[p] * a.width;
        const int32_t *target = a.target + a.segment[p] * a.m;
        for (int64_t k = 0; k < a.m; k++) {
            REAL slope = scale * slopes[p * a.m + k];
            const REAL *restrict y = a.targets + target[k] * a.width;
            REAL *restrict dy = d_targets + target[k] * a.width;
            for (int64_t j = 0; j < a.width; j++) {
                dx[j] = FUSED(slope, y[j], dx[j]);
                dy[j] = FUSED(slope, x[j], dy[j]);
            }
        }
    }
}
