#include "models/vectors/vectors_reader.h"

#include "tensor/arena.h"
#include "tensor/mem.h"
#include "tensor/storage/npz_reader.h"
#include "tensor/storage/text_file.h"
#include "tensor/storage/text_source.h"
#include "tensor/utf8.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 4 << 20, LONGEST = 64 << 20, MOST_WIDTH = 1 << 20 };

typedef enum { FORMAT_TEXT, FORMAT_BARE_TEXT, FORMAT_BINARY, FORMAT_NPZ } Format;

struct ModelVectorsReader {
    char *path, place[4200];
    Format format;
    int64_t width;
    int64_t promised;          /* rows that the header says there are, or -1 */
    int64_t rows;              /* read so far */
    const char *numbers, *end; /* of the word at hand */

    /* Of a file that is read in windows. */
    ReelTextSource source;
    char *bytes;
    size_t capacity, size, at; /* read, and consumed, of the window */
    locale_t numerals;

    /* Of a .npz. */
    TensorNpz *npz;
    TensorArena arena;
    const char *words, *words_end;
    const float *matrix;
};

/* ---- The window ---- */

/* Reads until `need` bytes stand behind `at`, or the file ends. */
static ReelStatus fill(ModelVectorsReader *r, size_t need)
{
    if (r->at > 0 && r->at + need > r->capacity) {
        memmove(r->bytes, r->bytes + r->at, r->size - r->at);
        r->size -= r->at;
        r->at = 0;
    }
    if (need > r->capacity) {
        size_t capacity = need > 2 * r->capacity ? need : 2 * r->capacity;
        char *larger = need <= LONGEST ? reel_mem_realloc(r->bytes, capacity) : NULL;
        if (!larger)
            return reel_status_failed("%s: a row is longer than %d MB, or there is no memory for it",
                                      model_vectors_place(r), LONGEST >> 20);
        r->bytes = larger;
        r->capacity = capacity;
    }
    ReelStatus status = reel_status_ok();
    while (r->size - r->at < need && !r->source.ended && reel_status_is_ok(&status)) {
        size_t got = 0;
        status = reel_text_source_read(&r->source, r->bytes + r->size, r->capacity - r->size, &got);
        r->size += got;
    }
    return status;
}

/* Finds the next line, without its end, and goes behind it. *line.bytes is NULL at the end of the file. */
static ReelStatus next_line(ModelVectorsReader *r, ModelTextSpan *line)
{
    size_t searched = 0;
    *line = (ModelTextSpan){0};
    for (;;) {
        size_t there = r->size - r->at;
        const char *start = r->bytes + r->at, *feed = memchr(start + searched, '\n', there - searched);
        if (!feed && r->source.ended && there == 0)
            return reel_status_ok();
        if (feed || r->source.ended) {
            line->bytes = start;
            line->length = feed ? (size_t)(feed - start) : there;
            r->at += line->length + (feed != NULL);
            while (line->length > 0 && strchr(" \t\r", start[line->length - 1]))
                line->length--;
            return reel_status_ok();
        }
        searched = there;
        ReelStatus status = fill(r, there + 1 > WINDOW / 2 ? there + WINDOW / 2 : there + 1);
        if (!reel_status_is_ok(&status))
            return status;
    }
}

/* ---- Numbers in text ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Whether all of the field [from, to) is a number. */
static bool parse_number(const ModelVectorsReader *r, const char *from, const char *to, float *number)
{
    char text[64], *end;
    size_t length = (size_t)(to - from);
    if (length == 0 || length >= sizeof text)
        return false;
    memcpy(text, from, length);
    text[length] = '\0';
    locale_t before = uselocale(r->numerals);
    *number = strtof(text, &end);
    uselocale(before);
    return end == text + length && !is_blank(text[0]);
}

static int64_t count_fields(ModelTextSpan line)
{
    int64_t blanks = 0;
    for (size_t i = 0; i < line.length; i++)
        blanks += is_blank(line.bytes[i]);
    return line.length > 0 ? blanks + 1 : 0;
}

static const char *field_end(const char *at, const char *end)
{
    while (at < end && !is_blank(*at))
        at++;
    return at;
}

