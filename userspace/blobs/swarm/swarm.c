/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a swarm and the timer that tends them. Whatever happens is
 * noted and the timer set; swarm_tend decides once over all of it, and is
 * the only one to call the watcher.
 */
#include "swarm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "swarm_state.h"
#include "crypto/blake3/blake3.h"
#include "blobs/blobs_state.h"

#define AWAY_NS	       (1800 * NS_PER_S) /* before an unanswered guess is tried again */
#define STALL_NS       (4 * NS_PER_S)	 /* of a source that is not the only one */
#define REPLACE_NS     (10 * NS_PER_S) /* an open member has, before a better may take its place */
#define REPLACE_FACTOR 4u	       /* slower than the mean by this: it makes room */

static void swarm_tend(struct timer *timer, uint64_t now_ns);

/* --- what is said --- */

const char *blobs_swarm_member_name(const struct swarm_member *member,
				    char text[static SWARM_NAME_CAP])
{
	zbase32_write(member->source->key, MESH_KEY_LEN, text);
	text[8] = '\0';
	return text;
}

void blobs_swarm_fail(struct swarm *swarm, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(swarm->fail_detail, sizeof(swarm->fail_detail), fmt, args);
	va_end(args);
	swarm->fail_err = err;
}

int blobs_swarm_failure(const struct swarm *swarm, const char **out_detail)
{
	*out_detail = swarm->fail_err ? swarm->fail_detail : "nobody is known to have it";
	return swarm->fail_err ? swarm->fail_err : WEFT_EABSENT;
}

const uint8_t *blobs_swarm_wrong_key(const struct swarm *swarm)
{
	return swarm->wrong_key;
}

/* --- members --- */

unsigned blobs_swarm_member_idx(const struct swarm_member *member)
{
	return (unsigned)(member - member->swarm->members);
}

void blobs_swarm_tend_at(struct swarm *swarm, uint64_t at_ns)
{
	struct timer_wheel *timers = swarm->swarms->content->params.timers;

	if (!timer_is_set(&swarm->timer) || swarm->timer.at_ns > at_ns)
		timer_set(timers, &swarm->timer, at_ns);
}

void blobs_swarm_changed(struct swarm *swarm)
{
	swarm->is_changed = true;
	blobs_swarm_tend_at(swarm, swarm->swarms->now_ns);
}

static struct swarm_member *member_find(struct swarm *swarm, const uint8_t *key)
{
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		if (member->source && memcmp(member->source->key, key, MESH_KEY_LEN) == 0)
			return member;
	}
	return NULL;
}

struct swarm_member *blobs_swarm_lookup(struct swarm *swarm, const uint8_t key[static MESH_KEY_LEN])
{
	struct swarm_member *member = member_find(swarm, key);

	return member && blobs_swarm_member_is_usable(member) ? member : NULL;
}

static struct swarm_member *member_unused(struct swarm *swarm)
{
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++)
		if (!swarm->members[i].source)
			return &swarm->members[i];
	return NULL;
}

void blobs_swarm_member_open(struct swarm_member *member, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;

	if (member->state == MEMBER_OPEN)
		return;
	member->state = MEMBER_OPEN;
	member->opened_ns = now_ns;
	member->received_len = 0;
	swarm->open_cnt++;
	blobs_swarm_changed(swarm);
}

static void member_close(struct swarm_member *member)
{
	if (member->state != MEMBER_OPEN)
		return;
	member->state = MEMBER_FOUND;
	member->swarm->open_cnt--;
	blobs_swarm_changed(member->swarm);
}

static void member_free(struct swarm_member *member)
{
	struct swarm *swarm = member->swarm;

	member_close(member);
	blobs_swarm_contacts_end(member);
	blobs_swarm_asks_forget(swarm, member);
	blobs_have_fini(&member->have);
	blobs_source_release(&swarm->swarms->sources, member->source, swarm->swarms->now_ns);
	*member = (struct swarm_member){.swarm = swarm, .have.version = member->have.version};
	swarm->member_cnt--;
	blobs_swarm_changed(swarm);
}

