#include "tensor/storage/atomic_file.h"
#include "tensor/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "free some space or choose another disk";
    case EFBIG:
        return "raise the limit on file sizes (ulimit -f) or choose another disk";
    case EACCES:
    case EPERM:
        return "make the folder writable or choose another one";
    case EROFS:
        return "choose a folder on a disk that can be written";
    case ENOENT:
    case ENOTDIR:
        return "create the folder first";
    case ENAMETOOLONG:
        return "choose a shorter name";
    default:
        return "the file under this name, if any, is unchanged";
    }
}

static ReelStatus failed(const char *path, const char *what, int error)
{
    return reel_status_failed("%s: cannot %s: %s; %s", path, what, strerror(error), remedy(error));
}

/* `path`, or where it leads if it is a symbolic link to something that exists. */
static char *resolve(const char *path)
{
    struct stat info;
    char real[PATH_MAX];
    bool is_link = lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    return reel_mem_strdup(is_link && realpath(path, real) ? real : path);
}

static ReelStatus check_target(const char *path)
{
    size_t length = strlen(path);
    struct stat info;
    if (length == 0)
        return reel_status_failed("cannot write a file without a name; give a path");
    bool exists = stat(path, &info) == 0;
    if (path[length - 1] == '/' || (exists && S_ISDIR(info.st_mode)))
        return reel_status_failed("%s: is a directory; give the path of a file", path);
    if (exists && !S_ISREG(info.st_mode))
        return reel_status_failed("%s: is not a regular file, so it cannot be replaced; give another path",
                                  path);
    return reel_status_ok();
}

/* Whether the name still leads to the open file: another writer may have renamed or removed it between
 * our opening and locking it. */
static bool still_named(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* Opens and locks the temporary file. -1 and errno on failure. */
static int open_locked(const char *path)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (fd < 0)
            return -1;
        /* File systems that know no locks (some network ones) are written without. */
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        if (locked && still_named(fd, path))
            return fd;
        close(fd);
        if (!locked) {
            errno = EWOULDBLOCK;
            return -1;
        }
    }
}

static void forget(ReelAtomicFile *file)
{
    if (file->fd >= 0)
        close(file->fd);
    reel_mem_free(file->target);
    reel_mem_free(file->temporary);
    *file = (ReelAtomicFile){.fd = -1};
}

void reel_atomic_file_abandon(ReelAtomicFile *file)
{
    /* Removed while the lock is held, so that it is never another writer's file that goes. */
    if (file->temporary && file->fd >= 0)
        unlink(file->temporary);
    forget(file);
}

static ReelStatus start(ReelAtomicFile *file)
{
    struct stat info;
    file->fd = open_locked(file->temporary);
    if (file->fd < 0 && errno == EWOULDBLOCK)
        return reel_status_failed("%s: is being written by another process; wait for it or give another path",
                                  file->target);
    if (file->fd < 0)
        return failed(file->target, "create the temporary file beside it", errno);
    if (ftruncate(file->fd, 0) != 0)
        return failed(file->target, "empty the temporary file beside it", errno);
    if (stat(file->target, &info) == 0 && fchmod(file->fd, info.st_mode & 0777) != 0)
        return failed(file->target, "keep the permissions", errno);
    return reel_status_ok();
}

ReelStatus reel_atomic_file_open(ReelAtomicFile *file, const char *path)
{
    *file = (ReelAtomicFile){.fd = -1};
    ReelStatus status = check_target(path);
    if (!reel_status_is_ok(&status))
        return status;
    file->target = resolve(path);
    size_t size = file->target ? strlen(file->target) + sizeof ".tmp" : 0;
    file->temporary = file->target ? reel_mem_alloc(size) : NULL;
    if (!file->temporary) {
        forget(file);
        return reel_status_no_memory(size, path);
    }
    snprintf(file->temporary, size, "%s.tmp", file->target);
    status = start(file);
    if (!reel_status_is_ok(&status))
        reel_atomic_file_abandon(file);
    return status;
}

ReelStatus reel_atomic_file_write(ReelAtomicFile *file, uint64_t offset, const void *data, size_t size)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t written = pwrite(file->fd, bytes, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return failed(file->target, "write", written < 0 ? errno : ENOSPC);
        bytes += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return reel_status_ok();
}

/* Makes the rename itself durable. */
static ReelStatus sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder)
        return failed(path, "sync its folder", ENAMETOOLONG);
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(length ? length : 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* A folder that may be written but not listed cannot be opened; file systems that cannot sync a
     * folder say EINVAL. Neither is a failure of the write. */
    if (fd < 0)
        return errno == EACCES ? reel_status_ok() : failed(path, "sync its folder", errno);
    int error = fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
    close(fd);
    return error ? failed(path, "sync its folder", error) : reel_status_ok();
}

ReelStatus reel_atomic_file_commit(ReelAtomicFile *file)
{
    ReelStatus status = reel_status_ok();
    if (fsync(file->fd) != 0)
        status = failed(file->target, "write to the disk", errno);
    else if (rename(file->temporary, file->target) != 0)
        status = failed(file->target, "put the new file in place", errno);
    if (!reel_status_is_ok(&status)) {
        reel_atomic_file_abandon(file);
        return status;
    }
    status = sync_folder(file->target);
    forget(file);
    return status;
}

ReelStatus reel_atomic_file_put(const char *path, const void *data, size_t size)
{
    ReelAtomicFile file;
    ReelStatus status = reel_atomic_file_open(&file, path);
    if (!reel_status_is_ok(&status))
        return status;
    status = reel_atomic_file_write(&file, 0, data, size);
    if (!reel_status_is_ok(&status)) {
        reel_atomic_file_abandon(&file);
        return status;
    }
    return reel_atomic_file_commit(&file);
}

bool reel_path_ends(const char *path, const char *end)
{
    size_t length = strlen(path), tail = strlen(end);
    return length > tail && strcmp(path + length - tail, end) == 0;
}
