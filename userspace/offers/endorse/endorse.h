/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_ENDORSE_ENDORSE_H
#define WEFT_OFFERS_ENDORSE_ENDORSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "crypto/node_key.h"
#include "offers/message/endorsement.h"
#include "weft/err.h"

struct random;
struct store;

/*
 * The endorsements that a node knows, and the endorsers that its operator trusts. From both follows
 * the level of each provider in each service, which is this node's own policy.
 *
 *	endorse.c	life, and an endorsement that comes: time, age, key, signature, room
 *	endorse_rows.c	rows, and the subjects that they lead from and to; their place in the store
 *	endorse_level.c	trusted endorsers, those near them, and the levels
 *	endorse_keep.c	changes on their way to the disk
 *
 * A *subject* is an address in a service. An endorsement leads from its endorser to its provider.
 * The level of a subject is the highest of its endorsements:
 *
 *	of an endorser that is trusted here	as it says, and at most as high as the trust is
 *	of one within ENDORSE_DISTANCE_MAX	1
 *	endorsements of a trusted one
 *	of any other one			0
 *
 * This node trusts its own endorsements to level 1, unless its operator says otherwise.
 *
 * Any node with a key fills the table. Places are shared fairly (base/fair/fair.h): by the network
 * that an endorsement came from, then by its endorser. The oldest of the account that holds most
 * goes. Trusted endorsers have a reserved part. What an honest endorser notices meanwhile: nothing,
 * or ENDORSE_FULL for more than its share.
 *
 * Owned by home; nothing blocks. Rows are durable some milliseconds after they came, by
 * offers_endorse_settle. If the disk does not take them, they count all the same, and are written
 * again until it does.
 */
struct endorse_book;

#define ENDORSE_DISTANCE_MAX 3u
#define ENDORSE_FAR	     UINT8_MAX
#define ENDORSE_TRUST_MAX    256u
/* A trust in all services. */
#define ENDORSE_EACH_SERVICE OFFERS_ANY_SERVICE
/* One that has expired counts for nothing, and is kept so long after: a reason can be given. */
#define ENDORSE_SHOWN_S (7 * 86400ull)
/* Endorsements of other nodes change levels at most so often. */
#define ENDORSE_SETTLE_NS 100000000ull

struct endorse_params {
	struct store *store;
	struct random *random;
	struct fair_site site;
	const uint8_t *own_key; /* NODE_KEY_LEN; borrowed */
	uint32_t cap;		/* endorsements that are kept; at least 64 */
	uint64_t now_s, now_ns;
};
size_t offers_endorse_footprint(uint32_t cap);
/* offers_endorse_open reads what is durable. 0, WEFT_EFULL, WEFT_ETOOSMALL or -errno. */
WEFT_MUST_CHECK
int offers_endorse_open(const struct endorse_params *params, struct endorse_book **out_book);
/* offers_endorse_close takes NULL. */
void offers_endorse_close(struct endorse_book *book);

enum endorse_verdict {
	ENDORSE_KEPT,	   /* it is new here */
	ENDORSE_KNOWN,	   /* the same one is there, or a newer one */
	ENDORSE_MALFORMED, /* no endorsement, or an endorser's key of another address */
	ENDORSE_UNTIMELY,  /* it has expired, or its time is ahead */
	ENDORSE_NO_KEY,	   /* its endorser's key is in neither form, nor known here */
	ENDORSE_FORGED,	   /* the signature is not its endorser's */
	ENDORSE_FULL,	   /* its endorser or network has its share */
	ENDORSE_LAGS,	   /* the disk does not keep up: nothing has changed */
	ENDORSE_VERDICT_CNT,
};

/* An endorsement that came, or that this node made. Borrowed for the call. */
struct endorse_put {
	const uint8_t *bytes;
	size_t len;
	const struct addr *source; /* of the session that it came by; NULL: the operator gave it */
	enum fair_class class;
	const uint8_t *sender; /* the key of that session, which may be the endorser's; or NULL */
	uint64_t now_s, now_ns;
	/* called once if it is kept: 0: it is durable; else it counts, and is not yet. NULL: not wanted */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * offers_endorse_put keeps an endorsement in place of an older one. A signature is looked at last,
 * which takes 50 us. Levels follow with offers_endorse_settle.
 */
enum endorse_verdict offers_endorse_put(struct endorse_book *book, const struct endorse_put *put);

/*
 * offers_endorse_settle: expired endorsements go, and levels are those of all others. Returns
 * whether a level has changed since the last call. It walks the whole table, in a millisecond.
 * offers_endorse_next_ns: when to call it, at the latest. now_s is the wall clock at now_ns.
 */
bool offers_endorse_settle(struct endorse_book *book, uint64_t now_s, uint64_t now_ns);
uint64_t offers_endorse_next_ns(const struct endorse_book *book, uint64_t now_s, uint64_t now_ns);

/* offers_endorse_level: of a provider's address in a service, as it was settled; 0 to 3. */
unsigned offers_endorse_level(const struct endorse_book *book, uint32_t service,
			      const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN]);