void blobs_swarm_member_lose(struct swarm_member *member, uint64_t now_ns)
{
	if (!member->was_reached)
		member->source->away_until_ns = now_ns + AWAY_NS;
	member->is_going = true;
	blobs_swarm_changed(member->swarm);
}

static bool is_own_key(const struct swarm *swarm, const uint8_t *key)
{
	return memcmp(key, swarm->swarms->content->params.own_key, MESH_KEY_LEN) == 0;
}

static struct swarm_member *member_new(struct swarm *swarm, const struct mesh_peer *peer,
				       bool is_hint)
{
	uint64_t now_ns = swarm->swarms->now_ns;
	struct swarm_member *member = member_unused(swarm);
	struct source *source = blobs_sources_lookup(&swarm->swarms->sources, peer->key);

	if (source && (source->is_refused || (!is_hint && now_ns < source->away_until_ns)))
		return NULL;
	source = member ? blobs_sources_acquire(&swarm->swarms->sources, peer->key, now_ns) : NULL;
	if (!source) {
		swarm->is_cut = true;
		return NULL;
	}
	member->source = source;
	member->state = MEMBER_FOUND;
	member->is_hint = is_hint;
	member->found_ns = now_ns;
	blobs_swarm_contacts_init(member);
	swarm->member_cnt++;
	return member;
}

static enum blobs_zone zone_of(const struct blobs *content, const struct source *source)
{
	for (unsigned i = 0; i < source->addr_cnt; i++)
		if (blobs_zone_of(content, &source->addrs[i]) == BLOBS_INTERNET)
			return BLOBS_INTERNET;
	return source->addr_cnt ? BLOBS_LAN : BLOBS_INTERNET;
}

/* Of the way it is most likely to be spoken to; not known yet: as of most. */
static unsigned price_of(const struct blobs *content, const struct source *source)
{
	unsigned price = ZONE_PRICE_MAX + 1;

	for (unsigned i = 0; i < source->addr_cnt; i++) {
		unsigned of = blobs_price(content, &source->addrs[i]);

		price = of < price ? of : price;
	}
	return source->addr_cnt ? price : ZONE_PRICE;
}

struct swarm_member *blobs_swarm_member_add(struct swarm *swarm, const struct mesh_peer *peer,
					    bool is_hint)
{
	struct swarm_member *member = member_find(swarm, peer->key);
	char name[SWARM_NAME_CAP];

	if (is_own_key(swarm, peer->key)) {
		if (is_hint)
			blobs_swarm_fail(swarm, WEFT_EABSENT,
					 "the link is of this node, which has it no longer");
		return NULL;
	}
	if (!member)
		member = member_new(swarm, peer, is_hint);
	if (!member && is_hint) {
		zbase32_write(peer->key, MESH_KEY_LEN, name);
		blobs_swarm_fail(
			swarm, WEFT_EDAMAGED,
			"node %.8s served bytes that do not match and is not asked any more", name);
	}
	if (!member)
		return NULL;
	if (is_hint)
		blobs_source_prefer(member->source, peer->addrs, peer->addr_cnt);
	else
		blobs_source_learn(member->source, peer->addrs, peer->addr_cnt);
	blobs_source_relayed(member->source, peer->vias, peer->via_cnt);
	member->source->price = price_of(swarm->swarms->content, member->source);
	member->source->zone = zone_of(swarm->swarms->content, member->source);
	if (is_hint)
		blobs_swarm_member_open(member, swarm->swarms->now_ns);
	blobs_swarm_changed(swarm);
	return member;
}

/* --- sending --- */

int blobs_swarm_send(struct swarm_member *member, struct mesh_ask *ask, uint64_t now_ns,
		     struct mesh_request **out_request)
{
	struct swarm *swarm = member->swarm;
	const struct blobs_params *params = &swarm->swarms->content->params;
	const struct source *source = member->source;
	char name[SWARM_NAME_CAP];
	int err;

