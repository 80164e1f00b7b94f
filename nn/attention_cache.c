#include "nn/attention_cache.h"
#include "tensor/mem.h"

#include <string.h>

/* Keys and values of one module: rows in the order in which they came. */
typedef struct Seen {
    const NnMultiheadAttention *module;
    bool of_memory;
    TensorDtype dtype;
    int64_t rows, capacity;
    char *key, *value; /* [capacity, E] each */
} Seen;

struct NnAttentionCache {
    Seen *seen;
    size_t seen_count, seen_capacity;
    int32_t steps, count; /* steps begun; sequences of this one */
    int64_t rows;         /* of all steps before this one: what each module has kept then */
    int32_t *own, *next;  /* [count * steps]: the rows that each sequence has seen; room for the next step */
    size_t own_capacity, next_capacity;
};

NnAttentionCache *nn_attention_cache_new(void)
{
    return reel_mem_calloc(1, sizeof(NnAttentionCache));
}

void nn_attention_cache_free(NnAttentionCache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->seen_count; i++) {
        reel_mem_free(cache->seen[i].key);
        reel_mem_free(cache->seen[i].value);
    }
    reel_mem_free(cache->seen);
    reel_mem_free(cache->own);
    reel_mem_free(cache->next);
    reel_mem_free(cache);
}

void nn_attention_cache_reset(NnAttentionCache *cache)
{
    for (size_t i = 0; i < cache->seen_count; i++)
        cache->seen[i].rows = 0;
    cache->steps = cache->count = 0;
    cache->rows = 0;
}

int32_t nn_attention_cache_position(const NnAttentionCache *cache)
{
    return cache->steps > 0 ? cache->steps - 1 : 0;
}

ReelStatus nn_attention_cache_begin(NnAttentionCache *cache, const int32_t *parents, int count)
{
    int32_t steps = cache->steps;
    for (int i = 0; i < count && steps > 0; i++)
        if (parents[i] < 0 || parents[i] >= cache->count)
            return reel_status_usage("nn_attention_cache_begin: sequence %d goes on from %d of %d", i,
                                     parents[i], cache->count);
    if (count < 1)
        return reel_status_usage("nn_attention_cache_begin: %d sequences", count);
    size_t wanted = (size_t)count * ((size_t)steps + 1);
    if (wanted > cache->next_capacity) {
        int32_t *next = reel_mem_realloc(cache->next, 2 * wanted * sizeof *next);
        if (!next)
            return reel_status_no_memory(2 * wanted * sizeof *next, "attention's cache");
        cache->next = next;
        cache->next_capacity = 2 * wanted;
    }
    int64_t rows = cache->rows + cache->count;
    for (int i = 0; i < count; i++) {
        int32_t *to = cache->next + (size_t)i * ((size_t)steps + 1);
        if (steps > 0)
            memcpy(to, cache->own + (size_t)parents[i] * (size_t)steps, (size_t)steps * sizeof *to);
        to[steps] = (int32_t)(rows + i);
    }
    int32_t *own = cache->own;
    size_t own_capacity = cache->own_capacity;
    cache->own = cache->next;
    cache->own_capacity = cache->next_capacity;
    cache->next = own;
    cache->next_capacity = own_capacity;
    cache->rows = rows;
    cache->count = count;
    cache->steps++;
    return reel_status_ok();
}

/* ---- What a module has seen ---- */

/* NULL where there is no memory. */
static Seen *seen_of(NnAttentionCache *cache, const NnMultiheadAttention *m, bool of_memory)
{
    for (size_t i = 0; i < cache->seen_count; i++)
        if (cache->seen[i].module == m && cache->seen[i].of_memory == of_memory)
            return &cache->seen[i];
    Seen *seen = reel_mem_grow(cache->seen, cache->seen_count, &cache->seen_capacity, sizeof *seen);
    if (!seen)
        return NULL;
    cache->seen = seen;
    seen += cache->seen_count++;
    *seen = (Seen){.module = m, .of_memory = of_memory};
    return seen;
}

static bool reserve(Seen *seen, int64_t rows, size_t row_bytes)
{
    if (rows <= seen->capacity)
        return true;
    int64_t capacity = 2 * rows;
    char *key = reel_mem_realloc(seen->key, (size_t)capacity * row_bytes);
    if (key)
        seen->key = key;
    char *value = reel_mem_realloc(seen->value, (size_t)capacity * row_bytes);
    if (value)
        seen->value = value;
    if (!key || !value)
        return false;
    seen->capacity = capacity;
    return true;
}

/* Keeps further keys and values: the columns of `known` [rows, 2E] from `first` on. */
static bool keep(Seen *seen, Tensor known, int64_t first)
{
    int64_t width = seen->module->width, rows = known.shape[0];
    size_t row_bytes = (size_t)width * tensor_dtype_size(known.dtype);
    if (seen->rows > 0 && seen->dtype != known.dtype)
        return false;
    if (seen->dtype != known.dtype)
        seen->capacity = 0;
    seen->dtype = known.dtype;
    if (!reserve(seen, seen->rows + rows, row_bytes))
        return false;
    char *to[] = {seen->key, seen->value};
    for (int i = 0; i < 2; i++) {
        Tensor room =
            tensor_from(to[i] + (size_t)seen->rows * row_bytes, known.dtype, TENSOR_SHAPE(rows, width));
        tensor_copy_into(room, tensor_slice(known, 1, first + i * width, first + (i + 1) * width, 1));
    }
    seen->rows += rows;
    return true;
}

