/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BUILTIN_RIG_H
#define WEFT_TESTS_BUILTIN_RIG_H

#include <jansson.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/fair/fair_path.h"
#include "base/memory/heap.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "builtin/builtin.h"
#include "provider/tenant/tenant.h"
#include "service/service.h"
#include "service/topics/topics.h"
#include "store/store.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"

/*
 * The built-in services of one node on a store of its own. In place of the
 * fabric are its functions that providers use, so that a test is any caller.
 */
#define RIG_LOCAL 0 /* caller 0 is this node; the others are peers */
#define RIG_OF_NETWORK(network, number)                                                            \
	((network) << 16 | (number)) /* all others are of network 0 */
#define RIG_WALL_S	1800000000
#define RIG_SUBSCRIBERS 64

struct service_call {
	bool is_answered;
	enum service_status status;
	char text[SERVICE_TEXT_LEN_MAX + 1];
	json_t *reply; /* NULL: none, or it is no JSON */
	size_t len;
	unsigned violation_cnt;
	unsigned work_left; /* that it may spend */
};

/* The side of a stream that a service has. */
#define RIG_SENT_CAP 65536
struct service_channel {
	const struct service_channel_events *events; /* NULL: it was not taken */
	void *arg;
	size_t room_len; /* that it takes before it is full */
	uint8_t sent[RIG_SENT_CAP];
	size_t sent_len, consumed_len;
	unsigned message_cnt; /* that are complete */
	bool is_text, is_finished, is_ended;
	enum service_status status; /* with which the service ended it */
};

static struct {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct provider_tenants *tenants;
	struct timer_wheel timers;
	struct random random;
	struct node_key *key;
	struct fake_overlay overlay;
	bool has_overlay;
	struct builtin_dht dht;
	struct builtin_content content;
	struct builtin_punch punch;
	struct mesh_seam mesh;
	struct builtin_config config;
	struct arena arena; /* of topics */
	struct heap *heap;
	struct service_topics topics;
	struct builtin *builtin;
	struct service_offering offers[BUILTIN_CNT];
	char descriptions[BUILTIN_CNT][SERVICE_DESCRIPTION_LEN_MAX + 1];
	unsigned offer_cnt;
	uint64_t now_ns, wall_ms;
	struct service_call call; /* the last one */
} rig;

/* ---- the fabric ---- */

int service_offer(struct service *service, const struct service_offering *offering, uint64_t now_ns,
		  struct service_offer **out_offer, const char **out_why)
{
	(void)service, (void)now_ns, (void)out_why;
	snprintf(rig.descriptions[rig.offer_cnt], sizeof(rig.descriptions[0]), "%s",
		 offering->description);
	rig.offers[rig.offer_cnt] = *offering;
	rig.offers[rig.offer_cnt].description = rig.descriptions[rig.offer_cnt];
	rig.offer_cnt++;
	*out_offer = (struct service_offer *)&rig.offers[rig.offer_cnt - 1];
	return 0;
}

void service_withdraw(struct service_offer *offer, uint64_t now_ns)
{
	service_topics_drop(&rig.topics, offer, now_ns);
	rig.offer_cnt--;
}

void service_reply(struct service_call *call, const struct service_outcome *outcome,
		   uint64_t now_ns)
{
	(void)now_ns;
	if (call->is_answered)
		abort();
	call->is_answered = true;
	call->status = outcome->status;
	call->len = outcome->len;
	snprintf(call->text, sizeof(call->text), "%s", outcome->text ? outcome->text : "");
	call->reply = outcome->len ? json_loadb(outcome->payload, outcome->len, 0, NULL) : NULL;
}

bool service_spend(struct service_call *call, unsigned units, uint64_t now_ns)
{
	(void)now_ns;
	if (call->work_left < units)
		return false;
	call->work_left -= units;
	return true;
}

void service_violation(struct service_call *call, const char *why, uint64_t now_ns)
{
	(void)why, (void)now_ns;
	call->violation_cnt++;
}

void service_channel_accept(struct service_channel *channel,
			    const struct service_channel_events *events, void *arg)
{
	channel->events = events;
	channel->arg = arg;
}

