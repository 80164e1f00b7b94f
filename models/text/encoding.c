#include "models/text/encoding.h"
#include "tensor/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Examples that are encoded before their ids are put where they stay, and those that are worth a pool. */
enum { ROUND = 1 << 15, LITTLE = 256, COUNTERS = 4 };

/* ---- Learning ---- */

/* Some of the texts whose words are counted. */
typedef struct Count {
    const ModelWordTexts *texts;
    const int32_t *numbers;
    int64_t first, count;
    int32_t *with; /* [words] how many texts have each word */
    int32_t *last; /* [words] the last of them, from 1, to count none twice */
    ReelBytes scratch;
    ReelStatus status;
} Count;

static void count_words(void *context, int number)
{
    Count *task = &((Count *)context)[number];
    size_t words = (size_t)task->texts->words.count;
    ModelWordBytes bytes;
    task->with = reel_mem_calloc(words, sizeof *task->with);
    task->last = reel_mem_calloc(words, sizeof *task->last);
    if (!task->with || !task->last)
        task->status = reel_status_no_memory(2 * words * sizeof *task->with, "the vocabulary");
    for (int64_t i = 0; reel_status_is_ok(&task->status) && i < task->count; i++) {
        task->status =
            model_word_texts_bytes(task->texts, task->numbers[task->first + i], &task->scratch, &bytes);
        for (int32_t word; reel_status_is_ok(&task->status) && model_word_texts_next(&bytes, &word);) {
            task->with[word] += task->last[word] != i + 1;
            task->last[word] = (int32_t)i + 1;
        }
    }
}

static ReelStatus build_vocabulary(ModelEncoding *e, ModelPipeline *how, const int32_t *numbers,
                                   int64_t count)
{
    const ModelPipeline *begin = e->options->begin;
    Count tasks[COUNTERS] = {{0}};
    ReelStatus status = reel_status_ok();
    int32_t words = e->texts->words.count;
    TensorPool *pool = model_word_texts_pool(e->texts, (size_t)count * LITTLE);
    int num_tasks = !pool ? 1 : e->texts->threads < COUNTERS ? e->texts->threads : COUNTERS;
    for (int i = 0; i < num_tasks; i++) {
        int64_t from = count * i / num_tasks, to = count * (i + 1) / num_tasks;
        tasks[i] = (Count){.texts = e->texts, .numbers = numbers, .first = from, .count = to - from};
    }
    tensor_pool_run(pool, count_words, tasks, num_tasks);
    for (int i = 0; i < num_tasks && reel_status_is_ok(&status); i++) {
        status = tasks[i].status;
        for (int32_t w = 0; i > 0 && reel_status_is_ok(&status) && w < words; w++)
            tasks[0].with[w] += tasks[i].with[w];
    }
    e->ids = reel_mem_alloc((size_t)words * sizeof *e->ids);
    if (reel_status_is_ok(&status))
        status = e->ids ? model_vocabulary_build(&how->vocabulary, begin ? &begin->vocabulary : NULL,
                                                 &e->texts->words, tasks[0].with, count,
                                                 &e->options->vocabulary, e->ids)
                        : reel_status_no_memory((size_t)words * sizeof *e->ids, "the vocabulary");
    for (int i = 0; i < num_tasks; i++) {
        reel_mem_free(tasks[i].with);
        reel_mem_free(tasks[i].last);
        reel_bytes_free(&tasks[i].scratch);
    }
    return status;
}

/* Texts are then encoded as they are in prediction, and not by the numbers of their words. */
static ReelStatus add_pieces(ModelEncoding *e, ModelPipeline *how, const int32_t *numbers, int64_t count)
{
    reel_mem_free(e->ids);
    e->ids = NULL;
    const ModelNgrams *begin = e->options->begin ? &e->options->begin->ngrams : NULL;
    ReelStatus status =
        model_ngrams_learn(&how->ngrams, begin, e->texts, numbers, count, &e->options->ngrams);
    how->tokenizer = model_ngrams_tokenizer(&how->ngrams, &how->vocabulary);
    return status;
}

/* The caller's own, which is shown texts. */
static ReelStatus fit_own(ModelEncoding *e, ModelPipeline *how, const int32_t *numbers, int64_t count)
{
    ModelTextSpan *texts;
    char *bytes;
    ReelStatus status = model_word_texts_copy(e->texts, numbers, count, &texts, &bytes);
    if (reel_status_is_ok(&status))
        status = e->options->fit(e->options->fit_context, texts, count, &how->tokenizer);
    reel_mem_free(texts);
    reel_mem_free(bytes);
    return status;
}

/* An encoder for each thread. */
static ReelStatus make_encoders(ModelEncoding *e)
{
    e->subwords = reel_mem_calloc((size_t)e->texts->threads, sizeof *e->subwords);
    bool fine = e->subwords != NULL;
    for (int i = 0; fine && i < e->texts->threads; i++)
        fine = (e->subwords[i].encoder = model_bpe_encoder_new(e->how->tokenizer.bpe)) != NULL;
    return fine ? reel_status_ok() : reel_status_no_memory(0, "the tokenizer's encoders");
}

