/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SYNC_RIG_H
#define WEFT_TESTS_SYNC_RIG_H

#include "support/mesh_lab_wire.h"
#include "sync_posts_rig.h"

/* Nodes of sync_posts_rig.h on the network, and what they have of the parts below sync/. */

/* --- the parts below --- */

static inline const uint8_t *rig_author(void *ctx, const struct post_row *row)
{
	(void)ctx;
	return rig_key(row->author);
}

static inline struct post_row *rig_row(struct rig_node *node, const uint8_t *id)
{
	const struct rig_post *post = rig_find(node, id);

	return post && !post->is_gone ? social_index_find(&node->index, post->time_ms, id) : NULL;
}

static inline bool rig_row_of(void *ctx, const uint8_t id[static POST_ID_LEN],
			      struct post_row *out_row)
{
	const struct post_row *row = rig_row(ctx, id);

	if (row)
		*out_row = *row;
	return row != NULL;
}

static inline int rig_readers(void *ctx, const struct post_row *row,
			      const uint8_t key[static NODE_KEY_LEN], struct sync_readers *out)
{
	static struct visibility said;
	const struct rig_post *post = rig_find(ctx, row->id);

	if (social_visibility_parse(post->visibility.bytes, post->visibility.len, &said) < 0)
		return WEFT_EDAMAGED;
	*out = (struct sync_readers){.kind = said.kind,
				     .is_reader = social_visibility_recipient(&said, key) != NULL,
				     .epoch = said.group.epoch};
	memcpy(out->group, said.group.group, sizeof(out->group));
	return 0;
}

static inline bool rig_read(void *ctx, const uint8_t id[static POST_ID_LEN], struct sync_copy *out)
{
	static const uint8_t claim[] = {1, 2, 3};
	struct rig_node *node = ctx;
	const struct rig_post *post = rig_find(node, id);

	node->read_cnt++;
	if (!post || post->is_gone)
		return false;
	*out = (struct sync_copy){post->post, {claim, sizeof(claim)}, post->visibility, node};
	return true;
}

static inline void rig_release(void *ctx, struct sync_copy *copy)
{
	if (copy->owner != ctx)
		abort();
	copy->owner = NULL;
}

static inline size_t rig_deletion(void *ctx, const uint8_t id[static POST_ID_LEN],
				  uint8_t out[static SYNC_DELETION_LEN_MAX],
				  uint8_t out_author[static NODE_KEY_LEN])
{
	const struct rig_post *post = rig_find(ctx, id);

	if (!post || !post->is_gone)
		return 0;
	memcpy(out, id, POST_ID_LEN);
	memcpy(out_author, rig_key(post->author), NODE_KEY_LEN);
	return POST_ID_LEN;
}

static inline bool rig_is_chosen(void *ctx, const uint8_t *key)
{
	return rig_has(((struct rig_node *)ctx)->chosen, key);
}

static inline bool rig_is_related(void *ctx, const uint8_t *key)
{
	const struct rig_node *node = ctx;

	return rig_has(node->chosen | node->related, key);
}

static inline bool rig_is_blocked(void *ctx, const uint8_t *key)
{
	return rig_has(((struct rig_node *)ctx)->blocked, key);
}

static inline unsigned rig_follows(void *ctx, uint8_t (*keys)[NODE_KEY_LEN], unsigned cap)
{
	const struct rig_node *node = ctx;
	unsigned cnt = 0;

	for (unsigned i = 0; i < RIG_PEOPLE && cnt < cap; i++)
		if (node->follows >> i & 1)
			memcpy(keys[cnt++], rig_key(i), NODE_KEY_LEN);
	for (unsigned i = 0; i < node->follow_extra && cnt < cap; i++, cnt++) {
		memset(keys[cnt], 0xee, NODE_KEY_LEN);
		keys[cnt][30] = (uint8_t)(i >> 8);
		keys[cnt][31] = (uint8_t)i;
	}
	qsort(keys, cnt, NODE_KEY_LEN, rig_key_compare);
	return cnt;
}

