#include "nn/nn.h"

#include "nn/quantized_internal.h"
#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/shell_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = 7, WIDTH = 20, OUT = 3 };

/* An embedding, a product, rows that are too short, and a matrix of two names. */
typedef struct Own {
    NnModule base;
    NnEmbedding embedding, scores;
    NnParameter block;
    NnLinear fc;
} Own;

static const char *folder;
static char path[300];
static TensorArena arena;

static void own_init(Own *m)
{
    nn_module_init(&m->base);
    nn_module_add_parameter(&m->base, &m->block, "block", TENSOR_SHAPE(4, WIDTH), nn_init_uniform(1));
    NN_ADD(m, embedding, nn_embedding_init, WORDS, WIDTH);
    NN_ADD(m, scores, nn_embedding_init, WORDS, 1);
    NN_ADD(m, fc, nn_linear_init, WIDTH, OUT);
    const NnName names[] = {{"upper", &m->block, 0, 1, nn_init_uniform(1)},
                            {"lower", &m->block, 1, 3, nn_init_uniform(1)},
                            nn_name("embedding.weight", &m->embedding.weight),
                            nn_name("scores.weight", &m->scores.weight),
                            nn_name("fc.weight", &m->fc.weight),
                            nn_name("fc.bias", &m->fc.bias)};
    nn_module_rename(&m->base, names, 6);
}

static void setup(void)
{
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/model.npz", folder);
    tensor_arena_init(&arena, 0);
}

static void teardown(void)
{
    tensor_arena_free(&arena);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    shell_remove_folder(folder);
}

static ReelStatus save(Own *m, TensorNpzOptions options)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    nn_snapshot_quantized(&snapshot, &m->base);
    ReelStatus status = nn_snapshot_write(&snapshot, path, options);
    nn_snapshot_free(&snapshot);
    return status;
}

/* A model with values, whose third word is 0. */
static void make(Own *m)
{
    own_init(m);
    ck_assert_ok(nn_module_reset(&m->base, 3));
    tensor_fill(tensor_select(m->embedding.weight.core.value, 0, 2), 0);
}

/* Each number of a matrix is within half a step of its row's 127 to either side; others are the same. */
static void check_near(const Own *a, const Own *b)
{
    for (NnIterator it = nn_iterate((NnModule *)(uintptr_t)&a->base); nn_next(&it);) {
        NnNamed other;
        ck_assert(nn_find((NnModule *)(uintptr_t)&b->base, it.named.name, &other));
        Tensor x = tensor_slice(nn_parameter_read(it.named.parameter, &arena), 0, it.named.first,
                                it.named.first + it.named.rows, 1);
        Tensor y = tensor_slice(nn_parameter_read(other.parameter, &arena), 0, other.first,
                                other.first + other.rows, 1);
        if (x.ndim < 2 || x.shape[1] < WIDTH) {
            ck_assert(tensor_equal(x, y));
            continue;
        }
        for (int64_t r = 0; r < x.shape[0]; r++) {
            double most = 0;
            for (int64_t i = 0; i < WIDTH; i++)
                most = fmax(most, fabs(tensor_get(&x, (int64_t[]){r, i})));
            for (int64_t i = 0; i < WIDTH; i++)
                ck_assert_double_le(
                    fabs(tensor_get(&x, (int64_t[]){r, i}) - tensor_get(&y, (int64_t[]){r, i})),
                    most / 127 * 0.500001);
        }
    }
}

/* The rows of some words, and what a product makes of them. */
static Tensor answer(Own *m, Tape *tape)
{
    static const int32_t ids[] = {6, 2, 0, 6, 1};
    tape_begin(tape);
    tape_set_grad_enabled(tape, false);
    Var words = tape_constant(tape, tensor_from((void *)(uintptr_t)ids, TENSOR_I32, TENSOR_SHAPE(5)));
    Tensor said = var_value(nn_linear(&m->fc, nn_embedding(&m->embedding, words)));
    ck_assert_ok(*tape_status(tape));
    return said;
}

