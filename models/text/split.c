#include "models/text/split.h"
#include "tensor/mem.h"
#include "tensor/mt19937.h"

#include <math.h>

ReelStatus model_split_new(ModelSplit *split, int64_t rows, double test_size, uint32_t random_state)
{
    *split = (ModelSplit){0};
    if (!(test_size > 0.0 && test_size < 1.0))
        return reel_status_usage("the test part is %g and must be more than 0 and less than 1", test_size);
    if (rows > INT32_MAX)
        return reel_status_failed("%lld rows are too many; at most %d can be split", (long long)rows,
                                  INT32_MAX);
    int64_t num_test = (int64_t)ceil(test_size * (double)rows), num_train = rows - num_test;
    if (num_test < 1 || num_train < 1)
        return reel_status_failed("%lld row%s cannot be split into a training and a test part (%g of them); "
                                  "add rows, or ask for a smaller test part",
                                  (long long)rows, rows == 1 ? "" : "s", test_size);
    size_t bytes = (size_t)rows * sizeof(int32_t);
    int32_t *order = reel_mem_alloc(bytes);
    if (!order)
        return reel_status_no_memory(bytes, "the split");
    TensorMt19937 mt;
    tensor_mt19937_seed(&mt, random_state);
    tensor_mt19937_permutation(&mt, order, (int32_t)rows);
    *split =
        (ModelSplit){.num_train = num_train, .num_test = num_test, .train = order + num_test, .test = order};
    return reel_status_ok();
}

void model_split_free(ModelSplit *split)
{
    reel_mem_free(split->test); /* both parts are one block */
    *split = (ModelSplit){0};
}
