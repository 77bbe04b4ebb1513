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
#include "codec/text/hex.h"
#include "api/methods.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"

#define KNOWN_MAX 500

static const char *id_text(struct varlink_blocks *blocks, const uint8_t id[static SERVICE_ID_LEN])
{
	char text[HEX_TEXT_CAP(SERVICE_ID_LEN)];

	return varlink_text(blocks, hex_write(id, SERVICE_ID_LEN, text));
}

bool api_services_are_on(const struct api *api, struct control_call *call)
{
	if (api->service)
		return true;
	control_fail(call, WEFT_EREFUSED, "services", "they are switched off",
		     "set service.enabled = yes in weft.conf and start weftd again");
	return false;
}

/* --- own ones --- */

static uint64_t sum_of(const uint64_t *values, size_t cnt)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < cnt; i++)
		sum += values[i];
	return sum;
}

static struct api_service_offer offer_of_info(struct varlink_blocks *blocks,
					      const struct service_info *info)
{
	const struct service_counts *counts = &info->counts;
	uint64_t latency_cnt = sum_of(counts->latency_cnt, SERVICE_LATENCY_CNT);
	struct api_service_offer offer = {
		.name = info->name,
		.version = info->version,
		.service_id = id_text(blocks, info->id),
		.provider = API_SERVICE_OFFER_PROVIDER_BUILTIN,
		.target = "",
		.state = info->is_ready ? API_SERVICE_OFFER_STATE_READY
					: API_SERVICE_OFFER_STATE_DOWN,
		.why = "",
		.published = info->is_published,
		.needs_signature = info->needs_signature,
		.calls_per_min = api_uint(info->calls_per_min),
		.payload_max = api_uint(info->payload_len_max),
		.timeout_ms = api_uint(info->timeout_ns / NS_PER_MS),
		.in_hand = api_uint(info->in_hand_cnt),
		.calls = api_uint(sum_of(counts->status_cnt, SERVICE_STATUS_CNT)),
		.streams = api_uint(counts->stream_cnt),
		.errors = api_uint(counts->status_cnt[SERVICE_UNKNOWN_ERROR] +
				   counts->status_cnt[SERVICE_TIMEOUT]),
		.mean_us = api_uint(latency_cnt ? counts->latency_sum_us / latency_cnt : 0),
	};

	for (unsigned i = 0; i < info->metadata_cnt; i++)
		varlink_push(blocks, &offer.metadata,
			     {.key = info->metadata[i].key, .value = info->metadata[i].value});
	for (unsigned i = 0; i < info->read_only_cnt; i++)
		varlink_push(blocks, &offer.read_only, info->read_only[i]);
	return offer;
}

/* Why it is not found goes where people look: a program that is down says why itself. */
static const char *publication_why(struct varlink_blocks *blocks,
				   const struct service_publication_state *state)
{
	if (state->is_held_back)
		return "waits to be published: service.publishes a minute";
	if (state->err < 0)
		return varlink_format(blocks, "not published yet: %s", weft_err_text(state->err));
	return "";
}

static void publication_add(const struct api *api, struct varlink_blocks *blocks,
			    struct api_service_offer *offer)
{
	struct service_publication_iter iter = {.publisher = api->service_publisher};
	struct api_service_publication *publication;
	struct service_publication_state state;
	bool is_found = false;

	while (!is_found && service_publisher_next(&iter, &state))
		is_found = !state.is_gone && strcmp(state.name, offer->name) == 0 &&
			   strcmp(state.version, offer->version) == 0;
	publication = is_found ? varlink_alloc(blocks, sizeof(*publication)) : NULL;
	if (!publication)
		return;
	*publication = (struct api_service_publication){
		.nodes = state.stored_cnt,
		.error = state.err < 0 ? weft_err_text(state.err) : "",
		.held_back = state.is_held_back,
		.seq = api_uint(state.seq),
		.expires_s = api_uint(state.expires_s),
	};
	offer->publication = publication;
	if (!*offer->why)
		offer->why = publication_why(blocks, &state);
}

/* Those of name and version, or all when name is NULL. */
static struct api_service_offer_list offers_list(struct api *api, struct varlink_blocks *blocks,
						 const char *name, const char *version)
{
	struct service_iter iter = {.service = api->service};
	struct api_service_offer_list rows = {0};
	struct api_service_offer offer;
	struct service_info info;

	while (service_next(&iter, &info)) {
		if (name && (strcmp(name, info.name) != 0 || strcmp(version, info.version) != 0))
			continue;
		offer = offer_of_info(blocks, &info);
		api_offer_describe(api, blocks, &offer);
		publication_add(api, blocks, &offer);
		varlink_push(blocks, &rows, offer);
	}
	return rows;
}

