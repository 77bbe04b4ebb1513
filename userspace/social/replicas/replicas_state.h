/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_REPLICAS_REPLICAS_STATE_H
#define WEFT_SOCIAL_REPLICAS_REPLICAS_STATE_H

#include "base/fair/fair.h"
#include "base/memory/arena.h"
#include "social/replicas/replica_message.h"
#include "social/replicas/replicas.h"

/* Private to replicas/. */

#define REPLICA_TIMEOUT_NS   20000000000ull
#define REPLICA_REST_MS	     (6ull * 3600 * 1000) /* a node that refused, or knows no such message */
#define REPLICA_LOADS_MAX    16u		  /* private posts read in a round: 0.1 ms each */
#define REPLICA_VISITS_MAX   1024u
#define REPLICA_CANDIDATES   64u
#define REPLICA_HOUR_MS	     3600000ull
#define REPLICA_TELLINGS_MAX 32u
#define REPLICA_TELL_VISITS  4096u /* rows of holders that a round looks at: a millisecond of them */

/* A peer that was met at a sync: where the walk over the posts is. */
struct replica_peer {
	uint8_t key[MESH_KEY_LEN];
	uint64_t used_ns; /* 0: free */
	bool is_met;	  /* once more than once: by then readers had their syncs, too */
	bool has_cursor;
	struct post_cursor cursor;
	uint64_t rests_until_ms;
	struct mesh_request *check; /* under way */
	struct replicas *replicas;
	const uint8_t *reply_at; /* in reply, the last STATUS, whose notes of others wait */
	size_t reply_len;	 /* 0: none */
	struct holder_walk told; /* up to where holders' rows were looked at for it */
	bool has_told;		 /* there are more, for this round */
	struct replica_check asked;
	uint8_t reply[REPLICA_CHECK_MAX * (REPLICA_STORED_LEN_MAX + POST_ID_LEN + 8) + 16 +
		      MESH_FRAME_OVERHEAD];
};

/* A copy that this node gives. */
struct replica_giving {
	struct replicas *replicas;
	struct mesh_request *request; /* NULL: free */
	struct post_copy *copy;
	uint8_t peer[MESH_KEY_LEN];
	struct replica_offer offer;
	bool is_begun; /* room was said to be there */
	bool is_own;   /* and not public: it is marked as given before its bytes go */
	uint8_t reply[1200 + 1024 + MESH_FRAME_OVERHEAD];
};

/* New readers or a deletion, on their way to a node that keeps the post. replicas NULL: free. */
struct replica_telling {
	struct replicas *replicas;
	struct mesh_request *request;
	uint8_t peer[MESH_KEY_LEN], post[POST_ID_LEN];
	bool is_deletion;
	uint8_t reply[64 + MESH_FRAME_OVERHEAD];
};

/* A copy for another that comes in pieces. */
struct replica_hosting {
	struct fair_item slot;
	struct replicas *replicas;
	bool is_used;
	bool is_judged;			/* it is with the intake */
	struct mesh_incoming *incoming; /* waits for the verdict; NULL: the asker left */
	uint8_t peer[MESH_KEY_LEN];
	struct replica_offer offer;
	uint32_t got_len;
	uint8_t *bytes; /* REPLICA_BYTES_MAX, of the arena */
};

/* A note of a holder that was passed on to a peer: not again, unless it is a later one. */
#define REPLICA_PASSED_MAX 4096u
struct replica_passed {
	uint64_t name; /* of peer, post and holder */
	uint64_t noted_ms;
};

/* A long answer, lent to the mesh. */
#define REPLICA_ANSWERS_CAP 32u
#define REPLICA_SHORT_LEN   1024u
struct replica_answer {
	bool is_lent;
	uint8_t asker[MESH_KEY_LEN];
	uint8_t bytes[REPLICA_CHECK_MAX * (REPLICA_STORED_LEN_MAX + POST_ID_LEN + 8) + 16];
};

/* Bytes of the hour, as two halves of a sliding window. */
struct replica_hour {
	uint64_t begun_ms;
	uint64_t now_len, before_len;
};

