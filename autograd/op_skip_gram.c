/* Skip-gram with negative sampling (Mikolov et al. 2013, arXiv 1310.4546), fused: the words of a window meet
 * one list of targets, and their rows stay in the cache. */
#include "autograd/held_internal.h"
#include "autograd/op_support_internal.h"
#include "autograd/ops.h"
#include "tensor/elementwise.h"
#include "tensor/levels.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

/* The rows of a table that a use reads, each once. */
typedef struct Rows {
    Tensor ids;   /* i32 [U], distinct */
    Tensor place; /* i32: where among them each id that was given is */
    Tensor rows;  /* [U, d] */
} Rows;

typedef struct SkipGramSaved {
    const int32_t *segment; /* [P] */
    Tensor slopes;          /* [P, M]: the derivative of the loss by each score */
    Rows words, targets;
} SkipGramSaved;

/* The loops, for f32 in every version that processors need. */
#define REAL           float
#define NAME(name)     name##_f32
#define FUSED(a, b, c) tensor_fused(a, b, c, fma)
#include "autograd/op_skip_gram_loops_internal.h"
#undef REAL
#undef NAME
#undef FUSED
TENSOR_LEVELS(scores_f32, score_loop_f32, (Pairs_f32 a, float *scores), a, scores)
TENSOR_LEVELS(gradients_f32, gradient_loop_f32,
              (Pairs_f32 a, const float *slopes, float scale, float *d_words, float *d_targets), a, slopes,
              scale, d_words, d_targets)

#define REAL           double
#define NAME(name)     name##_f64
#define FUSED(a, b, c) ((a) * (b) + (c))
#include "autograd/op_skip_gram_loops_internal.h"

/* ---- Forward ---- */

/* Input `input`, i32 and of so many axes, as a list of ids in [0, limit). */
static bool read_ids(OpContext *c, int input, int ndim, int64_t limit, Tensor *ids)
{
    if (!op_wants_i32(c, input))
        return false;
    if (c->in[input]->ndim != ndim)
        return op_error(c, "input %d has %d axes instead of %d", input, c->in[input]->ndim, ndim);
    Tensor dense = op_dense(c, *c->in[input]);
    if (!tensor_is_valid(dense))
        return false;
    *ids = tensor_view_as(dense, TENSOR_SHAPE(tensor_numel(&dense)));
    int64_t wrong = tensor_index_out_of_range(*ids, limit);
    if (wrong >= 0)
        return op_error(c, "input %d holds %d, which is not in [0, %lld)", input, tensor_i32(*ids)[wrong],
                        (long long)limit);
    return true;
}

/* The rows of input `table` that `ids` name. */
static bool read_rows(OpContext *c, int table, Tensor ids, Rows *rows)
{
    int64_t count = ids.shape[0];
    int32_t *slots = tape_slots(c->tape, c->in[table]->shape[0]);
    Tensor distinct = tensor_new(op_arena(c), TENSOR_I32, TENSOR_SHAPE(count));
    rows->place = tensor_new(op_arena(c), TENSOR_I32, TENSOR_SHAPE(count));
    if (!slots || !tensor_is_valid(distinct) || !tensor_is_valid(rows->place))
        return false;
    count = tensor_number_ids(slots, ids, tensor_i32(rows->place), tensor_i32(distinct), 0);
    rows->ids = tensor_slice(distinct, 0, 0, count, 1);
    rows->rows = op_new(c, TENSOR_SHAPE(count, c->in[table]->shape[1]));
    return tensor_is_valid(rows->rows) && op_read_rows(c, table, rows->ids, rows->rows);
}

static bool read_inputs(OpContext *c, SkipGramSaved *s)
{
    const Tensor *input = c->in[0], *output = c->in[1];
    Tensor words, segment, targets;
    if (!op_wants_real(c, 0) || !op_wants_real(c, 1))
        return false;
    if (input->ndim != 2 || output->ndim != 2 || input->shape[1] != output->shape[1])
        return op_error(c, "the tables must be [V, d] and [W, d]");
    if (!read_ids(c, 2, 1, input->shape[0], &words) || !read_ids(c, 4, 2, output->shape[0], &targets) ||
        !read_ids(c, 3, 1, c->in[4]->shape[0], &segment))
        return false;
    if (segment.shape[0] != words.shape[0])
        return op_error(c, "there are %lld words and %lld segments", (long long)words.shape[0],
                        (long long)segment.shape[0]);
    s->segment = tensor_i32(segment);
    return read_rows(c, 0, words, &s->words) && read_rows(c, 1, targets, &s->targets);
}

/* The pairs of a use, for the loops. */
#define PAIRS(s, m_, width_)                                                                                 \
    {                                                                                                        \
        (s)->words.place.shape[0], m_, width_, tensor_i32((s)->words.place), (s)->segment,                   \
            tensor_i32((s)->targets.place), (s)->words.rows.data, (s)->targets.rows.data                     \
    }

/* The loss is the sum over pairs (p, k) of softplus(-score) for k = 0, the word that is there, and of
 * softplus(score) for the others, which are drawn; score[p, k] = input[words[p]] . output[targets[segment[p],
 * k]]. */
