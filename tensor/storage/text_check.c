/* Whether a file can be a text: its kind, its first bytes, its UTF-8. */
#include "tensor/storage/text_file.h"
#include "tensor/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ReelStatus cannot_read(const char *path, int error)
{
    const char *remedy = error == ENOENT || error == ENOTDIR ? "check the path"
                         : error == EACCES                   ? "make it readable"
                                                             : "check the disk, or copy the file elsewhere";
    return reel_status_failed("%s: cannot read the file: %s; %s", path, strerror(error), remedy);
}

/* Directories, and files (which a look does not change) in another encoding than they could be in. */
static ReelStatus check_opened(const char *path, int fd)
{
    struct stat info;
    char first[2];
    if (fstat(fd, &info) != 0)
        return cannot_read(path, errno);
    if (S_ISDIR(info.st_mode))
        return reel_status_failed("%s: is a directory; name a file in it", path);
    ssize_t got = S_ISREG(info.st_mode) ? pread(fd, first, sizeof first, 0) : 0;
    return got > 0 ? reel_text_file_check_mark(path, first, (size_t)got) : reel_status_ok();
}

ReelStatus reel_text_file_open(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return cannot_read(path, errno);
    ReelStatus status = check_opened(path, *fd);
    if (!reel_status_is_ok(&status)) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

ReelStatus reel_text_file_check_kind(const char *path, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return cannot_read(path, errno);
    if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
        return reel_status_failed("%s: is neither a file nor a pipe; name a text file", path);
    return reel_status_ok();
}

ReelStatus reel_text_file_empty(const char *path)
{
    return reel_status_failed("%s: the file is empty; write something to it, or name another file", path);
}

/* Neither mark can begin UTF-8. */
ReelStatus reel_text_file_check_mark(const char *path, const char *bytes, size_t size)
{
    bool little = size >= 2 && memcmp(bytes, "\xFF\xFE", 2) == 0;
    if (!little && !(size >= 2 && memcmp(bytes, "\xFE\xFF", 2) == 0))
        return reel_status_ok();
    return reel_status_failed(
        "%s:1: begins with the byte order mark of UTF-16 (%s); convert the file, as with "
        "`iconv -f UTF-16 -t UTF-8`",
        path, little ? "FF FE" : "FE FF");
}

size_t reel_text_file_mark(const char *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

/* The length of the character at p, or 0 where there is none. NUL is refused too: it is ASCII, but in no
 * text. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
    uint32_t code;
    return p[0] ? (size_t)reel_utf8_decode(p, left, &code) : 0;
}

/* Eight bytes of 1 to 127 at once: no top bit set, and (x - 1) borrows into the top bit only from 0. */
static int eight_plain_bytes(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return ((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) == 0;
}

static ReelStatus bad_byte(const char *path, const char *bytes, size_t at, size_t line)
{
    size_t start = 0;
    for (const char *feed; (feed = memchr(bytes + start, '\n', at - start));
         start = (size_t)(feed - bytes) + 1)
        line++;
    size_t column = at - start + 1;
    if (bytes[at] == '\0')
        return reel_status_failed(
            "%s:%zu: byte %zu of the line is NUL; this is no plain text, save it as UTF-8", path, line,
            column);
    return reel_status_failed("%s:%zu: byte %zu of the line (0x%02X) is not UTF-8; convert the file, "
                              "as with `iconv -f LATIN1 -t UTF-8`",
                              path, line, column, (unsigned char)bytes[at]);
}

size_t reel_text_file_bad_byte(const char *bytes, size_t size)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < size) {
        size_t length = size - i >= 8 && eight_plain_bytes(p + i) ? 8 : sequence_length(p + i, size - i);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

ReelStatus reel_text_file_check_from(const char *path, const char *bytes, size_t size, size_t from,
                                     size_t line)
{
    size_t bad = from + reel_text_file_bad_byte(bytes + from, size - from);
    return bad < size ? bad_byte(path, bytes, bad, line) : reel_status_ok();
}

ReelStatus reel_text_file_check(const char *path, const char *bytes, size_t size)
{
    ReelStatus status = reel_text_file_check_mark(path, bytes, size);
    return reel_status_is_ok(&status) ? reel_text_file_check_from(path, bytes, size, 0, 1) : status;
}
