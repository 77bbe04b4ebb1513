/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_LOOKUP_DHT_QUERY_H
#define WEFT_DHT_LOOKUP_DHT_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory/pool.h"
#include "dht/rate_limiter.h"
#include "dht/krpc/krpc_message.h"
#include "weft/err.h"

struct arena;
struct dgram;
struct dht;

/*
 * This node's queries that wait for a reply. A reply counts when it comes from the very address
 * that was asked, with the transaction id that only that address got (transactions.h). Its facts
 * about the node (alive, round trip, id, how it sees this node) go to table and joins here, for
 * every query. Its content goes to the asker.
 */
struct dht_queries;

WEFT_MUST_CHECK
int dht_queries_new(struct arena *arena, uint32_t query_cap, const uint64_t secret[2],
		    struct dht_queries **out_queries);

/*
 * The result of a query. reply is the message that came, KRPC_REPLY or KRPC_ERROR, borrowed for
 * the call. It is NULL when nothing came in time, or not from the node that was asked. owner is
 * a handle, not a pointer, since the asker may be gone.
 */
typedef void (*dht_replied_fn)(struct dht *dht, pool_handle owner, uint16_t slot,
			       const struct krpc_message *reply, uint64_t now_ns);

struct dht_query_params {
	struct krpc_query *query; /* id, transaction and is_read_only are set for you */
	struct addr remote;
	const struct kad_id *id; /* of the node that is asked; NULL: of any node at addr */
	enum dht_urgency urgency;
	dht_replied_fn replied; /* may be NULL */
	pool_handle owner;
	uint16_t slot;
};

/*
 * dht_query_send writes the query into the sink. replied is not called
 * inside.
 *
 * Returns 0, or with nothing sent:
 *   WEFT_EFULL        no room in the sink or among the queries: after the next flush
 *   WEFT_EBUSY        the rate limiter wants it later: at dht_rate_limiter_next_ns
 *   WEFT_EUNREACHABLE that network is off
 */
WEFT_MUST_CHECK
int dht_query_send(struct dht *dht, const struct dht_query_params *params, uint64_t now_ns);

/*
 * dht_query_input takes a reply or an error. Returns what to count it as: DHT_REPLY,
 * DHT_REPLY_ERROR, DHT_STRAY_REPLY, DHT_SHORT_REPLY, DHT_OTHER_ID.
 */
enum dht_reason dht_query_input(struct dht *dht, const struct krpc_message *reply,
				const struct dgram *dgram, uint64_t now_ns);

uint32_t dht_queries_cnt(const struct dht_queries *queries);

#endif
