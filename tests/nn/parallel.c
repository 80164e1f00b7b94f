/* Steps made of shards: the order of summation, accumulation, several optimizers, errors, evaluation. */
#include "nn/nn.h"
#include "nn/sum_internal.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { WORDS = 23, WIDTH = 6, TEXTS = 9, LENGTH = 5, MOST_SHARDS = 9 };

typedef struct Net {
    NnModule base;
    NnEmbedding words;
    NnDropout drop;
    NnLinear out;
} Net;

static void net_init(Net *m, double dropout)
{
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, WORDS, WIDTH);
    NN_ADD(m, drop, nn_dropout_init, dropout);
    NN_ADD(m, out, nn_linear_init, WIDTH, 3);
    ck_assert_ok(nn_module_reset(&m->base, 5));
}

/* A batch: words of its texts. Shard s has texts s, s + shards, ... */
typedef struct Step {
    Net *net;
    int32_t ids[TEXTS][LENGTH];
    int bad;    /* text whose shard fails; -1: none */
    int texts;  /* so many are there */
    float sign; /* of the loss */
} Step;

static Step draw_step(Net *net, uint64_t number)
{
    Step step = {.net = net, .bad = -1, .texts = TEXTS, .sign = 1};
    TensorRandom random = tensor_random_new(3, number);
    for (int t = 0; t < TEXTS; t++)
        for (int k = 0; k < LENGTH; k++)
            step.ids[t][k] = (int32_t)tensor_random_below(&random, WORDS);
    return step;
}

static Var loss_of_text(const Step *step, Tape *tape, int text)
{
    Net *m = step->net;
    Tensor ids = tensor_from((void *)(uintptr_t)step->ids[text], TENSOR_I32, TENSOR_SHAPE(LENGTH));
    Var x = nn_dropout(&m->drop, nn_embedding(&m->words, tape_constant(tape, ids)));
    return var_scale(var_sum(var_tanh(nn_linear(&m->out, x)), TENSOR_AXES_ALL, false), step->sign / TEXTS,
                     0.0);
}

static Var loss_of_shard(void *context, Tape *tape, int shard, int shards)
{
    const Step *step = context;
    Var sum = VAR_NONE;
    for (int text = shard; text < step->texts; text += shards) {
        if (text == step->bad)
            return tape_fail(tape, "text %d is bad", text);
        Var loss = loss_of_text(step, tape, text);
        sum = sum.tape ? var_add(sum, loss) : loss;
    }
    return sum;
}

static NnParallel *new_parallel(Net *m, int shards, int threads)
{
    NnParallel *p;
    ck_assert_ok(
        nn_parallel_new(&p, &m->base, &(NnParallelOptions){.shards = shards, .threads = threads, .seed = 4}));
    return p;
}

static NnOptimizer *new_optimizer(NnModule *module, double clip)
{
    NnOptimizer *o;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 0.05;
    options.clip_norm = clip;
    ck_assert_ok(nn_optimizer_new(&o, module, options));
    return o;
}

/* Trains for some steps; the bytes of all weights go to `weights`, and the sum of the losses is returned. */
typedef struct Weights {
    float words[WORDS * WIDTH], out[3 * WIDTH + 3];
} Weights;

static void read_weights(Net *m, Weights *weights)
{
    TensorArena memory = {0};
    Tensor words = nn_parameter_read(&m->words.weight, &memory);
    memcpy(weights->words, words.data, sizeof weights->words);
    memcpy(weights->out, m->out.weight.core.value.data, 3 * WIDTH * sizeof(float));
    memcpy(weights->out + 3 * WIDTH, m->out.bias.core.value.data, 3 * sizeof(float));
    tensor_arena_free(&memory);
}

static double train(int shards, int threads, double dropout, double clip, Weights *weights)
{
    Net m;
    double sum = 0;
    net_init(&m, dropout);
    NnParallel *p = new_parallel(&m, shards, threads);
    NnOptimizer *o = new_optimizer(&m.base, clip);
    for (uint64_t s = 0; s < 12; s++) {
        double loss;
        Step step = draw_step(&m, s);
        step.texts = s % 4 == 3 ? 2 : TEXTS; /* fewer texts than shards */
        ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, &loss));
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        sum += loss;
    }
    read_weights(&m, weights);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    nn_module_free(&m.base);
    return sum;
}

