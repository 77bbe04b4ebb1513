/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PUBLISH_RIG_H
#define WEFT_TESTS_PUBLISH_RIG_H

#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "shares/publish/publish.h"
#include "blobs/link.h"
#include "shares/publish/publish_state.h"
#include "crypto/node_key.h"
#include "support/fake_overlay.h"
#include "unit/blobs/content_rig.h"

/* A node that may know a head: its key begins with its number + 1. */
#define PUB_NODES 16
struct pub_node {
	bool is_silent; /* it never answers */
	int err;	/* it cannot be reached, or knows none */
	uint8_t head[HEAD_LEN_MAX];
	size_t head_len;
	unsigned asked_cnt;
};

struct mesh_request {
	struct mesh_ask ask;
	struct mesh *mesh;
	uint64_t due_ns;
	bool is_out;
};

struct mesh {
	struct pub_node nodes[PUB_NODES];
	struct mesh_request requests[PUB_NODES];
	unsigned out_cnt;
};

/*
 * A publisher over a content of its own, an overlay that may be shared with others, and nodes
 * that are asked for heads.
 */
struct publish_rig {
	struct blobs_rig rig;
	struct publisher *publisher;
	struct fake_overlay *overlay; /* NULL: there is none */
	uint64_t wall_s;
	unsigned events[PUBLISH_WAS_REVOKED + 1];
	uint32_t told_holder_cnt; /* by the last of them */
	struct publisher_config config;
	const struct key_seal *seal;
	struct mesh mesh;
	struct link_node hints[PUB_NODES];
	unsigned hint_cnt;
};

/* The result that the caller of a revision got. */
struct revised {
	unsigned done_cnt;
	int err;
	bool is_unchanged, was_asked;
	uint64_t seq, reused_cnt;
	uint8_t manifest_id[32];
	uint32_t part_cnt, part_new_cnt;
	char detail[256];
};

static const uint8_t pub_seed[NODE_KEY_SEED_LEN] = {7};

/* pub_head makes a head of the share whose key pub_seed is. */
static inline void pub_head(uint64_t seq, uint64_t updated_s, uint8_t manifest,
			    struct head_seen *seen)
{
	const struct share_head head = {
		.seq = seq, .updated_s = updated_s, .manifest_id = {manifest}};
	struct node_key *key;

	if (node_key_from_seed(pub_seed, &key) < 0)
		abort();
	shares_head_seen_write(key, &head, seen);
	node_key_free(key);
}

static inline uint64_t pub_wall(void *ctx)
{
	return ((struct publish_rig *)ctx)->wall_s;
}

static inline void pub_event(void *ctx, const struct publish_event *event)
{
	struct publish_rig *p = ctx;

	p->events[event->kind]++;
	p->told_holder_cnt = event->share->holder_cnt;
}

static inline int pub_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			  struct mesh_request **out_request)
{
	unsigned idx = ask->peer.key[0] - 1u;

	if (idx >= PUB_NODES || ask->type != MESH_LIST_SHARES || mesh->requests[idx].is_out)
		abort();
	mesh->requests[idx] = (struct mesh_request){*ask, mesh, now_ns + ask->timeout_ns, true};
	mesh->nodes[idx].asked_cnt++;
	mesh->out_cnt++;
	*out_request = &mesh->requests[idx];
	return 0;
}

static inline void pub_cancel(struct mesh_request *request)
{
	request->is_out = false;
	request->mesh->out_cnt--;
}

static inline void pub_answer(struct mesh_request *request, uint64_t now_ns)
{
	const struct pub_node *node = &request->mesh->nodes[request - request->mesh->requests];
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);
	struct mesh_reply reply = {.err = node->is_silent ? WEFT_ETIMEOUT : node->err,
				   .type = MESH_SHARE_LIST};
	struct list_answer answer = {.head_cnt = 1};

	answer.heads[0].bytes = node->head;
	answer.heads[0].len = node->head_len;
	shares_list_answer_write(&w, &answer);
	reply.payload = request->ask.reply_buf;
	reply.payload_len = writer_len(&w);
	pub_cancel(request);
	request->ask.reply(request->ask.arg, &reply, now_ns);
}

