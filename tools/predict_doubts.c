/* tools/predict: lines that are hardly the texts that were meant. They are answered, and counted. */
#include "tensor/storage/text_file.h"
#include "tools/predict.h"
#include "tools/program.h"

#include <string.h>

static void note(PredictDoubt *doubt, int64_t line)
{
    if (doubt->count++ == 0)
        doubt->first = line;
}

void predict_look_at_lines(PredictRun *run, const ModelTextSpan *lines, int64_t count, bool is_table)
{
    for (int64_t i = 0; i < count; i++) {
        if (reel_text_file_bad_byte(lines[i].bytes, lines[i].length) < lines[i].length)
            note(&run->not_utf8, run->texts + i + 1);
        if (!is_table && lines[i].length > 0 && memchr(lines[i].bytes, '\r', lines[i].length))
            note(&run->with_cr, run->texts + i + 1);
    }
}

void predict_look_at_texts(PredictRun *run, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (model_predictor_text_is_empty(run->predictor, i))
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
