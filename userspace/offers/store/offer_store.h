/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_STORE_OFFER_STORE_H
#define WEFT_OFFERS_STORE_OFFER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "offers/message/stock_message.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/schema/schema.h"
#include "weft/err.h"

struct random;
struct store;

/*
 * The service offers that a node knows, its own and others'. An offer is its Announce and the
 * newest Update of that, both kept as they were received. Of a service whose schema is known, the
 * offers are found by its filters. What was put survives any crash once done was called.
 *
 *	put -> rules of sequence and time -> a share of the room -> index -> batch -> done
 *
 * The newest (sequence, timestamp) of an offer counts, whatever order messages come in. An Update
 * stands on the Announce that it names, and prolongs no life. A Revoke leaves a tombstone until
 * the Announce's life is over, so late copies do not bring the offer back.
 *
 * Any provider with a valid signature fills the store. Room is in units of OFFER_UNIT_LEN bytes of
 * messages and keys. A full store is shared fairly (base/fair/fair.h) by the network that an offer
 * came from, and by its provider. The oldest offer of the account that holds most goes. An account
 *  within its share loses nothing. An offer is charged to the emptier of the networks it
 * came from, so nothing is gained by being the first to carry others' offers. What an honest
 * provider notices meanwhile: nothing, or OFFER_FULL for more than its share.
 *
 * Owned by home. Memory is laid out by offers_store_open; bytes of messages stay in the database.
 */
struct offer_store;

#define OFFER_HOPS_NONE	   UINT8_MAX /* as a hop count: it goes nowhere */
#define OFFER_UNIT_LEN	   1024u
#define OFFER_KEY_COST	   24u /* bytes that a key in the index counts as */
#define OFFER_SERVICES_MAX 64u
/* Changes are collected for so long, or until they are so many bytes, then written as one batch. */
#define OFFER_KEEP_WINDOW_NS 5000000ull
#define OFFER_KEEP_BYTES_MAX (4u << 20)
/* At most so many offers end in one expire; the next follows at once. */
#define OFFER_EXPIRE_MAX 1024u
/* The level of this node's own offers, above those of verification: they are always found. */
#define OFFER_LEVEL_OWN 4u

struct offer_view;
struct offer_store_params {
	struct store *store; /* durable rows; borrowed */
	struct random *random;
	struct fair_site site;
	uint32_t unit_cap; /* at least 64 */
	/* the level of verification of a provider in a service; NULL: all are of level 0 */
	unsigned (*level_of)(void *ctx, uint32_t service, const uint8_t *provider);
	/*
	 * NULL, or: offers_store_relevel found an offer whose level is above before. It calls no
	 * function of the store. wants_lifted: offers of service are to be read for that.
	 */
	void (*lifted)(void *ctx, const struct offer_view *view, unsigned before);
	bool (*wants_lifted)(void *ctx, uint32_t service);
	void *ctx;
};

/* offers_store_open: 0, WEFT_EFULL, WEFT_ETOOSMALL or -errno. Schemas and offers come then. */
WEFT_MUST_CHECK
int offers_store_open(const struct offer_store_params *params, struct offer_store **out_store);
/* offers_store_close writes what waits, and calls no done any more. Takes NULL. */
void offers_store_close(struct offer_store *store);
/* offers_store_footprint: bytes that a store of unit_cap units lays out, touched as they are used. */
size_t offers_store_footprint(uint32_t unit_cap);

/*
 * offers_store_add: from now on offers of schema's service are found by its filters. One of the
 * same service and name takes the former's place. Offers that are there already are indexed a
 * part in each offers_store_expire. The schema is borrowed until it is removed.
 * 0 or WEFT_EFULL.
 */
WEFT_MUST_CHECK
int offers_store_add(struct offer_store *store, const struct schema *schema);
void offers_store_remove(struct offer_store *store, const struct schema *schema);

/*
 * offers_store_load reads what is durable; once, after the schemas were added. Offers whose life is
 * over, or that cannot be read, are deleted. 0 or -errno.
 */
WEFT_MUST_CHECK
int offers_store_load(struct offer_store *store, uint64_t now_s, uint64_t now_ns);