static inline void rig_followed(void *ctx, const uint8_t *key,
				const uint8_t (*follows)[NODE_KEY_LEN], unsigned cnt,
				uint64_t now_ns)
{
	struct rig_node *node = ctx;

	(void)now_ns;
	for (unsigned i = 0; i < cnt; i++)
		if (rig_person(follows[i]) == node->number)
			node->heard_follows |= WHO(rig_person(key));
}

/* One byte tells whose it is, another whether the reader is one of the person's own. */
static inline unsigned rig_profiles(void *ctx, const uint8_t *reader, struct writer *buf,
				    struct sync_bytes out[static SYNC_PROFILES_MAX])
{
	const struct rig_node *node = ctx;
	const uint8_t profile[2] = {(uint8_t)node->number, rig_has(node->chosen, reader)};

	out[0] = (struct sync_bytes){buf->pos, sizeof(profile)};
	writer_bytes(buf, profile, sizeof(profile));
	return 1;
}

static inline const struct node_key *rig_persona(void *ctx, unsigned idx)
{
	const struct rig_node *node = ctx;

	if (idx == 0)
		return rig_people[node->number];
	return idx == 1 && node->persona ? rig_people[node->persona] : NULL;
}

static inline bool rig_is_member(void *ctx, const uint8_t group[static 32], uint64_t epoch,
				 const uint8_t *key)
{
	const struct rig_node *node = ctx;

	return memcmp(group, rig_group_id, 32) == 0 && epoch == RIG_EPOCH &&
	       rig_has(node->members, key);
}

static inline unsigned rig_group_keys(void *ctx, struct sync_group_key out[static SYNC_PROOFS_MAX])
{
	const struct rig_node *node = ctx;

	if (!node->proves)
		return 0;
	out[0] = (struct sync_group_key){.epoch = RIG_EPOCH, .key = rig_group};
	memcpy(out[0].group, rig_group_id, sizeof(rig_group_id));
	return 1;
}

static inline void rig_answer_take(const struct sync_take *take, enum intake_verdict verdict,
				   const uint8_t *id)
{
	static const uint8_t none[POST_ID_LEN];

	if (take->done)
		take->done(take->arg, verdict, id ? id : none);
}

static inline void rig_take_post(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	struct rig_node *node = ctx;
	static struct visibility said;
	struct post post;
	struct rig_post kept;

	(void)now_ns;
	if (social_post_parse(take->post.bytes, take->post.len, &post) < 0 ||
	    social_visibility_read(take->visibility.bytes, take->visibility.len, &said) < 0) {
		rig_answer_take(take, INTAKE_MALFORMED, NULL);
		return;
	}
	kept = (struct rig_post){.author = rig_person(post.author),
				 .time_ms = post.time_ms,
				 .number = (uint16_t)said.number};
	social_post_id(take->post.bytes, take->post.len, kept.id);
	if (node->refuses || rig_holds(node, kept.id)) {
		rig_answer_take(take, node->refuses ? INTAKE_UNWANTED : INTAKE_KNOWN, kept.id);
		return;
	}
	kept.post = rig_kept(take->post.bytes, take->post.len);
	kept.visibility = rig_kept(take->visibility.bytes, take->visibility.len);
	rig_put(node, &kept);
	node->taken_cnt++;
	rig_answer_take(take, INTAKE_TAKEN, kept.id);
}

static inline void rig_take_visibility(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	struct rig_node *node = ctx;
	static struct visibility said;
	struct rig_post *post;
	struct post_row *row;

	(void)now_ns;
	if (social_visibility_read(take->post.bytes, take->post.len, &said) < 0) {
		rig_answer_take(take, INTAKE_MALFORMED, NULL);
		return;
	}
	post = rig_find(node, said.post);
	row = rig_row(node, said.post);
	if (!row || said.number <= post->number) {
		rig_answer_take(take, INTAKE_OLD, said.post);
		return;
	}
	post->number = row->number = (uint16_t)said.number;
	free((void *)(uintptr_t)post->visibility.bytes);
	post->visibility = rig_kept(take->post.bytes, take->post.len);
	row->audience = rig_audience(&post->visibility);
	node->taken_cnt++;
	rig_answer_take(take, INTAKE_TAKEN, post->id);
}

