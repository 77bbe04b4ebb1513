/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_SLOTS_SOCIAL_SLOTS_STATE_H
#define WEFT_SOCIAL_SLOTS_SOCIAL_SLOTS_STATE_H

#include "base/fair/fair_path.h"
#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social_slot_message.h"
#include "social_slots.h"
#include "social/object/social_address.h"
#include "social/ground/social_ground.h"

/* Private to slots/. */

_Static_assert(SLOTS_REPORT_CAP == SLOTS_MAX * SLOT_IDS_MAX, "a place for each report");

#define SLOTS_TALK_CAP	       32u	/* requests of 630, 633 and 634 on their way */
#define SLOTS_GROW_AT_ONCE     8u	/* of those, nodes that are asked for a slot */
#define SLOTS_RESUME_AT_ONCE   16u	/* likewise, where they had one before a restart */
#define SLOTS_ENOUGH_TO_LEARN  8u	/* slots: then N2 says more than what a node begins with */
#define SLOTS_LEARN_NS	       NS_PER_S /* from one node of N2 to the next: it has a list, too */
#define SLOTS_PER_REPORTER     2u	/* nodes of one reporter that are asked at once */
#define SLOTS_CHAIN_MAX	       4u	/* redirects in a row */
#define SLOTS_FAILURES_MAX     3u	/* then a node, or a reporter, rests */
#define SLOTS_TIMEOUT_NS       (15 * NS_PER_S)
#define SLOTS_STALE_NS	       (3 * SLOTS_DIFF_NS) /* a slot without an exchange ends */
#define SLOTS_GRACE_NS	       (120 * NS_PER_S)	   /* a slot waits so long for its session */
#define SLOTS_AGAIN_NS	       (30 * NS_PER_S)
#define SLOTS_REST_NS	       (600 * NS_PER_S)
#define SLOTS_REST_DOUBLINGS   6u /* of SLOTS_REST_NS: ten hours */
#define SLOTS_DIGEST_NS	       (600 * NS_PER_S)
#define SLOTS_DIGEST_REMAKE_NS NS_PER_S /* 26,000 nodes take 4 ms */
#define SLOTS_SOURCES_NS       (60 * NS_PER_S)
#define SLOTS_WRITE_NS	       (10 * NS_PER_S)
#define SLOTS_CHANGE_CAP       1024u /* of N1 that a difference may go back */
#define SLOTS_QUOTA_CAP	       1024u
#define SLOTS_MESSAGES_PER_MIN 60u
#define SLOTS_QUERIES_PER_MIN  120u
#define SLOTS_SEARCH_CAP       64u /* that peers asked for; */
#define SLOTS_SEARCH_OWN_MAX   8u  /* and of this node */
#define SLOTS_QUESTION_CAP     2048u
#define SLOTS_SEEN_CAP	       1024u /* searches that were answered */
#define SLOTS_SEARCH_NS	       (10 * NS_PER_S)
#define SLOTS_KNOWN_ADDRS      SLOTS_NOTE_ADDRS

struct slot_talk;

/* A node that was not reached is not asked again before retry_ns. */
struct slot_patience {
	uint64_t retry_ns;
	uint8_t fail_cnt;
};

struct slot {
	struct fair_item share; /* first: a victim's leads to the rest */
	uint8_t key[MESH_KEY_LEN];
	enum slot_class class;
	bool is_own, is_anchor;
	uint8_t room; /* slots that it says are free */
	uint64_t since_ns;
	uint64_t heard_ns; /* its latest exchange */
	uint64_t due_ns;   /* the next one, where it is_own */
	uint64_t upgrade_ns;
	uint64_t away_ns;     /* its session ended then; 0: it is there */
	uint64_t told;	      /* version of N1 that the peer has; 0: none */
	uint64_t heard;	      /* version of its N1 that is here; 0: none */
	uint32_t digest_told; /* edition of the digest that it has */
	struct slot_talk *talk;
	uint8_t record[SOCIAL_ADDRESS_LEN_MAX]; /* its address record */
	size_t record_len;
	/* what it reports */
	struct list_node reports;
	uint32_t report_cnt;
	uint8_t *digest; /* SLOT_DIGEST_LEN_MAX, of its place for good */
	uint32_t digest_len, digest_cnt;
	/* nodes of it that are asked for slots */
	unsigned trying_cnt, trying_max;
	struct slot_patience patience;
};

