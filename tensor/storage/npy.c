#include "tensor/storage/npy.h"

#include <stdio.h>
#include <string.h>

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* ---- Reading ---- */

typedef struct Parser {
    const char *at, *end;
    char *reason;
} Parser;

static bool refuse(Parser *parser, const char *why)
{
    snprintf(parser->reason, TENSOR_NPY_REASON_SIZE, "%s", why);
    return false;
}

size_t tensor_npy_header_length(const void *prefix, size_t size, char *reason)
{
    const unsigned char *bytes = prefix;
    Parser parser = {.reason = reason};
    if (size < 10 || memcmp(bytes, magic, sizeof magic) != 0)
        return refuse(&parser, "it does not start as a .npy array");
    int major = bytes[6], minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0 || (major > 1 && size < 12))
        return refuse(&parser, "its .npy version is not 1.0, 2.0 or 3.0");
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (major > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > TENSOR_NPY_MAX_HEADER)
        return refuse(&parser, "its .npy header is longer than 64 KiB");
    return length + (major > 1 ? 12 : 10);
}

/* Python's white space. */
static void skip_space(Parser *parser)
{
    while (parser->at < parser->end && *parser->at && strchr(" \t\n\r\f\v", *parser->at))
        parser->at++;
}

/* Takes one character, and the blanks before it, if it comes next. */
static bool take(Parser *parser, char c)
{
    skip_space(parser);
    if (parser->at == parser->end || *parser->at != c)
        return false;
    parser->at++;
    return true;
}

static bool take_word(Parser *parser, const char *word)
{
    size_t length = strlen(word);
    skip_space(parser);
    if ((size_t)(parser->end - parser->at) < length || memcmp(parser->at, word, length) != 0)
        return false;
    parser->at += length;
    return true;
}

/* A Python string without escapes. */
static bool take_string(Parser *parser, const char **text, size_t *length)
{
    skip_space(parser);
    if (parser->at == parser->end || (*parser->at != '\'' && *parser->at != '"'))
        return false;
    char quote = *parser->at++;
    *text = parser->at;
    while (parser->at < parser->end && *parser->at != quote && *parser->at != '\\')
        parser->at++;
    *length = (size_t)(parser->at - *text);
    return parser->at < parser->end && *parser->at++ == quote;
}

/* A decimal number without sign or leading zeros, at most INT64_MAX. */
static bool take_number(Parser *parser, int64_t *value)
{
    skip_space(parser);
    const char *start = parser->at;
    *value = 0;
    for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, *parser->at - '0', value))
            return false;
    return parser->at > start && (*start != '0' || parser->at == start + 1);
}

/* A size, which Python 2 may have written as a long: 3L. */
static bool take_size(Parser *parser, int64_t *value)
{
    if (!take_number(parser, value))
        return false;
    parser->at += parser->at < parser->end && *parser->at == 'L';
    return true;
}

/* (), (3,), (3, 4) or (3, 4,); not (3), which is a number in Python. */
static bool parse_shape(Parser *parser, TensorNpyHeader *header)
{
    bool comma = true;
    if (!take(parser, '('))
        return refuse(parser, "its shape is not a tuple");
    while (!take(parser, ')')) {
        if (!comma || header->ndim == TENSOR_NPY_MAX_DIMS || !take_size(parser, &header->shape[header->ndim]))
            return refuse(parser, "its shape is not a tuple of at most 32 sizes");
        header->ndim++;
        comma = take(parser, ',');
    }
    if (header->ndim == 1 && !comma)
        return refuse(parser, "its shape is not a tuple");
    return true;
}

static bool is_item_size(char kind, int64_t size)
{
    switch (kind) {
    case 'f':
        return size == 2 || size == 4 || size == 8 || size == 16;
    case 'i':
    case 'u':
        return size == 1 || size == 2 || size == 4 || size == 8;
    case 'b':
        return size == 1;
    case 'c':
        return size == 8 || size == 16 || size == 32;
    case 'M':
    case 'm':
        return size == 8;
    case 'S':
    case 'V':
    case 'U':
        return size >= 0;
    default:
        return false;
    }
}

/* What ml_dtypes writes for types that NumPy does not have: bytes that claim a byte order, or floats of one.
 */
static const char *foreign_type(char order, char kind, int64_t size)
{
    if (order == '<' && kind == 'V' && size == 2)
        return "it is bfloat16, which NumPy does not have; save it as float32";
    if (order == '<' && size == 1 && (kind == 'V' || kind == 'f'))
        return "it is float8 or int4, which NumPy does not have; save it as float32";
    return NULL;
}

