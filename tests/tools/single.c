/* Texts with exactly one label each, from the first line of training to the report. */
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN "--epochs 4 --batch 8 --embed 8 --hidden 8 --lr 0.02 --threads 1 "

/* The first label of each row. */
static void setup(void)
{
    program_setup();
    shell_must("awk -F'\\t' -v OFS='\\t' '{ split($2, l, \", \"); print $1, l[1] }' "
               "tests/fixtures/debian_120.tsv > %s/one.tsv",
               folder);
}

static void must_not_say(const char *part)
{
    ck_assert_msg(!strstr(shell_output(), part), "'%s' is in: %s", part, shell_output());
}

START_TEST(rows_with_one_label_each_ask_for_it)
{
    shell_must("%s/train_zoo --data %s/one.tsv --models rnn " TRAIN "--out %s/run", tools, folder, folder);
    must_say(" labels, one a text, ");
    must_say("accuracy");
    shell_must("%s/train_zoo --data %s/one.tsv --task multilabel --models rnn " TRAIN "--out %s/many", tools,
               folder, folder);
    must_not_say("one a text");
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn " TRAIN "--out %s/many", tools,
               folder);
    must_not_say("one a text");
    ck_assert_int_eq(shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --task single --models rnn "
                               "--out %s/none",
                               tools, folder),
                     1);
    must_say("and one label a text is asked for; ");
    ck_assert_int_eq(shell_run("test -e %s/none", folder), 1);
    ck_assert_int_eq(shell_run("%s/train_zoo --data %s/one.tsv --task two", tools, folder), 2);
    must_say("--task two: must be multilabel or single");
    ck_assert_int_eq(shell_run("%s/train_zoo --data %s/one.tsv --loss hinge", tools, folder), 2);
    must_say("--loss hinge: must be sigmoid or softmax");
    ck_assert_int_eq(shell_run("%s/train_zoo --data tests/fixtures/debian_120.tsv --loss softmax "
                               "--models rnn --out %s/none",
                               tools, folder),
                     2);
    must_say("--loss softmax: is of one label a text");
}
END_TEST

/* All models answer with one label, and with probabilities that add up to 1; with a validation part, trained
 * anew, and together. */
START_TEST(every_text_gets_exactly_one_label)
{
    shell_must("%s/train_zoo --data %s/one.tsv --models lstm,wide " TRAIN
               "--valid 0.2 --refit --ensemble --seeds 2 --out %s/run",
               tools, folder, folder);
    must_say("together: macro F1 ");
    shell_must("cd %s && tail -n +2 one.tsv | cut -f1 > texts && for m in run/*.best.npz "
               "run/seed-1/lstm.best.npz 'run/lstm.best.npz run/wide.best.npz'; do "
               "%s/predict $m texts | awk -F'\\t' 'NF != 2 || $2 <= 0 || $2 > 1 { exit 1 }' && "
               "test $(%s/predict $m texts --quiet | wc -l) = $(wc -l < texts) && "
               "%s/predict $m texts --top 100 --quiet | awk -F'\\t' '{ s = 0; for (i = 2; i <= NF; i += 2) "
               "s += $i; if (s < 0.9999 || s > 1.0001) exit 1 }' || exit 1; done",
               folder, tools, tools, tools);
    /* The one is that with the greatest probability; a threshold that is given counts as for others. */
    shell_must(
        "cd %s && %s/predict run/lstm.best.npz texts > one && %s/predict run/lstm.best.npz texts --top "
        "1 | cmp - one && %s/predict run/lstm.best.npz texts --threshold 0.9999 | cut -f1 | grep -c "
        "'^$'",
        folder, tools, tools, tools);
}
END_TEST

START_TEST(accuracy_is_counted_from_the_answers)
{
    shell_must("%s/train_zoo --data %s/one.tsv --models lstm --max-len 30 " TRAIN "--out %s/run", tools,
               folder, folder);
    shell_must("cd %s && tail -n +2 one.tsv | cut -f2 > truth && tail -n +2 one.tsv | cut -f1 | "
               "%s/predict run/lstm.best.npz --quiet | cut -f1 | paste - truth | "
               "awk -F'\\t' '$1 == $2 { n++ } END { printf \"accuracy %%.4f\\n\", n / NR }' > counted && "
               "%s/predict run/lstm.best.npz --eval one.tsv --quiet | grep -o 'accuracy [0-9.]*' | "
               "cmp - counted",
               folder, tools, tools);
    shell_must("%s/predict %s/run/lstm.best.npz --info", tools, folder);
    must_say("task                           single");
}
END_TEST

/* A run goes on where it was, and the models of one task do not answer with those of another. */
START_TEST(the_task_goes_with_the_model)
{
    shell_must(
        "cd %s && %s/train_zoo --data one.tsv --models lstm " TRAIN "--out whole --quiet && "
        "%s/train_zoo --data one.tsv --models lstm " TRAIN "--epochs 2 --out half --quiet && "
        "%s/train_zoo --resume half --epochs 4 --quiet && "
        "%s/predict whole/lstm.last.npz --export whole.safetensors && "
        "%s/predict half/lstm.last.npz --export half.safetensors && cmp whole.safetensors half.safetensors",
        folder, tools, tools, tools, tools, tools);
    shell_must("cd %s && %s/train_zoo --data one.tsv --task multilabel --models lstm " TRAIN
               "--out many --quiet",
               folder, tools);
    ck_assert_int_eq(
        shell_run("cd %s && echo text | %s/predict whole/lstm.best.npz many/lstm.best.npz", folder, tools),
        1);
    must_say("is of the task multilabel and the first model of single; ");
}
END_TEST

START_TEST(the_page_has_a_confusion_matrix)
{
    shell_must("cd %s && %s/train_zoo --data one.tsv --models lstm " TRAIN "--out run --quiet && "
               "grep -c 'Confusion matrix: lstm' run/report.html && grep -c '>accuracy<' run/report.html "
               "&& grep -c 'exactly one' run/report.html",
               folder, tools);
    shell_must("%s/train_zoo --compare %s/run --out %s/page", tools, folder, folder);
    shell_must("cmp %s/run/report.html %s/page/report.html", folder, folder);
}
END_TEST

Suite *tools_single_suite(void);
Suite *tools_single_suite(void)
{
    Suite *suite = suite_create("tools/single");
    TCase *tcase = tcase_create("single");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, program_teardown);
    tcase_add_test(tcase, rows_with_one_label_each_ask_for_it);
    tcase_add_test(tcase, every_text_gets_exactly_one_label);
    tcase_add_test(tcase, accuracy_is_counted_from_the_answers);
    tcase_add_test(tcase, the_task_goes_with_the_model);
    tcase_add_test(tcase, the_page_has_a_confusion_matrix);
    suite_add_tcase(suite, tcase);
    return suite;
}
