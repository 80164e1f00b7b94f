/* What training says at its end is of the model that it delivers. */
#include "models/training/checkpoint.h"
#include "tensor/mem.h"
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA  "--data tests/fixtures/debian_120.tsv "
#define SMALL "--epochs 6 --batch 8 --embed 8 --hidden 8 --lr 0.05 --threads 1 "

/* The split of the corpus as files: its test part is that of a run on the whole. */
static void evaluate(const char *file, const char *model)
{
    shell_must("cd %s && %s/predict run/%s.best.npz --eval %s --quiet > eval", folder, tools, model, file);
}

/* The table's macro and micro F1 are those that predict --eval counts on the test file with the file that was
 * written; the report's labels are, too. Without a validation part the best epoch is delivered, which is not
 * the last. */
START_TEST(the_table_speaks_of_the_file_that_is_written)
{
    static const char *const options[] = {"", "--valid 0.2 ", "--valid 0.2 --refit ",
                                          "--seed 4 --shrinkage 5 --valid 0.3 "};
    shell_must(
        "head -1 tests/fixtures/debian_120.tsv > %s/test.tsv && tail -30 tests/fixtures/debian_120.tsv "
        ">> %s/test.tsv && head -91 tests/fixtures/debian_120.tsv > %s/train.tsv",
        folder, folder, folder);
    shell_must("cd %s && %s/train_zoo --data train.tsv --test test.tsv --models attention " SMALL
               "%s --out run "
               "> output 2>&1",
               folder, tools, options[_i]);
    evaluate("test.tsv", "attention");
    /* Labels that training does not know count as missed in the one and are left out in the other. */
    shell_must(
        "cd %s && test $(awk '/^attention  .* MB/ || /^attention +[0-9]+ +[0-9]+ / { print $3 }' output | "
        "tail -1) = $(%s/predict run/attention.best.npz --info | awk '/^ +selected_epoch/ { e = $2 } "
        "/^    epoch / { f = $2 } END { print e ? e : f }')",
        folder, tools);
    shell_must(
        "cd %s && awk '$NF > 0 && NF == 5 && $1 !~ /^(micro|macro|label)$/ { print $1, $4 }' eval | sort > "
        "one && sed -n 's/.*<tr><th "
        "scope=\"row\">\\([^<]*\\)<.th><td>[1-9][0-9]*<.td><td>\\([0-9.]*\\)<.*/\\1 "
        "\\2/p' run/report.html | sort > two && test -s one && join one two | awk '{ d = $2 - $3; if (d > "
        "6e-4 "
        "|| d < -6e-4) exit 1 }' && test $(join one two | wc -l) = $(wc -l < one)",
        folder);
}
END_TEST

START_TEST(without_a_test_part_nothing_is_claimed)
{
    shell_must("%s/train_zoo " DATA "--models lstm,wide " SMALL "--test 0 --valid 0 --out %s/run", tools,
               folder);
    must_say("120 to train, nothing to test");
    must_say("there is no test part, and so nothing is said of how good the models are");
    ck_assert_ptr_null(strstr(shell_output(), "F1 0"));
    shell_must(
        "cd %s/run && grep -q '\"best_f1\": null' results.json && grep -q '\"test_f1\": null' results.json "
        "&& "
        "grep -q 'nothing is said of quality' report.html && ! grep -q 'id=\"labels\"' report.html && ! grep "
        "-qi 'nan' report.html && %s/predict lstm.best.npz --info && echo text | %s/predict lstm.best.npz",
        folder, tools, tools);
    shell_must("%s/train_zoo " DATA "--models best --epochs 3 --test 0 --out %s/best", tools, folder);
    must_say("macro F1 0.");
    must_say("on the validation part\n");
    /* Whatever is a quality is null, but for what the validation part says. */
    shell_must(
        "cd %s && grep -E '\"[a-z_]*(f1|accuracy|error)[a-z_]*\":' run/results.json best/results.json | "
        "grep -vE 'best_f1_is|valid_f1' > qualities && test $(wc -l < qualities) -ge 100 && "
        "! grep -v ': null,*$' qualities",
        folder);
    shell_must("cd %s && %s/predict best/wide.best.npz --info > told && grep -E '(test|tuned)_[a-z0-9_]+ ' "
               "told > qualities && "
               "grep -q test_f1 qualities && grep -q tuned_f1 qualities && ! grep -v ' -$' qualities",
               folder, tools);
    shell_must("%s/train_zoo --compare %s/run %s/best --out %s/page && ! grep -qi nan %s/page/report.html",
               tools, folder, folder, folder, folder);
    shell_must("cd %s && %s/train_zoo --resume run --epochs 8", folder, tools);
    must_say("there is no test part");
    ck_assert_int_eq(shell_run("%s/train_zoo " DATA "--test -0.1", tools), 2);
    must_say("--test -0.1: must lie between 0 and 0.9");
}
END_TEST

