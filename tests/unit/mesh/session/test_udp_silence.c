/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "mesh/mesh_state.h"

static struct rig rig;
static struct rig_ask ask, other;

static struct addr tcp_addr(unsigned n)
{
	struct addr addr = pair_addr(n);

	addr.port = 7001;
	addr.transport = ADDR_TCP;
	return addr;
}

/* Node 1 is at an address of QUIC and at one of TCP. */
static void nodes_init(void)
{
	rig_init(&rig, 2);
	for (unsigned i = 0; i < 2; i++)
		(void)rig.nodes[i].seam.ops->handle(rig.nodes[i].mesh, MESH_GET_CHUNK, rig_echo,
						    &rig.nodes[i]);
	rig.nodes[1].end->alias = tcp_addr(2);
}

static void nodes_fini(void)
{
	rig_ask_fini(&ask);
	rig_fini(&rig);
}

static void udp_is(enum pair_fate fate)
{
	rig.net.rule_cnt = 0;
	pair_net_rule(&rig.net, pair_addr(2), fate, 0);
}

static int ask_both(void)
{
	const struct addr addrs[2] = {tcp_addr(2), pair_addr(2)};
	struct mesh_ask call = {.peer = {.addrs = addrs, .addr_cnt = 2},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 20 * PAIR_S};

	rig_ask_fini(&ask);
	ask.reply_cnt = 0;
	memset(call.peer.key, 2, MESH_KEY_LEN);
	return rig_ask_with(&rig, &ask, 0, &call);
}

static struct mesh_session *session_of(unsigned node)
{
	uint8_t key[MESH_KEY_LEN];

	memset(key, node ? 1 : 2, sizeof(key));
	return map_lookup(&rig.nodes[node].mesh->sessions_by_key, key);
}

static void test_quic_is_tried_alone_while_it_answers(void)
{
	nodes_init();
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_UDP);
	nodes_fini();
}

static void test_tcp_is_dialled_after_a_second_of_silence(void)
{
	nodes_init();
	udp_is(PAIR_SILENT);
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 990 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 0);
	for (unsigned i = 0; i < rig.nodes[0].end->dial_cnt; i++)
		CHECK_EQ(rig.nodes[0].end->dialled[i].transport, ADDR_UDP);
	pair_net_run(&rig.net, 400 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	nodes_fini();
}

static void test_tcp_comes_at_once_when_quic_fails(void)
{
	nodes_init();
	udp_is(PAIR_REFUSED);
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 200 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_TCP);
	nodes_fini();
}

static void test_where_udp_was_silent_tcp_comes_first_for_an_hour(void)
{
	struct mesh *mesh;

	nodes_init();
	mesh = rig.nodes[0].mesh;
	udp_is(PAIR_SILENT);
	CHECK_EQ(ask_both(), 0);
	CHECK(!mesh_udp_is_silent(mesh));
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK(mesh_udp_is_silent(mesh));
	mesh_session_close(session_of(0), MESH_BYE_DONE, "done");
	pair_net_run(&rig.net, PAIR_S);
	rig.nodes[0].end->dial_cnt = 0;
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->dialled[0].transport, ADDR_TCP);
	/* Of another network nothing is known. */
	mesh_session_close(session_of(0), MESH_BYE_DONE, "done");
	mesh_wake(mesh, rig.net.now_ns);
	CHECK(!mesh_udp_is_silent(mesh));
	pair_net_run(&rig.net, PAIR_S);
	rig.nodes[0].end->dial_cnt = 0;
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(rig.nodes[0].end->dialled[0].transport, ADDR_UDP);
	nodes_fini();
}

