/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dht_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "dht/dht_state.h"

static struct dht_rig *rig_of(struct dgram_sink *sink)
{
	return container_of(sink, struct dht_rig, sink);
}

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct dht_rig *rig = rig_of(sink);

	if (rig->is_sink_full || len > sizeof(rig->slot))
		return false;
	*out_slot = (struct dgram_slot){rig->slot, len};
	return true;
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct dht_rig *rig = rig_of(sink);

	if (rig->sent_cnt < DHT_RIG_SENT_MAX) {
		struct dht_rig_sent *sent = &rig->sent[rig->sent_cnt];

		memcpy(sent->data, slot->data, len);
		sent->len = len;
		sent->remote = route->remote;
	}
	rig->sent_cnt++;
	rig->sent_len += len;
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

static void on_held(void *ctx, const struct kad_id *key)
{
	struct dht_rig *rig = ctx;

	rig->held = *key;
	rig->held_cnt++;
}

void dht_rig_init(struct dht_rig *rig)
{
	static const struct dgram_sink_ops ops = {sink_reserve, sink_commit, sink_cancel};

	memset(rig, 0, sizeof(*rig));
	random_init_seeded(&rig->random, 7);
	rig->sink = (struct dgram_sink){&ops, sizeof(rig->slot)};
	rig->now_ns = 3600 * 1000000000ull;
	dht_config_defaults(&rig->config);
	rig->config.item_cap = 1000;
	rig->config.peer_cap = 1000;
}

void dht_rig_start(struct dht_rig *rig)
{
	static const struct dht_events events = {.held = on_held};
	const struct dht_params params = {
		.config = rig->config,
		.load = rig->load,
		.events = &events,
		.ctx = rig,
		.random = &rig->random,
		.sink = &rig->sink,
		.now_ns = rig->now_ns,
		.wall_us = 1800000000000000ull,
	};

	if (dht_new(&params, &rig->dht) < 0)
		abort();
}

void dht_rig_fini(struct dht_rig *rig)
{
	dht_free(rig->dht);
	rig->dht = NULL;
}

struct addr dht_rig_addr(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

void dht_rig_fill(struct dht_rig *rig, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct kad_contact contact = {.is_proven = true};
		char text[ADDR_TEXT_CAP];

		for (unsigned j = 0; j < KAD_ID_LEN; j++)
			contact.id.bytes[j] = (uint8_t)random_u64(&rig->random);
		snprintf(text, sizeof(text), "%u.%u.3.4:%u", 11 + i / 200, i % 200, 1000 + i);
		contact.addr = dht_rig_addr(text);
		(void)kad_table_answered(rig->dht->sides[DHT_NET_IPV4].table, &contact, 1000000,
					 rig->now_ns);
		snprintf(text, sizeof(text), "[2a00:%x:%x::1]:%u", 1 + i / 200, i, 1000 + i);
		contact.addr = dht_rig_addr(text);
		(void)kad_table_answered(rig->dht->sides[DHT_NET_IPV6].table, &contact, 1000000,
					 rig->now_ns);
	}
	rig->now_ns += 2000000000ull;
	dht_expire(rig->dht, rig->now_ns);
}

void dht_rig_input(struct dht_rig *rig, const struct addr *remote, const void *data, size_t len)
{
	/* On the heap and of exact size, so that the sanitizer sees a read beyond it. */
	uint8_t *exact = malloc(len ? len : 1);
	struct dgram dgram = {
		.data = exact,
		.len = len,
		.local = dht_rig_addr(remote->family == ADDR_IPV4 ? "203.0.113.1:7000"
								  : "[2001:db8::1]:7000"),
		.remote = *remote,
	};

	if (!exact)
		abort();
	memcpy(exact, data, len);
	dht_input(rig->dht, &dgram, rig->now_ns);
	free(exact);
}

bool dht_rig_ask(struct dht_rig *rig, const struct addr *remote, const struct krpc_query *query,
		 struct krpc_message *out_answer)
{
	uint8_t buf[1500];
	struct writer w = writer_of(buf, sizeof(buf));

	dht_krpc_write_query(&w, query);
	if (w.bad)
		abort();
	dht_rig_forget(rig);
	dht_rig_input(rig, remote, buf, writer_len(&w));
	for (unsigned i = 0; i < rig->sent_cnt && i < DHT_RIG_SENT_MAX; i++) {
		const struct dht_rig_sent *sent = &rig->sent[i];

		if (dht_krpc_parse(sent->data, sent->len, out_answer) != DHT_ANSWERED)
			abort();
		/* The node may have asked something of its own as well. */
		if (out_answer->kind != KRPC_QUERY)
			return addr_equal(&sent->remote, remote);
	}
	return false;
}

void dht_rig_forget(struct dht_rig *rig)
{
	rig->sent_cnt = 0;
	rig->sent_len = 0;
}

uint64_t dht_rig_count(const struct dht_rig *rig, enum dht_reason reason)
{
	struct dht_stats stats;

	dht_stats(rig->dht, rig->now_ns, &stats);
	return stats.reasons[reason];
}

struct bencode_span dht_rig_span(const char *text)
{
	return (struct bencode_span){(const uint8_t *)text, strlen(text)};
}

struct krpc_query dht_rig_query(enum krpc_method method)
{
	struct krpc_query query = {.method = method, .transaction = dht_rig_span("aa")};

	memcpy(query.id.bytes, "abcdefghij0123456789", KAD_ID_LEN);
	memcpy(query.target.bytes, "mnopqrstuvwxyz123456", KAD_ID_LEN);
	return query;
}

int64_t dht_rig_code(struct dht_rig *rig, const struct addr *remote, const struct krpc_query *query)
{
	struct krpc_message answer;

	if (!dht_rig_ask(rig, remote, query, &answer))
		return -1;
	return answer.kind == KRPC_ERROR ? answer.error_code : 0;
}

struct bencode_span dht_rig_token(struct dht_rig *rig, const struct addr *asker,
				  uint8_t out[static 8])
{
	struct krpc_query query = dht_rig_query(KRPC_GET);
	struct krpc_message answer;

	if (!dht_rig_ask(rig, asker, &query, &answer) || answer.token.len != 8)
		abort();
	memcpy(out, answer.token.data, 8);
	return (struct bencode_span){out, 8};
}
