/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "ack.h"
#include "content_service.h"
#include "dht_service.h"
#include "echo.h"
#include "punch_service.h"
#include "builtin/pods/pod_chat.h"
#include "builtin/index/index_entry_value.h"
#include "builtin/index/shadow_index.h"
#include "builtin/tunnels/private_gateway.h"

/* Of a call: the body of a pod's message may be six times as long in JSON. */
#define JSON_LEN_MAX (32 * 1024)

/* A service that answers by a table of methods. */
struct table {
	const struct request_method *methods;
	void *ctx;
	struct acks *acks;
	/* Ends the service's work for a call, except its acks; NULL: nothing. */
	void (*forget)(void *ctx, const struct service_call *call);
	/* A stream of it is opened; NULL: it takes none. */
	void (*stream)(void *ctx, struct service_channel *channel,
		       const struct service_input *input, uint64_t now_ns);
	/* As in struct service_handler; NULL: all topics are open to all. */
	const char *(*topic_refusal)(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *topic);
};

struct builtin {
	struct builtin_params params;
	struct arena arena;
	struct acks acks;
	struct echo echo;
	struct pod_chat pod_chat;
	struct shadow_index shadow_index;
	struct dht_service dht;
	struct content_service content;
	struct punch_service punch;
	struct private_gateway gateway;
	struct table tables[BUILTIN_CNT];
	struct service_offer *offers[BUILTIN_CNT];
	struct provider_tenant *tenants[BUILTIN_CNT]; /* of the offered ones */
	struct provider_tenant *gateway_tenant;	      /* NULL: it is not configured */
	const char *read_only[BUILTIN_CNT][SERVICE_READ_ONLY_MAX];
};

static void get_mesh_status(void *ctx, struct request *request)
{
	const struct builtin_figures *figures = ctx;
	struct builtin_mesh_status status = {0};

	if (!builtin_request_unpack(request, "{}"))
		return;
	figures->mesh_status(figures->ctx, &status);
	builtin_answer(
		request, mesh_status, .uptime_s = api_uint(status.uptime_s),
		.session_cnt = api_uint(status.session_cnt),
		.service_cnt = api_uint(status.offer_cnt), .call_cnt = api_uint(status.call_cnt),
		.refused_cnt = api_uint(status.refused_cnt), .bytes_in = api_uint(status.bytes_in),
		.bytes_out = api_uint(status.bytes_out));
}

static void get_peers_summary(void *ctx, struct request *request)
{
	const struct builtin_figures *figures = ctx;
	struct builtin_peers_summary summary = {0};

	if (!builtin_request_unpack(request, "{}"))
		return;
	figures->peers_summary(figures->ctx, &summary);
	builtin_answer(request, peers_summary, .known_cnt = api_uint(summary.known_cnt),
		       .connected_cnt = api_uint(summary.connected_cnt),
		       .banned_cnt = api_uint(summary.banned_cnt),
		       .rtt_median_us = api_uint(summary.rtt_median_us));
}

/* The service mesh-stats, which changes nothing; ctx is a struct builtin_figures. */
static const struct request_method mesh_stats_methods[] = {
	{"GetMeshStatus", get_mesh_status, true, .takes = "",
	 .gives = "uptime_s:int session_cnt:int service_cnt:int call_cnt:int refused_cnt:int "
		  "bytes_in:int bytes_out:int",
	 .about = "Counts of this node since it started", .example = "{}"},
	{"GetPeersSummary", get_peers_summary, true, .takes = "",
	 .gives = "known_cnt:int connected_cnt:int banned_cnt:int rtt_median_us:int",
	 .about = "Counts of the peers of this node", .example = "{}"},
	{.name = NULL},
};

static void table_call(void *ctx, struct service_call *call, const struct service_input *input,
		       uint64_t now_ns)
{
	struct table *table = ctx;

	builtin_request_run(table->methods, table->ctx, call, input, now_ns);
}

