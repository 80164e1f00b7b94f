#include "tensor/storage/npz.h"

#include "tensor/storage/npz_format_internal.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define FIXTURE(name) "tests/fixtures/npz/" name ".npz"

static char folder[32];
static char path[64];
static TensorArena arena;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/reel-npz-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.npz", folder);
    tensor_arena_init(&arena, 0);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
    tensor_arena_free(&arena);
}

static void ok(ReelStatus status)
{
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
}

/* The status is a failure with one line of message that holds `part`. */
static void refused(ReelStatus status, const char *part)
{
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_null(strchr(status.message, '\n'));
    ck_assert_ptr_nonnull(strchr(status.message, ';'));
    ck_assert_msg(strstr(status.message, part), "'%s' is not in: %s", part, status.message);
}

typedef struct FileBytes {
    uint8_t *data;
    size_t size;
} FileBytes;

static FileBytes load(const char *name)
{
    FileBytes bytes = {NULL, 0};
    FILE *file = fopen(name, "rb");
    ck_assert_msg(file != NULL, "%s", name);
    fseek(file, 0, SEEK_END);
    bytes.size = (size_t)ftell(file);
    rewind(file);
    bytes.data = malloc(bytes.size + 1);
    ck_assert_uint_eq(fread(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    return bytes;
}

/* Whether two open files have the same members with the same types, shapes and bytes. */
static bool same_contents(const TensorNpz *a, const TensorNpz *b)
{
    bool same = tensor_npz_count(a) == tensor_npz_count(b);
    for (int i = 0; same && i < tensor_npz_count(a); i++) {
        const TensorNpzMember *m = tensor_npz_member(a, i), *n = tensor_npz_member(b, i);
        const void *p, *q;
        size_t size, other;
        TensorArenaMark mark = tensor_arena_mark(&arena);
        ok(tensor_npz_read_bytes(a, m, &arena, &p, &size));
        ok(tensor_npz_read_bytes(b, n, &arena, &q, &other));
        same = strcmp(m->name, n->name) == 0 && m->is_array == n->is_array && size == other &&
               memcmp(p, q, size) == 0 && m->array.kind == n->array.kind && m->array.ndim == n->array.ndim &&
               memcmp(m->array.shape, n->array.shape, sizeof m->array.shape) == 0;
        tensor_arena_rewind(&arena, mark);
    }
    return same;
}

static Tensor read_tensor(const TensorNpz *npz, const char *name)
{
    Tensor t;
    ck_assert_msg(tensor_npz_find(npz, name) != NULL, "no member %s", name);
    ok(tensor_npz_read_tensor(npz, tensor_npz_find(npz, name), &arena, &t));
    ck_assert(tensor_is_contiguous(&t));
    return t;
}

/* A float tensor of two axes with element i, j equal to (4i + j - 5) / 8, as make_fixtures has it. */
static void check_weight(Tensor t)
{
    ck_assert_int_eq(t.ndim, 2);
    ck_assert_int_eq(t.shape[0], 3);
    ck_assert_int_eq(t.shape[1], 4);
    for (int i = 0; i < 12; i++)
        ck_assert(t.dtype == TENSOR_F64 ? tensor_f64(t)[i] == (i - 5) / 8.0
                                        : tensor_f32(t)[i] == (float)(i - 5) / 8);
}

static Tensor noise(int64_t rows, int64_t columns)
{
    Tensor t = tensor_new(&arena, TENSOR_F32, TENSOR_SHAPE(rows, columns));
    uint32_t state = 1;
    for (int64_t i = 0; i < rows * columns; i++) {
        state = state * 1664525u + 1013904223u;
        tensor_f32(t)[i] = (float)(int32_t)state * 0x1p-34f;
    }
    return t;
}

/* A small file of every sort of member. */
static void write_sample(const char *name, TensorNpzOptions options)
{
    TensorNpzWriter *writer;
    int64_t step = 1234567890123;
    ok(tensor_npz_writer_open(&writer, name, options));
    tensor_npz_add_tensor(writer, "fc.weight", noise(3, 4));
    tensor_npz_add_array(writer, "reel/step", 'i', 8, 0, NULL, &step);
    tensor_npz_add_bytes(writer, "reel/labels", "no\nyes\n", 7);
    tensor_npz_add_bytes(writer, "reel/größe", "", 0);
    ok(tensor_npz_writer_finish(writer));
}

START_TEST(a_file_in_memory_has_the_bytes_of_one_on_disk)
{
    TensorNpzWriter *writer;
    ReelBytes bytes = {0};
    TensorNpz *npz;
    for (int level = 0; level <= 1; level++) {
        char *file = reel_mem_alloc(1 << 20);
        write_sample(path, (TensorNpzOptions){.level = level});
        FILE *stream = fopen(path, "rb");
        ck_assert_ptr_nonnull(stream);
        size_t size = fread(file, 1, 1 << 20, stream);
        fclose(stream);
        int64_t step = 1234567890123;
        ok(tensor_npz_writer_open_memory(&writer, &bytes, (TensorNpzOptions){.level = level}));
        tensor_npz_add_tensor(writer, "fc.weight", noise(3, 4));
        tensor_npz_add_array(writer, "reel/step", 'i', 8, 0, NULL, &step);
        tensor_npz_add_bytes(writer, "reel/labels", "no\nyes\n", 7);
        tensor_npz_add_bytes(writer, "reel/größe", "", 0);
        ok(tensor_npz_writer_finish(writer));
        ck_assert_uint_eq(bytes.size, size);
        ck_assert_mem_eq(bytes.data, file, size);
        ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "memory"));
        ck_assert_int_eq(tensor_npz_count(npz), 4);
        tensor_npz_close(npz);
        reel_mem_free(file);
        reel_bytes_free(&bytes);
    }
}
END_TEST

/* ---- Where they lie ---- */

/* Names of every length, so that every padding is there. */
static void write_many(TensorNpzOptions options)
{
    TensorNpzWriter *writer;
    char name[TENSOR_NPY_ALIGNMENT + 9];
    ok(tensor_npz_writer_open(&writer, path, options));
    for (int i = 0; i < TENSOR_NPY_ALIGNMENT + 8; i++) {
        memset(name, 'a', (size_t)i + 1);
        name[i + 1] = '\0';
        tensor_npz_add_tensor(writer, name, noise(i % 5, i % 7));
        snprintf(name, sizeof name, "text %d", i);
        tensor_npz_add_bytes(writer, name, "0123456789", (size_t)i % 10);
    }
    ok(tensor_npz_writer_finish(writer));
}

START_TEST(arrays_are_read_where_they_lie)
{
    TensorNpz *mapped, *read;
    write_many((TensorNpzOptions){.in_place = true, .zip64 = _i});
    ok(tensor_npz_open_mapped(&mapped, path));
    ok(tensor_npz_open(&read, path));
    ck_assert(same_contents(mapped, read));
    for (int i = 0; i < tensor_npz_count(mapped); i++) {
        const TensorNpzMember *member = tensor_npz_member(mapped, i);
        Tensor view, none;
        ck_assert(!tensor_npz_view(read, tensor_npz_member(read, i), &none) && !tensor_is_valid(none));
        ck_assert_int_eq(tensor_npz_view(mapped, member, &view), member->is_array);
        if (!member->is_array)
            continue;
        ck_assert_uint_eq((uintptr_t)view.data % TENSOR_NPY_ALIGNMENT, 0);
        ck_assert(tensor_equal(view, read_tensor(read, member->name)));
        if (tensor_numel(&view) > 0)
            tensor_f32(view)[0] = 7; /* in this process alone */
    }
    tensor_npz_close(mapped);
    tensor_npz_close(read);
    ok(tensor_npz_open(&read, path)); /* whose checksums are right still */
    tensor_npz_close(read);
}
END_TEST

