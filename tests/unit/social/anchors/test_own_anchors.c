/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "social/anchors/social_anchors.h"
#include "support/check.h"
#include "support/social_lab.h"

/* Node 0 has a list of anchors; node 1 is one. */
static struct social_lab lab;
static struct social_routes *routes[2];
static struct social_anchors *anchors[2];
static char last_resort[SOCIAL_LAST_RESORT_CAP];
static bool is_nowhere;
static uint8_t port;
static unsigned durable_cnt;

static enum social_tier tier_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return SOCIAL_TIER_ANCHOR;
}

static void places(void *ctx, struct peer_places *out_places)
{
	(void)ctx;
	*out_places = (struct peer_places){.addr_cnt = !is_nowhere};
	out_places->addrs[0] = lab.nodes[0].mesh->addr;
	out_places->addrs[0].port += port;
}

static void node_open(unsigned idx)
{
	const struct social_routes_params routes_params = {
		.ground = &lab.nodes[idx].ground, .tier_of = tier_of, .now_ns = lab.mesh.now_ns};
	struct social_anchors_params params = {
		.ground = &lab.nodes[idx].ground, .places = places, .now_ns = lab.mesh.now_ns};

	CHECK_EQ(social_routes_open(&routes_params, &routes[idx]), 0);
	social_anchors_config_defaults(&params.config);
	params.config.role = idx ? ANCHOR_ROLE_YES : ANCHOR_ROLE_NO;
	if (idx == 0)
		snprintf(params.config.last_resort, sizeof(params.config.last_resort), "%s",
			 last_resort);
	params.routes = routes[idx];
	CHECK_EQ(social_anchors_open(&params, &anchors[idx]), 0);
}

static void node_close(unsigned idx)
{
	social_anchors_close(anchors[idx]);
	social_routes_close(routes[idx]);
}

static void begin(void)
{
	is_nowhere = false;
	port = 0;
	durable_cnt = 0;
	social_lab_init(&lab, 2);
	node_open(0);
	node_open(1);
}

static void end(void)
{
	node_close(0);
	node_close(1);
	social_lab_fini(&lab);
	last_resort[0] = '\0';
}

static void on_durable(void *arg, int err)
{
	(void)arg;
	durable_cnt += err == 0;
}

static struct anchor_change change_of(const uint8_t *key, bool is_enabled)
{
	return (struct anchor_change){.key = key, .is_enabled = is_enabled, .done = on_durable};
}

static int enable(const uint8_t *key, bool is_enabled)
{
	const struct anchor_change change = change_of(key, is_enabled);

	return social_anchor_enable(anchors[0], &change, lab.mesh.now_ns);
}

/* The profiles name cnt keys of first and the numbers behind it. */
static void name(unsigned first, unsigned cnt)
{
	uint8_t keys[SOCIAL_OWN_ANCHORS_MAX][NODE_KEY_LEN] = {{0}};

	for (unsigned i = 0; i < cnt; i++)
		keys[i][0] = (uint8_t)(first + i);
	social_own_anchors_set(anchors[0], (const uint8_t(*)[NODE_KEY_LEN])keys, cnt,
			       lab.mesh.now_ns);
}

/* They name the node that is an anchor alone. */
static void name_node(void)
{
	uint8_t key[1][NODE_KEY_LEN];
	const struct peer_places where = {.addrs = {lab.nodes[1].mesh->addr}, .addr_cnt = 1};
	const struct social_route_hint hint = {
		.key = social_lab_key(&lab, 1), .tier = SOCIAL_TIER_ANCHOR, .places = &where};

	memcpy(key[0], hint.key, NODE_KEY_LEN);
	CHECK_EQ(social_route_note(routes[0], &hint, lab.mesh.now_ns), 0);
	social_own_anchors_set(anchors[0], (const uint8_t(*)[NODE_KEY_LEN])key, 1, lab.mesh.now_ns);
}

static struct social_anchors_stats stats(unsigned idx)
{
	struct social_anchors_stats out;

	social_anchors_stats(anchors[idx], &out);
	return out;
}

static void test_the_list_is_that_of_the_profiles(void)
{
	begin();
	name(1, SOCIAL_OWN_ANCHORS_MAX);
	CHECK_EQ(stats(0).own_cnt, SOCIAL_OWN_ANCHORS_MAX);
	CHECK(social_own_anchor(anchors[0], SOCIAL_OWN_ANCHORS_MAX - 1)->is_listed);
	name(2, 2);
	CHECK_EQ(stats(0).own_cnt, 2);
	CHECK_EQ(social_own_anchor(anchors[0], 0)->key[0], 2);
	CHECK_EQ(social_own_anchor(anchors[0], 1)->key[0], 3);
	CHECK(!social_own_anchor(anchors[0], 2));
	name(0, 0);
	CHECK_EQ(stats(0).own_cnt, 0);
	end();
}