START_TEST(matrices_come_back_within_half_a_step)
{
    Own own, floats, kept;
    TensorNpz *npz;
    Tape *tape = tape_new(), *other = tape_new();
    make(&own);
    ck_assert_ok(save(&own, _i == 0 ? (TensorNpzOptions){.in_place = true} : (TensorNpzOptions){.level = 1}));
    ck_assert_ok(tensor_npz_open_mapped(&npz, path));
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "embedding.weight"), (char[32]){0}), "|i1");
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "scores.weight"), (char[32]){0}), "f32");
    own_init(&floats);
    own_init(&kept);
    ck_assert_ok(nn_load_from(&floats.base, npz, (NnLoadOptions){0}));
    ck_assert_ok(nn_load_from(&kept.base, npz, (NnLoadOptions){.in_place = true}));
    ck_assert(!floats.embedding.weight.quantized && kept.embedding.weight.quantized);
    ck_assert(!kept.fc.weight.quantized && !kept.scores.weight.quantized && !kept.block.quantized);
    check_near(&own, &floats);
    check_near(&own, &kept);
    /* Products of the one that is kept are of whole numbers, until its weight is written. */
    ck_assert(!floats.fc.weight.core.bytes.data && kept.fc.weight.core.bytes.data);
    Tensor expected = answer(&floats, tape), said = answer(&kept, other);
    ck_assert(!tensor_equal(said, expected));
    for (int64_t i = 0; i < 5; i++)
        for (int64_t j = 0; j < OUT; j++)
            ck_assert_double_eq_tol(tensor_get(&said, (int64_t[]){i, j}),
                                    tensor_get(&expected, (int64_t[]){i, j}), 1e-4);
    ck_assert_ok(nn_parameter_write(&kept.fc.weight, floats.fc.weight.core.value));
    ck_assert(tensor_equal(answer(&kept, other), expected));
    /* Saved again it is the same file. */
    TensorNpzOptions options = {.level = 1};
    char again[300];
    ck_assert_ok(save(&kept, options));
    snprintf(again, sizeof again, "%s/again.npz", folder);
    rename(path, again);
    ck_assert_ok(save(&floats, options));
    ck_assert_int_eq(shell_run("cmp %s %s", path, again), 0);
    tape_free(tape);
    tape_free(other);
    nn_module_free(&own.base);
    nn_module_free(&floats.base);
    nn_module_free(&kept.base);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(a_parameter_that_is_written_is_floats_again)
{
    Own own, kept;
    TensorNpz *npz;
    NnOptimizer *optimizer;
    make(&own);
    ck_assert_ok(save(&own, (TensorNpzOptions){.in_place = true}));
    ck_assert_ok(tensor_npz_open_mapped(&npz, path));
    for (int way = 0; way < 3; way++) {
        own_init(&kept);
        ck_assert_ok(nn_load_from(&kept.base, npz, (NnLoadOptions){.in_place = true}));
        ck_assert_ok(nn_load_from(&kept.base, npz, (NnLoadOptions){.in_place = true})); /* again */
        ck_assert(kept.embedding.weight.quantized);
        ck_assert_failed(nn_optimizer_new(&optimizer, &kept.base, nn_optimizer_options(NN_ADAM)),
                         REEL_STATUS_USAGE, "embedding.weight is of 8 bits and only read");
        if (way == 0)
            ck_assert_ok(nn_parameter_write(&kept.embedding.weight, own.embedding.weight.core.value));
        else if (way == 1)
            ck_assert_ok(nn_load_from(&kept.base, npz, (NnLoadOptions){0}));
        else
            ck_assert_ok(nn_module_reset(&kept.base, 3));
        ck_assert(!kept.embedding.weight.quantized);
        if (way == 0)
            ck_assert(tensor_equal(kept.embedding.weight.core.value, own.embedding.weight.core.value));
        ck_assert_ok(nn_optimizer_new(&optimizer, &kept.base, nn_optimizer_options(NN_ADAM)));
        nn_optimizer_free(optimizer);
        nn_module_free(&kept.base);
    }
    nn_module_free(&own.base);
    tensor_npz_close(npz);
}
END_TEST

