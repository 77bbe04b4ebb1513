/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that this node has others keep: one question, then pieces, each behind the answer to the last. */
#include <string.h>

#include "social/replicas/replica_restore.h"
#include "social/replicas/replicas_state.h"

static void giving_end(struct replica_giving *giving)
{
	social_post_copy_free(giving->copy);
	giving->copy = NULL;
	giving->request = NULL;
}

/* The bytes of the three objects from off on, one behind the other. */
static size_t piece_fill(struct replicas *replicas, const struct replica_giving *giving,
			 uint32_t off)
{
	const struct post_parts *parts = &giving->copy->parts;
	const struct {
		const uint8_t *bytes;
		size_t len;
	} all[] = {{parts->post, parts->post_len},
		   {parts->claim, parts->claim_len},
		   {parts->visibility, parts->visibility_len}};
	size_t len = 0, skip = off;

	for (unsigned i = 0; i < 3 && len < sizeof(replicas->piece); i++) {
		size_t take = all[i].len > skip ? all[i].len - skip : 0;

		if (take > sizeof(replicas->piece) - len)
			take = sizeof(replicas->piece) - len;
		if (take)
			memcpy(replicas->piece + len, all[i].bytes + skip, take);
		skip = skip > all[i].len ? skip - all[i].len : 0;
		len += take;
	}
	return len;
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns);

static bool offer_send(struct replica_giving *giving, uint64_t now_ns)
{
	struct replicas *replicas = giving->replicas;
	const struct mesh_seam *mesh = &replicas->params.ground->mesh;
	struct writer w = writer_of(replicas->message, sizeof(replicas->message));
	struct mesh_ask ask = {.type = MESH_REPLICA_OFFER,
			       .reply_buf = giving->reply,
			       .reply_cap = sizeof(giving->reply),
			       .timeout_ns = REPLICA_TIMEOUT_NS,
			       .reply = on_answer,
			       .arg = giving};

	giving->offer.bytes = NULL;
	giving->offer.len = 0;
	if (giving->is_begun) {
		giving->offer.len = piece_fill(replicas, giving, giving->offer.off);
		giving->offer.bytes = replicas->piece;
	}
	social_offer_write(&w, &giving->offer);
	memcpy(ask.peer.key, giving->peer, MESH_KEY_LEN);
	ask.payload = replicas->message;
	ask.payload_len = writer_len(&w);
	return !w.bad && mesh->ops->ask(mesh->mesh, &ask, now_ns, &giving->request) == 0;
}

/* All of it is there: that counts until its first note comes. */
static void note_placed(struct replica_giving *giving)
{
	struct replicas *replicas = giving->replicas;
	struct holder_said said = {.post = giving->offer.post,
				   .person = giving->peer,
				   .has = true,
				   .noted_ms = social_wall_ms(replicas->params.ground),
				   .is_chosen = social_replica_is_chosen(replicas, giving->peer)};

	replicas->stats.placed_cnt++;
	(void)social_holders_note(replicas->params.holders, &said, 1);
}

/* As what is given was when its mark was asked for, to a node that is still there. */
static bool is_as_it_was(const struct replica_giving *giving)
{
	const struct replicas *replicas = giving->replicas;
	const struct post_parts *was = &giving->copy->parts;
	struct post_copy *now;
	bool is;

	if (!social_has_session(replicas->params.ground, giving->peer) ||
	    social_posts_read(replicas->params.posts, giving->offer.post, &now) < 0)
		return false;
	is = now->parts.visibility_len == was->visibility_len &&
	     memcmp(now->parts.visibility, was->visibility, was->visibility_len) == 0;
	social_post_copy_free(now);
	return is;
}

static void on_marked(void *arg, int err)
{
	struct replica_giving *giving = arg;
	struct replicas *replicas = giving->replicas;

	if (replicas->is_stopped)
		return;
	if (err < 0 || !is_as_it_was(giving) || !offer_send(giving, replicas->now_ns))
		giving_end(giving);
}