/* Whether there are pieces beside the words. */
static bool wants_pieces(const ModelDatasetOptions *options, const ModelPipeline *how)
{
    return options->begin
               ? options->begin->tokenizer.first_piece > 0
               : options->ngrams.most > 0 && !(options->ngrams.unless_ascii && !how->cleaner.unicode);
}

ReelStatus model_encoding_learn(ModelEncoding *e, ModelWordTexts *texts, ModelPipeline *how,
                                const int32_t *numbers, int64_t count, const ModelDatasetOptions *options)
{
    *e = (ModelEncoding){.texts = texts, .how = how, .options = options};
    const ModelPipeline *begin = options->begin;
    const ModelBpeTokenizer *pairs = begin ? begin->tokenizer.bpe : options->bpe;
    ReelStatus status;
    if (options->fit) {
        status = fit_own(e, how, numbers, count);
    } else if (pairs) {
        status = model_subwords_copy(&how->subwords, pairs, &how->tokenizer);
    } else if (!begin && options->byte_pairs > 0) {
        status = model_subwords_fit(&how->subwords, texts, numbers, count, &how->tokenizer);
    } else {
        status = build_vocabulary(e, how, numbers, count);
        how->tokenizer = model_vocabulary_tokenizer(&how->vocabulary);
        if (reel_status_is_ok(&status) && wants_pieces(options, how))
            status = add_pieces(e, how, numbers, count);
    }
    return reel_status_is_ok(&status) && how->tokenizer.bpe && !options->fit ? make_encoders(e) : status;
}

void model_encoding_free(ModelEncoding *e)
{
    for (int i = 0; e->subwords && i < e->texts->threads; i++)
        model_subwords_free(&e->subwords[i]);
    reel_mem_free(e->subwords);
    reel_mem_free(e->ids);
    *e = (ModelEncoding){0};
}

/* ---- Encoding ---- */

/* Some of the examples of a round. */
typedef struct Task {
    const ModelEncoding *encoding;
    const int32_t *rows;
    int64_t *lengths; /* [count] */
    int64_t count;
    ModelTokenizer tokenizer;
    ModelIdList list;
    ReelBytes scratch, text;
    int32_t longest;
    int64_t empty;
    ReelStatus status;
} Task;

/* As model_tokenizer_encode() does, of words whose ids are known. */
static bool encode_words(const ModelEncoding *e, ModelWordBytes bytes, ModelIdList *list)
{
    size_t begin = list->count + 1, end = begin + (size_t)e->how->max_len - 2;
    bool fine = model_id_list_push(list, MODEL_TOKEN_BOS);
    for (int32_t word; fine && list->count < end && model_word_texts_next(&bytes, &word);)
        fine = e->ids[word] < 0 || model_id_list_push(list, e->ids[word]);
    if (fine && list->count == begin)
        fine = model_id_list_push(list, MODEL_TOKEN_UNK);
    return fine && model_id_list_push(list, MODEL_TOKEN_EOS);
}

static ReelStatus encode_row(Task *task, int32_t row)
{
    const ModelEncoding *e = task->encoding;
    ModelWordBytes bytes;
    bool fine;
    if (e->ids) {
        ReelStatus status = model_word_texts_bytes(e->texts, row, &task->scratch, &bytes);
        if (!reel_status_is_ok(&status))
            return status;
        fine = encode_words(e, bytes, &task->list);
    } else {
        task->text.size = 0;
        ReelStatus status = model_word_texts_text(e->texts, row, &task->scratch, &task->text);
        if (!reel_status_is_ok(&status))
            return status;
        ModelTextSpan text = {task->text.data ? task->text.data : "", task->text.size};
        fine = model_tokenizer_encode(&task->tokenizer, text, e->how->max_len, &task->list);
    }
    return fine ? reel_status_ok()
                : reel_status_no_memory(task->list.count * sizeof *task->list.ids, "the ids of the texts");
}

static void encode_rows(void *context, int number)
{
    Task *task = &((Task *)context)[number];
    for (int64_t i = 0; reel_status_is_ok(&task->status) && i < task->count; i++) {
        size_t begin = task->list.count;
        task->status = encode_row(task, task->rows[i]);
        int32_t length = (int32_t)(task->list.count - begin);
        task->lengths[i] = length;
        task->longest = length > task->longest ? length : task->longest;
        task->empty += length == 3 && task->list.ids[begin + 1] == MODEL_TOKEN_UNK;
    }
}

/* Where the ids of a part are put. */
typedef struct Place {
    const ModelIdFile *file; /* or */
    void *memory;
    size_t count, capacity;
    size_t width;
    uint64_t at; /* in the file */
} Place;