START_TEST(bytes_depend_on_the_shards_alone)
{
    for (int shards = 1; shards <= MOST_SHARDS; shards++) {
        Weights one, three;
        double a = train(shards, 1, 0.3, 0.2, &one), b = train(shards, 3, 0.3, 0.2, &three);
        ck_assert(a == b);
        ck_assert_mem_eq(&one, &three, sizeof one);
    }
    Weights two, seven;
    ck_assert_double_eq_tol(train(2, 1, 0, 0, &two), train(7, 1, 0, 0, &seven), 1e-4);
    for (int i = 0; i < WORDS * WIDTH; i++)
        ck_assert_float_eq_tol(two.words[i], seven.words[i], 1e-3f);
}
END_TEST

/* ---- The order of summation ---- */

/* As the words of pieces.h say it. */
static float tree(const float *x, const bool *there, int n, bool *any)
{
    *any = n == 1 && there[0];
    if (n == 1)
        return x[0];
    int cut = 1;
    while (cut * 2 < n)
        cut *= 2;
    bool left, right;
    float a = tree(x, there, cut, &left), b = tree(x + cut, there + cut, n - cut, &right);
    *any = left || right;
    return left && right ? a + b : left ? a : b;
}

START_TEST(pieces_are_added_up_as_a_tree)
{
    TensorRandom random = tensor_random_new(1, 0);
    for (int n = 1; n <= 40; n++)
        for (int round = 0; round < 20; round++) {
            float x[40], sum;
            bool there[40], any;
            Addend addends[40];
            int count = 0;
            for (int i = 0; i < n; i++) {
                x[i] = (float)tensor_random_normal(&random);
                there[i] = tensor_random_uniform(&random) < 0.7f;
                if (there[i])
                    addends[count++] = (Addend){i, &x[i]};
            }
            float expected = tree(x, there, n, &any);
            if (!any)
                continue;
            nn_sum_into(&sum, TENSOR_F32, addends, count, 0, n, 0, 1);
            ck_assert(sum == expected);
        }
    ck_assert_int_eq(nn_sum_cut(2), 1);
    ck_assert_int_eq(nn_sum_cut(3), 2);
    ck_assert_int_eq(nn_sum_cut(4), 2);
    ck_assert_int_eq(nn_sum_cut(5), 4);
}
END_TEST

/* A node's sum may be taken elsewhere: the bytes stay. */
START_TEST(nodes_may_be_summed_elsewhere)
{
    enum { N = 13, SIZE = 5000 };
    static float x[N][SIZE], parts[3][SIZE], whole[SIZE], again[SIZE];
    Addend all[N];
    TensorRandom random = tensor_random_new(2, 0);
    for (int i = 0; i < N; i++) {
        tensor_random_fill_normal(&random, tensor_from(x[i], TENSOR_F32, TENSOR_SHAPE(SIZE)), 0, 1);
        all[i] = (Addend){i, x[i]};
    }
    nn_sum_into(whole, TENSOR_F32, all, N, 0, N, 0, SIZE);
    nn_sum_into(parts[0], TENSOR_F32, all, 8, 0, 8, 0, SIZE);
    nn_sum_into(parts[1], TENSOR_F32, all + 8, 4, 8, 4, 0, SIZE);
    Addend nodes[] = {{0, parts[0]}, {8, parts[1]}, {12, x[12]}};
    nn_sum_into(again, TENSOR_F32, nodes, 3, 0, N, 0, SIZE);
    ck_assert_mem_eq(whole, again, sizeof whole);
}
END_TEST

START_TEST(rows_are_turned_by_id)
{
    int32_t ids[3][4] = {{70000, 3, 9, 1}, {9, 70000, 2, 0}, {4096, 9, 5, 2048}};
    float data[3][4][2];
    TapeGradient gradients[3] = {0};
    TensorArena memory = {0};
    SumRows rows;
    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < 4; i++)
            data[p][i][0] = data[p][i][1] = (float)(10 * p + i);
        gradients[p] = (TapeGradient){.rows = tensor_from(data[p], TENSOR_F32, TENSOR_SHAPE(4, 2)),
                                      .ids = tensor_from(ids[p], TENSOR_I32, TENSOR_SHAPE(4))};
    }
    int places[] = {0, 4, 6};
    ck_assert(nn_sum_rows_find(&rows, gradients, places, 3, &memory));
    int32_t expected[] = {0, 1, 2, 3, 5, 9, 2048, 4096, 70000};
    ck_assert_int_eq(rows.count, 9);
    ck_assert_mem_eq(rows.ids, expected, sizeof expected);
    const Addend *nine = rows.addends + rows.first[5];
    ck_assert_int_eq(rows.first[6] - rows.first[5], 3);
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(nine[k].place, places[k]);
        ck_assert(*(const float *)nine[k].data == (k == 0 ? 2.0f : k == 1 ? 10.0f : 21.0f));
    }
    tensor_arena_free(&memory);
}
END_TEST

