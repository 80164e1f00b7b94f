#include "models/training/run_settings.h"

#include "models/training/training_state.h"
#include "tensor/storage/json_reader.h"
#include "tensor/storage/json_writer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void run_settings_snapshot(NnSnapshot *snapshot, const RunFiles *files)
{
    if (files->num_settings == 0)
        return;
    JsonWriter json = {0};
    json_begin_object(&json, NULL);
    for (int i = 0; i < files->num_settings; i++)
        json_string(&json, files->settings[i].name, files->settings[i].value);
    json_end_object(&json);
    const char *bytes = json_finish(&json);
    if (bytes)
        nn_snapshot_bytes(snapshot, RUN_SETTINGS, bytes, json.size);
    else if (status_is_ok(&snapshot->status))
        snapshot->status = status_no_memory(json.size, RUN_SETTINGS);
    json_free(&json);
}

/* "" is the value of a text that was not given. */
static Status differs(const char *path, const RunSetting *setting, const char *in_file)
{
    const char *other = setting->value;
    return status_failed(
        "%.300s: was trained with %s %.60s, and the run is one with %s %.60s; go on with the "
        "settings of the file, or delete it to train the model from the start",
        path, setting->name, *in_file ? in_file : "not given", setting->name, *other ? other : "not given");
}

static const RunSetting *find(const RunFiles *files, const JsonReader *json)
{
    for (int i = 0; i < files->num_settings; i++)
        if (json_reader_is(json, files->settings[i].name))
            return &files->settings[i];
    return NULL;
}

/* Compares what the file says, one by one, and notes what it has. */
static Status compare(const char *path, const char *text, size_t size, const RunFiles *files, bool *seen)
{
    JsonReader json;
    bool first = true;
    Status status = status_ok();
    char label[400];
    snprintf(label, sizeof label, "%.300s: " RUN_SETTINGS, path);
    json_reader_open(&json, text, size, label);
    json_reader_open_object(&json);
    while (status_is_ok(&status) && json_reader_next_key(&json, &first)) {
        const RunSetting *setting = find(files, &json);
        if (!setting) {
            int length = json.string.size < 60 ? (int)json.string.size : 60;
            status = status_failed("%.300s: was trained with the setting '%.*s', which this version does not "
                                   "know; go on with the version that wrote it",
                                   path, length, json.string.size ? json.string.data : "");
            break;
        }
        seen[setting - files->settings] = true;
        if (json_reader_string(&json) && !json_reader_is(&json, setting->value)) {
            char value[80];
            int length = json.string.size < 60 ? (int)json.string.size : 60;
            snprintf(value, sizeof value, "%.*s", length, json.string.size ? json.string.data : "");
            status = differs(path, setting, value);
        }
    }
    if (status_is_ok(&status)) {
        json_reader_end(&json);
        status = json.status;
    }
    json_reader_close(&json);
    return status;
}

static Status compare_all(const Npz *npz, const NpzMember *member, const RunFiles *files, Arena *arena)
{
    const void *text;
    size_t size;
    Status status = npz_read_bytes(npz, member, arena, &text, &size);
    bool *seen = arena_calloc(arena, (size_t)files->num_settings * sizeof *seen);
    if (status_is_ok(&status) && !seen)
        status = status_no_memory((size_t)files->num_settings, "the settings");
    if (status_is_ok(&status))
        status = compare(npz_path(npz), text, size, files, seen);
    for (int i = 0; status_is_ok(&status) && i < files->num_settings; i++) {
        const RunSetting *setting = &files->settings[i];
        const char *before = setting->before ? setting->before : "";
        if (!seen[i] && strcmp(setting->value, before) != 0)
            status = differs(npz_path(npz), setting, before);
    }
    return status;
}

Status run_settings_check(const Npz *npz, const RunFiles *files, const char *id)
{
    const NpzMember *member = npz_find(npz, RUN_SETTINGS);
    if (!member || files->num_settings == 0)
        return strcmp(id, files->id) == 0
                   ? status_ok()
                   : status_failed("%s: is of another run, or the settings beside it were changed; put them "
                                   "back, or delete the file to train the model from the start",
                                   npz_path(npz));
    Arena arena;
    arena_init(&arena, 0);
    Status status = compare_all(npz, member, files, &arena);
    arena_free(&arena);
    return status;
}

Status run_settings_check_file(const char *path, const RunFiles *files)
{
    char run[RUN_ID_SIZE];
    Npz *npz;
    if (access(path, F_OK) != 0)
        return status_ok();
    Status status = npz_open(&npz, path);
    if (!status_is_ok(&status))
        return status_failed("%.400s; or delete the file to train the model from the start", status.message);
    training_state_run(npz, run);
    status = run_settings_check(npz, files, run);
    npz_close(npz);
    return status;
}
