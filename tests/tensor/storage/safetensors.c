#include "tensor/storage/safetensors.h"
#include "tensor/storage/npz.h"
#include "tensor/tensor.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE "tests/fixtures/safetensors/huggingface.safetensors"

static const char *folder;
static char path[300];
static TensorArena arena;

static void setup(void)
{
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    tensor_arena_init(&arena, 0);
}

static void teardown(void)
{
    shell_remove_folder(folder);
    tensor_arena_free(&arena);
}

/* The status is a failure with one line of message that holds `part`. */
static void refused(ReelStatus status, const char *part)
{
    ck_assert_msg(!reel_status_is_ok(&status), "no '%s'", part);
    ck_assert_ptr_null(strchr(status.message, '\n'));
    ck_assert_ptr_nonnull(strchr(status.message, ';'));
    ck_assert_msg(strstr(status.message, part), "'%s' is not in: %s", part, status.message);
}

static Tensor read_tensor(const TensorNpz *npz, const char *name)
{
    Tensor t;
    ck_assert_msg(tensor_npz_find(npz, name) != NULL, "no tensor %s", name);
    ck_assert_ok(tensor_npz_read_tensor(npz, tensor_npz_find(npz, name), &arena, &t));
    return t;
}

static char *load(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    char *data = tensor_arena_alloc(&arena, 1 << 16);
    ck_assert_ptr_nonnull(file);
    *size = fread(data, 1, 1 << 16, file);
    fclose(file);
    return data;
}

/* ---- What Hugging Face's library has written ---- */

static void check_numbers(const TensorNpz *npz, const char *name, TensorDtype dtype, int count,
                          const double *expected)
{
    Tensor t = read_tensor(npz, name);
    ck_assert_int_eq(t.dtype, dtype);
    ck_assert_int_eq(tensor_numel(&t), count);
    for (int i = 0; i < count; i++) {
        double value = dtype == TENSOR_F64   ? tensor_f64(t)[i]
                       : dtype == TENSOR_F32 ? (double)tensor_f32(t)[i]
                                             : tensor_i32(t)[i];
        ck_assert_msg(value == expected[i] && signbit(value) == signbit(expected[i]), "%s[%d] is %g", name, i,
                      value);
    }
}

START_TEST(its_file_is_read)
{
    TensorNpz *npz;
    Tensor t;
    char text[32];
    ck_assert_ok(tensor_npz_open(&npz, FIXTURE));
    ck_assert_int_eq(tensor_npz_count(npz), 12);
    t = read_tensor(npz, "fc.weight");
    ck_assert_int_eq(t.ndim, 2);
    ck_assert_int_eq(t.shape[0], 3);
    ck_assert_int_eq(t.shape[1], 4);
    for (int i = 0; i < 12; i++)
        ck_assert_float_eq(tensor_f32(t)[i], (float)(i - 5) / 8);
    check_numbers(npz, "fc.bias", TENSOR_F64, 3, (const double[]){0.5, -1, 2});
    check_numbers(npz, "half", TENSOR_F32, 6, (const double[]){0, -0.0, 1, -2.5, 65504, 0x1p-24});
    check_numbers(npz, "brain", TENSOR_F32, 4, (const double[]){1, -2.5, 3.140625, INFINITY});
    check_numbers(npz, "small", TENSOR_I32, 2, (const double[]){-128, 127});
    check_numbers(npz, "flags", TENSOR_I32, 2, (const double[]){1, 0});
    check_numbers(npz, "bytes", TENSOR_I32, 2, (const double[]){0, 255});
    check_numbers(npz, "größe/重み", TENSOR_F32, 2, (const double[]){1, 2});
    check_numbers(npz, "w:0", TENSOR_F32, 1, (const double[]){3});
    check_numbers(npz, "count", TENSOR_I32, 1, (const double[]){7});
    ck_assert_int_eq(read_tensor(npz, "count").ndim, 0);
    t = read_tensor(npz, "empty");
    ck_assert_int_eq(t.ndim, 3);
    ck_assert_int_eq(t.shape[2], 3);
    ck_assert_int_eq(tensor_numel(&t), 0);
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "brain"), text), "bf16");
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "eight"), text), "unreadable");
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "eight"), &arena, &t),
            "'eight': its type is F8_E4M3, which Reel does not read; save it as F32");
    ck_assert_ptr_null(tensor_npz_find(npz, "__metadata__"));
    tensor_npz_close(npz);
}
END_TEST

