#include "models/text/word_texts.h"
#include "tensor/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Tasks of a thread, so that none waits long for the last; and what is too little for a pool. */
enum { TASKS_PER_THREAD = 4, LITTLE = 1 << 16, LONGEST_NUMBER = 5 };

typedef struct ModelWordBlock {
    uint64_t begin;
    unsigned char *bytes;
} ModelWordBlock;

/* Some texts of those that are added. */
typedef struct Task {
    const ModelStringTable *known;
    const ModelCleaner *cleaner;
    const ModelTextSpan *raw;
    int64_t count;
    ReelBytes clean;
    ModelStringTable fresh; /* words that are not known yet */
    int32_t *numbers;       /* [fresh.count] which they have by now */
    ModelIdList ids;        /* of known words their numbers, of others -1 and less; 0 stands for an end */
    ReelBytes packed;
    uint32_t *sizes; /* [count] of the packed texts */
    bool fine;
} Task;

void model_word_texts_init(ModelWordTexts *t, int threads, int fd, const char *path)
{
    *t =
        (ModelWordTexts){.threads = threads > 0 ? threads : tensor_pool_processors(), .fd = fd, .path = path};
}

static void drop_blocks(ModelWordTexts *t)
{
    for (size_t i = 0; i < t->num_blocks; i++)
        reel_mem_free(t->blocks[i].bytes);
    t->num_blocks = 0;
    t->count = 0;
}

void model_word_texts_free(ModelWordTexts *t)
{
    drop_blocks(t);
    model_string_table_free(&t->words);
    reel_mem_free(t->ends);
    reel_mem_free(t->blocks);
    tensor_pool_free(t->pool);
    if (t->path && t->fd >= 0)
        close(t->fd);
    *t = (ModelWordTexts){.fd = -1};
}

void model_clean_texts_free(ModelCleanTexts *clean)
{
    model_cleaner_free(&clean->cleaner);
    model_word_texts_free(&clean->texts);
    *clean = (ModelCleanTexts){0};
}

static ReelStatus disk_failed(const ModelWordTexts *t, const char *what)
{
    return reel_status_failed(
        "%s: cannot %s the texts: %s; make room there, or choose another folder with --cache", t->path, what,
        strerror(errno));
}

ReelStatus model_word_texts_clear(ModelWordTexts *t)
{
    drop_blocks(t);
    model_string_table_free(&t->words);
    return t->fd >= 0 && ftruncate(t->fd, 0) != 0 ? disk_failed(t, "write") : reel_status_ok();
}

TensorPool *model_word_texts_pool(ModelWordTexts *t, size_t bytes)
{
    if (bytes > LITTLE && t->threads > 1 && !t->pool)
        t->pool = tensor_pool_new(t->threads); /* NULL does the work here */
    return bytes > LITTLE ? t->pool : NULL;
}

/* ---- Adding ---- */

/* The words of the texts, each text ended by 0: numbers of known words are one more, others -1 and less. */
static void find_words(void *context, int number)
{
    Task *task = &((Task *)context)[number];
    for (int64_t i = 0; task->fine && i < task->count; i++) {
        task->clean.size = 0;
        task->fine = model_cleaner_append(task->cleaner, task->raw[i], &task->clean);
        ModelTextSpan text = {task->clean.data, task->clean.size}, word;
        while (task->fine && model_text_next_word(&text, &word)) {
            int32_t id = model_string_table_find(task->known, word);
            int32_t fresh = id < 0 ? model_string_table_add(&task->fresh, word) : 0;
            task->fine = fresh >= 0 && model_id_list_push(&task->ids, id < 0 ? -1 - fresh : id + 1);
        }
        task->fine = task->fine && model_id_list_push(&task->ids, 0);
    }
}

/* Gives the new words their numbers, in the order of the texts. */
static bool number_words(Task *task, ModelStringTable *words)
{
    task->numbers = reel_mem_alloc((size_t)task->fresh.count * sizeof *task->numbers);
    bool fine = task->fine && task->numbers;
    for (int32_t i = 0; fine && i < task->fresh.count; i++) {
        ModelTextSpan word = {model_string_table_text(&task->fresh, i), task->fresh.items[i].length};
        fine = (task->numbers[i] = model_string_table_add(words, word)) >= 0;
    }
    return fine;
}

