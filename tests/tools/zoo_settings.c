/* Every option of train_zoo does what it says: each is tried with two values, and what it is about must
 * differ as it says. An option that the table lacks fails the test. */
#include "models/training/zoo_settings.h"

#include "tensor/storage/npz_reader.h"
#include "tests/nn_support.h"
#include "tests/program_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "tests/fixtures/runs/corpus.tsv"
/* key, title, body, kind, science, sport, part, author */
#define TABLE SMALL "--data tests/fixtures/columns.csv --min-df 1 "
/* A small RNN; FROZEN keeps the first values, PLAIN takes steps as long as the gradients are. */
#define SMALL  "--models rnn --epochs 2 --batch 8 --embed 4 --hidden 4 --max-len 12 --threads 1 "
#define PLAIN  SMALL "--optimizer sgd --lr 0.5 "
#define FROZEN SMALL "--optimizer sgd --lr 1e-12 "
#define WIDE   "--models wide --epochs 2 --batch 8 --embed 4 --max-len 12 --threads 1 "

/* ---- What is measured of a run ---- */

/* How the second run's number is to the first's. */
typedef enum Relation { LESS, MORE, SAME, OTHER, IS } Relation;

typedef struct Case {
    const char *option, *common, *first, *second;
    const char
        *measure; /* "json KEY", "distance", "mean MEMBER", "rms MEMBER", "spread MEMBER", "shell COMMAND" */
    Relation relation;
    double value; /* IS */
} Case;