/* The bytes tell what it is, whatever the file is called. */
START_TEST(the_name_of_the_file_is_of_no_matter)
{
    TensorNpz *npz;
    size_t size;
    char *data = load(FIXTURE, &size);
    ck_assert_ok(tensor_npz_open_memory(&npz, data, size, "weights"));
    ck_assert_int_eq(tensor_npz_count(npz), 12);
    tensor_npz_close(npz);
    shell_must("cp tests/fixtures/npz/stored.npz %s", path);
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 2);
    tensor_npz_close(npz);
}
END_TEST

/* ---- Writing and reading back ---- */

START_TEST(views_of_any_strides_come_back)
{
    Tensor base = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(5, 6));
    for (int i = 0; i < 30; i++)
        tensor_f32(base)[i] = (float)i / 8;
    const TensorSafetensorsEntry entries[] = {
        {"fc.weight", base},
        {"turned", tensor_transpose(base, 0, 1)},
        {"stepped", tensor_slice(base, 1, -1, TENSOR_END, -2)},
        {"empty", tensor_slice(base, 0, 2, 2, 1)},
        {"größe \"重み\"", tensor_select(base, 0, 3)},
        {"one", tensor_from(base.data, TENSOR_F32, 0, NULL)},
        {"double", tensor_from(base.data, TENSOR_F64, TENSOR_SHAPE(3, 1, 2))},
        {"integers", tensor_from(base.data, TENSOR_I32, TENSOR_SHAPE(7))},
    };
    enum { COUNT = sizeof entries / sizeof entries[0] };
    TensorNpz *npz;
    ck_assert_ok(tensor_safetensors_write(path, entries, COUNT));
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), COUNT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_str_eq(tensor_npz_member(npz, i)->name, entries[i].name); /* in the order given */
        Tensor t = read_tensor(npz, entries[i].name);
        ck_assert_int_eq(t.dtype, entries[i].tensor.dtype);
        ck_assert(tensor_equal(t, entries[i].tensor));
    }
    tensor_npz_close(npz);
    size_t size;
    char *data = load(path, &size);
    ck_assert_int_eq(data[0] % 8, 0); /* the elements are aligned */
    ck_assert_ptr_nonnull(
        strstr(data + 8, "{\"__metadata__\": {\"format\": \"pt\"}, \"fc.weight\": {\"dtype\": \"F32\", "
                         "\"shape\": [5, 6], \"data_offsets\": [0, 120]}, "));
}
END_TEST

START_TEST(a_file_may_be_empty)
{
    TensorNpz *npz;
    ck_assert_ok(tensor_safetensors_write(path, NULL, 0));
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 0);
    ck_assert_ptr_null(tensor_npz_find(npz, "fc.weight"));
    tensor_npz_close(npz);
}
END_TEST

START_TEST(what_cannot_be_written_leaves_the_old_file)
{
    float zero = 0;
    Tensor t = tensor_from(&zero, TENSOR_F32, TENSOR_SHAPE(1));
    char name[1100];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const TensorSafetensorsEntry sound = {"sound", t};
    ck_assert_ok(tensor_safetensors_write(path, &sound, 1));
    const char *const names[] = {"", "__metadata__", "a\nb", "\xff", "\xc2\x85", name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        refused(tensor_safetensors_write(path, (TensorSafetensorsEntry[]){sound, {names[i], t}}, 2),
                "rename the tensor");
    refused(tensor_safetensors_write(path, (TensorSafetensorsEntry[]){sound, {"x", t}, sound}, 3),
            "'sound' was added twice");
    refused(tensor_safetensors_write(path, (TensorSafetensorsEntry[]){sound, {"x", tensor_invalid()}}, 2),
            "the tensor 'x' is not valid");
    refused(tensor_safetensors_write("/no/such/folder/x.safetensors", &sound, 1), "/no/such/folder");
    TensorNpz *npz;
    ck_assert_ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 1);
    tensor_npz_close(npz);
    ck_assert_int_ne(shell_run("ls %s | grep -v '^model.safetensors$'", folder),
                     0); /* nothing else lies about */
}
END_TEST

/* ---- Damage ---- */

