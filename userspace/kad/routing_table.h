/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_ROUTING_TABLE_H
#define WEFT_KAD_ROUTING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kad/kad_contact.h"
#include "weft/err.h"

struct arena;
struct random;

/*
 * The routing table of one plane and one address family: the nodes known, by distance from this
 * node (Maymounkov, Mazieres 2002; BEP-5). Bucket i holds nodes that share exactly i leading
 * bits with this node's id. The last bucket holds all that share more, and only that one splits.
 *
 * A member has answered a query of this node at least once. So no node is in the table on
 * another's word or under a forged source address. A member is
 *     good          heard within good_ns and not failing,
 *     questionable  not heard for longer: to be pinged,
 *     bad           failed_max queries in a row got no answer.
 * A good member never gives way, so that an old member cannot be pushed out. The exception: a
 * proven contact takes the place of an unproven member. A contact that finds its bucket full, or
 * has not answered yet, waits among the bucket's candidates, the most recently heard first. It
 * takes the place of the first member that turns bad. A bad member without a successor stays. It
 * is named to no other node and is asked last. After an outage, the old contacts are the way
 * back: each is pinged whenever it has failed for a quarter longer. When one of them answers, the
 * path to all may be back, so all are pinged at once. So two halves of a network that was parted
 * find each other, by the first member that any node pings on the other side.
 *
 * Times are ns of one monotonic clock. Owned by one worker. Opaque; all memory is taken from the
 * arena by kad_table_new.
 */
struct kad_table;

struct kad_table_config {
	unsigned k;		/* members of a bucket, in [1, KAD_K_MAX] */
	unsigned wide_cnt;	/* bucket i holds max(k, wide_cnt >> i): a wide top saves hops */
	unsigned candidate_cnt; /* waiting per bucket, in [1, KAD_CANDIDATES_MAX] */
	unsigned subnet_bucket; /* members of a bucket from one subnet (kad_subnet), >= 1 */
	unsigned subnet_table;	/* members of the table from one subnet, >= 1 */
	unsigned failed_max;	/* unanswered queries in a row that make a member bad, >= 1 */
	uint64_t good_ns;	/* silence that makes a member questionable */
	uint64_t ping_gap_ns;	/* between two pings of one contact */
	uint64_t refresh_ns;	/* a bucket nothing was looked up in for so long is due */
};

#define KAD_K_MAX	   32
#define KAD_WIDE_MAX	   8192
#define KAD_CANDIDATES_MAX 32

/* kad_table_defaults: the numbers of BEP-5, K = 8 and 15 minutes; wide_cnt 128. */
void kad_table_defaults(struct kad_table_config *config);

struct kad_table_params {
	const struct kad_table_config *config;
	const struct kad_id *own_id;
	struct random *random; /* used while the table lives */
	uint64_t now_ns;
};
/* kad_table_new lays an empty table out in arena. 0, or WEFT_EFULL when the arena is too small. */
WEFT_MUST_CHECK
int kad_table_new(struct arena *arena, const struct kad_table_params *params,
		  struct kad_table **out_table);

/* kad_table_set_own_id sorts all nodes anew around another id. */
void kad_table_set_own_id(struct kad_table *table, const struct kad_id *own_id, uint64_t now_ns);
const struct kad_id *kad_table_own_id(const struct kad_table *table);

/* The outcome for a contact. */
enum kad_verdict {
	KAD_ADDED,	   /* a new member */
	KAD_KNOWN,	   /* a member, its times brought up to date */
	KAD_WAITS,	   /* among the candidates */
	KAD_REFUSED_SELF,  /* this node's id */
	KAD_REFUSED_ADDR,  /* no node can be reached there */
	KAD_REFUSED_TAKEN, /* a member that is not bad has this id at another address */
	KAD_REFUSED_FULL,  /* the bucket's members are good and its candidates answered */
	KAD_REFUSED_BUCKET_SUBNET,
	KAD_REFUSED_TABLE_SUBNET,
	KAD_VERDICT_CNT
};

/*
 * kad_table_answered: contact answered a query, after rtt_ns (0:
 * not measured). A member at the same address under another id is
 * replaced by it.
 */
enum kad_verdict kad_table_answered(struct kad_table *table, const struct kad_contact *contact,
				    uint64_t rtt_ns, uint64_t now_ns);
/*
 * kad_table_asked: contact sent a query to this node. That keeps a member good, and a bad one is
 * pinged soon. An unknown node becomes a candidate, to be pinged if there is a place for it.
 */