START_TEST(what_lies_otherwise_is_not_viewed)
{
    TensorNpz *npz;
    TensorNpzWriter *writer;
    Tensor view;
    static const char *const files[] = {FIXTURE("compressed"), FIXTURE("fortran"), FIXTURE("big_endian")};
    for (int i = 0; i < 3; i++) {
        ok(tensor_npz_open_mapped(&npz, files[i]));
        for (int k = 0; k < tensor_npz_count(npz); k++) {
            const TensorNpzMember *member = tensor_npz_member(npz, k);
            if (member->array.ndim > 1)
                ck_assert(!tensor_npz_view(npz, member, &view));
        }
        tensor_npz_close(npz);
    }
    refused(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1, .in_place = true}),
            "choose level 0");
    refused(tensor_npz_open_mapped(&npz, folder), "is a folder");
    refused(tensor_npz_open_mapped(&npz, "/dev/null"), "not a regular file");
    fclose(fopen(path, "w"));
    refused(tensor_npz_open_mapped(&npz, path), "too short");
}
END_TEST

/* ---- What NumPy has written ---- */

START_TEST(numpy_files_are_read)
{
    static const char *const names[] = {FIXTURE("compressed"), FIXTURE("stored"), FIXTURE("zip64"),
                                        FIXTURE("numpy124")};
    for (int i = 0; i < 4; i++) {
        TensorNpz *npz;
        ok(tensor_npz_open(&npz, names[i]));
        ck_assert_int_eq(tensor_npz_count(npz), 2);
        ck_assert_str_eq(tensor_npz_member(npz, 0)->name, "fc.weight");
        check_weight(read_tensor(npz, "fc.weight"));
        Tensor bias = read_tensor(npz, "fc.bias");
        ck_assert_int_eq(bias.ndim, 1);
        ck_assert_int_eq(bias.shape[0], 3);
        ck_assert_float_eq(tensor_f32(bias)[2], 2);
        ck_assert_ptr_null(tensor_npz_find(npz, "fc"));
        tensor_npz_close(npz);
    }
}
END_TEST

/* Debian 12's Python writes a member's sizes into 32 bits and once more into 64. */
START_TEST(sizes_that_stand_there_twice_must_agree)
{
    FileBytes bytes = load(FIXTURE("numpy124"));
    const size_t extra = 30 + sizeof "fc.weight.npy" - 1, values = extra + 4;
    ck_assert_mem_eq(bytes.data + extra, "\1\0\20\0", 4); /* Zip64, two values */
    ck_assert_mem_eq(bytes.data + values, bytes.data + 22, 4);
    ck_assert_mem_eq(bytes.data + values + 8, bytes.data + 18, 4);
    for (size_t i = values; i < values + 16; i++) {
        TensorNpz *npz;
        bytes.data[i] ^= 1;
        refused(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "changed"), "its header differs");
        bytes.data[i] ^= 1;
    }
    free(bytes.data);
}
END_TEST

START_TEST(fortran_order_is_read_as_c_order)
{
    TensorNpz *npz;
    ok(tensor_npz_open(&npz, FIXTURE("fortran")));
    ck_assert(tensor_npz_find(npz, "m")->array.fortran_order);
    check_weight(read_tensor(npz, "m"));
    Tensor t = read_tensor(npz, "t");
    ck_assert_int_eq(t.ndim, 3);
    for (int i = 0; i < 24; i++)
        ck_assert_int_eq(tensor_i32(t)[i], i);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(big_endian_is_read_as_native)
{
    TensorNpz *npz;
    ok(tensor_npz_open(&npz, FIXTURE("big_endian")));
    check_weight(read_tensor(npz, "f4"));
    check_weight(read_tensor(npz, "f8"));
    check_weight(read_tensor(npz, "f"));
    Tensor small = read_tensor(npz, "i4"), large = read_tensor(npz, "i8");
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(tensor_i32(small)[i], i - 3);
        ck_assert_int_eq(tensor_i32(large)[i], i - 3);
    }
    tensor_npz_close(npz);
}
END_TEST

static void check_integers(const TensorNpz *npz, const char *name, int32_t first, int32_t last)
{
    Tensor t = read_tensor(npz, name);
    ck_assert_int_eq(t.dtype, TENSOR_I32);
    ck_assert_int_eq(tensor_i32(t)[0], first);
    ck_assert_int_eq(tensor_i32(t)[tensor_numel(&t) - 1], last);
}

START_TEST(other_types_are_converted_exactly_or_refused)
{
    static const float halves[] = {0, -0.0f, 1, -2.5f, 65504, 0x1p-24f, 0x1p-14f};
    TensorNpz *npz;
    Tensor t;
    char text[32];
    ok(tensor_npz_open(&npz, FIXTURE("dtypes")));
    check_integers(npz, "b1", 1, 1);
    check_integers(npz, "i1", -128, 127);
    check_integers(npz, "u1", 0, 255);
    check_integers(npz, "i2", -32768, 32767);
    check_integers(npz, "u2", 0, 65535);
    check_integers(npz, "i4", INT32_MIN, INT32_MAX);
    check_integers(npz, "i8", 7, 7);
    ck_assert_double_eq(tensor_f64(read_tensor(npz, "f8"))[0], 0.1);
    t = read_tensor(npz, "f2");
    for (int i = 0; i < 6; i++)
        ck_assert(memcmp(&tensor_f32(t)[i], &halves[i], 4) == 0);
    ck_assert(tensor_f32(t)[6] > 6e-5f && tensor_f32(t)[6] < 6.2e-5f);
    ck_assert(tensor_f32(t)[7] > 1e38f);
    t = read_tensor(npz, "empty");
    ck_assert_int_eq(t.shape[0], 2);
    ck_assert_int_eq(tensor_numel(&t), 0);
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "u4"), &arena, &t),
            "'u4': element 1 does not fit");
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "u8"), &arena, &t),
            "'u8': element 1 does not fit");
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "u"), &arena, &t), "'u': is <U2");
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "c8"), &arena, &t), "'c8': is <c8");
    refused(tensor_npz_read_tensor(npz, tensor_npz_find(npz, "o"), &arena, &t), "'o': is |O");
    ck_assert(!tensor_is_valid(t));
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "i8"), text), "<i8");
    ck_assert_str_eq(tensor_npz_type_text(tensor_npz_find(npz, "f8"), text), "f64");
    tensor_npz_close(npz);
}
END_TEST