/* A file with this header and as many bytes behind it. */
static ReelStatus open_with(const char *header, size_t data_bytes, TensorNpz **npz)
{
    size_t length = strlen(header), size = 8 + length + data_bytes;
    char *data = malloc(size); /* of the exact size, so that the sanitizers see a read beyond the end */
    memset(data, 0, size);
    data[0] = (char)(length & 255);
    data[1] = (char)(length >> 8);
    memcpy(data + 8, header, length);
    ReelStatus status = tensor_npz_open_memory(npz, data, size, "crafted.safetensors");
    ck_assert(reel_status_is_ok(&status) == (*npz != NULL));
    if (*npz)
        ck_assert_int_ge(tensor_npz_count(*npz), 0);
    tensor_npz_close(*npz);
    free(data);
    return status;
}

#define TENSOR(name, type, shape, begin, end)                                                                \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"
#define A TENSOR("a", "F32", "2", 0, 8)

START_TEST(headers_that_lie_are_refused)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *message; /* NULL: it is read */
    } cases[] = {
        {"{" A "}", 8, NULL},
        {"{" A "}   ", 8, NULL},
        {"{" A "," TENSOR("b", "U8", "3", 8, 11) "}", 11, NULL},
        {"{" TENSOR("b", "U8", "3", 8, 11) "," A "}", 11, NULL},
        {"{" A "," TENSOR("b", "F32", "0,9", 8, 8) "," TENSOR("c", "F32", "0", 0, 0) "}", 8, NULL},
        {"{" TENSOR("a", "F4", "3,3", 0, 5) "}", 5, NULL},
        {"{\"__metadata__\":{\"a\":\"b\"}," A "}", 8, NULL},
        {"{\"a\":{\"more\":[{}],\"data_offsets\":[0,4],\"shape\":[],\"dtype\":\"F32\"}}", 4, NULL},
        {"{" A "}", 7, "'a': its offsets reach beyond the file, or backwards"},
        {"{" A "}", 9, "bytes that belong to no tensor"},
        {"{}", 1, "bytes that belong to no tensor"},
        {"{" A "," TENSOR("b", "F32", "2", 4, 12) "}", 12, "'b': its offsets overlap with another's"},
        {"{" A "," TENSOR("b", "F32", "2", 0, 8) "}", 8, "its offsets overlap with another's"},
        {"{" A "," TENSOR("b", "U8", "1", 9, 10) "}", 10, "'b': there is a gap"},
        {"{" TENSOR("b", "U8", "1", 1, 2) "}", 2, "'b': there is a gap"},
        {"{" TENSOR("a", "F32", "2", 8, 0) "}", 8, "'a': its offsets reach beyond the file, or backwards"},
        {"{" TENSOR("a", "F32", "2", 0, 18446744073709551615) "}", 8, "a whole number is expected"},
        {"{" TENSOR("a", "F32", "2", 0, 9223372036854775807) "}", 8, "'a': its offsets reach beyond"},
        {"{" TENSOR("a", "F32", "2", -8, 0) "}", 8, "is not from 0 to"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", 8, "more than two offsets"},
        {"{" TENSOR("a", "F64", "2", 0, 8) "}", 8, "'a': its offsets do not fit its shape and type"},
        {"{" TENSOR("a", "F32", "2,1,2", 0, 8) "}", 8, "'a': its offsets do not fit its shape and type"},
        {"{" TENSOR("a", "F32", "4611686018427387904", 0, 8) "}", 8,
         "'a': its shape is larger than any memory"},
        {"{" TENSOR("a", "F32", "4294967296,4294967298", 0, 8) "}", 8, "'a': its shape is larger"},
        {"{" TENSOR("a", "F32", "1", 0, 8) "}", 8, "'a': its offsets do not fit its shape and type"},
        {"{" TENSOR("a", "F32", "-2", 0, 8) "}", 8, "is not from 0 to"},
        {"{" TENSOR("a", "F32", "2.0", 0, 8) "}", 8, "a whole number is expected"},
        {"{" A "," A "}", 8, "'a': its offsets overlap"},
        {"{" TENSOR("a", "U8", "0", 0, 0) "," TENSOR("a", "U8", "0", 0, 0) "}", 0,
         "member 'a' is there twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ is there twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "a string is expected"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "'a': it lacks dtype, shape or data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8,
         "'a': it lacks dtype, shape or data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "'a': it lacks dtype, shape or data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "fewer than two offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"data_offsets\":[0,8]}}", 8,
         "twice"},
        {"{" TENSOR("", "U8", "0", 0, 0) "}", 0, "a name that is empty"},
        {"{" TENSOR("a\\nb", "U8", "0", 0, 0) "}", 0, "has control characters"},
        {"{" TENSOR("a\\u0000b", "U8", "0", 0, 0) "}", 0, "has control characters"},
        {"{" TENSOR("a", "F32\\n", "2", 0, 8) "}", 8, "a type that is no short text"},
        {"{" TENSOR("a", "\xff", "2", 0, 8) "}", 8, "not UTF-8"},
        {"{" A "} {}", 8, "something follows the end"},
        {"{" A ",}", 8, "this is not the beginning of a JSON value"},
        {"{" A, 8, "is expected here"},
        {"[]", 0, "an object is expected"},
        {"", 0, "the file ends"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TensorNpz *npz;
        ReelStatus status = open_with(cases[i].header, cases[i].data_bytes, &npz);
        if (cases[i].message)
            refused(status, cases[i].message);
        else
            ck_assert_msg(reel_status_is_ok(&status), "%s: %s", cases[i].header, status.message);
    }
}
END_TEST

/* A tensor of one element, all of whose bits are set. */
static ReelStatus read_ones(const char *type, const char *shape, int item_bytes, Tensor *t)
{
    char bytes[300] = {0}, *header = bytes + 8;
    int length = snprintf(header, 250, "{\"a\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[0,%d]}}",
                          type, shape, item_bytes);
    bytes[0] = (char)length;
    memset(header + length, 0xff, (size_t)item_bytes);
    TensorNpz *npz;
    ck_assert_ok(tensor_npz_open_memory(&npz, bytes, 8 + (size_t)(length + item_bytes), "ones.safetensors"));
    ReelStatus status = tensor_npz_read_tensor(npz, tensor_npz_find(npz, "a"), &arena, t);
    tensor_npz_close(npz);
    return status;
}

START_TEST(integers_have_their_sign)
{
    static const struct {
        const char *type;
        int item_bytes, value;
    } cases[] = {{"I8", 1, -1},  {"U8", 1, 255}, {"I16", 2, -1}, {"U16", 2, 65535},
                 {"I32", 4, -1}, {"I64", 8, -1}, {"BOOL", 1, 1}};
    Tensor t;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_ok(read_ones(cases[i].type, "1", cases[i].item_bytes, &t));
        ck_assert_msg(tensor_i32(t)[0] == cases[i].value, "%s: %d", cases[i].type, tensor_i32(t)[0]);
    }
    refused(read_ones("U32", "1", 4, &t), "'a': element 0 does not fit into 32 bits");
    refused(read_ones("U64", "1", 8, &t), "'a': element 0 does not fit into 32 bits");
    refused(read_ones("C64", "1", 8, &t), "'a': is <c8, not an array of numbers");
    ck_assert_ok(read_ones("F32", "1,1,1,1,1,1", 4, &t));
    refused(read_ones("F32", "1,1,1,1,1,1,1", 4, &t), "'a': has 7 axes, but a tensor at most 6");
    refused(read_ones("F32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 4, &t),
            "has 32 axes");
    refused(read_ones("F32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", 4, &t),
            "it has more than 32 axes");
}
END_TEST

/* Nothing is allocated on the word of the length. */
START_TEST(a_length_that_lies_is_refused)
{
    static const struct {
        uint64_t length;
        size_t size;
        const char *message;
    } cases[] = {{0, 7, "is too short for a .safetensors file"},
                 {3, 10, "its header is longer than the file"},
                 {100, 20, "its header is longer than the file"},
                 {UINT64_MAX, 20, "its header is longer than the file"},
                 {UINT64_MAX - 7, 20, "its header is longer than the file"}};
    int64_t peak = reel_mem_stats().peak_bytes;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char data[20] = {0};
        TensorNpz *npz;
        for (int byte = 0; byte < 8; byte++)
            data[byte] = (char)(cases[i].length >> 8 * byte);
        refused(tensor_npz_open_memory(&npz, data, cases[i].size, "crafted.safetensors"), cases[i].message);
    }
    ck_assert_int_le(reel_mem_stats().peak_bytes - peak, 1 << 20);
    shell_must("printf '\\001\\341\\365\\005\\0\\0\\0\\0{' > %s && truncate -s 200000000 %s", path, path);
    TensorNpz *npz;
    refused(tensor_npz_open(&npz, path), "its header is longer than 100 MB");
    ck_assert_int_le(reel_mem_stats().peak_bytes - peak, 1 << 20);
}
END_TEST

