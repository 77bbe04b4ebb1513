/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_LIMITS_H
#define WEFT_QUIC_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/transport.h"
#include "weft/bucket.h"
#include "weft/err.h"

/*
 * Who may hold how much: accepted handshakes per address prefix before a
 * key is proved, connections per key after, strangers' connections in all,
 * and stateless answers per prefix and second. Tables are as large as the connection table, so they
 * cannot be the thing that fills up first.
 */
#define LIMITS_ANSWER_BUCKETS 1024

/*
 * What an accepted connection counts as. A handshake without the token of a
 * known peer is a stranger's until it ends; then its key decides. So that
 * a known peer without a token can show its key while strangers hold all
 * they may, a part of their share is for handshakes alone: a quarter of it,
 * or as much as a quarter of what is reserved.
 */
enum quic_standing {
	QUIC_KNOWN,	    /* by its token or its key; our own dials, too */
	QUIC_STRANGER_NEW,  /* its handshake is under way */
	QUIC_STRANGER_OPEN, /* its key is proved, and new here */
};

struct quic_limits {
	struct pool counts;
	struct map by_prefix;
	struct map by_key;
	uint64_t secret[2];
	uint32_t per_prefix_cap;
	uint32_t per_key_cap;
	uint32_t stranger_cap;	    /* both kinds */
	uint32_t stranger_open_cap; /* of them open */
	uint32_t stranger_cnt, stranger_open_cnt;
	struct weft_bucket answers[LIMITS_ANSWER_BUCKETS];
};

struct limit_count; /* one prefix or key that holds at least one connection */

size_t quic_limits_footprint(uint32_t conn_cap);
WEFT_MUST_CHECK
int quic_limits_init(struct quic_limits *limits, struct arena *arena, uint32_t conn_cap,
		     uint32_t per_prefix_cap, uint32_t per_key_cap, const uint64_t secret[2]);

/*
 * quic_limits_hold_{prefix,key} count one more connection and return what
 * quic_limits_release takes back, or NULL when the cap is reached.
 */
struct limit_count *quic_limits_hold_prefix(struct quic_limits *limits, const struct addr *remote);
struct limit_count *quic_limits_hold_key(struct quic_limits *limits,
					 const uint8_t key[static TRANSPORT_KEY_LEN]);
/* quic_limits_release accepts NULL. */
void quic_limits_release(struct quic_limits *limits, struct limit_count *count);

/*
 * quic_limits_reserve keeps percent of conn_cap connections for known peers;
 * who has more already keeps it. At first nothing is reserved for anybody:
 * call it once before the first move.
 */
void quic_limits_reserve(struct quic_limits *limits, uint32_t conn_cap, uint32_t percent);
/* quic_limits_move changes *standing and its count; false: no room, and nothing changed. */
bool quic_limits_move(struct quic_limits *limits, enum quic_standing *standing,
		      enum quic_standing to);

/* quic_limits_may_answer takes one stateless answer from the prefix's credit. */
bool quic_limits_may_answer(struct quic_limits *limits, const struct addr *remote, uint64_t now_ns);

#endif
