/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_STUN_QUERY_H
#define WEFT_REACHABILITY_STUN_QUERY_H

#include <stdbool.h>

#include "base/timer.h"
#include "codec/stun.h"

struct dgram;
struct dgram_sink;
struct random;

/*
 * STUN requests of this node (RFC 8489 6.2.1). They leave from its own UDP port, so that the
 * mapping is that of its sessions. They leave at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, and are
 * given up 8 s later.
 */
#define STUN_QUERY_CNT	   4 /* under way at once */
#define STUN_QUERY_RTO_NS  500000000ull
#define STUN_QUERY_SENDS   7
#define STUN_QUERY_LAST_NS (16 * STUN_QUERY_RTO_NS)

/* Checks whether a node is at an address: one request each, which is not sent again. */
#define STUN_CHECK_CNT	   32 /* the newest ones; an answer to another is not known */
#define STUN_CHECK_LIFE_NS (4 * STUN_QUERY_RTO_NS)

struct stun_check {
	struct addr remote; /* family ADDR_NONE: free */
	uint8_t transaction[STUN_TRANSACTION_LEN];
	uint64_t sent_ns;
};

struct stun_query {
	struct timer timer;
	struct stun_queries *all;
	struct addr server; /* family ADDR_NONE: free */
	uint8_t transaction[STUN_TRANSACTION_LEN];
	unsigned sent_cnt;
};

/* The user fills in the functions and what they need; all are borrowed. */
struct stun_queries {
	struct dgram_sink **sink;
	struct timer_wheel *timers;
	struct random *random;
	/* mapped: this node as server sees it; NULL: no answer, or none with an address. */
	void (*answered)(void *ctx, const struct addr *server, const struct addr *mapped,
			 uint64_t now_ns);
	/* A node is at remote, which was checked. May be NULL. */
	void (*checked)(void *ctx, const struct addr *remote, uint64_t now_ns);
	void *ctx;
	struct stun_query rows[STUN_QUERY_CNT];
	struct stun_check checks[STUN_CHECK_CNT];
	unsigned next_check;
};

/* reachability_stun_ask: false: too many are under way, or server is asked already. */
bool reachability_stun_ask(struct stun_queries *queries, const struct addr *server,
			   uint64_t now_ns);
/* reachability_stun_check sends one request to remote. */
void reachability_stun_check(struct stun_queries *queries, const struct addr *remote,
			     uint64_t now_ns);
/* reachability_stun_input: message came in dgram; false: it was not asked for there. */
bool reachability_stun_input(struct stun_queries *queries, const struct dgram *dgram,
			     const struct stun_message *message, uint64_t now_ns);
/* reachability_stun_stop forgets all; nothing is called. */
void reachability_stun_stop(struct stun_queries *queries);

#endif
