/* Walking through the tree of modules, and the names that come from it. */
#include "nn/module_internal.h"
#include "tensor/mem.h"
#include "tensor/random.h"

#include <stdio.h>
#include <string.h>

/* ---- Places ---- */

ReelStatus nn_module_stays(const NnModule *module)
{
    if (module->self == module)
        return reel_status_ok();
    if (!module->self)
        return reel_status_usage("a module is used before its init function was called");
    const char *name = module->scope.name && *module->scope.name ? module->scope.name : "of the program";
    return reel_status_usage(
        "module %s was copied, or returned by value, after it was initialised; initialise it "
        "where it stays, and pass it by pointer",
        name);
}

NnPlace nn_place_first(NnModule *module)
{
    return (NnPlace){.module = module->self == module ? module : NULL};
}

/* The next place: among the module's parts, or past them. */
static void step(NnPlace *place, bool down)
{
    const NnPart *next = down && place->depth < NN_MAX_DEPTH ? place->module->parts : NULL;
    if (next)
        place->depth++;
    while (!next && place->depth > 0)
        if (!(next = place->path[place->depth - 1]->next))
            place->depth--;
    if (next)
        place->path[place->depth - 1] = next;
    place->module = next ? next->module : NULL;
}

void nn_place_next(NnPlace *place)
{
    step(place, true);
}

bool nn_module_contains(const NnModule *module, const NnModule *part)
{
    for (const NnPart *p = module->parts; p; p = p->next)
        if (p->module == part || nn_module_contains(p->module, part))
            return true;
    return false;
}

int nn_module_depth(const NnModule *module)
{
    return module->parent ? 1 + nn_module_depth(module->parent) : 0;
}

int nn_module_height(const NnModule *module)
{
    int height = 0;
    for (const NnPart *p = module->parts; p; p = p->next) {
        int below = 1 + nn_module_height(p->module);
        height = below > height ? below : height;
    }
    return height;
}

NnParameter *nn_parameter_itself(const NnParameter *parameter)
{
    return (NnParameter *)(uintptr_t)(parameter->tied ? parameter->tied : parameter);
}

NnName nn_name(const char *name, NnParameter *parameter)
{
    int64_t rows = parameter->ndim > 0 ? parameter->shape[0] : 1;
    return (NnName){name, parameter, 0, rows, parameter->init};
}

/* Whether the way there leads through a module that is a part more than once. */
static bool is_shared_place(const NnPlace *place)
{
    for (int i = 0; i < place->depth; i++)
        if (place->path[i]->module->uses > 1)
            return true;
    return false;
}

/* ---- Whole parameters ---- */

typedef struct ParameterWalk {
    NnPlace place;
    NnParameter *next;
    int64_t count; /* that came so far */
} ParameterWalk;

static ParameterWalk walk_parameters(NnModule *root)
{
    ParameterWalk walk = {.place = nn_place_first(root)};
    walk.next = walk.place.module ? walk.place.module->parameters : NULL;
    return walk;
}

/* The next one, itself where it is tied; NULL after the last. One that is shared comes several times. */
static NnParameter *walk_next(ParameterWalk *walk)
{
    while (walk->place.module && !walk->next) {
        nn_place_next(&walk->place);
        walk->next = walk->place.module ? walk->place.module->parameters : NULL;
    }
    if (!walk->next)
        return NULL;
    NnParameter *found = walk->next;
    walk->next = found->next;
    walk->count++;
    return nn_parameter_itself(found);
}

/* The next one that did not come before. */
static NnParameter *walk_next_new(NnModule *root, ParameterWalk *walk)
{
    NnParameter *found;
    while ((found = walk_next(walk))) {
        if (!found->is_shared && !is_shared_place(&walk->place))
            return found;
        ParameterWalk before = walk_parameters(root);
        while (walk_next(&before) != found)
            ;
        if (before.count == walk->count)
            return found;
    }
    return NULL;
}

NnParameter *nn_first_parameter(NnModule *module)
{
    ParameterWalk walk = walk_parameters(module);
    return walk_next(&walk);
}

