/* The ops of the rows of tensor/elementwise_table.h. Those of one operand are rowwise: repeated rows stay
 * what they are. Of two, both broadcast; the door sums their gradients back. */
#include "autograd/op_support_internal.h"
#include "tensor/elementwise.h"

/* ---- Forward ---- */

static bool unary_forward(OpContext *c, TensorUnaryOp op)
{
    static const double none[2];
    return op_wants_real(c, 0) && op_output_like(c, *c->in[0]) &&
           tensor_unary_with(op, *c->out[0], *c->in[0], c->attributes ? c->attributes : none);
}

static bool binary_forward(OpContext *c, TensorBinaryOp op)
{
    int ndim;
    int64_t shape[TENSOR_MAX_DIMS];
    if (!op_wants_real(c, 0) || !op_wants_real(c, 1))
        return false;
    if (!tensor_broadcast_shape(c->in[0], c->in[1], &ndim, shape))
        return op_error(c, "the shapes do not broadcast");
    return op_output(c, ndim, shape) && tensor_binary(op, *c->out[0], *c->in[0], *c->in[1]);
}

/* A comparison, as a mask; of i32, too. */
static bool mask_forward(OpContext *c, TensorBinaryOp op)
{
    Tensor a = *c->in[0], b = *c->in[1], real;
    if (a.dtype == TENSOR_I32 && b.dtype == TENSOR_I32) {
        a = tensor_cast(op_arena(c), a, TENSOR_F64);
        b = tensor_cast(op_arena(c), b, TENSOR_F64);
        int64_t shape[TENSOR_MAX_DIMS];
        int ndim;
        if (!tensor_broadcast_shape(&a, &b, &ndim, shape))
            return op_error(c, "the shapes do not broadcast");
        real = tensor_new(op_arena(c), TENSOR_F64, ndim, shape);
        if (!tensor_is_valid(real) || !tensor_binary(op, real, a, b))
            return op_error(c, "out of memory");
    } else {
        if (!binary_forward(c, op))
            return false;
        real = *c->out[0];
    }
    *c->out[0] = tensor_new(op_arena(c), TENSOR_I32, real.ndim, real.shape);
    return tensor_is_valid(*c->out[0]) && tensor_copy_into(*c->out[0], real);
}

/* ---- Backward ---- */

/* Among the bits: the gradient of the first operand. */
#define READS_DA OP_OUT(14)

/* What a slope reads, in bits of OpKind.backward_reads; 0: nothing is computed, it is the gradient of the
 * result. */
#define TENSOR_TERMS
#define G               0u
#define DA              READS_DA
#define X               OP_IN(0)
#define A               OP_IN(0)
#define B               OP_IN(1)
#define Y               OP_OUT(0)
#define P               0u
#define Q               0u
#define NUM(value)      0u
#define ADD(u, v)       (u | v | OP_READS_NOTHING)
#define SUB(u, v)       ADD(u, v)
#define MUL(u, v)       ADD(u, v)
#define DIV(u, v)       ADD(u, v)
#define NEG(u)          ADD(u, u)
#define OF(name, u)     ADD(u, u)
#define OF2(name, u, v) ADD(u, v)
#define SIGN(u)         ADD(u, u)
#define GREATER(u, v)   ADD(u, v)
#define EQUAL(u, v)     ADD(u, v)
#define IF(u, v, s, t)  (u | v | s | t | OP_READS_NOTHING)
enum {
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain) name##_reads = (int)(slope),
#define TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads)       name##_reads = (int)(reads),
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    name##_reads_a = (int)(slope_a), name##_reads_b = (int)(slope_b),
#include "tensor/elementwise_table.h"
};

/* NULL where the slope does not read it: then it may be that only the shape is there. */
static const Tensor *read_value(unsigned reads, unsigned which, const Tensor *t)
{
    return reads & which ? t : NULL;
}

static void unary_backward(OpContext *c, OpTerm *terms, TensorUnaryOp op, unsigned reads)
{
    if (!reads) {
        op_give(&terms[0], *c->grad[0]);
        return;
    }
    Tensor da = op_new_like(c, *c->out[0]);
    if (tensor_is_valid(da) && tensor_unary_slope(op, da, c->grad[0], read_value(reads, OP_IN(0), c->in[0]),
                                                  read_value(reads, OP_OUT(0), c->out[0]), c->attributes))
        op_give(&terms[0], da);
}

