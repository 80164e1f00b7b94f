#include "tensor/storage/text_file.h"
#include "tensor/storage/text_source.h"
#include "tensor/mem.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_READ = 1 << 16 };

static ReelStatus read_all(ReelTextSource *source, size_t expected, char **bytes, size_t *size)
{
    size_t capacity = expected + 2, used = 0, got = 1; /* room to see the end of the file, and for the NUL */
    char *buffer = reel_mem_alloc(capacity);
    ReelStatus status = buffer ? reel_status_ok() : reel_status_no_memory(capacity, source->name);
    while (reel_status_is_ok(&status) && got > 0) {
        if (capacity - used < 2) {
            size_t larger = capacity * 2;
            char *moved = reel_mem_realloc(buffer, larger);
            if (!moved) {
                status = reel_status_no_memory(larger, source->name);
                break;
            }
            buffer = moved;
            capacity = larger;
        }
        status = reel_text_source_read(source, buffer + used, capacity - used - 1, &got);
        used += got;
    }
    if (!reel_status_is_ok(&status)) {
        reel_mem_free(buffer);
        return status;
    }
    buffer[used] = '\0';
    *bytes = buffer;
    *size = used;
    return status;
}

ReelStatus reel_text_file_read(const char *path, char **bytes, size_t *size)
{
    ReelTextSource source;
    struct stat info;
    *bytes = NULL;
    *size = 0;
    ReelStatus status = reel_text_source_open(&source, path);
    bool standard = source.fd == STDIN_FILENO;
    if (reel_status_is_ok(&status))
        status = standard ? reel_status_ok() : reel_text_file_check_kind(path, source.fd);
    if (reel_status_is_ok(&status)) {
        bool sized = fstat(source.fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
        size_t expected = sized ? (size_t)info.st_size : FIRST_READ;
        status = read_all(&source, expected, bytes, size);
    }
    reel_text_source_close(&source);
    if (reel_status_is_ok(&status))
        status = reel_text_file_check_mark(source.name, *bytes, *size);
    if (!reel_status_is_ok(&status)) {
        reel_mem_free(*bytes);
        *bytes = NULL;
        *size = 0;
    }
    return status;
}
