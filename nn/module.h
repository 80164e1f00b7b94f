/* Modules: parts with parameters, which register as they are built.
 *
 * A module is a struct whose first member is an NnModule named `base`. Its init function declares the
 * parameters and adds the parts; nothing is allocated for values until nn_module_reset() draws them or a
 * checkpoint is loaded. The tree that registration makes is the only list there is: names, counts, saving,
 * optimizing and freezing all come from it. Names and shapes are PyTorch's.
 *
 * A module stays where it was initialised, since its parent and its parameters point to each other: it is
 * passed by pointer, and a struct that was copied, or returned by value, is an error wherever it is used.
 *
 * As in PyTorch, one module may be a part under several names or of several modules, and one parameter may
 * stand in for another (nn_parameter_tie()). All its names are known and are saved; its numbers are counted,
 * drawn and updated once. */
#ifndef REEL_NN_MODULE_H
#define REEL_NN_MODULE_H

#include "autograd/autograd.h"

REEL_BEGIN_DECLS

typedef struct NnModule NnModule;
typedef struct NnParameter NnParameter;
typedef struct NnName NnName;
typedef struct NnQuantized NnQuantized; /* private */
struct NnOptimizer;

/* Bytes of a name with all its dots. */
enum { NN_NAME_SIZE = 160 };
/* Bytes of the name of a part of an array: "blocks.0". */
enum { NN_NUMBERED_SIZE = 40 };
/* Parts within parts, at most. */
enum { NN_MAX_DEPTH = 32 };

/* How first values are drawn. */
typedef struct NnInit {
    enum { NN_INIT_CONSTANT, NN_INIT_UNIFORM, NN_INIT_NORMAL, NN_INIT_ORTHOGONAL } kind;
    double value; /* the constant; the bound of (-bound, bound); the deviation; the gain */
} NnInit;

/* One value; uniform in (-bound, bound); N(0, deviation^2). */
NnInit nn_init_constant(double value);
NnInit nn_init_uniform(double bound);
NnInit nn_init_normal(double deviation);
/* Rows (or columns, where there are more rows) orthonormal, times gain (Saxe et al. 2014, arXiv 1312.6120);
 * for a block of several square matrices each is drawn for itself. */
NnInit nn_init_orthogonal(double gain);

/* A parameter as its module declares it. */
struct NnParameter {
    TapeParameter core; /* what the tape sees: nn_var(parameter, tape) */
    const char *name;
    NnModule *module;
    NnParameter *next;
    const NnParameter *self;       /* where it was declared */
    NnParameter *tied;             /* stands in for this one: nn_parameter_tie() */
    bool is_shared;                /* tied, or standing in for another */
    struct NnOptimizer *optimizer; /* that updates it; NULL: none */
    NnInit init;
    int64_t fill_first, fill_stop; /* rows that start at fill_value instead (padding, a forget gate's bias) */
    double fill_value;
    bool sparse;            /* gradients come as rows: an optimizer may update late */
    bool is_buffer;         /* nn_module_add_buffer() */
    bool is_borrowed;       /* the value's memory is a file's (NnLoadOptions.in_place) */
    NnQuantized *quantized; /* of 8 bits, and only read: the value has no memory; NULL: it has */
    TensorDtype dtype;      /* of a buffer's own; TENSOR_DTYPE_NONE: as nn_module_reset() is asked for */
    int ndim;               /* 0: one number */
    int64_t shape[TENSOR_MAX_DIMS];
};

/* Another name for some rows of a parameter, with their first values: see nn_module_rename(). */
struct NnName {
    const char *name;
    NnParameter *parameter;
    int64_t first, rows; /* of its first axis */
    NnInit init;
};

/* What a module makes of one value: for nn_sequential(). */
typedef Var NnForward(NnModule *module, Var x);

/* A module as a part of another, under one name. */
typedef struct NnPart {
    NnModule *module;
    const char *name;
    struct NnPart *next;             /* of the parent */
    char numbered[NN_NUMBERED_SIZE]; /* the name of a part of an array */
} NnPart;

