/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_COMMUNITY_STATE_H
#define WEFT_COMMUNITY_COMMUNITY_STATE_H

#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "base/list.h"
#include "base/timer.h"
#include "community.h"
#include "community/access/epoch_key.h"
#include "community/roster/community_intake.h"
#include "community/access/revocations.h"
#include "community/roster/roster.h"

/* The state that the files of community/ share; each part of it has one file that owns it. */

#define COMMUNITY_SEEDS_MAX	    8	 /* nodes to ask that are no members as far as we know */
#define COMMUNITY_PARTNERS_MAX	    4	 /* members that are asked again and again */
#define COMMUNITY_BINDS_MAX	    16	 /* bindings that wait */
#define COMMUNITY_RUNS_MAX	    4	 /* members asked at once, by all communities */
#define COMMUNITY_PEERS_MAX	    1024 /* askers whose requests are counted */
#define COMMUNITY_SEARCHES_MAX	    4
#define COMMUNITY_ASKS_MAX	    4
#define COMMUNITY_ANSWER_MEMORY_LEN (4u << 20)
#define COMMUNITY_REPLY_CAP	    (65535 + MESH_FRAME_OVERHEAD) /* of class announce */

struct community_seed {
	uint8_t key[COMMUNITY_KEY_LEN];
	struct peer_places places;
	unsigned failed_cnt;
	bool is_told; /* by unknown peers, not by a link: not kept over a restart */
};

struct community_partner {
	uint8_t key[COMMUNITY_KEY_LEN];
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	size_t cursor_len; /* 0: it has not said all yet */
	unsigned failed_cnt;
};

enum community_phase { COMMUNITY_FREE, COMMUNITY_IN, COMMUNITY_LEAVING, COMMUNITY_SWEEPING };

/* The value that is being put into the overlay. */
enum community_put { COMMUNITY_PUT_MEMBER, COMMUNITY_PUT_SHARE, COMMUNITY_PUT_HINT };

struct community {
	struct communities *all;
	enum community_phase phase;
	struct roster roster;
	uint8_t key[COMMUNITY_KEY_LEN];
	struct node_key *secret; /* of key; NULL: not here */
	char name[COMMUNITY_NAME_LEN_MAX + 1];
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	size_t token_len;
	uint64_t token_expires_s;
	uint64_t joined_s;
	community_done_fn done; /* of a creation, join or leave; NULL: no caller waits */
	void *done_arg;
	int done_err;
	bool is_kept; /* its row is durable */
	/* The changes of a second join, until they are durable. */
	struct {
		char name[COMMUNITY_NAME_LEN_MAX + 1];
		uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
		size_t token_len;
		uint64_t token_expires_s;
		bool is_strict;
		bool is_set;
	} before;
	/*
	 * Leaving: asked for; in the row that the store has; durable. Only
	 * then the phase is another.
	 */
	bool is_leave_asked, is_leave_saving, is_leave_kept;
	bool is_saving;	  /* the store has its row */
	bool is_save_due; /* it changed since */
	bool is_done_due; /* done is to be called with done_err */

	/* community_announce.c */
	uint8_t record[COMMUNITY_MEMBER_LEN_MAX]; /* our own, durable */
	size_t record_len;			  /* 0: none yet */
	uint64_t seq, record_s;
	bool is_record_stale;  /* addresses, token or state are others by now */
	struct intake_lot own; /* one own record on its way */
	uint8_t own_bytes[COMMUNITY_SHARE_LEN_MAX];
	size_t own_len;
	uint64_t own_s; /* when the latest own share was signed */
	uint8_t binds[COMMUNITY_BINDS_MAX][COMMUNITY_BINDING_LEN_MAX];
	size_t bind_lens[COMMUNITY_BINDS_MAX];
	unsigned bind_cnt;
	struct own_shares shares;
	unsigned share_idx; /* of them, where the look for old ones goes on */
	struct timer announce_timer;
	uint64_t hint_ns, share_look_ns; /* when they are next due */
	uint64_t put_ns;		 /* no put of the own record before */
	uint64_t untold_s; /* own shares of that time or later may lack a put; 0: none */
	uint64_t look_from_s, look_to_s; /* such ones, which the look under way says again */
	bool is_put_due;		 /* no node stores the own record yet */
	enum community_put put_kind;
	struct overlay_run *put;

	/* partners.c, community_sync.c */
	struct community_seed seeds[COMMUNITY_SEEDS_MAX];
	unsigned seed_cnt;
	struct community_partner partners[COMMUNITY_PARTNERS_MAX];
	unsigned partner_cnt;
	unsigned round;	   /* of asking */
	unsigned idle_cnt; /* rounds without a member to ask, in a row */
	unsigned run_cnt;  /* under way */
	uint64_t synced_ns;
	struct timer sync_timer;
	uint8_t sample[COMMUNITY_KEY_LEN]; /* a member that a hint names */
	bool has_sample;
	struct overlay_run *get;

	/* community_serve.c: the record of an asker */
	struct intake_lot heard;
	uint8_t heard_bytes[COMMUNITY_MEMBER_LEN_MAX];

	/* revocations.c */
	struct community_revocations revocations; /* epoch 0: none is here */
	uint8_t revocations_bytes[COMMUNITY_REVOCATIONS_LEN_MAX];
	size_t revocations_len;
	struct epoch_keys epoch_keys;

