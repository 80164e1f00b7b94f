/* A chapter of speed: products dy^T x are put off until all uses of a weight have given theirs, and then done
 * as one product over all rows, which are gathered while they are packed. A recurrent layer of T steps makes
 * one product of its T, and one sum. */
#include "autograd/walk_internal.h"
#include "tensor/matmul.h"
#include "tensor/reduce.h"

#include <string.h>

static bool multiply(TapeWalk *walk, Tensor sum, const TensorPanelsPair *pairs, int64_t count)
{
    TensorArena *arena = &walk->tape->arena;
    if (REEL_CHAPTERS && sum.dtype == TENSOR_F32 && tensor_panels_accumulate(sum, pairs, count, 0.0, arena))
        return true;
    for (int64_t i = 0; i < count; i++)
        if (!tensor_matmul(sum, 1.0, tensor_transpose(pairs[i].dy, 0, 1), pairs[i].x, i == 0 ? 0.0 : 1.0))
            return false;
    return true;
}

static bool add_product(TapeWalk *walk, Pending *pending, const Tensor *like, const TensorPanelsPair *pairs,
                        int64_t count)
{
    Tape *tape = walk->tape;
    Tensor sum = tape_blocks_new(walk, like->dtype, like->ndim, like->shape);
    if (!tensor_is_valid(sum) || !multiply(walk, sum, pairs, count))
        return false;
    if (tape->check_finite && !tensor_is_finite(sum)) {
        char shape[TENSOR_SHAPE_TEXT_SIZE];
        tape_fail(tape, "backward of %s: made a NaN or an infinity in a gradient of shape %s",
                  pending->giver->name, tensor_shape_text(like, shape));
        return false;
    }
    bool first = !tensor_is_valid(pending->sum);
    bool done = tape_fold_dense(walk, pending, like, &sum);
    pending->owned |= first;
    return done;
}

bool tape_products_take(TapeWalk *walk, Pending *pending, const Tensor *like, const OpTerm *term)
{
    TensorPanelsPair pair = {.dy = term->a, .x = term->b};
    PairList *list = &pending->products;
    pending->giver = walk->running->op;
    if (!REEL_CHAPTERS)
        return add_product(walk, pending, like, &pair, 1);
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 8;
        TensorPanelsPair *pairs = tensor_arena_alloc(&walk->tape->arena, (size_t)capacity * sizeof *pairs);
        if (!pairs)
            return false;
        if (list->count)
            memcpy(pairs, list->pairs, (size_t)list->count * sizeof *pairs);
        list->pairs = pairs;
        list->capacity = capacity;
    }
    list->pairs[list->count++] = pair;
    return tape_blocks_hold(walk, pending, &pair.dy) && tape_blocks_hold(walk, pending, &pair.x);
}

bool tape_products_finish(TapeWalk *walk, Pending *pending, const Tensor *like)
{
    int64_t count = pending->products.count;
    pending->products.count = 0;
    return count == 0 || add_product(walk, pending, like, pending->products.pairs, count);
}
