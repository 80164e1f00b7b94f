#include "tools/report/report_internal.h"
#include "tensor/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_put_bytes(ReportOut *out, const char *bytes, size_t size)
{
    out->failed = out->failed || !reel_bytes_append(&out->bytes, bytes, size);
}

void report_put(ReportOut *out, const char *markup)
{
    report_put_bytes(out, markup, strlen(markup));
}

void report_putf(ReportOut *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0 || size >= (int)sizeof text)
        out->failed = true;
    else
        report_put_bytes(out, text, (size_t)size);
}

/* The length of the UTF-8 character at `p`, 0 where there is none that HTML and XML allow. The zero behind
 * the text ends a character that is cut. */
static size_t character(const unsigned char *p)
{
    uint32_t code;
    size_t size = (size_t)reel_utf8_decode(p, 4, &code);
    bool control = size && (code < 0x20 || (code >= 0x7F && code < 0xA0));
    bool no_character = size && (code == 0xFFFE || code == 0xFFFF);
    return control || no_character ? 0 : size;
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void report_text(ReportOut *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        const char *escaped = entity((char)*p);
        size_t size = *p == '\n' || *p == '\t' ? 1 : character(p);
        if (escaped)
            report_put(out, escaped);
        else if (size)
            report_put_bytes(out, (const char *)p, size);
        else
            report_put(out, "\xEF\xBF\xBD");
        p += size ? size : 1;
    }
}

void report_around(ReportOut *out, const char *before, const char *text, const char *after)
{
    report_put(out, before);
    report_text(out, text);
    report_put(out, after);
}

/* ---- Numbers for people ---- */

char *report_count(char text[32], int64_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu",
                          value < 0 ? 0ULL - (unsigned long long)value : (unsigned long long)value);
    int at = 0;
    if (value < 0)
        text[at++] = '-';
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

char *report_short(char text[32], double value)
{
    static const char *const units[] = {"", "\xC2\xA0k", "\xC2\xA0M", "\xC2\xA0G"};
    int unit = 0;
    while (fabs(value) >= 999.5 && unit < 3) {
        value /= 1000;
        unit++;
    }
    snprintf(text, 32, "%.*f%s", unit && fabs(value) < 99.5 ? (fabs(value) < 9.95 ? 2 : 1) : 0, value,
             units[unit]);
    if (!unit && value != floor(value))
        snprintf(text, 32, "%.3g", value);
    return text;
}

char *report_duration(char text[32], double seconds)
{
    if (!(seconds >= 0 && seconds < 1e9))
        snprintf(text, 32, "?");
    else if (seconds < 10)
        snprintf(text, 32, "%.2f s", seconds);
    else if (seconds < 59.95)
        snprintf(text, 32, "%.1f s", seconds);
    else if (seconds < 3599.5)
        snprintf(text, 32, "%d min %02d s", (int)(seconds + 0.5) / 60, (int)(seconds + 0.5) % 60);
    else
        snprintf(text, 32, "%d h %02d min", (int)(seconds / 60 + 0.5) / 60, (int)(seconds / 60 + 0.5) % 60);
    return text;
}
