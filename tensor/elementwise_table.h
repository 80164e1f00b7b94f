/* clang-format off */
/* The elementwise functions: all that there is to know about one stands in its row. From the rows come
 * TensorUnaryOp and TensorBinaryOp with their kernels and those of their gradients (tensor/elementwise.c), the
 * ops with their formulas and samples (autograd/op_elementwise.c), their declarations and their documentation.
 *
 *     TENSOR_UNARY(NAME, name, f, slope, domain)
 *     TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)   with numbers p, q: ONE(name, in the sample) or
 *                                                                   TWO(name, in the sample, name, in the sample)
 *     TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads)         the gradient has a kernel of its own besides
 *     TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)
 *     TENSOR_UNARY_FLAT(NAME, name, f), TENSOR_BINARY_FLAT(NAME, name, f)   without a gradient
 *     TENSOR_VECTOR(NAME, function)                                 of floats side by side `function` computes f
 *
 * f: an expression in C, as <tgmath.h> reads it, of x, or of a and b; and of p and q.
 * slope: the operand's gradient, made of G, that of the result Y; of the operand X, or A and B; of P and Q; slope_b of DA,
 *     the gradient of a, instead of G.
 *     NUM(1)   ADD(u, v)   SUB(u, v)   MUL(u, v)   DIV(u, v)   NEG(u)   OF(name, u)   OF2(name, u, v)
 *     SIGN(u)   GREATER(u, v)   EQUAL(u, v): 1 or 0   IF(u, v, s, t): s where u > v, else t
 * Who gives the slopes a meaning defines TENSOR_TERMS and all of these; the table takes them back at its end.
 * domain: where the gradient is checked. IN(low, high), or AWAY(low, high, kink): not close to a kink. */
#ifndef TENSOR_UNARY_WITH
/* A row that is not asked for, or is as good as one of another kind. */
#define TENSOR_UNARY_WITH(NAME, name, parameters, f, slope, domain)
#endif
#ifndef TENSOR_UNARY
#define TENSOR_UNARY(NAME, name, f, slope, domain) TENSOR_UNARY_WITH(NAME, name, NONE, f, slope, domain)
#endif
#ifndef TENSOR_UNARY_OWN
#define TENSOR_UNARY_OWN(NAME, name, f, slope, domain, reads) TENSOR_UNARY(NAME, name, f, slope, domain)
#endif
#ifndef TENSOR_UNARY_FLAT
#define TENSOR_UNARY_FLAT(NAME, name, f)
#endif
#ifndef TENSOR_BINARY
#define TENSOR_BINARY(NAME, name, f, slope_a, slope_b, domain_a, domain_b)
#endif
#ifndef TENSOR_BINARY_FLAT
#define TENSOR_BINARY_FLAT(NAME, name, f)
#endif
#ifndef TENSOR_VECTOR
#define TENSOR_VECTOR(NAME, function)
#endif

/* The arguments that NONE, ONE() and TWO() stand for. */
#ifndef TENSOR_ARGUMENTS_NONE
#define TENSOR_ARGUMENTS_NONE
#define TENSOR_ARGUMENTS_ONE(p, p_sample)              , double p
#define TENSOR_ARGUMENTS_TWO(p, p_sample, q, q_sample) , double p, double q
#endif

/* ---- Two operands, which broadcast ---- */
TENSOR_BINARY(ADD, add, a + b, G, G, IN(-2, 2), IN(-2, 2)) /* a + b */
TENSOR_BINARY(SUB, sub, a - b, G, NEG(G), IN(-2, 2), IN(-2, 2)) /* a - b */
TENSOR_BINARY(MUL, mul, a * b, MUL(G, B), MUL(G, A), IN(-2, 2), IN(-2, 2)) /* a b */
TENSOR_BINARY(DIV, div, a / b, DIV(G, B), MUL(NEG(DA), Y), IN(0.5, 2), IN(0.5, 2)) /* a / b */
/* a^b; a > 0 where b wants a gradient. Where b = 0 that of a is 0, and where a = 0 <= b that of b. 1, 2, 3, -1: products. */
TENSOR_BINARY(POW, pow, b == 2 ? a * a : b == 1 ? a : b == 3 ? a * a * a : b == -1 ? 1 / a : pow(a, b),
              MUL(MUL(G, B), OF2(pow, A, ADD(SUB(B, NUM(1)), EQUAL(B, NUM(0))))),
              MUL(MUL(G, Y), OF(log, ADD(A, MUL(EQUAL(A, NUM(0)), SUB(NUM(1), GREATER(NUM(0), B)))))), IN(0.5, 2), IN(-0.25, 0.5))
