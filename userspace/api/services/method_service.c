/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListServices, FindService, ShowServiceLimits: what is offered here, what
 * others offer, and what bounds it. Home worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "node/fabric/fabric.h"
#include "api/methods.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"

#define KNOWN_MAX 500

static json_t *json_hex(const uint8_t id[static SERVICE_ID_LEN])
{
	char text[HEX_TEXT_CAP(SERVICE_ID_LEN)];

	return json_string(hex_write(id, SERVICE_ID_LEN, text));
}

bool api_services_are_on(const struct node *node, struct control_call *call)
{
	if (node->fabric)
		return true;
	control_fail(call, WEFT_EREFUSED, "services", "they are switched off",
		     "set service.enabled = yes in weft.conf and start weftd again");
	return false;
}

/* --- own ones --- */

struct offer_list {
	struct node *node;
	json_t *json;
	const char *name, *version; /* NULL: all */
};

static json_t *json_metadata(const struct service_info *info)
{
	json_t *json = json_object();

	for (unsigned i = 0; i < info->metadata_cnt; i++)
		json_object_set_new(json, info->metadata[i].key,
				    json_string(info->metadata[i].value));
	return json;
}

static json_t *json_read_only(const struct service_info *info)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < info->read_only_cnt; i++)
		json_array_append_new(json, json_string(info->read_only[i]));
	return json;
}

static json_t *json_info(const struct service_info *info)
{
	uint64_t call_cnt = 0, latency_cnt = 0;

	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++)
		call_cnt += info->counts.status_cnt[i];
	for (unsigned i = 0; i < SERVICE_LATENCY_CNT; i++)
		latency_cnt += info->counts.latency_cnt[i];
	json_t *json = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:s, s:b, s:[], s:o, s:o}", "name",
				 info->name, "version", info->version, "service_id",
				 json_hex(info->id), "provider", "builtin", "target", "", "state",
				 info->is_ready ? "ready" : "down", "why", "", "published",
				 info->is_published, "allow", "metadata", json_metadata(info),
				 "read_only", json_read_only(info));

	json_object_update_new(
		json,
		json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "needs_signature",
			  info->needs_signature, "calls_per_min",
			  api_json_uint(info->calls_per_min), "payload_max",
			  api_json_uint(info->payload_len_max), "timeout_ms",
			  api_json_uint(info->timeout_ns / NS_PER_MS), "in_hand",
			  api_json_uint(info->in_hand_cnt), "calls", api_json_uint(call_cnt),
			  "streams", api_json_uint(info->counts.stream_cnt), "errors",
			  api_json_uint(info->counts.status_cnt[SERVICE_UNKNOWN_ERROR] +
					info->counts.status_cnt[SERVICE_TIMEOUT]),
			  "mean_us",
			  api_json_uint(latency_cnt ? info->counts.latency_sum_us / latency_cnt
						    : 0)));
	return json;
}

struct publication_wanted {
	const struct service_info *info;
	json_t *offer;
};

/* Why it is not found goes where people look: a program that is down says why itself. */
static void publication_explain(const struct service_publication_state *state, json_t *offer)
{
	char text[128];

	if (json_string_length(json_object_get(offer, "why")))
		return;
	if (state->is_held_back)
		snprintf(text, sizeof(text), "waits to be published: service.publishes a minute");
	else if (state->err < 0)
		snprintf(text, sizeof(text), "not published yet: %s", weft_err_text(state->err));
	else
		return;
	json_object_set_new(offer, "why", json_string(text));
}

static bool publication_add(void *arg, const struct service_publication_state *state)
{
	const struct publication_wanted *wanted = arg;

	if (state->is_gone || strcmp(state->name, wanted->info->name) != 0 ||
	    strcmp(state->version, wanted->info->version) != 0)
		return true;
	json_object_set_new(wanted->offer, "publication",
			    json_pack("{s:i, s:s, s:b, s:o, s:o}", "nodes", (int)state->stored_cnt,
				      "error", state->err < 0 ? weft_err_text(state->err) : "",
				      "held_back", state->is_held_back, "seq",
				      api_json_uint(state->seq), "expires_s",
				      api_json_uint(state->expires_s)));
	publication_explain(state, wanted->offer);
	return false;
}

