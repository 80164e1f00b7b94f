/* The user's cell of docs/examples, as it stands there. */
#define OWN_CELL_WITHOUT_MAIN
#include "docs/examples/own_cell.c"
