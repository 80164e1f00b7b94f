/* Bytes of a text from a file, a pipe or the standard input, as they are or compressed by gzip: in pieces. */
#ifndef REEL_TENSOR_STORAGE_TEXT_SOURCE_H
#define REEL_TENSOR_STORAGE_TEXT_SOURCE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>

REEL_BEGIN_DECLS

typedef struct TextSource {
    const char *name; /* for messages: the path, or "the standard input" */
    int fd;
    struct TextInflate *inflate; /* NULL: the bytes are as they are */
    char first[2];               /* looked at to see what they are; not given yet */
    size_t num_first;
    bool begun, ended; /* the first bytes were looked at; no more to come */
} TextSource;

/* Opens `path`, which must outlive the source, or for "-" the standard input. Errors: those of
 * reel_text_file_open(). text_source_close() after an error too. */
ReelStatus text_source_open(TextSource *source, const char *path);
void text_source_close(TextSource *source);
/* Reads once, up to `room` bytes; *got is 0 at the end alone. Errors: the disk, a damaged or cut gzip, no
 * memory. */
ReelStatus text_source_read(TextSource *source, char *to, size_t room, size_t *got);
/* Whether something can be read without waiting for it. */
bool text_source_is_ready(const TextSource *source);

REEL_END_DECLS

#endif
