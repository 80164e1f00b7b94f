#include "nn/module.h"
#include "nn/nn.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static TensorArena arena;

static void setup(void)
{
    tensor_arena_init(&arena, 0);
}

static void teardown(void)
{
    tensor_arena_free(&arena);
    reel_mem_fail_at(-1, 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}

/* ---- A tree: part "inner" with a parameter that goes by two names, a part without a name ---- */

typedef struct Inner {
    NnModule base;
    NnParameter block, plain;
} Inner;

typedef struct Outer {
    NnModule base;
    NnLinear last;
    Inner inner, nameless;
    NnParameter own;
} Outer;

static void inner_init(Inner *m, int64_t width)
{
    nn_module_init(&m->base);
    nn_module_add_parameter(&m->base, &m->block, "block", TENSOR_SHAPE(2 * width, 3), nn_init_constant(7));
    nn_module_add_parameter(&m->base, &m->plain, "plain", TENSOR_SHAPE(width), nn_init_constant(0.5));
    const NnName names[] = {nn_name("plain", &m->plain),
                            {"lower", &m->block, width, width, nn_init_uniform(0.25)},
                            {"upper", &m->block, 0, width, nn_init_normal(2.0)}};
    nn_module_rename(&m->base, names, 3);
}

static void outer_init(Outer *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, inner, inner_init, 4);
    inner_init(&m->nameless, 2);
    nn_module_add(&m->base, &m->nameless.base, "");
    NN_ADD(m, last, nn_linear_init, 3, 2);
    nn_module_add_parameter(&m->base, &m->own, "own", TENSOR_SHAPE(1, 2, 3), nn_init_uniform(1.0));
}

START_TEST(the_tree_is_the_list_of_names)
{
    static const char *const names[] = {"own",   "inner.plain", "inner.lower", "inner.upper", "plain",
                                        "lower", "upper",       "last.weight", "last.bias"};
    static const int64_t sizes[] = {6, 4, 12, 12, 2, 6, 6, 6, 2};
    Outer m;
    outer_init(&m);
    ck_assert_int_eq(nn_module_count(&m.base), 6 + 28 + 14 + 8); /* without values */
    ck_assert_ok(nn_module_reset(&m.base, 1));
    int i = 0;
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it); i++) {
        ck_assert_int_lt(i, 9);
        ck_assert_str_eq(it.named.name, names[i]);
        Tensor view = nn_named_view(&it.named);
        ck_assert_int_eq(tensor_numel(&view), sizes[i]);
        NnNamed found;
        ck_assert(nn_find(&m.base, names[i], &found));
        ck_assert_ptr_eq(nn_named_view(&found).data, view.data);
    }
    ck_assert_int_eq(i, 9);
    NnNamed none;
    ck_assert(!nn_find(&m.base, "inner", &none) && !nn_find(&m.base, "", &none) &&
              !nn_find(&m.base, "own.", &none));
    /* Names below a part are relative to it. */
    ck_assert(nn_find(&m.inner.base, "plain", &none));
    ck_assert_ptr_eq(none.parameter, &m.inner.plain);
    nn_module_free(&m.base);
    nn_module_free(&m.base); /* once more does nothing */
}
END_TEST

/* ---- Arrays of parts ---- */

typedef struct Stack {
    NnModule base;
    NnLinear blocks[12];
    NnSequential rest;
} Stack;

START_TEST(parts_of_an_array_are_numbered)
{
    Stack m;
    nn_module_init(&m.base);
    for (int i = 0; i < 12; i++)
        NN_ADD_AT(&m, blocks, i, nn_linear_init_without_bias, 2, 2);
    NN_ADD(&m, rest, nn_sequential_init); /* without further arguments */
    ck_assert_ok(nn_module_reset(&m.base, 1));
    NnNamed named;
    ck_assert(nn_find(&m.base, "blocks.0.weight", &named) && nn_find(&m.base, "blocks.11.weight", &named));
    ck_assert_ptr_eq(named.parameter, &m.blocks[11].weight);
    char path[NN_NAME_SIZE];
    nn_parameter_path(&m.blocks[11].weight, path);
    ck_assert_str_eq(path, "blocks.11.weight");
    nn_module_add_at(&m.base, &m.blocks[1].base, "blocks", 0);
    ck_assert_failed(nn_module_reset(&m.base, 1), REEL_STATUS_USAGE, "blocks.0: the name is taken");
    nn_module_free(&m.base);
    /* One part twice: the second name has memory of its own. */
    nn_module_init(&m.base);
    nn_linear_init(&m.blocks[0], 2, 2);
    nn_module_add_at(&m.base, &m.blocks[0].base, "twice", 0);
    nn_module_add_at(&m.base, &m.blocks[0].base, "twice", 1);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    ck_assert(nn_find(&m.base, "twice.1.bias", &named) && named.again);
    ck_assert(nn_find(&m.base, "twice.0.bias", &named) && !named.again);
    nn_module_free(&m.base);
    nn_module_init(&m.base);
    nn_linear_init(&m.blocks[0], 2, 2);
    nn_module_add_at(&m.base, &m.blocks[0].base, "a_name_that_is_longer_than_arrays_have_them", 1);
    ck_assert_failed(nn_module_reset(&m.base, 1), REEL_STATUS_USAGE, "28 characters at most");
    nn_module_free(&m.base);
    nn_module_free(&m.blocks[0].base);
}
END_TEST

