/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's content, as it is handed to the built-in service mesh-content. A peer reads
 * what it could fetch by content messages, and nothing else. Home worker.
 */
#include <string.h>

#include "blobs/blobs.h"
#include "blobs/read/read.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

static bool file_opened(void *arg, uint64_t size, uint64_t *out_off, uint64_t *out_len,
			uint64_t now_ns)
{
	struct builtin_reading *reading = arg;

	return reading->opened(reading, size, out_off, out_len, now_ns);
}

static bool file_piece(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct builtin_reading *reading = arg;

	return reading->piece(reading, data, len, now_ns);
}

static void file_done(void *arg, int err, const char *detail, uint64_t now_ns)
{
	struct builtin_reading *reading = arg;

	(void)detail;
	reading->ended(reading, err, now_ns);
}

static int content_read(void *ctx, const uint8_t *key, const uint8_t content_id[32],
			struct builtin_reading *reading, uint64_t now_ns)
{
	struct blobs *content = ((struct fabric *)ctx)->node->home->content;
	struct reader_ask ask = {
		.size = READER_SIZE_UNTOLD,
		.opened = file_opened,
		.piece = file_piece,
		.done = file_done,
		.arg = reading,
	};
	struct reader *reader;
	int err;

	memcpy(ask.content_id, content_id, sizeof(ask.content_id));
	if (!content || (key && !blobs_gives(content, content_id, key)))
		return WEFT_EABSENT;
	err = blobs_reader_start(content, &ask, now_ns, &reader);
	if (err == 0)
		reading->seam = reader;
	return err;
}

static void content_resume(void *ctx, struct builtin_reading *reading, uint64_t now_ns)
{
	(void)ctx;
	blobs_reader_resume(reading->seam, now_ns);
}

static void content_cancel(void *ctx, struct builtin_reading *reading)
{
	(void)ctx;
	blobs_reader_cancel(reading->seam);
}

struct builtin_content node_fabric_builtin_content(struct fabric *fabric)
{
	return (struct builtin_content){content_read, content_resume, content_cancel, fabric};
}
