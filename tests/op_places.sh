#!/bin/sh
# How many places a new op takes: adds a composite op and an elementwise function to a copy of the tree, each in the
# places that docs/new-op.md names and in no other, builds what depends on them, and looks whether they are checked,
# measured, listed, documented, and traced to their caller. Usage: sh tests/op_places.sh BUILD_FOLDER, with REEL_MAKE
# and REEL_CC as the Makefile sets them for tests.
set -eu
build=$1
copy=$PWD/build/op_places.$$
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/$build" "$copy/docs"
cp -rp Makefile tensor autograd nn models tools "$copy"
cp -rp docs/examples "$copy/docs"
# Objects by hard links; those that are built anew are taken out first, so that the originals stay as they are.
for folder in tensor autograd nn models tools; do cp -rl "$build/$folder" "$copy/$build"; done
for note in "$build/flags" "$build"/*_objects; do [ ! -e "$note" ] || cp -p "$note" "$copy/$build"; done
cd "$copy"
rm -f "$build/tools/gradcheck" "$build/tools/bench"

# insert FILE BEFORE: puts stdin in front of the first line that begins with BEFORE, or at the end. It is a place.
places=0
insert() {
    cat >block
    if [ -n "$2" ]; then
        awk -v before="$2" 'index($0, before) == 1 && !done { while ((getline line < "block") > 0) print line; done = 1 }
            { print } END { exit !done }' "$1" >new
    else
        cat "$1" block >new
    fi
    cat new >"$1"
    places=$((places + 1))
}

# ---- A composite op ----
insert autograd/op_choose.c '' <<'BLOCK'

/* f(a, b) = (a^2 + b^2)^(1/2);  df/da = a / f, df/db = b / f */
static bool hypotenuse_forward(OpContext *c)
{
    Tensor a = *c->in[0], b = *c->in[1];
    if (!tensor_same_shape(&a, &b))
        return op_error(c, "the shapes differ");
    return op_output_like(c, a) && tensor_binary(TENSOR_BINARY_MUL, *c->out[0], a, a) &&
           tensor_addcmul(*c->out[0], 1, b, b) && tensor_unary(TENSOR_UNARY_SQRT, *c->out[0], *c->out[0]);
}
static void hypotenuse_backward(OpContext *c, OpTerm *terms)
{
    for (int i = 0; i < 2; i++) {
        Tensor da = op_new_like(c, *c->out[0]);
        if (tensor_binary(TENSOR_BINARY_DIV, da, *c->grad[0], *c->out[0]) &&
            tensor_binary(TENSOR_BINARY_MUL, da, da, *c->in[i]))
            op_give(&terms[i], da);
    }
}
static void hypotenuse_formula(const OpUse *use, OpVarTerm *terms)
{
    Var share = var_div(use->grad[0], use->out[0]);
    op_give_var(&terms[0], var_mul(share, use->in[0]));
    op_give_var(&terms[1], var_mul(share, use->in[1]));
}
static Var hypotenuse_sample(OpSample *s)
{
    int64_t n = op_sample_size(s, 0), m = op_sample_size(s, 1);
    return var_hypotenuse(op_sample(s, TENSOR_SHAPE(n, m), 1, 2), op_sample(s, TENSOR_SHAPE(n, m), 1, 2));
}
OpKind op_hypotenuse = {.name = "hypotenuse",
                        .forward = hypotenuse_forward,
                        .backward = hypotenuse_backward,
                        .formula = hypotenuse_formula,
                        .sample = hypotenuse_sample};
Var var_hypotenuse(Var a, Var b)
{
    return op_apply(&op_hypotenuse, (Var[]){a, b}, 2, NULL, 0);
}
BLOCK
insert autograd/op_list.h '/* ---- Losses' <<'ROW'
OP_ROW(hypotenuse, (Var a, Var b)) /* (a^2 + b^2)^(1/2) */
ROW
insert autograd/ops.h '#define var_mse(' <<'LINE'
#define var_hypotenuse(...) TAPE_TRACE(Var, var_hypotenuse(__VA_ARGS__))
LINE
echo "composite op: $places places"

# ---- An elementwise function ----
places=0
insert tensor/elementwise_table.h 'TENSOR_VECTOR(EXP' <<'ROW'
TENSOR_UNARY(CUBE, cube, x * x * x, MUL(G, MUL(NUM(3), MUL(X, X))), IN(-2, 2)) /* a^3 */
ROW
insert autograd/ops.h '#define var_mse(' <<'LINE'
#define var_cube(...) TAPE_TRACE(Var, var_cube(__VA_ARGS__))
LINE
echo "elementwise function: $places places"

# ---- Built: what expands the lists; the rest knows nothing of the new rows ----
for source in tensor/elementwise autograd/op_elementwise autograd/op_choose autograd/registry; do
    rm -f "$build/$source.o"
done
rm -f "$build/libreel.a"
eval "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS $REEL_MAKE --no-print-directory B='$build' -o tensor/elementwise_table.h" \
    -o autograd/op_list.h -o autograd/ops.h "'$build/tools/gradcheck' '$build/tools/bench'"

for op in hypotenuse cube; do
    "$build/tools/gradcheck" --op $op --json
    "$build/tools/bench" --op $op | grep "^$op .*GB/s.*GB/s"
done
"$build/tools/gradcheck" --seeds 1 | grep -E '^(hypotenuse|cube) '
awk -f ../../docs/doxygen_filter.awk autograd/op_list.h | grep 'var_hypotenuse(Var a, Var b);.*(a^2 + b^2)'
awk -f ../../docs/doxygen_filter.awk tensor/elementwise_table.h | grep 'var_cube(Var a);.*a^3'
printf '#include "autograd/ops.h"\nVar f(Var a);\nVar f(Var a)\n{\n    return var_hypotenuse(a, var_cube(a));\n}\n' >user.c
$REEL_CC -std=c17 -Wall -Wextra -Werror -I. -c -o user.o user.c && $REEL_CC -I. -E user.c | grep -c 'trace_push.*trace_push.*cube'