/* A node of N2. */
struct slot_reported {
	uint8_t key[MESH_KEY_LEN];
	struct list_node reports;
	uint32_t report_cnt;
	struct slot_patience patience;
};
struct slot_report {
	struct list_node of_slot, of_node;
	struct slot *slot;
	struct slot_reported *node;
};

struct slot_known {
	struct fair_item share; /* first */
	uint8_t key[MESH_KEY_LEN];
	enum slot_tier tier;
	struct addr addrs[SLOTS_KNOWN_ADDRS];
	unsigned addr_cnt;
	uint64_t noted_ns;
	bool is_changed; /* differs from the store */
	struct slot_patience patience;
};

enum slot_talk_state { TALK_LOCATES, TALK_HAILS, TALK_SHARES, TALK_DIFFERS };

/* A request to one node, and what leads to it. */
struct slot_talk {
	struct slots *slots;
	struct mesh_request *request;
	enum slot_talk_state state;
	uint8_t key[MESH_KEY_LEN];
	uint8_t reporter[MESH_KEY_LEN];
	bool has_reporter, is_redirected, is_grown, wants_preferred;
	uint8_t chain[SLOTS_CHAIN_MAX][MESH_KEY_LEN]; /* nodes that sent it on */
	unsigned chain_cnt;
	uint64_t version; /* of N1, in what was sent */
	uint32_t edition; /* of the digest, likewise */
	uint8_t reply[SLOT_DIFF_LEN_MAX + MESH_FRAME_OVERHEAD];
};

/* N1: ascending keys, and how they became what they are. */
struct slot_change {
	uint8_t key[MESH_KEY_LEN];
	bool is_added;
};
struct slot_own {
	uint8_t nodes[SLOT_IDS_MAX][MESH_KEY_LEN];
	unsigned cnt;
	bool is_stale;
	uint64_t version, first_version; /* the change that led from first_version is the oldest */
	struct slot_change changes[SLOTS_CHANGE_CAP]; /* version v + 1 came by [v % CAP] */
	uint8_t digest[SLOT_DIGEST_LEN_MAX];
	uint32_t digest_len, digest_cnt, edition;
	uint32_t reported_cnt;	 /* nodes of N2, when the edition began */
	uint64_t digest_version; /* of N1, whose nodes the digest leaves out */
	uint64_t digest_ns, remade_ns;
};

/* A search under way, of this node (is_own) or for a peer. */
struct slot_search {
	struct fair_item share; /* first */
	struct slots *slots;
	struct worm_query query;
	bool is_own;
	struct slots_find find; /* is_own */
	struct mesh_incoming *incoming;
	unsigned asked_cnt, waiting_cnt;
	bool has_tried_leads, has_tried_all;
	uint64_t now_ns; /* of its latest step */
	uint8_t asker[MESH_KEY_LEN];
};
struct slot_question {
	struct slot_search *search;
	struct mesh_request *request;
	uint8_t reply[WORM_ANSWER_LEN_MAX + MESH_FRAME_OVERHEAD];
};

struct slot_use {
	uint8_t key[MESH_KEY_LEN];
	uint64_t used_ns; /* 0: free */
	uint64_t held_ns; /* when its session was wanted last */
};

struct slots {
	const struct social_ground *ground;
	struct slots_config config;
	struct slots_links links;
	struct arena arena;
	struct timer timer;
	bool is_stopped;
	unsigned caps[SLOT_CLASS_CNT], cnts[SLOT_CLASS_CNT];
	struct fair_places places;
	struct pool pool;
	struct map by_key;
	uint8_t *digests;
	/* N2 */
	struct pool reported, reports;
	struct map by_reported;
	/* known nodes */
	struct fair_places tiers[SLOT_TIER_CNT];
	struct pool known;
	struct map by_known;
	uint64_t sources_ns, write_ns;
	bool is_writing;
	/* requests */
	struct pool talks;
	struct map by_talk;
	unsigned grown_cnt;
	bool is_growing;
	struct request_quota messages, queries;
	struct slot_own own;
	struct slot_diff *diff; /* to parse and write with */
	struct slot_share *list;
	uint8_t *bytes; /* SLOT_DIFF_LEN_MAX */
	/* searches */
	struct fair_places search_places;
	struct pool searches, questions;
	uint8_t (*seen)[SLOT_TOKEN_LEN];
	struct map by_token;
	uint32_t seen_cnt;
	unsigned own_search_cnt;
	uint64_t reported_ns; /* a node of N2 is asked then, or later */
	struct slot_use uses[SLOTS_SESSIONS_MAX];
	uint64_t uses_ns; /* when they were looked at last */
	struct slots_stats stats;
};

