/* SPDX-License-Identifier: Apache-2.0 */
/* Queries in, answers out: what every asker gets, and what none does. */
#include "dht/dht_state.h"
#include "support/check.h"
#include "support/dht_rig.h"
#include "weft/krpc.h"

static struct dht_rig rig;

static void rig_up(void)
{
	dht_rig_init(&rig);
	dht_rig_start(&rig);
}

#define ASKER	"198.51.100.7:6881"
#define ASKER_6 "[2001:db8:7::7]:6881"

static void test_a_ping_is_answered_with_id_and_address(void)
{
	static const char *const askers[] = {ASKER, ASKER_6};

	rig_up();
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		const struct addr asker = dht_rig_addr(askers[net]);
		struct krpc_query query = dht_rig_query(KRPC_PING);
		struct krpc_message answer;
		struct addr external;

		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.kind, KRPC_REPLY);
		CHECK(bencode_is(&answer.transaction, "aa"));
		CHECK(kad_id_equal(&answer.id, dht_own_id(rig.dht, (enum dht_net)net)));
		CHECK(dht_krpc_peer_read(&answer.external, &external));
		CHECK(addr_equal(&external, &asker));
	}
	CHECK_EQ(dht_rig_count(&rig, DHT_ANSWERED), 2);
	dht_rig_fini(&rig);
}

static void test_a_hidden_node_answers_no_query_until_it_is_seen(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_PING);
	struct krpc_message answer;

	rig_up();
	dht_set_hidden(rig.dht, true);
	CHECK(dht_is_read_only(rig.dht));
	CHECK(!dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK_EQ(dht_rig_count(&rig, DHT_READ_ONLY), 1);
	dht_set_hidden(rig.dht, false);
	CHECK(!dht_is_read_only(rig.dht));
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	dht_rig_fini(&rig);
}

static void test_find_node_lists_eight_nodes_of_the_wanted_network(void)
{
	static const struct {
		const char *asker;
		unsigned want;
		size_t nodes_len, nodes6_len;
	} rows[] = {
		{ASKER, 0, 8 * 26, 0},
		{ASKER_6, 0, 0, 8 * 38},
		{ASKER, KRPC_WANT_IPV6, 0, 8 * 38},
		{ASKER_6, KRPC_WANT_IPV4, 8 * 26, 0},
	};

	rig_up();
	dht_rig_fill(&rig, 200);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct addr asker = dht_rig_addr(rows[i].asker);
		struct krpc_query query = dht_rig_query(KRPC_FIND_NODE);
		struct krpc_message answer;

		query.want = rows[i].want;
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.nodes.len, rows[i].nodes_len);
		CHECK_EQ(answer.nodes6.len, rows[i].nodes6_len);
		CHECK(!answer.token.data);
	}
	dht_rig_fini(&rig);
}

static void test_a_new_id_lists_other_nodes_at_once(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_FIND_NODE);
	struct krpc_message answer;
	struct kad_id id, told;
	struct addr addr;
	struct cursor c;

	rig_up();
	dht_rig_fill(&rig, 200);
	id = *dht_own_id(rig.dht, DHT_NET_IPV4);
	query.target = id;
	id.bytes[0] ^= 0x80;
	dht_set_own_id(rig.dht, DHT_NET_IPV4, &id, rig.now_ns);
	/* From here the old id is in the half that all others are in. */
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK_EQ(answer.nodes.len, 8 * 26);
	c = cursor_of(answer.nodes.data, answer.nodes.len);
	while (dht_krpc_node_read(&c, ADDR_IPV4, &told, &addr))
		CHECK_EQ(kad_id_common_bits(&id, &told), 0);
	dht_rig_fini(&rig);
}

static void test_a_network_that_is_off_is_listed_as_empty_and_not_used(void)
{
	const struct addr asker = dht_rig_addr(ASKER), asker6 = dht_rig_addr(ASKER_6);
	struct krpc_query query = dht_rig_query(KRPC_FIND_NODE);
	struct krpc_message answer;

	dht_rig_init(&rig);
	rig.config.is_on[DHT_NET_IPV6] = false;
	dht_rig_start(&rig);
	query.want = KRPC_WANT_IPV6;
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK(answer.nodes6.data && answer.nodes6.len == 0);
	CHECK_EQ(dht_rig_code(&rig, &asker6, &query), -1);
	CHECK_EQ(dht_rig_count(&rig, DHT_FAMILY_OFF), 1);
	dht_rig_fini(&rig);
}

