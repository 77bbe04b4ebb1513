/* SPDX-License-Identifier: Apache-2.0 */
/* What an address gets that proved nothing: enough to go on, and nothing to throw at others. */
#include "dht/dht_state.h"
#include "dht/items/item.h"
#include "dht/validated_addrs.h"
#include "support/check.h"
#include "support/dht_rig.h"

static struct dht_rig rig;

static void rig_up(void)
{
	dht_rig_init(&rig);
	dht_rig_start(&rig);
}

#define UNVALIDATED   "198.51.100.7:6881"
#define UNVALIDATED_6 "[2001:db8:7::7]:6881"

static void test_want_for_both_networks_gets_both_once_the_asker_is_validated(void)
{
	static const char *const askers[] = {UNVALIDATED, UNVALIDATED_6};
	struct krpc_query query = dht_rig_query(KRPC_FIND_NODE);
	struct krpc_message answer;

	rig_up();
	dht_rig_fill(&rig, 200);
	query.want = KRPC_WANT_IPV4 | KRPC_WANT_IPV6;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct addr asker = dht_rig_addr(askers[net]);

		/* Both are more than five times so short a query: one's own network comes first. */
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.nodes.len, net == DHT_NET_IPV4 ? 8 * 26 : 0);
		CHECK_EQ(answer.nodes6.len, net == DHT_NET_IPV6 ? 8 * 38 : 0);
		CHECK_EQ(dht_rig_count(&rig, DHT_CUT_ANSWER), net + 1);
		dht_validated_add(rig.dht->validated, &asker, rig.now_ns);
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.nodes.len, 8 * 26);
		CHECK_EQ(answer.nodes6.len, 8 * 38);
	}
	dht_rig_fini(&rig);
}

/* However short the query: something comes back, and not more than five times as much. */
static void test_every_valid_asker_is_answered(void)
{
	static const enum krpc_method methods[] = {KRPC_PING, KRPC_FIND_NODE, KRPC_GET_PEERS,
						   KRPC_GET, KRPC_SAMPLE_INFOHASHES};
	static const char *const askers[] = {UNVALIDATED, UNVALIDATED_6};

	rig_up();
	dht_rig_fill(&rig, 200);
	for (unsigned turn = 0; turn < 5 * 2 * 4 * 32; turn++) {
		struct krpc_query query = dht_rig_query(methods[turn % 5]);
		const struct addr asker = dht_rig_addr(askers[turn / 5 % 2]);
		struct krpc_message answer;
		uint8_t buf[256];
		struct writer w = writer_of(buf, sizeof(buf));

		query.want = query.method == KRPC_PING ? 0 : turn / 10 % 4;
		query.transaction = (struct bencode_span){
			(const uint8_t *)"01234567890123456789012345678901", 1 + turn / 40 % 32};
		rig.now_ns += 10000000;
		dht_krpc_write_query(&w, &query);
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.kind, KRPC_REPLY);
		CHECK(rig.sent[0].len <= 5 * writer_len(&w));
		CHECK(query.method == KRPC_PING || answer.nodes.len + answer.nodes6.len > 0);
	}
	dht_rig_fini(&rig);
}

/* Puts a value of value_len bytes, bencoded, as asker would; gives its target. */
static struct kad_id value_put(const struct addr *asker, size_t value_len)
{
	struct krpc_query query = dht_rig_query(KRPC_PUT);
	static uint8_t value[DHT_VALUE_LEN_MAX + 1];
	struct writer w = writer_of(value, sizeof(value));
	uint8_t token[8];

	bencode_write_head(&w, value_len - (value_len > 102 ? 4 : value_len > 11 ? 3 : 2));
	memset(w.pos, 'x', sizeof(value) - writer_len(&w));
	query.token = dht_rig_token(&rig, asker, token);
	query.value = (struct bencode_span){value, value_len};
	if (dht_rig_code(&rig, asker, &query) != 0)
		abort();
	return rig.held;
}

static void test_an_unproven_asker_gets_no_more_than_five_times_its_query(void)
{
	const struct addr putter = dht_rig_addr(UNVALIDATED),
			  asker = dht_rig_addr("192.0.2.77:6881");
	size_t len_max = 0;

	rig_up();
	dht_rig_fill(&rig, 200);
	for (size_t value_len = 10; value_len <= DHT_VALUE_LEN_MAX; value_len += 30) {
		struct krpc_query query = dht_rig_query(KRPC_GET);
		struct krpc_message answer;

		query.target = value_put(&putter, value_len);
		rig.now_ns += 1000000000ull;
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK(rig.sent[0].len <= 5 * 86);
		/* Something there is, a value or the nodes to ask next. */
		CHECK(answer.value.data || answer.nodes.len > 0);
		if (answer.value.data)
			len_max = value_len;
	}
	CHECK(len_max > 250 && len_max < 430);
	CHECK(dht_rig_count(&rig, DHT_CUT_ANSWER) > 0);
	dht_rig_fini(&rig);
}