START_TEST(bytes_of_any_type_can_be_had)
{
    TensorNpz *npz;
    const void *data;
    size_t size;
    static const uint32_t text[] = {0xe4, 0, 'b', 'c'};
    ok(tensor_npz_open(&npz, FIXTURE("dtypes")));
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "u"), &arena, &data, &size));
    ck_assert_uint_eq(size, sizeof text);
    ck_assert_mem_eq(data, text, sizeof text);
    uint64_t numbers[2] = {1, UINT64_MAX};
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "u8"), &arena, &data, &size));
    ck_assert_uint_eq(size, sizeof numbers);
    ck_assert_mem_eq(data, numbers, sizeof numbers);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(old_headers_and_plain_members_are_read)
{
    TensorNpz *npz;
    const void *data;
    size_t size;
    ok(tensor_npz_open(&npz, FIXTURE("zip32")));
    check_weight(read_tensor(npz, "v1"));
    check_weight(read_tensor(npz, "v2"));
    check_weight(read_tensor(npz, "v3"));
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "reel/config.json"), &arena, &data, &size));
    ck_assert_uint_eq(size, 13);
    ck_assert_str_eq(data, "{\"hidden\": 8}");
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "reel/empty"), &arena, &data, &size));
    ck_assert_uint_eq(size, 0);
    tensor_npz_close(npz);
    ok(tensor_npz_open(&npz, FIXTURE("unicode")));
    ck_assert_ptr_nonnull(tensor_npz_find(npz, "größe"));
    ck_assert_float_eq(tensor_f32(read_tensor(npz, "重み"))[2], 2);
    tensor_npz_close(npz);
}
END_TEST

/* ---- Writing and reading back ---- */

START_TEST(views_of_any_strides_come_back)
{
    Tensor base = noise(37, 29), t;
    Tensor views[] = {base,
                      tensor_transpose(base, 0, 1),
                      tensor_slice(base, 1, 3, 20, 2),
                      tensor_slice(base, 0, -1, TENSOR_END, -1),
                      tensor_expand(tensor_slice(base, 0, 4, 5, 1), TENSOR_SHAPE(5, 1, 29)),
                      tensor_slice(base, 0, 2, 2, 1),
                      tensor_from(base.data, TENSOR_F32, 0, NULL),
                      tensor_from(base.data, TENSOR_F64, TENSOR_SHAPE(2, 3, 1, 2)),
                      tensor_from(base.data, TENSOR_I32, TENSOR_SHAPE(7))};
    enum { COUNT = sizeof views / sizeof views[0] };
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 6}));
    for (int i = 0; i < COUNT; i++) {
        char name[] = {(char)('a' + i), '\0'};
        tensor_npz_add_tensor(writer, name, views[i]);
    }
    ok(tensor_npz_writer_finish(writer));
    TensorNpz *npz;
    ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), COUNT);
    for (int i = 0; i < COUNT; i++) {
        char name[] = {(char)('a' + i), '\0'};
        t = read_tensor(npz, name);
        ck_assert_msg(tensor_equal(t, views[i]), "view %d", i);
    }
    tensor_npz_close(npz);
}
END_TEST

START_TEST(a_transposed_view_is_written_in_its_own_order)
{
    float elements[] = {0, 1, 2, 3, 4, 5}, turned[] = {0, 3, 1, 4, 2, 5};
    TensorNpzWriter *writer;
    TensorNpz *npz;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    tensor_npz_add_tensor(writer, "t",
                          tensor_transpose(tensor_from(elements, TENSOR_F32, TENSOR_SHAPE(2, 3)), 0, 1));
    ok(tensor_npz_writer_finish(writer));
    ok(tensor_npz_open(&npz, path));
    Tensor t = read_tensor(npz, "t");
    ck_assert_int_eq(t.shape[0], 3);
    ck_assert_mem_eq(t.data, turned, sizeof turned);
    tensor_npz_close(npz);
}
END_TEST

/* Members longer than a block, exactly one, two, and one byte more. */
static void write_large(const char *name, TensorNpzOptions options)
{
    Tensor t = noise(700, 1024);
    size_t mib = 1 << 20;
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, name, options));
    tensor_npz_add_tensor(writer, "weight", t);
    tensor_npz_add_tensor(writer, "turned", tensor_transpose(t, 0, 1));
    tensor_npz_add_bytes(writer, "one", t.data, mib);
    tensor_npz_add_bytes(writer, "two", t.data, 2 * mib);
    tensor_npz_add_bytes(writer, "more", t.data, mib + 1);
    for (int i = 0; i < 20; i++) {
        char small[8];
        snprintf(small, sizeof small, "s%d", i);
        tensor_npz_add_bytes(writer, small, t.data, (size_t)(100 * i));
    }
    ok(tensor_npz_writer_finish(writer));
}

START_TEST(long_members_come_back)
{
    static const int levels[] = {0, 1, 6};
    for (int l = 0; l < 3; l++) {
        write_large(path, (TensorNpzOptions){.level = levels[l]});
        TensorNpz *npz;
        const void *data;
        size_t size;
        ok(tensor_npz_open(&npz, path));
        Tensor t = noise(700, 1024);
        ck_assert(tensor_equal(read_tensor(npz, "weight"), t));
        ck_assert(tensor_equal(read_tensor(npz, "turned"), tensor_transpose(t, 0, 1)));
        ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "more"), &arena, &data, &size));
        ck_assert_uint_eq(size, (1 << 20) + 1);
        ck_assert(memcmp(data, t.data, size) == 0);
        tensor_npz_close(npz);
    }
}
END_TEST

/* What zlib makes of it in blocks of 1 MiB that start afresh, runs alone; behind it nothing. */
static FileBytes deflated_in_blocks(const uint8_t *data, size_t size, int level)
{
    enum { BLOCK = 1 << 20 };
    FileBytes out = {malloc(size + size / 8 + BLOCK), 0};
    for (size_t at = 0; at < size; at += BLOCK) {
        bool last = size - at <= BLOCK;
        z_stream z = {.next_in = (Bytef *)data + at, .avail_in = last ? (uInt)(size - at) : BLOCK};
        z.next_out = out.data + out.size;
        z.avail_out = BLOCK + BLOCK / 8;
        ck_assert_int_eq(deflateInit2(&z, level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_RLE), Z_OK);
        ck_assert_int_eq(deflate(&z, last ? Z_FINISH : Z_SYNC_FLUSH), last ? Z_STREAM_END : Z_OK);
        out.size += z.total_out;
        deflateEnd(&z);
    }
    return out;
}

START_TEST(the_bytes_are_zlibs_however_they_are_handed_over)
{
    Tensor t = noise(700, 1024), turned = tensor_transpose(t, 0, 1), copy = tensor_copy(&arena, turned);
    FileBytes files[2];
    for (int i = 0; i < 2; i++) {
        TensorNpzWriter *writer;
        ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1}));
        tensor_npz_add_tensor(writer, "turned", i ? copy : turned);
        ok(tensor_npz_writer_finish(writer));
        files[i] = load(path);
    }
    ck_assert_uint_eq(files[0].size, files[1].size);
    ck_assert_mem_eq(files[0].data, files[1].data, files[0].size);
    size_t size = 128 + 700 * 1024 * sizeof(float);
    uint8_t *whole = malloc(size);
    tensor_npy_format('f', 4, 2, turned.shape, (char *)whole);
    memcpy(whole + 128, copy.data, size - 128);
    FileBytes expected = deflated_in_blocks(whole, size, 1);
    TensorNpz *npz;
    ok(tensor_npz_open(&npz, path));
    const TensorNpzMember *member = tensor_npz_find(npz, "turned");
    ck_assert_uint_eq(member->size, size);
    ck_assert_uint_eq(member->packed_size, expected.size);
    ck_assert_mem_eq(files[0].data + member->offset, expected.data, expected.size);
    tensor_npz_close(npz);
    free(whole);
    free(expected.data);
    free(files[0].data);
    free(files[1].data);
}
END_TEST

static uint64_t packed_size(Tensor t, int level)
{
    TensorNpzWriter *writer;
    TensorNpz *npz;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = level}));
    tensor_npz_add_tensor(writer, "t", t);
    ok(tensor_npz_writer_finish(writer));
    ok(tensor_npz_open(&npz, path));
    uint64_t size = tensor_npz_find(npz, "t")->packed_size;
    tensor_npz_close(npz);
    return size;
}

