/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of peers in the store: written, read after a restart, and those that are damaged. */
#include "peers_rig.h"

static void test_rows_of_an_earlier_version_are_judged(void)
{
	static const struct {
		uint8_t row[40];
		size_t len;
		enum fair_class class;
		const char *why;
	} rows[] = {
		{"\xa7\0\1\1\0\3\x80\4\x1a\0\1\0\0\5\x1a\0\1\0\0\6\0\7\x60", 23, FAIR_UNKNOWN,
		 "seen once"},
		{"\xa7\0\1\1\0\3\x80\4\x1a\0\1\0\0\5\x1a\0\2\0\0\6\0\7\x60", 23, FAIR_KNOWN,
		 "came back"},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_peer_entry entry = {.session_cnt = 0};

		CHECK_EQ(mesh_peer_record_parse(rows[i].row, rows[i].len, &entry.record), 0);
		CHECK_EQ(mesh_peers_class(&entry), rows[i].class);
	}
}

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)actual_key;
	CHECK_EQ(err, 0);
}

static void node_leave(unsigned idx)
{
	mesh_goodbye(rig.nodes[idx].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
}

static void test_capabilities_survive_a_restart(void)
{
	char dir[SCRATCH_CAP];
	struct mesh_peer_info peer;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	CHECK(store);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_run(&rig.net, 6 * PAIR_S); /* the batch goes by itself */
	store_flush(store);
	CHECK_EQ(items_of(store), 1);
	store_crash(store); /* kill -9 */
	rig_fini(&rig);

	store = store_at(dir);
	CHECK(store);
	nodes_start(store, 8);
	CHECK(peer_known(2, &peer));
	CHECK_EQ(peer.caps, 1);
	CHECK_STR(peer.agent, "peer 1");
	CHECK_EQ(peer.skew_s, 1000);
	CHECK_EQ(peer.first_seen_s, RIG_WALL_S);
	CHECK_EQ(mesh_transport_events.key_met_s(rig.nodes[0].mesh, peer.key), RIG_WALL_S);
	memset(peer.key, 77, sizeof(peer.key));
	CHECK_EQ(mesh_transport_events.key_met_s(rig.nodes[0].mesh, peer.key), 0);
	CHECK_EQ(peer.last_seen_s, RIG_WALL_S);
	CHECK_EQ(peer.last_addr.port, 7000);
	CHECK_EQ(peer.last_addr.ip[3], 2);
	CHECK(!peer_known(3, &peer));
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_contribution_survives_a_restart(void)
{
	struct contribution before, after;
	uint8_t key[MESH_KEY_LEN];
	char dir[SCRATCH_CAP];
	struct store *store;

	memset(key, 2, sizeof(key));
	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 0, 1)); /* by an operator's word, so it is kept */
	mesh_note_work(rig.nodes[0].mesh, key, MESH_WORK_OPENED, 40000000);
	mesh_note_work(rig.nodes[0].mesh, key, MESH_WORK_TOOK, 30000000);
	mesh_note_work(rig.nodes[0].mesh, key, MESH_WORK_GAVE, 70000000);
	mesh_note_work(rig.nodes[0].mesh, key, MESH_WORK_RELAYED, 10000000);
	CHECK(mesh_contribution(rig.nodes[0].mesh, key, &before));
	CHECK_EQ(before.given, 120000000);
	CHECK_EQ(before.relayed, 50000000);
	pair_net_run(&rig.net, 6 * PAIR_S);
	store_flush(store);
	store_crash(store);
	rig_fini(&rig);

	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(mesh_contribution(rig.nodes[0].mesh, key, &after));
	CHECK_MEM(&before, &after, sizeof(after));
	memset(key, 77, sizeof(key));
	mesh_note_work(rig.nodes[0].mesh, key, MESH_WORK_GAVE, 1);
	CHECK(!mesh_contribution(rig.nodes[0].mesh, key, &after));
	CHECK_EQ(contribution_score(&after), 0);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_record_that_the_store_refused_is_written_again(void)
{
	char dir[SCRATCH_CAP];
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 0, 1));
	fail_nth_arm_all(1, ENOSPC);
	pair_net_run(&rig.net, 6 * PAIR_S);
	store_flush(store);
	CHECK(fail_nth_disarm());
	CHECK_EQ(items_of(store), 0);
	pair_net_run(&rig.net, 6 * PAIR_S);
	store_flush(store);
	CHECK_EQ(items_of(store), 1);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_token_survives_a_restart(void)
{
	struct mesh_peer peer = {.addr_cnt = 0};
	char dir[SCRATCH_CAP];
	struct store *store;

	memset(peer.key, 2, sizeof(peer.key));
	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_give_token(&rig.net, 0, "token", 5);
	pair_net_run(&rig.net, 6 * PAIR_S);
	store_flush(store);
	store_crash(store);
	rig_fini(&rig);

	/* Shown, and not again by the life after the next. */
	for (unsigned life = 0; life < 2; life++) {
		store = store_at(dir);
		nodes_start(store, 8);
		CHECK_EQ(mesh_connect(rig.nodes[0].mesh,
				      &(struct mesh_connect){.peer = &peer,
							     .timeout_ns = PAIR_S,
							     .done = connect_done,
							     .arg = NULL},
				      rig.net.now_ns),
			 0);
		pair_net_run(&rig.net, 6 * PAIR_S);
		CHECK_EQ(rig.nodes[0].end->token_len, life ? 0 : 5);
		store_flush(store);
		store_crash(store);
		rig_fini(&rig);
	}
	scratch_remove(dir);
}

