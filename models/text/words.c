#include "models/text/words.h"
#include "models/text/tokenizer.h"

#include <math.h>
#include <stdlib.h>

#define LEAD        3.0
#define LEAD_LENGTH 8.0

/* A word of a text and its place, which <bos> is not counted in. */
typedef struct Occurrence {
    int32_t id, place;
} Occurrence;

static int by_word_and_place(const void *a, const void *b)
{
    const Occurrence *x = a, *y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : (x->place > y->place) - (x->place < y->place);
}

/* The words of one text. Returns how many. */
static int32_t sort_words(NnIds text, int32_t first_piece, Occurrence *sorted)
{
    int32_t count = 0, place = -1;
    for (int32_t t = 0; t < text.count; t++) {
        int32_t id = text.ids[t];
        bool piece = first_piece > 0 && id >= first_piece;
        place += !piece && t > 0;
        if (id < 0 || id >= MODEL_NUM_SPECIAL_TOKENS) /* a negative one is the embedding's to report */
            sorted[count++] = (Occurrence){id, piece && place < 0 ? 0 : place};
    }
    qsort(sorted, (size_t)count, sizeof *sorted, by_word_and_place);
    return count;
}

bool model_text_words(ModelTextWords *words, TensorArena *arena, const NnIds *texts, int32_t count,
                      int32_t first_piece)
{
    size_t most = 0;
    for (int32_t b = 0; b < count; b++)
        most += (size_t)texts[b].count;
    *words = (ModelTextWords){.ids = tensor_arena_alloc(arena, most * sizeof(int32_t)),
                              .texts = tensor_arena_alloc(arena, most * sizeof(int32_t)),
                              .log_weights = tensor_arena_alloc(arena, most * sizeof(double))};
    Occurrence *sorted = tensor_arena_alloc(arena, most * sizeof *sorted);
    if (!words->ids || !words->texts || !words->log_weights || !sorted)
        return false;
    for (int32_t b = 0; b < count; b++) {
        int32_t found = sort_words(texts[b], first_piece, sorted);
        for (int32_t i = 0; i < found; words->count++) {
            double n = 0;
            words->ids[words->count] = sorted[i].id;
            words->texts[words->count] = b;
            do
                n += 1 + LEAD * exp(-sorted[i++].place / LEAD_LENGTH);
            while (i < found && sorted[i].id == words->ids[words->count]);
            words->log_weights[words->count] = log(1 + log(n));
        }
    }
    return true;
}
