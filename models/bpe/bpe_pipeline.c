/* What a tokenizer.json does with a text before and after the model: normalizer, pre_tokenizer,
 * post_processor, decoder. Each is one part or a Sequence of parts, which may be nested; here it becomes a
 * list. */
#include "models/bpe/bpe_files_internal.h"

#include <stdio.h>

/* A string that is compared with short ones: what is cut, or shown otherwise than it is, equals none of them.
 */
static bool copy_start(ReelJsonReader *json, char out[BPE_SHOWN])
{
    return reel_json_reader_string(json) && model_bpe_shown(json, out);
}

static bool read_pattern(ReelJsonReader *json, BpePart *part)
{
    bool first = true;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        bool is_regex = reel_json_reader_is(json, "Regex");
        if (!is_regex && !reel_json_reader_is(json, "String"))
            return reel_json_reader_fail(json, "a pattern is either \"String\" or \"Regex\"");
        if (!reel_json_reader_string(json))
            return false;
        part->splits_words = is_regex && reel_json_reader_is(json, BPE_SUBWORD_REGEX);
    }
    return reel_status_is_ok(&json->status);
}

/* Whether a template is the text alone: one item, {"Sequence": {"id": "A"}}. */
static bool read_template(ReelJsonReader *json, BpePart *part)
{
    bool first_item = true, first_key = true, first_id = true;
    size_t items = 0, texts = 0;
    reel_json_reader_open_array(json);
    while (reel_json_reader_next_item(json, &first_item)) {
        items++;
        first_key = true;
        reel_json_reader_open_object(json);
        while (reel_json_reader_next_key(json, &first_key)) {
            bool is_text = reel_json_reader_is(json, "Sequence");
            first_id = true;
            reel_json_reader_open_object(json);
            while (reel_json_reader_next_key(json, &first_id)) {
                bool is_id = reel_json_reader_is(json, "id");
                if (!(is_id && reel_json_reader_peek(json) == REEL_JSON_STRING ? reel_json_reader_string(json)
                                                                               : reel_json_reader_skip(json)))
                    return false;
                texts += is_text && is_id && reel_json_reader_is(json, "A");
            }
        }
    }
    part->adds_nothing = items == 1 && texts == 1;
    return reel_status_is_ok(&json->status);
}

static bool read_member(ReelJsonReader *json, BpePart *part)
{
    if (reel_json_reader_is(json, "type"))
        return copy_start(json, part->type);
    if (reel_json_reader_is(json, "behavior"))
        return copy_start(json, part->behavior);
    if (reel_json_reader_is(json, "suffix"))
        return copy_start(json, part->suffix);
    if (reel_json_reader_is(json, "pattern"))
        return read_pattern(json, part);
    if (reel_json_reader_is(json, "single") && reel_json_reader_peek(json) == REEL_JSON_ARRAY)
        return read_template(json, part);
    if (reel_json_reader_is(json, "add_prefix_space"))
        return reel_json_reader_bool(json, &part->add_prefix_space);
    if (reel_json_reader_is(json, "trim_offsets"))
        return reel_json_reader_bool(json, &part->trim_offsets);
    if (reel_json_reader_is(json, "use_regex"))
        return reel_json_reader_bool(json, &part->use_regex);
    if (reel_json_reader_is(json, "invert"))
        return reel_json_reader_bool(json, &part->invert);
    return reel_json_reader_skip(json); /* what has unknown members has an unknown type too */
}

static bool read_part(ReelJsonReader *json, BpeParts *parts, const char *list)
{
    BpePart part = {.add_prefix_space = true, .trim_offsets = true, .use_regex = true};
    size_t list_at = 0;
    bool first = true;
    reel_json_reader_peek(json);
    part.at = json->at;
    reel_json_reader_open_object(json);
    while (reel_json_reader_next_key(json, &first)) {
        bool fine;
        if (reel_json_reader_is(json, list)) {
            reel_json_reader_peek(json);
            list_at = json->at;
            fine = reel_json_reader_skip(json);
        } else {
            fine = read_member(json, &part);
        }
        if (!fine)
            return false;
    }
    if (!reel_status_is_ok(&json->status))
        return false;
    size_t end = json->at;
    json->at = part.at;
    if (strcmp(part.type, "Sequence") != 0) {
        if (parts->count == BPE_MAX_PARTS)
            return reel_json_reader_fail(json, "a Sequence of more than %d parts, the most that Reel reads",
                                         BPE_MAX_PARTS);
        parts->items[parts->count++] = part;
        json->at = end;
        return true;
    }
    if (!list_at)
        return reel_json_reader_fail(json, "a Sequence without \"%s\"", list);
    json->at = list_at;
    first = true;
    reel_json_reader_open_array(json);
    while (reel_json_reader_next_item(json, &first))
        if (!read_part(json, parts, list))
            return false;
    json->at = end;
    return reel_status_is_ok(&json->status);
}