/* pub_mesh_turn answers; a silent peer is given up when its time is over. */
static inline void pub_mesh_turn(struct publish_rig *p)
{
	for (unsigned i = 0; i < PUB_NODES; i++)
		if (p->mesh.requests[i].is_out &&
		    (!p->mesh.nodes[i].is_silent || p->mesh.requests[i].due_ns <= p->rig.now_ns))
			pub_answer(&p->mesh.requests[i], p->rig.now_ns);
}

/* pub_knows lets a node know a head of that share. */
static inline void pub_knows(struct pub_node *node, uint64_t seq, uint64_t updated_s)
{
	struct head_seen seen;

	pub_head(seq, updated_s, 3, &seen);
	memcpy(node->head, seen.bytes, seen.len);
	node->head_len = seen.len;
}

static inline unsigned pub_hints(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
				 const struct link_node **out_hints)
{
	struct publish_rig *p = ctx;

	(void)share_id;
	*out_hints = p->hints;
	return p->hint_cnt;
}

/* pub_hint names cnt nodes by a link. */
static inline void pub_hint(struct publish_rig *p, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		p->hints[i].key[0] = (uint8_t)(i + 1);
	p->hint_cnt = cnt;
}

static inline int pub_start(struct publish_rig *p)
{
	static const struct mesh_ops mesh_ops = {.ask = pub_ask, .cancel = pub_cancel};
	struct publisher_params params = {
		.mesh = {&mesh_ops, &p->mesh},
		.hints = pub_hints,
		.config = p->config,
		.content = p->rig.content,
		.store = p->rig.store,
		.seal = p->seal,
		.jobs = p->rig.jobs,
		.timers = &p->rig.timers,
		.now_ns = p->rig.now_ns,
		.wall_s = pub_wall,
		.event = pub_event,
		.ctx = p,
	};

	if (p->overlay) {
		p->overlay->rule_cnt = 1;
		shares_head_rule(&p->overlay->rules[0]);
		params.overlay = fake_overlay_seam(p->overlay);
	}
	return shares_publisher_new(&params, &p->publisher);
}

static inline bool pub_begin(struct publish_rig *p, struct fake_overlay *overlay)
{
	memset(p, 0, sizeof(*p));
	p->overlay = overlay;
	p->wall_s = 1700000000;
	if (overlay)
		overlay->wall_s = p->wall_s;
	shares_publisher_config_defaults(&p->config);
	return rig_begin(&p->rig) && pub_start(p) == 0;
}

static inline void pub_close(struct publish_rig *p)
{
	shares_publisher_stop(p->publisher);
	rig_close(&p->rig);
	shares_publisher_free(p->publisher);
	p->publisher = NULL;
}

static inline void pub_end(struct publish_rig *p)
{
	pub_close(p);
	scratch_remove(p->rig.dir);
}

static inline int pub_reopen(struct publish_rig *p)
{
	pub_close(p);
	return rig_open(&p->rig, 0) < 0 ? -1 : pub_start(p);
}

static inline void pub_turn(struct publish_rig *p)
{
	rig_turn(&p->rig);
	if (p->overlay)
		fake_overlay_turn(p->overlay, p->rig.now_ns);
	pub_mesh_turn(p);
}

static inline void pub_turns(struct publish_rig *p, unsigned cnt)
{
	while (cnt--)
		pub_turn(p);
}

/* pub_pass lets so many seconds pass, on both clocks. */
static inline void pub_pass(struct publish_rig *p, uint64_t s)
{
	p->wall_s += s;
	p->rig.now_ns += s * NS_PER_S;
	if (p->overlay)
		p->overlay->wall_s = p->wall_s;
	pub_turns(p, 20);
}

static inline void pub_note_done(void *arg, int err)
{
	*(int *)arg = err;
}

static inline struct publish_settings *pub_settings(const char *name)
{
	static struct publish_settings settings;

	memset(&settings, 0, sizeof(settings));
	snprintf(settings.name, sizeof(settings.name), "%s", name);
	return &settings;
}

static inline int pub_create(struct publish_rig *p, const struct publish_settings *settings,
			     const uint8_t *seed, uint8_t id[static SHARE_ID_LEN])
{
	int outcome = 1;
	int err = shares_publisher_create(p->publisher, settings, seed,
					  (struct publisher_caller){pub_note_done, &outcome}, id);

	for (unsigned i = 0; err == 0 && i < 100 && outcome == 1; i++)
		pub_turn(p);
	return err < 0 ? err : outcome;
}

