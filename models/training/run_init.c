#include "models/training/run_init.h"
#include "models/training/run_internal.h"

#include <string.h>

/* 16 and 64 bits are taken too, and names without the prefix. */
static NnLoadOptions load_options(const ModelRunFiles *files)
{
    return (NnLoadOptions){.convert = true, .prefix = files->init_prefix};
}

static ReelStatus open_init(TensorNpz **npz, ModelCheckpoint **first, const ModelRunFiles *files)
{
    *first = NULL;
    ReelStatus status = tensor_npz_open(npz, files->init);
    return reel_status_is_ok(&status) && tensor_npz_find(*npz, "reel/config.json")
               ? model_checkpoint_load_from(first, *npz, load_options(files))
               : status;
}

ReelStatus model_run_read_init(ModelCheckpoint **first, const ModelRunFiles *files)
{
    TensorNpz *npz = NULL;
    *first = NULL;
    ReelStatus status = files->init ? open_init(&npz, first, files) : reel_status_ok();
    tensor_npz_close(npz);
    return status;
}

/* ---- Whether the model fits ---- */

static ReelStatus check_kind(const char *path, const ModelKind *kind, bool notebook, const ModelCheckpoint *c)
{
    const char *own = c->model->kind->name;
    if (c->model->kind != kind)
        return reel_status_failed("%s: holds the model %s and cannot begin %s; choose --models %s", path, own,
                                  kind->name, own);
    if (c->notebook != notebook)
        return reel_status_failed("%s: was trained %s; %s --notebook", path,
                                  notebook ? "to read the last word" : "as the notebook reads",
                                  notebook ? "leave out" : "add");
    return reel_status_ok();
}

static ReelStatus take_size(const char *path, const char *option, int64_t asked, int64_t own)
{
    return asked == 0 || asked == own
               ? reel_status_ok()
               : reel_status_usage("--%s %lld: the model in %.300s has %lld; leave the option out", option,
                                   (long long)asked, path, (long long)own);
}

ReelStatus model_run_take_init(ModelRunOptions *options, const ModelKind *kind, const ModelCheckpoint *c)
{
    const char *path = options->files.init;
    ModelConfig *config = &options->config;
    const ModelConfig *own = &c->model->config;
    ReelStatus status = check_kind(path, kind, options->notebook, c);
    if (reel_status_is_ok(&status))
        status = take_size(path, "embed", config->embed, own->embed);
    if (reel_status_is_ok(&status))
        status = take_size(path, "hidden", config->hidden, own->hidden);
    if (reel_status_is_ok(&status) && kind->several_layers)
        status = take_size(path, "layers", config->layers, own->layers);
    if (!reel_status_is_ok(&status))
        return status;
    config->embed = own->embed;
    config->hidden = own->hidden;
    config->layers = own->layers;
    return status;
}

/* The names in the file must come first in the data set. */
static ReelStatus check_names(const char *path, const char *what, const ModelStringTable *in_file,
                              const ModelStringTable *in_data)
{
    int32_t i = model_string_table_difference(in_file, in_data);
    if (i < 0 || i == in_file->count)
        return reel_status_ok();
    return reel_status_failed(
        "%s: number %d of its %s is '%.80s' and in the data '%.80s'; read the data with the model's pipeline "
        "as ModelDatasetOptions.begin",
        path, i, what, model_string_table_text(in_file, i),
        i < in_data->count ? model_string_table_text(in_data, i) : "");
}

static ReelStatus check_text(const char *path, const ModelPipeline *in_file, const ModelPipeline *in_data)
{
    bool pairs = in_file->tokenizer.bpe != NULL;
    if (pairs != (in_data->tokenizer.bpe != NULL))
        return reel_status_failed("%s: reads %s, and the data set has %s; read the data with the model's "
                                  "pipeline as ModelDatasetOptions.begin",
                                  path, pairs ? "byte pairs" : "words", pairs ? "words" : "byte pairs");
    ReelStatus status = check_names(path, "words", &in_file->vocabulary.words, &in_data->vocabulary.words);
    if (reel_status_is_ok(&status))
        status = check_names(path, "pieces of words", &in_file->ngrams.pieces, &in_data->ngrams.pieces);
    return reel_status_is_ok(&status) ? check_names(path, "labels", &in_file->labels, &in_data->labels)
                                      : status;
}

