/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_H
#define WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/ground/social_ground.h"
#include "social/object/attachment_head.h"
#include "social/seal/content_key.h"

struct jobs;
struct opened_post;
struct post_holders;
struct post_store;

/*
 * Files that go with posts. A file is cut into pieces, which are blobs of the store
 * (attachment_pieces.h). Those of a private post are sealed, each under a key of its own. So a node
 * that keeps them for others reads nothing of them.
 *
 *	attachments.c	    life			attachment_pieces.c  where the pieces lie
 *	attachment_make.c   a file becomes pieces	attachment_read.c    pieces become a file
 *	attachment_posts.c  which posts have them	attachment_run.c     fetches what is wanted
 *	attachment_serve.c  gives pieces to others	attachment_message.c 607 and 608
 *
 * Pieces come from nodes in session: that of the author, holders of the post, and people that have to do
 * with this node. No node is dialled or looked for. What no post names any more is swept with other
 * garbage of the store.
 *
 * Tables, and what fills them:
 *
 *	posts	ATTACHED_POSTS_MAX posts with attachments, the newest at a start; of others nothing is
 *		fetched. Any author.
 *	runs	8 posts whose pieces are fetched: 4 of authors that are not followed, 2 of one author. A run
 *		ends when no node is left that answers, within 30 s of each.
 *	serves	16 answers of 256 KiB on their way, by the dynamic threshold of fair.h
 *	shunned	64 nodes that were silent or sent wrong bytes; the oldest is forgotten
 *
 * Bytes count to the share of their post, as those of the post itself do (keep/post_store.h).
 *
 * Home worker; disks are waited for in jobs.
 */
struct attachments;

#define ATTACHED_LEN_MAX   (512ull << 20) /* of all attachments of a post that is made here */
#define ATTACHED_POSTS_MAX 16384u
/* From a post that goes, until its pieces do; and from one sweep to the next. */
#define ATTACHMENT_SWEEP_NS	  10000000000ull
#define ATTACHMENT_SWEEP_EVERY_NS 3600000000000ull

struct attachments_config {
	uint64_t auto_len; /* attachments up to so many bytes are fetched by themselves */
	uint64_t room_len; /* of posts of people that are followed, with their attachments */
};

void social_attachments_config_defaults(struct attachments_config *config);

/* What the node does for it. */
struct attachment_ways {
	/* Blobs come that no post names yet; nothing is swept until as many release. 0 or WEFT_EBUSY. */
	int (*hold)(void *ctx);
	void (*release)(void *ctx);
	/* Sweeps what nothing refers to: 0 or WEFT_EBUSY. */
	int (*sweep)(void *ctx);
	void *ctx;
};
/* What is known of people. */
struct attachment_people {
	/* The node of key may have what belongs to the post. */
	bool (*may_have)(void *ctx, const uint8_t *key, const uint8_t *post);
	/* It is asked for posts, so for their attachments, too. */
	bool (*is_related)(void *ctx, const uint8_t *key);
	void *ctx;
};
/* All borrowed until social_attachments_close, but the ways, which are copied. */
struct attachments_params {
	const struct social_ground *ground;
	struct jobs *jobs;
	struct post_store *posts;
	struct post_holders *holders;
	struct attachments_config config;
	struct attachment_ways ways;
	struct attachment_people people;
	uint64_t now_ns;
};
size_t social_attachments_footprint(void);
WEFT_MUST_CHECK
int social_attachments_open(const struct attachments_params *params,
			    struct attachments **out_attachments);
/* social_attachments_stop: callers get WEFT_ECLOSED; it waits for jobs. Both take NULL. */
void social_attachments_stop(struct attachments *attachments);
void social_attachments_close(struct attachments *attachments);

/*
 * social_attachments_synced: a sync with a node ended, which may have what is missing; takes NULL.
 * social_attachments_want: those whose bits are set are fetched, however large they are. 0, WEFT_EABSENT (no
 * such post, or it has none), WEFT_EFULL or an error.
 */
