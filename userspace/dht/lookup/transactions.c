/* SPDX-License-Identifier: Apache-2.0 */
#include "transactions.h"

#include "base/addr.h"
#include "base/random.h"

static void key_turn(struct dht_transactions *transactions)
{
	transactions->current = (transactions->current + 1) % WEFT_KRPC_REPLY_KEY_CNT;
	random_fill(transactions->random, transactions->keys.keys[transactions->current],
		    sizeof(transactions->keys.keys[0]));
}

void dht_transactions_init(struct dht_transactions *transactions, struct random *random,
			   uint64_t now_ns)
{
	transactions->random = random;
	transactions->current = 0;
	transactions->turn_ns = now_ns + DHT_TRANSACTION_TURN_NS;
	key_turn(transactions);
	key_turn(transactions);
}

bool dht_transactions_expire(struct dht_transactions *transactions, uint64_t now_ns)
{
	if (now_ns < transactions->turn_ns)
		return false;
	/* After a sleep that outlasted both keys, neither is honoured. */
	if (now_ns - transactions->turn_ns >= DHT_TRANSACTION_TURN_NS)
		key_turn(transactions);
	key_turn(transactions);
	transactions->turn_ns = now_ns + DHT_TRANSACTION_TURN_NS;
	return true;
}

uint64_t dht_transactions_make(const struct dht_transactions *transactions,
			       const struct addr *remote)
{
	struct weft_endpoint endpoint = addr_endpoint(remote);

	return weft_krpc_transaction(transactions->keys.keys[transactions->current], &endpoint,
				     (__u16)random_u64(transactions->random));
}
