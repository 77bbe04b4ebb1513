/* SPDX-License-Identifier: Apache-2.0 */
#include "support/mesh_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mesh/stream/mesh_frame.h"
#include "mesh/session/hello.h"

static void rig_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct rig_node *node = ctx;

	node->last_peer = *peer;
	if (is_up)
		node->up_cnt++;
	else
		node->down_cnt++;
}

static void rig_step(void *ctx, const struct mesh_step *step)
{
	struct rig_node *node = ctx;

	if (node->on_step)
		node->on_step(node, step);
}

void rig_on_step(struct rig *rig, unsigned idx, mesh_step_fn on_step)
{
	rig->nodes[idx].on_step = on_step;
}

static bool rig_is_unsought(void *ctx, const uint8_t key[MESH_KEY_LEN])
{
	const struct rig_node *node = ctx;

	return node->unsought_byte == key[0];
}

static void rig_port_probe(void *ctx, const struct addr *remote)
{
	struct rig_node *node = ctx;

	node->port_probe_cnt++;
	node->knocked = *remote;
}

static void rig_stun_ask(void *ctx, const struct addr *remote)
{
	struct rig_node *node = ctx;

	node->stun_cnt++;
	node->stun_asked = *remote;
}

void rig_add(struct rig *rig, unsigned idx, const struct mesh_config *config, struct store *store,
	     uint64_t wall_s)
{
	struct rig_node *node = &rig->nodes[idx];
	bool is_new = !node->end;
	struct mesh_params params = {
		.config = *config,
		.store = store,
		.random = &node->random,
		.now_ns = rig->net.now_ns,
		.wall_s = wall_s,
		.on_session = rig_on_session,
		.on_step = rig_step,
		.is_unsought = rig_is_unsought,
		.port_probe = rig_port_probe,
		.stun_ask = rig_stun_ask,
		.ctx = node,
	};

	if (is_new)
		node->end =
			pair_net_add(&rig->net, (uint8_t)(idx + 1), &mesh_transport_events, NULL);
	params.own_key = node->end->key;
	params.timers = &node->end->timers;
	random_init_seeded(&node->random, idx + 1);
	weft_assert(mesh_new(&params, &node->mesh) == 0);
	node->end->ctx = node->mesh;
	mesh_set_transport(node->mesh, &node->end->transport);
	node->seam = mesh_seam_of(node->mesh);
}

void rig_kill(struct rig *rig, unsigned idx)
{
	struct rig_node *node = &rig->nodes[idx];

	node->end->is_dead = true;
	mesh_free(node->mesh);
	node->mesh = NULL;
	node->end = NULL;
}

void rig_revive(struct rig *rig, unsigned idx, struct addr addr)
{
	struct mesh_config config;

	mesh_config_defaults(&config);
	rig_add(rig, idx, &config, NULL, RIG_WALL_S);
	rig->nodes[idx].end->addr = addr;
}

void rig_init(struct rig *rig, unsigned node_cnt)
{
	struct mesh_config config;

	memset(rig, 0, sizeof(*rig));
	pair_net_init(&rig->net);
	mesh_config_defaults(&config);
	for (unsigned i = 0; i < node_cnt; i++)
		rig_add(rig, i, &config, NULL, RIG_WALL_S);
}

void rig_fini(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_NODES; i++)
		mesh_free(rig->nodes[i].mesh);
	pair_net_fini(&rig->net);
}

static void rig_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct rig_ask *ask = arg;

	ask->reply_cnt++;
	ask->reply = *reply;
	ask->replied_at_ns = now_ns;
	if (reply->actual_key)
		memcpy(ask->actual_key, reply->actual_key, sizeof(ask->actual_key));
}

