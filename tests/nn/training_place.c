/* How far a training is, written and read again; and what no training can go on from. */
#include "nn/training_place.h"
#include "tests/text_support.h"

static const char settings[] = "lr 0.1, texts 0123abcd";

/* Reads the place from a file with this one in it. */
static ReelStatus through_a_file(NnTrainingPlace place, const char *name, NnTrainingPlace *read)
{
    NnSnapshot snapshot;
    ReelBytes bytes = {0};
    TensorNpz *npz;
    nn_snapshot_init(&snapshot);
    nn_snapshot_training_place(&snapshot, "reel/place.json", &place);
    ck_assert_ok(nn_snapshot_write_memory(&snapshot, &bytes, (TensorNpzOptions){.level = 0}));
    nn_snapshot_free(&snapshot);
    ck_assert_ok(tensor_npz_open_memory(&npz, bytes.data, bytes.size, "state.npz"));
    ReelStatus status = nn_load_training_place(npz, name, "a model", settings, 3, 100, read);
    tensor_npz_close(npz);
    reel_bytes_free(&bytes);
    return status;
}

START_TEST(a_place_comes_back)
{
    const NnTrainingPlace place = {(char *)settings, 4, 100, 12345678901, 0.1};
    NnTrainingPlace read;
    ck_assert_ok(through_a_file(place, "reel/place.json", &read)); /* the last: after the last epoch */
    ck_assert(read.settings == NULL && read.epoch == 4 && read.done == 100);
    ck_assert(read.seen == 12345678901 && read.loss == 0.1);
}
END_TEST

START_TEST(other_trainings_and_places_are_refused)
{
    NnTrainingPlace read;
    const NnTrainingPlace good = {(char *)settings, 1, 0, 0, 0};
    ck_assert_failed(through_a_file(good, "reel/other.json", &read), REEL_STATUS_FAILED,
                     "state.npz: is no interrupted training of a model");
    NnTrainingPlace bad = good;
    bad.settings = (char *)"lr 0.2";
    ck_assert_failed(through_a_file(bad, "reel/place.json", &read), REEL_STATUS_FAILED,
                     "is of lr 0.2, and this is lr 0.1");
    const NnTrainingPlace impossible[] = {{(char *)settings, 0, 0, 0, 0},
                                          {(char *)settings, 5, 0, 0, 0},
                                          {(char *)settings, 1, -1, 0, 0},
                                          {(char *)settings, 1, 101, 0, 0},
                                          {(char *)settings, 1, 0, -1, 0}};
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++)
        ck_assert_failed(through_a_file(impossible[i], "reel/place.json", &read), REEL_STATUS_FAILED,
                         "cannot be");
}
END_TEST

Suite *nn_training_place_suite(void);
Suite *nn_training_place_suite(void)
{
    Suite *suite = suite_create("nn/training_place");
    TCase *cases = tcase_create("places");
    tcase_add_test(cases, a_place_comes_back);
    tcase_add_test(cases, other_trainings_and_places_are_refused);
    suite_add_tcase(suite, cases);
    return suite;
}
