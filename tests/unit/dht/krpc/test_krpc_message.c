/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/krpc/krpc_message.h"
#include "support/check.h"

#define ID   "abcdefghij0123456789"
#define HASH "mnopqrstuvwxyz123456"
#define KEY  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define SIG  "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"

static enum dht_reason parse(const char *text, struct krpc_message *out_message)
{
	return dht_krpc_parse(text, strlen(text), out_message);
}

/* Source: BEP-5, BEP-44, BEP-51 for what is right; each refusal by its own reason. */
static const struct {
	const char *text;
	enum dht_reason want; /* of dht_krpc_parse, else the message's fault */
	const char *why;
} queries[] = {
	{"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe", DHT_ANSWERED, "the ping of BEP-5"},
	{"d1:ad2:id20:" ID "6:target20:" HASH "e1:q9:find_node1:t2:aa1:y1:qe", DHT_ANSWERED,
	 "the find_node of BEP-5"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH "e1:q9:get_peers1:t2:aa1:y1:qe", DHT_ANSWERED,
	 "the get_peers of BEP-5"},
	{"d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" HASH
	 "4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_ANSWERED, "the announce_peer of BEP-5"},
	{"d1:ad2:id20:" ID
	 "5:novel3:yese5:extrad1:ale1:bi0ee1:q4:ping2:roi0e1:t1:a1:v4:TEST1:y1:qe",
	 DHT_ANSWERED, "keys nobody knows"},
	{"d1:ad2:id20:" ID "6:target20:" HASH "e1:q3:get1:t1:a1:y1:qe", DHT_ANSWERED, "a get"},
	{"d1:ad2:id20:" ID "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe", DHT_ANSWERED,
	 "a put of an immutable item"},
	{"d1:ad3:casi1e2:id20:" ID "1:k32:" KEY "4:salt3:abc3:seqi2e3:sig64:" SIG
	 "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_ANSWERED, "a put of a mutable item"},
	{"d1:ad2:id20:" ID "6:target20:" HASH "e1:q17:sample_infohashes1:t1:a1:y1:qe", DHT_ANSWERED,
	 "a sample_infohashes"},
	{"d1:ad2:id20:" ID "6:target20:" HASH "e1:q5:novel1:t1:a1:y1:qe", DHT_ANSWERED,
	 "an unknown method with a target is as find_node"},
	{"d1:ad2:id20:" ID "e1:q5:novel1:t1:a1:y1:qe", DHT_UNKNOWN_METHOD,
	 "an unknown method without"},
	{"d1:ade1:q4:ping1:t2:aa1:y1:qe", DHT_NO_ID, "no id"},
	{"d1:ad2:id19:bcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", DHT_NO_ID, "an id of 19"},
	{"d1:ad2:id21:x" ID "e1:q4:ping1:t2:aa1:y1:qe", DHT_NO_ID, "an id of 21"},
	{"d1:ad2:idi7ee1:q4:ping1:t2:aa1:y1:qe", DHT_NO_ID, "an id that is a number"},
	{"d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe", DHT_BAD_TARGET, "no target"},
	{"d1:ad2:id20:" ID "6:target19:nopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
	 DHT_BAD_TARGET, "a target of 19"},
	{"d1:ad2:id20:" ID "6:target20:" HASH "e1:q9:get_peers1:t2:aa1:y1:qe", DHT_BAD_TARGET,
	 "get_peers with a target and no info_hash"},
	{"d1:ad2:id20:" ID "9:info_hash21:x" HASH "e1:q9:get_peers1:t2:aa1:y1:qe", DHT_BAD_TARGET,
	 "an info_hash of 21"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH
	 "4:porti0e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_BAD_PORT, "port 0"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH
	 "4:porti65535e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_ANSWERED, "port 65535"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH
	 "4:porti65536e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_BAD_PORT, "port 65536"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH
	 "4:porti-1e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_BAD_PORT, "a port below 0"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH
	 "4:port2:805:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_BAD_PORT, "a port that is a string"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH "5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_BAD_PORT, "no port"},
	{"d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" HASH
	 "5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_ANSWERED, "no port, and implied_port"},
	{"d1:ad2:id20:" ID "9:info_hash20:" HASH "4:porti1ee1:q13:announce_peer1:t2:aa1:y1:qe",
	 DHT_NO_TOKEN, "an announce without token"},
	{"d1:ad2:id20:" ID "1:v5:helloe1:q3:put1:t1:a1:y1:qe", DHT_NO_TOKEN, "a put without token"},
	{"d1:ad2:id20:" ID "5:tokeni1e1:v5:helloe1:q3:put1:t1:a1:y1:qe", DHT_BAD_TOKEN,
	 "a token that is a number"},
	{"d1:ad2:id20:" ID "5:token1:xe1:q3:put1:t1:a1:y1:qe", DHT_NO_VALUE, "a put without v"},
	{"d1:ad2:id20:" ID "1:k31:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk3:seqi2e3:sig64:" SIG
	 "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_BAD_KEY, "a key of 31"},
	{"d1:ad2:id20:" ID "1:k33:k" KEY "3:seqi2e3:sig64:" SIG
	 "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_BAD_KEY, "a key of 33"},
	{"d1:ad2:id20:" ID "1:k32:" KEY "3:seqi2e3:sig65:s" SIG
	 "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_BAD_SIGNATURE, "a signature of 65"},
	{"d1:ad2:id20:" ID "1:k32:" KEY "3:seqi2e5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_BAD_SIGNATURE, "a key without signature"},
	{"d1:ad2:id20:" ID "1:k32:" KEY "3:sig64:" SIG "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_NO_SEQ, "a key without seq"},
	{"d1:ad2:id20:" ID "1:k32:" KEY "3:seq1:13:sig64:" SIG
	 "5:token1:x1:v5:helloe1:q3:put1:t1:a1:y1:qe",
	 DHT_NO_SEQ, "a seq that is a string"},
	{"d1:ad2:id20:" ID "5:nodes25:1234567890123456789012345e1:q4:ping1:t1:a1:y1:qe",
	 DHT_BAD_ARGUMENT, "nodes that are no whole number"},
	{"d1:ad2:id20:" ID "4:want2:n4e1:q4:ping1:t1:a1:y1:qe", DHT_BAD_ARGUMENT,
	 "want that is no list"},
	{"d1:q4:ping1:t2:aa1:y1:qe", DHT_NOT_KRPC, "no arguments"},
	{"d1:ale1:q4:ping1:t2:aa1:y1:qe", DHT_NOT_KRPC, "arguments that are a list"},
	{"d1:ad2:id20:" ID "e1:t2:aa1:y1:qe", DHT_NOT_KRPC, "no method"},
	{"d1:ad2:id20:" ID "e1:qi1e1:t2:aa1:y1:qe", DHT_NOT_KRPC, "a method that is a number"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:y1:qe", DHT_NOT_KRPC, "no transaction id"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t0:1:y1:qe", DHT_NOT_KRPC, "an empty one"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:ti5e1:y1:qe", DHT_NOT_KRPC, "one that is a number"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t32:12345678901234567890123456789012"
	 "1:y1:qe",
	 DHT_ANSWERED, "one of 32"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t33:123456789012345678901234567890123"
	 "1:y1:qe",
	 DHT_LONG_TRANSACTION, "one of 33"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:xe", DHT_NOT_KRPC, "y of no meaning"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t2:aae", DHT_NOT_KRPC, "no y"},
	{"de", DHT_NOT_KRPC, "an empty dictionary"},
	{"le", DHT_NOT_BENCODE, "a list"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:y1:q1:t2:aae", DHT_NOT_BENCODE, "keys out of order"},
	{"d1:ad2:id20:" ID "2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe", DHT_NOT_BENCODE, "two ids"},
	{"d1:ad2:id020:" ID "e1:q4:ping1:t2:aa1:y1:qe", DHT_NOT_BENCODE, "a length with a zero"},
	{"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qex", DHT_NOT_BENCODE, "a byte behind it"},
	{"d1:eli203e3:abce1:t2:aa1:y1:ee", DHT_ANSWERED, "an error"},
	{"d1:ele1:t2:aa1:y1:ee", DHT_ANSWERED, "an error that says nothing"},
	{"d1:t2:aa1:y1:ee", DHT_NOT_KRPC, "an error without its list"},
	{"d1:rd2:id20:" ID "e1:t2:aa1:y1:re", DHT_ANSWERED, "the pong of BEP-5"},
	{"d1:rde1:t2:aa1:y1:re", DHT_SHORT_REPLY, "a reply without id"},
	{"d1:rd2:id20:" ID "5:nodes27:123456789012345678901234567e1:t2:aa1:y1:re", DHT_SHORT_REPLY,
	 "a reply with nodes of 27"},
	{"d1:rd2:id20:" ID "6:nodes637:1234567890123456789012345678901234567e1:t2:aa1:y1:re",
	 DHT_SHORT_REPLY, "a reply with nodes6 of 37"},
	{"d1:rd2:id20:" ID "6:values6:123456e1:t2:aa1:y1:re", DHT_SHORT_REPLY,
	 "values that are no list"},
	{"d1:t2:aa1:y1:re", DHT_NOT_KRPC, "a reply without values"},
};

static void test_every_message_is_taken_or_refused_by_its_reason(void)
{
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct krpc_message message;
		enum dht_reason got = parse(queries[i].text, &message);

		if (got == DHT_ANSWERED)
			got = message.fault;
		if (got != queries[i].want) {
			printf("# row %s (%s): %s\n", queries[i].why, queries[i].text,
			       dht_reasons[got].word);
			CHECK_EQ(got, queries[i].want);
		}
	}
}

static void test_every_prefix_is_no_bencode(void)
{
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		size_t len = strlen(queries[i].text);

		if (queries[i].want == DHT_NOT_BENCODE)
			continue;
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1);
			struct krpc_message message;
			enum dht_reason got;

			memcpy(exact, queries[i].text, cut);
			got = dht_krpc_parse(exact, cut, &message);
			free(exact);
			CHECK_EQ(got, DHT_NOT_BENCODE);
		}
	}
}

static bool span_is(const struct bencode_span *span, const char *text)
{
	return bencode_is(span, text);
}

static void test_a_written_query_is_read_back(void)
{
	struct krpc_query query = {
		.method = KRPC_PUT,
		.transaction = {(const uint8_t *)"abcd", 4},
		.is_read_only = true,
		.want = KRPC_WANT_IPV4 | KRPC_WANT_IPV6,
		.token = {(const uint8_t *)"tok", 3},
		.value = {(const uint8_t *)"5:hello", 7},
		.key = {(const uint8_t *)KEY, 32},
		.sig = {(const uint8_t *)SIG, 64},
		.salt = {(const uint8_t *)"na", 2},
		.has_seq = true,
		.has_cas = true,
		.seq = 7,
		.cas = 6,
	};
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));
	struct krpc_message got;

	memcpy(query.id.bytes, ID, 20);
	dht_krpc_write_query(&w, &query);
	CHECK(!w.bad);
	CHECK_EQ(dht_krpc_parse(buf, writer_len(&w), &got), DHT_ANSWERED);
	CHECK_EQ(got.fault, DHT_ANSWERED);
	CHECK_EQ(got.kind, KRPC_QUERY);
	CHECK_EQ(got.method, KRPC_PUT);
	CHECK(got.is_read_only);
	CHECK_EQ(got.want, query.want);
	CHECK(span_is(&got.transaction, "abcd") && span_is(&got.token, "tok"));
	CHECK(span_is(&got.value, "5:hello") && span_is(&got.salt, "na"));
	CHECK(span_is(&got.key, KEY) && span_is(&got.sig, SIG));
	CHECK(got.has_seq && got.seq == 7 && got.has_cas && got.cas == 6);
	CHECK_MEM(got.id.bytes, ID, 20);
}

/* Source: the examples of BEP-5, written by us byte by byte as they stand there. */
static void test_queries_are_written_as_published(void)
{
	static const struct {
		enum krpc_method method;
		const char *want;
	} rows[] = {
		{KRPC_PING, "d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe"},
		{KRPC_FIND_NODE,
		 "d1:ad2:id20:" ID "6:target20:" HASH "e1:q9:find_node1:t2:aa1:y1:qe"},
		{KRPC_GET_PEERS,
		 "d1:ad2:id20:" ID "9:info_hash20:" HASH "e1:q9:get_peers1:t2:aa1:y1:qe"},
		{KRPC_ANNOUNCE_PEER,
		 "d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" HASH
		 "4:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct krpc_query query = {
			.method = rows[i].method,
			.transaction = {(const uint8_t *)"aa", 2},
		};
		uint8_t buf[256];
		struct writer w = writer_of(buf, sizeof(buf));

		memcpy(query.id.bytes, ID, 20);
		memcpy(query.target.bytes, HASH, 20);
		if (query.method == KRPC_ANNOUNCE_PEER) {
			query.is_port_implied = true;
			query.port = 6881;
			query.token = (struct bencode_span){(const uint8_t *)"aoeusnth", 8};
		}
		dht_krpc_write_query(&w, &query);
		CHECK_EQ(writer_len(&w), strlen(rows[i].want));
		CHECK_MEM(buf, rows[i].want, writer_len(&w));
	}
}

static void test_a_padded_get_is_longer_by_ignored_bytes(void)
{
	struct krpc_query query = {
		.method = KRPC_GET,
		.transaction = {(const uint8_t *)"aa", 2},
		.pad_len = 100,
	};
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));
	struct krpc_message got;

	dht_krpc_write_query(&w, &query);
	CHECK(writer_len(&w) > 180);
	CHECK_EQ(dht_krpc_parse(buf, writer_len(&w), &got), DHT_ANSWERED);
	CHECK_EQ(got.fault, DHT_ANSWERED);
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static size_t reply_write(uint8_t *buf, size_t cap)
{
	const struct addr peers[2] = {addr_of("198.51.100.7:6881"), addr_of("[2001:db8::7]:6882")};
	struct krpc_reply reply = {
		.transaction = {(const uint8_t *)"aa", 2},
		.asker = addr_of("192.0.2.1:7000"),
		.nodes = {(const uint8_t *)"abcdefghij0123456789AAAABB", 26},
		.nodes6 = {(const uint8_t *)"abcdefghij0123456789AAAAAAAAAAAAAAAABB", 38},
		.token = {(const uint8_t *)"tok", 3},
		.peers = peers,
		.peer_cnt = 2,
		.value = {(const uint8_t *)"i5e", 3},
		.key = {(const uint8_t *)KEY, 32},
		.sig = {(const uint8_t *)SIG, 64},
		.has_seq = true,
		.seq = 9,
		.has_samples = true,
		.interval = 21600,
		.num = 3,
	};
	struct writer w = writer_of(buf, cap);

	memcpy(reply.id.bytes, HASH, 20);
	dht_krpc_write_reply(&w, &reply);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_written_reply_is_read_back(void)
{
	uint8_t buf[512];
	size_t len = reply_write(buf, sizeof(buf));
	struct krpc_message got;
	struct bencode_reader iter;
	struct addr addr, want = addr_of("192.0.2.1:7000");
	struct cursor c;
	struct kad_id id;

	CHECK_EQ(dht_krpc_parse(buf, len, &got), DHT_ANSWERED);
	CHECK_EQ(got.fault, DHT_ANSWERED);
	CHECK_EQ(got.kind, KRPC_REPLY);
	CHECK(dht_krpc_peer_read(&got.external, &addr) && addr_equal(&addr, &want));
	CHECK(span_is(&got.token, "tok") && span_is(&got.value, "i5e"));
	CHECK(got.has_seq && got.seq == 9 && got.interval == 21600 && got.num == 3);
	c = cursor_of(got.nodes.data, got.nodes.len);
	want = addr_of("65.65.65.65:16962");
	CHECK(dht_krpc_node_read(&c, ADDR_IPV4, &id, &addr));
	CHECK_MEM(id.bytes, ID, 20);
	CHECK(addr_equal(&addr, &want));
	CHECK(!dht_krpc_node_read(&c, ADDR_IPV4, &id, &addr));
	c = cursor_of(got.nodes6.data, got.nodes6.len);
	CHECK(dht_krpc_node_read(&c, ADDR_IPV6, &id, &addr));
	CHECK_EQ(addr.port, 16962);
	dht_krpc_peers_begin(&got, &iter);
	want = addr_of("198.51.100.7:6881");
	CHECK(dht_krpc_peers_next(&iter, &addr) && addr_equal(&addr, &want));
	want = addr_of("[2001:db8::7]:6882");
	CHECK(dht_krpc_peers_next(&iter, &addr) && addr_equal(&addr, &want));
	CHECK(!dht_krpc_peers_next(&iter, &addr));
}

static void test_a_full_writer_stays_bad(void)
{
	uint8_t buf[512];
	size_t len = reply_write(buf, sizeof(buf));

	for (size_t cap = 0; cap < len; cap++)
		CHECK_EQ(reply_write(buf, cap), 0);
}

static void test_peers_of_other_lengths_are_stepped_over(void)
{
	struct krpc_message message;
	struct bencode_reader iter;
	struct addr addr, want = addr_of("65.66.67.68:17734");

	CHECK_EQ(parse("d1:rd2:id20:" ID "6:valuesl0:5:12345i7ele6:ABCDEF7:1234567e"
		       "e1:t2:aa1:y1:re",
		       &message),
		 DHT_ANSWERED);
	dht_krpc_peers_begin(&message, &iter);
	CHECK(dht_krpc_peers_next(&iter, &addr) && addr_equal(&addr, &want));
	CHECK(!dht_krpc_peers_next(&iter, &addr));
	CHECK_EQ(parse("d1:rd2:id20:" ID "e1:t2:aa1:y1:re", &message), DHT_ANSWERED);
	dht_krpc_peers_begin(&message, &iter);
	CHECK(!dht_krpc_peers_next(&iter, &addr));
}

static void test_errors_carry_code_and_words_of_their_reason(void)
{
	const struct bencode_span transaction = {(const uint8_t *)"aa", 2};
	const struct addr asker = addr_of("192.0.2.1:7000");

	for (unsigned reason = 0; reason < DHT_REASON_CNT; reason++) {
		uint8_t buf[256];
		struct writer w = writer_of(buf, sizeof(buf));
		struct krpc_message got;

		CHECK(dht_reasons[reason].word[0] != '\0');
		if (!dht_reasons[reason].code)
			continue;
		dht_krpc_write_error(&w, &transaction, &asker, (enum dht_reason)reason);
		CHECK_EQ(dht_krpc_parse(buf, writer_len(&w), &got), DHT_ANSWERED);
		CHECK_EQ(got.kind, KRPC_ERROR);
		CHECK_EQ(got.error_code, dht_reasons[reason].code);
		CHECK(span_is(&got.error_text, dht_reasons[reason].text));
		CHECK(span_is(&got.transaction, "aa"));
	}
}

int main(void)
{
	RUN(test_every_message_is_taken_or_refused_by_its_reason);
	RUN(test_every_prefix_is_no_bencode);
	RUN(test_a_written_query_is_read_back);
	RUN(test_queries_are_written_as_published);
	RUN(test_a_padded_get_is_longer_by_ignored_bytes);
	RUN(test_a_written_reply_is_read_back);
	RUN(test_a_full_writer_stays_bad);
	RUN(test_peers_of_other_lengths_are_stepped_over);
	RUN(test_errors_carry_code_and_words_of_their_reason);
	return check_done();
}
