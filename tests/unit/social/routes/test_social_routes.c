/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "social/routes/social_routes.h"
#include "support/check.h"
#include "support/social_lab.h"

/* Node 0 has routes; the tier of each node to it is the test's. */
static struct social_lab lab;
static struct social_routes *routes;
static enum social_tier tiers[SOCIAL_LAB_NODES];
static enum social_tier tier_of_others;

static enum social_tier tier_of(void *ctx, const uint8_t *key)
{
	(void)ctx;
	for (unsigned i = 0; i < lab.cnt; i++)
		if (memcmp(social_lab_key(&lab, i), key, NODE_KEY_LEN) == 0)
			return tiers[i];
	return tier_of_others;
}

static int routes_open(void)
{
	const struct social_routes_params params = {
		.ground = &lab.nodes[0].ground, .tier_of = tier_of, .now_ns = lab.mesh.now_ns};

	return social_routes_open(&params, &routes);
}

static void begin(unsigned cnt)
{
	memset(tiers, 0, sizeof(tiers));
	tier_of_others = SOCIAL_TIER_NONE;
	social_lab_init(&lab, cnt);
	CHECK_EQ(routes_open(), 0);
}

static void end(void)
{
	social_routes_close(routes);
	routes = NULL;
	social_lab_fini(&lab);
}

static uint64_t wall_ms(void)
{
	return social_wall_ms(&lab.nodes[0].ground);
}

static struct social_routes_stats stats(void)
{
	struct social_routes_stats out;

	social_routes_stats(routes, &out);
	return out;
}

/* An address record of node idx, which says that it is at a host that ends in byte. */
static size_t record_write(unsigned idx, uint8_t byte, uint64_t time_ms, uint8_t *out, size_t cap)
{
	struct social_address address = {.time_ms = time_ms, .caps = 0x40};
	struct writer w = writer_of(out, cap);

	address.places.addrs[0] =
		(struct addr){.family = ADDR_IPV4, .ip = {20, 9, 9, byte}, .port = 7000};
	address.places.addr_cnt = 1;
	social_address_write(&w, &address, lab.nodes[idx].key);
	return w.bad ? 0 : writer_len(&w);
}

static int record_take(unsigned idx, uint8_t byte, uint64_t time_ms, const uint8_t *introduced_by)
{
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX];
	struct social_address address;
	const struct social_record record = {
		.bytes = bytes,
		.len = record_write(idx, byte, time_ms, bytes, sizeof(bytes)),
		.introduced_by = introduced_by};

	return social_route_take_record(routes, &record, &address, lab.mesh.now_ns);
}

/* --- the record --- */

static void test_the_longest_address_record_is_read_as_written(void)
{
	struct social_address said = {.time_ms = UINT64_MAX, .caps = UINT32_MAX}, heard;
	uint8_t bytes[SOCIAL_ADDRESS_LEN_MAX + 1] = {0};
	struct writer w = writer_of(bytes, SOCIAL_ADDRESS_LEN_MAX);
	size_t len;

	social_lab_init(&lab, 2);
	for (unsigned i = 0; i < PEER_ADDRS_MAX - PEER_VIAS_MAX; i++)
		said.places.addrs[said.places.addr_cnt++] = (struct addr){
			.family = ADDR_IPV6, .ip = {0x20, 1, 13}, .port = (uint16_t)(60000 + i)};
	for (unsigned i = 0; i < PEER_VIAS_MAX; i++) {
		struct peer_via *via = &said.places.vias[said.places.via_cnt++];

		memset(via->key, 0xf0 + (int)i, sizeof(via->key));
		via->addr = (struct addr){.family = ADDR_IPV6, .ip = {0x20, 2}, .port = 65535};
	}
	social_address_write(&w, &said, lab.nodes[1].key);
	CHECK(!w.bad);
	len = writer_len(&w);
	CHECK_EQ(social_address_read(bytes, len, &heard), 0);
	CHECK_MEM(heard.node, social_lab_key(&lab, 1), NODE_KEY_LEN);
	CHECK_EQ(heard.time_ms, UINT64_MAX);
	CHECK_EQ(heard.caps, UINT32_MAX);
	CHECK(peer_places_equal(&heard.places, &said.places));
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK(social_address_read(exact, cut, &heard) < 0);
		free(exact);
	}
	bytes[len / 2] ^= 1;
	CHECK(social_address_read(bytes, len, &heard) < 0);
	CHECK_EQ(social_address_read(bytes, sizeof(bytes), &heard), WEFT_ETOOLARGE);
	social_lab_fini(&lab);
}