START_TEST(whole_parameters_are_those_that_were_declared)
{
    Outer m;
    outer_init(&m);
    const NnParameter *expected[] = {
        &m.own,         &m.inner.block, &m.inner.plain, &m.nameless.block, &m.nameless.plain,
        &m.last.weight, &m.last.bias};
    int i = 0;
    for (NnParameter *p = nn_first_parameter(&m.base); p; p = nn_next_parameter(&m.base, p))
        ck_assert_ptr_eq(p, expected[i++]);
    ck_assert_int_eq(i, 7);
    char path[NN_NAME_SIZE];
    nn_parameter_path(&m.last.bias, path);
    ck_assert_str_eq(path, "last.bias");
    NnModule empty;
    nn_module_init(&empty);
    ck_assert_ptr_null(nn_first_parameter(&empty));
    ck_assert_int_eq(nn_module_count(&empty), 0);
    ck_assert_ok(nn_module_reset(&empty, 0));
    nn_module_free(&empty);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(long_names_are_cut_and_not_written_beyond)
{
    static char name[300];
    memset(name, 'x', sizeof name - 1);
    Outer m;
    NnLinear part;
    nn_module_init(&m.base);
    nn_linear_init(&part, 2, 2);
    nn_module_add(&m.base, &part.base, name);
    for (NnIterator it = nn_iterate(&m.base); nn_next(&it);)
        ck_assert_uint_lt(strlen(it.named.name), NN_NAME_SIZE);
    char path[NN_NAME_SIZE];
    nn_parameter_path(&part.bias, path);
    ck_assert_uint_lt(strlen(path), NN_NAME_SIZE);
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "158 characters at most");
    nn_module_free(&m.base);
}
END_TEST

/* ---- Where a module is ---- */

typedef struct Small {
    NnModule base;
    NnLinear fc;
} Small;

static void small_init(Small *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, fc, nn_linear_init, 2, 2);
}

/* The error of what `m` and `fc` make of a row. */
static void check_forward_refused(Small *m)
{
    Tape *tape = tape_new();
    tape_begin(tape);
    Var x = tape_constant(tape, tensor_zeros(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(1, 2)));
    Var y = nn_linear(&m->fc, x);
    ck_assert(var_is_empty(y));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "module fc was copied");
    tape_begin(tape);
    ck_assert(var_is_empty(nn_var(&m->fc.weight, tape)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "copied");
    tape_free(tape);
}

