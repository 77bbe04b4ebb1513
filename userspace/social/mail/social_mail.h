/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_MAIL_SOCIAL_MAIL_H
#define WEFT_SOCIAL_MAIL_SOCIAL_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/ground/social_ground.h"
#include "social/object/post.h"

struct group_word;
struct groups;
struct intake;
struct people;
struct post_holders;
struct post_store;
struct social_routes;
struct social_searches;

/*
 * Words for people whose nodes are off. They are left at anchors of their reader, as deposits
 * (docs/deposits.md), and come in by the way of all posts.
 *
 *	written:  a direct message is durable -> a row for each reader -> given in a session? -> else an
 *		  envelope at each of the reader's anchors -> opened there -> noted as given
 *	groups:	  a change is durable -> members without a session -> an envelope likewise
 *	arriving: deposit -> envelope -> for this person? -> intake, or groups -> durable -> settled
 *
 *	social_mail.c	life, and the rows		mail_envelope.c	what is inside the seal
 *	mail_leave.c	envelopes that go		mail_take.c	envelopes that come
 *	mail_pull.c	own anchors are asked
 *
 * The outbox of deposits is durable; rows are not. After a start they are made again of the posts of the
 * last MAIL_LIFE_MS that their readers were not given. The receipt of an envelope follows from the message
 * and its reader. So it is the same deposit after a crash, at each anchor, and is taken once.
 *
 * A message that is longer than an envelope is not left: it waits for a session.
 *
 * Tables, filled by persons of this node alone: MAIL_ROWS_MAX messages for readers. A full one takes no
 * more; these wait for a session, or the next start. Messages of groups have MAIL_GROUP_MAX places of the
 * outbox: members ask for what they missed. What comes has the places of the anchor, which are shared by
 * network and depositor, and then those of the intake.
 *
 * Home worker only; nothing blocks.
 */
struct mail;

#define MAIL_ROWS_MAX	 4096u
#define MAIL_GROUP_MAX	 1024u
#define MAIL_TAKINGS_MAX 256u /* deposits on their way into this node */
#define MAIL_ANCHORS_MAX 3u   /* of a reader, those that its profile names first */
#define MAIL_LIFE_MS	 (30ull * 24 * 3600 * 1000)
#define MAIL_RECEIPT_LEN 16u
#define MAIL_ID_LEN	 16u

/* --- deposits, as the node has them --- */

struct mail_deposit {
	const uint8_t *store, *recipient; /* NODE_KEY_LEN */
	const uint8_t *receipt;		  /* MAIL_RECEIPT_LEN */
	const void *bytes;
	size_t len;
	uint64_t expires_s;
};
struct mail_deposit_view {
	uint8_t id[MAIL_ID_LEN];
	bool is_kept;
	const char *why; /* it is not kept; NULL: it is on its way. Static. */
};
/* Of the ground's ctx. put NULL: this node leaves nothing. The others are set where put is. */
struct mail_boxes {
	/* 0: it is in the outbox, or is on its way there; or as deposits_put_at. */
	int (*put)(void *ctx, const struct mail_deposit *deposit, uint64_t now_ns);
	/* The deposit of that store, recipient and receipt; false: it is not in the outbox. */
	bool (*find)(void *ctx, const struct mail_deposit *deposit,
		     struct mail_deposit_view *out_view);
	void (*withdraw)(void *ctx, const uint8_t *id); /* at all stores */
	unsigned (*out_cnt)(void *ctx);
	/* key NULL: the node's own. */
	int (*pull)(void *ctx, const uint8_t *store, const struct node_key *key, uint64_t now_ns);
	void (*settle)(void *ctx, uint64_t ticket, int err);
};

/* --- life --- */

/* All borrowed until social_mail_close, but boxes, which are copied. */
struct mail_params {
	const struct social_ground *ground;
	struct mail_boxes boxes;
	struct people *people;
	struct post_store *posts;
	struct post_holders *holders;
	struct intake *intake;
	struct groups *groups;
	struct social_routes *routes;
	struct social_searches *searches;
	/* The idx-th of this node's anchors that are enabled; false: there are fewer. */
	bool (*anchor)(void *ctx, unsigned idx, uint8_t out_key[static NODE_KEY_LEN]);
	void *ctx;
	uint64_t now_ns;
};
/* social_mail_open: 0 or a negative code. stop: no box is called any more. Both others take NULL. */
WEFT_MUST_CHECK
int social_mail_open(const struct mail_params *params, struct mail **out_mail);
void social_mail_stop(struct mail *mail);
void social_mail_close(struct mail *mail);
size_t social_mail_footprint(void);
void social_mail_session_up(struct mail *mail, const uint8_t *key, uint64_t now_ns);

/* --- what goes --- */

/* social_mail_word: the direct message post of this node is durable, and person is a reader. */
void social_mail_word(struct mail *mail, const uint8_t person[static NODE_KEY_LEN],
		      const uint8_t post[static POST_ID_LEN], uint64_t now_ns);
/* social_mail_may_leave: an anchor of person is known here. */
bool social_mail_may_leave(const struct mail *mail, const uint8_t person[static NODE_KEY_LEN]);
/* social_mail_group: for a member that has no session; borrowed for the call. */
void social_mail_group(struct mail *mail, const struct group_word *word, uint64_t now_ns);
/* social_mail_peer: an anchor, as it is to be dialled; it is searched for where it has no session. */
struct mesh_peer social_mail_peer(struct mail *mail, const uint8_t *store,
				  struct peer_places *out_places, uint64_t now_ns);
/* social_mail_delivered: the deposit of id was opened by its recipient. */
void social_mail_delivered(struct mail *mail, const uint8_t id[static MAIL_ID_LEN],
			   uint64_t now_ns);

enum mail_state {
	MAIL_GIVEN, /* in a session, or the reader opened the envelope */
	MAIL_LEFT,  /* at anchors, on their disks */
	MAIL_WAITS,
};
struct mail_view {
	enum mail_state state;
	uint8_t anchors[MAIL_ANCHORS_MAX][NODE_KEY_LEN]; /* of MAIL_LEFT */
	unsigned anchor_cnt;
	const char *why; /* of MAIL_WAITS; static */
};
/* social_mail_look: how a direct message of this node does for a reader of it. */
void social_mail_look(struct mail *mail, const uint8_t post[static POST_ID_LEN],
		      const uint8_t person[static NODE_KEY_LEN], struct mail_view *out_view);

/* --- what comes --- */

enum mail_verdict {
	MAIL_TAKEN, /* settle follows, also inside the call */
	MAIL_UNFIT, /* it is of no use here */
	MAIL_LATER,
};
/* A deposit that was opened; borrowed for the call. recipient is a key of this node. */
struct mail_arrival {
	const uint8_t *recipient;
	const void *bytes;
	size_t len;
	uint64_t ticket;
};
enum mail_verdict social_mail_take(struct mail *mail, const struct mail_arrival *arrival,
				   uint64_t now_ns);

struct social_mail_stats {
#define FIGURE FIGURE_FIELD
#include "social/mail/social_mail_counters.def"
};
void social_mail_stats(const struct mail *mail, struct social_mail_stats *out_stats);

#endif
