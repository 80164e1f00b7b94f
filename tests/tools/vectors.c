/* tools/vectors, and train_zoo --vectors: what is learned is written, goes on after an interruption, and is
 * what a model begins with. */
#include "tensor/storage/npz.h"
#include "tests/nn_support.h"
#include "tests/program_support.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CORPUS "tests/fixtures/debian_120.tsv"
/* A training of less than a second. */
#define SMALL "--dim 8 --epochs 3 --keep-digits "

static void setup(void)
{
    program_setup();
    /* Lines of text with the words of two topics. */
    shell_must("for i in $(seq 200); do echo 'The cat, the dog and the Horse'; echo 'one two three four'; "
               "done > %s/raw",
               folder);
}

static void check_error(int code, const char *part)
{
    ck_assert_msg(code == 1 || code == 2, "exit code %d: %s", code, shell_output());
    must_say(part);
}

START_TEST(vectors_are_learned_and_looked_into)
{
    shell_must("%s/vectors --data %s/raw," CORPUS " --out %s/v.txt " SMALL "--neighbours cat", tools, folder,
               folder);
    must_say("the 96 texts of its training part");
    must_say("cat:");
    shell_must("head -1 %s/v.txt && ls %s", folder, folder);
    must_say(" 8\n");
    ck_assert_ptr_null(strstr(shell_output(), "state")); /* done: nothing to go on from */
    shell_must("%s/vectors --vectors %s/v.txt --neighbours cat,three", tools, folder);
    must_say("three:");
    check_error(shell_run("%s/vectors --vectors %s/v.txt --neighbours zebra", tools, folder),
                "\"zebra\" is not among the words");
}
END_TEST

/* Of 300 files and 300 words none is left out. */
START_TEST(lists_may_be_long)
{
    shell_must("cd %s && for i in $(seq 300); do echo \"all ones last$i\" > t$i; done && '%s'/vectors --data "
               "$(seq -f t%%g -s, 300) --out v.txt --dim 8 --epochs 1 --min-count 1 --keep-digits && "
               "'%s'/vectors --vectors v.txt --neighbours $(seq -f last%%g -s, 300)",
               folder, tools, tools);
    must_say("\nlast300: ");
}
END_TEST

/* Ends in the bytes of a training that was left alone, on one thread and on two. */
START_TEST(an_interrupted_training_goes_on)
{
    shell_must("%s/vectors --data %s/raw --out %s/whole.bin --dim 16 --epochs 40 --threads 2 --quiet", tools,
               folder, folder);
    int code = shell_run(
        "%s/vectors --data %s/raw --out %s/cut.bin --dim 16 --epochs 40 --threads 1 --quiet & p=$!; sleep "
        "0.3; kill -INT $p; wait $p",
        tools, folder, folder);
    ck_assert_msg(code == 130 || code == 0, "exit code %d: %s", code, shell_output());
    if (code == 130) {
        shell_must("test ! -e %s/cut.bin", folder);
        check_error(
            shell_run("%s/vectors --data %s/raw --out %s/cut.bin --dim 17 --epochs 40 --resume --quiet",
                      tools, folder, folder),
            "width 16");
        shell_must(
            "%s/vectors --data %s/raw --out %s/cut.bin --dim 16 --epochs 40 --threads 1 --resume --quiet",
            tools, folder, folder);
    }
    shell_must("cmp %s/whole.bin %s/cut.bin", folder, folder);
}
END_TEST

#define TRAIN                                                                                                \
    "%s/train_zoo --data " CORPUS                                                                            \
    " --models rnn,attention --embed 8 --hidden 8 --epochs 2 --batch 16 --keep-digits "

START_TEST(models_begin_with_vectors)
{
    shell_must("%s/vectors --data " CORPUS " --out %s/v.npz " SMALL "--quiet", tools, folder);
    shell_must(TRAIN "--vectors %s/v.npz --freeze-vectors 2 --out %s/frozen", tools, folder, folder);
    must_say("v.npz: npz, ");
    must_say("words to train with it has");
    /* Frozen to the end, the embedding is that of the file still: with itself as vectors nothing changes. */
    shell_must(TRAIN "--vectors %s/v.npz --out %s/free --quiet", tools, folder, folder);
    shell_must("for r in frozen free; do %s/predict %s/$r/rnn.best.npz --export %s/$r.npz; done", tools,
               folder, folder);
    shell_must("cd %s && for r in frozen free; do unzip -o -q $r.npz embedding.weight.npy -d $r.d; done; "
               "! cmp -s frozen.d/embedding.weight.npy free.d/embedding.weight.npy",
               folder);
    /* Goes on from the file that it was begun with, and refuses another. */
    shell_must("%s/train_zoo --resume %s/free --epochs 3 --quiet", tools, folder);
    shell_must("%s/vectors --data " CORPUS " --out %s/v.npz " SMALL "--seed 1 --quiet", tools, folder);
    check_error(shell_run("%s/train_zoo --resume %s/free --epochs 4 --quiet", tools, folder),
                "are not the vectors that the run");
}
END_TEST

/* What `best` begins with has the size that its learning rate is meant for, whatever that of the file. */
START_TEST(best_scales_its_vectors)
{
    shell_must("%s/vectors --data " CORPUS " --out %s/v.txt " SMALL "--quiet", tools, folder);
    shell_must("cd %s && awk 'NR > 1 { for (i = 2; i <= NF; i++) $i *= 1000 } 1' v.txt > large.txt", folder);
    shell_must("%s/train_zoo --data " CORPUS
               " --models best --embed 8 --epochs 2 --vectors %s/large.txt --quiet --out %s/best",
               tools, folder, folder);
    ck_assert_msg(strstr(shell_output(), "of the learning rate") == NULL, "%s", shell_output());
}
END_TEST

