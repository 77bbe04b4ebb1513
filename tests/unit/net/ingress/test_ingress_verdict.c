/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy where the kernel's socket receives: what judge adds to it.
 * Its decisions themselves are rows of tests/bpf/test_policy.c.
 */
#include <arpa/inet.h>

#include "base/memory/arena.h"
#include "base/dgram.h"
#include "net/ingress/ingress_verdict.h"
#include "net/ingress/tables.h"
#include "support/check.h"

#define NOW_NS (1000 * 1000000000ull)

struct bench {
	struct arena arena;
	struct weft_tables tables;
	struct demux_judge judge;
	struct weft_sample last;
	unsigned sample_cnt;
};

static void keep_sample(void *ctx, const struct weft_sample *sample)
{
	struct bench *bench = ctx;

	bench->last = *sample;
	bench->sample_cnt++;
}

static bool bench_open(struct bench *bench)
{
	const struct demux_tables_params params = {.ban_cap = 4, .session_cap = 4};
	const __u64 key[2] = {1, 2};

	memset(bench, 0, sizeof(*bench));
	bench->judge = (struct demux_judge){&bench->tables, keep_sample, bench};
	if (arena_open(&bench->arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(&bench->tables, &bench->arena, &params) < 0)
		return false;
	weft_cid_keys_rotate(&bench->tables.cid_keys, key);
	bench->tables.now_ns = NOW_NS;
	bench->tables.config.samples = (struct weft_bucket_rate){1000000, 1000000};
	return true;
}

static enum weft_reason judge_from(struct bench *bench, const char *from, const void *data,
				   size_t len)
{
	uint8_t copy[1500];
	struct dgram dgram = {.data = copy, .len = len};

	memcpy(copy, data, len);
	if (addr_parse(from, &dgram.remote) < 0)
		return WEFT_REASON_CNT;
	return net_ingress_judge_dgram(&bench->judge, &dgram);
}

static void test_drop_is_counted_and_reported(void)
{
	uint8_t junk[100] = {0x41, 0x80, 1};
	struct bench bench;

	CHECK(bench_open(&bench));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(judge_from(&bench, "192.0.2.1:9", junk, sizeof(junk)), WEFT_REASON_BAD_ID);
	CHECK_EQ(bench.tables.counters[WEFT_REASON_BAD_ID].packet_cnt, 3);
	CHECK_EQ(bench.tables.counters[WEFT_REASON_BAD_ID].byte_cnt, 300);
	/* One a tick: the two others will weigh in the next. */
	CHECK_EQ(bench.sample_cnt, 1);
	CHECK_EQ(bench.last.reason, WEFT_REASON_BAD_ID);
	CHECK_EQ(bench.last.weight, 1);
	CHECK_EQ(bench.last.at_ns, NOW_NS);
	CHECK_EQ(bench.last.flow, WEFT_FLOW_QUIC_SHORT);
	CHECK_EQ(bench.last.source.port_be, htons(9));
	CHECK_EQ(weft_endpoint_ipv4(&bench.last.source), 0xc0000201);
	CHECK_EQ(bench.tables.samplers[WEFT_REASON_BAD_ID].weight, 2);
	arena_close(&bench.arena);
}

static void test_good_datagram_is_counted_and_not_reported(void)
{
	struct bench bench;

	CHECK(bench_open(&bench));
	CHECK_EQ(judge_from(&bench, "[2001:db8::7]:1", "d1:ad2:id20:", 12), WEFT_REASON_KRPC);
	CHECK_EQ(bench.tables.counters[WEFT_REASON_KRPC].packet_cnt, 1);
	CHECK_EQ(bench.sample_cnt, 0);
	arena_close(&bench.arena);
}

/* The kernel hands such datagrams to sockets; a leg on TCP has port 0. */
static void test_a_datagram_from_port_0_is_dropped(void)
{
	const uint8_t key[32] = {7};
	const struct addr leg = addr_of_leg(key, 0);
	struct dgram dgram = {.data = (uint8_t *)(uintptr_t)"d1:ad2:id20:", .len = 12};
	struct bench bench;

	CHECK(bench_open(&bench));
	memcpy(&dgram.remote, &leg, sizeof(leg));
	dgram.remote.transport = ADDR_UDP;
	CHECK_EQ(net_ingress_judge_dgram(&bench.judge, &dgram), WEFT_REASON_BAD_SOURCE);
	CHECK_EQ(dgram.judged.verdict, WEFT_DROP);
	CHECK_EQ(bench.tables.counters[WEFT_REASON_BAD_SOURCE].packet_cnt, 1);
	dgram.remote.port = 1;
	CHECK_EQ(net_ingress_judge_dgram(&bench.judge, &dgram), WEFT_REASON_KRPC);
	arena_close(&bench.arena);
}

/* The owner of a datagram by keys alone, as of an AF_XDP ring. */
static int owner_by_keys(const struct weft_cid_keys *keys, const uint8_t *data, size_t len)
{
	uint8_t copy[64];
	struct dgram dgram = {.data = copy, .len = len};

	memcpy(copy, data, len);
	(void)net_ingress_classify(&dgram);
	net_ingress_find_owner(&dgram, keys);
	return dgram.judged.owner;
}

static void test_owner_is_the_worker_in_an_id_with_a_right_tag(void)
{
	const uint8_t noise[WEFT_CID_RANDOM_LEN] = {1, 2, 3};
	const __u64 next_key[2] = {3, 4};
	uint8_t data[64] = {0x40}, cid[WEFT_CID_LEN];
	struct weft_cid_keys *keys;
	struct bench bench;

	CHECK(bench_open(&bench));
	keys = &bench.tables.cid_keys;
	weft_cid_write(keys, 2, noise, cid);
	memcpy(data + 1, cid, sizeof(cid));
	CHECK_EQ(owner_by_keys(keys, data, sizeof(data)), 2);
	weft_cid_keys_rotate(keys, next_key);
	CHECK_EQ(owner_by_keys(keys, data, sizeof(data)), 2);
	data[16] ^= 1;
	CHECK_EQ(owner_by_keys(keys, data, sizeof(data)), DGRAM_OWNER_NONE);

	memset(data, 0, sizeof(data));
	data[0] = 0xe0;
	data[5] = WEFT_CID_LEN;
	memcpy(data + 6, cid, sizeof(cid));
	CHECK_EQ(owner_by_keys(keys, data, sizeof(data)), 2);
	data[5] = WEFT_CID_LEN - 1; /* an id of a client's choice */
	CHECK_EQ(owner_by_keys(keys, data, sizeof(data)), DGRAM_OWNER_NONE);
	data[5] = WEFT_CID_LEN;
	for (size_t len = 1; len < 6 + WEFT_CID_LEN; len++)
		CHECK_EQ(owner_by_keys(keys, data, len), DGRAM_OWNER_NONE);
	CHECK_EQ(owner_by_keys(keys, (const uint8_t *)"d1:ad2:id20:", 12), DGRAM_OWNER_HOME);
	arena_close(&bench.arena);
}

static void test_known_owner_is_not_looked_for_again(void)
{
	const struct weft_cid_keys no_keys = {0};
	struct dgram dgram = {.judged = {.flow = WEFT_FLOW_QUIC_SHORT, .owner = 5}};

	net_ingress_find_owner(&dgram, &no_keys);
	CHECK_EQ(dgram.judged.owner, 5);
}

/* What the policy found out goes with the datagram. */
static void test_judgement_is_written_into_the_datagram(void)
{
	const uint8_t noise[WEFT_CID_RANDOM_LEN] = {9};
	uint8_t ours[40] = {0x40}, forged[100] = {0x40, 0x83},
		initial[1200] = {0xc3, 0, 0, 0, 1, 8};
	uint8_t query[] = "d1:ad2:id20:";
	struct bench bench;
	struct {
		const char *why;
		struct dgram dgram;
		struct dgram_judgement want;
	} rows[] = {
		{"an id of worker 3",
		 {.data = ours, .len = sizeof(ours)},
		 {WEFT_DELIVER, WEFT_FLOW_QUIC_SHORT, 3}},
		{"a wrong tag",
		 {.data = forged, .len = sizeof(forged)},
		 {WEFT_DROP, WEFT_FLOW_QUIC_SHORT, DGRAM_OWNER_NONE}},
		{"an id of the client's choice",
		 {.data = initial, .len = sizeof(initial)},
		 {WEFT_DELIVER, WEFT_FLOW_QUIC_LONG, DGRAM_OWNER_NONE}},
		{"a question of the DHT",
		 {.data = query, .len = sizeof(query) - 1},
		 {WEFT_DELIVER, WEFT_FLOW_KRPC, DGRAM_OWNER_HOME}},
		{"a datagram too short to be classified",
		 {.data = query, .len = 1},
		 {WEFT_DROP, WEFT_FLOW_OTHER, DGRAM_OWNER_NONE}},
	};

	CHECK(bench_open(&bench));
	weft_cid_write(&bench.tables.cid_keys, 3, noise, ours + 1);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct dgram_judgement *got = &rows[i].dgram.judged;

		CHECK_EQ(addr_parse("192.0.2.1:9", &rows[i].dgram.remote), 0);
		(void)net_ingress_judge_dgram(&bench.judge, &rows[i].dgram);
		printf("# %s\n", rows[i].why);
		CHECK_EQ(got->verdict, rows[i].want.verdict);
		CHECK_EQ(got->flow, rows[i].want.flow);
		CHECK_EQ(got->owner, rows[i].want.owner);
	}
	arena_close(&bench.arena);
}

