/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of DHT questions that the BPF program answers, and its answers:
 * against a writer and a reader that work letter by letter.
 */
#include <arpa/inet.h>

#include "support/check.h"
#include "weft/krpc.h"

#define ID     "abcdefghij0123456789"
#define TARGET "mnopqrstuvwxyz123456"

static bool read_text(const void *bytes, size_t len, struct weft_krpc_query *out_query)
{
	struct weft_krpc_text text;

	/* What follows the datagram does not matter. */
	memset(&text, '1', sizeof(text));
	memcpy(&text, bytes, len < sizeof(text) ? len : sizeof(text));
	return weft_krpc_query_read(&text, (__u32)len, WEFT_KRPC_IPV4, out_query);
}

#define PING	  "d1:ad2:id20:" ID "e1:q4:ping"
#define FIND	  "d1:ad2:id20:" ID "6:target20:" TARGET
#define FIND_NODE FIND "e1:q9:find_node"
#define GET_PEERS "d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q9:get_peers"
#define GET	  FIND "e1:q3:get"

static const struct {
	const char *text;
	enum weft_krpc_kind kind;
	enum weft_krpc_family family;
	bool is_read_only;
	const char *transaction;
} good[] = {
	/* clang-format off */
	{ PING "1:t2:aa1:y1:qe", WEFT_KRPC_PING, WEFT_KRPC_IPV4, false, "aa" },
	{ PING "1:t1:a1:y1:qe", WEFT_KRPC_PING, WEFT_KRPC_IPV4, false, "a" },
	{ PING "2:roi1e1:t8:12345678" "1:v4:LT201:y1:qe", WEFT_KRPC_PING, WEFT_KRPC_IPV4, true, "12345678" },
	{ FIND_NODE "1:t4:fn001:y1:qe", WEFT_KRPC_FIND_NODE, WEFT_KRPC_IPV4, false, "fn00" },
	{ FIND "4:wantl2:n4ee1:q9:find_node1:t4:fn001:y1:qe", WEFT_KRPC_FIND_NODE, WEFT_KRPC_IPV4, false, "fn00" },
	{ FIND "4:wantl2:n6ee1:q9:find_node1:t4:fn001:y1:qe", WEFT_KRPC_FIND_NODE, WEFT_KRPC_IPV6, false, "fn00" },
	{ GET_PEERS "1:t2:gp1:y1:qe", WEFT_KRPC_GET_PEERS, WEFT_KRPC_IPV4, false, "gp" },
	{ GET_PEERS "1:t3:gp11:v4:UT1:1:y1:qe", WEFT_KRPC_GET_PEERS, WEFT_KRPC_IPV4, false, "gp1" },
	{ "d1:ad2:id20:" ID "9:info_hash20:" TARGET "4:wantl2:n6ee1:q9:get_peers2:roi1e1:t8:ABCDEFGH1:v4:abcd1:y1:qe",
	  WEFT_KRPC_GET_PEERS, WEFT_KRPC_IPV6, true, "ABCDEFGH" },
	{ GET "1:t1:g1:y1:qe", WEFT_KRPC_GET, WEFT_KRPC_IPV4, false, "g" },
	{ FIND "4:wantl2:n6ee1:q3:get2:roi1e1:t1:g1:v4:abcd1:y1:qe", WEFT_KRPC_GET, WEFT_KRPC_IPV6, true, "g" },
	/* clang-format on */
};
#define GOOD_CNT (sizeof(good) / sizeof(good[0]))

static void test_usual_questions_are_read(void)
{
	size_t len_min = SIZE_MAX, len_max = 0;

	for (size_t i = 0; i < GOOD_CNT; i++) {
		size_t len = strlen(good[i].text), t_len = strlen(good[i].transaction);
		struct weft_krpc_query query;

		printf("# %s\n", good[i].text);
		CHECK(read_text(good[i].text, len, &query));
		CHECK_EQ(query.kind, good[i].kind);
		CHECK_EQ(query.family, good[i].family);
		CHECK_EQ(query.is_read_only, good[i].is_read_only);
		CHECK_EQ(query.transaction_len, t_len);
		CHECK_MEM(&query.transaction, good[i].transaction, t_len);
		CHECK(t_len == 8 || query.transaction >> 8 * t_len == 0);
		if (query.kind != WEFT_KRPC_PING)
			CHECK_MEM(query.target.bytes, TARGET "\0\0\0\0", 24);
		len_min = len < len_min ? len : len_min;
		len_max = len > len_max ? len : len_max;
	}
	CHECK_EQ(len_min, WEFT_KRPC_QUERY_LEN_MIN);
	CHECK_EQ(len_max, WEFT_KRPC_QUERY_LEN_MAX);
}