enum offer_verdict {
	OFFER_STORED,
	OFFER_REPLACED,	 /* a newer word on an offer that was there */
	OFFER_REVOKED,	 /* a tombstone lies there now */
	OFFER_DUPLICATE, /* the same word is there */
	OFFER_OLDER,	 /* a newer one is there */
	OFFER_GONE,	 /* the offer was revoked, and this is no newer */
	OFFER_NO_BASE,	 /* an Update of an Announce that is not there */
	OFFER_NO_KEY,	 /* an Announce whose provider's key is not known; of a judgement alone */
	OFFER_EARLY,
	OFFER_EXPIRED,
	OFFER_UNFIT, /* the schema refuses it */
	OFFER_FULL,  /* more than a share; offers_store_not_before_ms */
	OFFER_LAGS,  /* the disk does not keep up, or failed */
	OFFER_VERDICT_CNT,
};
static inline bool offers_verdict_is_stored(enum offer_verdict verdict)
{
	return verdict <= OFFER_REVOKED;
}

/* A message to be put, whose signature was verified. Borrowed for the call. */
struct offer_put {
	const uint8_t *bytes; /* as received */
	size_t len;
	const struct service_message *msg; /* of these: an Announce, an Update or a Revoke */
	const struct offer_terms *terms;   /* of its payload */
	const struct addr *source; /* of the session that it came by; NULL: this node's own */
	uint8_t hop_cnt; /* with which it came; OFFER_HOPS_NONE: it goes nowhere from here */
	enum fair_class class;
	uint64_t now_s, now_ns; /* wall clock, monotonic */
	/* called once if it is stored, with 0 when it is durable; NULL: not wanted */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * offers_store_judge looks at what comes before a signature: OFFER_STORED if the put is worth one,
 * else what offers_store_put would return, without any other effect than a duplicate's.
 */
enum offer_verdict offers_store_judge(struct offer_store *store, const struct offer_put *put);
/*
 * offers_store_put: it is found at once, and durable when done says so. With an error, what the
 * database has holds again. fault says why it is OFFER_UNFIT; may be NULL.
 */
enum offer_verdict offers_store_put(struct offer_store *store, const struct offer_put *put,
				    struct schema_fault *fault);
/* offers_store_not_before_ms: when a provider that got OFFER_FULL just now asks again. */
uint32_t offers_store_not_before_ms(struct offer_store *store, const struct offer_put *put);

/*
 * What is kept, for neighbours that lack it. store_next gives the next offer behind a cursor, in no
 * order: first all of them, by place, then what changed since that began. It leaves out what came as
 * far as it may by hops_max, and what the neighbour of peer has. After OFFER_STEP_MAX of those it is
 * OFFER_LIST_PART. A zeroed cursor is before all; one that is older than the latest changes begins anew.
 */
#define OFFER_STEP_MAX	  4096u
#define OFFER_CHANGES_CNT 8192u /* the latest ones; a power of two */
enum offer_listing { OFFER_LIST_ONE, OFFER_LIST_PART, OFFER_LIST_END };
struct offer_cursor {
	uint64_t change;
	uint32_t place;
};
enum offer_listing offers_store_next(const struct offer_store *store, const uint8_t *peer,
				     unsigned hops_max, struct offer_cursor *io_cursor,
				     struct stock_entry *out_entry);
/* offers_store_passed: the neighbour of peer has what changed last. */
void offers_store_passed(struct offer_store *store, const uint8_t *peer);
/*
 * offers_store_lacks: whether the offer that peer lists is not here, or an older word of it, and
 * there is room. A known one may have come nearer.
 */
enum offer_lack { OFFER_LACKED, OFFER_HAD, OFFER_NO_ROOM };
enum offer_lack offers_store_lacks(struct offer_store *store, const uint8_t *peer,
				   const struct stock_entry *entry);

/* An offer as it is kept; borrowed for the call that it is given to. Hop counts of messages are 0. */
struct offer_view {
	uint32_t service;
	const uint8_t *provider, *offer_id; /* of its name */
	const uint8_t *announce;	    /* of a tombstone, the Revoke */
	size_t announce_len;
	const uint8_t *update; /* NULL: none */
	size_t update_len;
	uint64_t order;	    /* the greater the later it came; it stays with updates */
	unsigned level;	    /* of verification; OFFER_LEVEL_OWN: this node's own */
	uint64_t expires_s; /* of the Announce */
	bool is_own;
	bool is_tombstone;
};
/* Returns false to end a walk. It calls no function of the store. */
typedef bool (*offer_view_fn)(void *arg, const struct offer_view *view);

/* The name of an offer. */
struct offer_name {
	uint32_t service;
	uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN];
	uint8_t offer_id[OFFER_ID_LEN];
};
/* offers_store_get calls fn for the offer, or its tombstone. 0, WEFT_EABSENT or -errno. */
WEFT_MUST_CHECK
int offers_store_get(struct offer_store *store, const struct offer_name *name, offer_view_fn fn,
		     void *arg);
