#include "autograd/op_list.h"
#include "autograd/ops.h"

#include <string.h>

static OpKind *const registry[] = {
#define OP_ADDRESS(name) &op_##name,
    OP_LIST(OP_ADDRESS)
#undef OP_ADDRESS
};

int op_count(void)
{
    return (int)(sizeof registry / sizeof registry[0]);
}

OpKind *op_at(int i)
{
    return i >= 0 && i < op_count() ? registry[i] : NULL;
}

OpKind *op_find(const char *name)
{
    for (int i = 0; i < op_count(); i++)
        if (strcmp(registry[i]->name, name) == 0)
            return registry[i];
    return NULL;
}
