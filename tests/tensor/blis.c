/* Which kernels BLIS takes: what it says itself, in programs of their own, since it chooses once in a
 * process. */
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* Runs a program that multiplies, under env with those arguments. */
static int multiply_under(const char *environment)
{
    return shell_run("env %s BLIS_ARCH_DEBUG=1 %s/gradcheck --op matmul --seeds 1", environment,
                     shell_setting("REEL_TOOLS"));
}

static bool took(const char *kernels)
{
    char line[100];
    snprintf(line, sizeof line, "selecting sub-configuration '%s'", kernels);
    return strstr(shell_output(), line) != NULL;
}

#ifdef __x86_64__

START_TEST(a_processor_with_avx512_gets_kernels_for_it)
{
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (!has_avx512 || multiply_under("BLIS_ARCH_TYPE=skx") != 0) {
        test_skip(has_avx512 ? "this BLIS has no kernels for AVX-512" : "this processor has no AVX-512");
        return;
    }
    ck_assert_int_eq(multiply_under("-u BLIS_ARCH_TYPE"), 0);
    ck_assert_msg(took("skx"), "%s", shell_output());
}
END_TEST

START_TEST(a_choice_of_the_user_stays)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        multiply_under("BLIS_ARCH_TYPE=3") != 0) {
        test_skip("no kernels for AVX2 here");
        return;
    }
    ck_assert_msg(took("haswell"), "%s", shell_output());
}
END_TEST

#endif

/* What a program starts must not inherit what was meant for its own BLIS: here the shell. */
START_TEST(the_environment_is_what_it_was)
{
    shell_must(
        "tr '\\0' '\\n' < /proc/$PPID/environ | grep -q ^BLIS_ARCH_TYPE= || ! printenv BLIS_ARCH_TYPE");
}
END_TEST

Suite *tensor_blis_suite(void);
Suite *tensor_blis_suite(void)
{
    Suite *suite = suite_create("tensor/blis");
    TCase *tcase = tcase_create("blis");
#ifdef __x86_64__
    tcase_add_test(tcase, a_processor_with_avx512_gets_kernels_for_it);
    tcase_add_test(tcase, a_choice_of_the_user_stays);
#endif
    tcase_add_test(tcase, the_environment_is_what_it_was);
    suite_add_tcase(suite, tcase);
    return suite;
}