START_TEST(a_file_that_is_cut_is_refused)
{
    size_t size;
    char *data = load(FIXTURE, &size);
    for (size_t i = 0; i < size; i++) {
        TensorNpz *npz;
        char *copy = malloc(i ? i : 1);
        memcpy(copy, data, i);
        ReelStatus status = tensor_npz_open_memory(&npz, copy, i, "cut.safetensors");
        ck_assert(!reel_status_is_ok(&status) && !strchr(status.message, '\n'));
        free(copy);
    }
}
END_TEST

/* A byte of the header that is changed is refused, or leaves a file that can be read as it says. */
START_TEST(a_header_with_any_byte_changed_does_no_harm)
{
    size_t size;
    char *data = load(FIXTURE, &size);
    size_t header = 8 + (unsigned char)data[0] + 256u * (unsigned char)data[1];
    int refusals = 0;
    for (size_t i = 0; i < header; i++)
        for (int bit = 0; bit < 8; bit++) {
            TensorNpz *npz;
            data[i] ^= (char)(1 << bit);
            ReelStatus status = tensor_npz_open_memory(&npz, data, size, "changed.safetensors");
            for (int m = 0; npz && m < tensor_npz_count(npz); m++) {
                const TensorNpzMember *member = tensor_npz_member(npz, m);
                const void *bytes;
                size_t got;
                if (!member->unreadable)
                    ck_assert_ok(tensor_npz_read_bytes(npz, member, &arena, &bytes, &got));
            }
            refusals += !reel_status_is_ok(&status);
            tensor_npz_close(npz);
            tensor_arena_reset(&arena);
            data = load(FIXTURE, &size);
        }
    ck_assert_int_gt(refusals, 1000);
}
END_TEST

