/* A convolutional net that reads handwritten digits: 1,797 images of 8 x 8 by 13 writers, as scikit-learn has
 * them (E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI, doi 10.24432/C50P49,
 * CC BY 4.0). Run it as `digits tests/fixtures/digits.npz`. */
#include <reel/reel.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 8, PIXELS = SIDE * SIDE, DIGITS = 10, BATCH = 50, EPOCHS = 12, TEST = 297 };

typedef struct {
    NnModule base;
    NnConv2d first, second;
    NnLinear fc;
} Reader;

static void reader_init(Reader *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_conv2d_init, 1, 8, 3, 3, nn_conv_padded(1));
    NN_ADD(m, second, nn_conv2d_init, 8, 16, 3, 3, nn_conv_padded(1));
    NN_ADD(m, fc, nn_linear_init, 16 * 2 * 2, DIGITS);
}

/* Images [B, 1, 8, 8] to logits [B, 10]. */
static Var reader(Reader *m, Var x)
{
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->first, x)), 2, 2, 0);
    x = nn_max_pool2d(var_relu(nn_conv2d(&m->second, x)), 2, 2, 0);
    return nn_linear(&m->fc, var_flatten(x, 1));
}

static void must(ReelStatus status)
{
    if (status.code != REEL_STATUS_OK) {
        fprintf(stderr, "digits: %s\n", status.message);
        exit(1);
    }
}

/* A member of the file, i32. */
static Tensor read_member(const TensorNpz *npz, const char *name, TensorArena *arena)
{
    Tensor t;
    const TensorNpzMember *member = tensor_npz_find(npz, name);
    must(member ? tensor_npz_read_tensor(npz, member, arena, &t) : reel_status_failed("no member %s", name));
    return t;
}

/* Logits of some images, and their digits. */
static Var read_some(Reader *m, Tape *tape, Tensor images, Tensor digits, const int32_t *ids, int64_t count,
                     Var *target)
{
    Var which = tape_constant(tape, tensor_from((void *)ids, TENSOR_I32, TENSOR_SHAPE(count)));
    Var x = var_gather_rows(tape_constant(tape, images), which);
    int32_t *own = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *own);
    for (int64_t i = 0; i < count; i++)
        own[i] = tensor_i32(digits)[ids[i]];
    *target = tape_constant(tape, tensor_from(own, TENSOR_I32, TENSOR_SHAPE(count)));
    return reader(m, var_reshape(x, TENSOR_SHAPE(count, 1, SIDE, SIDE)));
}

int main(int argc, char **argv)
{
    Reader m;
    TensorNpz *npz;
    TensorArena arena;
    NnOptimizer *optimizer;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 5e-3;
    Tape *tape = tape_new();
    tensor_arena_init(&arena, 0);
    must(tensor_npz_open(&npz, argc > 1 ? argv[1] : "tests/fixtures/digits.npz"));
    Tensor pixels = read_member(npz, "pixels", &arena), digits = read_member(npz, "digits", &arena);
    Tensor images = tensor_cast(&arena, tensor_transpose(pixels, 0, 1), TENSOR_F32); /* [N, 64], 0 to 16 */
    int32_t count = (int32_t)digits.shape[0], train = count - TEST, *order, right = 0;
    order = tensor_arena_alloc(&arena, (size_t)count * sizeof *order);
    TensorRandom random = tensor_random_new(0, 1);
    tensor_random_permutation(&random, order, count);
    reader_init(&m);
    must(nn_module_reset(&m.base, 0));
    must(nn_optimizer_new(&optimizer, &m.base, options));
    Var target;
    for (int epoch = 1; epoch <= EPOCHS; epoch++) {
        double sum = 0;
        for (int32_t at = 0; at + BATCH <= train; at += BATCH) {
            tape_begin(tape);
            Var logits = read_some(&m, tape, images, digits, order + at, BATCH, &target);
            Var loss = var_cross_entropy(logits, target, VAR_REDUCTION_MEAN);
            tape_backward(loss);
            must(*tape_status(tape));
            must(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
            sum += var_item(loss) * BATCH / train;
        }
        if (epoch % 4 == 0)
            printf("epoch %2d: loss %.4f\n", epoch, sum);
    }
    tape_begin(tape);
    Tensor logits = var_value(read_some(&m, tape, images, digits, order + train, TEST, &target));
    must(*tape_status(tape));
    for (int64_t i = 0; i < TEST; i++) {
        const float *row = tensor_f32(logits) + i * DIGITS;
        int best = 0;
        for (int k = 1; k < DIGITS; k++)
            best = row[k] > row[best] ? k : best;
        right += best == tensor_i32(digits)[order[train + i]];
    }
    printf("right: %.3f of %d\n", (double)right / TEST, TEST);
    nn_optimizer_free(optimizer);
    nn_module_free(&m.base);
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    tape_free(tape);
    return 0;
}
