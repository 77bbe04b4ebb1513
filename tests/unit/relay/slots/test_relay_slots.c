/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of a relay: which node gets one, where it leads, and how an end keeps its own. */
#include "relay/slots/relay_slots.h"

#include <stdlib.h>

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/relay_messages_rig.h"

#define NODES	RELAY_SLOTS_CAP_MIN + 8u
#define LIFE_NS (RELAY_SLOT_LIFE_S * NS_PER_S)

struct place {
	struct mesh *node;
	struct node_key *key;
	struct relay_slots *slots;
	bool keeps; /* a session with the relay, and a slot there */
};

static struct mesh_lab lab;
static struct random dice;
static struct place nodes[NODES]; /* the relay is the first */
static unsigned node_cnt;
static struct mesh_lab_ask asked;
static struct relay_messages *messages; /* of the relay; NULL: no limit */
static bool has_messages;		/* set before begin */
static const uint8_t *banned;		/* a key; NULL: none */
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static void on_turn(void *ctx, uint64_t now_ns)
{
	relay_slots_turn(((struct place *)ctx)->slots, now_ns);
}

static uint64_t on_next_ns(void *ctx)
{
	return relay_slots_next_ns(((const struct place *)ctx)->slots);
}

static unsigned on_kept(void *ctx, struct peer_via out[static PEER_VIAS_MAX])
{
	if (!((const struct place *)ctx)->keeps)
		return 0;
	out[0] = (struct peer_via){.addr = nodes[0].node->addr};
	memcpy(out[0].key, nodes[0].node->key, MESH_KEY_LEN);
	return 1;
}

static bool on_path(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		    struct mesh_path *out_path)
{
	bool is_attacker = key[0] == 0xaa;

	if (mesh)
		return mesh_lab_neighbours.path(mesh, key, out_path);
	*out_path = (struct mesh_path){.remote = {.family = ADDR_IPV4,
						  .ip = {20, is_attacker ? 1 : key[1] | 0x80,
							 is_attacker ? 1 : key[2], key[3]},
						  .port = 7}};
	return true;
}

static bool on_refuses(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return banned && memcmp(key, banned, MESH_KEY_LEN) == 0;
}

static const struct mesh_neighbour_ops neighbours = {.path = on_path};

static void slots_start(struct place *place, bool is_relay)
{
	const struct relay_slots_params params = {
		.config = {.slot_cap = RELAY_SLOTS_CAP_MIN},
		.is_relay = is_relay,
		.key = place->key,
		.mesh = mesh_lab_seam_of(place->node),
		.neighbours = &neighbours,
		.random = &dice,
		.refuses = on_refuses,
		.kept = on_kept,
		.messages = is_relay ? messages : NULL,
		.ctx = place,
		.now_ns = lab.now_ns,
	};

	if (relay_slots_new(&params, &place->slots) < 0)
		abort();
	place->node->expire = on_turn;
	place->node->next_ns = on_next_ns;
	place->node->ctx = place;
}

static struct place *node_add(bool is_relay)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(node_cnt + 1), 11};
	struct place *place = &nodes[node_cnt++];

	*place = (struct place){.node = mesh_lab_add(&lab)};
	if (node_key_from_seed(seed, &place->key) < 0)
		abort();
	memcpy(place->node->key, node_key_public(place->key), MESH_KEY_LEN);
	mesh_lab_up(place->node);
	if (is_relay && has_messages)
		messages = relay_messages_of(place->node, &dice);
	has_messages = false;
	slots_start(place, is_relay);
	return place;
}

static void begin(void)
{
	random_init_seeded(&dice, 5);
	mesh_lab_init(&lab, 4, NODES, &calm);
	lab.idle_ns = 1000000 * NS_PER_S;
	node_cnt = 0;
	(void)node_add(true);
}

static void end_all(void)
{
	for (unsigned i = 0; i < node_cnt; i++)
		relay_slots_stop(nodes[i].slots);
	mesh_lab_fini(&lab);
	for (unsigned i = 0; i < node_cnt; i++) {
		relay_slots_free(nodes[i].slots);
		node_key_free(nodes[i].key);
	}
	relay_messages_free(messages);
	messages = NULL;
}

static void run_ns(uint64_t ns)
{
	(void)mesh_lab_run(&lab, ns, NULL, NULL);
}

static struct relay_slots_stats stats(const struct place *place)
{
	struct relay_slots_stats got;

	relay_slots_stats(place->slots, &got);
	return got;
}

/* A session with the relay, as every end has one. */
static struct place *end_add(void)
{
	struct place *end = node_add(false);

	mesh_lab_ask(end->node, nodes[0].node, MESH_RELAY_REGISTER, "", 0, &asked);
	if (asked.reply.err != WEFT_EMALFORMED)
		abort();
	return end;
}

