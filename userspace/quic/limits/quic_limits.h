/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_LIMITS_QUIC_LIMITS_H
#define WEFT_QUIC_LIMITS_QUIC_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/transport.h"
#include "weft/random_drop.h"
#include "weft/err.h"

struct random;

/*
 * How much a source may hold: handshakes from unvalidated addresses, connections
 * per key, and stateless answers per second.
 * The table of keys is as large as the connection table, so it cannot be
 * what fills up first.
 */

/*
 * Half-open connections: handshakes from unvalidated addresses. A prefix (IPv4 /32,
 * IPv6 /64) has a place in an array, found by a keyed hash, and a place admits
 * QUIC_HALF_OPEN_PREFIX_MAX at once. Any source can fill the places, with forged
 * addresses too, and a forger can fill the place of a victim. A handshake that shows
 * no token is then asked for a Retry, which costs a round trip. Handshakes with a
 * token of this node take no part.
 */
#define QUIC_HALF_OPEN_PREFIX_MAX 8
#define QUIC_HALF_OPEN_PLACE_CNT  4096
#define QUIC_HALF_OPEN_NONE	  0xffff /* the place of a handshake that is not half-open */

struct quic_half_open {
	uint32_t cnt, peak_cnt;
	uint64_t secret[2];
	uint8_t places[QUIC_HALF_OPEN_PLACE_CNT];
};

void quic_half_open_init(struct quic_half_open *half_open, const uint64_t secret[2]);
/* quic_half_open_enter takes a place, of cap in all; QUIC_HALF_OPEN_NONE: none is free for remote. */
uint16_t quic_half_open_enter(struct quic_half_open *half_open, uint32_t cap,
			      const struct addr *remote);
/* quic_half_open_leave takes QUIC_HALF_OPEN_NONE, too. */
void quic_half_open_leave(struct quic_half_open *half_open, uint16_t place);

/*
 * Answers without state. All are smaller than the datagrams that ask for
 * them, so they have no limit per prefix. A forger would use it up for its
 * owner. Each kind has one limit in all, drawn by lot beyond it
 * (weft/random_drop.h).
 */
enum quic_answer {
	QUIC_ANSWER_RETRY,
	QUIC_ANSWER_VERSION,
	QUIC_ANSWER_RESET,
	QUIC_ANSWER_CLOSE,
	QUIC_ANSWER_CNT,
};

struct quic_limits {
	struct pool counts;
	struct map by_key;
	struct quic_half_open half_open;
	uint32_t per_key_cap;
	struct weft_random_drop answers[QUIC_ANSWER_CNT];
	__u64 salt[3]; /* of the lots */
};

struct limit_count; /* one key that holds at least one connection */

WEFT_MUST_CHECK
int quic_limits_init(struct quic_limits *limits, struct arena *arena, uint32_t conn_cap,
		     uint32_t per_key_cap, struct random *random);

/*
 * quic_limits_hold_key counts one more connection and returns what
 * quic_limits_release takes back, or NULL when the cap is reached.
 */
struct limit_count *quic_limits_hold_key(struct quic_limits *limits,
					 const uint8_t key[static TRANSPORT_KEY_LEN]);
/* quic_limits_release accepts NULL. */
void quic_limits_release(struct quic_limits *limits, struct limit_count *count);

/* quic_limits_may_answer takes one answer of a kind from the credit of all. */
bool quic_limits_may_answer(struct quic_limits *limits, enum quic_answer kind, uint64_t now_ns);

#endif
