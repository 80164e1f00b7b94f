/* Scaled dot-product attention of several heads (Vaswani et al. 2017, arXiv 1706.03762) over texts of
 * different lengths, in blocks of queries: the weights of a block live while it is worked on, and backward
 * makes them again (Dao et al. 2022, arXiv 2205.14135), so that memory grows with the number of rows and not
 * with its square. A block sees all its keys at once, so the softmax is the plain one.
 * tests/nn/multihead_attention.c compares it with the formula. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"
#include "tensor/levels.h"
#include "tensor/matmul.h"
#include "tensor/panels.h"
#include "tensor/random.h"
#include "tensor/rows.h"

#include <math.h>
#include <string.h>

enum { QUERY, KEY, VALUE, QUERY_START, QUERY_ROW, KEY_START, KEY_ROW, INPUTS };

#define KERNELS "autograd/op_multihead_kernels_internal.h"
#include "tensor/each_real.h"

TENSOR_LEVELS(shift_f32, shift_loop_f32, (Scores_f32 s, bool known), s, known)
TENSOR_LEVELS(shift_f64, shift_loop_f64, (Scores_f64 s, bool known), s, known)
TENSOR_LEVELS(divide_f32, divide_loop_f32, (Scores_f32 s, bool known), s, known)
TENSOR_LEVELS(divide_f64, divide_loop_f64, (Scores_f64 s, bool known), s, known)
TENSOR_LEVELS(score_gradient_f32, score_gradient_loop_f32, (Scores_f32 s, float *gradient), s, gradient)
TENSOR_LEVELS(score_gradient_f64, score_gradient_loop_f64, (Scores_f64 s, double *gradient), s, gradient)

/* Scores of a block of queries at once: in the second-level cache. At least, and at most, so many queries; of
 * causal ones few, since a block is computed as far as its last query sees. */
enum { BLOCK_SCORES = 1 << 17, FEWEST_QUERIES = 16, MOST_QUERIES = 128, MOST_CAUSAL = 32 };

/* ---- What is asked of whom ---- */

/* From forward to backward. */
typedef struct Saved {
    TensorRandom random; /* of dropout: a row of `most` numbers for each place of a query and each head */
    Tensor stats;        /* [N, heads, 2], by place: the largest score, and 1 / the sum of the exps */
} Saved;

/* One use of the op. A text's queries are `asks` places from starts[QUERY][text] on; a place's row is in
 * `row`. */
typedef struct Attention {
    OpContext *c;
    VarAttention options;
    Tensor in[3]; /* [rows, width], with contiguous rows */
    const int32_t *query_start, *query_row, *key_start, *key_row;
    int64_t texts, most_keys; /* keys of a text */
    int64_t size, value_size; /* of a head's queries and keys, and of its values */
    double factor;
    Saved *saved;
} Attention;

/* A head of a text, in memory of its own: what is multiplied lies without gaps. */
typedef struct Head {
    const Attention *a;
    int number;
    int64_t first_query, queries, first_key, keys;
    Tensor key, value;   /* [keys, size], [keys, value_size] */
    Tensor dkey, dvalue; /* the same; backward */
} Head;

/* Some of its queries, and the keys that they may see. */
typedef struct Block {
    const Head *head;
    int64_t first, rows, columns; /* places from head->first_query on; keys */
    Tensor query, weights;        /* [rows, size], times the factor; [rows, columns] */
    Tensor keep;                  /* of dropout; invalid: there is none */
} Block;

/* Whether `start` and `row` say which of `rows` rows belong to which text: i32 [B + 1] and [places]. */
static bool check_layout(OpContext *c, int start_input, int64_t rows)
{
    Tensor start = *c->in[start_input], row = *c->in[start_input + 1];
    if (start.dtype != TENSOR_I32 || row.dtype != TENSOR_I32 || start.ndim != 1 || row.ndim != 1 ||
        start.shape[0] < 1 || !tensor_is_contiguous(&start) || !tensor_is_contiguous(&row))
        return op_error(c, "starts must be i32 [texts + 1] and rows i32, without gaps");
    const int32_t *at = tensor_i32(start);
    bool rises = at[0] == 0 && at[start.shape[0] - 1] == row.shape[0];
    for (int64_t b = 1; b < start.shape[0]; b++)
        rises &= at[b] >= at[b - 1];
    if (!rises || tensor_index_out_of_range(row, rows) >= 0)
        return op_error(c, "starts must rise from 0 to the number of rows given, and these be below %lld",
                        (long long)rows);
    return true;
}

