/* A tape as a page for a browser, and as text for Graphviz. */
#include "autograd/draw.h"
#include "autograd/draw_internal.h"
#include "autograd/profile_internal.h"
#include "tensor/mem.h"
#include "tensor/storage/atomic_file.h"
#include "tensor/storage/json_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 200 };

/* ---- What is said of a node ---- */

static const char *kind_of(const Tape *tape, const Node *node)
{
    const Value *value = tape_value(tape, node->first_output);
    if (node->op)
        return "op";
    if (value->record && tape->records[value->record - 1].parameter)
        return "parameter";
    return value->wants ? "leaf" : "constant";
}

static const char *name_of(const Tape *tape, const Node *node)
{
    const Value *value = tape_value(tape, node->first_output);
    const TapeParameter *parameter = value->record ? tape->records[value->record - 1].parameter : NULL;
    if (node->op)
        return node->op->name;
    return parameter && parameter->name ? parameter->name : kind_of(tape, node);
}

static bool is_loss(const Tape *tape, const Node *node)
{
    const Value *value = tape_value(tape, node->first_output);
    return value->record && tape->records[value->record - 1].backward_run;
}

/* Whether a tensor lies in memory of another. (Strides may be negative.) */
static bool lies_in(const Tensor *t, const Tensor *other)
{
    const char *low = other->data, *high = other->data;
    for (int i = 0; i < other->ndim; i++) {
        ptrdiff_t reach = (ptrdiff_t)((other->shape[i] - 1) * other->strides[i]) *
                          (ptrdiff_t)tensor_dtype_size(other->dtype);
        *(reach < 0 ? &low : &high) += reach;
    }
    const char *data = t->data;
    return data && other->data && tensor_numel(other) > 0 && data >= low && data <= high;
}

/* Bytes of memory that a node's outputs take; 0 for views of inputs and for what is not in memory. */
static size_t bytes_of(const Tape *tape, const Node *node)
{
    size_t bytes = 0;
    for (uint32_t k = 0; k < node->outputs; k++) {
        const Tensor *t = &tape_value(tape, node->first_output + k)->t;
        bool own = t->data != NULL;
        for (int i = 0; i < (int)node->count && own; i++)
            own = !lies_in(t, &tape_value(tape, node_input(tape, node, i))->t);
        if (own)
            bytes += (size_t)tensor_numel(t) * tensor_dtype_size(t->dtype);
    }
    return bytes;
}

/* "[2, 3]", or several with commas. */
static void shapes_text(const Tape *tape, const Node *node, char *text, size_t size)
{
    char shape[TENSOR_SHAPE_TEXT_SIZE];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t k = 0; k < node->outputs && used < size; k++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", k ? ", " : "",
                                 tensor_shape_text(&tape_value(tape, node->first_output + k)->t, shape));
}

/* ---- The page ---- */

/* Milliseconds forward and backward of each node in this step; NULL: it was not measured, or no memory. */
static double *times_of(const Tape *tape)
{
    const TapeProfile *profile = tape->measured;
    double *times = NULL;
    for (size_t i = 0; profile && i < profile->count; i++) {
        const ProfileEvent *event = &profile->events[i];
        if (event->tape != tape || event->stamp != tape->stamp || event->node >= tape->node_count)
            continue;
        if (!times)
            times = reel_mem_calloc(2 * (size_t)tape->node_count, sizeof *times);
        if (!times)
            return NULL;
        bool backward = event->backward && event->outer < 0;
        if (backward || !event->backward)
            times[2 * event->node + backward] += 1e3 * event->seconds;
    }
    return times;
}

static void write_node(ReelJsonWriter *json, const Tape *tape, const Node *node, const double *times)
{
    char text[400];
    const Value *first = tape_value(tape, node->first_output);
    reel_json_begin_object(json, NULL);
    reel_json_string(json, "name", name_of(tape, node));
    reel_json_string(json, "kind", is_loss(tape, node) ? "loss" : kind_of(tape, node));
    shapes_text(tape, node, text, sizeof text);
    reel_json_string(json, "shape", text);
    reel_json_string(json, "dtype", tensor_dtype_name(first->t.dtype));
    reel_json_integer(json, "bytes", (int64_t)bytes_of(tape, node));
    reel_json_bool(json, "held", first->held && !first->t.data);
    reel_json_bool(json, "wants", first->wants);
    tape_place_text(node->file, node->line, text);
    reel_json_string(json, "line", text);
    reel_json_string(json, "file", node->file ? node->file : "");
    text[0] = '\0';
    if (node->scope)
        tape_scope_text(node->scope, text, PATH_SIZE);
    reel_json_string(json, "path", text);
    reel_json_begin_array(json, "in");
    for (int i = 0; i < (int)node->count; i++)
        reel_json_integer(json, NULL, tape_value(tape, node_input(tape, node, i))->maker);
    reel_json_end_array(json);
    if (times) {
        reel_json_number(json, "forward", times[0]);
        reel_json_number(json, "backward", times[1]);
    }
    reel_json_end_object(json);
}

static bool put(ReelBytes *page, const char *text)
{
    return reel_bytes_append(page, text, strlen(text));
}

/* JSON inside a page: nothing in it can end the element that it stands in. */
static bool put_json(ReelBytes *page, const char *json)
{
    for (bool done = true; *json && done; json++)
        if (!(done = *json == '<' ? put(page, "\\u003c") : reel_bytes_append(page, json, 1)))
            return false;
    return true;
}

