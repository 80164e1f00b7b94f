/* train_zoo with its ids in files: the bytes of a run in memory, in less memory. */
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define SMALL                                                                                                \
    "'%s/train_zoo' --models rnn,attention --epochs 2 --batch 16 --embed 8 --hidden 8 --threads 2 --quiet "
#define DEBIAN "--data tests/fixtures/debian_120.tsv "

START_TEST(a_run_has_the_bytes_of_one_in_memory)
{
    static const char *const options[] = {"--valid 0.25 --ensemble", "--valid 0.25 --refit --shrinkage 10",
                                          "--tokenizer bpe --vocab 200", "--shards 2 --seeds 2"};
    for (int i = 0; i < 4; i++) {
        shell_must(SMALL DEBIAN "%s --out '%s/memory%d'", tools, options[i], folder, i);
        for (int again = 0; again < 2; again++) {
            char memory[16], files[16];
            snprintf(memory, sizeof memory, "memory%d", i);
            snprintf(files, sizeof files, "files%d%d", i, again);
            shell_must(SMALL DEBIAN "%s --cache '%s/cache' --out '%s/%s'", tools, options[i], folder, folder,
                       files);
            same_runs(memory, files);
        }
    }
}
END_TEST

/* One cache for all ranks of the machine. */
START_TEST(ranks_share_it)
{
    shell_must(SMALL DEBIAN "--shards 3 --out '%s/one'", tools, folder);
    shell_must(SMALL DEBIAN "--shards 3 --ranks 3 --cache '%s/cache' --out '%s/three'", tools, folder,
               folder);
    same_runs("one", "three");
    shell_must("[ $(ls '%s/cache' | wc -l) = 3 ]", folder);
}
END_TEST

/* Shuffled by blocks: the same bytes on ranks and after an interruption, and only where there are files. */
START_TEST(blocks_are_shuffled)
{
    shell_must(SMALL DEBIAN "--shards 3 --cache '%s/cache' --out '%s/all'", tools, folder, folder);
    shell_must(SMALL DEBIAN "--shards 3 --shuffle-block 2 --cache '%s/cache' --out '%s/one'", tools, folder,
               folder);
    shell_must("! cmp -s '%s/all/rnn.best.npz' '%s/one/rnn.best.npz'", folder, folder);
    shell_must(SMALL DEBIAN "--shards 3 --shuffle-block 2 --ranks 3 --cache '%s/cache' --out '%s/three'",
               tools, folder, folder);
    same_runs("one", "three");
    shell_must(SMALL DEBIAN "--shards 3 --shuffle-block 2 --epochs 1 --cache '%s/cache' --out '%s/cut' && "
                            "'%s/train_zoo' --resume '%s/cut' --epochs 2 --quiet",
               tools, folder, folder, tools, folder);
    same_runs("one", "cut");
    ck_assert_int_eq(shell_run(SMALL DEBIAN "--shuffle-block 2 --out '%s/x'", tools, folder), 2);
    ck_assert_ptr_nonnull(strstr(shell_output(), "--shuffle-block: is for ids in files"));
    ck_assert_int_eq(shell_run("'%s/train_zoo' --resume '%s/one' --shuffle-block 3 --quiet", tools, folder),
                     2);
}
END_TEST

START_TEST(a_run_goes_on_with_it)
{
    shell_must(SMALL DEBIAN "--out '%s/whole'", tools, folder);
    shell_must(SMALL DEBIAN "--epochs 1 --cache '%s/cache' --out '%s/cut'", tools, folder, folder);
    shell_must("rm -r '%s/cache' && '%s/train_zoo' --resume '%s/cut' --epochs 2 --quiet", folder, tools,
               folder);
    same_runs("whole", "cut");
    shell_must(
        "'%s/train_zoo' --resume '%s/cut' --epochs 3 --cache none --quiet && "
        "'%s/train_zoo' --resume '%s/cut' --epochs 4 --cache '%s/other' --quiet && ls '%s/other/'*.data",
        tools, folder, tools, folder, folder, folder);
}
END_TEST