/* The larger, NaN where either is (a by the second test, b because a > NaN is false); ties share in halves. */
TENSOR_BINARY(MAXIMUM, maximum, ((a > b) | (a != a)) ? a : b,
              MUL(G, DIV(ADD(GREATER(A, B), MUL(NUM(0.5), EQUAL(A, B))), EQUAL(Y, Y))),
              MUL(G, DIV(ADD(GREATER(B, A), MUL(NUM(0.5), EQUAL(A, B))), EQUAL(Y, Y))),
              AWAY(-2, 2, 0), IN(-0.02, 0.02))
/* The smaller, in the same way. */
TENSOR_BINARY(MINIMUM, minimum, ((a < b) | (a != a)) ? a : b,
              MUL(G, DIV(ADD(GREATER(B, A), MUL(NUM(0.5), EQUAL(A, B))), EQUAL(Y, Y))),
              MUL(G, DIV(ADD(GREATER(A, B), MUL(NUM(0.5), EQUAL(A, B))), EQUAL(Y, Y))),
              AWAY(-2, 2, 0), IN(-0.02, 0.02))
/* The angle of (b, a), from -pi to pi. */
TENSOR_BINARY(ATAN2, atan2, atan2(a, b), DIV(MUL(G, B), ADD(MUL(A, A), MUL(B, B))),
              DIV(NEG(MUL(G, A)), ADD(MUL(A, A), MUL(B, B))), IN(0.5, 2), IN(0.5, 2))
TENSOR_BINARY(HYPOT, hypot, hypot(a, b), DIV(MUL(G, A), Y), DIV(MUL(G, B), Y), IN(0.5, 2), IN(0.5, 2)) /* (a^2 + b^2)^(1/2) */

/* ---- Comparisons: of tensors 1 or 0; of Vars an i32 mask, without a gradient ---- */
TENSOR_BINARY_FLAT(GREATER, greater, a > b) /* a > b */
TENSOR_BINARY_FLAT(GREATER_EQUAL, greater_equal, a >= b) /* a >= b */
TENSOR_BINARY_FLAT(LESS, less, a < b) /* a < b */
TENSOR_BINARY_FLAT(LESS_EQUAL, less_equal, a <= b) /* a <= b */
TENSOR_BINARY_FLAT(EQUAL, equal, a == b) /* a = b */
TENSOR_BINARY_FLAT(NOT_EQUAL, not_equal, a != b) /* true of NaN, too */

/* ---- One operand ---- */
TENSOR_UNARY(NEG, neg, -x, NEG(G), IN(-2, 2)) /* -a */
TENSOR_UNARY(EXP, exp, exp(x), MUL(G, Y), IN(-1, 1)) /* e^a */
TENSOR_UNARY(LOG, log, log(x), DIV(G, X), IN(0.5, 3)) /* ln a */
TENSOR_UNARY(SQRT, sqrt, sqrt(x), DIV(G, MUL(NUM(2), Y)), IN(0.5, 3)) /* a^(1/2) */
TENSOR_UNARY(ABS, abs, fabs(x), MUL(G, SIGN(X)), AWAY(-2, 2, 0)) /* |a|; gradient 0 at 0 */
TENSOR_UNARY(RELU, relu, x <= 0 ? 0 : x, MUL(G, SIGN(Y)), AWAY(-2, 2, 0)) /* max(a, 0); gradient 0 at 0 */
TENSOR_UNARY_OWN(TANH, tanh, tanh(x), MUL(G, SUB(NUM(1), MUL(Y, Y))), IN(-1, 1), ADD(X, Y)) /* tanh a */
/* 1 / (1 + e^-a). The exponent is never positive, so that nothing overflows. */
TENSOR_UNARY(SIGMOID, sigmoid, x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)),
             MUL(MUL(G, Y), SUB(NUM(1), Y)), IN(-2, 2))
/* ln(1 + e^a) */
TENSOR_UNARY_OWN(SOFTPLUS, softplus, (x <= 0 ? 0 : x) + log1p(exp(-fabs(x))),
                 MUL(G, OF(sigmoid, X)), IN(-2, 2), X)
