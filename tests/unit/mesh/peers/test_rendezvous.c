/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes without contacts find each other where all can look. */
#include "mesh/peers/identify.h"
#include "mesh/peers/rendezvous.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"

static struct rig rig;
static struct mesh_rendezvous *rendezvous;
static unsigned announce_cnt, find_cnt, found_cnt, met_cnt;
static bool is_place_there;
static struct mesh_peer found;
static struct addr found_addr, met_addr;
static uint8_t met_key[MESH_KEY_LEN];
static int met_err;

static bool announce(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	announce_cnt += is_place_there;
	return is_place_there;
}

static bool find(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	find_cnt += is_place_there;
	return is_place_there;
}

static void note_found(void *ctx, const struct mesh_peer *peer, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	found_cnt++;
	found = *peer;
	found_addr = peer->addrs[0];
}

static void note_met(void *arg, const struct addr *addr, int err, const uint8_t *key,
		     uint64_t now_ns)
{
	(void)arg;
	(void)now_ns;
	met_cnt++;
	met_err = err;
	met_addr = *addr;
	if (key)
		memcpy(met_key, key, sizeof(met_key));
}

static void begin(unsigned cnt)
{
	struct mesh_rendezvous_params params = {.place = {announce, find, NULL},
						.found = note_found};

	rig_init(&rig, cnt);
	params.mesh = rig.nodes[0].mesh;
	params.now_ns = rig.net.now_ns;
	announce_cnt = find_cnt = found_cnt = met_cnt = 0;
	is_place_there = true;
	if (mesh_rendezvous_new(&params, &rendezvous) < 0)
		abort();
}

static void end(void)
{
	mesh_rendezvous_free(rendezvous);
	rig_fini(&rig);
}

static void run(unsigned s, bool is_reachable)
{
	for (unsigned i = 0; i < s; i++) {
		if (mesh_rendezvous_next_ns(rendezvous) <= rig.net.now_ns)
			mesh_rendezvous_expire(rendezvous, is_reachable, rig.net.now_ns);
		pair_net_run(&rig.net, PAIR_S);
	}
}

static void test_address_shows_its_key(void)
{
	struct addr addr = pair_addr(2), nobody = pair_addr(77);

	begin(2);
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &addr, note_met, NULL, rig.net.now_ns), 0);
	CHECK_EQ(met_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(met_cnt, 1);
	CHECK_EQ(met_err, 0);
	CHECK_EQ(met_key[0], 2);
	CHECK(addr_equal(&met_addr, &addr));
	CHECK_EQ(rig.nodes[0].up_cnt + rig.nodes[1].up_cnt, 0); /* no session came of it */
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &nobody, note_met, NULL, rig.net.now_ns), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(met_cnt, 2);
	CHECK_EQ(met_err, WEFT_EUNREACHABLE);
	end();
}

static void test_one_rendezvous_too_many_waits(void)
{
	struct addr addr = pair_addr(2);
	struct addr addrs[MESH_RENDEZVOUS_ADDRS_MAX + 1];

	begin(2);
	for (unsigned i = 0; i < MESH_IDENTIFY_CAP; i++) {
		addr = pair_addr(2 + i); /* one that was told is dialled once an hour */
		CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &addr, note_met, NULL,
					    rig.net.now_ns),
			 0);
	}
	addr = pair_addr(2 + MESH_IDENTIFY_CAP);
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &addr, note_met, NULL, rig.net.now_ns),
		 WEFT_EFULL);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(met_cnt, MESH_IDENTIFY_CAP);
	/* One address more than is taken of one find; those that are taken are all asked. */
	for (unsigned i = 0; i <= MESH_RENDEZVOUS_ADDRS_MAX; i++)
		addrs[i] = pair_addr(100 + i);
	mesh_rendezvous_hear(rendezvous, addrs, MESH_RENDEZVOUS_ADDRS_MAX + 1, KAD_ADDR_SCOPE_SITE);
	rig.nodes[0].end->dial_cnt = 0;
	run(5, false);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, MESH_RENDEZVOUS_ADDRS_MAX);
	end();
}

