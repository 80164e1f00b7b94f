/* No program leaves memory behind, however it ends. Leaks are seen by LeakSanitizer, which is part of
 * SANITIZE=address, or with VALGRIND=1: both change the exit code. Without either, the exit codes are tested
 * alone. */
#include "tests/shell_support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Each line of a case is a command for the shell in the folder of the test; $T are the tools, $D the
 * repository, and $V stands before a program. The first character is the exit code. */

static const char *const train[] = {
    "0 $V $T/train_zoo --help",
    "0 $V $T/train_zoo --list",
    "2 $V $T/train_zoo",
    "2 $V $T/train_zoo --data $D/tests/fixtures/debian_120.tsv --models gpt",
    "2 $V $T/train_zoo --data $D/tests/fixtures/debian_120.tsv --epochs many",
    "2 $V $T/train_zoo --data $D/tests/fixtures/debian_120.tsv --output-bias x",
    "1 $V $T/train_zoo --data nowhere.tsv",
    "1 $V $T/train_zoo --data $D/Makefile",
    "1 $V $T/train_zoo --data $D/tests/fixtures/debian_120.tsv --out /dev/null/x",
    "1 $V $T/train_zoo --data $D/tests/fixtures/debian_120.tsv --stop-words nowhere",
    "1 $V $T/train_zoo --resume nowhere",
    "0 $V $T/train_zoo $O --models rnn,attention --keep 1 --out words",
    "0 $V $T/train_zoo --resume words",
    "2 $V $T/train_zoo --resume words --lr 9",
    "0 $V $T/train_zoo $O --models rnn --init words/rnn.best.npz --out again",
    "1 $V $T/train_zoo $O --models lstm --init words/rnn.best.npz --out again",
    "1 $V $T/train_zoo $O --models rnn --init $D/Makefile --out again",
    "0 $V $T/train_zoo --compare words again --out compare",
    "1 $V $T/train_zoo --compare words nowhere --out compare",
};

static const char *const predict[] = {
    "0 $V $T/predict --help",
    "2 $V $T/predict",
    "2 $V $T/predict model.npz a b",
    "2 $V $T/predict --threshold high",
    "1 $V $T/predict nowhere.npz",
    "1 $V $T/predict $D/Makefile",
    "1 $V $T/predict $D/tests/fixtures/npz/dtypes.npz",
    "1 head -c 3000 words/rnn.best.npz > cut.npz; $V $T/predict cut.npz",
    "0 $V $T/predict words/rnn.best.npz $D/README.md",
    "0 $V $T/predict words/attention.best.npz --json --attention --threads 3 < $D/README.md",
    "0 $V $T/predict words/attention.best.npz --attention --top 2 --quiet < $D/README.md",
    "0 $V $T/predict words/rnn.best.npz < /dev/null",
    "0 $V $T/predict bytes/rnn.best.npz $D/README.md --threshold 0.1",
    "0 $V $T/predict words/rnn.best.npz --eval $D/tests/fixtures/debian_120.tsv",
    "0 $V $T/predict bytes/rnn.best.npz --eval $D/tests/fixtures/debian_120.tsv --json",
    "1 $V $T/predict words/rnn.best.npz --eval $D/Makefile",
    "0 $V $T/predict words/rnn.best.npz --info",
    "0 $V $T/predict words/rnn.last.npz --info --json",
    "1 $V $T/predict $D/Makefile --info",
    "0 $V $T/predict words/rnn.best.npz --export words/rnn.safetensors",
    "0 $V $T/predict words/rnn.best.npz --export words/rnn.npz --quantize",
    "0 $V $T/predict words/rnn.npz $D/README.md",
    "0 $V $T/train_zoo $O --models rnn --init words/rnn.safetensors --out again",
    "1 $V $T/predict words/rnn.safetensors",
    "2 $V $T/predict words/rnn.best.npz --export words/rnn.best.npz",
    "2 $V $T/predict words/rnn.best.npz --attention < $D/README.md",
    "1 $V $T/predict words/rnn.best.npz nowhere.txt",
    "1 $V $T/predict words/rnn.best.npz .",
    "1 $V $T/predict words/rnn.best.npz $D/README.md > /dev/full",
};

static const char *const bpe[] = {
    "0 $V $T/bpe --help",
    "2 $V $T/bpe",
    "2 $V $T/bpe melt",
    "2 $V $T/bpe train --vocab many",
    "0 $V $T/bpe train --help",
    "0 $V $T/bpe train $D/README.md --vocab 300 --out tokenizer.json",
    "1 $V $T/bpe train nowhere --vocab 300 --out tokenizer.json",
    "1 $V $T/bpe train $D/README.md --vocab 300 --out /dev/null/x",
    "0 $V $T/bpe encode --ids --tokenizer tokenizer.json $D/README.md > ids",
    "0 $V $T/bpe decode --tokenizer tokenizer.json ids",
    "1 echo 99999999 | $V $T/bpe decode --tokenizer tokenizer.json -",
    "0 $V $T/bpe info --tokenizer tokenizer.json",
    "1 $V $T/bpe info --tokenizer $D/README.md",
    "1 $V $T/bpe encode --tokenizer nowhere $D/README.md",
};