static void table_cancelled(void *ctx, struct service_call *call)
{
	struct table *table = ctx;

	builtin_acks_forget(table->acks, call);
	if (table->forget)
		table->forget(table->ctx, call);
}

static void table_stream(void *ctx, struct service_channel *channel,
			 const struct service_input *input, uint64_t now_ns)
{
	const struct table *table = ctx;

	if (table->stream)
		table->stream(table->ctx, channel, input, now_ns);
	else
		service_channel_end(channel, SERVICE_METHOD_NOT_FOUND,
				    "the service takes no streams");
}

static const char *table_topic_refusal(void *ctx, const uint8_t key[MESH_KEY_LEN],
				       const char *topic)
{
	const struct table *table = ctx;

	return table->topic_refusal ? table->topic_refusal(table->ctx, key, topic) : NULL;
}

static const struct service_handler table_handler = {.call = table_call,
						     .cancelled = table_cancelled,
						     .stream = table_stream,
						     .topic_refusal = table_topic_refusal};

/* The description of each service: the limits of a call are those of its kind. */
static const struct row {
	const char *name;
	uint32_t payload_len_max; /* 0: the configured default */
	uint64_t timeout_ns;
	const struct request_method *methods;
	const char *about;
	/* Its capabilities; NULL: none. */
	void (*declare)(const struct builtin_config *config, struct provider_declaration *out);
} rows[BUILTIN_CNT] = {
	[BUILTIN_ECHO] = {"echo", 0, 0, builtin_echo_methods, "What is sent comes back"},
	[BUILTIN_POD_CHAT] = {"pod-chat", JSON_LEN_MAX, 10 * NS_PER_S, builtin_pod_chat_methods,
			      "Rooms with members, and the messages in them",
			      builtin_pod_chat_declare},
	[BUILTIN_SHADOW_INDEX] = {"shadow-index", JSON_LEN_MAX, 60 * NS_PER_S,
				  builtin_shadow_index_methods,
				  "Who has which recording, by its MusicBrainz id",
				  builtin_shadow_index_declare},
	[BUILTIN_MESH_STATS] = {"mesh-stats", JSON_LEN_MAX, 5 * NS_PER_S, mesh_stats_methods,
				"How the node is doing, in numbers that name nobody"},
	[BUILTIN_DHT] = {"dht", JSON_LEN_MAX, 20 * NS_PER_S, builtin_dht_methods,
			 "The Mainline DHT, for peers that cannot speak to it themselves"},
	[BUILTIN_CONTENT] = {"mesh-content", JSON_LEN_MAX, 30 * NS_PER_S, builtin_content_methods,
			     "Bytes of what this node serves, by content id",
			     builtin_content_declare},
	[BUILTIN_PUNCH] = {"hole-punch", JSON_LEN_MAX, 10 * NS_PER_S, builtin_punch_methods,
			   "A direct path for the caller's session with this node, through NATs"},
};

const char *builtin_name(enum builtin_service which)
{
	return rows[which].name;
}

#define SEPARATORS ", "

bool builtin_names_parse(const char *names, uint32_t *out_offered)
{
	uint32_t offered = 0;

	for (const char *at = names + strspn(names, SEPARATORS); *at;) {
		size_t len = strcspn(at, SEPARATORS);
		unsigned which = 0;

		while (which < BUILTIN_CNT &&
		       (strlen(builtin_name((enum builtin_service)which)) != len ||
			memcmp(builtin_name((enum builtin_service)which), at, len) != 0))
			which++;
		if (which == BUILTIN_CNT)
			return false;
		offered |= 1u << which;
		at += len;
		at += strspn(at, SEPARATORS);
	}
	*out_offered = offered;
	return true;
}

void builtin_config_defaults(struct builtin_config *config)
{
	*config = (struct builtin_config){
		.offered = 1u << BUILTIN_POD_CHAT | 1u << BUILTIN_SHADOW_INDEX |
			   1u << BUILTIN_MESH_STATS,
		.pod_cnt = 64,
		.pod_message_cnt = 1000,
		.pod_days = 7,
		.pod_memory_len = 32 * 1024 * 1024,
		.track_cnt = 100000,
		.forward = {.idle_ns = 120 * NS_PER_S,
			    .life_ns = 3600 * NS_PER_S,
			    .dial_ns = 10 * NS_PER_S},
	};
}