static void test_anything_else_is_unusual(void)
{
	static const char *const rows[] = {
		/* Wrong, or right and rare: both are for the strict reader. */
		PING "1:t0:1:y1:qe",
		PING "1:t9:1234567891:y1:qe",
		PING "1:t02:aa1:y1:qe",
		PING "1:t2:aa1:y1:q",
		PING "1:t2:aa1:y1:qee",
		PING "1:t2:aa1:y1:re",
		PING "1:t2:aa1:v5:abcde1:y1:qe",
		PING "1:t2:aa1:v4:abcd1:v4:abcd1:y1:qe",
		PING "2:roi0e1:t2:aa1:y1:qe",
		PING "2:roi1e2:roi1e1:t2:aa1:y1:qe",
		PING "1:y1:q1:t2:aae",
		"d1:ad2:id19:" ID "e1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "4:wantl2:n4ee1:q4:ping1:t2:aa1:y1:qe",
		"d1:rd2:id20:" ID "e1:t2:aa1:y1:re"
		"..............",
		FIND "e1:q4:ping1:t2:aa1:y1:qe",
		FIND "e1:q9:get_peers1:t2:aa1:y1:qe",
		FIND "4:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
		FIND "4:wantlee1:q9:find_node1:t2:aa1:y1:qe",
		FIND "4:wantl2:n5ee1:q9:find_node1:t2:aa1:y1:qe",
		FIND "e1:q3:put1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "3:seqi5e6:target20:" TARGET "e1:q3:get1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "9:info_hash20:" TARGET
		"6:scrapei1ee1:q9:get_peers1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q9:find_node1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "9:info_hash20:" TARGET "e1:q3:get1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "6:target21:" TARGET "xe1:q9:find_node1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "9:info_hash21:" TARGET "xe1:q9:get_peers1:t2:aa1:y1:qe",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct weft_krpc_query query;

		printf("# %s\n", rows[i]);
		CHECK(!read_text(rows[i], strlen(rows[i]), &query));
	}
}

static void test_no_part_of_a_question_is_one(void)
{
	for (size_t i = 0; i < GOOD_CNT; i++) {
		size_t whole = strlen(good[i].text);
		struct weft_krpc_query query;

		for (size_t len = 0; len < whole; len++)
			CHECK(!read_text(good[i].text, len, &query));
	}
}

/* Whether the byte at off of a good question may be any. */
static bool is_free(const char *text, size_t off)
{
	const char *t = strstr(text + 32, "1:t"), *v = strstr(text + 32, "1:v4:");
	size_t t_at = (size_t)(t - text) + 5, v_at = v ? (size_t)(v - text) + 5 : 0;
	const char *target = strstr(text, TARGET);

	return (off >= 12 && off < 32) ||
	       (target && off >= (size_t)(target - text) && off < (size_t)(target - text) + 20) ||
	       (off >= t_at && off < t_at + (size_t)(t[3] - '0')) ||
	       (v && off >= v_at && off < v_at + 4);
}

/* One byte makes no other question of it, but for n4 and n6. */
static void test_each_byte_of_the_form_counts(void)
{
	for (size_t i = 0; i < GOOD_CNT; i++) {
		size_t len = strlen(good[i].text);
		struct weft_krpc_query query;
		char text[256];

		for (size_t off = 0; off < len; off++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				memcpy(text, good[i].text, len);
				if (is_free(text, off) || (char)byte == text[off] ||
				    (off && text[off - 1] == 'n' && (byte == '4' || byte == '6')))
					continue;
				text[off] = (char)byte;
				CHECK(!read_text(text, len, &query));
			}
		}
	}
}

static struct weft_endpoint asker_of(bool is_ipv4)
{
	struct weft_endpoint asker = {.port_be = htons(6881)};

	if (is_ipv4)
		weft_endpoint_set_ipv4(&asker, (const __u8 *)"\xc0\x00\x02\x01");
	else
		weft_endpoint_set_ipv6(&asker, (const __u8 *)"\x20\x01\x0d\xb8"
							     "abcdefghijkl");
	return asker;
}

static size_t append(uint8_t *to, size_t off, const void *bytes, size_t len)
{
	memcpy(to + off, bytes, len);
	return off + len;
}

#define APPEND(literal) off = append(want, off, literal, sizeof(literal) - 1)

