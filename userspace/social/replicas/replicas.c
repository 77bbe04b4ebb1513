/* SPDX-License-Identifier: Apache-2.0 */
#include "social/replicas/replicas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "social/replicas/replicas_state.h"

#define MIB (1ull << 20)

void social_replicas_config_defaults(struct replicas_config *config)
{
	*config = (struct replicas_config){
		.target = 3, .hosted_per_hour = 200 * MIB, .offered_per_hour = 1024 * MIB};
}

/* The window slides: what the hour before brought counts as far as it reaches into this one. */
bool social_replica_spend(struct replica_hour *hour, uint64_t len, uint64_t max, uint64_t wall_ms)
{
	uint64_t age_ms = wall_ms - hour->begun_ms, before;

	if (wall_ms < hour->begun_ms || age_ms >= 2 * REPLICA_HOUR_MS) {
		*hour = (struct replica_hour){.begun_ms = wall_ms};
	} else if (age_ms >= REPLICA_HOUR_MS) {
		hour->before_len = hour->now_len;
		hour->now_len = 0;
		hour->begun_ms += REPLICA_HOUR_MS;
	}
	age_ms = wall_ms - hour->begun_ms;
	before = hour->before_len / REPLICA_HOUR_MS * (REPLICA_HOUR_MS - age_ms);
	if (len > max || before + hour->now_len > max - len)
		return false;
	hour->now_len += len;
	return true;
}

/* --- posts --- */

/* The same of a post of a group, by the key of its epoch. */
static void group_key_open(struct replicas *replicas, const struct post *post,
			   struct replica_post *out)
{
	const struct replica_ways *ways = &replicas->params.ways;
	const struct visibility_group *group = &out->visibility->group;
	const struct node_key *key = ways->group_key(ways->ctx, group);
	uint8_t nonce[CONTENT_NONCE_LEN];
	struct content_wrap wrap = {post->author, group->key, nonce};

	out->has_key = key && social_content_nonce(post->content, post->content_len, nonce) == 0 &&
		       social_key_unwrap(&wrap, key, group->wrapped, out->key) == 0;
}

/* The key of the content, by a wrap for a person of this node or one that it made. */
static void key_open(struct replicas *replicas, const struct post *post, struct replica_post *out)
{
	const struct visibility *visibility = out->visibility;
	const struct node_key *author = social_replica_own(replicas, post->author);
	uint8_t nonce[CONTENT_NONCE_LEN];

	if (social_content_nonce(post->content, post->content_len, nonce) < 0)
		return;
	for (unsigned i = 0; i < visibility->recipient_cnt && !out->has_key; i++) {
		const struct visibility_recipient *recipient = &visibility->recipients[i];
		struct content_wrap wrap = {post->author, recipient->reader, nonce};
		const struct node_key *own =
			author ? author : social_replica_own(replicas, recipient->reader);

		out->has_key =
			own && social_key_unwrap(&wrap, own, recipient->wrapped, out->key) == 0;
	}
}

int social_replica_load(struct replicas *replicas, const struct post_view *view,
			struct replica_post *out_post)
{
	struct post_copy *copy;
	struct post post;
	int err;

	*out_post = (struct replica_post){.view = *view};
	if (view->kind == VISIBILITY_PUBLIC)
		return 0;
	if ((err = social_posts_read(replicas->params.posts, view->id, &copy)) < 0)
		return err;
	out_post->visibility = calloc(1, sizeof(*out_post->visibility));
	err = out_post->visibility ? 0 : -ENOMEM;
	if (err == 0)
		err = social_visibility_read(copy->parts.visibility, copy->parts.visibility_len,
					     out_post->visibility);
	if (err == 0)
		err = social_post_parse(copy->parts.post, copy->parts.post_len, &post);
	if (err == 0 && view->kind == VISIBILITY_GROUP)
		group_key_open(replicas, &post, out_post);
	else if (err == 0)
		key_open(replicas, &post, out_post);
	social_post_copy_free(copy);
	if (err < 0)
		social_replica_fini(out_post);
	return err;
}

void social_replica_fini(struct replica_post *post)
{
	explicit_bzero(post->key, sizeof(post->key));
	free(post->visibility);
	post->visibility = NULL;
}

bool social_replica_is_reader(const struct replicas *replicas, const struct replica_post *post,
			      const uint8_t key[static MESH_KEY_LEN])
{
	const struct replica_ways *ways = &replicas->params.ways;

	if (post->view.kind == VISIBILITY_GROUP)
		return ways->is_member(ways->ctx, post->view.group, post->view.epoch, key);
	return post->visibility && social_visibility_recipient(post->visibility, key);
}

bool social_replica_may_know(const struct replicas *replicas, const struct replica_post *post,
			     const uint8_t key[static MESH_KEY_LEN])
{
	if (social_replica_blocks(replicas, key))
		return false;
	if (post->view.kind == VISIBILITY_PUBLIC ||
	    memcmp(post->view.author, key, MESH_KEY_LEN) == 0)
		return true;
	return social_replica_is_reader(replicas, post, key);
}

