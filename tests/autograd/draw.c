/* The picture of a tape, as text and in a real browser. */
#include "autograd/draw.h"
#include "autograd/profile.h"
#include "nn/nn.h"
#include "tests/autograd_support.h"
#include "tests/browser_support.h"
#include "tests/tape_support.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Net {
    NnModule base;
    NnEmbedding embedding;
    NnTransformerEncoderLayer layers[2];
    NnLinear fc;
} Net;

/* A step of a small transformer, whose module `fc` has a name that tries to get out of its place. */
static void step(Net *net)
{
    static const int32_t ids[] = {1, 2, 3, 4, 5}, offsets[] = {0, 3, 5};
    nn_module_init(&net->base);
    NN_ADD(net, embedding, nn_embedding_init, 6, 8);
    for (int i = 0; i < 2; i++)
        NN_ADD_AT(net, layers, i, nn_transformer_encoder_layer_init, 8, nn_transformer_options(2, 8));
    nn_linear_init(&net->fc, 8, 3);
    nn_module_add(&net->base, &net->fc.base, "</script><b>\"fc\"");
    ck_assert_int_eq((int)nn_module_reset(&net->base, 1).code, REEL_STATUS_OK);
    tape_begin(tape);
    NnSequence x = nn_embedding_sequence(&net->embedding, nn_pack(tape, ids, offsets, 2));
    for (int i = 0; i < 2; i++)
        x = nn_transformer_encoder_layer(&net->layers[i], x);
    Var y = nn_linear(&net->fc, nn_pool_mean(x));
    tape_backward(var_sum(var_square(y), TENSOR_AXES_ALL, false));
    assert_ok(tape);
}

/* Opens page.html in a frame; says how many rows, frames and dots there are, points at a row and says which
 * rows are then on the gradient's way, folds all and opens all. */
static const char *const check_script =
    "<!DOCTYPE html><html><head><meta charset='utf-8'></head><body><iframe id='f' "
    "style='width:1200px;height:800px' src='page.html'></iframe><pre id='out'>waiting</pre><script>"
    "const f=document.getElementById('f');f.onload=()=>{const d=f.contentDocument,"
    "all=s=>[...d.querySelectorAll(s)],name=e=>e.querySelector('.name').textContent,"
    "at=n=>all('.row').find(e=>name(e)===n),o=[];"
    "const tops=()=>all('.row').every((e,i)=>Math.abs(e.offsetTop-24*i)<1);"
    "d.getElementById('open').click();"
    "o.push('rows='+all('.row:not(.head)').length,'frames='+all('.frame').length,"
    "'dots='+all('circle').length,'order='+tops(),'scripts='+d.scripts.length,'bold='+all('b:empty').length);"
    "at('embedding').dispatchEvent(new MouseEvent('mouseenter'));"
    "o.push('none='+all('.row.on').length);"
    "at('square').dispatchEvent(new MouseEvent('mouseenter'));"
    "o.push('square='+all('.row.on').map(name).join(),'paths='+all('path.on').length,"
    "'way='+d.getElementById('way').textContent);"
    "at('square').dispatchEvent(new MouseEvent('mouseleave'));"
    "o.push('left='+all('.row.on').length);"
    "d.getElementById('fold').click();"
    "o.push('folded='+all('.row').map(name).join(),'line='+all('.line').map(e=>e.textContent).pop());"
    "document.getElementById('out').textContent=o.join('\\n')+'\\n'}</script></body></html>";

static void expect_in(const char *got, const char *wanted)
{
    ck_assert_msg(strstr(got, wanted) != NULL, "no %s in\n%.1500s", wanted, got);
}

