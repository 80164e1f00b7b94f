#include "nn/sequence.h"

#include <string.h>

static NnSequence empty_sequence(Tape *tape)
{
    return (NnSequence){.rows = {.tape = tape}};
}

static int32_t *new_indices(Tape *tape, int64_t count)
{
    int32_t *indices = tensor_arena_alloc(tape_arena(tape), (size_t)count * sizeof *indices);
    if (!indices)
        tape_fail(tape, "nn_pack: out of memory");
    return indices;
}

static Var index_var(Tape *tape, int32_t *indices, int64_t count)
{
    return tape_constant(tape, tensor_from(indices, TENSOR_I32, TENSOR_SHAPE(count)));
}

/* Places by length, longest first, equal lengths in the order of the texts: a counting sort. */
static bool place_texts(Tape *tape, NnPacking *packing)
{
    int32_t texts = packing->texts, steps = packing->steps;
    int32_t *first = new_indices(tape, steps + 1), *place = new_indices(tape, texts),
            *text = new_indices(tape, texts), *next = new_indices(tape, steps + 1);
    if (!first || !place || !text || !next)
        return false;
    /* longer[l]: how many texts are longer than l, which is both the first place of length l and the
     * number of texts that run at step l. */
    int32_t *longer = next;
    memset(longer, 0, ((size_t)steps + 1) * sizeof *longer);
    for (int32_t b = 0; b < texts; b++)
        longer[packing->length[b] - 1]++;
    for (int32_t l = steps - 1; l >= 0; l--)
        longer[l] += longer[l + 1];
    first[0] = 0;
    for (int32_t t = 0; t < steps; t++)
        first[t + 1] = first[t] + longer[t];
    packing->sorted = true;
    for (int32_t b = 0; b < texts; b++) {
        place[b] = longer[packing->length[b]]++;
        text[place[b]] = b;
        packing->sorted = packing->sorted && place[b] == b;
    }
    packing->first = first;
    packing->place = place;
    packing->text = text;
    packing->rows = first[steps];
    return true;
}

static int32_t *new_lengths(Tape *tape, int32_t texts)
{
    if (texts >= 1)
        return new_indices(tape, texts);
    tape_fail(tape, "nn_pack: a batch must have at least one text");
    return NULL;
}

/* `lengths` is memory of the step. */
static NnPacking *new_packing(Tape *tape, const int32_t *lengths, int32_t texts)
{
    NnPacking *packing = tensor_arena_alloc(tape_arena(tape), sizeof *packing);
    if (!packing) {
        tape_fail(tape, "nn_pack: out of memory");
        return NULL;
    }
    *packing = (NnPacking){.texts = texts, .length = lengths};
    int64_t rows = 0;
    for (int32_t b = 0; b < texts; b++) {
        if (lengths[b] < 1) {
            tape_fail(tape, "nn_pack: text %d has no tokens; give it at least one, such as <unk>", b);
            return NULL;
        }
        rows += lengths[b];
        if (lengths[b] > packing->steps)
            packing->steps = lengths[b];
    }
    if (rows > INT32_MAX) {
        tape_fail(tape, "nn_pack: a batch must have at most 2^31 - 1 tokens");
        return NULL;
    }
    return place_texts(tape, packing) ? packing : NULL;
}

/* The packed row of step t of a text. */
static int32_t packed_row(const NnPacking *packing, int32_t text, int32_t t)
{
    return packing->first[t] + packing->place[text];
}

NnSequence(nn_pack_texts)(Tape *tape, const NnIds *texts, int32_t count)
{
    int32_t *lengths = new_lengths(tape, count);
    if (!lengths)
        return empty_sequence(tape);
    for (int32_t b = 0; b < count; b++)
        lengths[b] = texts[b].count;
    NnPacking *packing = new_packing(tape, lengths, count);
    int32_t *packed = packing ? new_indices(tape, packing->rows) : NULL;
    if (!packed)
        return empty_sequence(tape);
    for (int32_t b = 0; b < count; b++)
        for (int32_t t = 0; t < lengths[b]; t++)
            packed[packed_row(packing, b, t)] = texts[b].ids[t];
    return (NnSequence){.rows = index_var(tape, packed, packing->rows), .packing = packing};
}

