#include "models/training/classifier.h"

#include "models/training/checkpoint.h"
#include "models/training/predictor.h"
#include "models/training/refit.h"
#include "models/training/task.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Texts that are predicted in one go. */
enum { WINDOW = 8192 };

struct ModelClassifier {
    ModelZooSettings settings;
    bool given[MODEL_ZOO_MAX_OPTIONS];
    TensorArena strings; /* of settings */
    ModelRunWatcher watcher;
    ModelCheckpoint *model; /* NULL: not fitted */
    ModelPredictor *predictor;
};

ReelStatus model_classifier_new(ModelClassifier **out)
{
    ModelClassifier *c = *out = reel_mem_calloc(1, sizeof *c);
    if (!c)
        return reel_status_no_memory(sizeof *c, "the classifier");
    c->settings = model_zoo_defaults();
    c->settings.models = "best";
    tensor_arena_init(&c->strings, 0);
    return reel_status_ok();
}

static void forget_model(ModelClassifier *c)
{
    model_predictor_free(c->predictor);
    model_checkpoint_free(c->model);
    c->predictor = NULL;
    c->model = NULL;
}

void model_classifier_free(ModelClassifier *c)
{
    if (!c)
        return;
    forget_model(c);
    tensor_arena_free(&c->strings);
    reel_mem_free(c);
}

/* ---- Settings ---- */

int model_classifier_options(ModelClassifier *c, ModelOption options[MODEL_ZOO_MAX_OPTIONS])
{
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS];
    int all = model_zoo_settings(&c->settings, settings), count = 0;
    for (int i = 0; i < all; i++)
        if (settings[i].reach == MODEL_SETTING_FOR_ALL)
            options[count++] = settings[i].option;
    return count;
}

static ReelStatus set_switch(const ModelOption *option, const char *value)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return reel_status_usage("--%s %.80s: is a switch, and on or off", option->name, value);
    *(bool *)option->value = on;
    return reel_status_ok();
}

static ReelStatus set_option(ModelClassifier *c, const ModelOption *option, const char *value)
{
    if (option->kind == MODEL_OPTION_FLAG)
        return set_switch(option, value);
    ModelOptionPart part = c->settings.valid;
    const char *copy = tensor_arena_memdup(&c->strings, value, strlen(value) + 1);
    if (!copy)
        return reel_status_no_memory(strlen(value), "the settings");
    ReelStatus status = model_options_set(option, copy);
    if (reel_status_is_ok(&status) && c->settings.valid.file) {
        c->settings.valid = part;
        status = reel_status_usage("--valid %.80s: must be a part of the texts, a number", value);
    }
    return status;
}

ReelStatus model_classifier_set(ModelClassifier *c, const char *name, const char *value)
{
    ModelSetting settings[MODEL_ZOO_MAX_OPTIONS];
    int count = model_zoo_settings(&c->settings, settings), i = 0;
    while (i < count && strcmp(settings[i].option.name, name) != 0)
        i++;
    if (i == count)
        return reel_status_usage("there is no setting '%.80s'", name);
    if (settings[i].reach != MODEL_SETTING_FOR_ALL)
        return reel_status_usage("--%s is for train_zoo and its files, not for texts in memory", name);
    ReelStatus status = set_option(c, &settings[i].option, value);
    c->given[i] = c->given[i] || reel_status_is_ok(&status);
    return status;
}

void model_classifier_watch(ModelClassifier *c, ModelRunWatcher watcher)
{
    c->watcher = watcher;
}

/* ---- Texts and labels ---- */

static ReelStatus check_label(ModelTextSpan label, int64_t row)
{
    if (label.length == 0)
        return reel_status_failed("text %lld has an empty label; name it, or leave it out", (long long)row);
    if (reel_utf8_valid(label.bytes, label.length) != label.length)
        return reel_status_failed("a label of text %lld is not UTF-8; convert it", (long long)row);
    if (strpbrk(label.bytes, "\t\n\r"))
        return reel_status_failed("the label '%.60s' of text %lld has a tab or a line end in it; write it "
                                  "without",
                                  label.bytes, (long long)row);
    return reel_status_ok();
}

