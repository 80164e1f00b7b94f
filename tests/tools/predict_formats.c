/* What tools/predict writes: CSV, JSON lines, a column for each label, vectors. */
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void setup(void)
{
    program_setup();
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models attention,lstm --epochs 8 --batch 8 "
        "--embed 8 --hidden 8 --lr 0.02 --quiet --out %s",
        tools, folder);
    shell_must(
        "cd %s && cp attention.best.npz model.npz && tail -n +2 $OLDPWD/tests/fixtures/debian_120.tsv | cut "
        "-f1 > texts && printf 'id,text,note\\n1,game of war,\"a, b\"\\n2,\"say "
        "\"\"no\"\"\\nmore\",\"x\ty\"\\n' > "
        "table.csv",
        folder);
}

static void must_fail(int code, const char *part, const char *arguments)
{
    int got = shell_run("cd %s && %s/predict model.npz %s", folder, tools, arguments);
    ck_assert_msg(got == code, "exit code %d, not %d: predict %s: %s", got, code, arguments, shell_output());
    must_say(part);
}

START_TEST(csv_has_a_header_and_quotes)
{
    shell_must("cd %s && %s/predict model.npz table.csv --output-format csv --top 2 --quiet", folder, tools);
    ck_assert_int_eq(strncmp(shell_output(), "id,note,labels,probabilities\n1,\"a, b\",\"", 39), 0);
    must_say("\n2,x\ty,\"");
    shell_must("cd %s && %s/predict model.npz texts --output-format csv --threshold 1 --quiet | sort -u",
               folder, tools);
    ck_assert_str_eq(shell_output(), ",\nlabels,probabilities\n");
    /* The same labels as in a TSV. */
    shell_must("cd %s && %s/predict model.npz texts --top 1 --quiet | tr '\\t' ',' > one && %s/predict "
               "model.npz texts "
               "--top 1 --output-format csv --quiet | tail -n +2 | cmp - one",
               folder, tools, tools);
}
END_TEST

/* A column for each label holds what --top of all says. */
START_TEST(all_labels_have_a_column)
{
    shell_must(
        "cd %s && %s/predict model.npz texts --top 1000 --quiet > top && %s/predict model.npz texts --all "
        "--quiet > all && test $(wc -l < all) = 121 && awk -F'\\t' 'NR == FNR { for (i = 1; i < NF; i += 2) "
        "p[NR, $i] = $(i + 1); next } FNR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next } { if (NF != "
        "47) "
        "exit 1; for (i = 1; i <= NF; i++) if (p[FNR - 1, name[i]] != $i) exit 1 }' top all",
        folder, tools, tools);
    shell_must(
        "cd %s && %s/predict model.npz texts --all --output-format csv --quiet | tr ',' '\\t' | cmp - all",
        folder, tools);
    shell_must("cd %s && %s/predict model.npz table.csv --all --quiet | head -2 | cut -f1-3", folder, tools);
    must_say("id\tnote\tuse::");
    must_say("\n1\ta, b\t0.");
    shell_must("cd %s && %s/predict model.npz texts --all --json --quiet | head -1", folder, tools);
    must_say("], \"probabilities\": {\"");
}
END_TEST

START_TEST(json_lines_are_json)
{
    shell_must("cd %s && %s/predict model.npz texts --json --quiet > one && %s/predict model.npz texts "
               "--output-format "
               "jsonl --quiet | cmp - one",
               folder, tools, tools);
    /* As many digits as a float needs: six decimals are those of the TSV. */
    shell_must(
        "cd %s && %s/predict model.npz texts --top 3 --quiet | awk -F'\\t' '{ for (i = 2; i <= NF; i += 2) "
        "print $i }' > tsv && %s/predict model.npz texts --top 3 --json --quiet | grep -o 'ity\": [0-9.e-]*' "
        "| "
        "paste - tsv | awk '{ d = $2 - $3; if (length($2) > 14 || d > 1e-6 || d < -1e-6) exit 1; n++ } END { "
        "exit "
        "n != 360 }'",
        folder, tools, tools);
}
END_TEST

START_TEST(vectors_are_written_for_each_text)
{
    shell_must("cd %s && for f in 1 2 3 4 5 6 7 8; do cat texts; done > eight && %s/predict model.npz texts "
               "--embeddings one.npy --quiet && %s/predict lstm.best.npz eight --embeddings eight.npy "
               "--quiet --threads "
               "2 && head -c 6 one.npy | od -An -c | grep -q 'N   U   M   P   Y' && grep -a -o \"'shape': "
               "(120, [0-9]*)\" "
               "one.npy",
               folder, tools, tools);
    must_say("'shape': (120, ");
    /* 128 bytes and a float for each number; a text's vector does not depend on the others. */
    shell_must("cd %s && size() { stat -c %%s $1; } && test $(size one.npy) = $((128 + 120 * 4 * $(grep -a "
               "-o '(120, "
               "[0-9]*' one.npy | cut -d' ' -f2))) && tail -c +129 eight.npy > all && half=$(($(size all) / "
               "8)) && head -c "
               "$half all > first && tail -c $half all | cmp - first",
               folder);
    shell_must("cd %s && : > none && %s/predict model.npz none --embeddings none.npy --quiet && grep -a -c "
               "\"'shape': (0, "
               "\" none.npy",
               folder, tools);
    must_fail(1, "no/where", "texts --embeddings no/where/vectors.npy");
    must_fail(1, "", "nowhere.txt --embeddings never.npy");
    shell_must("! ls %s | grep never", folder);
}
END_TEST

START_TEST(what_does_not_go_together_is_said)
{
    must_fail(2, "--output-format xml: must be tsv, csv or jsonl", "texts --output-format xml");
    must_fail(2, "--json is --output-format jsonl", "texts --json --output-format csv");
    must_fail(2, "--all tells of all labels; leave out --top", "texts --all --top 3");
    must_fail(2, "--all tells of all labels; leave out --threshold", "texts --all --threshold 0.3");
    must_fail(2, "--attention has no column here", "texts --all --attention");
    must_fail(2, "--attention has no column here", "texts --output-format csv --attention");
    must_fail(2, "--eval prints a table, or JSON", "--eval texts --all");
    must_fail(2, "--embeddings writes vectors and no labels", "texts --embeddings x.npy --top 2");
    must_fail(2, "--embeddings writes the vectors of texts by one model",
              "lstm.best.npz texts --embeddings x.npy");
}
END_TEST

Suite *tools_predict_formats_suite(void);
Suite *tools_predict_formats_suite(void)
{
    Suite *suite = suite_create("tools/predict_formats");
    TCase *tcase = tcase_create("formats");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, program_teardown);
    tcase_add_test(tcase, csv_has_a_header_and_quotes);
    tcase_add_test(tcase, all_labels_have_a_column);
    tcase_add_test(tcase, json_lines_are_json);
    tcase_add_test(tcase, vectors_are_written_for_each_text);
    tcase_add_test(tcase, what_does_not_go_together_is_said);
    suite_add_tcase(suite, tcase);
    return suite;
}
