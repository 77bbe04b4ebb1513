/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_KAD_LOOKUP_H
#define WEFT_KAD_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "kad/kad_contact.h"
#include "kad/rtt.h"

/*
 * One iterative lookup for the k nodes closest to a target that answer. It decides which node to
 * ask next and knows no wire; the plane sends, and reports the answers:
 *
 *     kad_lookup_init, kad_lookup_seed with what the table knows, then in turns
 *     while (kad_lookup_next(lookup, &ask))
 *         send; kad_lookup_asked(lookup, ask.slot, now_ns), or kad_lookup_failed
 *     kad_lookup_answered or kad_lookup_failed for each slot asked
 *     kad_lookup_expire at kad_lookup_next_ns
 *     until kad_lookup_is_done
 *
 * Against dead contacts: a query without an answer within the plane's learned quantile of round
 * trips is *slow*. Its place in the alpha goes to another node at once, while its answer still
 * counts if it comes before the end. The lookup does not wait for slow nodes once the k closest
 * others have answered. Where fewer than k live, it waits for at most twice that quantile and
 * wait_ns, once any node has answered.
 *
 * Against liars: from one answer at most k contacts are taken, from one subnet at most subnet_max.
 * Impossible contacts, this node's own id and a sender's own address are dropped and counted. The
 * lookup starts in alpha places and remembers for each contact from which of them it was learned.
 * The start with the fewest queries out goes first, so that no single answer takes all of the
 * alpha. Contacts with an unproven id are asked when they are among the k closest, and k proven
 * ones are sought beside them.
 *
 * Embedded by value; about 14 KiB. Callers may read what kad_lookup_stats says.
 */
#define KAD_LOOKUP_NODES_MAX  128
#define KAD_LOOKUP_STARTS_MAX 8

struct kad_lookup_config {
	unsigned k;	     /* how many closest, in [1, KAD_K_MAX] */
	unsigned alpha;	     /* queries out that are not slow, in [1, KAD_LOOKUP_STARTS_MAX] */
	unsigned out_max;    /* queries out, slow ones included, >= alpha */
	unsigned asked_max;  /* queries of one lookup, in [1, KAD_LOOKUP_NODES_MAX] */
	unsigned subnet_max; /* contacts from one subnet, >= 1 */
	uint64_t wait_ns; /* for a slow node, once another has answered; 0: as long as the plane */
};

/* kad_lookup_defaults: K = 8, alpha = 4: the best trade of time for messages in bench/dht-lookup. */
void kad_lookup_defaults(struct kad_lookup_config *config);

enum kad_lookup_kind {
	KAD_FIND_NODE,
	KAD_FIND_VALUE, /* no node has the target as its id: one that says so lies */
};

/* Why a contact that a node named was dropped. */
enum kad_learned {
	KAD_LEARNED_TAKEN,
	KAD_LEARNED_KNOWN,
	KAD_LEARNED_FAR,       /* no room for one so far away */
	KAD_LEARNED_TOO_MANY,  /* more than k in one answer */
	KAD_LEARNED_SELF,      /* this node */
	KAD_LEARNED_TARGET,    /* the key itself as an id */
	KAD_LEARNED_MARTIAN,   /* port 0, or an address this teller cannot know of */
	KAD_LEARNED_FAMILY,    /* not the family of this lookup */
	KAD_LEARNED_SUBNET,    /* subnet_max others are there */
	KAD_LEARNED_TWO_ADDRS, /* the id is known at another address */
	KAD_LEARNED_TWO_IDS,   /* the address is known under another id */
	KAD_LEARNED_CNT
};

enum kad_step_kind { KAD_STEP_ASKED, KAD_STEP_ANSWERED, KAD_STEP_SLOW, KAD_STEP_FAILED };

/* One step of a lookup at one node, for `weft route find --trace`. */
struct kad_step {
	enum kad_step_kind kind;
	uint16_t slot;
	uint16_t teller;      /* slot of the node that named it; KAD_NO_SLOT: this node's table */
	unsigned common_bits; /* with the target */
	unsigned start;	      /* which of the starting places it descends from */
	unsigned told_cnt;    /* ANSWERED: contacts it named that were taken */
	uint64_t after_ns;    /* since it was asked; ASKED: since the lookup began */
	const struct kad_contact *contact;
};

