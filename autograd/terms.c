/* Terms of a gradient: whether they fit, and how they are summed. Dense terms and parts are folded as they
 * come: the first is borrowed, the second makes memory for the sum, later ones are added in place. */
#include "autograd/walk_internal.h"
#include "tensor/elementwise.h"
#include "tensor/reduce.h"
#include "tensor/rows.h"

#include <string.h>

/* ---- What is pending ---- */

Pending *tape_walk_pending(TapeWalk *walk, uint32_t value)
{
    Pending *pending = *walk_place(walk, value);
    if (pending)
        return pending;
    pending = walk->free;
    if (pending)
        walk->free = pending->next;
    else
        pending = tensor_arena_alloc(&walk->tape->arena, sizeof *pending);
    if (!pending)
        return NULL;
    pending->sum.dtype = TENSOR_DTYPE_NONE;
    pending->owned = pending->unfinished = false;
    pending->products.count = pending->products.capacity = 0;
    pending->rows = NULL;
    pending->block = NULL;
    pending->held = NULL;
    const Value *v = tape_value(walk->tape, value);
    if (v->record && !walk->arrive && !tape_node(walk->tape, v->maker)->op) {
        /* The gradients of several losses add up. */
        const Record *record = &walk->tape->records[v->record - 1];
        pending->sum = record->grad;
        pending->owned = record->grad_owned;
    }
    return *walk_place(walk, value) = pending;
}

void tape_walk_release(TapeWalk *walk, uint32_t value, bool keeps_sum)
{
    Pending *pending = *walk_place(walk, value);
    if (!pending)
        return;
    tape_blocks_release(walk, pending, keeps_sum);
    *walk_place(walk, value) = NULL;
    pending->next = walk->free;
    walk->free = pending;
}

/* ---- Checks ---- */

static bool refuse(TapeWalk *walk, const char *what)
{
    if (walk->running)
        return op_error(walk->running, "the %s not fit to input %d", what, walk->input);
    tape_fail(walk->tape, "the %s not fit to the value", what);
    return false;
}

static bool dense_fits(const Tensor *like, const Tensor *grad)
{
    if (grad->dtype != like->dtype)
        return false;
    if (tensor_same_shape(grad, like))
        return true;
    Tensor spread = tensor_expand(*like, grad->ndim, grad->shape);
    return tensor_is_valid(spread);
}

static bool part_fits(const Tensor *like, const OpTerm *term)
{
    const Tensor *grad = &term->a;
    OpPart part = term->part;
    if (grad->dtype != like->dtype || grad->ndim != like->ndim || part.axis < 0 || part.axis >= like->ndim)
        return false;
    for (int d = 0; d < like->ndim; d++)
        if (d != part.axis && grad->shape[d] != like->shape[d])
            return false;
    int64_t size = like->shape[part.axis], n = grad->shape[part.axis];
    if (n == 0)
        return true;
    int64_t last = part.start + part.step * (n - 1);
    return part.step != 0 && part.start >= 0 && part.start < size && last >= 0 && last < size;
}

static bool rows_fit(Tensor like, const Tensor *rows, const Tensor *ids)
{
    if (ids->dtype != TENSOR_I32 || ids->ndim != 1 || rows->dtype != like.dtype || rows->ndim < 1 ||
        like.ndim < 1 || rows->shape[0] != ids->shape[0] ||
        tensor_index_out_of_range(*ids, like.shape[0]) >= 0)
        return false;
    like.shape[0] = rows->shape[0];
    return tensor_same_shape(&like, rows);
}

static bool product_fits(const Tensor *like, const Tensor *dy, const Tensor *x)
{
    return like->ndim == 2 && dy->ndim == 2 && x->ndim == 2 && dy->dtype == like->dtype &&
           x->dtype == like->dtype && dy->shape[0] == x->shape[0] && dy->shape[1] == like->shape[0] &&
           x->shape[1] == like->shape[1];
}

bool tape_term_check(TapeWalk *walk, const Tensor *like, const OpTerm *term)
{
    switch (term->kind) {
    case OP_TERM_DENSE:
        if (!dense_fits(like, &term->a))
            return refuse(walk, "gradient does");
        break;
    case OP_TERM_PART:
        if (!part_fits(like, term))
            return refuse(walk, "part of a gradient does");
        break;
    case OP_TERM_ROWS:
        if (!rows_fit(*like, &term->a, &term->b))
            return refuse(walk, "rows do");
        break;
    default: /* its sum is looked at when it is there */
        return product_fits(like, &term->a, &term->b) || refuse(walk, "product does");
    }
    if (!walk->tape->check_finite || tensor_is_finite(term->a))
        return true;
    if (walk->running)
        return op_error(walk->running, "made a NaN or an infinity in the gradient of input %d", walk->input);
    tape_fail(walk->tape, "a gradient is a NaN or an infinity");
    return false;
}

