#include "models/text/ngrams.h"
#include "models/text/clean.h"
#include "tensor/mem.h"
#include "tensor/utf8.h"

#include <string.h>

enum { MOST_BYTES = 4 * MODEL_NGRAMS_LONGEST };

ModelNgramOptions model_ngrams_defaults(void)
{
    return (ModelNgramOptions){.least = 2, .most = 4, .min_df = 3, .unless_ascii = true};
}

/* ---- Cutting ---- */

/* Told of each piece in the order of its last characters, the shorter before the longer. False ends it. */
typedef bool (*TakePiece)(void *context, ModelTextSpan piece);

/* The last characters that went by. */
typedef struct Window {
    char bytes[MOST_BYTES + 4];
    int32_t sizes[MODEL_NGRAMS_LONGEST]; /* [count] of each character in bytes */
    int32_t count, used, passed;
    int32_t least, most;
    bool alone; /* the last word was one character of a script without spaces */
    TakePiece take;
    void *context;
} Window;

/* One more character. A mark alone is no piece, and what has both marks is the word. */
static bool advance(Window *w, const char *character, int32_t size, bool ends)
{
    if (w->count == w->most) {
        w->used -= w->sizes[0];
        memmove(w->bytes, w->bytes + w->sizes[0], (size_t)w->used);
        memmove(w->sizes, w->sizes + 1, (size_t)--w->count * sizeof *w->sizes);
    }
    memcpy(w->bytes + w->used, character, (size_t)size);
    w->used += size;
    w->sizes[w->count++] = size;
    w->passed++;
    int32_t begin = w->used;
    for (int32_t n = 1; n <= w->count; n++) {
        begin -= w->sizes[w->count - n];
        bool mark = n == 1 && (ends || w->passed == 1), whole = ends && n == w->passed;
        ModelTextSpan piece = {w->bytes + begin, (size_t)(w->used - begin)};
        if (n >= w->least && !mark && !whole && !w->take(w->context, piece))
            return false;
    }
    return true;
}

/* The characters of a word, which need not be UTF-8 where a program cleans by rules of its own. */
static bool pass_word(Window *w, ModelTextSpan word)
{
    const uint8_t *at = (const uint8_t *)word.bytes, *end = at + word.length;
    bool fine = true;
    while (fine && at < end) {
        uint32_t code;
        int size = *at < 0x80 ? 1 : reel_utf8_decode(at, (size_t)(end - at), &code);
        size = size > 0 ? size : 1;
        fine = advance(w, (const char *)at, size, false);
        at += size;
    }
    return fine;
}

static bool stands_alone(ModelTextSpan word)
{
    uint32_t code;
    return (uint8_t)word.bytes[0] >= 0x80 &&
           reel_utf8_decode((const uint8_t *)word.bytes, word.length, &code) > 0 &&
           model_cleaner_stands_alone(code);
}

static bool close_word(Window *w)
{
    bool fine = w->passed == 0 || advance(w, ">", 1, true);
    w->count = w->used = w->passed = 0;
    return fine;
}

/* Ends the word before and begins this one, unless it goes on with characters that stand alone. */
static bool open_word(Window *w, ModelTextSpan word)
{
    bool goes_on = w->alone, alone = stands_alone(word);
    w->alone = alone;
    return (goes_on && alone) || (close_word(w) && advance(w, "<", 1, false));
}

static Window window_of(const ModelNgrams *ngrams, TakePiece take, void *context)
{
    return (Window){.least = ngrams->least, .most = ngrams->most, .take = take, .context = context};
}

/* ---- Learning ---- */

typedef struct Counter {
    ModelStringTable pieces;
    int32_t *with, *last; /* how many texts have each, and the last of them, from 1 */
    size_t with_capacity, last_capacity;
    int32_t text;
} Counter;

static bool count_piece(void *context, ModelTextSpan piece)
{
    Counter *c = context;
    int32_t known = c->pieces.count, id = model_string_table_add(&c->pieces, piece);
    if (id < 0)
        return false;
    if (id == known) {
        int32_t *with = reel_mem_grow(c->with, (size_t)id, &c->with_capacity, sizeof *with);
        c->with = with ? with : c->with;
        int32_t *last = reel_mem_grow(c->last, (size_t)id, &c->last_capacity, sizeof *last);
        c->last = last ? last : c->last;
        if (!with || !last)
            return false;
        with[id] = last[id] = 0;
    }
    c->with[id] += c->last[id] != c->text;
    c->last[id] = c->text;
    return true;
}

static ReelStatus count_pieces(Counter *counter, const ModelNgrams *ngrams, const ModelWordTexts *texts,
                               const int32_t *numbers, int64_t count)
{
    Window window = window_of(ngrams, count_piece, counter);
    ReelBytes scratch = {0};
    ReelStatus status = reel_status_ok();
    for (int64_t i = 0; i < count && reel_status_is_ok(&status); i++) {
        ModelWordBytes bytes;
        bool fine = true;
        counter->text = (int32_t)i + 1;
        status = model_word_texts_bytes(texts, numbers[i], &scratch, &bytes);
        for (int32_t word; fine && reel_status_is_ok(&status) && model_word_texts_next(&bytes, &word);) {
            ModelTextSpan span = model_string_table_span(&texts->words, (size_t)word);
            fine = open_word(&window, span) && pass_word(&window, span);
        }
        window.alone = false;
        if (!fine || !close_word(&window))
            status = reel_status_no_memory(counter->pieces.bytes_used, "the pieces of words");
    }
    reel_bytes_free(&scratch);
    return status;
}