/* "V d", the first line of word2vec's and fastText's files. */
static bool parse_header(ModelVectorsReader *r, ModelTextSpan line)
{
    char text[64], *end;
    if (line.length >= sizeof text || count_fields(line) != 2)
        return false;
    memcpy(text, line.bytes, line.length);
    text[line.length] = '\0';
    if (strspn(text, "0123456789 \t") != line.length)
        return false;
    errno = 0;
    r->promised = strtoll(text, &end, 10);
    r->width = strtoll(end, NULL, 10);
    return errno == 0 && r->width >= 1 && r->width <= MOST_WIDTH;
}

/* Whether the line is a word and `width` numbers (0: at least one); of a line with more fields the word has
 * blanks in it. */
static bool is_row(const ModelVectorsReader *r, ModelTextSpan line, int64_t width)
{
    int64_t fields = count_fields(line);
    const char *end = line.bytes + line.length, *at = field_end(line.bytes, end);
    float number;
    if (width > 0)
        for (int64_t i = width + 1; i < fields; i++)
            at = field_end(at + 1, end);
    return fields >= (width > 0 ? width + 1 : 2) && at < end &&
           parse_number(r, at + 1, field_end(at + 1, end), &number);
}

/* ---- Opening ---- */

static ReelStatus not_vectors(const ModelVectorsReader *r)
{
    return reel_status_failed(
        "%s: holds no word vectors: expected are word2vec's text or binary, GloVe's or fastText's "
        "text, or a .npz with the members vectors and words.txt",
        r->path);
}

static ReelStatus open_npz(ModelVectorsReader *r)
{
    ReelStatus status = tensor_npz_open(&r->npz, r->path);
    if (!reel_status_is_ok(&status))
        return status;
    const TensorNpzMember *matrix = tensor_npz_find(r->npz, "vectors"),
                          *words = tensor_npz_find(r->npz, "words.txt");
    if (!matrix || !words || words->is_array)
        return not_vectors(r);
    Tensor tensor;
    const void *bytes;
    size_t size;
    status = tensor_npz_read_tensor(r->npz, matrix, &r->arena, &tensor);
    if (reel_status_is_ok(&status))
        status = tensor_npz_read_bytes(r->npz, words, &r->arena, &bytes, &size);
    if (!reel_status_is_ok(&status))
        return status;
    if (tensor.dtype != TENSOR_F32 || tensor.ndim != 2)
        return reel_status_failed("%s: the member vectors must be f32 of two axes", r->path);
    r->format = FORMAT_NPZ;
    r->promised = tensor.shape[0];
    r->width = tensor.shape[1];
    r->matrix = tensor_f32(tensor);
    r->words = bytes;
    r->words_end = r->words + size;
    return reel_status_ok();
}

/* The first line is a header, and then what follows is text or binary; or it is a row. */
static ReelStatus find_format(ModelVectorsReader *r)
{
    ReelStatus status = fill(r, WINDOW);
    if (!reel_status_is_ok(&status))
        return status;
    if (r->size == 0)
        return reel_text_file_empty(r->path);
    r->at = reel_text_file_mark(r->bytes, r->size);
    size_t start = r->at;
    ModelTextSpan first, second;
    status = next_line(r, &first);
    if (!reel_status_is_ok(&status))
        return status;
    if (!parse_header(r, first)) {
        r->promised = -1;
        r->width = count_fields(first) - 1;
        r->format = FORMAT_BARE_TEXT;
        r->at = start;
        return is_row(r, first, 0) && r->width <= MOST_WIDTH ? reel_status_ok() : not_vectors(r);
    }
    size_t body = r->at;
    status = next_line(r, &second);
    r->format = second.bytes && is_row(r, second, r->width) ? FORMAT_TEXT : FORMAT_BINARY;
    r->at = body;
    return status;
}

ReelStatus model_vectors_open(ModelVectorsReader **reader, const char *path)
{
    ModelVectorsReader *r = reel_mem_calloc(1, sizeof *r);
    *reader = NULL;
    if (!r)
        return reel_status_no_memory(sizeof *r, path);
    tensor_arena_init(&r->arena, 0);
    r->path = reel_mem_strdup(path);
    r->bytes = reel_mem_alloc(WINDOW);
    r->capacity = WINDOW;
    r->numerals = newlocale(LC_NUMERIC_MASK, "C", NULL);
    ReelStatus status = r->path && r->bytes ? reel_text_source_open(&r->source, r->path)
                                            : reel_status_no_memory(WINDOW, path);
    if (reel_status_is_ok(&status))
        status = fill(r, WINDOW);
    bool is_npz = reel_status_is_ok(&status) && r->size >= 2 && memcmp(r->bytes, "PK", 2) == 0;
    if (reel_status_is_ok(&status))
        status = is_npz ? open_npz(r) : find_format(r);
    if (!reel_status_is_ok(&status)) {
        model_vectors_close(r);
        return status;
    }
    *reader = r;
    return status;
}

