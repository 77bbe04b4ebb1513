/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_TRUST_RELAY_CHOICE_H
#define WEFT_RELAY_TRUST_RELAY_CHOICE_H

#include "relay/end/relay_end.h"
#include "relay_trust.h"

/*
 * The relays to use next, few of many: by trust, and of one trust by what is known of them. Each
 * trust has at most half of the places while others want some, as relays that are down stay first.
 *
 * An unknown node becomes a candidate by its own word: a key is free, and HELLO or an announcement
 * says what it likes. So of their relays at most two are of one network, /24 of IPv4 or /48 of IPv6.
 * Each source has at most half of the places. Both hold while others want some. An honest relay that
 * is left out is drawn another time. Pure; a choice is made anew each time, on the stack.
 */
enum relay_choice_source {
	RELAY_CHOICE_SERVING, /* it has a session that this node began, or has served this node */
	RELAY_CHOICE_DRAWN,   /* announced: drawn by score */
	RELAY_CHOICE_CLAIMED, /* it dialled this node, and says that it is a relay */
	RELAY_CHOICE_MET,     /* without a session; this node dialled it once */
	RELAY_CHOICE_SOURCE_CNT,
};

#define RELAY_CHOICE_HALF	 (RELAY_END_PLACES_MAX / 2)
#define RELAY_CHOICE_NETWORK_MAX 2u

struct relay_choice_row {
	struct relay_end_place place;
	bool is_beyond; /* its network has its two */
	bool is_taken;
};
struct relay_choice_list {
	struct relay_choice_row rows[RELAY_END_PLACES_MAX];
	unsigned cnt;
};
struct relay_choice {
	struct relay_choice_list trusted[RELAY_TRUST_UNKNOWN];
	struct relay_choice_list unknown[RELAY_CHOICE_SOURCE_CNT];
	unsigned refused_cnt;
};

/* relay_choice_add: in the order of preference within one trust and source. Zeroed at first. */
void relay_choice_add(struct relay_choice *choice, const struct relay_end_place *place,
		      enum relay_trust trust, enum relay_choice_source source);
/* relay_choice_take writes those chosen in the order in which they are used; how many. Once. */
unsigned relay_choice_take(struct relay_choice *choice,
			   struct relay_end_place out[static RELAY_END_PLACES_MAX]);

#endif
