/* SPDX-License-Identifier: Apache-2.0 */
#include "support/service_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "service/directory/descriptor.h"
#include "service/directory/descriptor_rules.h"

static uint64_t srig_wall_ms(void *ctx)
{
	struct srig_node *node = ctx;

	return node->rig->wall_ms + node->rig->net.now_ns / PAIR_MS;
}

static void srig_violation(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *why,
			   uint64_t now_ns)
{
	struct srig_node *node = ctx;

	(void)key;
	(void)now_ns;
	node->violation_cnt++;
	node->violation = why;
}

static void srig_event(void *ctx, const struct service_event *event, uint64_t now_ns)
{
	struct srig_node *node = ctx;

	(void)now_ns;
	node->event_cnt++;
	node->event = (struct service_event){.kind = event->kind};
}

static uint64_t srig_wall_s(void *ctx)
{
	return srig_wall_ms(ctx) / 1000;
}

static unsigned srig_health(void *ctx, const struct service_descriptor *descriptor, uint64_t now_ns)
{
	struct srig_node *node = ctx;

	return service_health(node->service, descriptor, now_ns);
}

static void srig_add_directory(struct srig *rig, struct srig_node *node)
{
	struct service_directory_params params = {
		.overlay = fake_overlay_seam(&rig->overlay),
		.timers = &node->end->timers,
		.random = &node->random,
		.own_key = node->key,
		.now_ns = rig->net.now_ns,
		.wall_s = srig_wall_s,
		.health = srig_health,
		.ctx = node,
	};

	service_directory_config_defaults(&params.config);
	weft_assert(service_directory_new(&params, &node->directory) == 0);
}

static void srig_add(struct srig *rig, unsigned idx)
{
	struct srig_node *node = &rig->nodes[idx];
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct mesh_params mesh = {.now_ns = rig->net.now_ns, .wall_s = rig->wall_ms / 1000};
	struct service_params params = {.config = rig->config, .now_ns = rig->net.now_ns};

	node->rig = rig;
	memset(seed, (int)idx + 1, sizeof(seed));
	weft_assert(node_key_from_seed(seed, &node->node_key) == 0);
	memcpy(node->key, node_key_public(node->node_key), sizeof(node->key));
	node->end = pair_net_add(&rig->net, (uint8_t)(idx + 1), &mesh_transport_events, NULL);
	memcpy(node->end->key, node->key, sizeof(node->key));
	random_init_seeded(&node->random, idx + 1);
	mesh_config_defaults(&mesh.config);
	mesh.config.incoming_per_session_cap = 2048;
	mesh.own_key = node->key;
	mesh.timers = &node->end->timers;
	mesh.random = &node->random;
	weft_assert(mesh_new(&mesh, &node->mesh) == 0);
	node->end->ctx = node->mesh;
	mesh_set_transport(node->mesh, &node->end->transport);
	if (idx == SRIG_A)
		srig_add_directory(rig, node);
	params.directory = node->directory;
	params.streams = mesh_stream_seam_of(node->mesh);
	params.key = node->node_key;
	params.timers = &node->end->timers;
	params.random = &node->random;
	params.wall_ms = srig_wall_ms;
	params.on_violation = srig_violation;
	params.on_event = srig_event;
	params.ctx = node;
	weft_assert(service_new(&params, &node->service) == 0);
}

void srig_init(struct srig *rig, unsigned node_cnt, const struct service_config *config)
{
	memset(rig, 0, sizeof(*rig));
	pair_net_init(&rig->net);
	rig->net.stream_credit = 4096;
	rig->wall_ms = 1700000000000ull;
	rig->node_cnt = node_cnt;
	service_config_defaults(&rig->config);
	if (config)
		rig->config = *config;
	for (unsigned i = 0; i < node_cnt; i++)
		srig_add(rig, i);
}

void srig_fini(struct srig *rig)
{
	for (unsigned i = 0; i < rig->node_cnt; i++) {
		mesh_free(rig->nodes[i].mesh);
		service_free(rig->nodes[i].service);
		service_directory_free(rig->nodes[i].directory);
		node_key_free(rig->nodes[i].node_key);
	}
	fake_overlay_fini(&rig->overlay);
	pair_net_fini(&rig->net);
}

void srig_run(struct srig *rig, uint64_t len_ns)
{
	fake_overlay_turn(&rig->overlay, rig->net.now_ns);
	pair_net_run(&rig->net, len_ns);
}

