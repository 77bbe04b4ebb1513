/* SPDX-License-Identifier: Apache-2.0 */
/* BEP-44 as its users see it: put and get by messages, and each refusal's code. */
#include "base/memory/arena.h"
#include "base/fair/load.h"
#include "crypto/node_key.h"
#include "dht/dht_state.h"
#include "dht/items/item.h"
#include "dht/items/items.h"
#include "dht/validated_addrs.h"
#include "support/check.h"
#include "support/dht_rig.h"
#include "support/hex_digits.h"

#define HELLO	    "12:Hello World!"
#define OTHER	    "12:Other World!"
#define UNVALIDATED "198.51.100.7:6881"

static struct dht_rig rig;
static struct node_key *author;
static uint8_t token[8], sig[NODE_KEY_SIG_LEN];
static struct addr asker;

static void rig_up(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	dht_rig_init(&rig);
	dht_rig_start(&rig);
	asker = dht_rig_addr(UNVALIDATED);
	(void)dht_rig_token(&rig, &asker, token);
	if (node_key_from_seed(seed, &author) < 0)
		abort();
	dht_validated_add(rig.dht->validated, &asker, rig.now_ns);
}

static void rig_down(void)
{
	node_key_free(author);
	dht_rig_fini(&rig);
}

static struct krpc_query immutable_put(const char *value)
{
	struct krpc_query query = dht_rig_query(KRPC_PUT);

	query.token = (struct bencode_span){token, sizeof(token)};
	query.value = dht_rig_span(value);
	return query;
}

/* Signs what query says as it stands. */
static void query_sign(struct krpc_query *query)
{
	const struct dht_item item = {
		.key = query->key.data,
		.salt = query->salt.data,
		.salt_len = query->salt.len,
		.value = query->value.data,
		.value_len = query->value.len,
		.seq = query->seq,
	};

	dht_item_sign(&item, author, sig);
	query->sig = (struct bencode_span){sig, sizeof(sig)};
}

static struct krpc_query mutable_put(const char *value, const char *salt, int64_t seq)
{
	struct krpc_query query = immutable_put(value);

	query.key = (struct bencode_span){node_key_public(author), NODE_KEY_LEN};
	if (salt[0])
		query.salt = dht_rig_span(salt);
	query.has_seq = true;
	query.seq = seq;
	query_sign(&query);
	return query;
}

static int64_t put(const struct krpc_query *query)
{
	return dht_rig_code(&rig, &asker, query);
}

static bool get(const struct kad_id *target, struct krpc_message *out_answer)
{
	struct krpc_query query = dht_rig_query(KRPC_GET);

	query.target = *target;
	return dht_rig_ask(&rig, &asker, &query, out_answer) && out_answer->value.data;
}

static struct kad_id target_of(const struct krpc_query *query)
{
	const struct dht_item item = {
		.key = query->key.data,
		.salt = query->salt.data,
		.salt_len = query->salt.len,
		.value = query->value.data,
		.value_len = query->value.len,
	};
	struct kad_id target;

	dht_item_target(&item, &target);
	return target;
}

/* Source: BEP-44, test vectors. */
static void test_the_published_items_are_taken_and_given_back(void)
{
	static const struct {
		const char *salt, *target, *sig;
	} rows[] = {
		{"", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
		 "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff"
		 "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"},
		{"foobar", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
		 "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d"
		 "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"},
	};
	uint8_t key[NODE_KEY_LEN];
	struct krpc_message answer;

	rig_up();
	hex_parse("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548", key);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct krpc_query query = immutable_put(HELLO);
		struct kad_id target;

		hex_parse(rows[i].target, target.bytes);
		hex_parse(rows[i].sig, sig);
		query.key = (struct bencode_span){key, sizeof(key)};
		query.sig = (struct bencode_span){sig, sizeof(sig)};
		query.salt = dht_rig_span(rows[i].salt);
		query.has_seq = true;
		query.seq = 1;
		CHECK_EQ(put(&query), 0);
		CHECK(kad_id_equal(&rig.held, &target));
		CHECK(get(&target, &answer));
		CHECK(bencode_is(&answer.value, HELLO));
		CHECK(answer.has_seq && answer.seq == 1);
		CHECK_MEM(answer.key.data, key, sizeof(key));
		CHECK_MEM(answer.sig.data, sig, sizeof(sig));
		CHECK(!answer.salt.data);
	}
	rig_down();
}