/* A query has one place. */
static bool check_query_rows(OpContext *c)
{
    int64_t count = c->in[QUERY]->shape[0];
    const int32_t *row = tensor_i32(*c->in[QUERY_ROW]);
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    char *seen = tensor_arena_calloc(op_arena(c), (size_t)count + 1);
    bool once = seen != NULL && c->in[QUERY_ROW]->shape[0] == count;
    for (int64_t i = 0; i < count && once; i++)
        once = !seen[row[i]]++;
    tensor_arena_rewind(op_arena(c), mark);
    return once || op_error(c, "each query's row must be given once");
}

static bool check(OpContext *c)
{
    const VarAttention *options = c->attributes;
    Tensor query = *c->in[QUERY], key = *c->in[KEY], value = *c->in[VALUE];
    if (query.ndim != 2 || key.ndim != 2 || value.ndim != 2 || key.shape[1] != query.shape[1] ||
        value.shape[0] != key.shape[0] || !op_wants_real(c, QUERY) || !op_wants_real(c, KEY) ||
        !op_wants_real(c, VALUE))
        return tape_ok(c->tape) ? op_error(c, "needs query [N, E], key [M, E] and value [M, V]") : false;
    if (options->heads < 1 || query.shape[1] % options->heads || value.shape[1] % options->heads)
        return op_error(c, "%d heads do not divide the widths", options->heads);
    if (!(options->dropout >= 0 && options->dropout < 1))
        return op_error(c, "dropout is %g, but must lie in [0, 1)", options->dropout);
    if (!check_layout(c, QUERY_START, query.shape[0]) || !check_layout(c, KEY_START, key.shape[0]) ||
        !check_query_rows(c))
        return false;
    return c->in[QUERY_START]->shape[0] == c->in[KEY_START]->shape[0] ||
           op_error(c, "as many texts must ask as are asked");
}

static int64_t block_queries(const Attention *a, int64_t keys)
{
    int64_t most = a->options.causal ? MOST_CAUSAL : MOST_QUERIES, rows = keys ? BLOCK_SCORES / keys : most;
    return rows < FEWEST_QUERIES ? FEWEST_QUERIES : rows < most ? rows : most;
}

/* What both directions need; false: no memory. */
static bool attention_init(Attention *a, OpContext *c)
{
    *a = (Attention){.c = c,
                     .options = *(const VarAttention *)c->attributes,
                     .query_start = tensor_i32(*c->in[QUERY_START]),
                     .query_row = tensor_i32(*c->in[QUERY_ROW]),
                     .key_start = tensor_i32(*c->in[KEY_START]),
                     .key_row = tensor_i32(*c->in[KEY_ROW]),
                     .texts = c->in[KEY_START]->shape[0] - 1,
                     .saved = c->saved};
    a->size = c->in[QUERY]->shape[1] / a->options.heads;
    a->value_size = c->in[VALUE]->shape[1] / a->options.heads;
    a->factor = 1 / sqrt((double)(a->size ? a->size : 1));
    for (int64_t b = 0; b < a->texts; b++) {
        int64_t keys = a->key_start[b + 1] - a->key_start[b];
        a->most_keys = keys > a->most_keys ? keys : a->most_keys;
    }
    for (int i = QUERY; i <= VALUE; i++) {
        a->in[i] = op_with_contiguous_rows(c, *c->in[i]);
        if (!tensor_is_valid(a->in[i]))
            return false;
    }
    return true;
}

static Tensor scratch(const Attention *a, int64_t rows, int64_t columns)
{
    return op_new(a->c, TENSOR_SHAPE(rows, columns));
}

/* ---- Heads and blocks ---- */

static void gather(Tensor out, Tensor t, const int32_t *rows, int64_t first, double factor)
{
    TENSOR_BY_DTYPE(out.dtype, gather_head)(out, t, rows, first, factor);
}