/* Floats that repeat are found by the search alone, which begins at level 7. */
START_TEST(higher_levels_search)
{
    Tensor row = noise(1, 1000), t = tensor_copy(&arena, tensor_expand(row, TENSOR_SHAPE(20, 1000)));
    ck_assert_uint_gt(packed_size(t, 6), 60000);
    ck_assert_uint_lt(packed_size(t, 7), 10000);
}
END_TEST

START_TEST(every_level_and_zip64_hold_the_same)
{
    TensorNpz *first, *other;
    write_sample(path, (TensorNpzOptions){.level = 9});
    FileBytes bytes = load(path);
    ok(tensor_npz_open_memory(&first, bytes.data, bytes.size, "first"));
    for (int level = 0; level <= 9; level++)
        for (int zip64 = 0; zip64 < 2; zip64++) {
            write_sample(path, (TensorNpzOptions){.level = level, .zip64 = zip64});
            ok(tensor_npz_open(&other, path));
            ck_assert(same_contents(first, other));
            ck_assert_int_eq(tensor_npz_find(other, "reel/labels")->deflated, level > 0);
            tensor_npz_close(other);
        }
    tensor_npz_close(first);
    free(bytes.data);
    TensorNpzWriter *writer;
    refused(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 10}), "compression level 10");
}
END_TEST

START_TEST(an_empty_file_and_many_members)
{
    TensorNpzWriter *writer;
    TensorNpz *npz;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    ok(tensor_npz_writer_finish(writer));
    ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), 0);
    ck_assert_ptr_null(tensor_npz_find(npz, "x"));
    ck_assert_ptr_null(tensor_npz_member(npz, 0));
    tensor_npz_close(npz);
    enum { MANY = 65536 }; /* more than 16 bits count, so that Zip64 is needed */
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        tensor_npz_add_bytes(writer, name, name, strlen(name));
    }
    ok(tensor_npz_writer_finish(writer));
    ok(tensor_npz_open(&npz, path));
    ck_assert_int_eq(tensor_npz_count(npz), MANY);
    ck_assert_uint_eq(tensor_npz_find(npz, "54321")->bytes, 5);
    tensor_npz_close(npz);
}
END_TEST

/* The longest name that is read is also the longest that is written. */
START_TEST(long_names_come_back)
{
    char name[NPZ_MAX_NAME + 2] = "";
    TensorNpz *npz;
    TensorNpzWriter *writer;
    memset(name, 'n', NPZ_MAX_NAME);
    for (int array = 0; array < 2; array++) {
        name[NPZ_MAX_NAME - 4 * array] = '\0';
        ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
        if (array)
            tensor_npz_add_tensor(writer, name, noise(1, 1));
        else
            tensor_npz_add_bytes(writer, name, "x", 1);
        ok(tensor_npz_writer_finish(writer));
        ok(tensor_npz_open(&npz, path));
        ck_assert_str_eq(tensor_npz_member(npz, 0)->name, name);
        tensor_npz_close(npz);
        strcat(name, "n");
        ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
        if (array)
            tensor_npz_add_tensor(writer, name, noise(1, 1));
        else
            tensor_npz_add_bytes(writer, name, "x", 1);
        refused(tensor_npz_writer_finish(writer), array ? "its name is too long" : "longer than 1024");
    }
}
END_TEST

/* TensorFlow counts the outputs of an op behind a colon. */
START_TEST(a_colon_and_a_number_are_no_drive)
{
    static const char *const names[] = {"w:0", "dense/kernel:0", "w:12", "1:0x"};
    TensorNpzWriter *writer;
    TensorNpz *npz;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        tensor_npz_add_tensor(writer, names[i], noise(1, 1));
    ok(tensor_npz_writer_finish(writer));
    ok(tensor_npz_open(&npz, path));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_ptr_nonnull(tensor_npz_find(npz, names[i]));
    tensor_npz_close(npz);
}
END_TEST

START_TEST(what_cannot_be_added_sticks_and_leaves_the_old_file)
{
    static const char *const names[] = {"",         "/abs",     "a/../b",   "..",   ".",     "a//b", "a/",
                                        "a\\b",     "c:x",      "c:",       "c:/0", "c:0/x", "a\nb", "\xff",
                                        "\xc0\x80", "\xc2\x85", "\xc2\x9f", "\x7f", "x.npy"};
    write_sample(path, (TensorNpzOptions){.level = 1});
    FileBytes before = load(path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        TensorNpzWriter *writer;
        ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
        tensor_npz_add_bytes(writer, names[i], "x", 1);
        tensor_npz_add_bytes(writer, "fine", "x", 1);
        refused(tensor_npz_writer_finish(writer), "its name ");
    }
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1}));
    tensor_npz_add_tensor(writer, "a", noise(1, 1));
    tensor_npz_add_bytes(writer, "a", "x", 1);
    refused(tensor_npz_writer_finish(writer), "'a' was added twice");
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1}));
    tensor_npz_add_tensor(writer, "a", tensor_invalid());
    refused(tensor_npz_writer_finish(writer), "the tensor is not valid");
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1}));
    tensor_npz_add_tensor(writer, "a", noise(600, 1000));
    tensor_npz_writer_abandon(writer);
    FileBytes after = load(path);
    ck_assert_uint_eq(before.size, after.size);
    ck_assert_mem_eq(before.data, after.data, after.size);
    free(before.data);
    free(after.data);
}
END_TEST

/* ---- Damage ---- */

/* The bytes are refused with a message, or hold exactly what `whole` holds. Returns whether refused. */
static bool refused_or_same(const uint8_t *data, size_t size, const TensorNpz *whole, const char *what)
{
    TensorNpz *npz;
    /* A copy of the exact size, so that the sanitizers see a read beyond the end. */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    ReelStatus status = tensor_npz_open_memory(&npz, copy, size, "damaged");
    bool is_refused = !reel_status_is_ok(&status);
    if (is_refused)
        refused(status, "damaged: ");
    else
        ck_assert_msg(same_contents(npz, whole), "%s gives another file", what);
    tensor_npz_close(npz);
    free(copy);
    return is_refused;
}

static void damage(const char *name)
{
    FileBytes bytes = load(name);
    TensorNpz *whole;
    char what[200];
    int survivors = 0;
    ok(tensor_npz_open_memory(&whole, bytes.data, bytes.size, name));
    for (size_t size = 0; size < bytes.size; size++)
        ck_assert_msg(refused_or_same(bytes.data, size, whole, name), "%s cut at %zu is taken", name, size);
    for (size_t i = 0; i < bytes.size; i++)
        for (int bit = 0; bit <= 8; bit++) {
            uint8_t mask = bit < 8 ? (uint8_t)(1 << bit) : 0xff;
            bytes.data[i] ^= mask;
            snprintf(what, sizeof what, "%s with byte %zu changed by %d", name, i, mask);
            survivors += !refused_or_same(bytes.data, bytes.size, whole, what);
            bytes.data[i] ^= mask;
        }
    /* What may change unseen: versions, attributes, the end padding of deflate. Not more. */
    ck_assert_int_lt(survivors, 100 * tensor_npz_count(whole) + 100);
    tensor_npz_close(whole);
    free(bytes.data);
}

