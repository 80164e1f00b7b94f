/* Learns word vectors from texts, and shows the nearest words of one. */
#include "models/text/clean.h"
#include "models/vectors/skip_gram.h"
#include "models/vectors/vectors_reader.h"
#include "models/vectors/vectors_writer.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/raw_texts.h"
#include "tools/training_watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEIGHBOURS = 10, OPTIONS = 32 };

typedef struct Arguments {
    const char *data, *out, *vectors, *neighbours, *stop_words;
    ModelSkipGramOptions model;
    int width, min_count;
    bool resume, keep_digits, quiet;
} Arguments;

/* ---- Reading texts ---- */

/* Where texts go, and the memory for a cleaned one. */
typedef struct Taker {
    ModelSentences *sentences;
    ModelCleaner cleaner;
    ReelBytes clean;
} Taker;

static ReelStatus take_text(void *context, ModelTextSpan text)
{
    Taker *taker = context;
    taker->clean.size = 0;
    return model_cleaner_append(&taker->cleaner, text, &taker->clean)
               ? model_sentences_add(taker->sentences, (ModelTextSpan){taker->clean.data, taker->clean.size})
               : reel_status_no_memory(text.length, "the texts");
}

static ReelStatus read_texts(ModelSentences *sentences, const Arguments *a)
{
    const ModelCleanOptions clean = {.stop_words = a->stop_words, .keep_digits = a->keep_digits};
    Taker taker = {.sentences = sentences};
    ReelStatus status = model_cleaner_init(&taker.cleaner, &clean);
    if (reel_status_is_ok(&status))
        status = raw_texts_read(a->data, &clean, a->quiet, take_text, &taker);
    reel_bytes_free(&taker.clean);
    model_cleaner_free(&taker.cleaner);
    int64_t texts = sentences->count, all = sentences->words.count;
    if (reel_status_is_ok(&status) && texts == 0)
        status = reel_status_failed("%s: holds no text", a->data);
    if (reel_status_is_ok(&status))
        status = model_sentences_number(sentences, a->min_count);
    if (reel_status_is_ok(&status) && !a->quiet)
        fprintf(stderr,
                "%lld texts, %lld words of %d kinds (of %lld; the others are there less than %d times)\n",
                (long long)texts, (long long)sentences->offsets[sentences->count], sentences->words.count,
                (long long)all, a->min_count);
    return status;
}

/* ---- Neighbours ---- */

typedef struct Neighbour {
    double cosine;
    int32_t word;
} Neighbour;

static double dot(const float *x, const float *y, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += (double)x[j] * (double)y[j];
    return sum;
}

/* Prints the words whose vectors have the largest cosine with that of `word`. */
static void print_neighbours(const ModelStringTable *words, const float *rows, size_t width, int32_t word)
{
    Neighbour best[NEIGHBOURS];
    int count = 0;
    const float *own = rows + (size_t)word * width;
    double norm = sqrt(dot(own, own, width));
    for (int32_t w = 0; w < words->count; w++) {
        const float *row = rows + (size_t)w * width;
        double length = sqrt(dot(row, row, width)) * norm;
        double cosine = length > 0 ? dot(row, own, width) / length : 0;
        if (w == word || (count == NEIGHBOURS && cosine <= best[count - 1].cosine))
            continue;
        int at = count < NEIGHBOURS ? count++ : count - 1;
        for (; at > 0 && best[at - 1].cosine < cosine; at--)
            best[at] = best[at - 1];
        best[at] = (Neighbour){cosine, w};
    }
    printf("%s:", model_string_table_text(words, word));
    for (int i = 0; i < count; i++)
        printf("%s %s %.3f", i > 0 ? "," : "", model_string_table_text(words, best[i].word), best[i].cosine);
    putchar('\n');
}

static ReelStatus print_all_neighbours(const Arguments *a, const ModelStringTable *words, const float *rows,
                                       size_t width)
{
    char *list = reel_mem_strdup(a->neighbours), *rest = list;
    ReelStatus status = list ? reel_status_ok() : reel_status_no_memory(0, "the list of words");
    for (const char *asked; reel_status_is_ok(&status) && (asked = raw_texts_next(&rest)) != NULL;) {
        int32_t word = model_string_table_find(words, model_text_span(asked));
        if (word < 0)
            status = reel_status_failed("\"%.100s\" is not among the words", asked);
        else
            print_neighbours(words, rows, width, word);
    }
    reel_mem_free(list);
    return status;
}