static bool offer_add(void *arg, const struct service_info *info)
{
	struct offer_list *list = arg;
	json_t *json;

	if (list->name &&
	    (strcmp(list->name, info->name) != 0 || strcmp(list->version, info->version) != 0))
		return true;
	json = json_info(info);
	api_offer_describe(list->node, info, json);
	service_publisher_each(node_fabric_publisher(list->node->fabric), publication_add,
			       &(struct publication_wanted){info, json});
	json_array_append_new(list->json, json);
	return true;
}

static json_t *json_offers(struct node *node, const char *name, const char *version)
{
	struct offer_list list = {node, json_array(), name, version};

	service_each(node_fabric_service(node->fabric), offer_add, &list);
	return list.json;
}

json_t *api_json_offer(struct node *node, const char *name, const char *version)
{
	json_t *offers = json_offers(node, name, version);
	json_t *offer = json_incref(json_array_get(offers, 0));

	json_decref(offers);
	return offer;
}

/* --- those of others --- */

static json_t *json_pairs(const struct service_descriptor *descriptor)
{
	json_t *json = json_object();

	for (unsigned i = 0; i < descriptor->metadata_cnt; i++) {
		const struct service_pair *pair = &descriptor->metadata[i];

		json_object_setn_new(json, pair->key, pair->key_len,
				     json_stringn(pair->value, pair->value_len));
	}
	return json;
}

static json_t *json_methods(const struct service_descriptor *descriptor)
{
	const struct service_read_only *list = &descriptor->read_only;
	json_t *json = json_array();

	for (unsigned i = 0; i < list->cnt; i++)
		json_array_append_new(json, json_stringn(list->names[i], list->lens[i]));
	return json;
}

/* Where a peer is reached, is for who may ask it to do things. */
static json_t *json_endpoints(const struct service_descriptor *descriptor, enum control_role role)
{
	json_t *json = json_array();
	char text[ADDR_TEXT_CAP];

	for (unsigned i = 0; i < descriptor->endpoint_cnt && role != CONTROL_VIEW; i++)
		json_array_append_new(json,
				      json_string(addr_format(&descriptor->endpoints[i], text)));
	return json;
}

static json_t *json_base64(const uint8_t *bytes, size_t len)
{
	char *text = malloc(BASE64_LEN(len) + 1);
	json_t *json = text ? json_string(base64_write(bytes, len, text)) : NULL;

	free(text);
	return json;
}

static json_t *json_found(const struct node *node, const struct service_found *found,
			  enum control_role role)
{
	const struct service_descriptor *descriptor = found->descriptor;

	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i}",
			 "name", descriptor->name, "version", descriptor->version, "service_id",
			 json_hex(descriptor->id), "node_id", api_json_id(descriptor->owner), "own",
			 memcmp(descriptor->owner, node->own_key, MESH_KEY_LEN) == 0, "endpoints",
			 json_endpoints(descriptor, role), "metadata", json_pairs(descriptor),
			 "read_only", json_methods(descriptor), "created_s",
			 api_json_uint(descriptor->created_s), "expires_s",
			 api_json_uint(descriptor->expires_s), "seq",
			 api_json_uint(descriptor->seq), "heard_s", api_json_uint(found->age_s),
			 "reputation", (int)found->reputation, "health", (int)found->health);
}

struct known_list {
	const struct node *node;
	enum control_role role;
	json_t *json;
};

static bool known_add(void *arg, const struct service_found *found)
{
	struct known_list *list = arg;

	if (memcmp(found->descriptor->owner, list->node->own_key, MESH_KEY_LEN) != 0)
		json_array_append_new(list->json, json_found(list->node, found, list->role));
	return json_array_size(list->json) < KNOWN_MAX;
}