/* ---- Accumulation, and several optimizers ---- */

START_TEST(several_backwards_add_up)
{
    for (int mixed = 0; mixed < 2; mixed++) {
        Net m;
        TensorArena memory = {0};
        net_init(&m, 0);
        m.words.weight.sparse = !mixed;
        NnParallel *p = new_parallel(&m, 3, 2);
        NnOptimizer *o = new_optimizer(&m.base, 1e9); /* to see the norm */
        Step steps[] = {draw_step(&m, 1), draw_step(&m, 2), draw_step(&m, 3)};
        Tape *tape = tape_new();
        tape_begin(tape);
        Var sum = VAR_NONE;
        for (int s = 0; s < 3; s++) {
            ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &steps[s], NULL));
            Var loss = loss_of_shard(&steps[s], tape, 0, 1);
            sum = s ? var_add(sum, loss) : loss;
        }
        ck_assert(tape_backward(sum));
        double squares = 0;
        for (NnParameter *q = nn_first_parameter(&m.base); q; q = nn_next_parameter(&m.base, q)) {
            TapeGradient g = tape_gradient(tape, &q->core);
            squares += tensor_sum_of_squares(tensor_is_valid(g.rows) ? g.rows : g.dense);
        }
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        ck_assert_double_eq_tol(nn_optimizer_norm(o), sqrt(squares), 1e-5 * sqrt(squares));
        /* What was read is gone. */
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        ck_assert(nn_optimizer_norm(o) == 0);
        tape_free(tape);
        tensor_arena_free(&memory);
        nn_optimizer_free(o);
        nn_parallel_free(p);
        nn_module_free(&m.base);
    }
}
END_TEST

/* However many parts a batch has, the tapes hold the values of one. */
START_TEST(accumulation_takes_the_memory_of_one_part)
{
    Net m;
    net_init(&m, 0);
    NnParallel *p = new_parallel(&m, 3, 2);
    NnOptimizer *o = new_optimizer(&m.base, 1e9);
    Step step = draw_step(&m, 1);
    size_t bytes[2];
    for (int several = 0; several < 2; several++) {
        for (int part = 0; part < (several ? 8 : 1); part++)
            ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        bytes[several] = nn_parallel_tape_bytes(p);
    }
    ck_assert(bytes[0] > 0);
    ck_assert_int_eq((int)bytes[1], (int)bytes[0]);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    nn_module_free(&m.base);
}
END_TEST

/* What one shard adds up is the same by a function and by hand, with dropout, in the memory of one part. */
START_TEST(one_shard_needs_no_function)
{
    double norms[2];
    size_t bytes[2];
    for (int by_hand = 0; by_hand < 2; by_hand++) {
        Net m;
        net_init(&m, 0.5);
        NnParallel *p = new_parallel(&m, 1, 1);
        NnOptimizer *o = new_optimizer(&m.base, 1e9);
        for (int part = 0; part < 3; part++) {
            Step step = draw_step(&m, (uint64_t)part);
            if (by_hand)
                ck_assert_ok(nn_parallel_end(p, loss_of_shard(&step, nn_parallel_begin(p), 0, 1)));
            else
                ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
        }
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        norms[by_hand] = nn_optimizer_norm(o);
        bytes[by_hand] = nn_parallel_tape_bytes(p);
        nn_optimizer_free(o);
        nn_parallel_free(p);
        nn_module_free(&m.base);
    }
    ck_assert(norms[0] > 0 && norms[0] == norms[1]);
    ck_assert(bytes[0] == bytes[1]);
}
END_TEST

START_TEST(several_shards_need_a_function)
{
    Net m;
    net_init(&m, 0);
    NnParallel *p = new_parallel(&m, 2, 1);
    Step step = draw_step(&m, 1);
    ck_assert_failed(nn_parallel_end(p, loss_of_shard(&step, nn_parallel_begin(p), 0, 1)), REEL_STATUS_FAILED,
                     "there are 2 shards");
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
    nn_parallel_free(p);
    nn_module_free(&m.base);
}
END_TEST

