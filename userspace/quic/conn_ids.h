/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_CONN_IDS_H
#define WEFT_QUIC_CONN_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "weft/cid.h"
#include "weft/err.h"

struct arena;
struct random;

/*
 * Which connection a datagram belongs to, asked in three ways. Ids of
 * ours are 16 bytes with a tag (weft/cid.h), so a forged one is refused
 * before the table is asked. The id that a client invents for its first
 * flight has no tag and its own table, which only long headers reach. And
 * a stateless reset is known by the token the peer once gave us.
 */
#define CID_ORIGIN_LEN_MAX  20 /* RFC 9000 17.2 */
#define CID_RESET_TOKEN_LEN 16

struct cid_origin {
	uint8_t len; /* 0: none */
	uint8_t data[CID_ORIGIN_LEN_MAX];
};

/*
 * Tags are keyed by generation. The newest four generations are honoured,
 * and a new one may start only when the one it displaces has no living id,
 * so a change loses nobody. Keys are made of a secret and a count of hours,
 * so that all workers of a node come to the same ones, and a node that
 * starts again knows the ids of its last life for those it may reset.
 */
struct quic_cids {
	struct map ours;
	struct map origins;
	struct map reset_tokens;
	struct weft_cid_keys keys;
	uint32_t live_cnt[WEFT_CID_KEY_CNT]; /* ids in use, by generation % 4 */
	uint64_t secret[2];
	uint32_t epoch;	 /* of the newest generation, which is its last byte */
	void *last_conn; /* of last_cid: datagrams of one sender come in trains */
	uint8_t last_cid[WEFT_CID_LEN];
	uint16_t worker;
};

size_t quic_cids_footprint(uint32_t conn_cap);
struct quic_cids_params {
	uint32_t conn_cap;
	uint16_t worker;
	uint32_t epoch;		/* the same for all workers of a node */
	uint64_t secret[2];	/* likewise, and in every life */
	uint64_t map_secret[2]; /* this engine's own */
};
WEFT_MUST_CHECK
int quic_cids_init(struct quic_cids *cids, struct arena *arena,
		   const struct quic_cids_params *params);
/* quic_cids_can_rotate: the generation that a new one displaces has no living id. */
bool quic_cids_can_rotate(const struct quic_cids *cids);
/* quic_cids_rotate starts a new generation. */
void quic_cids_rotate(struct quic_cids *cids);

/* quic_cids_issue makes a new id that leads to conn. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int quic_cids_issue(struct quic_cids *cids, struct random *random, void *conn,
		    uint8_t out_cid[static WEFT_CID_LEN]);
void quic_cids_retire(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN]);
/* quic_cids_lookup gives the connection that a tagged id leads to, or NULL. */
void *quic_cids_lookup(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN]);
/* quic_cids_is_ours checks generation and tag; no table is asked. */
bool quic_cids_is_ours(const struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN]);

#endif