static ReelStatus check_options(const ModelNgramOptions *options)
{
    if (options->least < 1 || options->most < options->least || options->most > MODEL_NGRAMS_LONGEST)
        return reel_status_usage("pieces of %d to %d characters cannot be; --char-ngrams is MIN-MAX, both "
                                 "from 1 to %d",
                                 options->least, options->most, MODEL_NGRAMS_LONGEST);
    if (options->min_df < 1)
        return reel_status_usage("a piece of a word cannot be asked to be in at least %d texts; "
                                 "--ngram-min-df is 1 or more",
                                 options->min_df);
    return reel_status_ok();
}

/* Those of the counted pieces that pass, sorted, behind those that are there. */
static bool add_pieces(ModelStringTable *pieces, const Counter *counter, int32_t min_df)
{
    ModelStringTable passed = {0};
    bool fine = true;
    for (int32_t i = 0; fine && i < counter->pieces.count; i++)
        fine = counter->with[i] < min_df ||
               model_string_table_add(&passed, model_string_table_span(&counter->pieces, (size_t)i)) >= 0;
    fine = fine && model_string_table_sort(&passed, NULL);
    if (fine && pieces->count == 0) {
        *pieces = passed;
        return true;
    }
    fine = fine && model_string_table_add_all(pieces, &passed);
    model_string_table_free(&passed);
    return fine;
}

ReelStatus model_ngrams_learn(ModelNgrams *ngrams, const ModelNgrams *begin, const ModelWordTexts *texts,
                              const int32_t *numbers, int64_t count, const ModelNgramOptions *options)
{
    Counter counter = {.with = NULL};
    ModelNgramOptions how = *options;
    if (begin) {
        how.least = begin->least;
        how.most = begin->most;
    }
    *ngrams = (ModelNgrams){.least = how.least, .most = how.most};
    ReelStatus status = check_options(&how);
    if (reel_status_is_ok(&status))
        status = count_pieces(&counter, ngrams, texts, numbers, count);
    bool fine = !begin || model_string_table_add_all(&ngrams->pieces, &begin->pieces);
    if (reel_status_is_ok(&status) && !(fine && add_pieces(&ngrams->pieces, &counter, how.min_df)))
        status = reel_status_no_memory(ngrams->pieces.bytes_used, "the pieces of words");
    model_string_table_free(&counter.pieces);
    reel_mem_free(counter.with);
    reel_mem_free(counter.last);
    if (!reel_status_is_ok(&status))
        model_ngrams_free(ngrams);
    return status;
}

ReelStatus model_ngrams_restore(ModelNgrams *ngrams, const char *const *pieces, int32_t count)
{
    ReelStatus status = reel_status_ok();
    for (int32_t i = 0; i < count && reel_status_is_ok(&status); i++) {
        size_t size = strlen(pieces[i]);
        int32_t given = size > 0 && size <= MOST_BYTES
                            ? model_string_table_add(&ngrams->pieces, model_text_span(pieces[i]))
                            : -2;
        if (given == -1)
            status = reel_status_no_memory(size, "the pieces of words");
        else if (given != i)
            status = reel_status_failed("piece %d of words, '%.100s', is %s; save the model again", i + 1,
                                        pieces[i], given < 0 ? "none" : "there twice");
    }
    return status;
}

void model_ngrams_free(ModelNgrams *ngrams)
{
    model_string_table_free(&ngrams->pieces);
    *ngrams = (ModelNgrams){0};
}

/* ---- Encoding ---- */

typedef struct Encoder {
    const ModelNgrams *ngrams;
    ModelIdList *list;
} Encoder;

static bool push_piece(void *context, ModelTextSpan piece)
{
    Encoder *e = context;
    int32_t id = model_string_table_find(&e->ngrams->pieces, piece);
    return id < 0 || model_id_list_push(e->list, model_vocabulary_size(e->ngrams->vocabulary) + id);
}

static bool encode(const void *state, ModelTextSpan text, size_t limit, ModelIdList *list)
{
    Encoder encoder = {state, list};
    const ModelVocabulary *vocabulary = encoder.ngrams->vocabulary;
    Window window = window_of(encoder.ngrams, push_piece, &encoder);
    bool fine = true;
    ModelTextSpan word;
    for (size_t words = 0; fine && words < limit && model_text_next_word(&text, &word);) {
        int32_t id = model_vocabulary_id(vocabulary, word);
        fine = open_word(&window, word);
        size_t before = list->count;
        if (fine && id >= MODEL_NUM_SPECIAL_TOKENS)
            fine = model_id_list_push(list, id);
        fine = fine && pass_word(&window, word);
        words += list->count > before;
    }
    return fine && close_word(&window);
}

ModelTokenizer model_ngrams_tokenizer(ModelNgrams *ngrams, const ModelVocabulary *vocabulary)
{
    int32_t words = model_vocabulary_size(vocabulary);
    ngrams->vocabulary = vocabulary;
    return (ModelTokenizer){
        .state = ngrams, .vocab_size = words + ngrams->pieces.count, .first_piece = words, .encode = encode};
}