START_TEST(a_copied_module_is_refused_wherever_it_is_used)
{
    Small m, copy;
    small_init(&m);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    copy = m;
    ck_assert_failed(nn_module_reset(&copy.base, 0), REEL_STATUS_USAGE, "was copied, or returned by value");
    ck_assert_failed(nn_module_status(&copy.base), REEL_STATUS_USAGE, "was copied");
    ck_assert_failed(nn_save(&copy.base, "never.npz"), REEL_STATUS_USAGE, "was copied");
    ck_assert_failed(nn_load(&copy.base, "tests/fixtures/npz/dtypes.npz"), REEL_STATUS_USAGE, "was copied");
    ck_assert_failed(nn_parameter_write(&copy.fc.bias, m.fc.bias.core.value), REEL_STATUS_USAGE,
                     "was copied");
    NnOptimizer *optimizer;
    ck_assert_failed(nn_optimizer_new(&optimizer, &copy.base, nn_optimizer_options(NN_SGD)),
                     REEL_STATUS_USAGE, "was copied");
    check_forward_refused(&copy);
    nn_module_train(&copy.base, false);
    nn_module_freeze(&copy.base, true);
    ck_assert(m.fc.base.training && !m.fc.weight.core.frozen);
    ck_assert_int_eq(nn_module_count(&copy.base), 0);
    nn_module_free(&copy.base); /* what it would free is the first one's */
    ck_assert_int_eq(nn_module_count(&m.base), 6);
    Small other; /* a part that is a copy */
    nn_module_init(&other.base);
    other.fc = m.fc;
    nn_module_add(&other.base, &other.fc.base, "fc");
    ck_assert_failed(nn_module_reset(&other.base, 0), REEL_STATUS_USAGE, "module fc was copied");
    NnModule never = {.self = NULL};
    ck_assert_failed(nn_module_reset(&never, 0), REEL_STATUS_USAGE, "before its init function");
    nn_module_free(&other.base);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Parts and parameters in several places ---- */

static void check_names(NnModule *module, const char *const *names, int count)
{
    NnIterator it = nn_iterate(module);
    for (int i = 0; i < count; i++) {
        ck_assert(nn_next(&it));
        ck_assert_str_eq(it.named.name, names[i]);
        NnNamed found;
        ck_assert(nn_find(module, names[i], &found));
        ck_assert_ptr_eq(found.parameter, it.named.parameter);
        ck_assert_int_eq(found.again, it.named.again);
    }
    ck_assert(!nn_next(&it));
}

static int count_parameters(NnModule *module)
{
    int count = 0;
    for (NnParameter *p = nn_first_parameter(module); p; p = nn_next_parameter(module, p))
        ck_assert_int_lt(count++, 100);
    return count;
}

START_TEST(a_part_may_be_added_again)
{
    Small m;
    small_init(&m);
    nn_module_add(&m.base, &m.fc.base, "head");
    nn_module_add(&m.base, &m.fc.base, "fc"); /* known already */
    ck_assert_ok(nn_module_reset(&m.base, 3));
    check_names(&m.base, (const char *const[]){"fc.weight", "fc.bias", "head.weight", "head.bias"}, 4);
    NnNamed named;
    ck_assert(nn_find(&m.base, "head.bias", &named) && named.again);
    ck_assert(nn_find(&m.base, "fc.bias", &named) && !named.again);
    ck_assert_int_eq(nn_module_count(&m.base), 6);
    ck_assert_int_eq(count_parameters(&m.base), 2);
    Small one; /* drawn once, under the first name */
    small_init(&one);
    ck_assert_ok(nn_module_reset(&one.base, 3));
    ck_assert(tensor_equal(one.fc.weight.core.value, m.fc.weight.core.value));
    nn_module_free(&one.base);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(one_activation_may_stand_in_a_sequence_twice)
{
    NnSequential m;
    NnLinear a, b;
    NnRelu relu;
    nn_sequential_init(&m);
    nn_linear_init(&a, 2, 2);
    nn_linear_init(&b, 2, 1);
    nn_relu_init(&relu);
    nn_sequential_add(&m, &a.base);
    nn_sequential_add(&m, &relu.base);
    nn_sequential_add(&m, &b.base);
    nn_sequential_add(&m, &relu.base);
    ck_assert_ok(nn_module_reset(&m.base, 3));
    check_names(&m.base, (const char *const[]){"0.weight", "0.bias", "2.weight", "2.bias"}, 4);
    ck_assert_int_eq(nn_module_count(&m.base), 9);
    nn_module_train(&m.base, false);
    ck_assert(!relu.base.training && !b.base.training);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_part_of_two_modules_is_a_part_of_both)
{
    Small a, b;
    NnLinear own;
    small_init(&a);
    nn_module_init(&b.base);
    nn_linear_init(&own, 2, 1);
    nn_module_add(&b.base, &a.fc.base, "encoder");
    nn_module_add(&b.base, &own.base, "own");
    check_names(&a.base, (const char *const[]){"fc.weight", "fc.bias"}, 2);
    check_names(&b.base, (const char *const[]){"encoder.weight", "encoder.bias", "own.weight", "own.bias"},
                4);
    ck_assert_int_eq(count_parameters(&b.base), 4);
    NnModule root; /* both below one */
    nn_module_init(&root);
    nn_module_add(&root, &b.base, "b");
    nn_module_add(&root, &a.base, "a");
    ck_assert_int_eq(nn_module_count(&root), 9);
    ck_assert_int_eq(count_parameters(&root), 4);
    ck_assert_ok(nn_module_reset(&root, 1));
    nn_module_free(&root); /* frees both, and what they share once */
    ck_assert(!tensor_is_valid(a.fc.weight.core.value));
    small_init(&a); /* one freed before the other */
    nn_module_init(&b.base);
    nn_module_add(&b.base, &a.fc.base, "encoder");
    ck_assert_ok(nn_module_reset(&a.base, 1));
    nn_module_free(&a.base);
    ck_assert_int_eq(nn_module_count(&b.base), 6);
    ck_assert(tensor_is_valid(a.fc.weight.core.value));
    char path[NN_NAME_SIZE];
    nn_parameter_path(&a.fc.weight, path);
    ck_assert_str_eq(path, "fc.weight");
    nn_module_free(&b.base);
    ck_assert(!tensor_is_valid(a.fc.weight.core.value));
}
END_TEST

START_TEST(two_that_differ_cannot_have_one_name)
{
    Small m;
    NnLinear other;
    NnParameter p;
    for (int way = 0; way < 5; way++) {
        small_init(&m);
        nn_linear_init(&other, 2, 2);
        if (way == 0)
            nn_module_add(&m.base, &other.base, "fc");
        else if (way == 1)
            nn_module_add_parameter(&m.base, &p, "fc", TENSOR_SHAPE(1), nn_init_constant(0));
        else if (way == 2)
            nn_module_add_parameter(&m.fc.base, &p, "weight", TENSOR_SHAPE(1), nn_init_constant(0));
        else if (way == 3) /* what adds nothing to names */
            nn_module_add(&m.fc.base, &other.base, "");
        else {
            nn_module_add(&m.base, &other.base, "");
            nn_module_add_parameter(&other.base, &p, "fc", TENSOR_SHAPE(1), nn_init_constant(0));
        }
        /* Known at once, and not first where the model is saved. */
        NnModule *where = way == 4 ? &other.base : way == 2 || way == 3 ? &m.fc.base : &m.base;
        ck_assert_failed(where->status, REEL_STATUS_USAGE, "the name is taken");
        ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, way == 2 ? "fc.weight" : "the name");
        nn_module_free(&m.base);
        nn_module_free(&other.base);
    }
    small_init(&m); /* names with dots are compared when the whole tree is known */
    nn_module_add_parameter(&m.base, &p, "fc.bias", TENSOR_SHAPE(1), nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "two parameters have the name fc.bias");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_module_is_no_part_of_itself)
{
    Small m, parts[2 * NN_MAX_DEPTH];
    small_init(&m);
    nn_module_add(&m.fc.base, &m.base, "up");
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE,
                     "up: a module cannot be a part of itself");
    nn_module_free(&m.base);
    int count = (int)(sizeof parts / sizeof *parts);
    for (int i = 0; i < count; i++)
        nn_module_init(&parts[i].base);
    for (int i = 1; i < count; i++)
        nn_module_add(&parts[i - 1].base, &parts[i].base, "x");
    ck_assert_failed(nn_module_reset(&parts[0].base, 0), REEL_STATUS_USAGE, "32 parts within parts");
    nn_module_free(&parts[0].base);
    nn_module_free(&parts[NN_MAX_DEPTH + 1].base);
    small_init(&m); /* one parameter declared twice */
    nn_module_add_parameter(&m.fc.base, &m.fc.weight, "again", TENSOR_SHAPE(1), nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "declared twice");
    nn_module_free(&m.base);
    small_init(&m);
    nn_module_add_parameter(&m.base, &m.fc.bias, "again", TENSOR_SHAPE(1), nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_USAGE, "fc.: a parameter was declared again");
    nn_module_free(&m.base);
}
END_TEST

