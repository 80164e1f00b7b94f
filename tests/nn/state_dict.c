#include "nn/nn.h"

#include "tensor/mem_internal.h"
#include "tests/nn_support.h"
#include "tests/shell_support.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A small model of one's own, with an embedding and a parameter that goes by two names. */
typedef struct Own {
    NnModule base;
    NnEmbedding embedding;
    NnParameter block;
    NnLinear fc;
} Own;

enum { WORDS = 7, WIDTH = 3, OUT = 2 };

static void own_init(Own *m, int64_t words)
{
    nn_module_init(&m->base);
    nn_module_add_parameter(&m->base, &m->block, "block", TENSOR_SHAPE(4, WIDTH), nn_init_uniform(1));
    NN_ADD(m, embedding, nn_embedding_init, words, WIDTH);
    NN_ADD(m, fc, nn_linear_init, WIDTH, OUT);
    const NnName names[] = {{"upper", &m->block, 0, 1, nn_init_uniform(1)},
                            {"lower", &m->block, 1, 3, nn_init_uniform(1)},
                            nn_name("embedding.weight", &m->embedding.weight),
                            nn_name("fc.weight", &m->fc.weight),
                            nn_name("fc.bias", &m->fc.bias)};
    nn_module_rename(&m->base, names, 5);
}

static const char *folder;
static char path[300];

static void setup(void)
{
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/model.npz", folder);
}

static void teardown(void)
{
    shell_remove_folder(folder);
}

static bool same_values(NnModule *a, NnModule *b)
{
    NnNamed other;
    for (NnIterator it = nn_iterate(a); nn_next(&it);)
        if (!nn_find(b, it.named.name, &other) ||
            !tensor_equal(nn_named_view(&it.named), nn_named_view(&other)))
            return false;
    return true;
}

static void must_refuse(ReelStatus status, const char *part)
{
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_null(strchr(status.message, '\n'));
    ck_assert_ptr_nonnull(strchr(status.message, ';'));
    ck_assert_msg(strstr(status.message, part) != NULL, "'%s' is not in: %s", part, status.message);
}

START_TEST(what_is_saved_is_loaded)
{
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_save(&a.base, path));
    ck_assert_ok(nn_load(&b.base, path)); /* without values of its own */
    ck_assert(same_values(&a.base, &b.base));
    ck_assert_ok(nn_module_reset(&b.base, 2));
    ck_assert(!same_values(&a.base, &b.base));
    uint64_t version = b.fc.weight.core.version;
    ck_assert_ok(nn_load(&b.base, path));
    ck_assert(same_values(&a.base, &b.base));
    ck_assert(b.fc.weight.core.version > version);
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

START_TEST(names_are_those_of_the_state_dict_in_its_order)
{
    static const char *const names[] = {"upper", "lower", "embedding.weight", "fc.weight", "fc.bias"};
    Own a;
    TensorNpz *npz;
    own_init(&a, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_save(&a.base, path));
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(tensor_npz_member(npz, i)->name, names[i]);
    ck_assert_int_eq(tensor_npz_member(npz, 1)->array.shape[0], 3);
    tensor_npz_close(npz);
    nn_module_free(&a.base);
}
END_TEST

START_TEST(a_double_model_keeps_every_bit)
{
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset_f64(&a.base, 1));
    ck_assert_ok(nn_save(&a.base, path));
    must_refuse(nn_load(&b.base, path), "'upper' is of type f64 in the file and f32 in the model");
    ck_assert(!tensor_is_valid(b.fc.weight.core.value));
    ck_assert_ok(nn_module_reset_f64(&b.base, 2));
    ck_assert_ok(nn_load(&b.base, path));
    ck_assert(same_values(&a.base, &b.base));
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

/* Files that are nearly right. */
typedef enum { MISSING, EXTRA, SHAPE_DIFFERS, AXES_DIFFER, INTEGERS, BYTES, HALVES } Flaw;

