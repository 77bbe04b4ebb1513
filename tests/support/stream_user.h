/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STREAM_USER_H
#define WEFT_TESTS_STREAM_USER_H

#include "mesh/seam_stream.h"

/*
 * A user of one mesh stream that writes down its events, one word each. They are "f300:5" for a
 * frame and its length, "d:text" for data, "fin", "writable", "end:-1013" or "end:-1010/7" with
 * a code. Data that come in pieces are one word.
 */
struct stream_user {
	struct mesh_stream *stream; /* NULL: gone */
	const struct mesh_stream_ops *ops;
	char log[4096];
	size_t log_len;
	bool is_in_data; /* the last word */
	bool keeps;	 /* data is not consumed */
	size_t kept_len, data_len;
	char resets_in; /* 'f', 'd', 'n' (fin), 'w', 'e': reset inside that event; 0: never */
	unsigned last_flags;
	unsigned ended_cnt;
	struct mesh_stream_end end;
	uint8_t actual_key[MESH_KEY_LEN];
	uint64_t ended_at_ns;
	unsigned lent_cnt; /* tails that have not come back */
};
extern const struct mesh_stream_events stream_user_events; /* arg: struct stream_user */

/*
 * Streams that peers open are given to the users in turn; more than that is refused with
 * WEFT_EFULL.
 */
#define STREAM_HOST_USERS 8
struct stream_host {
	const struct mesh_stream_ops *ops;
	struct stream_user users[STREAM_HOST_USERS];
	unsigned cnt;
	int refusal; /* what accept returns, when set */
	bool resets; /* the stream inside accept */
};
int stream_host_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
		       struct mesh_stream_user *out_user);

/* stream_user_open: as ops->open, to node key_byte 32 times at addr (NULL: no address). */
int stream_user_open(struct stream_user *user, struct mesh_stream_seam seam, uint8_t key_byte,
		     const struct addr *addr, uint64_t now_ns);
/* stream_user_say sends a frame of head and, unless NULL, a lent tail. */
int stream_user_say(struct stream_user *user, unsigned type, const char *head, const char *tail);

#endif