static void test_the_newest_record_of_a_node_holds(void)
{
	struct social_route route;
	uint8_t by[NODE_KEY_LEN] = {7};

	begin(2);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 1, 5000, by), 0);
	CHECK_EQ(record_take(1, 2, 4999, NULL), WEFT_ESTALE);
	CHECK_EQ(record_take(1, 3, 5000, NULL), WEFT_EEXISTS);
	CHECK(social_route_look(routes, social_lab_key(&lab, 1), &route));
	CHECK_EQ(route.places.addrs[0].ip[3], 1);
	CHECK_EQ(route.told_cnt, 1);
	CHECK_EQ(route.caps, 0x40);
	CHECK(route.is_introduced);
	CHECK_MEM(route.introduced_by, by, sizeof(by));
	CHECK_EQ(record_take(1, 4, 5001, NULL), 0);
	CHECK(social_route_look(routes, social_lab_key(&lab, 1), &route));
	CHECK_EQ(route.places.addrs[0].ip[3], 4);
	CHECK_EQ(stats().record_cnt, 2);
	CHECK_EQ(stats().stale_cnt, 1);
	end();
}

static void test_a_record_from_the_future_is_refused(void)
{
	begin(2);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 1, wall_ms() + SOCIAL_ROUTE_AHEAD_MS + 1, NULL), WEFT_EREFUSED);
	CHECK_EQ(record_take(1, 1, wall_ms() + SOCIAL_ROUTE_AHEAD_MS, NULL), 0);
	end();
}

static void test_a_record_of_a_node_without_a_tier_is_not_kept(void)
{
	begin(2);
	CHECK_EQ(record_take(1, 1, 5000, NULL), WEFT_EABSENT);
	CHECK(!social_route_is_kept(routes, social_lab_key(&lab, 1)));
	end();
}

/* --- what sessions show --- */

static void test_a_followed_node_is_dialled_where_it_was_after_a_restart(void)
{
	struct peer_places places;
	struct mesh_peer peer;

	begin(3);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	social_lab_meet(&lab, 0, 1);
	social_lab_meet(&lab, 0, 2);
	social_routes_session_up(routes, social_lab_key(&lab, 1), lab.mesh.now_ns);
	social_routes_session_up(routes, social_lab_key(&lab, 2), lab.mesh.now_ns);
	social_lab_pass(&lab, 6 * NS_PER_S);
	social_routes_close(routes);
	social_lab_restart(&lab, 0);
	CHECK_EQ(routes_open(), 0);
	/* Only of those that people have to do with. */
	CHECK(!social_route_is_kept(routes, social_lab_key(&lab, 2)));
	peer = social_route_peer(routes, social_lab_key(&lab, 1), &places);
	CHECK(peer.is_unsought);
	CHECK_EQ(stats().damaged_cnt, 0);
	CHECK(social_route_is_kept(routes, social_lab_key(&lab, 1)));
	CHECK_EQ(peer.addr_cnt, 1);
	CHECK_EQ(peer.told_cnt, 0);
	CHECK(addr_equal(&peer.addrs[0], &lab.nodes[1].mesh->addr));
	end();
}

/* The second change comes while the spacing of batches holds it back. */
static void test_a_crash_forgets_no_more_than_a_second(void)
{
	begin(3);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	tiers[2] = SOCIAL_TIER_ANCHOR;
	CHECK_EQ(record_take(1, 1, 5000, NULL), 0);
	social_lab_pass(&lab, 300 * NS_PER_MS);
	CHECK_EQ(record_take(2, 2, 5000, social_lab_key(&lab, 1)), 0);
	social_lab_pass(&lab, 1200 * NS_PER_MS);
	store_freeze(lab.nodes[0].store);
	social_routes_close(routes);
	social_lab_restart(&lab, 0);
	CHECK_EQ(routes_open(), 0);
	CHECK(social_route_is_kept(routes, social_lab_key(&lab, 1)));
	CHECK(social_route_is_kept(routes, social_lab_key(&lab, 2)));
	end();
}