NnParameter *nn_next_parameter(NnModule *root, const NnParameter *parameter)
{
    ParameterWalk walk = walk_parameters(root);
    for (const NnParameter *p = walk_next(&walk); p && p != parameter;)
        p = walk_next(&walk);
    return walk.place.module ? walk_next_new(root, &walk) : NULL;
}

int64_t nn_module_count(NnModule *module)
{
    int64_t count = 0;
    ParameterWalk walk = walk_parameters(module);
    for (NnParameter *p; (p = walk_next_new(module, &walk));) {
        int64_t size = 1;
        for (int i = 0; i < p->ndim; i++)
            size *= p->shape[i];
        count += size;
    }
    return count;
}

/* ---- Names ---- */

static size_t add_name(char *path, size_t used, const char *name, const char *behind)
{
    used += (size_t)snprintf(path + used, NN_NAME_SIZE - used, "%s%s", name, behind);
    return used < NN_NAME_SIZE ? used : NN_NAME_SIZE - 1;
}

size_t nn_module_path(const NnModule *module, char *path)
{
    path[0] = '\0';
    size_t used = module->parent ? nn_module_path(module->parent, path) : 0;
    return *module->scope.name ? add_name(path, used, module->scope.name, ".") : used;
}

void nn_parameter_path(const NnParameter *parameter, char *path)
{
    size_t used = nn_module_path(parameter->module, path);
    for (const NnModule *m = parameter->module; m; m = m->parent)
        for (int i = 0; m->names && i < m->name_count; i++)
            if (m->names[i].parameter == parameter) {
                add_name(path, nn_module_path(m, path), m->names[i].name, "");
                return;
            }
    add_name(path, used, parameter->name, "");
}

/* Whether one of the parameter's names came before number `count`. */
static bool came_before(NnModule *root, const NnNamed *named, int64_t count);

static void fill_named(NnIterator *it, NnName name)
{
    size_t used = 0;
    for (int i = 0; i < it->place.depth; i++)
        if (*it->place.path[i]->name)
            used = add_name(it->named.name, used, it->place.path[i]->name, ".");
    add_name(it->named.name, used, name.name, "");
    it->named.parameter = nn_parameter_itself(name.parameter);
    it->named.first = name.first;
    it->named.rows = name.rows;
    it->named.init = name.init;
    it->count++;
}

/* The module's parameters and, behind them, its buffers. */
static NnParameter *first_of(const NnModule *module)
{
    return module->parameters ? module->parameters : module->buffers;
}

static NnParameter *next_of(const NnModule *module, const NnParameter *p)
{
    return p->next || p->is_buffer ? p->next : module->buffers;
}

static void begin_module(NnIterator *it)
{
    it->parameter = it->place.module ? first_of(it->place.module) : NULL;
    it->next = 0;
}

NnIterator nn_iterate(NnModule *module)
{
    NnIterator it = {.root = module, .place = nn_place_first(module)};
    begin_module(&it);
    return it;
}

/* nn_next() without `again`. */
static bool next_name(NnIterator *it)
{
    while (it->place.module) {
        const NnModule *module = it->place.module;
        if (module->names && it->next < module->name_count) {
            fill_named(it, module->names[it->next++]);
            return true;
        }
        if (!module->names && it->parameter) {
            fill_named(it, nn_name(it->parameter->name, it->parameter));
            it->parameter = next_of(module, it->parameter);
            return true;
        }
        step(&it->place, !module->names);
        begin_module(it);
    }
    return false;
}

static bool came_before(NnModule *root, const NnNamed *named, int64_t count)
{
    for (NnIterator it = nn_iterate(root); next_name(&it) && it.count < count;)
        if (it.named.parameter == named->parameter && it.named.first == named->first)
            return true;
    return false;
}

bool nn_next(NnIterator *it)
{
    if (!next_name(it))
        return false;
    bool may_be = it->named.parameter->is_shared || is_shared_place(&it->place);
    it->named.again = may_be && came_before(it->root, &it->named, it->count);
    return true;
}

