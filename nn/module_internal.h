/* What the files about modules share. */
#ifndef REEL_NN_MODULE_INTERNAL_H
#define REEL_NN_MODULE_INTERNAL_H

#include "nn/module.h"

/* ---- The tree (module_tree.c) ---- */

/* An error where the module is not where it was initialised. */
ReelStatus nn_module_stays(const NnModule *module);
/* The parameter that it is tied to, or itself. */
NnParameter *nn_parameter_itself(const NnParameter *parameter);
/* Every place below `module`, itself first, depth first; a part of several modules comes several times.
 * place.module is NULL after the last, and at once for a module that was copied. */
NnPlace nn_place_first(NnModule *module);
void nn_place_next(NnPlace *place);
/* Number i of the module's own names; NULL behind the last. */
const char *nn_module_own_name(const NnModule *module, int i);
/* Whether a part or parameter of the module, or of parts that add nothing to names, has that name. */
bool nn_module_has_name(const NnModule *module, const char *name);
bool nn_module_contains(const NnModule *module, const NnModule *part);
/* How many modules lie above, by the way of the first uses; how many below. */
int nn_module_depth(const NnModule *module);
int nn_module_height(const NnModule *module);
/* "a.b." for messages; `path` has room for NN_NAME_SIZE bytes. */
size_t nn_module_path(const NnModule *module, char *path);
/* nn_next() until the next buffer, each once. */
bool nn_next_buffer(NnIterator *it);
/* The name of a parameter below `root`, of a renamed one the first. */
void nn_parameter_name(NnModule *root, const NnParameter *parameter, char *name);

/* ---- Values (module.c) ---- */

/* Memory for the value, unless it has some of this type. */
ReelStatus nn_parameter_allocate(NnParameter *parameter, TensorDtype dtype);
/* Before the whole value is written in place; tape_parameter_changed() comes after. */
void nn_parameter_begin_write(NnParameter *parameter);
/* An error where the parameter cannot be read: copied, without value, or written past nn_parameter_write().
 */
ReelStatus nn_parameter_status(const NnParameter *parameter);

#endif