static bool is_offered(const struct builtin_config *config, enum builtin_service which)
{
	return config->offered >> which & 1;
}

/* tenant_open: rules of the overlay come with the service that owns them. */
static int tenant_open(struct builtin *builtin, enum builtin_service which)
{
	const struct overlay_rule rule = builtin_shard_value_rule();
	struct provider_declaration declaration = {.service = rows[which].name, .major = 1};

	if (rows[which].declare)
		rows[which].declare(&builtin->params.config, &declaration);
	if (which == BUILTIN_SHADOW_INDEX) {
		declaration.rules = &rule;
		declaration.rule_cnt = 1;
	}
	return provider_tenant_open(builtin->params.tenants, &declaration,
				    &builtin->tenants[which]);
}

static int tenants_open(struct builtin *builtin)
{
	const struct builtin_config *config = &builtin->params.config;
	struct provider_declaration gateway = {.major = 1};
	int err = 0;

	for (enum builtin_service i = 0; i < BUILTIN_CNT && err == 0; i++)
		if (is_offered(config, i))
			err = tenant_open(builtin, i);
	if (err < 0 || !config->forward.allow[0])
		return err;
	builtin_gateway_declare(config, &gateway);
	return provider_tenant_open(builtin->params.tenants, &gateway, &builtin->gateway_tenant);
}

static int parts_init(struct builtin *builtin)
{
	const struct builtin_params *params = &builtin->params;
	const struct builtin_config *config = &params->config;
	int err = arena_open(&builtin->arena, ARENA_GROWS);

	if (err == 0)
		err = tenants_open(builtin);
	if (err == 0)
		err = builtin_acks_init(&builtin->acks, &builtin->arena, params->tenants,
					&params->clock);
	if (err == 0 && is_offered(config, BUILTIN_ECHO))
		err = builtin_echo_init(&builtin->echo, &builtin->arena);
	if (err == 0 && is_offered(config, BUILTIN_POD_CHAT))
		err = builtin_pod_chat_init(&builtin->pod_chat, &builtin->arena, params,
					    &builtin->acks, builtin->tenants[BUILTIN_POD_CHAT]);
	if (err == 0 && is_offered(config, BUILTIN_SHADOW_INDEX))
		err = builtin_shadow_index_init(&builtin->shadow_index, &builtin->arena, params,
						&builtin->acks,
						builtin->tenants[BUILTIN_SHADOW_INDEX]);
	if (err == 0 && is_offered(config, BUILTIN_DHT))
		err = builtin_dht_init(&builtin->dht, &builtin->arena, &params->dht,
				       params->random);
	if (err == 0 && is_offered(config, BUILTIN_CONTENT))
		err = builtin_content_init(&builtin->content, &builtin->arena, params,
					   builtin->tenants[BUILTIN_CONTENT]);
	if (err == 0 && is_offered(config, BUILTIN_PUNCH))
		err = builtin_punch_init(&builtin->punch, &builtin->arena, &params->punch,
					 params->random);
	if (err == 0)
		err = builtin_gateway_init(&builtin->gateway, &builtin->arena, params,
					   builtin->gateway_tenant);
	arena_fit(&builtin->arena);
	return err;
}

/* Lists the read-only methods of a service: of echo, which keeps nothing, all. */
static unsigned read_only_list(struct builtin *builtin, enum builtin_service which)
{
	const char **names = builtin->read_only[which];
	const struct request_method *method = builtin->tables[which].methods;
	unsigned cnt = 0;

	if (which == BUILTIN_ECHO)
		names[cnt++] = SERVICE_READ_ONLY_ALL;
	for (; method && method->name; method++) {
		if (!method->is_read_only)
			continue;
		weft_assert(cnt < SERVICE_READ_ONLY_MAX);
		names[cnt++] = method->name;
	}
	return cnt;
}

