#include "models/language/language_file.h"

#include "tensor/storage/json_reader.h"

#include <stdio.h>
#include <string.h>

#define CONFIG "reel/language.json"
#define ORDER  "reel/language_order"

enum { FORMAT = 1, MOST_WIDTH = 1 << 20 };

void model_language_file_snapshot(ModelLanguageFile *file, NnSnapshot *snapshot)
{
    const ModelAwdLstmOptions *o = &file->encoder.options;
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "format", FORMAT);
    reel_json_integer(&json, "embed", o->embed);
    reel_json_integer(&json, "hidden", o->hidden);
    reel_json_integer(&json, "layers", o->layers);
    reel_json_bool(&json, "full_softmax", file->full);
    model_pipeline_write_fields(&file->text, &json);
    reel_json_end_object(&json);
    nn_snapshot_parameters(snapshot, model_language_module(file->model));
    nn_snapshot_json(snapshot, CONFIG, &json);
    nn_snapshot_tensor(
        snapshot, ORDER,
        tensor_from((void *)(uintptr_t)model_language_order(file->model), TENSOR_I32, TENSOR_SHAPE(o->ids)));
    model_pipeline_snapshot(&file->text, snapshot);
}

/* A file that is being read. */
typedef struct Sizes {
    ModelLanguageFile *file;
    int64_t format, embed, hidden, layers;
} Sizes;

static bool read_field(void *context, ReelJsonReader *json)
{
    Sizes *sizes = context;
    if (reel_json_reader_is(json, "format"))
        return reel_json_reader_int_in(json, FORMAT, FORMAT, &sizes->format);
    if (reel_json_reader_is(json, "embed"))
        return reel_json_reader_int_in(json, 1, MOST_WIDTH, &sizes->embed);
    if (reel_json_reader_is(json, "hidden"))
        return reel_json_reader_int_in(json, 1, MOST_WIDTH, &sizes->hidden);
    if (reel_json_reader_is(json, "layers"))
        return reel_json_reader_int_in(json, 1, MODEL_AWD_LSTM_MAX_LAYERS, &sizes->layers);
    if (reel_json_reader_is(json, "full_softmax"))
        return reel_json_reader_bool(json, &sizes->file->full);
    return model_pipeline_read_field(&sizes->file->text, json);
}

static ReelStatus read_config(Sizes *sizes, const TensorNpz *npz, TensorArena *arena)
{
    const char *text, *path = tensor_npz_path(npz);
    size_t size;
    char label[400];
    if (!tensor_npz_find(npz, CONFIG))
        return reel_status_failed("%s: is no language model of reel-lm", path);
    ReelStatus status = model_text_member(npz, CONFIG, arena, &text, &size);
    if (!reel_status_is_ok(&status))
        return status;
    snprintf(label, sizeof label, "%.300s: " CONFIG, path);
    status = reel_json_read_object(text, size, label, read_field, sizes);
    if (reel_status_is_ok(&status) && !(sizes->format && sizes->embed && sizes->hidden && sizes->layers))
        status = reel_status_failed("%s: lacks the format or a size", label);
    return status;
}

/* A permutation of the ids. */
static ReelStatus read_order(const TensorNpz *npz, int32_t ids, TensorArena *arena, const int32_t **order)
{
    const TensorNpzMember *member = tensor_npz_find(npz, ORDER);
    Tensor t;
    if (!member)
        return reel_status_failed("%s: has no " ORDER, tensor_npz_path(npz));
    ReelStatus status = tensor_npz_read_tensor(npz, member, arena, &t);
    if (!reel_status_is_ok(&status))
        return status;
    bool *seen = tensor_arena_calloc(arena, (size_t)ids * sizeof *seen);
    bool fits = t.dtype == TENSOR_I32 && t.ndim == 1 && t.shape[0] == ids;
    if (fits && !seen)
        return reel_status_no_memory((size_t)ids, ORDER);
    for (int32_t i = 0; fits && i < ids; i++) {
        int32_t class = tensor_i32(t)[i];
        fits = class >= 0 && class < ids && !seen[class];
        if (fits)
            seen[class] = true;
    }
    *order = fits ? tensor_i32(t) : NULL;
    return fits ? reel_status_ok()
                : reel_status_failed("%s: " ORDER " does not give each of the %d ids a place of its own",
                                     tensor_npz_path(npz), ids);
}

static ReelStatus load(ModelLanguageFile *file, const TensorNpz *npz, TensorArena *arena, int threads)
{
    Sizes sizes = {.file = file};
    const int32_t *order = NULL;
    ReelStatus status = read_config(&sizes, npz, arena);
    if (reel_status_is_ok(&status))
        status = model_pipeline_load(&file->text, npz, arena);
    int32_t ids = file->text.tokenizer.vocab_size;
    if (reel_status_is_ok(&status))
        status = read_order(npz, ids, arena, &order);
    if (!reel_status_is_ok(&status))
        return status;
    ModelLanguageOptions options = model_language_defaults();
    options.full = file->full;
    options.threads = threads;
    model_awd_lstm_init(&file->encoder, (ModelAwdLstmOptions){.ids = ids,
                                                              .embed = sizes.embed,
                                                              .hidden = sizes.hidden,
                                                              .layers = (int)sizes.layers});
    status =
        model_language_restore(&file->model, model_awd_lstm_encoder(&file->encoder), ids, order, &options);
    if (reel_status_is_ok(&status))
        status = nn_load_from(model_language_module(file->model), npz, (NnLoadOptions){0});
    return status;
}

ReelStatus model_language_file_load(ModelLanguageFile *file, const char *path, int threads)
{
    TensorNpz *npz;
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_open(&npz, path);
    if (reel_status_is_ok(&status))
        status = load(file, npz, &arena, threads);
    tensor_npz_close(npz);
    tensor_arena_free(&arena);
    return status;
}

void model_language_file_free(ModelLanguageFile *file)
{
    model_language_free(file->model);
    nn_module_free(&file->encoder.base); /* where there is no model */
    model_pipeline_free(&file->text);
    *file = (ModelLanguageFile){0};
}
