/* The includes run one way: tools -> models -> nn -> autograd -> tensor/storage -> tensor; the folders of a
 * layer do not include each other in a circle, and in models/ and tools/ no files call each other in one.
 * Reads the include lines of all sources, and the symbols of what they were compiled to; the readers are
 * themselves tried on what is wrong. */
#include "tests/shell_support.h"

#include <check.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tensor/storage is a layer of its own: what is in tensor/ does not know of it. */
static const char *const layers[] = {"tensor", "tensor/storage", "autograd", "nn", "models", "tools"};
enum { LAYER_COUNT = sizeof layers / sizeof layers[0] };

/* The last layer that a path begins with, or -1. */
static int layer_of(const char *path)
{
    for (int i = LAYER_COUNT - 1; i >= 0; i--) {
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

/* ---- Which folder includes which ---- */

enum { MOST_FOLDERS = 32, FOLDER_BYTES = 64 };

typedef struct Folders {
    char names[MOST_FOLDERS][FOLDER_BYTES];
    bool includes[MOST_FOLDERS][MOST_FOLDERS];
    int count;
} Folders;

/* The number of the folder that a file is in. */
static int folder_of(Folders *folders, const char *path)
{
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) : 0, i = 0;
    while (i < folders->count &&
           (strncmp(folders->names[i], path, (size_t)length) != 0 || folders->names[i][length]))
        i++;
    if (i == folders->count) {
        ck_assert(length < FOLDER_BYTES && folders->count < MOST_FOLDERS);
        snprintf(folders->names[folders->count++], FOLDER_BYTES, "%.*s", length, path);
    }
    return i;
}

static void note_include(Folders *folders, const char *file, const char *line)
{
    char included[256];
    if (sscanf(line, " # include \"%255[^\"]\"", included) == 1) {
        int from = folder_of(folders, file), to = folder_of(folders, included);
        folders->includes[from][to] |= from != to;
    }
}

/* A folder that reaches itself by includes of others, and one that it includes on the way; false: none does.
 */
static bool find_circle(const Folders *folders, int *from, int *to)
{
    bool reaches[MOST_FOLDERS][MOST_FOLDERS];
    int n = folders->count;
    memcpy(reaches, folders->includes, sizeof reaches);
    for (int via = 0; via < n; via++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                reaches[i][j] |= reaches[i][via] && reaches[via][j];
    for (*from = 0; *from < n; ++*from)
        for (*to = 0; *to < n; ++*to)
            if (folders->includes[*from][*to] && reaches[*to][*from])
                return true;
    return false;
}

static void read_file(Folders *folders, const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s cannot be read", path);
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        const char *problem = wrong(path, line);
        ck_assert_msg(problem == NULL, "%s:%d: %s: %s", path, number, problem ? problem : "", line);
        note_include(folders, path, line);
    }
    fclose(file);
}

/* Sources and headers, of the layers and of the folders in them. */
static const char *const patterns[] = {"%s/*.c", "%s/*.h", "%s/*/*.c", "%s/*/*.h"};

static size_t read_layer(Folders *folders, const char *layer)
{
    char pattern[64];
    size_t count = 0;
    for (size_t kind = 0; kind < sizeof patterns / sizeof patterns[0]; kind++) {
        glob_t found;
        snprintf(pattern, sizeof pattern, patterns[kind], layer);
        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++, count++)
                read_file(folders, found.gl_pathv[i]);
        globfree(&found);
    }
    return count;
}

START_TEST(includes_run_one_way)
{
    Folders folders = {.count = 0};
    ck_assert_uint_gt(read_layer(&folders, layers[_i]), 0);
}
END_TEST

START_TEST(folders_include_each_other_in_no_circle)
{
    Folders folders = {.count = 0};
    int from, to;
    for (int i = 0; i < LAYER_COUNT; i++)
        read_layer(&folders, layers[i]);
    ck_assert_int_gt(folders.count, LAYER_COUNT);
    if (find_circle(&folders, &from, &to))
        ck_abort_msg("%s includes %s, which leads back to it", folders.names[from], folders.names[to]);
}
END_TEST

