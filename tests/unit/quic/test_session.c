/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/quic_net.h"

#include "base/clock.h"

static void test_handshake_proves_both_keys(void)
{
	struct quic_net net;
	struct quic_node *a, *b;
	struct quic_test_conn *conn;

	quic_net_init(&net, 1);
	a = quic_net_add(&net, 1, NULL);
	b = quic_net_add(&net, 2, NULL);
	conn = quic_net_connect(a, b);
	CHECK(conn && conn->is_ready);
	quic_net_settle(&net, NS_PER_S);
	CHECK_EQ(b->conn_cnt, 1);
	CHECK(b->conns[0].is_ready);
	CHECK_MEM(conn->info.peer_key, quic_node_key(b), 32);
	CHECK_MEM(b->conns[0].info.peer_key, quic_node_key(a), 32);
	CHECK(conn->info.is_dialler && !b->conns[0].info.is_dialler);
	CHECK(!conn->info.is_resumed);
	CHECK(conn->conn && b->conns[0].conn);
	quic_net_fini(&net);
}

static void test_megabytes_arrive_whole(void)
{
	struct quic_net net;
	struct quic_node *a, *b;
	struct quic_test_conn *conn;

	quic_net_init(&net, 2);
	a = quic_net_add(&net, 1, NULL);
	b = quic_net_add(&net, 2, NULL);
	conn = quic_net_connect(a, b);
	CHECK(conn && conn->is_ready);
	CHECK(quic_net_transfer(conn, 5000000, 60 * NS_PER_S));
	CHECK(!b->streams[0].is_damaged);
	CHECK_EQ(b->streams[0].received_len, 5000000);
	CHECK(quic_net_transfer(conn, 0, 60 * NS_PER_S));
	quic_net_fini(&net);
}

int main(void)
{
	RUN(test_handshake_proves_both_keys);
	RUN(test_megabytes_arrive_whole);
	return check_done();
}
