#include "models/training/checkpoint.h"
#include "models/training/threshold.h"
#include "nn/state_dict.h"
#include "tests/program_support.h"
#include "tests/skip_support.h"
#include "tests/text_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char model[400];

/* A folder with a model, trained a little so that its logits differ from text to text. */
static void setup(void)
{
    program_setup();
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models attention,lstm --epochs 12 --batch 8 "
        "--embed 8 --hidden 8 --lr 0.02 --quiet --out %s",
        tools, folder);
    snprintf(model, sizeof model, "%s/attention.last.npz", folder);
    shell_must("tail -n +2 tests/fixtures/debian_120.tsv | cut -f1 > %s/texts", folder);
}

static void must_fail(int code, const char *part, const char *arguments)
{
    int got = shell_run("%s/predict %s", tools, arguments);
    ck_assert_msg(got == code, "exit code %d, not %d: predict %s: %s", got, code, arguments, shell_output());
    must_say(part);
}

/* What a file says of itself, and one of version 0.1.0, which says less. */
START_TEST(info)
{
    shell_must("%s/predict %s/attention.best.npz --info", tools, folder);
    static const char *const parts[] = {
        "model                            attention\n", "  hidden                         8\n",
        "  stop_words                     316\n",       "  texts                          96\n",
        "    test_f1                      0.",          "  lr                             0.02\n",
        "  use::editing                   0.5\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        must_say(parts[i]);
    shell_must("%s/predict %s --info --json | tr -d ' \\n'", tools, model);
    must_say("\"model\":\"attention\"");
    must_say("\"training\":{");
    must_say("\"use::editing\":0.5");
    shell_must("%s/predict tests/fixtures/runs/adam/lstm.best.npz --info", tools);
    must_say("model                            lstm");
    ck_assert_ptr_null(strstr(shell_output(), "quality"));
    must_fail(2, "--info tells of one model", "model.npz --info texts");
    must_fail(2, "--info tells of one model", "model.npz --info --eval texts");
    must_fail(1, "nowhere.npz", "nowhere.npz --info");
}
END_TEST

START_TEST(a_line_is_answered_by_a_line_in_order)
{
    shell_must("cd %s && %s/predict %s texts --top 2 > two && %s/predict %s --top 2 < texts > again && cmp "
               "two again",
               folder, tools, model, tools, model);
    must_say("120 texts, ");
    shell_must("cd %s && test $(wc -l < two) = $(wc -l < texts) && "
               "awk -F'\\t' 'NF != 4 || $2 < $4 || $2 > 1 || $4 < 0 { exit 1 }' two",
               folder);
    /* The answer does not depend on the other texts, their number, or the threads. */
    shell_must("cd %s && tac texts | %s/predict %s - --top 2 --threads 3 --quiet | tac | cmp - two", folder,
               tools, model);
    shell_must(
        "cd %s && n=0; while IFS= read -r line; do printf '%%s' \"$line\" | %s/predict %s --top 2 --quiet; "
        "n=$((n+1)); [ $n = 7 ] && break; done < texts > few; head -7 two | cmp - few",
        folder, tools, model);
    shell_must("cd %s && for i in $(seq 200); do cat texts; done | %s/predict %s --top 2 --quiet > many && "
               "for i in $(seq 200); do cat two; done | cmp - many",
               folder, tools, model);
}
END_TEST

START_TEST(any_bytes_are_a_text)
{
    shell_must("printf 'games\\r\\n\\n\\377\\000x\\n   \\nfonts' | %s/predict %s --top 1 --quiet | wc -l",
               tools, model);
    ck_assert_int_eq(atoi(shell_output()), 5);
    shell_must("printf '' | %s/predict %s", tools, model);
    must_say("0 texts");
    shell_must("cd %s && printf 'a game\\r\\nA GAME!\\n' | %s/predict %s --top 1 --quiet | uniq | wc -l",
               folder, tools, model);
    ck_assert_int_eq(atoi(shell_output()), 1);
    /* Only a line feed ends a line, whatever else Unicode and Python take for an end. */
    shell_must("printf 'a\\302\\205b\\nc\\342\\200\\250d\\ne\\013f\\014g\\n' | %s/predict %s --top 1 "
               "--quiet | wc -l",
               tools, model);
    ck_assert_int_eq(atoi(shell_output()), 3);
    /* A line that is longer than a window. */
    shell_must("cd %s && (head -1 texts | tr '\\n' ' '; head -c 9000000 /dev/zero | tr '\\0' '-'; echo; head "
               "-1 texts) | "
               "%s/predict %s --top 1 --quiet | uniq | wc -l",
               folder, tools, model);
    ck_assert_int_eq(atoi(shell_output()), 1);
    ck_assert_int_eq(shell_run("head -c 70000000 /dev/zero | %s/predict %s", tools, model), 1);
    must_say("the standard input:1: the line is longer than 64 MB");
}
END_TEST

/* A program that sends lines and waits for their answers, and one line at a time. */
START_TEST(answers_come_before_more_is_waited_for)
{
    shell_must(
        "cd %s && mkfifo in out && (%s/predict %s --top 1 --quiet < in > out & "
        "exec 3> in 4< out; yes game | head -10000 >&3; head -10000 <&4 | wc -l > answered; "
        "for i in 1 2 3; do echo font >&3; read -r line <&4 && echo \"$line\"; done > single; "
        "printf 'half a' >&3; echo ' game' >&3; read -r line <&4 && echo \"$line\" > halves; "
        "exec 3>&- 4<&-; wait) && cat answered && echo font | %s/predict %s --top 1 --quiet > font && "
        "cat font font font | cmp - single && echo half a game | %s/predict %s --top 1 --quiet | cmp - "
        "halves",
        folder, tools, model, tools, model, tools, model);
    ck_assert_int_eq(atoi(shell_output()), 10000);
}
END_TEST

/* Texts of a table are answered as the same texts in lines are, with the other columns in front. */
START_TEST(tables_are_read_and_passed_through)
{
    shell_must(
        "cd %s && { printf 'id,body,\"n\"\"o\"\n'; awk '{ printf \"%%d,\\\"%%s, "
        "\\\"\\\"and\\\"\\\"\\nmore\\\",x%%d\\n\", "
        "NR, $0, NR %% 7 }' texts; } > t.csv && sed 's/$/, \"and\" more/' texts > plain && "
        "%s/predict %s plain --top 2 --quiet > lines && %s/predict %s t.csv --top 2 --quiet > table && "
        "awk '{ printf \"%%d\\tx%%d\\n\", NR, NR %% 7 }' lines | paste - lines | cmp - table",
        folder, tools, model, tools, model);
    shell_must("cd %s && gzip -c t.csv | %s/predict %s - --text body --id id --top 2 --quiet > table && "
               "awk '{ printf \"%%d\\n\", NR }' lines | paste - lines | cmp - table",
               folder, tools, model);
    /* In windows, of which a record is seldom whole. */
    shell_must(
        "cd %s && { head -1 t.csv; for i in $(seq 90); do tail -n +2 t.csv; done; } > long.csv && "
        "%s/predict %s long.csv --id id --top 2 --quiet > long && for i in $(seq 90); do cat table; done | "
        "cmp - long && sed 1d long.csv | tr '\\n' ' ' | wc -c",
        folder, tools, model);
    ck_assert_int_gt(atoi(shell_output()), 1 << 20);
    shell_must("cd %s && printf '{\"text\": \"a game\", \"n\": null, \"labels\": []}\\n{\"k\": "
               "\"\\\\u00e9\", \"text\": "
               "\"a\\\\tgame\"}\\n' | %s/predict %s --quiet --json --threshold 1",
               folder, tools, model);
    ck_assert_str_eq(shell_output(), "{\"line\": 1, \"columns\": {\"n\": null}, \"labels\": []}\n"
                                     "{\"line\": 2, \"columns\": {\"n\": null}, \"labels\": []}\n");
    shell_must("printf '__label__a a game\\nan editor' | %s/predict %s --quiet --threshold 1 | tr '\\n' .",
               tools, model);
    ck_assert_str_eq(shell_output(), "..");
    shell_must("cd %s && printf 'n\\ttext\\n\"a\\n\"\"b\"\"\"\\tx\\n' > q.tsv && %s/predict %s q.tsv --quiet "
               "--threshold 1",
               folder, tools, model);
    ck_assert_str_eq(shell_output(), "\"a\n\"\"b\"\"\"\n");
}
END_TEST

START_TEST(a_table_is_not_taken_for_lines)
{
    static const char *const headers[][2] = {
        {"text\\tlabels\\na game\\tx\\n",
         "'text', and all its lines would be taken for texts; say --input-format tsv"},
        {"id\\tbody\\n1\\ta game\\n", "--input-format tsv"},
        {"\"id\",\"comment_text\",toxic\\n1,a game,0\\n", "'comment_text', and all its lines would be taken"},
        {"label;content\\nx;a game\\n", "--input-format csv"}};
    char arguments[600];
    for (int i = 0; i < 4; i++) {
        shell_must("printf '%s' > %s/header", headers[i][0], folder);
        snprintf(arguments, sizeof arguments, "%s %s/header", model, folder);
        must_fail(1, headers[i][1], arguments);
        snprintf(arguments, sizeof arguments, "%s %s/header --input-format lines --quiet", model, folder);
        must_fail(0, "", arguments);
    }
    shell_must(
        "printf 'text, some of it\\nlabels and text\\n' > %s/header && %s/predict %s %s/header --quiet",
        folder, tools, model, folder); /* no header */
    snprintf(arguments, sizeof arguments, "%s - --input-format xml < /dev/null", model);
    must_fail(2, "must be tsv, csv, jsonl or fasttext", arguments);
    snprintf(arguments, sizeof arguments, "%s - --labels x < /dev/null", model);
    must_fail(2, "--labels and --label-columns are for the labels of --eval", arguments);
    shell_must("printf 'a,b\\nx,y\\n' > %s/header.csv", folder);
    snprintf(arguments, sizeof arguments, "%s %s/header.csv", model, folder);
    must_fail(1, "header.csv:1: the header has no column 'text'; name one with --text: there are 'a', 'b'",
              arguments);
    shell_must("printf '' > %s/header.csv", folder);
    must_fail(1, "header.csv: the file is empty", arguments);
    shell_must("printf 'text,b\\nx,\"y\\nz' > %s/header.csv", folder);
    must_fail(1, "header.csv:2: a quote opens a field here and never closes", arguments);
}
END_TEST

/* The same labelled texts in each format are of the same quality. */
START_TEST(evaluation_reads_all_formats)
{
    shell_must("cd %s && %s/predict %s --eval $OLDPWD/tests/fixtures/debian_120.tsv --quiet > tsv && "
               "awk -F'\\t' 'NR > 1 { n = split($2, l, \", \"); for (i = 1; i <= n; i++) printf "
               "\"__label__%%s \", l[i]; "
               "print $1 }' $OLDPWD/tests/fixtures/debian_120.tsv | gzip > f.txt.gz && %s/predict %s --eval "
               "f.txt.gz --quiet "
               "| cmp - tsv && awk -F'\\t' 'BEGIN { print \"content|tags\" } NR > 1 { print $1 \"|\" $2 }' "
               "$OLDPWD/tests/fixtures/debian_120.tsv > t && %s/predict %s --eval t --quiet | cmp - tsv",
               folder, tools, model, tools, model, tools, model);
}
END_TEST

/* They are answered as they are, but not without a word. */
START_TEST(lines_that_are_hardly_texts_are_counted)
{
    shell_must(
        "cd %s && printf 'a game\\na caf\\351\\n\\na font\\n\\000\\n1 2 3\\n' > mixed && %s/predict %s mixed "
        "2>&1 > lines && test $(wc -l < lines) = 6",
        folder, tools, model);
    must_say(
        "predict: mixed: 2 of 6 texts are not UTF-8, and their other bytes stand for spaces; convert the "
        "file, as with `iconv -f LATIN1 -t UTF-8`; the first is number 2\n");
    must_say("predict: mixed: 4 of 6 texts have no words that the model knows once they are cleaned, and are "
             "answered as an empty text is; the first is number 2\n");
    shell_must("cd %s && { seq 9000 | sed 's/.*/a game/'; printf 'caf\\351\\r9\\n'; } | %s/predict %s 2>&1 > "
               "/dev/null | "
               "grep 'the standard input: 1 of 9001 texts .*; the first is number 9001$' | cut -d' ' -f 9-11",
               folder, tools, model);
    ck_assert_str_eq(shell_output(), "are not UTF-8,\nhave a CR\nhave no words\n");
    shell_must("cd %s && printf 'a game\\ra font\\r\\na game\\n' | %s/predict %s 2>&1 > /dev/null", folder,
               tools, model);
    must_say("1 of 2 texts have a CR in them that no LF follows");
    shell_must("%s/predict %s %s/texts 2>&1 > /dev/null", tools, model, folder);
    ck_assert_ptr_null(strstr(shell_output(), "predict: "));
    shell_must("cd %s && printf 'text\\tlabels\\na game\\tuse::gameplaying\\n1 2\\tuse::gameplaying\\n' > "
               "one.tsv && "
               "%s/predict %s --eval one.tsv 2>&1 > /dev/null",
               folder, tools, model);
    must_say("predict: one.tsv: 1 of 2 texts have no words");
    ck_assert_int_eq(shell_run("printf '\\377\\376a\\000\\n\\000' | %s/predict %s", tools, model), 1);
    must_say("the standard input:1: begins with the byte order mark of UTF-16 (FF FE); convert the file");
    shell_must("cd %s && printf '\\357\\273\\277game\\n' | %s/predict %s --quiet --top 3 > a && echo game | "
               "%s/predict "
               "%s --quiet --top 3 | cmp - a",
               folder, tools, model, tools, model);
}
END_TEST

START_TEST(thresholds_choose_labels)
{
    shell_must("cd %s && %s/predict %s texts --threshold 0 --quiet > all && %s/predict %s texts --threshold "
               "1 --quiet > "
               "none && ! grep -q . none && K=$(head -1 all | tr '\\t' '\\n' | grep -c '^[01]\\.') && test "
               "$K -gt 3 && "
               "%s/predict %s texts --top 99 --quiet | cmp - all",
               folder, tools, model, tools, model, tools, model);
    shell_must(
        "cd %s && %s/predict %s texts --threshold 0.3 --quiet | tr '\\t' '\\n' | grep '^[01]\\.' | awk "
        "'$1 <= 0.3 { exit 1 }'",
        folder, tools, model);
    shell_must(
        "cd %s && %s/predict %s texts --threshold 0.3 --top 1 --quiet | awk -F'\\t' 'NF > 2 { exit 1 }'",
        folder, tools, model);
}
END_TEST

START_TEST(several_models_answer_together)
{
    /* Of each label the mean of the log-odds that each says of it; a model beside itself says the same. */
    shell_must(
        "cd %s && for m in attention.last.npz lstm.last.npz 'attention.last.npz lstm.last.npz' "
        "'lstm.last.npz lstm.last.npz'; do n=$((n + 1)); head -1 texts | %s/predict $m --threshold 0 --quiet "
        "| tr '\\t' '\\n' | paste - - | sort | cut -f2 > m$n; done; "
        "paste m1 m2 m3 m4 | awk 'function l(p) { return log(p / (1 - p)) } { d = (l($1) + l($2)) / 2 - "
        "l($3); e = $2 - $4; if (d * d > 1e-3 || e * e > 1e-6) "
        "exit 1 } END { if (NR < 40) exit 1 }'",
        folder, tools);
    /* So are thresholds: twice the same model chooses as many labels as it chooses alone. */
    shell_must(
        "cd tests/fixtures/runs && cut -f 1 corpus.tsv > %s/all && cd models && m=wide_thresholds.npz && "
        "%s/predict $m %s/all --quiet | awk -F '\\t' '{ print NF }' > %s/alone && "
        "%s/predict $m $m %s/all --quiet | awk -F '\\t' '{ print NF }' | cmp - %s/alone",
        folder, tools, folder, folder, tools, folder, folder);
    shell_must("%s/predict %s %s/lstm.last.npz --eval tests/fixtures/debian_120.tsv --quiet", tools, model,
               folder);
    must_say("95 % interval of macro F1: 0.");
    shell_must("%s/train_zoo --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --embed 4 --hidden "
               "4 --quiet "
               "--out %s/other && sed 1q tests/fixtures/debian_120.tsv > %s/few && sed -n '2,60p' "
               "tests/fixtures/debian_120.tsv | sed 's/$/, one::more/' >> %s/few && %s/train_zoo --data "
               "%s/few --models "
               "rnn --epochs 1 --embed 4 --hidden 4 --quiet --out %s/few-labels",
               tools, folder, folder, folder, tools, folder, folder);
    ck_assert_int_eq(shell_run("%s/predict %s %s/few-labels/rnn.last.npz texts", tools, model, folder), 1);
    must_say("has other labels than the first model");
}
END_TEST

START_TEST(json_is_a_line_for_each_text)
{
    shell_must("cd %s && head -2 texts | %s/predict %s --json --top 1 --quiet", folder, tools, model);
    must_say("{\"line\": 1, \"labels\": [{\"label\": \"");
    must_say("{\"line\": 2, \"labels\": [{\"label\": \"");
    must_say("\"probability\": 0.");
    shell_must("cd %s && head -1 texts | %s/predict %s --json --attention --quiet", folder, tools, model);
    must_say("\"attention\": [{\"word\": \"<bos>\", \"weight\": 0.");
    /* Lines are counted through all windows. */
    shell_must("yes game | head -20000 | %s/predict %s --json --top 1 --quiet | tail -1", tools, model);
    must_say("{\"line\": 20000, ");
}
END_TEST

START_TEST(attention_shows_a_weight_for_each_word)
{
    shell_must("cd %s && %s/predict %s texts --attention --top 1 --quiet | cut -f1 | tr ' ' '\\n' | "
               "awk -F: '{ if ($1 == \"<bos>\") n++; sum += $2 } END { exit !(n == 120 && sum > 119.5 && sum "
               "< 120.5) }'",
               folder, tools, model);
    shell_must("cd %s && head -1 texts | %s/predict %s --attention --top 1 --quiet", folder, tools, model);
    must_say("<bos>:0.");
    must_say(" <eos>:0.");
    char arguments[500];
    snprintf(arguments, sizeof arguments, "%s/lstm.best.npz --attention < /dev/null", folder);
    must_fail(2, "--attention: the model lstm has none", arguments);
}
END_TEST

START_TEST(colours_are_for_terminals_that_have_them)
{
    static const struct {
        const char *setting;
        bool coloured;
    } cases[] = {
        {"TERM=xterm NO_COLOR=", true}, {"TERM=xterm NO_COLOR=1", false}, {"TERM=dumb NO_COLOR=", false}};
    if (!shell_has("script")) {
        test_skip("script (of bsdutils), which stands in for a terminal, is not installed");
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        shell_must("%s script -qec '%s/predict %s %s/texts --attention --top 1' /dev/null < /dev/null",
                   cases[i].setting, tools, model, folder);
        ck_assert_int_eq(strstr(shell_output(), "\033[48;5;") != NULL, cases[i].coloured);
    }
}
END_TEST

/* The logits of the program's own evaluation, counted again from its predictions. */
START_TEST(evaluation_counts_what_is_predicted)
{
    shell_must("cd %s && %s/predict %s --eval $OLDPWD/tests/fixtures/debian_120.tsv --threshold 0.2 --quiet "
               "> quality && cat "
               "quality",
               folder, tools, model);
    must_say("precision");
    must_say("macro");
    shell_must(
        "cd %s && tail -n +2 $OLDPWD/tests/fixtures/debian_120.tsv | cut -f2 > truth && "
        "%s/predict %s texts --threshold 0.2 --quiet | sed 's/\\t[01]\\.[0-9]*\\t/, /g; "
        "s/\\t[01]\\.[0-9]*$//' > guess && "
        "paste truth guess | awk -F'\\t' '{ n = split($1, t, \", \"); m = split($2, g, \", \"); all += n; "
        "said += m; "
        "for (i in t) for (j in g) hits += t[i] == g[j] } "
        "END { printf \"%%.4f %%.4f %%d\\n\", hits / said, hits / all, all }' > counted && "
        "awk '$1 == \"micro\" { print $2, $3, $5 }' quality | diff - counted",
        folder, tools, model);
    shell_must("%s/predict %s --eval tests/fixtures/debian_120.tsv --json --quiet", tools, model);
    must_say("\"texts\": 120");
    must_say("\"macro\": {");
    /* Labels that the model has never seen do not count; if it knows none, something is wrong. */
    shell_must("printf 'text\\tlabels\\na game\\tuse::gameplaying, unheard of\\na font\\tuse::monitor\\n' > "
               "%s/some.tsv && "
               "%s/predict %s --eval %s/some.tsv",
               folder, tools, model, folder);
    must_say("such as '");
    char arguments[900];
    shell_must("printf 'text\\tlabels\\na game\\tx\\na font\\ty\\n' > %s/none.tsv", folder);
    snprintf(arguments, sizeof arguments, "%s --eval %s/none.tsv", model, folder);
    must_fail(1, "the model knows none of its labels, such as 'x'", arguments);
}
END_TEST

/* Every label has a threshold of its own here, and the file more texts than are evaluated at once, of which
 * the first 8,192 are of one half of the texts and the rest of the other. What is counted is what the
 * probabilities and the thresholds in the file of the model say. */
START_TEST(evaluation_heeds_each_labels_threshold_in_every_window)
{
    ModelCheckpoint *checkpoint;
    char path[500];
    shell_must(
        "%s/train_zoo --data tests/fixtures/debian_120.tsv --models bag --epochs 12 --batch 8 --embed 8 "
        "--hidden 8 --lr 0.02 --valid 0.3 --shrinkage 1 --quiet --out %s/own",
        tools, folder);
    snprintf(path, sizeof path, "%s/own/bag.best.npz", folder);
    ReelStatus status = model_checkpoint_load(&checkpoint, path);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    ck_assert_ptr_nonnull(checkpoint->thresholds);
    snprintf(path, sizeof path, "%s/own/thresholds", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    int different = 0;
    for (int32_t k = 0; k < checkpoint->text.labels.count; k++) {
        fprintf(file, "%s\t%.9g\n", model_string_table_text(&checkpoint->text.labels, k),
                model_threshold_probability(model_checkpoint_threshold(checkpoint, k)));
        different += checkpoint->thresholds[k] != checkpoint->thresholds[0];
    }
    fclose(file);
    model_checkpoint_free(checkpoint);
    ck_assert_int_gt(different, 10);
    shell_must(
        "cd %s/own && tail -n +2 $OLDPWD/tests/fixtures/debian_120.tsv > rows && head -60 rows > first && "
        "tail -60 "
        "rows > second && { printf 'text\\tlabels\\n'; for i in $(seq 140); do cat first; done | head -8192; "
        "for i "
        "in $(seq 20); do cat second; done; } > long.tsv && %s/predict bag.best.npz --eval long.tsv --quiet "
        "> quality && tail -n +2 long.tsv | cut -f1 | %s/predict bag.best.npz --threshold 0 --quiet > all && "
        "tail -n +2 long.tsv | cut -f2 | paste - all > both && "
        "awk -F'\\t' 'NR == FNR { limit[$1] = $2; next } { n = split($1, t, \", \"); split(\"\", true); "
        "for (i = 1; i <= n; i++) { true[t[i]] = 1; support[t[i]]++ } for (i = 2; i < NF; i += 2) "
        "if ($(i + 1) > limit[$i]) { said[$i]++; hits[$i] += ($i in true) } } END { for (k in limit) "
        "printf \"%%s %%.4f %%d\\n\", k, (said[k] + support[k]) ? 2 * hits[k] / (said[k] + support[k]) : 0, "
        "support[k] }' thresholds both | sort > counted && awk 'NF == 5 && $1 != \"micro\" && $1 != "
        "\"macro\" && $1 != "
        "\"label\" { print $1, $4, $5 }' quality | sort | diff - counted && grep -c . counted",
        folder, tools, tools);
    ck_assert_int_ge(atoi(shell_output()), 40);
}
END_TEST

static double macro_f1(void)
{
    const char *at = strstr(shell_output(), "\"macro\": {");
    ck_assert_ptr_nonnull(at);
    at = strstr(at, "\"f1\": ");
    ck_assert_ptr_nonnull(at);
    return strtod(at + strlen("\"f1\": "), NULL);
}

/* The same rows with another separator are the same data; the model knows which it was. */
START_TEST(the_separator_of_labels_goes_with_the_model)
{
    shell_must(
        "cd %s && sed '2,$s/, / | /g' $OLDPWD/tests/fixtures/debian_120.tsv > bars.tsv && "
        "%s/train_zoo --data bars.tsv --label-separator '|' --models attention,lstm --epochs 12 --batch "
        "8 --embed 8 --hidden 8 --lr 0.02 --quiet --out bars && "
        "%s/predict %s texts --quiet > commas && %s/predict bars/attention.last.npz texts --quiet | cmp "
        "- commas",
        folder, tools, tools, model, tools);
    shell_must("%s/predict %s --eval tests/fixtures/debian_120.tsv --threshold 0.2 --quiet --json", tools,
               model);
    double expected = macro_f1();
    ck_assert_double_gt(expected, 0.05);
    shell_must("%s/predict %s/bars/attention.last.npz --eval %s/bars.tsv --threshold 0.2 --quiet --json",
               tools, folder, folder);
    ck_assert_double_eq(macro_f1(), expected);
    shell_must("%s/predict %s/bars/attention.last.npz --eval tests/fixtures/debian_120.tsv "
               "--label-separator ', ' --threshold 0.2 --quiet --json",
               tools, folder);
    ck_assert_double_eq(macro_f1(), expected);
    ck_assert_int_eq(shell_run("%s/predict %s --eval %s/bars.tsv", tools, model, folder), 0);
    must_say("--label-separator '|'");
    char arguments[500];
    snprintf(arguments, sizeof arguments, "%s --label-separator ';' < /dev/null", model);
    must_fail(2, "--label-separator is for the labels of --eval", arguments);
    snprintf(arguments, sizeof arguments, "%s --label-separator '' --eval %s/bars.tsv", model, folder);
    must_fail(2, "--label-separator: its value is empty", arguments);
    /* Resuming reads the data as they were read. */
    shell_must("%s/train_zoo --resume %s/bars", tools, folder);
}
END_TEST

/* What training must refuse, evaluation need not: one label, none at all, rows without labels. */
START_TEST(evaluation_takes_any_labels)
{
    char arguments[900];
    shell_must("cd %s && printf 'text\tlabels\na game\tuse::gameplaying\na font\tuse::gameplaying\n' > "
               "one.tsv && %s/predict %s --eval one.tsv --quiet --threshold 0 --json | tr -d '\\n '",
               folder, tools, model);
    must_say("\"texts\":2,");
    must_say("\"label\":\"use::gameplaying\",\"precision\":1,\"recall\":1,\"f1\":1,\"support\":2}");
    shell_must("cd %s && printf 'text\tlabels\na game\tuse::gameplaying\na font\t\n' > half.tsv && "
               "%s/predict %s --eval half.tsv --quiet --threshold 0 --json | tr -d '\\n '",
               folder, tools, model);
    must_say("\"precision\":0.5,\"recall\":1,");
    shell_must("cd %s && printf 'text\tlabels\na game\t\na font\t\n' > bare.tsv && "
               "%s/predict %s --eval bare.tsv --quiet --threshold 0 --json | tr -d '\\n '",
               folder, tools, model);
    must_say("\"micro\":{\"precision\":0,\"recall\":0,\"f1\":0,\"support\":0}");
    shell_must("printf 'text\tlabels\na game\tunheard of\na font\tunheard of\n' > %s/unheard.tsv", folder);
    snprintf(arguments, sizeof arguments, "%s --eval %s/unheard.tsv", model, folder);
    must_fail(1, "the model knows none of its labels, such as 'unheard of'", arguments);
}
END_TEST

/* All members of a file that `wanted` tells of, bit for bit, and no others. */
static void check_members(const char *path, bool (*wanted)(const char *name))
{
    TensorNpz *whole, *part;
    TensorArena arena;
    int count = 0;
    ck_assert_ok(tensor_npz_open(&whole, model));
    ck_assert_ok(tensor_npz_open(&part, path));
    tensor_arena_init(&arena, 0);
    for (int i = 0; i < tensor_npz_count(whole); i++) {
        const TensorNpzMember *member = tensor_npz_member(whole, i), *copy;
        const void *a, *b;
        size_t size, other;
        if (!wanted(member->name))
            continue;
        copy = tensor_npz_find(part, member->name);
        ck_assert_msg(copy != NULL, "%s", member->name);
        ck_assert_ok(tensor_npz_read_bytes(whole, member, &arena, &a, &size));
        ck_assert_ok(tensor_npz_read_bytes(part, copy, &arena, &b, &other));
        ck_assert_uint_eq(size, other);
        ck_assert_mem_eq(a, b, size);
        count++;
    }
    ck_assert_int_eq(tensor_npz_count(part), count);
    ck_assert_int_gt(count, 5);
    tensor_arena_free(&arena);
    tensor_npz_close(whole);
    tensor_npz_close(part);
}

static bool is_weight(const char *name)
{
    return !nn_is_reel_member(name);
}

static bool is_for_prediction(const char *name)
{
    return strncmp(name, "reel/optimizer/", 15) != 0 && strcmp(name, "reel/training.json") != 0;
}

/* The model without what training needs, where weights need not be copied; it answers as it did. */
START_TEST(a_model_is_exported_to_be_mapped)
{
    char arguments[1000];
    shell_must("%s/predict %s --export %s/served.npz < /dev/null", tools, model, folder);
    snprintf(arguments, sizeof arguments, "%s/served.npz", folder);
    check_members(arguments, is_for_prediction);
    shell_must("cd %s && %s/predict served.npz --info | grep 'weights  *mapped' && "
               "%s/predict %s --info | grep 'weights  *copied'",
               folder, tools, tools, model);
    shell_must(
        "cut -f1 tests/fixtures/debian_120.tsv > %s/lines && cd %s && "
        "%s/predict served.npz lines --all --quiet > a && %s/predict %s lines --all --quiet > b && cmp a b",
        folder, folder, tools, tools, model);
    shell_must("cd %s && head -c 4000 served.npz > cut.npz", folder);
    snprintf(arguments, sizeof arguments, "%s/cut.npz < /dev/null", folder);
    must_fail(1, "it is cut", arguments);
}
END_TEST

/* Of 8 bits a model answers nearly as it did, from a quarter of the bytes, and its weights can be begun with.
 */
START_TEST(a_model_is_exported_with_8_bits)
{
    char arguments[1000];
    shell_must("cd %s && %s/train_zoo --data $OLDPWD/tests/fixtures/debian_120.tsv --models lstm --embed 64 "
               "--hidden 64 --epochs 20 --batch 8 --lr 0.01 --quiet --out wide && "
               "%s/predict wide/lstm.last.npz --export 32.npz && "
               "%s/predict wide/lstm.last.npz --export 8.npz --quantize && "
               "%s/predict 8.npz --info | grep 'bits  *8' && %s/predict 32.npz --info | grep 'bits  *32' && "
               "stat -c %%s 32.npz 8.npz",
               folder, tools, tools, tools, tools, tools);
    long floats, bytes;
    const char *sizes = strrchr(shell_output(), 's'); /* of "bits" */
    ck_assert_int_eq(sscanf(sizes, "s 32 %ld %ld", &floats, &bytes), 2);
    ck_assert_int_lt(bytes * 2, floats); /* half of the small file is vocabulary, labels and settings */
    double f1[2];
    for (int i = 0; i < 2; i++) {
        shell_must(
            "cd %s && %s/predict %s.npz --eval $OLDPWD/tests/fixtures/debian_120.tsv --quiet | grep ^macro",
            folder, tools, i ? "8" : "32");
        ck_assert_int_eq(sscanf(shell_output(), "macro %*f %*f %lf", &f1[i]), 1);
    }
    ck_assert_double_gt(f1[0], 0.2);
    ck_assert_double_eq_tol(f1[0], f1[1], 0.005);
    shell_must("cd %s && %s/train_zoo --data $OLDPWD/tests/fixtures/debian_120.tsv --models lstm --epochs 1 "
               "--quiet --init 8.npz --out more && "
               "%s/predict more/lstm.best.npz --info | grep 'bits  *32'",
               folder, tools, tools);
    snprintf(arguments, sizeof arguments, "%s --export %s/x.safetensors --quantize", model, folder);
    must_fail(2, "choose a name that ends in .npz", arguments);
    snprintf(arguments, sizeof arguments, "%s --quantize", model);
    must_fail(2, "--quantize is for the file of --export", arguments);
}
END_TEST

/* The state_dict, bit for bit, in a file that --init and other programs read. */
START_TEST(weights_are_exported_for_other_programs)
{
    char weights[440], arguments[1000];
    snprintf(weights, sizeof weights, "%s/weights.safetensors", folder);
    shell_must("%s/predict %s --export %s < /dev/null", tools, model, weights);
    check_members(weights, is_weight);
    snprintf(arguments, sizeof arguments, "%s --export %s", model, model);
    must_fail(2, "is the model itself", arguments);
    snprintf(arguments, sizeof arguments, "%s --export %s/weights.pt", model, folder);
    must_fail(2, "ends neither in .safetensors nor in .npz", arguments);
    snprintf(arguments, sizeof arguments, "%s %s --export %s/x.npz", model, model, folder);
    must_fail(2, "--export writes one model", arguments);
    snprintf(arguments, sizeof arguments, "%s --export /no/such/folder/x.safetensors", model);
    must_fail(1, "/no/such/folder", arguments);
    snprintf(arguments, sizeof arguments, "%s/weights.safetensors < /dev/null", folder);
    must_fail(1, "has no member reel/config.json; where it is a bare state_dict", arguments);
}
END_TEST

START_TEST(members_that_are_not_known_are_named)
{
    TensorNpz *npz;
    NnSnapshot snapshot;
    char other[440];
    snprintf(other, sizeof other, "%s/other.npz", folder);
    ReelStatus status = tensor_npz_open(&npz, model);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    nn_snapshot_init(&snapshot);
    for (int i = 0; i < tensor_npz_count(npz); i++)
        nn_snapshot_member(&snapshot, npz, tensor_npz_member(npz, i));
    nn_snapshot_bytes(&snapshot, "reel/notes.txt", "by heart", 8);
    nn_snapshot_bytes(&snapshot, "reel/later/more", "", 0);
    status = nn_snapshot_write(&snapshot, other, (TensorNpzOptions){0});
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    nn_snapshot_free(&snapshot);
    tensor_npz_close(npz);
    shell_must(
        "cd %s && %s/predict %s texts 2>&1 > with && %s/predict %s texts --quiet > without && cmp with "
        "without",
        folder, tools, other, tools, model);
    must_say("other.npz: passed over, since this Reel does not know them: reel/notes.txt, reel/later/more\n");
    shell_must("%s/predict %s %s/texts --quiet 2>&1 > /dev/null", tools, other, folder);
    ck_assert_str_eq(shell_output(), "");
    shell_must("%s/predict %s %s/texts 2>&1 > /dev/null", tools, model, folder);
    ck_assert_ptr_null(strstr(shell_output(), "passed over"));
}
END_TEST

/* NaN is above no threshold: without a word, such a model would find no labels anywhere. */
/* Writes the model again to `path`; of the members that begin with `prefix` element `at`, or all (-1), is
 * `value`. */
static void change_model(const char *path, const char *prefix, int64_t at, double value)
{
    TensorNpz *npz;
    TensorArena arena;
    NnSnapshot snapshot;
    ReelStatus status = tensor_npz_open(&npz, model);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    nn_snapshot_init(&snapshot);
    tensor_arena_init(&arena, 0);
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        if (strncmp(member->name, prefix, strlen(prefix)) != 0) {
            nn_snapshot_member(&snapshot, npz, member);
            continue;
        }
        Tensor tensor;
        status = tensor_npz_read_tensor(npz, member, &arena, &tensor);
        ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
        if (at < 0)
            tensor_fill(tensor, value);
        else
            tensor_set(&tensor, &at, value);
        nn_snapshot_tensor(&snapshot, member->name, tensor);
    }
    status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){0});
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    nn_snapshot_free(&snapshot);
    tensor_arena_free(&arena);
    tensor_npz_close(npz);
}

