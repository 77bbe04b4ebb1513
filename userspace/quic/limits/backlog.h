/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_LIMITS_BACKLOG_H
#define WEFT_QUIC_LIMITS_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dgram.h"
#include "base/fair/fair_path.h"
#include "weft/err.h"

struct arena;
struct load;

/*
 * Datagrams of handshakes that wait for their crypto: Initials that show a
 * token, and later datagrams of handshakes under way, from addresses that are
 * proven. They are served in the order of load (base/fair/load.h): the network
 * that costs least first, among equals in order of arrival. At most
 * BACKLOG_TURN_MAX are served in a turn, some 4 ms of crypto, so sessions wait
 * no longer than that for handshakes. Datagrams of one connection have one
 * address and keep their order.
 *
 * Not ordered: Initials without a token, which the limit of half-open
 * connections bounds (quic/limits/quic_limits.h), and datagrams longer than BACKLOG_DGRAM_MAX.
 *
 * Any client with a proven address can fill it. A datagram of the network that costs most then
 * makes room, or is not taken in. An honest client of another network notices a turn's delay;
 * one of that network notices a retransmission.
 */
#define BACKLOG_CAP	  128u
#define BACKLOG_TURN_MAX  16u
#define BACKLOG_DGRAM_MAX 1500u

struct backlog_slot {
	struct dgram dgram; /* data is the slot's */
	struct fair_path path;
	uint64_t seq;
	uint8_t data[BACKLOG_DGRAM_MAX];
};

struct backlog {
	struct backlog_slot *slots; /* [0, cnt) wait */
	uint32_t cnt, peak_cnt;
	uint32_t worst_idx; /* the slot that makes room, while has_worst */
	bool has_worst;
	uint64_t seq;
	uint64_t dropped_cnt;
};

/* quic_backlog_init: 0, or WEFT_EFULL: arena is too small. */
WEFT_MUST_CHECK
int quic_backlog_init(struct backlog *backlog, struct arena *arena);

/*
 * quic_backlog_put copies dgram, of at most BACKLOG_DGRAM_MAX bytes, and charges
 * its address one unit. In a full backlog dgram takes the place of another or is
 * dropped, whichever costs more. quic_backlog_first: whose turn it is, or NULL;
 * borrowed until quic_backlog_remove.
 */
void quic_backlog_put(struct backlog *backlog, struct load *load, const struct dgram *dgram,
		      uint64_t now_ns);
struct backlog_slot *quic_backlog_first(struct backlog *backlog, const struct load *load,
					uint64_t now_ns);
void quic_backlog_remove(struct backlog *backlog, struct backlog_slot *slot);

#endif
