/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_BANS_H
#define WEFT_NODE_BANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * Addresses and networks that are not heard: the list that the fast path's
 * tables are filled from. Bounded, in memory: a restart forgets it. Home
 * worker only.
 */
#define BANS_CAP       1024
#define BAN_REASON_CAP 96
#define BAN_TEXT_CAP   56 /* "2001:db8::/128" at its longest */

struct ban {
	struct addr prefix; /* bits beyond prefix_len are zero, no port */
	unsigned prefix_len;
	uint64_t rule;	     /* its number, from 1 */
	uint64_t added_s;    /* wall clock */
	uint64_t expires_ns; /* monotonic; 0: never */
	char reason[BAN_REASON_CAP];
};

struct bans {
	struct ban list[BANS_CAP]; /* [0, cnt) in use, in no order */
	unsigned cnt;
	uint64_t next_rule;
};

/* ban_parse reads "192.0.2.1", "192.0.2.0/24" or "2001:db8::/32". 0 or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int ban_parse(const char *text, struct addr *out_prefix, unsigned *out_prefix_len);
/* ban_format writes the text that ban_parse reads; returns text. */
const char *ban_format(const struct ban *ban, char text[static BAN_TEXT_CAP]);

/*
 * bans_put adds ban or replaces the one of the same prefix; rule is filled
 * in. 0 or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int bans_put(struct bans *bans, struct ban *ban);
/* bans_remove takes the one of that prefix out into *out_ban. False: there is none. */
bool bans_remove(struct bans *bans, const struct addr *prefix, unsigned prefix_len,
		 struct ban *out_ban);
/* bans_expire takes one out that has expired by now_ns. False: there is none. */
bool bans_expire(struct bans *bans, uint64_t now_ns, struct ban *out_ban);
/* bans_count: those of one family. */
uint32_t bans_count(const struct bans *bans, uint8_t family);

#endif