#define LM "--embed 4 --hidden 4 --epochs 1 --threads 2 --quiet "
static const char *const texts[] = {
    "0 $V $T/lm --help",
    "2 $V $T/lm",
    "1 $V $T/lm --data nowhere --out lm.npz",
    "1 $V $T/lm --model $D/tests/fixtures/npz/dtypes.npz --sample 1",
    "0 $V $T/lm --data $D/README.md --out lm.npz " LM "&& $V $T/lm --model lm.npz --perplexity $D/README.md "
    "--sample 2 --most 5 --prompt reel",
    "0 $V $T/lm --data $D/README.md --out pairs.npz --tokenizer bpe --vocab 200 " LM
    "&& $V $T/lm --model pairs.npz --perplexity $D/README.md --sample 1 --most 5",
    "1 $V $T/lm --data $D/README.md --out lm.npz --resume " LM,
    "0 $V $T/vectors --data $D/README.md --out vectors.bin --dim 4 --epochs 1 --quiet --neighbours reel",
    "1 $V $T/vectors --vectors $D/README.md --neighbours reel",
    "0 $V $T/train_zoo $O --models lstm --pretrain $D/README.md --layer-rate 0.5 --unfreeze 1 --out "
    "pretrained",
    "2 $V $T/train_zoo $O --models bag --pretrain $D/README.md --out pretrained",
};

static const char *const others[] = {
    "0 $V $T/gradcheck --help",
    "2 $V $T/gradcheck --op nothing",
    "2 $V $T/gradcheck --seeds",
    "0 $V $T/gradcheck --op linear --seeds 1",
    "0 $V $T/gradcheck --op softmax --seeds 1 --json",
    "0 $V $T/bench --help",
    "2 $V $T/bench --models none",
    "2 $V $T/bench --batch 0",
    "0 $V $T/bench --models rnn --batch 3 --len 4 --vocab 50 --embed 4 --hidden 6 --labels 3 --threads 2 "
    "--steps "
    "1 --rounds 1 --json bench.json",
};

static const char *folder;

static void must_end(const char *line)
{
    const char *valgrind = getenv("REEL_VALGRIND");
    int got =
        shell_run("D=$PWD; cd %s && export ASAN_OPTIONS=detect_leaks=1; V='%s'; T=%s; "
                  "O=\"--data $D/tests/fixtures/debian_120.tsv --epochs 1 --batch 32 --embed 4 --hidden 4 "
                  "--threads 2 --quiet\"; %s",
                  folder, valgrind ? valgrind : "", shell_setting("REEL_TOOLS"), line + 2);
    ck_assert_msg(got == line[0] - '0', "exit code %d, not %c: %s\n%s", got, line[0], line + 2,
                  shell_output());
    ck_assert_msg(!strstr(shell_output(), "Sanitizer"), "%s\n%s", line + 2, shell_output());
}

static void setup(void)
{
    folder = shell_folder();
    must_end("0 $T/train_zoo $O --models rnn,attention --out words");
    must_end("0 $V $T/train_zoo $O --models rnn --tokenizer bpe --vocab 300 --out bytes");
}

static void teardown(void)
{
    shell_remove_folder(folder);
}

#define LEAK_TEST(program)                                                                                   \
    START_TEST(program##_leaves_nothing)                                                                     \
    {                                                                                                        \
        must_end(program[_i]);                                                                               \
    }                                                                                                        \
    END_TEST

LEAK_TEST(train)
LEAK_TEST(predict)
LEAK_TEST(bpe)
LEAK_TEST(texts)
LEAK_TEST(others)

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

Suite *tools_leaks_suite(void);
Suite *tools_leaks_suite(void)
{
    Suite *suite = suite_create("tools/leaks");
    TCase *tcase = tcase_create("leaks");
    tcase_set_timeout(tcase, 60);
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, train_leaves_nothing, 0, COUNT(train));
    tcase_add_loop_test(tcase, predict_leaves_nothing, 0, COUNT(predict));
    tcase_add_loop_test(tcase, bpe_leaves_nothing, 0, COUNT(bpe));
    tcase_add_loop_test(tcase, texts_leaves_nothing, 0, COUNT(texts));
    tcase_add_loop_test(tcase, others_leaves_nothing, 0, COUNT(others));
    suite_add_tcase(suite, tcase);
    return suite;
}