/* The file with the scales of the embedding as given; NULL: without. */
static ReelStatus load_with_scales(const float *scales, int64_t count)
{
    Own own, other;
    TensorNpz *npz;
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    make(&own);
    own_init(&other);
    ck_assert_ok(save(&own, (TensorNpzOptions){.level = 1}));
    ck_assert_ok(tensor_npz_open(&npz, path));
    for (int i = 0; i < tensor_npz_count(npz); i++)
        if (strcmp(tensor_npz_member(npz, i)->name, "reel/scales/embedding.weight") != 0)
            nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
    tensor_npz_close(npz);
    if (scales)
        nn_snapshot_tensor(&snapshot, "reel/scales/embedding.weight",
                           tensor_from((void *)(uintptr_t)scales, TENSOR_F32, TENSOR_SHAPE(count)));
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 0}));
    ReelStatus status = nn_load(&other.base, path);
    ck_assert(reel_status_is_ok(&status) || !tensor_is_valid(other.fc.weight.core.value));
    nn_snapshot_free(&snapshot);
    nn_module_free(&own.base);
    nn_module_free(&other.base);
    return status;
}

START_TEST(scales_that_cannot_be_are_refused)
{
    float scales[WORDS + 1] = {1, 1, 0, 1, 1, 1, 1, 1};
    ck_assert_ok(load_with_scales(scales, WORDS));
    ck_assert_failed(load_with_scales(NULL, 0), REEL_STATUS_FAILED, "has no reel/scales/embedding.weight;");
    ck_assert_failed(load_with_scales(scales, WORDS + 1), REEL_STATUS_FAILED, "each of the 7 rows;");
    scales[4] = -1;
    ck_assert_failed(load_with_scales(scales, WORDS), REEL_STATUS_FAILED, "each of the 7 rows;");
    scales[4] = INFINITY;
    ck_assert_failed(load_with_scales(scales, WORDS), REEL_STATUS_FAILED, "each of the 7 rows;");
    scales[4] = NAN;
    ck_assert_failed(load_with_scales(scales, WORDS), REEL_STATUS_FAILED, "each of the 7 rows;");
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_refused)
{
    Own own;
    make(&own);
    const double wrong[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        tensor_set(&own.fc.weight.core.value, (int64_t[]){1, 4}, wrong[i]);
        ck_assert_failed(save(&own, (TensorNpzOptions){0}), REEL_STATUS_FAILED,
                         "fc.weight: row 1 has a number");
    }
    nn_module_free(&own.base);
}
END_TEST

START_TEST(memory_that_fails_is_an_error_at_every_place)
{
    Own own, kept;
    TensorNpz *npz;
    int failures = 0;
    make(&own);
    for (int load = 0; load < 3; load++)
        for (int n = 0;; n++) {
            if (load == 0)
                reel_mem_fail_at(n, n % 2);
            ReelStatus status = load == 2 ? save(&own, (TensorNpzOptions){.in_place = true})
                                          : save(&own, (TensorNpzOptions){.level = 1});
            reel_mem_fail_at(-1, 0);
            if (load > 0) {
                ck_assert_ok(status);
                own_init(&kept);
                ck_assert_ok(tensor_npz_open_mapped(&npz, path));
                reel_mem_fail_at(n, n % 2);
                status = nn_load_from(&kept.base, npz, (NnLoadOptions){.in_place = true});
                reel_mem_fail_at(-1, 0);
                nn_module_free(&kept.base);
                tensor_npz_close(npz);
            }
            if (reel_status_is_ok(&status))
                break;
            ck_assert_ptr_null(strchr(status.message, '\n'));
            failures++;
        }
    ck_assert_int_gt(failures, 20);
    nn_module_free(&own.base);
}
END_TEST

Suite *nn_quantized_suite(void);
Suite *nn_quantized_suite(void)
{
    Suite *suite = suite_create("nn/quantized");
    TCase *tcase = tcase_create("quantized");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, matrices_come_back_within_half_a_step, 0, 2);
    tcase_add_test(tcase, a_parameter_that_is_written_is_floats_again);
    tcase_add_test(tcase, scales_that_cannot_be_are_refused);
    tcase_add_test(tcase, numbers_that_are_not_finite_are_refused);
    tcase_add_test(tcase, memory_that_fails_is_an_error_at_every_place);
    suite_add_tcase(suite, tcase);
    return suite;
}