int rig_ask_with(struct rig *rig, struct rig_ask *ask, unsigned from, struct mesh_ask *call)
{
	struct mesh_seam *seam = &rig->nodes[from].seam;

	memset(ask, 0, sizeof(*ask));
	ask->buf = malloc(RIG_REPLY_CAP);
	weft_assert(ask->buf);
	call->reply_buf = ask->buf;
	if (!call->reply_cap)
		call->reply_cap = RIG_REPLY_CAP;
	call->reply = rig_reply;
	call->arg = ask;
	return seam->ops->ask(seam->mesh, call, rig->net.now_ns, &ask->request);
}

int rig_ask(struct rig *rig, struct rig_ask *ask, unsigned from, unsigned to, unsigned type,
	    const void *payload, size_t len)
{
	struct addr addr = pair_addr(to + 1);
	struct mesh_ask call = {.peer = {.addrs = &addr, .addr_cnt = 1},
				.type = type,
				.payload = payload,
				.payload_len = len,
				.timeout_ns = 20 * PAIR_S};

	memset(call.peer.key, (int)to + 1, MESH_KEY_LEN);
	return rig_ask_with(rig, ask, from, &call);
}

void rig_ask_fini(struct rig_ask *ask)
{
	free(ask->buf);
	ask->buf = NULL;
}

static void rig_connect_done(void *arg, int err, const uint8_t *actual_key)
{
	int *result = arg;

	(void)actual_key;
	*result = err;
}

bool rig_connected(struct rig *rig, unsigned from, unsigned to)
{
	struct rig_node *node = &rig->nodes[from];
	struct addr addr = pair_addr(to + 1);
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1, .is_chosen = true};
	struct mesh_stats stats;
	int result = 1;

	memset(peer.key, (int)to + 1, MESH_KEY_LEN);
	if (mesh_connect(node->mesh,
			 &(struct mesh_connect){.peer = &peer,
						.timeout_ns = 20 * PAIR_S,
						.done = rig_connect_done,
						.arg = &result},
			 rig->net.now_ns) < 0)
		return false;
	pair_net_run(&rig->net, PAIR_S);
	mesh_stats(node->mesh, &stats);
	return result == 0 && stats.hello_cnt;
}

void rig_echo(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rig_node *node = ctx;
	uint8_t head[1024] = "H";
	size_t len = call->payload_len < sizeof(head) - 1 ? call->payload_len : sizeof(head) - 1;
	unsigned answer = call->type == MESH_HAVE_CONTENT || call->type == MESH_RANGE_PROOF
				  ? call->type
				  : call->type + 1;

	(void)now_ns;
	memcpy(head + 1, call->payload, len);
	(void)node->seam.ops->answer(call->incoming, answer, head, len + 1, NULL);
}

static void rig_gone(void *arg)
{
	struct rig_kept *kept = arg;

	kept->gone_cnt++;
}

void rig_keep(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct rig_kept *kept = ctx;

	(void)now_ns;
	weft_assert(kept->cnt < sizeof(kept->incoming) / sizeof(kept->incoming[0]));
	kept->incoming[kept->cnt++] = call->incoming;
	if (kept->wants_gone)
		kept->ops->abandoned(call->incoming, rig_gone, kept);
}

size_t rig_frame(uint8_t *out, size_t cap, unsigned type, uint32_t req_id, unsigned flags,
		 const void *payload, size_t len)
{
	struct mesh_frame frame = {type, req_id, flags, len};
	struct writer w = writer_of(out, cap);

	mesh_frame_write(&w, &frame);
	writer_bytes(&w, payload, len);
	weft_assert(!w.bad);
	return writer_len(&w);
}

size_t rig_hello(uint8_t *out, size_t cap, uint64_t unix_s)
{
	struct mesh_hello hello = {.caps = 1, .unix_s = unix_s, .agent = "raw"};
	uint8_t payload[1200];
	struct writer w = writer_of(payload, sizeof(payload));

	mesh_hello_write(&w, &hello);
	return rig_frame(out, cap, MESH_HELLO, 0, 0, payload, writer_len(&w));
}