void model_vectors_close(ModelVectorsReader *r)
{
    if (!r)
        return;
    reel_text_source_close(&r->source);
    if (r->numerals)
        freelocale(r->numerals);
    tensor_npz_close(r->npz);
    tensor_arena_free(&r->arena);
    reel_mem_free(r->bytes);
    reel_mem_free(r->path);
    reel_mem_free(r);
}

int64_t model_vectors_width(const ModelVectorsReader *r)
{
    return r->width;
}

const char *model_vectors_format(const ModelVectorsReader *r)
{
    static const char *const names[] = {"word2vec text", "text without a header", "word2vec binary", "npz"};
    return names[r->format];
}

const char *model_vectors_place(ModelVectorsReader *r)
{
    if (r->format == FORMAT_BINARY || r->format == FORMAT_NPZ)
        snprintf(r->place, sizeof r->place, "%s: record %lld", r->path, (long long)r->rows);
    else
        snprintf(r->place, sizeof r->place, "%s:%lld", r->path,
                 (long long)(r->rows + (r->format == FORMAT_TEXT)));
    return r->place;
}

/* ---- Words ---- */

static ReelStatus check_end(ModelVectorsReader *r)
{
    if (r->promised < 0 || r->rows == r->promised)
        return reel_status_ok();
    return reel_status_failed(
        "%s: the file promises %lld words and has %lld; is it cut? Fetch or write it again", r->path,
        (long long)r->promised, (long long)r->rows);
}

static ReelStatus next_in_text(ModelVectorsReader *r, ModelTextSpan *word)
{
    ModelTextSpan line;
    do {
        ReelStatus status = next_line(r, &line);
        if (!reel_status_is_ok(&status))
            return status;
        if (!line.bytes)
            return check_end(r);
        r->rows++;
    } while (line.length == 0 && r->source.ended && r->at == r->size);
    int64_t fields = count_fields(line), spaces = fields - 1 - r->width;
    if (spaces < 0)
        return reel_status_failed("%s: the row has %lld numbers instead of %lld", model_vectors_place(r),
                                  (long long)(fields > 0 ? fields - 1 : 0), (long long)r->width);
    const char *end = line.bytes + line.length, *at = field_end(line.bytes, end);
    float number;
    if (spaces > 0 && parse_number(r, at + 1, field_end(at + 1, end), &number))
        return reel_status_failed("%s: the row has %lld numbers instead of %lld", model_vectors_place(r),
                                  (long long)(fields - 1), (long long)r->width);
    for (int64_t i = 0; i < spaces; i++)
        at = field_end(at + 1, end);
    *word = (ModelTextSpan){line.bytes, (size_t)(at - line.bytes)};
    r->numbers = at;
    r->end = end;
    return reel_status_ok();
}

static ReelStatus next_in_binary(ModelVectorsReader *r, ModelTextSpan *word)
{
    size_t row = (size_t)r->width * sizeof(float), length = 0;
    if (r->rows == r->promised)
        return reel_status_ok();
    r->rows++;
    /* The original program ends a record with a line feed, others do not. */
    ReelStatus status = fill(r, 1);
    if (reel_status_is_ok(&status) && r->size > r->at && r->bytes[r->at] == '\n')
        r->at++;
    for (const char *blank = NULL; reel_status_is_ok(&status) && !blank;) {
        size_t there = r->size - r->at;
        blank = memchr(r->bytes + r->at, ' ', there);
        length = blank ? (size_t)(blank - (r->bytes + r->at)) : there;
        if (!blank && (r->source.ended || there > 65536))
            return reel_status_failed("%s: %s", model_vectors_place(r),
                                      r->source.ended
                                          ? "the file ends here; is it cut? Fetch or write it again"
                                          : "no word begins here; is the file damaged?");
        if (!blank)
            status = fill(r, there + 1);
    }
    if (reel_status_is_ok(&status))
        status = fill(r, length + 1 + row);
    if (!reel_status_is_ok(&status))
        return status;
    if (r->size - r->at < length + 1 + row)
        return reel_status_failed("%s: the file ends here; is it cut? Fetch or write it again",
                                  model_vectors_place(r));
    *word = (ModelTextSpan){r->bytes + r->at, length};
    r->numbers = r->bytes + r->at + length + 1;
    r->at += length + 1 + row;
    return reel_status_ok();
}

