/* What one text takes that is asked alone, from its characters to its logits, in a program that serves: with
 * weights of 32 bits, and of 8 as `predict --export FILE --quantize` writes them. */
#include "models/text/dataset.h"
#include "models/training/predictor.h"
#include "tensor/clock.h"
#include "tensor/mem.h"
#include "tools/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXTS = 200, MAX_ROUNDS = 256 };

enum { OF_32, OF_8, FORMS };
static const int bits_of[FORMS] = {32, 8};

/* A model of the data's sizes, and what asks it. */
typedef struct Served {
    const ModelKind *kind;
    ModelCheckpoint checkpoint, *read; /* as it is, and of 8 bits from a file */
    ModelPredictor *predictor[FORMS];
    float *logits;
    double seconds[FORMS][MAX_ROUNDS]; /* of a text, the median of a round */
} Served;

/* The model of 8 bits goes through a file, as any does. */
static ReelStatus read_quantized(Served *served)
{
    char path[] = "/tmp/reel-bench-XXXXXX.npz";
    int file = mkstemps(path, 4);
    if (file < 0)
        return reel_status_failed("%s: cannot be made; make /tmp writable", path);
    close(file);
    ReelStatus status = model_checkpoint_export(path, &served->checkpoint, true);
    if (reel_status_is_ok(&status))
        status = model_checkpoint_load(&served->read, path);
    remove(path);
    return status;
}

static ReelStatus begin(Served *served, const BenchOptions *options, const ModelDataset *dataset)
{
    const BenchShape *shape = &options->shape;
    ModelConfig config = {.vocabulary = dataset->text.tokenizer.vocab_size,
                          .labels = model_dataset_num_classes(dataset),
                          .embed = shape->embed,
                          .hidden = shape->hidden,
                          .layers = shape->layers,
                          .embed_dropout = -1,
                          .dropout = -1};
    served->checkpoint.text = dataset->text;
    served->logits = reel_mem_alloc((size_t)config.labels * sizeof *served->logits);
    if (!served->logits)
        return reel_status_no_memory((size_t)config.labels * sizeof *served->logits, "logits");
    ReelStatus status = model_new(&served->checkpoint.model, served->kind, config, options->seed);
    if (!reel_status_is_ok(&status))
        return status;
    nn_module_train(&served->checkpoint.model->base, false);
    status = model_predictor_new(&served->predictor[OF_32], &served->checkpoint, options->threads);
    if (reel_status_is_ok(&status))
        status = read_quantized(served);
    if (reel_status_is_ok(&status))
        status = model_predictor_new(&served->predictor[OF_8], served->read, options->threads);
    return status;
}

static void end(Served *served)
{
    for (int form = 0; form < FORMS; form++)
        model_predictor_free(served->predictor[form]);
    model_checkpoint_free(served->read);
    model_free(served->checkpoint.model);
    reel_mem_free(served->logits);
}

static ReelStatus ask_all(Served *served, int form, const ModelTextSpan *texts, int64_t count, double *median)
{
    double seconds[TEXTS];
    ReelStatus status = reel_status_ok();
    for (int64_t i = 0; i < count && reel_status_is_ok(&status); i++) {
        double begun = reel_clock_seconds();
        status = model_predictor_run(served->predictor[form], &texts[i], 1, false, served->logits);
        seconds[i] = reel_clock_seconds() - begun;
    }
    *median = model_spread_median(seconds, (int)count);
    return status;
}

/* What of it is cleaning and ids, in seconds; the lengths of the texts go to the JSON. */
static ReelStatus encode_all(const ModelPipeline *text, const ModelTextSpan *texts, int64_t count,
                             ReelJsonWriter *json, double *median)
{
    double seconds[TEXTS];
    ModelIdList ids = {0};
    ReelBytes scratch = {0};
    bool ok = true;
    reel_json_begin_array(json, "lengths");
    for (int64_t i = 0; i < count && ok; i++) {
        ids.count = 0;
        double begun = reel_clock_seconds();
        ok = model_pipeline_encode(text, texts[i], &scratch, &ids);
        seconds[i] = reel_clock_seconds() - begun;
        reel_json_integer(json, NULL, (int64_t)ids.count);
    }
    reel_json_end_array(json);
    model_id_list_free(&ids);
    reel_bytes_free(&scratch);
    *median = model_spread_median(seconds, (int)count);
    return ok ? reel_status_ok() : reel_status_failed("out of memory for the ids of a text");
}