static const Case cases[] = {
    {"data", SMALL, "", "--data tests/fixtures/debian_120.tsv", "json rows", IS, 120},
    {"input-format", SMALL "--data tests/fixtures/fasttext.txt ", "--input-format fasttext", "",
     "json labels", SAME, 0},
    {"text", TABLE "--labels kind ", "--text title", "--text title,body", "json vocab", MORE, 0},
    {"labels", TABLE "--text body ", "--labels kind", "--labels author", "json labels", IS, 8},
    {"label-columns", TABLE "--text body ", "--label-columns sport,science", "--label-columns '*'",
     "json labels", SAME, 0},
    {"label-columns", TABLE "--text body ", "--label-columns sport,science", "--labels kind", "json labels",
     SAME, 0},
    {"id", TABLE "--text body --label-columns '*' ", "", "--id sport", "json labels", IS, 1},
    {"task", TABLE "--text body --labels part ", "--task multilabel", "--task single",
     "shell grep -c 'task.: .single' results.json", IS, 1},
    {"task", TABLE "--text body --labels part ", "--task single", "", "distance", SAME, 0},
    {"loss", PLAIN "--data tests/fixtures/columns.csv --min-df 1 --text body --labels part ",
     "--loss softmax", "--loss sigmoid", "distance", OTHER, 0},
    {"models", SMALL, "", "--models lstm", "shell ls lstm.best.npz | wc -l", IS, 1},
    {"models", SMALL, "", "--models rnn,lstm", "shell ls *.best.npz | wc -l", IS, 2},
    {"models", SMALL, "", "--models all --epochs 1", "shell ls *.best.npz | wc -l", MORE, 0},
    {"models", "--epochs 1 --embed 4 ", "--models rnn", "--models best",
     "shell ls choice/wide.best.npz | wc -l", IS, 1},
    {"epochs", SMALL, "", "--epochs 3", "shell grep -c '^          .epoch.:' results.json", IS, 3},
    {"batch", PLAIN, "", "--batch 4", "distance", MORE, 0},
    {"shuffle-block", PLAIN "--cache $start-cache --batch 4 ", "", "--shuffle-block 2",
     "mean embedding.weight", OTHER, 0},
    {"shuffle-block", PLAIN "--cache $start-cache --batch 4 ", "", "--shuffle-block 0", "distance", SAME, 0},
    {"lr", PLAIN, "", "--lr 0.05", "distance", LESS, 0},
    {"max-len", SMALL, "", "--max-len 5", "shell sed -n 's/.* \\([0-9.]*\\) ids a text/\\1/p' output", LESS,
     0},
    {"embed", SMALL, "", "--embed 7", "json params", MORE, 0},
    {"embed", SMALL, "--embed 256", "--embed 0", "json params", SAME, 0}, /* rnn's own */
    {"hidden", SMALL, "", "--hidden 7", "json params", MORE, 0},
    {"hidden", SMALL, "--hidden 256", "--hidden 0", "json params", SAME, 0},
    {"layers", SMALL "--models transformer ", "--layers 1", "--layers 2", "json params", MORE, 0},
    {"layers", SMALL "--models rnn ", "--layers 1", "--layers 0", "json params", SAME, 0},
    {"seed", FROZEN, "", "--seed 5", "mean embedding.weight", OTHER, 0},
    {"seeds", SMALL, "", "--seeds 3", "shell ls rnn.best.npz seed-*/rnn.best.npz | wc -l", IS, 3},
    {"threads", SMALL, "--threads 1", "--threads 2", "json threads", IS, 2},
    {"shards", SMALL, "", "--shards 3", "json shards", IS, 3},
    {"shards", SMALL, "", "--shards 0 --threads 5", "json shards", IS, 5},
    {"notebook", FROZEN, "", "--notebook", "shell grep -c 'notebook\": true' results.json", IS, 1},
    {"notebook", FROZEN, "", "--notebook", "mean output_layer.bias", OTHER, 0},
    {"output-bias", FROZEN, "--output-bias log-odds", "--output-bias default", "mean output_layer.bias", MORE,
     0},
    {"optimizer", PLAIN, "--optimizer sgd", "--optimizer adam", "distance", OTHER, 0},
    {"optimizer", PLAIN "--weight-decay 0.5 ", "--optimizer adam", "--optimizer adamw", "distance", OTHER, 0},
    {"weight-decay", PLAIN, "", "--weight-decay 0.5", "rms hidden_linear.weight", LESS, 0},
    {"clip", PLAIN, "", "--clip 1e-6", "distance", LESS, 0},
    {"clip", PLAIN, "--clip 0", "--clip 1e9", "distance", SAME, 0},
    {"schedule", PLAIN, "--schedule constant", "--schedule cosine", "distance", LESS, 0},
    {"warmup", PLAIN, "", "--warmup 100", "distance", LESS, 0},
    {"valid", SMALL, "", "--valid 0.25", "json valid", MORE, 0},
    {"valid", SMALL, "", "--valid tests/fixtures/debian_120.tsv", "json valid", IS, 120},
    {"test", SMALL, "", "--test 0.5", "json test", IS, 20},
    {"test", SMALL, "", "--test tests/fixtures/debian_120.tsv", "json train", IS, 40},
    {"split", TABLE "--text body --labels kind ", "", "--split part", "json valid", IS, 4},
    {"group", TABLE "--text body --labels kind --test 0.05 ", "", "--group author", "json test", IS, 4},
    {"min-label-count", SMALL, "", "--min-label-count 5", "json labels", LESS, 0},
    {"clean", SMALL "--data tests/fixtures/russian.tsv --min-df 1 ", "--clean ascii", "--clean unicode",
     "json vocab", MORE, 0},
    {"clean", SMALL "--data tests/fixtures/russian.tsv --min-df 1 ", "--clean unicode", "", "json vocab",
     SAME, 0},
    {"refit", WIDE "--valid 0.25 ", "", "--refit", "json train", IS, 32},
    {"ensemble", WIDE "--valid 0.25 --seeds 2 ", "", "--ensemble", "shell grep -c 'members.: 2' results.json",
     IS, 1},
    {"patience", FROZEN "--valid 0.25 --epochs 9 ", "", "--patience 3",
     "shell grep -c '^          .epoch.:' results.json", IS, 4},
    {"metric", WIDE "--valid 0.25 --min-df 1 ", "--metric macro-f1", "--metric log-loss", "json valid_score",
     OTHER, 0},
    {"metric", WIDE "--valid 0.25 ", "--metric macro-f1", "", "json valid_f1", SAME, 0},
    {"metric", WIDE "--valid 0.25 ", "--metric micro-f1", "--metric accuracy", "json valid_score", OTHER, 0},
    {"shrinkage", WIDE "--valid 0.25 ", "--shrinkage inf", "--shrinkage 0", "spread reel/thresholds", MORE,
     0},
    {"shrinkage", WIDE "--valid 0.25 ", "--shrinkage 0", "--shrinkage inf", "spread reel/thresholds", IS, 0},
    {"dropout", PLAIN, "--dropout 0", "--dropout 0.9", "mean output_layer.weight", OTHER, 0},
    {"dropout", PLAIN, "", "--dropout -1", "distance", SAME, 0},
    {"embed-dropout", PLAIN, "--embed-dropout 0", "--embed-dropout 0.9", "mean input_linear.weight", OTHER,
     0},
    {"embed-dropout", PLAIN, "", "--embed-dropout -1", "distance", SAME, 0},
    {"word-dropout", PLAIN, "", "--word-dropout 0.9", "mean embedding.weight", OTHER, 0},
    {"bpe-dropout", PLAIN "--tokenizer bpe --vocab 90 ", "", "--bpe-dropout 0.5", "mean embedding.weight",
     OTHER, 0},
    {"layer-rate", PLAIN, "", "--layer-rate 0.1", "distance", LESS, 0},
    {"layer-rate", PLAIN, "", "--layer-rate 1", "distance", SAME, 0},
    {"unfreeze", PLAIN, "", "--unfreeze 100", "distance", LESS, 0},
    {"unfreeze", PLAIN, "", "--unfreeze 0", "distance", SAME, 0},
    {"embed-scale", FROZEN, "", "--embed-scale 1e-3", "rms embedding.weight", LESS, 0},
    {"embed-scale", FROZEN, "", "--embed-scale 0", "rms embedding.weight", SAME, 0},
    {"forget-bias", FROZEN "--models lstm ", "", "--forget-bias 50", "distance", MORE, 0},
    {"orthogonal", FROZEN, "", "--orthogonal", "rms hidden_linear.weight", IS,
     0.5}, /* rows of length 1, of 4 */
    {"pos-weight", PLAIN, "", "--pos-weight 1", "mean output_layer.bias", MORE, 0},
    {"stop-words", SMALL, "", "--stop-words none", "json vocab", MORE, 0},
    {"stop-words", SMALL, "", "--stop-words default", "json vocab", SAME, 0},
    {"stop-words", SMALL, "", "--stop-words tests/fixtures/runs/answers.sh", "json vocab", OTHER, 0},
    {"label-separator", SMALL, "", "--label-separator ::", "json labels", OTHER, 0},
    {"keep-digits", SMALL "--min-df 1 ", "", "--keep-digits", "json vocab", MORE, 0},
    {"tokenizer", SMALL, "--tokenizer words", "--tokenizer bpe --vocab 80", "json vocab", IS, 80},
    {"vocab", SMALL "--tokenizer bpe ", "--vocab 80", "--vocab 90", "json vocab", IS, 90},
    {"min-df", SMALL, "", "--min-df 3", "json vocab", LESS, 0},
    {"max-df", SMALL, "", "--max-df 0.08", "json vocab", LESS, 0},
    {"char-ngrams", WIDE, "--char-ngrams none", "--char-ngrams 2-3", "json vocab", MORE, 0},
    {"char-ngrams", WIDE, "--char-ngrams 2-3", "--char-ngrams 2-4", "json vocab", MORE, 0},
    {"char-ngrams", WIDE "--char-ngrams 2-4 ", "--threads 1", "--threads 3", "mean embedding.weight", SAME,
     0},
    {"char-ngrams", WIDE, "--char-ngrams auto", "", "json vocab", SAME, 0},
    {"char-ngrams", WIDE "--data tests/fixtures/russian.tsv ", "--char-ngrams auto", "", "json vocab", LESS,
     0},
    {"ngram-min-df", WIDE "--char-ngrams 2-4 ", "", "--ngram-min-df 5", "json vocab", LESS, 0},
    {"init", FROZEN "--seed 3 ", "", "--init $start/rnn.best.npz", "distance", IS, 0},
    {"out", SMALL, "", "", "shell ls results.json report.html settings.json | wc -l", IS, 3},
    {"keep", SMALL, "", "--keep 1", "shell ls rnn.epoch-2.npz | wc -l", IS, 1},
    {"compress", SMALL, "--compress 9", "--compress 0", "shell stat -c %s rnn.last.npz", MORE, 0},
    {"check-finite", SMALL, "", "--check-finite", "shell grep -c 'check-finite.: true' settings.json", IS, 1},
    {"quiet", SMALL, "", "--quiet", "shell grep -c epoch output", LESS, 0},
    {"checkpoint-every", SMALL, "", "--checkpoint-every 0", "distance", SAME, 0},
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* Tried elsewhere: by tests/tools/resume.c, options.c, ranks.c, vectors.c and lm.c. */
static const char *const elsewhere[] = {"resume",       "compare",         "list",       "init-prefix",
                                        "vectors",      "freeze-vectors",  "vectors-lr", "ranks",
                                        "rank-timeout", "cache",           "pretrain",   "pretrain-epochs",
                                        "pretrain-lr",  "pretrain-dropout"};

static void train(const char *name, const char *common, const char *options)
{
    shell_must("mkdir -p %s/%s && start=%s/start && %s/train_zoo --data " CORPUS
               " %s %s --out %s/%s > %s/%s.output && "
               "mv %s/%s.output %s/%s/output",
               folder, name, folder, tools, common, options, folder, name, folder, name, folder, name, folder,
               name);
}

typedef struct Numbers {
    double sum, squares, low, high, distance;
    int64_t count;
} Numbers;

static double element(Tensor t, int64_t k)
{
    return t.dtype == TENSOR_F64 ? tensor_f64(t)[k] : (double)tensor_f32(t)[k];
}

/* Over one member of a model's file, or (NULL) all weights; `from` is the file that distances count from. */
static Numbers read_numbers(const TensorNpz *npz, const TensorNpz *from, const char *name)
{
    Numbers n = {.low = INFINITY, .high = -INFINITY};
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        if (name ? strcmp(member->name, name) != 0
                 : !member->is_array || strncmp(member->name, "reel/", 5) == 0)
            continue;
        Tensor value, start = tensor_invalid();
        ck_assert_ok(tensor_npz_read_tensor(npz, member, &arena, &value));
        const TensorNpzMember *there = from ? tensor_npz_find(from, member->name) : NULL;
        if (there)
            ck_assert_ok(tensor_npz_read_tensor(from, there, &arena, &start));
        bool comparable = tensor_is_valid(start) && tensor_same_shape(&value, &start);
        for (int64_t k = 0; k < tensor_numel(&value); k++) {
            double x = element(value, k), d = comparable ? x - element(start, k) : 0;
            n.sum += x;
            n.squares += x * x;
            n.distance += d * d;
            n.low = fmin(n.low, x);
            n.high = fmax(n.high, x);
            n.count++;
        }
    }
    tensor_arena_free(&arena);
    ck_assert_msg(n.count > 0, "no member %s", name ? name : "");
    return n;
}

