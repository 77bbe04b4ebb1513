/* SPDX-License-Identifier: Apache-2.0 */
/* Retry and tokens: which address has to prove itself, and how. */
#include "stateless_rig.h"

static void retry_config(struct quic_config *config)
{
	quic_net_config(config);
	config->retry_above_cnt = 0;
}

static void test_retry_is_survived_by_an_honest_client(void)
{
	struct quic_test_conn *conn;
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	retry_config(&config);
	quic_pair_init(&p, 42, &config);
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	CHECK(quic_net_transfer(conn, 20000, 10 * NS_PER_S));
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.retry_sent_cnt, 1);
	CHECK_EQ(stats.accepted_cnt, 1);
	CHECK_EQ(stats.bad_token_cnt, 0);
	quic_pair_fini(&p);
}

static void test_retry_is_demanded_one_above_the_limit(void)
{
	struct quic_config config;
	struct quic_stats stats;
	struct quic_pair p;

	quic_net_config(&config);
	config.retry_above_cnt = 3;
	quic_pair_init(&p, 43, &config);
	for (unsigned i = 0; i < 4; i++)
		CHECK(quic_net_dial(p.a, p.b));
	quic_net_settle(&p.net, 6 * NS_PER_MS);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.accepted_cnt, 3);
	CHECK_EQ(stats.retry_sent_cnt, 1);
	quic_net_settle(&p.net, NS_PER_S);
	for (unsigned i = 0; i < 4; i++)
		CHECK(p.a->conns[i].is_ready);
	quic_pair_fini(&p);
}

static bool is_limited_address(void *ctx, const struct addr *remote)
{
	(void)remote;
	return *(bool *)ctx;
}

struct counter {
	const struct quic_node *from;
	unsigned cnt;
};

/* Nothing arrives. */
static bool count_and_drop(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct counter *counter = net->tap_arg;

	counter->cnt += addr_equal(&dgram->from, &counter->from->outer);
	return false;
}

static void test_an_unverified_address_is_sent_three_datagrams(void)
{
	struct counter counter = {.cnt = 0};
	struct quic_test_conn *conn;
	struct quic_pair p;

	quic_pair_init(&p, 45, NULL);
	counter.from = p.a;
	p.net.tap = count_and_drop;
	p.net.tap_arg = &counter;
	p.a->unheard_max = 3;
	conn = quic_net_dial(p.a, p.b);
	CHECK(conn);
	quic_net_settle(&p.net, 20 * NS_PER_S);
	CHECK_EQ(counter.cnt, 3);
	CHECK(conn->is_closed);
	CHECK_EQ(conn->close.err, WEFT_EUNREACHABLE);
	/* Nor does giving up, or being closed early, send one more. */
	counter.cnt = 0;
	conn = quic_net_dial(p.a, p.b);
	quic_net_settle(&p.net, 10 * NS_PER_MS);
	p.a->transport->ops->close(conn->conn, 1, "not needed");
	quic_net_settle(&p.net, 20 * NS_PER_S);
	CHECK_EQ(counter.cnt, 1);
	/* A node that answers is a peer like any other. */
	p.net.tap = NULL;
	conn = quic_net_connect(p.a, p.b);
	CHECK(conn && conn->is_ready);
	CHECK(quic_net_transfer(conn, 20000, 10 * NS_PER_S));
	quic_pair_fini(&p);
}

/* Several keys were banned from there: one connection at a time, and proof before each. */
static void test_a_limited_address_proves_itself_and_has_one_connection(void)
{
	struct quic_test_conn *first, *second;
	struct quic_stats stats;
	struct quic_pair p;
	bool is_on = true;

	quic_pair_init(&p, 44, NULL);
	p.b->engine->is_limited = is_limited_address;
	p.b->engine->limited_ctx = &is_on;
	first = quic_net_connect(p.a, p.b);
	CHECK(first && first->is_ready);
	second = quic_net_connect(p.a, p.b);
	CHECK(second && !second->is_ready && second->is_closed);
	CHECK(!first->is_closed);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.retry_sent_cnt, 2);
	CHECK_EQ(stats.accepted_cnt, 1);
	CHECK_EQ(stats.refused_limited_cnt, 1);
	/* The limit ends, and takes nothing with it. */
	is_on = false;
	second = quic_net_connect(p.a, p.b);
	CHECK(second && second->is_ready);
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.retry_sent_cnt, 2);
	quic_pair_fini(&p);
}