static void write_flawed(Own *m, Flaw flaw)
{
    TensorNpzWriter *writer;
    float zeros[64] = {0};
    ck_assert_ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    for (NnIterator it = nn_iterate(&m->base); nn_next(&it);) {
        Tensor view = nn_named_view(&it.named);
        if (strcmp(it.named.name, "fc.weight") != 0 || flaw == EXTRA)
            tensor_npz_add_tensor(writer, it.named.name, view);
        else if (flaw == SHAPE_DIFFERS)
            tensor_npz_add_tensor(writer, it.named.name, tensor_transpose(view, 0, 1));
        else if (flaw == AXES_DIFFER)
            tensor_npz_add_tensor(writer, it.named.name, tensor_unsqueeze(view, 0));
        else if (flaw == INTEGERS)
            tensor_npz_add_tensor(writer, it.named.name,
                                  tensor_from(zeros, TENSOR_I32, TENSOR_SHAPE(OUT, WIDTH)));
        else if (flaw == HALVES)
            tensor_npz_add_array(writer, it.named.name, 'f', 2, 2, (const int64_t[]){OUT, WIDTH}, zeros);
        else if (flaw == BYTES)
            tensor_npz_add_bytes(writer, it.named.name, "x", 1);
    }
    if (flaw == EXTRA)
        tensor_npz_add_tensor(writer, "fc.scale", tensor_from(zeros, TENSOR_F32, TENSOR_SHAPE(OUT)));
    tensor_npz_add_bytes(writer, "reel/note", "x", 1);
    ck_assert_ok(tensor_npz_writer_finish(writer));
}

START_TEST(a_difference_is_refused_by_name)
{
    static const struct {
        Flaw flaw;
        const char *message;
    } cases[] = {{MISSING, "parameter 'fc.weight' is missing in the file"},
                 {EXTRA, "'fc.scale' is in the file and the model has no such parameter"},
                 {SHAPE_DIFFERS, "parameter 'fc.weight' is [3, 2] in the file and [2, 3] in the model"},
                 {AXES_DIFFER, "parameter 'fc.weight' is [1, 2, 3] in the file and [2, 3] in the model"},
                 {INTEGERS, "parameter 'fc.weight' is of type i32 in the file and f32 in the model"},
                 {HALVES, "parameter 'fc.weight' is of type <f2 in the file and f32 in the model"},
                 {BYTES, "'fc.weight' is not an array in the file"}};
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_module_reset(&b.base, 1));
    Tensor bias = b.fc.bias.core.value;
    tensor_f32(bias)[0] = 42;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_flawed(&a, cases[i].flaw);
        must_refuse(nn_load(&b.base, path), cases[i].message);
        ck_assert_float_eq(tensor_f32(bias)[0], 42); /* nothing was loaded, not even what came before */
    }
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

static ReelStatus load_with(Own *m, NnLoadOptions options)
{
    TensorNpz *npz;
    ck_assert_ok(tensor_npz_open(&npz, path));
    ReelStatus status = nn_load_from(&m->base, npz, options);
    tensor_npz_close(npz);
    return status;
}

START_TEST(what_is_asked_for_is_overlooked)
{
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    write_flawed(&a, MISSING);
    must_refuse(load_with(&b, (NnLoadOptions){.allow_missing = true}), "'fc.weight' is missing");
    ck_assert_ok(nn_module_reset(&b.base, 2));
    float before = tensor_f32(b.fc.weight.core.value)[0];
    ck_assert_ok(load_with(&b, (NnLoadOptions){.allow_missing = true}));
    ck_assert_float_eq(tensor_f32(b.fc.weight.core.value)[0], before);
    ck_assert(tensor_equal(a.embedding.weight.core.value, b.embedding.weight.core.value));
    write_flawed(&a, EXTRA);
    ck_assert_ok(load_with(&b, (NnLoadOptions){.allow_extra = true}));
    ck_assert(same_values(&a.base, &b.base));
    write_flawed(&a, HALVES);
    ck_assert_ok(load_with(&b, (NnLoadOptions){.convert = true}));
    ck_assert_float_eq(tensor_f32(b.fc.weight.core.value)[5], 0);
    write_flawed(&a, INTEGERS);
    must_refuse(load_with(&b, (NnLoadOptions){.convert = true}), "is of type i32");
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

START_TEST(safetensors_hold_a_model_too)
{
    Own a, b;
    char other[320];
    TensorNpz *npz;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    snprintf(other, sizeof other, "%s/model.safetensors", folder);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_save(&a.base, other));
    ck_assert_ok(nn_load(&b.base, other));
    ck_assert(same_values(&a.base, &b.base));
    ck_assert_ok(tensor_npz_open(&npz, other));
    ck_assert_int_eq(tensor_npz_count(npz), 5);
    ck_assert_str_eq(tensor_npz_member(npz, 1)->name, "lower");
    tensor_npz_close(npz);
    ck_assert_ok(nn_module_reset_f64(&a.base, 1));
    ck_assert_ok(nn_save(&a.base, other));
    must_refuse(nn_load(&b.base, other), "'upper' is of type f64 in the file and f32 in the model");
    ck_assert_ok(nn_module_reset_f64(&b.base, 2));
    ck_assert_ok(nn_load(&b.base, other));
    ck_assert(same_values(&a.base, &b.base));
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

/* bfloat16 is the type that most files of today are in. */
START_TEST(bfloat16_is_converted_where_asked)
{
    static const char header[] = "{\"weight\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]},"
                                 "\"bias\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[4,12]}}";
    static const char elements[] = {'\x80', '\x3f', '\x20', '\xc0', 0, 0, 0, 0, 0, 0, '\xe0', '\x3f'};
    char bytes[8 + sizeof header - 1 + sizeof elements] = {(char)(sizeof header - 1)};
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, elements, sizeof elements);
    NnLinear fc;
    TensorNpz *npz;
    nn_linear_init(&fc, 2, 1);
    ck_assert_ok(tensor_npz_open_memory(&npz, bytes, sizeof bytes, "half"));
    must_refuse(nn_load_from(&fc.base, npz, (NnLoadOptions){0}), "'weight' is of type bf16 in the file");
    ck_assert_ok(nn_load_from(&fc.base, npz, (NnLoadOptions){.convert = true}));
    ck_assert_float_eq(tensor_f32(fc.weight.core.value)[0], 1);
    ck_assert_float_eq(tensor_f32(fc.weight.core.value)[1], -2.5f);
    ck_assert_float_eq(tensor_f32(fc.bias.core.value)[0], 0.5f);
    tensor_npz_close(npz);
    nn_module_free(&fc.base);
}
END_TEST

