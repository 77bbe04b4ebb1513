/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/dht_answer.h"

#include "base/dgram.h"
#include "base/fair/load.h"
#include "dht/dht_state.h"
#include "dht/items/items.h"
#include "dht/krpc/krpc_message.h"
#include "dht/validated_addrs.h"
#include "dht/items/swarms.h"

const struct weft_reason_row dht_reasons[] = {
#define REASON WEFT_REASON_ROW
#include "dht/dht_reasons.def"
};

/* BEP-51: how long a crawler is to stay away, the longest there is. */
#define SAMPLES_INTERVAL_S 21600
/* More do not fit into KRPC_SEND_LEN_MAX: 8 bytes each. */
#define PEERS_MAX 120
/* Short, so that a flood has no more than its rate; one answer always fits. */
#define UNVALIDATED_BURST_NS 100000000ull

static const struct bencode_span nothing = {NULL, 0};

/* A query on its way to its answer. */
struct asking {
	struct dht *dht;
	struct dht_side *side;
	const struct krpc_message *query;
	const struct dgram *dgram;
	uint64_t now_ns;
	size_t len_max; /* of the answer */
	bool is_proven;
};

static void count(struct asking *asking, enum dht_reason reason)
{
	asking->dht->reasons[reason]++;
}

/* Unproven addresses share a budget of bytes; one is a unit of cost_ns. */
static bool unvalidated_may_have(struct asking *asking, size_t len)
{
	struct dht *dht = asking->dht;
	uint64_t per_s = dht->params.config.unvalidated_bytes_per_s;
	uint64_t longest_ns = KRPC_VALUE_SEND_LEN_MAX * 1000000000ull / per_s;
	const struct weft_bucket_rate rate = {
		.cost_ns = len * 1000000000ull / per_s,
		.credit_max_ns =
			longest_ns > UNVALIDATED_BURST_NS ? longest_ns : UNVALIDATED_BURST_NS,
	};

	return asking->is_proven || weft_bucket_take(&dht->unvalidated, &rate, asking->now_ns);
}

/* Commits what was written, or counts why it stays here. */
static void slot_send(struct asking *asking, const struct dgram_slot *slot, const struct writer *w,
		      enum dht_reason reason)
{
	const struct dgram *dgram = asking->dgram;
	const struct dgram_route route = {.local = dgram->local, .remote = dgram->remote};
	struct dgram_sink *sink = asking->dht->params.sink;
	size_t len = writer_len(w);
	bool is_sent = false;

	if (w->bad || len > asking->len_max)
		reason = DHT_CUT_ANSWER;
	else if (!unvalidated_may_have(asking, len))
		reason = DHT_UNVALIDATED_LIMIT;
	else
		is_sent = true;
	count(asking, reason);
	if (!is_sent) {
		sink->ops->cancel(sink, slot);
		return;
	}
	sink->ops->commit(sink, slot, len, &route);
	asking->dht->bytes_out += len;
}

static bool slot_reserve(struct asking *asking, struct dgram_slot *out_slot)
{
	struct dgram_sink *sink = asking->dht->params.sink;

	if (sink->ops->reserve(sink, KRPC_VALUE_SEND_LEN_MAX, out_slot))
		return true;
	count(asking, DHT_SINK_FULL);
	return false;
}

static void error_send(struct asking *asking, enum dht_reason reason)
{
	struct dgram_slot slot;
	struct writer w;

	if (!slot_reserve(asking, &slot))
		return;
	w = writer_of(slot.data, KRPC_SEND_LEN_MAX);
	dht_krpc_write_error(&w, &asking->query->transaction, &asking->dgram->remote, reason);
	slot_send(asking, &slot, &w, reason);
}

/* Writes reply over what was written before; whether it is short enough. */
static bool reply_rewrite(const struct asking *asking, const struct krpc_reply *reply,
			  struct writer *w)
{
	*w = writer_of(w->start, (size_t)(w->end - w->start));
	dht_krpc_write_reply(w, reply);
	return !w->bad && writer_len(w) <= asking->len_max;
}

/*
 * Fields that do not fit are left out, the least important first. The order is: the nodes beside
 * a value, the value instead of the nodes, the nodes of the network that was not asked over. The
 * rest fits.
 */
static void reply_write(struct asking *asking, struct krpc_reply *reply, struct writer *w)
{
	const struct bencode_span nodes = reply->nodes, nodes6 = reply->nodes6;

	if (reply_rewrite(asking, reply, w) &&
	    (!reply->value.data || writer_len(w) <= KRPC_SEND_LEN_MAX))
		return;
	if (reply->value.data) {
		reply->nodes = reply->nodes6 = nothing;
		if (reply_rewrite(asking, reply, w))
			return;
		/* One that an unproven asker may not have yet is as if it were not there. */
		reply->value = reply->key = reply->sig = nothing;
		reply->has_seq = false;
		reply->nodes = nodes;
		reply->nodes6 = nodes6;
	}
	count(asking, DHT_CUT_ANSWER);
	if (reply_rewrite(asking, reply, w))
		return;
	*(asking->dgram->remote.family == ADDR_IPV4 ? &reply->nodes6 : &reply->nodes) = nothing;
	(void)reply_rewrite(asking, reply, w);
}

