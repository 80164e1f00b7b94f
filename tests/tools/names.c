/* In C all names stand in one namespace: what the library makes public has a prefix of Reel's.
 * Reads the installed headers and the symbols that the linker sees, and compiles the headers beside X11's,
 * whose macros are Status, None and Bool. */
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTION_PREFIXES "tensor_ tape_ var_ op_ nn_ model_ reel_"
#define TYPE_PREFIXES     "Tensor Tape Var Op Nn Model Reel"
#define MACRO_PREFIXES    "TENSOR_ TAPE_ VAR_ OP_ NN_ MODEL_ REEL_"

/* Whether a name begins with one of the prefixes; a type's has a capital behind it, or nothing. */
static bool has_prefix(const char *name, const char *prefixes)
{
    for (const char *at = prefixes; *at; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        char end = at[length - 1];
        if (strncmp(name, at, length) == 0 && (end == '_' || !islower((unsigned char)name[length])))
            return true;
        at += length;
    }
    return false;
}

/* ---- A reader of preprocessed declarations ---- */

typedef struct Reader {
    const char *at;
    char word[128];   /* the token: a word, or one character */
    char wrong[4096]; /* names without a prefix, each behind a space */
    int functions, types, constants, macros;
} Reader;

static void note(Reader *r, const char *name, const char *prefixes, int *count)
{
    ++*count;
    if (!has_prefix(name, prefixes) && strlen(r->wrong) + strlen(name) + 2 < sizeof r->wrong)
        strcat(strcat(r->wrong, " "), name);
}

/* A line of the preprocessor: a macro's name is noted. */
static void read_directive(Reader *r)
{
    char name[128];
    if (sscanf(r->at, "#define %127[A-Za-z0-9_]", name) == 1)
        note(r, name, isupper((unsigned char)name[0]) ? MACRO_PREFIXES : FUNCTION_PREFIXES, &r->macros);
    r->at += strcspn(r->at, "\n");
}

