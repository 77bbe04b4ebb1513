/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SWARM_SWARM_STATE_H
#define WEFT_BLOBS_SWARM_SWARM_STATE_H

#include "base/timer.h"
#include "blobs/blobs.h"
#include "blobs/scope.h"
#include "swarm_have.h"
#include "swarm_source.h"
#include "swarm.h"

/* The state that the files of blobs/swarm share; see swarm.h for the part of each file. */
#define SWARM_TRIES_MAX	 2u /* of a hint that was never reached; of a guess: one */
#define SWARM_GIVE_UP_NS (120ull * 1000000000ull) /* without an answer from any member */
/*
 * The time without a right answer from any member, however many more are found. It is enough for
 * a thousand that are not there, and no more for a peer that goes on naming others.
 */
#define SWARM_HOPE_NS	   (600ull * 1000000000ull)
#define SWARM_DETAIL_CAP   256
#define SWARM_CONTACTS_MAX 16u /* members asked for the first time at once */

enum member_state {
	MEMBER_NONE,
	MEMBER_FOUND, /* a guess: it must answer what it has before any other request */
	MEMBER_OPEN,
};

/* A message of the swarm's own to a member, and its answer. */
struct contact {
	struct swarm_member *member;
	struct mesh_request *request; /* NULL: none under way */
	uint8_t *buf;		      /* while it is */
	uint8_t id[32];		      /* of the manifest asked about */
	uint64_t due_ns;	      /* of the next; TIMER_NEVER: none */
	uint64_t every_ns;
	unsigned way_cnt; /* tried, of those to name what it asks about */
};

struct swarm_member {
	struct swarm *swarm;
	struct source *source;
	enum member_state state;
	bool is_hint;
	bool was_reached;
	bool has_everything; /* of the swarm's own manifest, so of every part of it */
	bool is_mute;	     /* it does not know HAVE_CONTENT */
	bool is_going;	     /* removed when nothing of it is under way */
	unsigned try_cnt;    /* that failed, never reached */
	unsigned asked_cnt;
	unsigned way; /* to name things by, that it answered last (blobs_ways_to) */
	uint64_t found_ns, opened_ns;
	uint64_t received_len;
	uint32_t skipped_round;
	struct have have;
	struct contact have_contact;
	struct contact holders_contact;
};

struct blobs_ways;

struct swarm_run {
	struct swarm *swarm;
	void *run; /* NULL: none */
	uint64_t due_ns;
};

struct swarm {
	struct timer timer; /* first */
	struct swarms *swarms;
	enum finder_kind kind; /* of id */
	uint8_t id[32];
	uint8_t part_id[32];
	bool is_serving;
	bool has_scope; /* of the manifest, as soon as it is here */
	struct scope scope;
	struct swarm_member members[SWARM_MEMBERS_MAX];
	unsigned member_cnt, open_cnt;
	uint32_t round;
	uint32_t version;
	uint64_t joined_ns;
	uint64_t progress_ns; /* of the last answer to an ask that passed its check */
	uint64_t tended_ns;
	struct swarm_ask *asks; /* under way or waiting for a member */
	struct swarm_run runs[SWARM_FINDERS_MAX];
	bool is_changed;
	bool is_held; /* the last blobs_swarm_best left out one for want of a month's credit */
	bool is_cut;  /* the last lookup found more than there was room for */
	struct swarm_watcher watcher;
	/* what is said when all fail */
	int fail_err;
	char fail_detail[SWARM_DETAIL_CAP];
	uint8_t wrong_key[MESH_KEY_LEN];
};

struct swarms {
	struct blobs *content;
	struct sources sources;
	struct swarm_finder finders[SWARM_FINDERS_MAX];
	unsigned finder_cnt;
	unsigned cnt;
	uint64_t now_ns; /* the time of the last call that passed one */
};

/* swarm.c */
struct swarm_member *blobs_swarm_member_add(struct swarm *swarm, const struct mesh_peer *peer,
					    bool is_hint);