/* The question and its answer, as the BPF program would write it. */
static size_t fast_answer(const struct addr *asker, const uint8_t *data, size_t len, uint8_t *out)
{
	struct weft_endpoint endpoint = addr_endpoint(asker);
	enum weft_krpc_family family = weft_krpc_family_of(&endpoint);
	struct weft_krpc_text text = {{0}};
	struct weft_krpc_draft draft;
	struct weft_krpc_query query;
	struct weft_krpc_nodes nodes;
	struct weft_krpc_id own = {{{0}}}, wanted = {{{0}}};
	const uint8_t *compact;
	uint64_t key[2];
	size_t nodes_len;

	memcpy(text.bytes, data, len);
	if (!weft_krpc_query_read(&text, (uint32_t)len, family, &query))
		return 0;
	memcpy(own.bytes, dht_own_id(rig.dht, (enum dht_net)family)->bytes, 20);
	memcpy(wanted.bytes, dht_own_id(rig.dht, (enum dht_net)query.family)->bytes, 20);
	nodes_len = dht_blob(rig.dht, (enum dht_net)query.family,
			     weft_krpc_bucket(&wanted, &query.target), &compact);
	weft_krpc_nodes_write(&nodes, query.family, compact,
			      (uint32_t)nodes_len / weft_krpc_node_len(query.family));
	dht_token_key(rig.dht, key);
	len = weft_krpc_answer_write(&query, &endpoint, &own, &nodes,
				     weft_krpc_token((const __u64 *)key, &endpoint), &draft);
	memcpy(out, draft.bytes, len);
	return len;
}

static void test_answers_are_those_of_the_fast_path(void)
{
	static const enum krpc_method methods[] = {KRPC_PING, KRPC_FIND_NODE, KRPC_GET_PEERS,
						   KRPC_GET};
	static const unsigned wants[] = {0, KRPC_WANT_IPV4, KRPC_WANT_IPV6};
	static const char *const askers[] = {ASKER, ASKER_6};

	rig_up();
	dht_rig_fill(&rig, 200);
	for (unsigned turn = 0; turn < 2000; turn++) {
		struct krpc_query query = dht_rig_query(methods[turn % 4]);
		const struct addr asker = dht_rig_addr(askers[turn / 4 % 2]);
		uint8_t buf[256], want[512];
		struct writer w = writer_of(buf, sizeof(buf));
		size_t want_len;

		query.transaction.data = (const uint8_t *)"12345678";
		query.transaction.len = 1 + random_below(&rig.random, 8);
		query.want = query.method == KRPC_PING ? 0 : wants[turn / 8 % 3];
		query.is_read_only = turn % 5 == 0;
		query.target = kad_id_random_in(dht_own_id(rig.dht, DHT_NET_IPV4), turn % 160,
						&rig.random);
		dht_krpc_write_query(&w, &query);
		dht_rig_forget(&rig);
		/* Past the burst that unvalidated sources share. */
		rig.now_ns += 10000000;
		dht_rig_input(&rig, &asker, buf, writer_len(&w));
		want_len = fast_answer(&asker, buf, writer_len(&w), want);
		CHECK(want_len > 0);
		CHECK_EQ(rig.sent_cnt, 1);
		CHECK_EQ(rig.sent[0].len, want_len);
		CHECK_MEM(rig.sent[0].data, want, want_len);
	}
	dht_rig_fini(&rig);
}

static void test_tokens_are_good_for_their_address_for_two_turns(void)
{
	const struct addr asker = dht_rig_addr(ASKER), other = dht_rig_addr("198.51.100.8:6881");
	const struct addr port = dht_rig_addr("198.51.100.7:1");
	struct krpc_query query = dht_rig_query(KRPC_ANNOUNCE_PEER);
	uint8_t token[8];

	rig_up();
	query.token = dht_rig_token(&rig, &asker, token);
	query.port = 6881;
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 0);
	CHECK_EQ(dht_rig_code(&rig, &port, &query), 0);
	CHECK_EQ(dht_rig_code(&rig, &other, &query), 203);
	rig.now_ns += DHT_TOKEN_TURN_NS;
	dht_expire(rig.dht, rig.now_ns);
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 0);
	rig.now_ns += DHT_TOKEN_TURN_NS;
	dht_expire(rig.dht, rig.now_ns);
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 203);
	CHECK_EQ(dht_rig_count(&rig, DHT_BAD_TOKEN), 2);
	dht_rig_fini(&rig);
}

static void test_a_sleep_past_both_turns_leaves_no_token_good(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_ANNOUNCE_PEER);
	uint8_t token[8];

	rig_up();
	query.token = dht_rig_token(&rig, &asker, token);
	query.port = 6881;
	rig.now_ns += 2 * DHT_TOKEN_TURN_NS;
	dht_expire(rig.dht, rig.now_ns);
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 203);
	dht_rig_fini(&rig);
}

