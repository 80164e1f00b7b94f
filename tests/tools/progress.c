/* The progress display, drawn to a file as if it were a terminal, and that of the program through a pipe. */
#include "tools/progress.h"
#include "tests/shell_support.h"
#include "tests/skip_support.h"

#include <check.h>
#include <string.h>

static Progress to_file(FILE *file, bool live)
{
    return (Progress){.out = file, .live = live, .width = 80};
}

/* Plays a run, from one of its epochs on, whose loss falls from 0.5, batch by batch, and its epochs' ends. */
static void play_from(Progress *progress, int first, int epochs, int batches, double best, int best_epoch)
{
    double loss = 0.5;
    for (int e = first; e <= epochs; e++) {
        double sum = 0;
        for (int b = 1; b <= batches; b++, loss *= 0.95) {
            sum += loss;
            ModelRunProgress at = {.model = "lstm",
                                   .epoch = e,
                                   .epochs = epochs,
                                   .batch = b,
                                   .batches = batches,
                                   .tokens = 1000 * b,
                                   .seconds = 0.01 * b,
                                   .seconds_left = 83,
                                   .batch_loss = loss,
                                   .loss = sum / b,
                                   .best_f1 = best,
                                   .best_epoch = best_epoch};
            progress_show(progress, &at);
        }
        ModelRunEpoch epoch = {
            .epoch = e, .train_loss = sum / batches, .test_f1 = e == 2 ? 0.75 : 0.25, .seconds = 1};
        if (best_epoch == 0 || epoch.test_f1 > best) {
            best = epoch.test_f1;
            best_epoch = e;
        }
        ModelRunProgress end = {.model = "lstm",
                                .epoch = e,
                                .epochs = epochs,
                                .finished = &epoch,
                                .best_f1 = best,
                                .best_epoch = best_epoch};
        progress_show(progress, &end);
    }
}

static void play(Progress *progress, int epochs, int batches)
{
    play_from(progress, 1, epochs, batches, 0, 0);
}

static char text[1 << 16];

static const char *written(FILE *file)
{
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

START_TEST(a_file_gets_the_epochs_lines_and_no_escape_codes)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, false);
    play(&progress, 2, 5);
    progress_clear(&progress);
    const char *got = written(file);
    ck_assert_ptr_null(strchr(got, '\033'));
    ck_assert_ptr_null(strchr(got, '\r'));
    ck_assert_ptr_nonnull(
        strstr(got, "lstm          epoch  1/2  train loss 0.4524  test macro F1 0.2500  1.0 s\n"));
    ck_assert_ptr_nonnull(strstr(got, "epoch  2/2"));
    int lines = 0;
    for (const char *p = got; *p; p++)
        lines += *p == '\n';
    ck_assert_int_eq(lines, 2);
}
END_TEST

START_TEST(a_terminal_gets_one_line_a_model_that_stays)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, true);
    play(&progress, 3, 5);
    progress_clear(&progress);
    const char *got = written(file);
    ck_assert_ptr_nonnull(strstr(got, "\r\033[K"));
    ck_assert_ptr_null(strstr(got, "\033[3"));
    const char *last = strstr(got, "3 epochs, loss");
    ck_assert_ptr_nonnull(last);
    ck_assert_ptr_nonnull(strstr(last, "best F1 0.7500 in 2"));
    /* The loss falls all the time: the sparkline goes from the highest mark to the lowest. */
    ck_assert_ptr_nonnull(strstr(got, "lstm          #"));
    ck_assert_ptr_nonnull(strstr(got, "_ 3 epochs"));
}
END_TEST

START_TEST(the_best_is_that_of_the_whole_run)
{
    /* Goes on in epoch 3 with a best one that an earlier process has seen. */
    FILE *file = tmpfile();
    Progress progress = to_file(file, true);
    play_from(&progress, 3, 4, 5, 0.875, 1);
    progress_clear(&progress);
    const char *got = written(file);
    ck_assert_ptr_nonnull(strstr(got, "3/4 loss 0.5000 F1 0.875"));
    ck_assert_ptr_nonnull(strstr(got, "best F1 0.8750 in 1,"));
    /* The next model ends before its first epoch does, and is not summed up with this one's numbers. */
    file = progress.out = tmpfile();
    ModelRunProgress at = {
        .model = "rnn", .epoch = 2, .epochs = 4, .batch = 1, .batches = 5, .best_epoch = 1};
    progress_show(&progress, &at);
    progress_clear(&progress);
    ck_assert_ptr_null(strstr(written(file), "best F1"));
}
END_TEST