static void reply_send(struct asking *asking, struct krpc_reply *reply, enum dht_reason reason)
{
	struct dgram_slot slot;
	struct writer w;

	reply->transaction = asking->query->transaction;
	reply->asker = asking->dgram->remote;
	reply->id = asking->side->id;
	if (!slot_reserve(asking, &slot))
		return;
	w = writer_of(slot.data, KRPC_VALUE_SEND_LEN_MAX);
	reply_write(asking, reply, &w);
	slot_send(asking, &slot, &w, reason);
}

/* The nodes nearest to the target, of the network asked over or of those that `want` names. */
static void nodes_add(struct asking *asking, struct krpc_reply *reply)
{
	const struct krpc_message *query = asking->query;
	unsigned want = query->want;

	if (!want)
		want = asking->dgram->remote.family == ADDR_IPV4 ? KRPC_WANT_IPV4 : KRPC_WANT_IPV6;
	if (want & KRPC_WANT_IPV4)
		reply->nodes = dht_nodes_near(asking->dht, DHT_NET_IPV4, &query->target);
	if (want & KRPC_WANT_IPV6)
		reply->nodes6 = dht_nodes_near(asking->dht, DHT_NET_IPV6, &query->target);
}

struct token {
	uint8_t bytes[WEFT_KRPC_TOKEN_LEN];
};

static void token_add(struct asking *asking, struct krpc_reply *reply, struct token *token)
{
	dht_tokens_make(&asking->dht->tokens, &asking->dgram->remote, token->bytes);
	reply->token = (struct bencode_span){token->bytes, sizeof(token->bytes)};
}

static void find_node_answer(struct asking *asking)
{
	struct krpc_reply reply = {0};

	nodes_add(asking, &reply);
	reply_send(asking, &reply, DHT_ANSWERED);
}

/* How many peers fit beside what else the reply says. */
static unsigned peers_room(const struct asking *asking, const struct krpc_reply *reply)
{
	size_t len_max = asking->len_max < KRPC_SEND_LEN_MAX ? asking->len_max : KRPC_SEND_LEN_MAX;
	/* "d2:ip18:...1:rd2:id20:...5:nodes...6:nodes6...5:token8:...6:valuesle e1:t..:...1:y1:re" */
	size_t other = 24 + 39 + 12 + reply->nodes.len + 12 + reply->nodes6.len + 17 + 10 + 1 + 7 +
		       asking->query->transaction.len + 7;
	size_t each = asking->dgram->remote.family == ADDR_IPV4 ? 2 + KRPC_PEER_LEN_IPV4
								: 3 + KRPC_PEER_LEN_IPV6;
	size_t cnt = len_max > other ? (len_max - other) / each : 0;

	return cnt < PEERS_MAX ? (unsigned)cnt : PEERS_MAX;
}

static void get_peers_answer(struct asking *asking)
{
	struct krpc_reply reply = {0};
	struct addr peers[PEERS_MAX];
	struct token token;

	nodes_add(asking, &reply);
	token_add(asking, &reply, &token);
	reply.peers = peers;
	reply.peer_cnt = dht_swarms_sample(asking->side->swarms, &asking->query->target, peers,
					   peers_room(asking, &reply));
	reply_send(asking, &reply, DHT_ANSWERED);
}

static void get_answer(struct asking *asking)
{
	const struct krpc_message *query = asking->query;
	struct krpc_reply reply = {0};
	struct dht_item item;
	struct token token;

	nodes_add(asking, &reply);
	token_add(asking, &reply, &token);
	if (dht_items_get(asking->side->items, &query->target, &item)) {
		reply.has_seq = item.key != NULL;
		reply.seq = item.seq;
		/* An asker that has this item or a newer one gets only its number (BEP-44). */
		if (!query->has_seq || !item.key || item.seq > query->seq) {
			reply.value = (struct bencode_span){item.value, item.value_len};
			if (item.key) {
				reply.key = (struct bencode_span){item.key, NODE_KEY_LEN};
				reply.sig = (struct bencode_span){item.sig, NODE_KEY_SIG_LEN};
			}
		}
	}
	reply_send(asking, &reply, DHT_ANSWERED);
}

static void samples_answer(struct asking *asking)
{
	struct krpc_reply reply = {
		.has_samples = true,
		.interval = SAMPLES_INTERVAL_S,
	};

	nodes_add(asking, &reply);
	reply_send(asking, &reply, DHT_ANSWERED);
}

