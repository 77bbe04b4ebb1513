/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_OFFENCES_H
#define WEFT_FIREWALL_OFFENCES_H

#include <stdint.h>

#include "base/addr.h"
#include "ban_rule.h"

/*
 * Which keys were banned for their reputation within the last hour, and from which address. A ban
 * proves something of a key, and of its address only together with others: at OFFENCES_KEYS_MIN
 * keys the address is limited. Each key has one cause id while any of its offences is remembered,
 * by which an operator's pardon finds all that followed.
 *
 * Any peer with keys can fill it. One address has OFFENCES_PLACE_CAP of the offences at most; a
 * full table forgets its oldest, so an honest peer notices nothing. Pure, on one thread. A zeroed
 * one is empty.
 */
#define OFFENCES_CAP	   1024
#define OFFENCES_PLACE_CAP 8
#define OFFENCES_KEYS_MIN  3
#define OFFENCES_WINDOW_S  3600

struct offence {
	struct addr place; /* ADDR_NONE: not known */
	uint8_t key[BAN_KEY_LEN];
	uint64_t at_s, cause;
};

struct offences {
	unsigned cnt;
	struct offence offences[OFFENCES_CAP];
};

/* firewall_offences_place: what one holder of an address has: the address itself, of IPv6 its /64. */
struct addr firewall_offences_place(const struct addr *addr);
/* firewall_offences_cause: that of key's offences which are remembered, else fresh. */
uint64_t firewall_offences_cause(const struct offences *offences,
				 const uint8_t key[static BAN_KEY_LEN], uint64_t fresh);
void firewall_offences_note(struct offences *offences, const struct offence *offence);
/*
 * firewall_offences_limit_until_s: place deserves a limit until then; 0: it deserves none, fewer
 * than OFFENCES_KEYS_MIN keys were banned there within the hour before now_s.
 */
uint64_t firewall_offences_limit_until_s(const struct offences *offences, const struct addr *place,
					 uint64_t now_s);
/* firewall_offences_forget_cause: fn (may be NULL) is called for each place that had one. */
void firewall_offences_forget_cause(struct offences *offences, uint64_t cause,
				    void (*fn)(void *arg, const struct addr *place), void *arg);
void firewall_offences_forget_place(struct offences *offences, const struct addr *place);

#endif