START_TEST(numpy_files_cut_or_changed_at_every_byte)
{
    static const char *const names[] = {FIXTURE("compressed"), FIXTURE("stored"), FIXTURE("fortran"),
                                        FIXTURE("zip64"),      FIXTURE("zip32"),  FIXTURE("unicode")};
    damage(names[_i]);
}
END_TEST

START_TEST(own_files_cut_or_changed_at_every_byte)
{
    write_sample(path, (TensorNpzOptions){.level = _i / 2 * 6, .zip64 = _i % 2});
    damage(path);
}
END_TEST

/* ---- Crafted files: the local header and the directory agree on a lie ---- */

/* Replaces every occurrence; returns how many there were. */
static int replace_all(FileBytes bytes, const void *from, const void *to, size_t size)
{
    int count = 0;
    for (size_t i = 0; i + size <= bytes.size; i++)
        if (memcmp(bytes.data + i, from, size) == 0) {
            memcpy(bytes.data + i, to, size);
            count++;
        }
    return count;
}

static FileBytes sample_of_two(int level)
{
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = level}));
    tensor_npz_add_bytes(writer, "aaaa", "0123456789", 10);
    tensor_npz_add_bytes(writer, "bbbb", "0123456789", 10);
    ok(tensor_npz_writer_finish(writer));
    return load(path);
}

static void refused_bytes(FileBytes bytes, const char *part)
{
    TensorNpz *npz;
    refused(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"), part);
    ck_assert_ptr_null(npz);
    free(bytes.data);
}

/* What is left of an array's name without ".npy" must be a name, too: no writer would take it. */
START_TEST(an_array_without_a_name_is_refused)
{
    static const char name[] = "reel/x.npy", hole[] = "reelx/.npy";
    TensorNpzWriter *writer;
    TensorNpz *npz;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    tensor_npz_add_tensor(writer, "reel/x", noise(1, 1));
    ok(tensor_npz_writer_finish(writer));
    FileBytes bytes = load(path);
    ck_assert_int_eq(replace_all(bytes, name, hole, strlen(name)), 2);
    refused(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "memory"), "its name is a folder");
    free(bytes.data);
}
END_TEST

START_TEST(bad_names_are_refused)
{
    static const struct {
        const char *name, *message;
    } cases[] = {{"a/..", "part"},           {"/aaa", "relative path"}, {"aa//", "relative path"},
                 {"a\0bb", "UTF-8"},         {"a\nbb", "UTF-8"},        {"a\\bb", "relative"},
                 {"c:aa", "relative"},       {"bbbb", "twice"},         {"a\xc3\xa4x", "marked as"},
                 {"\xed\xa0\x80x", "UTF-8"}, {"../a", "part"},          {"aaa/", "folder"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FileBytes bytes = sample_of_two(0);
        ck_assert_int_eq(replace_all(bytes, "aaaa", cases[i].name, 4), 2);
        refused_bytes(bytes, cases[i].message);
    }
}
END_TEST

/* Changes a field of the first member in both headers; `at` is its place in the local one. */
static FileBytes with_field(int level, size_t at, uint64_t value, size_t width)
{
    FileBytes bytes = sample_of_two(level);
    size_t central = bytes.size - ZIP_END_BYTES - 2 * (ZIP_CENTRAL_BYTES + 4);
    for (size_t i = 0; i < width; i++)
        bytes.data[at + i] = bytes.data[central + at + 2 + i] = (uint8_t)(value >> 8 * i);
    return bytes;
}

START_TEST(lies_in_both_headers_are_refused)
{
    int64_t peak = reel_mem_stats().peak_bytes;
    refused_bytes(with_field(6, 6, 8, 2), "'aaaa': its sizes stand behind it");
    refused_bytes(with_field(6, 6, 0x2000, 2), "'aaaa': it has flags");
    refused_bytes(with_field(6, 14, 1, 4), "'aaaa': its checksum differs");
    refused_bytes(with_field(0, 14, 1, 4), "'aaaa': its checksum differs");
    refused_bytes(with_field(6, 22, 0xfffffff0, 4), "'aaaa': its length is more than its bytes can hold");
    refused_bytes(with_field(6, 22, 11, 4), "'aaaa': it is shorter");
    refused_bytes(with_field(6, 22, 9, 4), "'aaaa': it is longer");
    refused_bytes(with_field(6, 22, 0, 4), "'aaaa': it is longer");
    refused_bytes(with_field(0, 22, 11, 4), "'aaaa': its two lengths differ");
    refused_bytes(with_field(6, 18, 0xfffffff0, 4), "'aaaa': it reaches into the directory");
    refused_bytes(with_field(6, 18, 3, 4), "'bbbb' does not follow");
    ck_assert_int_le(reel_mem_stats().peak_bytes - peak, 8 << 20);
}
END_TEST

/* A member whose bytes cannot be had is listed, and only its use is refused. */
static void check_locked(FileBytes bytes, const char *message)
{
    TensorNpz *npz;
    const void *data;
    size_t size;
    char text[32];
    Tensor t;
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    const TensorNpzMember *member = tensor_npz_find(npz, "aaaa");
    ck_assert(member && member->locked);
    ck_assert_str_eq(tensor_npz_type_text(member, text), "bytes");
    refused(tensor_npz_read_bytes(npz, member, &arena, &data, &size), message);
    refused(tensor_npz_read_whole(npz, member, &arena, &data, &size), message);
    refused(tensor_npz_read_tensor(npz, member, &arena, &t), message);
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "bbbb"), &arena, &data, &size));
    ck_assert_str_eq(data, "0123456789");
    tensor_npz_close(npz);
    free(bytes.data);
}

START_TEST(a_member_that_is_locked_leaves_the_others)
{
    check_locked(with_field(6, 6, 1, 2), "'aaaa': it is encrypted; write it again");
    check_locked(with_field(6, 8, 12, 2), "'aaaa': it is neither stored nor deflated; write it again");
}
END_TEST

/* What is put where it does not belong in a file of one deflated member, the text "hello", and comments. */
typedef struct Slips {
    size_t behind_stream, behind_member, behind_directory, behind_end;
    const char *extra; /* of the directory's record */
    size_t extra_size;
    const char *comment, *end_comment; /* of the record, and of the archive */
    size_t end_comment_size;
} Slips;

static uint8_t *put_fields(uint8_t *p, size_t packed_size, size_t extra_size)
{
    p = zip_put16(zip_put16(zip_put16(p, ZIP_VERSION), 0), ZIP_DEFLATED);
    p = zip_put32(zip_put32(p, ZIP_DATE << 16), 0x3610a686); /* the CRC-32 of "hello" */
    p = zip_put32(zip_put32(p, (uint32_t)packed_size), 5);
    return zip_put16(zip_put16(p, 1), (unsigned)extra_size);
}

