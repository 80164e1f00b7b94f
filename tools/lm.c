/* Trains a language model on texts, measures it on others, and lets it write. */
#include "models/bpe/bpe.h"
#include "models/language/language_file.h"
#include "models/text/encoding.h"
#include "tensor/mem.h"
#include "tensor/pool.h"
#include "tools/interrupt.h"
#include "tools/program.h"
#include "tools/raw_texts.h"
#include "tools/training_watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OPTIONS = 48 };

typedef struct Arguments {
    const char *data, *out, *tokenizer, *clean, *stop_words;
    ModelOptionPart valid;
    int vocab, min_df, embed, hidden;
    ModelAwdLstmOptions encoder;
    ModelLanguageOptions training;
    bool resume, keep_digits, quiet;
    const char *model, *perplexity, *prompt;
    int sample, most, top_k;
    double temperature, top_p;
} Arguments;

/* ---- Reading texts ---- */

/* Cleaned texts, one behind the other. */
typedef struct Texts {
    ReelBytes bytes;
    size_t *ends; /* [count] */
    size_t count, capacity;
} Texts;

typedef struct Taker {
    Texts *train, *valid;
    double part; /* that goes to `valid` */
    const ModelCleaner *cleaner;
} Taker;

static void texts_free(Texts *texts)
{
    reel_bytes_free(&texts->bytes);
    reel_mem_free(texts->ends);
}

static ModelTextSpan text_number(const Texts *texts, size_t i)
{
    size_t begin = i > 0 ? texts->ends[i - 1] : 0;
    return (ModelTextSpan){texts->bytes.data + begin, texts->ends[i] - begin};
}

/* Which texts are held out depends on their place alone. */
static ReelStatus take_text(void *context, ModelTextSpan text)
{
    Taker *taker = context;
    uint64_t place = taker->train->count + taker->valid->count;
    TensorRandom random = tensor_random_new(tensor_random_stream("held out"), place);
    Texts *texts = tensor_random_uniform_f64(&random) < taker->part ? taker->valid : taker->train;
    size_t *ends = reel_mem_grow(texts->ends, texts->count, &texts->capacity, sizeof *ends);
    if (!ends || !model_cleaner_append(taker->cleaner, text, &texts->bytes))
        return reel_status_no_memory(text.length, "the texts");
    texts->ends = ends;
    texts->ends[texts->count++] = texts->bytes.size;
    return reel_status_ok();
}

/* How labelled corpora are read; their texts are cleaned once more. */
static ModelCleanOptions clean_options(const Arguments *a)
{
    return (ModelCleanOptions){.stop_words = a->stop_words,
                               .keep_digits = a->keep_digits,
                               .letters = a->clean && strcmp(a->clean, "unicode") == 0 ? MODEL_CLEAN_UNICODE
                                                                                       : MODEL_CLEAN_ASCII};
}

static ReelStatus read_texts(const Arguments *a, const ModelCleaner *cleaner, Texts *train, Texts *valid)
{
    ModelCleanOptions clean = clean_options(a);
    Taker taker = {train, valid, a->valid.file ? 0 : a->valid.size, cleaner};
    ReelStatus status = raw_texts_read(a->data, &clean, a->quiet, take_text, &taker);
    if (reel_status_is_ok(&status) && a->valid.file) {
        taker.part = 1.5; /* all */
        status = raw_texts_read(a->valid.file, &clean, a->quiet, take_text, &taker);
    }
    if (reel_status_is_ok(&status) && train->bytes.size == 0)
        status = reel_status_failed("%s: holds no text", a->data);
    return status;
}

/* Words or byte pairs, learned from the texts to train with. */
static ReelStatus fit_tokenizer(const Arguments *a, ModelPipeline *text, const Texts *train)
{
    ModelWordTexts words;
    ModelEncoding encoding = {0};
    ModelDatasetOptions options = model_dataset_defaults();
    ModelTextSpan *spans = reel_mem_alloc(train->count * sizeof *spans);
    int32_t *numbers = reel_mem_alloc(train->count * sizeof *numbers);
    ReelStatus status = spans && numbers ? reel_status_ok()
                                         : reel_status_no_memory(train->count * sizeof *spans, "the texts");
    for (size_t i = 0; reel_status_is_ok(&status) && i < train->count; i++) {
        spans[i] = text_number(train, i);
        numbers[i] = (int32_t)i;
    }
    text->max_len = MODEL_TOKENIZER_LEAST_MAX_LEN; /* texts are not cut */
    options.vocabulary = (ModelVocabularyOptions){.min_df = a->min_df, .max_df = 1};
    if (strcmp(a->tokenizer, "bpe") == 0)
        options.byte_pairs = text->subwords.wanted = a->vocab;
    model_word_texts_init(&words, 0, -1, NULL);
    if (reel_status_is_ok(&status))
        status = model_word_texts_add(&words, &text->cleaner, spans, (int64_t)train->count);
    if (reel_status_is_ok(&status))
        status = model_encoding_learn(&encoding, &words, text, numbers, (int64_t)train->count, &options);
    model_encoding_free(&encoding);
    model_word_texts_free(&words);
    reel_mem_free(spans);
    reel_mem_free(numbers);
    return status;
}