/* A node of the tree of modules; the first member, `base`, of each. */
struct NnModule {
    TapeScope scope;      /* of messages: the name in the module that it was added to first */
    const NnModule *self; /* where it was initialised */
    NnModule *parent;     /* that it was added to first */
    NnPart *parts;
    NnPart first_use; /* as a part; further ones are allocated */
    int uses;         /* how often it is a part */
    NnModule *next_freed;
    NnParameter *parameters, *buffers;
    NnName *names; /* NULL: parameters go by their own */
    int name_count;
    bool training;
    ReelStatus status;                 /* the first error while the tree was built */
    void (*release)(NnModule *module); /* frees what the module itself allocated; may be NULL */
    NnForward *forward; /* set by the init function; NULL: more than one value goes in or out */
};

/* ---- Building ---- */

void nn_module_init(NnModule *module);
/* Adds a part under a name that outlives the module ("" to add nothing to its parts' names). The same part
 * may be added again, here under another name or elsewhere. Errors, which nn_module_reset() returns: the name
 * is taken by another part or parameter; the part contains the module. */
void nn_module_add(NnModule *module, NnModule *part, const char *name);
/* Adds part number i of an array of parts under the name "name.i", as PyTorch's ModuleList ("": under "i").
 */
void nn_module_add_at(NnModule *module, NnModule *part, const char *name, int i);
/* Declares a parameter of 0 axes (one number) or more. The struct is a member of the module's struct; values
 * come with nn_module_reset(). */
void nn_module_add_parameter(NnModule *module, NnParameter *parameter, const char *name, int ndim,
                             const int64_t *shape, NnInit init);
/* Declares a buffer: a value that belongs to the module's state and that nothing trains, as running
 * statistics. It has a name, is saved, loaded, reset and copied with the parameters, and is not one of them:
 * it is not counted, has no gradient, and no optimizer or freezing sees it. `dtype`: TENSOR_I32, or
 * TENSOR_DTYPE_NONE for that of the parameters. nn_parameter_read() and nn_parameter_write() are for it too.
 */
void nn_module_add_buffer(NnModule *module, NnParameter *buffer, const char *name, TensorDtype dtype,
                          int ndim, const int64_t *shape, NnInit init);
/* From now on these are the names of all parameters of the module and its parts, in this order: where a file
 * has other names, or as many small matrices what is one product here. To be called when the module has its
 * parts and is not yet part of another. */
void nn_module_rename(NnModule *module, const NnName *names, int count);
/* A whole parameter with the first values that it has. */
NnName nn_name(const char *name, NnParameter *parameter);
/* From now on `parameter` is another name for `to`, which has the same shape and may belong to another module
 * (tied weights: decoder.weight = encoder.weight). Both are declared; neither is tied further. */
void nn_parameter_tie(NnParameter *parameter, NnParameter *to);
/* Notes an error of building; the first one of the tree is what nn_module_reset() returns. */
void nn_module_fail(NnModule *module, ReelStatus status);

