#include "tools/bench_draw.h"
#include "tensor/mem.h"

/* Labels a text bears on average. */
static const double LABELS_PER_TEXT = 2;

bool bench_draw_init(BenchDraw *draw, const BenchShape *shape, uint64_t seed)
{
    size_t batch = (size_t)shape->batch, len = (size_t)shape->len;
    *draw = (BenchDraw){.shape = *shape,
                        .random = tensor_random_new(seed, tensor_random_stream("bench")),
                        .cumulated = reel_mem_calloc((size_t)shape->distinct, sizeof(double)),
                        .ids = reel_mem_calloc(batch * len, sizeof(int32_t)),
                        .offsets = reel_mem_calloc(batch + 1, sizeof(int32_t)),
                        .labels = reel_mem_calloc(batch * (size_t)shape->labels, sizeof(float))};
    if (!draw->cumulated || !draw->ids || !draw->offsets || !draw->labels) {
        bench_draw_free(draw);
        return false;
    }
    double sum = 0;
    for (int i = 0; i < shape->distinct; i++)
        draw->cumulated[i] = sum += 1.0 / (i + 1);
    for (int32_t i = 0; i < shape->batch; i++)
        draw->offsets[i + 1] = (i + 1) * shape->len;
    return true;
}

void bench_draw_free(BenchDraw *draw)
{
    reel_mem_free(draw->cumulated);
    reel_mem_free(draw->ids);
    reel_mem_free(draw->offsets);
    reel_mem_free(draw->labels);
    *draw = (BenchDraw){0};
}

/* The first word up to which the weights add to more than x. */
static int find_word(const BenchDraw *draw, double x)
{
    int low = 0, high = draw->shape.distinct - 1;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (draw->cumulated[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

ModelBatch bench_draw_next(BenchDraw *draw)
{
    const BenchShape *s = &draw->shape;
    int32_t count = s->batch * s->len;
    double total = draw->cumulated[s->distinct - 1];
    for (int32_t i = 0; i < count; i++) {
        int64_t word = find_word(draw, total * tensor_random_uniform_f64(&draw->random));
        draw->ids[i] = (int32_t)(4 + word * (s->vocab - 4) / s->distinct);
    }
    for (int64_t i = 0; i < (int64_t)s->batch * s->labels; i++)
        draw->labels[i] = tensor_random_uniform_f64(&draw->random) < LABELS_PER_TEXT / s->labels;
    return (ModelBatch){.size = s->batch,
                        .num_ids = count,
                        .ids = draw->ids,
                        .offsets = draw->offsets,
                        .labels = tensor_from(draw->labels, TENSOR_F32, TENSOR_SHAPE(s->batch, s->labels))};
}