/* As DataParallel and torch.compile name what they wrap. */
START_TEST(a_prefix_is_offered_and_taken_off)
{
    static const char *const prefixes[] = {"module.", "_orig_mod.", "module._orig_mod."};
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        TensorNpzWriter *writer;
        char name[NN_NAME_SIZE + 20], message[100];
        ck_assert_ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
        for (NnIterator it = nn_iterate(&a.base); nn_next(&it);) {
            snprintf(name, sizeof name, "%s%s", prefixes[i], it.named.name);
            tensor_npz_add_tensor(writer, name, nn_named_view(&it.named));
        }
        tensor_npz_add_bytes(writer, "reel/note", "x", 1);
        ck_assert_ok(tensor_npz_writer_finish(writer));
        ck_assert_ok(nn_module_reset(&b.base, 2));
        snprintf(message, sizeof message,
                 "parameter 'upper' is '%supper' in the file; take the prefix off with --init-prefix %s ",
                 prefixes[i], prefixes[i]);
        must_refuse(load_with(&b, (NnLoadOptions){0}), message);
        must_refuse(load_with(&b, (NnLoadOptions){.prefix = "other."}), message);
        ck_assert(!same_values(&a.base, &b.base));
        ck_assert_ok(load_with(&b, (NnLoadOptions){.prefix = prefixes[i]}));
        ck_assert(same_values(&a.base, &b.base));
    }
    /* Another text of the same length is not the prefix, nor is one that ends in the middle of a name. */
    TensorNpzWriter *writer;
    ck_assert_ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    for (NnIterator it = nn_iterate(&a.base); nn_next(&it);) {
        char name[NN_NAME_SIZE + 20];
        snprintf(name, sizeof name, "module.%s", it.named.name);
        tensor_npz_add_tensor(writer, name, nn_named_view(&it.named));
    }
    tensor_npz_add_tensor(writer, "ignore.upper", a.fc.bias.core.value);
    ck_assert_ok(tensor_npz_writer_finish(writer));
    must_refuse(load_with(&b, (NnLoadOptions){.prefix = "module."}), "'ignore.upper' is in the file");
    ck_assert_ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    tensor_npz_add_tensor(writer, "the_upper", a.fc.bias.core.value);
    ck_assert_ok(tensor_npz_writer_finish(writer));
    must_refuse(load_with(&b, (NnLoadOptions){0}), "'upper' is missing in the file");
    /* What stands there without the prefix is no parameter of the model. */
    write_flawed(&a, EXTRA);
    must_refuse(load_with(&b, (NnLoadOptions){.prefix = "module.", .allow_missing = true}),
                "'upper' is in the file and the model has no such parameter");
    must_refuse(load_with(&b, (NnLoadOptions){.prefix = "module."}), "'upper' is missing in the file");
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

