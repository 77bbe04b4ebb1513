/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies that this node keeps for others. Room is a question to keep/, which
 * has the quota; what is asked for is believed only as far as the bytes come.
 * A copy is judged whole, as everything that comes is (intake/).
 */
#include <errno.h>
#include <string.h>

#include "social/intake/post_intake.h"
#include "social/replicas/replicas_state.h"

#define HOSTING_IDLE_NS 30000000000ull
#define HOSTING_BUSY_NS 5000000000ull

int social_replica_host_init(struct replicas *replicas, const uint64_t secret[2])
{
	static const struct fair_config config = {.name = "replicas",
						  .idle_ns = HOSTING_IDLE_NS,
						  .busy_ns = HOSTING_BUSY_NS,
						  .cap_cnt = REPLICA_HOSTING_CAP,
						  .kind = FAIR_WORK,
						  .level_cnt = FAIR_PEER_LEVELS,
						  .parts = FAIR_PEER_PARTS};

	for (unsigned i = 0; i < REPLICA_HOSTING_CAP; i++) {
		replicas->hostings[i].bytes = arena_alloc(&replicas->arena, REPLICA_BYTES_MAX);
		if (!replicas->hostings[i].bytes)
			return -ENOMEM;
		replicas->hostings[i].replicas = replicas;
	}
	return fair_init(&replicas->fair, &replicas->arena, &config, secret);
}

/* --- answers --- */

static void accept_send(struct replicas *replicas, struct mesh_incoming *incoming,
			const uint8_t *post, uint32_t off)
{
	struct replica_accept accept = {.off = off};
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(accept.post, post, POST_ID_LEN);
	social_accept_write(&w, &accept);
	(void)replica_ops(replicas)->answer(incoming, MESH_REPLICA_ACCEPT, bytes, writer_len(&w),
					    NULL);
}

static void refuse_send(struct replicas *replicas, struct mesh_incoming *incoming,
			const uint8_t *post, enum replica_reason reason)
{
	struct replica_refuse refuse = {.reason = reason};
	struct post_quota quota;
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_posts_quota(replicas->params.posts, &quota);
	if (quota.hosted_max > quota.hosted_len)
		refuse.room_len = quota.hosted_max - quota.hosted_len;
	memcpy(refuse.post, post, POST_ID_LEN);
	replicas->stats.refused_cnt++;
	social_refuse_write(&w, &refuse);
	(void)replica_ops(replicas)->answer(incoming, MESH_REPLICA_REFUSE, bytes, writer_len(&w),
					    NULL);
}

/* --- places --- */

static void hosting_end(struct replica_hosting *hosting, uint64_t now_ns)
{
	fair_release(&hosting->replicas->fair, &hosting->slot, now_ns);
	hosting->is_used = false;
	hosting->incoming = NULL;
}

static void overdue_end(struct replicas *replicas, uint64_t now_ns)
{
	struct fair_item *item;
	uint64_t next_ns;

	while ((item = fair_overdue(&replicas->fair, now_ns, &next_ns)))
		hosting_end(container_of(item, struct replica_hosting, slot), now_ns);
}

static struct replica_hosting *hosting_find(struct replicas *replicas, const uint8_t *peer,
					    const uint8_t *post)
{
	for (unsigned i = 0; i < REPLICA_HOSTING_CAP; i++) {
		struct replica_hosting *hosting = &replicas->hostings[i];

		if (hosting->is_used && memcmp(hosting->peer, peer, MESH_KEY_LEN) == 0 &&
		    memcmp(hosting->offer.post, post, POST_ID_LEN) == 0)
			return hosting;
	}
	return NULL;
}