	memcpy(ask->peer.key, source->key, MESH_KEY_LEN);
	ask->peer.addrs = source->addrs;
	ask->peer.addr_cnt = source->addr_cnt;
	ask->peer.vias = source->vias;
	ask->peer.via_cnt = source->via_cnt;
	ask->peer.told_cnt = source->addr_cnt - source->hint_cnt;
	/* The link or the user of the get names this peer. */
	ask->peer.is_wanted = source->hint_cnt > 0;
	if (!ask->timeout_ns)
		ask->timeout_ns = params->config.request_timeout_ns;
	if (!ask->stall_ns || ask->stall_ns > params->config.stall_ns)
		ask->stall_ns = params->config.stall_ns;
	/* Where others can be asked, waiting for a silent one costs more than leaving it. */
	if (swarm->open_cnt > 1 && ask->stall_ns > STALL_NS)
		ask->stall_ns = STALL_NS;
	/* A manifest is as long as a few chunks, and may take as long. */
	ask->progress_len = BLAKE3_CHUNK_LEN;
	err = params->mesh.ops->ask(params->mesh.mesh, ask, now_ns, out_request);
	/* EREFUSED: this node drains; what was to be asked must be there when it starts again. */
	if (err == WEFT_EFULL || err == WEFT_EREFUSED)
		return WEFT_EFULL;
	if (!err)
		return 0;
	blobs_swarm_fail(swarm, err, "node %s cannot be asked: %s",
			 blobs_swarm_member_name(member, name), weft_err_text(err));
	blobs_swarm_member_lose(member, now_ns);
	return WEFT_EABSENT;
}

void blobs_swarm_way_failed(struct swarm_member *member, const struct mesh_reply *reply,
			    uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	char name[SWARM_NAME_CAP];

	if (!blobs_source_way_failed(member->source, reply->err == WEFT_ETIMEOUT, now_ns))
		return;
	blobs_swarm_fail(swarm, reply->err, "node %s: %s; resume when it is back",
			 blobs_swarm_member_name(member, name), weft_err_text(reply->err));
	member->try_cnt += !member->was_reached;
	if (member->try_cnt >= (member->is_hint ? SWARM_TRIES_MAX : 1))
		blobs_swarm_member_lose(member, now_ns);
	blobs_swarm_changed(swarm);
}

static void bad_tell(struct swarm *swarm, const uint8_t *key)
{
	const struct blobs_event event = {
		.kind = BLOBS_PEER_BAD,
		.manifest_id = swarm->id,
		.peer_key = key,
		.err = WEFT_EDAMAGED,
		.text = "bytes that do not match",
	};

	if (swarm->watcher.on_bad)
		swarm->watcher.on_bad(swarm->watcher.arg, key);
	else
		blobs_tell(swarm->swarms->content, &event);
}

void blobs_swarm_member_blame(struct swarm_member *member, uint64_t now_ns)
{
	struct swarm *swarm = member->swarm;
	char name[SWARM_NAME_CAP];

	bad_tell(swarm, member->source->key);
	if (blobs_source_bad(member->source)) {
		blobs_swarm_fail(swarm, WEFT_EDAMAGED, "node %s serves bytes that do not match",
				 blobs_swarm_member_name(member, name));
		blobs_swarm_member_lose(member, now_ns);
	}
	blobs_swarm_changed(swarm);
}

void blobs_swarm_blame(struct swarm *swarm, const struct swarm_fault *fault, uint64_t now_ns)
{
	struct swarm_member *member = member_find(swarm, fault->key);
	struct source *source = blobs_sources_lookup(&swarm->swarms->sources, fault->key);

	if (member && blobs_swarm_holder_cnt(swarm, fault->item, fault->chunk) > 1)
		blobs_have_note_lack(&member->have, fault->item, fault->chunk);
	if (member) {
		blobs_swarm_member_blame(member, now_ns);
		return;
	}
	bad_tell(swarm, fault->key);
	if (source)
		(void)blobs_source_bad(source);
}

/* --- tending --- */

/*
 * When there are more members than may be asked at once, the slow make room for those not tried
 * yet.
 */