static void scatter(Tensor t, const int32_t *rows, int64_t first, Tensor from, double factor)
{
    TENSOR_BY_DTYPE(from.dtype, scatter_head)(t, rows, first, from, factor);
}

/* Head `number` of text b; false: no memory. */
static bool head_init(Head *head, const Attention *a, int64_t b, int number)
{
    *head = (Head){.a = a,
                   .number = number,
                   .first_query = a->query_start[b],
                   .queries = a->query_start[b + 1] - a->query_start[b],
                   .first_key = a->key_start[b],
                   .keys = a->key_start[b + 1] - a->key_start[b]};
    head->key = scratch(a, head->keys, a->size);
    head->value = scratch(a, head->keys, a->value_size);
    if (!tensor_is_valid(head->key) || !tensor_is_valid(head->value))
        return false;
    gather(head->key, a->in[KEY], a->key_row + head->first_key, number * a->size, 1);
    gather(head->value, a->in[VALUE], a->key_row + head->first_key, number * a->value_size, 1);
    return true;
}

/* out = x y, added to out where `add`. The panels' kernels are made for such narrow matrices. */
static void product(const Attention *a, Tensor out, Tensor x, Tensor y, bool add)
{
    if (out.dtype == TENSOR_F32)
        tensor_panels_accumulate(out, &(TensorPanelsPair){tensor_transpose(x, 0, 1), y}, 1, add,
                                 op_arena(a->c));
    else
        tensor_matmul(out, 1, x, y, add);
}

/* Zeros and factors, the same ones each time for a query, a head and a key. */
static void draw_row(const Attention *a, Tensor row, int64_t query, int head)
{
    TensorRandom random = a->saved->random;
    random.counter += (uint64_t)((query * a->options.heads + head) * a->most_keys);
    TENSOR_BY_DTYPE(row.dtype, draw_keep)(row, a->options.dropout, &random);
}

static void draw_block(const Block *block)
{
    const Head *head = block->head;
    for (int64_t i = 0; i < block->rows; i++)
        draw_row(head->a, tensor_select(block->keep, 0, i), head->first_query + block->first + i,
                 head->number);
}

/* Of a matrix without gaps, the first `columns` columns of `rows` rows, without gaps either. */
static Tensor first_of(Tensor buffer, int64_t rows, int64_t columns)
{
    return tensor_from(buffer.data, buffer.dtype, TENSOR_SHAPE(rows, columns));
}

static Tensor first_rows(Tensor t, int64_t rows)
{
    return first_of(t, rows, t.shape[1]);
}

/* The softmax of the scores in block->weights; `known`: its stats are there. */
static void take_softmax(const Block *block, bool known)
{
    const Head *head = block->head;
    const Attention *a = head->a;
    Tensor stats = a->saved->stats, x = block->weights;
    int64_t heads = a->options.heads;
    int64_t at = 2 * ((head->first_query + block->first) * heads + head->number);
    /* The last query sees all keys, and each one before it one less. */
    int64_t seen = head->keys - head->queries + block->first + 1;
    if (x.dtype == TENSOR_F32) {
        Scores_f32 s = {tensor_f32(x),          block->rows, block->columns, seen, a->options.causal,
                        tensor_f32(stats) + at, 2 * heads};
        shift_f32(s, known);
        tensor_map(TENSOR_UNARY_EXP, x.dtype, x.data, x.data, tensor_numel(&x));
        divide_f32(s, known);
    } else {
        Scores_f64 s = {tensor_f64(x),          block->rows, block->columns, seen, a->options.causal,
                        tensor_f64(stats) + at, 2 * heads};
        shift_f64(s, known);
        tensor_map(TENSOR_UNARY_EXP, x.dtype, x.data, x.data, tensor_numel(&x));
        divide_f64(s, known);
    }
}

static void multiply_in(Tensor x, Tensor by)
{
    TENSOR_BY_DTYPE(x.dtype, multiply_in)(x, by);
}

