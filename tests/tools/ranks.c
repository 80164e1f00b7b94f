/* train_zoo on several ranks: the bytes of one, and the end of a rank. tests/ranks.sh tries much more. */
#include "tests/program_support.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* A small run; what it writes is compared but for times, memory and threads. */
#define RUN                                                                                                  \
    "'%s/train_zoo' --data tests/fixtures/debian_120.tsv --models rnn --epochs 2 --embed 8 --hidden 8 "      \
    "--quiet --shards 5 --checkpoint-every 1 "

START_TEST(bytes_do_not_depend_on_the_ranks)
{
    static const char *const options[] = {"--optimizer adamw --clip 0.5", "--word-dropout 0.2 --batch 3"};
    for (int i = 0; i < 2; i++) {
        shell_must(RUN "%s --out '%s/one%d'", tools, options[i], folder, i);
        for (int ranks = 2; ranks <= 3; ranks++) {
            char one[16], more[16];
            snprintf(one, sizeof one, "one%d", i);
            snprintf(more, sizeof more, "more%d-%d", i, ranks);
            shell_must(RUN "%s --out '%s/%s' --ranks %d --threads 1", tools, options[i], folder, more, ranks);
            same_runs(one, more);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_is_told_once)
{
    ck_assert_int_eq(shell_run(RUN "--out '%s/x' --ranks 6", tools, folder), 2);
    ck_assert_ptr_nonnull(strstr(shell_output(), "6 ranks and 5 shards"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "--ranks 5, or add --shards 6"));
    ck_assert_ptr_null(strchr(strchr(shell_output(), '\n') + 1, '\n'));
    ck_assert_int_eq(shell_run("'%s/train_zoo' --data /no/such --ranks 2", tools), 1);
    ck_assert_ptr_null(strchr(strchr(shell_output(), '\n') + 1, '\n'));
    ck_assert_int_eq(shell_run("'%s/train_zoo' --ranks 0", tools), 2);
}
END_TEST

/* Shards are resolved before they are saved. */
START_TEST(shards_0_are_ranks_times_threads)
{
    shell_must(
        "'%s/train_zoo' --data tests/fixtures/debian_120.tsv --models rnn --epochs 1 --embed 4 --hidden 4 "
        "--quiet --shards 0 --ranks 2 --threads 3 --out '%s/all' && grep -q '\"shards\": 6,' "
        "'%s/all/settings.json'",
        tools, folder, folder);
}
END_TEST

/* A signal to a rank; then the run goes on with others. The last rank is not the one that writes. */
static int interrupt(const char *signal, const char *more)
{
    return shell_run(
        RUN "--epochs 400 --out '%s/cut' --ranks 3 --threads 1 %s & parent=$!; "
            "i=0; while [ ! -e '%s/cut/rnn.last.npz' ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); "
            "done; kill -%s $(ps -o pid= --ppid $parent | tail -n 1); "
            "began=$(date +%%s); wait $parent; code=$?; kill -KILL $parent 2>/dev/null; "
            "[ $(($(date +%%s) - began)) -le 10 ] || echo too late; exit $code",
        tools, folder, more, folder, signal);
}

static void goes_on(void)
{
    shell_must("'%s/train_zoo' --resume '%s/cut' --epochs 400 --quiet --ranks 2 --threads 1", tools, folder);
    shell_must(RUN "--epochs 400 --out '%s/whole'", tools, folder);
    same_runs("whole", "cut");
}

START_TEST(a_rank_is_killed)
{
    if (!shell_has("ps"))
        return;
    ck_assert_int_eq(interrupt("KILL", ""), 1);
    ck_assert_ptr_nonnull(strstr(shell_output(), "was ended by signal 9"));
    ck_assert_ptr_null(strstr(shell_output(), "too late"));
    goes_on();
}
END_TEST

START_TEST(a_rank_is_asked_to_stop)
{
    if (!shell_has("ps"))
        return;
    ck_assert_int_eq(interrupt("USR1", ""), 138);
    ck_assert_ptr_nonnull(strstr(shell_output(), "interrupted: ended after the batch in hand"));
    goes_on();
}
END_TEST

START_TEST(a_rank_is_stopped)
{
    if (!shell_has("ps"))
        return;
    ck_assert_int_eq(interrupt("STOP", "--rank-timeout 5"), 1);
    ck_assert_ptr_nonnull(strstr(shell_output(), "rank 2 has not answered for 5 s"));
    ck_assert_ptr_null(strstr(shell_output(), "too late"));
}
END_TEST

Suite *tools_ranks_suite(void);
Suite *tools_ranks_suite(void)
{
    Suite *suite = suite_create("tools/ranks");
    TCase *tcase = tcase_create("ranks");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_add_test(tcase, bytes_do_not_depend_on_the_ranks);
    tcase_add_test(tcase, what_is_wrong_is_told_once);
    tcase_add_test(tcase, shards_0_are_ranks_times_threads);
    tcase_add_test(tcase, a_rank_is_killed);
    tcase_add_test(tcase, a_rank_is_asked_to_stop);
    tcase_add_test(tcase, a_rank_is_stopped);
    suite_add_tcase(suite, tcase);
    return suite;
}
