#include "autograd/ops.h"

#include <string.h>

static OpKind *const registry[] = {
#define OP_ROW(name, arguments) &op_##name,
#include "autograd/op_list.h"
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