/* The block's queries, and their weights without dropout. `query` and `weights` lend the memory. */
static void block_init(Block *block, Tensor query, Tensor weights, bool known)
{
    const Head *head = block->head;
    const Attention *a = head->a;
    block->query = first_rows(query, block->rows);
    block->weights = first_of(weights, block->rows, block->columns);
    gather(block->query, a->in[QUERY], a->query_row + head->first_query + block->first,
           head->number * a->size, a->factor);
    product(a, block->weights, block->query, tensor_transpose(first_rows(head->key, block->columns), 0, 1),
            false);
    take_softmax(block, known);
}

/* The next block of a head after the first `done` queries; false: none is left. */
static bool next_block(Block *block, const Head *head, int64_t done)
{
    int64_t most = block_queries(head->a, head->keys), left = head->queries - done;
    *block = (Block){.head = head, .first = done, .rows = left < most ? left : most, .columns = head->keys};
    if (head->a->options.causal) { /* what the last query of the block sees */
        int64_t seen = head->keys - head->queries + done + block->rows;
        block->columns = seen < 0 ? 0 : seen < head->keys ? seen : head->keys;
    }
    return left > 0;
}

/* ---- Forward ---- */

static bool attend_head(const Head *head)
{
    const Attention *a = head->a;
    int64_t most = block_queries(head->a, head->keys);
    most = most < head->queries ? most : head->queries;
    Tensor query = scratch(a, most, a->size), weights = scratch(a, most, head->keys),
           keep = a->options.dropout > 0 ? scratch(a, most, head->keys) : tensor_invalid(),
           found = scratch(a, most, a->value_size);
    if (!tape_ok(a->c->tape))
        return false;
    Block block;
    for (int64_t done = 0; next_block(&block, head, done); done += block.rows) {
        block_init(&block, query, weights, false);
        if (a->options.dropout > 0) {
            block.keep = first_of(keep, block.rows, block.columns);
            draw_block(&block);
            multiply_in(block.weights, block.keep);
        }
        Tensor out = first_rows(found, block.rows);
        product(a, out, block.weights, first_rows(head->value, block.columns), false);
        scatter(*a->c->out[0], a->query_row + head->first_query + block.first, head->number * a->value_size,
                out, 1);
    }
    return true;
}

static bool multihead_attention_forward(OpContext *c)
{
    Attention a;
    if (!check(c))
        return false;
    int64_t rows = c->in[QUERY]->shape[0];
    Saved *saved = c->saved = op_alloc(c, sizeof *saved);
    *c->out[0] = tensor_zeros(op_arena(c), c->in[QUERY]->dtype, TENSOR_SHAPE(rows, c->in[VALUE]->shape[1]));
    if (!saved || !tensor_is_valid(*c->out[0]))
        return false;
    saved->random = *tape_random(c->tape);
    saved->stats = op_new(c, TENSOR_SHAPE(rows, ((const VarAttention *)c->attributes)->heads, 2));
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    if (!tensor_is_valid(saved->stats) || !attention_init(&a, c))
        return false;
    bool done = true;
    for (int64_t b = 0; b < a.texts && done; b++)
        for (int h = 0; h < a.options.heads && done; h++) {
            TensorArenaMark before = tensor_arena_mark(op_arena(c));
            Head head;
            done = head_init(&head, &a, b, h) && attend_head(&head);
            tensor_arena_rewind(op_arena(c), before);
        }
    tensor_arena_rewind(op_arena(c), mark);
    if (a.options.dropout > 0)
        tape_random(c->tape)->counter += (uint64_t)(rows * a.options.heads * a.most_keys);
    return done;
}

/* ---- Backward ---- */

static void take_score_gradient(const Block *block, Tensor gradient)
{
    if (gradient.dtype == TENSOR_F32)
        score_gradient_f32(
            (Scores_f32){.x = tensor_f32(block->weights), .rows = block->rows, .columns = block->columns},
            tensor_f32(gradient));
    else
        score_gradient_f64(
            (Scores_f64){.x = tensor_f64(block->weights), .rows = block->rows, .columns = block->columns},
            tensor_f64(gradient));
}

/* Memory of a block backward; see attend_head(). */
typedef struct Lent {
    Tensor query, weights, keep, kept, dweights, dout, dquery;
} Lent;