START_TEST(figures_that_compare_are_left_out_where_there_is_one)
{
    shell_must("%s/train_zoo " DATA "--models lstm " SMALL "--out %s/run", tools, folder);
    shell_must(
        "cd %s/run && ! grep -q 'id=\"costs\"' report.html && grep -q '<h2>The model</h2>' report.html && ! "
        "grep -q 'class=\"legend\"' report.html",
        folder);
    shell_must("%s/train_zoo " DATA "--models lstm,wide " SMALL "--out %s/two", tools, folder);
    shell_must("cd %s/two && grep -q 'id=\"costs\"' report.html && grep -q 'The models compared' report.html",
               folder);
}
END_TEST

static void save_without_calibration(const char *from, const char *to)
{
    char path[400];
    ModelCheckpoint *checkpoint;
    snprintf(path, sizeof path, "%s/%s", folder, from);
    ReelStatus status = model_checkpoint_load(&checkpoint, path);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_ptr_nonnull(checkpoint->calibration);
    reel_mem_free(checkpoint->calibration);
    checkpoint->calibration = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, to);
    status = model_checkpoint_save(path, checkpoint, (TensorNpzOptions){0});
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    model_checkpoint_free(checkpoint);
}

/* What predict says of a label and of its threshold are lines of what the model without the calibration says;
 * and it lists the same labels. */
START_TEST(probabilities_are_calibrated)
{
    shell_must("%s/train_zoo " DATA "--models lstm " SMALL "--valid 0.3 --shrinkage 5 --out %s/run", tools,
               folder);
    must_say("; calibration error there 0.");
    save_without_calibration("run/lstm.best.npz", "raw.npz");
    shell_must("cd %s && tail -n +2 $OLDPWD/tests/fixtures/debian_120.tsv | cut -f1 > texts && %s/predict "
               "run/lstm.best.npz texts --quiet > one && %s/predict raw.npz texts --quiet > two && ! cmp -s "
               "one two && "
               "for f in one two; do awk -F'\\t' '{ split(\"\", l); n = 0; for (i = 1; i < NF; i += 2) print "
               "NR, $i }' "
               "$f | sort > $f.labels; done && test -s one.labels && cmp one.labels two.labels",
               folder, tools, tools);
    shell_must("cd %s && %s/predict run/lstm.best.npz --info", folder, tools);
    must_say("calibrated                       yes");
    shell_must(
        "cd %s && %s/predict run/lstm.best.npz --eval $OLDPWD/tests/fixtures/debian_120.tsv --quiet > one && "
        "%s/predict raw.npz --eval $OLDPWD/tests/fixtures/debian_120.tsv --quiet | cmp - one",
        folder, tools, tools);
    shell_must("grep -c 'What is said and what is: lstm' %s/run/report.html && grep -c 'rings: without the "
               "calibration' %s/run/report.html",
               folder, folder);
    shell_must("cd %s && %s/train_zoo --compare run --out page && cmp run/report.html page/report.html",
               folder, tools);
}
END_TEST

/* The best, the worst and the largest of many labels are drawn; the table has all; the matrix of those that
 * are missed most has all their texts. */