typedef struct Tied {
    NnModule base;
    NnEmbedding embedding;
    NnLinear decoder;
} Tied;

static void tied_init(Tied *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, embedding, nn_embedding_init, 5, 3);
    NN_ADD(m, decoder, nn_linear_init_without_bias, 3, 5);
    nn_parameter_tie(&m->decoder.weight, &m->embedding.weight);
}

START_TEST(tied_weights_are_one_parameter_with_two_names)
{
    Tied m;
    tied_init(&m);
    ck_assert_ok(nn_module_reset(&m.base, 4));
    check_names(&m.base, (const char *const[]){"embedding.weight", "decoder.weight"}, 2);
    ck_assert_int_eq(nn_module_count(&m.base), 15);
    ck_assert_int_eq(count_parameters(&m.base), 1);
    ck_assert_int_eq(nn_module_count(&m.decoder.base), 15);
    NnOptimizer *optimizer;
    NnOptimizerOptions options = nn_optimizer_options(NN_SGD);
    options.lr = 1;
    ck_assert_ok(nn_optimizer_new(&optimizer, &m.base, options));
    Tape *tape = tape_new();
    tape_begin(tape);
    int32_t id = 2;
    Var row = nn_embedding(&m.embedding, tape_constant(tape, tensor_from(&id, TENSOR_I32, TENSOR_SHAPE(1))));
    Var logits = nn_linear(&m.decoder, row);
    ck_assert(tape_backward(var_sum(logits, TENSOR_AXES_ALL, false)));
    Tensor before = nn_parameter_read(&m.embedding.weight, tape_arena(tape));
    ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
    Tensor after = nn_parameter_read(&m.decoder.weight, tape_arena(tape));
    for (int64_t i = 0; i < 5; i++) /* d sum_i w_i w_2 / d w_k = w_2 + [k = 2] sum_i w_i, and once */
        for (int64_t j = 0; j < 3; j++) {
            double sum = 0;
            for (int64_t k = 0; k < 5; k++)
                sum += tensor_get(&before, (int64_t[]){k, j});
            double g = tensor_get(&before, (int64_t[]){2, j}) + (i == 2 ? sum : 0);
            ck_assert_double_eq_tol(tensor_get(&after, (int64_t[]){i, j}),
                                    tensor_get(&before, (int64_t[]){i, j}) - g, 1e-5);
        }
    nn_optimizer_free(optimizer);
    char path[] = "/tmp/reel-tied-XXXXXX";
    close(mkstemp(path));
    ck_assert_ok(nn_save(&m.base, path));
    TensorNpz *npz;
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 2);
    tensor_npz_close(npz);
    Tied other;
    tied_init(&other);
    ck_assert_ok(nn_load(&other.base, path));
    ck_assert(tensor_equal(other.embedding.weight.core.value, after));
    ck_assert(!tensor_is_valid(other.decoder.weight.core.value));
    unlink(path);
    NnLinear wide;
    nn_linear_init(&wide, 4, 5);
    nn_parameter_tie(&wide.weight, &m.embedding.weight);
    ck_assert_failed(nn_module_reset(&wide.base, 0), REEL_STATUS_USAGE,
                     "weight cannot be tied to embedding.weight");
    nn_module_free(&wide.base);
    nn_module_free(&other.base);
    nn_module_free(&m.base);
    tape_free(tape);
}
END_TEST