static int offer(struct builtin *builtin, enum builtin_service which)
{
	const struct builtin_params *params = &builtin->params;
	struct service_offering offering = {
		.name = rows[which].name,
		.version = "1.0.0",
		.payload_len_max = rows[which].payload_len_max,
		.timeout_ns = rows[which].timeout_ns,
		.read_only = builtin->read_only[which],
		.read_only_cnt = read_only_list(builtin, which),
		.is_published = true,
		.handler = which == BUILTIN_ECHO ? &builtin_echo_handler : &table_handler,
		.ctx = which == BUILTIN_ECHO ? (void *)&builtin->echo : &builtin->tables[which],
	};
	char *description = builtin_request_describe(rows[which].about, rows[which].methods);
	const char *why;
	int err;

	if (!description)
		return -ENOMEM;
	offering.description = description;
	err = service_offer(params->service, &offering, params->now_ns, &builtin->offers[which],
			    &why);
	free(description);
	if (which == BUILTIN_POD_CHAT)
		builtin->pod_chat.offer = builtin->offers[which];
	return err;
}

static void tables_fill(struct builtin *builtin)
{
	struct table *tables = builtin->tables;

	for (enum builtin_service i = 0; i < BUILTIN_CNT; i++)
		tables[i] = (struct table){.methods = rows[i].methods, .acks = &builtin->acks};
	tables[BUILTIN_POD_CHAT].ctx = &builtin->pod_chat;
	tables[BUILTIN_POD_CHAT].stream = builtin_pod_chat_stream;
	tables[BUILTIN_POD_CHAT].topic_refusal = builtin_pod_chat_topic_refusal;
	tables[BUILTIN_SHADOW_INDEX].ctx = &builtin->shadow_index;
	tables[BUILTIN_SHADOW_INDEX].forget = builtin_shadow_index_forget;
	tables[BUILTIN_MESH_STATS].ctx = &builtin->params.figures;
	tables[BUILTIN_DHT].ctx = &builtin->dht;
	tables[BUILTIN_DHT].forget = builtin_dht_forget;
	tables[BUILTIN_CONTENT].ctx = &builtin->content;
	tables[BUILTIN_CONTENT].forget = builtin_content_forget;
	tables[BUILTIN_CONTENT].stream = builtin_content_stream;
	tables[BUILTIN_PUNCH].ctx = &builtin->punch;
}

int builtin_new(const struct builtin_params *params, struct builtin **out_builtin)
{
	struct builtin *builtin = calloc(1, sizeof(*builtin));
	int err;

	if (!builtin)
		return -ENOMEM;
	builtin->params = *params;
	tables_fill(builtin);
	err = parts_init(builtin);
	for (enum builtin_service i = 0; err == 0 && i < BUILTIN_CNT; i++)
		if (is_offered(&params->config, i))
			err = offer(builtin, i);
	if (err == 0)
		err = builtin_gateway_offer(&builtin->gateway, params->service, params->now_ns);
	if (err < 0) {
		builtin_free(builtin, params->now_ns);
		return err;
	}
	*out_builtin = builtin;
	return 0;
}

void builtin_hurry(struct builtin *builtin, uint64_t now_ns)
{
	if (is_offered(&builtin->params.config, BUILTIN_SHADOW_INDEX))
		builtin_shadow_mesh_hurry(&builtin->shadow_index.mesh, now_ns);
}

void builtin_rooms(const struct builtin *builtin, struct builtin_rooms *out)
{
	*out = (struct builtin_rooms){.kept_cap = ROOMS_KEPT_MAX,
				      .answer_cap = ROOMS_ANSWERS_MAX,
				      .segment_cap = ROOM_SEGMENTS_MAX,
				      .event_cap = ROOM_EVENTS_MAX,
				      .len_cap = ROOM_BYTES_MAX,
				      .memory_cap = ROOMS_MEMORY_LEN};
	if (is_offered(&builtin->params.config, BUILTIN_POD_CHAT))
		builtin_rooms_fill(&builtin->pod_chat.rooms, out);
}

