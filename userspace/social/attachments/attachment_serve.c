/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces for other nodes: to those that may have the post, and to those that say to keep a copy of it.
 * Any other request is answered as one for a post that is not here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/thread/jobs.h"
#include "social/attachments/attachment_message.h"
#include "social/attachments/attachments_state.h"
#include "social/keep/post_store.h"

#define PER_KEY_MIN	1200u /* 300 MiB a minute of one key, */
#define PER_NETWORK_MIN 4800u /* and of its network, where the peer is not chosen */
#define QUOTA_KEYS_MAX	4096u

struct attachment_serving {
	struct job job; /* first */
	struct attachments *attachments;
	struct fair_item slot;
	struct mesh_incoming *incoming; /* NULL: the asker left, or is_lent */
	uint8_t asker[MESH_KEY_LEN];
	bool is_lent; /* its bytes are with the mesh */
	bool is_own;  /* the post is; of others only what has a mark is given */
	struct post_copy *copy;
	struct attachment_pieces pieces; /* of copy */
	struct attachment_get get;
	uint8_t *bytes;
	size_t len;
	int err;
};

static const struct fair_config serving_config = {
	.name = "social.attachments",
	.cap_cnt = ATTACHMENT_SERVES_MAX,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static const struct mesh_ops *ops_of(const struct attachments *attachments)
{
	return attachments->params.ground->mesh.ops;
}

static void absent_answer(struct attachments *attachments, struct mesh_incoming *incoming)
{
	attachments->stats.withheld_cnt++;
	ops_of(attachments)->answer_error(incoming, MESH_CODE_ABSENT, "no such attachment here", 0);
}

static void serving_end(struct attachment_serving *serving)
{
	struct attachments *attachments = serving->attachments;

	fair_release(&attachments->serve_slots, &serving->slot, attachments->now_ns);
	social_post_copy_free(serving->copy);
	free(serving->bytes);
	pool_release(&attachments->servings, serving);
}

static void on_sent(void *arg)
{
	struct attachment_serving *serving = arg;

	serving_end(serving);
}

static void serving_answer(struct attachment_serving *serving)
{
	struct attachments *attachments = serving->attachments;
	struct mesh_incoming *incoming = serving->incoming;
	uint8_t head[ATTACHMENT_DATA_HEAD_MAX];
	struct writer w = writer_of(head, sizeof(head));
	const struct transport_span tail = {
		.data = serving->bytes, .len = serving->len, .done = on_sent, .arg = serving};
	/* An answer that goes at once ends serving inside of the call. */
	bool has_tail = serving->len > 0;

	social_attachment_data_head_write(&w, serving->len);
	attachments->stats.served_cnt++;
	attachments->stats.served_len += serving->len;
	serving->incoming = NULL;
	serving->is_lent = true;
	if (ops_of(attachments)
			    ->answer(incoming, ATTACHMENT_DATA, head, writer_len(&w),
				     has_tail ? &tail : NULL) < 0 ||
	    !has_tail)
		on_sent(serving);
}

/* --- in the job --- */

static int list_copy(struct attachment_serving *serving, struct store_snapshot *snapshot)
{
	const uint8_t *list;
	int err = social_pieces_have_list(&serving->pieces)
			  ? social_list_get(snapshot, &serving->pieces, &list)
			  : WEFT_EABSENT;

	if (err < 0)
		return err;
	serving->len = (size_t)serving->pieces.cnt * BLAKE3_HASH_LEN;
	if (!(serving->bytes = malloc(serving->len)))
		return -ENOMEM;
	memcpy(serving->bytes, list, serving->len);
	return 0;
}

static void serving_run(struct job *job)
{
	struct attachment_serving *serving = (struct attachment_serving *)job;
	struct store *store = serving->attachments->params.ground->store;
	uint8_t blob[BLAKE3_HASH_LEN];
	struct store_snapshot *snapshot;

	if ((serving->err = store_snapshot_open(store, &snapshot)) < 0)
		return;
	if (!serving->is_own)
		serving->err =
			social_mark_find(snapshot, serving->get.post, serving->get.attachment,
					 serving->get.is_list ? PIECE_LIST : serving->get.piece);
	if (serving->err == 0)
		serving->err = serving->get.is_list ? list_copy(serving, snapshot)
						    : social_piece_find(snapshot, &serving->pieces,
									serving->get.piece, blob);
	store_snapshot_close(snapshot);
	if (serving->err == 0 && !serving->get.is_list)
		serving->err =
			store_blob_load(store, blob, PIECE_LEN_MAX, &serving->bytes, &serving->len);
}

/* --- on home --- */

static void serving_done(struct job *job)
{
	struct attachment_serving *serving = (struct attachment_serving *)job;
	struct attachments *attachments = serving->attachments;

	attachments->job_cnt--;
	if (!serving->incoming || serving->err < 0 || attachments->is_stopped) {
		if (serving->incoming)
			absent_answer(attachments, serving->incoming);
		serving_end(serving);
		return;
	}
	serving_answer(serving);
}

void social_attachments_cut(struct attachments *attachments, const uint8_t post[static POST_ID_LEN],
			    bool (*is_of)(void *arg, const uint8_t *key), void *arg)
{
	struct attachment_serving *serving = NULL;

	while (!attachments->is_stopped && (serving = pool_next(&attachments->servings, serving))) {
		if (memcmp(serving->get.post, post, POST_ID_LEN) != 0 ||
		    !is_of(arg, serving->asker))
			continue;
		if (serving->is_lent) {
			attachments->stats.cut_cnt++;
			ops_of(attachments)->recall(attachments->params.ground->mesh.mesh, serving);
		} else if (serving->incoming) {
			absent_answer(attachments, serving->incoming);
			serving->incoming = NULL;
		}
	}
}

static void on_left(void *arg)
{
	((struct attachment_serving *)arg)->incoming = NULL;
}

/* A place for what call asks for. NULL: call was answered. */
static struct attachment_serving *serving_begin(struct attachments *attachments,
						const struct mesh_call *call, uint64_t now_ns)
{
	uint32_t free_cnt = attachments->servings.cap_cnt - attachments->servings.used_cnt;
	struct attachment_serving *serving = NULL;
	struct fair_item *victim;
	struct fair_path path;

	ops_of(attachments)->asker_path(call->incoming, &path);
	if (free_cnt && fair_may_hold(&attachments->serve_slots, &path, free_cnt))
		serving = pool_acquire(&attachments->servings);
	if (serving && fair_take(&attachments->serve_slots, &path, &serving->slot, now_ns,
				 &victim) != FAIR_TAKEN) {
		pool_release(&attachments->servings, serving);
		serving = NULL;
	}
	if (serving) {
		serving->attachments = attachments;
		serving->incoming = call->incoming;
		memcpy(serving->asker, call->peer_key, sizeof(serving->asker));
		return serving;
	}
	attachments->stats.busy_cnt++;
	ops_of(attachments)
		->answer_error(call->incoming, MESH_CODE_BUSY, "busy",
			       fair_not_before_ms(&attachments->serve_slots, &path, now_ns));
	return NULL;
}

/* false: there is no such piece. */
static bool pieces_find(struct attachment_serving *serving, const struct attachment_get *get)
{
	struct attachments *attachments = serving->attachments;
	struct post_view view;
	struct post post;

	if (social_posts_look(attachments->params.posts, get->post, &view) < 0 ||
	    social_posts_read(attachments->params.posts, get->post, &serving->copy) < 0)
		return false;
	if (social_post_parse(serving->copy->parts.post, serving->copy->parts.post_len, &post) <
		    0 ||
	    get->attachment >= post.attachment_cnt ||
	    !social_pieces_of(&post.attachments[get->attachment], view.kind == VISIBILITY_PUBLIC,
			      &serving->pieces))
		return false;
	serving->get = *get;
	serving->is_own = view.share == POST_OWN;
	return get->piece < serving->pieces.cnt;
}

static bool call_admit(struct attachments *attachments, const struct mesh_call *call,
		       uint64_t now_ns)
{
	const struct social_ground *ground = attachments->params.ground;
	struct fair_path path;
	uint64_t wait_ms;

	attachments->now_ns = now_ns;
	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return false;
	wait_ms = request_quota_take(&attachments->per_key, call->peer_key, now_ns);
	if (!wait_ms) {
		ops_of(attachments)->asker_path(call->incoming, &path);
		wait_ms = social_network_wait_ms(ground, &attachments->per_network, call->peer_key,
						 &path, now_ns);
	}
	if (!wait_ms)
		return true;
	attachments->stats.hurried_cnt++;
	ops_of(attachments)
		->answer_error(call->incoming, MESH_CODE_REFUSED, "too many questions", wait_ms);
	return false;
}

static void on_get(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct attachments *attachments = ctx;
	const struct attachment_people *people = &attachments->params.people;
	struct attachment_serving *serving;
	struct attachment_get get;

	if (!call_admit(attachments, call, now_ns))
		return;
	if (attachments->is_stopped ||
	    social_attachment_get_parse(call->payload, call->payload_len, &get) < 0) {
		attachments->stats.malformed_cnt++;
		ops_of(attachments)
			->answer_error(call->incoming, MESH_CODE_MALFORMED,
				       "no question for an attachment", 0);
		return;
	}
	if (!people->may_have(people->ctx, call->peer_key, get.post)) {
		absent_answer(attachments, call->incoming);
		return;
	}
	if (!(serving = serving_begin(attachments, call, now_ns)))
		return;
	serving->job = (struct job){.run = serving_run, .done = serving_done};
	if (!pieces_find(serving, &get) ||
	    jobs_submit(attachments->params.jobs, &serving->job) < 0) {
		absent_answer(attachments, call->incoming);
		serving_end(serving);
		return;
	}
	attachments->job_cnt++;
	ops_of(attachments)->abandoned(call->incoming, on_left, serving);
}

int social_attachments_serve_init(struct attachments *attachments, const uint64_t secret[2])
{
	struct arena *arena = &attachments->arena;
	int err = pool_init(&attachments->servings, arena, sizeof(struct attachment_serving),
			    ATTACHMENT_SERVES_MAX);

	if (err == 0)
		err = fair_init(&attachments->serve_slots, arena, &serving_config, secret);
	if (err == 0)
		err = request_quota_init(&attachments->per_key, arena, QUOTA_KEYS_MAX, PER_KEY_MIN,
					 secret);
	if (err == 0)
		err = request_quota_init(&attachments->per_network, arena, QUOTA_KEYS_MAX,
					 PER_NETWORK_MIN, secret);
	if (err < 0)
		return err;
	return ops_of(attachments)
		->handle(attachments->params.ground->mesh.mesh, ATTACHMENT_GET, on_get,
			 attachments);
}
