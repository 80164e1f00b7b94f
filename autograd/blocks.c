/* Memory of gradients: what a walk has made is used again once nobody reads it, so that the gradients of
 * inner values take the memory of those that live at the same time. Whoever keeps a tensor for later holds
 * the block that it lies in. Memory of other origin (what an op has allocated by itself, values outside of
 * tape_backward_last()) is in no block, and lives as long as the step. */
#include "autograd/walk_internal.h"
#include "tensor/mem.h"

#include <stdlib.h>

/* Smaller ones are not worth the search, which looks at some free ones. */
enum { LEAST_NUMBERS = 1024, MOST_SEARCHED = 64 };

/* ---- Free blocks ---- */

/* The smallest free block that is large enough, and at most twice as large. */
static GradientBlock *take_free(TapeWalk *walk, size_t bytes)
{
    GradientBlock **best = NULL;
    int searched = 0;
    for (GradientBlock **link = &walk->free_blocks; *link && searched < MOST_SEARCHED;
         link = &(*link)->next, searched++) {
        size_t has = (*link)->bytes;
        if (has < bytes || has > 2 * bytes || (best && has >= (*best)->bytes))
            continue;
        best = link;
        if (has == bytes)
            break;
    }
    GradientBlock *block = best ? *best : NULL;
    if (block)
        *best = block->next;
    return block;
}

Tensor tape_blocks_new(TapeWalk *walk, TensorDtype dtype, int ndim, const int64_t *shape)
{
    TensorArena *arena = &walk->tape->arena;
    Tensor form = {.dtype = dtype, .ndim = ndim};
    for (int d = 0; d < ndim; d++)
        form.shape[d] = shape[d];
    int64_t count = walk->reuses ? tensor_numel(&form) : 0;
    if (count < LEAST_NUMBERS || walk->new_count == MOST_NEW_BLOCKS)
        return tensor_new(arena, dtype, ndim, shape);
    size_t bytes = (size_t)count * tensor_dtype_size(dtype);
    GradientBlock *block = take_free(walk, bytes);
    Tensor t = block ? tensor_from(block->data, dtype, ndim, shape) : tensor_new(arena, dtype, ndim, shape);
    if (tensor_is_valid(t))
        walk->new_blocks[walk->new_count++] =
            (NewBlock){.data = t.data, .bytes = bytes, .position = block ? 0 : arena->used, .block = block};
    return t;
}

void tape_blocks_end_backward(TapeWalk *walk)
{
    int count = 0;
    for (int i = 0; i < walk->new_count; i++) {
        const NewBlock made = walk->new_blocks[i];
        bool stands = made.position <= walk->tape->arena.used;
        for (int k = i + 1; k < walk->new_count; k++) /* allocated again behind a rewind */
            stands = stands && (walk->new_blocks[k].data + walk->new_blocks[k].bytes <= made.data ||
                                made.data + made.bytes <= walk->new_blocks[k].data);
        if (stands)
            walk->new_blocks[count++] = made;
    }
    walk->new_count = count;
}

/* ---- Who holds what ---- */

static bool lies_in(const char *data, size_t bytes, const Tensor *t)
{
    const char *at = t->data;
    return at >= data && at < data + bytes;
}

/* The block of what is new; NULL: no memory, and so it is not used again. */
static GradientBlock *block_of_new(TapeWalk *walk, NewBlock *made)
{
    if (!made->block && (made->block = tensor_arena_alloc(&walk->tape->arena, sizeof *made->block)))
        *made->block = (GradientBlock){.data = made->data, .bytes = made->bytes};
    return made->block;
}

/* The block of a value that an address lies in; NULL: none is lent. */
static GradientBlock *lent_block(const TapeWalk *walk, const void *data)
{
    size_t low = 0, high = walk->lent_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (walk->lent[middle].data <= (const char *)data)
            low = middle + 1;
        else
            high = middle;
    }
    GradientBlock *block = low ? &walk->lent[low - 1] : NULL;
    return block && (const char *)data < block->data + block->bytes ? block : NULL;
}

/* The block that a tensor lies in: a new one, that of a gradient that the running op was given, or a value's.
 */
static GradientBlock *block_of(TapeWalk *walk, const Tensor *t)
{
    for (int i = 0; i < walk->new_count; i++)
        if (lies_in(walk->new_blocks[i].data, walk->new_blocks[i].bytes, t))
            return block_of_new(walk, &walk->new_blocks[i]);
    const OpContext *c = walk->running;
    uint32_t first = c ? tape_node(walk->tape, c->node)->first_output : 0;
    for (int k = 0; c && k < c->outputs; k++) {
        const Pending *pending = *walk_place(walk, first + (uint32_t)k);
        if (pending && pending->block && lies_in(pending->block->data, pending->block->bytes, t))
            return pending->block;
    }
    return lent_block(walk, t->data);
}

static bool is_new(const TapeWalk *walk, const GradientBlock *block)
{
    for (int i = 0; i < walk->new_count; i++)
        if (walk->new_blocks[i].block == block)
            return true;
    return false;
}

static void set_free(TapeWalk *walk, GradientBlock *block)
{
    block->next = walk->free_blocks;
    walk->free_blocks = block;
    block->was_free = true;
}

static void drop(TapeWalk *walk, GradientBlock *block)
{
    if (block && --block->holders == 0 && !is_new(walk, block))
        set_free(walk, block);
}