int service_channel_send(struct service_channel *channel, const struct service_piece *piece,
			 void (*done)(void *arg), void *arg)
{
	(void)done, (void)arg;
	if (piece->len > channel->room_len)
		return WEFT_EFULL;
	if (piece->len > 16000 || channel->sent_len + piece->len > RIG_SENT_CAP)
		abort();
	memcpy(channel->sent + channel->sent_len, piece->data, piece->len);
	channel->sent_len += piece->len;
	channel->room_len -= piece->len;
	channel->message_cnt += piece->is_last;
	channel->is_text = piece->is_text;
	return 0;
}

void service_channel_finish(struct service_channel *channel)
{
	channel->is_finished = true;
}

void service_channel_consume(struct service_channel *channel, size_t len)
{
	channel->consumed_len += len;
}

void service_channel_end(struct service_channel *channel, enum service_status status,
			 const char *text)
{
	(void)text;
	channel->is_ended = true;
	channel->status = status;
}

/* ---- a node's life ---- */

static inline uint64_t rig_now_ns(void *ctx)
{
	(void)ctx;
	return rig.now_ns;
}

static inline uint64_t rig_wall_ms(void *ctx)
{
	(void)ctx;
	return rig.wall_ms;
}

static inline void rig_mesh_status(void *ctx, struct builtin_mesh_status *status)
{
	(void)ctx;
	*status = (struct builtin_mesh_status){.uptime_s = 7, .session_cnt = 3, .bytes_out = 11};
}

static inline void rig_peers_summary(void *ctx, struct builtin_peers_summary *summary)
{
	(void)ctx;
	*summary = (struct builtin_peers_summary){.known_cnt = 5, .connected_cnt = 3};
}

static inline void rig_key(unsigned who, uint8_t out_key[MESH_KEY_LEN])
{
	if (who == RIG_LOCAL) {
		memcpy(out_key, node_key_public(rig.key), MESH_KEY_LEN);
		return;
	}
	memset(out_key, 0, MESH_KEY_LEN);
	out_key[0] = (uint8_t)who;
	out_key[1] = (uint8_t)(who >> 8);
	out_key[31] = 0x5a;
}

static inline const char *rig_key_text(unsigned who)
{
	static char text[ZBASE32_KEY_TEXT_CAP];
	uint8_t key[MESH_KEY_LEN];

	rig_key(who, key);
	return zbase32_write(key, sizeof(key), text);
}

/* Topics are the fabric's own. */
static inline void rig_topics_make(void)
{
	struct service_limits limits;
	struct service_topics_params params = {.limits = &limits, .random = &rig.random};

	service_limits_defaults(&limits);
	limits.subscriber_cnt = RIG_SUBSCRIBERS;
	if (heap_new(limits.memory_len, &rig.heap) < 0 || arena_open(&rig.arena, ARENA_GROWS) < 0)
		abort();
	params.heap = rig.heap;
	if (service_topics_init(&rig.topics, &rig.arena, &params) < 0)
		abort();
}

static inline void rig_topics_drop(void)
{
	service_topics_fini(&rig.topics);
	arena_close(&rig.arena);
	heap_free(rig.heap);
}

static inline void rig_up(void)
{
	struct store_config config;
	struct builtin_params params = {
		.config = rig.config,
		.topics = &rig.topics,
		.random = &rig.random,
		.clock = {.now_ns = rig_now_ns, .wall_ms = rig_wall_ms},
		.figures = {.mesh_status = rig_mesh_status, .peers_summary = rig_peers_summary},
		.dht = rig.dht,
		.content = rig.content,
		.punch = rig.punch,
		.key = rig.key,
		.now_ns = rig.now_ns,
	};
	struct provider_tenants_params node = {
		.timers = &rig.timers,
		.random = &rig.random,
		.mesh = rig.mesh,
	};

	if (rig.has_overlay) {
		rig.overlay.rule_cnt = 0;
		node.overlay = fake_overlay_seam(&rig.overlay);
	}
	store_config_defaults(&config);
	config.dir = rig.dir;
	config.is_inline = true;
	config.map_len_max = 1u << 30;
	if (store_open(&config, &rig.store) < 0)
		abort();
	node.store = rig.store;
	if (provider_tenants_new(&node, &rig.tenants) < 0)
		abort();
	params.tenants = rig.tenants;
	if (builtin_new(&params, &rig.builtin) < 0)
		abort();
}