/* Adds what one block has for the gradients of its queries, its keys and values. */
static void block_backward(Block *block, const Lent *lent, Tensor g, Tensor dquery)
{
    const Head *head = block->head;
    const Attention *a = head->a;
    const int32_t *rows = a->query_row + head->first_query + block->first;
    int64_t columns = block->columns;
    block_init(block, lent->query, lent->weights, true);
    Tensor used = block->weights, dweights = first_of(lent->dweights, block->rows, columns),
           dout = first_rows(lent->dout, block->rows);
    if (a->options.dropout > 0) {
        block->keep = first_of(lent->keep, block->rows, columns);
        draw_block(block);
        used = first_of(lent->kept, block->rows, columns);
        tensor_copy_into(used, block->weights);
        multiply_in(used, block->keep);
    }
    gather(dout, g, rows, head->number * a->value_size, 1);
    product(a, first_rows(head->dvalue, columns), tensor_transpose(used, 0, 1), dout, true);
    product(a, dweights, dout, tensor_transpose(first_rows(head->value, columns), 0, 1), false);
    if (a->options.dropout > 0)
        multiply_in(dweights, block->keep);
    take_score_gradient(block, dweights);
    product(a, first_rows(head->dkey, columns), tensor_transpose(dweights, 0, 1), block->query, true);
    if (!tensor_is_valid(dquery))
        return;
    Tensor own = first_rows(lent->dquery, block->rows);
    product(a, own, dweights, first_rows(head->key, columns), false);
    scatter(dquery, rows, head->number * a->size, own, a->factor);
}

static bool head_backward(Head *head, Tensor g, Tensor dquery, Tensor dkey, Tensor dvalue)
{
    const Attention *a = head->a;
    int64_t most = block_queries(head->a, head->keys);
    most = most < head->queries ? most : head->queries;
    bool drops = a->options.dropout > 0;
    Lent lent = {.query = scratch(a, most, a->size),
                 .weights = scratch(a, most, head->keys),
                 .keep = drops ? scratch(a, most, head->keys) : tensor_invalid(),
                 .kept = drops ? scratch(a, most, head->keys) : tensor_invalid(),
                 .dweights = scratch(a, most, head->keys),
                 .dout = scratch(a, most, a->value_size),
                 .dquery = scratch(a, most, a->size)};
    head->dkey = scratch(a, head->keys, a->size);
    head->dvalue = scratch(a, head->keys, a->value_size);
    if (!tape_ok(a->c->tape))
        return false;
    tensor_fill(head->dkey, 0);
    tensor_fill(head->dvalue, 0);
    Block block;
    for (int64_t done = 0; next_block(&block, head, done); done += block.rows)
        block_backward(&block, &lent, g, dquery);
    const int32_t *rows = a->key_row + head->first_key;
    if (tensor_is_valid(dkey))
        scatter(dkey, rows, head->number * a->size, head->dkey, 1);
    if (tensor_is_valid(dvalue))
        scatter(dvalue, rows, head->number * a->value_size, head->dvalue, 1);
    return true;
}

static void multihead_attention_backward(OpContext *c, OpTerm *terms)
{
    Tensor d[3];
    for (int i = QUERY; i <= VALUE; i++) {
        d[i] = op_needs_grad(c, i) ? op_new_like(c, *c->in[i]) : tensor_invalid();
        if (tensor_is_valid(d[i]))
            tensor_fill(d[i], 0);
    }
    TensorArenaMark mark = tensor_arena_mark(op_arena(c));
    Tensor g = op_with_contiguous_rows(c, *c->grad[0]);
    Attention a;
    bool done = tensor_is_valid(g) && attention_init(&a, c);
    for (int64_t b = 0; done && b < a.texts; b++)
        for (int h = 0; h < a.options.heads && done; h++) {
            TensorArenaMark before = tensor_arena_mark(op_arena(c));
            Head head;
            done = head_init(&head, &a, b, h) && head_backward(&head, g, d[QUERY], d[KEY], d[VALUE]);
            tensor_arena_rewind(op_arena(c), before);
        }
    tensor_arena_rewind(op_arena(c), mark);
    for (int i = QUERY; i <= VALUE && done; i++)
        op_give(&terms[i], d[i]);
}

