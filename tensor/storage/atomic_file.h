/* Files that are replaced atomically: the target has its new contents entirely or not at all.
 *
 * What is written goes to "TARGET.tmp" beside the target; the commit syncs it, renames it over the
 * target and syncs the folder. Whatever happens before the rename (an error, a full disk, a killed
 * process) leaves the old target as it was. The temporary file is removed on failure; one that a killed
 * process has left behind is overwritten by the next writer of the same target. It is locked while it is
 * in use: a second writer of the same target gets an error instead of mixing its bytes with the first's.
 */
#ifndef REEL_TENSOR_ATOMIC_FILE_H
#define REEL_TENSOR_ATOMIC_FILE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REEL_BEGIN_DECLS

typedef struct ReelAtomicFile {
    char *target;    /* symbolic links are followed, so that a link stays a link */
    char *temporary; /* NULL: not open */
    int fd;
} ReelAtomicFile;

/* Opens the temporary file. The permissions of an existing target are kept. On failure there is nothing
 * to close. */
ReelStatus reel_atomic_file_open(ReelAtomicFile *file, const char *path);
/* Writes all `size` bytes at `offset`. Beyond a failure the file can only be abandoned. */
ReelStatus reel_atomic_file_write(ReelAtomicFile *file, uint64_t offset, const void *data, size_t size);
/* Makes the file appear under its name and closes it, or removes the temporary file. Where only the last
 * step fails (the sync of the folder), the new file is in place but may not survive a power failure. */
ReelStatus reel_atomic_file_commit(ReelAtomicFile *file);
/* Removes the temporary file; the target stays as it was. Allowed after any of the above. */
void reel_atomic_file_abandon(ReelAtomicFile *file);

/* All in one: the file at `path` has exactly these bytes, or is what it was. */
ReelStatus reel_atomic_file_put(const char *path, const void *data, size_t size);

/* Whether a path ends so, as in ".npz", with something in front. */
bool reel_path_ends(const char *path, const char *end);

REEL_END_DECLS

#endif