static void test_goodbye_writes_what_is_not_written_yet(void)
{
	char dir[SCRATCH_CAP];
	struct mesh_peer_info peer;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 0, 1));
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(items_of(store), 0);
	mesh_goodbye(rig.nodes[0].mesh, 1, 0, rig.net.now_ns);
	rig_fini(&rig);
	store_close(store);

	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(peer_known(2, &peer));
	CHECK_EQ(peer.last_seen_s, RIG_WALL_S + 3);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_evicted_peers_leave_the_store(void)
{
	static const unsigned order[] = {1, 3, 2}; /* the freshest is not the largest key */
	char dir[SCRATCH_CAP];
	struct mesh_peer_info peer;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 4); /* half of it is for dialled peers */
	for (unsigned k = 0; k < 3; k++) {
		unsigned i = order[k];

		CHECK(rig_connected(&rig, 0, i));
		pair_net_run(&rig.net, 10 * PAIR_S);
		store_flush(store);
		node_leave(i);
	}
	pair_net_run(&rig.net, 10 * PAIR_S);
	store_flush(store);
	CHECK_EQ(items_of(store), 2);
	CHECK(!peer_known(2, &peer));
	CHECK(peer_known(3, &peer));
	CHECK(peer_known(4, &peer));
	rig_fini(&rig);
	store_close(store);

	/* A smaller table keeps the freshest of what is stored. */
	store = store_at(dir);
	nodes_start(store, 1);
	CHECK(peer_known(3, &peer));
	CHECK(!peer_known(4, &peer));
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_an_unknown_peer_is_not_written(void)
{
	char dir[SCRATCH_CAP];
	struct mesh_peer_info peer;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(rig_connected(&rig, 1, 0)); /* it has dialled us */
	pair_net_run(&rig.net, 10 * PAIR_S);
	node_leave(1);
	pair_net_run(&rig.net, 10 * PAIR_S);
	store_flush(store);
	CHECK(peer_known(2, &peer));
	CHECK_EQ(items_of(store), 0);
	/* An operator chooses it, and changes his mind. */
	mesh_choose(rig.nodes[0].mesh, peer.key, MESH_CHOICE_FOLLOWED, true, rig.net.now_ns);
	pair_net_run(&rig.net, 10 * PAIR_S);
	store_flush(store);
	CHECK_EQ(items_of(store), 1);
	mesh_choose(rig.nodes[0].mesh, peer.key, MESH_CHOICE_FOLLOWED, false, rig.net.now_ns);
	mesh_goodbye(rig.nodes[0].mesh, 0, 0, rig.net.now_ns);
	store_flush(store);
	CHECK_EQ(items_of(store), 0);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_damaged_records_are_skipped(void)
{
	static const uint8_t keys[2][MESH_KEY_LEN] = {{5}, {6}};
	char dir[SCRATCH_CAP];
	struct store_batch *batch;
	struct mesh_stats stats;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	batch = store_batch_new(store);
	store_batch_put(batch, STORE_PEERS, store_key(keys[0], MESH_KEY_LEN), "garbage", 7);
	store_batch_put(batch, STORE_PEERS, store_key(keys[1], MESH_KEY_LEN), "\xa1\x00\x03",
			3); /* newer */
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	store_flush(store);
	nodes_start(store, 8);
	mesh_stats(rig.nodes[0].mesh, &stats);
	CHECK_EQ(stats.peer_cnt, 0);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_rows_of_an_earlier_version_are_judged);
	RUN(test_capabilities_survive_a_restart);
	RUN(test_contribution_survives_a_restart);
	RUN(test_record_that_the_store_refused_is_written_again);
	RUN(test_token_survives_a_restart);
	RUN(test_goodbye_writes_what_is_not_written_yet);
	RUN(test_evicted_peers_leave_the_store);
	RUN(test_an_unknown_peer_is_not_written);
	RUN(test_damaged_records_are_skipped);
	return check_done();
}
