/* What the tests of the byte-pair tokenizer share. */
#ifndef REEL_TESTS_BPE_SUPPORT_H
#define REEL_TESTS_BPE_SUPPORT_H

#include "models/bpe/bpe_internal.h"
#include "tests/text_support.h"

/* tests/fixtures/bpe/NAME as bytes. */
ReelBytes bpe_support_fixture(const char *name);
/* The tokenizer in a fixture. */
ModelBpeTokenizer *bpe_support_load(const char *name);
/* One learned from one text (whole), or from a file (by lines). */
ModelBpeTokenizer *bpe_support_learn(ModelBpeOptions options, const char *text, size_t size);
ModelBpeTokenizer *bpe_support_learn_file(ModelBpeOptions options, const char *path);
/* The ids of a text; freed with model_bpe_ids_free(). */
ModelBpeIds bpe_support_encode(const ModelBpeTokenizer *tokenizer, const char *text, size_t size);
/* The ids of the lines of text.txt are those of a fixture, encoded in one go and line by line. */
void bpe_support_check_ids(const ModelBpeTokenizer *tokenizer, const char *name);
/* Tokens, merges and settings are the same. */
void bpe_support_check_same(const ModelBpeTokenizer *a, const ModelBpeTokenizer *b);

/* tcase_add_test() of a test that needs letters outside of ASCII, or normalization: counted as skipped in a
 * build without utf8proc. */
void bpe_support_add(TCase *tcase, const TTest *test);

#endif