const struct api_service_offer *api_offer(struct api *api, struct varlink_blocks *blocks,
					  const char *name, const char *version)
{
	struct api_service_offer_list rows = offers_list(api, blocks, name, version);

	return rows.cnt ? &rows.rows[0] : NULL;
}

/* --- those of others --- */

static const char *text_of(struct varlink_blocks *blocks, const char *text, size_t len)
{
	return varlink_format(blocks, "%.*s", (int)len, text);
}

/* An address of a peer is shown to callers that may ask the peer to do things. */
static struct api_service_provider provider_of(const struct api *api, struct control_call *call,
					       const struct service_found *found)
{
	const struct service_descriptor *descriptor = found->descriptor;
	const struct service_read_only *read_only = &descriptor->read_only;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_service_provider provider = {
		.name = varlink_text(blocks, descriptor->name),
		.version = varlink_text(blocks, descriptor->version),
		.service_id = id_text(blocks, descriptor->id),
		.node_id = api_id(blocks, descriptor->owner),
		.own = memcmp(descriptor->owner, api->own_key, MESH_KEY_LEN) == 0,
		.created_s = api_uint(descriptor->created_s),
		.expires_s = api_uint(descriptor->expires_s),
		.seq = api_uint(descriptor->seq),
		.heard_s = api_uint(found->age_s),
		.reputation = found->reputation,
		.health = found->health,
	};

	for (unsigned i = 0;
	     i < descriptor->places.addr_cnt && control_role_of(call) != CONTROL_VIEW; i++)
		varlink_push(blocks, &provider.endpoints,
			     api_addr(blocks, &descriptor->places.addrs[i]));
	for (unsigned i = 0; i < descriptor->metadata_cnt; i++) {
		const struct service_pair *pair = &descriptor->metadata[i];

		varlink_push(blocks, &provider.metadata,
			     {.key = text_of(blocks, pair->key, pair->key_len),
			      .value = text_of(blocks, pair->value, pair->value_len)});
	}
	for (unsigned i = 0; i < read_only->cnt; i++)
		varlink_push(blocks, &provider.read_only,
			     text_of(blocks, read_only->names[i], read_only->lens[i]));
	return provider;
}

static struct api_service_provider_list known_list(const struct api *api, struct control_call *call,
						   uint64_t now_ns)
{
	struct service_directory_iter iter = {.directory = api->directory, .now_ns = now_ns};
	struct api_service_provider_list rows = {0};
	struct service_found found;

	while (rows.cnt < KNOWN_MAX && service_directory_next(&iter, &found))
		if (memcmp(found.descriptor->owner, api->own_key, MESH_KEY_LEN) != 0)
			varlink_push(control_blocks(call), &rows, provider_of(api, call, &found));
	return rows;
}

void api_list_services(struct api *api, struct control_call *call,
		       const struct api_list_services_in *in, uint64_t now_ns)
{
	(void)in;
	if (!api_services_are_on(api, call))
		return;
	api_reply(call, list_services, .offers = offers_list(api, control_blocks(call), NULL, NULL),
		  .known = known_list(api, call, now_ns));
}

/* --- looking --- */