/* The first bytes of a private post of this node go behind the mark that the peer was given it. */
static bool mark(struct replica_giving *giving)
{
	const struct holders_give marks = {.person = giving->peer,
					   .posts = &giving->offer.post,
					   .post_cnt = 1,
					   .done = on_marked,
					   .arg = giving};

	return social_holders_give(giving->replicas->params.holders, &marks) == 0;
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct replica_giving *giving = arg;
	struct replicas *replicas = giving->replicas;
	uint32_t whole = replica_offer_len(&giving->offer);
	struct replica_accept accept;
	bool is_first;

	giving->request = NULL;
	replicas->now_ns = now_ns;
	if (reply->err < 0 || reply->type != MESH_REPLICA_ACCEPT ||
	    social_accept_parse(reply->payload, reply->payload_len, &accept) < 0 ||
	    memcmp(accept.post, giving->offer.post, POST_ID_LEN) != 0 || accept.off > whole) {
		/* Busy ends with the next sync; others have no room, no wish or no such message. */
		if (reply->err != WEFT_EBUSY)
			social_replica_rest(replicas, giving->peer);
		giving_end(giving);
		return;
	}
	if (accept.off == whole) {
		note_placed(giving);
		giving_end(giving);
		return;
	}
	/* A node that goes back, or stays where it is, would have it sent for ever. */
	if (giving->is_begun && accept.off <= giving->offer.off) {
		social_replica_rest(replicas, giving->peer);
		giving_end(giving);
		return;
	}
	is_first = !giving->is_begun;
	giving->is_begun = true;
	giving->offer.off = accept.off;
	if (is_first && giving->is_own ? !mark(giving) : !offer_send(giving, now_ns))
		giving_end(giving);
}

static void give(struct replicas *replicas, const struct post_view *view, const uint8_t *key,
		 uint64_t now_ns)
{
	struct replica_giving *giving = NULL;

	for (unsigned i = 0; i < REPLICA_OFFERS_MAX; i++) {
		if (!replicas->givings[i].copy)
			giving = &replicas->givings[i];
		else if (memcmp(replicas->givings[i].offer.post, view->id, POST_ID_LEN) == 0)
			return; /* it is on its way to a node already */
	}
	if (!giving ||
	    !social_replica_spend(&replicas->offered,
				  view->post_len + view->claim_len + view->visibility_len,
				  replicas->params.config.offered_per_hour,
				  social_wall_ms(replicas->params.ground)))
		return;
	*giving = (struct replica_giving){.replicas = replicas,
					  .is_own = view->share == POST_OWN &&
						    view->kind != VISIBILITY_PUBLIC};
	if (social_posts_read(replicas->params.posts, view->id, &giving->copy) < 0) {
		giving->copy = NULL;
		return;
	}
	memcpy(giving->peer, key, MESH_KEY_LEN);
	memcpy(giving->offer.post, view->id, POST_ID_LEN);
	giving->offer.lens.post = (uint32_t)giving->copy->parts.post_len;
	giving->offer.lens.claim = (uint32_t)giving->copy->parts.claim_len;
	giving->offer.lens.visibility = (uint32_t)giving->copy->parts.visibility_len;
	replicas->stats.offered_cnt++;
	if (!offer_send(giving, now_ns))
		giving_end(giving);
}

/* --- the receiver --- */

struct candidates {
	struct restore_candidate all[REPLICA_CANDIDATES];
	uint8_t keys[REPLICA_CANDIDATES][MESH_KEY_LEN];
	size_t cnt;
	unsigned copy_cnt;
	uint64_t wall_ms;
};

static bool mark_holder(void *arg, const struct post_holder *holder)
{
	struct candidates *candidates = arg;

	if (!social_holder_is_live(holder, candidates->wall_ms))
		return true;
	candidates->copy_cnt++;
	for (size_t i = 0; i < candidates->cnt; i++)
		if (memcmp(candidates->keys[i], holder->person, MESH_KEY_LEN) == 0)
			candidates->all[i].has_copy = true;
	return true;
}