static inline const uint8_t *social_slots_own_key(const struct slots *slots)
{
	return node_key_public(slots->ground->key);
}
/* social_slots_account: the account that pays for what key takes; its address is that of its session. */
struct fair_path social_slots_account(const struct slots *slots, const uint8_t *key);
/* social_slots_patience_fail: a node was not reached. It rests after SLOTS_FAILURES_MAX in a row. */
void social_slots_patience_fail(struct slots *slots, struct slot_patience *patience,
				uint64_t now_ns);
/* social_slots_wake: the next step comes soon. */
void social_slots_wake(struct slots *slots, uint64_t now_ns);

/* --- slot_table.c --- */

struct slot *social_slots_lookup(const struct slots *slots, const uint8_t *key);
unsigned social_slots_total(const struct slots *slots);
/* social_slots_room: slots that are free and not being asked for. */
unsigned social_slots_room(const struct slots *slots);
/*
 * social_slots_take gives key a slot, or moves the one that it has to a better class. NULL: there is none
 * for it. is_preferred: both sides want that.
 */
struct slot_claim {
	const uint8_t *key;
	bool is_own, is_preferred;
};
struct slot *social_slots_take(struct slots *slots, const struct slot_claim *claim,
			       uint64_t now_ns);
void social_slots_drop(struct slots *slots, struct slot *slot, uint64_t now_ns);
/* social_slots_may_prefer: a preferred slot is free, and key is a friend. */
bool social_slots_may_prefer(const struct slots *slots, const uint8_t *key);

/* --- slot_talk.c --- */

WEFT_MUST_CHECK
int social_slots_talk_init(struct slots *slots);
/*
 * social_slots_hail asks key for a slot: 0, WEFT_EEXISTS (it has one that is good enough, or is being
 * asked), WEFT_EREFUSED (this node, or blocked), WEFT_EFULL.
 */
struct slot_hailing {
	const uint8_t *key;
	const uint8_t *reporter; /* NULL: none */
	const struct addr *addrs;
	unsigned addr_cnt;
};
WEFT_MUST_CHECK
int social_slots_hail(struct slots *slots, const struct slot_hailing *hailing, uint64_t now_ns);
struct slot_talk *social_slots_talk_make(struct slots *slots, const uint8_t *key);
void social_slots_talk_free(struct slot_talk *talk);
/* social_slots_talk_send: 0, or it could not be asked. Answers go to reply. */
struct slot_sending {
	unsigned type;
	const void *payload;
	size_t len;
	const struct peer_places *places; /* NULL: there is a session */
	void (*reply)(void *arg, const struct mesh_reply *reply, uint64_t now_ns);
};
WEFT_MUST_CHECK
int social_slots_talk_send(struct slot_talk *talk, const struct slot_sending *sending,
			   uint64_t now_ns);
/* social_slots_answer sends len bytes, of which it makes a copy. false: the asker left. */
bool social_slots_answer(struct slots *slots, const struct mesh_call *call, unsigned type,
			 const uint8_t *bytes, size_t len);
/* social_slots_refuse answers call with code, and counts. */
void social_slots_refuse(struct slots *slots, const struct mesh_call *call, enum mesh_code code,
			 const char *why);
/* social_slots_admit: call's peer may send one more of these. false: it was answered. */
bool social_slots_admit(struct slots *slots, struct request_quota *quota,
			const struct mesh_call *call, uint64_t now_ns);

/* --- slot_share.c --- */

