/* make install into a scratch folder, programs built against what is there, static and shared, and make
 * uninstall, which leaves nothing. */
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static char folder[256];

/* In a make of its own: not in the jobs of the one that runs the tests. */
#define MAKE "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS %s --no-print-directory PREFIX=/opt/reel DESTDIR='%s' "

static void install(void)
{
    snprintf(folder, sizeof folder, "%s", shell_folder());
    shell_must(MAKE "install", shell_setting("REEL_MAKE"), folder);
}

static void remove_folder(void)
{
    shell_remove_folder(folder);
}

/* cc, pkg-config with the scratch folder in front of the prefix, and the flags that this build was made with.
 */
#define COMPILE                                                                                              \
    "cd '%s' && export PKG_CONFIG_PATH=opt/reel/lib/pkgconfig && "                                           \
    "pkg() { pkg-config --define-variable=prefix=\"$PWD/opt/reel\" \"$@\" reel; } && "                       \
    "%s -std=gnu17 -Wall -Wextra -Werror $REEL_LINK_FLAGS "

START_TEST(programs_build_against_the_shared_library)
{
    shell_must(COMPILE
               "-o program '%s/pages/new-model-1.c' $(pkg --cflags --libs) -Wl,-rpath,opt/reel/lib && "
               "./program && ldd ./program && rm program*",
               folder, shell_setting("REEL_CC"), shell_setting("REEL_DOCS"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "4369 parameters"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "libreel.so.1 => "));
    ck_assert_ptr_null(strstr(shell_output(), "not found"));
}
END_TEST

START_TEST(programs_build_against_the_static_library)
{
    shell_must(COMPILE
               "-o program '%s/pages/new-op-1.c' $(pkg --cflags) opt/reel/lib/libreel.a "
               "$(pkg --static --libs-only-l | sed s/-lreel//) && ./program && ldd ./program && rm program*",
               folder, shell_setting("REEL_CC"), shell_setting("REEL_DOCS"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "swish: checked"));
    ck_assert_ptr_null(strstr(shell_output(), "libreel"));
}
END_TEST

/* A step of training in C++, whose compound literals are no arrays. */
START_TEST(programs_in_cpp_build)
{
    if (!shell_has("g++")) {
        test_skip("g++ is not installed");
        return;
    }
    shell_must(
        "cd '%s' && cat > program.cpp <<'END'\n"
        "#include <reel/reel.h>\n"
        "#include <cstdio>\n"
        "struct Net { NnModule base; NnLinear fc; };\n"
        "int main() {\n"
        "    Net net;\n"
        "    nn_module_init(&net.base);\n"
        "    NN_ADD(&net, fc, nn_linear_init, 2, 1);\n"
        "    ReelStatus status = nn_module_reset(&net.base, 1);\n"
        "    Tape *tape = tape_new();\n"
        "    tape_begin(tape);\n"
        "    float data[] = {1, 2, 3, 4, 5, 6};\n"
        "    Var x = tape_leaf(tape, tensor_from(data, TENSOR_F32, TENSOR_SHAPE(3, 2)));\n"
        "    Var y = var_sum(nn_linear(&net.fc, var_linear(x, tape_leaf(tape, tensor_full(tape_arena(tape),\n"
        "        TENSOR_F32, TENSOR_SHAPE(2, 2), 1)), VAR_NONE)), TENSOR_AXES_ALL, false);\n"
        "    bool ok = reel_status_is_ok(&status) && tape_backward(y);\n"
        "    std::printf(\"%%s, bias %%g\\n\", ok ? \"ok\" : tape_status(tape)->message,\n"
        "        tensor_item(var_grad(nn_var(&net.fc.bias, tape))));\n"
        "    nn_module_free(&net.base);\n"
        "    tape_free(tape);\n"
        "}\n"
        "END",
        folder);
    shell_must("cd '%s' && export PKG_CONFIG_PATH=opt/reel/lib/pkgconfig && "
               "pkg() { pkg-config --define-variable=prefix=\"$PWD/opt/reel\" \"$@\" reel; } && "
               "g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror $REEL_LINK_FLAGS -o program program.cpp "
               "$(pkg --cflags) opt/reel/lib/libreel.a $(pkg --static --libs-only-l | sed s/-lreel//) && "
               "./program && rm program*",
               folder);
    ck_assert_str_eq(shell_output(), "ok, bias 3\n");
}
END_TEST

