#include "models/text/id_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Ids of 16 bits pass through memory of the stack, this many at a time. */
enum { AT_ONCE = 1024 };

static void widen(const uint16_t *narrow, int64_t count, int32_t *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = narrow[i];
}

static ReelStatus read_bytes(const ModelIdFile *file, uint64_t at, void *out, size_t size)
{
    char *to = out;
    while (size > 0) {
        ssize_t got = pread(file->fd, to, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return reel_status_failed(
                "%s: cannot read the ids of texts: %s; remove the file, it is made anew", file->path,
                got < 0 ? strerror(errno) : "the file has become shorter");
        to += got;
        at += (uint64_t)got;
        size -= (size_t)got;
    }
    return reel_status_ok();
}

static ReelStatus read_narrow(const ModelIdFile *file, uint64_t at, int64_t count, int32_t *out)
{
    uint16_t narrow[AT_ONCE];
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && count > 0) {
        int64_t some = count < AT_ONCE ? count : AT_ONCE;
        status = read_bytes(file, at, narrow, (size_t)some * sizeof *narrow);
        if (reel_status_is_ok(&status))
            widen(narrow, some, out);
        at += (uint64_t)some * sizeof *narrow;
        out += some;
        count -= some;
    }
    return status;
}

ReelStatus model_id_store_read(const ModelIdStore *store, int64_t first, int64_t count, int32_t *out)
{
    const ModelIdFile *file = store->file;
    uint64_t at = file ? store->at + (uint64_t)first * (uint64_t)file->width : 0;
    if (count == 0)
        return reel_status_ok();
    if (file)
        return file->width == 2 ? read_narrow(file, at, count, out)
                                : read_bytes(file, at, out, (size_t)count * sizeof *out);
    if (store->narrow)
        widen(store->narrow + first, count, out);
    else
        memcpy(out, store->wide + first, (size_t)count * sizeof *out);
    return reel_status_ok();
}

void model_id_store_expect(const ModelIdStore *store, int64_t first, int64_t count)
{
    const ModelIdFile *file = store->file;
    if (file)
        (void)posix_fadvise(file->fd, (off_t)store->at + first * file->width, count * file->width,
                            POSIX_FADV_WILLNEED);
}