static void test_tokens_of_other_lengths_and_bits_are_refused(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_ANNOUNCE_PEER);
	uint8_t token[9] = {0};

	rig_up();
	(void)dht_rig_token(&rig, &asker, token);
	query.port = 6881;
	for (size_t len = 0; len <= 9; len++) {
		query.token = (struct bencode_span){token, len};
		CHECK_EQ(dht_rig_code(&rig, &asker, &query), len == 8 ? 0 : 203);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t wrong[8];

		memcpy(wrong, token, 8);
		wrong[bit / 8] ^= (uint8_t)(1u << bit % 8);
		query.token = (struct bencode_span){wrong, 8};
		CHECK_EQ(dht_rig_code(&rig, &asker, &query), 203);
	}
	dht_rig_fini(&rig);
}

static void test_an_announced_peer_is_listed_with_its_port(void)
{
	const struct addr asker = dht_rig_addr(ASKER), implied = dht_rig_addr("198.51.100.9:99");
	struct krpc_query query = dht_rig_query(KRPC_ANNOUNCE_PEER);
	struct addr want = dht_rig_addr("198.51.100.7:1234"), got;
	struct krpc_message answer;
	struct bencode_reader iter;
	uint8_t token[8];
	unsigned cnt = 0;

	rig_up();
	query.token = dht_rig_token(&rig, &asker, token);
	query.port = 1234;
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 0);
	CHECK_EQ(rig.held_cnt, 1);
	CHECK(kad_id_equal(&rig.held, &query.target));
	query.token = dht_rig_token(&rig, &implied, token);
	query.is_port_implied = true;
	CHECK_EQ(dht_rig_code(&rig, &implied, &query), 0);
	query = dht_rig_query(KRPC_GET_PEERS);
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	dht_krpc_peers_begin(&answer, &iter);
	while (dht_krpc_peers_next(&iter, &got)) {
		CHECK(addr_equal(&got, &want) || addr_equal(&got, &implied));
		cnt++;
	}
	CHECK_EQ(cnt, 2);
	CHECK(answer.token.data != NULL);
	/* Another network's peers are not told. */
	want = dht_rig_addr(ASKER_6);
	CHECK(dht_rig_ask(&rig, &want, &query, &answer));
	CHECK(!answer.peers.data);
	dht_rig_fini(&rig);
}

static void test_sampling_is_answered_with_nothing_and_stay_away(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_SAMPLE_INFOHASHES);
	struct krpc_message answer;

	rig_up();
	CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
	CHECK_EQ(answer.interval, 21600);
	CHECK(answer.samples.data && answer.samples.len == 0);
	CHECK(answer.nodes.data != NULL);
	dht_rig_fini(&rig);
}

static void test_sources_that_cannot_be_are_refused(void)
{
	static const struct {
		const char *source;
		enum dht_reason want;
	} rows[] = {
		{"203.0.113.1:7000", DHT_SOURCE_SELF},	  {"198.51.100.7:0", DHT_SOURCE_MARTIAN},
		{"10.1.2.3:6881", DHT_SOURCE_MARTIAN},	  {"192.168.1.1:6881", DHT_SOURCE_MARTIAN},
		{"172.16.0.1:6881", DHT_SOURCE_MARTIAN},  {"127.0.0.1:6881", DHT_SOURCE_MARTIAN},
		{"169.254.0.1:6881", DHT_SOURCE_MARTIAN}, {"0.1.2.3:6881", DHT_SOURCE_MARTIAN},
		{"224.0.0.1:6881", DHT_SOURCE_MARTIAN},	  {"255.255.255.255:1", DHT_SOURCE_MARTIAN},
		{"[fe80::1%1]:6881", DHT_SOURCE_MARTIAN}, {"[fd00::1]:6881", DHT_SOURCE_MARTIAN},
		{"[ff02::1]:6881", DHT_SOURCE_MARTIAN},	  {"[::1]:6881", DHT_SOURCE_MARTIAN},
		{"[2001:db8::1]:7000", DHT_SOURCE_SELF},
	};

	rig_up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct addr source = dht_rig_addr(rows[i].source);
		struct krpc_query query = dht_rig_query(KRPC_PING);
		uint64_t before = dht_rig_count(&rig, rows[i].want);

		CHECK_EQ(dht_rig_code(&rig, &source, &query), -1);
		CHECK_EQ(dht_rig_count(&rig, rows[i].want), before + 1);
	}
	dht_rig_fini(&rig);
}