static void test_one_that_is_disabled_stays_so_over_a_restart(void)
{
	const uint8_t two[NODE_KEY_LEN] = {2};

	begin();
	name(1, 2);
	CHECK_EQ(enable((const uint8_t[NODE_KEY_LEN]){9}, false), WEFT_EABSENT);
	CHECK_EQ(enable(two, true), WEFT_EEXISTS);
	CHECK_EQ(enable(two, false), 0);
	CHECK_EQ(enable(two, false), WEFT_EEXISTS);
	social_lab_pass(&lab, NS_PER_S);
	CHECK_EQ(durable_cnt, 1);
	node_close(0);
	social_lab_restart(&lab, 0);
	node_open(0);
	name(1, 2);
	CHECK(social_own_anchor_of(anchors[0], (const uint8_t[NODE_KEY_LEN]){1})->is_enabled);
	CHECK(!social_own_anchor_of(anchors[0], two)->is_enabled);
	/* Named anew, it is as any new one, also after a restart. */
	name(1, 1);
	CHECK(!social_own_anchor_of(anchors[0], two));
	name(1, 2);
	CHECK(social_own_anchor_of(anchors[0], two)->is_enabled);
	social_lab_pass(&lab, NS_PER_S);
	node_close(0);
	social_lab_restart(&lab, 0);
	node_open(0);
	name(1, 2);
	CHECK(social_own_anchor_of(anchors[0], two)->is_enabled);
	end();
}

static void test_a_removed_one_keeps_the_route_of_a_person_that_named_it(void)
{
	const uint8_t one[NODE_KEY_LEN] = {1}, two[NODE_KEY_LEN] = {2}, person[NODE_KEY_LEN] = {3};
	const struct social_route_hint hint = {
		.key = one, .tier = SOCIAL_TIER_ANCHOR, .introduced_by = person};

	begin();
	CHECK_EQ(social_route_note(routes[0], &hint, lab.mesh.now_ns), 0);
	name(1, 2);
	CHECK(social_route_is_kept(routes[0], two));
	name(0, 0);
	CHECK(social_route_is_kept(routes[0], one));
	CHECK(!social_route_is_kept(routes[0], two));
	end();
}

static void test_the_last_resort_can_be_disabled_and_not_removed(void)
{
	char text[ZBASE32_KEY_TEXT_CAP];
	const struct own_anchor *last;

	social_lab_init(&lab, 2);
	zbase32_write(social_lab_key(&lab, 1), NODE_KEY_LEN, text);
	snprintf(last_resort, sizeof(last_resort), "%s@21.0.1.7:7000", text);
	social_lab_fini(&lab);
	begin();
	last = social_own_anchor(anchors[0], 0);
	CHECK(last && last->is_last_resort && last->is_enabled);
	name(0, 0);
	last = social_own_anchor(anchors[0], 0);
	CHECK(last && last->is_last_resort && !last->is_listed);
	CHECK_EQ(enable(social_lab_key(&lab, 1), false), 0);
	/* It stays behind anchors that profiles name. */
	name(7, 1);
	CHECK(social_own_anchor(anchors[0], 1)->is_last_resort);
	social_lab_pass(&lab, NS_PER_S);
	node_close(0);
	social_lab_restart(&lab, 0);
	node_open(0);
	name(7, 1);
	last = social_own_anchor(anchors[0], 1);
	CHECK(last && last->is_last_resort && !last->is_enabled);
	CHECK_EQ(stats(1).check_in_cnt, 0);
	CHECK_EQ(enable(social_lab_key(&lab, 1), true), 0);
	social_lab_pass(&lab, NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 1);
	end();
}

static void test_a_last_resort_that_is_none_is_left_out(void)
{
	snprintf(last_resort, sizeof(last_resort), "%s", "somewhere.example");
	begin();
	CHECK(!social_own_anchor(anchors[0], 0));
	end();
}

static void test_a_node_checks_in_each_half_hour_and_when_it_moves(void)
{
	begin();
	name_node();
	social_lab_pass(&lab, NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 1);
	CHECK(social_own_anchor(anchors[0], 0)->checked_in_ms > 0);
	social_lab_pass(&lab, 1700 * NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 1);
	social_lab_pass(&lab, 200 * NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 2);
	port = 1;
	social_anchors_moved(anchors[0], lab.mesh.now_ns);
	social_anchors_moved(anchors[0], lab.mesh.now_ns);
	social_lab_pass(&lab, 5 * NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 3);
	end();
}

static void test_an_anchor_that_is_away_is_asked_ever_more_seldom(void)
{
	begin();
	mesh_lab_down(lab.nodes[1].mesh);
	name_node();
	social_lab_pass(&lab, 3600 * NS_PER_S);
	CHECK(stats(0).check_in_failed_cnt >= 4);
	CHECK(stats(0).check_in_failed_cnt <= 7);
	CHECK(social_own_anchor(anchors[0], 0)->err < 0);
	CHECK_EQ(stats(0).checked_in_cnt, 0);
	end();
}

static void test_a_node_that_is_nowhere_says_nothing(void)
{
	begin();
	is_nowhere = true;
	name_node();
	social_lab_pass(&lab, 30 * NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 0);
	CHECK_EQ(social_own_anchor(anchors[0], 0)->err, WEFT_EABSENT);
	is_nowhere = false;
	social_anchors_moved(anchors[0], lab.mesh.now_ns);
	social_lab_pass(&lab, 5 * NS_PER_S);
	CHECK_EQ(stats(1).check_in_cnt, 1);
	end();
}

int main(void)
{
	RUN(test_the_list_is_that_of_the_profiles);
	RUN(test_one_that_is_disabled_stays_so_over_a_restart);
	RUN(test_a_removed_one_keeps_the_route_of_a_person_that_named_it);
	RUN(test_the_last_resort_can_be_disabled_and_not_removed);
	RUN(test_a_last_resort_that_is_none_is_left_out);
	RUN(test_a_node_checks_in_each_half_hour_and_when_it_moves);
	RUN(test_an_anchor_that_is_away_is_asked_ever_more_seldom);
	RUN(test_a_node_that_is_nowhere_says_nothing);
	return check_done();
}