static ReelStatus encode(const ModelPipeline *text, const Texts *from, ModelLanguageTexts *to)
{
    ReelBytes scratch = {0};
    ReelStatus status = reel_status_ok();
    for (size_t i = 0; i < from->count && reel_status_is_ok(&status); i++)
        status = model_language_texts_add(to, text, MODEL_UNKNOWN_KEPT, text_number(from, i), &scratch);
    reel_bytes_free(&scratch);
    return status;
}

static ReelStatus make_ids(const Arguments *a, ModelPipeline *text, ModelLanguageTexts *train,
                           ModelLanguageTexts *valid)
{
    Texts to_train = {0}, to_test = {0};
    ModelCleanOptions clean = clean_options(a);
    ReelStatus status = model_cleaner_init(&text->cleaner, &clean);
    if (reel_status_is_ok(&status))
        status = read_texts(a, &text->cleaner, &to_train, &to_test);
    if (reel_status_is_ok(&status))
        status = fit_tokenizer(a, text, &to_train);
    if (reel_status_is_ok(&status))
        status = encode(text, &to_train, train);
    if (reel_status_is_ok(&status))
        status = encode(text, &to_test, valid);
    texts_free(&to_train);
    texts_free(&to_test);
    if (reel_status_is_ok(&status) && !a->quiet)
        fprintf(stderr, "%lld texts to train with, %lld held out; %zu ids of %d kinds\n",
                (long long)train->count, (long long)valid->count, train->ids.count,
                text->tokenizer.vocab_size);
    return status;
}

/* ---- Training ---- */

static ReelStatus save(void *context, const char *path)
{
    return model_language_save(context, path, 0);
}

static bool watch_training(void *context, const ModelLanguageProgress *p)
{
    TrainingWatch *watch = context;
    bool at_end = p->batch == p->batches;
    if (training_watch_is_due(watch, at_end))
        training_watch_show(watch, at_end, "epoch %d/%d  batch %lld/%lld  perplexity %.1f  %.0f ids/s",
                            p->epoch, p->epochs, (long long)p->batch, (long long)p->batches, exp(p->loss),
                            p->seconds > 0 ? (double)p->tokens / p->seconds : 0);
    return training_watch_goes_on(watch);
}

static ReelStatus print_held_out(const Arguments *a, ModelLanguage *model, const ModelLanguageTexts *valid,
                                 int epoch)
{
    double loss;
    if (valid->count == 0)
        return reel_status_ok();
    ReelStatus status = model_language_evaluate(model, valid, &loss, NULL);
    if (reel_status_is_ok(&status) && !a->quiet)
        fprintf(stderr, "epoch %d/%d  perplexity %.2f on the texts held out\n", epoch, a->training.epochs,
                exp(loss));
    return status;
}

static ReelStatus train_model(const Arguments *a, ModelLanguage *model, const ModelLanguageTexts *valid,
                              TrainingWatch *watch)
{
    ReelStatus status = reel_status_ok();
    watch->save = save;
    watch->context = model;
    for (int epoch = model_language_epoch(model);
         epoch <= a->training.epochs && reel_status_is_ok(&status) && !interrupt_signal(); epoch++) {
        bool finished;
        status = model_language_train(model, epoch, watch_training, watch, &finished);
        if (reel_status_is_ok(&status))
            status = watch->status;
        if (reel_status_is_ok(&status) && finished)
            status = print_held_out(a, model, valid, epoch);
    }
    return status;
}

