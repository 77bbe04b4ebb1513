/* SPDX-License-Identifier: Apache-2.0 */
#include "peers_rig.h"

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
	record.choices = UINT32_MAX;
	record.share_cnt = FAIR_SHARE_MAX;
	record.useful_hour_cnt = MESH_PEER_USEFUL_HOURS;
	memset(record.useful_hours, 0xff, sizeof(record.useful_hours));
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
		bytes[2] = 3; /* the layout after ours */
		CHECK_EQ(mesh_peer_record_parse(bytes, writer_len(&w), &got), WEFT_ENEWER);
		bytes[2] = 0;
		CHECK_EQ(mesh_peer_record_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
	}
}

/* A table of its own, without a store. */
static struct {
	struct mesh_peers peers;
	struct arena arena;
} bare;

static void bare_open(uint32_t cap_cnt, uint32_t session_cap)
{
	static const uint64_t secret[2] = {1, 2};

	memset(&bare, 0, sizeof(bare));
	if (arena_open(&bare.arena, ARENA_GROWS) < 0 ||
	    mesh_peers_init(&bare.peers, &bare.arena, cap_cnt, session_cap, secret) < 0)
		abort();
}

static const uint8_t *key_of(uint32_t n)
{
	static uint8_t key[MESH_KEY_LEN];

	memcpy(key, &n, sizeof(n));
	return key;
}

/* Key n was here from network a.b.c, chosen for choices, and left at now_s. */
static struct mesh_peer_entry *visit(uint32_t n, uint32_t network, uint32_t choices, uint64_t now_s)
{
	struct mesh_peer_entry *entry = mesh_peers_acquire(&bare.peers, key_of(n));

	if (!entry)
		return NULL;
	mesh_peers_take(&bare.peers, entry);
	entry->record.last_addr = pair_addr(1);
	entry->record.last_addr.ip[0] = (uint8_t)(network >> 16);
	entry->record.last_addr.ip[1] = (uint8_t)(network >> 8);
	entry->record.last_addr.ip[2] = (uint8_t)network;
	if (!entry->record.first_seen_s)
		entry->record.first_seen_s = now_s;
	entry->record.last_seen_s = now_s;
	entry->record.choices |= choices;
	mesh_peers_settle(&bare.peers, entry);
	return mesh_peers_lookup(&bare.peers, key_of(n));
}

static bool is_there(uint32_t n)
{
	return mesh_peers_lookup(&bare.peers, key_of(n));
}

static void test_a_flood_of_keys_forgets_only_unknown_peers_of_its_network(void)
{
	const uint32_t friends = 100, known = 100, honest = 64, flood = 4300;
	uint32_t honest_cnt = 0, flood_cnt = 0;

	bare_open(4096, 1024);
	for (uint32_t i = 0; i < friends; i++)
		CHECK(visit(i, 0x0a0000 + i, MESH_CHOICE_DIALLED, 1000 + i));
	for (uint32_t i = 0; i < known; i++) {
		struct mesh_peer_entry *entry = visit(1000 + i, 0x0b0000 + i, 0, 1000);

		for (unsigned hour = 1; hour <= MESH_PEER_USEFUL_HOURS; hour++)
			mesh_peers_note_useful(entry, 1, 1000 + hour * 3600);
		CHECK_EQ(mesh_peers_class(entry), FAIR_KNOWN);
		mesh_peers_settle(&bare.peers, entry);
	}
	for (uint32_t i = 0; i < honest; i++)
		CHECK(visit(2000 + i, 0x0c0000 + i, 0, 1000));
	for (uint32_t i = 0; i < flood; i++)
		CHECK(visit(100000 + i, 0x0d0000, 0, 20000 + i));
	for (uint32_t i = 0; i < friends; i++)
		CHECK(is_there(i));
	for (uint32_t i = 0; i < known; i++)
		CHECK(is_there(1000 + i));
	for (uint32_t i = 0; i < honest; i++)
		honest_cnt += is_there(2000 + i);
	for (uint32_t i = 0; i < flood; i++)
		flood_cnt += is_there(100000 + i);
	/* 8 of 256 buckets are the flood's, of 4 places each; a chance of an eighth more for luck. */
	CHECK(honest_cnt >= honest - honest / 8);
	CHECK(flood_cnt <= MESH_PEERS_NETWORK_BUCKETS * 4);
	arena_close(&bare.arena);
}

