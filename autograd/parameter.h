/* A parameter: a tensor that lives as long as its model, as the tape sees it.
 *
 * The tape reads it; whoever writes it (an optimizer, a loader) calls tape_parameter_changed(). What is
 * derived from one version of the value, such as the panels for products, is kept here. */
#ifndef REEL_AUTOGRAD_PARAMETER_H
#define REEL_AUTOGRAD_PARAMETER_H

#include "tensor/byte_panels.h"
#include "tensor/panels.h"
#include "tensor/view.h"

#ifndef __cplusplus
#include <stdatomic.h>
#endif

REEL_BEGIN_DECLS

/* The library alone touches what is atomic; C++17, which has no _Atomic, sees members of the same size. */
#ifdef __cplusplus
#define REEL_ATOMIC(type) type
#else
#define REEL_ATOMIC(type) _Atomic(type)
#endif

/* Writes the current values of rows ids[0..N) to out [N, ...]; a pure function, called from several threads.
 * An optimizer that updates rows late installs one, so that readers see what a dense update would show. */
typedef void TapeParameterReader(const void *context, Tensor ids, Tensor out);
/* Brings the value itself up to date, so that it may be written. */
typedef void TapeParameterSettler(const void *context);

/* One direction of products with the weight. */
typedef struct TapeParameterPanels {
    TensorPanels panels;
    REEL_ATOMIC(uint64_t) version; /* of the value that is packed; 0: none */
    REEL_ATOMIC(bool) wanted;      /* some product has asked for it */
} TapeParameterPanels;

/* Some columns of a weight, which products have met as a view of it. */
typedef struct TapeParameterColumns {
    struct TapeParameterColumns *next;
    int64_t first, count;
    TapeParameterPanels by_column, by_row;
} TapeParameterColumns;

typedef struct TapeParameter {
    const char *name;             /* in its module, for pictures; NULL: none */
    Tensor value;                 /* invalid until the model is initialised or loaded */
    bool frozen;                  /* true: no gradient is computed */
    uint64_t version;             /* starts at 1, grows with each change of the value */
    TapeParameterReader *read;    /* NULL: the value itself is current */
    TapeParameterSettler *settle; /* comes with `read` */
    const void *read_context;
    bool is_behind;                /* some rows are not up to date at the moment */
    bool is_lost;                  /* written while it was behind: the value is undefined */
    TapeParameterPanels by_column; /* of W^T, for y = x W^T */
    TapeParameterPanels by_row;    /* of W, for dx = dy W */
    TapeParameterColumns *columns; /* the same of parts of W */
    TensorBytePanels bytes;        /* of W^T as 8 bits, instead of by_column */
    uint64_t bytes_version;        /* of the value that they are of; 0: none */
} TapeParameter;

/* A parameter of version 1 over memory of the caller, which may come later (an invalid value). */
void tape_parameter_init(TapeParameter *parameter, Tensor value);
/* Frees the panels; the value's memory is the owner's. */
void tape_parameter_release(TapeParameter *parameter);
/* Says that the value was written. Where rows are updated late, tape_parameter_settle() must come before. */
void tape_parameter_changed(TapeParameter *parameter);
/* The panels of W^T (transposed) or W, packed at the first use of a version. Safe from several
 * threads. NULL where there is no memory, the value is not f32, or it is not a matrix. */
const TensorPanels *tape_parameter_panels(TapeParameter *parameter, bool transposed);
/* The same of the columns first .. first + count of W; NULL, too, where many others are packed already. */
const TensorPanels *tape_parameter_columns_panels(TapeParameter *parameter, int64_t first, int64_t count,
                                                  bool transposed);
/* Lets y = x W^T read the value as 8 bits from now on until it changes, where it is of 8 bits
 * (tensor/byte_panels.h); any other stays as it is. False where there is no memory. */
bool tape_parameter_use_bytes(TapeParameter *parameter);
/* Packs what products have wanted so far: call it after an update, before threads start. */
bool tape_parameter_prepare(TapeParameter *parameter);
/* out [N, ...] = the current rows `ids` (i32 [N], in range). */
void tape_parameter_read_rows(const TapeParameter *parameter, Tensor ids, Tensor out);
/* Brings the value itself up to date. */
void tape_parameter_settle(TapeParameter *parameter);
/* A copy of the whole current value. Invalid where there is no memory. */
Tensor tape_parameter_snapshot(const TapeParameter *parameter, TensorArena *arena);

REEL_END_DECLS

#endif