static bool skip_gram_forward(OpContext *c)
{
    SkipGramSaved *s = op_alloc(c, sizeof *s);
    if (!s || !read_inputs(c, s))
        return false;
    int64_t pairs = s->words.place.shape[0], m = c->in[4]->shape[1], width = c->in[0]->shape[1];
    Tensor losses = op_new(c, TENSOR_SHAPE(pairs, m));
    s->slopes = op_new(c, TENSOR_SHAPE(pairs, m));
    if (!tensor_is_valid(losses) || !tensor_is_valid(s->slopes))
        return false;
    if (losses.dtype == TENSOR_F32)
        scores_f32((Pairs_f32)PAIRS(s, m, width), tensor_f32(s->slopes));
    else
        score_loop_f64((Pairs_f64)PAIRS(s, m, width), tensor_f64(s->slopes), false);
    c->saved = s;
    if (!tensor_unary(TENSOR_UNARY_SOFTPLUS, losses, s->slopes) ||
        !tensor_unary(TENSOR_UNARY_SIGMOID, s->slopes, s->slopes) || !op_output(c, 0, NULL))
        return false;
    Tensor present = tensor_slice(s->slopes, 1, 0, 1, 1);
    return tensor_unary(TENSOR_UNARY_NEG, present, present) && tensor_sum_to(*c->out[0], losses, false);
}

/* ---- Backward ---- */

static void skip_gram_backward(OpContext *c, OpTerm *terms)
{
    const SkipGramSaved *s = c->saved;
    int64_t m = c->in[4]->shape[1], width = c->in[0]->shape[1];
    TensorDtype dtype = s->slopes.dtype;
    Tensor d_words = tensor_zeros(op_arena(c), dtype, TENSOR_SHAPE(s->words.ids.shape[0], width));
    Tensor d_targets = tensor_zeros(op_arena(c), dtype, TENSOR_SHAPE(s->targets.ids.shape[0], width));
    if (!tensor_is_valid(d_words) || !tensor_is_valid(d_targets))
        return;
    double scale = tensor_item(*c->grad[0]);
    if (dtype == TENSOR_F32)
        gradients_f32((Pairs_f32)PAIRS(s, m, width), tensor_f32(s->slopes), (float)scale, tensor_f32(d_words),
                      tensor_f32(d_targets));
    else
        gradient_loop_f64((Pairs_f64)PAIRS(s, m, width), tensor_f64(s->slopes), scale, tensor_f64(d_words),
                          tensor_f64(d_targets), false);
    op_give_rows(&terms[0], d_words, s->words.ids, true);
    op_give_rows(&terms[1], d_targets, s->targets.ids, true);
}

/* ---- The ops that define it ---- */

static void skip_gram_composition(const OpUse *use, Var *out)
{
    Tensor segment = tensor_contiguous(tape_arena(use->tape), var_value(use->in[3]));
    int64_t pairs = var_size(use->in[2], 0), m = var_size(use->in[4], 1), width = var_size(use->in[0], 1);
    Tensor one = tensor_zeros(tape_arena(use->tape), var_value(use->in[0]).dtype, TENSOR_SHAPE(1, m));
    Tensor targets = tensor_contiguous(tape_arena(use->tape), var_value(use->in[4]));
    Tensor flat = tensor_new(tape_arena(use->tape), TENSOR_I32, TENSOR_SHAPE(pairs * m));
    if (!tensor_is_valid(segment) || !tensor_is_valid(one) || !tensor_is_valid(targets) ||
        !tensor_is_valid(flat))
        return;
    if (m > 0)
        tensor_fill(tensor_slice(one, 1, 0, 1, 1), 1);
    for (int64_t i = 0; i < pairs * m; i++)
        tensor_i32(flat)[i] = tensor_i32(targets)[tensor_i32(segment)[i / m] * m + i % m];
    Var x = var_reshape(var_gather_rows(use->in[0], use->in[2]), TENSOR_SHAPE(pairs, 1, width));
    Var y = var_reshape(var_gather_rows(use->in[1], tape_constant(use->tape, flat)),
                        TENSOR_SHAPE(pairs, m, width));
    Var scores = var_sum(var_mul(x, y), TENSOR_AXIS(2), false);
    Var found = var_expand(tape_constant(use->tape, one), TENSOR_SHAPE(pairs, m));
    *out = var_bce_with_logits(scores, found, VAR_NONE, VAR_NONE, VAR_REDUCTION_SUM);
}

static Var skip_gram_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), width = op_sample_size(s, 1), rows = op_sample_size(s, 2), m = 3;
    Var input = op_sample(s, TENSOR_SHAPE(rows + 1, width), -1, 1),
        output = op_sample(s, TENSOR_SHAPE(rows, width), -1, 1);
    return var_skip_gram(input, output, op_sample_index(s, TENSOR_SHAPE(2 * n), rows + 1),
                         op_sample_index(s, TENSOR_SHAPE(2 * n), n),
                         op_sample_index(s, TENSOR_SHAPE(n, m), rows));
}

Var var_skip_gram(Var input, Var output, Var words, Var segment, Var targets)
{
    return op_apply(&op_skip_gram, (Var[]){input, output, words, segment, targets}, 5, NULL, 0);
}

OpKind op_skip_gram = {.name = "skip_gram",
                       .forward = skip_gram_forward,
                       .backward = skip_gram_backward,
                       .composition = skip_gram_composition,
                       .sample = skip_gram_sample,
                       .lazy_forward = OP_IN(0) | OP_IN(1),
                       .backward_reads = OP_READS_NOTHING};