static void test_an_immutable_item_is_given_back_without_key_or_number(void)
{
	struct krpc_query query;
	struct krpc_message answer;
	struct kad_id target;

	rig_up();
	query = immutable_put(HELLO);
	hex_parse("e5f96f6f38320f0f33959cb4d3d656452117aadb", target.bytes);
	CHECK_EQ(put(&query), 0);
	CHECK(get(&target, &answer));
	CHECK(bencode_is(&answer.value, HELLO));
	CHECK(!answer.key.data && !answer.sig.data && !answer.has_seq);
	CHECK(answer.token.data && answer.nodes.data);
	rig_down();
}

/* A stored item of sequence number 5 meets a put; each limit met and exceeded by one. */
static void test_items_are_replaced_by_number_and_cas(void)
{
	static const struct {
		int64_t seq, cas; /* cas -1: none */
		const char *value;
		int64_t code;
		const char *left;
		const char *why;
	} rows[] = {
		{4, -1, OTHER, 302, HELLO, "a lower number"},
		{0, -1, OTHER, 302, HELLO, "the lowest"},
		{5, -1, HELLO, 0, HELLO, "the same again"},
		{5, -1, OTHER, 0, HELLO, "another value under the same number: taken as a word"},
		{6, -1, OTHER, 0, OTHER, "a higher number"},
		{6, 5, OTHER, 0, OTHER, "cas that is right"},
		{6, 4, OTHER, 301, HELLO, "cas that was"},
		{6, 6, OTHER, 301, HELLO, "cas that will be"},
		{4, 5, OTHER, 302, HELLO, "cas that is right and a lower number"},
		{INT64_MAX, -1, OTHER, 0, OTHER, "the highest number"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct krpc_message answer;
		struct krpc_query query;
		struct kad_id target;
		int64_t got;

		rig_up();
		query = mutable_put(HELLO, "salt", 5);
		CHECK_EQ(put(&query), 0);
		target = target_of(&query);
		query = mutable_put(rows[i].value, "salt", rows[i].seq);
		query.has_cas = rows[i].cas >= 0;
		query.cas = rows[i].cas;
		got = put(&query);
		if (got != rows[i].code)
			printf("# row %s\n", rows[i].why);
		CHECK_EQ(got, rows[i].code);
		CHECK(get(&target, &answer));
		CHECK(bencode_is(&answer.value, rows[i].left));
		rig_down();
	}
}

static void test_refusals_count_by_reason(void)
{
	struct krpc_query query;

	rig_up();
	query = mutable_put(HELLO, "", 5);
	CHECK_EQ(put(&query), 0);
	query = mutable_put(OTHER, "", 5);
	CHECK_EQ(put(&query), 0);
	CHECK_EQ(dht_rig_count(&rig, DHT_STORED), 1);
	CHECK_EQ(dht_rig_count(&rig, DHT_EQUAL_SEQ), 1);
	query = mutable_put(OTHER, "", 4);
	CHECK_EQ(put(&query), 302);
	CHECK_EQ(dht_rig_count(&rig, DHT_OLD_SEQ), 1);
	query = mutable_put(OTHER, "", 6);
	query.has_cas = true;
	query.cas = 9;
	CHECK_EQ(put(&query), 301);
	CHECK_EQ(dht_rig_count(&rig, DHT_CAS_MISMATCH), 1);
	query.has_cas = false;
	sig[0] ^= 1;
	CHECK_EQ(put(&query), 206);
	CHECK_EQ(dht_rig_count(&rig, DHT_BAD_SIGNATURE), 1);
	rig_down();
}

/* The bencoded value counts: 996 bytes of string make 1000. */
static void test_a_value_of_1000_bytes_is_taken_and_1001_not(void)
{
	for (size_t over = 0; over < 2; over++) {
		uint8_t value[1024];
		struct writer w = writer_of(value, sizeof(value));
		struct krpc_query query;
		int64_t want = over ? 205 : 0;

		rig_up();
		bencode_write_head(&w, 996 + over);
		memset(w.pos, 'v', 996 + over);
		query = immutable_put("0:");
		query.value = (struct bencode_span){value, 1000 + over};
		CHECK_EQ(put(&query), want);
		query = mutable_put("0:", "", 1);
		query.value = (struct bencode_span){value, 1000 + over};
		query_sign(&query);
		CHECK_EQ(put(&query), want);
		CHECK_EQ(dht_rig_count(&rig, DHT_LONG_VALUE), 2 * over);
		rig_down();
	}
}

static void test_a_salt_of_64_bytes_is_taken_and_65_not(void)
{
	static const char salt[] =
		"0123456789012345678901234567890123456789012345678901234567890123x";
	struct krpc_query query;

	rig_up();
	query = mutable_put(HELLO, "", 1);
	query.salt = (struct bencode_span){(const uint8_t *)salt, 64};
	query_sign(&query);
	CHECK_EQ(put(&query), 0);
	query.salt.len = 65;
	CHECK_EQ(put(&query), 207);
	CHECK_EQ(dht_rig_count(&rig, DHT_LONG_SALT), 1);
	rig_down();
}

static void test_a_negative_number_is_refused(void)
{
	struct krpc_query query;

	rig_up();
	query = mutable_put(HELLO, "", 1);
	query.seq = -1;
	CHECK_EQ(put(&query), 203);
	CHECK_EQ(dht_rig_count(&rig, DHT_NO_SEQ), 1);
	rig_down();
}

/* The order of the group added to S: the same equation holds, and it is another signature. */
static void test_a_signature_that_is_not_canonical_is_refused(void)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,	      0x63,
					  0x12, 0x58, 0xd6, 0x9c, 0xf7,	      0xa2,
					  0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	struct krpc_query query;
	unsigned carry = 0;

	rig_up();
	query = mutable_put(HELLO, "", 1);
	for (unsigned i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	CHECK_EQ(put(&query), 206);
	rig_down();
}

static void test_every_bit_that_is_signed_counts(void)
{
	struct krpc_query query;
	char value[] = HELLO, salt[] = "salt";

	rig_up();
	query = mutable_put(HELLO, "salt", 5);
	query.seq = 6;
	CHECK_EQ(put(&query), 206);
	query.seq = 5;
	query.value = dht_rig_span(value);
	value[8] ^= 1;
	CHECK_EQ(put(&query), 206);
	value[8] ^= 1;
	query.salt = dht_rig_span(salt);
	salt[0] ^= 1;
	CHECK_EQ(put(&query), 206);
	salt[0] ^= 1;
	CHECK_EQ(put(&query), 0);
	rig_down();
}

static void test_salts_are_slots_of_their_own(void)
{
	struct krpc_query first, second;
	struct krpc_message answer;
	struct kad_id target;

	rig_up();
	first = mutable_put(HELLO, "a", 9);
	CHECK_EQ(put(&first), 0);
	second = mutable_put(OTHER, "b", 1);
	CHECK_EQ(put(&second), 0);
	target = target_of(&first);
	CHECK(get(&target, &answer) && bencode_is(&answer.value, HELLO));
	target = target_of(&second);
	CHECK(get(&target, &answer) && bencode_is(&answer.value, OTHER));
	rig_down();
}

static void test_a_get_with_seq_is_given_what_is_newer_alone(void)
{
	struct krpc_query query;
	struct krpc_message answer;
	struct kad_id target;

	rig_up();
	query = mutable_put(HELLO, "", 5);
	CHECK_EQ(put(&query), 0);
	target = target_of(&query);
	for (int64_t seq = 4; seq <= 6; seq++) {
		query = dht_rig_query(KRPC_GET);
		query.target = target;
		query.has_seq = true;
		query.seq = seq;
		CHECK(dht_rig_ask(&rig, &asker, &query, &answer));
		CHECK_EQ(answer.value.data != NULL, seq < 5);
		CHECK_EQ(answer.key.data != NULL, seq < 5);
		CHECK_EQ(answer.sig.data != NULL, seq < 5);
		CHECK(answer.has_seq && answer.seq == 5);
	}
	rig_down();
}

static void test_items_stay_two_hours_from_the_last_put(void)
{
	struct krpc_query query;
	struct krpc_message answer;
	struct kad_id target;

	rig_up();
	query = mutable_put(HELLO, "", 5);
	target = target_of(&query);
	CHECK_EQ(put(&query), 0);
	rig.now_ns += DHT_ITEM_LIFE_NS / 2;
	/* The token is of another time; the store does not ask for it. */
	const struct dht_item item = {
		.key = query.key.data,
		.sig = query.sig.data,
		.value = query.value.data,
		.value_len = query.value.len,
		.seq = query.seq,
	};
	const struct dht_items_put again = {.item = &item, .source = &asker};
	struct kad_id where;

	CHECK_EQ(dht_items_put(rig.dht->sides[0].items, &again, rig.now_ns, &where), DHT_STORED);
	rig.now_ns += DHT_ITEM_LIFE_NS - 1;
	dht_expire(rig.dht, rig.now_ns);
	CHECK(get(&target, &answer));
	rig.now_ns += 1;
	dht_expire(rig.dht, rig.now_ns);
	CHECK(!get(&target, &answer));
	rig_down();
}

/* --- a refused writer is named --- */

static struct arena arena;
static struct load load;

static void rig_up_with(const struct dht_config *config)
{
	static const uint64_t secret[2] = {1, 2};

	dht_rig_init(&rig);
	rig.config = *config;
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    load_init(&load, &arena, LOAD_LINE_CNT, secret) < 0)
		abort();
	rig.load = &load;
	dht_rig_start(&rig);
	asker = dht_rig_addr(UNVALIDATED);
	(void)dht_rig_token(&rig, &asker, token);
}

