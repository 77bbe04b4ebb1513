/* SPDX-License-Identifier: Apache-2.0 */
#include "support/social_slots_lab.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "store/store.h"
#include "support/mesh_lab_wire.h"
#include "support/seed.h"
#include "weft/bytes.h"

#define FIND_NS	   (60 * NS_PER_MS)
#define NOWHERE_NS (5 * NS_PER_S)

struct mesh_lab slots_lab;
struct slots_lab_place slots_lab_places[SLOTS_LAB_PLACES];
unsigned slots_lab_cnt;
struct slot_share slots_lab_share;
struct slot_diff slots_lab_diff;
struct worm_answer slots_lab_answer;
static struct random dice;
static const struct mem_link link = {
	.delay_ns = 20 * NS_PER_MS, .jitter_ns = 80 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

struct slots_lab_place *slots_lab_place_of(const uint8_t *key)
{
	for (unsigned i = 0; i < slots_lab_cnt; i++)
		if (memcmp(slots_lab_places[i].node->key, key, MESH_KEY_LEN) == 0)
			return &slots_lab_places[i];
	return NULL;
}

static unsigned number_of(const struct slots_lab_place *place)
{
	return (unsigned)(place - slots_lab_places);
}

static bool is_among(const unsigned *numbers, unsigned cnt, unsigned number)
{
	for (unsigned i = 0; i < cnt; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* --- links --- */

static bool is_led_to(const struct slots_lab_place *place, const struct slots_locate *locate,
		      const struct slots_lab_place *to)
{
	const struct slots_lab_place *reporter =
		locate->reporter ? slots_lab_place_of(locate->reporter) : NULL;

	if ((place->only != SLOTS_LAB_ANY && place->only != number_of(to)) ||
	    (place->part != SLOTS_LAB_ANY && place->part != to->part))
		return false;
	for (unsigned i = 0; i < locate->addr_cnt; i++)
		if (memcmp(&locate->addrs[i], &to->node->addr, sizeof(to->node->addr)) == 0)
			return true;
	return is_among(place->sources, place->source_cnt, number_of(to)) ||
	       is_among(place->friends, place->friend_cnt, number_of(to)) ||
	       (reporter && reporter->node->is_up &&
		mesh_lab_session_lookup(reporter->node, to->node->key));
}

static void on_arrived(struct timer *timer, uint64_t now_ns)
{
	struct slots_lab_locate *at = container_of(timer, struct slots_lab_locate, timer);
	struct peer_places places = {.addr_cnt = 1};

	at->is_under_way = false;
	if (at->to)
		places.addrs[0] = at->to->node->addr;
	at->locate.done(at->locate.arg, at->locate.ticket, at->to ? &places : NULL, now_ns);
}

static int on_locate(void *ctx, const struct slots_locate *locate, uint64_t now_ns)
{
	struct slots_lab_place *place = ctx, *to = slots_lab_place_of(locate->key);

	place->moved_cnt++;
	for (unsigned i = 0; i < SLOTS_LAB_LOCATE_CAP; i++) {
		struct slots_lab_locate *at = &place->locates[i];

		if (at->is_under_way)
			continue;
		*at = (struct slots_lab_locate){
			.place = place, .locate = *locate, .is_under_way = true};
		at->to = to && is_led_to(place, locate, to) ? to : NULL;
		timer_init(&at->timer, on_arrived);
		timer_set(&place->timers, &at->timer, now_ns + (at->to ? FIND_NS : NOWHERE_NS));
		return 0;
	}
	return WEFT_EFULL;
}

static int on_ask(void *ctx, const struct mesh_ask *ask, uint64_t now_ns,
		  struct mesh_request **out_request)
{
	const struct slots_lab_place *place = ctx;

	return place->ground.mesh.ops->ask(place->node, ask, now_ns, out_request);
}

static void on_forget(void *ctx)
{
	struct slots_lab_place *place = ctx;

	for (unsigned i = 0; i < SLOTS_LAB_LOCATE_CAP; i++) {
		if (place->locates[i].is_under_way)
			timer_cancel(&place->timers, &place->locates[i].timer);
		place->locates[i].is_under_way = false;
	}
}

static void on_sources(void *ctx, void (*note)(void *arg, const uint8_t *key, enum slot_tier tier),
		       void *arg)
{
	const struct slots_lab_place *place = ctx;

	for (unsigned i = 0; i < place->source_cnt; i++)
		note(arg, slots_lab_places[place->sources[i]].node->key, SLOT_TIER_ANCHOR);
	for (unsigned i = 0; i < place->friend_cnt; i++)
		note(arg, slots_lab_places[place->friends[i]].node->key, SLOT_TIER_FOLLOW);
}

static void on_contacts(void *ctx, void (*note)(void *arg, const uint8_t *key), void *arg)
{
	const struct slots_lab_place *place = ctx;

	for (unsigned i = 0; i < place->friend_cnt; i++)
		note(arg, slots_lab_places[place->friends[i]].node->key);
}

static bool on_friend(void *ctx, const uint8_t *key)
{
	const struct slots_lab_place *place = ctx, *other = slots_lab_place_of(key);

	return other && is_among(place->friends, place->friend_cnt, number_of(other));
}

static bool on_blocked(void *ctx, const uint8_t *key)
{
	const struct slots_lab_place *place = ctx;

	return place->blocked != SLOTS_LAB_ANY &&
	       memcmp(slots_lab_places[place->blocked].node->key, key, MESH_KEY_LEN) == 0;
}

static bool on_anchor(void *ctx)
{
	return ((const struct slots_lab_place *)ctx)->is_anchor;
}

static size_t on_record(void *ctx, const uint8_t *key, uint8_t *out, size_t cap)
{
	const struct slots_lab_place *place = ctx;

	if (memcmp(key, place->node->key, MESH_KEY_LEN) != 0 || cap < place->record_len)
		return 0;
	memcpy(out, place->record, place->record_len);
	return place->record_len;
}

static void on_heard(void *ctx, const uint8_t *from, const uint8_t *record, size_t len,
		     uint64_t now_ns)
{
	(void)ctx, (void)from, (void)record, (void)len, (void)now_ns;
}

static void record_make(struct slots_lab_place *place)
{
	const struct social_address address = {
		.time_ms = 1, .places = {.addrs = {place->node->addr}, .addr_cnt = 1}};
	struct writer w = writer_of(place->record, sizeof(place->record));

	social_address_write(&w, &address, place->key);
	place->record_len = writer_len(&w);
}

static bool on_holds(void *ctx, const uint8_t *post)
{
	const struct slots_lab_place *place = ctx;

	return place->post && memcmp(place->post, post, 32) == 0;
}

/* --- ground --- */

static uint64_t on_wall_ms(void *ctx)
{
	(void)ctx;
	return mesh_lab_wall_s(&slots_lab) * 1000;
}

static void on_turn(void *ctx, uint64_t now_ns)
{
	struct slots_lab_place *place = ctx;

	timer_wheel_expire(&place->timers, now_ns);
	if (place->ground.store)
		(void)store_reap(place->ground.store);
}

static uint64_t on_next_ns(void *ctx)
{
	return timer_wheel_next_ns(&((struct slots_lab_place *)ctx)->timers);
}

/* --- life --- */

void slots_lab_begin(uint64_t seed)
{
	uint64_t run = seed ? seed : seed_of_run(11);

	random_init_seeded(&dice, run);
	mesh_lab_init(&slots_lab, run, SLOTS_LAB_PLACES, &link);
	slots_lab.idle_ns = 1000000 * NS_PER_S;
	slots_lab_cnt = 0;
}

struct slots_lab_place *slots_lab_add(void)
{
	struct slots_lab_place *place = &slots_lab_places[slots_lab_cnt++];
	uint8_t seed[NODE_KEY_SEED_LEN] = {7};

	weft_store_be32(seed + 4, slots_lab_cnt);
	*place = (struct slots_lab_place){.node = mesh_lab_add(&slots_lab),
					  .blocked = SLOTS_LAB_ANY,
					  .only = SLOTS_LAB_ANY,
					  .part = SLOTS_LAB_ANY};
	if (node_key_from_seed(seed, &place->key) < 0)
		mesh_lab_die("no key");
	memcpy(place->node->key, node_key_public(place->key), MESH_KEY_LEN);
	social_slots_config_defaults(&place->config);
	record_make(place);
	return place;
}

static void on_hold(void *ctx, const uint8_t *key, uint64_t now_ns)
{
	(void)key, (void)now_ns;
	((struct slots_lab_place *)ctx)->held_cnt++;
}

void slots_lab_up(struct slots_lab_place *place)
{
	struct slots_params params = {
		.ground = &place->ground,
		.config = place->config,
		.links = {.ask = on_ask,
			  .locate = on_locate,
			  .forget = on_forget,
			  .sources = on_sources,
			  .contacts = on_contacts,
			  .is_friend = on_friend,
			  .is_blocked = on_blocked,
			  .is_anchor = on_anchor,
			  .record = on_record,
			  .heard_record = on_heard,
			  .holds = on_holds,
			  .hold = on_hold,
			  .ctx = place},
		.now_ns = slots_lab.now_ns,
	};

	mesh_lab_up(place->node);
	timer_wheel_init(&place->timers, slots_lab.now_ns);
	place->ground = (struct social_ground){.key = place->key,
					       .store = place->ground.store,
					       .mesh = mesh_lab_seam_of(place->node),
					       .neighbours = &mesh_lab_neighbours,
					       .timers = &place->timers,
					       .random = &dice,
					       .wall_ms = on_wall_ms,
					       .ctx = place};
	if (social_slots_open(&params, &place->slots) < 0)
		mesh_lab_die("no slots");
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
	place->node->due_ns = 0;
}

void slots_lab_down(struct slots_lab_place *place)
{
	social_slots_close(place->slots);
	place->slots = NULL;
	mesh_lab_down(place->node);
}

void slots_lab_end(void)
{
	for (unsigned i = 0; i < slots_lab_cnt; i++) {
		if (slots_lab_places[i].slots)
			slots_lab_down(&slots_lab_places[i]);
		node_key_free(slots_lab_places[i].key);
	}
	mesh_lab_fini(&slots_lab);
}

void slots_lab_meet(struct slots_lab_place *from, struct slots_lab_place *to)
{
	(void)mesh_lab_session_make(from->node, to->node->key, &to->node->addr, to->node->caps,
				    true);
	(void)mesh_lab_session_make(to->node, from->node->key, &from->node->addr, from->node->caps,
				    false);
}

void slots_lab_part(struct slots_lab_place *from, struct slots_lab_place *to)
{
	mesh_lab_session_drop(from->node, to->node->key);
	mesh_lab_session_drop(to->node, from->node->key);
}

void slots_lab_pass(uint64_t ns)
{
	for (unsigned i = 0; i < slots_lab_cnt; i++)
		slots_lab_places[i].node->due_ns = 0;
	(void)mesh_lab_run(&slots_lab, ns, NULL, NULL);
}

struct slots_stats slots_lab_stats(const struct slots_lab_place *place)
{
	struct slots_stats stats;

	social_slots_stats(place->slots, &stats);
	return stats;
}

unsigned slots_lab_total(const struct slots_lab_place *place)
{
	struct slots_stats stats = slots_lab_stats(place);

	return stats.preferred_cnt + stats.local_cnt + stats.wide_cnt;
}

/* --- a star --- */

void slots_lab_star(unsigned cnt)
{
	slots_lab_begin(5);
	slots_lab_add()->only = 0;
	for (unsigned i = 1; i <= cnt; i++) {
		struct slots_lab_place *place = slots_lab_add();

		place->sources[place->source_cnt++] = 0;
		place->only = 0;
	}
}

void slots_lab_all_up(void)
{
	for (unsigned i = 0; i < slots_lab_cnt; i++)
		if (!slots_lab_places[i].slots)
			slots_lab_up(&slots_lab_places[i]);
}

int slots_lab_send(struct slots_lab_place *from, struct slots_lab_place *to, unsigned type,
		   const struct writer *w)
{
	static struct mesh_lab_ask asked;
	int err;

	from->node->due_ns = to->node->due_ns = 0;
	mesh_lab_ask(from->node, to->node, type, w->start, writer_len(w), &asked);
	if ((err = asked.reply.err) < 0)
		return err;
	if (type == MESH_N1_SHARE)
		return social_slot_share_parse(asked.reply.payload, asked.reply.payload_len,
					       &slots_lab_share);
	if (type == MESH_N1_DIFF)
		return social_slot_diff_parse(asked.reply.payload, asked.reply.payload_len,
					      &slots_lab_diff);
	return social_worm_answer_parse(asked.reply.payload, asked.reply.payload_len,
					&slots_lab_answer);
}

int slots_lab_send_share(struct slots_lab_place *from, struct slots_lab_place *to,
			 unsigned node_cnt)
{
	static uint8_t bytes[SLOT_SHARE_LEN_MAX];
	static struct slot_share share;
	struct writer w = writer_of(bytes, sizeof(bytes));

	share = (struct slot_share){.version = 9, .cnt = node_cnt};
	for (unsigned i = 0; i < node_cnt; i++)
		memcpy(share.nodes[i], &(uint32_t){i + 1}, sizeof(uint32_t));
	social_slot_share_write(&w, &share);
	return slots_lab_send(from, to, MESH_N1_SHARE, &w);
}

int slots_lab_send_diff(struct slots_lab_place *from, struct slots_lab_place *to, uint64_t version,
			unsigned node_cnt)
{
	static uint8_t bytes[SLOT_DIFF_LEN_MAX];
	static struct slot_diff diff;
	struct writer w = writer_of(bytes, sizeof(bytes));

	diff = (struct slot_diff){.from = version, .to = 10, .added_cnt = node_cnt};
	for (unsigned i = 0; i < node_cnt; i++)
		memcpy(diff.added[i], &(uint32_t){i + 1000}, sizeof(uint32_t));
	social_slot_diff_write(&w, &diff);
	return slots_lab_send(from, to, MESH_N1_DIFF, &w);
}
