/* tools/predict: lines that are hardly the texts that were meant. They are answered, and counted. */
#include "tensor/storage/text_file.h"
#include "tools/predict.h"
#include "tools/program.h"

#include <stdio.h>
#include <string.h>

static void note(PredictDoubt *doubt, int64_t line)
{
    if (doubt->count++ == 0)
        doubt->first = line;
}

/* The column that a header calls so, from 1; 0 where there is none. */
static int column_of(TextSpan line, const char *name)
{
    const char *at = line.bytes, *end = line.bytes + line.length;
    for (int column = 1; at < end; column++) {
        const char *tab = memchr(at, '\t', (size_t)(end - at)), *stop = tab ? tab : end;
        bool quoted = stop - at > 1 && *at == '"' && stop[-1] == '"';
        TextSpan field = {at + quoted, (size_t)(stop - at) - 2 * quoted};
        if (field.length == strlen(name) && memcmp(field.bytes, name, field.length) == 0)
            return column;
        at = tab ? tab + 1 : end;
    }
    return 0;
}

void predict_look_at_lines(PredictRun *run, const TextSpan *lines, int64_t count)
{
    const char *begin = lines[0].bytes, *end = lines[count - 1].bytes + lines[count - 1].length;
    bool plain = reel_text_file_bad_byte(begin, (size_t)(end - begin)) == (size_t)(end - begin);
    for (int64_t i = 0; i < count; i++) {
        if (!plain && reel_text_file_bad_byte(lines[i].bytes, lines[i].length) < lines[i].length)
            note(&run->not_utf8, run->texts + i + 1);
        if (lines[i].length > 0 && memchr(lines[i].bytes, '\r', lines[i].length))
            note(&run->with_cr, run->texts + i + 1);
    }
    if (run->texts == 0 && memchr(begin, '\t', lines[0].length) && column_of(lines[0], "labels") > 0)
        run->text_column = column_of(lines[0], "text");
}

void predict_look_at_texts(PredictRun *run, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (predictor_text_is_empty(run->predictor, i))
            note(&run->empty, run->texts + i + 1);
}

static void warn(const PredictRun *run, const char *name, const PredictDoubt *doubt, const char *what)
{
    if (doubt->count > 0)
        program_warn("%s: %lld of %lld texts %s; the first is number %lld", name, (long long)doubt->count,
                     (long long)run->texts, what, (long long)doubt->first);
}

void predict_warn(const PredictRun *run, const char *name)
{
    if (run->settings->quiet)
        return;
    if (run->text_column > 0)
        program_warn(
            "%s:1: looks like the header of a TSV, and all %lld lines were taken for texts, with all "
            "their columns; give the texts alone, as `tail -n +2 | cut -f%d` does, or --eval the file",
            name, (long long)run->texts, run->text_column);
    warn(run, name, &run->not_utf8,
         "are not UTF-8, and their other bytes stand for spaces; convert the file, as with `iconv -f LATIN1 "
         "-t "
         "UTF-8`");
    warn(run, name, &run->with_cr,
         "have a CR in them that no LF follows; where it ends lines, convert the file, as with `tr '\\r' "
         "'\\n'`");
    warn(run, name, &run->empty,
         "have no words that the model knows once they are cleaned, and are answered as an empty text is");
}