START_TEST(colour_is_only_where_it_is_wanted)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, true);
    progress.colour = true;
    play(&progress, 1, 3);
    progress_clear(&progress);
    const char *got = written(file);
    ck_assert_ptr_nonnull(strstr(got, "\033[36m"));
    ck_assert_ptr_nonnull(strstr(got, "\033[0m"));
}
END_TEST

START_TEST(quiet_is_quiet)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, true);
    progress.quiet = true;
    play(&progress, 2, 3);
    progress_clear(&progress);
    ck_assert_str_eq(written(file), "");
}
END_TEST

/* Columns of UTF-8 text. */
static int columns(const char *line)
{
    int count = 0;
    for (; *line; line++)
        count += ((unsigned char)*line & 0xC0) != 0x80;
    return count;
}

START_TEST(a_line_never_wraps)
{
    char line[PROGRESS_LINE_SIZE];
    for (int width = 1; width <= 130; width++) {
        FILE *file = tmpfile();
        Progress progress = to_file(file, true);
        progress.utf8 = width % 2;
        play(&progress, 2, 40);
        progress.width = width;
        ModelRunProgress at = {.model = "lstm",
                               .epoch = 2,
                               .epochs = 2,
                               .batch = 40,
                               .batches = 40,
                               .loss = 0.1,
                               .seconds_left = 4e4};
        ck_assert_int_lt(columns(progress_line(&progress, &at, line)), width < 15 ? 15 : width);
        fclose(file);
    }
}
END_TEST

/* Into a file or pipe a line is written when nothing was for a while. */
START_TEST(a_long_epoch_is_heard_of)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, false);
    ModelRunProgress at = {.model = "lstm",
                           .epoch = 1,
                           .epochs = 9,
                           .batch = 7,
                           .batches = 900,
                           .loss = 0.25,
                           .seconds_left = -1};
    progress_show(&progress, &at);
    progress.drawn -= PROGRESS_SILENCE + 1;
    progress_show(&progress, &at);
    progress_show(&progress, &at);
    progress.drawn -= PROGRESS_SILENCE + 1;
    at.seconds_left = 83;
    progress_show(&progress, &at);
    ck_assert_str_eq(written(file), "lstm          epoch  1/9  batch 7/900  train loss 0.2500  ? left\n"
                                    "lstm          epoch  1/9  batch 7/900  train loss 0.2500  1:23 left\n");
}
END_TEST

/* Short work needs no word; a large file is named at once. */
START_TEST(reading_says_how_far_it_is)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, false);
    progress_reading(&progress, "reading", 0, 0);
    progress_reading(&progress, "cleaning texts", 1024, 4000);
    progress.drawn -= 10;
    progress_reading(&progress, "cleaning texts", 2048, 4000);
    progress_reading(&progress, "making ids", 0, 4000);
    progress_clear(&progress);
    ck_assert_str_eq(written(file), "cleaning texts 2048 of 4000\n");
    file = tmpfile();
    progress = to_file(file, false);
    progress.impatient = true;
    progress_reading(&progress, "reading", 0, 0);
    progress_reading(&progress, "cleaning texts", 1024, 4000);
    ck_assert_str_eq(written(file), "reading\n");
    file = tmpfile();
    progress = to_file(file, true);
    progress.impatient = true;
    progress_reading(&progress, "cleaning texts", 1024, 4000);
    progress_clear(&progress);
    ck_assert_str_eq(written(file), "\rcleaning texts 1024 of 4000\033[K\r\033[K");
}
END_TEST

START_TEST(the_sparkline_spans_low_to_high_in_both_alphabets)
{
    char spark[200];
    Progress progress = {.utf8 = true};
    ck_assert_str_eq(progress_sparkline(&progress, spark, sizeof spark), "");
    for (int i = 0; i < 8; i++) {
        progress.sums[i] = 3.0 * i;
        progress.counts[i] = 3;
    }
    ck_assert_str_eq(progress_sparkline(&progress, spark, sizeof spark),
                     "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588");
    progress.utf8 = false;
    ck_assert_str_eq(progress_sparkline(&progress, spark, sizeof spark), "_.-~=+*#");
    ck_assert_str_eq(progress_sparkline(&progress, spark, 4), "_.-");
}
END_TEST

START_TEST(times_are_written_as_on_a_clock)
{
    char clock[32];
    ck_assert_str_eq(progress_clock(7.4, clock), "0:07");
    ck_assert_str_eq(progress_clock(754, clock), "12:34");
    ck_assert_str_eq(progress_clock(3723, clock), "1:02:03");
    ck_assert_str_eq(progress_clock(-1, clock), "0:00");
    ck_assert_str_eq(progress_clock(1e300, clock), "0:00");
}
END_TEST