/* ---- Values ---- */

typedef struct Single {
    NnModule base;
    NnParameter p;
} Single;

START_TEST(a_parameter_of_no_axes_is_one_number)
{
    Single m;
    nn_module_init(&m.base);
    nn_module_add_parameter(&m.base, &m.p, "t", 0, NULL, nn_init_constant(2));
    ck_assert_ok(nn_module_reset(&m.base, 0));
    ck_assert_int_eq(nn_module_count(&m.base), 1);
    for (int kind = NN_SGD; kind <= NN_ADAMW; kind++) {
        NnOptimizerOptions options = nn_optimizer_options((NnOptimizerKind)kind);
        options.lr = 0.1;
        options.weight_decay = 0;
        options.clip_norm = 100;
        NnOptimizer *optimizer;
        ck_assert_ok(nn_optimizer_new(&optimizer, &m.base, options));
        ck_assert_ok(nn_parameter_write(&m.p, tensor_from((float[]){2}, TENSOR_F32, 0, NULL)));
        Tape *tape = tape_new();
        tape_begin(tape);
        Var t = nn_var(&m.p, tape);
        ck_assert(tape_backward(var_mul(t, t)));
        ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
        ck_assert_double_eq_tol(tensor_item(m.p.core.value), kind == NN_SGD ? 1.6 : 1.9, 1e-6);
        nn_optimizer_free(optimizer);
        tape_free(tape);
    }
    char path[] = "/tmp/reel-scalar-XXXXXX";
    close(mkstemp(path));
    ck_assert_ok(nn_save(&m.base, path));
    ck_assert_ok(nn_module_reset(&m.base, 0));
    ck_assert_ok(nn_load(&m.base, path));
    ck_assert_double_eq_tol(tensor_item(m.p.core.value), 1.9, 1e-6);
    unlink(path);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_value_may_be_read_and_written)
{
    Small m;
    small_init(&m);
    ck_assert(!tensor_is_valid(nn_parameter_read(&m.fc.weight, &arena)));
    double first[2] = {3, 4};
    ck_assert_ok(
        nn_parameter_write(&m.fc.bias, tensor_from(first, TENSOR_F64, TENSOR_SHAPE(2)))); /* allocates */
    ck_assert_int_eq(m.fc.bias.core.value.dtype, TENSOR_F64);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    uint64_t version = m.fc.bias.core.version;
    ck_assert_ok(nn_parameter_write(&m.fc.bias, tensor_from(first, TENSOR_F64, TENSOR_SHAPE(2))));
    ck_assert_int_eq(m.fc.bias.core.value.dtype, TENSOR_F32);
    ck_assert_uint_gt(m.fc.bias.core.version, version);
    Tensor now = nn_parameter_read(&m.fc.bias, &arena);
    ck_assert_float_eq(tensor_f32(now)[1], 4);
    tensor_fill(now, 0); /* a copy */
    ck_assert_float_eq(tensor_f32(m.fc.bias.core.value)[1], 4);
    ck_assert_failed(nn_parameter_write(&m.fc.weight, now), REEL_STATUS_USAGE,
                     "fc.weight is [2, 2] and cannot be set to f32 [2]");
    int32_t whole[2] = {1, 2};
    ck_assert_failed(nn_parameter_write(&m.fc.bias, tensor_from(whole, TENSOR_I32, TENSOR_SHAPE(2))),
                     REEL_STATUS_USAGE, "i32");
    nn_module_free(&m.base);
}
END_TEST