/* A person that was met a moment before is dialled where it was. */
static void test_the_first_change_is_kept_at_once(void)
{
	begin(2);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 1, 5000, NULL), 0);
	social_lab_pass(&lab, 300 * NS_PER_MS);
	store_freeze(lab.nodes[0].store);
	social_routes_close(routes);
	social_lab_restart(&lab, 0);
	CHECK_EQ(routes_open(), 0);
	CHECK(social_route_is_kept(routes, social_lab_key(&lab, 1)));
	end();
}

static void test_a_route_that_is_dropped_does_not_come_back(void)
{
	begin(2);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 1, 5000, NULL), 0);
	social_lab_pass(&lab, 6 * NS_PER_S);
	social_route_drop(routes, social_lab_key(&lab, 1), lab.mesh.now_ns);
	CHECK(!social_route_is_kept(routes, social_lab_key(&lab, 1)));
	social_lab_pass(&lab, 6 * NS_PER_S);
	social_routes_close(routes);
	social_lab_restart(&lab, 0);
	CHECK_EQ(routes_open(), 0);
	CHECK(!social_route_is_kept(routes, social_lab_key(&lab, 1)));
	end();
}

/* --- tiers --- */

static void key_of(uint32_t number, uint8_t out[static NODE_KEY_LEN])
{
	memset(out, 0x5a, NODE_KEY_LEN);
	memcpy(out, &number, sizeof(number));
}

static int note(uint32_t number, enum social_tier tier, const uint8_t *introduced_by,
		const struct addr *teller)
{
	uint8_t key[NODE_KEY_LEN];

	key_of(number, key);
	return social_route_note(
		routes,
		&(struct social_route_hint){
			.key = key, .tier = tier, .introduced_by = introduced_by, .teller = teller},
		lab.mesh.now_ns);
}

static bool is_kept(uint32_t number)
{
	uint8_t key[NODE_KEY_LEN];

	key_of(number, key);
	return social_route_is_kept(routes, key);
}

static void test_a_flood_of_one_tier_leaves_the_others(void)
{
	const struct addr flooder = {.family = ADDR_IPV4, .ip = {66, 6, 6, 6}, .port = 6};
	const struct addr honest = {.family = ADDR_IPV4, .ip = {30, 3, 3, 3}, .port = 3};

	begin(1);
	CHECK_EQ(note(1, SOCIAL_TIER_FOLLOW, NULL, NULL), 0);
	CHECK_EQ(note(2, SOCIAL_TIER_ANCHOR, NULL, NULL), 0);
	for (uint32_t i = 0; i < SOCIAL_ROUTES_AUDIENCE_CAP; i++)
		CHECK_EQ(note(100 + i, SOCIAL_TIER_AUDIENCE, NULL, &flooder), 0);
	/* One more of the same is refused, and one of another network has its place. */
	CHECK_EQ(note(99, SOCIAL_TIER_AUDIENCE, NULL, &flooder), WEFT_EFULL);
	CHECK_EQ(note(98, SOCIAL_TIER_AUDIENCE, NULL, &honest), 0);
	CHECK(is_kept(98));
	CHECK(is_kept(1) && is_kept(2));
	CHECK_EQ(stats().audience_cnt, SOCIAL_ROUTES_AUDIENCE_CAP);
	CHECK_EQ(stats().forgotten_cnt, 1);
	CHECK_EQ(stats().refused_cnt, 1);
	end();
}

static void test_a_person_that_names_too_many_anchors_loses_the_first(void)
{
	uint8_t one[NODE_KEY_LEN] = {1}, other[NODE_KEY_LEN] = {2};

	begin(1);
	CHECK_EQ(note(1, SOCIAL_TIER_ANCHOR, other, NULL), 0);
	for (uint32_t i = 0; i < SOCIAL_ANCHORS_MAX; i++)
		CHECK_EQ(note(10 + i, SOCIAL_TIER_ANCHOR, one, NULL), 0);
	CHECK(is_kept(10));
	CHECK_EQ(note(30, SOCIAL_TIER_ANCHOR, one, NULL), 0);
	CHECK(!is_kept(10));
	CHECK(is_kept(11) && is_kept(30) && is_kept(1));
	CHECK_EQ(stats().anchor_cnt, SOCIAL_ANCHORS_MAX + 1);
	end();
}