static bool write_page(ReelBytes *page, const Tape *tape)
{
    ReelJsonWriter json = {.compact = true};
    double *times = times_of(tape);
    reel_json_begin_object(&json, NULL);
    reel_json_integer(&json, "arena", (int64_t)tape->arena.used);
    reel_json_string(&json, "error", reel_status_is_ok(&tape->status) ? "" : tape->status.message);
    reel_json_begin_array(&json, "nodes");
    for (uint32_t i = 0; i < tape->node_count; i++)
        write_node(&json, tape, tape_node(tape, i), times ? times + 2 * (size_t)i : NULL);
    reel_json_end_array(&json);
    reel_json_end_object(&json);
    reel_mem_free(times);
    const char *data = reel_json_finish(&json);
    bool done = data != NULL;
    for (int i = 0; done && tape_draw_head[i]; i++)
        done = put(page, tape_draw_head[i]);
    done = done && put_json(page, data);
    for (int i = 0; done && tape_draw_tail[i]; i++)
        done = put(page, tape_draw_tail[i]);
    reel_json_free(&json);
    return done;
}

/* ---- Graphviz ---- */

REEL_PRINTF(2, 3) static bool print(ReelBytes *out, const char *format, ...)
{
    char line[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return put(out, line);
}

/* A name inside quotes: without any of its own. */
static const char *unquoted(const char *name, char *text)
{
    snprintf(text, PATH_SIZE, "%s", name ? name : "");
    for (char *at = text; *at; at++)
        if (*at == '"' || *at == '\\')
            *at = '_';
    return text;
}

static int depth_of(const TapeScope *scope)
{
    int depth = 0;
    for (; scope; scope = scope->parent)
        depth++;
    return depth;
}

/* The ancestor of a scope at a depth, 1 for the root. */
static const TapeScope *at_depth(const TapeScope *scope, int depth)
{
    for (int own = depth_of(scope); own > depth; own--)
        scope = scope->parent;
    return scope;
}

/* Closes the clusters that `from` is in and `to` is not, and opens those of `to`. Each run of a module is a
 * cluster of its own, numbered by `cluster`. */
static bool go_to_scope(ReelBytes *out, const TapeScope *from, const TapeScope *to, int *cluster)
{
    int open = depth_of(from), wanted = depth_of(to), same = 0;
    bool done = true;
    while (same < open && same < wanted && at_depth(from, same + 1) == at_depth(to, same + 1))
        same++;
    for (; open > same && done; open--)
        done = put(out, "}\n");
    for (int depth = same + 1; depth <= wanted && done; depth++) {
        char name[PATH_SIZE];
        done = print(out,
                     "subgraph cluster_%d {\nlabel=\"%s\"; labeljust=l; style=\"rounded,filled\"; "
                     "color=\"#00000030\"; fillcolor=\"#0072b20c\"; fontsize=11;\n",
                     (*cluster)++, unquoted(at_depth(to, depth)->name, name));
    }
    return done;
}

/* As on the page. */
static const char *colour_of(const Tape *tape, const Node *node)
{
    const Value *value = tape_value(tape, node->first_output);
    if (is_loss(tape, node))
        return "#d55e0055";
    if (node->op)
        return "#ffffff";
    if (value->record && tape->records[value->record - 1].parameter)
        return "#e69f0055";
    return value->wants ? "#009e7355" : "#eeeeee";
}

static bool write_dot_node(ReelBytes *out, const Tape *tape, uint32_t number)
{
    const Node *node = tape_node(tape, number);
    char shapes[400], place[PLACE_SIZE], name[PATH_SIZE];
    shapes_text(tape, node, shapes, sizeof shapes);
    tape_place_text(node->file, node->line, place);
    return print(out, "n%u [label=\"%s\\n%s %s\\n%s\", fillcolor=\"%s\", tooltip=\"%zu bytes\"];\n", number,
                 unquoted(name_of(tape, node), name), shapes,
                 tensor_dtype_name(tape_value(tape, node->first_output)->t.dtype), place,
                 colour_of(tape, node), bytes_of(tape, node));
}

static bool write_dot(ReelBytes *out, const Tape *tape)
{
    const TapeScope *scope = NULL;
    int cluster = 0;
    bool done = put(out, "digraph tape {\nrankdir=TB; fontname=\"sans-serif\";\nnode [shape=box, "
                         "style=\"rounded,filled\", fontsize=10, fontname=\"sans-serif\"];\n");
    for (uint32_t i = 0; i < tape->node_count && done; i++) {
        const Node *node = tape_node(tape, i);
        done = go_to_scope(out, scope, node->scope, &cluster) && write_dot_node(out, tape, i);
        scope = node->scope;
    }
    done = done && go_to_scope(out, scope, NULL, &cluster);
    for (uint32_t i = 0; i < tape->node_count && done; i++) {
        const Node *node = tape_node(tape, i);
        for (int k = 0; k < (int)node->count && done; k++) {
            const Value *value = tape_value(tape, node_input(tape, node, k));
            done = print(out, "n%u -> n%u%s;\n", value->maker, i, value->wants ? "" : " [style=dashed]");
        }
    }
    return done && put(out, "}\n");
}

/* ---- Both ---- */

ReelStatus tape_draw(const Tape *tape, const char *path)
{
    bool page = reel_path_ends(path, ".html"),
         graph = reel_path_ends(path, ".dot") || reel_path_ends(path, ".gv");
    ReelBytes text = {0};
    if (!page && !graph)
        return reel_status_usage("tape_draw: %s ends neither in .html (a page) nor in .dot or .gv (Graphviz)",
                                 path);
    ReelStatus status = (page ? write_page(&text, tape) : write_dot(&text, tape))
                            ? reel_atomic_file_put(path, text.data, text.size)
                            : reel_status_no_memory(text.size, "the picture of a tape");
    reel_bytes_free(&text);
    return status;
}
