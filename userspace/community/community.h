/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_COMMUNITY_H
#define WEFT_COMMUNITY_COMMUNITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "community/record/page_cursor.h"
#include "community/record/community_message.h"
#include "community_reason.h"
#include "community/record/community_record.h"
#include "blobs/link.h"
#include "mesh/seam.h"
#include "mesh/seam_overlay.h"

struct jobs;
struct key_seal;
struct node_key;
struct random;
struct store;
struct timer_wheel;

/*
 * Communities: nodes that joined the same one know of each other and of the public shares that
 * were bound to it; other nodes do not. Each member holds all records that it received, and asks
 * some others every minute what is new.
 *
 *	joined	communities.c: create, join, leave; in the store
 *	said	community_announce.c, community_bind.c: this node's own records, signed anew -> intake, overlay
 *	found	partners.c: the nodes to ask: the link's nodes, hints of the overlay, members
 *	heard	community_sync.c: asks 404, 408, 410, 414 -> community_intake.c -> roster.c
 *	asked	community_serve.c: answers 404 to 415, to members alone
 *	shown	community_query.c, community_search.c: pages of what is held here, or by one member that is asked
 *
 * Home worker; nothing blocks. Callbacks never come inside the call that causes them.
 */
struct communities;
struct community_ask; /* something of a caller's under way */

#define COMMUNITY_NAME_LEN_MAX 64u

struct community_config {
	uint32_t community_cap;	    /* joined at once */
	uint32_t member_cap;	    /* records of one community, those of leavers among them */
	uint32_t share_cap;	    /* likewise */
	uint32_t shares_per_member; /* announced by one node, in one community */
	uint32_t requests_per_min;  /* of one peer */
	uint64_t sync_ns;	    /* between two looks at what is new, about */
};
void community_config_defaults(struct community_config *config);
size_t communities_footprint(const struct community_config *config);

enum community_event_kind {
	COMMUNITY_JOINED,
	COMMUNITY_LEFT,
	COMMUNITY_MEMBER_JOINED,
	COMMUNITY_MEMBER_LEFT,
	COMMUNITY_SHARE_UPSERTED,
	COMMUNITY_SHARE_ENDED,
	COMMUNITY_KEY_TWICE, /* a record under our own key that we did not make */
};
struct community_event {
	enum community_event_kind kind;
	const uint8_t *id;
	const uint8_t *key; /* of the member, or the share's id; NULL: neither */
};

/* All borrowed until communities_free, but config and the seams, which are copied. */
struct community_params {
	struct community_config config;
	const struct node_key *key;
	const struct key_seal *seal; /* of communities' keys in the store; NULL: none */
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel *timers;
	struct random *random;
	struct mesh_seam mesh;
	struct overlay_seam overlay; /* ops NULL: there is none */
	uint64_t now_ns;
	uint64_t (*wall_s)(void *ctx);
	void (*on_event)(void *ctx, const struct community_event *event); /* may be NULL */
	void *ctx;
};

/*
 * communities_new reads what was joined and registers the messages' handlers; the overlay has
 * its rules from community_rules_add. 0, WEFT_EFULL, WEFT_EEXISTS, -errno. communities_stop,
 * while mesh and overlay are there: asks no member any more. communities_free: when no answer
 * is lent to the mesh and no job of jobs is under way any more. Both take NULL.
 */
WEFT_MUST_CHECK
int communities_new(const struct community_params *params, struct communities **out_communities);
void communities_stop(struct communities *communities);
void communities_free(struct communities *communities);
/* communities_configure takes what can change at run time: all but the caps. */
void communities_configure(struct communities *communities, const struct community_config *config);
/* communities_turn goes on with what jobs and store ended; communities_is_due: at once. */
void communities_turn(struct communities *communities, uint64_t now_ns);
bool communities_is_due(const struct communities *communities);
/* Where this node is reached, relays included; a session came or went. */
void communities_set_places(struct communities *communities, const struct peer_places *places,
			    uint64_t now_ns);
void communities_session(struct communities *communities, const uint8_t key[static MESH_KEY_LEN],
			 bool is_up, uint64_t now_ns);

/* done gets 0 when the change is durable, else the reason. */
typedef void (*community_done_fn)(void *arg, int err, uint64_t now_ns);