static inline void pub_revised(void *arg, const struct publish_outcome *outcome)
{
	struct revised *seen = arg;

	seen->done_cnt++;
	seen->err = outcome->err;
	seen->is_unchanged = outcome->is_unchanged;
	seen->was_asked = outcome->was_asked;
	seen->part_cnt = outcome->part_cnt;
	seen->part_new_cnt = outcome->part_new_cnt;
	if (outcome->import)
		seen->reused_cnt = outcome->import->reused_cnt;
	if (outcome->revision) {
		seen->seq = outcome->revision->seq;
		memcpy(seen->manifest_id, outcome->revision->manifest_id, 32);
	}
	snprintf(seen->detail, sizeof(seen->detail), "%s", outcome->detail);
}

/* pub_revise makes a revision of settings to the end; 1: it never ended. */
static inline int pub_revise(struct publish_rig *p, const uint8_t *id,
			     const struct publish_settings *settings, bool imports,
			     struct revised *seen)
{
	const struct publish_ask ask = {
		.settings = settings, .imports = imports, .done = pub_revised, .arg = seen};
	int err;

	memset(seen, 0, sizeof(*seen));
	seen->err = 1;
	err = shares_publisher_revise(p->publisher, id, &ask, p->rig.now_ns);
	for (unsigned i = 0; err == 0 && i < 100000 && !seen->done_cnt; i++)
		pub_turn(p);
	return err < 0 ? err : seen->done_cnt == 1 ? seen->err : 1;
}

/* pub_publish makes a revision of dir/name. */
static inline int pub_publish(struct publish_rig *p, const uint8_t *id, const char *dir,
			      struct revised *seen)
{
	struct publish_settings *settings = malloc(sizeof(*settings));
	int err;

	*settings = *shares_publisher_lookup(p->publisher, id)->settings;
	scratch_path(settings->path, sizeof(settings->path), p->rig.dir, dir);
	err = pub_revise(p, id, settings, true, seen);
	free(settings);
	return err;
}

static inline int pub_revoke(struct publish_rig *p, const uint8_t *id, struct revised *seen)
{
	const struct publish_ask ask = {.done = pub_revised, .arg = seen};
	int err;

	memset(seen, 0, sizeof(*seen));
	seen->err = 1;
	err = shares_publisher_revoke(p->publisher, id, &ask, p->rig.now_ns);
	for (unsigned i = 0; err == 0 && i < 1000 && !seen->done_cnt; i++)
		pub_turn(p);
	return err < 0 ? err : seen->done_cnt == 1 ? seen->err : 1;
}

/* pub_tree makes dir with cnt files of 10 bytes. */
static inline void pub_tree(struct publish_rig *p, const char *dir, unsigned cnt)
{
	char name[64];

	rig_mkdir(&p->rig, dir);
	for (unsigned i = 0; i < cnt; i++) {
		snprintf(name, sizeof(name), "%s/%04u.txt", dir, i);
		rig_file(&p->rig, name, 10, i + 1);
	}
}

/* pub_age makes the records of what pub_tree made trustworthy, as they are two seconds later. */
static inline int pub_age(struct publish_rig *p, const char *dir, unsigned cnt)
{
	struct object_file *file = calloc(1, sizeof(*file));
	struct store_snapshot *snapshot;
	char name[64], path[4096];
	int err = file ? 0 : -ENOMEM;

	for (unsigned i = 0; i < cnt && err == 0; i++) {
		struct store_batch *batch = store_batch_new(p->rig.store);

		snprintf(name, sizeof(name), "%s/%04u.txt", dir, i);
		scratch_path(path, sizeof(path), p->rig.dir, name);
		err = store_snapshot_open(p->rig.store, &snapshot);
		if (err == 0) {
			err = blobs_object_file_get(snapshot, path, file);
			store_snapshot_close(snapshot);
		}
		file->is_racy = false;
		blobs_object_file_put(batch, file, file);
		if (err == 0)
			err = store_submit(p->rig.store, batch, NULL, NULL);
		store_flush(p->rig.store);
	}
	free(file);
	return err;
}

#endif
