/* SPDX-License-Identifier: Apache-2.0 */
#include "social_slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "social_slots_state.h"

#define STEP_NS	     NS_PER_S	     /* while slots are free; */
#define STEP_FULL_NS (10 * NS_PER_S) /* when they are not */

struct fair_path social_slots_account(const struct slots *slots, const uint8_t *key)
{
	const struct social_ground *ground = slots->ground;
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct fair_path account;

	(void)ground->neighbours->path(ground->mesh.mesh, key, &path);
	ground->neighbours->account(ground->mesh.mesh, key, &path.remote, &account);
	return account;
}

void social_slots_wake(struct slots *slots, uint64_t now_ns)
{
	if (!slots->is_stopped)
		timer_set(slots->ground->timers, &slots->timer, now_ns);
}

/* --- time --- */

/* One without a session is not in N1, and may come back for a while. */
static void slot_look(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	bool is_away = !social_has_session(slots->ground, slot->key);

	if (is_away == (slot->away_ns != 0))
		return;
	slot->away_ns = is_away ? now_ns : 0;
	slot->due_ns = now_ns;
	if (is_away)
		slot->due_ns += NS_PER_S + random_below(slots->ground->random, 4 * NS_PER_S);
	slots->own.is_stale = true;
}

static bool slot_is_over(const struct slots *slots, const struct slot *slot, uint64_t now_ns)
{
	return (slot->away_ns && now_ns - slot->away_ns >= SLOTS_GRACE_NS) ||
	       now_ns - slot->heard_ns > SLOTS_STALE_NS ||
	       slots->links.is_blocked(slots->links.ctx, slot->key);
}

/* The node that asked for the slot asks again, where the other one was last. */
static void slot_return(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	const struct slot_known *known = social_slots_known(slots, slot->key);
	struct slot_hailing hailing = {.key = slot->key};

	if (known) {
		hailing.addrs = known->addrs;
		hailing.addr_cnt = known->addr_cnt;
	}
	slot->due_ns = now_ns + SLOTS_AGAIN_NS;
	(void)!social_slots_hail(slots, &hailing, now_ns);
}

/* A friend that has a slot of another class is asked for a preferred one, now and then. */
static void slot_upgrade(struct slots *slots, struct slot *slot, uint64_t now_ns)
{
	const struct slot_hailing hailing = {.key = slot->key};

	if (slot->talk || slot->class == SLOT_PREFERRED || now_ns < slot->upgrade_ns ||
	    !social_slots_may_prefer(slots, slot->key))
		return;
	slot->upgrade_ns = now_ns + SLOTS_REST_NS;
	if (social_slots_hail(slots, &hailing, now_ns) < 0)
		slot->upgrade_ns = now_ns + STEP_FULL_NS;
}

static void slots_sweep(struct slots *slots, uint64_t now_ns)
{
	struct slot *slot = NULL;

	while ((slot = pool_next(&slots->pool, slot))) {
		slot_look(slots, slot, now_ns);
		if (slot_is_over(slots, slot, now_ns)) {
			social_slots_drop(slots, slot, now_ns);
			continue;
		}
		if (!slot->away_ns)
			slot_upgrade(slots, slot, now_ns);
		if (!slot->is_own || slot->talk || now_ns < slot->due_ns)
			continue;
		if (slot->away_ns)
			slot_return(slots, slot, now_ns);
		else
			social_slots_exchange(slots, slot, now_ns);
	}
}

struct source_note {
	struct slots *slots;
	uint64_t now_ns;
};

static void on_source(void *arg, const uint8_t *key, enum slot_tier tier)
{
	const struct source_note *note = arg;

	social_slots_note(note->slots, key, tier, note->now_ns);
}

