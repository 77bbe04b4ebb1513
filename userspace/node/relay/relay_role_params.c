/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this node is a relay now, and all that follows from it (relay/role/relay_role.h). Home. */
#include "api/events/events.h"
#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"
#include "relay/broker/relay_broker.h"

#define CHOICE_KEY "relay-choice" /* one byte, of enum relay_role_choice */
#define OWN_KEY	   "contribution"
/* The numbers, and whether it is a relay. */
#define OWN_LEN	      (CONTRIBUTION_NUMBER_CNT * sizeof(uint64_t) + 1)
#define SAVE_EVERY_NS (600 * NS_PER_S)

static void own_load(struct node *node)
{
	uint64_t numbers[CONTRIBUTION_NUMBER_CNT];
	uint8_t bytes[OWN_LEN];
	struct cursor c = cursor_of(bytes, sizeof(bytes));

	if (node_meta_read(node, OWN_KEY, bytes, sizeof(bytes)) != sizeof(bytes))
		return;
	for (unsigned i = 0; i < CONTRIBUTION_NUMBER_CNT; i++)
		numbers[i] = cursor_be64(&c);
	contribution_load(&node->relay_role.own, numbers);
	if (cursor_u8(&c) == 1)
		relay_role_resume(&node->relay_role, node_wall_us(node) / 1000000,
				  node->home->now_ns);
}

static void role_save(struct node *node)
{
	uint64_t numbers[CONTRIBUTION_NUMBER_CNT];
	uint8_t bytes[OWN_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	/* Of a start that failed before the numbers were read there are none to keep. */
	if (!node->role_saved_ns)
		return;
	contribution_store(&node->relay_role.own, numbers);
	for (unsigned i = 0; i < CONTRIBUTION_NUMBER_CNT; i++)
		writer_be64(&w, numbers[i]);
	writer_u8(&w, node->relay_role.is_relay);
	/* Refused, it is written again after ten minutes. */
	(void)node_meta_write(node,
			      &(struct node_meta){.name = OWN_KEY, .bytes = bytes, .len = OWN_LEN},
			      NULL, NULL);
}

void node_close_relay_role(struct node *node)
{
	role_save(node);
	/* The store may take the choice after the mesh is gone. */
	node->role_choice.is_void = true;
}

static void choice_load(struct node *node)
{
	uint8_t choice;

	/* Without the tables of a relay it waits for a start that makes them. */
	if (node_meta_read(node, CHOICE_KEY, &choice, 1) == 1 &&
	    choice > RELAY_ROLE_AS_CONFIGURED && choice < RELAY_ROLE_CHOICE_CNT &&
	    node->config->relay.is_on)
		relay_role_choose(&node->relay_role, choice, node->home->now_ns);
}

void node_open_relay_role(struct node *node)
{
	const struct relay_config *config = &node->config->relay;
	enum relay_role_rule rule = RELAY_ROLE_NEVER;

	if (config->is_on)
		rule = config->is_earned ? RELAY_ROLE_EARNED : RELAY_ROLE_ALWAYS;
	relay_role_init(&node->relay_role, rule, node->home->now_ns);
	node->role_saved_ns = node->home->now_ns;
	own_load(node);
	choice_load(node);
}

/* Peers hear it in HELLO, others by its announcement. Flows that are open stay. */
static void role_apply(struct node *node, uint64_t now_ns)
{
	bool is_relay = node->relay_role.is_relay;

	mesh_neighbour_ops.announce(node->home->mesh, MESH_CAP_RELAY, is_relay);
	relay_broker_set_off(node->relay_broker, !is_relay);
	if (node->fabric)
		node_fabric_offer_relay(node->fabric, now_ns);
	api_tell_relay_role(node->api, &node->relay_role);
	/* A crash is not to take it back. */
	node->role_saved_ns = now_ns;
	role_save(node);
}

/* What could not be stored has no effect: a start would not know of it. */
static void on_choice_stored(void *arg, int err)
{
	struct node *node = arg;
	void (*done)(void *arg, int err) = node->role_choice.done;

	node->role_choice.done = NULL;
	if (err == 0 && !node->role_choice.is_void &&
	    relay_role_choose(&node->relay_role, node->role_choice.choice, node->home->now_ns))
		role_apply(node, node->home->now_ns);
	done(node->role_choice.arg, err);
}

int node_choose_relay(void *ctx, enum relay_role_choice choice, void (*done)(void *arg, int err),
		      void *arg)
{
	struct node *node = ctx;
	uint8_t byte = (uint8_t)choice;
	const struct node_meta row = {.name = CHOICE_KEY, .bytes = &byte, .len = 1};
	int err;

	if (node->role_choice.done)
		return WEFT_EBUSY;
	err = node_meta_write(node, &row, on_choice_stored, node);
	if (err < 0)
		return err;
	node->role_choice.done = done;
	node->role_choice.arg = arg;
	node->role_choice.choice = choice;
	return 0;
}

void node_turn_relay_role(struct node *node, uint64_t now_ns)
{
	const struct reachability_view *view = reachability_show(node->reachability);
	struct relay_role_work work = {.can_be_dialled = reachability_is_open(view->kind),
				       .is_judged = view->kind != REACHABILITY_UNKNOWN};
	struct mesh_stats stats;

	mesh_stats(node->home->mesh, &stats);
	work.served_cnt = stats.served_cnt - node->role_served_cnt;
	work.failed_cnt = stats.faulted_cnt - node->role_faulted_cnt;
	node->role_served_cnt = stats.served_cnt;
	node->role_faulted_cnt = stats.faulted_cnt;
	if (relay_role_judge(&node->relay_role, &work, node_wall_us(node) / 1000000, now_ns))
		role_apply(node, now_ns);
	if (now_ns < node->role_saved_ns + SAVE_EVERY_NS)
		return;
	node->role_saved_ns = now_ns;
	role_save(node);
}
