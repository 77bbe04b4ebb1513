/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's tables and the messages that open flows in them, put together. Home. */
#include <stdio.h>
#include <string.h>

#include "base/fair/contribution.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "node/node_state.h"
#include "relay/broker/relay_broker.h"
#include "relay/grants/honoured.h"
#include "relay/pool/relay_pool.h"

/* Not a leg of a relayed flow: a datagram would come back for ever. */
static bool is_own_addr(void *ctx, const struct addr *addr)
{
	const struct node *node = ctx;

	for (unsigned i = 0; i < node->machine->advertised.cnt; i++)
		if (addr_equal(&node->machine->advertised.addrs[i], addr))
			return true;
	for (unsigned i = 0; i < node->home->bound_cnt; i++)
		if (addr_equal(&node->home->bound[i], addr))
			return true;
	return false;
}

static void on_closed(void *ctx, struct relay_flow_id id, enum relay_close_why why)
{
	relay_broker_closed(((struct node *)ctx)->relay_broker, id, why);
}

static void on_slowed(void *ctx, struct relay_flow_id id, bool is_slow)
{
	relay_broker_slowed(((struct node *)ctx)->relay_broker, id, is_slow);
}

static void on_flows_carried(void *ctx, const uint8_t *owner, const uint64_t lens[static 2])
{
	relay_receipts_carried(((struct node *)ctx)->relay_receipts, owner,
			       &(struct relay_count){.sent = lens[0], .received = lens[1]});
}

int node_open_relay(struct node *node, const struct node_params *params, char *what)
{
	const struct relay_params relay = {
		.config = node->config->relay,
		.key = node->key,
		.store = node->store,
		.random = node->random,
		.site = &node->config->mesh.site,
		.now_ns = params->now_ns,
		.wall_s = params->wall_s,
		.is_own = is_own_addr,
		.on_closed = on_closed,
		.on_slowed = on_slowed,
		.on_carried = on_flows_carried,
		.ctx = node,
	};
	int err;

	if (!relay.config.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "tables of relayed flows");
	err = relay_new(&relay, &node->relay);
	if (err == 0)
		node->threads->config.relay = relay_tables(node->relay);
	return err;
}

enum fair_class node_peer_class(void *ctx, const uint8_t *key)
{
	return mesh_peer_class(((const struct node *)ctx)->home->mesh, key);
}

static void end_closed(void *ctx, const uint8_t *key, const struct relay_close_message *message,
		       uint64_t now_ns)
{
	(void)relay_end_closed(((const struct node *)ctx)->relay_end, key, message, now_ns);
}

static int on_grant(void *ctx, const uint8_t *opener, const struct relay_open_message *message,
		    unsigned *out_row, const char **out_why)
{
	struct node *node = ctx;
	const struct relay_showing showing = {.user = opener,
					      .bytes = message->grant,
					      .len = message->grant_len,
					      .is_content = message->class == RELAY_CONTENT};
	enum relay_grant_fault fault = RELAY_GRANT_NO_OPERATOR;

	if (node->relay_honoured)
		fault = relay_honoured_show(node->relay_honoured, &showing,
					    node_wall_us(node) / 1000000, out_row);
	*out_why = relay_grant_fault_text(fault);
	return fault == RELAY_GRANT_FINE ? 0 : WEFT_EREFUSED;
}

static int open_honoured(struct node *node, char *what)
{
	const char *text = node->config->relay_operator;
	uint8_t key[NODE_KEY_LEN];
	const struct relay_honoured_params honoured = {
		.relay = node->relay,
		.operator_key = key,
		.own_key = node_key_public(node->key),
		.store = node->store,
	};

	if (!*text)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "relay.operator: the key of an operator has 52 letters");
	if (zbase32_parse(text, strlen(text), key, sizeof(key)) != sizeof(key))
		return WEFT_EMALFORMED;
	snprintf(what, NODE_WHAT_CAP, "the revocation list of relay.operator");
	return relay_honoured_new(&honoured, &node->relay_honoured);
}

static void on_carried(void *ctx, const uint8_t *opener, uint64_t len, bool is_first)
{
	struct node *node = ctx;

	mesh_note_work(node->home->mesh, opener, MESH_WORK_TOOK, len);
	contribution_relayed(&node->relay_role.own, is_first, len, node_wall_us(node) / 1000000);
}

static int on_pool_connect(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
			   mesh_connect_fn done, void *arg)
{
	const struct node *node = ctx;

	return mesh_connect(
		node->home->mesh,
		&(struct mesh_connect){
			.peer = peer, .timeout_ns = timeout_ns, .done = done, .arg = arg},
		node->home->now_ns);
}

