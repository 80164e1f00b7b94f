/* A small network on numeric data, with an op of its own as activation: sin(a), as in Sitzmann et al. 2020
 * (arXiv 2006.09661). It learns z = sin(6 x) cos(4 y) from 512 points and is tested on 512 others. The op is
 * first given to the gradient checker. */
#include <reel/reel.h>

#include <math.h>
#include <stdio.h>

/* ---- The op: f(a) = sin a;  f' = cos a ---- */

/* out = f(a) for each element, f32 or f64; out is contiguous, a has any strides. */
static bool map(OpContext *c, Tensor out, double (*f)(double))
{
    Tensor a = tensor_contiguous(op_arena(c), *c->in[0]);
    if (!tensor_is_valid(a) || !tensor_is_valid(out))
        return false;
    for (int64_t i = 0, n = tensor_numel(&a); i < n; i++) {
        if (a.dtype == TENSOR_F32)
            tensor_f32(out)[i] = (float)f((double)tensor_f32(a)[i]);
        else
            tensor_f64(out)[i] = f(tensor_f64(a)[i]);
    }
    return true;
}

static bool sine_forward(OpContext *c)
{
    if (c->in[0]->dtype == TENSOR_I32)
        return op_error(c, "the input is i32, but must be f32 or f64");
    return op_output_like(c, *c->in[0]) && map(c, *c->out[0], sin);
}

static void sine_backward(OpContext *c, OpTerm *terms)
{
    Tensor da = op_new_like(c, *c->out[0]);
    if (map(c, da, cos) && tensor_binary(TENSOR_BINARY_MUL, da, da, *c->grad[0]))
        op_give(&terms[0], da);
}

static Var sine(Var a);
static Var sine_sample(OpSample *s)
{
    return sine(op_sample(s, TENSOR_SHAPE(op_sample_size(s, 0), op_sample_size(s, 1)), -3, 3));
}
static const OpKind op_sine = {
    .name = "sine", .forward = sine_forward, .backward = sine_backward, .sample = sine_sample};
static Var sine(Var a)
{
    return op_apply(&op_sine, &a, 1, NULL, 0);
}

/* ---- The network and its data ---- */

enum { POINTS = 512, HIDDEN = 48, STEPS = 400 };

typedef struct {
    NnModule base;
    NnLinear first, second, last;
} Network;

static void network_init(Network *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_linear_init, 2, HIDDEN);
    NN_ADD(m, second, nn_linear_init, HIDDEN, HIDDEN);
    NN_ADD(m, last, nn_linear_init, HIDDEN, 1);
}

static Var network_loss(Network *m, Tape *tape, Tensor x, Tensor z)
{
    Var h = sine(var_scale(nn_linear(&m->first, tape_constant(tape, x)), 5, 0));
    h = sine(nn_linear(&m->second, h));
    return var_mse(nn_linear(&m->last, h), tape_constant(tape, z), VAR_REDUCTION_MEAN);
}

static void draw(TensorRandom *random, Tensor x, Tensor z)
{
    tensor_random_fill_uniform(random, x, -1, 1);
    for (int64_t i = 0; i < POINTS; i++)
        tensor_f32(z)[i] = sinf(6 * tensor_f32(x)[2 * i]) * cosf(4 * tensor_f32(x)[2 * i + 1]);
}

int main(void)
{
    static float x[2][POINTS * 2], z[2][POINTS];
    Tensor xs[2], zs[2];
    TensorRandom random = tensor_random_new(0, tensor_random_stream("points"));
    for (int part = 0; part < 2; part++) {
        xs[part] = tensor_from(x[part], TENSOR_F32, TENSOR_SHAPE(POINTS, 2));
        zs[part] = tensor_from(z[part], TENSOR_F32, TENSOR_SHAPE(POINTS, 1));
        draw(&random, xs[part], zs[part]);
    }
    Network network;
    NnOptimizer *optimizer = NULL;
    NnOptimizerOptions adam = nn_optimizer_options(NN_ADAM);
    adam.lr = 5e-3;
    Tape *tape = tape_new();
    network_init(&network);
    ReelStatus status = op_gradcheck(&op_sine, OP_LAYOUT_CONTIGUOUS, 1).status;
    if (reel_status_is_ok(&status))
        status = nn_module_reset(&network.base, 0);
    if (reel_status_is_ok(&status))
        status = nn_optimizer_new(&optimizer, &network.base, adam);
    for (int step = 1; step <= STEPS && reel_status_is_ok(&status); step++) {
        tape_begin(tape);
        bool done = tape_backward(network_loss(&network, tape, xs[0], zs[0]));
        status = done ? nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)) : *tape_status(tape);
        if (step % 100 == 0)
            printf("step %d: test error %.4f\n", step, var_item(network_loss(&network, tape, xs[1], zs[1])));
    }
    if (!reel_status_is_ok(&status))
        fprintf(stderr, "numeric_mlp: %s\n", status.message);
    nn_optimizer_free(optimizer);
    nn_module_free(&network.base);
    tape_free(tape);
    return (int)status.code;
}
