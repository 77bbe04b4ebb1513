/* SPDX-License-Identifier: Apache-2.0 */
/* Relays of one operator whose revocation lists become one, on a network in memory. */
#include "relay/pool/relay_pool.h"

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/relay_messages_rig.h"

#define NODES 4u /* three relays, and one that is not of the pool */

struct dial {
	struct mesh_request *request;
	mesh_connect_fn done;
	void *arg;
	uint8_t reply[256];
};

struct place {
	struct mesh *node;
	struct relay *relay;
	struct relay_honoured *honoured;
	struct relay_pool *pool;
	struct dial dials[NODES];
	unsigned grant; /* the row of the grant with serial 7 */
};

static struct mesh_lab lab;
static struct random dice;
static struct node_key *operator_key, *other_key;
static struct place nodes[NODES];
static struct relay_pool_place pool_places[NODES];
static struct relay_messages *messages; /* of the first node; NULL: no limit */
static bool has_messages;		/* set before begin */
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static struct node_key *key_of(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number, 9};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

/* --- nodes --- */

static void on_turn(void *ctx, uint64_t now_ns)
{
	struct place *place = ctx;

	relay_turn(place->relay, now_ns, mesh_lab_wall_s(&lab));
	if (place->pool)
		relay_pool_turn(place->pool, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	const struct place *place = ctx;
	uint64_t relay_ns = relay_next_ns(place->relay);
	uint64_t pool_ns = place->pool ? relay_pool_next_ns(place->pool) : UINT64_MAX;

	return pool_ns < relay_ns ? pool_ns : relay_ns;
}

static void on_dial_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct dial *dial = arg;

	(void)now_ns;
	dial->request = NULL;
	/* Any answer shows that the peer is there. */
	dial->done(dial->arg, reply->err == WEFT_EUNKNOWN ? 0 : WEFT_EUNREACHABLE, NULL);
}

static int on_connect(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		      mesh_connect_fn done, void *arg)
{
	struct place *place = ctx;
	struct dial *dial = place->dials;
	struct mesh_ask ask = {
		.peer = *peer,
		.type = MESH_LIST_RELAYS,
		.payload = "",
		.timeout_ns = timeout_ns,
		.reply = on_dial_reply,
	};

	while (dial->request)
		dial++;
	ask.reply_buf = dial->reply;
	ask.reply_cap = sizeof(dial->reply);
	ask.arg = dial;
	dial->done = done;
	dial->arg = arg;
	return mesh_lab_seam_of(place->node)
		.ops->ask(place->node, &ask, lab.now_ns, &dial->request);
}

static void pool_start(struct place *place)
{
	struct relay_pool_place others[NODES];
	struct relay_pool_params params = {
		.places = others,
		.honoured = place->honoured,
		.mesh = mesh_lab_seam_of(place->node),
		.neighbours = &mesh_lab_neighbours,
		.connect = on_connect,
		.messages = place == nodes ? messages : NULL,
		.ctx = place,
		.now_ns = lab.now_ns,
	};

	for (unsigned i = 0; i < NODES - 1; i++)
		if (place != &nodes[i])
			others[params.place_cnt++] = pool_places[i];
	if (relay_pool_new(&params, &place->pool) < 0)
		abort();
}

static void node_start(struct place *place)
{
	struct relay_params params = {
		.key = operator_key, .random = &dice, .now_ns = lab.now_ns, .wall_s = 1800000000};
	const struct relay_honoured_params honoured = {
		.operator_key = node_key_public(operator_key), .own_key = place->node->key};
	struct relay_honoured_params of_node = honoured;

	relay_config_defaults(&params.config);
	params.config.is_on = true;
	params.config.flow_cap = 64;
	if (relay_new(&params, &place->relay) < 0)
		abort();
	of_node.relay = place->relay;
	if (relay_honoured_new(&of_node, &place->honoured) < 0)
		abort();
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
}

static void node_stop(struct place *place)
{
	relay_pool_stop(place->pool);
	relay_pool_free(place->pool);
	relay_honoured_free(place->honoured);
	relay_free(place->relay);
	place->pool = NULL;
	memset(place->dials, 0, sizeof(place->dials));
}

static void begin(void)
{
	operator_key = operator_key ?: key_of(1);
	other_key = other_key ?: key_of(2);
	random_init_seeded(&dice, 5);
	mesh_lab_init(&lab, 4, NODES, &calm);
	memset(nodes, 0, sizeof(nodes));
	for (unsigned i = 0; i < NODES; i++) {
		nodes[i].node = mesh_lab_add(&lab);
		memcpy(pool_places[i].key, nodes[i].node->key, MESH_KEY_LEN);
		pool_places[i].addr = nodes[i].node->addr;
		mesh_lab_up(nodes[i].node);
		node_start(&nodes[i]);
	}
	if (has_messages)
		messages = relay_messages_of(nodes[0].node, &dice);
	has_messages = false;
	for (unsigned i = 0; i < NODES - 1; i++)
		pool_start(&nodes[i]);
}

