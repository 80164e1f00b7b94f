/* tools/lm, and train_zoo --pretrain: what is learned is written, asked and goes on after an interruption,
 * and is what a model begins with. */
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "tests/fixtures/debian_120.tsv"
/* A training of less than a second. */
#define SMALL "--embed 8 --hidden 8 --epochs 6 --batch 16 --lr 0.05 --word-dropout 0 "

static void setup(void)
{
    program_setup();
    shell_must(
        "for i in $(seq 200); do echo 'The cat, the dog and the Horse'; echo 'one two three four'; "
        "done > %s/raw; printf 'one two three four\\n' > %s/known; printf 'four one zebra\\n' > %s/odd",
        folder, folder, folder);
}

static void check_error(int code, int expected, const char *part)
{
    ck_assert_msg(code == expected, "exit code %d: %s", code, shell_output());
    must_say(part);
}

static double perplexity_on(const char *file)
{
    double perplexity = 0;
    shell_must("%s/lm --model %s/m.npz --perplexity %s/%s", tools, folder, folder, file);
    ck_assert_int_eq(sscanf(shell_output(), "perplexity %lf", &perplexity), 1);
    return perplexity;
}

START_TEST(a_model_is_trained_and_asked)
{
    shell_must("%s/lm --data %s/raw," CORPUS " --out %s/m.npz " SMALL, tools, folder, folder);
    must_say("the 96 texts of its training part");
    must_say("on the texts held out");
    shell_must("ls %s", folder);
    ck_assert_ptr_null(strstr(shell_output(), "state")); /* done: nothing to go on from */
    shell_must("%s/lm --data %s/raw --out %s/m.npz --valid %s/known " SMALL, tools, folder, folder, folder);
    must_say("400 texts to train with, 1 held out");
    double known = perplexity_on("known"), odd = perplexity_on("odd");
    must_say("1 are unknown words");
    ck_assert_msg(known < 2 && odd > 4 * known, "%g and %g", known, odd);
    shell_must("%s/lm --model %s/m.npz --sample 2 --prompt 'one two' --top-k 1", tools, folder);
    ck_assert_str_eq(shell_output(), "one two three four\none two three four\n");
    shell_must(
        "%s/lm --model %s/m.npz --sample 20 --temperature 2 --top-p 0.9 --seed 3 > %s/a; %s/lm --model "
        "%s/m.npz --sample 20 --temperature 2 --top-p 0.9 --seed 3 > %s/b; cmp %s/a %s/b; sort -u %s/a | "
        "wc -l",
        tools, folder, folder, tools, folder, folder, folder, folder, folder);
    ck_assert_int_gt(atoi(shell_output()), 3);
}
END_TEST

START_TEST(byte_pairs_do_as_well)
{
    shell_must("%s/lm --data %s/raw --out %s/m.npz --tokenizer bpe --vocab 50 --valid 0 " SMALL, tools,
               folder, folder);
    ck_assert_ptr_null(strstr(shell_output(), "on the texts held out"));
    shell_must("%s/lm --model %s/m.npz --perplexity %s/known --sample 1", tools, folder, folder);
    must_say("for each of 4 words");
}
END_TEST

/* Ends in the bytes of a training that was left alone, on one thread and on two. */
START_TEST(an_interrupted_training_goes_on)
{
#define LONG "--embed 16 --hidden 16 --epochs 40 --batch 16 --quiet "
    shell_must("%s/lm --data %s/raw --out %s/whole.npz " LONG "--threads 2", tools, folder, folder);
    int code = shell_run("%s/lm --data %s/raw --out %s/cut.npz " LONG
                         "--threads 1 & p=$!; sleep 0.4; kill -INT $p; wait $p",
                         tools, folder, folder);
    ck_assert_msg(code == 130 || code == 0, "exit code %d: %s", code, shell_output());
    if (code == 130) {
        shell_must("test ! -e %s/cut.npz", folder);
        check_error(shell_run("%s/lm --data %s/raw --out %s/cut.npz " LONG "--dropout 0.5 --resume", tools,
                              folder, folder),
                    1, "dropout 0.2");
        shell_must("%s/lm --data %s/raw --out %s/cut.npz " LONG "--threads 1 --resume", tools, folder,
                   folder);
    }
    shell_must("cmp %s/whole.npz %s/cut.npz", folder, folder);
}
END_TEST

