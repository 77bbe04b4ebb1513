/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SWARM_SWARM_H
#define WEFT_BLOBS_SWARM_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/content_message.h"
#include "finder.h"
#include "mesh/seam.h"
#include "weft/err.h"

/*
 * The nodes that may have one collection, and asking them. A swarm begins with the nodes its
 * maker names (hints), looks for more with the finders, and gets further nodes from those it
 * asks. A hint is asked at once; a node that was found is first asked what it has.
 *
 *	swarm.c	  members, and the timer that tends them
 *	swarm_contact.c what each has (HAVE_CONTENT), which holders it knows (HOLDERS)
 *	swarm_find.c  finders
 *	swarm_ask.c	  requests: the choice of member, the handling of answers
 *	swarm_source.c  a node as all swarms see it: speed, window, reputation
 *	swarm_have.c	  what a member has
 *	hrw_part.c	  which getter is to ask for what first
 *
 * Sources belong to all swarms of a node, so two gets that ask the same node know how much it
 * can take. The caller that asked verifies the bytes of a source; it reports bad data with
 * blobs_swarm_blame. After three reports no swarm of this node asks the source again.
 *
 * Home worker. Nothing here blocks.
 */
struct blobs;
struct swarm;
struct swarm_member;
struct swarms;

#define SWARMS_MAX	  256u /* at once: gets, followed shares, readers */
#define SWARM_MEMBERS_MAX 128u
#define SWARM_OPEN_MAX	  16u /* members asked at a time; others wait for a place */

WEFT_MUST_CHECK
int blobs_swarms_new(struct blobs *content, struct swarms **out_swarms);
/* blobs_swarms_free: every swarm was left. */
void blobs_swarms_free(struct swarms *swarms);
/* blobs_swarms_pardon: the operator asks for key by name; what it did is forgotten. */
void blobs_swarms_pardon(struct swarms *swarms, const uint8_t key[static MESH_KEY_LEN]);

/* FINDER_CONTENT: of a file whose collection is not known; it is item 0. */
struct swarm_join {
	enum finder_kind kind;
	const uint8_t *id;	       /* of the manifest or the content */
	const struct mesh_peer *hints; /* copied; each with its addresses, maybe none */
	unsigned hint_cnt;
};
/*
 * blobs_swarm_join begins a swarm. NULL: too many swarms, or no memory.
 * blobs_swarm_leave ends it: asks under way are taken back untold.
 */
struct swarm *blobs_swarm_join(struct blobs *content, const struct swarm_join *join,
			       uint64_t now_ns);
void blobs_swarm_leave(struct swarm *swarm);
/* blobs_swarm_hint adds a node to a swarm that runs; one more address of one it has. */
void blobs_swarm_hint(struct swarm *swarm, const struct mesh_peer *hint);
/*
 * on_change is called when there may be a member to ask, and may ask. on_bad is called
 * when the peer with this key sent bad data. Neither leaves the swarm. Without a
 * watcher, content reports bad data itself (BLOBS_PEER_BAD).
 */
struct swarm_watcher {
	void (*on_change)(void *arg, uint64_t now_ns);
	void (*on_bad)(void *arg, const uint8_t key[static MESH_KEY_LEN]);
	void *arg;
};
void blobs_swarm_watch(struct swarm *swarm, const struct swarm_watcher *watcher);
/*
 * blobs_swarm_set_manifest: item numbers below are those of this manifest from now
 * on; it is the swarm's own or a part of it. is_serving: this node serves
 * what it has of it, and says so to the others.
 */
void blobs_swarm_set_manifest(struct swarm *swarm, const uint8_t id[static 32], bool is_serving);

/*
 * An ask. The caller fills the first half, keeps it where it is and lends buf until done or
 * cancel. done is called once, never from within blobs_swarm_ask.
 *
 * Without from, the best member is asked. When it fails, or check says that the answer is not
 * right, the next one is asked. This ends when one answers or none is left that could. With
 * from, that member alone is asked, once: the caller chooses again.
 */
struct swarm_answer {
	int err;	    /* 0: message is what was asked for */
	const char *detail; /* with err: a sentence for people */
	struct message_answer message;
	const uint8_t *from_key; /* that answered, or failed; NULL: none was asked */
};
struct swarm_ask {
	unsigned type; /* MESH_GET_MANIFEST, GET_CHUNK, GET_CHUNK_HASHES, RANGE_PROOF */
	struct message_request request;
	const char *what; /* for errors: "the collection"; lives as long as the ask */
	size_t what_len;
	uint32_t item;	/* in the manifest; of chunks, lists and proofs */
	uint64_t chunk; /* the member asked has this chunk */
	uint8_t *buf;
	size_t cap;
	struct swarm_member *from;
	const uint8_t (*not_of)[MESH_KEY_LEN]; /* without from: nodes that are not asked */
	unsigned not_of_cnt;
	uint64_t stall_ns; /* without a byte, before another is asked; 0 or above: as configured */
	bool (*check)(void *arg, const struct message_answer *answer); /* NULL: done looks */
	void (*done)(void *arg, const struct swarm_answer *answer, uint64_t now_ns);
	void *arg;