START_TEST(only_public_symbols_are_exported)
{
    /* Every exported symbol stands in an installed header. */
    shell_must("cd '%s/opt/reel' && cat $(find include -name '*.h') > all && "
               "nm -D --defined-only lib/libreel.so | awk '$2 ~ /[TDBR]/ { print $3 }' | "
               "grep -v -e ^op_ -e san -e ^_ -e gcov -e mangle_path | while read -r name; do "
               "grep -q -w -- \"$name\" all || echo \"private: $name\"; done; "
               "nm -D --defined-only lib/libreel.so | grep -c ' T '; rm all",
               folder);
    ck_assert_msg(strstr(shell_output(), "private:") == NULL, "%s", shell_output());
    int count = 0;
    ck_assert_int_eq(sscanf(shell_output(), "%d", &count), 1);
    ck_assert_int_gt(count, 300);
    shell_must("cd '%s' && ! find . -name '*_internal.h' | grep .", folder);
}
END_TEST

START_TEST(the_programs_are_installed_and_run)
{
    shell_must("cd '%s/opt/reel/bin' && ls && ./reel-train --list && ./reel-train --help", folder);
    static const char names[] =
        "reel-bench\nreel-bpe\nreel-gradcheck\nreel-lm\nreel-predict\nreel-train\nreel-vectors\n";
    ck_assert_int_eq(strncmp(shell_output(), names, sizeof names - 1), 0);
    ck_assert_ptr_nonnull(strstr(shell_output(), "attention_fed"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "usage: reel-train --data FILE"));
    ck_assert_int_eq(shell_run("'%s/opt/reel/bin/reel-predict'", folder), 2);
    ck_assert_ptr_nonnull(strstr(shell_output(), "reel-predict: a model is required"));
}
END_TEST

/* Every program has a page, which names every option that --help names, in roff without a warning. */
START_TEST(manual_pages)
{
    shell_must(
        "cd '%s/opt/reel' && for program in $(ls bin); do page=share/man/man1/$program.1; "
        "bin/$program --help | sed -n 's/^  \\(--[A-Za-z-]*\\).*/\\1/p' | while read -r option; do "
        "sed 's/\\\\-/-/g' $page | grep -q \"^.fB$option.fR\" || echo \"$program: no $option\"; done; done; "
        "sed 's/\\\\-/-/g' share/man/man1/reel-bpe.1 | grep -q -e '--max-token-length'",
        folder);
    ck_assert_str_eq(shell_output(), "");
    if (!shell_has("groff"))
        test_skip("groff is not installed");
    else
        shell_must("cd '%s/opt/reel/share/man/man1' && groff -man -ww -z *.1", folder);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

/* What bash offers for a line, the last word of which is being written. */
static void complete(const char *line)
{
    shell_must(
        "cd '%s/opt/reel' && PATH=$PWD/bin:$PATH bash -c '. share/bash-completion/completions/reel-train; "
        "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
        "_reel \"${COMP_WORDS[0]}\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; "
        "printf \"%%s \" \"${COMPREPLY[@]}\"'",
        folder, line);
}

START_TEST(completion)
{
    static const char *const cases[][2] = {
        {"reel-train --e", "--epochs --embed --ensemble --embed-dropout --embed-scale "},
        {"reel-train --models att", "attention attention_fed "},
        {"reel-train --out s", "share "},
        {"reel-train --epochs \"\"", " "},
        {"reel-predict --eval l", "lib "},
        {"reel-predict --json i", "include "},
        {"reel-bpe e", "encode "},
        {"reel-bpe encode --dr", "--dropout "},
        {"reel-gradcheck --op", "--op "},
    };
    if (!shell_has("bash")) {
        test_skip("bash is not installed");
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        complete(cases[i][0]);
        ck_assert_str_eq(shell_output(), cases[i][1]);
    }
}
END_TEST

START_TEST(uninstalling_leaves_nothing)
{
    shell_must(MAKE "uninstall", shell_setting("REEL_MAKE"), folder);
    shell_must("find '%s' ! -type d", folder);
    ck_assert_str_eq(shell_output(), "");
    shell_must("find '%s' -name reel -path '*include*'", folder);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

Suite *tools_install_suite(void);
Suite *tools_install_suite(void)
{
    Suite *suite = suite_create("tools/install");
    TCase *tcase = tcase_create("install");
    tcase_set_timeout(tcase, 20);
    tcase_add_unchecked_fixture(tcase, install, remove_folder);
    tcase_add_test(tcase, programs_build_against_the_shared_library);
    tcase_add_test(tcase, programs_build_against_the_static_library);
    tcase_add_test(tcase, programs_in_cpp_build);
    tcase_add_test(tcase, only_public_symbols_are_exported);
    tcase_add_test(tcase, the_programs_are_installed_and_run);
    tcase_add_test(tcase, manual_pages);
    tcase_add_test(tcase, completion);
    tcase_add_test(tcase, uninstalling_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