static inline void rig_delete(struct rig_node *node, const uint8_t *id)
{
	struct rig_post *post = rig_find(node, id);

	if (!post || post->is_gone)
		return;
	post->is_gone = true;
	(void)social_index_remove(&node->index, post->time_ms, id);
}

static inline void rig_take_deletion(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	(void)now_ns;
	node->deletion_cnt++;
	if (take->post.len == POST_ID_LEN)
		rig_delete(node, take->post.bytes);
}

static inline void rig_take_profile(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	(void)take, (void)now_ns;
	((struct rig_node *)ctx)->profile_cnt++;
}

/* --- what goes out --- */

static inline int rig_give(void *ctx, const struct sync_give *give)
{
	struct rig_node *node = ctx;
	const struct holders_give marks = {.person = give->person,
					   .posts = give->posts,
					   .post_cnt = give->post_cnt,
					   .done = give->done,
					   .arg = give->arg};
	unsigned idx = node->give_cnt++ % RIG_GIVES;

	node->gives[idx].give = *give;
	node->gives[idx].person = rig_person(give->person);
	node->gives[idx].is_pending = node->gives_late;
	memcpy(node->gives[idx].posts, give->posts, give->post_cnt * POST_ID_LEN);
	if (node->give_err < 0)
		return node->give_err;
	if (node->holders)
		return social_holders_give(node->holders, &marks);
	if (!node->gives_late)
		give->done(give->arg, 0);
	return 0;
}

/* The marks that wait are on the disk, or are refused by it. */
static inline void rig_marks_write(struct rig_node *node, int err)
{
	for (unsigned i = 0; i < RIG_GIVES; i++)
		if (node->gives[i].is_pending) {
			node->gives[i].is_pending = false;
			node->gives[i].give.done(node->gives[i].give.arg, err);
		}
}

static inline bool rig_gave(const struct rig_node *node, const struct rig_post *post,
			    unsigned person)
{
	for (unsigned i = 0; i < node->give_cnt && i < RIG_GIVES; i++)
		for (unsigned j = 0; j < node->gives[i].give.post_cnt; j++)
			if (node->gives[i].person == person &&
			    memcmp(node->gives[i].posts[j], post->id, POST_ID_LEN) == 0)
				return true;
	return false;
}

static inline void rig_synced(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	(void)now_ns;
	((struct rig_node *)ctx)->synced |= WHO(rig_person(key));
}

static inline void rig_pulled(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	(void)now_ns;
	((struct rig_node *)ctx)->pulled |= WHO(rig_person(key));
}

/* --- nodes --- */

static inline uint64_t rig_wall_ms(void *ctx)
{
	(void)ctx;
	return RIG_TIME + rig_lab.now_ns / NS_PER_MS;
}

static inline enum fair_class rig_class_of(void *ctx, const uint8_t *key)
{
	return rig_has(((struct rig_node *)ctx)->chosen, key) ? FAIR_CHOSEN : FAIR_UNKNOWN;
}

/* As the lab's, and notes what is asked. No request goes without a session. */
static inline int rig_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
			  struct mesh_request **out_request)
{
	struct rig_node *node = mesh->ctx;
	uint8_t session[MESH_SESSION_ID_LEN];
	size_t len = ask->payload_len;

	if (ask->peer.addr_cnt || ask->peer.via_cnt || ask->payload_len > MESH_ASK_LEN_MAX ||
	    mesh_lab_seam_of(mesh).ops->session(mesh, ask->peer.key, session) < 0)
		abort();
	if (node->asked_cnt < RIG_LOG) {
		node->asked[node->asked_cnt].type = ask->type;
		node->asked[node->asked_cnt].to = rig_person(ask->peer.key);
		node->asked[node->asked_cnt].len = len;
		memcpy(node->asked[node->asked_cnt].payload, ask->payload,
		       len < sizeof(node->asked[0].payload) ? len : sizeof(node->asked[0].payload));
		node->asked_cnt++;
	}
	node->asked_len += len;
	return mesh_lab_seam_of(mesh).ops->ask(mesh, ask, now_ns, out_request);
}

