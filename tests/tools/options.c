/* Command lines: what tools/options.c reads, and that every program reads its own so. */
#include "tools/options.h"

#include "tests/nn_support.h"
#include "tests/program_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The parser ---- */

static struct {
    bool quiet, json;
    const char *text;
    int whole;
    double number, bounded;
    uint64_t seed;
} values;

static const ModelOption options[] = {
    {"quiet", NULL, MODEL_OPTION_FLAG, &values.quiet, 0, 0, ""},
    {"no-json", NULL, MODEL_OPTION_FLAG, &values.json, 0, 0, ""},
    {"text", "T", MODEL_OPTION_TEXT, &values.text, 0, 0, ""},
    {"whole", "N", MODEL_OPTION_INTEGER, &values.whole, 1, 1e6, ""},
    {"number", "X", MODEL_OPTION_NUMBER, &values.number, 0, INFINITY, ""},
    {"bounded", "X", MODEL_OPTION_NUMBER, &values.bounded, 0, 0.9, ""},
    {"seed", "N", MODEL_OPTION_SEED, &values.seed, 0, 0, ""},
};

enum { COUNT = sizeof options / sizeof options[0], WORDS = 16 };

static bool given[COUNT];

/* Reads words separated by blanks; `_` stands for an empty one. */
static ReelStatus parse(const char *line)
{
    static char text[200], program[] = "program", empty[] = "";
    char *words[WORDS] = {program};
    int count = 1;
    snprintf(text, sizeof text, "%s", line);
    memset(&values, 0, sizeof values);
    memset(given, 0, sizeof given);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        words[count++] = strcmp(word, "_") == 0 ? empty : word;
    return options_parse(options, COUNT, count, words, NULL, NULL, given);
}

START_TEST(what_was_given_is_known)
{
    ck_assert_ok(parse("--whole 3 --quiet --number=inf --no-quiet --text a --text=b=c"));
    ck_assert_int_eq(values.whole, 3);
    ck_assert(isinf(values.number) && !values.quiet);
    ck_assert_str_eq(values.text, "b=c");
    const bool expected[COUNT] = {true, false, true, true, true, false, false};
    ck_assert_mem_eq(given, expected, sizeof given);
    ck_assert_ok(parse("--no-quiet --quiet"));
    ck_assert(values.quiet);
    ck_assert_ok(parse("--no-json")); /* a name of its own */
    ck_assert(values.json);
    ck_assert_ok(parse("--no-no-json"));
    ck_assert(!values.json && given[1]);
}
END_TEST