NnSequence(nn_pack)(Tape *tape, const int32_t *ids, const int32_t *offsets, int32_t texts)
{
    size_t bytes = (size_t)(texts > 0 ? texts : 0) * sizeof(NnIds);
    NnIds *each = tensor_arena_alloc(tape_arena(tape), bytes);
    if (!each) {
        tape_fail(tape, "nn_pack: out of memory");
        return empty_sequence(tape);
    }
    for (int32_t b = 0; b < texts; b++)
        each[b] = (NnIds){ids + offsets[b], offsets[b + 1] - offsets[b]};
    return nn_pack_texts(tape, each, texts);
}

NnSequence(nn_pack_rows)(Var rows, const int32_t *lengths, int32_t texts)
{
    Tape *tape = rows.tape;
    if (var_is_empty(rows))
        return empty_sequence(tape);
    int32_t *own = new_lengths(tape, texts);
    if (own)
        memcpy(own, lengths, (size_t)texts * sizeof *own);
    NnPacking *packing = own ? new_packing(tape, own, texts) : NULL;
    int32_t *source = packing ? new_indices(tape, packing->rows) : NULL;
    if (!source)
        return empty_sequence(tape);
    if (packing->rows != var_size(rows, 0)) {
        tape_fail(tape, "nn_pack_rows: the lengths add up to %d, but there are %lld rows", packing->rows,
                  (long long)var_size(rows, 0));
        return empty_sequence(tape);
    }
    int32_t at = 0;
    for (int32_t b = 0; b < texts; b++)
        for (int32_t t = 0; t < packing->length[b]; t++)
            source[packed_row(packing, b, t)] = at++;
    return (NnSequence){.rows = var_gather_rows(rows, index_var(tape, source, packing->rows)),
                        .packing = packing};
}

Var(nn_unpack)(NnSequence sequence)
{
    Tape *tape = sequence.rows.tape;
    const NnPacking *packing = sequence.packing;
    int32_t *source = packing ? new_indices(tape, packing->rows) : NULL;
    if (!source)
        return empty_sequence(tape).rows;
    int32_t at = 0;
    for (int32_t b = 0; b < packing->texts; b++)
        for (int32_t t = 0; t < packing->length[b]; t++)
            source[at++] = packed_row(packing, b, t);
    return var_gather_rows(sequence.rows, index_var(tape, source, packing->rows));
}

NnSequence(nn_reverse)(NnSequence sequence)
{
    Tape *tape = sequence.rows.tape;
    const NnPacking *packing = sequence.packing;
    int32_t *source = packing ? new_indices(tape, packing->rows) : NULL;
    if (!source)
        return empty_sequence(tape);
    for (int32_t b = 0; b < packing->texts; b++)
        for (int32_t t = 0; t < packing->length[b]; t++)
            source[packed_row(packing, b, t)] = packed_row(packing, b, packing->length[b] - 1 - t);
    return nn_with_rows(sequence, var_gather_rows(sequence.rows, index_var(tape, source, packing->rows)));
}

NnSequence nn_with_rows(NnSequence like, Var rows)
{
    return (NnSequence){.rows = rows, .packing = like.packing};
}

Var nn_text_of_row(NnSequence sequence)
{
    Tape *tape = sequence.rows.tape;
    const NnPacking *packing = sequence.packing;
    int32_t *texts = packing ? new_indices(tape, packing->rows) : NULL;
    if (!texts)
        return empty_sequence(tape).rows;
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t place = 0; place < nn_running(packing, t); place++)
            texts[packing->first[t] + place] = packing->text[place];
    return index_var(tape, texts, packing->rows);
}

Var nn_position_of_row(NnSequence sequence)
{
    Tape *tape = sequence.rows.tape;
    const NnPacking *packing = sequence.packing;
    int32_t *positions = packing ? new_indices(tape, packing->rows) : NULL;
    if (!positions)
        return empty_sequence(tape).rows;
    for (int32_t t = 0; t < packing->steps; t++)
        for (int32_t row = packing->first[t]; row < packing->first[t + 1]; row++)
            positions[row] = t;
    return index_var(tape, positions, packing->rows);
}

Var(nn_step)(NnSequence sequence, int32_t t)
{
    if (!sequence.packing)
        return empty_sequence(sequence.rows.tape).rows;
    if (t < 0 || t >= sequence.packing->steps)
        return tape_fail(sequence.rows.tape, "nn_step: step %d is out of range for %d steps", t,
                         sequence.packing->steps);
    return var_slice(sequence.rows, 0, sequence.packing->first[t], sequence.packing->first[t + 1], 1);
}