/* The sums of whole tables and of rows, in either order. */
static Var table_loss(void *context, Tape *tape, int shard, int shards)
{
    const Step *step = context;
    (void)shards;
    if ((shard == 0) == (step->sign > 0))
        return var_sum(nn_var(&step->net->words.weight, tape), TENSOR_AXES_ALL, false);
    return loss_of_text(step, tape, shard);
}

START_TEST(rows_and_whole_tables_accumulate)
{
    Net m;
    net_init(&m, 0);
    NnParallel *p = new_parallel(&m, 2, 1);
    NnOptimizer *o = new_optimizer(&m.words.base, 1e9);
    double norms[2];
    for (int order = 0; order < 2; order++) {
        for (int k = 0; k < 2; k++) {
            Step step = draw_step(&m, 1);
            step.sign = (k == 0) == (order == 0) ? 1 : -1;
            ck_assert_ok(nn_parallel_backward(p, table_loss, &step, NULL));
        }
        nn_optimizer_set_lr(o, 0);
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        norms[order] = nn_optimizer_norm(o);
        nn_parallel_clear(p);
    }
    ck_assert_double_eq_tol(norms[0], norms[1], 1e-6 * norms[0]);
    ck_assert_double_gt(norms[0], sqrt(4.0 * WORDS * WIDTH) / 2);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    nn_module_free(&m.base);
}
END_TEST

/* Two optimizers of two parts: one updates after each backward, the other after two. */
START_TEST(optimizers_clear_what_is_theirs)
{
    Net m;
    net_init(&m, 0);
    NnParallel *p = new_parallel(&m, 2, 1);
    NnOptimizer *words = new_optimizer(&m.words.base, 1e9), *out = new_optimizer(&m.out.base, 1e9);
    Step step = draw_step(&m, 1);
    nn_optimizer_set_lr(words, 0);
    nn_optimizer_set_lr(out, 0);
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
    ck_assert_ok(nn_optimizer_step(words, nn_parallel_pieces(p)));
    double one = nn_optimizer_norm(words);
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
    ck_assert_ok(nn_optimizer_step(out, nn_parallel_pieces(p)));
    ck_assert_ok(nn_optimizer_step(words, nn_parallel_pieces(p)));
    ck_assert_double_eq_tol(nn_optimizer_norm(words), one, 1e-9);
    double two = nn_optimizer_norm(out);
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
    ck_assert_ok(nn_optimizer_step(out, nn_parallel_pieces(p)));
    ck_assert_double_eq_tol(nn_optimizer_norm(out), two / 2, 1e-6 * two);
    nn_optimizer_free(words);
    nn_optimizer_free(out);
    nn_parallel_free(p);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Errors ---- */

START_TEST(the_first_error_is_told_and_changes_nothing)
{
    Weights before, after;
    Net m;
    net_init(&m, 0);
    NnParallel *p = new_parallel(&m, 4, 2);
    NnOptimizer *o = new_optimizer(&m.base, 0);
    Step step = draw_step(&m, 1);
    read_weights(&m, &before);
    step.bad = 6;
    ck_assert_failed(nn_parallel_backward(p, loss_of_shard, &step, NULL), REEL_STATUS_FAILED,
                     "text 6 is bad");
    ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
    read_weights(&m, &after);
    ck_assert_mem_eq(&before, &after, sizeof before);
    nn_optimizer_free(o);
    nn_parallel_free(p);
    ck_assert_failed(nn_parallel_new(&p, &m.base, &(NnParallelOptions){.shards = 0, .threads = 1}),
                     REEL_STATUS_USAGE, "shards");
    ck_assert_failed(nn_parallel_new(&p, &m.base, &(NnParallelOptions){.shards = 1}), REEL_STATUS_USAGE,
                     "thread");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(no_memory_is_an_error)
{
    Net m;
    net_init(&m, 0);
    Step step = draw_step(&m, 1);
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        NnParallel *p = NULL;
        reel_mem_fail_at(n, false);
        ReelStatus status = nn_parallel_new(&p, &m.base, &(NnParallelOptions){.shards = 2, .threads = 1});
        for (int s = 0; s < 3 && reel_status_is_ok(&status); s++)
            status = nn_parallel_backward(p, loss_of_shard, &step, NULL);
        done = reel_status_is_ok(&status);
        reel_mem_fail_at(-1, false);
        nn_parallel_free(p);
        ck_assert(n < 10000);
    }
    nn_module_free(&m.base);
}
END_TEST

/* ---- Evaluation ---- */

typedef struct Squares {
    int next;
    int bad;
} Squares;

static Tensor square_task(void *context, Tape *tape, int task)
{
    const Squares *squares = context;
    if (task == squares->bad)
        tape_fail(tape, "task %d is bad", task);
    Var x =
        tape_scalar(tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1))), task);
    return task % 5 == 4 ? tensor_invalid() : var_value(var_mul(x, x));
}