static size_t put_number(char *to, uint32_t number)
{
    size_t size = 0;
    for (; number >= 0x80; number >>= 7)
        to[size++] = (char)(number | 0x80);
    to[size++] = (char)number;
    return size;
}

static void pack_texts(void *context, int number)
{
    Task *task = &((Task *)context)[number];
    size_t begin = 0, text = 0;
    task->sizes = reel_mem_alloc((size_t)task->count * sizeof *task->sizes);
    task->fine = task->sizes && reel_bytes_reserve(&task->packed, task->ids.count * LONGEST_NUMBER);
    for (size_t i = 0; task->fine && i < task->ids.count; i++) {
        int32_t id = task->ids.ids[i];
        if (id == 0) {
            task->sizes[text++] = (uint32_t)(task->packed.size - begin);
            begin = task->packed.size;
        } else {
            uint32_t of_word = (uint32_t)(id > 0 ? id - 1 : task->numbers[-1 - id]);
            task->packed.size += put_number(task->packed.data + task->packed.size, of_word);
        }
    }
}

static ReelStatus write_bytes(const ModelWordTexts *t, const char *bytes, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t put = pwrite(t->fd, bytes, size, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return disk_failed(t, "write");
        bytes += put;
        at += (uint64_t)put;
        size -= (size_t)put;
    }
    return reel_status_ok();
}

/* Puts what the tasks have packed behind what is there. */
static ReelStatus append(ModelWordTexts *t, const Task *tasks, int count, int64_t texts)
{
    size_t size = 0, used = 0;
    uint64_t end = t->count > 0 ? t->ends[t->count - 1] : 0;
    for (int i = 0; i < count; i++)
        size += tasks[i].packed.size;
    uint64_t *ends =
        reel_mem_reserve(t->ends, (size_t)t->count, (size_t)texts, &t->ends_capacity, sizeof *ends);
    t->ends = ends ? ends : t->ends;
    ModelWordBlock *blocks = reel_mem_grow(t->blocks, t->num_blocks, &t->blocks_capacity, sizeof *blocks);
    t->blocks = blocks ? blocks : t->blocks;
    unsigned char *bytes = t->fd < 0 ? reel_mem_alloc(size) : NULL;
    if (!ends || !blocks || (t->fd < 0 && !bytes)) {
        reel_mem_free(bytes);
        return reel_status_no_memory(size, "the cleaned texts");
    }
    if (bytes)
        blocks[t->num_blocks++] = (ModelWordBlock){end, bytes};
    ReelStatus status = reel_status_ok();
    for (int i = 0; reel_status_is_ok(&status) && i < count; i++) {
        const Task *task = &tasks[i];
        if (bytes && task->packed.size > 0)
            memcpy(bytes + used, task->packed.data, task->packed.size);
        else if (!bytes)
            status = write_bytes(t, task->packed.data, task->packed.size, end);
        used += task->packed.size;
        for (int64_t k = 0; k < task->count; k++)
            t->ends[t->count++] = end += task->sizes[k];
    }
    return status;
}

static void free_tasks(Task *tasks, int count)
{
    for (int i = 0; i < count; i++) {
        reel_bytes_free(&tasks[i].clean);
        reel_bytes_free(&tasks[i].packed);
        model_string_table_free(&tasks[i].fresh);
        model_id_list_free(&tasks[i].ids);
        reel_mem_free(tasks[i].numbers);
        reel_mem_free(tasks[i].sizes);
    }
    reel_mem_free(tasks);
}