bool model_bpe_parts_read(ReelJsonReader *json, BpeParts *parts, const char *list)
{
    *parts = (BpeParts){.present = reel_json_reader_peek(json) != REEL_JSON_NULL, .at = json->at};
    return parts->present ? read_part(json, parts, list) : reel_json_reader_null(json);
}

/* ---- What they mean ---- */

static bool is_type(const BpePart *part, const char *type)
{
    return strcmp(part->type, type) == 0;
}

static bool choose_normalizer(ReelJsonReader *json, const BpeParts *parts, BpeConfig *config)
{
    for (int i = 0; i < parts->count; i++) {
        const BpePart *part = &parts->items[i];
        json->at = part->at;
        if (!model_bpe_normal_form_find(part->type, &config->normal_forms[i]))
            return reel_json_reader_fail(
                json,
                "normalizer \"%s\", which Reel does not have: it knows NFC, NFD, NFKC and "
                "NFKD, alone or in a Sequence",
                part->type);
        config->normal_form_count = i + 1;
    }
    return true;
}

#define KNOWN                                                                                                \
    "Reel knows WhitespaceSplit, ByteLevel with its own expression, and Split as reel-bpe writes it for "    \
    "subword-nmt; learn such a tokenizer with reel-bpe train"

static bool choose_pretokenizer(ReelJsonReader *json, const BpeParts *parts, bool has_word_end,
                                BpeConfig *config)
{
    const BpePart *p = &parts->items[0];
    config->trim_offsets = true;
    if (parts->present)
        json->at = parts->at;
    if (parts->count == 0)
        return reel_json_reader_fail(json, "without a pre_tokenizer; " KNOWN);
    if (parts->count > 1)
        return reel_json_reader_fail(json, "pre_tokenizer: \"%s\" and \"%s\" one after the other; " KNOWN,
                                     p->type, parts->items[1].type);
    json->at = p->at;
    if (is_type(p, "WhitespaceSplit") && !has_word_end) {
        config->pretokenizer = MODEL_BPE_WHITESPACE;
    } else if (is_type(p, "ByteLevel") && p->use_regex && !has_word_end) {
        config->pretokenizer = MODEL_BPE_BYTELEVEL;
        config->add_prefix_space = p->add_prefix_space;
        config->trim_offsets = p->trim_offsets;
    } else if (is_type(p, "Split") && has_word_end && p->splits_words && !p->invert &&
               strcmp(p->behavior, "Removed") == 0) {
        config->pretokenizer = MODEL_BPE_SUBWORD_NMT;
    } else {
        return reel_json_reader_fail(json, "pre_tokenizer \"%s\"%s; " KNOWN, p->type,
                                     has_word_end ? " with an end_of_word_suffix" : " as it is set here");
    }
    return true;
}

static bool check_post(ReelJsonReader *json, const BpeParts *parts)
{
    for (int i = 0; i < parts->count; i++) {
        const BpePart *part = &parts->items[i];
        json->at = part->at;
        if (is_type(part, "ByteLevel") || (is_type(part, "TemplateProcessing") && part->adds_nothing))
            continue;
        return reel_json_reader_fail(
            json,
            "post_processor \"%s\" gives other ids than those of the text alone, which "
            "Reel does not; set it to null",
            part->type);
    }
    return true;
}

static bool check_decoder(ReelJsonReader *json, const BpeParts *parts, const char *cut_by,
                          ModelBpePretokenizer pretokenizer)
{
    static const char *const fitting[] = {"", "ByteLevel", "BPEDecoder"};
    const BpePart *part = &parts->items[0];
    if (!parts->present)
        return true;
    json->at = parts->at;
    bool fits = parts->count == 1 && is_type(part, fitting[pretokenizer]) &&
                (pretokenizer != MODEL_BPE_SUBWORD_NMT || strcmp(part->suffix, BPE_WORD_END) == 0);
    return fits ||
           reel_json_reader_fail(json, "decoder \"%s\" does not fit pre_tokenizer \"%s\"; set it to %s%s",
                                 parts->count == 1 ? part->type : "Sequence", cut_by,
                                 *fitting[pretokenizer] ? "null or to " : "null", fitting[pretokenizer]);
}

bool model_bpe_pipeline_apply(ReelJsonReader *json, const BpePipeline *pipeline, bool has_word_end,
                              BpeConfig *config)
{
    return choose_normalizer(json, &pipeline->normalizer, config) &&
           choose_pretokenizer(json, &pipeline->pretokenizer, has_word_end, config) &&
           check_post(json, &pipeline->post) &&
           check_decoder(json, &pipeline->decoder, pipeline->pretokenizer.items[0].type,
                         config->pretokenizer);
}