static void candidates_find(struct replicas *replicas, const struct replica_post *post,
			    struct candidates *out)
{
	const struct social_ground *ground = replicas->params.ground;
	const struct replica_ways *ways = &replicas->params.ways;
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};

	while (out->cnt < REPLICA_CANDIDATES &&
	       ground->neighbours->next(ground->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		const struct replica_peer *peer = social_replica_peer(replicas, neighbour.key);
		bool is_reader;

		/* Without a sync a node is not known to have the social layer. */
		if (!peer || social_replica_blocks(replicas, neighbour.key))
			continue;
		is_reader = social_replica_is_reader(replicas, post, neighbour.key);
		/*
		 * A copy of another's post shows an unknown peer which people are followed here. Members
		 * of a group know each other.
		 */
		if (post->view.share != POST_OWN &&
		    !(is_reader && post->view.kind == VISIBILITY_GROUP) &&
		    !ways->is_acquainted(ways->ctx, neighbour.key))
			continue;
		memcpy(out->keys[out->cnt], neighbour.key, MESH_KEY_LEN);
		out->all[out->cnt++] = (struct restore_candidate){
			.is_reader = is_reader,
			.is_follower = post->view.share == POST_OWN &&
				       ways->is_audience(ways->ctx, neighbour.key),
			.has_copy = memcmp(neighbour.key, post->view.author, MESH_KEY_LEN) == 0,
			.is_resting = peer->rests_until_ms > out->wall_ms,
		};
	}
}

/* Said once an hour, whatever the number of posts: weft replica lists them. */
static void tell_low(struct replicas *replicas, const uint8_t *post, uint64_t wall_ms)
{
	const struct social_ground *ground = replicas->params.ground;

	replicas->stats.low_cnt++;
	if (replicas->low_ms && wall_ms < replicas->low_ms + REPLICA_HOUR_MS)
		return;
	replicas->low_ms = wall_ms;
	if (ground->happened)
		ground->happened(ground->ctx,
				 &(struct social_event){.kind = SOCIAL_COPIES_LOW,
							.post = post,
							.text = "too few copies elsewhere"});
}

void social_replica_restore(struct replicas *replicas, const uint8_t post[static POST_ID_LEN],
			    uint64_t now_ns)
{
	struct candidates candidates = {.wall_ms = social_wall_ms(replicas->params.ground)};
	struct replica_post loaded;
	struct post_view view;
	size_t idx = 0;

	if (social_holders_cnt(replicas->params.holders, post) >= replicas->params.config.target ||
	    social_posts_look(replicas->params.posts, post, &view) < 0 ||
	    social_replica_load(replicas, &view, &loaded) < 0)
		return;
	candidates_find(replicas, &loaded, &candidates);
	(void)social_holders_each(replicas->params.holders, post, mark_holder, &candidates);
	if (social_restore_choose(candidates.all, candidates.cnt, view.kind == VISIBILITY_PUBLIC,
				  &idx) == RESTORE_NOWHERE)
		tell_low(replicas, post, candidates.wall_ms);
	else
		give(replicas, &view, candidates.keys[idx], now_ns);
	social_replica_fini(&loaded);
}

void social_replicas_cut(struct replicas *replicas, const uint8_t person[static NODE_KEY_LEN],
			 const uint8_t post[static POST_ID_LEN])
{
	const struct replica_ways *ways = &replicas->params.ways;

	for (unsigned i = 0; !replicas->is_stopped && i < REPLICA_OFFERS_MAX; i++) {
		struct replica_giving *giving = &replicas->givings[i];

		/* One that waits for its mark looks at the readers by itself. */
		if (!giving->request || memcmp(giving->offer.post, post, POST_ID_LEN) != 0 ||
		    !ways->speaks_for(ways->ctx, giving->peer, person))
			continue;
		replica_ops(replicas)->cancel(giving->request);
		giving_end(giving);
		replicas->stats.cut_cnt++;
	}
}

void social_replica_offer_stop(struct replicas *replicas)
{
	for (unsigned i = 0; i < REPLICA_OFFERS_MAX; i++) {
		if (replicas->givings[i].request)
			replica_ops(replicas)->cancel(replicas->givings[i].request);
		giving_end(&replicas->givings[i]);
	}
}