	/* the swarm's own */
	struct swarm *swarm; /* NULL: not under way */
	struct swarm_ask *next;
	struct swarm_member *member; /* asked now */
	struct mesh_request *request_out;
	uint64_t asked_ns;
	unsigned lost_cnt; /* times that the way to a node failed, since it was asked */
	uint8_t name[32];  /* of what it asks for, as the member it is asked of knows it */
	unsigned way_cnt;  /* to name it that were tried with the member */
	size_t taken_len;  /* of the limits of downloads, while it is asked */
	size_t credit_len; /* likewise, of a month's credit of zone */
	unsigned zone;
	uint64_t failed[SWARM_MEMBERS_MAX / 64]; /* members that have not got it */
};
/*
 * blobs_swarm_ask: 0; WEFT_EFULL when it cannot be sent now (with from only; another ask would
 * be refused as well); WEFT_EABSENT when from was lost.
 */
WEFT_MUST_CHECK
int blobs_swarm_ask(struct swarm *swarm, struct swarm_ask *ask, uint64_t now_ns);
void blobs_swarm_cancel(struct swarm_ask *ask);

/*
 * Functions for a caller that chooses a member itself. blobs_swarm_round begins.
 * blobs_swarm_best gives the member that is expected to answer soonest and has room for one more
 * request, or NULL. blobs_swarm_skip leaves it out for the rest of the round.
 */
void blobs_swarm_round(struct swarm *swarm);
struct swarm_member *blobs_swarm_best(struct swarm *swarm, uint64_t now_ns);
/* blobs_swarm_is_held: the last blobs_swarm_best left out one that a month's cap holds: ask again soon. */
bool blobs_swarm_is_held(const struct swarm *swarm);
void blobs_swarm_skip(struct swarm *swarm, struct swarm_member *member);
bool blobs_swarm_member_has(const struct swarm_member *member, uint32_t item, uint64_t chunk);
/* blobs_swarm_member_chunks: bit i says that it has chunk first + i of item; first is a multiple of 64. */
uint64_t blobs_swarm_member_chunks(const struct swarm_member *member, uint32_t item,
				   uint64_t first);
/*
 * blobs_swarm_member_idx: below SWARM_MEMBERS_MAX; of another when it is gone.
 * blobs_swarm_member_version, of all that had an index, is another when there may be more of what
 * it has.
 */
unsigned blobs_swarm_member_idx(const struct swarm_member *member);
uint32_t blobs_swarm_member_version(const struct swarm_member *member);
/* blobs_swarm_member_cost: when it would answer, from now, in ns; for weighing two of them. */
uint64_t blobs_swarm_member_cost(const struct swarm_member *member);
/* blobs_swarm_holder_cnt: members that are asked and have it. */
unsigned blobs_swarm_holder_cnt(const struct swarm *swarm, uint32_t item, uint64_t chunk);
/* blobs_swarm_turn: members that are fetching and are to ask for that part of item before this node. */
unsigned blobs_swarm_turn(const struct swarm *swarm, uint32_t item, uint64_t part);
/* blobs_swarm_has_getters: some member is fetching it, too. */
bool blobs_swarm_has_getters(const struct swarm *swarm);
/* blobs_swarm_version changes when blobs_swarm_holder_cnt or blobs_swarm_turn of anything may have. */
uint32_t blobs_swarm_version(const struct swarm *swarm);
/* blobs_swarm_is_even: no member is known to have some of it only, so nothing is rarer than other. */
bool blobs_swarm_is_even(const struct swarm *swarm);

/*
 * blobs_swarm_blame: what the source of key sent fails verification; it may be refused for
 * that. Where others have that chunk of that item, they are asked for it from now on.
 */
struct swarm_fault {
	uint8_t key[MESH_KEY_LEN];
	uint32_t item;
	uint64_t chunk;
};
void blobs_swarm_blame(struct swarm *swarm, const struct swarm_fault *fault, uint64_t now_ns);
/* blobs_swarm_lookup: the member of key that may be asked, or NULL. */
struct swarm_member *blobs_swarm_lookup(struct swarm *swarm,
					const uint8_t key[static MESH_KEY_LEN]);
const uint8_t *blobs_swarm_member_key(const struct swarm_member *member);

/*
 * blobs_swarm_outlook says whether it is worth waiting when nothing is under way.
 * With SWARM_LACKING and SWARM_LOST, blobs_swarm_failure gives the error and a
 * sentence about the member that says most.
 */
enum swarm_outlook {
	SWARM_GOOD,    /* a member can be asked, now or when its time has come */
	SWARM_WAITING, /* a lookup of members, or a question what one has, is under way */
	SWARM_LACKING, /* all members that answer have stated what they have */
	SWARM_LOST,    /* no member is left */
};
enum swarm_outlook blobs_swarm_outlook(const struct swarm *swarm, uint64_t now_ns);
int blobs_swarm_failure(const struct swarm *swarm, const char **out_detail);
/* blobs_swarm_wrong_key: with WEFT_EWRONGKEY, the key that answered; else zeros. */
const uint8_t *blobs_swarm_wrong_key(const struct swarm *swarm);

/* The view of a member for people. */
struct swarm_source_view {
	const uint8_t *key;
	bool is_open; /* asked; else it waits for its turn */
	bool has_all;
	uint64_t received_byte_cnt;
	uint64_t rate; /* bytes/s, of this source with all swarms */
	uint32_t asked_cnt;
	uint32_t bad_cnt;
};
/* A swarm_iter walks the members; false: behind the last. Members may come and go meanwhile. */
struct swarm_iter {
	const struct swarm *swarm; /* NULL: none has members */
	unsigned idx;		   /* of the next */
};
bool blobs_swarm_next(struct swarm_iter *iter, struct swarm_source_view *out_view);

#endif
