/* Every header, as it is installed, compiles alone, in C17 and in C++17, without a warning. */
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *compiler, *language, *standard;
} dialects[] = {
    {"gcc", "c", "c17"},
    {"g++", "c++", "c++17"},
    {"clang", "c", "c17"},
    {"clang++", "c++", "c++17"},
};
enum { DIALECT_COUNT = sizeof dialects / sizeof dialects[0] };

/* %s: compiler, language, standard. The second line is there because a file must declare something. */
#define EACH_HEADER                                                                                          \
    "cd build/include && find reel -name '*.h' | xargs -P 4 -I {} sh -c "                                    \
    "'printf \"#include <{}>\\nextern int something;\\n\" | "                                                \
    "%s -x %s -std=%s -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I. - && echo {} compiles'"

START_TEST(every_public_header_compiles_alone)
{
    char reason[128];
    if (!shell_has(dialects[_i].compiler)) {
        snprintf(reason, sizeof reason, "headers with %s, which is not installed", dialects[_i].compiler);
        test_skip(reason);
        return;
    }
    shell_must(EACH_HEADER, dialects[_i].compiler, dialects[_i].language, dialects[_i].standard);
    int count = 0;
    for (const char *at = shell_output(); (at = strstr(at, "compiles")); at++)
        count++;
    ck_assert_int_gt(count, 30);
}
END_TEST

START_TEST(a_header_that_does_not_compile_is_found)
{
    ck_assert_int_ne(shell_run("printf '#include \"tensor/view.h\"\\nTensor f(Tape *);\\n' | "
                               "gcc -x c -std=c17 -fsyntax-only -Werror -I. -"),
                     0);
}
END_TEST

Suite *tools_headers_suite(void);
Suite *tools_headers_suite(void)
{
    Suite *suite = suite_create("tools/headers");
    TCase *tcase = tcase_create("headers");
    tcase_add_loop_test(tcase, every_public_header_compiles_alone, 0, DIALECT_COUNT);
    tcase_add_test(tcase, a_header_that_does_not_compile_is_found);
    suite_add_tcase(suite, tcase);
    return suite;
}
