/* SPDX-License-Identifier: Apache-2.0 */
/* What unknown nodes can answer, and what of it is believed. One node, without callers. */
#include "crypto/node_key.h"
#include "dht/items/item.h"
#include "dht/dht_join.h"
#include "dht/krpc/node_id.h"
#include "support/check.h"
#include "support/dht_lab.h"

#define SECOND 1000000000ull

static struct dht_lab lab;
static struct dht_lab_node *ours, *liar;
static struct node_key *key;
static uint8_t sig[NODE_KEY_SIG_LEN];
static struct krpc_reply lie; /* what the liar answers, whatever it is asked */
static const struct kad_id target = {{0x42}};

static void tell_lie(struct dht_lab_node *node, const struct krpc_message *query,
		     const struct addr *asker)
{
	struct krpc_reply reply = lie;

	dht_lab_reply(node, query, asker, &reply);
}

static void keep_silent(struct dht_lab_node *node, const struct krpc_message *query,
			const struct addr *asker)
{
	(void)node;
	(void)query;
	(void)asker;
}

static void begin(dht_lab_scripted_fn fn)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {9};
	const struct mem_link link = {.delay_ns = 10000000};

	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	dht_lab_init(&lab, 5, 40);
	net_mem_net_set_default_link(lab.mem, &link);
	lie = (struct krpc_reply){.token = {(const uint8_t *)"tok", 3}};
	ours = dht_lab_add(&lab);
	liar = dht_lab_scripted(&lab, fn);
	dht_lab_start(ours, liar);
}

static struct dht_item signed_item(const char *value, int64_t seq)
{
	struct dht_item item = {.key = node_key_public(key),
				.sig = sig,
				.value = (const uint8_t *)value,
				.value_len = strlen(value),
				.seq = seq};

	dht_item_sign(&item, key, sig);
	return item;
}

static void lie_item(const struct dht_item *item)
{
	lie.value = (struct bencode_span){item->value, item->value_len};
	lie.has_seq = item->key != NULL;
	lie.seq = item->seq;
	if (!item->key)
		return;
	lie.key = (struct bencode_span){item->key, NODE_KEY_LEN};
	lie.sig = (struct bencode_span){item->sig, NODE_KEY_SIG_LEN};
}

/* Asks for the item of the test's key (or the immutable target) and waits for the end. */
static bool get(bool is_mutable, int64_t known_seq, struct dht_lab_result *result)
{
	struct dht_get_params params = {.target = target, .known_seq = known_seq};
	struct dht_asker asker = dht_lab_asker(result);

	if (is_mutable) {
		params.key = node_key_public(key);
		dht_item_target_of_key(params.key, NULL, 0, &params.target);
	}
	return dht_get(ours->dht, &params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 60 * SECOND);
}

static unsigned good_cnt(void)
{
	struct dht_stats stats;

	dht_stats(ours->dht, lab.now_ns, &stats);
	return stats.nodes[DHT_NET_IPV4].good;
}