void api_list_services(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	struct known_list known = {node, control_role_of(call), NULL};

	(void)parameters;
	if (!api_services_are_on(node, call))
		return;
	known.json = json_array();
	service_directory_each(node_fabric_directory(node->fabric), now_ns, known_add, &known);
	control_reply(call, json_pack("{s:o, s:o}", "offers", json_offers(node, NULL, NULL),
				      "known", known.json));
}

/* --- looking --- */

struct looking {
	struct node *node;
	struct control_call *call;
	struct service_find *find;
	char name[SERVICE_NAME_LEN_MAX + 1];
};

static void looking_gone(void *arg)
{
	struct looking *looking = arg;

	service_find_cancel(looking->find);
	free(looking);
}

static json_t *json_hidden(const struct service_finding *finding)
{
	json_t *json = json_array();

	for (unsigned i = SERVICE_FINE + 1; i < SERVICE_FAULT_CNT; i++) {
		if (finding->hidden[i])
			json_array_append_new(json,
					      json_pack("{s:s, s:i}", "reason",
							service_fault_word((enum service_fault)i),
							"count", (int)finding->hidden[i]));
	}
	return json;
}

static void looking_found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	struct looking *looking = arg;
	json_t *providers;

	(void)now_ns;
	control_on_gone(looking->call, NULL, NULL);
	if (finding->err < 0 && !finding->found_cnt) {
		control_fail(looking->call, finding->err, looking->name,
			     "nobody could be asked who provides it",
			     "see: weft overlay status, weft peer list");
		free(looking);
		return;
	}
	providers = json_array();
	for (unsigned i = 0; i < finding->found_cnt; i++) {
		json_t *json = json_found(looking->node, &finding->found[i],
					  control_role_of(looking->call));

		json_object_set_new(json, "descriptor",
				    json_base64(finding->found[i].bytes, finding->found[i].len));
		json_array_append_new(providers, json);
	}
	control_reply(looking->call,
		      json_pack("{s:o, s:o, s:b, s:i, s:o}", "providers", providers, "hidden",
				json_hidden(finding), "cached", finding->is_cached, "asked",
				(int)finding->asked_cnt, "took_ms",
				api_json_uint(finding->took_ns / NS_PER_MS)));
	free(looking);
}

static void fail_find(struct control_call *call, int err, const char *name, uint64_t wait_ns)
{
	char next[64];

	snprintf(next, sizeof(next), "try again in %u s", (unsigned)(wait_ns / NS_PER_S) + 1);
	if (err == WEFT_EREFUSED)
		control_fail(call, err, name, "too many lookups in this minute", next);
	else if (err == WEFT_EFULL)
		control_fail(call, err, name, "too many lookups are under way", "try again");
	else
		control_fail(call, err, name, "no name of a service, or no range of versions",
			     "names have a-z, 0-9 and, inside, - and .; ranges are like ^1 or "
			     "'>=1.0.0 <3'");
}

/* id_read: false when call was failed. */
static bool id_read(struct control_call *call, const json_t *parameters,
		    uint8_t id[static SERVICE_ID_LEN], bool *out_has_id)
{
	const char *text = json_string_value(json_object_get(parameters, "service_id"));

	*out_has_id = text != NULL;
	if (!text || hex_read(text, id, SERVICE_ID_LEN))
		return true;
	control_fail_parameter(call, "service_id");
	return false;
}