static void end_all(void)
{
	for (unsigned i = 0; i < NODES; i++)
		node_stop(&nodes[i]);
	mesh_lab_fini(&lab);
	relay_messages_free(messages);
	messages = NULL;
}

static void run_ms(uint64_t ms)
{
	(void)mesh_lab_run(&lab, ms * NS_PER_MS, NULL, NULL);
}

static struct relay_pool_stats stats(const struct place *place)
{
	struct relay_pool_stats got;

	relay_pool_stats(place->pool, &got);
	return got;
}

/* --- grants and lists --- */

static uint8_t list_bytes[RELAY_REVOCATIONS_LEN_MAX];

static size_t list_sign(const struct node_key *key, uint64_t list_serial, uint64_t revoked)
{
	static struct relay_revocations list;
	struct writer w = writer_of(list_bytes, sizeof(list_bytes));

	list = (struct relay_revocations){.serial = list_serial, .made_s = 1};
	if (relay_revocations_add(&list, revoked) < 0)
		abort();
	relay_revocations_write(&w, key, &list);
	return writer_len(&w);
}

static void on_durable(void *arg, int err)
{
	(void)arg, (void)err;
}

static void revoke_at(struct place *place, uint64_t list_serial, uint64_t revoked)
{
	size_t len = list_sign(operator_key, list_serial, revoked);

	CHECK_EQ(relay_honoured_revoke(place->honoured, list_bytes, len, on_durable, NULL), 0);
	/* What a node's loop sees. */
	CHECK_EQ(relay_pool_next_ns(place->pool), 0);
	on_turn(place, lab.now_ns);
	packet_tx_flush(place->node->tx);
}

/* A flow under a grant with serial 7 at place. */
static void grant_use(struct place *place)
{
	static const uint8_t user[32] = {0x21};
	const struct addr addr = {.family = ADDR_IPV4, .ip = {10, 1, 1, 1}, .port = 7};
	uint8_t shown[RELAY_SHOWN_LEN_MAX];
	struct writer w = writer_of(shown, sizeof(shown));
	struct relay_grant_record grant = {
		.serial = 7, .flow_max = 2, .not_before_s = 1800000000, .expires_s = 1800001000};
	struct relay_showing showing = {.user = user, .bytes = shown};
	struct relay_flow_terms terms = {.owner = user, .addr = &addr, .mtu = 1300};
	struct relay_flow_id id;

	memcpy(grant.holder, user, sizeof(grant.holder));
	relay_grant_record_write(&w, operator_key, &grant);
	showing.len = writer_len(&w);
	CHECK_EQ(relay_honoured_show(place->honoured, &showing, 1800000000, &place->grant),
		 RELAY_GRANT_FINE);
	terms.grant = place->grant;
	CHECK_EQ(relay_flow_open(place->relay, &terms, &id), 0);
}

static bool has_flow(const struct place *place)
{
	return relay_grant_flow_cnt(place->relay, place->grant) > 0;
}

static uint64_t serial_of(const struct place *place)
{
	return relay_honoured_list(place->honoured)->serial;
}

/* --- tests --- */

static void test_a_list_is_in_force_at_all_relays_at_once(void)
{
	begin();
	run_ms(2000);
	for (unsigned i = 0; i < NODES; i++)
		grant_use(&nodes[i]);
	revoke_at(&nodes[0], 1, 7);
	CHECK(!has_flow(&nodes[0]));
	CHECK(has_flow(&nodes[1]) && has_flow(&nodes[2]));
	CHECK_EQ(stats(&nodes[0]).behind_now, 2);
	run_ms(500);
	CHECK(!has_flow(&nodes[1]) && !has_flow(&nodes[2]));
	CHECK(has_flow(&nodes[3])); /* it is not of the pool */
	CHECK_EQ(stats(&nodes[0]).behind_now, 0);
	CHECK_EQ(stats(&nodes[1]).taken_cnt, 1);
	/* Each was sent it once, by one relay. */
	CHECK_EQ(stats(&nodes[0]).sent_cnt + stats(&nodes[1]).sent_cnt + stats(&nodes[2]).sent_cnt,
		 2);
	end_all();
}