/* ---- Composition: padded to the longest text ---- */

/* For each text and each step a row (0 behind its end): i32 [texts * steps]. */
static int32_t *padded_rows(Tape *tape, const int32_t *start, const int32_t *row, int64_t texts,
                            int64_t steps)
{
    int32_t *padded = tensor_arena_calloc(tape_arena(tape), (size_t)(texts * steps) * sizeof *padded);
    for (int64_t b = 0; b < texts && padded; b++)
        for (int64_t i = start[b]; i < start[b + 1]; i++)
            padded[b * steps + i - start[b]] = row[i];
    return padded;
}

/* x's rows as heads: [texts, heads, steps, size]. */
static Var padded_heads(Var x, const int32_t *padded, int64_t texts, int64_t steps, int heads)
{
    Var rows = var_gather_rows(x, tape_constant(x.tape, tensor_from((void *)(uintptr_t)padded, TENSOR_I32,
                                                                    TENSOR_SHAPE(texts * steps))));
    return var_transpose(var_reshape(rows, TENSOR_SHAPE(texts, steps, heads, var_size(x, 1) / heads)), 1, 2);
}

/* What is not seen, i32 [texts, 1, queries, keys], and what dropout keeps, of the shape of the weights. */
static void fill_masks(const Attention *a, int64_t queries, Tensor hidden, Tensor keep)
{
    for (int64_t b = 0; b < a->texts; b++) {
        int64_t asks = a->query_start[b + 1] - a->query_start[b],
                keys = a->key_start[b + 1] - a->key_start[b];
        for (int64_t i = 0; i < queries; i++) {
            int64_t seen = a->options.causal ? keys - asks + i + 1 : keys;
            for (int64_t j = 0; j < a->most_keys; j++)
                tensor_i32(hidden)[(b * queries + i) * a->most_keys + j] =
                    i >= asks || j >= seen || j >= keys;
            for (int h = 0; h < a->options.heads && a->options.dropout > 0 && i < asks; h++)
                draw_row(a, tensor_select(tensor_select(tensor_select(keep, 0, b), 0, h), 0, i),
                         a->query_start[b] + i, h);
        }
    }
}

/* The place of each query in what is padded: i32 [N]. */
static int32_t *places_of(const Attention *a, Tape *tape, int64_t rows, int64_t queries)
{
    int32_t *places = tensor_arena_calloc(tape_arena(tape), (size_t)(rows + 1) * sizeof *places);
    for (int64_t b = 0; b < a->texts && places; b++)
        for (int64_t i = a->query_start[b]; i < a->query_start[b + 1]; i++)
            places[a->query_row[i]] = (int32_t)(b * queries + i - a->query_start[b]);
    return places;
}

static void multihead_attention_composition(const OpUse *use, Var *out)
{
    Tape *tape = use->tape;
    Tensor value[INPUTS], *in[INPUTS];
    OpContext c = {
        .tape = tape, .attributes = use->attributes, .saved = (void *)(uintptr_t)use->saved, .in = in};
    for (int i = 0; i < INPUTS; i++) {
        value[i] = var_value(use->in[i]);
        in[i] = &value[i];
    }
    Attention a;
    if (!tape_ok(tape) || !attention_init(&a, &c))
        return;
    int64_t rows = value[QUERY].shape[0], texts = a.texts, keys = a.most_keys, queries = 0;
    for (int64_t b = 0; b < texts; b++)
        queries = a.query_start[b + 1] - a.query_start[b] > queries ? a.query_start[b + 1] - a.query_start[b]
                                                                    : queries;
    *out = use->out[0];
    if (tensor_numel(&value[QUERY]) == 0 || tensor_numel(&value[VALUE]) == 0 || keys == 0)
        return; /* all zeros, whatever the inputs are */
    int heads = a.options.heads;
    int32_t *asking = padded_rows(tape, a.query_start, a.query_row, texts, queries),
            *asked = padded_rows(tape, a.key_start, a.key_row, texts, keys),
            *places = places_of(&a, tape, rows, queries);
    Tensor hidden = tensor_new(tape_arena(tape), TENSOR_I32, TENSOR_SHAPE(texts, 1, queries, keys)),
           keep = tensor_full(tape_arena(tape), value[QUERY].dtype, TENSOR_SHAPE(texts, heads, queries, keys),
                              1);
    if (!asking || !asked || !places || !tensor_is_valid(hidden) || !tensor_is_valid(keep))
        return;
    fill_masks(&a, queries, hidden, keep);
    Var query = padded_heads(use->in[QUERY], asking, texts, queries, heads),
        key = padded_heads(use->in[KEY], asked, texts, keys, heads),
        values = padded_heads(use->in[VALUE], asked, texts, keys, heads),
        mask = var_expand(tape_constant(tape, hidden), TENSOR_SHAPE(texts, heads, queries, keys));
    Var scores = var_scale(var_matmul(query, var_transpose(key, 2, 3)), a.factor, 0);
    Var weights = var_masked_fill(var_softmax(var_masked_fill(scores, mask, -1e9), 3), mask, 0);
    if (a.options.dropout > 0)
        weights = var_mul(weights, tape_constant(tape, keep));
    Var mixed = var_reshape(var_transpose(var_matmul(weights, values), 1, 2),
                            TENSOR_SHAPE(texts * queries, value[VALUE].shape[1]));
    *out = var_gather_rows(mixed, tape_constant(tape, tensor_from(places, TENSOR_I32, TENSOR_SHAPE(rows))));
}