static ReelStatus measure(const BenchOptions *options, Served *served, int models, const ModelTextSpan *texts,
                          int64_t count)
{
    ReelStatus status = reel_status_ok();
    double first;
    for (int round = -1; round < options->rounds; round++) /* the first one makes memory */
        for (int i = 0; i < FORMS * models && reel_status_is_ok(&status); i++) {
            Served *one = &served[i / FORMS];
            int form = i % FORMS;
            status = ask_all(one, form, texts, count, round < 0 ? &first : &one->seconds[form][round]);
        }
    return status;
}

static void report(const BenchOptions *options, Served *served, int models, ReelJsonWriter *json)
{
    reel_json_begin_array(json, "models");
    for (int i = 0; i < FORMS * models; i++) {
        Served *one = &served[i / FORMS];
        const ModelConfig *config = &one->checkpoint.model->config;
        double ms = 1e3 * model_spread_median(one->seconds[i % FORMS], options->rounds);
        printf("%9.4f ms  %s, %lld and %lld wide, %d bits\n", ms, one->kind->name, (long long)config->embed,
               (long long)config->hidden, bits_of[i % FORMS]);
        reel_json_begin_object(json, NULL);
        reel_json_string(json, "model", one->kind->name);
        reel_json_integer(json, "bits", bits_of[i % FORMS]);
        reel_json_number(json, "text_ms", ms);
        reel_json_integer(json, "embed", config->embed);
        reel_json_integer(json, "hidden", config->hidden);
        reel_json_integer(json, "layers", config->layers);
        reel_json_end_object(json);
    }
    reel_json_end_array(json);
}

static ReelStatus serve(const BenchOptions *options, const ModelDataset *dataset, const ModelCorpus *corpus,
                        Served *served, int models, const char *path)
{
    int64_t count = corpus->rows < TEXTS ? corpus->rows : TEXTS;
    double encoding = 0;
    ReelJsonWriter json = {0};
    ReelStatus status = reel_status_ok();
    for (int m = 0; m < models && reel_status_is_ok(&status); m++)
        status = begin(&served[m], options, dataset);
    bench_begin(&json);
    reel_json_string(&json, "data", path);
    reel_json_integer(&json, "vocabulary", dataset->text.tokenizer.vocab_size);
    reel_json_integer(&json, "labels", model_dataset_num_classes(dataset));
    if (reel_status_is_ok(&status))
        status = encode_all(&dataset->text, corpus->texts, count, &json, &encoding);
    if (reel_status_is_ok(&status))
        status = measure(options, served, models, corpus->texts, count);
    if (reel_status_is_ok(&status)) {
        printf("%s: the first %lld texts, one by one; medians of a text, and of %d rounds\n", path,
               (long long)count, options->rounds);
        printf("%9.4f ms  of them for cleaning and ids\n", 1e3 * encoding);
        reel_json_number(&json, "encode_ms", 1e3 * encoding);
        report(options, served, models, &json);
    }
    return bench_end(&json, options, status);
}

ReelStatus bench_serving(const BenchOptions *options, const char *path)
{
    const ModelKind *kinds[BENCH_MAX_RUNS];
    ModelDataset *dataset = NULL;
    ModelCorpus corpus = {0};
    int models = 0;
    ReelStatus status = bench_choose_models(options->models, kinds, BENCH_MAX_RUNS, &models);
    Served *served = reel_mem_calloc((size_t)models + 1, sizeof *served);
    if (reel_status_is_ok(&status) && !served)
        status = reel_status_no_memory((size_t)models * sizeof *served, "the models");
    for (int m = 0; served && m < models; m++)
        served[m].kind = kinds[m];
    if (reel_status_is_ok(&status))
        status = model_dataset_read(&dataset, path, NULL);
    if (reel_status_is_ok(&status))
        status = model_corpus_read(&corpus, path, NULL);
    if (reel_status_is_ok(&status))
        status = serve(options, dataset, &corpus, served, models, path);
    for (int m = 0; served && m < models; m++)
        end(&served[m]);
    reel_mem_free(served);
    model_corpus_free(&corpus);
    model_dataset_free(dataset);
    return status;
}