static void test_our_own_id_asks_nothing(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_PING);

	rig_up();
	query.id = *dht_own_id(rig.dht, DHT_NET_IPV4);
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), -1);
	CHECK_EQ(dht_rig_count(&rig, DHT_SOURCE_SELF), 1);
	dht_rig_fini(&rig);
}

static void test_askers_become_candidates_but_read_only_ones_do_not(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_PING);
	struct dht_stats stats;

	rig_up();
	query.is_read_only = true;
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 0);
	dht_stats(rig.dht, rig.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].candidates, 0);
	query.is_read_only = false;
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), 0);
	dht_stats(rig.dht, rig.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].candidates, 1);
	CHECK_EQ(stats.reasons[DHT_WRONG_NODE_ID], 1);
	dht_rig_fini(&rig);
}

static void test_a_read_only_node_answers_nothing(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_PING);

	dht_rig_init(&rig);
	rig.config.is_read_only = true;
	dht_rig_start(&rig);
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), -1);
	CHECK_EQ(dht_rig_count(&rig, DHT_READ_ONLY), 1);
	dht_rig_fini(&rig);
}

static void test_an_unsolicited_reply_is_only_counted(void)
{
	static const char reply[] = "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
	const struct addr source = dht_rig_addr(ASKER);

	rig_up();
	dht_rig_input(&rig, &source, reply, sizeof(reply) - 1);
	CHECK_EQ(rig.sent_cnt, 0);
	CHECK_EQ(dht_rig_count(&rig, DHT_STRAY_REPLY), 1);
	dht_rig_fini(&rig);
}

static void test_a_full_sink_drops_the_answer_and_counts(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	struct krpc_query query = dht_rig_query(KRPC_PING);

	rig_up();
	rig.is_sink_full = true;
	CHECK_EQ(dht_rig_code(&rig, &asker, &query), -1);
	CHECK_EQ(dht_rig_count(&rig, DHT_SINK_FULL), 1);
	CHECK_EQ(dht_rig_count(&rig, DHT_ANSWERED), 0);
	dht_rig_fini(&rig);
}

/* What each query must bring test_krpc_message.c tells; here, that the asker hears of it. */
static void test_refusals_are_answered_by_code(void)
{
	const struct addr asker = dht_rig_addr(ASKER);
	static const struct {
		const char *text;
		int64_t code;
	} rows[] = {
		{"d1:ade1:q4:ping1:t2:aa1:y1:qe", 203},
		{"d1:ad2:id20:abcdefghij0123456789e1:q5:novel1:t2:aa1:y1:qe", 204},
		{"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", 203},
	};

	rig_up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct krpc_message answer;

		dht_rig_forget(&rig);
		dht_rig_input(&rig, &asker, rows[i].text, strlen(rows[i].text));
		CHECK_EQ(rig.sent_cnt, 1);
		CHECK_EQ(dht_krpc_parse(rig.sent[0].data, rig.sent[0].len, &answer), DHT_ANSWERED);
		CHECK_EQ(answer.kind, KRPC_ERROR);
		CHECK_EQ(answer.error_code, rows[i].code);
		CHECK(rig.sent[0].len <= 5 * strlen(rows[i].text));
	}
	CHECK_EQ(dht_rig_count(&rig, DHT_NO_ID), 1);
	CHECK_EQ(dht_rig_count(&rig, DHT_UNKNOWN_METHOD), 1);
	CHECK_EQ(dht_rig_count(&rig, DHT_BAD_TARGET), 1);
	dht_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_ping_is_answered_with_id_and_address);
	RUN(test_a_hidden_node_answers_no_query_until_it_is_seen);
	RUN(test_find_node_lists_eight_nodes_of_the_wanted_network);
	RUN(test_a_new_id_lists_other_nodes_at_once);
	RUN(test_a_network_that_is_off_is_listed_as_empty_and_not_used);
	RUN(test_answers_are_those_of_the_fast_path);
	RUN(test_tokens_are_good_for_their_address_for_two_turns);
	RUN(test_a_sleep_past_both_turns_leaves_no_token_good);
	RUN(test_tokens_of_other_lengths_and_bits_are_refused);
	RUN(test_an_announced_peer_is_listed_with_its_port);
	RUN(test_sampling_is_answered_with_nothing_and_stay_away);
	RUN(test_sources_that_cannot_be_are_refused);
	RUN(test_our_own_id_asks_nothing);
	RUN(test_askers_become_candidates_but_read_only_ones_do_not);
	RUN(test_a_read_only_node_answers_nothing);
	RUN(test_an_unsolicited_reply_is_only_counted);
	RUN(test_a_full_sink_drops_the_answer_and_counts);
	RUN(test_refusals_are_answered_by_code);
	return check_done();
}