#define TRAIN                                                                                                \
    "%s/train_zoo --data " CORPUS " --models %s --embed 8 --hidden 8 --epochs 2 --batch 16 --keep-digits "   \
    "--pretrain-epochs 2 --pretrain-dropout 0.1 "

static void make_texts(void)
{
    shell_must("cut -f 1 " CORPUS " | sed 1d > %s/texts", folder);
}

START_TEST(models_learn_a_language_first)
{
    make_texts();
    shell_must(TRAIN "--pretrain %s/texts --out %s/zoo", tools,
               "rnn,lstm,attention,stacked,attention_fed,gru,bilstm", folder, folder);
    must_say("120 texts, and 96 of the training part");
    must_say("bilstm        language pass 2/2");
    shell_must("ls %s/zoo", folder);
    ck_assert_ptr_null(strstr(shell_output(), "pretrained")); /* done */
    /* On any number of threads, and with the validation part left out first. */
    shell_must("for n in 1 2; do " TRAIN "--pretrain %s/texts --valid 0.2 --refit --threads $n --out %s/t$n "
               "--quiet; done; cmp %s/t1/bilstm.best.npz %s/t2/bilstm.best.npz",
               tools, "bilstm", folder, folder, folder, folder);
    /* Ranks come to the same. */
    shell_must("for n in 1 2; do " TRAIN "--pretrain %s/texts --ranks $n --out %s/r$n --quiet; done; cmp "
               "%s/r1/lstm.best.npz %s/r2/lstm.best.npz",
               tools, "lstm", folder, folder, folder, folder);
    /* It is not what training alone comes to. */
    shell_must(TRAIN "--out %s/alone --quiet; ! cmp -s %s/alone/lstm.best.npz %s/zoo/lstm.best.npz", tools,
               "lstm", folder, folder, folder);
    /* Goes on from the texts that it was begun with, and refuses others. */
    shell_must("%s/train_zoo --resume %s/zoo --epochs 3 --quiet", tools, folder);
    shell_must("echo more >> %s/texts", folder);
    check_error(shell_run("%s/train_zoo --resume %s/zoo --epochs 4 --quiet", tools, folder), 1,
                "are not the texts that the run");
}
END_TEST

/* What lies below the output is first trained after N epochs, and each further layer after N more. */
START_TEST(layers_wake_one_after_another)
{
    shell_must(
        "for e in 1 2 3 4 5; do %s/train_zoo --data " CORPUS " --models rnn --embed 8 --hidden 8 --batch 16 "
        "--epochs $e --unfreeze 2 --quiet --out %s/e$e; %s/predict %s/e$e/rnn.last.npz --export %s/e$e.npz; "
        "(mkdir %s/w$e && cd %s/w$e && unzip -q ../e$e.npz); done",
        tools, folder, tools, folder, folder, folder, folder);
    shell_must(
        "cd %s && cmp w1/hidden_linear.weight.npy w2/hidden_linear.weight.npy && ! cmp -s "
        "w2/hidden_linear.weight.npy w3/hidden_linear.weight.npy && cmp w1/embedding.weight.npy "
        "w4/embedding.weight.npy && ! cmp -s w4/embedding.weight.npy w5/embedding.weight.npy && ! cmp -s "
        "w1/output_layer.weight.npy w2/output_layer.weight.npy",
        folder);
}
END_TEST

