/* What the commands of tools/bpe share: a file a command (bpe_train.c, bpe_encode.c, ...), their input,
 * output and progress in bpe_io.c. */
#ifndef REEL_TOOLS_BPE_H
#define REEL_TOOLS_BPE_H

#include "tools/meter.h"
#include "models/bpe/bpe.h"
#include "tensor/storage/json_writer.h"
#include "tensor/storage/text_source.h"
#include "tools/program.h"

#include <stdbool.h>
#include <stdio.h>

enum { BPE_BLOCK_BYTES = 4 << 20, BPE_MAX_THREADS = 64 };

/* Each takes the command line from its own name on. */
ReelStatus bpe_command_train(int argc, char **argv);
ReelStatus bpe_command_encode(int argc, char **argv);
ReelStatus bpe_command_decode(int argc, char **argv);
ReelStatus bpe_command_info(int argc, char **argv);
ReelStatus bpe_command_convert(int argc, char **argv);

/* Shows how many bytes are done. */
void bpe_show_bytes(Meter *meter, const char *what, uint64_t done);

/* Blocks of whole lines from a file, or from the standard input ("-"). */
typedef struct Input {
    ReelTextSource source;
    ReelBytes bytes; /* the block, then what was read behind it */
    size_t block;
    uint64_t read;
} Input;

ReelStatus input_open(Input *input, const char *path);
void input_close(Input *input);
/* The next `at_least` bytes or more of whole lines, in bytes.data[0 .. block); 0 at the end. */
ReelStatus input_next(Input *input, size_t at_least);

ReelStatus output_write(const char *data, size_t size);
ReelStatus output_flush(void);
ReelStatus output_no_memory(void);
void output_report(FILE *to, ReelJsonWriter *json);

#endif