unsigned builtin_readings(const struct builtin *builtin, unsigned *out_cnt)
{
	*out_cnt = builtin->content.readings.used_cnt;
	return is_offered(&builtin->params.config, BUILTIN_CONTENT) ? CONTENT_SERVICE_READING_MAX
								    : 0;
}

void builtin_free(struct builtin *builtin, uint64_t now_ns)
{
	if (!builtin)
		return;
	for (enum builtin_service i = 0; i < BUILTIN_CNT; i++)
		if (builtin->offers[i])
			service_withdraw(builtin->offers[i], now_ns);
	builtin->pod_chat.offer = NULL;
	if (builtin->acks.tenants)
		builtin_acks_stop(&builtin->acks);
	builtin_gateway_fini(&builtin->gateway, now_ns);
	builtin_content_fini(&builtin->content);
	builtin_dht_fini(&builtin->dht);
	builtin_shadow_index_fini(&builtin->shadow_index);
	builtin_pod_chat_fini(&builtin->pod_chat);
	builtin_echo_fini(&builtin->echo);
	for (enum builtin_service i = 0; i < BUILTIN_CNT; i++)
		provider_tenant_close(builtin->tenants[i]);
	provider_tenant_close(builtin->gateway_tenant);
	arena_close(&builtin->arena);
	free(builtin);
}

size_t builtin_footprint(const struct builtin_config *config)
{
	struct random random;
	struct timer_wheel timers;
	const struct provider_tenants_params measured = {.timers = &timers, .random = &random};
	struct provider_tenants *tenants;
	struct builtin *builtin = calloc(1, sizeof(*builtin));
	const struct heap *heaps[4];
	struct heap_usage usage;
	size_t len = 0;

	if (!builtin)
		return 0;
	random_init_seeded(&random, 0);
	timer_wheel_init(&timers, 0);
	builtin->params = (struct builtin_params){.config = *config, .random = &random};
	if (provider_tenants_new(&measured, &builtin->params.tenants) == 0 &&
	    parts_init(builtin) == 0)
		len = sizeof(*builtin) + builtin->arena.used_len + provider_tenants_footprint();
	heaps[0] = builtin->echo.memory;
	heaps[1] = builtin->pod_chat.pods.messages;
	heaps[2] = builtin->pod_chat.rooms.memory;
	heaps[3] = builtin->gateway.memory;
	for (unsigned i = 0; i < 4 && len > 0; i++) {
		if (!heaps[i])
			continue;
		heap_usage(heaps[i], &usage);
		len += usage.cap;
	}
	tenants = builtin->params.tenants;
	builtin_free(builtin, 0);
	provider_tenants_free(tenants);
	return len;
}

bool builtin_forward_is_valid(const char *allow)
{
	struct forward_allow parsed;

	return builtin_forward_allow_parse(allow, &parsed) == 0;
}

void builtin_tunnels(const struct builtin *builtin, uint64_t now_ns, struct builtin_tunnels *out)
{
	builtin_gateway_fills(&builtin->gateway, now_ns, out);
}

unsigned builtin_watch_cap(void)
{
	return TUNNEL_MAX;
}

bool builtin_content_places(const struct builtin *builtin, struct fair_view *out)
{
	if (!is_offered(&builtin->params.config, BUILTIN_CONTENT))
		return false;
	builtin_content_service_places(&builtin->content, out);
	return true;
}

bool builtin_dht_places(const struct builtin *builtin, struct fair_view *out)
{
	if (!is_offered(&builtin->params.config, BUILTIN_DHT))
		return false;
	builtin_dht_service_places(&builtin->dht, out);
	return true;
}

bool builtin_punch_places(const struct builtin *builtin, struct fair_view *out)
{
	if (!is_offered(&builtin->params.config, BUILTIN_PUNCH))
		return false;
	builtin_punch_service_places(&builtin->punch, out);
	return true;
}