/* Each node is in a network of its own. */
static inline void rig_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	const struct mesh_lab_session *session =
		mesh_lab_session_lookup(incoming->node, incoming->key);

	mesh_lab_neighbours.account(incoming->node, incoming->key, &session->remote, out_path);
}

static inline void rig_turn(void *ctx, uint64_t now_ns)
{
	struct rig_node *node = ctx;

	timer_wheel_expire(&node->timers, now_ns);
	if (node->store)
		(void)store_reap(node->store);
}

static inline uint64_t rig_next_ns(void *ctx)
{
	struct rig_node *node = ctx;

	return node->store && store_is_pending(node->store) ? rig_lab.now_ns
							    : timer_wheel_next_ns(&node->timers);
}

static inline void rig_start(struct rig_node *node)
{
	struct sync_params params = {
		.ground = &node->ground,
		.parts = {.index = &node->index,
			  .author = rig_author,
			  .readers = rig_readers,
			  .row = rig_row_of,
			  .read = rig_read,
			  .release = rig_release,
			  .deletion = rig_deletion,
			  .is_chosen = rig_is_chosen,
			  .is_related = rig_is_related,
			  .is_blocked = rig_is_blocked,
			  .follows = rig_follows,
			  .followed = rig_followed,
			  .profiles = rig_profiles,
			  .persona = rig_persona,
			  .is_member = rig_is_member,
			  .group_keys = rig_group_keys,
			  .take_post = rig_take_post,
			  .take_visibility = rig_take_visibility,
			  .take_deletion = rig_take_deletion,
			  .take_profile = rig_take_profile,
			  .give = rig_give,
			  .synced = rig_synced,
			  .pulled = rig_pulled,
			  .ctx = node},
		.now_ns = rig_lab.now_ns,
	};

	social_sync_config_defaults(&params.config);
	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, rig_lab.now_ns);
	node->ground = (struct social_ground){.mesh = mesh_lab_seam_of(node->mesh),
					      .neighbours = &mesh_lab_neighbours,
					      .timers = &node->timers,
					      .random = &rig_dice,
					      .key = rig_people[node->number],
					      .wall_ms = rig_wall_ms,
					      .class_of = rig_class_of,
					      .ctx = node};
	rig_ops = *node->ground.mesh.ops;
	rig_ops.ask = rig_ask;
	rig_ops.asker_path = rig_asker_path;
	node->ground.mesh.ops = &rig_ops;
	if (social_sync_open(&params, &node->sync) < 0)
		abort();
	node->mesh->expire = rig_turn;
	node->mesh->next_ns = rig_next_ns;
	node->mesh->ctx = node;
}

static inline void rig_stop(struct rig_node *node)
{
	social_sync_stop(node->sync);
	mesh_lab_down(node->mesh);
	social_sync_close(node->sync);
	node->sync = NULL;
}

static inline struct rig_node *rig_add(void)
{
	static const uint64_t secret[2] = {1, 2};
	struct rig_node *node = &rig_nodes[rig_cnt];

	memset(node, 0, sizeof(*node));
	node->number = rig_cnt++;
	node->mesh = mesh_lab_add(&rig_lab);
	memcpy(node->mesh->key, rig_key(node->number), MESH_KEY_LEN);
	if (arena_open(&node->arena, ARENA_GROWS) < 0 ||
	    social_index_init(&node->index, &node->arena, RIG_POSTS) < 0 ||
	    map_init(&node->by_id, &node->arena, POST_ID_LEN, RIG_POSTS, secret) < 0)
		abort();
	node->posts = arena_alloc(&node->arena, RIG_POSTS * sizeof(*node->posts));
	rig_start(node);
	return node;
}

static inline void rig_begin(const struct mem_link *link)
{
	random_init_seeded(&rig_dice, seed_of_run(5));
	mesh_lab_init(&rig_lab, seed_of_run(5), RIG_NODES, link);
	rig_lab.idle_ns = 100000000 * NS_PER_S;
	rig_cnt = 0;
	rig_next_time = RIG_TIME;
	for (unsigned i = 0; i <= RIG_PEOPLE; i++) {
		const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(i + 1), 91};

		if (node_key_from_seed(seed, i < RIG_PEOPLE ? &rig_people[i] : &rig_group) < 0)
			abort();
	}
}

