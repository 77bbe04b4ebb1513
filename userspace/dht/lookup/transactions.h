/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_LOOKUP_TRANSACTIONS_H
#define WEFT_DHT_LOOKUP_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/krpc_reply.h"

struct addr;
struct random;

/*
 * The keys of this node's transaction ids (weft/krpc_reply.h). The current one changes each minute;
 * a reply may be under the one before, for no question waits a minute. Callers may read keys and
 * turn_ns.
 */
struct dht_transactions {
	struct weft_krpc_reply_keys keys;
	unsigned current; /* of keys */
	uint64_t turn_ns; /* when the key changes */
	struct random *random;
};

#define DHT_TRANSACTION_TURN_NS (60 * 1000000000ull)

void dht_transactions_init(struct dht_transactions *transactions, struct random *random,
			   uint64_t now_ns);
/* dht_transactions_expire: true when the keys have changed. */
bool dht_transactions_expire(struct dht_transactions *transactions, uint64_t now_ns);
/* dht_transactions_make: for a question to remote; the bytes of the id as they lie in memory. */
uint64_t dht_transactions_make(const struct dht_transactions *transactions,
			       const struct addr *remote);

#endif