START_TEST(a_stream_is_read_too)
{
    shell_must(SMALL DEBIAN "--out '%s/file'", tools, folder);
    shell_must("gzip -c tests/fixtures/debian_120.tsv | " SMALL
               "--data - --cache '%s/cache' --out '%s/stream'",
               tools, folder, folder);
    shell_must("cmp '%s/file/rnn.best.npz' '%s/stream/rnn.best.npz'", folder, folder);
    ck_assert_int_eq(shell_run(SMALL "--data - --ranks 2 --cache '%s/cache' --out '%s/x' < /dev/null", tools,
                               folder, folder),
                     2);
    ck_assert_ptr_nonnull(strstr(shell_output(), "several ranks cannot read one stream"));
}
END_TEST

START_TEST(what_is_wrong_is_told)
{
    shell_must(SMALL DEBIAN "--cache '%s/cache' --out '%s/one'", tools, folder, folder);
    shell_must(
        "for f in '%s/cache/'*.data; do printf X | dd of=$f bs=1 seek=100 conv=notrunc status=none; done",
        folder);
    shell_must(SMALL DEBIAN "--cache '%s/cache' --out '%s/two'", tools, folder, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), "is damaged: its checksum is wrong; it is made anew"));
    same_runs("one", "two");
    ck_assert_int_eq(shell_run(SMALL DEBIAN
                               "--tokenizer bpe --bpe-dropout 0.1 --cache '%s/cache' --out '%s/x'",
                               tools, folder, folder),
                     2);
    ck_assert_ptr_nonnull(strstr(shell_output(), "--cache"));
    ck_assert_int_eq(
        shell_run(SMALL DEBIAN "--cache tests/fixtures/debian_120.tsv --out '%s/x'", tools, folder), 1);
}
END_TEST

/* Where sanitizers are, memory is not the program's. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define HAS_LIMITS 0
#else
#define HAS_LIMITS 1
#endif

/* A hundred megabytes in twenty: in memory they do not fit, and files are taken to by themselves. */
START_TEST(five_times_the_memory)
{
#define LARGE                                                                                                \
    "'%s/train_zoo' --data '%s/large.tsv' --models rnn --epochs 1 --embed 4 --hidden 4 --max-len 16 "        \
    "--threads 1 "                                                                                           \
    "--quiet "
    if (!HAS_LIMITS)
        return;
    shell_must(
        "cd '%s' && awk 'BEGIN { srand(1); for (i = 0; i < 400; i++) { for (k = 0; k < 400; k++) "
        "printf \"%%c%%c%%c%%c%%s \", 97 + rand() * 26, 97 + rand() * 26, 97 + rand() * 3, 97 + rand() * 2, "
        "\"s\"; printf \"\\t%%c\\n\", 97 + i %% 3 } }' > block && { printf 'text\\tlabels\\n'; "
        "for i in $(seq 107); do cat block; done; } > large.tsv && [ $(stat -c %%s large.tsv) -gt 102400000 "
        "]",
        folder);
    shell_must(LARGE "--out '%s/whole'", tools, folder, folder);
    ck_assert_int_eq(shell_run("ulimit -s 512; ulimit -d 20000; " LARGE "--cache none --out '%s/none'", tools,
                               folder, folder),
                     1);
    ck_assert_ptr_nonnull(strstr(shell_output(), "out of memory"));
    shell_must("ulimit -s 512; ulimit -d 20000; " LARGE "--out '%s/limited'", tools, folder, folder);
    shell_must("ls '%s/limited/cache/'*.data && [ ! -e '%s/whole/cache' ]", folder, folder);
    same_runs("whole", "limited");
}
END_TEST

Suite *tools_cache_suite(void);
Suite *tools_cache_suite(void)
{
    Suite *suite = suite_create("tools/cache");
    TCase *tcase = tcase_create("cache");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_add_test(tcase, a_run_has_the_bytes_of_one_in_memory);
    tcase_add_test(tcase, ranks_share_it);
    tcase_add_test(tcase, blocks_are_shuffled);
    tcase_add_test(tcase, a_run_goes_on_with_it);
    tcase_add_test(tcase, a_stream_is_read_too);
    tcase_add_test(tcase, what_is_wrong_is_told);
    tcase_add_test(tcase, five_times_the_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}