/* The key of zeros is a point of the curve, so a node may prove it. */
static void test_a_node_that_proves_the_rendezvous_key_is_no_peer(void)
{
	static struct pair_raw raw;

	begin(1);
	raw = (struct pair_raw){.end = pair_net_add(&rig.net, 0, &pair_raw_events, &raw)};
	CHECK_EQ(mesh_identify_addr(rig.nodes[0].mesh, &raw.end->addr, note_met, NULL,
				    rig.net.now_ns),
		 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(raw.ready_cnt, 1);
	CHECK(raw.is_closed);
	CHECK_EQ(met_cnt, 1);
	CHECK_EQ(met_err, WEFT_EREFUSED);
	CHECK_EQ(rig.nodes[0].up_cnt, 0);
	end();
}

static void test_a_present_node_is_found_once(void)
{
	struct mesh_rendezvous_stats stats;
	struct addr addrs[3] = {pair_addr(2), pair_addr(2), pair_addr(50)};

	begin(2);
	run(1, false);
	CHECK_EQ(find_cnt, 1);
	mesh_rendezvous_hear(rendezvous, addrs, 3, KAD_ADDR_SCOPE_SITE);
	run(5, false);
	mesh_rendezvous_hear(rendezvous, addrs, 3, KAD_ADDR_SCOPE_SITE);
	run(5, false);
	CHECK_EQ(found_cnt, 1);
	CHECK_EQ(found.key[0], 2);
	CHECK(addr_equal(&found_addr, &addrs[0]));
	mesh_rendezvous_stats(rendezvous, &stats);
	CHECK_EQ(stats.heard_cnt, 6);
	CHECK_EQ(stats.met_cnt, 1);
	end();
}

/* Any node can write there, so no node is sent to private addresses. */
static void test_addresses_not_for_all_to_see_are_refused(void)
{
	static const char *const texts[] = {"127.0.0.1:7000", "0.0.0.0:7000", "224.0.0.1:7000",
					    "[::1]:7000", "255.255.255.255:1"};
	struct mesh_rendezvous_stats stats;

	begin(2);
	rig.nodes[0].end->dial_cnt = 0;
	for (unsigned i = 0; i < 5; i++) {
		struct addr addr;

		CHECK_EQ(addr_parse(texts[i], &addr), 0);
		mesh_rendezvous_hear(rendezvous, &addr, 1, KAD_ADDR_SCOPE_SITE);
	}
	run(2, false);
	mesh_rendezvous_stats(rendezvous, &stats);
	CHECK_EQ(stats.refused_cnt, 5);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
	end();
}

static void test_place_is_used_as_rarely_as_it_says(void)
{
	begin(4);
	run(3600, false);
	CHECK_EQ(announce_cnt, 0); /* it cannot be dialled */
	CHECK_EQ(find_cnt, 6);
	run(3600, true);
	CHECK_EQ(announce_cnt, 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(rig_connected(&rig, 0, i));
	find_cnt = 0;
	run(3600, true);
	CHECK_EQ(find_cnt, 0); /* three neighbours are enough */
	end();
}

static void test_place_that_is_not_there_is_tried_again_soon(void)
{
	begin(1);
	is_place_there = false;
	run(60, true);
	CHECK_EQ(announce_cnt + find_cnt, 0);
	is_place_there = true;
	run(31, true);
	CHECK_EQ(announce_cnt, 1);
	CHECK_EQ(find_cnt, 1);
	end();
}

int main(void)
{
	RUN(test_address_shows_its_key);
	RUN(test_one_rendezvous_too_many_waits);
	RUN(test_a_node_that_proves_the_rendezvous_key_is_no_peer);
	RUN(test_a_present_node_is_found_once);
	RUN(test_addresses_not_for_all_to_see_are_refused);
	RUN(test_place_is_used_as_rarely_as_it_says);
	RUN(test_place_that_is_not_there_is_tried_again_soon);
	return check_done();
}