	struct intake_lot sweep;
	uint64_t sweep_ns;
	bool is_sweep_whole; /* it goes on at once until it came to the end */
	uint64_t leave_ns;   /* telling that we leave ends */
	bool is_gone;	     /* its row went, or never was */
};

struct community_peer_count {
	uint8_t key[COMMUNITY_KEY_LEN];
	uint64_t began_ns;
	uint32_t cnt;
};

struct revocations_ask;
struct sync_run;
struct search_run;
struct question_run;

struct communities {
	struct community_params params;
	const uint8_t *own_key;
	struct arena arena;
	struct roster_limits limits;
	struct community *slots;
	uint32_t slot_cnt; /* more than may be joined: those that are being left have theirs */
	struct intake *intake;
	struct heap *answers;
	struct list_node lent; /* of them, to the mesh */
	uint8_t cursor_key[COMMUNITY_CURSOR_KEY_LEN];
	struct peer_places places;
	struct sync_run *runs;
	struct revocations_ask *revocations_asks;
	uint64_t show_refused_cnt;
	struct search_run *searches;
	struct question_run *questions;
	struct community_peer_count *peers;
	uint64_t counts[COMMUNITY_REASON_CNT];
	bool is_stopped;
};

/* communities.c */
struct community *community_lookup(const struct communities *all, const uint8_t *id);
/* community_next walks the places in use: start with NULL, ends with NULL. */
struct community *community_next(const struct communities *all, const struct community *after);
/*
 * community_has_overlay: nodes of the overlay may learn of it. Only members may learn of a
 * strict one: they meet by links, sessions and the records that each keeps of the others.
 */
bool community_has_overlay(const struct community *community);
uint64_t community_wall_s(const struct communities *all);
void community_tell(struct communities *all, enum community_event_kind kind, const uint8_t *id,
		    const uint8_t *key);
/* community_save: its row is written soon, and again if it is being written. */
void community_save(struct community *community);

/* community_join.c */
struct community *community_new(struct communities *all); /* NULL: all places are taken */
void community_begin(struct community *community, uint64_t now_ns);
void community_end(struct community *community);
/* community_undo: its first row could not be stored, so it was not joined. */
void community_undo(struct community *community);
/* community_told: it has left for others; what is kept of it goes. */
void community_told(struct community *community);
void community_swept(struct community *community, const struct intake_lot *lot);
/* community_before_restore takes back what a join that was refused changed. */
void community_before_restore(struct community *community);
/* community_leave_begin: that it leaves is durable. */
void community_leave_begin(struct community *community, uint64_t now_ns);
void community_leave_turn(struct community *community, uint64_t now_ns);

/*
 * community_join.c: token_take is for one that was checked. token_renew makes this node one of
 * its own. token_is_half_over: at most half of the time that tokens have is left.
 */
int community_token_check(const struct communities *all, const uint8_t *id, const uint8_t *bytes,
			  size_t len, struct community_token *out_token);
void community_token_take(struct community *community, const uint8_t *bytes, size_t len,
			  const struct community_token *token);
WEFT_MUST_CHECK
int community_token_renew(struct community *community);
bool community_token_is_half_over(const struct community *community);

/* community_announce.c */
void community_announce_init(struct community *community);
void community_announce_start(struct community *community, uint64_t now_ns);
void community_announce_stop(struct community *community);
/* community_announce_load takes the own record that the roster has. 0 or -errno. */
WEFT_MUST_CHECK
int community_announce_load(struct community *community);
/* community_announce_renew: the own record is signed anew at once, under a number above seq. */
void community_announce_renew(struct community *community, uint64_t seq, uint64_t now_ns);
/* community_announce_check: the wall clock may have jumped, as it does while a machine sleeps. */
void community_announce_check(struct community *community, uint64_t now_ns);
WEFT_MUST_CHECK
int community_announce_bind(struct community *community, const uint8_t *bytes, size_t len,
			    uint64_t now_ns);

/* partners.c */
void community_partners_init(struct community *community);
void community_partners_start(struct community *community, uint64_t now_ns);
void community_partners_soon(struct community *community, uint64_t now_ns);
void community_partners_stop(struct community *community);
/* partners_{named,told}: the node of key may be a member, by a link or by word of unknown peers. */
void community_partners_named(struct community *community, const struct link_node *node);
void community_partners_told(struct community *community, const uint8_t *key,
			     const struct peer_places *places);
/*
 * community_partners_next: the member to ask now; out_peer borrows places. False: there
 * is none.
 */
bool community_partners_next(struct community *community, struct mesh_peer *out_peer,
			     struct peer_places *places);
struct community_partner *community_partners_partner(struct community *community,
						     const uint8_t *key);
/* community_partners_answered, community_partners_failed: what came of asking; is_final: it will not have us. */
struct community_partner *community_partners_answered(struct community *community,
						      const uint8_t *key);
void community_partners_failed(struct community *community, const uint8_t *key, bool is_final);

/* community_sync.c */
WEFT_MUST_CHECK
int community_sync_init(struct communities *all);
/* community_sync_start asks the next one; community_sync_tell shows the own record to all partners. */
void community_sync_start(struct community *community, uint64_t now_ns);
void community_sync_tell(struct community *community, uint64_t now_ns);
void community_sync_forget(struct community *community);

#endif
