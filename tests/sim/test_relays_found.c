/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixty nodes of an overlay, six of them relays: does each node find live relays, and others when one
 * dies? Six more nodes of the overlay, and one of the relays, give forged announcements. Seeds are
 * fixed; SEED=n plays another run.
 */
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "crypto/sha256.h"
#include "overlay/overlay_message.h"
#include "relay/find/list_message.h"
#include "relay/find/place_rule.h"
#include "relay/find/relay_find.h"
#include "support/check.h"
#include "support/overlay_lab.h"
#include "support/seed.h"

#define NODES	    60u
#define RELAY_GAP   10u /* each tenth node is a relay */
#define LIARS	    6u
#define LIVE_MIN    2u
#define FOUND_IN_NS (300 * NS_PER_S)
#define MOVED_IN_NS (1200 * NS_PER_S)
#define GHOST_PORT  666
#define DEAD	    20u
#define LYING	    30u

struct player {
	struct overlay_lab_node *node;
	struct node_key *key;
	struct relay_find *find; /* NULL: it lies, or is dead */
};

static struct overlay_lab lab;
static struct player players[NODES];
static unsigned liar_cnt;
static uint64_t forged_overlay_cnt, forged_list_cnt;

static bool is_relay(unsigned i)
{
	return i % RELAY_GAP == 0;
}

/* --- nodes --- */

static void player_expire(void *ctx, uint64_t now_ns)
{
	struct player *player = ctx;

	overlay_expire(player->node->overlay, now_ns);
	relay_find_turn(player->find, now_ns);
}

static uint64_t player_next_ns(void *ctx)
{
	const struct player *player = ctx;
	uint64_t overlay_ns = overlay_next_ns(player->node->overlay);
	uint64_t find_ns = relay_find_next_ns(player->find);

	return overlay_ns < find_ns ? overlay_ns : find_ns;
}

static void key_give(struct player *player, unsigned number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)number, 9};

	if (node_key_from_seed(seed, &player->key) < 0)
		abort();
	memcpy(player->node->mesh->key, node_key_public(player->key), MESH_KEY_LEN);
}

static void player_offer(struct player *player)
{
	struct relay_offer offer = {
		.addr_cnt = 1,
		.capacity = {.flow_cap = 64, .rate = RELAY_RATE_10_KBIT},
	};

	offer.addrs[0] = player->node->mesh->addr;
	relay_find_offer(player->find, &offer, lab.mesh.now_ns);
}

static void player_start(unsigned i)
{
	struct player *player = &players[i];
	struct relay_find_params params = {
		.neighbours = &mesh_lab_neighbours,
		.now_ns = lab.mesh.now_ns,
		.wall_s = mesh_lab_wall_s(&lab.mesh),
	};

	player->node = overlay_lab_add(&lab);
	key_give(player, i);
	overlay_lab_start(player->node, i ? players[0].node : NULL);
	relay_find_config_defaults(&params.config);
	params.config.known_cap = 64;
	params.key = player->key;
	params.mesh = mesh_lab_seam_of(player->node->mesh);
	params.overlay = player->node->seam;
	params.random = &player->node->random;
	if (relay_find_new(&params, &player->find) < 0)
		abort();
	player->node->mesh->expire = player_expire;
	player->node->mesh->next_ns = player_next_ns;
	player->node->mesh->ctx = player;
	if (is_relay(i))
		player_offer(player);
}

static void player_stop(struct player *player)
{
	relay_find_stop(player->find);
	overlay_lab_stop(player->node);
	relay_find_free(player->find);
	player->find = NULL;
}

/* --- liars --- */

/* An announcement of a relay that is at place in hour, and that it did not sign. */
static size_t forge(uint64_t hour, unsigned place,
		    uint8_t out[static 1 + RELAY_ANNOUNCEMENT_LEN_MAX])
{
	struct relay_announcement ghost = {
		.addrs = {{.family = ADDR_IPV4, .ip = {8, 8, 4, 4}, .port = GHOST_PORT}},
		.addr_cnt = 1,
		.caps = RELAY_ANNOUNCEMENT_CAP,
		.issued_s = mesh_lab_wall_s(&lab.mesh),
		.expires_s = mesh_lab_wall_s(&lab.mesh) + 3600,
	};
	struct writer w = writer_of(out, 1 + RELAY_ANNOUNCEMENT_LEN_MAX);
	struct node_key *key = NULL;

	for (uint8_t i = 0; !key; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {i, 77};

		if (node_key_from_seed(seed, &key) < 0)
			abort();
		if (relay_place_of(node_key_public(key), hour, 0) == place || i == UINT8_MAX)
			break;
		node_key_free(key);
		key = NULL;
	}
	writer_u8(&w, RELAY_PLACE_TAG);
	relay_announcement_write(&w, key, &ghost);
	node_key_free(key);
	out[writer_len(&w) - 1] ^= 1; /* in the signature */
	return writer_len(&w);
}

