/* Checkpoint files: a zip archive of .npy arrays and plain members, as numpy.savez_compressed writes it.
 *
 * The zip layer is Reel's own (zlib deflates, inflates and counts the CRC-32); docs and reasons are in
 * npz_format_internal.h. npz_writer.h writes a file, npz_reader.h reads one. */
#ifndef REEL_TENSOR_NPZ_H
#define REEL_TENSOR_NPZ_H

#include "tensor/storage/npy.h"
#include "tensor/storage/npz_reader.h"
#include "tensor/storage/npz_writer.h"

#endif
