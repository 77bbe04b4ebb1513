/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of our questions: made for one address, under keys that turn each minute. */
#include "dht/lookup/transactions.h"

#include <string.h>

#include "base/addr.h"
#include "base/random.h"
#include "dht/krpc/krpc_message.h"
#include "support/check.h"
#include "support/dht_rig.h"

#define NOW_NS 7000000000ull

static struct random rng;

static bool is_own(const struct dht_transactions *transactions, const char *remote, uint64_t id)
{
	struct addr addr = dht_rig_addr(remote);
	struct weft_endpoint endpoint = addr_endpoint(&addr);

	return weft_krpc_is_own(&transactions->keys, &endpoint, id);
}

static uint64_t make(const struct dht_transactions *transactions, const char *remote)
{
	struct addr addr = dht_rig_addr(remote);

	return dht_transactions_make(transactions, &addr);
}

static void test_an_id_is_good_for_its_address_and_port_alone(void)
{
	struct dht_transactions transactions;
	uint64_t id, id6;

	random_init_seeded(&rng, 1);
	dht_transactions_init(&transactions, &rng, NOW_NS);
	id = make(&transactions, "192.0.2.1:6881");
	id6 = make(&transactions, "[2001:db8::1]:6881");
	CHECK(is_own(&transactions, "192.0.2.1:6881", id));
	CHECK(is_own(&transactions, "[2001:db8::1]:6881", id6));
	CHECK(!is_own(&transactions, "192.0.2.2:6881", id));
	CHECK(!is_own(&transactions, "192.0.2.1:6882", id));
	CHECK(!is_own(&transactions, "192.0.2.1:6881", id6));
	for (unsigned bit = 0; bit < 64; bit++)
		CHECK(!is_own(&transactions, "192.0.2.1:6881", id ^ 1ull << bit));
}

static void test_an_id_lives_one_turn_of_the_key_and_not_two(void)
{
	struct dht_transactions transactions;
	uint64_t id;

	random_init_seeded(&rng, 2);
	dht_transactions_init(&transactions, &rng, NOW_NS);
	id = make(&transactions, "192.0.2.1:6881");
	CHECK(!dht_transactions_expire(&transactions, NOW_NS + DHT_TRANSACTION_TURN_NS - 1));
	CHECK(dht_transactions_expire(&transactions, NOW_NS + DHT_TRANSACTION_TURN_NS));
	CHECK(is_own(&transactions, "192.0.2.1:6881", id));
	CHECK(make(&transactions, "192.0.2.1:6881") != id);
	CHECK(dht_transactions_expire(&transactions, NOW_NS + 2 * DHT_TRANSACTION_TURN_NS));
	CHECK(!is_own(&transactions, "192.0.2.1:6881", id));
}

static void test_after_a_long_sleep_no_id_of_before_is_good(void)
{
	struct dht_transactions transactions;
	uint64_t id;

	random_init_seeded(&rng, 3);
	dht_transactions_init(&transactions, &rng, NOW_NS);
	id = make(&transactions, "192.0.2.1:6881");
	CHECK(dht_transactions_expire(&transactions, NOW_NS + 2 * DHT_TRANSACTION_TURN_NS));
	CHECK(!is_own(&transactions, "192.0.2.1:6881", id));
}

/* What a node writes, read where the driver looks for it. */
static void test_a_reply_to_what_is_sent_is_known_by_its_end(void)
{
	static const char *const versions[] = {"", "1:v4:LT\1\2"};
	struct krpc_message asked;
	struct weft_endpoint endpoint;
	struct dht_rig rig;
	struct addr remote = dht_rig_addr("198.51.100.9:6881");
	__u64 id = 0;

	dht_rig_init(&rig);
	dht_rig_start(&rig);
	CHECK_EQ(dht_add_node(rig.dht, &remote, rig.now_ns), 0);
	CHECK_EQ(rig.sent_cnt, 1);
	CHECK_EQ(dht_krpc_parse(rig.sent[0].data, rig.sent[0].len, &asked), DHT_ANSWERED);
	CHECK_EQ(asked.transaction.len, WEFT_KRPC_OWN_TRANSACTION_LEN);
	endpoint = addr_endpoint(&remote);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t reply[100] = "d1:rd2:id20:abcdefghij0123456789e1:t8:";
		size_t len = strlen((char *)reply);

		memcpy(reply + len, asked.transaction.data, 8);
		len += 8;
		len += (size_t)snprintf((char *)reply + len, 20, "%s1:y1:re", versions[i]);
		CHECK(weft_krpc_tail_transaction(reply + len - WEFT_KRPC_TAIL_LEN, &id));
		CHECK(weft_krpc_is_own(dht_reply_keys(rig.dht), &endpoint, id));
	}
	dht_rig_fini(&rig);
}

int main(void)
{
	RUN(test_an_id_is_good_for_its_address_and_port_alone);
	RUN(test_an_id_lives_one_turn_of_the_key_and_not_two);
	RUN(test_after_a_long_sleep_no_id_of_before_is_good);
	RUN(test_a_reply_to_what_is_sent_is_known_by_its_end);
	return check_done();
}