/* What the relay answers to 450 with nonce, or to 452 with slot. */
static struct relay_registered_message answer;

static int request(const struct place *end, unsigned type, uint64_t number)
{
	const struct relay_register_message reg = {number};
	const struct relay_connect_message con = {number};
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	if (type == MESH_RELAY_REGISTER)
		relay_message_register_write(&w, &reg);
	else
		relay_message_connect_write(&w, &con);
	mesh_lab_ask(end->node, nodes[0].node, type, payload, writer_len(&w), &asked);
	if (asked.reply.err < 0)
		return asked.reply.err;
	if (asked.reply.type != MESH_RELAY_REGISTERED)
		return WEFT_EUNKNOWN;
	return relay_message_registered_parse(asked.reply.payload, asked.reply.payload_len,
					      &answer);
}

static void test_a_slot_leads_to_the_key_that_registered_it(void)
{
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	CHECK_EQ(answer.life_s, RELAY_SLOT_LIFE_S);
	CHECK(!answer.has_key);
	slot = answer.slot;
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	CHECK(answer.has_key);
	CHECK_EQ(answer.slot, slot);
	CHECK_MEM(answer.key, end->node->key, MESH_KEY_LEN);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot ^ 1), WEFT_EABSENT);
	CHECK_EQ(stats(&nodes[0]).connected_cnt, 1);
	CHECK_EQ(stats(&nodes[0]).unknown_cnt, 1);
	end_all();
}

static void test_a_ban_frees_the_slot_of_its_key(void)
{
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	CHECK_EQ(request(other, MESH_RELAY_REGISTER, 7), 0);
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	slot = answer.slot;
	banned = end->node->key;
	relay_slots_expel(nodes[0].slots, lab.now_ns);
	banned = NULL;
	CHECK_EQ(stats(&nodes[0]).slot_cnt, 1);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), WEFT_EABSENT);
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	end_all();
}

static void test_a_nonce_chooses_the_slot_and_another_replaces_it(void)
{
	struct place *end, *other;
	uint64_t first, second;

	begin();
	end = end_add();
	other = end_add();
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	first = answer.slot;
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	CHECK_EQ(answer.slot, first);
	CHECK_EQ(stats(&nodes[0]).slot_cnt, 1);
	CHECK_EQ(request(other, MESH_RELAY_REGISTER, 7), 0);
	CHECK(answer.slot != first); /* the number is of the key as well */
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 8), 0);
	second = answer.slot;
	CHECK(second != first);
	CHECK_EQ(stats(&nodes[0]).slot_cnt, 2);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, first), WEFT_EABSENT);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, second), 0);
	end_all();
}

static void test_a_slot_that_is_not_kept_is_gone_after_ten_minutes(void)
{
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	slot = answer.slot;
	run_ns(LIFE_NS - NS_PER_S);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	CHECK_EQ(answer.life_s, 0);
	run_ns(NS_PER_S);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), WEFT_EABSENT);
	CHECK_EQ(stats(&nodes[0]).expired_cnt, 1);
	CHECK_EQ(stats(&nodes[0]).slot_cnt, 0);
	end_all();
}

static void session_end(const struct place *end)
{
	struct mesh *relay = nodes[0].node;

	for (unsigned i = 0; i < relay->session_cnt; i++)
		if (memcmp(relay->sessions[i].key, end->node->key, MESH_KEY_LEN) == 0)
			relay->sessions[i--] = relay->sessions[--relay->session_cnt];
}

static void test_a_slot_whose_node_is_gone_leads_nowhere_until_it_is_back(void)
{
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	slot = answer.slot;
	session_end(end);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), WEFT_EABSENT);
	mesh_lab_down(end->node);
	mesh_lab_up(end->node);
	mesh_lab_ask(end->node, nodes[0].node, MESH_RELAY_REGISTER, "", 0, &asked);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	end_all();
}

/* relay_slots_next gives what the end has. */
static struct relay_slots_row own_of(const struct place *end)
{
	struct relay_slots_row row;
	uint32_t idx = 0;

	while (relay_slots_next(end->slots, &idx, &row))
		if (row.is_own)
			return row;
	return (struct relay_slots_row){.is_own = false};
}

