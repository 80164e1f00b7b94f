/* A generative adversarial network with a gradient penalty (Gulrajani et al. 2017, arXiv 1704.00028): the
 * generator turns noise into points, the critic tells them from those of a sloping cloud, and its loss has
 * the norm of its own gradient in it: backward goes through a gradient. */
#include <reel/reel.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 64, HIDDEN = 32, NOISE = 2, STEPS = 1600, CRITIC_STEPS = 5, TESTS = 500 };

typedef struct {
    NnModule base;
    NnLinear first, second, last;
} Net; /* the generator and the critic */

static void net_init(Net *m, int64_t in, int64_t out)
{
    nn_module_init(&m->base);
    NN_ADD(m, first, nn_linear_init, in, HIDDEN);
    NN_ADD(m, second, nn_linear_init, HIDDEN, HIDDEN);
    NN_ADD(m, last, nn_linear_init, HIDDEN, out);
}

static Var net(Net *m, Var x)
{
    return nn_linear(&m->last, var_tanh(nn_linear(&m->second, var_tanh(nn_linear(&m->first, x)))));
}

/* The mean of (|d critic(x) / dx| - 1)^2, between points of both kinds. */
static Var penalty(Net *critic, Var real, Var made, Var share)
{
    Var x = tape_leaf(real.tape, var_value(var_add(made, var_mul(share, var_sub(real, made)))));
    Var gradient = var_gradient(net(critic, x), x);
    Var norm = var_sqrt(var_scale(var_sum(var_square(gradient), TENSOR_AXIS(1), false), 1, 1e-12));
    return var_mean(var_square(var_scale(norm, 1, -1)), TENSOR_AXES_ALL, false);
}

static void must(ReelStatus status)
{
    if (status.code != REEL_STATUS_OK) {
        fprintf(stderr, "gradient_penalty: %s\n", status.message);
        exit(1);
    }
}

/* [rows, columns] of normal numbers, or of uniform ones. */
static Var draw(Tape *tape, TensorRandom *random, int64_t rows, int64_t columns, bool normal)
{
    Tensor t = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(rows, columns));
    if (normal)
        tensor_random_fill_normal(random, t, 0, 1);
    else
        tensor_random_fill_uniform(random, t, 0, 1);
    return tape_constant(tape, t);
}

/* Points around (2, -1): the second coordinate grows by 0.8 with the first, and spreads by 0.3. */
static Var real_points(Tape *tape, TensorRandom *random)
{
    Tensor t = tensor_new(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(POINTS, 2));
    for (int i = 0; i < POINTS && tensor_is_valid(t); i++) {
        double a = tensor_random_normal(random);
        tensor_f32(t)[2 * i] = (float)(2 + a);
        tensor_f32(t)[2 * i + 1] = (float)(-1 + 0.8 * a + 0.3 * tensor_random_normal(random));
    }
    return tape_constant(tape, t);
}

int main(void)
{
    Net generator, critic;
    Net *nets[] = {&critic, &generator};
    NnOptimizer *optimizers[2];
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 3e-4, options.beta1 = 0, options.beta2 = 0.9;
    TensorRandom random = tensor_random_new(0, 1);
    Tape *tape = tape_new();
    net_init(&critic, 2, 1);
    net_init(&generator, NOISE, 2);
    for (int i = 0; i < 2; i++) {
        must(nn_module_reset(&nets[i]->base, (uint64_t)i));
        must(nn_optimizer_new(&optimizers[i], &nets[i]->base, options));
    }
    for (int step = 1; step <= STEPS * (CRITIC_STEPS + 1); step++) {
        bool of_critic = step % (CRITIC_STEPS + 1) != 0;
        tape_begin(tape);
        Var made = net(&generator, draw(tape, &random, POINTS, NOISE, true)),
            real = real_points(tape, &random);
        Var loss = var_neg(var_mean(net(&critic, made), TENSOR_AXES_ALL, false));
        if (of_critic) {
            made = var_detach(made);
            Var apart = var_sub(var_mean(net(&critic, made), TENSOR_AXES_ALL, false),
                                var_mean(net(&critic, real), TENSOR_AXES_ALL, false));
            loss = var_add(
                apart, var_scale(penalty(&critic, real, made, draw(tape, &random, POINTS, 1, false)), 10, 0));
        }
        tape_backward(loss);
        must(*tape_status(tape));
        must(nn_optimizer_step(optimizers[of_critic ? 0 : 1], nn_tape_pieces(&tape, 1)));
    }
    tape_begin(tape);
    Tensor made = var_value(net(&generator, draw(tape, &random, TESTS, NOISE, true)));
    must(*tape_status(tape));
    double x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < TESTS; i++) {
        double a = tensor_f32(made)[2 * i], b = tensor_f32(made)[2 * i + 1];
        x += a / TESTS, y += b / TESTS, xx += a * a / TESTS, xy += a * b / TESTS;
    }
    printf("centre %.2f %.2f, slope %.2f\n", x, y, (xy - x * y) / (xx - x * x));
    for (int i = 0; i < 2; i++) {
        nn_optimizer_free(optimizers[i]);
        nn_module_free(&nets[i]->base);
    }
    tape_free(tape);
    return 0;
}