START_TEST(labels_that_are_equally_probable_stay_in_their_order)
{
    char equal[440];
    snprintf(equal, sizeof equal, "%s/equal.npz", folder);
    change_model(equal, "fc.", -1, 0);
    shell_must("cd %s && head -1 texts | %s/predict equal.npz --threshold 0.4 --quiet | tr '\\t' '\\n' | "
               "paste - - | "
               "cut -f 1 > equal && test $(wc -l < equal) -gt 40 && LC_ALL=C sort -c equal",
               folder, tools);
}
END_TEST

START_TEST(a_model_that_answers_nan_is_refused)
{
    char spoilt[440], arguments[1000];
    snprintf(spoilt, sizeof spoilt, "%s/spoilt.npz", folder);
    change_model(spoilt, "fc.bias", 3, NAN);
    snprintf(arguments, sizeof arguments, "%s %s/texts", spoilt, folder);
    must_fail(1, "spoilt.npz: its answer to text 1 is not a number", arguments);
    snprintf(arguments, sizeof arguments, "%s %s %s/texts", model, spoilt, folder);
    must_fail(1, "spoilt.npz: its answer to text 1 is not a number", arguments);
    snprintf(arguments, sizeof arguments, "%s --eval tests/fixtures/debian_120.tsv", spoilt);
    must_fail(1, "spoilt.npz: its answer to text 1 is not a number", arguments);
}
END_TEST

