/* The ids of many texts, one behind the other: in memory or in a file, of 16 bits where they fit. */
#ifndef REEL_MODELS_ID_STORE_H
#define REEL_MODELS_ID_STORE_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

/* Exactly one of the three is there; all zeros is an empty store. It owns nothing. */
typedef struct ModelIdStore {
    const int32_t *wide;
    const uint16_t *narrow;
    const struct ModelIdFile *file;
    uint64_t at; /* the place in the file where they begin */
} ModelIdStore;

/* A file that ids are read from, which several stores may share. */
typedef struct ModelIdFile {
    int fd;
    int width;        /* bytes of an id: 2 or 4, of the machine's own order */
    const char *path; /* for messages */
} ModelIdFile;

/* Ids number `first` and on, `count` of them. Of a file by pread(), from any thread: where the file has
 * become shorter, or the disk fails, it is an error that names it. */
ReelStatus model_id_store_read(const ModelIdStore *store, int64_t first, int64_t count, int32_t *out);
/* Tells the system that they will be read soon, which then reads them from a disk in one go. */
void model_id_store_expect(const ModelIdStore *store, int64_t first, int64_t count);

REEL_END_DECLS

#endif
