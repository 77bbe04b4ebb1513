/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk side of an import. A ring is drained before a run returns, also
 * when it fails, so that no read of it is left in flight over a buffer.
 */
#include "import_read.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "crypto/blake3/blake3.h"

#define BLOCK_LEN BLAKE3_CHUNK_LEN

struct block {
	uint8_t *data;
	uint64_t off;
	size_t want_len;
	size_t got_len;
	int err;
	bool is_pending;
};

struct import_reader {
	enum import_read_way way;
	struct io_uring ring;
	uint8_t *memory;
	struct block blocks[IMPORT_READ_DEPTH];
};

/* ring_open: the ring reads what is open, and does nothing else. */
static int ring_open(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
		{.opcode = IORING_RESTRICTION_REGISTER_OP,
		 .register_op = IORING_REGISTER_ENABLE_RINGS},
	};
	int err = io_uring_queue_init(IMPORT_READ_DEPTH, ring, IORING_SETUP_R_DISABLED);

	if (err < 0)
		return err;
	err = io_uring_register_restrictions(ring, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (err == 0)
		err = io_uring_enable_rings(ring);
	if (err < 0)
		io_uring_queue_exit(ring);
	return err;
}

int blobs_import_reader_new(enum import_read_way way, struct import_reader **out_reader)
{
	struct import_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->memory = aligned_alloc(4096, (size_t)IMPORT_READ_DEPTH * BLOCK_LEN);
	if (!reader->memory) {
		free(reader);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < IMPORT_READ_DEPTH; i++)
		reader->blocks[i].data = reader->memory + (size_t)i * BLOCK_LEN;
	reader->way = way;
	if (way == IMPORT_READ_URING && ring_open(&reader->ring) < 0)
		reader->way = IMPORT_READ_PLAIN;
	*out_reader = reader;
	return 0;
}

void blobs_import_reader_free(struct import_reader *reader)
{
	if (!reader)
		return;
	if (reader->way == IMPORT_READ_URING)
		io_uring_queue_exit(&reader->ring);
	free(reader->memory);
	free(reader);
}

static int block_read(int fd, struct block *block)
{
	while (block->got_len < block->want_len) {
		ssize_t n =
			pread(fd, block->data + block->got_len, block->want_len - block->got_len,
			      (off_t)(block->off + block->got_len));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return WEFT_ECHANGED;
		block->got_len += (size_t)n;
	}
	return 0;
}

static size_t step_of(uint64_t left)
{
	return left < BLOCK_LEN ? (size_t)left : BLOCK_LEN;
}

static int run_plain(struct import_reader *reader, const struct import_part *part,
		     import_block_fn fn, void *arg)
{
	struct block *block = &reader->blocks[0];
	uint64_t end = part->off + part->len;

	for (uint64_t off = part->off; off < end; off += block->want_len) {
		int err;

		block->off = off;
		block->got_len = 0;
		block->want_len = step_of(end - off);
		err = block_read(part->fd, block);
		if (err < 0)
			return err;
		fn(arg, block->data, block->want_len);
	}
	return 0;
}

static void block_submit(struct import_reader *reader, int fd, struct block *block, uint64_t off,
			 size_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&reader->ring);

	*block = (struct block){.data = block->data,
				.off = off,
				.want_len = len,
				.is_pending = sqe != NULL,
				.err = sqe ? 0 : -EBUSY};
	if (!sqe)
		return;
	io_uring_prep_read(sqe, fd, block->data, (unsigned)len, off);
	io_uring_sqe_set_data(sqe, block);
}

/*
 * block_wait submits what is queued and takes completions until block is
 * among them. A ring that fails otherwise than for the moment is a
 * broken invariant: its reads could still land in our buffers.
 */
static void block_wait(struct import_reader *reader, struct block *block)
{
	while (block->is_pending) {
		struct io_uring_cqe *cqe;
		struct block *seen;
		int err = io_uring_submit_and_wait(&reader->ring, 1);

		weft_assert(err >= 0 || err == -EINTR || err == -EAGAIN || err == -EBUSY);
		if (io_uring_peek_cqe(&reader->ring, &cqe) != 0)
			continue;
		seen = io_uring_cqe_get_data(cqe);
		seen->is_pending = false;
		if (cqe->res < 0)
			seen->err = cqe->res;
		else
			seen->got_len = (size_t)cqe->res;
		io_uring_cqe_seen(&reader->ring, cqe);
	}
}

/*
 * Blocks form a queue: first is the next to hand over, the ones behind it
 * are being read. A short read is finished with pread.
 */
static int run_uring(struct import_reader *reader, const struct import_part *part,
		     import_block_fn fn, void *arg)
{
	uint64_t off = part->off, end = off + part->len;
	unsigned first = 0, cnt = 0;
	int err = 0;

	while (err == 0 && (off < end || cnt)) {
		struct block *block;

		for (; cnt < IMPORT_READ_DEPTH && off < end; cnt++) {
			struct block *next = &reader->blocks[(first + cnt) % IMPORT_READ_DEPTH];

			block_submit(reader, part->fd, next, off, step_of(end - off));
			off += next->want_len;
		}
		block = &reader->blocks[first];
		block_wait(reader, block);
		err = block->err;
		if (err == 0)
			err = block_read(part->fd, block);
		if (err == 0)
			fn(arg, block->data, block->want_len);
		first = (first + 1) % IMPORT_READ_DEPTH;
		cnt--;
	}
	return err;
}

int blobs_import_reader_run(struct import_reader *reader, const struct import_part *part,
			    import_block_fn fn, void *arg)
{
	int err;

	if (reader->way == IMPORT_READ_PLAIN || part->len <= BLOCK_LEN)
		return run_plain(reader, part, fn, arg);
	err = run_uring(reader, part, fn, arg);
	for (unsigned i = 0; i < IMPORT_READ_DEPTH; i++)
		block_wait(reader, &reader->blocks[i]);
	return err;
}