static FileBytes handmade(Slips slips)
{
    static const uint8_t hello[] = {0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    uint8_t *data = calloc(1, 1024), *p = zip_put32(data, ZIP_LOCAL);
    size_t packed_size = sizeof hello + slips.behind_stream;
    p = put_fields(p, packed_size, 0);
    *p++ = 'h';
    memcpy(p, hello, sizeof hello);
    p += packed_size + slips.behind_member;
    uint8_t *directory = p;
    p = zip_put16(zip_put32(p, ZIP_CENTRAL), ZIP_VERSION);
    size_t comment_size = slips.comment ? strlen(slips.comment) : 0;
    p = zip_put16(put_fields(p, packed_size, slips.extra_size), (unsigned)comment_size);
    p += 12; /* disk, attributes, offset: 0 */
    *p++ = 'h';
    if (slips.extra_size > 0)
        memcpy(p, slips.extra, slips.extra_size);
    p += slips.extra_size;
    if (comment_size > 0)
        memcpy(p, slips.comment, comment_size);
    p += comment_size + slips.behind_directory;
    uint8_t *end = p;
    p = zip_put32(zip_put32(p, ZIP_END), 0);
    p = zip_put16(zip_put16(p, 1), 1);
    p = zip_put32(zip_put32(p, (uint32_t)(end - directory)), (uint32_t)(directory - data));
    p = zip_put16(p, (unsigned)slips.end_comment_size);
    if (slips.end_comment_size > 0)
        memcpy(p, slips.end_comment, slips.end_comment_size);
    p += slips.end_comment_size;
    return (FileBytes){data, (size_t)(p - data) + slips.behind_end};
}

/* Zeros in two stored blocks of deflate that end where the reader's buffer of 64 KiB does, and `more` behind.
 */
static FileBytes with_full_buffer(size_t more)
{
    enum { BUFFER = 65536, HALF = BUFFER / 2, DATA = BUFFER - 10 };
    uint8_t *packed = calloc(1, BUFFER + more), *zeros = calloc(1, DATA);
    for (size_t i = 0; i < 2; i++) {
        unsigned length = HALF - 5;
        packed[i * HALF] = i == 1; /* the last one */
        zip_put16(zip_put16(packed + i * HALF + 1, length), ~length & 0xffff);
    }
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    tensor_npz_add_bytes(writer, "zeros", packed, BUFFER + more);
    ok(tensor_npz_writer_finish(writer));
    FileBytes bytes = load(path);
    uint8_t *local = bytes.data, *central = bytes.data + bytes.size - ZIP_END_BYTES - ZIP_CENTRAL_BYTES - 5;
    uint32_t crc = (uint32_t)crc32(0, zeros, DATA);
    zip_put16(local + 8, ZIP_DEFLATED);
    zip_put16(central + 10, ZIP_DEFLATED);
    zip_put32(local + 14, crc);
    zip_put32(central + 16, crc);
    zip_put32(local + 22, DATA);
    zip_put32(central + 24, DATA);
    free(packed);
    free(zeros);
    return bytes;
}

START_TEST(what_follows_a_stream_is_seen_behind_a_full_buffer)
{
    TensorNpz *npz;
    FileBytes bytes = with_full_buffer(0);
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    ck_assert_uint_eq(tensor_npz_find(npz, "zeros")->bytes, 65526);
    tensor_npz_close(npz);
    free(bytes.data);
    refused_bytes(with_full_buffer(1), "'zeros': something follows its end");
}
END_TEST

static void takes_hello(Slips slips)
{
    TensorNpz *npz;
    const void *data;
    size_t size;
    FileBytes bytes = handmade(slips);
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "handmade"));
    ck_assert_int_eq(tensor_npz_count(npz), 1);
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "h"), &arena, &data, &size));
    ck_assert_str_eq(data, "hello");
    tensor_npz_close(npz);
    free(bytes.data);
}

START_TEST(comments_are_passed_over)
{
    static char full[65535];
    memset(full, 'c', sizeof full);
    takes_hello((Slips){.comment = "weights"});
    takes_hello((Slips){.comment = "weights", .extra = "\x55\x54\x01\0x", .extra_size = 5});
    takes_hello((Slips){.end_comment = "made by me", .end_comment_size = 10});
    takes_hello((Slips){.end_comment = "PK\5\6 is how it ends", .end_comment_size = 20});
    takes_hello((Slips){.comment = "a", .end_comment = "b", .end_comment_size = 1});
    refused_bytes(handmade((Slips){.end_comment = "made by me", .end_comment_size = 10, .behind_end = 1}),
                  "has something appended");
    FileBytes bytes = handmade((Slips){0});
    TensorNpz *npz;
    uint8_t *larger = realloc(bytes.data, bytes.size + sizeof full);
    zip_put16(larger + bytes.size - 2, sizeof full); /* the longest there is */
    memcpy(larger + bytes.size, full, sizeof full);
    ok(tensor_npz_open_memory(&npz, larger, bytes.size + sizeof full, "handmade"));
    tensor_npz_close(npz);
    refused(tensor_npz_open_memory(&npz, larger, bytes.size + sizeof full - 1, "handmade"), "it is cut");
    free(larger);
}
END_TEST

START_TEST(bytes_that_belong_nowhere_are_refused)
{
    TensorNpz *npz;
    FileBytes bytes = handmade((Slips){0});
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "handmade"));
    ck_assert_uint_eq(tensor_npz_find(npz, "h")->bytes, 5);
    tensor_npz_close(npz);
    free(bytes.data);
    bytes = handmade((Slips){.extra = "\x55\x54\x01\0x", .extra_size = 5}); /* a time: harmless */
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "handmade"));
    tensor_npz_close(npz);
    free(bytes.data);
    refused_bytes(handmade((Slips){.behind_stream = 1}), "'h': something follows its end");
    refused_bytes(handmade((Slips){.behind_stream = 100}), "'h': something follows its end");
    refused_bytes(handmade((Slips){.behind_member = 1}), "bytes that belong to no member");
    refused_bytes(handmade((Slips){.behind_directory = 1}), "bytes that belong to no member");
    refused_bytes(handmade((Slips){.behind_end = 1}), "has something appended");
    refused_bytes(handmade((Slips){.extra = "\1\0\0", .extra_size = 3}), "directory is not well formed");
    refused_bytes(handmade((Slips){.extra = "\x55\x54\2\0x", .extra_size = 5}),
                  "directory is not well formed");
    refused_bytes(handmade((Slips){.extra = "\x75\x70\1\0x", .extra_size = 5}),
                  "directory is not well formed");
    refused_bytes(handmade((Slips){.extra = "\1\0\x8\0\5\0\0\0\0\0\0\0", .extra_size = 12}),
                  "directory is not well formed");
}
END_TEST

START_TEST(the_two_ends_of_zip64_must_agree)
{
    for (size_t at = 12; at >= 6; at--) { /* count, size and offset in the short record */
        FileBytes bytes = load(FIXTURE("zip64"));
        bytes.data[bytes.size - at] ^= 1;
        refused_bytes(bytes, "its end does not fit its directory");
    }
}
END_TEST

/* Each member takes a record: a count that the directory has no room for is a lie, before memory is asked
 * for. */
START_TEST(more_members_than_records_are_refused)
{
    FileBytes bytes = load(FIXTURE("zip64"));
    uint8_t *end = bytes.data + bytes.size - ZIP_END_BYTES,
            *wide = end - ZIP64_LOCATOR_BYTES - ZIP64_END_BYTES;
    int64_t peak = reel_mem_stats().peak_bytes;
    ck_assert_uint_eq(zip_get32(wide), ZIP64_END);
    zip_put64(zip_put64(wide + 24, 1 << 20), 1 << 20);
    zip_put16(zip_put16(end + 8, ZIP_FULL16), ZIP_FULL16);
    refused_bytes(bytes, "its end does not fit its directory");
    ck_assert_int_le(reel_mem_stats().peak_bytes - peak, 1 << 20);
}
END_TEST

/* A file with these bytes as a stored .npy member, and one that is sound. */
static FileBytes with_npy(const char *npy, size_t size)
{
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){0}));
    tensor_npz_add_bytes(writer, "array_nqy", npy, size);
    tensor_npz_add_tensor(writer, "sound", noise(2, 3));
    ok(tensor_npz_writer_finish(writer));
    FileBytes bytes = load(path);
    ck_assert_int_eq(replace_all(bytes, "array_nqy", "array.npy", 9), 2);
    return bytes;
}