static ReelStatus make_model(const Arguments *a, ModelLanguageFile *file, const ModelLanguageTexts *train)
{
    ModelAwdLstmOptions encoder = a->encoder;
    encoder.ids = file->text.tokenizer.vocab_size;
    encoder.embed = a->embed;
    encoder.hidden = a->hidden;
    file->full = a->training.full;
    model_awd_lstm_init(&file->encoder, encoder);
    ReelStatus status = nn_module_reset(&file->encoder.base, a->training.seed);
    return reel_status_is_ok(&status)
               ? model_language_new(&file->model, model_awd_lstm_encoder(&file->encoder), encoder.ids, train,
                                    &a->training)
               : status;
}

static ReelStatus write_model(ModelLanguageFile *file, const char *path)
{
    NnSnapshot snapshot;
    nn_snapshot_init(&snapshot);
    model_language_file_snapshot(file, &snapshot);
    ReelStatus status = nn_snapshot_write(&snapshot, path, (TensorNpzOptions){.level = 1});
    nn_snapshot_free(&snapshot);
    return status;
}

static ReelStatus train(const Arguments *a)
{
    TrainingWatch watch;
    ModelLanguageTexts to_train = {0}, held_out = {0};
    ModelLanguageFile file = {0};
    ReelStatus status = training_watch_begin(&watch, a->out, a->quiet);
    if (reel_status_is_ok(&status))
        status = make_ids(a, &file.text, &to_train, &held_out);
    if (reel_status_is_ok(&status))
        status = make_model(a, &file, &to_train);
    if (reel_status_is_ok(&status) && a->resume)
        status = model_language_load(file.model, watch.state_path);
    if (reel_status_is_ok(&status))
        status = train_model(a, file.model, &held_out, &watch);
    if (reel_status_is_ok(&status) && !interrupt_signal())
        status = write_model(&file, a->out);
    if (reel_status_is_ok(&status))
        training_watch_end(&watch);
    model_language_file_free(&file);
    model_language_texts_free(&to_train);
    model_language_texts_free(&held_out);
    return status;
}

/* ---- Asking a model ---- */

typedef struct Reader {
    const ModelPipeline *text;
    ModelLanguageTexts texts;
    ReelBytes scratch;
    int64_t words;
} Reader;

static ReelStatus take_to_measure(void *context, ModelTextSpan text)
{
    Reader *reader = context;
    ReelStatus status =
        model_language_texts_add(&reader->texts, reader->text, MODEL_UNKNOWN_KEPT, text, &reader->scratch);
    ModelTextSpan clean = {reader->scratch.data, reader->scratch.size};
    for (ModelTextSpan word; model_text_next_word(&clean, &word);)
        reader->words++;
    return status;
}

static ReelStatus print_perplexity(const Arguments *a, ModelLanguageFile *file)
{
    const ModelCleanOptions clean = {.stop_words = "none", .keep_digits = file->text.cleaner.keep_digits};
    Reader reader = {.text = &file->text};
    double loss;
    int64_t ids;
    ReelStatus status = raw_texts_read(a->perplexity, &clean, a->quiet, take_to_measure, &reader);
    reel_bytes_free(&reader.scratch);
    if (reel_status_is_ok(&status) && reader.texts.count == 0)
        status = reel_status_failed("%s: holds no text", a->perplexity);
    if (reel_status_is_ok(&status))
        status = model_language_evaluate(file->model, &reader.texts, &loss, &ids);
    if (reel_status_is_ok(&status)) {
        printf("perplexity %.2f for each of %lld ids (%lld of them ends of texts", exp(loss), (long long)ids,
               (long long)reader.texts.count);
        if (file->text.tokenizer.bpe)
            printf("), %.2f for each of %lld words\n",
                   exp(loss * (double)ids / (double)(reader.words + reader.texts.count)),
                   (long long)reader.words);
        else
            printf("), of which %lld are unknown words\n", (long long)reader.texts.unknown);
    }
    model_language_texts_free(&reader.texts);
    return status;
}

/* A model as it writes. */
typedef struct Writer {
    ModelLanguageFile *file;
    Tape *tape;
    NnRecurrentState states[MODEL_AWD_LSTM_MAX_LAYERS];
    const int32_t *prompt; /* the ids that are read before the first is drawn */
    int64_t prompted;
} Writer;

/* One more id. The tape goes on until the text is written: states stay where they are. */
static bool read_id(Writer *w, int32_t id, float *scores)
{
    int32_t *copy = tensor_arena_alloc(tape_arena(w->tape), sizeof *copy);
    if (!copy)
        return false;
    *copy = id;
    Var ids = tape_constant(w->tape, tensor_from(copy, TENSOR_I32, TENSOR_SHAPE(1)));
    Var h = model_awd_lstm_step(&w->file->encoder, ids, w->states);
    if (!tape_ok(w->tape) || !scores)
        return tape_ok(w->tape);
    return model_language_log_prob(w->file->model, h, scores);
}