/* The text of '<f4': byte order, kind, size (of U: in characters of 4 bytes), and [unit] for times. */
static bool parse_type(Parser *parser, TensorNpyHeader *header)
{
    bool ordered = parser->at < parser->end && memchr("<>|=", *parser->at, 4);
    char order = ordered ? *parser->at++ : '=';
    char kind = parser->at < parser->end ? *parser->at++ : '\0';
    int64_t size = 0;
    bool sized = parser->at < parser->end && *parser->at != ' ' && take_number(parser, &size);
    header->kind = kind;
    if (kind == 'O') /* "|O", or "|O8" as old versions write it: the size is that of a pointer */
        return parser->at == parser->end || refuse(parser, "its dtype is none of NumPy's plain ones");
    const char *foreign = sized && parser->at == parser->end ? foreign_type(order, kind, size) : NULL;
    if (foreign)
        return refuse(parser, foreign);
    bool timed = (kind == 'M' || kind == 'm') && parser->at < parser->end && *parser->at == '[';
    if (!sized || !is_item_size(kind, size) || (parser->at < parser->end && !timed))
        return refuse(parser, "its dtype is none of NumPy's plain ones");
    header->big_endian = order == '>';
    return !__builtin_mul_overflow(size, kind == 'U' ? 4 : 1, &header->item_bytes) ||
           refuse(parser, "its dtype is too large");
}

static bool parse_descr(Parser *parser, TensorNpyHeader *header)
{
    const char *text;
    size_t length;
    if (take_string(parser, &text, &length)) {
        Parser inner = {.at = text, .end = text + length, .reason = parser->reason};
        return parse_type(&inner, header);
    }
    return refuse(parser, parser->at < parser->end && *parser->at == '['
                              ? "its dtype is structured; save its fields as plain arrays"
                              : "its dtype is not a string");
}

static bool parse_order(Parser *parser, TensorNpyHeader *header)
{
    header->fortran_order = take_word(parser, "True");
    if (!header->fortran_order && !take_word(parser, "False"))
        return refuse(parser, "its fortran_order is neither True nor False");
    return true;
}

/* {'key': value, ...} with each of the three keys once, in any order. */
static bool parse_dict(Parser *parser, TensorNpyHeader *header)
{
    static const struct {
        const char *key;
        bool (*parse)(Parser *, TensorNpyHeader *);
    } fields[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};
    bool seen[3] = {false}, comma = true;
    if (!take(parser, '{'))
        return refuse(parser, "its header is not a dict");
    while (!take(parser, '}')) {
        const char *key;
        size_t length, field = 0;
        if (!comma || !take_string(parser, &key, &length) || !take(parser, ':'))
            return refuse(parser, "its header is not a dict of three entries");
        while (field < 3 &&
               (strlen(fields[field].key) != length || memcmp(fields[field].key, key, length) != 0))
            field++;
        if (field == 3 || seen[field])
            return refuse(parser, "its header has an unknown key or one twice");
        seen[field] = true;
        if (!fields[field].parse(parser, header))
            return false;
        comma = take(parser, ',');
    }
    if (!seen[0] || !seen[1] || !seen[2])
        return refuse(parser, "its header lacks descr, fortran_order or shape");
    return true;
}

/* An empty axis makes an array empty whatever the others are, but those must still be possible. */
bool tensor_npy_count(TensorNpyHeader *header)
{
    int64_t product = header->item_bytes > 0 ? header->item_bytes : 1, scratch;
    header->count = 1;
    for (int i = 0; i < header->ndim; i++) {
        scratch = header->shape[i] > 0 ? header->shape[i] : 1;
        if (__builtin_mul_overflow(product, scratch, &product))
            return false;
    }
    for (int i = 0; i < header->ndim; i++)
        header->count *= header->shape[i];
    header->bytes = header->count * header->item_bytes;
    return true;
}

bool tensor_npy_parse(const void *bytes, size_t size, TensorNpyHeader *header, char *reason)
{
    *header = (TensorNpyHeader){.header_bytes = size};
    size_t length = tensor_npy_header_length(
        bytes, size < TENSOR_NPY_PREFIX_BYTES ? size : TENSOR_NPY_PREFIX_BYTES, reason);
    if (length == 0)
        return false;
    const char *text = bytes;
    Parser parser = {.at = text + (text[6] > 1 ? 12 : 10), .end = text + size, .reason = reason};
    if (length != size || parser.at == parser.end || parser.end[-1] != '\n')
        return refuse(&parser, "its header does not end where it should");
    parser.end--;
    if (!parse_dict(&parser, header))
        return false;
    skip_space(&parser);
    if (parser.at != parser.end)
        return refuse(&parser, "its header has more than a dict");
    return tensor_npy_count(header) || refuse(&parser, "its shape is larger than any memory");
}

/* ---- Writing ---- */

size_t tensor_npy_format(char kind, int item_bytes, int ndim, const int64_t *shape, char *out)
{
    char order = item_bytes == 1 ? '|' : '<', dict[TENSOR_NPY_HEADER_CAPACITY - 128];
    size_t used = (size_t)snprintf(
        dict, sizeof dict, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", order, kind, item_bytes);
    for (int i = 0; i < ndim; i++)
        used += (size_t)snprintf(dict + used, sizeof dict - used, i ? ", %lld" : "%lld", (long long)shape[i]);
    used += (size_t)snprintf(dict + used, sizeof dict - used, ndim == 1 ? ",), }" : "), }");
    size_t total = (10 + used + 1 + TENSOR_NPY_ALIGNMENT - 1) / TENSOR_NPY_ALIGNMENT * TENSOR_NPY_ALIGNMENT,
           length = total - 10;
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)(length & 255);
    out[9] = (char)(length >> 8);
    memcpy(out + 10, dict, used);
    memset(out + 10 + used, ' ', length - used - 1);
    out[total - 1] = '\n';
    return total;
}