static void take_square(void *context, int task, Tensor result)
{
    Squares *squares = context;
    ck_assert_int_eq(task, squares->next++);
    ck_assert(task % 5 == 4 ? !tensor_is_valid(result) : tensor_item(result) == (double)task * task);
}

START_TEST(results_come_in_the_order_of_the_tasks)
{
    Net m;
    net_init(&m, 0);
    for (int shards = 1; shards < 6; shards++) {
        NnParallel *p = new_parallel(&m, shards, 2);
        Squares squares = {.bad = -1};
        ck_assert_ok(nn_parallel_each(p, square_task, take_square, &squares, 17));
        ck_assert_int_eq(squares.next, 17);
        squares = (Squares){.bad = 8};
        ck_assert_failed(nn_parallel_each(p, square_task, take_square, &squares, 17), REEL_STATUS_FAILED,
                         "task 8 is bad");
        ck_assert_int_le(squares.next, 8);
        nn_parallel_free(p);
    }
    nn_module_free(&m.base);
}
END_TEST

START_TEST(an_evaluation_leaves_gradients_that_wait)
{
    double norms[2];
    for (int evaluate = 0; evaluate < 2; evaluate++) {
        Net m;
        net_init(&m, 0);
        NnParallel *p = new_parallel(&m, 2, 1);
        NnOptimizer *o = new_optimizer(&m.base, 1e9);
        Step step = draw_step(&m, 1);
        Squares squares = {.bad = -1};
        ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, NULL));
        if (evaluate)
            ck_assert_ok(nn_parallel_each(p, square_task, take_square, &squares, 4));
        ck_assert_ok(nn_optimizer_step(o, nn_parallel_pieces(p)));
        norms[evaluate] = nn_optimizer_norm(o);
        nn_optimizer_free(o);
        nn_parallel_free(p);
        nn_module_free(&m.base);
    }
    ck_assert(norms[0] == norms[1] && norms[0] > 0);
}
END_TEST

START_TEST(dropout_is_a_function_of_the_step)
{
    Net m;
    net_init(&m, 0.5);
    NnParallel *p = new_parallel(&m, 2, 1);
    Step step = draw_step(&m, 1);
    double first, second, again;
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, &first));
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, &second));
    nn_parallel_set_step(p, 1);
    ck_assert_ok(nn_parallel_backward(p, loss_of_shard, &step, &again));
    ck_assert(first != second && second == again);
    nn_parallel_free(p);
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_parallel_suite(void);
Suite *nn_parallel_suite(void)
{
    Suite *suite = suite_create("nn/parallel");
    TCase *tcase = tcase_create("parallel");
    tcase_add_test(tcase, bytes_depend_on_the_shards_alone);
    tcase_add_test(tcase, pieces_are_added_up_as_a_tree);
    tcase_add_test(tcase, nodes_may_be_summed_elsewhere);
    tcase_add_test(tcase, rows_are_turned_by_id);
    tcase_add_test(tcase, several_backwards_add_up);
    tcase_add_test(tcase, accumulation_takes_the_memory_of_one_part);
    tcase_add_test(tcase, one_shard_needs_no_function);
    tcase_add_test(tcase, several_shards_need_a_function);
    tcase_add_test(tcase, rows_and_whole_tables_accumulate);
    tcase_add_test(tcase, optimizers_clear_what_is_theirs);
    tcase_add_test(tcase, the_first_error_is_told_and_changes_nothing);
    tcase_add_test(tcase, no_memory_is_an_error);
    tcase_add_test(tcase, results_come_in_the_order_of_the_tasks);
    tcase_add_test(tcase, an_evaluation_leaves_gradients_that_wait);
    tcase_add_test(tcase, dropout_is_a_function_of_the_step);
    suite_add_tcase(suite, tcase);
    return suite;
}