bool srig_publish_read_only(struct srig *rig, unsigned idx, const char *name, const char *method)
{
	struct srig_node *node = &rig->nodes[idx];
	uint64_t wall_s = srig_wall_s(node);
	struct service_descriptor descriptor = {
		.version = "1.0.0",
		.places = {.addrs = {pair_addr(idx + 1)}, .addr_cnt = 1},
		.created_s = wall_s,
		.expires_s = wall_s + SERVICE_DESCRIPTOR_TTL_S_MAX,
		.seq = 1,
	};
	uint8_t value[1 + SERVICE_DESCRIPTOR_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	char key[5 + SERVICE_NAME_LEN_MAX];

	strncpy(descriptor.name, name, sizeof(descriptor.name) - 1);
	snprintf(key, sizeof(key), "svc:%s", name);
	writer_u8(&w, SERVICE_TAG_BY_NAME);
	if (service_read_only_take(&method, method != NULL, &descriptor.read_only))
		return false;
	if (service_descriptor_write(&w, node->node_key, &descriptor) != SERVICE_FINE)
		return false;
	rig->overlay.wall_s = wall_s;
	fake_overlay_inject(&rig->overlay, key, value, writer_len(&w));
	return true;
}

bool srig_publish(struct srig *rig, unsigned idx, const char *name)
{
	return srig_publish_read_only(rig, idx, name, NULL);
}

static void handle_call(void *ctx, struct service_call *call, const struct service_input *input,
			uint64_t now_ns)
{
	struct srig_provider *provider = ctx;
	unsigned granted = 0;

	provider->call_cnt++;
	provider->caller = *input->caller;
	provider->len = input->len;
	strncpy(provider->method, input->method, sizeof(provider->method) - 1);
	switch (provider->mode) {
	case SRIG_ECHO:
		service_reply(call,
			      &(struct service_outcome){.status = SERVICE_OK,
							.payload = input->data,
							.len = input->len},
			      now_ns);
		break;
	case SRIG_KEEP:
		weft_assert(provider->kept_cnt < SRIG_CALLS);
		provider->calls[provider->kept_cnt++] = call;
		break;
	case SRIG_FAIL:
		service_fail(call, SERVICE_UNKNOWN_ERROR, SRIG_SECRET, now_ns);
		break;
	case SRIG_STATUS:
		service_fail(call, provider->status, "as told", now_ns);
		break;
	case SRIG_SPEND:
		while (granted < input->len && service_spend(call, 1, now_ns))
			granted++;
		provider->spent_cnt += granted;
		service_fail(call, granted == input->len ? SERVICE_OK : SERVICE_RATE_LIMITED,
			     "budget", now_ns);
		break;
	}
}

static void handle_cancelled(void *ctx, struct service_call *call)
{
	struct srig_provider *provider = ctx;

	provider->cancelled_cnt++;
	for (unsigned i = 0; i < provider->kept_cnt; i++)
		if (provider->calls[i] == call)
			provider->calls[i] = NULL;
}

static void handle_stream(void *ctx, struct service_channel *channel,
			  const struct service_input *input, uint64_t now_ns)
{
	struct srig_provider *provider = ctx;

	(void)now_ns;
	provider->call_cnt++;
	provider->caller = *input->caller;
	provider->len = input->len;
	strncpy(provider->method, input->method, sizeof(provider->method) - 1);
	if (provider->status) {
		service_channel_end(channel, provider->status, "as told");
	} else if (provider->stream) {
		provider->stream->channel = channel;
		service_channel_accept(channel, &srig_stream_events, provider->stream);
	}
}

const struct service_handler srig_handler = {
	.call = handle_call,
	.cancelled = handle_cancelled,
	.stream = handle_stream,
};

bool srig_offer_with(struct srig *rig, struct srig_provider *provider, unsigned idx,
		     const struct service_offering *offering)
{
	struct service_offering own = *offering;
	const char *why;

	provider->rig = rig;
	own.handler = own.handler ? own.handler : &srig_handler;
	own.ctx = provider;
	return service_offer(rig->nodes[idx].service, &own, rig->net.now_ns, &provider->offer,
			     &why) == 0;
}

bool srig_offer(struct srig *rig, struct srig_provider *provider, unsigned idx, const char *name)
{
	struct service_offering offering = {.name = name, .version = "1.0.0"};

	return srig_offer_with(rig, provider, idx, &offering);
}

static void srig_answered(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct srig_ask *ask = arg;

	ask->cnt++;
	ask->answer = *answer;
	strncpy(ask->text, answer->text, sizeof(ask->text) - 1);
	ask->at_ns = now_ns;
	free(ask->payload);
	ask->payload = malloc(answer->len + 1);
	weft_assert(ask->payload);
	if (answer->len)
		memcpy(ask->payload, answer->payload, answer->len);
}

int srig_call_with(struct srig *rig, struct srig_ask *ask, unsigned from,
		   const struct service_target *target, const void *payload, size_t len,
		   const uint8_t *key, uint64_t timeout_ns)
{
	memset(ask, 0, sizeof(*ask));
	return service_call_start(rig->nodes[from].service,
				  &(struct service_request){.target = *target,
							    .payload = payload,
							    .len = len,
							    .idempotency_key = key,
							    .timeout_ns = timeout_ns,
							    .done = srig_answered,
							    .arg = ask},
				  rig->net.now_ns, &ask->ask);
}

static void srig_met(void *arg, int err, const uint8_t *actual_key)
{
	(void)arg;
	(void)actual_key;
	weft_assert(err == 0);
}

/* A node learns here the address of one that it has not met before. */
void srig_meet(struct srig *rig, unsigned from, unsigned to)
{
	struct addr addr = pair_addr(to + 1);
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1};
	uint8_t id[MESH_SESSION_ID_LEN];

	if (from == to || mesh_session_id(rig->nodes[from].mesh, rig->nodes[to].key, id) == 0)
		return;
	memcpy(peer.key, rig->nodes[to].key, sizeof(peer.key));
	weft_assert(mesh_connect(rig->nodes[from].mesh,
				 &(struct mesh_connect){.peer = &peer,
							.timeout_ns = 20 * PAIR_S,
							.done = srig_met,
							.arg = NULL},
				 rig->net.now_ns) == 0);
	srig_run(rig, PAIR_S);
}