void tape_blocks_set_sum(TapeWalk *walk, Pending *pending, Tensor sum)
{
    GradientBlock *before = pending->block;
    pending->sum = sum;
    pending->block = walk->reuses ? block_of(walk, &sum) : NULL;
    if (pending->block)
        pending->block->holders++;
    drop(walk, before);
}

bool tape_blocks_hold(TapeWalk *walk, Pending *pending, const Tensor *t)
{
    GradientBlock *block = walk->reuses ? block_of(walk, t) : NULL;
    if (!block)
        return true;
    HeldBlock *held = walk->free_held;
    if (held)
        walk->free_held = held->next;
    else
        held = tensor_arena_alloc(&walk->tape->arena, sizeof *held);
    if (!held)
        return false;
    *held = (HeldBlock){pending->held, block};
    pending->held = held;
    block->holders++;
    return true;
}

void tape_blocks_keep(TapeWalk *walk, const Tensor *t)
{
    GradientBlock *block = walk->reuses ? block_of(walk, t) : NULL;
    if (block)
        block->holders++;
}

void tape_blocks_release(TapeWalk *walk, Pending *pending, bool keeps_sum)
{
    for (HeldBlock *held = pending->held, *next; held; held = next) {
        next = held->next;
        drop(walk, held->block);
        held->next = walk->free_held;
        walk->free_held = held;
    }
    pending->held = NULL;
    if (!keeps_sum)
        drop(walk, pending->block);
    pending->block = NULL;
}

void tape_blocks_end_turn(TapeWalk *walk)
{
    for (int i = 0; i < walk->new_count; i++) {
        GradientBlock *block = block_of_new(walk, &walk->new_blocks[i]);
        if (block && block->holders == 0)
            set_free(walk, block);
    }
    walk->new_count = 0;
}

/* ---- Memory of values ---- */

void tape_blocks_note(OpContext *c, const Tensor *t)
{
    Tape *tape = c->tape;
    size_t bytes = (size_t)tensor_numel(t) * tensor_dtype_size(t->dtype);
    if (!tape->grad_enabled || tensor_numel(t) < LEAST_NUMBERS)
        return;
    MadeBlock *made = reel_mem_grow(tape->made, tape->made_count, &tape->made_capacity, sizeof *made);
    if (!made) /* it is not used again */
        return;
    tape->made = made;
    made[tape->made_count++] =
        (MadeBlock){.data = t->data, .bytes = bytes, .position = tape->arena.used, .node = c->node};
}

void tape_blocks_end_forward(Tape *tape, uint32_t node, bool will_pass)
{
    size_t first = tape->made_count, end = first;
    while (first > 0 && tape->made[first - 1].node >= node)
        first--;
    tape->made_count = first;
    for (size_t i = first; i < end && will_pass; i++) {
        const MadeBlock made = tape->made[i];
        bool stands = made.node == node && made.position <= tape->arena.used;
        for (size_t k = i + 1; k < end; k++) /* allocated again behind a rewind */
            stands = stands && (tape->made[k].data + tape->made[k].bytes <= made.data ||
                                made.data + made.bytes <= tape->made[k].data);
        if (stands)
            tape->made[tape->made_count++] = made;
    }
}

static int by_address(const void *a, const void *b)
{
    const GradientBlock *first = a, *second = b;
    return first->data < second->data ? -1 : first->data > second->data;
}

static bool has_hook(const Tape *tape)
{
    for (size_t i = 0; i < tape->record_count; i++)
        if (tape->records[i].hook)
            return true;
    return false;
}

bool tape_blocks_lend(TapeWalk *walk)
{
    Tape *tape = walk->tape;
    if (has_hook(tape)) /* which may look at any value */
        return true;
    size_t count = tape->made_count;
    GradientBlock *lent = tensor_arena_alloc(&tape->arena, count * sizeof *lent);
    if (!lent)
        return false;
    bool rises = true;
    for (size_t i = 0; i < count; i++) {
        lent[i] = (GradientBlock){.data = tape->made[i].data, .bytes = tape->made[i].bytes, .holders = 1};
        rises = rises && (i == 0 || lent[i - 1].data < lent[i].data);
    }
    if (!rises)
        qsort(lent, count, sizeof *lent, by_address);
    walk->lent = lent;
    walk->lent_count = count;
    for (uint32_t i = 0; i < tape->value_count; i++) {
        const Value *value = tape_value(tape, i);
        GradientBlock *block = value->seen && value->t.data ? lent_block(walk, value->t.data) : NULL;
        if (block)
            block->holders++;
    }
    return true;
}

void tape_blocks_pass(TapeWalk *walk, uint32_t node)
{
    Tape *tape = walk->tape;
    while (walk->lent && tape->made_count && tape->made[tape->made_count - 1].node >= node) {
        const MadeBlock *made = &tape->made[--tape->made_count];
        if (made->node == node)
            drop(walk, lent_block(walk, made->data));
    }
}

void tape_blocks_close(TapeWalk *walk)
{
    Tape *tape = walk->tape;
    if (!walk->lent)
        return;
    for (uint32_t i = 0; i < tape->value_count; i++) {
        Value *value = tape_value(tape, i);
        const GradientBlock *block = lent_block(walk, value->t.data);
        bool is_held = value->held && !value->t.data && !value->record; /* a parameter's stays */
        value->gone = (block && block->was_free) || is_held;
    }
    tape->closed = tape->node_count;
}