static ReelStatus next(void *context, const int32_t *ids, const int32_t *parents, int count, float *scores)
{
    Writer *w = context;
    (void)parents, (void)count;
    bool ok = true;
    for (int64_t i = 0; ok && i < w->prompted; i++)
        ok = read_id(w, w->prompt[i], NULL);
    w->prompted = 0;
    if (!ok || !read_id(w, ids[0], scores))
        return *tape_status(w->tape);
    scores[MODEL_TOKEN_UNK] = scores[MODEL_TOKEN_PAD] = scores[MODEL_TOKEN_BOS] = -INFINITY;
    return reel_status_ok();
}

static ReelStatus print_text(const ModelPipeline *text, const int32_t *ids, int64_t count)
{
    ReelBytes all = {0};
    ReelStatus status = reel_status_ok();
    if (text->tokenizer.bpe) {
        status = model_bpe_decode(text->tokenizer.bpe, ids, (size_t)count, true, &all);
        if (reel_status_is_ok(&status))
            printf("%.*s\n", (int)all.size, all.data);
    } else {
        for (int64_t i = 0; i < count; i++)
            printf("%s%s", i > 0 ? " " : "", model_pipeline_word(text, ids[i], NULL));
        putchar('\n');
    }
    reel_bytes_free(&all);
    return status;
}

/* The ids of the prompt with <bos>; the last one is what the first step reads. */
static ReelStatus read_prompt(const Arguments *a, const ModelPipeline *text, ModelLanguageTexts *prompt)
{
    static const int32_t begin[] = {MODEL_TOKEN_BOS, MODEL_TOKEN_EOS};
    ReelBytes scratch = {0};
    ReelStatus status = a->prompt ? model_language_texts_add(prompt, text, MODEL_UNKNOWN_KEPT,
                                                             model_text_span(a->prompt), &scratch)
                                  : reel_status_ok();
    reel_bytes_free(&scratch);
    if (reel_status_is_ok(&status) && prompt->count == 0)
        status = model_language_texts_add_ids(prompt, begin, 2);
    return status;
}

static ReelStatus write_one(const Arguments *a, Writer *w, const ModelLanguageTexts *prompt,
                            TensorRandom *random, int32_t *ids)
{
    int64_t known = (int64_t)prompt->ids.count - 1; /* without <eos> */
    NnDecodeOptions options = nn_decode_options(w->file->text.tokenizer.vocab_size,
                                                prompt->ids.ids[known - 1], MODEL_TOKEN_EOS, a->most);
    options.temperature = a->temperature;
    options.top_k = a->top_k;
    options.top_p = a->top_p;
    memset(w->states, 0, sizeof w->states);
    w->prompt = prompt->ids.ids;
    w->prompted = known - 1;
    int32_t count;
    memcpy(ids, prompt->ids.ids + 1, (size_t)(known - 1) * sizeof *ids);
    tape_begin(w->tape);
    ReelStatus status = nn_decode_sample(next, w, options, random, ids + known - 1, &count);
    return reel_status_is_ok(&status) ? print_text(&w->file->text, ids, known - 1 + count) : status;
}

static ReelStatus print_samples(const Arguments *a, ModelLanguageFile *file)
{
    ModelLanguageTexts prompt = {0};
    Writer w = {.file = file, .tape = tape_new()};
    ReelStatus status = w.tape ? read_prompt(a, &file->text, &prompt) : reel_status_no_memory(0, "a tape");
    int32_t *ids = reel_mem_alloc((prompt.ids.count + (size_t)a->most) * sizeof *ids);
    if (reel_status_is_ok(&status) && !ids)
        status = reel_status_no_memory((size_t)a->most * sizeof *ids, "a text");
    nn_module_train(model_language_module(file->model), false);
    if (w.tape)
        tape_set_grad_enabled(w.tape, false);
    for (int i = 0; i < a->sample && reel_status_is_ok(&status); i++) {
        TensorRandom random =
            tensor_random_new(a->training.seed ^ tensor_random_stream("sample"), (uint64_t)i);
        status = write_one(a, &w, &prompt, &random, ids);
    }
    reel_mem_free(ids);
    tape_free(w.tape);
    model_language_texts_free(&prompt);
    return status;
}