/* blobs_swarm_member_lose: it is no source any more; gone when nothing of it is under way. */
void blobs_swarm_member_lose(struct swarm_member *member, uint64_t now_ns);
void blobs_swarm_member_open(struct swarm_member *member, uint64_t now_ns);
bool blobs_swarm_member_is_usable(const struct swarm_member *member);
/*
 * blobs_swarm_member_has_room: for one more request. One of this swarm always has: others may keep
 * the source's window full for as long as they run.
 */
bool blobs_swarm_member_has_room(const struct swarm_member *member, uint64_t now_ns);
/* blobs_swarm_ways: how to name to member what the swarm is about (blobs_state.h). */
void blobs_swarm_ways(struct swarm_member *member, uint64_t now_ns, struct blobs_ways *out_ways);
/*
 * blobs_swarm_member_has_credit: no cap of a month holds a chunk of its zone; nothing of a proof is
 * left out.
 */
#define SWARM_CREDIT_LEN (BLAKE3_CHUNK_LEN + 16384u)
bool blobs_swarm_member_has_credit(const struct swarm_member *member);
/* blobs_swarm_changed: the timer's next turn calls the watcher and tries waiting asks. */
void blobs_swarm_changed(struct swarm *swarm);
void blobs_swarm_tend_at(struct swarm *swarm, uint64_t at_ns);
/* blobs_swarm_member_blame: what it sent is not right, whatever it was. */
void blobs_swarm_member_blame(struct swarm_member *member, uint64_t now_ns);
/*
 * blobs_swarm_send sends ask to member. It fills in the receiver and, if ask has none,
 * the time limit. 0 with *out_request, WEFT_EFULL (try again in a moment) or WEFT_EABSENT (it
 * cannot be reached at all and is lost).
 */
WEFT_MUST_CHECK
int blobs_swarm_send(struct swarm_member *member, struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request);
/* blobs_swarm_member_name: its first letters are enough to know a node by, in a sentence. */
#define SWARM_NAME_CAP 64
const char *blobs_swarm_member_name(const struct swarm_member *member,
				    char text[static SWARM_NAME_CAP]);
unsigned blobs_swarm_window_max(const struct swarm *swarm);
/* blobs_swarm_fail remembers what to say if no member is left; later words replace earlier ones. */
void blobs_swarm_fail(struct swarm *swarm, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* swarm_contact.c */
void blobs_swarm_contacts_init(struct swarm_member *member);
void blobs_swarm_contacts_run(struct swarm *swarm, uint64_t now_ns);
void blobs_swarm_contacts_end(struct swarm_member *member);
bool blobs_swarm_contacts_are_out(const struct swarm_member *member);
/* blobs_swarm_contact_as_server: member is to learn soon that this node serves what it has. */
void blobs_swarm_contact_as_server(struct swarm_member *member, uint64_t now_ns);
/* blobs_swarm_contact_again: what member has is to be asked soon. */
void blobs_swarm_contact_again(struct swarm_member *member, uint64_t at_ns);

/* swarm_find.c */
void blobs_swarm_finds_run(struct swarm *swarm, uint64_t now_ns);
void blobs_swarm_finds_end(struct swarm *swarm);
bool blobs_swarm_finds_are_out(const struct swarm *swarm);

/* swarm_ask.c */
/* blobs_swarm_asks_run sends what can be sent; swarm may be gone when it returns. */
void blobs_swarm_asks_run(struct swarm *swarm, uint64_t now_ns);
/* blobs_swarm_asks_take_back: what member was asked for is asked of others. */
void blobs_swarm_asks_take_back(struct swarm_member *member, uint64_t now_ns);
/* blobs_swarm_way_failed: no answer came from member, for an ask or a contact. */
void blobs_swarm_way_failed(struct swarm_member *member, const struct mesh_reply *reply,
			    uint64_t now_ns);
/* blobs_swarm_asks_forget: another member may take member's place. */
void blobs_swarm_asks_forget(struct swarm *swarm, const struct swarm_member *member);

#endif