static bool place_asked(const struct mesh_call *call, uint64_t *out_hour, unsigned *out_place)
{
	uint64_t now_hour = mesh_lab_wall_s(&lab.mesh) / RELAY_HOUR_S;
	uint8_t name[RELAY_PLACE_NAME_LEN], key[SHA256_HASH_LEN];
	struct overlay_find find;

	if (call->type != MESH_FIND_VALUE ||
	    overlay_find_parse(call->payload, call->payload_len, OVERLAY_KEY_LEN, &find) < 0)
		return false;
	for (*out_hour = now_hour - 1; *out_hour <= now_hour; ++*out_hour)
		for (*out_place = 0; *out_place < RELAY_PLACES; ++*out_place) {
			relay_place_name(*out_hour, *out_place, name);
			sha256(name, sizeof(name), key);
			if (memcmp(key, find.target, sizeof(key)) == 0)
				return true;
		}
	return false;
}

static void lie_in_overlay(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t value[1 + RELAY_ANNOUNCEMENT_LEN_MAX], bytes[OVERLAY_VALUES_LEN_MAX];
	struct mesh *node = ctx;
	struct overlay_found found = {0};
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));
	uint64_t hour;
	unsigned place;

	(void)now_ns;
	if (place_asked(call, &hour, &place)) {
		found.values[0].data = value;
		found.values[0].len = forge(hour, place, value);
		found.value_cnt = 1;
		forged_overlay_cnt++;
	}
	overlay_found_write(&w, &found, call->type == MESH_FIND_VALUE);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, call->type, NULL, 0, &span);
}

static void lie_in_list(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t value[1 + RELAY_ANNOUNCEMENT_LEN_MAX], bytes[RELAY_LIST_LEN_MAX];
	struct player *player = ctx;
	struct relay_listed listed = {value + 1, forge(0, 0, value) - 1};
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	forged_list_cnt++;
	relay_list_write(&w, &listed, 1);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(player->node->mesh)
		.ops->answer(call->incoming, MESH_RELAYS, NULL, 0, &span);
}

static void liar_add(void)
{
	struct overlay_lab_node *liar = overlay_lab_scripted(&lab);
	struct mesh_seam seam = mesh_lab_seam_of(liar->mesh);

	liar->mesh->caps = MESH_CAP_DHT;
	(void)seam.ops->handle(liar->mesh, MESH_FIND_NODE, lie_in_overlay, liar->mesh);
	(void)seam.ops->handle(liar->mesh, MESH_FIND_VALUE, lie_in_overlay, liar->mesh);
	liar_cnt++;
}

/* The liar asks ten of the first cnt nodes for something, saying that it serves. */
static void liar_advertise(struct mesh *liar, unsigned cnt)
{
	static struct mesh_lab_ask ask;

	for (unsigned i = 0; i < 10; i++) {
		struct overlay_find find = {.target = liar->key, .is_serving = true};
		uint8_t bytes[OVERLAY_FIND_LEN_MAX];
		struct writer w = writer_of(bytes, sizeof(bytes));
		unsigned at = (unsigned)random_below(&lab.mesh.dice, cnt);

		overlay_find_write(&w, &find, KAD_ID_LEN);
		mesh_lab_ask(liar, players[at].node->mesh, MESH_FIND_NODE, bytes, writer_len(&w),
			     &ask);
	}
}

static void relay_turn_liar(struct player *player)
{
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		if (player->node->mesh->handlers[i].type == MESH_LIST_RELAYS) {
			player->node->mesh->handlers[i].fn = lie_in_list;
			player->node->mesh->handlers[i].ctx = player;
		}
}

/* --- the run --- */

static unsigned live_cnt(const struct player *player)
{
	struct relay_find_stats stats;

	relay_find_stats(player->find, &stats);
	return (unsigned)stats.live_cnt;
}

static bool all_have_found(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < NODES; i++)
		if (players[i].find && live_cnt(&players[i]) < LIVE_MIN)
			return false;
	return true;
}

static const struct relay_known_row *row_of(const struct player *player, const struct player *relay)
{
	const struct relay_known_row *row = NULL;

	while ((row = relay_find_next(player->find, row)))
		if (memcmp(row->announcement.key, node_key_public(relay->key), MESH_KEY_LEN) == 0)
			return row;
	return NULL;
}

static bool has_live(const struct player *player, const struct player *relay)
{
	const struct relay_known_row *row = row_of(player, relay);

	return row && relay_known_is_live(row);
}

