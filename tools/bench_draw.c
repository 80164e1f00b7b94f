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
                        .label_ids = reel_mem_calloc(batch * (size_t)shape->labels, sizeof(int32_t)),
                        .texts = reel_mem_calloc(batch, sizeof(NnIds)),
                        .labels = reel_mem_calloc(batch, sizeof(NnIds))};
    if (!draw->cumulated || !draw->ids || !draw->label_ids || !draw->texts || !draw->labels) {
        bench_draw_free(draw);
        return false;
    }
    double sum = 0;
    for (int i = 0; i < shape->distinct; i++)
        draw->cumulated[i] = sum += 1.0 / (i + 1);
    for (int32_t i = 0; i < shape->batch; i++)
        draw->texts[i] = (NnIds){draw->ids + (size_t)i * len, shape->len};
    return true;
}

void bench_draw_free(BenchDraw *draw)
{
    reel_mem_free(draw->cumulated);
    reel_mem_free(draw->ids);
    reel_mem_free(draw->label_ids);
    reel_mem_free(draw->texts);
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
    int32_t *label = draw->label_ids;
    for (int32_t i = 0; i < s->batch; i++) {
        draw->labels[i] = (NnIds){.ids = label};
        for (int32_t k = 0; k < s->labels; k++)
            if (tensor_random_uniform_f64(&draw->random) < LABELS_PER_TEXT / s->labels)
                *label++ = k;
        draw->labels[i].count = (int32_t)(label - draw->labels[i].ids);
    }
    return (ModelBatch){.size = s->batch, .num_ids = count, .texts = draw->texts, .labels = draw->labels};
}