static void test_a_relay_that_was_gone_has_the_list_within_a_minute(void)
{
	begin();
	run_ms(2000);
	mesh_lab_down(nodes[2].node);
	node_stop(&nodes[2]);
	revoke_at(&nodes[0], 5, 7);
	run_ms(90000);
	CHECK_EQ(serial_of(&nodes[1]), 5);
	CHECK_EQ(stats(&nodes[0]).behind_now, 1);
	CHECK(stats(&nodes[0]).failed_cnt > 0);
	/* It comes back without its store. */
	mesh_lab_up(nodes[2].node);
	node_start(&nodes[2]);
	grant_use(&nodes[2]);
	pool_start(&nodes[2]);
	run_ms(2000);
	CHECK_EQ(serial_of(&nodes[2]), 5);
	CHECK(!has_flow(&nodes[2]));
	run_ms(10000);
	CHECK_EQ(stats(&nodes[0]).behind_now, 0);
	end_all();
}

/* Two relays stand still when the list changes. */
static void test_a_list_that_was_lost_is_asked_for(void)
{
	struct relay_pool_row row;

	begin();
	run_ms(2000);
	for (unsigned i = 0; i < 2; i++) {
		nodes[i].node->expire = NULL;
		nodes[i].node->next_ns = NULL;
	}
	revoke_at(&nodes[0], 1, 7);
	run_ms(20000);
	CHECK_EQ(serial_of(&nodes[2]), 0);
	/* The third asks by itself, every 30 s. */
	nodes[0].node->expire = on_turn;
	nodes[0].node->next_ns = on_next_ns;
	run_ms(31000);
	CHECK_EQ(serial_of(&nodes[2]), 1);
	CHECK(relay_pool_row(nodes[2].pool, 0, &row));
	CHECK(row.is_heard);
	CHECK_EQ(row.serial, 1);
	CHECK(row.heard_ns > 0);
	CHECK(!relay_pool_row(nodes[2].pool, 2, &row));
	end_all();
}

/* What node[3] asks of the first relay. */
static struct mesh_lab_ask asked;

static int ask_by(const struct place *from, uint64_t serial, const uint8_t *list, size_t list_len)
{
	static uint8_t payload[RELAY_POOL_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	const struct relay_pool_message message = {serial, list, (uint32_t)list_len};

	relay_pool_message_write(&w, &message);
	mesh_lab_ask(from->node, nodes[0].node, MESH_REVOCATIONS, payload, writer_len(&w), &asked);
	return asked.reply.err;
}

static void test_only_lists_of_the_operator_from_the_pool_are_taken(void)
{
	size_t len;

	begin();
	run_ms(2000);
	len = list_sign(operator_key, 3, 7);
	CHECK_EQ(ask_by(&nodes[3], 3, list_bytes, len), WEFT_EREFUSED);
	CHECK_EQ(serial_of(&nodes[0]), 0);
	len = list_sign(other_key, 3, 7);
	CHECK_EQ(ask_by(&nodes[1], 3, list_bytes, len), WEFT_EREFUSED);
	len = list_sign(operator_key, 3, 7);
	list_bytes[len - 1] ^= 1;
	CHECK_EQ(ask_by(&nodes[1], 3, list_bytes, len), WEFT_EREFUSED);
	CHECK_EQ(serial_of(&nodes[0]), 0);
	CHECK_EQ(stats(&nodes[0]).refused_cnt, 3);
	CHECK_EQ(stats(&nodes[0]).taken_cnt, 0);
	list_bytes[len - 1] ^= 1;
	CHECK_EQ(ask_by(&nodes[1], 3, list_bytes, len), 0);
	CHECK_EQ(serial_of(&nodes[0]), 3);
	/* An older one changes nothing. */
	len = list_sign(operator_key, 2, 9);
	CHECK_EQ(ask_by(&nodes[1], 2, list_bytes, len), 0);
	CHECK_EQ(serial_of(&nodes[0]), 3);
	CHECK_EQ(stats(&nodes[0]).taken_cnt, 1);
	end_all();
}

/* It says with each message that it has no list. */
static void test_a_relay_that_takes_no_list_is_sent_one_a_second(void)
{
	begin();
	run_ms(2000);
	revoke_at(&nodes[0], 1, 7);
	run_ms(2000);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(ask_by(&nodes[1], 0, NULL, 0), 0);
		run_ms(30);
	}
	CHECK(stats(&nodes[0]).sent_cnt >= 4);
	CHECK(stats(&nodes[0]).sent_cnt <= 8);
	end_all();
}

