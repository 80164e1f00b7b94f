#include "tests/tape_support.h"
#include "tensor/mem.h"

#include <check.h>

Arena arena;
Tape *tape;

void tape_set_up(void)
{
    arena_init(&arena, 0);
    tape = tape_new();
    ck_assert_ptr_nonnull(tape);
    tape_begin(tape);
}

void tape_tear_down(void)
{
    tape_free(tape);
    arena_free(&arena);
    mem_fail_at(-1, 0);
    ck_assert_int_eq(mem_stats().live_blocks, 0);
}
