/* RNN, LSTM and GRU over packed sequences, any number of layers, in one or both directions. Parameters and
 * their layouts are PyTorch's: weight_ih_l0 [G H, in], weight_hh_l0 [G H, H], bias_ih_l0, bias_hh_l0 [G H],
 * ...,
 * "_reverse" behind them for the other direction; gates in the order i, f, g, o (LSTM) and r, z, n (GRU). All
 * U(-1/sqrt(H), 1/sqrt(H)) at first. */
#ifndef REEL_NN_RECURRENT_H
#define REEL_NN_RECURRENT_H

#include "nn/linear.h"
#include "nn/module.h"
#include "nn/scan.h"
#include "nn/sequence.h"

REEL_BEGIN_DECLS

typedef struct NnRecurrentOptions {
    int layers; /* at least 1 */
    bool bidirectional;
    int biases; /* 2: bias_ih and bias_hh, as PyTorch; 1: bias_ih alone; 0: none, PyTorch's bias=False */
    VarGateOrder gates; /* LSTM: where its gates lie in the rows; PyTorch's, ONNX has i, o, f, c */
    double dropout;     /* on the outputs of every layer but the last, while training */
    /* Of the numbers of weight_hh, the same at all steps, while training (Merity et al. 2017, arXiv
     * 1708.02182). */
    double weight_dropout;
    double forget_bias; /* LSTM: the first value of bias_ih's forget gate; NAN: as the others */
    bool orthogonal;    /* first values of weight_hh: orthogonal instead of uniform */
} NnRecurrentOptions;
/* One layer, one direction, two biases, no dropout, PyTorch's gates and first values. */
NnRecurrentOptions nn_recurrent_options(void);

/* The parameters of one layer in one direction. */
typedef struct NnRecurrentLayer {
    NnParameter weight_ih, weight_hh, bias_ih, bias_hh;
    char names[4][40];
} NnRecurrentLayer;

/* Which cell; private. */
typedef struct NnRecurrentKind NnRecurrentKind;

/* RNN, LSTM and GRU are one module with different cells. */
typedef struct NnRecurrent {
    NnModule base;
    const NnRecurrentKind *kind;
    NnRecurrentOptions options;
    int64_t input, hidden;
    NnRecurrentLayer *layers; /* [layers * directions]; the module's own memory */
} NnRecurrent;

/* The same struct; which one it is, init decides. */
typedef NnRecurrent NnRnn;
typedef NnRecurrent NnLstm;
typedef NnRecurrent NnGru;

/* Modules with the usual options (nn_recurrent_options()), or with others. */
void nn_rnn_init(NnRnn *m, int64_t input, int64_t hidden);
void nn_lstm_init(NnLstm *m, int64_t input, int64_t hidden);
void nn_gru_init(NnGru *m, int64_t input, int64_t hidden);
void nn_rnn_init_with(NnRnn *m, int64_t input, int64_t hidden, NnRecurrentOptions options);
void nn_lstm_init_with(NnLstm *m, int64_t input, int64_t hidden, NnRecurrentOptions options);
void nn_gru_init_with(NnGru *m, int64_t input, int64_t hidden, NnRecurrentOptions options);

/* The whole state of a module: of layer l in direction d at index l D + d, as PyTorch's h_n and c_n. */
typedef struct NnRecurrentState {
    Var h; /* [L D, B, H]; VAR_NONE: zeros */
    Var c; /* the same of an LSTM's memory */
} NnRecurrentState;

/* What a run over a sequence gives. */
typedef struct NnRecurrentOutput {
    Var last; /* [B, D H]: the top layer's state after each text's last step (and, backwards, its first) */
    NnScan *scans; /* [layers * D]: states after every step; state 0 is h, state 1 is c (LSTM) */
    int layers, directions;
    NnSequence input;
} NnRecurrentOutput;

/* x: rows [N, input]. h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman 1990). */
NnRecurrentOutput nn_rnn(NnRnn *m, NnSequence x);
/* Hochreiter & Schmidhuber 1997 with forget gates (Gers et al. 2000). */
NnRecurrentOutput nn_lstm(NnLstm *m, NnSequence x);
/* Cho et al. 2014 (arXiv 1406.1078) in PyTorch's form: n = tanh(W_in x + b_in + r (W_hn h + b_hn)). */
NnRecurrentOutput nn_gru(NnGru *m, NnSequence x);
/* Any of them, from a state before the first step. */
NnRecurrentOutput nn_recurrent_from(NnRecurrent *m, NnSequence x, NnRecurrentState before);
/* The state after each text's last step. A run that goes on from it in a later step of the tape copies its
 * values (tensor_copy(), tape_constant()). */
NnRecurrentState nn_recurrent_state(NnRecurrentOutput out);
/* One step of B texts, x [B, input], from *state to *state (all VAR_NONE at the start): the top layer's h,
 * [B, H]. For a module of one direction. */
Var nn_recurrent_step(NnRecurrent *m, Var x, NnRecurrentState *state);
/* The top layer's state at every token: rows [N, D H]. Only a model that asks for it pays for it. */
NnSequence nn_recurrent_sequence(NnRecurrentOutput out);

TAPE_TRACE_RETURNS(NnRecurrentOutput)
TAPE_TRACE_RETURNS(NnRecurrentState)

REEL_END_DECLS

#ifndef REEL_LIBRARY
#define nn_rnn(...)                TAPE_TRACE(NnRecurrentOutput, nn_rnn(__VA_ARGS__))
#define nn_lstm(...)               TAPE_TRACE(NnRecurrentOutput, nn_lstm(__VA_ARGS__))
#define nn_gru(...)                TAPE_TRACE(NnRecurrentOutput, nn_gru(__VA_ARGS__))
#define nn_recurrent_from(...)     TAPE_TRACE(NnRecurrentOutput, nn_recurrent_from(__VA_ARGS__))
#define nn_recurrent_state(...)    TAPE_TRACE(NnRecurrentState, nn_recurrent_state(__VA_ARGS__))
#define nn_recurrent_step(...)     TAPE_TRACE(Var, nn_recurrent_step(__VA_ARGS__))
#define nn_recurrent_sequence(...) TAPE_TRACE(NnSequence, nn_recurrent_sequence(__VA_ARGS__))
#endif

#endif