/* ---- Its weights ---- */

/* Where the rows of a table of the file stand in that of the model: the first `fixed` where they were, the
 * others `by` later, behind rows that are new. */
typedef struct Rows {
    int64_t fixed, by;
} Rows;

static bool copy_some(Tensor to, Tensor from, int64_t first, int64_t end, int64_t by)
{
    return first >= end || tensor_copy_into(tensor_slice(to, 0, first + by, end + by, 1),
                                            tensor_slice(from, 0, first, end, 1));
}

static bool copy_rows(Tensor to, Tensor from, Rows rows)
{
    int64_t count = from.ndim > 0 ? from.shape[0] : 0, fixed = rows.fixed < count ? rows.fixed : count;
    bool fits = to.ndim == from.ndim && count + rows.by <= to.shape[0];
    for (int i = 1; fits && i < to.ndim; i++)
        fits = to.shape[i] == from.shape[i];
    return fits && copy_some(to, from, 0, fixed, 0) && copy_some(to, from, fixed, count, rows.by);
}

/* Words in front of their pieces, which come later by the words that are new. */
static Rows rows_of_ids(const ModelPipeline *in_file, const ModelPipeline *in_data)
{
    int32_t pieces = in_file->tokenizer.first_piece;
    return (Rows){.fixed = pieces > 0 ? pieces : INT64_MAX,
                  .by = pieces > 0 ? in_data->tokenizer.first_piece - pieces : 0};
}

static ReelStatus copy_weights(Run *run, const ModelCheckpoint *c)
{
    Model *model = run->model;
    const char *path = run->options->files.init;
    const Rows ids = rows_of_ids(&c->text, &run->dataset->text), labels = {.fixed = INT64_MAX};
    for (NnIterator it = nn_iterate(&model->base); nn_next(&it);) {
        NnParameter *parameter = it.named.parameter;
        NnNamed named;
        if (!nn_find(&c->model->base, it.named.name, &named))
            return reel_status_failed("%s: has no %s; begin with a model of the same kind", path,
                                      it.named.name);
        Tensor to = nn_named_view(&it.named), from = nn_named_view(&named);
        bool output = parameter == &model->output->weight || parameter == &model->output->bias;
        bool table = parameter->sparse && from.shape[0] == c->model->config.vocabulary;
        bool fine = output  ? copy_rows(to, from, labels)
                    : table ? copy_rows(to, from, ids)
                            : tensor_same_shape(&to, &from) && tensor_copy_into(to, from);
        if (!fine) {
            char theirs[TENSOR_SHAPE_TEXT_SIZE], own[TENSOR_SHAPE_TEXT_SIZE];
            return reel_status_failed("%s: %s is %s and cannot become %s; begin with a model of these sizes",
                                      path, it.named.name, tensor_shape_text(&from, theirs),
                                      tensor_shape_text(&to, own));
        }
        tape_parameter_changed(&parameter->core);
    }
    return reel_status_ok();
}

ReelStatus model_run_load_init(Run *run)
{
    const ModelRunFiles *files = &run->options->files;
    TensorNpz *npz = NULL;
    ModelCheckpoint *first;
    ReelStatus status = open_init(&npz, &first, files);
    if (reel_status_is_ok(&status) && !first)
        status = nn_load_from(&run->model->base, npz, load_options(files));
    tensor_npz_close(npz);
    if (reel_status_is_ok(&status) && first)
        status = check_kind(files->init, run->kind, run->options->notebook, first);
    if (reel_status_is_ok(&status) && first)
        status = check_text(files->init, &first->text, &run->dataset->text);
    if (reel_status_is_ok(&status) && first)
        status = copy_weights(run, first);
    model_checkpoint_free(first);
    return status;
}