/* All of a file of vectors, and the neighbours asked for. */
static ReelStatus show_file(const Arguments *a)
{
    ModelStringTable words;
    float *rows;
    int64_t width;
    ReelStatus status = model_vectors_read(a->vectors, &words, &rows, &width);
    if (reel_status_is_ok(&status))
        status = print_all_neighbours(a, &words, rows, (size_t)width);
    model_string_table_free(&words);
    reel_mem_free(rows);
    return status;
}

/* ---- Training ---- */

static ReelStatus save(void *context, const char *path)
{
    return model_skip_gram_save(context, path);
}

static bool watch_training(void *context, const ModelSkipGramProgress *p)
{
    TrainingWatch *watch = context;
    bool at_end = p->words == p->total;
    double speed = p->seconds > 0 ? (double)p->words_in_all / p->seconds : 0;
    double left = (double)(p->epochs - p->epoch) + 1 - (double)p->words / (double)p->total;
    if (training_watch_is_due(watch, at_end))
        training_watch_show(watch, at_end, "epoch %d/%d %3.0f %%  loss %.4f  %.0f words/s  %.0f s left",
                            p->epoch, p->epochs, 100 * (double)p->words / (double)p->total, p->loss, speed,
                            speed > 0 ? left * (double)p->total / speed : 0);
    return training_watch_goes_on(watch);
}

static ReelStatus train_model(ModelSkipGram *model, TrainingWatch *watch)
{
    bool finished;
    watch->save = save;
    watch->context = model;
    ReelStatus status = model_skip_gram_train(model, watch_training, watch, &finished);
    return reel_status_is_ok(&status) ? watch->status : status;
}

static ReelStatus write_vectors(const Arguments *a, const ModelSkipGram *model, const ModelStringTable *words)
{
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Tensor rows = model_skip_gram_vectors(model, &arena);
    ReelStatus status = tensor_is_valid(rows) ? model_vectors_write(a->out, words, rows)
                                              : reel_status_no_memory(0, "the vectors");
    if (reel_status_is_ok(&status) && !a->quiet)
        fprintf(stderr, "%s: %d vectors of %d numbers\n", a->out, words->count, a->width);
    if (reel_status_is_ok(&status) && a->neighbours)
        status = print_all_neighbours(a, words, tensor_f32(rows), (size_t)a->width);
    tensor_arena_free(&arena);
    return status;
}

static ReelStatus train(const Arguments *a)
{
    TrainingWatch watch;
    ModelSentences sentences = {0};
    ModelSkipGram *model = NULL;
    ReelStatus status = training_watch_begin(&watch, a->out, a->quiet);
    if (reel_status_is_ok(&status))
        status = read_texts(&sentences, a);
    if (reel_status_is_ok(&status))
        status = model_skip_gram_new(&model, &sentences, &a->model);
    if (reel_status_is_ok(&status) && a->resume)
        status = model_skip_gram_load(model, watch.state_path);
    if (reel_status_is_ok(&status))
        status = train_model(model, &watch);
    if (reel_status_is_ok(&status) && !interrupt_signal())
        status = write_vectors(a, model, &sentences.words);
    if (reel_status_is_ok(&status))
        training_watch_end(&watch);
    model_skip_gram_free(model);
    model_sentences_free(&sentences);
    return status;
}

/* ---- The command line ---- */