static inline void rig_end(void)
{
	for (unsigned i = 0; i < rig_cnt; i++) {
		struct rig_node *node = &rig_nodes[i];

		if (node->sync)
			rig_stop(node);
		for (unsigned j = 0; j < node->post_cnt; j++) {
			free((void *)(uintptr_t)node->posts[j].post.bytes);
			free((void *)(uintptr_t)node->posts[j].visibility.bytes);
		}
		arena_close(&node->arena);
	}
	for (unsigned i = 0; i <= RIG_PEOPLE; i++)
		node_key_free(i < RIG_PEOPLE ? rig_people[i] : rig_group);
	mesh_lab_fini(&rig_lab);
}

/* Time passes. What the test made nodes do outside of their turns is looked at first. */
static inline void rig_pass(uint64_t for_ns)
{
	for (unsigned i = 0; i < rig_cnt; i++)
		rig_nodes[i].mesh->due_ns = 0;
	(void)mesh_lab_run(&rig_lab, for_ns, NULL, NULL);
}

static struct mesh_lab_ask rig_asked;
/* Both have a session, which they hear of as nodes do. */
static inline void rig_meet(struct rig_node *a, struct rig_node *b)
{
	mesh_lab_ask(a->mesh, b->mesh, MESH_PEX_REQUEST, "", 0, &rig_asked);
	social_sync_session_up(a->sync, b->mesh->key, rig_lab.now_ns);
	social_sync_session_up(b->sync, a->mesh->key, rig_lab.now_ns);
	rig_pass(2 * NS_PER_S);
}

/* The session of two nodes ends, and both notice. */
static inline void rig_part(struct rig_node *a, struct rig_node *b)
{
	a->mesh->session_cnt = b->mesh->session_cnt = 0;
	rig_pass(6 * NS_PER_S);
}

static inline void rig_done(void *arg, const struct sync_outcome *outcome, uint64_t now_ns)
{
	struct rig_node *node = arg;

	(void)now_ns;
	node->outcome = *outcome;
	node->done_cnt++;
}

/* node pulls from another one that it has a session with, and the pull ends. */
static inline int rig_pull(struct rig_node *node, struct rig_node *from, const uint8_t *author)
{
	struct sync_order order = {.author = author, .done = rig_done, .arg = node};
	int err;

	memcpy(order.key, from->mesh->key, sizeof(order.key));
	err = social_sync_with(node->sync, &order, rig_lab.now_ns);
	rig_pass(60 * NS_PER_S);
	return err;
}

static inline struct sync_stats rig_stats(const struct rig_node *node)
{
	struct sync_stats stats;

	social_sync_stats(node->sync, &stats);
	return stats;
}

/* --- raw messages --- */

static uint8_t rig_message[MESH_ASK_LEN_MAX + 64];
static struct sync_answer rig_answer;

/* Raw messages, as a node may send them that is not this program. */
static inline const struct mesh_reply *rig_say(struct rig_node *from, struct rig_node *to,
					       unsigned type, size_t len)
{
	mesh_lab_ask(from->mesh, to->mesh, type, rig_message, len, &rig_asked);
	return &rig_asked.reply;
}

static inline const struct mesh_reply *rig_say_hello(struct rig_node *from, struct rig_node *to,
						     const struct sync_hello *hello)
{
	struct writer w = writer_of(rig_message, sizeof(rig_message));

	social_sync_hello_write(&w, hello);
	return rig_say(from, to, MESH_SOCIAL_HELLO, writer_len(&w));
}

static inline const struct sync_answer *rig_hear(const struct mesh_reply *reply)
{
	if (reply->err < 0 ||
	    social_sync_answer_parse(reply->payload, reply->payload_len, &rig_answer) < 0)
		abort();
	return &rig_answer;
}

static inline const struct mesh_reply *rig_say_get(struct rig_node *from, struct rig_node *to,
						   const struct sync_get *get)
{
	struct writer w = writer_of(rig_message, sizeof(rig_message));

	social_sync_get_write(&w, get);
	return rig_say(from, to, MESH_POST_GET, writer_len(&w));
}

#endif
