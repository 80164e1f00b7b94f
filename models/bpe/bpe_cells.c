/* From words to cells: the alphabet gets its ids, and each different word of two symbols or more its place in
 * the one array that is learned from. */
#include "models/bpe/bpe_train_internal.h"
#include "tensor/mem.h"

/* Counts below this are their own class; a word that occurs more often has one for itself. */
enum { OWN_CLASSES = 4096, MAX_CODE = 0x110000 };

typedef struct Alphabet {
    uint8_t *seen;   /* [2 * MAX_CODE]: code points, then those at the end of a word (subword-nmt) */
    uint32_t *ids;   /* the same places */
    size_t cells;    /* with borders */
    size_t frequent; /* words that occur OWN_CLASSES times or more */
} Alphabet;

/* The next symbol of a word: a code point (byte level: the byte's), a broken byte counting as U+FFFD; with
 * MAX_CODE added where it ends a word of subword-nmt. */
static size_t next_symbol(ModelBpePretokenizer mode, const BpeWord *word, size_t at, uint32_t *symbol)
{
    if (mode == MODEL_BPE_BYTELEVEL) {
        *symbol = model_bpe_byte_to_code((uint8_t)word->text[at]);
        return 1;
    }
    int length = reel_utf8_decode((const uint8_t *)word->text + at, word->size - at, symbol);
    if (length == 0) {
        length = 1;
        *symbol = 0xFFFD;
    }
    if (mode == MODEL_BPE_SUBWORD_NMT && at + (size_t)length == word->size)
        *symbol += MAX_CODE;
    return (size_t)length;
}

static void survey(const ModelBpeCounter *counter, ModelBpePretokenizer mode, Alphabet *alphabet)
{
    size_t slots = model_bpe_counter_slots(counter);
    BpeWord word;
    alphabet->cells = 1;
    for (size_t slot = 0; slot < slots; slot++) {
        if (!model_bpe_counter_word(counter, slot, &word))
            continue;
        size_t symbols = 0;
        uint32_t symbol;
        for (size_t at = 0; at < word.size; symbols++) {
            at += next_symbol(mode, &word, at, &symbol);
            alphabet->seen[symbol] = 1;
        }
        alphabet->cells += symbols > 1 ? symbols + 1 : 0;
        alphabet->frequent += word.count >= OWN_CLASSES;
    }
    if (mode == MODEL_BPE_BYTELEVEL)
        for (int byte = 0; byte < 256; byte++)
            alphabet->seen[model_bpe_byte_to_code((uint8_t)byte)] = 1;
}

static void *resized(void *block, size_t count, size_t element, bool *fine)
{
    void *moved = reel_mem_realloc(block, count * element);
    *fine &= moved != NULL;
    return moved ? moved : block;
}

bool model_bpe_trainer_reserve_token(BpeTrainer *t)
{
    if ((size_t)t->parts.tokens.count < t->token_capacity)
        return true;
    size_t wanted = (size_t)t->parts.tokens.count * 2 + 1024, old = t->token_capacity;
    bool fine = true;
    t->spans = resized(t->spans, wanted, sizeof *t->spans, &fine);
    t->lengths = resized(t->lengths, wanted, sizeof *t->lengths, &fine);
    t->tallies = resized(t->tallies, wanted, sizeof *t->tallies, &fine);
    t->touched = resized(t->touched, wanted, sizeof *t->touched, &fine);
    if (!fine)
        return false;
    memset(t->tallies + old, 0, (wanted - old) * sizeof *t->tallies);
    t->token_capacity = wanted;
    return true;
}

static bool add_symbol(BpeTrainer *t, Alphabet *alphabet, uint32_t symbol)
{
    char text[8];
    uint32_t code = symbol >= MAX_CODE ? symbol - MAX_CODE : symbol;
    size_t size = (size_t)reel_utf8_encode(code, text);
    if (symbol >= MAX_CODE) {
        memcpy(text + size, BPE_WORD_END, 4);
        size += 4;
    }
    int64_t id = model_string_table_find(&t->parts.tokens, (ModelTextSpan){text, size});
    if (id < 0) {
        id = (int64_t)t->parts.tokens.count;
        if (!model_bpe_trainer_reserve_token(t) ||
            model_string_table_append(&t->parts.tokens, (ModelTextSpan){text, size}) < 0)
            return false;
    }
    alphabet->ids[symbol] = (uint32_t)id;
    t->spans[id] = t->lengths[id] = 1;
    return true;
}

/* By code point; the symbol at the end of a word behind the one within. */
static bool number_alphabet(BpeTrainer *t, Alphabet *alphabet)
{
    for (uint32_t code = 0; code < MAX_CODE; code++) {
        if (alphabet->seen[code] && !add_symbol(t, alphabet, code))
            return false;
        if (alphabet->seen[MAX_CODE + code] && !add_symbol(t, alphabet, MAX_CODE + code))
            return false;
    }
    return true;
}

static void fill_cells(BpeTrainer *t, const ModelBpeCounter *counter, const Alphabet *alphabet)
{
    size_t slots = model_bpe_counter_slots(counter), to = 1;
    uint32_t next_class = OWN_CLASSES;
    for (uint32_t i = 0; i < OWN_CLASSES; i++)
        t->counts[i] = i;
    BpeWord word;
    t->cells[0] = (BpeCell){BPE_BORDER, 0};
    for (size_t slot = 0; slot < slots; slot++) {
        if (!model_bpe_counter_word(counter, slot, &word))
            continue;
        uint32_t class = word.count < OWN_CLASSES ? (uint32_t)word.count : next_class, symbol;
        size_t begin = to;
        for (size_t at = 0; at < word.size;) {
            at += next_symbol(t->options->pretokenizer, &word, at, &symbol);
            if (at == word.size && to == begin)
                break; /* a single symbol */
            t->cells[to++] = (BpeCell){alphabet->ids[symbol], class};
        }
        if (to == begin)
            continue;
        t->cells[to++] = (BpeCell){BPE_BORDER, class};
        if (class >= OWN_CLASSES)
            t->counts[next_class++] = word.count;
    }
    t->cell_count = to;
}

ReelStatus model_bpe_cells_make(BpeTrainer *t, ModelBpeCounter *counter)
{
    Alphabet alphabet = {.seen = reel_mem_calloc(2 * MAX_CODE, 1),
                         .ids = reel_mem_alloc(2 * MAX_CODE * sizeof(uint32_t))};
    ReelStatus status = reel_status_no_memory(2 * MAX_CODE * sizeof(uint32_t), "the alphabet");
    if (alphabet.seen && alphabet.ids) {
        survey(counter, t->options->pretokenizer, &alphabet);
        size_t cells = alphabet.cells + 1;
        if (cells < BPE_BORDER) {
            t->cells = model_bpe_table_alloc(cells, sizeof *t->cells);
            t->counts = reel_mem_alloc((OWN_CLASSES + alphabet.frequent) * sizeof *t->counts);
        }
        if (cells >= BPE_BORDER)
            status = reel_status_failed(
                "the different words have %zu symbols, 4294967294 are the most: learn from less text", cells);
        else if (!t->cells || !t->counts || !number_alphabet(t, &alphabet))
            status = reel_status_no_memory(cells * sizeof *t->cells, "the words");
        else {
            fill_cells(t, counter, &alphabet);
            status = reel_status_ok();
        }
    }
    reel_mem_free(alphabet.seen);
    reel_mem_free(alphabet.ids);
    return status;
}