/* ---- Sums ---- */

void tape_fold_finish(Pending *pending)
{
    if (!pending->unfinished)
        return;
    pending->unfinished = false;
    tensor_fill(tensor_slice(pending->sum, pending->axis, 0, pending->first, 1), 0);
    tensor_fill(tensor_slice(pending->sum, pending->axis, pending->stop, TENSOR_END, 1), 0);
}

bool tape_fold_own(TapeWalk *walk, Pending *pending, const Tensor *like)
{
    tape_fold_finish(pending);
    if (pending->owned)
        return true;
    Tensor own = tape_blocks_new(walk, like->dtype, like->ndim, like->shape);
    if (!tensor_is_valid(own))
        return false;
    if (tensor_is_valid(pending->sum))
        tensor_copy_into(own, pending->sum);
    else
        tensor_fill(own, 0);
    tape_blocks_set_sum(walk, pending, own);
    return pending->owned = true;
}

bool tape_fold_dense(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *grad)
{
    Tensor narrow;
    tape_fold_finish(pending);
    bool is_new = !tensor_same_shape(grad, like);
    if (is_new) { /* the value was broadcast */
        narrow = tape_blocks_new(walk, like->dtype, like->ndim, like->shape);
        if (!tensor_is_valid(narrow))
            return false;
        if (!tensor_sum_to(narrow, *grad, false))
            return refuse(walk, "gradient does");
        grad = &narrow;
    }
    if (!tensor_is_valid(pending->sum)) {
        tape_blocks_set_sum(walk, pending, *grad);
        pending->owned = is_new;
        return true;
    }
    if (pending->owned)
        return tensor_binary(TENSOR_BINARY_ADD, pending->sum, pending->sum, *grad);
    Tensor sum = tape_blocks_new(walk, like->dtype, like->ndim, like->shape);
    if (!tensor_is_valid(sum))
        return false;
    tensor_binary(TENSOR_BINARY_ADD, sum, pending->sum, *grad);
    tape_blocks_set_sum(walk, pending, sum);
    return pending->owned = true;
}

Tensor tape_part_of(Tensor t, const Tensor *grad, OpPart part)
{
    int64_t n = grad->shape[part.axis];
    if (n == 0)
        return tensor_slice(t, part.axis, 0, 0, 1);
    int64_t last = part.start + part.step * (n - 1), stop = part.step > 0 ? last + 1 : last - 1;
    return tensor_slice(t, part.axis, part.start, stop < 0 ? TENSOR_END : stop, part.step);
}

/* Parts that follow one another, as the steps of a sequence do, are written side by side: zeros beneath them
 * would be bytes for nothing. False: the part is to be added. */
static bool put_part(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *grad, OpPart part)
{
    int64_t n = grad->shape[part.axis], stop = part.start + n;
    if (part.step != 1 || n == 0)
        return false;
    if (!tensor_is_valid(pending->sum)) {
        Tensor own = tape_blocks_new(walk, like->dtype, like->ndim, like->shape);
        if (!tensor_is_valid(own))
            return false;
        tape_blocks_set_sum(walk, pending, own);
        pending->owned = true;
        pending->axis = part.axis;
        pending->first = pending->stop = part.start;
    } else if (!pending->unfinished || part.axis != pending->axis ||
               (stop != pending->first && part.start != pending->stop)) {
        return false;
    }
    if (part.start < pending->first)
        pending->first = part.start;
    if (stop > pending->stop)
        pending->stop = stop;
    pending->unfinished = pending->first > 0 || pending->stop < like->shape[part.axis];
    return tensor_copy_into(tape_part_of(pending->sum, grad, part), *grad);
}

bool tape_fold_part(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *grad, OpPart part)
{
    if (put_part(walk, pending, like, grad, part))
        return true;
    bool written = pending->unfinished && part.step == 1 && part.axis == pending->axis &&
                   part.start >= pending->first && part.start + grad->shape[part.axis] <= pending->stop;
    if (!written && !tape_fold_own(walk, pending, like))
        return false;
    Tensor place = tape_part_of(pending->sum, grad, part);
    return tensor_binary(TENSOR_BINARY_ADD, place, place, *grad) || refuse(walk, "part of a gradient does");
}

bool tape_fold_rows(TapeWalk *walk, Pending *pending, const Tensor *like, const Tensor *rows, Tensor ids)
{
    return tape_fold_own(walk, pending, like) &&
           (tensor_scatter_add_rows(pending->sum, *rows, ids) || refuse(walk, "rows do"));
}