/*
 * offers_store_get_listed: the same of what a neighbour heard of as io_entry, by its ref. Its hop count is
 * that of now. WEFT_EABSENT, too: it goes no farther by hops_max.
 */
WEFT_MUST_CHECK
int offers_store_get_listed(struct offer_store *store, struct stock_entry *io_entry,
			    unsigned hops_max, offer_view_fn fn, void *arg);
/*
 * offers_store_each walks offers and tombstones in no order: those of this node, or all. It goes
 * over every place of the store; for the operator. What cannot be read is passed over. 0 or -errno.
 */
WEFT_MUST_CHECK
int offers_store_each(struct offer_store *store, bool own_alone, offer_view_fn fn, void *arg);

/* offers_store_words walks the names of this node's offers, withdrawn ones too; fn: false ends it. */
void offers_store_words(const struct offer_store *store,
			bool (*fn)(void *arg, const struct offer_name *name, bool is_withdrawn),
			void *arg);

/*
 * A ref is a name for people: the first bytes of BLAKE3(service, little-endian ‖ address ‖ offer
 * id). offers_store_refs walks the names of offers that are not withdrawn whose refs begin with
 * prefix, of OFFER_REF_PREFIX_LEN bytes; fn: false ends it.
 */
#define OFFER_REF_LEN	     16u
#define OFFER_REF_PREFIX_LEN 5u
void offers_ref(uint32_t service, const uint8_t *address, const uint8_t *offer_id,
		uint8_t out[static OFFER_REF_LEN]);
void offers_store_refs(const struct offer_store *store,
		       const uint8_t prefix[static OFFER_REF_PREFIX_LEN],
		       bool (*fn)(void *arg, const struct offer_name *name, bool is_own),
		       void *arg);

struct offer_search {
	const struct schema *schema;	  /* as it was added */
	const struct schema_query *query; /* NULL: all of the service */
	uint64_t before;		  /* OFFER_NEWEST, or next of the page before */
	unsigned page_max;
	unsigned visit_max; /* rows to look at; 0: OFFER_VISITS_MAX */
	uint64_t now_s;
	uint8_t level_min, level_end; /* levels in [level_min, level_end); 0: no end */
	/* false: left out; NULL: none is */
	offer_view_fn is_wanted;
	offer_view_fn fn; /* false: the page ends behind it */
	void *arg;	  /* of both */
};
struct offer_search_result {
	unsigned cnt;
	uint64_t next;	 /* 0: that was the last page */
	bool is_partial; /* offers are still being indexed */
	uint32_t about_cnt, visit_cnt;
};
/*
 * offers_store_search gives a page of matching offers, newest first. One call does a bounded work,
 * so a page may be short and have a next one. 0 or WEFT_EABSENT: the schema was not added.
 */
WEFT_MUST_CHECK
int offers_store_search(struct offer_store *store, const struct offer_search *search,
			struct offer_search_result *out_result);

/*
 * offers_store_relevel: levels may be others than before. The next row_max offers are looked at
 * now, and the others a part in each expire. Until then a search is partial. It judges what it
 * meets by the level of that moment, and may miss an offer whose level has risen.
 */
void offers_store_relevel(struct offer_store *store, uint32_t row_max);

/*
 * offers_store_expire drops offers and tombstones whose life is over, and returns how many. It also
 * writes what is due and indexes a part. offers_store_next_ns: when to call again, at the latest.
 */
unsigned offers_store_expire(struct offer_store *store, uint64_t now_s, uint64_t now_ns);
uint64_t offers_store_next_ns(const struct offer_store *store, uint64_t now_s, uint64_t now_ns);

struct offer_store_counts {
	uint32_t offer_cnt, tombstone_cnt, own_cnt, unit_cnt, unit_cap;
	uint64_t verdict_cnts[OFFER_VERDICT_CNT];
	uint64_t expired_cnt, evicted_cnt, failed_cnt /* not durable */, damaged_cnt /* not read */;
	size_t memory_len; /* of rows, index and messages on their way to the disk */
};
void offers_store_count(const struct offer_store *store, struct offer_store_counts *out_counts);
/* The same for the operator. */
struct offer_store_stats {
#define FIGURE FIGURE_FIELD
#include "offers/store/offers_store_counters.def"
};
void offers_store_stats(const struct offer_store *store, struct offer_store_stats *out_stats);
void offers_store_fair(const struct offer_store *store, struct fair_view *out_view);

#endif