void api_find_service(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	uint8_t id[SERVICE_ID_LEN];
	bool has_id;
	struct service_query query = {
		.name = json_string_value(json_object_get(parameters, "name")),
		.version = json_string_value(json_object_get(parameters, "version")),
		.is_anew = json_is_true(json_object_get(parameters, "fresh")),
	};
	struct looking *looking;
	uint64_t wait_ns = 0;
	int err;

	if (!api_services_are_on(node, call) || !id_read(call, parameters, id, &has_id))
		return;
	query.id = has_id ? id : NULL;
	looking = calloc(1, sizeof(*looking));
	if (!looking) {
		control_fail(call, -ENOMEM, "lookup", "no memory", "free some and try again");
		return;
	}
	looking->node = node;
	looking->call = call;
	snprintf(looking->name, sizeof(looking->name), "%s", query.name ? query.name : "service");
	err = service_find_start(node_fabric_directory(node->fabric), &query, looking_found,
				 looking, now_ns, &looking->find, &wait_ns);
	if (err < 0) {
		fail_find(call, err, looking->name, wait_ns);
		free(looking);
		return;
	}
	control_on_gone(call, looking_gone, looking);
}

/* --- limits --- */

static void limit_add(void *arg, const struct service_limit_state *state)
{
	const struct service_limit_info *info = state->info;
	/* Times are told in milliseconds; everything else as it is. */
	uint64_t per = info->unit == SERVICE_UNIT_DURATION ? NS_PER_MS : 1;
	json_t *json = json_pack(
		"{s:s, s:o, s:s, s:o, s:s}", "setting", info->key, "limit",
		api_json_uint(state->value / per), "unit",
		info->unit == SERVICE_UNIT_DURATION ? "ms" : service_unit_name(info->unit),
		"default", api_json_uint(info->initial / per), "meaning", info->text);

	if (state->has_fill)
		json_object_set_new(json, "used", api_json_uint(state->used / per));
	json_array_append_new(arg, json);
}

/* counts_slow_us: the bound of the bucket in which the ninth of ten lies; of the last, its lower one. */
static uint64_t counts_slow_us(const struct service_counts *counts, uint64_t cnt)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < SERVICE_LATENCY_CNT - 1; i++) {
		seen += counts->latency_cnt[i];
		if (cnt && seen * 10 >= cnt * 9)
			return service_latency_bounds_us[i];
	}
	return cnt ? service_latency_bounds_us[SERVICE_LATENCY_CNT - 2] : 0;
}

static json_t *json_counts(const struct service_info *info,
			   const struct service_method_counts *method)
{
	const struct service_counts *counts = &method->counts;
	uint64_t cnt = 0, error_cnt = counts->status_cnt[SERVICE_UNKNOWN_ERROR] +
				      counts->status_cnt[SERVICE_TIMEOUT];

	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++)
		cnt += counts->status_cnt[i];
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "service", info->name,
			 "version", info->version, "method", method->method, "calls",
			 api_json_uint(cnt), "errors", api_json_uint(error_cnt), "refused",
			 api_json_uint(cnt - error_cnt - counts->status_cnt[SERVICE_OK]), "mean_us",
			 api_json_uint(cnt ? counts->latency_sum_us / cnt : 0), "slow_us",
			 api_json_uint(counts_slow_us(counts, cnt)));
}

static bool methods_add(void *arg, const struct service_info *info)
{
	json_t *rows = arg;

	for (unsigned i = 0; i < info->method_cnt; i++) {
		json_t *row = json_counts(info, &info->methods[i]);

		if (json_integer_value(json_object_get(row, "calls")))
			json_array_append(rows, row);
		json_decref(row);
	}
	return true;
}

void api_list_service_methods(void *ctx, struct control_call *call, const json_t *parameters,
			      uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *rows;

	(void)parameters, (void)now_ns;
	if (!api_services_are_on(node, call))
		return;
	rows = json_array();
	service_each(node_fabric_service(node->fabric), methods_add, rows);
	control_reply(call, json_pack("{s:o}", "methods", rows));
}

void api_show_service_limits(void *ctx, struct control_call *call, const json_t *parameters,
			     uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *limits;

	(void)parameters;
	if (!api_services_are_on(node, call))
		return;
	limits = json_array();
	service_limits_each(node_fabric_service(node->fabric), limit_add, limits, now_ns);
	control_reply(call, json_pack("{s:o}", "limits", limits));
}