struct looking {
	struct api *api;
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

static void looking_reply(const struct looking *looking, const struct service_finding *finding)
{
	struct control_call *call = looking->call;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_service_provider_list providers = {0};
	struct api_service_hidden_list hidden = {0};

	for (unsigned i = 0; i < finding->found_cnt; i++) {
		const struct service_found *found = &finding->found[i];
		struct api_service_provider provider = provider_of(looking->api, call, found);

		provider.descriptor = varlink_base64(blocks, found->bytes, found->len);
		varlink_push(blocks, &providers, provider);
	}
	for (unsigned i = SERVICE_FINE + 1; i < SERVICE_FAULT_CNT; i++)
		if (finding->hidden[i])
			varlink_push(
				blocks, &hidden,
				{.reason = service_faults[i].word, .count = finding->hidden[i]});
	api_reply(call, find_service, .providers = providers, .hidden = hidden,
		  .cached = finding->is_cached, .asked = finding->asked_cnt,
		  .took_ms = api_uint(finding->took_ns / NS_PER_MS));
}

static void looking_found(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	struct looking *looking = arg;

	(void)now_ns;
	control_on_gone(looking->call, NULL, NULL);
	if (finding->err < 0 && !finding->found_cnt)
		control_fail(looking->call, finding->err, looking->name,
			     "no node could be asked for its providers",
			     "see: weft overlay status, weft peer list");
	else
		looking_reply(looking, finding);
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

void api_find_service(struct api *api, struct control_call *call,
		      const struct api_find_service_in *in, uint64_t now_ns)
{
	uint8_t id[SERVICE_ID_LEN];
	struct service_query query = {.name = in->name,
				      .version = in->version,
				      .id = in->service_id ? id : NULL,
				      .is_anew = in->fresh,
				      .found = looking_found};
	struct looking *looking;
	uint64_t wait_ns = 0;
	int err;

	if (!api_services_are_on(api, call))
		return;
	if (in->service_id && !hex_read(in->service_id, id, SERVICE_ID_LEN)) {
		control_fail_parameter(call, "service_id");
		return;
	}
	looking = calloc(1, sizeof(*looking));
	if (!looking) {
		control_fail(call, -ENOMEM, "lookup", "no memory", "free some and try again");
		return;
	}
	looking->api = api;
	looking->call = call;
	snprintf(looking->name, sizeof(looking->name), "%s", query.name ? query.name : "service");
	query.arg = looking;
	err = service_find_start(api->directory, &query, now_ns, &looking->find, &wait_ns);
	if (err < 0) {
		fail_find(call, err, looking->name, wait_ns);
		free(looking);
		return;
	}
	control_on_gone(call, looking_gone, looking);
}

/* --- limits --- */

/* A time is shown in milliseconds, everything else as it is. */
static void limit_add(struct varlink_blocks *blocks, struct api_service_limit_list *rows,
		      const struct service_limit_state *state)
{
	const struct service_limit_info *info = state->info;
	bool is_time = info->unit == SERVICE_UNIT_DURATION;
	uint64_t per = is_time ? NS_PER_MS : 1;

	varlink_push(blocks, rows,
		     {.setting = info->key,
		      .limit = api_uint(state->value / per),
		      .unit = is_time ? "ms" : service_unit_name(info->unit),
		      .default_ = api_uint(info->initial / per),
		      .meaning = info->text,
		      API_IF(used, state->has_fill, api_uint(state->used / per))});
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

static void method_add(struct varlink_blocks *blocks, struct api_service_method_counts_list *rows,
		       const struct service_info *info, const struct service_method_counts *method)
{
	const struct service_counts *counts = &method->counts;
	uint64_t cnt = sum_of(counts->status_cnt, SERVICE_STATUS_CNT);
	uint64_t error_cnt =
		counts->status_cnt[SERVICE_UNKNOWN_ERROR] + counts->status_cnt[SERVICE_TIMEOUT];

	if (!cnt)
		return;
	varlink_push(blocks, rows,
		     {.service = info->name,
		      .version = info->version,
		      .method = method->method,
		      .calls = api_uint(cnt),
		      .errors = api_uint(error_cnt),
		      .refused = api_uint(cnt - error_cnt - counts->status_cnt[SERVICE_OK]),
		      .mean_us = api_uint(counts->latency_sum_us / cnt),
		      .slow_us = api_uint(counts_slow_us(counts, cnt))});
}

void api_list_service_methods(struct api *api, struct control_call *call,
			      const struct api_list_service_methods_in *in, uint64_t now_ns)
{
	struct service_iter iter = {.service = api->service};
	struct api_service_method_counts_list rows = {0};
	struct service_info info;

	(void)in, (void)now_ns;
	if (!api_services_are_on(api, call))
		return;
	while (service_next(&iter, &info))
		for (unsigned i = 0; i < info.method_cnt; i++)
			method_add(control_blocks(call), &rows, &info, &info.methods[i]);
	api_reply(call, list_service_methods, .methods = rows);
}

void api_show_service_limits(struct api *api, struct control_call *call,
			     const struct api_show_service_limits_in *in, uint64_t now_ns)
{
	struct service_limit_iter iter = {.service = api->service, .now_ns = now_ns};
	struct api_service_limit_list rows = {0};
	struct service_limit_state state;

	(void)in;
	if (!api_services_are_on(api, call))
		return;
	while (service_limits_next(&iter, &state))
		limit_add(control_blocks(call), &rows, &state);
	api_reply(call, show_service_limits, .limits = rows);
}
