#include "tests/nn_support.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- Fixtures ---- */

Fixture fixture_open(const char *name)
{
    Fixture fixture;
    char path[200];
    snprintf(path, sizeof path, "tests/fixtures/pytorch/%s.npz", name);
    ck_assert_ok(tensor_npz_open(&fixture.npz, path));
    tensor_arena_init(&fixture.arena, 0);
    return fixture;
}

void fixture_close(Fixture *fixture)
{
    tensor_npz_close(fixture->npz);
    tensor_arena_free(&fixture->arena);
}

Tensor fixture_tensor(Fixture *fixture, const char *format, ...)
{
    char name[NN_NAME_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    const TensorNpzMember *member = tensor_npz_find(fixture->npz, name);
    ck_assert_msg(member != NULL, "%s has no member %s", tensor_npz_path(fixture->npz), name);
    Tensor t;
    ck_assert_ok(tensor_npz_read_tensor(fixture->npz, member, &fixture->arena, &t));
    return t;
}

double fixture_number(Fixture *fixture, const char *name)
{
    return tensor_item(fixture_tensor(fixture, "%s", name));
}

bool fixture_has(const Fixture *fixture, const char *name)
{
    return tensor_npz_find(fixture->npz, name) != NULL;
}

/* The next member from *at on that is a parameter, or NULL. */
static const TensorNpzMember *next_parameter(const TensorNpz *npz, int *at)
{
    while (*at < tensor_npz_count(npz)) {
        const TensorNpzMember *member = tensor_npz_member(npz, (*at)++);
        if (strncmp(member->name, "reel/", 5) != 0)
            return member;
    }
    return NULL;
}

void fixture_load(Fixture *fixture, NnModule *module)
{
    int at = 0;
    for (NnIterator it = nn_iterate(module); nn_next(&it);) {
        const TensorNpzMember *member = next_parameter(fixture->npz, &at);
        ck_assert_msg(member != NULL, "%s is more than the fixture has", it.named.name);
        ck_assert_str_eq(it.named.name, member->name);
        Tensor value = fixture_tensor(fixture, "%s", member->name), view = nn_named_view(&it.named);
        char has[TENSOR_SHAPE_TEXT_SIZE], wants[TENSOR_SHAPE_TEXT_SIZE];
        ck_assert_msg(tensor_same_shape(&value, &view), "%s is %s, not %s", it.named.name,
                      tensor_shape_text(&view, has), tensor_shape_text(&value, wants));
        ck_assert(tensor_copy_into(view, value));
        tape_parameter_changed(&it.named.parameter->core);
    }
    const TensorNpzMember *left = next_parameter(fixture->npz, &at);
    ck_assert_msg(left == NULL, "the module lacks %s", left->name);
}

/* ---- Comparing ---- */

Tensor named_gradient(Tape *tape, const NnNamed *named, TensorArena *arena)
{
    const NnParameter *p = named->parameter;
    Tensor all = tensor_zeros(arena, TENSOR_F64, p->ndim, p->shape);
    TapeGradient gradient = tape_gradient(tape, &p->core);
    ck_assert(!tensor_is_valid(gradient.dense) || !tensor_is_valid(gradient.rows));
    if (tensor_is_valid(gradient.dense))
        ck_assert(tensor_copy_into(all, gradient.dense));
    for (int64_t i = 0; tensor_is_valid(gradient.rows) && i < gradient.ids.shape[0]; i++) {
        int64_t id = (int64_t)tensor_get(&gradient.ids, &i);
        ck_assert(tensor_copy_into(tensor_select(all, 0, id), tensor_select(gradient.rows, 0, i)));
    }
    return tensor_slice(all, 0, named->first, named->first + named->rows, 1);
}

/* C order over a shape: false behind the last. */
static bool next_index(const Tensor *t, int64_t *index)
{
    for (int axis = t->ndim - 1; axis >= 0; axis--) {
        if (++index[axis] < t->shape[axis])
            return true;
        index[axis] = 0;
    }
    return false;
}

double largest_difference(Tensor a, Tensor b)
{
    if (!tensor_is_valid(a) || !tensor_is_valid(b) || !tensor_same_shape(&a, &b))
        return INFINITY;
    int64_t index[TENSOR_MAX_DIMS] = {0};
    double largest = 0;
    if (tensor_numel(&a) == 0)
        return 0;
    do {
        double difference = fabs(tensor_get(&a, index) - tensor_get(&b, index));
        if (!isfinite(difference))
            return INFINITY;
        largest = fmax(largest, difference);
    } while (next_index(&a, index));
    return largest;
}

double norm_difference(Tensor a, Tensor b)
{
    if (!isfinite(largest_difference(a, b)))
        return INFINITY;
    int64_t index[TENSOR_MAX_DIMS] = {0};
    double difference = 0, norm = 0;
    do {
        double x = tensor_get(&a, index), y = tensor_get(&b, index);
        difference += (x - y) * (x - y);
        norm += y * y;
    } while (next_index(&a, index));
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

/* ---- A module and its fixture ---- */

static Var leaf_of(Fixture *fixture, Tape *tape, const char *name, TensorDtype dtype)
{
    if (!fixture_has(fixture, name))
        return VAR_NONE;
    Tensor value = fixture_tensor(fixture, "%s", name);
    return value.dtype == TENSOR_I32 ? tape_constant(tape, value)
                                     : tape_leaf(tape, tensor_cast(tape_arena(tape), value, dtype));
}

static void compare_module(Fixture *fixture, NnModule *module, FixtureFunction *function, void *context,
                           TensorDtype dtype)
{
    double limit = dtype == TENSOR_F64 ? 1e-6 : 1e-5, gradient_limit = dtype == TENSOR_F64 ? 1e-6 : 1e-4;
    Tape *tape = tape_new();
    tape_begin(tape);
    Var given[2] = {leaf_of(fixture, tape, "reel/input", dtype),
                    leaf_of(fixture, tape, "reel/memory", dtype)};
    Var y = function(fixture, given[0], given[1], context);
    ck_assert_tape_ok(tape);
    ck_assert_close(var_value(y), fixture_tensor(fixture, "reel/output"), limit);
    Tensor dy = tensor_cast(tape_arena(tape), fixture_tensor(fixture, "reel/grad_output"), dtype);
    ck_assert(tape_backward(var_sum(var_mul(y, tape_constant(tape, dy)), TENSOR_AXES_ALL, false)));
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "reel/grad_memory" : "reel/grad_input";
        if (fixture_has(fixture, name))
            ck_assert_norm_close(var_grad(given[i]), fixture_tensor(fixture, "%s", name), gradient_limit,
                                 name);
    }
    for (NnIterator it = nn_iterate(module); nn_next(&it);)
        ck_assert_norm_close(named_gradient(tape, &it.named, &fixture->arena),
                             fixture_tensor(fixture, "reel/grad/%s", it.named.name), gradient_limit,
                             it.named.name);
    tape_free(tape);
}

void check_module_with_pytorch(const char *name, NnModule *module, FixtureFunction *function, void *context)
{
    for (int f64 = 0; f64 < 2; f64++) {
        Fixture fixture = fixture_open(name);
        ck_assert_ok(f64 ? nn_module_reset_f64(module, 0) : nn_module_reset(module, 0));
        fixture_load(&fixture, module);
        compare_module(&fixture, module, function, context, f64 ? TENSOR_F64 : TENSOR_F32);
        fixture_close(&fixture);
    }
}

/* ---- Gradient check ---- */

typedef struct Check {
    NnModule *module;
    ModuleFunction *function;
    void *context;
    Tensor input;
    Tape *tape;
} Check;

/* The weighted sum on a new step. */
static Var evaluate(const Check *check, Var *input)
{
    tape_begin(check->tape);
    *input = tensor_is_valid(check->input) ? tape_leaf(check->tape, check->input) : VAR_NONE;
    Var out = check->function(check->tape, *input, check->context);
    ck_assert_tape_ok(check->tape);
    Tensor value = var_value(out);
    Tensor weights = tensor_new(tape_arena(check->tape), TENSOR_F64, value.ndim, value.shape);
    TensorRandom random = tensor_random_new(77, 0);
    tensor_random_fill_uniform(&random, weights, -1, 1);
    Var sum = var_sum(var_mul(out, tape_constant(check->tape, weights)), TENSOR_AXES_ALL, false);
    ck_assert_tape_ok(check->tape);
    return sum;
}

static double at(const Check *check, Tensor t, const int64_t *index, double value)
{
    double before = tensor_get(&t, index);
    Var input;
    tensor_set(&t, index, value);
    double result = var_item(evaluate(check, &input));
    tensor_set(&t, index, before);
    return result;
}

static double central_difference(const Check *check, Tensor t, const int64_t *index)
{
    const double h = 1e-3;
    double x = tensor_get(&t, index);
    double near = at(check, t, index, x + h) - at(check, t, index, x - h);
    double far = at(check, t, index, x + 2 * h) - at(check, t, index, x - 2 * h);
    return (8 * near - far) / (12 * h);
}

static void compare(const Check *check, const char *name, Tensor t, Tensor gradient)
{
    int64_t index[TENSOR_MAX_DIMS] = {0};
    double largest = 0;
    do
        largest = fmax(largest, fabs(tensor_get(&gradient, index)));
    while (next_index(&t, index));
    ck_assert_msg(largest > 0, "%s gets no gradient", name);
    do {
        double analytic = tensor_get(&gradient, index), numeric = central_difference(check, t, index);
        double scale = fmax(1e-3 * largest, fmax(fabs(analytic), fabs(numeric)));
        ck_assert_msg(fabs(analytic - numeric) <= 1e-6 * scale + 1e-11,
                      "%s at [%lld, %lld]: backward %.12g, differences %.12g", name, (long long)index[0],
                      (long long)(t.ndim > 1 ? index[1] : 0), analytic, numeric);
    } while (next_index(&t, index));
}

void check_module_gradients(NnModule *module, ModuleFunction *function, void *context, Tensor input)
{
    enum { MOST = 64 };
    Check check = {module, function, context, input, tape_new()};
    ck_assert_ptr_nonnull(check.tape);
    TensorArena arena;
    tensor_arena_init(&arena, 0);
    Var leaf;
    tape_backward(evaluate(&check, &leaf));
    ck_assert_tape_ok(check.tape);
    Tensor input_gradient = tensor_invalid(), gradients[MOST];
    if (tensor_is_valid(input)) {
        ck_assert(tensor_is_valid(var_grad(leaf)));
        input_gradient = tensor_copy(&arena, var_grad(leaf));
    }
    int count = 0;
    for (NnIterator it = nn_iterate(module); nn_next(&it); count++) {
        ck_assert_int_lt(count, MOST);
        gradients[count] = named_gradient(check.tape, &it.named, &arena);
    }
    count = 0;
    for (NnIterator it = nn_iterate(module); nn_next(&it); count++)
        if (!it.named.parameter->is_buffer)
            compare(&check, it.named.name, nn_named_view(&it.named), gradients[count]);
    if (tensor_is_valid(input))
        compare(&check, "the input", input, input_gradient);
    tensor_arena_free(&arena);
    tape_free(check.tape);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

int test_rounds(int full)
{
    return SLOW && full >= 10 ? full / 10 : full;
}
