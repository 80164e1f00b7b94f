/* A new op is one block, one row and one line; an elementwise function one row and one line:
 * tests/op_places.sh adds one of each to a copy of the tree, and everything that knows of ops knows of them.
 */
#include "tests/shell_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static void has(const char *text)
{
    ck_assert_msg(strstr(shell_output(), text) != NULL, "no \"%s\" in %s", text, shell_output());
}

START_TEST(an_op_is_added_in_three_places_and_an_elementwise_function_in_two)
{
    shell_must("build=${REEL_TOOLS%%/tools} && sh tests/op_places.sh \"${build#$PWD/}\"");
    has("composite op: 3 places\n");
    has("elementwise function: 2 places\n");
    has("{\"op\": \"hypotenuse\", \"layouts\": 9, ");
    has("{\"op\": \"cube\", \"layouts\": 9, ");
    ck_assert_ptr_null(strstr(shell_output(), "\"ok\": false"));
}
END_TEST

Suite *tools_op_places_suite(void);
Suite *tools_op_places_suite(void)
{
    Suite *suite = suite_create("tools/op_places");
    TCase *cases = tcase_create("op_places");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, an_op_is_added_in_three_places_and_an_elementwise_function_in_two);
    suite_add_tcase(suite, cases);
    return suite;
}
