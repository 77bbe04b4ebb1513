/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_SEALED_FILE_H
#define WEFT_CRYPTO_SEALED_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * A file that only a passphrase opens: bytes are appended in order and read
 * back in the same order. Its form, numbers big-endian:
 *	magic 12 | opslimit u32 | memlimit u32 | salt 16 | header 24
 *	blocks: secretstream of 64 KiB each with 17 bytes more, the last one shorter and marked final
 *	digest 32: BLAKE3 of all before it
 * The key is Argon2id of the passphrase. The digest is no secret: it tells a file that was
 * altered or cut short from a wrong passphrase. Whether the contents are genuine is up to
 * the blocks, each of which is authenticated in its place.
 *
 * Context: any thread; opening takes about a second and 256 MiB.
 */
#define SEALED_PASSPHRASE_LEN_MIN 8u
#define SEALED_PASSPHRASE_CAP	  1024

struct sealed_writer;
/* sealed_writer_open: fd, borrowed, is an empty file. 0, -ENOMEM or -errno. */
WEFT_MUST_CHECK
int sealed_writer_open(int fd, const char *passphrase, struct sealed_writer **out_writer);
/* sealed_writer_add copies; an error is sticky and comes from sealed_writer_finish. */
void sealed_writer_add(struct sealed_writer *writer, const void *data, size_t len);
/* sealed_writer_finish writes the last block and the digest and waits for the disk. */
WEFT_MUST_CHECK
int sealed_writer_finish(struct sealed_writer *writer);
/* sealed_writer_close wipes; takes NULL. An unfinished file is refused when read. */
void sealed_writer_close(struct sealed_writer *writer);

struct sealed_reader;
/*
 * sealed_reader_open reads the whole file of fd, borrowed, against its digest before it asks
 * for the passphrase. WEFT_EMALFORMED (no such file), WEFT_EDAMAGED (altered or cut short),
 * WEFT_ESEALED (another passphrase), -ENOMEM or -errno.
 */
WEFT_MUST_CHECK
int sealed_reader_open(int fd, const char *passphrase, struct sealed_reader **out_reader);
/* sealed_reader_take gives the next len bytes: 0, WEFT_EDAMAGED (also beyond the end), -errno. */
WEFT_MUST_CHECK
int sealed_reader_take(struct sealed_reader *reader, void *dst, size_t len);
/* sealed_reader_is_at_end: all was taken. False as well when what follows cannot be read. */
bool sealed_reader_is_at_end(struct sealed_reader *reader);
/* sealed_reader_close wipes; takes NULL. */
void sealed_reader_close(struct sealed_reader *reader);

#endif
