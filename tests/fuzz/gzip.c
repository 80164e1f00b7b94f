/* Fuzz target: a file that gzip may have made, and windows of records as they come in pieces. The bytes of a
 * text are what they are in one piece. */
#define _GNU_SOURCE /* memfd_create */
#include "models/text/records.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A sum over all fields of all records, given in pieces of so many bytes; 0: refused. */
static size_t sum_of(const char *bytes, size_t size, size_t piece)
{
    char *copy = malloc(size + !size);
    memcpy(copy, bytes, size);
    ModelRecords records;
    size_t sum = 1, given = piece < size ? piece : size;
    bool more = false;
    model_records_init(&records, "fuzz", MODEL_FORMAT_ANY);
    model_records_give(&records, copy, given, given == size);
    ReelStatus status = model_records_begin(&records, &more);
    for (bool begun = more; reel_status_is_ok(&status);) {
        if (begun)
            status = model_records_next(&records, &more);
        if (!reel_status_is_ok(&status))
            break;
        if (more) {
            for (int i = 0; i < records.columns; i++)
                for (size_t k = 0; k < records.fields[i].text.length; k++)
                    sum = sum * 31 + (unsigned char)records.fields[i].text.bytes[k];
            continue;
        }
        if (given == size)
            break;
        given = given + piece < size ? given + piece : size;
        model_records_give(&records, records.at, (size_t)(copy + given - records.at), given == size);
        if (!begun) {
            status = model_records_begin(&records, &more);
            begun = more;
        }
    }
    model_records_free(&records);
    free(copy);
    return reel_status_is_ok(&status) ? sum : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = reel_mem_stats().live_blocks;
    char path[64], *bytes;
    size_t got;
    int fd = memfd_create("fuzz", 0);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ReelStatus status = reel_text_file_read(path, &bytes, &got);
    if (reel_status_is_ok(&status)) {
        if (got > 0 && got < 1 << 16)
            require(sum_of(bytes, got, got) == sum_of(bytes, got, 1 + got / 3));
        reel_mem_free(bytes);
    } else {
        require(strchr(status.message, '\n') == NULL && strncmp(status.message, path, strlen(path)) == 0);
    }
    close(fd);
    require(reel_mem_stats().live_blocks == live);
    return 0;
}
