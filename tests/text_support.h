/* What the tests of the text pipeline share. */
#ifndef REEL_TESTS_TEXT_SUPPORT_H
#define REEL_TESTS_TEXT_SUPPORT_H

#include "models/text/corpus.h"
#include "nn/sequence.h"
#include "tensor/status.h"

#include <check.h>
#include <string.h>

/* Writes a file of the test's own and gives its path, until the process ends. */
const char *text_support_file(const char *bytes, size_t size);
/* The corpus that a string holds; fails the test where it is none. */
ModelCorpus text_support_corpus(const char *tsv);
/* Texts that lie one behind the other, until the next call. */
const NnIds *text_support_texts(const int32_t *ids, const int32_t *offsets, int32_t count);
/* The labels of each row of a matrix [n, K], which are the columns that are not 0, until the next call. */
const NnIds *text_support_labels(Tensor matrix);
/* Real data: 120 of Debian's package descriptions with their tags. */
extern const char *const TEXT_SUPPORT_DEBIAN;

#define ck_assert_ok(status)                                                                                 \
    do {                                                                                                     \
        ReelStatus status_ = (status);                                                                       \
        ck_assert_msg(reel_status_is_ok(&status_), "%s", status_.message);                                   \
    } while (0)

/* The status has this code, and its message, a single line, contains the text. */
#define ck_assert_failed(status, expected_code, part)                                                        \
    do {                                                                                                     \
        ReelStatus status_ = (status);                                                                       \
        ck_assert_int_eq(status_.code, (expected_code));                                                     \
        ck_assert_msg(strstr(status_.message, (part)) != NULL, "'%s' does not contain '%s'",                 \
                      status_.message, (part));                                                              \
        ck_assert_msg(strchr(status_.message, '\n') == NULL, "more than one line: %s", status_.message);     \
    } while (0)

#endif