/* The next token; false: the end. Strings count as one character. */
static bool next(Reader *r)
{
    for (;; r->at += *r->at != '\0') {
        while (*r->at == '#')
            read_directive(r);
        if (!isspace((unsigned char)*r->at))
            break;
    }
    size_t length = strspn(r->at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (*r->at == '"')
        for (r->at++; *r->at && *r->at != '"'; r->at++)
            r->at += *r->at == '\\';
    if (!*r->at)
        return false;
    if (length == 0)
        length = 1;
    snprintf(r->word, sizeof r->word, "%.*s", (int)length, r->at);
    r->at += length;
    return true;
}

static bool is(const Reader *r, const char *text)
{
    return strcmp(r->word, text) == 0;
}

/* Passes over what stands in brackets, the first of which is the token. */
static void skip_brackets(Reader *r)
{
    int depth = 0;
    do {
        depth += is(r, "(") || is(r, "{") || is(r, "[");
        depth -= is(r, ")") || is(r, "}") || is(r, "]");
    } while (depth > 0 && next(r));
}

static void read_enumerators(Reader *r)
{
    bool fresh = true;
    while (next(r) && !is(r, "}")) {
        if (fresh)
            note(r, r->word, MACRO_PREFIXES, &r->constants);
        fresh = is(r, ",");
        if (is(r, "("))
            skip_brackets(r);
    }
}

/* Behind `struct`, `union` or `enum`: the tag, and what is named between braces. */
static void read_members(Reader *r);
static void read_tag(Reader *r)
{
    bool is_enum = is(r, "enum");
    next(r);
    if (!is(r, "{")) {
        note(r, r->word, TYPE_PREFIXES, &r->types);
        const char *before = r->at;
        next(r);
        if (!is(r, "{")) {
            r->at = before;
            return;
        }
    }
    if (is_enum)
        read_enumerators(r);
    else
        read_members(r);
}

/* Members need no prefix, but types and constants that are declared among them do. */
static void read_members(Reader *r)
{
    while (next(r) && !is(r, "}"))
        if (is(r, "struct") || is(r, "union") || is(r, "enum"))
            read_tag(r);
        else if (is(r, "("))
            skip_brackets(r);
}

/* One declaration or definition outside of all braces: the last word before `(`, `[`, `=`, `,` or `;` is what
 * is declared. */
static void read_declaration(Reader *r)
{
    char name[128] = "";
    bool is_type = false, named = false;
    do {
        if (is(r, "typedef")) {
            is_type = true;
        } else if (is(r, "struct") || is(r, "union") || is(r, "enum")) {
            read_tag(r);
        } else if (is(r, "__attribute__") || is(r, "__asm__") || is(r, "_Static_assert")) {
            next(r);
            skip_brackets(r);
        } else if (is(r, "{")) { /* a function's body */
            skip_brackets(r);
            return;
        } else if (is(r, "(") && !named && *r->at == '*') { /* (*name)(...): a pointer to a function */
            next(r);
            next(r);
            snprintf(name, sizeof name, "%s", r->word);
            next(r);
        } else if (strchr("([=,;", r->word[0])) {
            if (!named && name[0])
                note(r, name, is_type ? TYPE_PREFIXES : FUNCTION_PREFIXES,
                     is_type ? &r->types : &r->functions);
            named = true;
            if (is(r, ";"))
                return;
            if (is(r, ","))
                named = false;
            else if (!is(r, "="))
                skip_brackets(r);
        } else if (isalpha((unsigned char)r->word[0])) {
            snprintf(name, sizeof name, "%s", r->word);
        }
    } while (next(r));
}

static void read_all(Reader *r, const char *text)
{
    memset(r, 0, sizeof *r);
    r->at = text;
    while (next(r))
        read_declaration(r);
}

/* What the headers say, as the compiler sees it, macros included. */
#define HEADERS                                                                                              \
    "cd build/include && { find reel -name '*.h' ! -name reel.h | sort | sed 's/.*/#include <&>/'; } | "     \
    "gcc -I. -E -dD -x c - | awk '/^# [0-9]+ \"/ { on = $3 ~ /reel\\//; next } on'"

static char *read_headers(void)
{
    enum { MOST = 1 << 20 };
    char *text = calloc(1, MOST);
    FILE *pipe = popen(HEADERS, "r");
    ck_assert(text != NULL && pipe != NULL);
    size_t size = fread(text, 1, MOST - 1, pipe);
    ck_assert_int_eq(pclose(pipe), 0);
    ck_assert_uint_lt(size, MOST - 1);
    return text;
}

START_TEST(every_name_in_the_headers_has_a_prefix)
{
    static Reader reader;
    char *text = read_headers();
    read_all(&reader, text);
    ck_assert_str_eq(reader.wrong, "");
    ck_assert_int_gt(reader.functions, 350);
    ck_assert_int_gt(reader.types, 100);
    ck_assert_int_gt(reader.constants, 60);
    ck_assert_int_gt(reader.macros, 150);
    free(text);
}
END_TEST

START_TEST(names_without_a_prefix_are_found)
{
    static Reader reader;
    read_all(
        &reader,
        "#define SHAPE(...) 1\n#define TENSOR_OK 2\n#define small 3\n"
        "typedef struct Pool Pool;\ntypedef void Task(void *x, int count);\ntypedef void (*Fit)(int a);\n"
        "typedef enum { TENSOR_A = (1 << 2), RED = 2, TENSOR_C } TensorColor;\n"
        "struct Tensorial { int x; enum { INNER } kind; void (*f)(struct Tape *t); };\n"
        "static inline int helper(int a) { struct local *b; return a; }\n"
        "void tape_f(int) __attribute__((format(printf, 1, 2)));\n"
        "int random_u32(void);\nextern const int tensor_a, numbers[3];\nint variable;\n");
    ck_assert_str_eq(
        reader.wrong,
        " SHAPE small Pool Pool Task Fit RED Tensorial INNER helper random_u32 numbers variable");
}
END_TEST

/* Symbols of the sanitizers and of gcov are not Reel's. */
#define OURS     "awk 'NF == 3 && $3 !~ /^_|asan|gcov|mangle_path/ { print $3 }'"
#define PREFIXED "'^(tensor|tape|var|op|nn|model|reel)_'"

/* Exported or not: in libreel.a they all meet a program's own names. */
START_TEST(every_symbol_has_a_prefix)
{
    const char *docs = shell_setting("REEL_DOCS");
    shell_must("nm -g --defined-only %s/../libreel.a | " OURS " > %s/symbols; grep -cE " PREFIXED
               " %s/symbols",
               docs, docs, docs);
    ck_assert_int_gt(atoi(shell_output()), 900);
    shell_must("grep -vE " PREFIXED " %s/symbols || true", docs);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

/* What the shared library exports is what a program may use. */
START_TEST(every_export_is_in_a_header)
{
    const char *docs = shell_setting("REEL_DOCS");
    shell_must("nm -D --defined-only \"$(ls -t '%s'/../libreel.so.* | head -n 1)\" | " OURS
               " | sort -u > %s/exports; "
               "wc -l < %s/exports",
               docs, docs, docs);
    ck_assert_int_gt(atoi(shell_output()), 500);
    shell_must("find build/include -name '*.h' | xargs cat | grep -oE '[A-Za-z_0-9]+' | sort -u > %s/words; "
               "grep -vE '^op_|^var_' %s/exports | comm -23 - %s/words",
               docs, docs, docs);
    ck_assert_str_eq(shell_output(), ""); /* ops are declared from a list */
}
END_TEST

static const struct {
    const char *compiler, *language, *standard;
} dialects[] = {{"gcc", "c", "gnu17"}, {"g++", "c++", "c++17"}};

START_TEST(the_headers_stand_beside_those_of_x11)
{
    const char *compiler = dialects[_i / 2].compiler;
    if (!shell_has(compiler)) {
        test_skip("headers beside X11's: no compiler");
        return;
    }
    if (shell_run("echo '#include <X11/Xlib.h>' | %s -x %s -E - >/dev/null", compiler,
                  dialects[_i / 2].language)) {
        test_skip("libx11-dev is not installed");
        return;
    }
    const char *format = _i % 2 ? "#include <reel/reel.h>\\n#include <X11/Xlib.h>\\n"
                                : "#include <X11/Xlib.h>\\n#include <reel/reel.h>\\n";
    shell_must("printf '%sStatus reel_test_x11(Display *display, ReelStatus *status);\\n' | "
               "%s -x %s -std=%s -fsyntax-only -Wall -Wextra -Werror -Ibuild/include -",
               format, compiler, dialects[_i / 2].language, dialects[_i / 2].standard);
}
END_TEST

Suite *tools_names_suite(void);
Suite *tools_names_suite(void)
{
    Suite *suite = suite_create("tools/names");
    TCase *tcase = tcase_create("names");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, every_name_in_the_headers_has_a_prefix);
    tcase_add_test(tcase, names_without_a_prefix_are_found);
    tcase_add_test(tcase, every_symbol_has_a_prefix);
    tcase_add_test(tcase, every_export_is_in_a_header);
    tcase_add_loop_test(tcase, the_headers_stand_beside_those_of_x11, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}
