#include "autograd/op_list.h"
#include "autograd/ops.h"

#include <string.h>

static Op *const registry[] = {
#define OP_ADDRESS(name) &op_##name,
    OP_LIST(OP_ADDRESS)
#undef OP_ADDRESS
};

int op_count(void)
{
    return (int)(sizeof registry / sizeof registry[0]);
}

Op *op_at(int i)
{
    return i >= 0 && i < op_count() ? registry[i] : NULL;
}

Op *op_find(const char *name)
{
    for (int i = 0; i < op_count(); i++)
        if (strcmp(registry[i]->name, name) == 0)
            return registry[i];
    return NULL;
}