TENSOR_UNARY(SQUARE, square, x * x, MUL(MUL(NUM(2), G), X), IN(-2, 2)) /* a^2 */
TENSOR_UNARY(RECIPROCAL, reciprocal, 1 / x, NEG(MUL(MUL(G, Y), Y)), IN(0.5, 2)) /* 1 / a */
/* factor a + offset */
TENSOR_UNARY_WITH(SCALE, scale, TWO(factor, -1.5, offset, 0.3),
                  q == 0 ? p * x : p * x + q, MUL(P, G), IN(-2, 2))
TENSOR_UNARY(RSQRT, rsqrt, 1 / sqrt(x), MUL(MUL(NUM(-0.5), G), MUL(Y, MUL(Y, Y))), IN(0.5, 3)) /* a^(-1/2) */
TENSOR_UNARY(LOG1P, log1p, log1p(x), DIV(G, ADD(NUM(1), X)), IN(0.1, 3)) /* ln(1 + a), exact where a is small */
TENSOR_UNARY(EXPM1, expm1, expm1(x), MUL(G, ADD(Y, NUM(1))), IN(-1, 1)) /* e^a - 1, exact where a is small */
TENSOR_UNARY(SIN, sin, sin(x), MUL(G, OF(cos, X)), IN(-2, 2)) /* sin a */
TENSOR_UNARY(COS, cos, cos(x), NEG(MUL(G, OF(sin, X))), IN(-2, 2)) /* cos a */
TENSOR_UNARY(TAN, tan, tan(x), MUL(G, ADD(NUM(1), MUL(Y, Y))), IN(-0.1, 0.1)) /* tan a */
TENSOR_UNARY(ASIN, asin, asin(x), MUL(G, OF(rsqrt, SUB(NUM(1), MUL(X, X)))), IN(-0.05, 0.05)) /* the angle whose sine is a */
TENSOR_UNARY(ACOS, acos, acos(x), NEG(MUL(G, OF(rsqrt, SUB(NUM(1), MUL(X, X))))), IN(-0.05, 0.05)) /* whose cosine is a */
TENSOR_UNARY(ATAN, atan, atan(x), DIV(G, ADD(NUM(1), MUL(X, X))), IN(-2, 2)) /* whose tangent is a */
TENSOR_UNARY(SINH, sinh, sinh(x), MUL(G, OF(cosh, X)), IN(-1, 1)) /* (e^a - e^-a) / 2 */
TENSOR_UNARY(COSH, cosh, cosh(x), MUL(G, OF(sinh, X)), IN(-1, 1)) /* (e^a + e^-a) / 2 */
TENSOR_UNARY(ASINH, asinh, asinh(x), MUL(G, OF(rsqrt, ADD(NUM(1), MUL(X, X)))), IN(-2, 2)) /* whose sinh is a */
TENSOR_UNARY(ACOSH, acosh, acosh(x), MUL(G, OF(rsqrt, SUB(MUL(X, X), NUM(1)))), IN(1.5, 3)) /* whose cosh is a */
TENSOR_UNARY(ATANH, atanh, atanh(x), DIV(G, SUB(NUM(1), MUL(X, X))), IN(-0.05, 0.05)) /* whose tanh is a */
TENSOR_UNARY(EXP2, exp2, exp2(x), MUL(MUL(NUM(0.6931471805599453), G), Y), IN(-1, 1)) /* 2^a */
TENSOR_UNARY(LOG2, log2, log2(x), DIV(G, MUL(NUM(0.6931471805599453), X)), IN(0.5, 3)) /* the logarithm to base 2 */
TENSOR_UNARY(LOG10, log10, log10(x), DIV(G, MUL(NUM(2.302585092994046), X)), IN(0.5, 3)) /* to base 10 */
TENSOR_UNARY_OWN(ERF, erf, erf(x), MUL(MUL(NUM(1.1283791670955126), G), OF(exp, NEG(MUL(X, X)))), IN(-2, 2), X) /* erf a */
/* 1 - erf a, exact where that is small */
TENSOR_UNARY(ERFC, erfc, erfc(x), MUL(MUL(NUM(-1.1283791670955126), G), OF(exp, NEG(MUL(X, X)))), IN(-2, 2))
/* a times the normal distribution's function of a, exactly (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
TENSOR_UNARY_OWN(GELU, gelu, (REAL)(0.5 * (double)x * erfc(-0.70710678118654752 * (double)x)),
                 MUL(G, ADD(MUL(NUM(0.5), ADD(NUM(1), OF(erf, MUL(NUM(0.70710678118654752), X)))),
                        MUL(MUL(NUM(0.3989422804014327), X), OF(exp, MUL(NUM(-0.5), MUL(X, X)))))),
                 IN(-2, 2), X)
/* a sigmoid(a) (Elfwing et al. 2018, arXiv 1702.03118). */
TENSOR_UNARY_OWN(SILU, silu, x >= 0 ? x / (1 + exp(-x)) : x * (exp(x) / (1 + exp(x))),
                 MUL(G, ADD(OF(sigmoid, X), MUL(Y, SUB(NUM(1), OF(sigmoid, X))))), IN(-2, 2), ADD(X, Y))