static void test_a_botnet_forgets_unknown_peers_alone(void)
{
	bare_open(4096, 1024);
	for (uint32_t i = 0; i < 2048; i++)
		CHECK(visit(i, i, MESH_CHOICE_FOLLOWED, 1000));
	for (uint32_t i = 0; i < 10000; i++)
		CHECK(visit(100000 + i, 0x200000 + i, 0, 20000 + i));
	for (uint32_t i = 0; i < 2048; i++)
		CHECK(is_there(i));
	CHECK_EQ(bare.peers.chosen_cnt, 2048);
	CHECK(bare.peers.unknown_cnt <= 1024);
	arena_close(&bare.arena);
}

static void test_no_followed_peer_makes_room(void)
{
	bare_open(8, 1);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(visit(i, i, MESH_CHOICE_FOLLOWED, 1000 + i));
	CHECK(visit(3, 3, MESH_CHOICE_DIALLED, 2000));
	/* The one that was merely dialled by hand goes, then none: the newcomer has no place. */
	CHECK(visit(4, 4, MESH_CHOICE_FOLLOWED, 1));
	CHECK(!is_there(3));
	CHECK(!visit(5, 5, MESH_CHOICE_FOLLOWED, 3000));
	for (uint32_t i = 0; i < 3; i++)
		CHECK(is_there(i));
	CHECK(is_there(4));
	arena_close(&bare.arena);
}

static void test_a_peer_with_a_session_keeps_its_place(void)
{
	struct mesh_peer_entry *entry;

	bare_open(4, 2);
	entry = mesh_peers_acquire(&bare.peers, key_of(1));
	entry->session_cnt = 1;
	mesh_peers_take(&bare.peers, entry);
	for (uint32_t i = 0; i < 100; i++)
		CHECK(visit(100 + i, 0, 0, 1000 + i));
	CHECK(is_there(1));
	/* One unknown peer without a session: a table of four has one place for them. */
	CHECK_EQ(bare.peers.pool.used_cnt, 2);
	arena_close(&bare.arena);
}

static void test_peers_of_other_workers_are_no_more_than_sessions(void)
{
	const struct addr there = pair_addr(9);
	uint32_t cnt = 0;

	bare_open(8, 4);
	for (uint32_t i = 0; i < 20; i++) {
		struct mesh_peer_entry *entry = mesh_peers_acquire_foreign(&bare.peers, key_of(i));

		cnt += entry != NULL;
		if (entry)
			mesh_peers_set_foreign(&bare.peers, entry, &there);
	}
	CHECK_EQ(cnt, 4);
	mesh_peers_set_foreign(&bare.peers, mesh_peers_lookup(&bare.peers, key_of(0)), NULL);
	CHECK_EQ(bare.peers.foreign_cnt, 3);
	CHECK(mesh_peers_acquire_foreign(&bare.peers, key_of(99)));
	arena_close(&bare.arena);
}

static void test_three_useful_hours_make_an_unknown_peer_known(void)
{
	struct mesh_peer_entry *entry;

	bare_open(64, 4);
	entry = visit(1, 1, 0, 360000);
	for (unsigned i = 0; i < 100; i++)
		mesh_peers_note_useful(entry, 1, 360000 + i); /* of one hour */
	mesh_peers_note_useful(entry, 1, 363600);
	CHECK_EQ(mesh_peers_class(entry), FAIR_UNKNOWN);
	mesh_peers_note_useful(entry, 1, 367200);
	CHECK_EQ(mesh_peers_class(entry), FAIR_KNOWN);
	/* What proves false takes its hour back. */
	mesh_peers_note_false(entry, 367300);
	CHECK_EQ(mesh_peers_class(entry), FAIR_UNKNOWN);
	CHECK_EQ(mesh_peers_class(NULL), FAIR_UNKNOWN);
	arena_close(&bare.arena);
}