/* Of a run's only model, against the first values of the small RNN (or of its own kind). */
static double measure_weights(const char *run, const char *measure)
{
    char path[400], kind[32], start[400];
    const char *name = strchr(measure, ' ');
    TensorNpz *npz, *from = NULL;
    shell_must("cd %s/%s && ls *.last.npz | head -1", folder, run);
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(shell_output(), "."), shell_output());
    snprintf(path, sizeof path, "%s/%s/%s.%s.npz", folder, run, kind,
             name && strstr(name, "reel/") ? "best" : "last");
    snprintf(start, sizeof start, "%s/start/%s.last.npz", folder, kind);
    ck_assert_ok(tensor_npz_open(&npz, path));
    if (!name)
        ck_assert_ok(tensor_npz_open(&from, start));
    Numbers n = read_numbers(npz, from, name ? name + 1 : NULL);
    tensor_npz_close(npz);
    tensor_npz_close(from);
    return strncmp(measure, "distance", 8) == 0 ? sqrt(n.distance)
           : strncmp(measure, "mean", 4) == 0   ? n.sum / (double)n.count
           : strncmp(measure, "rms", 3) == 0    ? sqrt(n.squares / (double)n.count)
                                                : n.high - n.low;
}

static double measure(const char *run, const char *what)
{
    if (strncmp(what, "json ", 5) == 0)
        shell_must("sed -n 's/^ *\"%s\": \\([-0-9.]*\\),*$/\\1/p' %s/%s/results.json | head -1", what + 5,
                   folder, run);
    else if (strncmp(what, "shell ", 6) == 0)
        shell_run("cd %s/%s && (%s) 2>/dev/null", folder, run, what + 6);
    else
        return measure_weights(run, what);
    char *end;
    double value = strtod(shell_output(), &end);
    ck_assert_msg(end != shell_output(), "%s: no number: %s", what, shell_output());
    return value;
}

