#include "tensor/storage/npy.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static char reason[TENSOR_NPY_REASON_SIZE];

/* A header with this text, of a version. */
static bool parse(int version, const char *text, TensorNpyHeader *header)
{
    char bytes[2048] = "\x93NUMPY";
    size_t length = strlen(text), prefix = version == 1 ? 10 : 12;
    bytes[6] = (char)version;
    bytes[8] = (char)(length & 255);
    bytes[9] = (char)(length >> 8);
    memcpy(bytes + prefix, text, length);
    size_t whole = tensor_npy_header_length(bytes, TENSOR_NPY_PREFIX_BYTES, reason);
    return whole == prefix + length && tensor_npy_parse(bytes, whole, header, reason);
}

static void takes(const char *text)
{
    TensorNpyHeader header;
    ck_assert_msg(parse(1, text, &header), "%s is refused: %s", text, reason);
}

static void refuses(const char *text)
{
    TensorNpyHeader header;
    reason[0] = '\0';
    ck_assert_msg(!parse(1, text, &header), "%s is taken", text);
    ck_assert_str_ne(reason, "");
}

START_TEST(every_field_is_read)
{
    for (int version = 1; version <= 3; version++) {
        TensorNpyHeader header;
        ck_assert(parse(version, "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }   \n", &header));
        ck_assert_int_eq(header.kind, 'f');
        ck_assert_int_eq(header.item_bytes, 8);
        ck_assert(header.big_endian && header.fortran_order);
        ck_assert_int_eq(header.ndim, 2);
        ck_assert_int_eq(header.shape[0], 2);
        ck_assert_int_eq(header.shape[1], 3);
        ck_assert_int_eq(header.count, 6);
        ck_assert_int_eq(header.bytes, 48);
    }
}
END_TEST

START_TEST(other_spellings_of_the_same_are_read)
{
    takes("{'descr': '<f4', 'fortran_order': False, 'shape': ()}\n");
    takes("{'shape':(3,),'fortran_order':False,'descr':'<f4'}\n");
    takes("{\"fortran_order\": False, \"descr\": \"|u1\", \"shape\": (3, 4,),}\n");
    takes("{'descr': '<U5', 'fortran_order': False, 'shape': (0, 9), }"
          "\n");
    takes("{'descr': '<f16', 'fortran_order': False, 'shape': (3,), }\n"); /* x86's long double, and two of
                                                                              them */
    takes("{'descr': '<c32', 'fortran_order': False, 'shape': (3,), }\n");
    takes("{'descr': '|S0', 'fortran_order': False, 'shape': (3,), }\n");
    takes("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n");
    takes("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,), }\n");
}
END_TEST

/* cnpy, NumPy of Python 2, and what else writes headers of its own. */
START_TEST(other_writers_spellings_are_read)
{
    static const struct {
        const char *descr;
        char kind;
        int item_bytes;
        bool big_endian;
    } cases[] = {{"<u1", 'u', 1, false}, {"<b1", 'b', 1, false}, {"|f4", 'f', 4, false},
                 {"=f8", 'f', 8, false}, {"f4", 'f', 4, false},  {">f4", 'f', 4, true},
                 {"|O8", 'O', 0, false}, {"|O4", 'O', 0, false}, {"<S3", 'S', 3, false},
                 {"<c8", 'c', 8, false}, {"|V2", 'V', 2, false}};
    TensorNpyHeader header;
    char text[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (3,), }\n",
                 cases[i].descr);
        ck_assert_msg(parse(1, text, &header), "%s: %s", text, reason);
        ck_assert_int_eq(header.kind, cases[i].kind);
        ck_assert_int_eq(header.item_bytes, cases[i].item_bytes);
        ck_assert_int_eq(header.big_endian, cases[i].big_endian);
        ck_assert_int_eq(header.count, 3);
    }
    ck_assert(parse(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 30L), }\n", &header));
    ck_assert_int_eq(header.shape[0], 2);
    ck_assert_int_eq(header.shape[1], 30);
    takes("{'descr':\t'<f4',\t'fortran_order':\tFalse, 'shape': (\t2\t,\t), }\t\n");
    takes("{'descr': '<f4',\n 'fortran_order': False,\r\n 'shape': (2,)}\n");
}
END_TEST

