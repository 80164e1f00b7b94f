/* The one way to read a text file that a user names: all of it at once, or what opens it and looks at its
 * first bytes where it is read in pieces. */
#ifndef REEL_TENSOR_STORAGE_TEXT_FILE_H
#define REEL_TENSOR_STORAGE_TEXT_FILE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stddef.h>

REEL_BEGIN_DECLS

/* Opens `path` for reading. Errors: no such file, no permission, a directory, a file (of a pipe only reading
 * tells) of UTF-16. */
ReelStatus reel_text_file_open(const char *path, int *fd);
/* Whether an opened file is one, or a pipe, and so has an end that is worth waiting for. */
ReelStatus reel_text_file_check_kind(const char *path, int fd);
/* Reads all of `path` into *bytes, which the caller frees with reel_mem_free(); "-" is the standard input. A
 * pipe will do as well, and what gzip has compressed is inflated. The bytes are followed by a NUL that *size
 * does not count. Errors: those of reel_text_file_open(), a device, a pipe with UTF-16, a damaged gzip, no
 * memory. An empty file is not an error. */
ReelStatus reel_text_file_read(const char *path, char **bytes, size_t *size);
/* The error for an empty file where contents are required. */
ReelStatus reel_text_file_empty(const char *path);

/* Whether the bytes are UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF) without
 * NUL. The message names `path`, the line and the byte in it. */
ReelStatus reel_text_file_check(const char *path, const char *bytes, size_t size);
/* The same of the bytes from `from` on, the first of all of which is the first of line `line`. */
ReelStatus reel_text_file_check_from(const char *path, const char *bytes, size_t size, size_t from,
                                     size_t line);
/* The offset of the first byte that is not of UTF-8 or is NUL; `size` where all is well. */
size_t reel_text_file_bad_byte(const char *bytes, size_t size);
/* Whether what a file begins with is not the byte order mark of UTF-16, which is named as what it is. */
ReelStatus reel_text_file_check_mark(const char *path, const char *bytes, size_t size);
/* The length of UTF-8's byte order mark in front of the bytes: 3, or 0 where there is none. */
size_t reel_text_file_mark(const char *bytes, size_t size);

REEL_END_DECLS

#endif