/* Stopped while it learns the language, or later; it ends in the same weights. */
START_TEST(an_interrupted_pretraining_goes_on)
{
    make_texts();
#define SLOW TRAIN "--pretrain %s/texts --pretrain-epochs 60 --quiet --threads 1 --out %s/"
    shell_must(SLOW "whole", tools, "lstm", folder, folder);
    int code = shell_run(SLOW "cut & p=$!; sleep 0.4; kill -INT $p; wait $p", tools, "lstm", folder, folder);
    ck_assert_msg(code == 130 || code == 0, "exit code %d: %s", code, shell_output());
    if (code == 130)
        shell_must("%s/train_zoo --resume %s/cut --quiet", tools, folder);
    shell_must("cmp %s/whole/lstm.best.npz %s/cut/lstm.best.npz; test ! -e %s/cut/lstm.pretrained.npz",
               folder, folder, folder);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const struct {
        const char *models, *options, *says;
        int code;
    } zoo[] = {
        {"bag", "--pretrain texts", "bag has no recurrent layers", 2},
        {"lstm", "--pretrain none.txt", "none.txt", 1},
        {"lstm", "--pretrain empty", "holds no text", 1},
        {"bilstm", "--pretrain texts --layers 2", "use --layers 1", 2},
        {"lstm", "--pretrain texts --init x.npz", "choose one", 2},
    };
    make_texts();
    shell_must(": > %s/empty", folder);
    for (size_t i = 0; i < sizeof zoo / sizeof *zoo; i++) {
        int code = shell_run("d=$PWD; t=$(realpath %s); cd %s && $t/train_zoo --data $d/" CORPUS
                             " --models %s --epochs 1 --out %s/none %s",
                             tools, folder, zoo[i].models, folder, zoo[i].options);
        check_error(code, zoo[i].code, zoo[i].says);
    }
    check_error(shell_run("%s/lm --out %s/m.npz", tools, folder), 2,
                "--data FILES and --out FILE are required");
    check_error(shell_run("%s/lm --data x --out y --sample 3", tools), 2, "--model FILE with --perplexity");
    check_error(shell_run("%s/lm --model x --data y", tools), 2, "alone");
    check_error(shell_run("%s/lm --data x --out y --tokenizer letters", tools), 2, "must be words or bpe");
    check_error(shell_run("%s/lm --data %s/none.txt --out %s/m.npz", tools, folder, folder), 1, "none.txt");
    check_error(shell_run("%s/lm --data %s/empty --out %s/m.npz", tools, folder, folder), 1, "holds no text");
    check_error(shell_run("%s/lm --model %s/raw --sample 1", tools, folder), 1, "raw");
    check_error(shell_run("%s/lm --model tests/fixtures/npz/dtypes.npz --sample 1", tools), 1,
                "is no language model");
    shell_must("test ! -e %s/m.npz", folder);
    shell_must("%s/lm --data %s/raw --out %s/m.npz --quiet " SMALL "&& head -c 2000 %s/m.npz > %s/cut.npz",
               tools, folder, folder, folder, folder);
    check_error(shell_run("%s/lm --model %s/cut.npz --sample 1", tools, folder), 1, "cut.npz");
}
END_TEST

Suite *tools_lm_suite(void);
Suite *tools_lm_suite(void)
{
    Suite *suite = suite_create("tools/lm");
    TCase *cases = tcase_create("lm");
    tcase_add_checked_fixture(cases, setup, program_teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_model_is_trained_and_asked);
    tcase_add_test(cases, byte_pairs_do_as_well);
    tcase_add_test(cases, an_interrupted_training_goes_on);
    tcase_add_test(cases, models_learn_a_language_first);
    tcase_add_test(cases, layers_wake_one_after_another);
    tcase_add_test(cases, an_interrupted_pretraining_goes_on);
    tcase_add_test(cases, what_cannot_be_is_refused);
    suite_add_tcase(suite, cases);
    return suite;
}
