/* SPDX-License-Identifier: Apache-2.0 */
/* The client of STUN: stun_ask -> query_send, each timer a send -> stun_input or silence. Home worker. */
#include "stun_query.h"

#include <string.h>

#include "base/container_of.h"
#include "base/dgram.h"
#include "base/random.h"

static void query_end(struct stun_query *query, const struct addr *mapped, uint64_t now_ns)
{
	struct stun_queries *all = query->all;
	struct addr server = query->server;

	timer_cancel(all->timers, &query->timer);
	query->server = (struct addr){0};
	all->answered(all->ctx, &server, mapped, now_ns);
}

/* A sender that is full loses one of the seven. */
static void query_send(struct stun_query *query, uint64_t now_ns)
{
	const struct dgram_route route = {.remote = query->server};
	struct dgram_sink *sink = *query->all->sink;
	uint64_t wait_ns = STUN_QUERY_RTO_NS << query->sent_cnt;
	uint8_t request[STUN_WRITE_CAP];
	struct dgram_slot slot;
	size_t len = stun_write_request(query->transaction, request);

	if (sink->ops->reserve(sink, len, &slot)) {
		memcpy(slot.data, request, len);
		sink->ops->commit(sink, &slot, len, &route);
	}
	query->sent_cnt++;
	timer_set(query->all->timers, &query->timer,
		  now_ns + (query->sent_cnt == STUN_QUERY_SENDS ? STUN_QUERY_LAST_NS : wait_ns));
}

static void query_expire(struct timer *timer, uint64_t now_ns)
{
	struct stun_query *query = container_of(timer, struct stun_query, timer);

	if (query->sent_cnt < STUN_QUERY_SENDS)
		query_send(query, now_ns);
	else
		query_end(query, NULL, now_ns);
}

bool reachability_stun_ask(struct stun_queries *queries, const struct addr *server, uint64_t now_ns)
{
	struct stun_query *query = NULL;

	for (unsigned i = 0; i < STUN_QUERY_CNT; i++) {
		if (addr_equal(&queries->rows[i].server, server))
			return false;
		if (queries->rows[i].server.family == ADDR_NONE)
			query = &queries->rows[i];
	}
	if (!query)
		return false;
	*query = (struct stun_query){.all = queries, .server = *server};
	timer_init(&query->timer, query_expire);
	random_fill(queries->random, query->transaction, sizeof(query->transaction));
	query_send(query, now_ns);
	return true;
}

bool reachability_stun_input(struct stun_queries *queries, const struct dgram *dgram,
			     const struct stun_message *message, uint64_t now_ns)
{
	for (unsigned i = 0; i < STUN_QUERY_CNT; i++) {
		struct stun_query *query = &queries->rows[i];

		if (!addr_equal(&query->server, &dgram->remote) ||
		    memcmp(query->transaction, message->transaction, sizeof(query->transaction)) !=
			    0)
			continue;
		/*
		 * An attribute that has to be known and is not makes an answer
		 * useless (RFC 8489 6.3.3).
		 */
		query_end(query,
			  message->type == STUN_SUCCESS && !message->unknown_cnt &&
					  message->mapped.family == dgram->remote.family
				  ? &message->mapped
				  : NULL,
			  now_ns);
		return true;
	}
	return false;
}

void reachability_stun_stop(struct stun_queries *queries)
{
	for (unsigned i = 0; i < STUN_QUERY_CNT; i++) {
		if (queries->rows[i].server.family == ADDR_NONE)
			continue;
		timer_cancel(queries->timers, &queries->rows[i].timer);
		queries->rows[i].server = (struct addr){0};
	}
}
