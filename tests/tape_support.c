#include "tests/tape_support.h"
#include "tensor/mem_internal.h"

#include <check.h>

TensorArena arena;
Tape *tape;

void tape_set_up(void)
{
    tensor_arena_init(&arena, 0);
    tape = tape_new();
    ck_assert_ptr_nonnull(tape);
    tape_begin(tape);
}

void tape_tear_down(void)
{
    tape_free(tape);
    tensor_arena_free(&arena);
    reel_mem_fail_at(-1, 0);
    ck_assert_int_eq(reel_mem_stats().live_blocks, 0);
}