static bool none_has_dead(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < NODES; i++)
		if (players[i].find && has_live(&players[i], &players[DEAD]))
			return false;
	return true;
}

static void world_open(void)
{
	liar_cnt = 0;
	forged_overlay_cnt = forged_list_cnt = 0;
	overlay_lab_init(&lab, seed_of_run(21), NODES + LIARS, NULL);
	for (unsigned i = 0; i < NODES; i++) {
		player_start(i);
		(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
}

static void world_close(void)
{
	for (unsigned i = 0; i < NODES; i++)
		relay_find_stop(players[i].find);
	overlay_lab_fini(&lab);
	for (unsigned i = 0; i < NODES; i++) {
		relay_find_free(players[i].find);
		node_key_free(players[i].key);
	}
	memset(players, 0, sizeof(players));
}

static void test_each_node_finds_live_relays_and_others_when_one_dies(void)
{
	uint64_t begun_ns, found_ns, moved_ns;
	unsigned had_cnt = 0;
	int32_t before[NODES] = {0};

	world_open();
	begun_ns = lab.mesh.now_ns;
	CHECK(overlay_lab_run(&lab, FOUND_IN_NS, all_have_found, NULL));
	found_ns = lab.mesh.now_ns - begun_ns;
	(void)overlay_lab_run(&lab, FOUND_IN_NS, NULL, NULL);

	player_stop(&players[DEAD]);
	for (unsigned i = 0; i < NODES; i++)
		if (players[i].find && has_live(&players[i], &players[DEAD])) {
			had_cnt++;
			before[i] = row_of(&players[i], &players[DEAD])->score.score;
		}
	CHECK(had_cnt > 0);
	begun_ns = lab.mesh.now_ns;
	CHECK(overlay_lab_run(&lab, MOVED_IN_NS, none_has_dead, NULL));
	moved_ns = lab.mesh.now_ns - begun_ns;
	CHECK(overlay_lab_run(&lab, FOUND_IN_NS, all_have_found, NULL));
	for (unsigned i = 0; i < NODES; i++) {
		const struct relay_known_row *row =
			players[i].find ? row_of(&players[i], &players[DEAD]) : NULL;
		struct relay_found best;

		if (before[i])
			CHECK(row && row->score.score < before[i]);
		if (!players[i].find || !row ||
		    !relay_score_is_paused(&row->score, lab.mesh.now_ns))
			continue;
		CHECK_EQ(relay_find_best(players[i].find, &(struct relay_want){0}, lab.mesh.now_ns,
					 &best, 1),
			 1);
		CHECK(memcmp(best.key, node_key_public(players[DEAD].key), MESH_KEY_LEN) != 0);
	}
	printf("# seed %llu: all of %u nodes have %u live relays after %llu s; one that %u nodes "
	       "used "
	       "was given up by all after %llu s\n",
	       (unsigned long long)lab.mesh.seed, NODES, LIVE_MIN,
	       (unsigned long long)(found_ns / NS_PER_S), had_cnt,
	       (unsigned long long)(moved_ns / NS_PER_S));
	world_close();
}

static void test_forged_announcements_have_no_effect(void)
{
	unsigned failed_cnt = 0;

	overlay_lab_init(&lab, seed_of_run(22), NODES + LIARS, NULL);
	liar_cnt = 0;
	for (unsigned i = 0; i < NODES; i++) {
		player_start(i);
		if (i % 10 == 9)
			liar_add();
		if (i % 10 == 9)
			liar_advertise(lab.nodes[lab.node_cnt - 1].mesh, i + 1);
		(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	}
	relay_turn_liar(&players[LYING]);
	CHECK_EQ(liar_cnt, LIARS);
	(void)overlay_lab_run(&lab, 2 * FOUND_IN_NS, NULL, NULL);
	CHECK(all_have_found(NULL));
	CHECK(forged_overlay_cnt > 0 && forged_list_cnt > 0);
	for (unsigned i = 0; i < NODES; i++) {
		const struct relay_known_row *row = NULL;

		while ((row = relay_find_next(players[i].find, row)))
			CHECK(row->announcement.addrs[0].port != GHOST_PORT);
		row = row_of(&players[i], &players[LYING]);
		failed_cnt += row && row->score.score < 0;
	}
	printf("# seed %llu: %llu forged values and %llu forged lists; %u nodes mark the liar "
	       "down\n",
	       (unsigned long long)lab.mesh.seed, (unsigned long long)forged_overlay_cnt,
	       (unsigned long long)forged_list_cnt, failed_cnt);
	CHECK(failed_cnt > 0);
	world_close();
}

int main(void)
{
	RUN(test_each_node_finds_live_relays_and_others_when_one_dies);
	RUN(test_forged_announcements_have_no_effect);
	return check_done();
}