/* social_slots_own_refresh makes N1 anew, if what it is made of has changed. */
void social_slots_own_refresh(struct slots *slots);
bool social_slots_own_has(const struct slots *slots, const uint8_t *key);
/* social_slots_own_share: all of N1; social_slots_own_diff: what changed since from. false: too long ago. */
void social_slots_own_share(struct slots *slots, struct slot_share *out_share);
bool social_slots_own_diff(struct slots *slots, uint64_t from, struct slot_diff *out_diff);
/*
 * social_slots_record_of copies the newest address record of key that is here; 0: none.
 * social_slots_record_heard: from gave the record of key; it is verified.
 */
size_t social_slots_record_of(const struct slots *slots, const uint8_t *key,
			      uint8_t out[static SLOT_RECORD_LEN_MAX]);
void social_slots_record_heard(struct slots *slots, const uint8_t *from,
			       const struct slot_anchor *heard, uint64_t now_ns);
/*
 * social_slots_digest_refresh: the digest of N2 without N1. An edition begins at most each
 * SLOTS_DIGEST_NS. social_slots_digest lends it; no bits: there is none that fits N1 as it is now.
 */
void social_slots_digest_refresh(struct slots *slots, uint64_t now_ns);
struct slot_digest social_slots_digest(const struct slots *slots);

/* --- slot_exchange.c --- */

WEFT_MUST_CHECK
int social_slots_exchange_init(struct slots *slots);
/* social_slots_exchange begins 633 or 634 with slot's node. */
void social_slots_exchange(struct slots *slots, struct slot *slot, uint64_t now_ns);

/* --- slot_layers.c --- */

WEFT_MUST_CHECK
int social_slots_layers_init(struct slots *slots, const uint64_t secret[2]);
struct slot_reported *social_slots_reported(const struct slots *slots, const uint8_t *key);
/* social_slots_report: slot's node names key; false: it names too many. unreport: no more. */
bool social_slots_report(struct slots *slots, struct slot *slot, const uint8_t *key);
void social_slots_unreport(struct slots *slots, struct slot *slot, const uint8_t *key);
void social_slots_unreport_all(struct slots *slots, struct slot *slot);
void social_slots_digest_set(struct slots *slots, struct slot *slot,
			     const struct slot_digest *digest);
/* social_slots_in_n3: the digest of a reporter has key. */
bool social_slots_in_n3(const struct slots *slots, const uint8_t *key);
/* social_slots_score: D11. 100 / reporters, and 30 more where it is not in N3; no reporter counts as one. */
unsigned social_slots_score(unsigned reporter_cnt, bool is_in_n3);
bool social_slots_is_far(const struct slots *slots, const uint8_t *key);

/* --- slot_known.c --- */

WEFT_MUST_CHECK
int social_slots_known_init(struct slots *slots, const uint64_t secret[2]);
WEFT_MUST_CHECK
int social_slots_known_load(struct slots *slots, uint64_t now_ns);
struct slot_known *social_slots_known(const struct slots *slots, const uint8_t *key);
void social_slots_known_forget(struct slots *slots, struct slot_known *known, uint64_t now_ns);
/* social_slots_known_met: slot's node is there now, at these addresses. */
void social_slots_known_met(struct slots *slots, const struct slot *slot, uint64_t now_ns);
void social_slots_known_write(struct slots *slots, uint64_t now_ns);
void social_slots_known_fini(struct slots *slots);

/* --- slot_growth.c --- */

/* social_slots_grow asks further nodes for slots. Returns whether there may be more to ask soon. */
bool social_slots_grow(struct slots *slots, uint64_t now_ns);
/* social_slots_tried: a talk of growth with key ended. */
void social_slots_tried(struct slots *slots, const struct slot_talk *talk, int err,
			uint64_t now_ns);

/* --- slot_worm.c --- */

WEFT_MUST_CHECK
int social_slots_worm_init(struct slots *slots, const uint64_t secret[2]);
int social_slots_worm_handle(struct slots *slots);
void social_slots_worm_stop(struct slots *slots);

/* --- slot_sessions.c --- */

unsigned social_slots_uses(const struct slots *slots, uint64_t now_ns);
/* social_slots_uses_hold: sessions in use that are not there are made again, each SLOTS_AGAIN_NS. */
void social_slots_uses_hold(struct slots *slots, uint64_t now_ns);
/* social_slots_use_up: a session with key is there. */
void social_slots_use_up(struct slots *slots, const uint8_t *key, uint64_t now_ns);

#endif
