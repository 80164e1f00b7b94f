/* What the commands of tools/bpe share: a file a command (bpe_train.c, bpe_encode.c, ...), their input,
 * output and progress in bpe_io.c. */
#ifndef REEL_TOOLS_BPE_H
#define REEL_TOOLS_BPE_H

#include "tools/meter.h"
#include "models/bpe/bpe.h"
#include "tools/program.h"

#include <stdbool.h>

enum { BPE_BLOCK_BYTES = 4 << 20, BPE_MAX_THREADS = 64 };

/* Each takes the command line from its own name on. */
ReelStatus bpe_command_train(int argc, char **argv);
ReelStatus bpe_command_encode(int argc, char **argv);
ReelStatus bpe_command_decode(int argc, char **argv);
ReelStatus bpe_command_info(int argc, char **argv);
ReelStatus bpe_command_convert(int argc, char **argv);

/* Shows how many bytes are done. */
void bpe_show_bytes(Meter *meter, const char *what, uint64_t done);

/* Takes a block of whole lines of a file, the file's first or a later one. */
typedef ReelStatus BpeTakeBlock(void *context, const char *name, bool is_first, const char *text,
                                size_t size);
/* Hands files, or the standard input ("-"), over in blocks of `at_least` bytes or more; shows how far
 * it is as what is done: "encoding". *bytes (may be NULL): how many there were. */
ReelStatus bpe_each_block(const char **files, int count, const char *what, size_t at_least,
                          BpeTakeBlock *take, void *context, uint64_t *bytes);

/* To the standard output. */
ReelStatus bpe_write(const char *data, size_t size);

#endif