START_TEST(what_cannot_be_done_is_said)
{
    char arguments[900];
    must_fail(2, "a model is required", "");
    must_fail(1, "nowhere.npz", "nowhere.npz < /dev/null");
    must_fail(1, "tests/fixtures/debian_120.tsv", "tests/fixtures/debian_120.tsv < /dev/null");
    must_fail(1, "where it is a bare state_dict, export it", "tests/fixtures/pytorch/lstm.npz < /dev/null");
    must_fail(2, "unknown option", "model.npz --beam 3");
    snprintf(arguments, sizeof arguments, "%s a b", model);
    must_fail(2, "'b': one argument too many", arguments);
    snprintf(arguments, sizeof arguments, "%s %s/nowhere", model, folder);
    must_fail(1, "check the path", arguments);
    snprintf(arguments, sizeof arguments, "%s %s", model, folder);
    must_fail(1, "is a directory", arguments);
    snprintf(arguments, sizeof arguments, "%s --threshold 2", model);
    must_fail(2, "must lie between 0 and 1", arguments);
    snprintf(arguments, sizeof arguments, "%s %s/texts > /dev/full", model, folder);
    must_fail(1, "cannot write the output", arguments);
    must_fail(1, "cannot write the output", "--help > /dev/full");
    snprintf(arguments, sizeof arguments, "%s --eval tests/fixtures/debian_120.tsv --top 1", model);
    must_fail(2, "leave out --top", arguments);
    snprintf(arguments, sizeof arguments, "%s --eval tests/fixtures/debian_120.tsv --attention", model);
    must_fail(2, "leave out --attention", arguments);
    must_fail(0, "usage: predict MODEL.npz", "--help");
}
END_TEST

