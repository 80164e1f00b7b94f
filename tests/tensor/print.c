#include "tensor/print.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static void check(Tensor t, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    tensor_print(t, file);
    fclose(file);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(tensors_are_printed_as_numpy_shows_them)
{
    float x[20];
    int32_t ids[] = {3, -1};
    for (int i = 0; i < 20; i++)
        x[i] = (float)(i - 3) / 3;
    check(tensor_from(x, TENSOR_F32, TENSOR_SHAPE(2, 3)),
          "[2, 3] f32\n[[-1, -0.6667, -0.3333],\n [0, 0.3333, 0.6667]]\n");
    check(tensor_from(x, TENSOR_F32, TENSOR_SHAPE(2, 1, 2)),
          "[2, 1, 2] f32\n[[[-1, -0.6667]],\n [[-0.3333, 0]]]\n");
    check(tensor_transpose(tensor_from(x, TENSOR_F32, TENSOR_SHAPE(2, 3)), 0, 1),
          "[3, 2] f32\n[[-1, 0],\n [-0.6667, 0.3333],\n [-0.3333, 0.6667]]\n");
    check(tensor_from(x, TENSOR_F32, TENSOR_SHAPE(9)),
          "[9] f32\n[-1, -0.6667, -0.3333, ..., 1, 1.333, 1.667]\n");
    check(tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(2)), "[2] i32\n[3, -1]\n");
    check(tensor_from(x, TENSOR_F32, TENSOR_SHAPE(0)), "[0] f32\n[]\n");
    x[0] = NAN;
    check(tensor_from(x, TENSOR_F32, 0, NULL), "[] f32\nnan\n");
    check(tensor_invalid(), "no tensor\n");
}
END_TEST

Suite *tensor_print_suite(void);
Suite *tensor_print_suite(void)
{
    Suite *suite = suite_create("tensor/print");
    TCase *c = tcase_create("print");
    tcase_add_test(c, tensors_are_printed_as_numpy_shows_them);
    suite_add_tcase(suite, c);
    return suite;
}