static void sources_read(struct slots *slots, uint64_t now_ns)
{
	struct source_note note = {slots, now_ns};

	if (now_ns < slots->sources_ns)
		return;
	slots->sources_ns = now_ns + SLOTS_SOURCES_NS;
	slots->links.sources(slots->links.ctx, on_source, &note);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct slots *slots = container_of(timer, struct slots, timer);
	bool is_growing;

	slots_sweep(slots, now_ns);
	social_slots_uses_hold(slots, now_ns);
	sources_read(slots, now_ns);
	is_growing = social_slots_grow(slots, now_ns);
	social_slots_known_write(slots, now_ns);
	if (!timer_is_set(timer))
		timer_set(slots->ground->timers, timer,
			  now_ns + (is_growing ? STEP_NS : STEP_FULL_NS));
}

void social_slots_session(struct slots *slots, const uint8_t key[static MESH_KEY_LEN], bool is_up,
			  uint64_t now_ns)
{
	struct slot *slot = social_slots_lookup(slots, key);

	if (is_up)
		social_slots_use_up(slots, key, now_ns);
	if (slot || (is_up && social_slots_room(slots) > 0))
		social_slots_wake(slots, now_ns);
}

void social_slots_changed(struct slots *slots, uint64_t now_ns)
{
	slots->own.is_stale = true;
	slots->sources_ns = 0;
	social_slots_wake(slots, now_ns);
}

/* --- figures --- */

void social_slots_stats(const struct slots *slots, struct slots_stats *out_stats)
{
	*out_stats = slots->stats;
	out_stats->preferred_cnt = slots->cnts[SLOT_PREFERRED];
	out_stats->local_cnt = slots->cnts[SLOT_LOCAL];
	out_stats->wide_cnt = slots->cnts[SLOT_WIDE];
	out_stats->n1_cnt = slots->own.cnt;
	out_stats->n2_cnt = slots->reported.used_cnt;
	out_stats->known_cnt = slots->known.used_cnt;
	out_stats->session_cnt = social_slots_uses(slots, slots->uses_ns);
}

void social_slots_view(const struct slots *slots, struct fair_view *out)
{
	fair_read(&slots->places.fair, out);
}

/* --- life --- */

void social_slots_config_defaults(struct slots_config *config)
{
	*config = (struct slots_config){.session_cap = 1024};
}

/* As many of each class as half of the mesh's sessions have room for. */
static void caps_set(struct slots *slots)
{
	static const unsigned usual[SLOT_CLASS_CNT] = {10, 71, 20},
			      light[SLOT_CLASS_CNT] = {3, 7, 5};
	const unsigned *caps = slots->config.is_light ? light : usual;
	uint32_t all = slots->config.is_light ? SLOTS_LIGHT_MAX : SLOTS_MAX;
	uint32_t most = slots->config.session_cap / 2;

	for (unsigned i = 0; i < SLOT_CLASS_CNT; i++)
		slots->caps[i] = most < all ? caps[i] * most / all : caps[i];
	if (slots->caps[SLOT_LOCAL] == 0)
		slots->caps[SLOT_LOCAL] = 1;
}

