/* SPDX-License-Identifier: Apache-2.0 */
/* A session through a relay whose peer is there by TCP as well. */
#include <stdlib.h>

#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/mesh_state.h"

static struct rig rig;
static struct rig_ask ask;
static struct rig_kept kept;

static struct addr tcp_addr(unsigned n)
{
	struct addr addr = pair_addr(n);

	addr.port = 7001;
	addr.transport = ADDR_TCP;
	return addr;
}

static struct addr label_addr(unsigned n)
{
	struct addr addr = {.family = ADDR_NONE};

	if (addr_parse("[fd6d:6573:68::1]:2", &addr) < 0)
		abort();
	addr.ip[15] = (uint8_t)n;
	addr.transport = ADDR_RELAY;
	return addr;
}

/* Both nodes are at a label and at an address of TCP, and no other; they name the cnt addresses. */
static void nodes_init(const struct addr *addrs, unsigned cnt)
{
	rig_init(&rig, 2);
	for (unsigned i = 0; i < 2; i++) {
		(void)rig.nodes[i].seam.ops->handle(rig.nodes[i].mesh, MESH_GET_CHUNK, rig_echo,
						    &rig.nodes[i]);
		rig.nodes[i].end->addr = label_addr(i + 1);
		rig.nodes[i].end->alias = tcp_addr(i + 1);
		mesh_set_addrs(rig.nodes[i].mesh, addrs, cnt);
	}
}

static void nodes_fini(void)
{
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static struct mesh_session *session_of(unsigned node)
{
	uint8_t key[MESH_KEY_LEN];

	memset(key, node ? 1 : 2, sizeof(key));
	return map_lookup(&rig.nodes[node].mesh->sessions_by_key, key);
}

/* Node 0 has a session with node 1 through the relay. */
static void meet(bool is_chosen)
{
	const struct addr label = label_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &label, .addr_cnt = 1, .is_chosen = is_chosen},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 20 * PAIR_S};

	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK(addr_is_relayed(&session_of(0)->remote));
	rig.nodes[0].end->dial_cnt = rig.nodes[1].end->dial_cnt = 0;
}