static void test_true_item_of_an_unknown_node_is_returned(void)
{
	struct dht_lab_result result;
	struct dht_item item;

	begin(tell_lie);
	item = signed_item("2:ok", 5);
	lie_item(&item);
	CHECK(get(true, 0, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.item_cnt, 1);
	CHECK_EQ(result.seq, 5);
	dht_lab_fini(&lab);
}

static void test_false_items_are_counted_and_their_teller_dropped(void)
{
	static const char *const rows[] = {
		"bad signature",	"other key", "other value",
		"no signature",		"no seq",    "immutable for mutable",
		"mutable for immutable"};
	static const uint8_t other_key[NODE_KEY_LEN] = {1};

	for (unsigned row = 0; row < 7; row++) {
		struct dht_lab_result result;
		struct dht_item item;

		printf("# %s\n", rows[row]);
		begin(tell_lie);
		(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
		CHECK_EQ(good_cnt(), 1);
		item = signed_item("2:ok", 5);
		lie_item(&item);
		if (row == 0)
			sig[5] ^= 1;
		if (row == 1)
			lie.key.data = other_key;
		if (row == 2)
			lie.value.data = (const uint8_t *)"2:no";
		if (row == 3)
			lie.sig = (struct bencode_span){0};
		if (row == 4)
			lie.has_seq = false;
		if (row == 5) {
			lie.key = lie.sig = (struct bencode_span){0};
			lie.has_seq = false;
		}
		CHECK(get(row != 6, 0, &result));
		CHECK_EQ(result.item_cnt, 0);
		CHECK(result.outcome.err < 0);
		CHECK_EQ(dht_lab_count(ours, DHT_FALSE_ITEM), 1);
		CHECK_EQ(good_cnt(), 0);
		dht_lab_fini(&lab);
	}
}

static void test_rolled_back_record_is_refused_and_reported(void)
{
	struct dht_lab_result result;
	struct dht_item item;

	begin(tell_lie);
	item = signed_item("3:old", 41);
	lie_item(&item);
	CHECK(get(true, 42, &result));
	CHECK_EQ(result.item_cnt, 0);
	CHECK_EQ(result.outcome.err, WEFT_EABSENT);
	CHECK_EQ(result.outcome.rolled_back_cnt, 1);
	CHECK_EQ(dht_lab_count(ours, DHT_ROLLED_BACK), 1);
	CHECK(get(true, 41, &result));
	CHECK_EQ(result.item_cnt, 1);
	CHECK_EQ(result.outcome.rolled_back_cnt, 0);
	dht_lab_fini(&lab);
}

/* Every contact that a list can hold and should not. */
static void test_impossible_nodes_are_not_asked(void)
{
	uint8_t nodes[8 * KRPC_NODE_LEN_IPV4];
	struct writer w = writer_of(nodes, sizeof(nodes));
	static const char *const addrs[] = {"20.9.9.9:0",     "0.1.2.3:1",   "10.1.2.3:1",
					    "127.0.0.1:1",    "224.1.2.3:1", "255.255.255.255:1",
					    "192.168.1.1:80", "172.16.0.1:1"};
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);

	begin(tell_lie);
	(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
	for (unsigned i = 0; i < 8; i++) {
		struct kad_id id = kad_id_random_in(&target, 8 + i, &lab.dice);
		struct addr addr;

		/* addr_parse does not read port 0. */
		if (addr_parse(i ? addrs[i] : "20.9.9.9:1", &addr) < 0)
			abort();
		addr.port = i ? addr.port : 0;
		dht_krpc_node_write(&w, &id, &addr);
	}
	lie.nodes = (struct bencode_span){nodes, sizeof(nodes)};
	CHECK(dht_lookup(ours->dht, DHT_NET_IPV4, &target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.outcome.asked_cnt, 1);
	dht_lab_fini(&lab);
}

static void test_stuffed_list_of_one_subnet_costs_two_queries(void)
{
	uint8_t nodes[38 * KRPC_NODE_LEN_IPV4];
	struct writer w = writer_of(nodes, sizeof(nodes));
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);

	begin(tell_lie);
	/* We know few, so we look for more after ten seconds, and then after twenty. */
	(void)dht_lab_run(&lab, 15 * SECOND, NULL, NULL);
	for (unsigned i = 0; i < 38; i++) {
		struct kad_id id = kad_id_random_in(&target, 100 + i, &lab.dice);
		struct addr addr = {
			.family = ADDR_IPV4, .port = 1, .ip = {99, 9, 9, (uint8_t)(i + 1)}};

		dht_krpc_node_write(&w, &id, &addr);
	}
	lie.nodes = (struct bencode_span){nodes, sizeof(nodes)};
	CHECK(dht_lookup(ours->dht, DHT_NET_IPV4, &target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.outcome.asked_cnt, 1 + 2);
	dht_lab_fini(&lab);
}

static void test_impossible_peers_are_not_returned(void)
{
	struct addr peers[3];
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);

	begin(tell_lie);
	CHECK_EQ(addr_parse("10.0.0.1:80", &peers[0]), 0);
	CHECK_EQ(addr_parse("20.0.0.1:80", &peers[1]), 0);
	peers[2] = peers[1];
	peers[2].port = 0;
	lie.peers = peers;
	lie.peer_cnt = 3;
	CHECK(dht_peers(ours->dht, &target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.peer_cnt, 1);
	CHECK(addr_equal(&result.peers[0], &peers[1]));
	dht_lab_fini(&lab);
}

static void tell_many_peers(struct dht_lab_node *node, const struct krpc_message *query,
			    const struct addr *asker)
{
	static unsigned number;
	struct addr peers[100];
	struct krpc_reply reply = lie;

	for (unsigned i = 0; i < 100; i++) {
		unsigned other = query->method == KRPC_GET_PEERS ? number++ : 0;

		peers[i] = (struct addr){.family = ADDR_IPV4,
					 .port = 80,
					 .ip = {30, 1, (uint8_t)(other >> 8), (uint8_t)other}};
	}
	reply.peers = peers;
	reply.peer_cnt = 100;
	dht_lab_reply(node, query, asker, &reply);
}

static void test_peers_are_returned_once_and_up_to_a_limit(void)
{
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);
	const struct addr peer = {.family = ADDR_IPV4, .port = 80, .ip = {30, 1, 1, 1}};

	begin(tell_lie);
	lie.peers = &peer;
	lie.peer_cnt = 1;
	for (unsigned i = 0; i < 7; i++) {
		struct dht_lab_node *other = dht_lab_scripted(&lab, tell_lie);

		CHECK_EQ(dht_add_node(ours->dht, &other->addr, lab.now_ns), 0);
	}
	(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
	CHECK(dht_peers(ours->dht, &target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.outcome.answered_cnt, 8);
	CHECK_EQ(result.peer_cnt, 1);

	for (unsigned i = 0; i < lab.node_cnt; i++)
		lab.nodes[i].script = tell_many_peers;
	asker = dht_lab_asker(&result);
	CHECK(dht_peers(ours->dht, &target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.outcome.answered_cnt, 8);
	CHECK_EQ(result.peer_cnt, DHT_PEERS_MAX);
	dht_lab_fini(&lab);
}

static void tell_under_other_ids(struct dht_lab_node *node, const struct krpc_message *query,
				 const struct addr *asker)
{
	node->id.bytes[10]++;
	tell_lie(node, query, asker);
}

static void test_node_that_changes_its_id_is_no_member_under_the_old_one(void)
{
	struct dht_asker nobody = {0};

	begin(tell_under_other_ids);
	(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
	CHECK(dht_lookup(ours->dht, DHT_NET_IPV4, &target, &nobody, lab.now_ns));
	ours->next_ns = 0;
	(void)dht_lab_run(&lab, 9 * SECOND, NULL, NULL);
	CHECK(dht_lab_count(ours, DHT_OTHER_ID) > 0);
	CHECK(good_cnt() <= 1);
	dht_lab_fini(&lab);
}

static struct dht_lab_node *accomplice;

/* The right transaction, from an address that was not asked: reflected or guessed. */
static void tell_from_elsewhere(struct dht_lab_node *node, const struct krpc_message *query,
				const struct addr *asker)
{
	(void)node;
	tell_lie(accomplice, query, asker);
}

static void test_reply_from_elsewhere_is_stray(void)
{
	begin(tell_from_elsewhere);
	accomplice = dht_lab_scripted(&lab, keep_silent);
	(void)dht_lab_run(&lab, 10 * SECOND, NULL, NULL);
	CHECK(dht_lab_count(ours, DHT_STRAY_REPLY) > 0);
	CHECK_EQ(dht_lab_count(ours, DHT_REPLY), 0);
	CHECK_EQ(good_cnt(), 0);
	dht_lab_fini(&lab);
}

static void tell_wrong_transaction(struct dht_lab_node *node, const struct krpc_message *query,
				   const struct addr *asker)
{
	struct krpc_message other = *query;

	other.transaction = (struct bencode_span){(const uint8_t *)"abcd", 4};
	tell_lie(node, &other, asker);
	other.transaction.len = 3;
	tell_lie(node, &other, asker);
	tell_lie(node, query, asker);
	tell_lie(node, query, asker); /* a second time */
}

static void test_guessed_and_repeated_transactions_are_stray(void)
{
	begin(tell_wrong_transaction);
	(void)dht_lab_run(&lab, 2 * SECOND, NULL, NULL);
	CHECK(dht_lab_count(ours, DHT_REPLY) > 0);
	CHECK_EQ(dht_lab_count(ours, DHT_STRAY_REPLY), 3 * dht_lab_count(ours, DHT_REPLY));
	dht_lab_fini(&lab);
}

static void tell_error(struct dht_lab_node *node, const struct krpc_message *query,
		       const struct addr *asker)
{
	uint8_t bytes[256];
	struct writer w = writer_of(bytes, sizeof(bytes));

	dht_krpc_write_error(&w, &query->transaction, asker, DHT_UNKNOWN_METHOD);
	dht_lab_send(node, asker, bytes, writer_len(&w));
}

static void test_errors_end_a_search_without_an_answer(void)
{
	struct dht_lab_result result;

	begin(tell_error);
	CHECK(get(true, 0, &result));
	CHECK_EQ(result.outcome.err, WEFT_EUNREACHABLE);
	CHECK(dht_lab_count(ours, DHT_REPLY_ERROR) > 0);
	CHECK_EQ(good_cnt(), 0);
	dht_lab_fini(&lab);
}

static void test_silence_makes_a_member_bad_and_is_given_up(void)
{
	struct dht_lab_result result;
	struct dht_stats stats;

	begin(tell_lie);
	(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
	CHECK_EQ(good_cnt(), 1);
	liar->script = keep_silent;
	CHECK(get(true, 0, &result));
	CHECK_EQ(result.outcome.err, WEFT_EUNREACHABLE);
	CHECK(result.outcome.ended_ns - result.outcome.began_ns <= 4 * SECOND);
	(void)dht_lab_run(&lab, 60 * SECOND, NULL, NULL);
	dht_stats(ours->dht, lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].bad, 1);
	CHECK_EQ(stats.query_cnt, 0);
	/* All contacts gone, and back. */
	liar->script = tell_lie;
	(void)dht_lab_run(&lab, 120 * SECOND, NULL, NULL);
	CHECK_EQ(good_cnt(), 1);
	dht_lab_fini(&lab);
}

/* --- our address by vote --- */

static struct addr seen_at; /* where unknown nodes see this node, whichever asks */

static void tell_seen(struct dht_lab_node *node, const struct krpc_message *query,
		      const struct addr *asker)
{
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct krpc_reply reply = {
		.transaction = query->transaction, .asker = seen_at, .id = node->id};

	dht_krpc_write_reply(&w, &reply);
	dht_lab_send(node, asker, bytes, writer_len(&w));
}

/* cnt more unknown nodes, in subnets of their own, are pinged. */
static void be_seen_by(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct dht_lab_node *voter = dht_lab_scripted(&lab, tell_seen);

		if (dht_add_node(ours->dht, &voter->addr, lab.now_ns) < 0)
			abort();
		ours->next_ns = 0;
		(void)dht_lab_run(&lab, SECOND, NULL, NULL);
	}
}

static void test_five_subnets_that_agree_give_us_an_address_and_an_id(void)
{
	struct kad_id before;
	struct addr external;

	CHECK_EQ(addr_parse("77.7.7.7:7000", &seen_at), 0);
	begin(keep_silent);
	before = *dht_own_id(ours->dht, DHT_NET_IPV4);
	be_seen_by(DHT_VOTES_ENOUGH - 1);
	CHECK(!dht_external(ours->dht, DHT_NET_IPV4, &external));
	CHECK(kad_id_equal(&before, dht_own_id(ours->dht, DHT_NET_IPV4)));
	be_seen_by(1);
	CHECK(dht_external(ours->dht, DHT_NET_IPV4, &external));
	CHECK(addr_equal(&external, &seen_at));
	CHECK(!kad_id_equal(&before, dht_own_id(ours->dht, DHT_NET_IPV4)));
	CHECK(dht_node_id_fits(dht_own_id(ours->dht, DHT_NET_IPV4), &external));
	/*
	 * The node moves, and its voters have gone: the new address needs a majority of the last
	 * votes.
	 */
	for (unsigned i = 0; i < lab.node_cnt; i++)
		lab.nodes[i].script = keep_silent;
	before = *dht_own_id(ours->dht, DHT_NET_IPV4);
	CHECK_EQ(addr_parse("78.7.7.7:7000", &seen_at), 0);
	be_seen_by(DHT_VOTES_ENOUGH);
	CHECK(kad_id_equal(&before, dht_own_id(ours->dht, DHT_NET_IPV4)));
	be_seen_by(DHT_VOTES_MAX / 2 + 1 - DHT_VOTES_ENOUGH);
	CHECK(dht_external(ours->dht, DHT_NET_IPV4, &external));
	CHECK(addr_equal(&external, &seen_at));
	CHECK(dht_node_id_fits(dht_own_id(ours->dht, DHT_NET_IPV4), &external));
	dht_lab_fini(&lab);
}

static void test_one_network_has_one_vote(void)
{
	struct dht_lab_node *voter;
	struct addr external;

	CHECK_EQ(addr_parse("77.7.7.7:7000", &seen_at), 0);
	begin(keep_silent);
	voter = dht_lab_scripted(&lab, tell_seen);
	for (unsigned i = 0; i < 3 * DHT_VOTES_MAX; i++) {
		CHECK_EQ(dht_add_node(ours->dht, &voter->addr, lab.now_ns), 0);
		(void)dht_lab_run(&lab, SECOND, NULL, NULL);
	}
	/* Nor have its neighbours others. */
	for (unsigned i = 0; i < 2 * DHT_VOTES_MAX; i++) {
		struct dht_lab_node *neighbour = dht_lab_scripted_at(&lab, tell_seen, &voter->addr);

		CHECK_EQ(dht_add_node(ours->dht, &neighbour->addr, lab.now_ns), 0);
		(void)dht_lab_run(&lab, SECOND, NULL, NULL);
	}
	CHECK(!dht_external(ours->dht, DHT_NET_IPV4, &external));
	dht_lab_fini(&lab);
}

static void test_address_that_is_not_of_the_internet_gets_no_votes(void)
{
	struct addr external;

	CHECK_EQ(addr_parse("10.7.7.7:7000", &seen_at), 0);
	begin(keep_silent);
	be_seen_by(2 * DHT_VOTES_ENOUGH);
	CHECK(!dht_external(ours->dht, DHT_NET_IPV4, &external));
	dht_lab_fini(&lab);
}

static bool was_read_only;

static void note_read_only(struct dht_lab_node *node, const struct krpc_message *query,
			   const struct addr *asker)
{
	was_read_only = query->is_read_only;
	tell_lie(node, query, asker);
}

static void test_read_only_node_says_so(void)
{
	for (int is_read_only = 0; is_read_only < 2; is_read_only++) {
		begin(note_read_only);
		dht_lab_stop(ours);
		ours->config.is_read_only = is_read_only;
		was_read_only = !is_read_only;
		dht_lab_start(ours, liar);
		(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
		CHECK_EQ(was_read_only, is_read_only);
		dht_lab_fini(&lab);
	}
}

/* Behind a NAT no node could ask it first: none is to keep it in its table. */
static void test_hidden_node_says_so_until_it_is_not(void)
{
	begin(note_read_only);
	for (unsigned i = 0; i < 3; i++) {
		bool is_hidden = i == 1;

		dht_set_hidden(ours->dht, is_hidden);
		was_read_only = !is_hidden;
		CHECK_EQ(dht_add_node(ours->dht, &liar->addr, lab.now_ns), 0);
		(void)dht_lab_run(&lab, 5 * SECOND, NULL, NULL);
		CHECK_EQ(was_read_only, is_hidden);
	}
	dht_lab_fini(&lab);
}

static void test_no_place_to_ping_is_refused(void)
{
	struct addr addr = {.family = ADDR_IPV4, .ip = {20, 1, 1, 1}};

	begin(tell_lie);
	CHECK_EQ(dht_add_node(ours->dht, &addr, lab.now_ns), WEFT_EUNREACHABLE);
	CHECK_EQ(addr_parse("[2001:db8::1]:1", &addr), 0);
	CHECK_EQ(dht_add_node(ours->dht, &addr, lab.now_ns), WEFT_EUNREACHABLE);
	dht_lab_fini(&lab);
}

static void test_one_query_too_many_is_refused(void)
{
	unsigned sent = 0;
	int err = 0;

	begin(keep_silent);
	dht_lab_stop(ours);
	ours->config.destinations_per_s = 100000;
	ours->config.query_cap = 16;
	dht_lab_start(ours, NULL);
	for (unsigned i = 0; i < 100 && err == 0; i++) {
		struct addr addr = {.family = ADDR_IPV4, .port = 1, .ip = {30, 1, 1, (uint8_t)i}};

		err = dht_add_node(ours->dht, &addr, lab.now_ns);
		sent += err == 0;
	}
	CHECK_EQ(err, WEFT_EFULL);
	CHECK_EQ(sent, 16);
	dht_lab_fini(&lab);
}

int main(void)
{
	RUN(test_true_item_of_an_unknown_node_is_returned);
	RUN(test_false_items_are_counted_and_their_teller_dropped);
	RUN(test_rolled_back_record_is_refused_and_reported);
	RUN(test_impossible_nodes_are_not_asked);
	RUN(test_stuffed_list_of_one_subnet_costs_two_queries);
	RUN(test_impossible_peers_are_not_returned);
	RUN(test_peers_are_returned_once_and_up_to_a_limit);
	RUN(test_node_that_changes_its_id_is_no_member_under_the_old_one);
	RUN(test_reply_from_elsewhere_is_stray);
	RUN(test_guessed_and_repeated_transactions_are_stray);
	RUN(test_errors_end_a_search_without_an_answer);
	RUN(test_silence_makes_a_member_bad_and_is_given_up);
	RUN(test_five_subnets_that_agree_give_us_an_address_and_an_id);
	RUN(test_one_network_has_one_vote);
	RUN(test_address_that_is_not_of_the_internet_gets_no_votes);
	RUN(test_read_only_node_says_so);
	RUN(test_hidden_node_says_so_until_it_is_not);
	RUN(test_no_place_to_ping_is_refused);
	RUN(test_one_query_too_many_is_refused);
	node_key_free(key);
	return check_done();
}
