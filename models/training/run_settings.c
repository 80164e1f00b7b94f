#include "models/training/run_settings.h"

#include "models/training/training_state.h"
#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void model_run_settings_snapshot(NnSnapshot *snapshot, const ModelRunFiles *files)
{
    if (files->num_settings == 0)
        return;
    ReelJsonWriter json = {0};
    reel_json_begin_object(&json, NULL);
    for (int i = 0; i < files->num_settings; i++)
        reel_json_string(&json, files->settings[i].name, files->settings[i].value);
    reel_json_end_object(&json);
    nn_snapshot_json(snapshot, MODEL_RUN_SETTINGS, &json);
}

/* "" is the value of a text that was not given. */
static ReelStatus differs(const char *path, const ModelRunSetting *setting, const char *in_file)
{
    const char *other = setting->value;
    return reel_status_failed(
        "%.300s: was trained with %s %.60s, and the run is one with %s %.60s; go on with the "
        "settings of the file, or delete it to train the model from the start",
        path, setting->name, *in_file ? in_file : "not given", setting->name, *other ? other : "not given");
}

static const ModelRunSetting *find(const ModelRunFiles *files, const ReelJsonReader *json)
{
    for (int i = 0; i < files->num_settings; i++)
        if (reel_json_reader_is(json, files->settings[i].name))
            return &files->settings[i];
    return NULL;
}

/* Of a part: its size and no file. */
static bool is_number(const ReelJsonReader *json)
{
    char text[40], *end;
    snprintf(text, sizeof text, "%.*s", (int)(json->string.size < 39 ? json->string.size : 39),
             json->string.size ? json->string.data : "");
    strtod(text, &end);
    return end > text && *end == '\0';
}

/* Compares what the file says, one by one, and notes what it has. */
static ReelStatus compare(const char *path, const char *text, size_t size, const ModelRunFiles *files,
                          bool *seen)
{
    ReelJsonReader json;
    bool first = true;
    ReelStatus status = reel_status_ok();
    char label[400];
    snprintf(label, sizeof label, "%.300s: " MODEL_RUN_SETTINGS, path);
    reel_json_reader_open(&json, text, size, label);
    reel_json_reader_open_object(&json);
    while (reel_status_is_ok(&status) && reel_json_reader_next_key(&json, &first)) {
        const ModelRunSetting *setting = find(files, &json);
        if (!setting) {
            int length = json.string.size < 60 ? (int)json.string.size : 60;
            status =
                reel_status_failed("%.300s: was trained with the setting '%.*s', which this version does not "
                                   "know; go on with the version that wrote it",
                                   path, length, json.string.size ? json.string.data : "");
            break;
        }
        seen[setting - files->settings] = true;
        if (reel_json_reader_string(&json) && !reel_json_reader_is(&json, setting->value) &&
            !(setting->is_file && !is_number(&json))) {
            char value[80];
            int length = json.string.size < 60 ? (int)json.string.size : 60;
            snprintf(value, sizeof value, "%.*s", length, json.string.size ? json.string.data : "");
            status = differs(path, setting, value);
        }
    }
    if (reel_status_is_ok(&status)) {
        reel_json_reader_end(&json);
        status = json.status;
    }
    reel_json_reader_close(&json);
    return status;
}

static ReelStatus compare_all(const TensorNpz *npz, const TensorNpzMember *member, const ModelRunFiles *files,
                              TensorArena *arena)
{
    const void *text;
    size_t size;
    ReelStatus status = tensor_npz_read_bytes(npz, member, arena, &text, &size);
    bool *seen = tensor_arena_calloc(arena, (size_t)files->num_settings * sizeof *seen);
    if (reel_status_is_ok(&status) && !seen)
        status = reel_status_no_memory((size_t)files->num_settings, "the settings");
    if (reel_status_is_ok(&status))
        status = compare(tensor_npz_path(npz), text, size, files, seen);
    for (int i = 0; reel_status_is_ok(&status) && i < files->num_settings; i++) {
        const ModelRunSetting *setting = &files->settings[i];
        const char *before = setting->before ? setting->before : "";
        if (!seen[i] && strcmp(setting->value, before) != 0)
            status = differs(tensor_npz_path(npz), setting, before);
    }
    return status;
}

ReelStatus model_run_settings_check(const TensorNpz *npz, const ModelRunFiles *files, const char *id)
{
    const TensorNpzMember *member = tensor_npz_find(npz, MODEL_RUN_SETTINGS);
    if (!member || files->num_settings == 0)
        return strcmp(id, files->id) == 0
                   ? reel_status_ok()
                   : reel_status_failed(
                         "%s: is of another run, or the settings beside it were changed; put them "
                         "back, or delete the file to train the model from the start",
                         tensor_npz_path(npz));
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    ReelStatus status = compare_all(npz, member, files, &arena);
    tensor_arena_free(&arena);
    return status;
}

ReelStatus model_run_settings_check_file(const char *path, const ModelRunFiles *files)
{
    char run[MODEL_RUN_ID_SIZE];
    TensorNpz *npz;
    if (access(path, F_OK) != 0)
        return reel_status_ok();
    ReelStatus status = tensor_npz_open(&npz, path);
    if (!reel_status_is_ok(&status))
        return reel_status_failed("%.400s; or delete the file to train the model from the start",
                                  status.message);
    model_training_state_run(npz, run);
    status = model_run_settings_check(npz, files, run);
    tensor_npz_close(npz);
    return status;
}
