/* Bytes of a text from a file, a pipe or the standard input, as they are or compressed by gzip: in pieces. */
#ifndef REEL_TENSOR_STORAGE_TEXT_SOURCE_H
#define REEL_TENSOR_STORAGE_TEXT_SOURCE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

typedef struct ReelTextSource {
    const char *name; /* for messages: the path, or "the standard input" */
    int fd;
    struct ReelTextInflate *inflate; /* NULL: the bytes are as they are */
    char first[2];                   /* looked at to see what they are; not given yet */
    size_t num_first;
    bool begun, ended; /* the first bytes were looked at; no more to come */
    bool lent;         /* the file is not the source's to close */
    const char *bytes; /* not of a file: what is left to be given, as it is */
    size_t size;
} ReelTextSource;

/* Opens `path`, which must outlive the source, or for "-" the standard input. Errors: those of
 * reel_text_file_open(). reel_text_source_close() after an error too. */
ReelStatus reel_text_source_open(ReelTextSource *source, const char *path);
/* Of an open file, which is read from its beginning and not closed. */
ReelTextSource reel_text_source_at(const char *name, int fd);
/* Of bytes in memory, which are given as they are and must outlive the source. */
ReelTextSource reel_text_source_of(const char *name, const char *bytes, size_t size);
void reel_text_source_close(ReelTextSource *source);
/* Reads once, up to `room` bytes; *got is 0 at the end alone. Errors: the disk, a damaged or cut gzip, no
 * memory. */
ReelStatus reel_text_source_read(ReelTextSource *source, char *to, size_t room, size_t *got);
/* Whether something can be read without waiting for it. */
bool reel_text_source_is_ready(const ReelTextSource *source);

REEL_END_DECLS

#endif
