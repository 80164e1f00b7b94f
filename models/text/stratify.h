/* Dividing multi-label examples into parts in which every label keeps its share. */
#ifndef REEL_MODELS_STRATIFY_H
#define REEL_MODELS_STRATIFY_H

#include "tensor/decls.h"
#include "tensor/status.h"

#include <stdint.h>

REEL_BEGIN_DECLS

enum { MODEL_STRATIFY_MAX_PARTS = 64 };

/* Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, "On the Stratification of Multi-Label Data",
 * algorithm 1): the label with the fewest examples left is dealt out first, each example to the part that
 * lacks that label most, then to the part that lacks examples most, then as the seed draws.
 *
 * Example i bears labels[label_offsets[i]] up to labels[label_offsets[i + 1]], all below num_labels.
 * shares [parts] are positive and add up to 1; part_of [count] gets a part below `parts` for each example.
 * Errors: parts or shares out of range, no memory. */
ReelStatus model_stratify(const int64_t *label_offsets, const int32_t *labels, int64_t count,
                          int32_t num_labels, const double *shares, int parts, uint64_t seed,
                          int32_t *part_of);

REEL_END_DECLS

#endif