struct replicas {
	struct replicas_params params;
	struct arena arena;
	struct fair fair;
	struct replica_hosting hostings[REPLICA_HOSTING_CAP];
	struct replica_giving givings[REPLICA_OFFERS_MAX];
	struct replica_passed passed[REPLICA_PASSED_MAX];
	uint64_t secret[2];
	struct replica_telling tellings[REPLICA_TELLINGS_MAX];
	struct replica_peer *peers; /* REPLICA_PEERS_CAP */
	struct replica_answer answers[REPLICA_ANSWERS_CAP];
	struct replica_hour hosted, offered;
	uint64_t low_ms; /* when it was said last */
	uint64_t now_ns;
	bool is_stopped;
	struct replicas_stats stats;
	struct replica_status status;		    /* the one at hand */
	struct holder_said said[REPLICA_CHECK_MAX]; /* by a peer, for the time of its answer */
	uint8_t clear[REPLICA_NOTE_LEN_MAX];	    /* a note that was sealed; wiped behind it */
	uint8_t notes[REPLICA_CHECK_MAX][REPLICA_STORED_LEN_MAX];
	uint8_t message[MESH_ASK_LEN_MAX];
	uint8_t piece[REPLICA_PIECE_LEN_MAX];
};

/* What is at hand of a post. */
struct replica_post {
	struct post_view view;
	struct visibility *visibility; /* NULL: public; the caller frees it */
	bool has_key;
	uint8_t key[CONTENT_KEY_LEN]; /* of the content, if this node opens it */
};
/*
 * social_replica_load reads what is needed of view. 0 or an error. social_replica_fini wipes.
 * social_replica_is_reader: of a post that is not public, by its header. social_replica_may_know: the node
 * of key may learn that this node has the post.
 */
WEFT_MUST_CHECK
int social_replica_load(struct replicas *replicas, const struct post_view *view,
			struct replica_post *out_post);
void social_replica_fini(struct replica_post *post);
bool social_replica_is_reader(const struct replicas *replicas, const struct replica_post *post,
			      const uint8_t key[static MESH_KEY_LEN]);
bool social_replica_may_know(const struct replicas *replicas, const struct replica_post *post,
			     const uint8_t key[static MESH_KEY_LEN]);

/* social_replica_spend: len bytes more in this hour; false: they are more than max. */
bool social_replica_spend(struct replica_hour *hour, uint64_t len, uint64_t max, uint64_t wall_ms);

/* replica_notes.c: notes of other holders, to peer for the posts of check; and those that peer gave. */
void social_replica_notes_pass(struct replicas *replicas, const struct replica_check *check,
			       const uint8_t peer[static MESH_KEY_LEN]);
void social_replica_notes_take(struct replicas *replicas, struct replica_peer *peer);

/*
 * replica_check.c. note_open: the note in row, on its post, of whatever holder. is_chosen: this node chose
 * the one of key.
 */
bool social_replica_note_open(struct replicas *replicas, const struct replica_row *row,
			      struct replica_note *out_note);
bool social_replica_is_chosen(const struct replicas *replicas, const uint8_t *key);
void social_replica_check(struct replicas *replicas, struct replica_peer *peer, uint64_t now_ns);
void social_replica_on_check(void *ctx, const struct mesh_call *call, uint64_t now_ns);
/* replica_offer.c: the post is given to a node in session, if it has too few copies. */
void social_replica_restore(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			    uint64_t now_ns);
void social_replica_offer_stop(struct replicas *replicas);
/*
 * replica_tell.c. tell: a sync with peer is over, and it hears what it missed as a holder. is_behind: the
 * node of key keeps post, and is to hear of new readers or of the deletion.
 */
void social_replica_tell(struct replicas *replicas, struct replica_peer *peer, uint64_t now_ns);
bool social_replica_is_behind(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			      const uint8_t key[static MESH_KEY_LEN]);
void social_replica_tell_stop(struct replicas *replicas);
/* replica_host.c */
WEFT_MUST_CHECK
int social_replica_host_init(struct replicas *replicas, const uint64_t secret[2]);
void social_replica_on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns);
void social_replica_host_stop(struct replicas *replicas);

static inline const struct mesh_ops *replica_ops(const struct replicas *replicas)
{
	return replicas->params.ground->mesh.ops;
}

static inline const struct node_key *social_replica_own(const struct replicas *replicas,
							const uint8_t *key)
{
	return replicas->params.ways.own(replicas->params.ways.ctx, key);
}
static inline bool social_replica_blocks(const struct replicas *replicas, const uint8_t *key)
{
	return replicas->params.ways.is_blocked(replicas->params.ways.ctx, key);
}

/* replicas.c: NULL when key is not known. */
struct replica_peer *social_replica_peer(struct replicas *replicas, const uint8_t *key);
/* social_replica_rest: nothing is offered to the node of key for a while. */
void social_replica_rest(struct replicas *replicas, const uint8_t *key);

#endif
