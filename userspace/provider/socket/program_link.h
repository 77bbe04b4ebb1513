/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_SOCKET_PROGRAM_LINK_H
#define WEFT_PROVIDER_SOCKET_PROGRAM_LINK_H

#include "provider/program_offer.h"
#include "program_message.h"
#include "provider/queue.h"

/*
 * Private to provider/: the connection to a program on a unix socket that one call or one stream
 * uses. Each has its own, so its end shows the program that the caller left.
 */
struct program_link {
	struct active active;
	struct poller_watch watch; /* fd -1: not open */
	unsigned interest;
	bool is_connecting;
	bool is_reading; /* the owner wants more bytes */
	struct queue out;
	/* Bytes that came and were not taken: [0, in_len) of in, a block of the heap. */
	char *in;
	size_t in_len, in_cap;
	void (*ready)(struct program_link *link, uint64_t now_ns);
};

/*
 * provider_program_link_open connects. 0 or -errno. link is zeroed but for active, and out empty.
 */
WEFT_MUST_CHECK
int provider_program_link_open(struct program_link *link);
/* provider_program_link_close also takes one that was never open; it gives all memory back. */
void provider_program_link_close(struct program_link *link);

/*
 * provider_program_link_turn finishes connecting, and sends the waiting bytes, *out_sent_len of
 * them. 0, or -errno: the program is gone.
 */
WEFT_MUST_CHECK
int provider_program_link_turn(struct program_link *link, size_t *out_sent_len);
/*
 * provider_program_link_read reads the available bytes, at most so many that in holds len_max. 1:
 * some came; 0: none for now; WEFT_ETOOLARGE: in is full; WEFT_EFULL: no memory; WEFT_ECLOSED: the
 * program closed, or -errno.
 */
WEFT_MUST_CHECK
int provider_program_link_read(struct program_link *link, size_t len_max);
/* provider_program_link_watch waits as is_reading and out require. 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int provider_program_link_watch(struct program_link *link);
/*
 * provider_program_link_reply looks for a whole reply in in. Returns 1 with *out_reply, 0 when
 * the reply is not whole, or WEFT_EMALFORMED. The caller drops the reply's *out_len bytes, with
 * the NUL, from in.
 */
WEFT_MUST_CHECK
int provider_program_link_reply(struct program_link *link, struct program_reply *out_reply,
				size_t *out_len);

#endif