static void test_samples_need_no_listener(void)
{
	struct bench bench;

	CHECK(bench_open(&bench));
	bench.judge.on_sample = NULL;
	CHECK_EQ(judge_from(&bench, "192.0.2.1:9", "x", 1), WEFT_REASON_NO_PROTOCOL);
	arena_close(&bench.arena);
}

static void test_one_byte_and_the_longest_datagram_are_judged(void)
{
	uint8_t initial[1500] = {0xc3, 0, 0, 0, 1, 8};
	struct bench bench;

	CHECK(bench_open(&bench));
	CHECK_EQ(judge_from(&bench, "192.0.2.1:9", "d", 1), WEFT_REASON_NO_PROTOCOL);
	CHECK_EQ(judge_from(&bench, "192.0.2.1:9", initial, 1500), WEFT_REASON_INITIAL);
	CHECK_EQ(judge_from(&bench, "192.0.2.1:9", initial, 1199), WEFT_REASON_SMALL_INITIAL);
	arena_close(&bench.arena);
}

static void test_validated_address_is_replaced_and_forgotten(void)
{
	struct weft_endpoint source = {.port_be = 7, .addr = {0x20, 1}};
	struct weft_session entry = {.expires_ns = 5};
	struct bench bench;

	CHECK(bench_open(&bench));
	CHECK_EQ(net_ingress_session_put(&bench.tables, &source, &entry), 0);
	entry.expires_ns = 9;
	CHECK_EQ(net_ingress_session_put(&bench.tables, &source, &entry), 0);
	CHECK_EQ(bench.tables.sessions.used_cnt, 1);
	CHECK_EQ(net_ingress_session_lookup(&bench.tables, &source)->expires_ns, 9);
	CHECK_EQ(net_ingress_session_sweep(&bench.tables, 8), 0);
	net_ingress_session_delete(&bench.tables, &source);
	net_ingress_session_delete(&bench.tables, &source);
	CHECK(!net_ingress_session_lookup(&bench.tables, &source));
	CHECK_EQ(bench.tables.session_slots.used_cnt, 0);
	arena_close(&bench.arena);
}