static Var constant(Tape *tape, const Seen *seen, void *data)
{
    return tape_constant(tape, tensor_from(data, seen->dtype, TENSOR_SHAPE(seen->rows, seen->module->width)));
}

/* i32 [count]: first, first + step, ... */
static Var count_up(Tape *tape, int64_t count, int32_t step)
{
    int32_t *numbers = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *numbers);
    for (int64_t i = 0; i < count && numbers; i++)
        numbers[i] = (int32_t)i * step;
    return numbers ? tape_constant(tape, tensor_from(numbers, TENSOR_I32, TENSOR_SHAPE(count)))
                   : tape_fail(tape, "attention's cache: out of memory");
}

/* ---- Steps ---- */

static bool may_step(const NnMultiheadAttention *m, const NnAttentionCache *cache, Var x)
{
    Tape *tape = x.tape;
    if (!tape || !tape_ok(tape) || var_is_empty(x))
        return false;
    if (cache->count == 0)
        tape_fail(tape, "nn_multihead_attention_step: nn_attention_cache_begin() comes before a step");
    else if (var_ndim(x) != 2 || var_size(x, 0) != cache->count || var_size(x, 1) != m->width)
        tape_fail(tape, "nn_multihead_attention_step: x must be [%d, %lld], a row for each sequence",
                  cache->count, (long long)m->width);
    return tape_ok(tape);
}

static Var own_step(NnMultiheadAttention *m, NnAttentionCache *cache, Var x)
{
    Tape *tape = x.tape;
    int32_t count = cache->count, steps = cache->steps;
    Seen *seen = seen_of(cache, m, false);
    if (seen && seen->rows != cache->rows)
        return tape_fail(tape,
                         "nn_multihead_attention_step: a module takes part in each step of a cache, once");
    Var rows = var_linear(x, nn_var(&m->in_proj_weight, tape), nn_var(&m->in_proj_bias, tape));
    Tensor all = var_value(rows);
    if (!tensor_is_valid(all))
        return (Var){.tape = tape};
    if (!seen || !keep(seen, all, m->width))
        return tape_fail(tape, "nn_multihead_attention_step: no memory, or another dtype than before");
    Var asked =
        tape_constant(tape, tensor_from(cache->own, TENSOR_I32, TENSOR_SHAPE((int64_t)count * steps)));
    return var_multihead_attention(var_slice(rows, 1, 0, m->width, 1), constant(tape, seen, seen->key),
                                   constant(tape, seen, seen->value), count_up(tape, count + 1, 1),
                                   count_up(tape, count, 1), count_up(tape, count + 1, steps), asked,
                                   (VarAttention){.heads = m->heads});
}

/* All sequences ask the one text. */
static Var memory_step(NnMultiheadAttention *m, NnAttentionCache *cache, Var x, NnSequence memory)
{
    Tape *tape = x.tape;
    int64_t width = m->width, count = cache->count;
    Seen *seen = seen_of(cache, m, true);
    Var weight = nn_var(&m->in_proj_weight, tape), bias = nn_var(&m->in_proj_bias, tape);
    if (seen && seen->rows == 0) {
        if (!memory.packing || memory.packing->texts != 1 || memory.rows.tape != tape)
            return tape_fail(tape,
                             "nn_multihead_attention_over_step: the first step needs a memory of one text");
        Var known = var_linear(memory.rows, var_slice(weight, 0, width, 3 * width, 1),
                               var_slice(bias, 0, width, 3 * width, 1));
        Tensor all = var_value(known);
        if (!tensor_is_valid(all))
            return (Var){.tape = tape};
        if (!keep(seen, all, 0))
            return tape_fail(tape, "nn_multihead_attention_over_step: out of memory");
    }
    if (!seen)
        return tape_fail(tape, "nn_multihead_attention_over_step: out of memory");
    Var query = var_linear(x, var_slice(weight, 0, 0, width, 1), var_slice(bias, 0, 0, width, 1));
    return var_multihead_attention(query, constant(tape, seen, seen->key), constant(tape, seen, seen->value),
                                   count_up(tape, 2, (int32_t)count), count_up(tape, count, 1),
                                   count_up(tape, 2, (int32_t)seen->rows), count_up(tape, seen->rows, 1),
                                   (VarAttention){.heads = m->heads});
}

Var(nn_multihead_attention_step)(NnMultiheadAttention *m, NnAttentionCache *cache, Var x)
{
    Var out = {.tape = x.tape};
    nn_enter(&m->base, x.tape);
    if (may_step(m, cache, x))
        out = nn_linear(&m->out_proj, own_step(m, cache, x));
    nn_leave(x.tape);
    return out;
}

Var(nn_multihead_attention_over_step)(NnMultiheadAttention *m, NnAttentionCache *cache, Var x,
                                      NnSequence memory)
{
    Var out = {.tape = x.tape};
    nn_enter(&m->base, x.tape);
    if (may_step(m, cache, x))
        out = nn_linear(&m->out_proj, memory_step(m, cache, x, memory));
    nn_leave(x.tape);
    return out;
}