static void test_an_end_keeps_its_slot_through_a_restart_of_the_relay(void)
{
	struct relay_slots_row row;
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	end->keeps = true;
	relay_slots_kept(end->slots, lab.now_ns);
	end->node->due_ns = lab.now_ns;
	run_ns(NS_PER_S);
	row = own_of(end);
	CHECK(row.is_own);
	CHECK_MEM(row.key, nodes[0].node->key, MESH_KEY_LEN);
	slot = row.slot;
	CHECK_EQ(stats(end).own_cnt, 1);
	run_ns(3 * LIFE_NS);
	CHECK_EQ(stats(&nodes[0]).registered_cnt, 10); /* each third of its life */
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	/* The relay has lost it. It is registered again under the number that others have. */
	relay_slots_stop(nodes[0].slots);
	mesh_lab_down(nodes[0].node);
	relay_slots_free(nodes[0].slots);
	mesh_lab_up(nodes[0].node);
	slots_start(&nodes[0], true);
	mesh_lab_ask(end->node, nodes[0].node, MESH_RELAY_REGISTER, "", 0, &asked);
	relay_slots_session(end->slots, nodes[0].node->key, lab.now_ns);
	end->node->due_ns = lab.now_ns;
	run_ns(NS_PER_S);
	CHECK_EQ(request(other, MESH_RELAY_CONNECT, slot), 0);
	CHECK_MEM(answer.key, end->node->key, MESH_KEY_LEN);
	/* A relay that is kept no more is not asked. */
	end->keeps = false;
	relay_slots_kept(end->slots, lab.now_ns);
	end->node->due_ns = lab.now_ns;
	run_ns(NS_PER_S);
	CHECK(!own_of(end).is_own);
	end_all();
}

static struct {
	unsigned cnt;
	int err;
	uint8_t key[MESH_KEY_LEN];
} heard;

static void on_heard(void *arg, int err, const uint8_t *key)
{
	(void)arg;
	heard.cnt++;
	heard.err = err;
	if (key)
		memcpy(heard.key, key, sizeof(heard.key));
}

static int ask_of(const struct place *end, uint64_t slot, void *arg)
{
	struct mesh_peer relay = {.addr_cnt = 0};
	const struct relay_slot_question question = {
		.relay = &relay, .slot = slot, .done = on_heard, .arg = arg};

	memcpy(relay.key, nodes[0].node->key, MESH_KEY_LEN);
	end->node->due_ns = lab.now_ns;
	return relay_slots_ask(end->slots, &question, lab.now_ns);
}

/* It looks at its own slots once a minute, and the time of that is not the time of a question. */
static void test_a_node_that_was_idle_asks_for_a_slot(void)
{
	struct place *end, *other;

	begin();
	end = end_add();
	other = end_add();
	memset(&heard, 0, sizeof(heard));
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	for (unsigned i = 1; i <= 5; i++) {
		run_ns(37 * NS_PER_S);
		CHECK_EQ(ask_of(other, answer.slot, NULL), 0);
		run_ns(NS_PER_S);
		CHECK_EQ(heard.cnt, i);
		CHECK_EQ(heard.err, 0);
	}
	end_all();
}

static void test_a_node_asks_for_eight_slots_at_a_time(void)
{
	struct place *end, *other;
	uint64_t slot;

	begin();
	end = end_add();
	other = end_add();
	memset(&heard, 0, sizeof(heard));
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	slot = answer.slot;
	CHECK_EQ(ask_of(other, slot, NULL), 0);
	run_ns(NS_PER_S);
	CHECK_EQ(heard.cnt, 1);
	CHECK_EQ(heard.err, 0);
	CHECK_MEM(heard.key, end->node->key, MESH_KEY_LEN);
	CHECK_EQ(ask_of(other, slot + 1, NULL), 0);
	run_ns(NS_PER_S);
	CHECK_EQ(heard.err, WEFT_EABSENT);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(ask_of(other, slot, &heard), 0);
	CHECK_EQ(ask_of(other, slot, &heard), WEFT_EFULL);
	relay_slots_cancel(other->slots, &heard);
	run_ns(NS_PER_S);
	CHECK_EQ(heard.cnt, 2);
	CHECK_EQ(ask_of(other, slot, NULL), 0);
	run_ns(NS_PER_S);
	CHECK_EQ(heard.cnt, 3);
	end_all();
}

/* --- a relay whose peers have no node: as many keys as a test wants --- */

static struct {
	mesh_handler_fn registers, connects;
	void *ctx;
	int code; /* of the last answer; 0: none was an error */
} alone;

static int alone_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)mesh;
	*(type == MESH_RELAY_REGISTER ? &alone.registers : &alone.connects) = handler;
	alone.ctx = ctx;
	return 0;
}

static int alone_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)type, (void)tail;
	alone.code = relay_message_registered_parse(head, head_len, &answer);
	return 0;
}

static void alone_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
			       const char *text, uint64_t wait_ms)
{
	(void)incoming, (void)text, (void)wait_ms;
	alone.code = code;
}

static const struct mesh_ops alone_ops = {
	.handle = alone_handle, .answer = alone_answer, .answer_error = alone_answer_error};