/* ln sigmoid(a) */
TENSOR_UNARY_OWN(LOGSIGMOID, logsigmoid, (x > 0 ? -(REAL)0 : x) - log1p(exp(-fabs(x))), MUL(G, OF(sigmoid, NEG(X))), IN(-2, 2), X)
/* a where it is above 0, else negative_slope a. */
TENSOR_UNARY_WITH(LEAKY_RELU, leaky_relu, ONE(negative_slope, 0.1), x > 0 ? x : p * x,
                  IF(X, NUM(0), G, MUL(P, G)), AWAY(-2, 2, 0))
/* a where it is above 0, else alpha (e^a - 1) (Clevert et al. 2016, arXiv 1511.07289). */
TENSOR_UNARY_WITH(ELU, elu, ONE(alpha, 0.7), x > 0 ? x : p * expm1(x),
                  IF(X, NUM(0), G, MUL(G, ADD(Y, P))), AWAY(-2, 2, 0))
/* Not below low nor above high; gradient 0 where it would be, and 1 at both. high where low is above it. */
TENSOR_UNARY_WITH(CLAMP, clamp, TWO(low, 0, high, 1.25), x > q ? q : x < p ? (p > q ? q : p) : x,
                  IF(P, X, NUM(0), IF(X, Q, NUM(0), G)), AWAY(-2, 2, 0))
TENSOR_UNARY_FLAT(FLOOR, floor, floor(x)) /* the largest whole number that is not above a */
TENSOR_UNARY_FLAT(CEIL, ceil, ceil(x)) /* the smallest that is not below a */
TENSOR_UNARY_FLAT(TRUNC, trunc, trunc(x)) /* a without what stands behind the point */
TENSOR_UNARY_FLAT(ROUND, round, rint(x)) /* the nearest, of two the even one */
TENSOR_UNARY_FLAT(SIGN, sign, x != x ? x : (x > 0) - (x < 0)) /* -1, 0 or 1; NaN stays NaN; no gradient */

TENSOR_VECTOR(EXP, tensor_vmath_exp)
TENSOR_VECTOR(LOG, tensor_vmath_log)
TENSOR_VECTOR(TANH, tensor_vmath_tanh)
TENSOR_VECTOR(SIGMOID, tensor_vmath_sigmoid)
TENSOR_VECTOR(SOFTPLUS, tensor_vmath_softplus)
TENSOR_VECTOR(LOGSIGMOID, tensor_vmath_logsigmoid)
TENSOR_VECTOR(SILU, tensor_vmath_silu)
TENSOR_VECTOR(EXPM1, tensor_vmath_expm1)
TENSOR_VECTOR(LOG1P, tensor_vmath_log1p)
TENSOR_VECTOR(ERF, tensor_vmath_erf)
TENSOR_VECTOR(GELU, tensor_vmath_gelu)

/* clang-format on */

#undef TENSOR_UNARY
#undef TENSOR_UNARY_WITH
#undef TENSOR_UNARY_OWN
#undef TENSOR_UNARY_FLAT
#undef TENSOR_BINARY
#undef TENSOR_BINARY_FLAT
#undef TENSOR_VECTOR
#ifdef TENSOR_TERMS
#undef TENSOR_TERMS
#undef G
#undef DA
#undef X
#undef A
#undef B
#undef Y
#undef P
#undef Q
#undef NUM
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef NEG
#undef OF
#undef OF2
#undef SIGN
#undef GREATER
#undef EQUAL
#undef IF
#endif
