/* What models begin with: vectors of words, a language. */
#include "tensor/mem.h"
#include "tools/raw_texts.h"
#include "tools/train.h"

#include <stdio.h>

ReelStatus train_check_models(const TrainJob *job)
{
    ModelConfig config = job->run.config;
    config.vocabulary = job->dataset->text.tokenizer.vocab_size;
    config.first_piece = job->dataset->text.tokenizer.first_piece;
    config.labels = model_dataset_num_classes(job->dataset);
    ReelStatus status = reel_status_ok();
    for (int i = 0; i < job->count && reel_status_is_ok(&status); i++) {
        Model *model;
        status = model_new_without_values(&model, job->kinds[i], config);
        if (reel_status_is_ok(&status))
            status = nn_module_status(&model->base);
        model_free(model);
    }
    return status;
}

static ReelStatus find_width(const TrainJob *job, int64_t *width)
{
    *width = 0;
    for (int i = 0; i < job->count; i++) {
        int64_t own = job->run.config.embed ? job->run.config.embed : job->kinds[i]->defaults.embed;
        if (i > 0 && own != *width)
            return reel_status_usage(
                "--vectors: the embedding of %s is %lld wide and that of %s %lld; give --embed",
                job->kinds[0]->name, (long long)*width, job->kinds[i]->name, (long long)own);
        *width = own;
    }
    return reel_status_ok();
}

static ReelStatus read_vectors(const ModelZooSettings *s, const char *path, int64_t width,
                               const ModelDataset *dataset, ModelPretrained *vectors)
{
    ReelStatus status =
        model_pretrained_read(vectors, path, &dataset->text.vocabulary, width, s->embed_scale, s->seed);
    if (reel_status_is_ok(&status) && !s->quiet)
        printf("%s: %s, %lld words; of %d words to train with it has %d (%d of them in other letters only); "
               "the others "
               "are drawn with mean %.3g and deviation %.3g\n",
               path, vectors->format, (long long)vectors->in_file,
               model_vocabulary_size(&dataset->text.vocabulary) - MODEL_NUM_SPECIAL_TOKENS, vectors->found,
               vectors->lowered, vectors->mean, vectors->deviation);
    return status;
}

ReelStatus train_read_vectors(TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    const char *path = s->resume ? job->folder->vectors_path : s->vectors;
    int64_t width;
    if (!path)
        return reel_status_ok();
    ReelStatus status = find_width(job, &width);
    if (reel_status_is_ok(&status))
        status = read_vectors(s, path, width, job->dataset, &job->vectors[0]);
    if (reel_status_is_ok(&status) && job->choice)
        status = read_vectors(s, path, width, job->choice, &job->vectors[1]);
    return status;
}

/* ---- A language to learn first ---- */

typedef struct LanguageTaker {
    ModelLanguageTexts *texts;
    const ModelPipeline *pipeline;
    ReelBytes scratch;
} LanguageTaker;

static ReelStatus take_language(void *context, ModelTextSpan text)
{
    LanguageTaker *taker = context;
    return model_language_texts_add(taker->texts, taker->pipeline, MODEL_UNKNOWN_DROPPED, text,
                                    &taker->scratch);
}

static ReelStatus add_training_part(ModelLanguageTexts *texts, const ModelDataset *dataset)
{
    const ModelDatasetPart *part = &dataset->train;
    int32_t *ids = reel_mem_alloc((size_t)dataset->text.max_len * sizeof *ids);
    ReelStatus status = ids ? reel_status_ok() : reel_status_no_memory(0, "a text");
    for (int64_t i = 0; i < part->count && reel_status_is_ok(&status); i++) {
        status = model_dataset_part_ids(part, i, ids);
        if (reel_status_is_ok(&status))
            status = model_language_texts_add_ids(texts, ids, model_dataset_part_length(part, i));
    }
    reel_mem_free(ids);
    return status;
}

static ReelStatus read_language(const ModelZooSettings *s, const char *paths, const ModelDataset *dataset,
                                ModelPretraining *pretraining)
{
    const ModelCleanOptions clean = {.stop_words = "none", .keep_digits = s->keep_digits};
    ModelLanguageTexts *texts = &pretraining->texts;
    LanguageTaker taker = {.texts = texts, .pipeline = &dataset->text};
    ReelStatus status = raw_texts_read(paths, &clean, s->quiet, take_language, &taker);
    reel_bytes_free(&taker.scratch);
    int64_t read = texts->count;
    if (reel_status_is_ok(&status) && read == 0)
        status = reel_status_failed("%s: holds no text with words of the training part", paths);
    if (reel_status_is_ok(&status))
        status = add_training_part(texts, dataset);
    pretraining->epochs = s->pretrain_epochs;
    pretraining->lr = s->pretrain_lr;
    pretraining->dropout = s->pretrain_dropout;
    if (reel_status_is_ok(&status) && !s->quiet)
        printf("%s: %lld texts, and %lld of the training part, to learn their language from: %lld ids\n",
               paths, (long long)read, (long long)dataset->train.count, (long long)texts->ids.count);
    return status;
}

ReelStatus train_read_language(TrainJob *job)
{
    const ModelZooSettings *s = job->settings;
    const char *paths = s->resume ? job->folder->pretrain_path : s->pretrain;
    ReelStatus status = reel_status_ok();
    if (!paths)
        return status;
    for (int i = 0; i < job->count && reel_status_is_ok(&status); i++)
        status = model_run_check_pretraining(job->kinds[i], s->layers);
    if (reel_status_is_ok(&status))
        status = read_language(s, paths, job->dataset, &job->pretraining[0]);
    if (reel_status_is_ok(&status) && job->choice)
        status = read_language(s, paths, job->choice, &job->pretraining[1]);
    return status;
}
