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

/* A sender that is full loses one. */
static void request_send(const struct stun_queries *queries, const struct addr *remote,
			 const uint8_t transaction[static STUN_TRANSACTION_LEN])
{
	const struct dgram_route route = {.remote = *remote};
	struct dgram_sink *sink = *queries->sink;
	uint8_t request[STUN_WRITE_CAP];
	struct dgram_slot slot;
	size_t len = stun_write_request(transaction, request);

	if (sink->ops->reserve(sink, len, &slot)) {
		memcpy(slot.data, request, len);
		sink->ops->commit(sink, &slot, len, &route);
	}
}

static void query_send(struct stun_query *query, uint64_t now_ns)
{
	uint64_t wait_ns = STUN_QUERY_RTO_NS << query->sent_cnt;

	request_send(query->all, &query->server, query->transaction);
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

void reachability_stun_check(struct stun_queries *queries, const struct addr *remote,
			     uint64_t now_ns)
{
	struct stun_check *check = &queries->checks[queries->next_check];

	queries->next_check = (queries->next_check + 1) % STUN_CHECK_CNT;
	*check = (struct stun_check){.remote = *remote, .sent_ns = now_ns};
	random_fill(queries->random, check->transaction, sizeof(check->transaction));
	request_send(queries, remote, check->transaction);
}

/* An error is an answer, too. */
static bool check_input(struct stun_queries *queries, const struct dgram *dgram,
			const struct stun_message *message, uint64_t now_ns)
{
	for (unsigned i = 0; i < STUN_CHECK_CNT; i++) {
		struct stun_check *check = &queries->checks[i];

		if (check->remote.family == ADDR_NONE ||
		    now_ns >= check->sent_ns + STUN_CHECK_LIFE_NS ||
		    !addr_equal(&check->remote, &dgram->remote) ||
		    memcmp(check->transaction, message->transaction, sizeof(check->transaction)) !=
			    0)
			continue;
		check->remote = (struct addr){0};
		if (queries->checked)
			queries->checked(queries->ctx, &dgram->remote, now_ns);
		return true;
	}
	return false;
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
	return check_input(queries, dgram, message, now_ns);
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