START_TEST(wrong_includes_are_found)
{
    ck_assert_ptr_null(wrong("nn/linear.c", "#include \"nn/linear.h\"\n"));
    ck_assert_ptr_null(wrong("nn/linear.c", "#include \"tensor/view.h\"\n"));
    ck_assert_ptr_null(wrong("nn/linear.c", "#include <math.h>\n"));
    ck_assert_ptr_null(wrong("autograd/tape.c", "#include \"autograd/tape_internal.h\"\n"));
    ck_assert_ptr_null(wrong("nn/state_dict.c", "#include \"tensor/storage/npz.h\"\n"));
    ck_assert_ptr_null(wrong("tensor/storage/npz_reader.c", "#include \"tensor/mem.h\"\n"));
    ck_assert_ptr_nonnull(wrong("tensor/view.c", "#include \"tensor/storage/npz.h\"\n"));
    ck_assert_ptr_nonnull(wrong("tensor/storage/npz_reader.c", "#include \"tensor/loop_internal.h\"\n"));
    ck_assert_ptr_nonnull(wrong("nn/state_dict.c", "#include \"tensor/storage/npz_format_internal.h\"\n"));
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

START_TEST(a_circle_is_found)
{
    Folders folders = {.count = 0};
    int from, to;
    note_include(&folders, "models/text/a.c", "#include \"models/text/b.h\"\n");
    note_include(&folders, "models/text/a.c", "#include \"models/bpe/a.h\"\n");
    note_include(&folders, "models/a.c", "#include \"models/text/a.h\"\n");
    note_include(&folders, "models/bpe/a.h", "#include \"tensor/utf8.h\"\n");
    note_include(&folders, "models/bpe/a.h", "#include <models/a.h>\n");
    ck_assert_int_eq(folders.count, 4);
    ck_assert(!find_circle(&folders, &from, &to));
    note_include(&folders, "models/bpe/a.h", "#include \"models/json/a.h\"\n");
    note_include(&folders, "models/json/b.c", "#include \"models/text/a.h\"\n");
    ck_assert(find_circle(&folders, &from, &to));
    ck_assert_str_eq(folders.names[from], "models/text");
    ck_assert_str_eq(folders.names[to], "models/bpe");
}
END_TEST

/* What a loop among lines "caller called" is said to be; nothing: there is none. Left out are the calls among
 * the files that make derivatives: what an op's derivative is made of are ops. */
#define DERIVATIVES "[^ ]*autograd/(op_[a-z_]*|sample|derivatives|graph|repeated|walk)[.]o"
#define FIND_LOOP                                                                                            \
    " | awk -f tests/file_calls.awk | grep -Evx '" DERIVATIVES " " DERIVATIVES                               \
    "' | tsort 2>&1 >/dev/null || "                                                                          \
    "true"

START_TEST(files_call_each_other_in_no_circle)
{
    const char *docs = shell_setting("REEL_DOCS");
    shell_must("printf '%s/../%%s\n' tensor/*.c tensor/*/*.c autograd/*.c nn/*.c models/*.c models/*/*.c "
               "tools/*.c tools/*/*.c | sed 's/c$/o/' | xargs nm -A >%s/file_symbols 2>/dev/null; "
               "awk -f tests/file_calls.awk %s/file_symbols | wc -l",
               docs, docs, docs);
    ck_assert_int_gt(atoi(shell_output()), 1500);
    shell_must("cat %s/file_symbols" FIND_LOOP, docs);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

START_TEST(a_circle_of_files_is_found)
{
    const char *line = "printf '%%s\n' 'a.o:00 T f' 'a.o: U g' 'b.o:00 T g' 'c.o: U f' 'c.o:00 T main' "
                       "'c.o:00 T free' 'b.o: U free' %s" FIND_LOOP;
    shell_must(line, "");
    ck_assert_str_eq(shell_output(), "");
    shell_must(line, "'b.o: U f'");
    ck_assert_ptr_nonnull(strstr(shell_output(), "contains a loop"));
}
END_TEST

Suite *tools_layers_suite(void);
Suite *tools_layers_suite(void)
{
    Suite *suite = suite_create("tools/layers");
    TCase *tcase = tcase_create("layers");
    tcase_add_loop_test(tcase, includes_run_one_way, 0, LAYER_COUNT);
    tcase_add_test(tcase, wrong_includes_are_found);
    tcase_add_test(tcase, folders_include_each_other_in_no_circle);
    tcase_add_test(tcase, a_circle_is_found);
    tcase_add_test(tcase, files_call_each_other_in_no_circle);
    tcase_add_test(tcase, a_circle_of_files_is_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