/* A few updates of some rows, so that the others lag behind. */
static NnOptimizer *train_some_rows(Own *m, Tape *tape, int steps)
{
    NnOptimizer *optimizer;
    NnOptimizerOptions options = nn_optimizer_options(NN_ADAM);
    options.lr = 0.1;
    ck_assert_ok(nn_optimizer_new(&optimizer, &m->base, options));
    for (int i = 0; i < steps; i++) {
        int32_t ids[2] = {i % 3, (i + 1) % 5};
        tape_begin(tape);
        Var rows =
            nn_embedding(&m->embedding, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(2))));
        Var loss =
            var_mean(var_mul(nn_linear(&m->fc, rows), nn_linear(&m->fc, rows)), TENSOR_AXES_ALL, false);
        ck_assert(tape_backward(loss));
        ck_assert_ok(nn_optimizer_step(optimizer, nn_tape_pieces(&tape, 1)));
    }
    return optimizer;
}

START_TEST(rows_that_lag_are_saved_as_they_would_be_read)
{
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    Tape *tape = tape_new();
    NnOptimizer *optimizer = train_some_rows(&a, tape, 7);
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor raw = tensor_copy(&arena, a.embedding.weight.core.value);
    Tensor now = tape_parameter_snapshot(&a.embedding.weight.core, &arena);
    ck_assert(!tensor_equal(raw, now)); /* or this test shows nothing */
    ck_assert_ok(nn_save(&a.base, path));
    ck_assert(tensor_equal(raw, a.embedding.weight.core.value)); /* looking changes nothing */
    ck_assert_ok(nn_load(&b.base, path));
    ck_assert(tensor_equal(now, b.embedding.weight.core.value));
    ck_assert_ok(nn_load(&a.base, path)); /* while rows lag */
    ck_assert(tensor_equal(now, nn_parameter_read(&a.embedding.weight, &arena)));
    nn_optimizer_free(optimizer);
    ck_assert(tensor_equal(now, a.embedding.weight.core.value));
    tape_free(tape);
    tensor_arena_free(&arena);
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

START_TEST(a_snapshot_is_cut_from_what_comes_after)
{
    Own a, b;
    TensorNpz *npz;
    NnSnapshot snapshot, more;
    own_init(&a, WORDS);
    own_init(&b, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_module_reset(&b.base, 1));
    nn_snapshot_init(&snapshot);
    nn_snapshot_init(&more);
    nn_snapshot_bytes(&more, "reel/more", "more", 4);
    for (int round = 0; round < 2; round++) {
        nn_snapshot_clear(&snapshot);
        nn_snapshot_parameters(&snapshot, &b.base);
        nn_snapshot_append(&snapshot, &more);
        int last = 0;
        while (nn_snapshot_name(&snapshot, last + 1))
            last++;
        ck_assert_str_eq(nn_snapshot_name(&snapshot, last), "reel/more");
    }
    tensor_fill(b.fc.weight.core.value, 5);
    ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 1}));
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 6);
    ck_assert_ok(nn_load_from(&b.base, npz, (NnLoadOptions){0}));
    ck_assert(same_values(&a.base, &b.base));
    /* A member of another type goes from file to file as it is. */
    nn_snapshot_clear(&snapshot);
    for (int i = 0; i < tensor_npz_count(npz); i++)
        nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
    char other[320];
    snprintf(other, sizeof other, "%s.2", path);
    ck_assert_ok(nn_snapshot_write(&snapshot, other, (TensorNpzOptions){.level = 1}));
    ck_assert_int_eq(shell_run("cmp %s %s", path, other), 0);
    tensor_npz_close(npz);
    nn_snapshot_free(&snapshot);
    nn_snapshot_free(&more);
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