static bool holds(const Case *c, double first, double second)
{
    switch (c->relation) {
    case LESS:
        return second < 0.99 * first;
    case MORE:
        return second > first + 0.01 * fabs(first);
    case SAME:
        return second == first;
    case OTHER:
        return fabs(second - first) > 1e-6 * fabs(first);
    case IS:
        return fabs(second - c->value) <= 1e-5;
    }
    return false;
}

START_TEST(an_option_does_what_it_says)
{
    const Case *c = &cases[_i];
    if (strcmp(c->measure, "distance") == 0 || strstr(c->second, "$start"))
        train("start", strstr(c->common, "lstm") ? FROZEN "--models lstm" : FROZEN, "");
    train("first", c->common, c->first);
    train("second", c->common, c->second);
    double first = measure("first", c->measure), second = measure("second", c->measure);
    ck_assert_msg(holds(c, first, second), "--%s: %s: %g, and %g with %s", c->option, c->measure, first,
                  second, c->second);
    if (c->relation == IS && *c->second) /* the option made it so */
        ck_assert_msg(fabs(first - c->value) > 1e-5, "--%s: %s: %g without it, too", c->option, c->measure,
                      first);
}
END_TEST

START_TEST(every_option_is_tried)
{
    ModelZooSettings settings = model_zoo_defaults();
    ModelOption options[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_options(&settings, options);
    for (int i = 0; i < count; i++) {
        bool found = false;
        for (int k = 0; k < CASES; k++)
            found = found || strcmp(cases[k].option, options[i].name) == 0;
        for (size_t k = 0; k < sizeof elsewhere / sizeof elsewhere[0]; k++)
            found = found || strcmp(elsewhere[k], options[i].name) == 0;
        ck_assert_msg(found, "--%s has no case", options[i].name);
    }
}
END_TEST

/* ---- What help and pages say can be said ---- */

/* A command that is refused for its words ends with 2. */
static void must_be_understood(const char *command)
{
    int code = shell_run("%s/%s", tools, command);
    ck_assert_msg(code != 2, "%s: %s", command, shell_output());
}

/* The default that the help names in parentheses at its end, and the values with a meaning of their own ("0:
 * off"). */
START_TEST(values_in_the_help_are_understood)
{
    ModelZooSettings settings = model_zoo_defaults();
    ModelOption options[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_options(&settings, options), tried = 0;
    char command[400], value[32], prose[200];
    for (int i = 0; i < count; i++) {
        if (options[i].kind == MODEL_OPTION_FLAG)
            continue;
        snprintf(prose, sizeof prose, "%s", options[i].help);
        for (char *word = strtok(prose, " (,);"); word; word = strtok(NULL, " (,);")) {
            size_t length = strcspn(word, ":");
            bool number =
                     strspn(word, "-0123456789.e") == length && word[length - 1] != '-' && word[0] != 'e',
                 named = strcmp(word, "inf:") == 0;
            if (length == 0 || (!number && !named) || strstr(options[i].help, "letters a-z"))
                continue;
            snprintf(value, sizeof value, "%.*s", (int)length, word);
            if (strcmp(value, "0-9") == 0)
                strcpy(value, "9");
            snprintf(command, sizeof command, "train_zoo --data /nowhere/x.tsv --%s %s", options[i].name,
                     value);
            must_be_understood(command);
            tried++;
        }
    }
    ck_assert_int_gt(tried, 25);
    static const char *const words[] = {"output-bias log-odds", "output-bias default", "optimizer adam",
                                        "optimizer adamw",      "optimizer rmsprop",   "optimizer adagrad",
                                        "optimizer sgd",        "schedule constant",   "schedule cosine",
                                        "stop-words none",      "stop-words default",  "tokenizer words",
                                        "tokenizer bpe",        "models all",          "models best"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(command, sizeof command, "train_zoo --data /nowhere/x.tsv --%s", words[i]);
        must_be_understood(command);
    }
}
END_TEST

/* The command lines in the blocks of the pages, with no such data, and in an empty folder, where no run of
 * the user's goes on: nothing is trained, all words are read. */
START_TEST(commands_of_the_pages_are_understood)
{
    shell_must("cat README.md docs/*.md docs/notes/*.md | sed -n '/^```sh/,/^```$/p; s/^    tools/tools/p' | "
               "sed -e ':a' -e '/\\\\$/N; s/\\\\\\n//; ta' | grep -o 'tools/train_zoo [^#|>&;`]*' | grep -v "
               "'[$]' | sort -u > "
               "%s/lines && [ $(wc -l < %s/lines) -gt 8 ] && mkdir %s/empty",
               folder, folder, folder);
    shell_must(
        "while IFS= read -r line; do "
        "case $line in *--resume*|*--compare*|*--list*) more= ;; *) more='--data /nowhere/x.tsv' ;; esac; "
        "(cd %s/empty && eval \"%s/${line#tools/} $more\") > %s/said 2>&1; [ $? -ne 2 ] || { echo \"$line\"; "
        "cat %s/said; "
        "}; "
        "done < %s/lines",
        folder, tools, folder, folder, folder);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

/* `--name VALUE` in the prose of the pages. */
START_TEST(values_in_the_pages_are_understood)
{
    shell_must("cat README.md docs/*.md docs/notes/*.md | grep -o '`--[a-z-]* [a-z0-9.-]*`' | tr -d '`' | "
               "sort -u > %s/words && "
               "[ $(wc -l < %s/words) -gt 10 ]",
               folder, folder);
    shell_must("while IFS= read -r words; do ok=; "
               "for program in 'train_zoo --data /nowhere/x.tsv' 'train_zoo --data /nowhere/x.tsv --init "
               "/nowhere/x.npz' 'train_zoo --data /nowhere/x.tsv --vectors /nowhere/x.npz' 'predict "
               "/nowhere/x.npz' 'bpe train --out /nowhere/x "
               "/nowhere/y' 'bpe encode --tokenizer /nowhere/x /nowhere/y' 'vectors --data /nowhere/x --out "
               "/nowhere/y' "
               "'lm --data /nowhere/x --out /nowhere/y'; do "
               "%s/$program $words < /dev/null > /dev/null 2>&1; [ $? -eq 2 ] || ok=1; done; [ \"$ok\" ] || "
               "echo \"$words\"; "
               "done < %s/words",
               tools, folder);
    ck_assert_str_eq(shell_output(), "");
}
END_TEST

Suite *tools_zoo_settings_suite(void);
Suite *tools_zoo_settings_suite(void)
{
    Suite *suite = suite_create("tools/zoo_settings");
    TCase *tcase = tcase_create("model_zoo_settings");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_add_loop_test(tcase, an_option_does_what_it_says, 0, CASES);
    tcase_add_test(tcase, every_option_is_tried);
    tcase_add_test(tcase, values_in_the_help_are_understood);
    tcase_add_test(tcase, commands_of_the_pages_are_understood);
    tcase_add_test(tcase, values_in_the_pages_are_understood);
    suite_add_tcase(suite, tcase);
    return suite;
}
