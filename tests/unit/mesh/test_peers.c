/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/scratch.h"

#include "base/arena.h"
#include "mesh/hello.h"
#include "mesh/peers.h"
#include "store/store.h"

static struct mesh_peer_record full_record(void)
{
	struct mesh_peer_record record = {.caps = UINT32_MAX,
					  .last_addr = pair_addr(1),
					  .addr_cnt = MESH_HELLO_ADDRS_MAX,
					  .first_seen_s = UINT64_MAX,
					  .last_seen_s = UINT64_MAX,
					  .skew_s = INT64_MIN + 1};

	for (unsigned i = 0; i < MESH_HELLO_ADDRS_MAX; i++) {
		memset(record.addrs[i].ip, 0xfe, 16);
		record.addrs[i].family = ADDR_IPV6;
		record.addrs[i].port = 65535;
	}
	memset(record.agent, 'a', MESH_AGENT_CAP - 1);
	record.addr_seq = UINT64_MAX;
	record.token = (struct mesh_peer_token){.addr = record.addrs[0], .len = MESH_TOKEN_LEN_MAX};
	memset(record.token.data, 0xd8, sizeof(record.token.data));
	record.good_addr = record.addrs[0];
	record.good_s = UINT64_MAX;
	return record;
}

static void test_record_is_read_as_written(void)
{
	struct mesh_peer_record records[2] = {full_record(), {.skew_s = 1}};

	for (unsigned i = 0; i < 2; i++) {
		uint8_t bytes[MESH_PEER_RECORD_LEN_MAX];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct mesh_peer_record got;

		mesh_peer_record_write(&w, &records[i]);
		CHECK(!w.bad);
		CHECK_EQ(mesh_peer_record_parse(bytes, writer_len(&w), &got), 0);
		CHECK_MEM(&got, &records[i], sizeof(got));
		for (size_t len = 0; len < writer_len(&w); len++)
			CHECK_EQ(mesh_peer_record_parse(bytes, len, &got), WEFT_EMALFORMED);
		bytes[2] = 2; /* the layout after ours */
		CHECK_EQ(mesh_peer_record_parse(bytes, writer_len(&w), &got), WEFT_ENEWER);
		bytes[2] = 0;
		CHECK_EQ(mesh_peer_record_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
	}
}

static void test_full_table_forgets_the_stalest_without_a_session(void)
{
	static const uint64_t secret[2] = {1, 2};
	struct mesh_peers peers = {0};
	struct arena arena;
	uint8_t key[MESH_KEY_LEN];

	CHECK_EQ(arena_open(&arena, mesh_peers_footprint(4)), 0);
	CHECK_EQ(mesh_peers_init(&peers, &arena, 4, secret), 0);
	for (uint8_t i = 0; i < 4; i++) {
		struct mesh_peer_entry *entry;

		memset(key, i, sizeof(key));
		entry = mesh_peers_meet(&peers, key);
		CHECK(entry);
		entry->record.last_seen_s = 100 - i;
		CHECK(mesh_peers_meet(&peers, key) == entry);
	}
	memset(key, 3, sizeof(key)); /* the stalest, but connected */
	mesh_peers_lookup(&peers, key)->session_cnt = 1;
	memset(key, 9, sizeof(key));
	CHECK(mesh_peers_meet(&peers, key));
	memset(key, 2, sizeof(key));
	CHECK(!mesh_peers_lookup(&peers, key));
	memset(key, 3, sizeof(key));
	CHECK(mesh_peers_lookup(&peers, key));
	CHECK_EQ(peers.pool.used_cnt, 4);
	/* With a session each, nobody goes. */
	for (uint8_t i = 0; i < 10; i++) {
		memset(key, i, sizeof(key));
		if (mesh_peers_lookup(&peers, key))
			mesh_peers_lookup(&peers, key)->session_cnt = 1;
	}
	memset(key, 10, sizeof(key));
	CHECK(!mesh_peers_meet(&peers, key));
	arena_close(&arena);
}

static struct rig rig;

static struct store *store_at(const char *dir)
{
	struct store_config config;
	struct store *store;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	return store_open(&config, &store) == 0 ? store : NULL;
}

static bool peers_find(void *arg, const struct mesh_peer_info *peer)
{
	struct mesh_peer_info *wanted = arg;

	if (memcmp(peer->key, wanted->key, MESH_KEY_LEN) != 0)
		return true;
	*wanted = *peer;
	wanted->is_connected = true; /* found */
	return false;
}

/* The peer with that key byte as node 0 knows it. */
static bool peer_known(uint8_t key_byte, struct mesh_peer_info *out_peer)
{
	struct mesh_peer_info found = {0};

	memset(found.key, key_byte, sizeof(found.key));
	mesh_peers_each(rig.nodes[0].mesh, peers_find, &found);
	*out_peer = found;
	return found.is_connected;
}

static uint64_t items_of(struct store *store)
{
	struct store_stats stats;

	store_stats(store, &stats);
	return stats.item_cnt[STORE_PEERS];
}

/* Node 0 with a store, and two peers that announce what they can. */
static void nodes_start(struct store *store, uint32_t peer_cap)
{
	struct mesh_config config;

	memset(&rig, 0, sizeof(rig));
	pair_net_init(&rig.net);
	mesh_config_defaults(&config);
	config.peer_cap = peer_cap;
	config.session_cap = 1;
	rig_add(&rig, 0, &config, store, RIG_WALL_S);
	mesh_config_defaults(&config);
	for (unsigned i = 1; i < 4; i++) {
		config.caps = i;
		config.addrs[0] = pair_addr(40 + i);
		config.addr_cnt = 1;
		snprintf(config.agent, sizeof(config.agent), "peer %u", i);
		rig_add(&rig, i, &config, NULL, RIG_WALL_S + 1000);
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
		CHECK_EQ(mesh_connect(rig.nodes[0].mesh, &peer, PAIR_S, connect_done, NULL,
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
	nodes_start(store, 2);
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
	store_batch_put(batch, STORE_PEERS, keys[0], MESH_KEY_LEN, "garbage", 7);
	store_batch_put(batch, STORE_PEERS, keys[1], MESH_KEY_LEN, "\xa1\x00\x02", 3); /* newer */
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
	RUN(test_record_is_read_as_written);
	RUN(test_full_table_forgets_the_stalest_without_a_session);
	RUN(test_capabilities_survive_a_restart);
	RUN(test_token_survives_a_restart);
	RUN(test_goodbye_writes_what_is_not_written_yet);
	RUN(test_evicted_peers_leave_the_store);
	RUN(test_damaged_records_are_skipped);
	return check_done();
}