static void test_a_full_tier_of_follows_forgets_the_one_heard_of_longest_ago(void)
{
	begin(1);
	for (uint32_t i = 0; i < SOCIAL_ROUTES_FOLLOW_CAP; i++)
		CHECK_EQ(note(i, SOCIAL_TIER_FOLLOW, NULL, NULL), 0);
	CHECK_EQ(note(0, SOCIAL_TIER_FOLLOW, NULL, NULL), 0); /* heard of again */
	CHECK_EQ(note(9999, SOCIAL_TIER_FOLLOW, NULL, NULL), 0);
	CHECK(is_kept(0) && is_kept(9999) && !is_kept(1));
	CHECK_EQ(stats().follow_cnt, SOCIAL_ROUTES_FOLLOW_CAP);
	end();
}

static void test_a_node_that_is_followed_leaves_the_audience(void)
{
	begin(2);
	tiers[1] = SOCIAL_TIER_AUDIENCE;
	CHECK_EQ(record_take(1, 1, 5000, NULL), 0);
	CHECK_EQ(stats().audience_cnt, 1);
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 2, 5001, NULL), 0);
	CHECK_EQ(stats().audience_cnt, 0);
	CHECK_EQ(stats().follow_cnt, 1);
	end();
}

/* --- asking --- */

static struct mesh_ask seen_ask;
static struct mesh_ops seen_ops;

static int see_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		   struct mesh_request **out_request)
{
	(void)mesh, (void)now_ns, (void)out_request;
	seen_ask = *ask;
	return WEFT_EFULL;
}

static void test_every_question_is_of_an_unsought_key(void)
{
	const struct addr given = {.family = ADDR_IPV4, .ip = {1, 2, 3, 4}, .port = 5};
	struct mesh_ask ask = {.type = MESH_POST_GET};
	struct mesh_request *request;

	begin(2);
	seen_ops = *lab.nodes[0].ground.mesh.ops;
	seen_ops.ask = see_ask;
	lab.nodes[0].ground.mesh.ops = &seen_ops;
	memcpy(ask.peer.key, social_lab_key(&lab, 1), NODE_KEY_LEN);
	CHECK_EQ(social_ask(routes, &ask, lab.mesh.now_ns, &request), WEFT_EFULL);
	CHECK(seen_ask.peer.is_unsought);
	CHECK_EQ(seen_ask.peer.addr_cnt, 0);
	/* By its route, or where the asker says. */
	tiers[1] = SOCIAL_TIER_FOLLOW;
	CHECK_EQ(record_take(1, 1, 5000, NULL), 0);
	CHECK_EQ(social_ask(routes, &ask, lab.mesh.now_ns, &request), WEFT_EFULL);
	CHECK(seen_ask.peer.is_unsought);
	CHECK_EQ(seen_ask.peer.addr_cnt, 1);
	CHECK_EQ(seen_ask.peer.told_cnt, 1);
	ask.peer.addrs = &given;
	ask.peer.addr_cnt = 1;
	CHECK_EQ(social_ask(routes, &ask, lab.mesh.now_ns, &request), WEFT_EFULL);
	CHECK(seen_ask.peer.is_unsought);
	CHECK(addr_equal(&seen_ask.peer.addrs[0], &given));
	CHECK_EQ(stats().asked_cnt, 3);
	end();
}

int main(void)
{
	RUN(test_the_longest_address_record_is_read_as_written);
	RUN(test_the_newest_record_of_a_node_holds);
	RUN(test_a_record_from_the_future_is_refused);
	RUN(test_a_record_of_a_node_without_a_tier_is_not_kept);
	RUN(test_a_followed_node_is_dialled_where_it_was_after_a_restart);
	RUN(test_a_crash_forgets_no_more_than_a_second);
	RUN(test_the_first_change_is_kept_at_once);
	RUN(test_a_route_that_is_dropped_does_not_come_back);
	RUN(test_a_flood_of_one_tier_leaves_the_others);
	RUN(test_a_person_that_names_too_many_anchors_loses_the_first);
	RUN(test_a_full_tier_of_follows_forgets_the_one_heard_of_longest_ago);
	RUN(test_a_node_that_is_followed_leaves_the_audience);
	RUN(test_every_question_is_of_an_unsought_key);
	return check_done();
}