static void test_two_of_a_network_are_useful_and_only_for_an_hour(void)
{
	unsigned useful_cnt = 0;

	bare_open(1024, 64);
	for (uint32_t i = 0; i < 20; i++) {
		struct mesh_peer_entry *entry = mesh_peers_acquire(&bare.peers, key_of(i));

		entry->session_cnt = 1;
		entry->record.last_addr = pair_addr(1);
		entry->record.last_addr.ip[2] = i < 12 ? 7 : (uint8_t)(100 + i);
		mesh_peers_note_useful(entry, 100 - i, 360000);
	}
	mesh_peers_rank(&bare.peers, 6, 360001);
	for (uint32_t i = 0; i < 20; i++)
		useful_cnt +=
			mesh_peers_class(mesh_peers_lookup(&bare.peers, key_of(i))) == FAIR_USEFUL;
	CHECK_EQ(useful_cnt, 6);
	for (uint32_t i = 0; i < 20; i++)
		CHECK_EQ(mesh_peers_class(mesh_peers_lookup(&bare.peers, key_of(i))) == FAIR_USEFUL,
			 i < 2 || (i >= 12 && i < 16));
	mesh_peers_rank(&bare.peers, 6, 360000 + 7200);
	CHECK_EQ(mesh_peers_class(mesh_peers_lookup(&bare.peers, key_of(0))), FAIR_UNKNOWN);
	arena_close(&bare.arena);
}

struct share_told {
	unsigned cnt;
	int err;
};

static void share_done(void *arg, int err)
{
	struct share_told *told = arg;

	told->cnt++;
	told->err = err;
}

static const struct fair_path *path_of_session(unsigned idx)
{
	struct mesh *mesh = rig.nodes[0].mesh;
	uint8_t key[MESH_KEY_LEN];

	memset(key, (int)idx + 1, sizeof(key));
	return mesh_slots_session_path(map_lookup(&mesh->sessions_by_key, key));
}

static void test_a_share_is_in_force_once_it_is_durable_and_after_a_restart(void)
{
	struct mesh *mesh;
	struct share_told told = {0};
	char dir[SCRATCH_CAP];
	struct mesh_peer_info peer;
	struct store *store;

	CHECK(scratch_make(dir));
	store = store_at(dir);
	nodes_start(store, 8);
	mesh = rig.nodes[0].mesh;
	CHECK(rig_connected(&rig, 1, 0)); /* it has dialled us: an unknown peer */
	CHECK(peer_known(2, &peer));
	CHECK_EQ(peer.share_cnt, 1);
	CHECK_EQ(path_of_session(1)->class, FAIR_UNKNOWN);
	CHECK_EQ(mesh_set_share(
			 mesh,
			 &(struct mesh_share_ask){
				 .key = peer.key, .share_cnt = 8, .done = share_done, .arg = &told},
			 rig.net.now_ns),
		 0);
	CHECK_EQ(told.cnt, 0);
	store_flush(store);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.err, 0);
	CHECK_EQ(path_of_session(1)->share_cnt, 8);
	CHECK_EQ(path_of_session(1)->class, FAIR_CHOSEN);
	store_crash(store); /* kill -9 at once */
	rig_fini(&rig);

	store = store_at(dir);
	nodes_start(store, 8);
	CHECK(peer_known(2, &peer));
	CHECK_EQ(peer.share_cnt, 8);
	/* A HELLO later it still is what the operator made it. */
	CHECK(rig_connected(&rig, 1, 0));
	CHECK_EQ(path_of_session(1)->share_cnt, 8);
	CHECK_EQ(path_of_session(1)->class, FAIR_CHOSEN);
	CHECK_EQ(mesh_set_share(
			 rig.nodes[0].mesh,
			 &(struct mesh_share_ask){
				 .key = peer.key, .share_cnt = 1, .done = share_done, .arg = &told},
			 rig.net.now_ns),
		 0);
	store_flush(store);
	CHECK_EQ(path_of_session(1)->class, FAIR_UNKNOWN);
	CHECK_EQ(items_of(store), 0);
	rig_fini(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void test_a_share_that_is_none_changes_nothing(void)
{
	static const struct {
		unsigned share_cnt;
		uint8_t key;
		int want;
		const char *why;
	} rows[] = {
		{0, 2, WEFT_ETOOLARGE, "none"},
		{65, 2, WEFT_ETOOLARGE, "one too many"},
		{8, 77, WEFT_EABSENT, "not met"},
		{64, 2, 0, "the most there is"},
	};
	struct share_told told = {0};
	struct mesh_peer_info peer;
	uint8_t key[MESH_KEY_LEN];

	nodes_start(NULL, 8);
	CHECK(rig_connected(&rig, 1, 0));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i].why);
		memset(key, rows[i].key, sizeof(key));
		CHECK_EQ(mesh_set_share(rig.nodes[0].mesh,
					&(struct mesh_share_ask){.key = key,
								 .share_cnt = rows[i].share_cnt,
								 .done = share_done,
								 .arg = &told},
					rig.net.now_ns),
			 rows[i].want);
		CHECK_EQ(told.cnt, rows[i].want == 0);
		CHECK(peer_known(2, &peer));
		CHECK_EQ(peer.share_cnt, rows[i].want == 0 ? 64 : 1);
	}
	rig_fini(&rig);
}