static void rig_down_with(void)
{
	dht_rig_fini(&rig);
	arena_close(&arena);
}

/* The asker's refusals by pool. */
static const struct refusal *refusal_of(const char *pool)
{
	const struct refused who = refused_of_addr(&asker);
	const struct refusal *row = NULL;

	while ((row = refusals_next(&load.refusals, row)))
		if (refused_equal(&row->who, &who) && strcmp(row->pool, pool) == 0)
			return row;
	return NULL;
}

static unsigned puts_refused(unsigned cnt)
{
	unsigned refused_cnt = 0;

	for (unsigned i = 0; i < cnt; i++) {
		char value[16];
		struct krpc_query put;

		snprintf(value, sizeof(value), "i%ue", i);
		put = immutable_put(value);
		refused_cnt += dht_rig_code(&rig, &asker, &put) == 202;
	}
	return refused_cnt;
}

static unsigned announces_refused(unsigned cnt)
{
	unsigned refused_cnt = 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct krpc_query announce = dht_rig_query(KRPC_ANNOUNCE_PEER);

		announce.token = (struct bencode_span){token, sizeof(token)};
		announce.port = 6881;
		announce.target.bytes[0] = (uint8_t)i;
		announce.target.bytes[1] = 1;
		refused_cnt += dht_rig_code(&rig, &asker, &announce) == 202;
	}
	return refused_cnt;
}