static int compare_numbers(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Numbers for the names that the rows have, in their places. */
static ReelStatus add_labels(ModelCorpus *corpus, const char *const *labels, const int64_t *offsets)
{
    for (int64_t row = 0, at = 0; row < corpus->rows; row++) {
        int64_t from = offsets ? offsets[row] : row,
                to = offsets ? offsets[row + 1] : row + (labels[row] != NULL);
        for (int64_t i = from; i < to; i++) {
            ModelTextSpan label = model_text_span(labels[i]);
            ReelStatus status = check_label(label, row);
            if (!reel_status_is_ok(&status))
                return status;
            if ((corpus->labels[at++] = model_string_table_add(&corpus->classes, label)) < 0)
                return reel_status_no_memory(label.length, "the labels' names");
        }
        corpus->label_offsets[row + 1] = at;
        corpus->unlabelled += from == to;
    }
    return reel_status_ok();
}

/* The labels of each row in the order of their names, none twice. */
static ReelStatus sort_labels(ModelCorpus *corpus)
{
    size_t bytes = (size_t)corpus->classes.count * sizeof(int32_t);
    int32_t *new_ids = reel_mem_alloc(bytes);
    bool fine = new_ids && model_string_table_sort(&corpus->classes, new_ids);
    for (int64_t row = 0, from = 0, used = 0; fine && row < corpus->rows; row++) {
        int64_t end = corpus->label_offsets[row + 1], first = used;
        for (int64_t i = from; i < end; i++)
            corpus->labels[i] = new_ids[corpus->labels[i]];
        qsort(corpus->labels + from, (size_t)(end - from), sizeof *corpus->labels, compare_numbers);
        for (int64_t i = from; i < end; i++)
            if (used == first || corpus->labels[used - 1] != corpus->labels[i])
                corpus->labels[used++] = corpus->labels[i];
        corpus->label_offsets[row + 1] = used;
        from = end;
    }
    reel_mem_free(new_ids);
    return fine ? reel_status_ok() : reel_status_no_memory(bytes, "the labels");
}

/* A corpus of the caller's strings. */
static ReelStatus make_corpus(ModelCorpus *corpus, const char *const *texts, int64_t count,
                              const char *const *labels, const int64_t *offsets)
{
    size_t rows = (size_t)count, total = (size_t)(offsets ? offsets[count] : count);
    *corpus = (ModelCorpus){.rows = count, .form = "texts in memory"};
    corpus->texts = reel_mem_alloc(rows * sizeof *corpus->texts);
    corpus->label_offsets = reel_mem_calloc(rows + 1, sizeof *corpus->label_offsets);
    corpus->labels = reel_mem_alloc(total * sizeof *corpus->labels);
    if (!corpus->texts || !corpus->label_offsets || !corpus->labels)
        return reel_status_no_memory(rows * sizeof *corpus->texts, "the texts");
    for (int64_t row = 0; row < count; row++) {
        ModelTextSpan text = corpus->texts[row] = model_text_span(texts[row]);
        if (reel_utf8_valid(text.bytes, text.length) != text.length)
            return reel_status_failed("text %lld is not UTF-8; convert it", (long long)row);
    }
    ReelStatus status = add_labels(corpus, labels, offsets);
    return reel_status_is_ok(&status) ? sort_labels(corpus) : status;
}

/* ---- Training ---- */

/* What one training takes. */
typedef struct Training {
    const ModelKind *kind;
    ModelRunOptions run;
    ModelDataset *dataset, *choice;
    ModelPretrained vectors, choice_vectors;
    NnSnapshot kept;
    ModelCheckpoint *first; /* NULL, or the model to begin with */
} Training;

static ReelStatus find_kind(const ModelZooSettings *s, const ModelKind **kind)
{
    const ModelKind *kinds[MODEL_ZOO_MAX_MODELS];
    int count;
    ReelStatus status = model_zoo_choose_models(s->models, kinds, &count);
    if (reel_status_is_ok(&status) && count != 1)
        status = reel_status_usage("--models %.80s: a classifier is of one model; name it", s->models);
    *kind = reel_status_is_ok(&status) ? kinds[0] : NULL;
    return status;
}

static ReelStatus read_data(Training *t, const ModelZooSettings *s, const ModelCorpus *corpus)
{
    ModelDatasetOptions options;
    ReelStatus status = model_zoo_dataset_options(s, &options);
    t->run.files.init = s->init;
    t->run.files.init_prefix = s->init_prefix;
    if (reel_status_is_ok(&status))
        status = model_run_read_init(&t->first, &t->run.files);
    if (reel_status_is_ok(&status))
        status = model_zoo_begin(s, t->first, t->kind, &t->run, &options);
    if (reel_status_is_ok(&status))
        status = model_zoo_datasets(s, corpus, "the texts", options, &t->dataset, &t->choice);
    if (!reel_status_is_ok(&status) || !s->vectors)
        return status;
    int64_t width = t->run.config.embed ? t->run.config.embed : t->kind->defaults.embed;
    status = model_pretrained_read(&t->vectors, s->vectors, &t->dataset->text.vocabulary, width,
                                   s->embed_scale, s->seed);
    t->run.vectors = &t->vectors;
    if (reel_status_is_ok(&status) && t->choice)
        status = model_pretrained_read(&t->choice_vectors, s->vectors, &t->choice->text.vocabulary, width,
                                       s->embed_scale, s->seed);
    return status;
}

static ReelStatus train(Training *t, const ModelRunWatcher *watcher)
{
    ModelRefit refit = {.choice = t->choice, .vectors = t->run.vectors ? &t->choice_vectors : NULL};
    ModelRunResult result = {0};
    t->run.files.kept = &t->kept;
    ReelStatus status = model_run_refit(&result, t->kind, t->dataset, &refit, &t->run, watcher);
    model_run_result_free(&result);
    if (reel_status_is_ok(&status) && !t->kept.first)
        status = reel_status_failed("stopped before the first epoch was over: there is no model yet");
    return status;
}

/* Takes a model that is read from a file. */
static ReelStatus take(ModelClassifier *c, const TensorNpz *npz)
{
    ModelCheckpoint *model;
    ModelPredictor *predictor = NULL;
    ReelStatus status = model_checkpoint_load_from(&model, npz, (NnLoadOptions){0});
    if (reel_status_is_ok(&status))
        status = model_predictor_new(&predictor, model, c->settings.threads);
    if (!reel_status_is_ok(&status)) {
        model_checkpoint_free(model);
        return status;
    }
    forget_model(c);
    c->model = model;
    c->predictor = predictor;
    return status;
}

ReelStatus model_classifier_from_bytes(ModelClassifier *c, const void *data, size_t size)
{
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open_memory(&npz, data, size, "the model in memory");
    if (reel_status_is_ok(&status))
        status = take(c, npz);
    tensor_npz_close(npz);
    return status;
}

/* What was kept of a training is a file to be. */
static ReelStatus take_kept(ModelClassifier *c, const NnSnapshot *kept)
{
    ReelBytes bytes = {0};
    ReelStatus status = nn_snapshot_write_memory(kept, &bytes, (TensorNpzOptions){0});
    if (reel_status_is_ok(&status))
        status = model_classifier_from_bytes(c, bytes.data, bytes.size);
    reel_bytes_free(&bytes);
    return status;
}

ReelStatus model_classifier_fit(ModelClassifier *c, const char *const *texts, int64_t count,
                                const char *const *labels, const int64_t *label_offsets)
{
    ModelZooSettings s = c->settings;
    ModelCorpus corpus = {0};
    Training t = {0};
    nn_snapshot_init(&t.kept);
    if (strcmp(s.models, "best") == 0)
        model_zoo_use_best(&s, c->given);
    s.test.size = 0;
    s.shards = s.shards ? s.shards : s.threads;
    ReelStatus status =
        count > 0 ? find_kind(&s, &t.kind) : reel_status_failed("there are no texts; give some");
    if (reel_status_is_ok(&status))
        status = model_zoo_run_options(&s, &t.run);
    if (reel_status_is_ok(&status))
        status = make_corpus(&corpus, texts, count, labels, label_offsets);
    if (reel_status_is_ok(&status))
        status = read_data(&t, &s, &corpus);
    model_corpus_free(&corpus);
    if (reel_status_is_ok(&status))
        status = train(&t, &c->watcher);
    if (reel_status_is_ok(&status))
        status = take_kept(c, &t.kept);
    nn_snapshot_free(&t.kept);
    model_checkpoint_free(t.first);
    model_pretrained_free(&t.vectors);
    model_pretrained_free(&t.choice_vectors);
    model_dataset_free(t.choice);
    model_dataset_free(t.dataset);
    return status;
}

/* ---- Answers ---- */

bool model_classifier_is_fitted(const ModelClassifier *c)
{
    return c->model != NULL;
}

bool model_classifier_is_single(const ModelClassifier *c)
{
    return c->model && c->model->text.task == MODEL_TASK_SINGLE;
}

int32_t model_classifier_num_labels(const ModelClassifier *c)
{
    return c->model ? c->model->text.labels.count : 0;
}

const char *model_classifier_label(const ModelClassifier *c, int32_t k)
{
    return k >= 0 && k < model_classifier_num_labels(c) ? model_string_table_text(&c->model->text.labels, k)
                                                        : "";
}

static ReelStatus check_fitted(const ModelClassifier *c)
{
    return c->model ? reel_status_ok()
                    : reel_status_usage("the classifier has no model yet; fit it, or load one");
}

/* Gives `say` the texts in windows. */
typedef ReelStatus (*Say)(ModelClassifier *c, const ModelTextSpan *texts, int64_t first, int64_t count,
                          void *out);

static ReelStatus ask(ModelClassifier *c, const char *const *texts, int64_t count, Say say, void *out)
{
    ReelStatus status = check_fitted(c);
    if (!reel_status_is_ok(&status))
        return status;
    size_t bytes = (size_t)(count < WINDOW ? count : WINDOW) * sizeof(ModelTextSpan);
    ModelTextSpan *spans = reel_mem_alloc(bytes);
    if (!spans)
        return reel_status_no_memory(bytes, "the texts");
    for (int64_t first = 0; reel_status_is_ok(&status) && first < count; first += WINDOW) {
        int64_t some = count - first < WINDOW ? count - first : WINDOW;
        for (int64_t i = 0; i < some; i++)
            spans[i] = model_text_span(texts[first + i]);
        status = say(c, spans, first, some, out);
    }
    reel_mem_free(spans);
    return status;
}

typedef struct Answers {
    float *probabilities; /* [count, K] or NULL */
    bool *chosen;         /* the same */
} Answers;

/* Logits become answers; one that is not a number is none. `room` is for K numbers. */
static ReelStatus decide(const ModelClassifier *c, float *logits, int64_t first, int64_t count, double *room,
                         const Answers *answers)
{
    int32_t labels = model_classifier_num_labels(c);
    ModelTask task = c->model->text.task;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = (first + i) * labels;
        float *scores = logits + i * labels;
        model_task_probabilities(task, scores, labels, room);
        model_task_scores(task, scores, 1, labels);
        for (int32_t k = 0; k < labels; k++) {
            if (isnan(scores[k]))
                return reel_status_failed("the answer to text %lld is not a number; some weights are NaN or "
                                          "too large, train the model again",
                                          (long long)(first + i));
            if (answers->probabilities)
                answers->probabilities[at + k] = (float)room[k];
            if (answers->chosen)
                answers->chosen[at + k] = (double)scores[k] > model_checkpoint_threshold(c->model, k);
        }
    }
    return reel_status_ok();
}