/* The same of this header text and as many bytes of data. */
static FileBytes with_header(const char *text, size_t data_bytes)
{
    char npy[1024] = "\x93NUMPY\x01";
    size_t length = strlen(text);
    npy[8] = (char)(length & 255);
    npy[9] = (char)(length >> 8);
    memcpy(npy + 10, text, length);
    return with_npy(npy, 10 + length + data_bytes);
}

/* Reads that member as a tensor. The other one can be read in any case. */
static ReelStatus read_array(FileBytes bytes)
{
    TensorNpz *npz;
    Tensor t;
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    ck_assert(tensor_equal(read_tensor(npz, "sound"), noise(2, 3)));
    ReelStatus status = tensor_npz_read_tensor(npz, tensor_npz_find(npz, "array"), &arena, &t);
    ck_assert(!reel_status_is_ok(&status) || tensor_npz_find(npz, "array")->unreadable == NULL);
    tensor_npz_close(npz);
    free(bytes.data);
    return status;
}

static ReelStatus read_with_header(const char *text, size_t data_bytes)
{
    return read_array(with_header(text, data_bytes));
}

START_TEST(array_headers_that_promise_too_much_are_refused)
{
    int64_t peak = reel_mem_stats().peak_bytes;
    ok(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24));
    refused(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 23),
            "does not fit its shape");
    refused(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 25),
            "does not fit its shape");
    refused(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 28),
            "does not fit its shape");
    refused(
        read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,), }\n", 24),
        "does not fit its shape");
    refused(
        read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }\n", 24),
        "larger than any memory");
    refused(read_with_header("", 24), "'array': its .npy header is longer than itself"); /* than its prefix */
    refused(read_with_header("\n", 24), "'array': its .npy header is longer than itself");
    refused(read_array(with_npy("\x93NUMPY\x01\0\xff\0abc", 13)), "its .npy header is longer than itself");
    refused(read_array(with_npy("\x93NUMPY", 6)), "'array': it does not start as a .npy array");
    refused(read_array(with_npy("hello", 5)), "'array': it does not start as a .npy array");
    refused(read_array(with_npy("", 0)), "'array': it does not start as a .npy array");
    refused(read_with_header("\n\n", 24), "'array': its header is not a dict");
    refused(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, }\n", 24),
            "'array': its shape");
    ck_assert_int_le(reel_mem_stats().peak_bytes - peak, 8 << 20);
}
END_TEST

/* A file with a stored .npy member of this header text and these bytes. */
static FileBytes with_elements(const char *text, const void *elements, size_t size)
{
    FileBytes bytes = with_header(text, size);
    uint8_t *from = NULL;
    for (size_t i = 0; i + strlen(text) < bytes.size && !from; i++)
        if (memcmp(bytes.data + i, text, strlen(text)) == 0)
            from = bytes.data + i + strlen(text);
    memcpy(from, elements, size);
    uint32_t crc = (uint32_t)crc32(0, from - strlen(text) - 10, (uInt)(strlen(text) + 10 + size));
    uint8_t old[4];
    memcpy(old, bytes.data + 14, 4);
    zip_put32(bytes.data + 14, crc);
    ck_assert_int_eq(replace_all(bytes, old, bytes.data + 14, 4), 1); /* in the directory */
    return bytes;
}

/* The elements as the reader gives them. */
static const void *bytes_behind(const char *text, const void *elements, size_t size)
{
    FileBytes bytes = with_elements(text, elements, size);
    TensorNpz *npz;
    const void *data;
    size_t got;
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    ok(tensor_npz_read_bytes(npz, tensor_npz_find(npz, "array"), &arena, &data, &got));
    ck_assert_uint_eq(got, size);
    tensor_npz_close(npz);
    free(bytes.data);
    return data;
}

/* The two parts of a complex number stay in their order, whatever the order of their bytes is. */
START_TEST(complex_numbers_are_two_numbers)
{
    static const uint8_t big[] = {0x3f, 0x80, 0, 0, 0x40, 0, 0, 0, 0xbf, 0x80, 0, 0, 0x41, 0, 0, 0};
    static const uint8_t large[] = {0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0};
    static const float parts[] = {1, 2, -1, 8}, little[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const float turned[] = {1, 2, 5, 6, 3, 4, 7, 8};
    static const double two[] = {1, -2};
    ck_assert_mem_eq(bytes_behind("{'descr': '>c8', 'fortran_order': False, 'shape': (2,), }\n", big, 16),
                     parts, sizeof parts);
    ck_assert_mem_eq(bytes_behind("{'descr': '>c16', 'fortran_order': False, 'shape': (), }\n", large, 16),
                     two, sizeof two);
    ck_assert_mem_eq(bytes_behind("{'descr': '<c8', 'fortran_order': True, 'shape': (2, 2), }\n", little, 32),
                     turned, sizeof turned);
    refused(read_with_header("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }\n", 24),
            "'array': is <c8, not an array of numbers");
}
END_TEST

START_TEST(text_is_read_in_the_machines_order)
{
    static const uint8_t big[] = {0, 0, 0, 'a', 0, 1, 0xf6, 0x00};
    static const uint32_t points[] = {'a', 0x1f600};
    ck_assert_mem_eq(bytes_behind("{'descr': '>U2', 'fortran_order': False, 'shape': (), }\n", big, 8),
                     points, 8);
    /* A zero byte, not counted, stands behind the bytes whatever was there before. */
    TensorArenaMark mark = tensor_arena_mark(&arena);
    memset(tensor_arena_alloc(&arena, 1 << 16), 'x', 1 << 16);
    tensor_arena_rewind(&arena, mark);
    ck_assert_str_eq(bytes_behind("{'descr': '|S4', 'fortran_order': False, 'shape': (), }\n", "text", 4),
                     "text");
}
END_TEST

/* Whatever is not 0 is true. */
START_TEST(truth_has_one_value)
{
    FileBytes bytes =
        with_elements("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n", "\1\0\377", 3);
    TensorNpz *npz;
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    Tensor t = read_tensor(npz, "array");
    ck_assert(tensor_i32(t)[0] == 1 && tensor_i32(t)[1] == 0 && tensor_i32(t)[2] == 1);
    tensor_npz_close(npz);
    free(bytes.data);
}
END_TEST

START_TEST(more_axes_than_a_tensor_has_are_an_error)
{
    ok(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1), }\n", 4));
    refused(read_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1), }\n", 4),
            "'array': has 7 axes, but a tensor at most 6; reshape it");
}
END_TEST

