#include "models/text/tokenizer.h"
#include "tensor/mem.h"

bool id_list_push(IdList *list, int32_t id)
{
    int32_t *ids = reel_mem_grow(list->ids, list->count, &list->capacity, sizeof *ids);
    if (!ids)
        return false;
    list->ids = ids;
    ids[list->count++] = id;
    return true;
}

void id_list_free(IdList *list)
{
    reel_mem_free(list->ids);
    *list = (IdList){0};
}

bool tokenizer_encode(const Tokenizer *tokenizer, TextSpan text, int32_t max_len, IdList *list)
{
    size_t before = list->count, limit = (size_t)max_len - 2;
    bool ok = id_list_push(list, TOKEN_BOS) && tokenizer->encode(tokenizer->state, text, limit, list);
    if (ok && list->count == before + 1)
        ok = id_list_push(list, TOKEN_UNK);
    ok = ok && id_list_push(list, TOKEN_EOS);
    if (!ok)
        list->count = before;
    return ok;
}