/* NN_ADD(m, fc, nn_linear_init, 256, 10): initialises the member and adds it under its name. */
#define NN_ADD(m, field, ...)                                                                                \
    (NN_INIT_(&(m)->field, __VA_ARGS__), nn_module_add(&(m)->base, &(m)->field.base, #field))
/* The same of a member that is an array: NN_ADD_AT(m, blocks, i, block_init, 256) adds m->blocks[i] under
 * "blocks.0", "blocks.1", ... */
#define NN_ADD_AT(m, field, i, ...)                                                                          \
    (NN_INIT_(&(m)->field[i], __VA_ARGS__), nn_module_add_at(&(m)->base, &(m)->field[i].base, #field, i))
/* Each element of an array of known length in turn, with its number i for the arguments. */
#define NN_ADD_EACH(m, field, i, ...)                                                                        \
    for (int i = 0; i < (int)(sizeof(m)->field / sizeof *(m)->field); i++)                                   \
    NN_ADD_AT(m, field, i, __VA_ARGS__)

/* init(part, ...) with no to eight further arguments. */
#define NN_INIT_(part, ...)                                                                                  \
    NN_TENTH_(__VA_ARGS__, NN_WITH_, NN_WITH_, NN_WITH_, NN_WITH_, NN_WITH_, NN_WITH_, NN_WITH_, NN_WITH_,   \
              NN_WITHOUT_, )                                                                                 \
    (part, __VA_ARGS__)
#define NN_TENTH_(a, b, c, d, e, f, g, h, i, tenth, ...) tenth
#define NN_WITH_(part, init, ...)                        init(part, __VA_ARGS__)
#define NN_WITHOUT_(part, init)                          init(part)

/* ---- The tree as a whole ---- */

/* Allocates all values (dtype f32 unless f64 is asked for by nn_module_reset_f64) and draws the first ones:
 * a pure function of the seed and of each parameter's (first) name. Returns the first error of building, or
 * of memory. An optimizer that lives goes on from the new values with the state that it has; other types of
 * values than it was made for are an error. */
ReelStatus nn_module_reset(NnModule *module, uint64_t seed);
ReelStatus nn_module_reset_f64(NnModule *module, uint64_t seed);
/* The first error while the tree was built: a copied module, a name that two different parameters have. */
ReelStatus nn_module_status(NnModule *module);
/* Frees all values and what modules allocated; a part that is also in use elsewhere stays. The structs are
 * the caller's. Free optimizers first. */
void nn_module_free(NnModule *module);
/* Switches dropout and its like: true while training (the default), false to evaluate. */
void nn_module_train(NnModule *module, bool training);
/* No gradients for the parameters of this part (true), or gradients again. */
void nn_module_freeze(NnModule *module, bool frozen);

/* One named parameter, or buffer: a whole NnParameter or rows of one. */
typedef struct NnNamed {
    char name[NN_NAME_SIZE]; /* "lstm.weight_ih_l0" */
    NnParameter *parameter;
    int64_t first, rows; /* of the first axis; 0 and 1 where there is none */
    NnInit init;
    bool again; /* the same numbers came under another name before */
} NnNamed;
/* The value as it is stored, a view; what an optimizer updates late it does not bring up to date, see
 * nn_parameter_read(). */
Tensor nn_named_view(const NnNamed *named);

/* Draws the first values of one parameter (nn_module_reset() does it for all). */
ReelStatus nn_named_reset(const NnNamed *named, uint64_t seed);

/* A copy of a parameter's value as it is now, late rows included. Invalid where it has none yet, or there is
 * no memory. */
Tensor nn_parameter_read(const NnParameter *parameter, TensorArena *arena);
/* Sets a parameter's value: `value` has its shape and is f32 or f64 (i32 for a buffer of that). A living
 * optimizer goes on from there. Errors: another shape, no memory. */
ReelStatus nn_parameter_write(NnParameter *parameter, Tensor value);

/* A place in the tree, and the way to it from the root. */
typedef struct NnPlace {
    NnModule *module;
    const NnPart *path[NN_MAX_DEPTH];
    int depth;
} NnPlace;

/* Iterates in state_dict order: a module's own parameters, its buffers, then its parts. Start with
 * nn_iterate(module), then while (nn_next(&it)) use it.named. */
typedef struct NnIterator {
    NnModule *root;
    NnPlace place;
    NnParameter *parameter; /* the module's next one, where they go by their own names */
    int next;               /* of module->names */
    int64_t count;          /* names so far */
    NnNamed named;
} NnIterator;
NnIterator nn_iterate(NnModule *module);
bool nn_next(NnIterator *it);
/* The same over whole parameters, each once, without buffers: what an optimizer updates. */
NnParameter *nn_first_parameter(NnModule *module);
NnParameter *nn_next_parameter(NnModule *root, const NnParameter *parameter);

/* False where there is no parameter of that name. */
bool nn_find(NnModule *module, const char *name, NnNamed *named);
/* How many numbers the parameters hold, those with several names once. */
int64_t nn_module_count(NnModule *module);
/* The path of a parameter, for messages; `path` has room for NN_NAME_SIZE bytes. Of a
 * renamed one, that of its first name. */
void nn_parameter_path(const NnParameter *parameter, char *path);
/* Packs the weights that products have used so far: once a step, before the shards' threads start. */
bool nn_module_prepare(NnModule *module);

/* ---- Inside forward ---- */

/* The parameter as a value on the tape. */
Var nn_var(NnParameter *parameter, Tape *tape);
void nn_enter(NnModule *module, Tape *tape);
void nn_leave(Tape *tape);

REEL_END_DECLS

#endif
