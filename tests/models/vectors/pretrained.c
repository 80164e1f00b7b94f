#include "models/vectors/pretrained.h"
#include "tensor/mem_internal.h"
#include "tests/shell_support.h"
#include "tests/text_support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *folder;
static char path[256];
static ModelVocabulary vocabulary;

static void set_up(void)
{
    static const char *const words[] = {"<pad>", "<unk>", "<bos>", "<eos>", "cat", "dog", "linux", "rare"};
    folder = shell_folder();
    snprintf(path, sizeof path, "%s/v.txt", folder);
    ck_assert_ok(model_vocabulary_restore(&vocabulary, words, 8));
}

static void tear_down(void)
{
    model_vocabulary_free(&vocabulary);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
    shell_remove_folder(folder);
}

static ReelStatus read_text(ModelPretrained *p, const char *text, int64_t width, double deviation)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    return model_pretrained_read(p, path, &vocabulary, width, deviation, 7);
}

/* Linux is linux where nothing else is; Dog is not, as dog is there. */
static const char *const TEXT = "Dog 9 9\nLinux 5 6\nLINUX 8 8\ncat 1 2\ndog 3 4\nunwanted nan nan\n";

START_TEST(words_are_found_as_they_are_or_else_in_lower_case)
{
    ModelPretrained p;
    ck_assert_ok(read_text(&p, TEXT, 2, 0));
    const float *rows = tensor_f32(p.rows);
    ck_assert(rows[8] == 1 && rows[9] == 2);   /* cat */
    ck_assert(rows[10] == 3 && rows[11] == 4); /* dog */
    ck_assert(rows[12] == 5 && rows[13] == 6); /* linux */
    ck_assert_int_eq(p.found, 3);
    ck_assert_int_eq(p.lowered, 1);
    ck_assert_int_eq(p.in_file, 6);
    ck_assert_double_eq_tol(p.mean, 3.5, 1e-12);
    ck_assert_double_eq_tol(p.deviation, sqrt(35.0 / 12), 1e-12);
    model_pretrained_free(&p);
}
END_TEST

/* 4 special words and "rare": drawn, the same each time, about the mean of those found. */
START_TEST(the_rest_is_drawn_and_all_is_scaled)
{
    ModelPretrained p, again;
    ck_assert_ok(read_text(&p, TEXT, 2, 0));
    ck_assert_ok(read_text(&again, TEXT, 2, 0.1));
    double sum = 0;
    for (int i = 0; i < 16; i++) {
        double x = (double)tensor_f32(p.rows)[i];
        ck_assert(isfinite(x) && (i >= 8 || fabs(x - 3.5) < 6 * 1.71));
        ck_assert_double_eq_tol((double)tensor_f32(again.rows)[i], x * 0.1 / p.deviation, 1e-6);
        sum += i < 8 ? x : 0;
    }
    ck_assert(tensor_f32(p.rows)[0] != tensor_f32(p.rows)[14] && fabs(sum / 8 - 3.5) < 3);
    ck_assert_double_eq_tol(again.deviation, 0.1, 1e-12);
    model_pretrained_free(&p);
    model_pretrained_free(&again);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    static const struct {
        const char *text, *says;
        int64_t width;
        ReelStatusCode code;
    } cases[] = {
        {TEXT, "the vectors are 2 wide and the embedding is 3; give --embed 2", 3, REEL_STATUS_USAGE},
        {"cat 1 2\ndog 1 2\ncat 3 4\n", "v.txt:3: \"cat\" is there already, as word 1", 2,
         REEL_STATUS_FAILED},
        {"katze 1 2\n", "none of its 1 words is a word of the training texts", 2, REEL_STATUS_FAILED},
        {"<unk> 1 2\n", "none of its 1 words", 2, REEL_STATUS_FAILED},
        {"cat 1 nan\n", "v.txt:1: number 2 of the row is not finite", 2, REEL_STATUS_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ModelPretrained p;
        ReelStatus status = read_text(&p, cases[i].text, cases[i].width, 0);
        ck_assert_int_eq(status.code, cases[i].code);
        ck_assert_msg(strstr(status.message, cases[i].says) != NULL, "%s", status.message);
    }
}
END_TEST

START_TEST(without_memory_there_is_a_message)
{
    ModelPretrained p;
    ck_assert_ok(read_text(&p, TEXT, 2, 0));
    model_pretrained_free(&p);
    for (int64_t n = 0;; n++) {
        reel_mem_fail_at(n, 1);
        ReelStatus status = model_pretrained_read(&p, path, &vocabulary, 2, 0, 7);
        reel_mem_fail_at(-1, 0);
        if (reel_status_is_ok(&status))
            break;
        ck_assert_int_eq(status.code, REEL_STATUS_FAILED);
    }
    model_pretrained_free(&p);
}
END_TEST

Suite *models_pretrained_suite(void);
Suite *models_pretrained_suite(void)
{
    Suite *suite = suite_create("models/pretrained");
    TCase *cases = tcase_create("pretrained");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, words_are_found_as_they_are_or_else_in_lower_case);
    tcase_add_test(cases, the_rest_is_drawn_and_all_is_scaled);
    tcase_add_test(cases, what_does_not_fit_is_an_error);
    tcase_add_test(cases, without_memory_there_is_a_message);
    suite_add_tcase(suite, cases);
    return suite;
}
