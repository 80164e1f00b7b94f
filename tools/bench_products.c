#include "tools/bench_products.h"
#include "tensor/clock.h"
#include "tensor/matmul.h"
#include "tensor/mem.h"
#include "tensor/panels.h"

enum { MOST_WEIGHTS = 64 };

/* ---- Noting ---- */

static void note(void *context, TensorProductKind kind, int64_t m, int64_t n, int64_t k)
{
    BenchProducts *products = context;
    if (kind == TENSOR_PRODUCT_SPARSE)
        return;
    BenchProduct *list = reel_mem_grow(products->list, products->count, &products->capacity, sizeof *list);
    products->failed = products->failed || !list;
    if (!list)
        return;
    products->list = list;
    list[products->count++] = (BenchProduct){kind, m, n, k};
}

void bench_products_note(BenchProducts *products)
{
    products->count = 0;
    tensor_flops_watch(note, products);
}

void bench_products_stop(void)
{
    tensor_flops_watch(NULL, NULL);
}

void bench_products_free(BenchProducts *products)
{
    reel_mem_free(products->list);
    *products = (BenchProducts){0};
}

/* ---- Multiplying ---- */

/* The three matrices of the largest product, and what is packed. */
typedef struct Replay {
    TensorArena arena, scratch;
    float *a, *b, *out;
    TensorPanels weights[MOST_WEIGHTS];
    int weight_count;
} Replay;

static float *new_operand(Replay *r, int64_t numbers)
{
    Tensor t = tensor_full(&r->arena, TENSOR_F32, TENSOR_SHAPE(numbers), 0.5);
    return tensor_is_valid(t) ? t.data : NULL;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static const TensorPanels *find_weight(Replay *r, const BenchProduct *p)
{
    for (int i = 0; i < r->weight_count; i++)
        if (r->weights[i].k == p->k && r->weights[i].n == p->n)
            return &r->weights[i];
    if (r->weight_count == MOST_WEIGHTS)
        return NULL;
    TensorPanels *new = &r->weights[r->weight_count];
    if (!tensor_panels_pack(new, tensor_from(r->b, TENSOR_F32, TENSOR_SHAPE(p->k, p->n))))
        return NULL;
    r->weight_count++;
    return new;
}

static bool prepare(Replay *r, const BenchProducts *products)
{
    int64_t a = 1, b = 1, out = 1;
    for (size_t i = 0; i < products->count; i++) {
        const BenchProduct *p = &products->list[i];
        a = larger(a, p->m * p->k);
        b = larger(b, p->k * p->n);
        out = larger(out, p->m * p->n);
    }
    r->a = new_operand(r, a);
    r->b = new_operand(r, b);
    r->out = new_operand(r, out);
    bool done = r->a && r->b && r->out;
    for (size_t i = 0; done && i < products->count; i++)
        done = products->list[i].kind != TENSOR_PRODUCT_PANELS || find_weight(r, &products->list[i]);
    return done;
}

static bool multiply(Replay *r, const BenchProduct *p)
{
    Tensor a = tensor_from(r->a, TENSOR_F32, TENSOR_SHAPE(p->m, p->k)),
           b = tensor_from(r->b, TENSOR_F32, TENSOR_SHAPE(p->k, p->n)),
           out = tensor_from(r->out, TENSOR_F32, TENSOR_SHAPE(p->m, p->n));
    TensorPanelsPair pair = {.dy = tensor_from(r->a, TENSOR_F32, TENSOR_SHAPE(p->k, p->m)), .x = b};
    switch (p->kind) {
    case TENSOR_PRODUCT_PANELS:
        return tensor_panels_matmul(out, a, find_weight(r, p), 0, &r->scratch);
    case TENSOR_PRODUCT_PAIRS:
        return tensor_panels_accumulate(out, &pair, 1, 0, &r->scratch);
    default:
        return tensor_matmul(out, 1, a, b, 0);
    }
}

double bench_products_gflops(BenchProducts *products)
{
    Replay r = {0};
    tensor_arena_init(&r.arena, 0);
    tensor_arena_init(&r.scratch, 0);
    bool done = !products->failed && prepare(&r, products);
    double seconds = 0, operations = 0;
    for (int turn = 0; turn < 2 && done; turn++) { /* the first finds no memory yet */
        double started = reel_clock_seconds();
        operations = 0;
        for (size_t i = 0; i < products->count && done; i++) {
            const BenchProduct *p = &products->list[i];
            done = multiply(&r, p);
            operations += 2.0 * (double)p->m * (double)p->n * (double)p->k;
        }
        seconds = reel_clock_seconds() - started;
    }
    for (int i = 0; i < r.weight_count; i++)
        tensor_panels_free(&r.weights[i]);
    tensor_arena_free(&r.scratch);
    tensor_arena_free(&r.arena);
    products->count = 0;
    return done && seconds > 0 ? 1e-9 * operations / seconds : 0;
}