/* An array that cannot be read can still be listed, and go from file to file as it is. */
START_TEST(an_array_that_cannot_be_read_is_kept_whole)
{
    FileBytes bytes = with_header("{'descr': '<V2', 'fortran_order': False, 'shape': (3,), }\n", 6);
    TensorNpz *npz;
    TensorNpzWriter *writer;
    const void *data, *again;
    size_t size, other;
    char text[32];
    ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "crafted"));
    const TensorNpzMember *member = tensor_npz_find(npz, "array");
    ck_assert_str_eq(tensor_npz_type_text(member, text), "unreadable");
    refused(tensor_npz_read_bytes(npz, member, &arena, &data, &size),
            "crafted: member 'array': it is bfloat16");
    ok(tensor_npz_read_whole(npz, member, &arena, &data, &size));
    ck_assert_uint_eq(size, member->bytes);
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1}));
    tensor_npz_add_npy(writer, "array", data, size);
    ok(tensor_npz_writer_finish(writer));
    tensor_npz_close(npz);
    free(bytes.data);
    ok(tensor_npz_open(&npz, path));
    ok(tensor_npz_read_whole(npz, tensor_npz_find(npz, "array"), &arena, &again, &other));
    ck_assert_uint_eq(other, size);
    ck_assert_mem_eq(again, data, size);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(a_bomb_is_taken_at_its_size_and_no_more)
{
    /* 64 MiB of zeros in 64 KiB: sound, so it opens; and opening needs little memory. */
    char *zeros = calloc(1, 64 << 20);
    TensorNpzWriter *writer;
    ok(tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 9}));
    tensor_npz_add_bytes(writer, "zeros", zeros, 64 << 20);
    ok(tensor_npz_writer_finish(writer));
    free(zeros);
    int64_t live = reel_mem_stats().live_bytes;
    TensorNpz *npz;
    ok(tensor_npz_open(&npz, path));
    ck_assert_uint_eq(tensor_npz_find(npz, "zeros")->bytes, 64 << 20);
    ck_assert_int_le(reel_mem_stats().live_bytes - live, 1 << 20);
    tensor_npz_close(npz);
}
END_TEST

START_TEST(other_files_are_refused_by_name)
{
    TensorNpz *npz;
    refused(tensor_npz_open(&npz, "/no/such/file.npz"), "/no/such/file.npz: cannot open: No such file");
    refused(tensor_npz_open(&npz, "/tmp"), "/tmp: is a folder");
    refused(tensor_npz_open(&npz, "/dev/null"), "/dev/null: is not a regular file");
    refused(tensor_npz_open(&npz, "tests/tensor/storage/npz.c"),
            "tests/tensor/storage/npz.c: is neither a .npz nor");
    refused(tensor_npz_open_memory(&npz, NULL, 0, "nothing"), "nothing: is too short");
}
END_TEST

/* ---- Memory ---- */

static ReelStatus read_all(const char *name, TensorArena *into)
{
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, name);
    for (int i = 0; reel_status_is_ok(&status) && i < tensor_npz_count(npz); i++) {
        Tensor t;
        const void *data;
        size_t size;
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        status = member->is_array ? tensor_npz_read_tensor(npz, member, into, &t)
                                  : tensor_npz_read_bytes(npz, member, into, &data, &size);
    }
    tensor_npz_close(npz);
    return status;
}

static ReelStatus write_two(void)
{
    float elements[6] = {1, 2, 3, 4, 5, 6};
    TensorNpzWriter *writer;
    ReelStatus status = tensor_npz_writer_open(&writer, path, (TensorNpzOptions){.level = 1});
    if (!reel_status_is_ok(&status))
        return status;
    tensor_npz_add_tensor(writer, "a", tensor_from(elements, TENSOR_F32, TENSOR_SHAPE(2, 3)));
    tensor_npz_add_bytes(writer, "b", elements, sizeof elements);
    return tensor_npz_writer_finish(writer);
}

START_TEST(every_failed_allocation_is_a_message)
{
    int64_t live = reel_mem_stats().live_blocks;
    int failures = 0, n;
    ReelStatus status;
    for (n = 0, failures = 0; failures == n; n++) {
        reel_mem_fail_at(n, 0);
        status = write_two();
        reel_mem_fail_at(-1, 0);
        failures += !reel_status_is_ok(&status);
        if (!reel_status_is_ok(&status))
            ck_assert_ptr_nonnull(strstr(status.message, "out of memory"));
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert_int_gt(failures, 5);
    ok(write_two());
    for (n = 0, failures = 0; failures == n; n++) {
        TensorArena into;
        tensor_arena_init(&into, 0);
        reel_mem_fail_at(n, 0);
        status = read_all(FIXTURE("fortran"), &into);
        reel_mem_fail_at(-1, 0);
        failures += !reel_status_is_ok(&status);
        if (!reel_status_is_ok(&status))
            ck_assert_ptr_nonnull(strstr(status.message, "out of memory"));
        tensor_arena_free(&into);
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
    }
    ck_assert_int_gt(failures, 5);
}
END_TEST

Suite *tensor_npz_suite(void);
Suite *tensor_npz_suite(void)
{
    Suite *suite = suite_create("tensor/npz");
    TCase *tcase = tcase_create("npz");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_in_memory_has_the_bytes_of_one_on_disk);
    tcase_add_loop_test(tcase, arrays_are_read_where_they_lie, 0, 2);
    tcase_add_test(tcase, what_lies_otherwise_is_not_viewed);
    tcase_add_test(tcase, numpy_files_are_read);
    tcase_add_test(tcase, sizes_that_stand_there_twice_must_agree);
    tcase_add_test(tcase, fortran_order_is_read_as_c_order);
    tcase_add_test(tcase, big_endian_is_read_as_native);
    tcase_add_test(tcase, other_types_are_converted_exactly_or_refused);
    tcase_add_test(tcase, bytes_of_any_type_can_be_had);
    tcase_add_test(tcase, old_headers_and_plain_members_are_read);
    tcase_add_test(tcase, views_of_any_strides_come_back);
    tcase_add_test(tcase, a_transposed_view_is_written_in_its_own_order);
    tcase_add_test(tcase, long_members_come_back);
    tcase_add_test(tcase, the_bytes_are_zlibs_however_they_are_handed_over);
    tcase_add_test(tcase, higher_levels_search);
    tcase_add_test(tcase, every_level_and_zip64_hold_the_same);
    tcase_add_test(tcase, an_empty_file_and_many_members);
    tcase_add_test(tcase, long_names_come_back);
    tcase_add_test(tcase, a_colon_and_a_number_are_no_drive);
    tcase_add_test(tcase, what_cannot_be_added_sticks_and_leaves_the_old_file);
    tcase_add_loop_test(tcase, numpy_files_cut_or_changed_at_every_byte, 0, 6);
    tcase_add_loop_test(tcase, own_files_cut_or_changed_at_every_byte, 0, 4);
    tcase_add_test(tcase, an_array_without_a_name_is_refused);
    tcase_add_test(tcase, bad_names_are_refused);
    tcase_add_test(tcase, lies_in_both_headers_are_refused);
    tcase_add_test(tcase, a_member_that_is_locked_leaves_the_others);
    tcase_add_test(tcase, comments_are_passed_over);
    tcase_add_test(tcase, bytes_that_belong_nowhere_are_refused);
    tcase_add_test(tcase, what_follows_a_stream_is_seen_behind_a_full_buffer);
    tcase_add_test(tcase, the_two_ends_of_zip64_must_agree);
    tcase_add_test(tcase, more_members_than_records_are_refused);
    tcase_add_test(tcase, array_headers_that_promise_too_much_are_refused);
    tcase_add_test(tcase, complex_numbers_are_two_numbers);
    tcase_add_test(tcase, text_is_read_in_the_machines_order);
    tcase_add_test(tcase, truth_has_one_value);
    tcase_add_test(tcase, more_axes_than_a_tensor_has_are_an_error);
    tcase_add_test(tcase, an_array_that_cannot_be_read_is_kept_whole);
    tcase_add_test(tcase, a_bomb_is_taken_at_its_size_and_no_more);
    tcase_add_test(tcase, other_files_are_refused_by_name);
    tcase_add_test(tcase, every_failed_allocation_is_a_message);
    suite_add_tcase(suite, tcase);
    return suite;
}