bool nn_next_buffer(NnIterator *it)
{
    while (nn_next(it))
        if (it->named.parameter->is_buffer && !it->named.again)
            return true;
    return false;
}

Tensor nn_named_view(const NnNamed *named)
{
    Tensor value = named->parameter->core.value;
    return value.ndim == 0 ? value : tensor_slice(value, 0, named->first, named->first + named->rows, 1);
}

bool nn_find(NnModule *module, const char *name, NnNamed *named)
{
    for (NnIterator it = nn_iterate(module); nn_next(&it);)
        if (strcmp(it.named.name, name) == 0) {
            *named = it.named;
            return true;
        }
    return false;
}

void nn_parameter_name(NnModule *root, const NnParameter *parameter, char *name)
{
    name[0] = '\0';
    for (NnIterator it = nn_iterate(root); next_name(&it);)
        if (it.named.parameter == parameter) {
            memcpy(name, it.named.name, NN_NAME_SIZE);
            return;
        }
}

const char *nn_module_own_name(const NnModule *module, int i)
{
    if (module->names)
        return i < module->name_count ? module->names[i].name : NULL;
    const NnParameter *p = first_of(module);
    while (p && i-- > 0)
        p = next_of(module, p);
    return p ? p->name : NULL;
}

static bool has_own_name(const NnModule *module, const char *name)
{
    const char *own;
    for (int i = 0; (own = nn_module_own_name(module, i)); i++)
        if (strcmp(own, name) == 0)
            return true;
    for (const NnPart *part = module->names ? NULL : module->parts; part; part = part->next)
        if (*part->name ? strcmp(part->name, name) == 0 : has_own_name(part->module, name))
            return true;
    return false;
}

bool nn_module_has_name(const NnModule *module, const char *name)
{
    while (!*module->scope.name && module->parent)
        module = module->parent;
    return has_own_name(module, name);
}

/* ---- What is wrong with it ---- */

/* Names that no file can hold: too long, or twice. */
static ReelStatus check_names(NnModule *module)
{
    size_t count = 0;
    for (NnIterator it = nn_iterate(module); next_name(&it);)
        count++;
    uint64_t *seen = reel_mem_alloc(count * sizeof *seen);
    if (!seen && count > 0)
        return reel_status_no_memory(count * sizeof *seen, "the parameters' names");
    ReelStatus status = reel_status_ok();
    size_t known = 0;
    for (NnIterator it = nn_iterate(module); reel_status_is_ok(&status) && next_name(&it);) {
        const char *name = it.named.name;
        if (strlen(name) + 1 >= NN_NAME_SIZE)
            status = reel_status_usage("%.60s...: a parameter's name has %d characters at most", name,
                                       NN_NAME_SIZE - 2);
        uint64_t hash = tensor_random_stream(name);
        for (size_t i = 0; i < known && reel_status_is_ok(&status); i++)
            if (seen[i] == hash)
                status = reel_status_usage("two parameters have the name %s", name);
        seen[known++] = hash;
    }
    reel_mem_free(seen);
    return status;
}

static ReelStatus check_module(const NnModule *module)
{
    ReelStatus status = nn_module_stays(module);
    if (reel_status_is_ok(&status))
        status = module->status;
    for (const NnParameter *p = first_of(module); p && reel_status_is_ok(&status); p = next_of(module, p))
        if (p->module != module) {
            char path[NN_NAME_SIZE];
            nn_module_path(module, path);
            status =
                reel_status_usage("%s: a parameter was declared again by another module; nn_parameter_tie() "
                                  "gives it another name",
                                  *path ? path : "the module");
        }
    return status;
}

ReelStatus nn_module_status(NnModule *module)
{
    ReelStatus status = nn_module_stays(module);
    for (NnPlace place = nn_place_first(module); place.module && reel_status_is_ok(&status);
         nn_place_next(&place))
        status = check_module(place.module);
    return reel_status_is_ok(&status) ? check_names(module) : status;
}
