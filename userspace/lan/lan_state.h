/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LAN_LAN_STATE_H
#define WEFT_LAN_LAN_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "beacon.h"
#include "dnssd.h"
#include "lan.h"
#include "lan_foreign.h"

/* Private to lan.c and lan_tell.c. */

/* An interface that is on, and what is due there. */
struct lan_link {
	struct lan_interface interface;
	uint64_t beacon_ns, query_ns, query_gap_ns, answer_ns, answered_ns;
	unsigned announce_left;
	uint64_t subtypes, literals; /* of services that were asked for, for the next answer */
};

struct lan {
	struct lan_params params;
	struct arena arena;
	struct pool entries;
	struct lan_foreign foreign;
	bool browses_foreign;
	struct lan_link links[LAN_INTERFACE_CAP];
	unsigned link_cnt;
	uint8_t instance[BEACON_INSTANCE_LEN];
	struct dnssd_self self;
	struct lan_services services;
	uint64_t renamed_ns;
	struct lan_stats stats;	      /* the counters */
	struct dnssd_message message; /* scratch */
};

/* lan_link_begin: link came up. lan_tell_again: what is announced has changed, on all of them. */
void lan_link_begin(struct lan *lan, struct lan_link *link, uint64_t now_ns);
void lan_tell_again(struct lan *lan, uint64_t now_ns);
/* lan_ask_again: questions begin anew, as there is something else to ask for. */
void lan_ask_again(struct lan *lan, uint64_t now_ns);
/* lan_link_goodbye: link goes down, or this node ends. */
void lan_link_goodbye(struct lan *lan, const struct lan_link *link);
/* lan_link_asked: a question came for what message says. */
void lan_link_asked(struct lan *lan, struct lan_link *link, const struct dnssd_message *message,
		    uint64_t now_ns);
/* lan_link_expire says what is due; lan_link_next_ns: when that is next. */
void lan_link_expire(struct lan *lan, struct lan_link *link, uint64_t now_ns);
uint64_t lan_link_next_ns(const struct lan_link *link);
/* lan_withdraw: this node relays the services whose bits are set no longer. */
void lan_withdraw(struct lan *lan, uint64_t services);

#endif