static void ask_as_stranger(struct mesh_lab_ask *out)
{
	uint8_t payload[16];
	struct writer w = writer_of(payload, sizeof(payload));

	relay_pool_message_write(&w, &(struct relay_pool_message){.serial = 0});
	mesh_lab_ask(nodes[3].node, nodes[0].node, MESH_REVOCATIONS, payload, writer_len(&w), out);
}

/* Strangers are refused anyway; beyond the rate they are not even judged. */
static void test_one_message_beyond_the_rate_is_refused(void)
{
	unsigned taken_cnt = 0;

	has_messages = true;
	begin();
	run_ms(2000);
	relay_messages_exceed(&lab, ask_as_stranger, &taken_cnt);
	CHECK_EQ(stats(&nodes[0]).refused_cnt, taken_cnt);
	end_all();
}

static void test_truncated_messages_are_refused(void)
{
	static uint8_t payload[RELAY_POOL_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct relay_pool_message message = {9, payload, 0}, read;
	uint8_t list[40] = {1, 2, 3};

	message.list = list;
	message.list_len = sizeof(list);
	relay_pool_message_write(&w, &message);
	CHECK_EQ(relay_pool_message_parse(payload, writer_len(&w), &read), 0);
	CHECK_EQ(read.serial, 9);
	CHECK_EQ(read.list_len, sizeof(list));
	CHECK_MEM(read.list, list, sizeof(list));
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK(relay_pool_message_parse(payload, len, &read) < 0);
	/* And by the handler. */
	begin();
	run_ms(1000);
	mesh_lab_ask(nodes[1].node, nodes[0].node, MESH_REVOCATIONS, payload, writer_len(&w) - 1,
		     &asked);
	CHECK_EQ(asked.reply.err, WEFT_EMALFORMED);
	end_all();
}

static void test_the_setting_is_read(void)
{
	static const uint8_t own[MESH_KEY_LEN] = {1}, other[MESH_KEY_LEN] = {2},
			     third[MESH_KEY_LEN] = {3};
	struct relay_pool_place places[RELAY_POOL_MAX];
	char texts[3][ZBASE32_KEY_TEXT_CAP], text[RELAY_POOL_TEXT_CAP] = "";

	zbase32_write(own, sizeof(own), texts[0]);
	zbase32_write(other, sizeof(other), texts[1]);
	zbase32_write(third, sizeof(third), texts[2]);
	CHECK_EQ(relay_pool_parse("", own, places), 0);
	snprintf(text, sizeof(text), " %s@192.0.2.1:7000 , %s,%s@[2001:db8::1]:7 ", texts[1],
		 texts[0], texts[2]);
	CHECK_EQ(relay_pool_parse(text, own, places), 2);
	CHECK_MEM(places[0].key, other, sizeof(other));
	CHECK_EQ(places[0].addr.family, ADDR_IPV4);
	CHECK_EQ(places[0].addr.port, 7000);
	CHECK_MEM(places[1].key, third, sizeof(third));
	CHECK_EQ(places[1].addr.port, 7);
	snprintf(text, sizeof(text), "%s", texts[1]);
	CHECK_EQ(relay_pool_parse(text, own, places), 1);
	CHECK_EQ(places[0].addr.family, ADDR_NONE);
	snprintf(text, sizeof(text), "%s,%s", texts[1], texts[1]);
	CHECK_EQ(relay_pool_parse(text, own, places), WEFT_EEXISTS);
	snprintf(text, sizeof(text), "%s@192.0.2.1", texts[1]);
	CHECK_EQ(relay_pool_parse(text, own, places), WEFT_EMALFORMED);
	texts[1][5] = '\0';
	CHECK_EQ(relay_pool_parse(texts[1], own, places), WEFT_EMALFORMED);
	text[0] = '\0';
	for (unsigned i = 0; i <= RELAY_POOL_MAX; i++) {
		const uint8_t key[MESH_KEY_LEN] = {9, (uint8_t)i};
		size_t len = strlen(text);

		zbase32_write(key, sizeof(key), texts[0]);
		snprintf(text + len, sizeof(text) - len, "%s,", texts[0]);
	}
	CHECK_EQ(relay_pool_parse(text, own, places), WEFT_EFULL);
}

int main(void)
{
	RUN(test_a_list_is_in_force_at_all_relays_at_once);
	RUN(test_a_relay_that_was_gone_has_the_list_within_a_minute);
	RUN(test_a_list_that_was_lost_is_asked_for);
	RUN(test_only_lists_of_the_operator_from_the_pool_are_taken);
	RUN(test_a_relay_that_takes_no_list_is_sent_one_a_second);
	RUN(test_one_message_beyond_the_rate_is_refused);
	RUN(test_truncated_messages_are_refused);
	RUN(test_the_setting_is_read);
	return check_done();
}
