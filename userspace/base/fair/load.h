/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_LOAD_H
#define WEFT_BASE_FAIR_LOAD_H

#include <stdint.h>

#include "base/addr.h"
#include "fair_path.h"
#include "refusals.h"
#include "weft/err.h"

struct arena;

/*
 * Load: which accounts cost this worker most, of a set without bound, in fixed memory. It orders
 * work and names accounts; it refuses nothing.
 *
 * Counters of the Space-Saving kind (Metwally, Agrawal, El Abbadi 2005) in a set-associative table.
 * An account has two lines of LOAD_WAYS entries, and one without an entry takes the smallest of
 * both. It begins at that one's level, which is kept as its excess. The load of an account is its
 * level less its excess, so
 *   - it is never more than what was charged, but for two accounts with
 *     one tag in one line (2^-32 for each pair);
 *   - it is less by at most the smallest level of its lines when it last lost its entry. That is at
 *     most a LOAD_WAYS-th of the charges to a line. Loads halve each LOAD_HALF_NS, in steps of a
 *     sixteenth of it, and stop at LOAD_MAX. A time before the latest one counts as the latest.
 *
 * Any peer with a validated address can fill the table. An honest peer notices nothing: accounts
 * that cost little are forgotten first, and then count as ones that cost nothing.
 *
 * 2,048 lines are 128 KiB and 14,336 entries. One worker, no locks.
 */
#define LOAD_WAYS     7
#define LOAD_LINE_CNT 2048u
#define LOAD_HALF_NS  8000000000ull
#define LOAD_MAX      UINT16_MAX

/*
 * Prices: one is about 10 microseconds of this CPU. A handshake is 270 us
 * (bench/handshake-rate, 2026-11, two cores). By estimate, 200 are for the
 * flight with the client's hello and 70 for the one with its Finished.
 */
#define LOAD_PRICE_HELLO    20
#define LOAD_PRICE_FINISHED 7
#define LOAD_PRICE_REFUSED  1

struct load_entry {
	uint32_t tag; /* 0: free */
	uint16_t level;
	uint16_t excess;
};

struct load_line {
	uint64_t tick; /* of the levels */
	struct load_entry entries[LOAD_WAYS];
};
_Static_assert(sizeof(struct load_line) == 64, "a line of the cache");

/* The account: of an address, a key, or both; without either that of a local user. */
struct load_who {
	const struct addr *addr;
	const uint8_t *key; /* 32 bytes; NULL: not known yet */
	uint32_t uid;
};

/* A network among those that cost most. */
#define LOAD_NETWORK_CNT 8
struct load_network {
	struct addr prefix;
	uint8_t prefix_len; /* 0: none */
	uint32_t load;
};

/* Private to base/fair/load.c, but for paths.site, which the owner may set before the first charge. */
struct load {
	struct load_line *lines;
	uint32_t line_cnt;
	struct fair_paths paths;
	uint64_t tick;
	struct load_network networks[LOAD_NETWORK_CNT]; /* the candidates; loads are read anew */
	struct refusals refusals;
};

/* load_init: line_cnt is a power of two, at least 2. 0, or WEFT_EFULL: arena is too small. */
WEFT_MUST_CHECK
int load_init(struct load *load, struct arena *arena, uint32_t line_cnt, const uint64_t secret[2]);

/* load_path: the path of an asker, for the functions below; family first, key last. */
void load_path(const struct load *load, const struct load_who *who, struct fair_path *out);

/*
 * load_charge adds price, the cost to this worker, to each account of a peer with a validated
 * address.
 */
void load_charge(struct load *load, const struct load_who *who, uint32_t price, uint64_t now_ns);

/*
 * load_refuse: pool (static) refused a peer with a validated address, and asked it to wait
 * wait_ms. The refusal is charged to its address and key only, never to wider prefixes, and kept
 * by pool (base/fair/refusals.h). load may be NULL.
 */
void load_refuse(struct load *load, const struct load_who *who, const char *pool, uint32_t wait_ms,
		 uint64_t now_ns);

/* load_read: the load of the account at level of path, in [0, LOAD_MAX]. */
uint32_t load_read(const struct load *load, const struct fair_path *path, unsigned level,
		   uint64_t now_ns);

/*
 * load_compare: the order of service, as strcmp gives it. The path goes first whose account costs
 * less where the two part, from the widest level. 0: neither.
 */
int load_compare(const struct load *load, const struct fair_path *a, const struct fair_path *b,
		 uint64_t now_ns);

/* load_network_of: the network of addr, which is of a family, that accounts nest in; load is 0. */
struct load_network load_network_of(const struct load *load, const struct addr *addr);

/* load_networks: those that cost most, the most first. Returns how many were written. */
unsigned load_networks(const struct load *load, uint64_t now_ns,
		       struct load_network out[static LOAD_NETWORK_CNT]);
/* load_networks_add: of another worker; a network that both have counts as the sum. */
void load_networks_add(struct load_network sum[static LOAD_NETWORK_CNT],
		       const struct load_network more[static LOAD_NETWORK_CNT]);

#endif