static void test_a_full_store_names_the_refused_writer(void)
{
	const struct refusal *row;
	struct dht_config config;
	unsigned cnt;

	dht_config_defaults(&config);
	config.item_cap = config.peer_cap = 16;
	rig_up_with(&config);
	CHECK(!refusal_of("dht.item_cap"));
	cnt = puts_refused(60);
	CHECK(cnt > 0);
	row = refusal_of("dht.item_cap");
	CHECK(row && row->cnt == cnt);
	CHECK(row->until_ns > row->last_ns);
	CHECK(!refusal_of("dht.peer_cap"));
	cnt = announces_refused(60);
	CHECK(cnt > 0);
	row = refusal_of("dht.peer_cap");
	CHECK(row && row->cnt == cnt);
	CHECK(row->until_ns > row->last_ns);
	rig_down_with();
}

static void test_a_subnet_with_its_share_is_named(void)
{
	struct dht_config config;

	dht_config_defaults(&config);
	config.item_subnet_max = config.peer_subnet_max = 2;
	rig_up_with(&config);
	CHECK_EQ(puts_refused(3), 1);
	CHECK_EQ(announces_refused(5), 3);
	CHECK(refusal_of("dht.item_subnet_max")->cnt == 1);
	CHECK(refusal_of("dht.peer_subnet_max")->cnt == 3);
	CHECK(!refusal_of("dht.item_cap"));
	rig_down_with();
}

int main(void)
{
	RUN(test_a_full_store_names_the_refused_writer);
	RUN(test_a_subnet_with_its_share_is_named);
	RUN(test_the_published_items_are_taken_and_given_back);
	RUN(test_an_immutable_item_is_given_back_without_key_or_number);
	RUN(test_items_are_replaced_by_number_and_cas);
	RUN(test_refusals_count_by_reason);
	RUN(test_a_value_of_1000_bytes_is_taken_and_1001_not);
	RUN(test_a_salt_of_64_bytes_is_taken_and_65_not);
	RUN(test_a_negative_number_is_refused);
	RUN(test_a_signature_that_is_not_canonical_is_refused);
	RUN(test_every_bit_that_is_signed_counts);
	RUN(test_salts_are_slots_of_their_own);
	RUN(test_a_get_with_seq_is_given_what_is_newer_alone);
	RUN(test_items_stay_two_hours_from_the_last_put);
	return check_done();
}
