/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_QUIC_DUEL_H
#define WEFT_TESTS_QUIC_DUEL_H

#include "support/quic_peer.h"

struct quic_engine;

/*
 * An engine, kept from one duel to the next, against a quic_peer. Datagrams go to
 * and fro until neither has one; time moves only where pacing wants it. The
 * engine's speaker greets on a stream of its own and answers those of the peer.
 */
struct quic_duel {
	struct quic_peer peer;
	struct quic_engine *engine;
	bool was_ready; /* the engine's handshake ended well */
	bool is_over;	/* the engine reported the end to its speaker, a dialler's */
	unsigned stream_cnt;
	uint64_t received_len; /* on streams of the peer */
	int close_err;	       /* WEFT_E of the end */
	uint16_t port;	       /* of the peer's address */
	uint8_t key[32];       /* of a peer that was dialled */
};

/* quic_duel_begin fills in seed and send; a dialled peer is dialled at once. */
void quic_duel_begin(struct quic_duel *duel, const struct quic_peer_config *config);
/* quic_duel_run delivers what there is; quic_duel_wait lets time pass first. */
void quic_duel_run(struct quic_duel *duel);
void quic_duel_wait(struct quic_duel *duel, uint64_t for_ns);
/* quic_duel_end lets all timers run out, and asserts that nothing is left of it. */
void quic_duel_end(struct quic_duel *duel);

#endif