static inline void rig_down(void)
{
	builtin_free(rig.builtin, rig.now_ns);
	rig.builtin = NULL;
	provider_tenants_free(rig.tenants);
	store_close(rig.store);
	json_decref(rig.call.reply);
	rig.call = (struct service_call){0};
}

/* kill -9, and up again. */
static inline void rig_crash(void)
{
	store_freeze(rig.store);
	builtin_free(rig.builtin, rig.now_ns);
	provider_tenants_free(rig.tenants);
	store_crash(rig.store);
	rig_up();
}

/* No content is here, unless a test has others. */
static inline int rig_no_content(void *ctx, const uint8_t *key, const uint8_t content_id[32],
				 struct builtin_reading *reading, uint64_t now_ns)
{
	(void)ctx, (void)key, (void)content_id, (void)reading, (void)now_ns;
	return WEFT_EABSENT;
}

static inline void rig_start(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	scratch_make(rig.dir);
	if (node_key_from_seed(seed, &rig.key) < 0)
		abort();
	rig.has_overlay = false;
	rig.now_ns = NS_PER_S;
	rig.wall_ms = RIG_WALL_S * 1000ull;
	timer_wheel_init(&rig.timers, rig.now_ns);
	random_init_seeded(&rig.random, 1);
	builtin_config_defaults(&rig.config);
	rig.config.offered = (1u << BUILTIN_CNT) - 1;
	rig_topics_make();
	rig.content = (struct builtin_content){.read = rig_no_content};
}

static inline void rig_stop(void)
{
	rig_down();
	rig_topics_drop();
	node_key_free(rig.key);
	scratch_remove(rig.dir);
}

static inline void rig_pass_s(uint64_t seconds)
{
	rig.now_ns += seconds * NS_PER_S;
	rig.wall_ms += seconds * 1000;
	rig.overlay.wall_s = rig.wall_ms / 1000;
	timer_wheel_expire(&rig.timers, rig.now_ns);
	store_flush(rig.store);
	fake_overlay_turn(&rig.overlay, rig.now_ns);
}

/* ---- calling ---- */

static inline const struct service_offering *rig_offering(enum builtin_service which)
{
	for (unsigned i = 0; i < rig.offer_cnt; i++)
		if (strcmp(rig.offers[i].name, builtin_name(which)) == 0)
			return &rig.offers[i];
	abort();
}

static inline void rig_path(unsigned who, struct fair_path *out_path)
{
	static const struct fair_paths paths;
	struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, (uint8_t)(who >> 16), 1}};

	fair_path_of_addr(&paths, &addr, who == RIG_LOCAL ? FAIR_CHOSEN : FAIR_UNKNOWN, out_path);
	fair_path_add(&paths, out_path, &who, sizeof(who));
}

/* Begins a call that may have to wait for the store. */
static inline void rig_ask_bytes(enum builtin_service which, unsigned who, const char *method,
				 const void *payload, size_t len)
{
	const struct service_offering *offering = rig_offering(which);
	struct service_caller caller = {.is_local = who == RIG_LOCAL};

	rig_key(who, caller.key);
	rig_path(who, &caller.path);
	json_decref(rig.call.reply);
	rig.call = (struct service_call){.work_left = 10};
	offering->handler->call(offering->ctx, &rig.call,
				&(struct service_input){&caller, method, payload, len}, rig.now_ns);
}

/* Calls with JSON made as json_pack does; status is in rig.call, and the reply borrowed of it. */
static inline json_t *rig_call(enum builtin_service which, unsigned who, const char *method,
			       json_t *fields)
{
	char *text = json_dumps(fields, JSON_COMPACT);

	rig_ask_bytes(which, who, method, text, strlen(text));
	free(text);
	json_decref(fields);
	store_flush(rig.store);
	if (rig.has_overlay)
		fake_overlay_turn(&rig.overlay, rig.now_ns);
	if (!rig.call.is_answered)
		abort();
	return rig.call.reply;
}

static inline const char *rig_text(const json_t *reply, const char *field)
{
	const char *text = json_string_value(json_object_get(reply, field));

	return text ? text : "(none)";
}

#endif