ReelStatus model_word_texts_add(ModelWordTexts *t, const ModelCleaner *cleaner, const ModelTextSpan *raw,
                                int64_t count)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < count; i++)
        bytes += raw[i].length;
    TensorPool *pool = model_word_texts_pool(t, bytes);
    int num_tasks = pool ? t->threads * TASKS_PER_THREAD : 1;
    Task *tasks = reel_mem_calloc((size_t)num_tasks, sizeof *tasks);
    if (!tasks)
        return reel_status_no_memory((size_t)num_tasks * sizeof *tasks, "the cleaned texts");
    for (int i = 0; i < num_tasks; i++) {
        int64_t from = count * i / num_tasks, to = count * (i + 1) / num_tasks;
        tasks[i] = (Task){
            .known = &t->words, .cleaner = cleaner, .raw = raw + from, .count = to - from, .fine = true};
    }
    tensor_pool_run(pool, find_words, tasks, num_tasks);
    bool fine = true;
    for (int i = 0; fine && i < num_tasks; i++)
        fine = number_words(&tasks[i], &t->words);
    if (fine)
        tensor_pool_run(pool, pack_texts, tasks, num_tasks);
    for (int i = 0; i < num_tasks; i++)
        fine = fine && tasks[i].fine;
    ReelStatus status =
        fine ? append(t, tasks, num_tasks, count) : reel_status_no_memory(bytes, "the cleaned texts");
    free_tasks(tasks, num_tasks);
    return status;
}

/* ---- Reading ---- */

/* The block that a text begins in: the last one that begins there or before. */
static const ModelWordBlock *block_at(const ModelWordTexts *t, uint64_t at)
{
    size_t low = 0, high = t->num_blocks;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (t->blocks[middle].begin <= at)
            low = middle;
        else
            high = middle;
    }
    return &t->blocks[low];
}

static ReelStatus read_bytes(const ModelWordTexts *t, char *to, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t got = pread(t->fd, to, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO;
        if (got <= 0)
            return disk_failed(t, "read");
        to += got;
        at += (uint64_t)got;
        size -= (size_t)got;
    }
    return reel_status_ok();
}

ReelStatus model_word_texts_bytes(const ModelWordTexts *t, int64_t text, ReelBytes *scratch,
                                  ModelWordBytes *bytes)
{
    uint64_t begin = text > 0 ? t->ends[text - 1] : 0;
    size_t size = (size_t)(t->ends[text] - begin);
    *bytes = (ModelWordBytes){NULL, NULL};
    if (size == 0)
        return reel_status_ok();
    if (t->fd < 0) {
        const ModelWordBlock *block = block_at(t, begin);
        bytes->at = block->bytes + (begin - block->begin);
        bytes->end = bytes->at + size;
        return reel_status_ok();
    }
    scratch->size = 0;
    if (!reel_bytes_reserve(scratch, size))
        return reel_status_no_memory(size, "a text");
    ReelStatus status = read_bytes(t, scratch->data, size, begin);
    bytes->at = (const unsigned char *)scratch->data;
    bytes->end = bytes->at + size;
    return status;
}

ReelStatus model_word_texts_text(const ModelWordTexts *t, int64_t text, ReelBytes *scratch, ReelBytes *out)
{
    ModelWordBytes bytes;
    int32_t number;
    ReelStatus status = model_word_texts_bytes(t, text, scratch, &bytes);
    bool fine = true, first = true;
    while (reel_status_is_ok(&status) && fine && model_word_texts_next(&bytes, &number)) {
        fine =
            (first || reel_bytes_append(out, " ", 1)) &&
            reel_bytes_append(out, model_string_table_text(&t->words, number), t->words.items[number].length);
        first = false;
    }
    return fine ? status : reel_status_no_memory(out->size, "a text");
}

ReelStatus model_word_texts_copy(const ModelWordTexts *t, const int32_t *numbers, int64_t count,
                                 ModelTextSpan **copies, char **bytes)
{
    ReelBytes scratch = {0}, all = {0};
    ModelTextSpan *spans = reel_mem_alloc((size_t)count * sizeof *spans);
    ReelStatus status = spans && reel_bytes_reserve(&all, 1)
                            ? reel_status_ok()
                            : reel_status_no_memory((size_t)count * sizeof *spans, "the texts");
    for (int64_t i = 0; reel_status_is_ok(&status) && i < count; i++) {
        size_t begin = all.size;
        status = model_word_texts_text(t, numbers[i], &scratch, &all);
        spans[i].length = all.size - begin;
    }
    const char *at = all.data; /* not before all are there: the bytes move */
    for (int64_t i = 0; reel_status_is_ok(&status) && i < count; at += spans[i++].length)
        spans[i].bytes = at;
    reel_bytes_free(&scratch);
    *copies = spans;
    *bytes = all.data;
    return status;
}