static int slots_lay_out(struct slots *slots)
{
	struct fair_config places = {.name = "mesh slots",
				     .kind = FAIR_LASTING,
				     .level_cnt = FAIR_PEER_LEVELS,
				     .parts = FAIR_PEER_PARTS};
	struct arena *arena = &slots->arena;
	uint64_t secret[2];
	int err;

	caps_set(slots);
	places.cap_cnt = slots->caps[SLOT_LOCAL] + slots->caps[SLOT_WIDE];
	if (places.cap_cnt < 16)
		memset(places.parts, 0, sizeof(places.parts)); /* too few to divide */
	random_fill(slots->ground->random, secret, sizeof(secret));
	/* One more than places: a slot is made before the one that it evicts has gone. */
	if ((err = fair_places_init(&slots->places, arena, &places)) < 0 ||
	    (err = pool_init(&slots->pool, arena, sizeof(struct slot), SLOTS_MAX + 1)) < 0 ||
	    (err = map_init(&slots->by_key, arena, MESH_KEY_LEN, SLOTS_MAX + 1, secret)) < 0 ||
	    (err = pool_init(&slots->talks, arena, sizeof(struct slot_talk), SLOTS_TALK_CAP)) < 0 ||
	    (err = map_init(&slots->by_talk, arena, MESH_KEY_LEN, SLOTS_TALK_CAP, secret)) < 0 ||
	    (err = request_quota_init(&slots->messages, arena, SLOTS_QUOTA_CAP,
				      SLOTS_MESSAGES_PER_MIN, secret)) < 0 ||
	    (err = request_quota_init(&slots->queries, arena, SLOTS_QUOTA_CAP,
				      SLOTS_QUERIES_PER_MIN, secret)) < 0 ||
	    (err = social_slots_layers_init(slots, secret)) < 0 ||
	    (err = social_slots_known_init(slots, secret)) < 0 ||
	    (err = social_slots_worm_init(slots, secret)) < 0)
		return err;
	slots->diff = arena_alloc(arena, sizeof(*slots->diff));
	slots->list = arena_alloc(arena, sizeof(*slots->list));
	slots->bytes = arena_alloc(arena, SLOT_DIFF_LEN_MAX);
	if (!slots->diff || !slots->list || !slots->bytes)
		return WEFT_EFULL;
	arena_fit(arena);
	return 0;
}

size_t social_slots_footprint(const struct slots_config *config)
{
	struct random random;
	const struct social_ground ground = {.random = &random};
	struct slots *slots = calloc(1, sizeof(*slots));
	size_t len = 0;

	if (!slots)
		return 0;
	random_init_seeded(&random, 1);
	slots->ground = &ground;
	slots->config = *config;
	if (arena_open(&slots->arena, ARENA_GROWS) == 0 && slots_lay_out(slots) == 0)
		len = sizeof(*slots) + slots->arena.used_len;
	arena_close(&slots->arena);
	free(slots);
	return len;
}

static int slots_handle(struct slots *slots)
{
	int err;

	if ((err = social_slots_talk_init(slots)) < 0 ||
	    (err = social_slots_exchange_init(slots)) < 0)
		return err;
	return social_slots_worm_handle(slots);
}

int social_slots_open(const struct slots_params *params, struct slots **out_slots)
{
	struct slots *slots = calloc(1, sizeof(*slots));
	int err;

	if (!slots)
		return -ENOMEM;
	slots->ground = params->ground;
	slots->config = params->config;
	slots->links = params->links;
	timer_init(&slots->timer, on_due);
	/* Rises with each change, also over a restart. */
	slots->own.version = slots->own.first_version = social_wall_ms(params->ground) + 1;
	slots->own.is_stale = true;
	err = arena_open(&slots->arena, ARENA_GROWS);
	if (err == 0)
		err = slots_lay_out(slots);
	if (err == 0)
		err = social_slots_known_load(slots, params->now_ns);
	if (err == 0)
		err = slots_handle(slots);
	if (err < 0) {
		arena_close(&slots->arena);
		free(slots);
		return err;
	}
	social_slots_wake(slots, params->now_ns);
	*out_slots = slots;
	return 0;
}

void social_slots_stop(struct slots *slots)
{
	struct slot_talk *talk;

	if (!slots || slots->is_stopped)
		return;
	slots->is_stopped = true;
	timer_cancel(slots->ground->timers, &slots->timer);
	if (slots->links.forget)
		slots->links.forget(slots->links.ctx);
	social_slots_worm_stop(slots);
	while ((talk = pool_next(&slots->talks, NULL)))
		social_slots_talk_free(talk);
	social_slots_known_fini(slots);
}

void social_slots_close(struct slots *slots)
{
	if (!slots)
		return;
	social_slots_stop(slots);
	arena_close(&slots->arena);
	free(slots);
}