static void test_a_validated_or_padded_asker_gets_the_longest_value(void)
{
	const struct addr putter = dht_rig_addr(UNVALIDATED),
			  asker = dht_rig_addr("192.0.2.77:6881");
	struct krpc_query query = dht_rig_query(KRPC_GET);
	struct krpc_message answer;

	rig_up();
	dht_rig_fill(&rig, 200);
	query.target = value_put(&putter, DHT_VALUE_LEN_MAX);
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK(!answer.value.data && answer.nodes.len == 8 * 26);
	query.pad_len = 160;
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK_EQ(answer.value.len, DHT_VALUE_LEN_MAX);
	query.pad_len = 0;
	dht_validated_add(rig.dht->validated, &asker, rig.now_ns);
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK_EQ(answer.value.len, DHT_VALUE_LEN_MAX);
	/* Nodes beside so long a value would not fit into one datagram everywhere. */
	CHECK(!answer.nodes.data);
	CHECK(rig.sent[0].len <= KRPC_VALUE_SEND_LEN_MAX);
	rig.now_ns += DHT_VALIDATED_NS;
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK(!answer.value.data);
	dht_rig_fini(&rig);
}

/* A second of find_node from forged addresses, all different, cnt of them. */
static void flood(uint32_t cnt, uint64_t *out_sent_len)
{
	struct krpc_query query = dht_rig_query(KRPC_FIND_NODE);
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf));

	dht_krpc_write_query(&w, &query);
	dht_rig_forget(&rig);
	for (uint32_t i = 0; i < cnt; i++) {
		struct addr source = {.family = ADDR_IPV4, .port = 6881};

		source.ip[0] = 20;
		source.ip[1] = (uint8_t)(i >> 16);
		source.ip[2] = (uint8_t)(i >> 8);
		source.ip[3] = (uint8_t)i;
		dht_rig_input(&rig, &source, buf, writer_len(&w));
		rig.now_ns += 1000000000ull / cnt;
	}
	*out_sent_len = (uint64_t)cnt * writer_len(&w);
}

static void test_a_spoofed_flood_causes_no_more_bytes_than_it_sends(void)
{
	/* 1.2 MB, little above what unvalidated sources have in a second, and far above. */
	static const uint32_t cnts[] = {13000, 50000};

	for (size_t i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		uint64_t sent_len;

		rig_up();
		dht_rig_fill(&rig, 200);
		flood(cnts[i], &sent_len);
		CHECK(rig.sent_len > rig.config.unvalidated_bytes_per_s / 2);
		CHECK(rig.sent_len <= sent_len);
		CHECK(dht_rig_count(&rig, DHT_UNVALIDATED_LIMIT) > 0);
		dht_rig_fini(&rig);
	}
}

static void test_the_least_budget_still_answers_now_and_then(void)
{
	uint64_t sent_len;

	dht_rig_init(&rig);
	rig.config.unvalidated_bytes_per_s = 1;
	dht_rig_start(&rig);
	dht_rig_fill(&rig, 200);
	flood(1000, &sent_len);
	CHECK(rig.sent_cnt >= 4 && rig.sent_len <= KRPC_VALUE_SEND_LEN_MAX + 1);
	dht_rig_fini(&rig);
}

static void test_many_peers_fill_no_more_than_one_datagram(void)
{
	struct krpc_query query = dht_rig_query(KRPC_ANNOUNCE_PEER);
	const struct addr asker = dht_rig_addr(UNVALIDATED);
	struct krpc_message answer;
	uint64_t told[4] = {0};
	uint8_t token[8];

	rig_up();
	dht_rig_fill(&rig, 200);
	for (unsigned i = 0; i < 300; i++) {
		char text[ADDR_TEXT_CAP];
		struct addr peer;

		snprintf(text, sizeof(text), "45.%u.%u.9:%u", i / 256, i % 256, 1 + i);
		peer = dht_rig_addr(text);
		query.token = dht_rig_token(&rig, &peer, token);
		query.port = 1;
		CHECK_EQ(dht_rig_code(&rig, &peer, &query), 0);
		rig.now_ns += 10000000;
	}
	query = dht_rig_query(KRPC_GET_PEERS);
	for (unsigned turn = 0; turn < 2; turn++) {
		size_t len_max = turn ? KRPC_SEND_LEN_MAX : 5 * 92;

		for (unsigned i = 0; i < 50; i++) {
			struct bencode_reader iter;
			struct addr peer;
			unsigned cnt = 0;

			CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
			CHECK(rig.sent[0].len <= len_max);
			CHECK_EQ(answer.nodes.len, 8 * 26);
			dht_krpc_peers_begin(&answer, &iter);
			while (dht_krpc_peers_next(&iter, &peer)) {
				unsigned idx = (unsigned)peer.ip[1] * 256 + peer.ip[2];

				CHECK(idx < 300);
				told[idx / 75]++;
				cnt++;
			}
			/* All the room is used but for less than two peers and the estimate's slack. */
			CHECK(rig.sent[0].len + 40 > len_max);
			CHECK(cnt > 5);
		}
		dht_validated_add(rig.dht->validated, &asker, rig.now_ns);
	}
	/* No quarter of them is told twice as often as another. */
	for (unsigned i = 0; i < 4; i++)
		CHECK(told[i] * 8 > told[0] + told[1] + told[2] + told[3]);
	dht_rig_fini(&rig);
}

int main(void)
{
	RUN(test_want_for_both_networks_gets_both_once_the_asker_is_validated);
	RUN(test_every_valid_asker_is_answered);
	RUN(test_an_unproven_asker_gets_no_more_than_five_times_its_query);
	RUN(test_a_validated_or_padded_asker_gets_the_longest_value);
	RUN(test_a_spoofed_flood_causes_no_more_bytes_than_it_sends);
	RUN(test_the_least_budget_still_answers_now_and_then);
	RUN(test_many_peers_fill_no_more_than_one_datagram);
	return check_done();
}
