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

static struct anchor_change change_of(const uint8_t *key)
{
	static struct peer_places where;

	where = (struct peer_places){.addrs = {lab.nodes[1].mesh->addr}, .addr_cnt = 1};
	return (struct anchor_change){.key = key, .places = &where, .done = on_durable};
}

static int add(const uint8_t *key)
{
	const struct anchor_change change = change_of(key);

	return social_anchor_add(anchors[0], &change, lab.mesh.now_ns);
}

static struct social_anchors_stats stats(unsigned idx)
{
	struct social_anchors_stats out;

	social_anchors_stats(anchors[idx], &out);
	return out;
}

static void test_the_list_is_kept_and_has_an_end(void)
{
	uint8_t key[NODE_KEY_LEN] = {0};
	struct anchor_change change;

	begin();
	for (unsigned i = 0; i < SOCIAL_OWN_ANCHORS_MAX; i++) {
		key[0] = (uint8_t)(i + 1);
		CHECK_EQ(add(key), 0);
	}
	key[0] = 99;
	CHECK_EQ(add(key), WEFT_EFULL);
	key[0] = 1;
	CHECK_EQ(add(key), WEFT_EEXISTS);
	CHECK_EQ(add(social_lab_key(&lab, 0)), WEFT_EMALFORMED);
	change = change_of(key);
	CHECK_EQ(social_anchor_remove(anchors[0], &change, lab.mesh.now_ns), 0);
	CHECK_EQ(social_anchor_remove(anchors[0], &change, lab.mesh.now_ns), WEFT_EABSENT);
	key[0] = 2;
	change = change_of(key);
	CHECK_EQ(social_anchor_enable(anchors[0], &change, false, lab.mesh.now_ns), 0);
	CHECK_EQ(social_anchor_enable(anchors[0], &change, false, lab.mesh.now_ns), WEFT_EEXISTS);
	social_lab_pass(&lab, NS_PER_S);
	CHECK_EQ(durable_cnt, SOCIAL_OWN_ANCHORS_MAX + 2);
	node_close(0);
	social_lab_restart(&lab, 0);
	node_open(0);
	CHECK_EQ(stats(0).own_cnt, SOCIAL_OWN_ANCHORS_MAX - 1);
	CHECK_EQ(social_own_anchor(anchors[0], 0)->key[0], 2);
	CHECK(!social_own_anchor(anchors[0], 0)->is_enabled);
	CHECK(social_own_anchor(anchors[0], 1)->is_enabled);
	CHECK(!social_own_anchor(anchors[0], SOCIAL_OWN_ANCHORS_MAX - 1));
	end();
}

static void test_the_last_resort_can_be_disabled_and_not_removed(void)
{
	char text[ZBASE32_KEY_TEXT_CAP];
	const struct own_anchor *last;
	struct anchor_change change;

	social_lab_init(&lab, 2);
	zbase32_write(social_lab_key(&lab, 1), NODE_KEY_LEN, text);
	snprintf(last_resort, sizeof(last_resort), "%s@21.0.1.7:7000", text);
	social_lab_fini(&lab);
	begin();
	change = change_of(social_lab_key(&lab, 1));
	last = social_own_anchor(anchors[0], 0);
	CHECK(last && last->is_last_resort && last->is_enabled);
	CHECK_EQ(social_anchor_remove(anchors[0], &change, lab.mesh.now_ns), WEFT_EREFUSED);
	CHECK_EQ(social_anchor_enable(anchors[0], &change, false, lab.mesh.now_ns), 0);
	/* It stays behind anchors that people add. */
	CHECK_EQ(add((const uint8_t[NODE_KEY_LEN]){7}), 0);
	CHECK(social_own_anchor(anchors[0], 1)->is_last_resort);
	social_lab_pass(&lab, NS_PER_S);
	node_close(0);
	social_lab_restart(&lab, 0);
	node_open(0);
	last = social_own_anchor(anchors[0], 1);
	CHECK(last && last->is_last_resort && !last->is_enabled);
	CHECK_EQ(stats(1).check_in_cnt, 0);
	CHECK_EQ(social_anchor_enable(anchors[0], &change, true, lab.mesh.now_ns), 0);
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
	CHECK_EQ(add(social_lab_key(&lab, 1)), 0);
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
	CHECK_EQ(add(social_lab_key(&lab, 1)), 0);
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
	CHECK_EQ(add(social_lab_key(&lab, 1)), 0);
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
	RUN(test_the_list_is_kept_and_has_an_end);
	RUN(test_the_last_resort_can_be_disabled_and_not_removed);
	RUN(test_a_last_resort_that_is_none_is_left_out);
	RUN(test_a_node_checks_in_each_half_hour_and_when_it_moves);
	RUN(test_an_anchor_that_is_away_is_asked_ever_more_seldom);
	RUN(test_a_node_that_is_nowhere_says_nothing);
	return check_done();
}
