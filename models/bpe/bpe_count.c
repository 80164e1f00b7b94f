#define _GNU_SOURCE
/* Counting pieces: a hash table for each thread, whose slots hold short pieces themselves.
 *
 * At some 20 ns a word, what counts is cache misses: the slots that a batch of pieces needs are prefetched
 * before the first of them is used. */
#include "models/bpe/bpe_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/text_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH = 256, BLOCK_BYTES = 1 << 20, MAX_THREADS = 64, FIRST_SLOTS = 1 << 14 };

/* Of a long piece, `place` is where its size and text are in the table's `texts`. */
typedef struct Slot {
    BpeKey key; /* all zero: empty */
    uint64_t count, place;
} Slot;

typedef struct Table {
    Slot *slots;
    size_t slot_count, used;
    ReelBytes texts;
    uint64_t pieces;
} Table;

struct ModelBpeCounter {
    ModelBpeOptions options;
    int threads;
    Table tables[MAX_THREADS];
    uint64_t bytes;
};

static bool is_empty(const Slot *slot)
{
    return slot->key.high == 0;
}

static bool is_long(const Slot *slot)
{
    return slot->key.high >> 56 == 255;
}

static BpePiece long_piece(const Table *table, const Slot *slot)
{
    const char *place = table->texts.data + slot->place;
    return (BpePiece){place + sizeof(uint64_t), (size_t)bpe_load64(place)};
}

static bool is_same(const Table *table, const Slot *slot, BpeKey key, BpePiece piece)
{
    if (slot->key.low != key.low || slot->key.high != key.high)
        return false;
    if (!is_long(slot))
        return true;
    BpePiece kept = long_piece(table, slot);
    return kept.size == piece.size && memcmp(kept.text, piece.text, piece.size) == 0;
}

static bool grow(Table *table)
{
    size_t wanted = table->slot_count ? table->slot_count * 2 : FIRST_SLOTS;
    Slot *slots = model_bpe_table_alloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        if (is_empty(&table->slots[i]))
            continue;
        size_t to = bpe_key_hash(table->slots[i].key) & (wanted - 1);
        while (!is_empty(&slots[to]))
            to = (to + 1) & (wanted - 1);
        slots[to] = table->slots[i];
    }
    reel_mem_free(table->slots);
    table->slots = slots;
    table->slot_count = wanted;
    return true;
}

/* A new slot for the piece. */
static bool fill(Table *table, Slot *slot, BpeKey key, BpePiece piece, uint64_t count)
{
    uint64_t size = piece.size, place = table->texts.size;
    if (piece.size > BPE_KEY_INLINE && (!reel_bytes_append(&table->texts, (const char *)&size, sizeof size) ||
                                        !reel_bytes_append(&table->texts, piece.text, piece.size)))
        return false;
    *slot = (Slot){key, count, place};
    table->used++;
    return true;
}

static bool add(Table *table, BpeKey key, uint64_t hash, BpePiece piece, uint64_t count)
{
    size_t mask = table->slot_count - 1, at = hash & mask;
    for (; !is_empty(&table->slots[at]); at = (at + 1) & mask) {
        if (is_same(table, &table->slots[at], key, piece)) {
            table->slots[at].count += count;
            return true;
        }
    }
    return fill(table, &table->slots[at], key, piece, count);
}

/* Room for `more` further pieces at a load of at most 3/4. */
static bool reserve(Table *table, size_t more)
{
    while ((table->used + more) * 4 > table->slot_count * 3)
        if (!grow(table))
            return false;
    return true;
}

static bool count_text(Table *table, ModelBpePretokenizer mode, BpeLines lines, const char *text, size_t size)
{
    BpeSplitter splitter;
    BpePiece pieces[BATCH];
    BpeKey keys[BATCH];
    uint64_t hashes[BATCH];
    const char *end = text + size;
    model_bpe_split(&splitter, mode, lines, text, size);
    for (size_t count; (count = model_bpe_split_next(&splitter, pieces, BATCH)) > 0;) {
        if (!reserve(table, count))
            return false;
        for (size_t i = 0; i < count; i++) {
            keys[i] = bpe_key(pieces[i].text, pieces[i].size, end);
            hashes[i] = bpe_key_hash(keys[i]);
            __builtin_prefetch(&table->slots[hashes[i] & (table->slot_count - 1)], 1);
        }
        for (size_t i = 0; i < count; i++)
            if (!add(table, keys[i], hashes[i], pieces[i], 1))
                return false;
        table->pieces += count;
    }
    return true;
}

/* ---- Blanks in front of texts ---- */

static bool append_prefixed(ReelBytes *out, const char *text, size_t size)
{
    bool fine = size == 0 || text[0] == ' ' || reel_bytes_append(out, " ", 1);
    return fine && reel_bytes_append(out, text, size);
}

