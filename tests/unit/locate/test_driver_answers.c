/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables that the XDP program answers DHT questions from, as the dht
 * changes; here they are memory of the test's.
 */
#include "net/ingress/krpc_table_writer.h"
#include "dht/dht_state.h"
#include "locate/driver_answers.h"
#include "support/check.h"
#include "support/dht_rig.h"

#define SECOND_NS 1000000000ull

static struct dht_rig rig;
static struct driver_answers *answers;
static struct weft_krpc_self selves[WEFT_KRPC_FAMILY_CNT];
static struct weft_krpc_bucket buckets[WEFT_KRPC_BUCKETS_CNT];
static __u64 held[WEFT_KRPC_HELD_WORD_CNT];
static struct weft_krpc_reply_keys reply_keys;
static const struct weft_krpc_tables tables = {selves, buckets, held, &reply_keys};

static void set_up(bool is_read_only)
{
	memset(selves, 0, sizeof(selves));
	memset(buckets, 0, sizeof(buckets));
	memset(held, 0, sizeof(held));
	dht_rig_init(&rig);
	rig.config.is_read_only = is_read_only;
	dht_rig_start(&rig);
	dht_rig_fill(&rig, 100);
	if (locate_driver_answers_new(&rig.config, rig.now_ns, &answers) < 0)
		abort();
}

static void clear(void)
{
	locate_driver_answers_free(answers);
	dht_rig_fini(&rig);
}

static void turn_after(uint64_t ns)
{
	rig.now_ns += ns;
	dht_expire(rig.dht, rig.now_ns);
	locate_driver_answers_turn(answers, rig.dht, &tables, rig.now_ns);
}

/* The tables say of every bucket, id and key what the dht says. */
static bool is_as_dht(void)
{
	uint64_t key[2];

	dht_token_key(rig.dht, key);
	if (memcmp(&reply_keys, dht_reply_keys(rig.dht), sizeof(reply_keys)) != 0)
		return false;
	for (unsigned i = 0; i < WEFT_KRPC_BUCKETS_CNT; i++) {
		enum dht_net net = i / WEFT_KRPC_BUCKET_CNT;
		const uint8_t *id = net_krpc_tables_id(&tables, (enum weft_krpc_family)net), *nodes;
		const struct weft_krpc_nodes *told = weft_krpc_live_nodes(&buckets[i]);
		const __u64 *shares_announce_log_key = weft_krpc_live_token_key(&selves[net]);
		size_t len = dht_blob(rig.dht, net, i % WEFT_KRPC_BUCKET_CNT, &nodes);

		if (!id || !told || !shares_announce_log_key ||
		    memcmp(shares_announce_log_key, key, sizeof(key)) != 0 ||
		    memcmp(id, dht_own_id(rig.dht, net)->bytes, WEFT_KRPC_ID_LEN) != 0 ||
		    told->len < len || memcmp(told->text + told->len - len, nodes, len) != 0)
			return false;
	}
	return true;
}

static void test_first_turn_reports_all_and_later_ones_changes(void)
{
	set_up(false);
	CHECK(!is_as_dht());
	turn_after(0);
	CHECK(is_as_dht());
	for (unsigned i = 0; i < 5; i++) {
		dht_rig_fill(&rig, 20 + 50 * i);
		turn_after(2 * SECOND_NS);
		CHECK(is_as_dht());
	}
	/* The key of tokens is another one after five minutes. */
	turn_after(301 * SECOND_NS);
	CHECK(is_as_dht());
	clear();
}

static void test_what_was_replaced_rests_for_a_second(void)
{
	struct weft_krpc_bucket before;

	set_up(false);
	turn_after(0);
	before = buckets[0];
	dht_rig_fill(&rig, 1); /* two seconds */
	rig.now_ns -= 2 * SECOND_NS;
	turn_after(WEFT_KRPC_REST_NS - 1);
	CHECK_MEM(&buckets[0], &before, sizeof(before));
	clear();
}

static void test_new_id_is_removed_before_it_is_reported(void)
{
	const struct kad_id other = {.bytes = "another id, it says"};

	set_up(false);
	turn_after(0);
	dht_set_own_id(rig.dht, DHT_NET_IPV4, &other, rig.now_ns);
	turn_after(WEFT_KRPC_REST_NS);
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4));
	CHECK(net_krpc_tables_id(&tables, WEFT_KRPC_IPV6));
	turn_after(2 * SECOND_NS);
	CHECK(is_as_dht());
	clear();
}

static void test_a_node_that_answers_no_query_reports_no_id(void)
{
	set_up(true);
	turn_after(0);
	turn_after(WEFT_KRPC_REST_NS);
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4) &&
	      !net_krpc_tables_id(&tables, WEFT_KRPC_IPV6));
	clear();
	set_up(false);
	turn_after(0);
	locate_driver_answers_stop(&tables);
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4) &&
	      !net_krpc_tables_id(&tables, WEFT_KRPC_IPV6));
	locate_driver_answers_stop(NULL);
	clear();
}

static void test_a_hidden_node_reports_no_id_until_it_is_seen(void)
{
	set_up(false);
	turn_after(0);
	CHECK(is_as_dht());
	dht_set_hidden(rig.dht, true);
	turn_after(WEFT_KRPC_REST_NS);
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4) &&
	      !net_krpc_tables_id(&tables, WEFT_KRPC_IPV6));
	/* Answers of others are known by these all the same. */
	CHECK_MEM(&reply_keys, dht_reply_keys(rig.dht), sizeof(reply_keys));
	dht_set_hidden(rig.dht, false);
	turn_after(WEFT_KRPC_REST_NS);
	CHECK(is_as_dht());
	clear();
}

static bool is_held(const struct kad_id *key)
{
	struct weft_krpc_id id = {.words = {0, 0, 0}};
	uint32_t bit;

	memcpy(id.bytes, key->bytes, WEFT_KRPC_ID_LEN);
	bit = weft_krpc_held_bit(&id);
	return held[bit / 64] >> bit % 64 & 1;
}

static void test_held_key_is_known_at_once_and_for_as_long_as_it_may_be_held(void)
{
	const struct kad_id key = {.bytes = "held for two hours!"}, other = {.bytes = "never"};

	set_up(false);
	turn_after(0);
	locate_driver_answers_held(answers, &key, &tables, rig.now_ns);
	CHECK(is_held(&key) && !is_held(&other));
	turn_after(DHT_HELD_NS);
	CHECK(is_held(&key));
	/* Reported again by a node that came back meanwhile, to tables that are new. */
	locate_driver_answers_held(answers, &other, NULL, rig.now_ns);
	memset(selves, 0, sizeof(selves));
	memset(held, 0, sizeof(held));
	turn_after(WEFT_KRPC_REST_NS);
	CHECK(is_held(&key) && is_held(&other));
	turn_after(DHT_HELD_NS);
	CHECK(!is_held(&key) && is_held(&other));
	clear();
}

int main(void)
{
	RUN(test_first_turn_reports_all_and_later_ones_changes);
	RUN(test_what_was_replaced_rests_for_a_second);
	RUN(test_new_id_is_removed_before_it_is_reported);
	RUN(test_a_node_that_answers_no_query_reports_no_id);
	RUN(test_a_hidden_node_reports_no_id_until_it_is_seen);
	RUN(test_held_key_is_known_at_once_and_for_as_long_as_it_may_be_held);
	return check_done();
}