START_TEST(what_has_no_sense_is_refused)
{
    static const char *const wrong[][2] = {
        {"--whole 2.5", "--whole 2.5: not a whole number"},
        {"--whole nan", "--whole nan: not a whole number"},
        {"--whole inf", "--whole inf: must lie between 1 and 1e+06"},
        {"--whole 0", "must lie between 1 and 1e+06"},
        {"--whole 3x", "not a whole number"},
        {"--whole _", "not a whole number"},
        {"--bounded 1.5", "--bounded 1.5: must lie between 0 and 0.9"},
        {"--bounded inf", "must lie between 0 and 0.9"},
        {"--bounded nan", "not a number"},
        {"--number -inf", "must lie between 0 and inf"},
        {"--number nan", "not a number"},
        {"--number 1e999", "not a number"},
        {"--number _", "not a number"},
        {"--seed _", "not a whole number from 0"},
        {"--seed 1.5", "not a whole number from 0"},
        {"--seed -1", "not a whole number from 0"},
        {"--text _", "--text: its value is empty"},
        {"--text=", "--text: its value is empty"},
        {"--text", "--text needs a value"},
        {"--quiet=yes", "--quiet takes no value"},
        {"--no-quiet=yes", "unknown option '--no-quiet=yes'"},
        {"--no-whole", "unknown option '--no-whole'"},
        {"--qui", "unknown option '--qui'"},
        {"word", "'word': an argument where an option is expected"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ReelStatus status = parse(wrong[i][0]);
        ck_assert_msg(status.code == REEL_STATUS_USAGE && strstr(status.message, wrong[i][1]), "%s: %s",
                      wrong[i][0], status.message);
    }
}
END_TEST

START_TEST(an_argument_may_not_be_empty)
{
    char *words[] = {(char[]){"program"}, (char[]){"a"}, (char[]){""}};
    const char *rest[3];
    int count;
    ck_assert_failed(options_parse(options, COUNT, 3, words, rest, &count, NULL), REEL_STATUS_USAGE,
                     "is empty");
}
END_TEST

/* ---- The programs ---- */

static const char *const programs[] = {"train_zoo", "predict",    "bench",    "gradcheck",  "bpe",
                                       "bpe train", "bpe encode", "bpe info", "bpe decode", "bpe convert"};
enum { PROGRAMS = sizeof programs / sizeof programs[0] };

/* Behind other options, wrong ones too, and in the place of a value. */
START_TEST(help_is_given_wherever_it_is_asked_for)
{
    static const char *const lines[] = {
        "--help",        "--json --help", "--nonsense --help", "--seed x --help --json",
        "--seed --help", "word --help"};
    shell_must("%s/%s --help > %s/help", tools, programs[_i], folder);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        shell_must("%s/%s %s | diff %s/help -", tools, programs[_i], lines[i], folder);
    shell_must("[ $(wc -l < %s/help) -gt 2 ]", folder);
    ck_assert_int_ne(shell_run("%s/%s -- --help", tools, programs[_i]), 0);
}
END_TEST

START_TEST(empty_words_are_refused)
{
    static const char *const lines[] = {"train_zoo --data ''",
                                        "train_zoo --data x --out ''",
                                        "train_zoo --resume ''",
                                        "train_zoo --compare ''",
                                        "train_zoo --data x --epochs ''",
                                        "predict ''",
                                        "predict x.npz --eval ''",
                                        "bench --models ''",
                                        "gradcheck --op ''",
                                        "bpe ''",
                                        "bpe train --out ''",
                                        "bpe encode --tokenizer x ''"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(shell_run("%s/%s", tools, lines[i]) == 2, "%s: %s", lines[i], shell_output());
}
END_TEST

START_TEST(fractions_and_infinities_are_refused_where_they_are_none)
{
    static const char *const lines[] = {
        "train_zoo --epochs 2.5",      "train_zoo --valid 1.5",         "train_zoo --lr inf",
        "train_zoo --max-df nan",      "train_zoo --batch 1e30",        "predict m.npz --top 1.5",
        "predict m.npz --threshold 2", "predict m.npz --threshold nan", "bench --steps 1.5",
        "gradcheck --seeds 1.5",       "gradcheck --seeds 1e9",         "bpe train --vocab 10.5",
        "bpe encode --dropout 1.01",   "bpe encode --dropout inf"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_assert_msg(shell_run("%s/%s", tools, lines[i]) == 2, "%s: %s", lines[i], shell_output());
        ck_assert_msg(strstr(shell_output(), strrchr(lines[i], ' ') + 1) != NULL, "%s: %s", lines[i],
                      shell_output());
    }
}
END_TEST

/* ---- train_zoo --models best: defaults, and no more ---- */

#define BEST "%s/train_zoo --data tests/fixtures/debian_120.tsv --models best --epochs 1 --embed 4 "

static void must_have_setting(const char *name, const char *value)
{
    shell_must("grep -q '^  \"%s\": %s,$' %s/run/settings.json", name, value, folder);
}

START_TEST(any_option_overrides_the_best_ones)
{
    static const char *const cases[][3] = {{"--lr 5", "lr", "5"},
                                           {"--no-refit", "refit", "false"},
                                           {"--no-keep-digits", "keep-digits", "false"},
                                           {"--stop-words default", "stop-words", "\"default\""},
                                           {"--shrinkage inf", "shrinkage", "null"},
                                           {"--optimizer adam --lr 1e-3", "optimizer", "\"adam\""},
                                           {"--schedule constant", "schedule", "\"constant\""},
                                           {"--max-len 64", "max-len", "64"},
                                           {"--min-df 2", "min-df", "2"},
                                           {"--valid 0", "valid", "0"},
                                           {"--tokenizer bpe --vocab 200", "tokenizer", "\"bpe\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        shell_must(BEST "%s --out %s/run", tools, cases[i][0], folder);
        must_have_setting(cases[i][1], cases[i][2]);
    }
    shell_must(BEST "--out %s/run", tools, folder);
    must_have_setting("refit", "true");
}
END_TEST

/* Its --refit was not asked for: it gives way, and that is said. */
START_TEST(what_was_not_asked_for_gives_way)
{
    static const char *const cases[] = {"--valid 0", "--tokenizer bpe"};
    shell_must(BEST "--out %s/run", tools, folder);
    ck_assert_ptr_null(strstr(shell_output(), "without its --refit"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[80];
        const char *more = i == 1 ? "--vocab 200" : "";
        snprintf(message, sizeof message, "without its --refit, which does not go with %s\n", cases[i]);
        shell_must(BEST "--out %s/run %s %s", tools, folder, cases[i], more);
        ck_assert_msg(strstr(shell_output(), message) != NULL, "%s", shell_output());
        must_have_setting("refit", "false");
        ck_assert_int_eq(shell_run(BEST "--refit --out %s/run %s %s", tools, folder, cases[i], more), 2);
    }
}
END_TEST

START_TEST(pieces_of_words_are_asked_for_in_one_way)
{
    static const char *const wrong[][2] = {{"--char-ngrams 4-2", "--char-ngrams 4-2: must be"},
                                           {"--char-ngrams 0-3", "--char-ngrams 0-3: must be"},
                                           {"--char-ngrams 3", "--char-ngrams 3: must be"},
                                           {"--char-ngrams 3-13", "--char-ngrams 3-13: must be"},
                                           {"--char-ngrams 3-5x", "--char-ngrams 3-5x: must be"},
                                           {"--char-ngrams some", "--char-ngrams some: must be"},
                                           {"--char-ngrams 3-5 --ngram-min-df 0", "--ngram-min-df 0"},
                                           {"--char-ngrams 3-5 --tokenizer bpe --no-refit", "--tokenizer"},
                                           {"--char-ngrams 3-5 --models lstm", "--char-ngrams: lstm"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_int_eq(shell_run(BEST "%s --out %s/never", tools, wrong[i][0], folder), 2);
        ck_assert_msg(strstr(shell_output(), wrong[i][1]) != NULL, "%s: %s", wrong[i][0], shell_output());
    }
    shell_must(BEST "--char-ngrams 3-5 --out %s/run", tools, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), "and their pieces of 3 to 5 characters"));
}
END_TEST

START_TEST(comparing_reads_its_arguments_once)
{
    shell_must(BEST "--out %s/one && cp -r %s/one %s/two", tools, folder, folder, folder);
    shell_must("%s/train_zoo --compare --models best %s/one %s/two --out %s/both", tools, folder, folder,
               folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), "both/report.html"));
}
END_TEST

/* ---- Processors ---- */

START_TEST(results_are_the_same_on_any_number_of_processors)
{
    shell_must(
        "for n in 1 2 5; do %s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 "
        "--embed 4 "
        "--hidden 4 --threads $n --quiet --out %s/$n; done; cmp %s/1/rnn.best.npz %s/2/rnn.best.npz && "
        "cmp %s/1/rnn.best.npz %s/5/rnn.best.npz",
        tools, folder, folder, folder, folder, folder);
    shell_must("grep -q '\"shards\": 2,' %s/1/settings.json", folder);
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --embed 4 --hidden 4 "
        "--threads 3 --shards 0 --out %s/all && grep -q '\"shards\": 3,' %s/all/settings.json",
        tools, folder, folder);
}
END_TEST