static ReelStatus ask(const Arguments *a)
{
    ModelLanguageFile file = {0};
    ReelStatus status = model_language_file_load(&file, a->model, a->training.threads);
    if (reel_status_is_ok(&status) && a->perplexity)
        status = print_perplexity(a, &file);
    if (reel_status_is_ok(&status) && a->sample > 0)
        status = print_samples(a, &file);
    model_language_file_free(&file);
    return status;
}

/* ---- The command line ---- */

static int describe(Arguments *a, ModelOption options[OPTIONS])
{
    ModelLanguageOptions *t = &a->training;
    ModelAwdLstmOptions *e = &a->encoder;
    const ModelOption all[] = {
        {"data", "FILES", MODEL_OPTION_TEXT, &a->data, 0, 0,
         "texts, one a line, and labelled corpora, of which the training part counts; commas between"},
        {"out", "FILE", MODEL_OPTION_TEXT, &a->out, 0, 0, "where the model goes: .npz"},
        {"valid", "X|FILE", MODEL_OPTION_PART, &a->valid, 0, 0.9,
         "part of the texts that is held out, or a file of others: perplexity after each epoch (0.1)"},
        {"tokenizer", "KIND", MODEL_OPTION_TEXT, &a->tokenizer, 0, 0, "words, or bpe: byte pairs (words)"},
        {"min-df", "N", MODEL_OPTION_INTEGER, &a->min_df, 1, 1e9,
         "words in fewer texts are unknown ones, <unk> (2)"},
        {"vocab", "N", MODEL_OPTION_INTEGER, &a->vocab, 8, MODEL_BPE_MAX_TOKENS,
         "ids of bpe, special ones and letters included (8000)"},
        {"clean", "KIND", MODEL_OPTION_TEXT, &a->clean, 0, 0,
         "ascii (words of a-z) or unicode (of all letters, marks and digits) (ascii)"},
        {"keep-digits", NULL, MODEL_OPTION_FLAG, &a->keep_digits, 0, 0,
         "words of the letters a-z and the digits 0-9"},
        {"stop-words", "FILE", MODEL_OPTION_TEXT, &a->stop_words, 0, 0,
         "file of words to drop, or none (none)"},
        {"embed", "N", MODEL_OPTION_INTEGER, &a->embed, 1, 1 << 20, "width of the embedding (256)"},
        {"hidden", "N", MODEL_OPTION_INTEGER, &a->hidden, 1, 1 << 20, "width of the LSTMs' states (256)"},
        {"layers", "N", MODEL_OPTION_INTEGER, &e->layers, 1, MODEL_AWD_LSTM_MAX_LAYERS, "LSTMs (2)"},
        {"word-dropout", "X", MODEL_OPTION_NUMBER, &e->word_dropout, 0, 0.99,
         "of whole words of the embedding (0.05)"},
        {"embed-dropout", "X", MODEL_OPTION_NUMBER, &e->embed_dropout, 0, 0.99,
         "of the embedding's outputs (0.2)"},
        {"hidden-dropout", "X", MODEL_OPTION_NUMBER, &e->hidden_dropout, 0, 0.99,
         "of the states between LSTMs (0.2)"},
        {"weight-dropout", "X", MODEL_OPTION_NUMBER, &e->weight_dropout, 0, 0.99,
         "of the recurrent weights (0.2)"},
        {"dropout", "X", MODEL_OPTION_NUMBER, &t->dropout, 0, 0.99, "of what the softmax reads (0.2)"},
        {"full-softmax", NULL, MODEL_OPTION_FLAG, &t->full, 0, 0,
         "a full softmax; else an adaptive one where there are 1,000 ids or more"},
        {"epochs", "N", MODEL_OPTION_INTEGER, &t->epochs, 1, 1e6, "passes over the texts (10)"},
        {"batch", "N", MODEL_OPTION_INTEGER, &t->batch, 1, 1e6, "texts an update (64)"},
        {"length", "N", MODEL_OPTION_INTEGER, &t->length, 1, 1e6,
         "ids in one go; longer texts are cut into several (128)"},
        {"lr", "X", MODEL_OPTION_NUMBER, &t->lr, 1e-12, 1e3,
         "learning rate of Adam, which falls to 0 by half a cosine (2e-3)"},
        {"clip", "X", MODEL_OPTION_NUMBER, &t->clip, 0, 1e9,
         "clip gradients to this global norm (1; 0: off)"},
        {"shards", "N", MODEL_OPTION_INTEGER, &t->shards, 1, 64,
         "parts of an update; the model depends on it (2)"},
        {"threads", "N", MODEL_OPTION_INTEGER, &t->threads, 1, 1024, "threads (all processors); it does not"},
        {"seed", "N", MODEL_OPTION_SEED, &t->seed, 0, 0, "of all that is drawn (0)"},
        {"resume", NULL, MODEL_OPTION_FLAG, &a->resume, 0, 0, "go on with a training that was interrupted"},
        {"model", "FILE", MODEL_OPTION_TEXT, &a->model, 0, 0, "a trained model to ask"},
        {"perplexity", "FILES", MODEL_OPTION_TEXT, &a->perplexity, 0, 0,
         "print its perplexity on these texts"},
        {"sample", "N", MODEL_OPTION_INTEGER, &a->sample, 0, 1e6, "let it write N texts"},
        {"prompt", "TEXT", MODEL_OPTION_TEXT, &a->prompt, 0, 0, "that begin so"},
        {"most", "N", MODEL_OPTION_INTEGER, &a->most, 1, 1e6, "ids a text, at most (100)"},
        {"temperature", "X", MODEL_OPTION_NUMBER, &a->temperature, 1e-6, 1e6,
         "above 1: more surprising, below: less (1)"},
        {"top-k", "N", MODEL_OPTION_INTEGER, &a->top_k, 0, 1e9, "draw from the N likeliest ids (0: all)"},
        {"top-p", "X", MODEL_OPTION_NUMBER, &a->top_p, 1e-9, 1,
         "draw from the likeliest ids that have this probability together (1)"},
        {"quiet", NULL, MODEL_OPTION_FLAG, &a->quiet, 0, 0, "no progress"},
    };
    _Static_assert(sizeof all / sizeof *all <= OPTIONS, "room for all options");
    memcpy(options, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

static ReelStatus run(const Arguments *a)
{
    if (strcmp(a->tokenizer, "words") != 0 && strcmp(a->tokenizer, "bpe") != 0)
        return reel_status_usage("--tokenizer %.40s: must be words or bpe", a->tokenizer);
    if (a->clean && strcmp(a->clean, "ascii") != 0 && strcmp(a->clean, "unicode") != 0)
        return reel_status_usage("--clean %.40s: must be ascii or unicode", a->clean);
    if (a->model && (a->data || a->out || !(a->perplexity || a->sample > 0)))
        return reel_status_usage("--model FILE is for --perplexity FILES and --sample N alone");
    if (a->model)
        return ask(a);
    if (!a->data || !a->out || a->perplexity || a->sample > 0)
        return reel_status_usage(
            "--data FILES and --out FILE are required, or --model FILE with --perplexity "
            "FILES or --sample N");
    return train(a);
}

int main(int argc, char **argv)
{
    Arguments a = {.tokenizer = "words",
                   .stop_words = "none",
                   .valid = {.size = 0.1},
                   .vocab = 8000,
                   .min_df = 2,
                   .embed = 256,
                   .hidden = 256,
                   .encoder = {.layers = 2,
                               .word_dropout = 0.05,
                               .embed_dropout = 0.2,
                               .hidden_dropout = 0.2,
                               .weight_dropout = 0.2},
                   .training = model_language_defaults(),
                   .most = 100,
                   .temperature = 1,
                   .top_p = 1};
    ModelOption options[OPTIONS];
    a.training.epochs = 10;
    a.training.dropout = 0.2;
    a.training.threads = tensor_pool_processors();
    const Program program = {
        .name = "reel-lm",
        .summary = "train a language model on texts, measure it, let it write",
        .synopsis =
            "--data FILES --out FILE [options]\n--model FILE --perplexity FILES\n--model FILE --sample N "
            "[--prompt TEXT]",
        .description =
            "Trains LSTMs to predict the next word of texts, or the next byte pair, with the dropouts of "
            "AWD-LSTM. Each line is a text of its own. With --model, says how well a model predicts other "
            "texts, "
            "or lets it write some.",
        .options = options,
        .count = describe(&a, options),
    };
    if (program_tells(&program, argc, argv))
        return program_report(NULL);
    ReelStatus status = options_parse(options, program.count, argc, argv, NULL, NULL, NULL);
    if (reel_status_is_ok(&status))
        status = run(&a);
    return interrupt_exit_code(program_report(&status));
}