/* Text, times, pickled objects, arrays in the other order: whatever numpy.savez writes. */
START_TEST(members_of_every_type_go_from_file_to_file_unchanged)
{
    static const char *const fixtures[] = {"dtypes", "fortran", "big_endian"};
    for (size_t f = 0; f < sizeof fixtures / sizeof fixtures[0]; f++) {
        char from[200];
        TensorNpz *npz, *copy;
        NnSnapshot snapshot;
        nn_snapshot_init(&snapshot);
        snprintf(from, sizeof from, "tests/fixtures/npz/%s.npz", fixtures[f]);
        ck_assert_ok(tensor_npz_open(&npz, from));
        for (int i = 0; i < tensor_npz_count(npz); i++)
            nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
        ck_assert_ok(nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 1}));
        ck_assert_ok(tensor_npz_open(&copy, path));
        ck_assert_int_eq(tensor_npz_count(copy), tensor_npz_count(npz));
        for (int i = 0; i < tensor_npz_count(npz); i++) {
            const TensorNpzMember *a = tensor_npz_member(npz, i), *b = tensor_npz_find(copy, a->name);
            ck_assert_ptr_nonnull(b);
            /* Length and CRC-32 are those of the whole member, header and all. */
            ck_assert_uint_eq(a->size, b->size);
            ck_assert_uint_eq(a->crc, b->crc);
        }
        tensor_npz_close(npz);
        tensor_npz_close(copy);
        nn_snapshot_free(&snapshot);
    }
}
END_TEST

START_TEST(a_snapshot_keeps_its_first_error)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    nn_snapshot_tensor(&snapshot, "broken", tensor_invalid());
    nn_snapshot_bytes(&snapshot, "fine", "x", 1);
    ReelStatus status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0});
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_nonnull(strstr(status.message, "broken"));
    ck_assert_int_ne(access(path, F_OK), 0);
    nn_snapshot_free(&snapshot);
}
END_TEST

START_TEST(memory_that_fails_is_an_error_at_every_place)
{
    Own a, b;
    own_init(&a, WORDS);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    int failures = 0;
    for (int save = 0; save < 2; save++)
        for (int n = 0;; n++) {
            int64_t live = reel_mem_stats().live_blocks;
            own_init(&b, WORDS);
            reel_mem_fail_at(n, n % 2);
            ReelStatus status = save ? nn_save(&a.base, path) : nn_load(&b.base, path);
            reel_mem_fail_at(-1, 0);
            bool done = reel_status_is_ok(&status);
            if (!done && !save)
                for (NnParameter *p = nn_first_parameter(&b.base); p; p = nn_next_parameter(&b.base, p))
                    ck_assert(!tensor_is_valid(p->core.value)); /* as it was: without values */
            if (save == 0 && n == 0 && !done && access(path, F_OK) != 0)
                ck_assert_ok(nn_save(&a.base, path));
            nn_module_free(&b.base);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
            if (done)
                break;
            failures++;
            ck_assert_ptr_null(strchr(status.message, '\n'));
        }
    ck_assert_int_gt(failures, 10);
    nn_module_free(&a.base);
}
END_TEST

START_TEST(a_disk_that_is_full_leaves_the_old_file)
{
    Own a, b;
    own_init(&a, WORDS);
    own_init(&b, 100000);
    ck_assert_ok(nn_module_reset(&a.base, 1));
    ck_assert_ok(nn_module_reset(&b.base, 1));
    ck_assert_ok(nn_save(&a.base, path));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    must_refuse(nn_save(&b.base, path), path);
    ck_assert_ok(nn_load(&a.base, path));
    ck_assert_int_ne(shell_run("ls %s | grep -v '^model.npz$'", folder), 0); /* nothing else lies about */
    nn_module_free(&a.base);
    nn_module_free(&b.base);
}
END_TEST

Suite *nn_state_dict_suite(void);
Suite *nn_state_dict_suite(void)
{
    Suite *suite = suite_create("nn/state_dict");
    TCase *tcase = tcase_create("state_dict");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_saved_is_loaded);
    tcase_add_test(tcase, names_are_those_of_the_state_dict_in_its_order);
    tcase_add_test(tcase, a_double_model_keeps_every_bit);
    tcase_add_test(tcase, a_difference_is_refused_by_name);
    tcase_add_test(tcase, what_is_asked_for_is_overlooked);
    tcase_add_test(tcase, safetensors_hold_a_model_too);
    tcase_add_test(tcase, bfloat16_is_converted_where_asked);
    tcase_add_test(tcase, a_prefix_is_offered_and_taken_off);
    tcase_add_test(tcase, rows_that_lag_are_saved_as_they_would_be_read);
    tcase_add_test(tcase, a_snapshot_is_cut_from_what_comes_after);
    tcase_add_test(tcase, members_of_every_type_go_from_file_to_file_unchanged);
    tcase_add_test(tcase, a_snapshot_keeps_its_first_error);
    tcase_add_test(tcase, memory_that_fails_is_an_error_at_every_place);
    tcase_add_test(tcase, a_disk_that_is_full_leaves_the_old_file);
    suite_add_tcase(suite, tcase);
    return suite;
}