static struct replica_hosting *hosting_begin(struct replicas *replicas,
					     const struct mesh_call *call,
					     const struct replica_offer *offer, uint64_t now_ns)
{
	struct replica_hosting *hosting = NULL;
	struct fair_item *victim;
	struct fair_path path;

	for (unsigned i = 0; i < REPLICA_HOSTING_CAP && !hosting; i++)
		if (!replicas->hostings[i].is_used)
			hosting = &replicas->hostings[i];
	replica_ops(replicas)->asker_path(call->incoming, &path);
	/* The pool has a place for each, and a full one gives back that of its largest account. */
	if (!hosting) {
		victim = fair_victim(&replicas->fair, &path, now_ns);
		hosting = victim ? container_of(victim, struct replica_hosting, slot) : NULL;
		if (!hosting || hosting->is_judged) {
			fair_refuse(&replicas->fair, &path, now_ns);
			return NULL;
		}
		fair_evict(&replicas->fair, victim, now_ns);
	}
	hosting->slot = (struct fair_item){.leaf = NULL};
	if (fair_take(&replicas->fair, &path, &hosting->slot, now_ns, &victim) == FAIR_BUSY)
		return NULL;
	hosting->is_used = true;
	hosting->is_judged = false;
	hosting->incoming = NULL;
	hosting->offer = *offer;
	hosting->got_len = 0;
	memcpy(hosting->peer, call->peer_key, MESH_KEY_LEN);
	return hosting;
}

/* --- the verdict --- */

static void on_abandoned(void *arg)
{
	struct replica_hosting *hosting = arg;

	hosting->incoming = NULL;
}

static void on_verdict(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	struct replica_hosting *hosting = arg;
	struct replicas *replicas = hosting->replicas;
	struct mesh_incoming *incoming = hosting->incoming;
	bool is_kept = verdict == INTAKE_TAKEN || verdict == INTAKE_KNOWN;

	(void)id;
	if (replicas->is_stopped)
		return;
	replicas->stats.hosted_cnt += verdict == INTAKE_TAKEN;
	if (incoming && is_kept)
		accept_send(replicas, incoming, hosting->offer.post,
			    replica_offer_len(&hosting->offer));
	else if (incoming)
		refuse_send(replicas, incoming, hosting->offer.post,
			    verdict == INTAKE_FULL   ? REPLICA_NO_ROOM
			    : verdict == INTAKE_BUSY ? REPLICA_BUSY
						     : REPLICA_UNWANTED);
	hosting_end(hosting, replicas->now_ns);
}

/* All bytes are there. The id is proved by them: another post is not what was offered. */
static void judge(struct replica_hosting *hosting, struct mesh_incoming *incoming, uint64_t now_ns)
{
	struct replicas *replicas = hosting->replicas;
	const struct replica_offer *offer = &hosting->offer;
	const uint8_t *claim = hosting->bytes + offer->lens.post;
	struct intake_ask ask = {.parts = {.post = hosting->bytes,
					   .post_len = offer->lens.post,
					   .claim = claim,
					   .claim_len = offer->lens.claim,
					   .visibility = claim + offer->lens.claim,
					   .visibility_len = offer->lens.visibility},
				 .from = hosting->peer,
				 .source = INTAKE_REPLICA,
				 .done = on_verdict,
				 .arg = hosting};
	uint8_t id[POST_ID_LEN];

	social_post_id(hosting->bytes, offer->lens.post, id);
	if (memcmp(id, offer->post, POST_ID_LEN) != 0) {
		refuse_send(replicas, incoming, offer->post, REPLICA_UNWANTED);
		hosting_end(hosting, now_ns);
		return;
	}
	hosting->incoming = incoming;
	hosting->is_judged = true;
	fair_wait_own(&replicas->fair, &hosting->slot, now_ns);
	replica_ops(replicas)->abandoned(incoming, on_abandoned, hosting);
	social_intake_post(replicas->params.intake, &ask, now_ns);
}

/* --- what is asked --- */

static bool hour_takes(const struct replicas *replicas, struct replica_hour *hour, uint64_t len)
{
	return social_replica_spend(hour, len, replicas->params.config.hosted_per_hour,
				    social_wall_ms(replicas->params.ground));
}

