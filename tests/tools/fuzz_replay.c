/* Feeds every file of tests/fuzz/seeds/NAME to the fuzz target NAME: what fuzzing has once found stays
 * found, without a fuzzer. A target without seeds fails. */
#include <check.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_TARGET(name) int fuzz_##name(const uint8_t *data, size_t size);
#include "fuzz_targets.h"
#undef FUZZ_TARGET

static const struct {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
} targets[] = {
#define FUZZ_TARGET(name) {#name, fuzz_##name},
#include "fuzz_targets.h"
#undef FUZZ_TARGET
};

enum { TARGET_COUNT = sizeof targets / sizeof targets[0] };

static void replay(int (*run)(const uint8_t *, size_t), const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    /* Of the exact size, so that the sanitizers see a read beyond the end. */
    uint8_t *data = malloc(size ? size : 1);
    ck_assert_uint_eq(fread(data, 1, size, file), size);
    fclose(file);
    run(data, size);
    free(data);
}

START_TEST(every_seed)
{
    char folder[512], path[1024];
    int count = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/seeds/%s", targets[_i].name);
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s: a fuzz target has a folder of seeds", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        replay(targets[_i].run, path);
        count++;
    }
    closedir(dir);
    ck_assert_msg(count > 0, "%s has no seed", folder);
}
END_TEST

Suite *tools_fuzz_replay_suite(void);
Suite *tools_fuzz_replay_suite(void)
{
    Suite *suite = suite_create("tools/fuzz_replay");
    TCase *tcase = tcase_create("seeds");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_seed, 0, TARGET_COUNT);
    suite_add_tcase(suite, tcase);
    return suite;
}