void social_attachments_synced(struct attachments *attachments,
			       const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
WEFT_MUST_CHECK
int social_attachments_want(struct attachments *attachments, const uint8_t post[static POST_ID_LEN],
			    uint32_t which, uint64_t now_ns);
/*
 * social_attachments_each_blob calls fn with the blobs that no post names itself, until it returns false:
 * chunks of public files. Returns whether all were given.
 */
bool social_attachments_each_blob(struct attachments *attachments,
				  bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg);

struct attachments_stats {
#define FIGURE FIGURE_FIELD
#include "social/attachments/attachments_counters.def"
};
void social_attachments_stats(const struct attachments *attachments,
			      struct attachments_stats *out_stats);

/* --- making --- */

/* A file that is to go with a post. */
struct attachment_file {
	const char *path;
	const char *name; /* as readers see it */
	const char *type; /* a media type */
};
/* For a write_draft; borrowed for the call of done. */
struct made_attachments {
	const struct post_attachment *rows;
	unsigned cnt;
	const uint8_t *content_key; /* of a private post, else NULL */
	const char *path;	    /* of the file of an error, or NULL */
};
/*
 * done comes once, when all is durable, or with WEFT_ETOOLARGE, WEFT_ECHANGED (the file changed
 * meanwhile), WEFT_EUNSAFE (no regular file), WEFT_ECLOSED, -errno. What it was given is kept from
 * being swept until it returns, so a post that names it is made there.
 */
struct attachments_making {
	const struct attachment_file *files; /* copied */
	unsigned cnt;			     /* 1 to POST_ATTACHMENTS_MAX */
	bool is_public;
	void (*done)(void *arg, int err, const struct made_attachments *made);
	void *arg;
};
/* social_attachments_make: 0, WEFT_EBUSY (ATTACHMENT_MAKES_MAX are made, or the store is swept) or -ENOMEM. */
#define ATTACHMENT_MAKES_MAX 4u
WEFT_MUST_CHECK
int social_attachments_make(struct attachments *attachments,
			    const struct attachments_making *making);

/*
 * social_attachments_cut: a reader may not have post any more, which the store of posts knows. Pieces on
 * their way to its nodes, as is_of says of a key, end.
 */
void social_attachments_cut(struct attachments *attachments, const uint8_t post[static POST_ID_LEN],
			    bool (*is_of)(void *arg, const uint8_t *key), void *arg);

/* --- reading --- */

struct attachment_view {
	struct attachment_head head; /* of a private one without its first unit: empty, size 0 */
	bool has_head;
	uint64_t stored_len, total_len; /* bytes of its pieces; total at most */
	uint32_t piece_cnt, stored_cnt;
	bool is_sound; /* false: it breaks the rules, and is never fetched */
};
/*
 * social_attachments_look gives the attachments of opened, which is borrowed until done: 0, WEFT_EBUSY
 * (ATTACHMENT_READS_MAX are under way) or -ENOMEM. done: err 0, WEFT_ECLOSED or -errno.
 */
#define ATTACHMENT_READS_MAX 32u
struct attachment_look {
	const struct opened_post *opened;
	void (*done)(void *arg, int err, const struct attachment_view *views, unsigned cnt);
	void *arg;
};
WEFT_MUST_CHECK
int social_attachments_look(struct attachments *attachments, const struct attachment_look *look);

/* Bytes of an attachment from off on, as many as one piece has of them; none are behind its end. */
struct attachment_part {
	struct attachment_head head;
	const uint8_t *bytes;
	size_t len;
};
/*
 * social_attachment_read: opened is borrowed until done: 0, WEFT_EABSENT (no such attachment), WEFT_EBUSY
 * or -ENOMEM. done: err 0, WEFT_EABSENT (the piece is not here yet), WEFT_EDAMAGED (it does not open, or
 * is not what the post says), WEFT_ECLOSED or -errno. Each part was verified.
 */
struct attachment_ask {
	const struct opened_post *opened;
	unsigned attachment;
	uint64_t off;
	void (*done)(void *arg, int err, const struct attachment_part *part);
	void *arg;
};
WEFT_MUST_CHECK
int social_attachment_read(struct attachments *attachments, const struct attachment_ask *ask);

#endif