static bool prefix_lines(ReelBytes *out, const char *text, size_t size)
{
    out->size = 0;
    for (const char *end = text + size; text < end;) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *next = feed ? feed + 1 : end;
        if (!append_prefixed(out, text, (size_t)(next - text)))
            return false;
        text = next;
    }
    return true;
}

bool model_bpe_prefix_text(ReelBytes *out, const char *text, size_t size)
{
    out->size = 0;
    return append_prefixed(out, text, size);
}

/* ---- Files: whoever is free takes the next block ---- */

typedef struct Reader {
    pthread_mutex_t lock;
    int fd;
    const char *path;
    ModelBpePretokenizer mode;
    ReelBytes rest; /* what was read behind the last border */
    bool ended;
    uint64_t bytes;
    ReelStatus status;
} Reader;

/* The number of bytes of the block that end with a line, or (no line is that short) a word; 0: none does. */
static size_t border(const ReelBytes *block, size_t from, ModelBpePretokenizer mode)
{
    const char *feed = block->size > from ? memrchr(block->data + from, '\n', block->size - from) : NULL;
    if (!feed && mode == MODEL_BPE_WHITESPACE)
        feed = block->size > from ? memrchr(block->data + from, ' ', block->size - from) : NULL;
    return feed ? (size_t)(feed - block->data) + 1 : 0;
}

