/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_HOSTILE_PEER_H
#define WEFT_TESTS_HOSTILE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/transport.h"
#include "net/packet_io.h"

/*
 * A peer that takes places of a node from others. It has a key and a QUIC
 * engine of its own, proves the key, and says HELLO. On each stream that it
 * gets it then does what its behaviour says. When the node ends its session
 * it dials again, when a stream ends it opens the next.
 */
enum hostile_behaviour {
	HOSTILE_IDLE,	  /* no stream after HELLO */
	HOSTILE_HEAD,	  /* the first 14 bytes of a request */
	HOSTILE_STORE,	  /* a STORE without its last byte */
	HOSTILE_MANIFEST, /* GET_MANIFEST of content_id, whose answer is never read */
	HOSTILE_CHUNK,	  /* GET_CHUNK 0 of content_id, likewise */
	HOSTILE_CALL,	  /* a malformed CALL */
	HOSTILE_PUT,	  /* a STORE of a value of its own (stored_value.h) */
	HOSTILE_CHURN,	  /* closes when HELLO was answered, and stays away */
	HOSTILE_BEHAVIOUR_CNT,
};
extern const char *const hostile_behaviour_names[HOSTILE_BEHAVIOUR_CNT];

struct hostile_plan {
	struct addr node_addr;
	uint8_t node_key[TRANSPORT_KEY_LEN];
	uint8_t content_id[32];
	enum hostile_behaviour behaviour;
	unsigned stream_max; /* at a time, of each peer */
	uint64_t wall_s;
	struct random *random;
	const uint8_t *token; /* what dials show, of an earlier session; NULL: none */
	size_t token_len;
};

#define HOSTILE_TOKEN_CAP 256

struct hostile_peer {
	const struct hostile_plan *plan;
	struct node_key *key;
	struct quic_engine *engine;
	struct packet_rx *rx; /* both are closed with the peer */
	struct packet_tx *tx;
	struct transport_conn *conn;
	struct transport_stream *control;
	uint64_t dial_at_ns;
	unsigned stream_cnt;
	unsigned made_cnt, closed_cnt, reset_cnt; /* sessions, sessions, streams */
	uint64_t asked_cnt;			  /* streams that were opened */
	bool is_ready;
	uint8_t token[HOSTILE_TOKEN_CAP]; /* the last that the node gave; 0 bytes: none yet */
	size_t token_len;
};

/* hostile_peer_open takes rx and tx, also when it fails. plan is borrowed. 0 or an error. */
WEFT_MUST_CHECK
int hostile_peer_open(struct hostile_peer *peer, const struct hostile_plan *plan,
		      struct packet_rx *rx, struct packet_tx *tx, uint64_t now_ns);
/* hostile_peer_begin opens it with a socket of its own at from; port 0: any. 0 or an error. */
WEFT_MUST_CHECK
int hostile_peer_begin(struct hostile_peer *peer, const struct hostile_plan *plan,
		       const struct addr *from, uint64_t now_ns);
/* hostile_peer_close drops all without a word; NULLs are nothing. */
void hostile_peer_close(struct hostile_peer *peer);
/* hostile_peer_turn takes what arrived, dials, presses and sends; returns when to turn again. */
uint64_t hostile_peer_turn(struct hostile_peer *peer, uint64_t now_ns);
/* hostile_peer_was_answered: a session was made or refused. */
bool hostile_peer_was_answered(const struct hostile_peer *peer);

/*
 * hostile_forge writes the first flight of a dial to sink and forgets the
 * dial: an Initial, whose source is what the sink makes of it.
 */
WEFT_MUST_CHECK
int hostile_forge(const struct hostile_plan *plan, const struct node_key *key,
		  struct dgram_sink *sink, uint64_t now_ns);

#endif