/* How far an embedding went from `then`, as a sum of squares. */
static double way(const char *then, const char *run)
{
    TensorNpz *before, *after;
    TensorArena arena;
    Tensor a, b;
    char path[2][300];
    double squares = 0;
    tensor_arena_init(&arena, 0);
    snprintf(path[0], sizeof path[0], "%s/%s/rnn.best.npz", folder, then);
    snprintf(path[1], sizeof path[1], "%s/%s/rnn.best.npz", folder, run);
    ck_assert_ok(tensor_npz_open(&before, path[0]));
    ck_assert_ok(tensor_npz_open(&after, path[1]));
    ck_assert_ok(tensor_npz_read_tensor(before, tensor_npz_find(before, "embedding.weight"), &arena, &a));
    ck_assert_ok(tensor_npz_read_tensor(after, tensor_npz_find(after, "embedding.weight"), &arena, &b));
    for (int64_t i = 0; i < tensor_numel(&a); i++)
        squares += pow(tensor_f32(a)[i] - tensor_f32(b)[i], 2);
    tensor_npz_close(before);
    tensor_npz_close(after);
    tensor_arena_free(&arena);
    return squares;
}

START_TEST(vectors_have_a_learning_rate_of_their_own)
{
    shell_must("%s/vectors --data " CORPUS " --out %s/v.npz " SMALL "--quiet", tools, folder);
    shell_must(TRAIN "--vectors %s/v.npz --freeze-vectors 2 --out %s/frozen --quiet", tools, folder, folder);
    shell_must(TRAIN "--vectors %s/v.npz --out %s/free --quiet", tools, folder, folder);
    shell_must(TRAIN "--vectors %s/v.npz --vectors-lr 0.002 --out %s/same --quiet", tools, folder, folder);
    shell_must(TRAIN "--vectors %s/v.npz --vectors-lr 0.0002 --out %s/slow --quiet", tools, folder, folder);
    ck_assert(way("free", "same") == 0);
    double slow = way("frozen", "slow"), free_way = way("frozen", "free");
    ck_assert_msg(slow > 0 && slow < 0.1 * free_way, "slow %g, free %g", slow, free_way);
    /* Interrupted after an epoch and resumed, it goes where it would have gone. */
    shell_must(TRAIN "--vectors %s/v.npz --vectors-lr 0.0002 --epochs 3 --out %s/three --quiet", tools,
               folder, folder);
    shell_must("%s/train_zoo --resume %s/slow --epochs 3 --quiet", tools, folder);
    shell_must("cd %s && for r in three slow; do unzip -o -q $r/rnn.last.npz 'embedding.weight.npy' "
               "'reel/optimizer/*' -d $r.d; done && diff -r three.d slow.d",
               folder);
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    static const struct {
        const char *options, *says;
        int code;
    } cases[] = {
        {"--vectors /nonexistent", "/nonexistent", 1},
        {"--vectors v.txt", "the vectors are 3 wide and the embedding is 8; give --embed 3", 2},
        {"--vectors cut.txt --embed 3", "is it cut?", 1},
        {"--vectors v.txt --tokenizer bpe", "holds words, which do not go with byte pairs", 2},
        {"--freeze-vectors 1", "--freeze-vectors: is of --vectors, which are missing", 2},
        {"--vectors-lr 0.1", "--vectors-lr: is of --vectors, which are missing", 2},
        {"--vectors v.txt --vectors-lr -1", "--vectors-lr", 2},
    };
    shell_must(
        "printf 'the 1 2 3\\nfor 4 5 6\\n' > %s/v.txt; printf '3 3\\nthe 1 2 3\\nfor 4 5 6\\n' > %s/cut.txt",
        folder, folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int code = shell_run("d=$PWD; t=$(realpath %s); cd %s && $t/train_zoo --data $d/" CORPUS
                             " --models rnn --embed 8 --epochs 1 --out %s/none %s",
                             tools, folder, folder, cases[i].options);
        ck_assert_msg(code == cases[i].code, "%s: exit code %d: %s", cases[i].options, code, shell_output());
        must_say(cases[i].says);
    }
    check_error(shell_run("%s/vectors --out %s/v.txt", tools, folder),
                "--data FILES and --out FILE are required");
    check_error(shell_run("%s/vectors --vectors %s/v.txt --data x --neighbours the", tools, folder), "alone");
    check_error(shell_run("%s/vectors --data %s/none.txt --out %s/w.txt", tools, folder, folder), "none.txt");
    check_error(
        shell_run(": > %s/empty; %s/vectors --data %s/empty --out %s/w.txt", folder, tools, folder, folder),
        "holds no text");
    shell_must("test ! -e %s/w.txt", folder);
}
END_TEST

Suite *tools_vectors_suite(void);
Suite *tools_vectors_suite(void)
{
    Suite *suite = suite_create("tools/vectors");
    TCase *cases = tcase_create("vectors");
    tcase_add_checked_fixture(cases, setup, program_teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, vectors_are_learned_and_looked_into);
    tcase_add_test(cases, lists_may_be_long);
    tcase_add_test(cases, an_interrupted_training_goes_on);
    tcase_add_test(cases, models_begin_with_vectors);
    tcase_add_test(cases, best_scales_its_vectors);
    tcase_add_test(cases, vectors_have_a_learning_rate_of_their_own);
    tcase_add_test(cases, what_cannot_be_is_refused);
    suite_add_tcase(suite, cases);
    return suite;
}