static Tensor slope_of(OpContext *c, TensorBinaryOp op, int operand, unsigned reads, const Tensor *g)
{
    Tensor grad = reads ? op_new_like(c, *c->out[0]) : *g;
    bool done = tensor_is_valid(grad) &&
                (!reads || tensor_binary_slope(op, operand, grad, g, read_value(reads, OP_IN(0), c->in[0]),
                                               read_value(reads, OP_IN(1), c->in[1]),
                                               read_value(reads, OP_OUT(0), c->out[0])));
    return done ? grad : tensor_invalid();
}

static void binary_backward(OpContext *c, OpTerm *terms, TensorBinaryOp op, unsigned reads_a,
                            unsigned reads_b)
{
    Tensor da = *c->grad[0];
    if (op_needs_grad(c, 0) || reads_b & READS_DA)
        da = slope_of(c, op, 0, reads_a, c->grad[0]);
    op_give(&terms[0], da);
    if (op_needs_grad(c, 1) && tensor_is_valid(da))
        op_give(&terms[1], slope_of(c, op, 1, reads_b, reads_b & READS_DA ? &da : c->grad[0]));
}

/* ---- Formulas ---- */

/* The slopes once more, over Vars. */
#define TENSOR_TERMS
#define G               use->grad[0]
#define DA              da
#define X               use->in[0]
#define A               use->in[0]
#define B               use->in[1]
#define Y               use->out[0]
#define P               NUM(((const double *)use->attributes)[0])
#define Q               NUM(((const double *)use->attributes)[1])
#define NUM(value)      tape_scalar(use->in[0], value)
#define ADD(u, v)       var_add(u, v)
#define SUB(u, v)       var_sub(u, v)
#define MUL(u, v)       var_mul(u, v)
#define DIV(u, v)       var_div(u, v)
#define NEG(u)          var_neg(u)
#define OF(name, u)     var_##name(u)
#define OF2(name, u, v) var_##name(u, v)
#define SIGN(u)         var_sign(u)
#define GREATER(u, v)   IF(u, v, NUM(1), NUM(0))
#define EQUAL(u, v)     var_where(var_equal(u, v), NUM(1), NUM(0))
#define IF(u, v, s, t)  var_where(var_greater(u, v), s, t)
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)                                          \
    static void name##_formula(const OpUse *use, OpVarTerm *terms)                                           \
    {                                                                                                        \
        op_give_var(&terms[0], slope);                                                                       \
    }
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)                                   \
    static void name##_formula(const OpUse *use, OpVarTerm *terms)                                           \
    {                                                                                                        \
        Var da = {0};                                                                                        \
        if (use->wants[0] || (unsigned)name##_reads_b & READS_DA)                                            \
            da = slope_a;                                                                                    \
        op_give_var(&terms[0], da);                                                                          \
        if (use->wants[1])                                                                                   \
            op_give_var(&terms[1], slope_b);                                                                 \
    }
#include "tensor/elementwise_table.h"

/* ---- Samples ---- */

typedef struct Domain {
    double low, high;
    bool has_kink;
    double kink;
} Domain;
#define IN(low, high)         ((Domain){low, high, false, 0})
#define AWAY(low, high, kink) ((Domain){low, high, true, kink})

static Var sample_in(OpSample *s, int ndim, const int64_t *shape, Domain domain)
{
    return domain.has_kink ? op_sample_away(s, ndim, shape, domain.low, domain.high, domain.kink)
                           : op_sample(s, ndim, shape, domain.low, domain.high);
}

/* Where there is a kink: large enough to have both sides of it. */
static Var sample_one(OpSample *s, Domain domain)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    return domain.has_kink ? sample_in(s, TENSOR_SHAPE(n, m, 4), domain)
                           : sample_in(s, TENSOR_SHAPE(n, m), domain);
}

/* Operands whose shapes broadcast against each other in both directions. */
static void sample_two(OpSample *s, Domain of_a, Domain of_b, Var *pair)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1), k = of_a.has_kink ? 4 : op_sample_size(s, 2);
    switch (op_sample_choice(s, 3)) {
    case 0:
        pair[0] = sample_in(s, TENSOR_SHAPE(n, m, k), of_a);
        pair[1] = sample_in(s, TENSOR_SHAPE(n, m, k), of_b);
        break;
    case 1:
        pair[0] = sample_in(s, TENSOR_SHAPE(n, m, k), of_a);
        pair[1] = sample_in(s, TENSOR_SHAPE(m, k), of_b);
        break;
    default:
        pair[0] = sample_in(s, TENSOR_SHAPE(m, 1), of_a);
        pair[1] = sample_in(s, TENSOR_SHAPE(n, m, k), of_b);
    }
}