static void test_a_relayed_session_gives_way_to_one_by_tcp(void)
{
	const struct addr tcp = tcp_addr(2);

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	meet(false);
	session_of(0)->is_wanted = true;
	/* Hole punching has its time first. */
	pair_net_run(&rig.net, 1900 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	CHECK(session_of(0)->is_wanted);
	CHECK(session_of(0)->is_dialler && !session_of(1)->is_dialler);
	/* The relayed one was quiet, so its dialler has closed it. */
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	rig_ask_fini(&ask);
	CHECK_EQ(rig_ask(&rig, &ask, 0, 1, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	nodes_fini();
}

static void test_a_request_that_has_begun_ends_where_it_is(void)
{
	const struct addr tcp = tcp_addr(2);
	struct mesh_session *relayed;
	static struct rig_ask late;

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	kept = (struct rig_kept){.ops = rig.nodes[1].seam.ops};
	(void)rig.nodes[1].seam.ops->handle(rig.nodes[1].mesh, MESH_GET_MANIFEST, rig_keep, &kept);
	meet(false);
	relayed = session_of(0);
	CHECK_EQ(rig_ask(&rig, &late, 0, 1, MESH_GET_MANIFEST, "abc", 3), 0);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	CHECK(session_of(0)->twin == relayed);
	CHECK_EQ(kept.cnt, 1);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_MANIFEST_DATA, "yes", 3, NULL), 0);
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK_EQ(late.reply_cnt, 1);
	CHECK_EQ(late.reply.err, 0);
	CHECK(!session_of(0)->twin);
	rig_ask_fini(&late);
	nodes_fini();
}

/* The one that did not dial is behind no NAT's TCP, and the other is. */
static void test_the_end_that_accepted_dials_where_the_other_end_cannot(void)
{
	const struct addr tcp = tcp_addr(1);

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[0].mesh, &tcp, 1);
	meet(false);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(rig.nodes[1].end->dial_cnt, 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
	CHECK_EQ(rig.nodes[1].end->dial_cnt, 1);
	CHECK_EQ(session_of(1)->remote.transport, ADDR_TCP);
	CHECK(session_of(1)->is_dialler && !session_of(0)->is_dialler);
	nodes_fini();
}

/* Such a peer may name a victim's: one dial an hour, as elsewhere. */
static void test_an_address_that_is_silent_is_dialled_once_an_hour(void)
{
	const struct addr tcp = tcp_addr(3);

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	pair_net_rule(&rig.net, tcp, PAIR_SILENT, 0);
	meet(false);
	pair_net_run(&rig.net, 600 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK(addr_is_relayed(&session_of(0)->remote));
	pair_net_run(&rig.net, 3600 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	nodes_fini();
}

static void test_a_chosen_peer_is_tried_each_turn(void)
{
	const struct addr tcp = tcp_addr(2);

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	pair_net_rule(&rig.net, tcp, PAIR_REFUSED, 0);
	meet(true);
	pair_net_run(&rig.net, 120 * PAIR_S);
	CHECK(rig.nodes[0].end->dial_cnt > 3);
	rig.net.rule_cnt = 0;
	pair_net_run(&rig.net, 61 * PAIR_S);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	nodes_fini();
}

/* The next one is begun when one of them has ended. */
static void test_one_address_more_than_are_dialled_at_once_waits(void)
{
	struct addr addrs[MESH_UPGRADE_TCP_MAX + 1];

	nodes_init(NULL, 0);
	for (unsigned i = 0; i < MESH_UPGRADE_TCP_MAX + 1; i++) {
		addrs[i] = tcp_addr(2);
		addrs[i].port = (uint16_t)(8000 + i);
		pair_net_rule(&rig.net, addrs[i], PAIR_SILENT, 0);
	}
	mesh_set_addrs(rig.nodes[1].mesh, addrs, MESH_UPGRADE_TCP_MAX + 1);
	meet(false);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, MESH_UPGRADE_TCP_MAX);
	pair_net_run(&rig.net, 30 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, MESH_UPGRADE_TCP_MAX + 1);
	nodes_fini();
}

static void test_a_policy_that_has_relays_first_is_followed(void)
{
	struct addr tcp = tcp_addr(2);
	struct mesh_config config;
	const char *word;
	size_t len;

	tcp.ip[0] = 93; /* on the Internet, as labels are */
	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	rig.nodes[1].end->alias = tcp;
	mesh_config_defaults(&config);
	CHECK_EQ(mesh_ways_parse("quic, relay, tcp", &config.ways[MESH_NETWORK_INTERNET], &word,
				 &len),
		 0);
	mesh_configure(rig.nodes[0].mesh, &config);
	meet(false);
	pair_net_run(&rig.net, 60 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
	mesh_config_defaults(&config);
	mesh_configure(rig.nodes[0].mesh, &config);
	pair_net_run(&rig.net, 61 * PAIR_S);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	nodes_fini();
}

/* Dials that are under way end with the session. */
static void test_a_session_that_ends_leaves_no_dial(void)
{
	const struct addr tcp = tcp_addr(3);

	nodes_init(NULL, 0);
	mesh_set_addrs(rig.nodes[1].mesh, &tcp, 1);
	pair_net_rule(&rig.net, tcp, PAIR_SILENT, 0);
	meet(false);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK(mesh_upgrade_next(session_of(0), NULL));
	mesh_session_close(session_of(0), MESH_BYE_DONE, "done");
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 0);
	nodes_fini();
}

int main(void)
{
	RUN(test_a_relayed_session_gives_way_to_one_by_tcp);
	RUN(test_a_request_that_has_begun_ends_where_it_is);
	RUN(test_the_end_that_accepted_dials_where_the_other_end_cannot);
	RUN(test_an_address_that_is_silent_is_dialled_once_an_hour);
	RUN(test_a_chosen_peer_is_tried_each_turn);
	RUN(test_one_address_more_than_are_dialled_at_once_waits);
	RUN(test_a_policy_that_has_relays_first_is_followed);
	RUN(test_a_session_that_ends_leaves_no_dial);
	return check_done();
}
