/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_STATE_H
#define WEFT_SOCIAL_ATTACHMENTS_ATTACHMENTS_STATE_H

#include "base/fair/fair.h"
#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/attachments/attachment_message.h"
#include "social/attachments/attachment_pieces.h"
#include "social/attachments/attachments.h"
#include "social/keep/post_store.h"

/* Private to this room. */

#define ATTACHMENT_SERVES_MAX  16u
#define ATTACHMENT_RUNS_MAX    8u /* posts whose pieces are fetched, at once; */
#define ATTACHMENT_OTHERS_MAX  4u /* of them, those of authors that are not followed */
#define ATTACHMENT_AUTHORS_MAX 2u /* of them, those of one author */
#define ATTACHMENT_ASKS_MAX    2u /* pieces of one run that are asked for, at once */
#define ATTACHMENT_SOURCES_MAX 8u
#define ATTACHMENT_SHUNNED_MAX 64u
#define ATTACHMENT_REPLY_CAP   (PIECE_LEN_MAX + 1024u + MESH_FRAME_OVERHEAD)

/* A post with attachments that is held. */
struct attached {
	struct attachments *attachments;
	struct list_node waiting; /* while pieces are wanted and no run fetches them */
	struct attachment_run *run;
	uint8_t post[POST_ID_LEN], author[NODE_KEY_LEN];
	uint8_t hint[MESH_KEY_LEN]; /* a node that may have them */
	bool has_hint, is_public;
	bool is_gone; /* it is dropped when its run is over */
	enum post_share share;
	uint32_t wanted;     /* a bit for each attachment that is to be here and is not */
	uint64_t stored_len; /* bytes of pieces that are here */
	unsigned failure_cnt;
	uint64_t due_ns; /* not fetched before */
};

/* A piece that is asked for, then stored. */
struct attachment_asking {
	struct attachment_run *run;
	struct mesh_request *request; /* NULL: free, or it is being stored */
	bool is_storing, is_list;
	unsigned attachment;
	uint32_t piece;
	size_t len;
	uint8_t source[MESH_KEY_LEN];
	uint8_t reply[ATTACHMENT_REPLY_CAP];
};
/* The pieces of one post, fetched from up to ATTACHMENT_SOURCES_MAX nodes in session. */
struct attachment_run {
	struct attached *of;
	struct post_copy *copy;
	struct post post; /* of copy */
	uint8_t sources[ATTACHMENT_SOURCES_MAX][MESH_KEY_LEN];
	unsigned source_cnt, source_at;
	unsigned attachment; /* the next piece to look at */
	uint32_t piece;
	bool is_ending; /* it asks nothing more */
	int err;	/* why */
	struct attachment_asking asking[ATTACHMENT_ASKS_MAX];
};
/* A node of which nothing is asked for a while: it sent wrong bytes, or none. */
struct attachment_shunned {
	uint8_t key[MESH_KEY_LEN];
	uint64_t until_ns;
};

struct attachments {
	struct attachments_params params;
	struct arena arena;
	bool is_stopped;
	uint64_t now_ns;
	unsigned job_cnt; /* out, or in the store: the stop waits for them */
	unsigned make_cnt, read_cnt;
	struct fair serve_slots;
	struct pool servings, posts, runs;
	struct request_quota per_key, per_network;
	struct map by_post;
	struct list_node waiting;
	struct post_watch watch;
	struct timer timer;
	bool is_swept_soon; /* pieces are here that no post names any more */
	uint64_t sweep_ns, swept_ns, look_ns, timer_ns;
	struct attached *looked; /* the next one that is looked at; NULL: the first */
	struct attachment_shunned shunned[ATTACHMENT_SHUNNED_MAX];
	unsigned shunned_at;
	struct attachments_stats stats;
};

/* attachment_serve.c */
WEFT_MUST_CHECK
int social_attachments_serve_init(struct attachments *attachments, const uint64_t secret[2]);

/* attachment_posts.c: which posts have attachments, and what of them is here. */
WEFT_MUST_CHECK
int social_attached_load(struct attachments *attachments, uint64_t now_ns);
/* social_attached_note: the post is held. NULL: it has no attachments, or there is no room. */
struct attached *social_attached_note(struct attachments *attachments, const struct post_view *view,
				      uint64_t now_ns);
void social_attached_drop(struct attached *of, uint64_t now_ns);
/* social_attached_look: what became of the post since; of may be gone behind it. */
void social_attached_look(struct attached *of, uint64_t now_ns);
/* social_attached_has_room: the share of the post takes len more bytes. */
bool social_attached_has_room(const struct attached *of, uint64_t len);
/* social_attached_recount: of post, its bytes that are here. */
void social_attached_recount(struct attached *of, const struct post *post);
/* social_attached_stored: of so many bytes more. */
void social_attached_stored(struct attached *of, size_t len);

/* attachment_run.c */
/* social_runs_begin starts what is due, as far as there are places. */
void social_runs_begin(struct attachments *attachments, uint64_t now_ns);
/* social_run_cancel: false: a piece of it is being stored, and it ends behind that. */
bool social_run_cancel(struct attachment_run *run);
void social_runs_stop(struct attachments *attachments);
/* social_attachments_shun: until then nothing is asked of key. */
void social_attachments_shun(struct attachments *attachments, const uint8_t *key,
			     uint64_t until_ns);

/* attachments.c: something is to be done at that time, or before. */
void social_attachments_due(struct attachments *attachments, uint64_t at_ns);

#endif