static ReelStatus next_in_npz(ModelVectorsReader *r, ModelTextSpan *word)
{
    if (r->words == r->words_end)
        return check_end(r);
    if (r->rows == r->promised)
        return reel_status_failed("%s: has more words than the %lld rows of vectors", r->path,
                                  (long long)r->promised);
    const char *feed = memchr(r->words, '\n', (size_t)(r->words_end - r->words));
    const char *end = feed ? feed : r->words_end;
    *word = (ModelTextSpan){r->words, (size_t)(end - r->words)};
    r->words = feed ? feed + 1 : end;
    r->numbers = (const char *)(r->matrix + r->rows++ * r->width);
    return reel_status_ok();
}

ReelStatus model_vectors_next(ModelVectorsReader *r, ModelTextSpan *word)
{
    *word = (ModelTextSpan){0};
    ReelStatus status = r->format == FORMAT_NPZ      ? next_in_npz(r, word)
                        : r->format == FORMAT_BINARY ? next_in_binary(r, word)
                                                     : next_in_text(r, word);
    if (!reel_status_is_ok(&status) || !word->bytes)
        return status;
    if (word->length == 0)
        return reel_status_failed("%s: the word is empty", model_vectors_place(r));
    size_t bad = reel_utf8_valid(word->bytes, word->length);
    if (bad < word->length)
        return reel_status_failed("%s: byte %d of the word (0x%02x) is not UTF-8", model_vectors_place(r),
                                  (int)bad + 1, (unsigned)(unsigned char)word->bytes[bad]);
    return status;
}

static ReelStatus read_text_row(ModelVectorsReader *r, float *row)
{
    const char *at = r->numbers;
    for (int64_t j = 0; j < r->width; j++) {
        const char *end = field_end(at + 1, r->end);
        if (!parse_number(r, at + 1, end, &row[j]))
            return reel_status_failed("%s: \"%.*s\" is not a number", model_vectors_place(r),
                                      end - at > 40 ? 40 : (int)(end - at - 1), at + 1);
        at = end;
    }
    return reel_status_ok();
}

ReelStatus model_vectors_row(ModelVectorsReader *r, float *row)
{
    ReelStatus status = reel_status_ok();
    if (r->format == FORMAT_TEXT || r->format == FORMAT_BARE_TEXT)
        status = read_text_row(r, row);
    else
        memcpy(row, r->numbers, (size_t)r->width * sizeof *row);
    for (int64_t j = 0; reel_status_is_ok(&status) && j < r->width; j++)
        if (!isfinite(row[j]))
            status = reel_status_failed("%s: number %lld of the row is not finite", model_vectors_place(r),
                                        (long long)j + 1);
    return status;
}

ReelStatus model_vectors_read(const char *path, ModelStringTable *words, float **rows, int64_t *width)
{
    ModelVectorsReader *r;
    ModelTextSpan word;
    size_t capacity = 0;
    *words = (ModelStringTable){0};
    *rows = NULL;
    ReelStatus status = model_vectors_open(&r, path);
    while (reel_status_is_ok(&status)) {
        *width = r->width;
        status = model_vectors_next(r, &word);
        if (!reel_status_is_ok(&status) || !word.bytes)
            break;
        int32_t before = words->count, id = model_string_table_add(words, word);
        float *larger = reel_mem_grow(*rows, (size_t)before, &capacity, (size_t)*width * sizeof **rows);
        *rows = larger ? larger : *rows;
        if (id < 0 || !larger)
            status = reel_status_no_memory(capacity * (size_t)*width * sizeof **rows, path);
        else if (id < before)
            status = reel_status_failed("%s: \"%.100s\" is there twice; remove one of them",
                                        model_vectors_place(r), model_string_table_text(words, id));
        else
            status = model_vectors_row(r, *rows + id * *width);
    }
    model_vectors_close(r);
    return status;
}