enum kad_verdict kad_table_asked(struct kad_table *table, const struct kad_contact *contact,
				 uint64_t now_ns);
/* kad_table_failed: a query to this contact got no answer in time. */
void kad_table_failed(struct kad_table *table, const struct kad_id *id, const struct addr *addr,
		      uint64_t now_ns);
/* kad_table_drop forgets a contact, member or candidate: it broke the protocol. */
void kad_table_drop(struct kad_table *table, const struct kad_id *id, const struct addr *addr);

/*
 * kad_table_next_ping gives the node to be pinged now: a questionable
 * member, or a candidate that has not answered yet and has a place. The
 * outcome comes by kad_table_answered or kad_table_failed; the same
 * contact is not given again within ping_gap_ns. False: none.
 */
bool kad_table_next_ping(struct kad_table *table, uint64_t now_ns, struct kad_contact *out_contact);

/*
 * kad_table_next_refresh gives a random target in a bucket that is due to
 * be looked up, and counts that bucket as looked up. False: none is due.
 */
bool kad_table_next_refresh(struct kad_table *table, uint64_t now_ns, struct kad_id *out_target);
/* kad_table_note_lookup: a lookup of target was made for another reason. */
void kad_table_note_lookup(struct kad_table *table, const struct kad_id *target, uint64_t now_ns);
/* kad_table_next_ping_ns: next_ping gives none before. */
uint64_t kad_table_next_ping_ns(const struct kad_table *table);

/* A member as the outside may read it. */
struct kad_node {
	struct kad_contact contact;
	uint64_t heard_ns;   /* when it last answered or asked */
	uint64_t pinged_ns;  /* when next_ping last gave it, 0: never since it was heard */
	uint64_t again_ns;   /* bad: no ping before */
	uint64_t failing_ns; /* since the first of the failures in a row */
	uint64_t rtt_ns;     /* smoothed, 0: not measured */
	uint8_t failed_cnt;  /* queries in a row without an answer, saturating */
	bool has_answered;   /* always, for a member */
};

enum kad_state { KAD_GOOD, KAD_QUESTIONABLE, KAD_BAD };

enum kad_state kad_table_state(const struct kad_table *table, const struct kad_node *node,
			       uint64_t now_ns);

/* KAD_TELL: those named to other nodes; KAD_ASK: all, the bad ones last. */
enum kad_purpose { KAD_TELL, KAD_ASK };

struct kad_near {
	const struct kad_id *target;
	enum kad_purpose purpose;
	uint64_t now_ns;
};

/*
 * kad_table_closest gives the members nearest to target, nearest first. For KAD_TELL it gives
 * good ones only; for KAD_ASK bad ones follow after all others. At least half of the members are
 * proven, if there are so many. A node that chooses ids freely can be nearer to a key than all
 * others, and would fill the answer.
 *
 * Returns: how many of out_nodes[0, cap) were set, at most KAD_CLOSEST_MAX;
 *          borrowed until the table changes.
 */
#define KAD_CLOSEST_MAX 64
unsigned kad_table_closest(const struct kad_table *table, const struct kad_near *near,
			   const struct kad_node **out_nodes, unsigned cap);
/* A kad_table_iter walks the members; NULL: behind the last. The table may not change meanwhile. */
struct kad_table_iter {
	const struct kad_table *table; /* NULL: none has members */
	unsigned bucket;	       /* of the node at hand */
	unsigned idx;		       /* of the next in it */
};
const struct kad_node *kad_table_next(struct kad_table_iter *iter);

/*
 * kad_table_contact_next walks members and candidates: for a plane whose tags name something that
 * it keeps as long as the table names it.
 */
const struct kad_contact *kad_table_contact_next(struct kad_table_iter *iter);

struct kad_table_counts {
	unsigned good, questionable, bad;
	unsigned candidates;
	unsigned buckets;
	unsigned member_cap; /* the most there can be */
};

void kad_table_count(const struct kad_table *table, uint64_t now_ns,
		     struct kad_table_counts *out_counts);
/*
 * kad_table_generation grows whenever a member comes, goes, or turns bad:
 * what was made of the table is to be made again when it has. Members that
 * only fall silent do not count; look again once in a while.
 */
uint64_t kad_table_generation(const struct kad_table *table);

/* kad_id_random_in: an id that shares exactly bits leading bits with id; random if bits >= 160. */
struct kad_id kad_id_random_in(const struct kad_id *id, unsigned bits, struct random *random);

#endif