START_TEST(idle_processors_are_told_first)
{
    shell_must("nproc");
    int processors = atoi(shell_output());
    char expected[100];
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --embed 4 --hidden 4 "
        "--shards 1 --out %s/one",
        tools, folder);
    snprintf(expected, sizeof expected, "%d of %d processors stay idle", processors - 1, processors);
    if (processors > 1) {
        ck_assert_msg(strncmp(shell_output(), expected, strlen(expected)) == 0, "%s", shell_output());
        ck_assert_ptr_nonnull(strstr(shell_output(), "--shards"));
    }
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --embed 4 --hidden 4 "
        "--threads %d --shards 0 --out %s/all",
        tools, processors, folder);
    ck_assert_ptr_null(strstr(shell_output(), "stay idle"));
}
END_TEST

/* ---- The second training of --refit ---- */

START_TEST(the_second_training_says_how_far_it_goes)
{
    int epoch;
    char expected[80];
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models best --epochs 4 --lr 0.001 --embed 4 "
        "--out %s/run",
        tools, folder);
    const char *at = strstr(shell_output(), "wide: epoch ");
    ck_assert_msg(at && sscanf(at, "wide: epoch %d of 4 was the best", &epoch) == 1, "%s", shell_output());
    snprintf(expected, sizeof expected, "wide          epoch  1/%d ", epoch);
    ck_assert_msg(strstr(at, expected) != NULL, "%s", shell_output());
    snprintf(expected, sizeof expected, "wide          epoch  %d/%d ", epoch, epoch);
    ck_assert_msg(strstr(at, expected) != NULL, "%s", shell_output());
    snprintf(expected, sizeof expected, "wide          epoch  %d/", epoch + 1);
    ck_assert_msg(strstr(at, expected) == NULL, "%s", shell_output());
}
END_TEST

Suite *tools_options_suite(void);
Suite *tools_options_suite(void)
{
    Suite *suite = suite_create("tools/options");
    TCase *tcase = tcase_create("options");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_add_test(tcase, what_was_given_is_known);
    tcase_add_test(tcase, what_has_no_sense_is_refused);
    tcase_add_test(tcase, an_argument_may_not_be_empty);
    tcase_add_loop_test(tcase, help_is_given_wherever_it_is_asked_for, 0, PROGRAMS);
    tcase_add_test(tcase, empty_words_are_refused);
    tcase_add_test(tcase, fractions_and_infinities_are_refused_where_they_are_none);
    tcase_add_test(tcase, any_option_overrides_the_best_ones);
    tcase_add_test(tcase, what_was_not_asked_for_gives_way);
    tcase_add_test(tcase, pieces_of_words_are_asked_for_in_one_way);
    tcase_add_test(tcase, comparing_reads_its_arguments_once);
    tcase_add_test(tcase, results_are_the_same_on_any_number_of_processors);
    tcase_add_test(tcase, idle_processors_are_told_first);
    tcase_add_test(tcase, the_second_training_says_how_far_it_goes);
    suite_add_tcase(suite, tcase);
    return suite;
}
