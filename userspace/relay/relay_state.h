/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_RELAY_STATE_H
#define WEFT_RELAY_RELAY_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "relay.h"

/* Private to relay/: what its files share. */

/* What a day counts: flows opened, and bytes by class. */
enum relay_day_count {
	RELAY_DAY_OPENED,
	RELAY_DAY_CONTROL,
	RELAY_DAY_CONTENT,
	RELAY_DAY_COUNT_CNT
};

/* A key, or a network of unknown ones, that opened flows without a grant, and its day so far. */
struct relay_owner {
	struct list_node by_use;    /* of the table's free ones, or of its idle ones */
	uint8_t key[RELAY_KEY_LEN]; /* of a network: family, address, and zeros */
	uint64_t day;
	uint64_t counts[RELAY_DAY_COUNT_CNT];
	uint32_t flow_cnt;		     /* open now */
	uint8_t leased[RELAY_DAY_COUNT_CNT]; /* of the day, in sixteenths: owner_days.c */
	bool is_used;
	/* Of the place, whatever owner has it: its row in the store has its number. */
	struct list_node by_save; /* of due, or of relay->days_on_way */
	bool is_due, is_on_way;
	bool is_stored; /* there is a row, or one is on its way */
};

/*
 * Owners of one kind. Unknown keys fill it, and keys are free. Each open flow holds one, so there is
 * always room, and no flow is refused for it. Of the longest idle ones that which has used least of
 * its day goes. So keys that come and go do not make a spent one new. Keys make keys go, and never a
 * network.
 */
struct relay_owners {
	struct map by_key;
	struct relay_owner *rows;    /* cap; of these place_cnt were used or are free */
	struct list_node free, idle; /* the longest idle first */
	struct list_node due;	     /* to be stored */
	uint32_t cap, place_cnt;
	uint32_t weight;    /* a day of one is that of so many keys */
	uint32_t sweep_idx; /* the next that is looked at for a day that is over */
};

/* Home's knowledge of a flow beside its row. */
struct relay_flow {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* of relay->free_flows, or of its grant's flows */
	uint8_t owner_key[RELAY_KEY_LEN];
	struct relay_owner *owner;   /* NULL: it has a grant */
	struct relay_owner *network; /* NULL: it has a grant, or its owner is known here */
	enum relay_class traffic;
	uint64_t seen_packets[2], seen_bytes[2]; /* by the leg that sent, as charged */
	uint64_t opened_ns, used_ns;
	uint32_t generation;
	uint8_t worker;
	bool is_slow;
};

/* A month of a grant: what is durable counts as used after a crash. */
struct relay_month {
	uint64_t number;     /* of months since 1970, UTC; 0: not known yet */
	uint64_t leased_len; /* durable */
	uint64_t
		handed_len; /* of that, put into the map or used in an earlier life; at most leased_len */
};

struct relay_grant {
	struct relay_grant_terms terms;
	struct relay_month month;
	struct list_node flows;
	uint32_t flow_cnt;
	uint64_t lease_len; /* without a rate: of the next one */
	bool is_open, is_slow;
};

struct relay {
	struct relay_params params;
	struct weft_relay_tables tables;
	struct arena arena;
	struct fair_places places;
	struct relay_flow *flows; /* config.flow_cap */
	struct list_node free_flows;
	struct relay_owners owners, networks;
	struct list_node days_on_way; /* struct relay_owner, in the batch that is on its way */
	uint64_t days_ns;	      /* not before: the next batch of days */
	bool is_saving_days, is_settling;
	struct map grant_rows;	    /* id -> struct relay_grant */
	struct relay_grant *grants; /* WEFT_RELAY_GRANT_CNT; 0 is none */
	struct relay_stats stats;
	uint64_t now_ns, wall_s, turned_ns;
	uint32_t sweep_idx;	    /* of flows, the next to be looked at */
	uint32_t hour;		    /* of the newest key */
	unsigned grant_cap;	    /* rows in use are below */
	struct relay_lease *leases; /* lease_cnt, of the batch that is on its way (is_storing) */
	uint32_t lease_cnt;
	bool is_storing;
};

/* relay_row_write_begin waits for the program, which writes link headers; _end lets readers in. */
void relay_row_write_begin(struct weft_relay_flow *row);
void relay_row_write_end(struct weft_relay_flow *row);

/* flow_table.c. */
WEFT_MUST_CHECK
int relay_flows_init(struct relay *relay);
void relay_flows_sweep(struct relay *relay);
struct relay_flow_id relay_flow_id_of(const struct relay *relay, const struct relay_flow *flow);
/* relay_flow_set_slow: at slow_per_s from now on, or at the rate that it had. */
void relay_flow_set_slow(struct relay *relay, struct relay_flow *flow, bool is_slow);
void relay_flow_end(struct relay *relay, struct relay_flow *flow, enum relay_close_why why);

/* owners.c: flows without a grant are charged to their owner, and to its network if it is unknown. */
WEFT_MUST_CHECK
int relay_owners_init(struct relay *relay);
/* relay_owners_judge: 0, WEFT_EREFUSED (RELAY_OPENED_MAX are open) or WEFT_EBUSY (the day's are used up). */
WEFT_MUST_CHECK
int relay_owners_judge(const struct relay *relay, const struct relay_flow_terms *terms);
/* relay_owners_enter: flow is of terms, and counts. 0 or WEFT_EFULL. leave: it is over. */
WEFT_MUST_CHECK
int relay_owners_enter(struct relay *relay, struct relay_flow *flow,
		       const struct relay_flow_terms *terms);
void relay_owners_leave(struct relay *relay, struct relay_flow *flow);
void relay_owners_charge(struct relay *relay, const struct relay_flow *flow, uint64_t len);
/* relay_owners_are_spent: the volume of flow's kind is used up for today. */
bool relay_owners_are_spent(const struct relay *relay, const struct relay_flow *flow);
/* owners_vacate: owner, which has no flow, is forgotten, and its place is free. */
void relay_owners_vacate(struct relay_owners *owners, struct relay_owner *owner);
/* owners_reach: place idx is one that was used, or is free. */
void relay_owners_reach(struct relay_owners *owners, uint32_t idx);
/* owners_place: a free place becomes key's; NULL: it is none, or there is no room in the map. */
struct relay_owner *relay_owners_place(struct relay_owners *owners, struct relay_owner *owner,
				       const uint8_t *key);
uint64_t relay_owners_limit(const struct relay *relay, const struct relay_owners *owners,
			    enum relay_day_count count);
uint64_t relay_today(const struct relay *relay);

/* owner_days.c: days in the store. load: those of before. */
WEFT_MUST_CHECK
int relay_days_load(struct relay *relay);
/* days_lease: owner's counts have grown; what is to be stored for that is due. */
void relay_days_lease(struct relay *relay, struct relay_owners *owners, struct relay_owner *owner);
void relay_days_turn(struct relay *relay);
/* days_settle: the counts are durable as they are when this returns. */
void relay_days_settle(struct relay *relay);

/* ledger.c: leases of grants, and their rows in the store. */
WEFT_MUST_CHECK
int relay_grants_init(struct relay *relay);
void relay_grants_turn(struct relay *relay);
/* relay_grants_settle: what was really used is durable when this returns. */
void relay_grants_settle(struct relay *relay);
struct relay_grant *relay_grant_at(const struct relay *relay, unsigned row);

#endif