/*
 * offers_endorse_cnt: how many endorsements of it are kept, withdrawn ones and expired ones among
 * them. offers_endorse_expired_cnt: how many of these have expired.
 */
unsigned offers_endorse_cnt(const struct endorse_book *book, uint32_t service,
			    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN]);
unsigned offers_endorse_expired_cnt(const struct endorse_book *book, uint32_t service,
				    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN]);

/* An endorsement as it is kept; borrowed for the call that it is given to. */
struct endorse_view {
	struct endorsement endorsement;
	const uint8_t *bytes;
	size_t len;
	const uint8_t *endorser; /* NODE_KEY_LEN */
	unsigned counts;	 /* the level that it counts for */
	unsigned trust;		 /* the level to which its endorser is trusted; 0: it is not */
	unsigned distance;	 /* of its endorser from a trusted one; ENDORSE_FAR: too far */
	bool is_own;		 /* made here */
	bool is_expired;
	uint64_t until_s; /* the end of all its endorser said of the same */
};
/* Returns false to end a walk. It changes nothing here. */
typedef bool (*endorse_view_fn)(void *arg, const struct endorse_view *view);

/*
 * offers_endorse_each_of walks the endorsements of a provider in a service. offers_endorse_each
 * walks all of them in no order, behind the first *io_at. It is then how many were given in all, or
 * 0 after the last one.
 */
void offers_endorse_each_of(struct endorse_book *book, uint32_t service,
			    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN],
			    endorse_view_fn fn, void *arg);
void offers_endorse_each(struct endorse_book *book, uint32_t *io_at, endorse_view_fn fn, void *arg);
#define ENDORSE_PROOF_MAX 4u
/*
 * offers_endorse_each_own: those that this node made, then those of others about it that count here,
 * ENDORSE_ABOUT_MAX at most.
 */
#define ENDORSE_ABOUT_MAX 16u
void offers_endorse_each_own(struct endorse_book *book, endorse_view_fn fn, void *arg);
/*
 * offers_endorse_proof gives ENDORSE_PROOF_MAX endorsements at most, which show others the level of
 * a provider. First come those that count here, with the way from a trusted endorser to them. Then
 * come those that state level and more.
 */
struct endorse_proof_ask {
	uint32_t service;
	const uint8_t *address;
	unsigned level;
	endorse_view_fn fn;
	void *arg;
};
void offers_endorse_proof(struct endorse_book *book, const struct endorse_proof_ask *ask);
/*
 * offers_endorse_claimed: the highest level that an endorsement states of a provider, whatever it
 * counts for here. Of ENDORSE_LOOK_MAX endorsements at most: free keys make any number of them.
 */
#define ENDORSE_LOOK_MAX 64u
unsigned offers_endorse_claimed(const struct endorse_book *book, uint32_t service,
				const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN]);

/* An endorser that the operator trusts, in a service or in each. */
struct endorse_trust {
	uint8_t key[NODE_KEY_LEN];
	uint32_t service;  /* or ENDORSE_EACH_SERVICE */
	uint8_t level_max; /* 1: its word counts as one of the web; 2 and 3: a registry */
};
/*
 * offers_endorse_trust: from now on, in place of what was said of key and service before. 0,
 * WEFT_EFULL (ENDORSE_TRUST_MAX), or WEFT_EBUSY (the disk does not keep up).
 * offers_endorse_distrust: 0, WEFT_EABSENT or WEFT_EBUSY. done
 * as in endorse_put. Levels follow with offers_endorse_settle. offers_endorse_trust_at: the one at
 * idx; false behind the last.
 */
WEFT_MUST_CHECK
int offers_endorse_trust(struct endorse_book *book, const struct endorse_trust *trust,
			 void (*done)(void *arg, int err), void *arg);
WEFT_MUST_CHECK
int offers_endorse_distrust(struct endorse_book *book, const struct endorse_trust *trust,
			    void (*done)(void *arg, int err), void *arg);
bool offers_endorse_trust_at(const struct endorse_book *book, unsigned idx,
			     struct endorse_trust *out_trust);

struct endorse_stats {
#define FIGURE FIGURE_FIELD
#include "offers/endorse/offers_endorse_counters.def"
};
void offers_endorse_stats(const struct endorse_book *book, struct endorse_stats *out_stats);
void offers_endorse_fair(const struct endorse_book *book, struct fair_view *out_view);

#endif