#define TINY                                                                                                 \
    "--data "                                                                                                \
    "tests/fixtures/debian_120.tsv"                                                                          \
    " --epochs 2 --embed 8 --hidden 8 --models rnn"

START_TEST(the_program_writes_no_escape_codes_to_a_pipe)
{
    const char *folder = shell_folder();
    shell_must("TERM=xterm '%s/train_zoo' " TINY " --out '%s/run'", shell_setting("REEL_TOOLS"), folder);
    ck_assert_ptr_null(strchr(shell_output(), '\033'));
    ck_assert_ptr_null(strchr(shell_output(), '\r'));
    ck_assert_ptr_nonnull(strstr(shell_output(), "epoch  2/2  train loss "));
    shell_must("'%s/train_zoo' " TINY " --out '%s/run' --quiet", shell_setting("REEL_TOOLS"), folder);
    ck_assert_ptr_null(strstr(shell_output(), "epoch  2/2"));
    shell_remove_folder(folder);
}
END_TEST

START_TEST(the_program_is_live_on_a_terminal)
{
    if (!shell_has("script")) {
        test_skip("script (of bsdutils), which stands in for a terminal, is not installed");
        return;
    }
    const char *folder = shell_folder(), *tools = shell_setting("REEL_TOOLS");
    shell_must("unset NO_COLOR; LC_ALL=C.UTF-8 TERM=xterm script -qec \"'%s/train_zoo' " TINY
               " --out '%s/run'\" /dev/null </dev/null",
               tools, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), "\033[K"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "\033[36m"));
    ck_assert_ptr_nonnull(strstr(shell_output(), "\u2581"));
    shell_must("NO_COLOR=1 LC_ALL=C TERM=xterm script -qec \"'%s/train_zoo' " TINY
               " --out '%s/run'\" /dev/null </dev/null",
               tools, folder);
    ck_assert_ptr_nonnull(strstr(shell_output(), "\033[K"));
    ck_assert_ptr_null(strstr(shell_output(), "\033[36m"));
    ck_assert_ptr_null(strstr(shell_output(), "\u2581"));
    shell_must("TERM=dumb script -qec \"'%s/train_zoo' " TINY " --out '%s/run'\" /dev/null </dev/null", tools,
               folder);
    ck_assert_ptr_null(strchr(shell_output(), '\033'));
    shell_remove_folder(folder);
}
END_TEST

/* What was seen of the first try does not count for the second. */
START_TEST(a_model_that_is_begun_again_says_so)
{
    FILE *file = tmpfile();
    Progress progress = to_file(file, false);
    play(&progress, 1, 4);
    ModelRunProgress again = {.model = "lstm", .again = "lstm: the loss grew to 2; lower --lr", .rate = 0.5};
    progress_show(&progress, &again);
    ck_assert_int_eq(progress.last_epoch, 0);
    for (int i = 0; i < PROGRESS_CELLS; i++)
        ck_assert_int_eq(progress.counts[i], 0);
    ck_assert_ptr_nonnull(
        strstr(written(file), "\nlstm: the loss grew to 2: begun again with 0.5 of the learning rate\n"));
}
END_TEST

Suite *tools_progress_suite(void);
Suite *tools_progress_suite(void)
{
    Suite *suite = suite_create("tools/progress");
    TCase *tcase = tcase_create("progress");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_model_that_is_begun_again_says_so);
    tcase_add_test(tcase, a_file_gets_the_epochs_lines_and_no_escape_codes);
    tcase_add_test(tcase, a_terminal_gets_one_line_a_model_that_stays);
    tcase_add_test(tcase, the_best_is_that_of_the_whole_run);
    tcase_add_test(tcase, colour_is_only_where_it_is_wanted);
    tcase_add_test(tcase, quiet_is_quiet);
    tcase_add_test(tcase, a_line_never_wraps);
    tcase_add_test(tcase, the_sparkline_spans_low_to_high_in_both_alphabets);
    tcase_add_test(tcase, a_long_epoch_is_heard_of);
    tcase_add_test(tcase, reading_says_how_far_it_is);
    tcase_add_test(tcase, times_are_written_as_on_a_clock);
    tcase_add_test(tcase, the_program_writes_no_escape_codes_to_a_pipe);
    tcase_add_test(tcase, the_program_is_live_on_a_terminal);
    suite_add_tcase(suite, tcase);
    return suite;
}