/* A write is answered by the id alone, or by why it was refused. */
static void write_answer(struct asking *asking, enum dht_reason reason, const struct kad_id *key)
{
	const struct dht_events *events = asking->dht->params.events;
	struct krpc_reply reply = {0};

	if (dht_reasons[reason].code) {
		error_send(asking, reason);
		return;
	}
	if (reason != DHT_EQUAL_SEQ && events->held)
		events->held(asking->dht->params.ctx, key);
	reply_send(asking, &reply, reason);
}

/*
 * KRPC has no field for a time, so wait_ms is the pool's expectation and the asker does not get it.
 * A write has a token: the address is validated.
 */
static void note_refused(const struct asking *asking, const char *pool, uint32_t wait_ms)
{
	const struct load_who who = {.addr = &asking->dgram->remote};

	load_refuse(asking->dht->params.load, &who, pool, wait_ms, asking->now_ns);
}

static void announce_answer(struct asking *asking)
{
	const struct krpc_message *query = asking->query;
	struct dht_swarms *swarms = asking->side->swarms;
	struct addr peer = asking->dgram->remote;
	enum dht_reason reason;

	if (!query->is_port_implied)
		peer.port = (uint16_t)query->port;
	reason = dht_swarms_announce(swarms, &query->target, &peer, asking->now_ns);
	if (reason == DHT_STORE_FULL)
		note_refused(asking, "dht.peer_cap",
			     dht_swarms_not_before_ms(swarms, &peer, asking->now_ns));
	else if (reason == DHT_SUBNET_FULL)
		note_refused(asking, "dht.peer_subnet_max", 0);
	write_answer(asking, reason, &query->target);
}

static void put_answer(struct asking *asking)
{
	const struct krpc_message *query = asking->query;
	const struct dht_item item = {
		.key = query->key.data,
		.sig = query->sig.data,
		.salt = query->salt.data,
		.salt_len = query->salt.len,
		.value = query->value.data,
		.value_len = query->value.len,
		.seq = query->seq,
	};
	const struct dht_items_put put = {
		.item = &item,
		.source = &asking->dgram->remote,
		.has_cas = query->has_cas,
		.cas = query->cas,
	};
	struct dht_items *items = asking->side->items;
	struct kad_id target;
	enum dht_reason reason = dht_items_put(items, &put, asking->now_ns, &target);

	if (reason == DHT_STORE_FULL)
		note_refused(asking, "dht.item_cap",
			     dht_items_not_before_ms(items, put.source, asking->now_ns));
	else if (reason == DHT_SUBNET_FULL)
		note_refused(asking, "dht.item_subnet_max", 0);
	write_answer(asking, reason, &target);
}

static void query_answer(struct asking *asking)
{
	struct krpc_reply pong = {0};

	switch (asking->query->method) {
	case KRPC_PING:
		reply_send(asking, &pong, DHT_ANSWERED);
		break;
	case KRPC_FIND_NODE:
	case KRPC_UNKNOWN: /* one with a target is answered as this (BEP-5) */
		find_node_answer(asking);
		break;
	case KRPC_GET_PEERS:
		get_peers_answer(asking);
		break;
	case KRPC_GET:
		get_answer(asking);
		break;
	case KRPC_SAMPLE_INFOHASHES:
		samples_answer(asking);
		break;
	case KRPC_ANNOUNCE_PEER:
		announce_answer(asking);
		break;
	case KRPC_PUT:
		put_answer(asking);
		break;
	}
}

static bool is_write(const struct krpc_message *query)
{
	return query->method == KRPC_ANNOUNCE_PEER || query->method == KRPC_PUT;
}

void dht_answer(struct dht *dht, const struct krpc_message *query, const struct dgram *dgram,
		uint64_t now_ns)
{
	struct asking asking = {
		.dht = dht,
		.side = dht_side_of(dht, &dgram->remote),
		.query = query,
		.dgram = dgram,
		.now_ns = now_ns,
		.len_max = KRPC_VALUE_SEND_LEN_MAX,
	};

	if (!query->fault && is_write(query)) {
		if (!dht_tokens_is_good(&dht->tokens, &dgram->remote, &query->token)) {
			error_send(&asking, DHT_BAD_TOKEN);
			return;
		}
		dht_validated_add(dht->validated, &dgram->remote, now_ns);
	}
	asking.is_proven = dht_validated_has(dht->validated, &dgram->remote, now_ns);
	if (!asking.is_proven && dgram->len * WEFT_KRPC_GAIN_MAX < asking.len_max)
		asking.len_max = dgram->len * WEFT_KRPC_GAIN_MAX;
	if (query->fault)
		error_send(&asking, query->fault);
	else
		query_answer(&asking);
}