static int open_pool(struct node *node, char *what)
{
	const char *text = node->config->relay_pool;
	struct relay_pool_place places[RELAY_POOL_MAX];
	struct relay_pool_params pool = {
		.places = places,
		.honoured = node->relay_honoured,
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.connect = on_pool_connect,
		.messages = node->relay_messages,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};
	int cnt = relay_pool_parse(text, node_key_public(node->key), places);

	snprintf(what, NODE_WHAT_CAP, "relay.pool: KEY or KEY@ADDRESS:PORT, apart by commas");
	if (cnt <= 0)
		return cnt;
	snprintf(what, NODE_WHAT_CAP, "relay.pool: relay.operator is to be set, too");
	if (!node->relay_honoured)
		return WEFT_EMALFORMED;
	pool.place_cnt = (unsigned)cnt;
	return relay_pool_new(&pool, &node->relay_pool);
}

static uint32_t on_score(void *ctx, const uint8_t *key)
{
	struct contribution contribution;

	(void)mesh_contribution(((const struct node *)ctx)->home->mesh, key, &contribution);
	return contribution_score(&contribution);
}

static int open_messages(struct node *node, char *what)
{
	const struct relay_messages_params messages = {
		.config = node->config->relay_messages,
		.mesh = mesh_seam_of(node->home->mesh),
		.score = on_score,
		.ctx = node,
		.random = node->random,
	};

	snprintf(what, NODE_WHAT_CAP, "messages to the relay (relay.messages)");
	return relay_messages_new(&messages, &node->relay_messages);
}

int node_open_relay_broker(struct node *node, char *what)
{
	int err;
	struct relay_broker_params broker = {
		.config = node->config->relay_broker,
		.relay = node->relay,
		.flow_cap = node->config->relay.flow_cap,
		.own_key = node_key_public(node->key),
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.class_of = node_peer_class,
		.worker_of = node_session_worker,
		.end_closed = end_closed,
		.guest = node_is_guest,
		.guest_refused = node_guest_refused,
		.guest_deliver = node_guest_deliver,
		.grant = on_grant,
		.carried = on_carried,
		.ctx = node,
		.random = node->random,
		.site = node->config->mesh.site,
		.now_ns = node->home->now_ns,
		.wall_s = node_wall_us(node) / 1000000,
	};

	node_open_relay_role(node);
	/* Messages about deposits count as those of a relay. */
	if (!node->relay)
		return node->config->deposits.is_store ? open_messages(node, what) : 0;
	if ((err = open_honoured(node, what)) < 0 || (err = open_messages(node, what)) < 0 ||
	    (err = open_pool(node, what)) < 0)
		return err;
	broker.messages = node->relay_messages;
	snprintf(what, NODE_WHAT_CAP, "requests for flows of the relay (relay.requests)");
	err = relay_broker_new(&broker, &node->relay_broker);
	if (err == 0)
		relay_broker_set_off(node->relay_broker, !node->relay_role.is_relay);
	return err;
}

void node_turn_relay(struct node *node, uint64_t now_ns)
{
	uint64_t wall_s;

	if (node_relay_next_ns(node) > now_ns)
		return;
	if (node->relay_role.next_ns <= now_ns)
		node_turn_relay_role(node, now_ns);
	wall_s = node_wall_us(node) / 1000000;
	relay_turn(node->relay, now_ns, wall_s);
	if (node->relay_honoured)
		relay_honoured_turn(node->relay_honoured, wall_s);
	if (node->relay_pool)
		relay_pool_turn(node->relay_pool, now_ns);
	if (node->relay_broker)
		relay_broker_turn(node->relay_broker, now_ns, wall_s);
}

uint64_t node_relay_next_ns(const struct node *node)
{
	uint64_t next_ns, broker_ns, pool_ns;

	if (!node->relay)
		return UINT64_MAX;
	next_ns = relay_next_ns(node->relay);
	broker_ns = node->relay_broker ? relay_broker_next_ns(node->relay_broker) : UINT64_MAX;
	pool_ns = node->relay_pool ? relay_pool_next_ns(node->relay_pool) : UINT64_MAX;
	if (pool_ns < next_ns)
		next_ns = pool_ns;
	if (node->relay_role.next_ns < next_ns)
		next_ns = node->relay_role.next_ns;
	return broker_ns < next_ns ? broker_ns : next_ns;
}