/* 0: it is welcome; else why not. */
static int reason_against(struct replicas *replicas, const struct mesh_call *call,
			  const struct replica_offer *offer)
{
	const struct replica_ways *ways = &replicas->params.ways;
	uint64_t len = replica_offer_len(offer);
	struct replica_hour hour = replicas->hosted;
	struct post_quota quota;

	if (social_posts_known(replicas->params.posts, offer->post) == POST_GONE ||
	    social_replica_blocks(replicas, call->peer_key))
		return REPLICA_UNWANTED;
	/* The post alone says its author, when it is there; then the room of its share counts. */
	social_posts_quota(replicas->params.posts, &quota);
	if (len > quota.hosted_max && !ways->is_acquainted(ways->ctx, call->peer_key) &&
	    !ways->is_fellow(ways->ctx, call->peer_key))
		return REPLICA_NO_ROOM;
	/* The rest has to fit, and a claim costs nothing: bytes are charged as they come. */
	return hour_takes(replicas, &hour, len > offer->off ? len - offer->off : 0) ? 0
										    : REPLICA_BUSY;
}

/* The asker may know that it is here; another learns it after all bytes, as if they were new. */
static bool is_here_for(struct replicas *replicas, const uint8_t *asker, const uint8_t *id)
{
	struct replica_post post;
	struct post_view view;
	bool may;

	if (social_posts_look(replicas->params.posts, id, &view) < 0 ||
	    social_replica_load(replicas, &view, &post) < 0)
		return false;
	may = social_replica_may_know(replicas, &post, asker);
	social_replica_fini(&post);
	return may;
}

static bool is_same(const struct replica_offer *a, const struct replica_offer *b)
{
	return a->lens.post == b->lens.post && a->lens.claim == b->lens.claim &&
	       a->lens.visibility == b->lens.visibility;
}

static void take_piece(struct replica_hosting *hosting, const struct mesh_call *call,
		       const struct replica_offer *offer, uint64_t now_ns)
{
	struct replicas *replicas = hosting->replicas;

	if (offer->off == hosting->got_len && offer->bytes) {
		if (!hour_takes(replicas, &replicas->hosted, offer->len)) {
			refuse_send(replicas, call->incoming, offer->post, REPLICA_BUSY);
			hosting_end(hosting, now_ns);
			return;
		}
		memcpy(hosting->bytes + hosting->got_len, offer->bytes, offer->len);
		hosting->got_len += (uint32_t)offer->len;
		fair_progress(&replicas->fair, &hosting->slot, FAIR_WHOLE, now_ns);
	}
	if (hosting->got_len == replica_offer_len(&hosting->offer))
		judge(hosting, call->incoming, now_ns);
	else
		accept_send(replicas, call->incoming, offer->post, hosting->got_len);
}

void social_replica_on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct replicas *replicas = ctx;
	const struct social_ground *ground = replicas->params.ground;
	struct replica_hosting *hosting;
	struct replica_offer offer;
	int reason;

	replicas->now_ns = now_ns;
	if (ground->admit && !ground->admit(ground->ctx, call, now_ns))
		return;
	if (social_offer_parse(call->payload, call->payload_len, &offer) < 0) {
		replicas->stats.malformed_cnt++;
		ground->mesh.ops->answer_error(call->incoming, MESH_CODE_MALFORMED, "no offer", 0);
		return;
	}
	overdue_end(replicas, now_ns);
	if (is_here_for(replicas, call->peer_key, offer.post)) {
		accept_send(replicas, call->incoming, offer.post, replica_offer_len(&offer));
		return;
	}
	if ((reason = reason_against(replicas, call, &offer)) != 0) {
		refuse_send(replicas, call->incoming, offer.post, (enum replica_reason)reason);
		return;
	}
	hosting = hosting_find(replicas, call->peer_key, offer.post);
	if (hosting && (hosting->is_judged || !is_same(&hosting->offer, &offer))) {
		refuse_send(replicas, call->incoming, offer.post, REPLICA_BUSY);
		return;
	}
	if (!hosting)
		hosting = hosting_begin(replicas, call, &offer, now_ns);
	if (hosting)
		take_piece(hosting, call, &offer, now_ns);
	else
		refuse_send(replicas, call->incoming, offer.post, REPLICA_BUSY);
}

void social_replica_host_stop(struct replicas *replicas)
{
	for (unsigned i = 0; i < REPLICA_HOSTING_CAP; i++) {
		struct replica_hosting *hosting = &replicas->hostings[i];

		if (hosting->is_used && hosting->incoming)
			replica_ops(replicas)->answer_error(hosting->incoming, MESH_CODE_BUSY,
							    "this node ends", 0);
		hosting->incoming = NULL;
	}
}
