/* The includes run one way: tools -> models -> nn -> autograd -> tensor. Reads the include lines of all
 * sources; the reader is itself tried on lines that are wrong. */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const layers[] = {"tensor", "autograd", "nn", "models", "tools"};
enum { LAYER_COUNT = sizeof layers / sizeof layers[0] };

/* The layer that a path begins with, or -1. */
static int layer_of(const char *path)
{
    for (int i = 0; i < LAYER_COUNT; i++) {
        size_t length = strlen(layers[i]);
        if (strncmp(path, layers[i], length) == 0 && path[length] == '/')
            return i;
    }
    return -1;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* What is wrong with a line of `file`; NULL: nothing. */
static const char *wrong(const char *file, const char *line)
{
    char included[256];
    if (sscanf(line, " # include \"%255[^\"]\"", included) != 1)
        return NULL;
    int from = layer_of(file), to = layer_of(included);
    /* A program may measure an example as it stands. */
    if (strncmp(file, "tools/", 6) == 0 && strncmp(included, "docs/examples/", 14) == 0)
        return access(included, R_OK) == 0 ? NULL : "includes a file that is not there";
    if (to < 0)
        return "includes are written from the top: \"folder/file.h\"";
    if (to > from)
        return "includes a layer above it";
    if (ends_with(included, "_internal.h") && to != from)
        return "includes a private header of another layer";
    if (ends_with(included, "_internal.h") && ends_with(file, ".h") && !ends_with(file, "_internal.h"))
        return "a public header includes a private one";
    if (access(included, R_OK) != 0)
        return "includes a file that is not there";
    return NULL;
}

static void read_file(const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        const char *problem = wrong(path, line);
        ck_assert_msg(problem == NULL, "%s:%d: %s: %s", path, number, problem ? problem : "", line);
    }
    fclose(file);
}

START_TEST(includes_run_one_way)
{
    char pattern[64];
    size_t count = 0;
    for (int kind = 0; kind < 4; kind++) { /* sources and headers, of the layer and of folders in it */
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s*.%c", layers[_i], kind < 2 ? "" : "*/", "ch"[kind % 2]);
        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++, count++)
                read_file(found.gl_pathv[i]);
        globfree(&found);
    }
    ck_assert_uint_gt(count, 0);
}
END_TEST

START_TEST(wrong_includes_are_found)
{
    ck_assert_ptr_null(wrong("nn/linear.c", "#include \"nn/linear.h\"\n"));
    ck_assert_ptr_null(wrong("nn/linear.c", "#include \"tensor/view.h\"\n"));
    ck_assert_ptr_null(wrong("nn/linear.c", "#include <math.h>\n"));
    ck_assert_ptr_null(wrong("autograd/tape.c", "#include \"autograd/tape_internal.h\"\n"));
    ck_assert_ptr_nonnull(wrong("tensor/view.c", "#include \"autograd/tape.h\"\n"));
    ck_assert_ptr_nonnull(wrong("autograd/tape.c", "  #  include \"nn/module.h\"\n"));
    ck_assert_ptr_nonnull(wrong("nn/linear.c", "#include \"models/model.h\"\n"));
    ck_assert_ptr_nonnull(wrong("models/rnn.c", "#include \"tools/options.h\"\n"));
    ck_assert_ptr_nonnull(wrong("nn/linear.c", "#include \"linear.h\"\n"));
    ck_assert_ptr_nonnull(wrong("nn/linear.c", "#include \"nn/no_such_file.h\"\n"));
    ck_assert_ptr_nonnull(wrong("nn/linear.c", "#include \"autograd/tape_internal.h\"\n"));
    ck_assert_ptr_nonnull(wrong("autograd/tape.h", "#include \"autograd/tape_internal.h\"\n"));
}
END_TEST

Suite *tools_layers_suite(void);
Suite *tools_layers_suite(void)
{
    Suite *suite = suite_create("tools/layers");
    TCase *tcase = tcase_create("layers");
    tcase_add_loop_test(tcase, includes_run_one_way, 0, LAYER_COUNT);
    tcase_add_test(tcase, wrong_includes_are_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
