#include "models/text/tokenizer.h"
#include "tensor/mem.h"

bool model_id_list_push(ModelIdList *list, int32_t id)
{
    int32_t *ids = reel_mem_grow(list->ids, list->count, &list->capacity, sizeof *ids);
    if (!ids)
        return false;
    list->ids = ids;
    ids[list->count++] = id;
    return true;
}

void model_id_list_free(ModelIdList *list)
{
    reel_mem_free(list->ids);
    *list = (ModelIdList){0};
}

bool model_tokenizer_encode(const ModelTokenizer *tokenizer, ModelTextSpan text, int32_t max_len,
                            ModelIdList *list)
{
    size_t before = list->count, limit = (size_t)max_len - 2;
    bool ok =
        model_id_list_push(list, MODEL_TOKEN_BOS) && tokenizer->encode(tokenizer->state, text, limit, list);
    if (ok && list->count == before + 1)
        ok = model_id_list_push(list, MODEL_TOKEN_UNK);
    ok = ok && model_id_list_push(list, MODEL_TOKEN_EOS);
    if (!ok)
        list->count = before;
    return ok;
}
