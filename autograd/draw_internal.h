/* The parts of the page that tape_draw() writes which are the same for each tape. */
#ifndef REEL_AUTOGRAD_DRAW_INTERNAL_H
#define REEL_AUTOGRAD_DRAW_INTERNAL_H

/* Lists of strings that end with NULL: all in front of the data, which are JSON, and all behind them. */
extern const char *const tape_draw_head[];
extern const char *const tape_draw_tail[];

#endif
