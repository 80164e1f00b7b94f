/* tools/predict: a model as a file to be mapped, or its weights for other programs. */
#include "nn/state_dict.h"
#include "tensor/storage/safetensors.h"
#include "tools/predict.h"

#include <sys/stat.h>

/* What is written is less than what is read, which must not be lost to it. */
static bool same_file(const char *a, const char *b)
{
    struct stat one, two;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

ReelStatus predict_export(const char *model, const char *path, bool quantized)
{
    if (!tensor_safetensors_is_path(path) && !reel_path_ends(path, ".npz"))
        return reel_status_usage("--export: '%s' ends neither in .safetensors nor in .npz", path);
    if (quantized && !reel_path_ends(path, ".npz"))
        return reel_status_usage("--quantize: '%s' holds floats; choose a name that ends in .npz", path);
    if (same_file(model, path))
        return reel_status_usage("--export: '%s' is the model itself; choose another name", path);
    ModelCheckpoint *checkpoint;
    ReelStatus status = model_checkpoint_load(&checkpoint, model);
    if (reel_status_is_ok(&status))
        status = reel_path_ends(path, ".npz") ? model_checkpoint_export(path, checkpoint, quantized)
                                              : nn_save(&checkpoint->model->base, path);
    model_checkpoint_free(checkpoint);
    return status;
}