static void members_replace(struct swarm *swarm, uint64_t now_ns)
{
	struct swarm_member *slowest = NULL;
	uint64_t rate_sum = 0;
	unsigned measured_cnt = 0;

	if (swarm->open_cnt < SWARM_OPEN_MAX || swarm->member_cnt == swarm->open_cnt)
		return;
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		if (member->state != MEMBER_OPEN || now_ns - member->opened_ns < REPLACE_NS)
			continue;
		rate_sum += member->source->rate;
		measured_cnt++;
		if (!slowest || member->source->rate < slowest->source->rate)
			slowest = member;
	}
	if (slowest && slowest->source->rate * REPLACE_FACTOR * measured_cnt <= rate_sum)
		blobs_swarm_member_lose(slowest, now_ns);
}

static void members_reap(struct swarm *swarm, uint64_t now_ns)
{
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		/* Nothing more is wanted of an ask that is refused; another may still answer. */
		if (member->source && member->source->is_refused) {
			member->is_going = true;
			blobs_swarm_asks_take_back(member, now_ns);
		}
		if (member->source && member->is_going && member->asked_cnt == 0)
			member_free(member);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t swarm_next_ns(const struct swarm *swarm, uint64_t now_ns)
{
	uint64_t next_ns = now_ns + REPLACE_NS;

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		const struct swarm_member *member = &swarm->members[i];

		if (member->state != MEMBER_OPEN)
			continue;
		if (member->have_contact.due_ns > now_ns)
			next_ns = earlier(next_ns, member->have_contact.due_ns);
		if (member->holders_contact.due_ns > now_ns)
			next_ns = earlier(next_ns, member->holders_contact.due_ns);
		if (member->source->not_before_ns > now_ns)
			next_ns = earlier(next_ns, member->source->not_before_ns);
	}
	return next_ns;
}

static bool is_due(uint64_t at_ns, uint64_t before_ns, uint64_t now_ns)
{
	return at_ns > before_ns && at_ns <= now_ns;
}

/* A source that was to be left alone may be asked again. */
static void members_notice_time(struct swarm *swarm, uint64_t before_ns, uint64_t now_ns)
{
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		const struct swarm_member *member = &swarm->members[i];

		if (member->state == MEMBER_OPEN)
			swarm->is_changed |=
				is_due(member->source->not_before_ns, before_ns, now_ns);
	}
}

static void swarm_tend(struct timer *timer, uint64_t now_ns)
{
	struct swarm *swarm = (struct swarm *)timer;

	members_notice_time(swarm, swarm->tended_ns, now_ns);
	swarm->tended_ns = now_ns;
	swarm->swarms->now_ns = now_ns;
	members_reap(swarm, now_ns);
	members_replace(swarm, now_ns);
	blobs_swarm_finds_run(swarm, now_ns);
	blobs_swarm_contacts_run(swarm, now_ns);
	blobs_swarm_tend_at(swarm, swarm_next_ns(swarm, now_ns));
	if (swarm->is_changed) {
		swarm->is_changed = false;
		swarm->version++;
		if (swarm->watcher.on_change)
			swarm->watcher.on_change(swarm->watcher.arg, now_ns);
	}
	/* Last: the caller may leave. */
	blobs_swarm_asks_run(swarm, now_ns);
}

/* --- life --- */

int blobs_add_finder(struct blobs *content, const struct swarm_finder *finder)
{
	struct swarms *swarms = content->swarms;

	if (swarms->finder_cnt == SWARM_FINDERS_MAX)
		return WEFT_EFULL;
	swarms->finders[swarms->finder_cnt++] = *finder;
	return 0;
}

int blobs_swarms_new(struct blobs *content, struct swarms **out_swarms)
{
	struct swarms *swarms = calloc(1, sizeof(*swarms));

	if (!swarms)
		return -ENOMEM;
	swarms->content = content;
	swarms->now_ns = content->params.now_ns;
	*out_swarms = swarms;
	return 0;
}

void blobs_swarms_free(struct swarms *swarms)
{
	if (!swarms)
		return;
	weft_assert(swarms->cnt == 0);
	blobs_sources_fini(&swarms->sources);
	free(swarms);
}

void blobs_swarms_pardon(struct swarms *swarms, const uint8_t key[static MESH_KEY_LEN])
{
	struct source *source = blobs_sources_lookup(&swarms->sources, key);

	if (source)
		blobs_source_pardon(source);
}