static void test_back_on_quic_new_requests_go_there(void)
{
	struct mesh_session *first;

	nodes_init();
	udp_is(PAIR_SILENT);
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	first = session_of(0);
	CHECK_EQ(first->remote.transport, ADDR_TCP);
	/* As its HELLO says. */
	first->peer->record.addrs[0] = pair_addr(2);
	first->peer->record.addr_cnt = 1;
	/* What was forgotten with the network is known again once QUIC has failed beside TCP. */
	mesh_udp_forget(rig.nodes[0].mesh);
	CHECK(!mesh_udp_is_silent(rig.nodes[0].mesh));
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK(session_of(0) == first);
	CHECK(mesh_udp_is_silent(rig.nodes[0].mesh));
	udp_is(PAIR_NORMAL);
	pair_net_run(&rig.net, 61 * PAIR_S);
	CHECK_EQ(session_of(0)->remote.transport, ADDR_UDP);
	CHECK(!mesh_udp_is_silent(rig.nodes[0].mesh));
	CHECK(!session_of(1)->is_dialler);
	/* The one on TCP was quiet, so its dialler has closed it. */
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	nodes_fini();
}

/* A peer that answers by TCP may name any host's address of QUIC. */
static void test_only_the_session_s_host_is_dialled_on_a_peer_s_word(void)
{
	struct mesh_session *session;

	nodes_init();
	udp_is(PAIR_SILENT);
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 2 * PAIR_S);
	session = session_of(0);
	CHECK_EQ(session->remote.transport, ADDR_TCP);
	session->peer->record.addrs[0] = pair_addr(3);
	session->peer->record.addr_cnt = 1;
	rig.nodes[0].end->dial_cnt = 0;
	pair_net_run(&rig.net, 61 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 0);
	nodes_fini();
}

static void test_an_unknown_peer_s_dead_address_says_nothing_of_udp(void)
{
	struct mesh_ask call = {.peer = {.addr_cnt = 2, .told_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 20 * PAIR_S};
	const struct addr told[2] = {tcp_addr(2), pair_addr(2)};

	nodes_init();
	udp_is(PAIR_SILENT);
	call.peer.addrs = told;
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	for (unsigned i = 0; i < MESH_NETWORK_CNT; i++)
		CHECK_EQ(rig.nodes[0].mesh->udp_silent_ns[i][0], 0);
	nodes_fini();
}

/* A link that comes back within seconds ends no session, though TCP might be there first. */
static void test_tcp_waits_for_a_silent_session_to_stir(void)
{
	struct mesh_session *first;

	nodes_init();
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	first = session_of(0);
	rig.nodes[1].end->is_dead = true;
	CHECK_EQ(ask_both(), 0);
	pair_net_run(&rig.net, 7 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	rig.nodes[1].end->is_dead = false;
	CHECK_EQ(rig_ask(&rig, &other, 1, 0, MESH_GET_CHUNK, "abc", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	rig_ask_fini(&other);
	CHECK(session_of(0) == first);
	CHECK(!map_lookup(&rig.nodes[0].mesh->dials_by_key, first->key));
	nodes_fini();
}

static void test_the_port_of_a_peer_s_dial_by_tcp_is_not_kept(void)
{
	struct addr kept = pair_addr(2), none = {0};
	const struct addr udp = pair_addr(3), tcp = tcp_addr(3);

	mesh_peer_place(&kept, &tcp, true);
	CHECK(addr_equal(&kept, &(struct addr){0}) == false);
	CHECK_EQ(kept.transport, ADDR_UDP);
	mesh_peer_place(&kept, &udp, false);
	CHECK(addr_equal(&kept, &udp));
	mesh_peer_place(&none, &tcp, false);
	CHECK_EQ(none.family, ADDR_NONE);
	mesh_peer_place(&none, &tcp, true);
	CHECK(addr_equal(&none, &tcp));
}

int main(void)
{
	RUN(test_quic_is_tried_alone_while_it_answers);
	RUN(test_tcp_is_dialled_after_a_second_of_silence);
	RUN(test_tcp_comes_at_once_when_quic_fails);
	RUN(test_where_udp_was_silent_tcp_comes_first_for_an_hour);
	RUN(test_back_on_quic_new_requests_go_there);
	RUN(test_only_the_session_s_host_is_dialled_on_a_peer_s_word);
	RUN(test_an_unknown_peer_s_dead_address_says_nothing_of_udp);
	RUN(test_tcp_waits_for_a_silent_session_to_stir);
	RUN(test_the_port_of_a_peer_s_dial_by_tcp_is_not_kept);
	return check_done();
}
