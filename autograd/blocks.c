/* Memory of gradients: what a walk has made is used again once nobody reads it, so that the gradients of
 * inner values take the memory of those that live at the same time. Whoever keeps a tensor for later holds
 * the block that it lies in. Memory of other origin (values, what an op has allocated by itself) is in no
 * block, and lives as long as the step. */
#include "autograd/walk_internal.h"

/* Smaller ones are not worth the search. */
enum { LEAST_NUMBERS = 1024 };

/* ---- Free blocks ---- */

static GradientBlock *take_free(TapeWalk *walk, size_t bytes)
{
    for (GradientBlock **link = &walk->free_blocks; *link; link = &(*link)->next)
        if ((*link)->bytes == bytes) {
            GradientBlock *block = *link;
            *link = block->next;
            return block;
        }
    return NULL;
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

/* The block that a tensor lies in: a new one, or that of a gradient that the running op was given. */
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
    return NULL;
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
