#include "models/vectors/pretrained.h"

#include "models/vectors/vectors_reader.h"
#include "tensor/elementwise.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* Where each word's row comes from. */
typedef struct Search {
    const ModelVocabulary *vocabulary;
    ModelVectorsReader *reader;
    int64_t *record;  /* [V] the word of the file, from 1; 0: none */
    bool *is_lowered; /* [V] it differs in case */
    char lower[256];
} Search;

/* The word of the vocabulary that may take this row, or -1. */
static ReelStatus choose(Search *s, ModelTextSpan word, int64_t record, int32_t *id)
{
    *id = model_vocabulary_id(s->vocabulary, word);
    if (*id >= MODEL_NUM_SPECIAL_TOKENS) {
        if (s->record[*id] > 0 && !s->is_lowered[*id])
            return reel_status_failed(
                "%s: \"%.*s\" is there already, as word %lld of the file; remove one of them",
                model_vectors_place(s->reader), (int)(word.length > 80 ? 80 : word.length), word.bytes,
                (long long)s->record[*id]);
        s->is_lowered[*id] = false;
    } else {
        bool changed = false;
        *id = -1;
        if (word.length > sizeof s->lower)
            return reel_status_ok();
        for (size_t i = 0; i < word.length; i++) {
            unsigned char c = (unsigned char)word.bytes[i];
            s->lower[i] = (char)(c < 128 ? tolower(c) : c);
            changed |= s->lower[i] != word.bytes[i];
        }
        if (changed)
            *id = model_vocabulary_id(s->vocabulary, (ModelTextSpan){s->lower, word.length});
        if (*id < MODEL_NUM_SPECIAL_TOKENS || s->record[*id] > 0) {
            *id = -1;
            return reel_status_ok();
        }
        s->is_lowered[*id] = true;
    }
    s->record[*id] = record;
    return reel_status_ok();
}

static ReelStatus read_all(ModelPretrained *p, Search *s)
{
    int64_t width = p->rows.shape[1];
    for (;;) {
        ModelTextSpan word;
        int32_t id;
        ReelStatus status = model_vectors_next(s->reader, &word);
        if (!reel_status_is_ok(&status) || !word.bytes)
            return status;
        status = choose(s, word, ++p->in_file, &id);
        if (reel_status_is_ok(&status) && id >= 0)
            status = model_vectors_row(s->reader, tensor_f32(p->rows) + id * width);
        if (!reel_status_is_ok(&status))
            return status;
    }
}

/* Mean and deviation of the rows found; the others are drawn with them, and all are scaled. */
static void fill_rest(ModelPretrained *p, const Search *s, double deviation, uint64_t seed)
{
    int64_t width = p->rows.shape[1];
    double sum = 0, squares = 0, count;
    for (int64_t id = 0; id < p->rows.shape[0]; id++)
        for (int64_t j = 0; s->record[id] > 0 && j < width; j++)
            sum += (double)tensor_f32(p->rows)[id * width + j];
    count = (double)p->found * (double)width;
    p->mean = sum / count;
    for (int64_t id = 0; id < p->rows.shape[0]; id++)
        for (int64_t j = 0; s->record[id] > 0 && j < width; j++)
            squares += pow((double)tensor_f32(p->rows)[id * width + j] - p->mean, 2);
    p->deviation = sqrt(squares / count);
    for (int64_t id = 0; id < p->rows.shape[0]; id++) {
        TensorRandom random = tensor_random_new(seed ^ tensor_random_stream("pretrained"), (uint64_t)id);
        if (s->record[id] == 0)
            tensor_random_fill_normal(&random, tensor_select(p->rows, 0, id), p->mean, p->deviation);
    }
    if (deviation > 0 && p->deviation > 0) {
        double factor = deviation / p->deviation;
        tensor_axpby(p->rows, factor, p->rows, 0);
        p->mean *= factor;
        p->deviation = deviation;
    }
}

ReelStatus model_pretrained_read(ModelPretrained *p, const char *path, const ModelVocabulary *vocabulary,
                                 int64_t width, double deviation, uint64_t seed)
{
    size_t size = (size_t)model_vocabulary_size(vocabulary);
    Search s = {.vocabulary = vocabulary,
                .record = reel_mem_calloc(size, sizeof *s.record),
                .is_lowered = reel_mem_calloc(size, sizeof *s.is_lowered)};
    *p = (ModelPretrained){0};
    tensor_arena_init(&p->arena, 0);
    p->rows = tensor_new(&p->arena, TENSOR_F32, TENSOR_SHAPE((int64_t)size, width));
    ReelStatus status = s.record && s.is_lowered && tensor_is_valid(p->rows)
                            ? model_vectors_open(&s.reader, path)
                            : reel_status_no_memory(size * (size_t)width * sizeof(float), path);
    if (reel_status_is_ok(&status) && model_vectors_width(s.reader) != width)
        status = reel_status_usage(
            "%s: the vectors are %lld wide and the embedding is %lld; give --embed %lld, or other "
            "vectors",
            path, (long long)model_vectors_width(s.reader), (long long)width,
            (long long)model_vectors_width(s.reader));
    if (reel_status_is_ok(&status)) {
        p->format = model_vectors_format(s.reader);
        status = read_all(p, &s);
    }
    for (size_t id = 0; reel_status_is_ok(&status) && id < size; id++) {
        p->found += s.record[id] > 0;
        p->lowered += s.is_lowered[id];
    }
    if (reel_status_is_ok(&status) && p->found == 0)
        status = reel_status_failed(
            "%s: none of its %lld words is a word of the training texts; are they of another "
            "language, or cleaned in another way?",
            path, (long long)p->in_file);
    if (reel_status_is_ok(&status))
        fill_rest(p, &s, deviation, seed);
    model_vectors_close(s.reader);
    reel_mem_free(s.record);
    reel_mem_free(s.is_lowered);
    if (!reel_status_is_ok(&status))
        model_pretrained_free(p);
    return status;
}

void model_pretrained_free(ModelPretrained *p)
{
    if (p->rows.data)
        tensor_arena_free(&p->arena);
    *p = (ModelPretrained){0};
}
