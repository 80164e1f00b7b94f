/* The scan: runs a cell over a packed sequence, step by step. RNN, LSTM and GRU are cells; a user's
 * cell is run by the same code (docs/new-model.md has one). */
#ifndef REEL_NN_SCAN_H
#define REEL_NN_SCAN_H

#include "nn/sequence.h"

REEL_BEGIN_DECLS

enum { NN_MAX_STATES = 4 };

/* One step for the n texts that still run: x [n, in] and the state before, before[i] [n, H_i] (VAR_NONE,
 * meaning zeros, at the first step unless the scan was given an initial state), to the state after. after[0]
 * is the step's output; a state that is left empty is an error. */
typedef void NnStepFunction(void *self, Var x, const Var *before, Var *after);

/* A recurrent cell: its step and how much state it carries. */
typedef struct NnCell {
    NnStepFunction *step;
    int states; /* how many Vars make a state: 1 to NN_MAX_STATES */
} NnCell;

/* What a scan leaves: the state after each step. What is made of it is made on demand, so that a model
 * that only reads the last state pays for no more. */
typedef struct NnScan {
    Tape *tape;
    const NnPacking *packing; /* NULL: the scan failed */
    int states;
    Var *after; /* [steps * states]: after[t * states + i] is [texts that run at t, H_i] */
} NnScan;

/* x [N, ...] packed. `initial`: the states before the first step, [B, H_i] in the order of the texts, or NULL
 * for zeros. Work that does not depend on the state, such as the inputs' projection, is best done on
 * all rows before. */
NnScan nn_scan(const NnCell *cell, void *self, NnSequence x, const Var *initial);
/* State i after each text's own last step: [B, H_i] in the order of the texts. */
Var nn_scan_last(NnScan scan, int state);
/* State i after each step as a sequence: rows [N, H_i]. */
NnSequence nn_scan_sequence(NnScan scan, int state);

/* x [N, out] as it goes into the scan of a cell that leaves out the product of `weight` [out, in] with the
 * first state, which is zero. In a batch whose texts have one token each that product is all there is: as in
 * PyTorch, the weight then takes part, with a gradient of zeros, and an optimizer moves it by its momentum.
 */
NnSequence nn_scan_input(NnSequence x, Var weight);

TAPE_TRACE_RETURNS(NnScan)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_scan(...)          TAPE_TRACE(NnScan, nn_scan(__VA_ARGS__))
#define nn_scan_last(...)     TAPE_TRACE(Var, nn_scan_last(__VA_ARGS__))
#define nn_scan_sequence(...) TAPE_TRACE(NnSequence, nn_scan_sequence(__VA_ARGS__))
#define nn_scan_input(...)    TAPE_TRACE(NnSequence, nn_scan_input(__VA_ARGS__))
#endif

#endif
