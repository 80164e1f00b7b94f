#include "nn/training_place.h"
#include "tensor/storage/json_fields.h"

#include <string.h>

static const ReelJsonField place_fields[] = {REEL_JSON_FIELD(NnTrainingPlace, settings, REEL_JSON_FIELD_TEXT),
                                             REEL_JSON_FIELD(NnTrainingPlace, epoch, REEL_JSON_FIELD_INT),
                                             REEL_JSON_FIELD(NnTrainingPlace, done, REEL_JSON_FIELD_INTEGER),
                                             REEL_JSON_FIELD(NnTrainingPlace, seen, REEL_JSON_FIELD_INTEGER),
                                             REEL_JSON_FIELD(NnTrainingPlace, loss, REEL_JSON_FIELD_NUMBER)};
static const ReelJsonShape place_shape = REEL_JSON_SHAPE(NnTrainingPlace, place_fields);

void nn_snapshot_training_place(NnSnapshot *snapshot, const char *name, const NnTrainingPlace *place)
{
    ReelJsonWriter json = {0};
    reel_json_write_fields(&json, NULL, &place_shape, place);
    nn_snapshot_json(snapshot, name, &json);
}

static ReelStatus check_place(const char *path, const NnTrainingPlace *place, const char *settings,
                              int epochs, int64_t most)
{
    if (!place->settings || strcmp(place->settings, settings) != 0)
        return reel_status_failed(
            "%s: is of %.180s, and this is %.180s; begin anew, or give the same texts and options", path,
            place->settings ? place->settings : "nothing", settings);
    if (place->epoch < 1 || place->epoch > epochs + 1 || place->done < 0 || place->done > most ||
        place->seen < 0)
        return reel_status_failed("%s: step %lld of epoch %d cannot be", path, (long long)place->done,
                                  place->epoch);
    return reel_status_ok();
}

ReelStatus nn_load_training_place(const TensorNpz *npz, const char *name, const char *what,
                                  const char *settings, int epochs, int64_t most, NnTrainingPlace *place)
{
    const char *path = tensor_npz_path(npz);
    const TensorNpzMember *member = tensor_npz_find(npz, name);
    const void *text;
    size_t size;
    TensorArena arena;
    *place = (NnTrainingPlace){0};
    if (!member)
        return reel_status_failed("%s: is no interrupted training of %s", path, what);
    tensor_arena_init(&arena, 0);
    ReelStatus status = tensor_npz_read_bytes(npz, member, &arena, &text, &size);
    if (reel_status_is_ok(&status))
        status = reel_json_read_fields(text, size, path, &place_shape, place, &arena);
    if (reel_status_is_ok(&status))
        status = check_place(path, place, settings, epochs, most);
    place->settings = NULL;
    tensor_arena_free(&arena);
    return status;
}
