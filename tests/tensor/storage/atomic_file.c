#include "tensor/storage/atomic_file.h"
#include "tensor/mem_internal.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[32], path[64], temporary[64];

static void setup(void)
{
    strcpy(folder, "/tmp/reel-atomic-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(temporary, sizeof temporary, "%s/file.tmp", folder);
}

/* Everything a test has left in the folder. */
static void teardown(void)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name);
    }
    closedir(dir);
    rmdir(folder);
}

static void ok(ReelStatus status)
{
    ck_assert_msg(reel_status_is_ok(&status), "%s", status.message);
}

static void refused(ReelStatus status, const char *part)
{
    ck_assert(!reel_status_is_ok(&status));
    ck_assert_ptr_null(strchr(status.message, '\n'));
    ck_assert_msg(strstr(status.message, part), "'%s' is not in: %s", part, status.message);
}

static void holds(const char *name, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(name, "rb");
    ck_assert_msg(file != NULL, "there is no %s", name);
    size_t size = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    ck_assert_uint_eq(size, strlen(text));
    ck_assert_str_eq(found, text);
}

static void no_temporary_file(void)
{
    ck_assert_int_ne(access(temporary, F_OK), 0);
}

START_TEST(the_file_appears_with_the_commit)
{
    ReelAtomicFile file;
    ok(reel_atomic_file_put(path, "old", 3));
    holds(path, "old");
    ok(reel_atomic_file_open(&file, path));
    ok(reel_atomic_file_write(&file, 4, "file", 4));
    ok(reel_atomic_file_write(&file, 0, "new ", 4));
    holds(path, "old");
    ok(reel_atomic_file_commit(&file));
    holds(path, "new file");
    no_temporary_file();
    reel_atomic_file_abandon(&file);
    holds(path, "new file");
}
END_TEST

START_TEST(abandoning_leaves_the_old_file)
{
    ReelAtomicFile file;
    ok(reel_atomic_file_put(path, "old", 3));
    ok(reel_atomic_file_open(&file, path));
    ok(reel_atomic_file_write(&file, 0, "new", 3));
    reel_atomic_file_abandon(&file);
    reel_atomic_file_abandon(&file);
    holds(path, "old");
    no_temporary_file();
}
END_TEST

START_TEST(a_relative_name_is_put_into_the_current_folder)
{
    char before[4096];
    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    ck_assert_int_eq(chdir(folder), 0);
    ok(reel_atomic_file_put("file", "here", 4));
    holds(path, "here");
    ck_assert_int_eq(chdir(before), 0);
}
END_TEST

/* A limit on the size of a file stands for a full disk: the write fails in the same way. */
START_TEST(a_full_disk_leaves_the_old_file)
{
    static char much[100000];
    struct rlimit limit = {.rlim_cur = 50000, .rlim_max = RLIM_INFINITY};
    ok(reel_atomic_file_put(path, "old", 3));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ReelStatus status = reel_atomic_file_put(path, much, sizeof much);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    refused(status, "/file: cannot write: File too large; raise the limit");
    holds(path, "old");
    no_temporary_file();
}
END_TEST

START_TEST(a_folder_without_permission_leaves_the_old_file)
{
    ok(reel_atomic_file_put(path, "old", 3));
    ck_assert_int_eq(chmod(folder, 0555), 0);
    bool root = geteuid() == 0;
    if (root) /* to whom permissions do not apply */
        ck_assert_int_eq(seteuid(65534), 0);
    ReelStatus status = reel_atomic_file_put(path, "new", 3);
    if (root)
        ck_assert_int_eq(seteuid(0), 0);
    chmod(folder, 0755);
    refused(status,
            "/file: cannot create the temporary file beside it: Permission denied; make the folder writable");
    holds(path, "old");
}
END_TEST

START_TEST(targets_that_are_no_files_are_refused)
{
    char fifo[64], name[600];
    refused(reel_atomic_file_put(folder, "x", 1), ": is a directory; give the path of a file");
    refused(reel_atomic_file_put("/tmp/", "x", 1), "/tmp/: is a directory");
    refused(reel_atomic_file_put("", "x", 1), "without a name");
    refused(reel_atomic_file_put("/dev/null", "x", 1), "/dev/null: is not a regular file");
    refused(reel_atomic_file_put("/no/such/folder/file", "x", 1), "create the folder first");
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(fifo, 0666), 0);
    refused(reel_atomic_file_put(fifo, "x", 1), "is not a regular file");
    snprintf(name, sizeof name, "%s/%0300d", folder, 0);
    refused(reel_atomic_file_put(name, "x", 1), "choose a shorter name");
}
END_TEST