/* ---- First values ---- */

static void moments(Tensor t, double *mean, double *deviation, double *least, double *most)
{
    int64_t n = tensor_numel(&t);
    double sum = 0, squares = 0;
    *least = INFINITY;
    *most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double x = tensor_f32(t)[i];
        sum += x;
        squares += x * x;
        /* Not fmin and fmax: gcc 12.2 for aarch64 fails inside on vectors of them beside these sums. */
        *least = x < *least ? x : *least;
        *most = x > *most ? x : *most;
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

typedef struct One {
    NnModule base;
    NnParameter p;
} One;

static void one(One *m, int64_t rows, int64_t columns, NnInit init)
{
    nn_module_init(&m->base);
    nn_module_add_parameter(&m->base, &m->p, "p", TENSOR_SHAPE(rows, columns), init);
}

START_TEST(first_values_have_the_distributions_that_were_asked_for)
{
    One m;
    double mean, deviation, least, most;
    one(&m, 200, 100, nn_init_uniform(0.3));
    ck_assert_ok(nn_module_reset(&m.base, 7));
    moments(m.p.core.value, &mean, &deviation, &least, &most);
    ck_assert(least >= -0.3 && least < -0.2999 && most <= 0.3 && most > 0.2999);
    ck_assert(fabs(mean) < 0.006 && fabs(deviation - 0.3 / sqrt(3)) < 0.003);
    nn_module_free(&m.base);
    one(&m, 200, 100, nn_init_normal(0.5));
    ck_assert_ok(nn_module_reset(&m.base, 7));
    moments(m.p.core.value, &mean, &deviation, &least, &most);
    ck_assert(fabs(mean) < 0.018 && fabs(deviation - 0.5) < 0.013 && least < -1.5 && most > 1.5);
    nn_module_free(&m.base);
    one(&m, 3, 4, nn_init_constant(-2));
    ck_assert_ok(nn_module_reset(&m.base, 7));
    moments(m.p.core.value, &mean, &deviation, &least, &most);
    ck_assert(least == -2 && most == -2);
    nn_module_free(&m.base);
}
END_TEST

/* |Q Q^T - gain^2 I|, over rows or columns. */
static double away_from_orthogonal(Tensor q, double gain)
{
    if (q.shape[0] > q.shape[1])
        q = tensor_transpose(q, 0, 1);
    double worst = 0;
    for (int64_t i = 0; i < q.shape[0]; i++)
        for (int64_t j = 0; j < q.shape[0]; j++) {
            double dot = 0;
            for (int64_t k = 0; k < q.shape[1]; k++)
                dot += tensor_get(&q, (int64_t[]){i, k}) * tensor_get(&q, (int64_t[]){j, k});
            worst = fmax(worst, fabs(dot - (i == j ? gain * gain : 0)));
        }
    return worst;
}

START_TEST(orthogonal_first_values_are_orthogonal)
{
    const int64_t shapes[][2] = {{7, 7}, {5, 9}, {11, 4}, {1, 1}};
    One m;
    for (int i = 0; i < 4; i++) {
        one(&m, shapes[i][0], shapes[i][1], nn_init_orthogonal(1.5));
        ck_assert_ok(nn_module_reset(&m.base, 7));
        ck_assert_double_lt(away_from_orthogonal(m.p.core.value, 1.5), 1e-5);
        nn_module_free(&m.base);
    }
    one(&m, 24, 6, nn_init_orthogonal(1)); /* four gates, each for itself */
    ck_assert_ok(nn_module_reset(&m.base, 7));
    for (int g = 0; g < 4; g++)
        ck_assert_double_lt(away_from_orthogonal(tensor_slice(m.p.core.value, 0, 6 * g, 6 * g + 6, 1), 1),
                            1e-5);
    ck_assert(
        !tensor_equal(tensor_slice(m.p.core.value, 0, 0, 6, 1), tensor_slice(m.p.core.value, 0, 6, 12, 1)));
    nn_module_free(&m.base);
    nn_module_init(&m.base);
    nn_module_add_parameter(&m.base, &m.p, "p", TENSOR_SHAPE(4), nn_init_orthogonal(1));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "need a matrix");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(first_values_depend_on_seed_and_name_alone)
{
    Outer a, b;
    One c;
    outer_init(&a);
    outer_init(&b);
    ck_assert_ok(nn_module_reset(&a.base, 5));
    ck_assert_ok(nn_module_reset(&b.base, 5));
    ck_assert(tensor_equal(a.inner.block.core.value, b.inner.block.core.value));
    uint64_t version = b.own.core.version;
    ck_assert_ok(nn_module_reset(&b.base, 6)); /* again, in new memory */
    ck_assert_uint_ne(b.own.core.version, version);
    ck_assert(!tensor_equal(a.inner.block.core.value, b.inner.block.core.value));
    ck_assert(!tensor_equal(a.own.core.value, b.own.core.value));
    nn_module_init(&c.base);
    nn_module_add_parameter(&c.base, &c.p, "own", TENSOR_SHAPE(1, 2, 3), nn_init_uniform(1.0));
    ck_assert_ok(nn_module_reset(&c.base, 5));
    ck_assert(tensor_equal(a.own.core.value, c.p.core.value)); /* whatever else there is */
    ck_assert_ok(nn_module_reset_f64(&c.base, 5));
    ck_assert_int_eq(c.p.core.value.dtype, TENSOR_F64);
    ck_assert(tensor_equal(tensor_cast(&arena, c.p.core.value, TENSOR_F32), a.own.core.value));
    NnNamed named;
    ck_assert(nn_find(&b.base, "inner.upper", &named));
    ck_assert_ok(nn_named_reset(&named, 5)); /* one alone */
    ck_assert(tensor_equal(nn_named_view(&named), tensor_slice(a.inner.block.core.value, 0, 0, 4, 1)));
    nn_module_free(&a.base);
    nn_module_free(&b.base);
    nn_module_free(&c.base);
}
END_TEST

/* ---- Errors ---- */

START_TEST(parameters_of_one_shape_begin_differently)
{
    NnModule m;
    NnParameter parameters[4];
    static const char *const names[4] = {"a", "b", "c", "d"};
    nn_module_init(&m);
    for (int i = 0; i < 4; i++)
        nn_module_add_parameter(&m, &parameters[i], names[i], TENSOR_SHAPE(3, 3),
                                i < 2 ? nn_init_uniform(1) : nn_init_normal(1));
    ck_assert_ok(nn_module_reset(&m, 5));
    for (int i = 0; i < 4; i += 2) {
        const float *x = tensor_f32(parameters[i].core.value), *y = tensor_f32(parameters[i + 1].core.value);
        for (int k = 0; k < 9; k++)
            ck_assert(x[k] != y[k]);
    }
    nn_module_free(&m);
}
END_TEST

START_TEST(the_first_error_of_building_is_reported)
{
    One m;
    one(&m, 0, 3, nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "at least 1, not 0");
    nn_module_free(&m.base);
    nn_module_init(&m.base);
    nn_module_add_parameter(&m.base, &m.p, "p", 7, NULL, nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "0 to 6 axes, not 7");
    nn_module_free(&m.base);
    nn_module_init(&m.base);
    nn_module_fail(&m.base, reel_status_failed("first"));
    nn_module_fail(&m.base, reel_status_failed("second"));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "first");
    nn_module_free(&m.base);
    Outer outer; /* of a part's part */
    outer_init(&outer);
    nn_module_fail(&outer.last.base, reel_status_failed("deep"));
    ck_assert_failed(nn_module_reset(&outer.base, 0), REEL_STATUS_FAILED, "deep");
    nn_module_free(&outer.base);
    one(&m, INT64_MAX / 2, INT64_MAX / 2, nn_init_constant(0));
    ck_assert_failed(nn_module_reset(&m.base, 0), REEL_STATUS_FAILED, "p");
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_name_is_of_rows_that_there_are)
{
    static const int64_t outside[][2] = {{-1, 1}, {0, 0}, {0, 5}, {4, 1}, {2, INT64_MAX}, {INT64_MAX, 2}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        NnModule m;
        NnParameter block;
        nn_module_init(&m);
        nn_module_add_parameter(&m, &block, "block", TENSOR_SHAPE(4, 2), nn_init_constant(0));
        NnName name = {"gate", &block, outside[i][0], outside[i][1], nn_init_uniform(1)};
        nn_module_rename(&m, &name, 1);
        ck_assert_failed(nn_module_reset(&m, 0), REEL_STATUS_USAGE, "gate");
        ck_assert_failed(nn_module_reset(&m, 0), REEL_STATUS_USAGE, "a parameter of 4");
        nn_module_free(&m);
    }
}
END_TEST