Suite *tools_predict_suite(void);
Suite *tools_predict_suite(void)
{
    Suite *suite = suite_create("tools/predict");
    TCase *tcase = tcase_create("predict");
    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, setup, program_teardown);
    tcase_add_test(tcase, info);
    tcase_add_test(tcase, a_line_is_answered_by_a_line_in_order);
    tcase_add_test(tcase, any_bytes_are_a_text);
    tcase_add_test(tcase, answers_come_before_more_is_waited_for);
    tcase_add_test(tcase, tables_are_read_and_passed_through);
    tcase_add_test(tcase, a_table_is_not_taken_for_lines);
    tcase_add_test(tcase, evaluation_reads_all_formats);
    tcase_add_test(tcase, lines_that_are_hardly_texts_are_counted);
    tcase_add_test(tcase, thresholds_choose_labels);
    tcase_add_test(tcase, several_models_answer_together);
    tcase_add_test(tcase, json_is_a_line_for_each_text);
    tcase_add_test(tcase, attention_shows_a_weight_for_each_word);
    tcase_add_test(tcase, colours_are_for_terminals_that_have_them);
    tcase_add_test(tcase, evaluation_counts_what_is_predicted);
    tcase_add_test(tcase, evaluation_heeds_each_labels_threshold_in_every_window);
    tcase_add_test(tcase, the_separator_of_labels_goes_with_the_model);
    tcase_add_test(tcase, evaluation_takes_any_labels);
    tcase_add_test(tcase, a_model_is_exported_to_be_mapped);
    tcase_add_test(tcase, a_model_is_exported_with_8_bits);
    tcase_add_test(tcase, weights_are_exported_for_other_programs);
    tcase_add_test(tcase, members_that_are_not_known_are_named);
    tcase_add_test(tcase, labels_that_are_equally_probable_stay_in_their_order);
    tcase_add_test(tcase, a_model_that_answers_nan_is_refused);
    tcase_add_test(tcase, what_cannot_be_done_is_said);
    suite_add_tcase(suite, tcase);
    return suite;
}