/* Half of the table is for the chosen: of those with a share none makes room. */
static void test_a_peer_with_a_share_makes_no_room(void)
{
	bare_open(8, 4);
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(visit(i, 0x0a0000 + i, 0, 1000 + i));
		CHECK_EQ(mesh_peers_set_share(&bare.peers,
					      mesh_peers_lookup(&bare.peers, key_of(i)), 2, 0),
			 0);
	}
	CHECK(visit(9, 0x0b0000, 0, 5000));
	CHECK_EQ(mesh_peers_set_share(&bare.peers, mesh_peers_lookup(&bare.peers, key_of(9)), 2, 0),
		 WEFT_EFULL);
	CHECK_EQ(mesh_peers_class(mesh_peers_lookup(&bare.peers, key_of(9))), FAIR_UNKNOWN);
	for (uint32_t i = 20; i < 40; i++)
		(void)visit(i, 0x0c0000 + i, MESH_CHOICE_DIALLED, 6000 + i);
	for (uint32_t i = 0; i < 4; i++)
		CHECK(is_there(i));
	arena_close(&bare.arena);
}

/* As home tells another worker: these and no others, met there or not. */
static void test_a_worker_takes_the_shares_of_home(void)
{
	struct mesh_share shares[2] = {{.share_cnt = 8}, {.share_cnt = 3}}, got[2];
	struct mesh *mesh;

	nodes_start(NULL, 8);
	mesh = rig.nodes[0].mesh;
	CHECK(rig_connected(&rig, 1, 0));
	memset(shares[0].key, 2, MESH_KEY_LEN);
	memset(shares[1].key, 77, MESH_KEY_LEN);
	mesh_take_shares(mesh, shares, 2, rig.net.now_ns);
	CHECK_EQ(mesh_shares(mesh, got, 2), 2);
	CHECK_EQ(path_of_session(1)->share_cnt, 8);
	mesh_take_shares(mesh, shares + 1, 1, rig.net.now_ns);
	CHECK_EQ(mesh_shares(mesh, got, 2), 1);
	CHECK_EQ(got[0].key[0], 77);
	CHECK_EQ(got[0].share_cnt, 3);
	CHECK_EQ(path_of_session(1)->class, FAIR_UNKNOWN);
	rig_fini(&rig);
}

int main(void)
{
	RUN(test_record_is_read_as_written);
	RUN(test_a_flood_of_keys_forgets_only_unknown_peers_of_its_network);
	RUN(test_a_botnet_forgets_unknown_peers_alone);
	RUN(test_no_followed_peer_makes_room);
	RUN(test_a_peer_with_a_session_keeps_its_place);
	RUN(test_peers_of_other_workers_are_no_more_than_sessions);
	RUN(test_three_useful_hours_make_an_unknown_peer_known);
	RUN(test_two_of_a_network_are_useful_and_only_for_an_hour);
	RUN(test_a_share_is_in_force_once_it_is_durable_and_after_a_restart);
	RUN(test_a_share_that_is_none_changes_nothing);
	RUN(test_a_peer_with_a_share_makes_no_room);
	RUN(test_a_worker_takes_the_shares_of_home);
	return check_done();
}