START_TEST(many_labels_have_a_page)
{
    shell_must("awk 'BEGIN { print \"text\\tlabels\"; for (i = 0; i < 900; i++) { l = i %% 300; "
               "a = sprintf(\"%%c%%c\", 97 + l %% 17, 97 + int(l / 17)); print a \" text \" a "
               "\" more\\tlabel-\" l \", \" (i %% 3 ? \"odd\" : \"even\") } }' > %s/many.tsv",
               folder);
    shell_must("%s/train_zoo --data %s/many.tsv --models wide " SMALL "--quiet --out %s/run", tools, folder,
               folder);
    shell_must(
        "cd %s/run && for t in best worst largest; do grep -q \"The $t labels: wide\" report.html || exit 1; "
        "done && test $(grep -c '<tr><th scope=\"row\">label-' report.html) = 300 && "
        "! grep -q 'F1 of each label: ' report.html",
        folder);
    shell_must("cd %s/run && tr -d ' \\n' < report.json | grep -o "
               "'\"missed\":[0-9]*,\"instead\":-*[0-9]*,\"texts\":[0-9]*' "
               "| wc -l",
               folder);
    ck_assert(atoi(shell_output()) >= 20);
}
END_TEST

/* Byte pairs of a file train as those that are learned, go with a choice made twice, and are in the model. */
START_TEST(a_tokenizer_of_ones_own_is_taken)
{
    shell_must("cd %s && tail -n +2 $OLDPWD/tests/fixtures/debian_120.tsv | cut -f1 > texts && %s/bpe train "
               "--vocab 300 "
               "--special '<pad>,<unk>,<bos>,<eos>' --unk '<unk>' --out t.json texts && %s/bpe train --vocab "
               "300 --out "
               "none.json texts",
               folder, tools, tools);
    shell_must("%s/train_zoo " DATA "--models wide " SMALL
               "--tokenizer %s/t.json --valid 0.2 --refit --out %s/run",
               tools, folder, folder);
    must_say(", 300 different ids, ");
    shell_must(
        "cd %s && mv t.json gone.json && %s/predict run/wide.best.npz texts --info 2>&1 | grep -c tokenizer; "
        "%s/predict run/wide.best.npz --info",
        folder, tools, tools);
    must_say("tokenizer                      byte pairs");
    shell_must("cd %s && echo 'a graphical game' | %s/predict run/wide.best.npz --top 1", folder, tools);
    ck_assert_int_eq(
        shell_run("%s/train_zoo " DATA "--tokenizer %s/none.json --out %s/never", tools, folder, folder), 1);
    must_say("none.json");
    ck_assert_int_eq(
        shell_run("%s/train_zoo " DATA "--tokenizer %s/nowhere.json --out %s/never", tools, folder, folder),
        1);
    must_say("nowhere.json");
    ck_assert_int_eq(shell_run("%s/train_zoo " DATA "--tokenizer chars --out %s/never", tools, folder), 2);
    must_say("--tokenizer chars: must be words, bpe or a file that ends in .json");
    shell_must("! test -e %s/never", folder);
}
END_TEST

START_TEST(metrics_that_there_are_not_are_refused)
{
    ck_assert_int_eq(shell_run("%s/train_zoo " DATA "--metric f1", tools), 2);
    must_say("--metric f1: must be macro-f1, micro-f1, accuracy or log-loss");
}
END_TEST

Suite *tools_outcome_suite(void);
Suite *tools_outcome_suite(void)
{
    Suite *suite = suite_create("tools/outcome");
    TCase *tcase = tcase_create("outcome");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_add_loop_test(tcase, the_table_speaks_of_the_file_that_is_written, 0, 4);
    tcase_add_test(tcase, without_a_test_part_nothing_is_claimed);
    tcase_add_test(tcase, figures_that_compare_are_left_out_where_there_is_one);
    tcase_add_test(tcase, probabilities_are_calibrated);
    tcase_add_test(tcase, many_labels_have_a_page);
    tcase_add_test(tcase, a_tokenizer_of_ones_own_is_taken);
    tcase_add_test(tcase, metrics_that_there_are_not_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