static ReelStatus say_answers(ModelClassifier *c, const ModelTextSpan *texts, int64_t first, int64_t count,
                              void *out)
{
    size_t labels = (size_t)model_classifier_num_labels(c), bytes = (size_t)count * labels * sizeof(float);
    double *room = reel_mem_alloc(labels * sizeof *room);
    float *logits = reel_mem_alloc(bytes);
    ReelStatus status = room && logits ? model_predictor_run(c->predictor, texts, count, false, logits)
                                       : reel_status_no_memory(bytes, "the predictions");
    if (reel_status_is_ok(&status))
        status = decide(c, logits, first, count, room, out);
    reel_mem_free(logits);
    reel_mem_free(room);
    return status;
}

ReelStatus model_classifier_predict(ModelClassifier *c, const char *const *texts, int64_t count,
                                    float *probabilities, bool *chosen)
{
    return ask(c, texts, count, say_answers, &(Answers){probabilities, chosen});
}

int64_t model_classifier_width(const ModelClassifier *c)
{
    return c->model ? model_width(c->model->model) : 0;
}

static ReelStatus say_vectors(ModelClassifier *c, const ModelTextSpan *texts, int64_t first, int64_t count,
                              void *out)
{
    return model_predictor_vectors(c->predictor, texts, count,
                                   (float *)out + first * model_classifier_width(c));
}

ReelStatus model_classifier_vectors(ModelClassifier *c, const char *const *texts, int64_t count,
                                    float *vectors)
{
    return ask(c, texts, count, say_vectors, vectors);
}

/* ---- Files ---- */

ReelStatus model_classifier_save(const ModelClassifier *c, const char *path)
{
    ReelStatus status = check_fitted(c);
    return reel_status_is_ok(&status)
               ? model_checkpoint_save(path, c->model, (TensorNpzOptions){.level = c->settings.compress})
               : status;
}

ReelStatus model_classifier_to_bytes(const ModelClassifier *c, ReelBytes *bytes)
{
    ReelStatus status = check_fitted(c);
    return reel_status_is_ok(&status)
               ? model_checkpoint_save_memory(bytes, c->model,
                                              (TensorNpzOptions){.level = c->settings.compress})
               : status;
}

ReelStatus model_classifier_load(ModelClassifier *c, const char *path)
{
    TensorNpz *npz;
    ReelStatus status = tensor_npz_open(&npz, path);
    if (reel_status_is_ok(&status))
        status = take(c, npz);
    tensor_npz_close(npz);
    return status;
}