/* Changes the Initial that carries a token on its way. */
struct meddler {
	struct quic_node *victim;
	bool is_new_source; /* from another address */
	bool is_new_port;
	unsigned byte; /* of the token to turn over, 0: none */
	uint64_t hold_ns;
	unsigned changed_cnt;
};

static bool meddle(struct quic_net *net, struct quic_net_dgram *dgram)
{
	struct meddler *m = net->tap_arg;
	ngtcp2_pkt_hd hd;

	if (!addr_equal(&dgram->to, &m->victim->outer) ||
	    ngtcp2_pkt_decode_hd_long(&hd, dgram->data, dgram->len) < 0 || hd.tokenlen == 0)
		return true;
	m->changed_cnt++;
	if (m->is_new_source)
		dgram->from.ip[3] ^= 1;
	if (m->is_new_port)
		dgram->from.port ^= 1;
	if (m->byte)
		dgram->data[hd.token - dgram->data + m->byte] ^= 1;
	dgram->at_ns += m->hold_ns;
	return true;
}

static void test_token_is_bound_to_address_port_time_and_key(void)
{
	static const struct meddler rows[] = {
		{.is_new_source = true},
		{.is_new_port = true},
		{.byte = 20},
		{.hold_ns = 11 * NS_PER_S},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct meddler m = rows[i];
		struct quic_config config;
		struct quic_stats stats;
		struct quic_pair p;

		retry_config(&config);
		quic_pair_init(&p, 44 + i, &config);
		m.victim = p.b;
		p.net.tap = meddle;
		p.net.tap_arg = &m;
		CHECK(quic_net_dial(p.a, p.b));
		quic_net_settle(&p.net, 15 * NS_PER_S);
		quic_node_stats(p.b, &stats);
		CHECK(m.changed_cnt >= 1);
		CHECK(stats.bad_token_cnt >= 1);
		CHECK_EQ(stats.accepted_cnt, 0);
		CHECK(p.a->conns[0].is_closed && !p.a->conns[0].is_ready);
		/* Told at once where the answer can reach the client (8.1.3). */
		if (m.byte)
			CHECK_EQ(p.a->conns[0].close.code, NGTCP2_INVALID_TOKEN);
		quic_pair_fini(&p);
	}
}

/* A token we did not make and cannot know may come from another server's life. */
static void test_foreign_token_is_as_good_as_none(void)
{
	struct addr from = source(9);
	struct quic_stats stats;
	struct quic_pair p;
	uint8_t data[1200];

	quic_pair_init(&p, 50, NULL);
	long_header(data, NGTCP2_PROTO_VER_V1, sizeof(data));
	data[19] = 4; /* token length, then its first byte */
	data[20] = 0x36;
	data[24] = 0x44;
	data[25] = 0x40;
	quic_net_inject(p.b, &from, data, sizeof(data));
	quic_node_stats(p.b, &stats);
	CHECK_EQ(stats.bad_token_cnt, 0);
	CHECK_EQ(stats.accepted_cnt, 1);
	quic_pair_fini(&p);
}

/* An Initial from `from` to dcid with a token made under keys, as the driver would make it. */
static void initial_with_token(uint8_t data[static 1200], const struct weft_token_keys *keys,
			       struct weft_token *token)
{
	uint8_t *at = data + 6;

	memset(data, 0x5a, 1200);
	memcpy(data, "\xc3\0\0\0\1\x10", 6);
	memcpy(at, token->retry_scid, WEFT_CID_LEN);
	at += WEFT_CID_LEN;
	*at++ = 0;
	*at++ = WEFT_TOKEN_LEN;
	if (!weft_token_write(keys, token, at))
		memset(at, 0, WEFT_TOKEN_LEN);
	at += WEFT_TOKEN_LEN;
	memcpy(at, "\x44\x4c", 2);
}

static struct weft_token token_of(struct quic_engine *engine, uint8_t kind, const struct addr *from)
{
	struct weft_token token = {
		.original = {.words = {0x0807060504030201}, .len = 8},
		.client = {.port_be = htons(from->port)},
		.issued_s = (uint32_t)((engine->now_ns + engine->wall_offset_ns) / NS_PER_S),
		.kind = kind,
	};

	weft_endpoint_set_ipv4(&token.client, from->ip);
	if (kind == WEFT_TOKEN_KNOWN)
		token.original = (struct weft_id){.len = 0};
	return token;
}

