/* Reading a whole text file and making sure that it is one. */
#ifndef REEL_MODELS_TEXT_FILE_H
#define REEL_MODELS_TEXT_FILE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stddef.h>

REEL_BEGIN_DECLS

/* Reads all of `path` into *bytes, which the caller frees with mem_free(). A pipe will do as well. The
 * bytes are followed by a NUL that *size does not count.
 * Errors: no such file, no permission, a directory or a device, an empty file, no memory. */
Status text_file_read(const char *path, char **bytes, size_t *size);

/* Whether the bytes are UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF) without
 * NUL. The message names `path`, the line and the byte in it. */
Status text_file_check(const char *path, const char *bytes, size_t size);

REEL_END_DECLS

#endif