/* ---- The ops ---- */

/* What NONE, ONE() and TWO() in a row stand for: the values of further arguments and their bytes, and those
 * of the sample. */
#define VALUES_NONE                          NULL, 0
#define VALUES_ONE(p, p_sample)              ((double[2]){p}), 2 * sizeof(double)
#define VALUES_TWO(p, p_sample, q, q_sample) ((double[2]){p, q}), 2 * sizeof(double)
#define SAMPLE_NONE
#define SAMPLE_ONE(p, p_sample)              , p_sample
#define SAMPLE_TWO(p, p_sample, q, q_sample) , p_sample, q_sample

#define TENSOR_UNARY_WITH(NAME, name_, parameters, f, slope, domain)                                         \
    static bool name_##_forward(OpContext *c)                                                                \
    {                                                                                                        \
        return unary_forward(c, TENSOR_UNARY_##NAME);                                                        \
    }                                                                                                        \
    static void name_##_backward(OpContext *c, OpTerm *terms)                                                \
    {                                                                                                        \
        unary_backward(c, terms, TENSOR_UNARY_##NAME, (unsigned)name_##_reads);                              \
    }                                                                                                        \
    static Var name_##_sample(OpSample *s)                                                                   \
    {                                                                                                        \
        return var_##name_(sample_one(s, domain) SAMPLE_##parameters);                                       \
    }                                                                                                        \
    OpKind op_##name_ = {.name = #name_,                                                                     \
                         .forward = name_##_forward,                                                         \
                         .backward = name_##_backward,                                                       \
                         .formula = name_##_formula,                                                         \
                         .sample = name_##_sample,                                                           \
                         .flags = OP_ROWWISE,                                                                \
                         .backward_reads = (unsigned)name_##_reads | OP_READS_NOTHING};                      \
    Var var_##name_(Var a TENSOR_ARGUMENTS_##parameters)                                                     \
    {                                                                                                        \
        return op_apply(&op_##name_, &a, 1, VALUES_##parameters);                                            \
    }

#define TENSOR_BINARY(NAME, name_, f, slope_a, slope_b, domain_a, domain_b)                                  \
    static bool name_##_forward(OpContext *c)                                                                \
    {                                                                                                        \
        return binary_forward(c, TENSOR_BINARY_##NAME);                                                      \
    }                                                                                                        \
    static void name_##_backward(OpContext *c, OpTerm *terms)                                                \
    {                                                                                                        \
        binary_backward(c, terms, TENSOR_BINARY_##NAME, name_##_reads_a, name_##_reads_b);                   \
    }                                                                                                        \
    static Var name_##_sample(OpSample *s)                                                                   \
    {                                                                                                        \
        Var pair[2];                                                                                         \
        sample_two(s, domain_a, domain_b, pair);                                                             \
        return var_##name_(pair[0], pair[1]);                                                                \
    }                                                                                                        \
    OpKind op_##name_ = {.name = #name_,                                                                     \
                         .forward = name_##_forward,                                                         \
                         .backward = name_##_backward,                                                       \
                         .formula = name_##_formula,                                                         \
                         .sample = name_##_sample,                                                           \
                         .backward_reads =                                                                   \
                             (unsigned)(name_##_reads_a | name_##_reads_b) | OP_READS_NOTHING};              \
    Var var_##name_(Var a, Var b)                                                                            \
    {                                                                                                        \
        return op_apply(&op_##name_, (Var[]){a, b}, 2, NULL, 0);                                             \
    }
#define FLAT(name_, run, function, signature, ...)                                                           \
    static bool name_##_forward(OpContext *c)                                                                \
    {                                                                                                        \
        return run(c, function);                                                                             \
    }                                                                                                        \
    Var var_##name_ signature                                                                                \
    {                                                                                                        \
        static const OpKind op = {.name = #name_, .forward = name_##_forward};                               \
        Var inputs[] = {__VA_ARGS__};                                                                        \
        return op_apply(&op, inputs, sizeof inputs / sizeof inputs[0], NULL, 0);                             \
    }
#define TENSOR_UNARY_FLAT(NAME, name, f)  FLAT(name, unary_forward, TENSOR_UNARY_##NAME, (Var a), a)
#define TENSOR_BINARY_FLAT(NAME, name, f) FLAT(name, mask_forward, TENSOR_BINARY_##NAME, (Var a, Var b), a, b)
#include "tensor/elementwise_table.h"