START_TEST(the_page_in_a_browser)
{
    if (browser_is_missing("chromium is not installed: the picture of a tape is not looked at by a browser"))
        return;
    const char *folder = shell_folder();
    char path[600], wanted[100];
    Net net;
    ck_assert(tape_profile(tape, true));
    step(&net);
    snprintf(path, sizeof path, "%s/page.html", folder);
    ck_assert_int_eq((int)tape_draw(tape, path).code, REEL_STATUS_OK);
    snprintf(path, sizeof path, "%s/check.html", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(check_script, file);
    fclose(file);
    shell_must(CHROMIUM "--enable-logging=stderr --v=0 --allow-file-access-from-files "
                        "--virtual-time-budget=8000 --dump-dom 'file://%s/check.html'",
               folder, folder);
    const char *got = strstr(shell_output(), "<pre id=\"out\">"),
               *console = strstr(shell_output(), "CONSOLE");
    ck_assert_msg(!console, "the console is not empty: %.400s", console ? console : "");
    ck_assert_msg(got != NULL, "no page from the browser: %.400s", shell_output());
    /* As many rows as the tape has nodes: all the nodes of the text for Graphviz. */
    snprintf(path, sizeof path, "%s/tape.dot", folder);
    ck_assert_int_eq((int)tape_draw(tape, path).code, REEL_STATUS_OK);
    char page[3000];
    snprintf(page, sizeof page, "%s", got);
    shell_must("grep -c '^n[0-9]* .label' '%s'", path);
    snprintf(wanted, sizeof wanted, "rows=%d\n", atoi(shell_output()));
    expect_in(page, wanted);
    snprintf(wanted, sizeof wanted, "dots=%d\n", atoi(shell_output()));
    expect_in(page, wanted);
    shell_must("grep -c '^subgraph' '%s'", path);
    snprintf(wanted, sizeof wanted, "frames=%d\n",
             atoi(shell_output()) + 2); /* layers of layers.0 and layers.1 */
    expect_in(page, "order=true\n");
    expect_in(page, "scripts=2\n");
    expect_in(page, "square=square,sum\n");
    expect_in(page, "paths=1\n");
    expect_in(page, "way=its gradient: sum \xe2\x86\x92 square\n");
    expect_in(page, "left=0\n");
    expect_in(page, "line=draw.c:");
    expect_in(page, "\xe2\x96\xb8 embedding,\xe2\x96\xb8 layers,");
    nn_module_free(&net.base);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(text_for_graphviz)
{
    const char *folder = shell_folder();
    char path[600];
    Net net;
    step(&net);
    snprintf(path, sizeof path, "%s/tape.gv", folder);
    ck_assert_int_eq((int)tape_draw(tape, path).code, REEL_STATUS_OK);
    /* As many clusters end as begin; every edge is between nodes that are there. */
    shell_must(
        "awk '/^subgraph/ { open++ } /^}/ { closed++ } /self_attn/ { parts++ }"
        " /^n[0-9]+ .label/ { known[$1] = 1; nodes++; gsub(/[^\"]/, \"\", $0); odd += length($0) %% 2 }"
        " /^n[0-9]+ -> / { sub(/;/, \"\"); edges++; strange += !known[$1] + !known[$3] }"
        " END { print closed - open, odd, strange + 0, (edges > nodes / 2), parts }' '%s'",
        path);
    ck_assert_str_eq(shell_output(), "1 0 0 1 2\n"); /* the last brace is the graph's */
    shell_must("grep -q 'in_proj_weight.n\\[24, 8\\] f32' '%s'", path);
    if (shell_has("dot"))
        shell_must("dot -Tsvg -o '%s/tape.svg' '%s'", folder, path);
    nn_module_free(&net.base);
    shell_remove_folder(folder);
}
END_TEST

START_TEST(other_endings_and_folders_are_errors)
{
    ReelStatus status = tape_draw(tape, "tape.png");
    ck_assert_int_eq((int)status.code, REEL_STATUS_USAGE);
    ck_assert_ptr_nonnull(strstr(status.message, "tape.png"));
    ck_assert_int_ne((int)tape_draw(tape, "/no/such/folder/tape.html").code, REEL_STATUS_OK);
}
END_TEST

START_TEST(a_tape_without_values_or_with_an_error)
{
    const char *folder = shell_folder();
    char path[600];
    snprintf(path, sizeof path, "%s/tape.html", folder);
    ck_assert_int_eq((int)tape_draw(tape, path).code, REEL_STATUS_OK);
    shell_must("grep -q '\"nodes\": \\[\\]' '%s'", path);
    Var x = LEAF(tape, TENSOR_SHAPE(2), 1, 2);
    var_reshape(x, TENSOR_SHAPE(3));
    ck_assert(!tape_ok(tape));
    ck_assert_int_eq((int)tape_draw(tape, path).code, REEL_STATUS_OK);
    shell_must("grep -q 'reshape(\\[2\\])' '%s' && grep -q '\"name\": \"leaf\"' '%s'", path, path);
    shell_remove_folder(folder);
}
END_TEST

Suite *autograd_draw_suite(void);
Suite *autograd_draw_suite(void)
{
    Suite *suite = suite_create("autograd/draw");
    TCase *cases = tcase_create("draw");
    tcase_set_timeout(cases, 150);
    tcase_add_checked_fixture(cases, tape_set_up, tape_tear_down);
    tcase_add_test(cases, the_page_in_a_browser);
    tcase_add_test(cases, text_for_graphviz);
    tcase_add_test(cases, other_endings_and_folders_are_errors);
    tcase_add_test(cases, a_tape_without_values_or_with_an_error);
    suite_add_tcase(suite, cases);
    return suite;
}