/* A holder of the keys, as the driver, may answer and vouch for a client. */
static void test_tokens_made_elsewhere_are_taken(void)
{
	static const struct {
		const char *name;
		uint8_t kind;
		int age_s;
		bool is_other_id, is_other_key;
		unsigned accepted_cnt, retry_cnt, bad_cnt;
	} rows[] = {
		{"Retry", WEFT_TOKEN_RETRY, 0, false, false, 1, 0, 0},
		{"Retry, too old", WEFT_TOKEN_RETRY, 11, false, false, 0, 0, 1},
		{"Retry, under another id", WEFT_TOKEN_RETRY, 0, true, false, 0, 0, 1},
		{"Retry, another node's", WEFT_TOKEN_RETRY, 0, false, true, 0, 0, 1},
		{"known", WEFT_TOKEN_KNOWN, 86400, true, false, 1, 0, 0},
		{"known, too old", WEFT_TOKEN_KNOWN, 2 * 86400 + 1, false, false, 0, 1, 0},
		{"known, another node's", WEFT_TOKEN_KNOWN, 0, false, true, 0, 1, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr from = source(3);
		struct weft_token_keys keys;
		struct weft_token token;
		struct quic_config config;
		struct quic_stats stats;
		struct quic_pair p;
		uint8_t data[1200];

		retry_config(&config);
		quic_pair_init(&p, 60 + (unsigned)i, &config);
		quic_engine_set_wall(p.b->engine, 1800000000, p.net.now_ns);
		CHECK_EQ(quic_engine_token_keys(p.b->engine, &keys), 0);
		token = token_of(p.b->engine, rows[i].kind, &from);
		token.issued_s -= (uint32_t)rows[i].age_s;
		for (unsigned slot = 0; slot < WEFT_TOKEN_KEY_CNT; slot++)
			keys.slots[slot].key[0] ^= rows[i].is_other_key;
		initial_with_token(data, &keys, &token);
		data[6] ^= rows[i].is_other_id;
		quic_net_inject(p.b, &from, data, sizeof(data));
		quic_node_stats(p.b, &stats);
		if (stats.accepted_cnt != rows[i].accepted_cnt)
			printf("# %s\n", rows[i].name);
		CHECK_EQ(stats.accepted_cnt, rows[i].accepted_cnt);
		CHECK_EQ(stats.retry_sent_cnt, rows[i].retry_cnt);
		CHECK_EQ(stats.bad_token_cnt, rows[i].bad_cnt);
		quic_pair_fini(&p);
	}
}

/* The node's key and the day are all that keys are made of. */
static void test_token_keys_outlive_the_engine_and_change_by_the_day(void)
{
	struct weft_token_keys keys, again, later;
	struct quic_pair p;
	struct quic_node *twin;
	uint32_t day = weft_token_day(1800000000);

	quic_pair_init(&p, 70, NULL);
	twin = quic_net_add(&p.net, 2, NULL);
	quic_engine_set_wall(p.b->engine, 1800000000, p.net.now_ns);
	quic_engine_set_wall(twin->engine, 1800000000, p.net.now_ns);
	CHECK_EQ(quic_engine_token_keys(p.b->engine, &keys), 0);
	CHECK_EQ(quic_engine_token_keys(twin->engine, &again), 0);
	CHECK_MEM(&keys, &again, sizeof(keys));
	/* From two days ago to tomorrow. */
	for (uint32_t i = day - 2; i <= day + 1; i++)
		CHECK_EQ(weft_token_key(&keys, i)->generation, i & 0xff);
	quic_engine_set_wall(p.b->engine, 1800000000 + 86400, p.net.now_ns);
	CHECK_EQ(quic_engine_token_keys(p.b->engine, &later), 0);
	CHECK_EQ(weft_token_key(&later, day + 2)->generation, (day + 2) & 0xff);
	CHECK_MEM(weft_token_key(&later, day), weft_token_key(&keys, day),
		  sizeof(struct weft_siphash_key));
	CHECK(memcmp(weft_token_key(&later, day + 2)->key, weft_token_key(&keys, day - 2)->key,
		     16) != 0);
	CHECK_EQ(quic_engine_token_keys(p.a->engine, &again), 0);
	CHECK(memcmp(&again, &keys, sizeof(keys)) != 0);
	quic_pair_fini(&p);
}

int main(void)
{
	RUN(test_retry_is_survived_by_an_honest_client);
	RUN(test_retry_is_demanded_one_above_the_limit);
	RUN(test_an_unverified_address_is_sent_three_datagrams);
	RUN(test_a_limited_address_proves_itself_and_has_one_connection);
	RUN(test_token_is_bound_to_address_port_time_and_key);
	RUN(test_foreign_token_is_as_good_as_none);
	RUN(test_tokens_made_elsewhere_are_taken);
	RUN(test_token_keys_outlive_the_engine_and_change_by_the_day);
	return check_done();
}