/* ---- The op ---- */

/* i32 [count] on the sample's tape. */
static Var indices(OpSample *s, int64_t count, const int32_t *values)
{
    Tensor t = tensor_new(tape_arena(op_sample_tape(s)), TENSOR_I32, TENSOR_SHAPE(count));
    if (tensor_is_valid(t) && count)
        memcpy(t.data, values, (size_t)count * sizeof *values);
    return tape_constant(op_sample_tape(s), t);
}

/* Two texts: the second has more keys than queries, and reads a key of the first one. */
static Var multihead_attention_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), size = op_sample_size(s, 1), value_size = op_sample_size(s, 2);
    bool causal = op_sample_choice(s, 2), drops = op_sample_choice(s, 3) == 0;
    Var query = op_sample(s, TENSOR_SHAPE(2 * n, 2 * size), -1, 1),
        key = op_sample(s, TENSOR_SHAPE(2 * n, 2 * size), -1, 1),
        value = op_sample(s, TENSOR_SHAPE(2 * n, 2 * value_size), -1, 1);
    int32_t rows = (int32_t)(2 * n), extra = rows > 0;
    int32_t *asking = tensor_arena_alloc(tape_arena(query.tape), (size_t)(2 * rows + 1) * sizeof *asking);
    if (!asking)
        return (Var){.tape = query.tape};
    int32_t *asked = asking + rows;
    for (int32_t i = 0; i < rows; i++) {
        asking[i] = rows - 1 - i;
        asked[i] = i;
    }
    asked[rows] = 0;
    int32_t asking_start[] = {0, rows / 2, rows}, asked_start[] = {0, rows / 2, rows + extra};
    return var_multihead_attention(query, key, value, indices(s, 3, asking_start), indices(s, rows, asking),
                                   indices(s, 3, asked_start), indices(s, rows + extra, asked),
                                   (VarAttention){.heads = 2, .causal = causal, .dropout = drops ? 0.3 : 0});
}

Var var_multihead_attention(Var query, Var key, Var value, Var query_start, Var query_row, Var key_start,
                            Var key_row, VarAttention options)
{
    return op_apply(&op_multihead_attention,
                    (Var[]){query, key, value, query_start, query_row, key_start, key_row}, INPUTS, &options,
                    sizeof options);
}

OpKind op_multihead_attention = {.name = "multihead_attention",
                                 .forward = multihead_attention_forward,
                                 .backward = multihead_attention_backward,
                                 .composition = multihead_attention_composition,
                                 .sample = multihead_attention_sample,
                                 .backward_reads = OP_IN(QUERY) | OP_IN(KEY) | OP_IN(VALUE) |
                                                   OP_IN(QUERY_START) | OP_IN(QUERY_ROW) | OP_IN(KEY_START) |
                                                   OP_IN(KEY_ROW)};
