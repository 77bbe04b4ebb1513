/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_CLOCK_VOTE_H
#define WEFT_API_DAEMON_CLOCK_VOTE_H

#include <stdint.h>

#include "base/addr.h"

/*
 * Whether peers find this node's clock off. Networks vote, /24 of IPv4 and /48 of IPv6, since one
 * host can have many keys. Peers behind relays are one network. A network with any peer whose clock
 * is like this one's votes for this one. Networks beyond CLOCK_VOTE_CAP have no vote. Pure.
 */
#define CLOCK_VOTE_CAP 64
#define CLOCK_VOTE_MIN 2 /* networks that say so: one alone proves nothing */

struct clock_vote {
	struct {
		struct addr network;
		int64_t skew_s; /* the smallest of its peers' */
	} networks[CLOCK_VOTE_CAP];
	unsigned cnt;
};

/* api_clock_vote_add: the clock of a peer at remote is ahead of this node's by skew_s. */
void api_clock_vote_add(struct clock_vote *vote, const struct addr *remote, int64_t skew_s);
/*
 * api_clock_vote_judge: more than half of the networks say that this node's clock is ahead by more than
 * max_s (*out_s is positive), or behind (negative). How many say so, 0: it is not off. *out_s is
 * the least that one of them says.
 */
unsigned api_clock_vote_judge(const struct clock_vote *vote, uint64_t max_s, int64_t *out_s);

#endif