static int describe(Arguments *a, ModelOption options[OPTIONS])
{
    ModelSkipGramOptions *m = &a->model;
    const ModelOption all[] = {
        {"data", "FILES", MODEL_OPTION_TEXT, &a->data, 0, 0,
         "texts, one a line, and labelled corpora, of which the training part counts; commas between"},
        {"out", "FILE", MODEL_OPTION_TEXT, &a->out, 0, 0,
         "where the vectors go: .npz, .bin (word2vec's binary), else word2vec's text"},
        {"dim", "N", MODEL_OPTION_INTEGER, &a->width, 1, 1 << 20, "numbers in a vector (100)"},
        {"window", "N", MODEL_OPTION_INTEGER, &m->window, 1, 1000, "neighbours on either side, at most (5)"},
        {"negative", "N", MODEL_OPTION_INTEGER, &m->negative, 1, 1000, "words drawn against each word (5)"},
        {"epochs", "N", MODEL_OPTION_INTEGER, &m->epochs, 1, 1e6, "passes over the texts (5)"},
        {"sample", "X", MODEL_OPTION_NUMBER, &m->sample, 0, 1,
         "words more frequent than this part of all are dropped at random (1e-3; 0: none)"},
        {"lr", "X", MODEL_OPTION_NUMBER, &m->lr, 1e-12, 1e3, "learning rate, which falls to 1e-4 (0.025)"},
        {"batch", "N", MODEL_OPTION_INTEGER, &m->batch, 1, 1e6, "words an update (64)"},
        {"shards", "N", MODEL_OPTION_INTEGER, &m->shards, 1, 64,
         "parts of an update; the vectors depend on it (2)"},
        {"threads", "N", MODEL_OPTION_INTEGER, &m->threads, 1, 1024, "threads (all processors); they do not"},
        {"seed", "N", MODEL_OPTION_SEED, &m->seed, 0, 0, "of all that is drawn (0)"},
        {"min-count", "N", MODEL_OPTION_INTEGER, &a->min_count, 1, 1e9,
         "drop words that are there less often (2)"},
        {"buckets", "N", MODEL_OPTION_INTEGER, &m->buckets, 0, 1 << 30,
         "vectors for pieces of words, which are added to the word's (0: none)"},
        {"min-piece", "N", MODEL_OPTION_INTEGER, &m->min_piece, 1, 50, "characters of a piece, at least (3)"},
        {"max-piece", "N", MODEL_OPTION_INTEGER, &m->max_piece, 1, 50, "and at most (6)"},
        {"keep-digits", NULL, MODEL_OPTION_FLAG, &a->keep_digits, 0, 0,
         "words of the letters a-z and the digits 0-9"},
        {"stop-words", "FILE", MODEL_OPTION_TEXT, &a->stop_words, 0, 0,
         "file of words to drop, or none (none)"},
        {"resume", NULL, MODEL_OPTION_FLAG, &a->resume, 0, 0, "go on with a training that was interrupted"},
        {"neighbours", "WORDS", MODEL_OPTION_TEXT, &a->neighbours, 0, 0,
         "print the nearest words of these, commas between: of what was learned, or of --vectors"},
        {"vectors", "FILE", MODEL_OPTION_TEXT, &a->vectors, 0, 0,
         "a file of vectors to look into, of any kind"},
        {"quiet", NULL, MODEL_OPTION_FLAG, &a->quiet, 0, 0, "no progress"},
    };
    _Static_assert(sizeof all / sizeof *all <= OPTIONS, "room for all options");
    memcpy(options, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

static ReelStatus run(const Arguments *a)
{
    if (a->vectors && (a->data || a->out || !a->neighbours))
        return reel_status_usage("--vectors FILE is for --neighbours WORDS alone");
    if (a->vectors)
        return show_file(a);
    if (!a->data || !a->out)
        return reel_status_usage(
            "--data FILES and --out FILE are required, or --vectors FILE and --neighbours WORDS");
    return train(a);
}

int main(int argc, char **argv)
{
    Arguments a = {.model = model_skip_gram_defaults(), .min_count = 2, .stop_words = "none"};
    ModelOption options[OPTIONS];
    a.width = (int)a.model.width;
    a.model.threads = tensor_pool_processors();
    const Program program = {
        .name = "reel-vectors",
        .summary = "learn word vectors from texts",
        .synopsis = "--data FILES --out FILE [options]\n--vectors FILE --neighbours WORDS",
        .description =
            "Learns a vector for each word of the texts: skip-gram with negative sampling. A model of the "
            "zoo "
            "begins with them by reel-train --vectors FILE. With --vectors, looks into such a file.",
        .options = options,
        .count = describe(&a, options),
    };
    if (program_tells(&program, argc, argv))
        return program_report(NULL);
    ReelStatus status = options_parse(options, program.count, argc, argv, NULL, NULL, NULL);
    a.model.width = a.width;
    if (reel_status_is_ok(&status))
        status = run(&a);
    return interrupt_exit_code(program_report(&status));
}