struct swarm *blobs_swarm_join(struct blobs *content, const struct swarm_join *join,
			       uint64_t now_ns)
{
	struct swarms *swarms = content->swarms;
	struct swarm *swarm = swarms->cnt < SWARMS_MAX ? calloc(1, sizeof(*swarm)) : NULL;

	if (!swarm)
		return NULL;
	swarms->now_ns = now_ns;
	swarms->cnt++;
	swarm->swarms = swarms;
	swarm->kind = join->kind;
	memcpy(swarm->id, join->id, sizeof(swarm->id));
	memcpy(swarm->part_id, join->id, sizeof(swarm->part_id));
	swarm->joined_ns = swarm->progress_ns = swarm->tended_ns = now_ns;
	swarm->round = 1;
	timer_init(&swarm->timer, swarm_tend);
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++)
		swarm->members[i].swarm = swarm;
	for (unsigned i = 0; i < join->hint_cnt; i++)
		(void)blobs_swarm_member_add(swarm, &join->hints[i], true);
	blobs_swarm_changed(swarm);
	return swarm;
}

void blobs_swarm_leave(struct swarm *swarm)
{
	if (!swarm)
		return;
	while (swarm->asks)
		blobs_swarm_cancel(swarm->asks);
	blobs_swarm_finds_end(swarm);
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++)
		if (swarm->members[i].source)
			member_free(&swarm->members[i]);
	timer_cancel(swarm->swarms->content->params.timers, &swarm->timer);
	swarm->swarms->cnt--;
	free(swarm);
}

void blobs_swarm_hint(struct swarm *swarm, const struct mesh_peer *hint)
{
	(void)blobs_swarm_member_add(swarm, hint, true);
}

void blobs_swarm_watch(struct swarm *swarm, const struct swarm_watcher *watcher)
{
	swarm->watcher = *watcher;
}

void blobs_swarm_ways(struct swarm_member *member, uint64_t now_ns, struct blobs_ways *out_ways)
{
	struct swarm *swarm = member->swarm;
	struct blobs *content = swarm->swarms->content;

	/* It comes with the manifest, and is the same for ever. */
	if (!swarm->has_scope && swarm->kind != FINDER_CONTENT)
		swarm->has_scope = blobs_scope_of(content, swarm->id, &swarm->scope);
	blobs_ways_to(content, swarm->has_scope ? &swarm->scope : NULL, member->source->key, now_ns,
		      out_ways);
}

void blobs_swarm_set_manifest(struct swarm *swarm, const uint8_t id[static 32], bool is_serving)
{
	bool is_other = memcmp(swarm->part_id, id, sizeof(swarm->part_id)) != 0;
	bool is_new_server = is_serving && !swarm->is_serving;

	memcpy(swarm->part_id, id, sizeof(swarm->part_id));
	swarm->is_serving = is_serving;
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];

		if (member->source && is_new_server)
			blobs_swarm_contact_as_server(member, swarm->swarms->now_ns);
		if (!member->source || !is_other)
			continue;
		blobs_have_set(&member->have, member->has_everything ? HAVE_ALL : HAVE_GUESSED);
		if (!member->has_everything && swarm->member_cnt > 1)
			blobs_swarm_contact_again(member, swarm->swarms->now_ns);
	}
	blobs_swarm_changed(swarm);
}

bool blobs_swarm_next(struct swarm_iter *iter, struct swarm_source_view *out_view)
{
	while (iter->swarm && iter->idx < SWARM_MEMBERS_MAX) {
		const struct swarm_member *member = &iter->swarm->members[iter->idx++];

		if (!member->source)
			continue;
		*out_view = (struct swarm_source_view){
			.key = member->source->key,
			.is_open = member->state == MEMBER_OPEN,
			.has_all = member->have.kind == HAVE_ALL,
			.received_byte_cnt = member->received_len,
			.rate = member->source->rate,
			.asked_cnt = member->asked_cnt,
			.bad_cnt = member->source->bad_cnt,
		};
		return true;
	}
	return false;
}