START_TEST(a_failed_rename_removes_the_temporary_file)
{
    ReelAtomicFile file;
    ok(reel_atomic_file_open(&file, path));
    ok(reel_atomic_file_write(&file, 0, "new", 3));
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ReelStatus status = reel_atomic_file_commit(&file);
    rmdir(path);
    refused(status, "cannot put the new file in place");
    no_temporary_file();
}
END_TEST

START_TEST(links_and_permissions_are_kept)
{
    char link[64];
    struct stat info;
    snprintf(link, sizeof link, "%s/link", folder);
    ok(reel_atomic_file_put(path, "old", 3));
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(symlink("file", link), 0);
    ok(reel_atomic_file_put(link, "new", 3));
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    holds(path, "new");
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0640);
}
END_TEST

START_TEST(two_writers_at_once_do_not_mix)
{
    ReelAtomicFile first, second;
    ok(reel_atomic_file_open(&first, path));
    ok(reel_atomic_file_write(&first, 0, "first", 5));
    refused(reel_atomic_file_open(&second, path), "is being written by another process");
    ok(reel_atomic_file_commit(&first));
    holds(path, "first");
    ok(reel_atomic_file_put(path, "second", 6));
    holds(path, "second");
}
END_TEST

START_TEST(a_link_in_place_of_the_temporary_file_is_not_followed)
{
    char victim[64];
    snprintf(victim, sizeof victim, "%s/victim", folder);
    ok(reel_atomic_file_put(victim, "untouched", 9));
    ck_assert_int_eq(symlink("victim", temporary), 0);
    refused(reel_atomic_file_put(path, "new", 3), "cannot create the temporary file");
    holds(victim, "untouched");
}
END_TEST

/* A process is killed again and again while it replaces the file: it is always one of the two contents,
 * and the next writer does not stumble over what is left. */
START_TEST(a_killed_writer_leaves_the_old_or_the_new_file)
{
    enum { SIZE = 1 << 16 };
    static char text[2][SIZE], found[SIZE + 1];
    memset(text[0], 'a', SIZE);
    memset(text[1], 'b', SIZE);
    ok(reel_atomic_file_put(path, text[0], SIZE));
    for (int round = 0; round < 60; round++) {
        pid_t child = fork();
        if (child == 0)
            for (int i = 0;; i ^= 1)
                reel_atomic_file_put(path, text[i], SIZE);
        usleep((useconds_t)(200 * round));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        FILE *file = fopen(path, "rb");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fread(found, 1, sizeof found, file), SIZE);
        fclose(file);
        ck_assert(memcmp(found, text[found[0] == 'b'], SIZE) == 0);
    }
    ok(reel_atomic_file_put(path, "end", 3));
    holds(path, "end");
    no_temporary_file();
}
END_TEST

START_TEST(no_memory_is_a_message)
{
    int64_t live = reel_mem_stats().live_blocks;
    for (int n = 0; n < 2; n++) {
        reel_mem_fail_at(n, 0);
        ReelStatus status = reel_atomic_file_put(path, "x", 1);
        reel_mem_fail_at(-1, 0);
        refused(status, "out of memory");
        ck_assert_int_eq(reel_mem_stats().live_blocks, live);
        no_temporary_file();
    }
}
END_TEST

Suite *tensor_atomic_file_suite(void);
Suite *tensor_atomic_file_suite(void)
{
    Suite *suite = suite_create("tensor/atomic_file");
    TCase *tcase = tcase_create("atomic_file");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_file_appears_with_the_commit);
    tcase_add_test(tcase, abandoning_leaves_the_old_file);
    tcase_add_test(tcase, a_relative_name_is_put_into_the_current_folder);
    tcase_add_test(tcase, a_full_disk_leaves_the_old_file);
    tcase_add_test(tcase, a_folder_without_permission_leaves_the_old_file);
    tcase_add_test(tcase, targets_that_are_no_files_are_refused);
    tcase_add_test(tcase, a_failed_rename_removes_the_temporary_file);
    tcase_add_test(tcase, links_and_permissions_are_kept);
    tcase_add_test(tcase, two_writers_at_once_do_not_mix);
    tcase_add_test(tcase, a_link_in_place_of_the_temporary_file_is_not_followed);
    tcase_add_test(tcase, a_killed_writer_leaves_the_old_or_the_new_file);
    tcase_add_test(tcase, no_memory_is_a_message);
    suite_add_tcase(suite, tcase);
    return suite;
}