/* A key whose address follows from it; those of attackers are in one /24. */
static int alone_request(unsigned type, uint8_t kind, uint32_t key_number, uint64_t number)
{
	const uint8_t key[MESH_KEY_LEN] = {kind, (uint8_t)(key_number >> 16),
					   (uint8_t)(key_number >> 8), (uint8_t)key_number};
	const struct relay_register_message reg = {number};
	uint8_t payload[RELAY_SLOT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.peer_key = key, .type = type, .payload = payload};

	/* Both messages are one number. */
	relay_message_register_write(&w, &reg);
	call.payload_len = writer_len(&w);
	(type == MESH_RELAY_REGISTER ? alone.registers : alone.connects)(alone.ctx, &call,
									 NS_PER_S);
	return alone.code;
}

static void test_a_million_registers_of_free_keys_push_no_honest_node_out(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {1, 11};
	struct relay_slots_params params = {.config = {.slot_cap = RELAY_SLOTS_CAP_MIN},
					    .is_relay = true,
					    .mesh = {.ops = &alone_ops},
					    .neighbours = &neighbours,
					    .random = &dice,
					    .now_ns = NS_PER_S};
	struct place place = {.node = NULL};
	uint64_t slot;

	random_init_seeded(&dice, 5);
	CHECK_EQ(node_key_from_seed(seed, &place.key), 0);
	params.key = place.key;
	CHECK_EQ(relay_slots_new(&params, &place.slots), 0);
	CHECK_EQ(alone_request(MESH_RELAY_REGISTER, 1, 1, 7), 0);
	slot = answer.slot;
	for (uint32_t i = 0; i < 1000000; i++)
		(void)alone_request(MESH_RELAY_REGISTER, 0xaa, i, 7);
	CHECK_EQ(stats(&place).slot_cnt, RELAY_SLOTS_CAP_MIN);
	CHECK(stats(&place).evicted_cnt + stats(&place).refused_cnt > 900000);
	CHECK_EQ(alone_request(MESH_RELAY_CONNECT, 1, 1 << 8, slot), 0);
	CHECK_EQ(answer.key[3], 1);
	/* And a node that comes later has its slot: one of theirs goes. */
	CHECK_EQ(alone_request(MESH_RELAY_REGISTER, 1, 2 << 8, 7), 0);
	CHECK_EQ(alone_request(MESH_RELAY_CONNECT, 1, 1, answer.slot), 0);
	CHECK_EQ(stats(&place).slot_cnt, RELAY_SLOTS_CAP_MIN);
	relay_slots_free(place.slots);
	node_key_free(place.key);
}

static void test_a_full_table_takes_one_slot_for_one(void)
{
	struct place *end;

	begin();
	for (unsigned i = 0; i < RELAY_SLOTS_CAP_MIN; i++) {
		end = end_add();
		CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	}
	CHECK_EQ(stats(&nodes[0]).slot_cnt, RELAY_SLOTS_CAP_MIN);
	/* Each network has one: the newcomer is asked to wait. */
	end = end_add();
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), WEFT_EBUSY);
	CHECK_EQ(stats(&nodes[0]).slot_cnt, RELAY_SLOTS_CAP_MIN);
	run_ns(LIFE_NS + NS_PER_S);
	CHECK_EQ(request(end, MESH_RELAY_REGISTER, 7), 0);
	end_all();
}

static void ask_register(struct mesh_lab_ask *out)
{
	mesh_lab_ask(nodes[1].node, nodes[0].node, MESH_RELAY_REGISTER, "", 0, out);
}

static void ask_connect(struct mesh_lab_ask *out)
{
	mesh_lab_ask(nodes[1].node, nodes[0].node, MESH_RELAY_CONNECT, "", 0, out);
}

static void test_one_message_beyond_the_rate_is_refused(void)
{
	void (*const asks[])(struct mesh_lab_ask *out) = {ask_register, ask_connect};
	unsigned taken_cnt = 0;

	for (unsigned i = 0; i < 2; i++) {
		has_messages = true;
		begin();
		(void)node_add(false);
		relay_messages_exceed(&lab, asks[i], &taken_cnt);
		CHECK(taken_cnt >= RELAY_MESSAGES_BURST);
		end_all();
	}
}

int main(void)
{
	RUN(test_a_slot_leads_to_the_key_that_registered_it);
	RUN(test_a_ban_frees_the_slot_of_its_key);
	RUN(test_a_nonce_chooses_the_slot_and_another_replaces_it);
	RUN(test_a_slot_that_is_not_kept_is_gone_after_ten_minutes);
	RUN(test_a_slot_whose_node_is_gone_leads_nowhere_until_it_is_back);
	RUN(test_an_end_keeps_its_slot_through_a_restart_of_the_relay);
	RUN(test_a_node_that_was_idle_asks_for_a_slot);
	RUN(test_a_node_asks_for_eight_slots_at_a_time);
	RUN(test_a_million_registers_of_free_keys_push_no_honest_node_out);
	RUN(test_a_full_table_takes_one_slot_for_one);
	RUN(test_one_message_beyond_the_rate_is_refused);
	return check_done();
}