void social_replicas_view(const struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			  struct replica_view *out_view)
{
	unsigned cnt = social_holders_cnt(replicas->params.holders, post);

	*out_view = (struct replica_view){.copy_cnt = cnt,
					  .target = replicas->params.config.target,
					  .is_low = cnt < replicas->params.config.target};
}

/* --- peers --- */

struct replica_peer *social_replica_peer(struct replicas *replicas, const uint8_t *key)
{
	for (unsigned i = 0; i < REPLICA_PEERS_CAP; i++)
		if (replicas->peers[i].used_ns &&
		    memcmp(replicas->peers[i].key, key, MESH_KEY_LEN) == 0)
			return &replicas->peers[i];
	return NULL;
}

void social_replica_rest(struct replicas *replicas, const uint8_t *key)
{
	struct replica_peer *peer = social_replica_peer(replicas, key);

	if (peer)
		peer->rests_until_ms = social_wall_ms(replicas->params.ground) + REPLICA_REST_MS;
}

/* A free place, or that of the one met longest ago; NULL: all are asked something now. */
static struct replica_peer *peer_place(struct replicas *replicas)
{
	struct replica_peer *oldest = NULL;

	for (unsigned i = 0; i < REPLICA_PEERS_CAP; i++) {
		struct replica_peer *peer = &replicas->peers[i];

		if (!peer->check && (!oldest || peer->used_ns < oldest->used_ns))
			oldest = peer;
	}
	return oldest;
}

void social_replicas_synced(struct replicas *replicas, const uint8_t key[static MESH_KEY_LEN],
			    uint64_t now_ns)
{
	struct replica_peer *peer;

	if (!replicas || replicas->is_stopped)
		return;
	replicas->now_ns = now_ns;
	peer = social_replica_peer(replicas, key);
	if (peer)
		peer->is_met = true;
	if (!peer) {
		peer = peer_place(replicas);
		if (!peer)
			return;
		peer->has_cursor = peer->has_told = false;
		peer->reply_len = 0;
		peer->is_met = false;
		peer->told.has_from = false;
		peer->rests_until_ms = 0;
		memcpy(peer->key, key, MESH_KEY_LEN);
	}
	peer->replicas = replicas;
	peer->used_ns = now_ns + 1;
	if (!peer->check) {
		social_replica_notes_take(replicas, peer);
		social_replica_check(replicas, peer, now_ns);
	}
	social_replica_tell(replicas, peer, now_ns);
}

/* --- life --- */

static int handle_all(struct replicas *replicas)
{
	const struct mesh_seam *mesh = &replicas->params.ground->mesh;
	int err = mesh->ops->handle(mesh->mesh, MESH_REPLICA_CHECK, social_replica_on_check,
				    replicas);

	return err < 0 ? err
		       : mesh->ops->handle(mesh->mesh, MESH_REPLICA_OFFER, social_replica_on_offer,
					   replicas);
}

int social_replicas_open(const struct replicas_params *params, struct replicas **out_replicas)
{
	struct replicas *replicas = calloc(1, sizeof(*replicas));
	uint64_t secret[2];
	int err;

	if (!replicas)
		return -ENOMEM;
	replicas->params = *params;
	replicas->now_ns = params->now_ns;
	replicas->peers = calloc(REPLICA_PEERS_CAP, sizeof(replicas->peers[0]));
	random_fill(params->ground->random, secret, sizeof(secret));
	random_fill(params->ground->random, replicas->secret, sizeof(replicas->secret));
	err = replicas->peers ? arena_open(&replicas->arena, ARENA_GROWS) : -ENOMEM;
	if (err == 0)
		err = social_replica_host_init(replicas, secret);
	arena_fit(&replicas->arena);
	if (err == 0)
		err = handle_all(replicas);
	if (err < 0) {
		social_replicas_close(replicas);
		return err;
	}
	*out_replicas = replicas;
	return 0;
}

void social_replicas_stop(struct replicas *replicas)
{
	if (!replicas || replicas->is_stopped)
		return;
	replicas->is_stopped = true;
	if (!replicas->peers)
		return;
	for (unsigned i = 0; i < REPLICA_PEERS_CAP; i++)
		if (replicas->peers[i].check)
			replica_ops(replicas)->cancel(replicas->peers[i].check);
	social_replica_offer_stop(replicas);
	social_replica_tell_stop(replicas);
	social_replica_host_stop(replicas);
}

void social_replicas_close(struct replicas *replicas)
{
	if (!replicas)
		return;
	social_replicas_stop(replicas);
	arena_close(&replicas->arena);
	free(replicas->peers);
	free(replicas);
}

void social_replicas_stats(const struct replicas *replicas, struct replicas_stats *out_stats)
{
	*out_stats = replicas->stats;
	for (unsigned i = 0; i < REPLICA_HOSTING_CAP; i++)
		out_stats->hosting_cnt += replicas->hostings[i].is_used;
}

void social_replicas_hosting_view(const struct replicas *replicas, struct fair_view *out_view)
{
	fair_read(&replicas->fair, out_view);
}
