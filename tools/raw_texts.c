#include "tools/raw_texts.h"

#include "tensor/mem.h"
#include "tools/line_stream.h"

#include <stdio.h>
#include <string.h>

static ReelStatus take_corpus(const char *path, const ModelCleanOptions *clean, bool quiet,
                              RawTextTaker *take, void *context)
{
    ModelDatasetOptions options = model_dataset_defaults();
    options.clean = *clean;
    options.keep_texts = true;
    ModelDataset *dataset;
    ReelStatus status = model_dataset_read(&dataset, path, &options);
    if (!reel_status_is_ok(&status))
        return status;
    for (int64_t i = 0; reel_status_is_ok(&status) && i < dataset->train.count; i++)
        status = take(context, dataset->train_texts[i]);
    if (reel_status_is_ok(&status) && !quiet)
        fprintf(stderr, "%s: a labelled corpus; the %lld texts of its training part\n", path,
                (long long)dataset->train.count);
    model_dataset_free(dataset);
    return status;
}

static ReelStatus take_lines(LineStream *stream, RawTextTaker *take, void *context)
{
    ReelStatus status = reel_status_ok();
    while (reel_status_is_ok(&status) && stream->count > 0) {
        for (int64_t i = 0; reel_status_is_ok(&status) && i < stream->count; i++)
            status = take(context, stream->lines[i]);
        if (reel_status_is_ok(&status))
            status = line_stream_next(stream);
    }
    return status;
}

static ReelStatus take_file(const char *path, const ModelCleanOptions *clean, bool quiet, RawTextTaker *take,
                            void *context)
{
    LineStream stream;
    char column[64];
    ReelStatus status = line_stream_open(&stream, path);
    if (reel_status_is_ok(&status))
        status = line_stream_next(&stream);
    bool corpus = reel_status_is_ok(&status) && stream.count > 0 &&
                  model_line_is_header(stream.lines[0].bytes, stream.lines[0].length, column, sizeof column);
    if (reel_status_is_ok(&status) && !corpus)
        status = take_lines(&stream, take, context);
    line_stream_close(&stream);
    return corpus ? take_corpus(path, clean, quiet, take, context) : status;
}

const char *raw_texts_next(char **list)
{
    const char *part = strsep(list, ",");
    while (part && !*part)
        part = strsep(list, ",");
    return part;
}

ReelStatus raw_texts_read(const char *list, const ModelCleanOptions *clean, bool quiet, RawTextTaker *take,
                          void *context)
{
    char *copy = reel_mem_strdup(list), *rest = copy;
    ReelStatus status = copy ? reel_status_ok() : reel_status_no_memory(0, "the list of files");
    for (const char *file; reel_status_is_ok(&status) && (file = raw_texts_next(&rest)) != NULL;)
        status = take_file(file, clean, quiet, take, context);
    reel_mem_free(copy);
    return status;
}
