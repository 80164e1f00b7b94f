#include "models/text/id_store.h"
#include "tests/text_support.h"

#include <fcntl.h>
#include <unistd.h>

/* More than are read of a file at a time. */
enum { IDS = 3000 };

static void same_at(const ModelIdStore *store, int64_t first, int64_t count, const int32_t *expected)
{
    int32_t ids[IDS];
    ck_assert_ok(model_id_store_read(store, first, count, ids));
    ck_assert_mem_eq(ids, expected + first, (size_t)count * sizeof *ids);
}

static void check(const ModelIdStore *store, const int32_t *expected)
{
    same_at(store, 0, IDS, expected);
    same_at(store, 7, 1, expected);
    same_at(store, 1, 1024, expected);
    same_at(store, IDS - 1, 1, expected);
    ck_assert_ok(model_id_store_read(store, IDS, 0, NULL));
}

/* The same ids in memory and in a file, of 16 and of 32 bits. */
START_TEST(ids_are_the_same_wherever_they_are)
{
    int32_t wide[IDS];
    uint16_t narrow[IDS];
    for (int i = 0; i < IDS; i++)
        wide[i] = narrow[i] = (uint16_t)(i * 40503 + 65535);
    check(&(ModelIdStore){.wide = wide}, wide);
    check(&(ModelIdStore){.narrow = narrow}, wide);
    const void *arrays[] = {narrow, wide};
    for (int i = 0; i < 2; i++) {
        int width = 2 + 2 * i;
        const char *path = text_support_file(arrays[i], (size_t)width * IDS);
        ModelIdFile file = {open(path, O_RDONLY), width, path};
        check(&(ModelIdStore){.file = &file}, wide);
        same_at(&(ModelIdStore){.file = &file, .at = 10 * (uint64_t)width}, 0, IDS - 10, wide + 10);
        close(file.fd);
    }
}
END_TEST

START_TEST(a_file_that_has_become_shorter_is_an_error)
{
    int32_t ids[IDS] = {0};
    const char *path = text_support_file((const char *)ids, 100);
    for (int width = 2; width <= 4; width += 2) {
        ModelIdFile file = {open(path, O_RDONLY), width, path};
        ModelIdStore store = {.file = &file};
        ck_assert_ok(model_id_store_read(&store, 0, 100 / width, ids));
        ck_assert_failed(model_id_store_read(&store, 0, 100 / width + 1, ids), REEL_STATUS_FAILED, path);
        ck_assert_failed(model_id_store_read(&store, 1000, 1, ids), REEL_STATUS_FAILED, "has become shorter");
        close(file.fd);
        ck_assert_failed(model_id_store_read(&store, 0, 1, ids), REEL_STATUS_FAILED, "cannot read the ids");
    }
}
END_TEST

Suite *models_id_store_suite(void);
Suite *models_id_store_suite(void)
{
    Suite *suite = suite_create("models/id_store");
    TCase *tcase = tcase_create("id_store");
    tcase_add_test(tcase, ids_are_the_same_wherever_they_are);
    tcase_add_test(tcase, a_file_that_has_become_shorter_is_an_error);
    suite_add_tcase(suite, tcase);
    return suite;
}
