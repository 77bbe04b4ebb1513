/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_ask.h"

#include <string.h>

#include "mesh/mesh.h"

#define REACH_NS (20 * NS_PER_S)

static struct sim_outcome outcome;

static void on_connected(void *arg, int err, const uint8_t *actual_key)
{
	const struct sim *sim = arg;

	(void)actual_key;
	outcome.is_over = true;
	outcome.err = err;
	outcome.at_ns = sim->now_ns;
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	(void)arg;
	outcome.is_over = true;
	outcome.err = reply->err;
	outcome.code = reply->code;
	outcome.at_ns = now_ns;
}

static bool is_over(void *arg)
{
	(void)arg;
	return outcome.is_over;
}

static const struct sim_outcome *outcome_of(struct sim *sim, int err, uint64_t for_ns)
{
	if (err < 0)
		outcome.err = err;
	else if (!sim_run(sim, for_ns, is_over, NULL))
		outcome.err = WEFT_ETIMEOUT;
	return &outcome;
}

static void on_dialled(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg, (void)err, (void)actual_key;
}

bool sim_dial(struct sim_node *from, const struct sim_node *to)
{
	struct mesh_peer peer = {.addrs = &to->addr, .addr_cnt = 1};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = 60 * NS_PER_S, .done = on_dialled};

	memcpy(peer.key, node_key_public(to->key), sizeof(peer.key));
	sim_wake(from);
	return mesh_connect(node_mesh(from->node), &connect, from->sim->now_ns) == 0;
}

const struct sim_outcome *sim_reach(struct sim_node *from, const struct sim_node *to, bool is_named)
{
	struct mesh_peer peer = {.addrs = &to->addr, .addr_cnt = is_named};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = REACH_NS, .done = on_connected, .arg = from->sim};

	memset(&outcome, 0, sizeof(outcome));
	memcpy(peer.key, node_key_public(to->key), sizeof(peer.key));
	sim_wake(from);
	return outcome_of(from->sim,
			  mesh_connect(node_mesh(from->node), &connect, from->sim->now_ns),
			  REACH_NS + 10 * NS_PER_S);
}

const struct sim_outcome *sim_ask(struct sim_node *from, const struct sim_node *to, unsigned type,
				  uint64_t timeout_ns)
{
	const struct mesh_seam mesh = mesh_seam_of(node_mesh(from->node));
	struct mesh_request *request;
	struct mesh_ask ask = {
		.type = type,
		.payload = "\xa0",
		.payload_len = 1,
		.reply_buf = outcome.reply,
		.reply_cap = sizeof(outcome.reply),
		.timeout_ns = timeout_ns,
		.reply = on_reply,
	};

	memset(&outcome, 0, sizeof(outcome));
	memcpy(ask.peer.key, node_key_public(to->key), MESH_KEY_LEN);
	sim_wake(from);
	return outcome_of(from->sim, mesh.ops->ask(mesh.mesh, &ask, from->sim->now_ns, &request),
			  timeout_ns + NS_PER_S);
}

bool sim_is_answered(const struct sim_outcome *of)
{
	return of->is_over && of->err != WEFT_ETIMEOUT && of->err != WEFT_ECLOSED &&
	       of->err != WEFT_EUNREACHABLE;
}