static struct service_target target_at(struct srig *rig, unsigned from, unsigned to,
				       const char *name)
{
	struct service_target target = {.name = name, .method = "Do"};

	if (to < SRIG_NODES) {
		srig_meet(rig, from, to);
		target.provider = rig->nodes[to].key;
	}
	return target;
}

int srig_call(struct srig *rig, struct srig_ask *ask, unsigned from, unsigned to, const char *name,
	      const void *payload, size_t len)
{
	struct service_target target = target_at(rig, from, to, name);

	return srig_call_with(rig, ask, from, &target, payload, len, NULL, 0);
}

void srig_ask_fini(struct srig_ask *ask)
{
	free(ask->payload);
	ask->payload = NULL;
}

enum service_status srig_once(struct srig *rig, unsigned from, unsigned to, const char *name,
			      size_t len)
{
	uint8_t *payload = calloc(1, len + 1);
	struct srig_ask ask;
	enum service_status status = SERVICE_STATUS_CNT;

	weft_assert(payload);
	if (srig_call(rig, &ask, from, to, name, payload, len) == 0) {
		srig_run(rig, 100 * PAIR_MS);
		status = ask.cnt == 1 ? ask.answer.status : SERVICE_STATUS_CNT;
	}
	srig_ask_fini(&ask);
	free(payload);
	return status;
}

uint64_t srig_sum(uint64_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + data[i];
	return sum;
}

static void stream_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct srig_stream *stream = arg;

	(void)now_ns;
	stream->opened_cnt++;
	memcpy(stream->provider, provider, sizeof(stream->provider));
}

static void stream_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct srig_stream *stream = arg;

	(void)now_ns;
	stream->len += piece->len;
	stream->message_cnt += piece->is_last;
	stream->is_text = piece->is_text;
	stream->sum = srig_sum(stream->sum, piece->data, piece->len);
	if (stream->is_echo)
		weft_assert(service_channel_send(stream->channel, piece, NULL, NULL) == 0);
	if (!stream->is_holding)
		service_channel_consume(stream->channel, piece->len);
}

static void stream_finished(void *arg, uint64_t now_ns)
{
	struct srig_stream *stream = arg;

	(void)now_ns;
	stream->finished_cnt++;
	if (stream->is_echo)
		service_channel_finish(stream->channel);
}

static void stream_writable(void *arg, uint64_t now_ns)
{
	struct srig_stream *stream = arg;

	(void)now_ns;
	stream->writable_cnt++;
}

static void stream_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct srig_stream *stream = arg;

	(void)now_ns;
	stream->ended_cnt++;
	stream->status = answer->status;
	strncpy(stream->text, answer->text, sizeof(stream->text) - 1);
	stream->channel = NULL;
}

const struct service_channel_events srig_stream_events = {
	.opened = stream_opened,
	.piece = stream_piece,
	.finished = stream_finished,
	.writable = stream_writable,
	.ended = stream_ended,
};

int srig_open(struct srig *rig, struct srig_stream *stream, unsigned from, unsigned to,
	      const char *name, const void *head, size_t len)
{
	struct service_target target = target_at(rig, from, to, name);

	return service_channel_open(rig->nodes[from].service,
				    &(struct service_request){.target = target,
							      .payload = head,
							      .len = len,
							      .events = &srig_stream_events,
							      .arg = stream},
				    rig->net.now_ns, &stream->channel);
}