static ReelStatus put_into_file(Place *place, const void *ids, size_t count)
{
    const char *from = ids;
    size_t size = count * place->width;
    while (size > 0) {
        ssize_t put = pwrite(place->file->fd, from, size, (off_t)place->at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return reel_status_failed(
                "%s: cannot be written: %s; make room there, or choose another folder with --cache",
                place->file->path, strerror(errno));
        from += put;
        place->at += (uint64_t)put;
        size -= (size_t)put;
    }
    return reel_status_ok();
}

/* Ids become ones of 16 bits where they are. */
static void narrow_ids(int32_t *ids, size_t count)
{
    char *to = (char *)ids;
    for (size_t i = 0; i < count; i++, to += sizeof(uint16_t))
        memcpy(to, &(uint16_t){(uint16_t)ids[i]}, sizeof(uint16_t));
}

static ReelStatus put(Place *place, ModelIdList *list)
{
    if (place->width == sizeof(uint16_t))
        narrow_ids(list->ids, list->count);
    if (place->file)
        return put_into_file(place, list->ids, list->count);
    char *memory = reel_mem_reserve(place->memory, place->count, list->count, &place->capacity, place->width);
    if (!memory)
        return reel_status_no_memory((place->count + list->count) * place->width, "the ids of the texts");
    place->memory = memory;
    if (list->count > 0)
        memcpy(memory + place->count * place->width, list->ids, list->count * place->width);
    place->count += list->count;
    return reel_status_ok();
}

/* Encodes examples `first` and on. */
static ReelStatus encode_round(const ModelEncoding *e, ModelDatasetPart *part, int64_t first, int64_t count,
                               Task *tasks, int num_tasks, Place *place)
{
    for (int i = 0; i < num_tasks; i++) {
        int64_t from = first + count * i / num_tasks, to = first + count * (i + 1) / num_tasks;
        tasks[i].rows = part->rows + from;
        tasks[i].lengths = part->offsets + from + 1;
        tasks[i].count = to - from;
        tasks[i].list.count = 0;
    }
    tensor_pool_run(model_word_texts_pool(e->texts, (size_t)count * LITTLE), encode_rows, tasks, num_tasks);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < num_tasks && reel_status_is_ok(&status); i++) {
        status = tasks[i].status;
        if (reel_status_is_ok(&status))
            status = put(place, &tasks[i].list);
        part->longest = tasks[i].longest > part->longest ? tasks[i].longest : part->longest;
    }
    for (int64_t i = first; reel_status_is_ok(&status) && i < first + count; i++)
        part->offsets[i + 1] += part->offsets[i];
    return status;
}

static ReelStatus encode_part(const ModelEncoding *e, ModelDatasetPart *part, Task *tasks, int num_tasks,
                              Place *place)
{
    ReelStatus status = reel_status_ok();
    part->offsets[0] = 0;
    for (int64_t at = 0, count; reel_status_is_ok(&status) && at < part->count; at += count) {
        count = part->count - at < ROUND ? part->count - at : ROUND;
        if (e->options->progress)
            e->options->progress(e->options->progress_context, "making ids", at, part->count);
        status = encode_round(e, part, at, count, tasks, num_tasks, place);
    }
    for (int i = 0; i < num_tasks; i++)
        part->empty += tasks[i].empty;
    return status;
}

/* Gives what was put to the part. */
static void settle(ModelEncoding *e, ModelDatasetPart *part, Place *place, bool fine)
{
    if (place->file) {
        part->ids = (ModelIdStore){.file = place->file, .at = e->end};
        e->end = place->at;
        return;
    }
    void *shrunk = fine ? reel_mem_realloc(place->memory, place->count * place->width) : NULL;
    void *memory = shrunk ? shrunk : place->memory;
    part->ids =
        place->width == sizeof(uint16_t) ? (ModelIdStore){.narrow = memory} : (ModelIdStore){.wide = memory};
}

ReelStatus model_encoding_fill(ModelEncoding *e, ModelDatasetPart *part)
{
    bool together =
        part->count > LITTLE && !e->options->fit; /* a tokenizer of the caller's is for one thread */
    int num_tasks = together ? e->texts->threads : 1;
    Task *tasks = reel_mem_calloc((size_t)num_tasks, sizeof *tasks);
    if (!tasks)
        return reel_status_no_memory((size_t)num_tasks * sizeof *tasks, "the ids of the texts");
    for (int i = 0; i < num_tasks; i++) {
        tasks[i] = (Task){.encoding = e, .tokenizer = e->how->tokenizer};
        if (e->subwords)
            tasks[i].tokenizer.state = &e->subwords[i];
    }
    Place place = {.file = e->file,
                   .width = e->how->tokenizer.vocab_size <= 1 << 16 ? sizeof(uint16_t) : sizeof(int32_t),
                   .at = e->end};
    ReelStatus status = encode_part(e, part, tasks, num_tasks, &place);
    settle(e, part, &place, reel_status_is_ok(&status));
    for (int i = 0; i < num_tasks; i++) {
        model_id_list_free(&tasks[i].list);
        reel_bytes_free(&tasks[i].scratch);
        reel_bytes_free(&tasks[i].text);
    }
    reel_mem_free(tasks);
    return status;
}
