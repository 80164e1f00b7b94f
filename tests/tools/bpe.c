#include "tests/bpe_support.h"
#include "tests/skip_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "/tmp/reel-bpe-tool-XXXXXX"

static char folder[sizeof FOLDER];

/* Runs a command line in which "bpe " stands for the program and @ for the folder; the exit code. */
static int run(const char *command)
{
    char line[2048];
    size_t at = 0;
    const char *tools = getenv("REEL_TOOLS");
    for (const char *c = command; *c; c++) {
        if (strncmp(c, "bpe ", 4) == 0 && (c == command || c[-1] == ' ')) {
            at += (size_t)snprintf(line + at, sizeof line - at, "%s/bpe ", tools ? tools : "tools");
            c += 3;
        } else if (*c == '@') {
            at += (size_t)snprintf(line + at, sizeof line - at, "%s", folder);
        } else {
            line[at++] = *c;
        }
    }
    line[at] = '\0';
    return WEXITSTATUS(system(line));
}

static void make_folder(void)
{
    strcpy(folder, FOLDER);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    ck_assert_int_eq(run("rm -r @"), 0);
}

#define TEXT "tests/fixtures/bpe/text.txt"

static bool lacks_unicode(void)
{
    if (!model_bpe_knows_unicode())
        test_skip("Reel is built without utf8proc");
    return !model_bpe_knows_unicode();
}

START_TEST(train_encode_and_decode)
{
    if (lacks_unicode())
        return;
    ck_assert_int_eq(run("bpe train --vocab 600 --pretokenizer bytelevel --out @/t.json " TEXT " 2> @/log"),
                     0);
    ck_assert_int_eq(run("bpe encode --tokenizer @/t.json --ids " TEXT " > @/ids"), 0);
    ck_assert_int_eq(run("cmp @/ids tests/fixtures/bpe/bytelevel.ids"), 0);
    ck_assert_int_eq(run("bpe encode --tokenizer @/t.json --ids --threads 3 - < " TEXT " | cmp - @/ids"), 0);
    ck_assert_int_eq(run("bpe decode --tokenizer @/t.json @/ids | cmp - " TEXT), 0);
    ck_assert_int_eq(run("bpe decode --tokenizer @/t.json - < @/ids | cmp - " TEXT), 0);
    ck_assert_int_eq(run("bpe info --tokenizer @/t.json --json | grep -q '\"vocab\": 600'"), 0);
}
END_TEST

START_TEST(special_tokens_and_conversions)
{
    ck_assert_int_eq(run("bpe train --vocab 400 --special '<pad>,<unk>' --unk '<unk>' --threads 2 --json "
                         "--out @/w.json " TEXT " | grep -q '\"merges\"'"),
                     0);
    ck_assert_int_eq(
        run("bpe encode --tokenizer @/w.json --ids " TEXT " | cmp - tests/fixtures/bpe/whitespace.ids"), 0);
    ck_assert_int_eq(run("bpe convert --from codes --to codes tests/fixtures/bpe/codes @/codes"), 0);
    ck_assert_int_eq(run("cmp @/codes tests/fixtures/bpe/codes"), 0);
    if (lacks_unicode())
        return;
    ck_assert_int_eq(run("bpe convert --to gpt2 tests/fixtures/bpe/bytelevel.json @/v.json @/m.txt"), 0);
    ck_assert_int_eq(run("bpe convert --from gpt2 @/v.json @/m.txt @/back.json"), 0);
    ck_assert_int_eq(
        run("bpe encode --tokenizer @/back.json --ids " TEXT " | cmp - tests/fixtures/bpe/bytelevel.ids"), 0);
}
END_TEST

START_TEST(wrong_usage_is_2_and_failure_is_1)
{
    ck_assert_int_eq(run("bpe --help > @/log"), 0);
    ck_assert_int_eq(run("bpe train --help > @/log"), 0);
    static const char *const usage[] = {"bpe nothing",
                                        "bpe train --vocab 10 " TEXT,
                                        "bpe train --vocab 0 --out @/x " TEXT,
                                        "bpe train --vocab 10 --pretokenizer none --out @/x " TEXT,
                                        "bpe encode --ids " TEXT,
                                        "bpe decode --tokenizer @/x",
                                        "bpe convert --to yaml a b",
                                        "bpe convert --to gpt2 a b"};
    static const char *const failures[] = {"bpe train --vocab 10 --out @/x no/such/text",
                                           "bpe train --vocab 10 --out no/such/folder/x " TEXT,
                                           "bpe encode --tokenizer no/such/file --ids " TEXT,
                                           "echo 1 x | bpe decode --tokenizer tests/fixtures/bpe/odd.json -",
                                           "echo 999 | bpe decode --tokenizer tests/fixtures/bpe/odd.json -",
                                           "bpe info --tokenizer " TEXT};
    static const char *const full[] = {"bpe train --vocab 300 --json --out @/t " TEXT,
                                       "bpe info --json --tokenizer tests/fixtures/bpe/odd.json",
                                       "bpe encode --ids --tokenizer tests/fixtures/bpe/odd.json " TEXT};
    char line[512];
    for (size_t i = 0; i < sizeof usage / sizeof usage[0]; i++) {
        snprintf(line, sizeof line, "%s 2> @/log", usage[i]);
        ck_assert_msg(run(line) == 2, "%s", usage[i]);
    }
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        snprintf(line, sizeof line, "%s > @/out 2> @/log", failures[i]);
        ck_assert_msg(run(line) == 1, "%s", failures[i]);
    }
    ck_assert_int_eq(run("test -e @/x"), 1);
    ck_assert_int_eq(run("printf '\\377\\376a\\000' > @/utf16"), 0);
    ck_assert_int_eq(run("bpe train --vocab 10 --out @/x @/utf16 2> @/log"), 1);
    ck_assert_int_eq(run("grep -q 'mark of UTF-16' @/log"), 0);
    ck_assert_int_eq(run("bpe encode --tokenizer tests/fixtures/bpe/odd.json --ids @/utf16 2> @/log"), 1);
    ck_assert_int_eq(run("grep -q 'mark of UTF-16' @/log"), 0);
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        snprintf(line, sizeof line, "%s > /dev/full 2> @/log", full[i]);
        ck_assert_msg(run(line) == 1, "%s", full[i]);
    }
}
END_TEST

Suite *tools_bpe_suite(void);
Suite *tools_bpe_suite(void)
{
    Suite *suite = suite_create("tools/bpe");
    TCase *tcase = tcase_create("program");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, make_folder, remove_folder);
    tcase_add_test(tcase, train_encode_and_decode);
    tcase_add_test(tcase, special_tokens_and_conversions);
    tcase_add_test(tcase, wrong_usage_is_2_and_failure_is_1);
    suite_add_tcase(suite, tcase);
    return suite;
}
