#include "nn/inspect.h"
#include "nn/nn.h"
#include "tensor/mem.h"
#include "tests/nn_support.h"
#include "tests/tape_support.h"

#include <stdlib.h>

typedef struct Block {
    NnModule base;
    NnLinear fc;
    NnParameter scale;
} Block;

typedef struct Net {
    NnModule base;
    NnEmbedding words;
    Block blocks[2];
    NnLinear out;
} Net;

static void block_init(Block *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, fc, nn_linear_init, 4, 4);
    nn_module_add_parameter(&m->base, &m->scale, "scale", 0, NULL, nn_init_constant(1));
}

static void net_init(Net *m)
{
    nn_module_init(&m->base);
    NN_ADD(m, words, nn_embedding_init, 10, 4);
    for (int i = 0; i < 2; i++)
        NN_ADD_AT(m, blocks, i, block_init);
    NN_ADD(m, out, nn_linear_init_without_bias, 4, 10);
    nn_parameter_tie(&m->out.weight, &m->words.weight);
    const NnName halves[] = {{"upper", &m->blocks[1].fc.weight, 0, 1, nn_init_constant(0)},
                             {"lower", &m->blocks[1].fc.weight, 1, 3, nn_init_constant(0)}};
    nn_module_rename(&m->blocks[1].fc.base, halves, 2);
}

START_TEST(the_tree_is_printed_with_shapes_and_counts)
{
    static const char expected[] = "words                                                       40\n"
                                   "  weight                        [10, 4]                     40\n"
                                   "blocks.0                                                    21\n"
                                   "  scale                         []                           1\n"
                                   "  fc                                                        20\n"
                                   "    weight                      [4, 4]                      16\n"
                                   "    bias                        [4]                          4\n"
                                   "blocks.1                                                    21\n"
                                   "  scale                         []                           1\n"
                                   "  fc                                                        20\n"
                                   "    upper                       [1, 4]                       4\n"
                                   "    lower                       [3, 4]                      12\n"
                                   "out                                                         40\n"
                                   "  weight                        [10, 4]                      0\n"
                                   "82 numbers, 16 of them frozen\n";
    Net m;
    char *text = NULL;
    size_t size = 0;
    net_init(&m);
    m.blocks[0].fc.weight.core.frozen = true;
    FILE *file = open_memstream(&text, &size);
    nn_module_print(&m.base, file);
    fclose(file);
    ck_assert_str_eq(text, expected);
    free(text);
    nn_module_free(&m.base);
}
END_TEST

START_TEST(gradients_are_found_by_name)
{
    Net m;
    net_init(&m);
    ck_assert_ok(nn_module_reset(&m.base, 1));
    int32_t ids[] = {3, 3, 8};
    Var x = nn_embedding(&m.words, tape_constant(tape, tensor_from(ids, TENSOR_I32, TENSOR_SHAPE(3))));
    Var y = var_add(nn_linear(&m.blocks[0].fc, x), nn_linear(&m.blocks[1].fc, x));
    ck_assert(tape_backward(var_sum(y, TENSOR_AXES_ALL, false)));
    NnNamed named;
    static const char *const names[] = {"words.weight", "blocks.0.fc.bias", "blocks.1.fc.lower"};
    for (int i = 0; i < 3; i++) {
        ck_assert(nn_find(&m.base, names[i], &named));
        Tensor g = nn_gradient(&m.base, names[i], tape);
        ck_assert_close(g, named_gradient(tape, &named, &arena), 0);
        ck_assert(tensor_get(&g, (int64_t[]){g.shape[0] - 2, 0}) != 0);
    }
    ck_assert(!tensor_is_valid(nn_gradient(&m.base, "blocks.0.scale", tape))); /* not in use */
    ck_assert(!tensor_is_valid(nn_gradient(&m.base, "blocks.2.scale", tape))); /* not there */
    nn_module_free(&m.base);
}
END_TEST

Suite *nn_inspect_suite(void);
Suite *nn_inspect_suite(void)
{
    Suite *suite = suite_create("nn/inspect");
    TCase *c = tcase_create("inspect");
    tcase_add_checked_fixture(c, tape_set_up, tape_tear_down);
    tcase_add_test(c, the_tree_is_printed_with_shapes_and_counts);
    tcase_add_test(c, gradients_are_found_by_name);
    suite_add_tcase(suite, c);
    return suite;
}