START_TEST(no_memory_for_values_is_an_error)
{
    for (int n = 0; n < 9; n++) { /* the names, then the values */
        Outer m;
        outer_init(&m);
        reel_mem_fail_at(n, 0);
        ReelStatus status = nn_module_reset(&m.base, 0);
        reel_mem_fail_at(-1, 0);
        ck_assert_int_eq(reel_status_is_ok(&status), n == 8);
        ck_assert(n == 8 || strstr(status.message, "memory"));
        ck_assert_ok(nn_module_reset(&m.base, 0)); /* can be tried again */
        nn_module_free(&m.base);
        ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    }
}
END_TEST

START_TEST(a_parameter_without_value_is_named)
{
    Outer m;
    outer_init(&m);
    Tape *tape = tape_new();
    tape_begin(tape);
    ck_assert(var_is_empty(nn_var(&m.last.bias, tape)));
    ck_assert_failed(*tape_status(tape), REEL_STATUS_FAILED, "last.bias has no value yet");
    tape_free(tape);
    nn_module_free(&m.base);
}
END_TEST

/* ---- Modes ---- */

START_TEST(modes_reach_all_parts)
{
    Outer m;
    outer_init(&m);
    ck_assert_ok(nn_module_reset(&m.base, 0));
    ck_assert(m.base.training && m.last.base.training);
    nn_module_train(&m.base, false);
    ck_assert(!m.base.training && !m.last.base.training && !m.nameless.base.training);
    nn_module_train(&m.last.base, true); /* a part alone */
    ck_assert(!m.base.training && m.last.base.training && !m.inner.base.training);
    nn_module_freeze(&m.inner.base, true);
    ck_assert(m.inner.block.core.frozen && m.inner.plain.core.frozen && !m.own.core.frozen &&
              !m.last.weight.core.frozen);
    nn_module_freeze(&m.base, false);
    ck_assert(!m.inner.block.core.frozen);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(a_frozen_part_gets_no_gradient)
{
    NnLinear a, b;
    nn_linear_init(&a, 3, 4);
    nn_linear_init(&b, 4, 2);
    ck_assert_ok(nn_module_reset(&a.base, 0));
    ck_assert_ok(nn_module_reset(&b.base, 0));
    Tape *tape = tape_new();
    for (int frozen = 0; frozen < 4; frozen++) {
        nn_module_freeze(&a.base, frozen & 1);
        nn_module_freeze(&b.base, frozen & 2);
        tape_begin(tape);
        Var x = tape_leaf(tape, tensor_full(tape_arena(tape), TENSOR_F32, TENSOR_SHAPE(2, 3), 0.5));
        tape_backward(var_sum(var_tanh(nn_linear(&b, nn_linear(&a, x))), TENSOR_AXES_ALL, false));
        ck_assert_tape_ok(tape);
        ck_assert(tensor_is_valid(var_grad(x))); /* gradients pass through */
        ck_assert_int_eq(tensor_is_valid(tape_gradient(tape, &a.weight.core).dense), !(frozen & 1));
        ck_assert_int_eq(tensor_is_valid(tape_gradient(tape, &b.bias.core).dense), !(frozen & 2));
    }
    tape_free(tape);
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

Suite *nn_module_suite(void);
Suite *nn_module_suite(void)
{
    Suite *suite = suite_create("nn/module");
    TCase *c = tcase_create("module");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_tree_is_the_list_of_names);
    tcase_add_test(c, whole_parameters_are_those_that_were_declared);
    tcase_add_test(c, parts_of_an_array_are_numbered);
    tcase_add_test(c, long_names_are_cut_and_not_written_beyond);
    tcase_add_test(c, a_copied_module_is_refused_wherever_it_is_used);
    tcase_add_test(c, a_part_may_be_added_again);
    tcase_add_test(c, one_activation_may_stand_in_a_sequence_twice);
    tcase_add_test(c, a_part_of_two_modules_is_a_part_of_both);
    tcase_add_test(c, two_that_differ_cannot_have_one_name);
    tcase_add_test(c, a_module_is_no_part_of_itself);
    tcase_add_test(c, tied_weights_are_one_parameter_with_two_names);
    tcase_add_test(c, a_parameter_of_no_axes_is_one_number);
    tcase_add_test(c, a_value_may_be_read_and_written);
    tcase_add_test(c, first_values_have_the_distributions_that_were_asked_for);
    tcase_add_test(c, orthogonal_first_values_are_orthogonal);
    tcase_add_test(c, first_values_depend_on_seed_and_name_alone);
    tcase_add_test(c, parameters_of_one_shape_begin_differently);
    tcase_add_test(c, the_first_error_of_building_is_reported);
    tcase_add_test(c, a_name_is_of_rows_that_there_are);
    tcase_add_test(c, no_memory_for_values_is_an_error);
    tcase_add_test(c, a_parameter_without_value_is_named);
    tcase_add_test(c, modes_reach_all_parts);
    tcase_add_test(c, a_frozen_part_gets_no_gradient);
    suite_add_tcase(suite, c);
    return suite;
}