#define KAD_NO_SLOT UINT16_MAX

typedef void (*kad_step_fn)(void *arg, const struct kad_step *step);

struct kad_lookup_params {
	const struct kad_lookup_config *config; /* borrowed while the lookup lives */
	const struct kad_rtt *rtt;		/* of the plane and family; borrowed as well */
	struct kad_id target;
	struct kad_id own_id;
	enum kad_lookup_kind kind;
	enum addr_family family; /* ADDR_NONE: of either, where the plane is one over both */
	kad_step_fn step;	 /* NULL: no trace; not to call the lookup */
	void *step_arg;
};

struct kad_lookup_stats {
	unsigned asked_cnt, answered_cnt, slow_cnt, failed_cnt;
	unsigned told[KAD_LEARNED_CNT];
	uint64_t begin_ns, end_ns; /* end_ns 0: not done */
};

/* A contact of the lookup; private but for its size. */
struct kad_lookup_node {
	struct kad_contact contact;
	uint64_t asked_ns;
	uint64_t answer_tag;
	uint16_t teller;
	uint8_t start;
	uint8_t state;
};

struct kad_lookup {
	struct kad_lookup_params params;
	struct kad_lookup_stats stats;
	uint16_t node_cnt;
	uint16_t start_cnt;
	uint16_t order[KAD_LOOKUP_NODES_MAX]; /* slots, nearest first */
	struct kad_lookup_node nodes[KAD_LOOKUP_NODES_MAX];
};

void kad_lookup_init(struct kad_lookup *lookup, const struct kad_lookup_params *params,
		     uint64_t now_ns);
/*
 * kad_lookup_seed adds a contact that this node knows itself: before the first kad_lookup_next, or
 * when all others are used up.
 */
enum kad_learned kad_lookup_seed(struct kad_lookup *lookup, const struct kad_contact *contact);

struct kad_ask {
	uint16_t slot;			   /* names the node to the calls below */
	const struct kad_contact *contact; /* borrowed until the lookup changes */
};

/* kad_lookup_next: the node to ask now. False: none, for now or at all. Changes nothing. */
bool kad_lookup_next(const struct kad_lookup *lookup, struct kad_ask *out_ask);
void kad_lookup_asked(struct kad_lookup *lookup, uint16_t slot, uint64_t now_ns);
struct kad_answer {
	uint64_t tag; /* the plane's (where its write token lies): it comes back in the result */
	const struct kad_contact *contacts; /* that the node named; borrowed for the call */
	unsigned cnt;
};
/*
 * kad_lookup_answered: the node answered. An answer after kad_lookup_failed or a second one is
 * ignored.
 */
void kad_lookup_answered(struct kad_lookup *lookup, uint16_t slot, const struct kad_answer *answer,
			 uint64_t now_ns);
/* kad_lookup_failed: there will be no answer, or it was rubbish, or it could not be sent. */
void kad_lookup_failed(struct kad_lookup *lookup, uint16_t slot, uint64_t now_ns);

/* kad_lookup_expire calls those queries slow that are by now; how long to wait for an answer at all is the plane's. */
void kad_lookup_expire(struct kad_lookup *lookup, uint64_t now_ns);
uint64_t kad_lookup_next_ns(const struct kad_lookup *lookup);

/* kad_lookup_is_done: nothing more will be asked or waited for. */
bool kad_lookup_is_done(const struct kad_lookup *lookup);

struct kad_closest {
	const struct kad_contact *contact; /* borrowed from the lookup */
	uint64_t answer_tag;
};

/*
 * kad_lookup_result gives the nodes closest to the target that answered,
 * at most k and cap: the proven ones nearest first, then unproven ones.
 */
unsigned kad_lookup_result(const struct kad_lookup *lookup, struct kad_closest *out, unsigned cap);

#endif
