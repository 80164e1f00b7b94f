/* What is said of files that cannot be read. */
#include "tensor/storage/npz_reader_internal.h"

#include <string.h>

ReelStatus tensor_npz_damaged(const TensorNpz *npz, const char *what)
{
    return reel_status_failed("%s: %s; " NPZ_RESTORE, npz->path, what);
}

ReelStatus tensor_npz_damaged_member(const TensorNpz *npz, const char *name, const char *what)
{
    return reel_status_failed("%s: member '%.120s': %s; " NPZ_RESTORE, npz->path, name, what);
}

ReelStatus tensor_npz_unsupported(const TensorNpz *npz, const char *name, const char *what)
{
    bool has_remedy = strchr(what, ';') != NULL;
    return reel_status_failed("%s: member '%.120s': %s%s", npz->path, name, what,
                              has_remedy ? "" : "; " NPZ_REWRITE);
}
