/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PAIR_RAW_H
#define WEFT_TESTS_PAIR_RAW_H

#include "support/transport_pair.h"

#define PAIR_STREAMS 24
#define PAIR_RAW_CAP 8192

/*
 * A speaker without a mesh, for saying what no mesh would: it remembers
 * the last connection and what came on each stream.
 */
struct pair_raw_stream {
	struct transport_stream *stream; /* NULL: closed */
	bool is_ours;
	bool has_fin;
	bool is_reset;
	bool is_closed;
	size_t len;
	uint8_t bytes[PAIR_RAW_CAP];
};

struct pair_raw {
	struct pair_end *end;
	struct transport_conn *conn;
	bool is_closed;
	struct transport_close close;
	unsigned ready_cnt, stream_cnt;
	struct pair_raw_stream streams[PAIR_STREAMS];
};
extern const struct transport_events pair_raw_events; /* ctx: struct pair_raw */

/* pair_raw_dial connects to addr and waits; false when that failed. */
bool pair_raw_dial(struct pair_raw *raw, struct addr addr, uint8_t key_byte);
/* pair_raw_open gives the index of a new stream. */
unsigned pair_raw_open(struct pair_raw *raw);
void pair_raw_send(struct pair_raw *raw, unsigned stream, const void *data, size_t len, bool fin);

#endif