/*
 * community_create makes a community with a key of its own, which stays on this node, and joins
 * it; it reads neither link nor token. community_join joins the one of link (kind
 * LINK_COMMUNITY), or takes another token for a community that was joined. Returns 0,
 * WEFT_EFULL, or
 *   WEFT_EREFUSED   the id is not that of the key
 *   WEFT_EMALFORMED the name
 *   WEFT_EEXISTS    another has that name
 *   WEFT_EDAMAGED   the token is of another community or node, or not signed by it
 *   WEFT_ESTALE     the token has expired
 *   WEFT_EBUSY      the community is being left
 */
struct community_join_ask {
	const char *name; /* of this node's own choice, unlike all others */
	bool is_strict;	  /* a token makes it so, too */
	const struct link *link;
	const uint8_t *token; /* or NULL */
	size_t token_len;
	community_done_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int community_create(struct communities *communities, const struct community_join_ask *ask,
		     uint64_t now_ns, uint8_t out_id[static COMMUNITY_ID_LEN]);
WEFT_MUST_CHECK
int community_join(struct communities *communities, const struct community_join_ask *ask,
		   uint64_t now_ns, uint8_t out_id[static COMMUNITY_ID_LEN]);
/*
 * community_leave informs some members and the overlay, forgets all of it, and with it the
 * community's key, if it was made here. done when that is durable, and only then it begins;
 * telling takes a few seconds more. 0, WEFT_EABSENT, WEFT_EBUSY.
 */
WEFT_MUST_CHECK
int community_leave(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		    community_done_fn done, void *arg);
/* community_forget_callers: no done is called any more (the control socket closed). */
void community_forget_callers(struct communities *communities);

struct community_info {
	const uint8_t *id, *key;
	const char *name;
	bool is_strict, is_ours; /* ours: its key is here */
	bool is_kept;		 /* that it was joined is durable; no caller learns of it before */
	uint64_t joined_s;
	uint64_t token_expires_s;	/* 0: none */
	uint32_t member_cnt, share_cnt; /* that joined, that are bound; this node among them */
	uint32_t member_row_cnt, share_row_cnt; /* with what says that they left */
	uint64_t epoch;				/* of the revocation list; 0: none */
	uint64_t key_epoch; /* the same, if the key of the epoch is here; else 0 */
	unsigned expelled_cnt;
	unsigned partner_cnt; /* members that are asked again and again */
	uint64_t synced_ns;   /* when one of them last said all; 0: none yet */
};
/* A community_iter walks what was joined; false: behind the last. Any of them may be left meanwhile. */
struct community_iter {
	const struct communities *communities;
	const struct community *at; /* NULL: before the first */
};
bool communities_next(struct community_iter *iter, struct community_info *out_info);
/* community_find: the id of what was joined under name, or is called so by its id; false: none. */
bool community_find(const struct communities *communities, const char *name,
		    uint8_t out_id[static COMMUNITY_ID_LEN]);
/* community_is_joined: and is not being left. */
bool community_is_joined(const struct communities *communities,
			 const uint8_t id[static COMMUNITY_ID_LEN]);
/* community_link: by which others join; with this node, if it can be dialled. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int community_link(const struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		   struct link *out_link);
/*
 * community_token signs that the node of member belongs to id until expires_s. Returns the token's
 * length, WEFT_EABSENT, WEFT_EREFUSED (its key is not here), WEFT_EMALFORMED (past, or too far).
 */
WEFT_MUST_CHECK
int community_token(const struct communities *communities,
		    const uint8_t id[static COMMUNITY_ID_LEN],
		    const uint8_t member[static COMMUNITY_KEY_LEN], uint64_t expires_s,
		    uint8_t out[static COMMUNITY_TOKEN_LEN_MAX]);

/*
 * community_expel signs a new revocation list, under the next epoch, that has the node of member, or has it no
 * more. It holds here at once, and is durable soon. 0, WEFT_EABSENT, WEFT_EREFUSED (the community's
 * key is not here), WEFT_EEXISTS (it is as it is), WEFT_EFULL (COMMUNITY_EXPELLED_MAX),
 * WEFT_EMALFORMED (this node itself).
 */
WEFT_MUST_CHECK
int community_expel(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		    const uint8_t member[static COMMUNITY_KEY_LEN], bool is_expelled,
		    uint64_t now_ns);

/*
 * community_bind says in the community of binding->id that its share belongs to it, or no more, as
 * revision seq of the share says; share_key signs. Others may list it from then on, and this node
 * says so again before its record ends. done may be NULL. 0, WEFT_EABSENT (not joined), WEFT_EBUSY
 * (too many wait), WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int community_bind(struct communities *communities, const struct node_key *share_key,
		   const struct community_binding *binding, uint64_t now_ns);

/*
 * community_is_bound: this node announced that the share belongs to id, by revision *out_seq of it.
 * community_keep_own asks keep of each share that this node announced; one it says false of is not
 * announced again, and goes with its record.
 */
bool community_is_bound(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
			const uint8_t share_id[static COMMUNITY_ID_LEN], uint64_t *out_seq);
void community_keep_own(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
			bool (*keep)(void *arg, const uint8_t *share_id), void *arg);

/*
 * Pages of the records that are held here. A page has at most limit (up to COMMUNITY_PAGE_MAX)
 * of those that count now, in the order of keys. It begins after cursor (len 0: from the first).
 * *out_cursor when has_more. 0, WEFT_EABSENT, -errno, or as community_cursor_parse.
 */
struct community_listing {
	const uint8_t *cursor;
	size_t cursor_len;
	unsigned limit;
	bool has_more;
	uint8_t next[COMMUNITY_CURSOR_LEN];
};
WEFT_MUST_CHECK
int community_members(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		      struct community_listing *listing,
		      void (*fn)(void *arg, const struct community_member *member), void *arg);
WEFT_MUST_CHECK
int community_shares(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		     struct community_listing *listing,
		     void (*fn)(void *arg, const struct community_share *share), void *arg);

/*
 * community_search looks for shares whose title or description has all words, folded. It looks
 * here when peer is NULL, and then asks no other node; else it asks that member.
 * community_ask_shares asks for the shares that the member itself publishes. page is borrowed
 * for the call of done; its records were parsed and verified. 0, WEFT_EABSENT, WEFT_EBUSY,
 * WEFT_EMALFORMED (no words), WEFT_ETOOLARGE, and for a cursor, when peer is NULL, as above.
 */
struct community_question {
	const char *words; /* of a search */
	const struct mesh_peer *peer;
	const uint8_t *cursor;
	size_t cursor_len;
	unsigned limit; /* of a search here */
	void (*done)(void *arg, int err, const struct community_page *page, uint64_t now_ns);
	void *arg;
};
WEFT_MUST_CHECK
int community_search(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		     const struct community_question *question, uint64_t now_ns);
WEFT_MUST_CHECK
int community_ask_shares(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
			 const struct community_question *question, uint64_t now_ns);
/* community_peer: where the member of key can be asked; out_peer borrows places. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int community_peer(struct communities *communities, const uint8_t id[static COMMUNITY_ID_LEN],
		   const uint8_t key[static COMMUNITY_KEY_LEN], struct mesh_peer *out_peer,
		   struct peer_places *places);

/*
 * Members that may have what was bound: its announcer, partners, and some others.
 * community_keepers_of_share: of every community where the share of share_id is bound.
 * community_keepers_of_manifest: where a share of that newest revision is bound, as far as the
 * first COMMUNITY_LOOK_MAX shares of each show it. Write at most COMMUNITY_KEEPERS_MAX, each
 * once, this node not among them; addresses are those that each says of itself. Return how many.
 */
#define COMMUNITY_KEEPERS_MAX 8u
#define COMMUNITY_LOOK_MAX    4096u
unsigned community_keepers_of_share(struct communities *communities,
				    const uint8_t share_id[static COMMUNITY_ID_LEN],
				    struct link_node out[static COMMUNITY_KEEPERS_MAX]);
unsigned community_keepers_of_manifest(struct communities *communities,
				       const uint8_t manifest_id[static 32],
				       struct link_node out[static COMMUNITY_KEEPERS_MAX]);

struct community_stats {
#define FIGURE FIGURE_FIELD
#include "community/community_counters.def"
	uint64_t reasons[COMMUNITY_REASON_CNT];
};
void communities_stats(const struct communities *communities, struct community_stats *out_stats);

#endif