/* Appends at most one BLOCK_BYTES. */
static ReelStatus read_more(Reader *reader, ReelBytes *block)
{
    if (!reel_bytes_reserve(block, BLOCK_BYTES))
        return reel_status_no_memory(block->size + BLOCK_BYTES, "a block of text");
    ssize_t got;
    do
        got = read(reader->fd, block->data + block->size, BLOCK_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return reel_status_failed("%s: cannot read: %s", reader->path, strerror(errno));
    reader->ended = got == 0;
    reader->bytes += (uint64_t)got;
    block->size += (size_t)got;
    return reel_status_ok();
}

/* The next block of whole lines; an empty one at the end. Holds the lock. */
static ReelStatus next_block(Reader *reader, ReelBytes *block)
{
    block->size = 0;
    if (!reel_bytes_append(block, reader->rest.data, reader->rest.size))
        return reel_status_no_memory(reader->rest.size, "a block of text");
    reader->rest.size = 0;
    while (!reader->ended) {
        size_t from = block->size;
        ReelStatus status = read_more(reader, block);
        if (!reel_status_is_ok(&status))
            return status;
        size_t whole = border(block, from, reader->mode);
        if (whole == 0)
            continue;
        if (!reel_bytes_append(&reader->rest, block->data + whole, block->size - whole))
            return reel_status_no_memory(block->size - whole, "a block of text");
        block->size = whole;
        break;
    }
    return reel_status_ok();
}

typedef struct Worker {
    pthread_t thread;
    Reader *reader;
    Table *table;
    const ModelBpeOptions *options;
    uint64_t bytes_before;
    bool reports, started;
} Worker;

static bool count_block(Worker *worker, const ReelBytes *block, ReelBytes *prefixed)
{
    const ModelBpeOptions *o = worker->options;
    BpeLines lines = o->pretokenizer == MODEL_BPE_BYTELEVEL ? BPE_LINES_KEPT : BPE_ONE_TEXT;
    if (!o->add_prefix_space || o->pretokenizer != MODEL_BPE_BYTELEVEL)
        return count_text(worker->table, o->pretokenizer, lines, block->data, block->size);
    return prefix_lines(prefixed, block->data, block->size) &&
           count_text(worker->table, o->pretokenizer, lines, prefixed->data, prefixed->size);
}

static void *work(void *argument)
{
    Worker *worker = argument;
    Reader *reader = worker->reader;
    ReelBytes block = {0}, prefixed = {0};
    for (;;) {
        pthread_mutex_lock(&reader->lock);
        if (reel_status_is_ok(&reader->status))
            reader->status = next_block(reader, &block);
        bool stop = !reel_status_is_ok(&reader->status) || block.size == 0;
        uint64_t bytes = worker->bytes_before + reader->bytes;
        pthread_mutex_unlock(&reader->lock);
        if (stop)
            break;
        if (!count_block(worker, &block, &prefixed)) {
            pthread_mutex_lock(&reader->lock);
            reader->status =
                reel_status_no_memory(worker->table->slot_count * 2 * sizeof(Slot), "the table of words");
            pthread_mutex_unlock(&reader->lock);
            break;
        }
        if (worker->reports && worker->options->progress)
            worker->options->progress(worker->options->progress_context, "count", bytes, 0);
    }
    reel_bytes_free(&block);
    reel_bytes_free(&prefixed);
    return NULL;
}

static void run_workers(ModelBpeCounter *counter, Reader *reader)
{
    Worker workers[MAX_THREADS];
    for (int i = 0; i < counter->threads; i++)
        workers[i] = (Worker){.reader = reader,
                              .table = &counter->tables[i],
                              .options = &counter->options,
                              .bytes_before = counter->bytes,
                              .reports = i == 0};
    for (int i = 1; i < counter->threads; i++)
        workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    work(&workers[0]);
    for (int i = 1; i < counter->threads; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
}

ReelStatus model_bpe_counter_add_file(ModelBpeCounter *counter, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    Reader reader = {.fd = STDIN_FILENO,
                     .path = is_stdin ? "standard input" : path,
                     .mode = counter->options.pretokenizer,
                     .status = reel_status_ok()};
    ReelStatus status = is_stdin ? reel_status_ok() : reel_text_file_open(path, &reader.fd);
    if (!reel_status_is_ok(&status))
        return status;
    pthread_mutex_init(&reader.lock, NULL);
    run_workers(counter, &reader);
    counter->bytes += reader.bytes;
    pthread_mutex_destroy(&reader.lock);
    reel_bytes_free(&reader.rest);
    if (!is_stdin)
        close(reader.fd);
    return reader.status;
}

/* ---- The counter ---- */

ModelBpeCounter *model_bpe_counter_new(const ModelBpeOptions *options)
{
    ModelBpeCounter *counter = reel_mem_calloc(1, sizeof *counter);
    if (!counter)
        return NULL;
    counter->options = *options;
    counter->threads = options->threads < 1 ? 1 : options->threads;
    if (counter->threads > MAX_THREADS)
        counter->threads = MAX_THREADS;
    return counter;
}

void model_bpe_counter_clear(ModelBpeCounter *counter)
{
    for (int i = 0; i < MAX_THREADS; i++) {
        reel_mem_free(counter->tables[i].slots);
        reel_bytes_free(&counter->tables[i].texts);
        counter->tables[i] = (Table){0};
    }
}

void model_bpe_counter_free(ModelBpeCounter *counter)
{
    if (!counter)
        return;
    model_bpe_counter_clear(counter);
    reel_mem_free(counter);
}

ReelStatus model_bpe_counter_add(ModelBpeCounter *counter, const char *text, size_t size)
{
    const ModelBpeOptions *o = &counter->options;
    bool fine;
    if (o->add_prefix_space && o->pretokenizer == MODEL_BPE_BYTELEVEL) {
        ReelBytes prefixed = {0};
        fine = model_bpe_prefix_text(&prefixed, text, size) &&
               count_text(&counter->tables[0], o->pretokenizer, BPE_ONE_TEXT, prefixed.data, prefixed.size);
        reel_bytes_free(&prefixed);
    } else {
        fine = count_text(&counter->tables[0], o->pretokenizer, BPE_ONE_TEXT, text, size);
    }
    if (!fine)
        return reel_status_no_memory(counter->tables[0].slot_count * 2 * sizeof(Slot), "the table of words");
    counter->bytes += size;
    return reel_status_ok();
}

/* All counts into the first table. */
bool model_bpe_counter_gather(ModelBpeCounter *counter)
{
    Table *first = &counter->tables[0];
    for (int t = 1; t < counter->threads; t++) {
        Table *table = &counter->tables[t];
        for (size_t i = 0; i < table->slot_count; i++) {
            Slot *slot = &table->slots[i];
            if (is_empty(slot))
                continue;
            BpePiece piece =
                is_long(slot) ? long_piece(table, slot) : (BpePiece){(const char *)&slot->key, 0};
            if (!reserve(first, 1) || !add(first, slot->key, bpe_key_hash(slot->key), piece, slot->count))
                return false;
            slot->count = 0; /* should memory end here, the next call takes nothing twice */
        }
        first->pieces += table->pieces;
        reel_mem_free(table->slots);
        reel_bytes_free(&table->texts);
        *table = (Table){0};
    }
    return true;
}

ModelBpeCounts model_bpe_counter_counts(ModelBpeCounter *counter)
{
    ModelBpeCounts counts = {.bytes = counter->bytes};
    model_bpe_counter_gather(counter); /* so that a piece that several threads met counts once */
    for (int i = 0; i < counter->threads; i++) {
        counts.pieces += counter->tables[i].pieces;
        counts.different += counter->tables[i].used;
    }
    return counts;
}

const ModelBpeOptions *model_bpe_counter_options(const ModelBpeCounter *counter)
{
    return &counter->options;
}

size_t model_bpe_counter_slots(const ModelBpeCounter *counter)
{
    return counter->tables[0].slot_count;
}

bool model_bpe_counter_word(const ModelBpeCounter *counter, size_t i, BpeWord *word)
{
    const Table *table = &counter->tables[0];
    const Slot *slot = &table->slots[i];
    if (is_empty(slot))
        return false;
    if (is_long(slot)) {
        BpePiece piece = long_piece(table, slot);
        *word = (BpeWord){piece.text, piece.size, slot->count};
    } else {
        *word = (BpeWord){(const char *)&slot->key, slot->key.high >> 56, slot->count};
    }
    return true;
}
