/* SPDX-License-Identifier: Apache-2.0 */
/* A dial: its addresses, its outcome, and the token that it shows. */
#include "dial_rig.h"

static void test_addresses_start_one_after_the_other(void)
{
	struct addr addrs[3] = {pair_addr(50), pair_addr(51), pair_addr(2)};

	nodes_init(2);
	pair_net_rule(&rig.net, addrs[0], PAIR_SILENT, 0);
	pair_net_rule(&rig.net, addrs[1], PAIR_SILENT, 0);
	CHECK_EQ(ask_at(1, addrs, 3, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 249 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	pair_net_run(&rig.net, 250 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	pair_net_run(&rig.net, 250 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 3);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	/* The silent two were closed when the third won. */
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	CHECK_EQ(rig.nodes[0].end->close_code, MESH_BYE_DUPLICATE);
	nodes_fini();
}

static void test_failed_address_starts_the_next_at_once(void)
{
	struct addr addrs[2] = {pair_addr(50), pair_addr(2)}; /* no node is at the first */

	nodes_init(2);
	CHECK_EQ(ask_at(1, addrs, 2, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	nodes_fini();
}

static void test_first_proved_connection_wins(void)
{
	struct addr addrs[2] = {pair_addr(2), pair_addr(60)};

	nodes_init(2);
	/* The first address is slow: the second, which starts later, is faster. */
	pair_net_rule(&rig.net, addrs[0], PAIR_NORMAL, 200 * PAIR_MS);
	rig.nodes[1].end->alias = addrs[1];
	CHECK_EQ(ask_at(1, addrs, 2, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 300 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	pair_net_run(&rig.net, 2 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	CHECK_EQ(stats_of(1).session_cnt, 1);
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	nodes_fini();
}

static void test_the_most_helpful_failure_is_reported(void)
{
	static const struct {
		const char *why;
		enum pair_fate fates[3];
		unsigned wrong_key; /* 1-based place of an address with another key; 0: none */
		int err;
	} rows[] = {
		{"nobody anywhere", {PAIR_NORMAL, PAIR_NORMAL, PAIR_NORMAL}, 0, WEFT_EUNREACHABLE},
		{"silence", {PAIR_SILENT, PAIR_SILENT, PAIR_SILENT}, 0, WEFT_EUNREACHABLE},
		{"one refuses", {PAIR_NORMAL, PAIR_REFUSED, PAIR_SILENT}, 0, WEFT_EREFUSED},
		{"no room to dial", {PAIR_FULL, PAIR_FULL, PAIR_FULL}, 0, WEFT_EFULL},
		{"one is full, one silent", {PAIR_FULL, PAIR_SILENT, PAIR_FULL}, 0, WEFT_EFULL},
		{"first has another key",
		 {PAIR_NORMAL, PAIR_REFUSED, PAIR_SILENT},
		 1,
		 WEFT_EWRONGKEY},
		{"last has another key", {PAIR_REFUSED, PAIR_FULL, PAIR_NORMAL}, 3, WEFT_EWRONGKEY},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addrs[3];

		nodes_init(3);
		for (unsigned k = 0; k < 3; k++) {
			addrs[k] = rows[i].wrong_key == k + 1 ? pair_addr(3) : pair_addr(50 + k);
			if (rows[i].fates[k] != PAIR_NORMAL)
				pair_net_rule(&rig.net, addrs[k], rows[i].fates[k], 0);
		}
		CHECK_EQ(ask_at(1, addrs, 3, 20 * PAIR_S), 0);
		CHECK_EQ(ask.reply_cnt, 0);
		pair_net_run(&rig.net, 10 * PAIR_S);
		if (ask.reply.err != rows[i].err)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(ask.reply_cnt, 1);
		CHECK_EQ(ask.reply.err, rows[i].err);
		CHECK_EQ(ask.reply.actual_key != NULL, rows[i].wrong_key != 0);
		if (rows[i].wrong_key)
			CHECK_EQ(ask.actual_key[0], 3);
		CHECK_EQ(rig.net.conn_open_cnt, 0);
		CHECK_EQ(stats_of(0).request_cnt, 0);
		nodes_fini();
	}
}

static void test_timeout_while_dialling_reports_what_is_known(void)
{
	struct addr addrs[2] = {pair_addr(3), pair_addr(50)};

	nodes_init(3);
	pair_net_rule(&rig.net, addrs[1], PAIR_SILENT, 0);
	CHECK_EQ(ask_at(1, addrs + 1, 1, PAIR_S), 0);
	pair_net_run(&rig.net, 1100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, WEFT_EUNREACHABLE);
	pair_net_run(&rig.net, 10 * PAIR_MS);
	CHECK_EQ(rig.net.conn_open_cnt, 0);
	rig_ask_fini(&ask);
	CHECK_EQ(ask_at(1, addrs, 2, PAIR_S), 0);
	pair_net_run(&rig.net, 1100 * PAIR_MS);
	CHECK_EQ(ask.reply.err, WEFT_EWRONGKEY);
	CHECK_EQ(ask.actual_key[0], 3);
	nodes_fini();
}

/* An address that is silent and then is not is reached within a second of that. */
static void test_silent_address_is_dialled_anew(void)
{
	struct addr addr = pair_addr(2);

	nodes_init(2);
	pair_net_rule(&rig.net, addr, PAIR_SILENT, 0);
	CHECK_EQ(ask_at(1, &addr, 1, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 0);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1 + 3);
	/* The first attempt stays, and one more. */
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	pair_net_rule(&rig.net, addr, PAIR_NORMAL, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.net.conn_open_cnt, 2);
	nodes_fini();
}

/* An unknown peer's word is worth one dial. */
static void test_unverified_address_is_not_dialled_anew(void)
{
	struct addr addr = pair_addr(50);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1, .told_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 20 * PAIR_S};

	nodes_init(2);
	pair_net_rule(&rig.net, addr, PAIR_SILENT, 0);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 4 * PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	nodes_fini();
}

/*
 * The network is cut when the one dial is made. While an asker waits, the address is asked by STUN, and
 * dialled once more as soon as that is answered.
 */
static void test_unverified_address_that_is_back_is_dialled_again(void)
{
	struct addr addr = pair_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1, .told_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 20 * PAIR_S};

	nodes_init(2);
	pair_net_rule(&rig.net, addr, PAIR_SILENT, 0);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 4100 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(rig.nodes[0].stun_cnt, 2);
	CHECK(addr_equal(&rig.nodes[0].stun_asked, &addr));
	pair_net_rule(&rig.net, addr, PAIR_NORMAL, 0);
	mesh_stun_answered(rig.nodes[0].mesh, &addr, rig.net.now_ns);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	nodes_fini();
}

/* The dial of an earlier asker was in vain: the next one waits for the answer of STUN, for a moment. */
static void test_unverified_address_that_was_silent_is_asked_by_stun_first(void)
{
	struct addr addr = pair_addr(2);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1, .told_cnt = 1},
				.type = MESH_GET_CHUNK,
				.payload = "abc",
				.payload_len = 3,
				.timeout_ns = 500 * PAIR_MS};

	nodes_init(2);
	pair_net_rule(&rig.net, addr, PAIR_SILENT, 0);
	memset(call.peer.key, 2, MESH_KEY_LEN);
	CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
	pair_net_run(&rig.net, 5 * PAIR_S);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(rig.nodes[0].stun_cnt, 0);
	rig_ask_fini(&ask);
	for (unsigned i = 0; i < 2; i++) {
		call.timeout_ns = 20 * PAIR_S;
		CHECK_EQ(rig_ask_with(&rig, &ask, 0, &call), 0);
		pair_net_run(&rig.net, 100 * PAIR_MS);
		CHECK_EQ(rig.nodes[0].stun_cnt, 1 + i);
		CHECK_EQ(ask.reply_cnt, 0);
		if (i == 0) { /* nothing comes */
			pair_net_run(&rig.net, 2 * PAIR_S);
			CHECK_EQ(ask.reply_cnt, 1);
			CHECK_EQ(ask.reply.err, WEFT_EUNREACHABLE);
			CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
			rig_ask_fini(&ask);
		}
	}
	pair_net_rule(&rig.net, addr, PAIR_NORMAL, 0);
	mesh_stun_answered(rig.nodes[0].mesh, &addr, rig.net.now_ns);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	nodes_fini();
}

/* The machine's link comes up: what is under way begins anew, and what was lost is dialled. */
static void test_waking_dials_at_once(void)
{
	struct addr addr = pair_addr(2);

	nodes_init(2);
	pair_net_rule(&rig.net, addr, PAIR_SILENT, 0);
	CHECK_EQ(ask_at(1, &addr, 1, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	pair_net_rule(&rig.net, addr, PAIR_NORMAL, 0);
	mesh_wake(rig.nodes[0].mesh, rig.net.now_ns);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_EQ(ask.reply.err, 0);
	rig_ask_fini(&ask);
	/* It goes, and is silent for so long that the session ends. */
	rig_kill(&rig, 1);
	CHECK_EQ(ask_at(1, &addr, 1, 60 * PAIR_S), 0);
	pair_net_run(&rig.net, 20 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	rig_revive(&rig, 1, addr);
	pair_net_run(&rig.net, 10 * PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	mesh_wake(rig.nodes[0].mesh, rig.net.now_ns);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(stats_of(0).session_cnt, 1);
	nodes_fini();
}

static void test_requests_share_one_dial_and_add_addresses(void)
{
	struct addr silent = pair_addr(50);
	struct rig_ask second;

	nodes_init(2);
	pair_net_rule(&rig.net, silent, PAIR_SILENT, 0);
	CHECK_EQ(ask_at(1, &silent, 1, 20 * PAIR_S), 0);
	pair_net_run(&rig.net, 700 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 1);
	CHECK_EQ(rig_ask(&rig, &second, 0, 1, MESH_GET_CHUNK, "def", 3), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	CHECK_EQ(ask.reply_cnt, 1);
	CHECK_MEM(ask.reply.payload, "Habc", 4);
	CHECK_EQ(second.reply_cnt, 1);
	CHECK_MEM(second.reply.payload, "Hdef", 4);
	rig_ask_fini(&second);
	nodes_fini();
}

static int connect_err;
static uint8_t connect_key[MESH_KEY_LEN];
static unsigned connect_cnt;

static void connect_done(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg;
	connect_cnt++;
	connect_err = err;
	if (actual_key)
		memcpy(connect_key, actual_key, sizeof(connect_key));
}

static int connect_to(uint8_t key_byte, const struct addr *addr)
{
	struct mesh_peer peer = {.addrs = addr, .addr_cnt = addr ? 1 : 0};

	connect_cnt = 0;
	memset(peer.key, key_byte, sizeof(peer.key));
	return mesh_connect(rig.nodes[0].mesh,
			    &(struct mesh_connect){.peer = &peer,
						   .timeout_ns = 20 * PAIR_S,
						   .done = connect_done,
						   .arg = NULL},
			    rig.net.now_ns);
}

static void test_connect_reports_the_outcome(void)
{
	struct addr addr = pair_addr(2), nobody = pair_addr(50);

	nodes_init(2);
	CHECK_EQ(connect_to(1, &addr), WEFT_EMALFORMED); /* its own key */
	CHECK_EQ(connect_to(2, NULL), WEFT_EMALFORMED);	 /* never met */
	CHECK_EQ(connect_to(2, &nobody), 0);
	CHECK_EQ(connect_cnt, 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, WEFT_EUNREACHABLE);
	CHECK_EQ(connect_to(7, &addr), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_err, WEFT_EWRONGKEY);
	CHECK_EQ(connect_key[0], 2);
	CHECK_EQ(connect_to(2, &addr), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	/* Again, when there is a session: still not inside the call. */
	CHECK_EQ(connect_to(2, NULL), 0);
	CHECK_EQ(connect_cnt, 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(connect_cnt, 1);
	CHECK_EQ(connect_err, 0);
	nodes_fini();
}

static void test_known_peer_needs_no_address(void)
{
	nodes_init(2);
	CHECK(rig_connected(&rig, 0, 1));
	/* Node 1 goes and comes back; node 0 remembers where it was. */
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(stats_of(0).session_cnt, 0);
	CHECK_EQ(connect_to(2, NULL), 0);
	pair_net_run(&rig.net, PAIR_MS);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	nodes_fini();
}

static void test_token_is_shown_once_and_where_it_was_given(void)
{
	struct addr elsewhere = pair_addr(60);

	nodes_init(2);
	CHECK(rig_connected(&rig, 0, 1));
	CHECK_EQ(rig.nodes[0].end->token_len, 0);
	pair_net_give_token(&rig.net, 0, "first", 5);
	pair_net_give_token(&rig.net, 0, "newest", 6);
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	/* At another address it would tell both that one node asks. */
	CHECK_EQ(connect_to(2, &elsewhere), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->dial_cnt, 2);
	CHECK_EQ(rig.nodes[0].end->token_len, 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(connect_to(2, NULL), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(rig.nodes[0].end->dial_cnt, 3 + i);
		CHECK_EQ(rig.nodes[0].end->token_len, i ? 0 : 6);
	}
	CHECK_MEM(rig.nodes[0].end->token, "newest", 6);
	nodes_fini();
}

/* One byte more than there is room for, and none at all before HELLO. */
static void test_token_is_kept_up_to_its_longest(void)
{
	uint8_t data[MESH_TOKEN_LEN_MAX + 1] = {1};

	for (unsigned over = 0; over < 2; over++) {
		nodes_init(2);
		CHECK(rig_connected(&rig, 0, 1));
		pair_net_give_token(&rig.net, 0, data, MESH_TOKEN_LEN_MAX + over);
		mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(connect_to(2, NULL), 0);
		pair_net_run(&rig.net, PAIR_S);
		CHECK_EQ(rig.nodes[0].end->token_len, over ? 0 : MESH_TOKEN_LEN_MAX);
		nodes_fini();
	}
}

static void test_token_that_comes_before_hello_is_kept(void)
{
	nodes_init(2);
	rig.net.first_stream_delay_ns = PAIR_S;
	CHECK_EQ(connect_to(2, (const struct addr[]){pair_addr(2)}), 0);
	pair_net_run(&rig.net, 100 * PAIR_MS);
	CHECK_EQ(rig.nodes[0].up_cnt, 0);
	pair_net_give_token(&rig.net, 0, "early", 5);
	pair_net_run(&rig.net, 3 * PAIR_S);
	CHECK_EQ(rig.nodes[0].up_cnt, 1);
	mesh_goodbye(rig.nodes[1].mesh, 0, 0, rig.net.now_ns);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(connect_to(2, NULL), 0);
	pair_net_run(&rig.net, PAIR_S);
	CHECK_EQ(rig.nodes[0].end->token_len, 5);
	nodes_fini();
}

int main(void)
{
	RUN(test_addresses_start_one_after_the_other);
	RUN(test_failed_address_starts_the_next_at_once);
	RUN(test_first_proved_connection_wins);
	RUN(test_the_most_helpful_failure_is_reported);
	RUN(test_timeout_while_dialling_reports_what_is_known);
	RUN(test_silent_address_is_dialled_anew);
	RUN(test_unverified_address_is_not_dialled_anew);
	RUN(test_unverified_address_that_is_back_is_dialled_again);
	RUN(test_unverified_address_that_was_silent_is_asked_by_stun_first);
	RUN(test_waking_dials_at_once);
	RUN(test_requests_share_one_dial_and_add_addresses);
	RUN(test_connect_reports_the_outcome);
	RUN(test_known_peer_needs_no_address);
	RUN(test_token_is_shown_once_and_where_it_was_given);
	RUN(test_token_is_kept_up_to_its_longest);
	RUN(test_token_that_comes_before_hello_is_kept);
	return check_done();
}