static void test_tables_need_all_that_they_ask_for(void)
{
	const struct demux_tables_params params = {.ban_cap = 4, .session_cap = 4};
	struct weft_tables tables;
	struct arena arena;
	size_t len;

	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(net_ingress_tables_init(&tables, &arena, &params), 0);
	len = arena.used_len;
	arena_close(&arena);
	CHECK_EQ(arena_open(&arena, len), 0);
	CHECK_EQ(net_ingress_tables_init(&tables, &arena, &params), 0);
	arena_close(&arena);
	CHECK_EQ(arena_open(&arena, len - 64), 0);
	CHECK_EQ(net_ingress_tables_init(&tables, &arena, &params), WEFT_EFULL);
	arena_close(&arena);
}

static void test_every_reason_has_a_word_of_its_own(void)
{
	for (unsigned i = 0; i < WEFT_REASON_CNT; i++) {
		CHECK(weft_reason_text(i)[0]);
		for (unsigned j = 0; j < i; j++)
			CHECK(strcmp(weft_reason_word(i), weft_reason_word(j)) != 0);
	}
	CHECK(!weft_reason_word(WEFT_REASON_CNT));
	CHECK(!weft_reason_text(WEFT_REASON_CNT));
	CHECK_EQ(weft_verdict(WEFT_REASON_CNT), WEFT_PASS);
}

int main(void)
{
	RUN(test_drop_is_counted_and_reported);
	RUN(test_good_datagram_is_counted_and_not_reported);
	RUN(test_a_datagram_from_port_0_is_dropped);
	RUN(test_owner_is_the_worker_in_an_id_with_a_right_tag);
	RUN(test_known_owner_is_not_looked_for_again);
	RUN(test_judgement_is_written_into_the_datagram);
	RUN(test_samples_need_no_listener);
	RUN(test_one_byte_and_the_longest_datagram_are_judged);
	RUN(test_validated_address_is_replaced_and_forgotten);
	RUN(test_tables_need_all_that_they_ask_for);
	RUN(test_every_reason_has_a_word_of_its_own);
	return check_done();
}