START_TEST(what_numpy_does_not_have_is_named)
{
    static const char *const cases[][2] = {
        {"'<V2'", "it is bfloat16"},        {"'<V1'", "it is float8 or int4"},
        {"'<f1'", "it is float8 or int4"},  {"'|f1'", "none of NumPy's plain ones"},
        {"[('a', '<f4')]", "structured"},   {"('<f4', (2,))", "not a string"},
        {"\t[('a', '<f4')]", "structured"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{'descr': %s, 'fortran_order': False, 'shape': (3,), }\n", cases[i][0]);
        refuses(text);
        ck_assert_msg(strstr(reason, cases[i][1]), "%s: %s", text, reason);
    }
}
END_TEST

START_TEST(what_numpy_does_not_write_is_refused)
{
    static const char *const bad[] = {
        "",
        "\n",
        "{}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } x\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), \n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (03,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3.,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [3], }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 2147483648), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4294967296, 2147483648), }\n",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': Falsey, 'shape': (3,), }\n",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}\n",
        "{'descr': '<f4', 'fortran_order': False}\n",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<i16', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '?f4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<<f4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '|Ox', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': 4, 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<c4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3LL,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (L,), }\n",
        "{'descr': '<f4x', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4[s]', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f 4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<x4', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4\\x00', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
        "0,0,0,0,0,0,0,0), }\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses(bad[i]);
}
END_TEST

START_TEST(the_prefix_is_checked)
{
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x01\0\x76\0", 10, reason), 128);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x02\0\x74\0\0\0", 12, reason), 128);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x02\0\x74\0", 10, reason), 0);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x01\0\x76", 9, reason), 0);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x01\x01\x76\0", 10, reason), 0);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x04\0\x76\0\0\0", 12, reason), 0);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPX\x01\0\x76\0", 10, reason), 0);
    ck_assert_uint_eq(tensor_npy_header_length("\x93NUMPY\x02\0\xff\xff\xff\xff", 12, reason), 0);
    ck_assert_ptr_nonnull(strstr(reason, "longer than 64 KiB"));
}
END_TEST

START_TEST(what_is_written_is_numpys_own_and_comes_back)
{
    char bytes[TENSOR_NPY_HEADER_CAPACITY];
    TensorNpyHeader header;
    const int64_t shape[TENSOR_NPY_MAX_DIMS] = {2, 3};
    ck_assert_uint_eq(tensor_npy_format('f', 4, 2, shape, bytes), 128);
    static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    ck_assert_mem_eq(bytes, "\x93NUMPY\x01\0\x76\0", 10);
    ck_assert_mem_eq(bytes + 10, text, sizeof text - 1);
    ck_assert_int_eq(bytes[10 + sizeof text - 1], ' ');
    ck_assert_int_eq(bytes[127], '\n');
    int64_t large[TENSOR_NPY_MAX_DIMS];
    for (int i = 0; i < TENSOR_NPY_MAX_DIMS; i++)
        large[i] = i ? 1 : INT64_MAX;
    for (int ndim = 0; ndim <= TENSOR_NPY_MAX_DIMS; ndim++) {
        size_t size = tensor_npy_format('u', 1, ndim, large, bytes);
        ck_assert_uint_eq(size % 64, 0);
        ck_assert_msg(tensor_npy_parse(bytes, size, &header, reason), "%s", reason);
        ck_assert_int_eq(header.ndim, ndim);
        ck_assert_int_eq(header.count, ndim ? INT64_MAX : 1);
        ck_assert_uint_eq(header.header_bytes, size);
    }
}
END_TEST

Suite *tensor_npy_suite(void);
Suite *tensor_npy_suite(void)
{
    Suite *suite = suite_create("tensor/npy");
    TCase *tcase = tcase_create("npy");
    tcase_add_test(tcase, every_field_is_read);
    tcase_add_test(tcase, other_spellings_of_the_same_are_read);
    tcase_add_test(tcase, other_writers_spellings_are_read);
    tcase_add_test(tcase, what_numpy_does_not_have_is_named);
    tcase_add_test(tcase, what_numpy_does_not_write_is_refused);
    tcase_add_test(tcase, the_prefix_is_checked);
    tcase_add_test(tcase, what_is_written_is_numpys_own_and_comes_back);
    suite_add_tcase(suite, tcase);
    return suite;
}