START_TEST(every_failed_allocation_is_a_message)
{
    float elements[6] = {1, 2, 3, 4, 5, 6};
    Tensor t = tensor_from(elements, TENSOR_F32, TENSOR_SHAPE(2, 3));
    const TensorSafetensorsEntry entries[] = {{"a", t}, {"b", tensor_transpose(t, 0, 1)}};
    int64_t live = reel_mem_stats().live_blocks;
    for (int reading = 0; reading < 2; reading++) {
        int failures = 0, n;
        for (n = 0; failures == n; n++) {
            TensorNpz *npz = NULL;
            reel_mem_fail_at(n, 0);
            ReelStatus status =
                reading ? tensor_npz_open(&npz, path) : tensor_safetensors_write(path, entries, 2);
            reel_mem_fail_at(-1, 0);
            failures += !reel_status_is_ok(&status);
            if (!reel_status_is_ok(&status))
                ck_assert_msg(strstr(status.message, "out of memory"), "%s", status.message);
            tensor_npz_close(npz);
            ck_assert_int_eq(reel_mem_stats().live_blocks, live);
        }
        ck_assert_int_gt(failures, 3);
    }
}
END_TEST

Suite *tensor_safetensors_suite(void);
Suite *tensor_safetensors_suite(void)
{
    Suite *suite = suite_create("tensor/safetensors");
    TCase *tcase = tcase_create("safetensors");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, its_file_is_read);
    tcase_add_test(tcase, the_name_of_the_file_is_of_no_matter);
    tcase_add_test(tcase, views_of_any_strides_come_back);
    tcase_add_test(tcase, a_file_may_be_empty);
    tcase_add_test(tcase, what_cannot_be_written_leaves_the_old_file);
    tcase_add_test(tcase, integers_have_their_sign);
    tcase_add_test(tcase, headers_that_lie_are_refused);
    tcase_add_test(tcase, a_length_that_lies_is_refused);
    tcase_add_test(tcase, a_file_that_is_cut_is_refused);
    tcase_add_test(tcase, a_header_with_any_byte_changed_does_no_harm);
    tcase_add_test(tcase, every_failed_allocation_is_a_message);
    suite_add_tcase(suite, tcase);
    return suite;
}
