/* tests/fixtures/runs: checkpoints and runs that version 0.1.0 wrote are read, answered from and gone on
 * with. */
#include "tensor/storage/npz_reader.h"
#include "tensor/vmath.h"
#include "tests/program_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define RUNS "tests/fixtures/runs"

/* Logits differ by rounding between processors; nothing else may. */
START_TEST(every_checkpoint_answers_as_it_did)
{
    shell_must("sh " RUNS "/answers.sh %s/predict >%s/answers.txt && "
               "paste -d ' ' " RUNS "/answers.txt %s/answers.txt | "
               "awk '$1 != $5 || $2 != $6 || $3 != $7 || ($4 - $8) ^ 2 > (1e-5 * $4) ^ 2 { print; bad = 1 } "
               "END { exit bad || NR != %d }'",
               tools, folder, folder, 1024);
}
END_TEST

/* The CRC-32 of a line "name CRC-32" for each weight, as make.sh has it. */
static uint32_t weights_hash(const char *path)
{
    TensorNpz *npz;
    uLong hash = 0;
    char line[256];
    ReelStatus status = tensor_npz_open(&npz, path);
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
    for (int i = 0; i < tensor_npz_count(npz); i++) {
        const TensorNpzMember *member = tensor_npz_member(npz, i);
        if (!member->is_array || strncmp(member->name, "reel/", 5) == 0)
            continue;
        int size = snprintf(line, sizeof line, "%s %08" PRIx32 "\n", member->name, member->crc);
        hash = crc32(hash, (const Bytef *)line, (uInt)size);
    }
    tensor_npz_close(npz);
    return (uint32_t)hash;
}

/* The corpus is put where the runs remember it. */
static void go_on(const char *run)
{
    char path[128], text[600];
    unsigned expected;
    int files = 0;
    if (tensor_vmath_level() == TENSOR_VMATH_PORTABLE) {
        test_skip(
            "the weights of tests/fixtures/runs are those of AVX2 and AVX-512; others round differently");
        return;
    }
    shell_must("mkdir -p /tmp/reel-fixture && cp " RUNS "/corpus.tsv /tmp/reel-fixture/corpus.%d && "
               "mv /tmp/reel-fixture/corpus.%d /tmp/reel-fixture/corpus.tsv && cp -r " RUNS "/%s %s && "
               "chmod -R u+w %s && %s/train_zoo --resume %s/%s",
               (int)getpid(), (int)getpid(), run, folder, folder, tools, folder, run);
    /* It was gone on with, not begun again: the epochs that were done are not shown. */
    ck_assert_msg(strstr(shell_output(), " 1/4 ") == NULL, "%s", shell_output());
    FILE *list = fopen(RUNS "/weights.txt", "r");
    ck_assert_ptr_nonnull(list);
    while (fscanf(list, "%127s %x", path, &expected) == 2) {
        if (strncmp(path, run, strlen(run)) != 0 || path[strlen(run)] != '/')
            continue;
        snprintf(text, sizeof text, "%s/%s", folder, path);
        ck_assert_msg(weights_hash(text) == expected, "%s: %08" PRIx32 " instead of %08x", path,
                      weights_hash(text), expected);
        files++;
    }
    fclose(list);
    ck_assert_int_gt(files, 0);
}

START_TEST(a_run_that_was_finished_stays)
{
    go_on("finished");
}
END_TEST

START_TEST(a_run_killed_in_mid_epoch_ends_in_the_same_weights)
{
    go_on("adam");
}
END_TEST

START_TEST(so_does_one_of_the_best_model)
{
    go_on("best");
}
END_TEST

START_TEST(so_does_one_with_every_option)
{
    go_on("words_and_pairs");
}
END_TEST

/* With the corpus where it is now, for more epochs, on other threads; and then the folder knows it. */
START_TEST(a_run_may_go_further_than_it_was_to_go)
{
    shell_must("cp -r " RUNS
               "/finished %s && chmod -R u+w %s && %s/train_zoo --resume %s/finished --data " RUNS
               "/corpus.tsv --epochs 3 --threads 2",
               folder, folder, tools, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), " 3/3 "));
    ck_assert_ptr_null(strstr(shell_output(), " 2/3 "));
    shell_must("%s/train_zoo --resume %s/finished --epochs 4", tools, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), " 4/4 "));
    ck_assert_ptr_null(strstr(shell_output(), " 3/4 "));
}
END_TEST

/* Version 0.1.0 knew a run by all of its settings: where they were changed by hand, nothing is begun again.
 */
START_TEST(a_run_with_other_settings_is_left_alone)
{
    shell_must("cp -r " RUNS
               "/adam %s && chmod -R u+w %s && sed -i 's/\"lr\": 0.002/\"lr\": 0.1/' %s/adam/settings.json",
               folder, folder, folder);
    ck_assert_int_eq(
        shell_run("%s/train_zoo --resume %s/adam --data " RUNS "/corpus.tsv --quiet", tools, folder), 1);
    ck_assert_msg(strstr(shell_output(), "the settings beside it were changed") != NULL, "%s",
                  shell_output());
    shell_must(
        "cp " RUNS
        "/adam/settings.json %s/adam && sed -i 's/\"lr\": 0.002/\"lr\": 0.1/' %s/adam/settings.json && "
        "cat %s/adam/*.npz | cksum > %s/now && cat " RUNS "/adam/*.npz | cksum | cmp - %s/now",
        folder, folder, folder, folder, folder);
    ck_assert_int_eq(shell_run("%s/train_zoo --resume %s/adam --lr 0.01", tools, folder), 2);
}
END_TEST

Suite *tools_kept_runs_suite(void);
Suite *tools_kept_runs_suite(void)
{
    Suite *suite = suite_create("tools/kept_runs");
    TCase *tcase = tcase_create("kept_runs");
    tcase_add_checked_fixture(tcase, program_setup, program_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_checkpoint_answers_as_it_did);
    tcase_add_test(tcase, a_run_that_was_finished_stays);
    tcase_add_test(tcase, a_run_killed_in_mid_epoch_ends_in_the_same_weights);
    tcase_add_test(tcase, so_does_one_of_the_best_model);
    tcase_add_test(tcase, so_does_one_with_every_option);
    tcase_add_test(tcase, a_run_may_go_further_than_it_was_to_go);
    tcase_add_test(tcase, a_run_with_other_settings_is_left_alone);
    suite_add_tcase(suite, tcase);
    return suite;
}