/* The answer, letter by letter. */
static size_t answer_of(size_t i, const struct weft_endpoint *asker, unsigned node_cnt,
			uint8_t *want)
{
	static uint8_t nodes[8 * 38];
	bool is_ipv4 = weft_endpoint_is_ipv4(asker);
	size_t len = node_cnt * (good[i].family == WEFT_KRPC_IPV4 ? 26u : 38u), off = 0;
	char number[16];

	memset(nodes, 'N', sizeof(nodes));
	if (is_ipv4) {
		APPEND("d2:ip6:");
		off = append(want, off, asker->addr + 12, 4);
	} else {
		APPEND("d2:ip18:");
		off = append(want, off, asker->addr, 16);
	}
	APPEND("\x1a\xe1"
	       "1:rd2:id20:" ID);
	if (good[i].kind != WEFT_KRPC_PING) {
		if (good[i].family == WEFT_KRPC_IPV4)
			APPEND("5:nodes");
		else
			APPEND("6:nodes6");
		off = append(want, off, number,
			     (size_t)snprintf(number, sizeof(number), "%zu:", len));
		off = append(want, off, nodes, len);
	}
	if (good[i].kind == WEFT_KRPC_GET || good[i].kind == WEFT_KRPC_GET_PEERS)
		APPEND("5:token8:TOKENTOK");
	APPEND("e1:t");
	off = append(want, off, number,
		     (size_t)snprintf(number, sizeof(number), "%zu:", strlen(good[i].transaction)));
	off = append(want, off, good[i].transaction, strlen(good[i].transaction));
	APPEND("1:y1:re");
	return off;
}

static void test_answers_letter_by_letter(void)
{
	uint8_t compact[8 * 38], want[512];
	struct weft_krpc_id own;

	memset(compact, 'N', sizeof(compact));
	weft_krpc_id_load(&own, (const __u8 *)ID "    ");
	for (size_t i = 0; i < GOOD_CNT * 2 * 9; i++) {
		size_t row = i / 18, len = strlen(good[row].text), want_len;
		unsigned node_cnt = (unsigned)(i / 2 % 9);
		struct weft_endpoint asker = asker_of(i & 1);
		struct weft_krpc_draft draft;
		struct weft_krpc_nodes nodes;
		struct weft_krpc_query query;
		__u64 token;

		memcpy(&token, "TOKENTOK", sizeof(token));
		CHECK(read_text(good[row].text, len, &query));
		weft_krpc_nodes_write(&nodes, query.family, compact, node_cnt);
		want_len = answer_of(row, &asker, node_cnt, want);
		weft_krpc_answer_write(&query, &asker, &own,
				       weft_krpc_has_nodes(&query) ? &nodes : NULL, token, &draft);
		CHECK_EQ(draft.len, want_len);
		CHECK_MEM(draft.bytes, want, want_len);
		CHECK(want_len <= WEFT_KRPC_GAIN_MAX * len);
		CHECK(want_len <= weft_krpc_answer_len_max(&query, i & 1));
		if (node_cnt == 8)
			CHECK_EQ(want_len, weft_krpc_answer_len_max(&query, i & 1));
	}
}

static void test_bucket_counts_shared_bits(void)
{
	struct weft_krpc_id own, other;

	weft_krpc_id_load(&own, (const __u8 *)ID "    ");
	CHECK_EQ(weft_krpc_bucket(&own, &own), 159);
	for (unsigned bit = 0; bit < 160; bit++) {
		other = own;
		for (unsigned i = bit; i < 160; i++)
			other.bytes[i / 8] ^= (uint8_t)(i == bit || i * 7 % 3 == 0) << (7 - i % 8);
		CHECK_EQ(weft_krpc_bucket(&own, &other), bit);
		CHECK_EQ(weft_krpc_bucket(&other, &own), bit);
	}
}

static void test_token_is_of_an_address_and_a_key(void)
{
	const __u64 key[2] = {1, 2}, other_key[2] = {1, 3};
	struct weft_endpoint asker = asker_of(true), other = asker_of(false);
	__u64 token = weft_krpc_token(key, &asker);

	CHECK(weft_krpc_token(key, &other) != token);
	CHECK(weft_krpc_token(other_key, &asker) != token);
	other = asker;
	other.port_be = 1;
	CHECK(weft_krpc_token(key, &other) == token);
	other.addr[15] ^= 1;
	CHECK(weft_krpc_token(key, &other) != token);
}

int main(void)
{
	RUN(test_usual_questions_are_read);
	RUN(test_anything_else_is_unusual);
	RUN(test_no_part_of_a_question_is_one);
	RUN(test_each_byte_of_the_form_counts);
	RUN(test_answers_letter_by_letter);
	RUN(test_bucket_counts_shared_bits);
	RUN(test_token_is_of_an_address_and_a_key);
	return check_done();
}
