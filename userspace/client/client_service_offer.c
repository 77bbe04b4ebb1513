/* SPDX-License-Identifier: Apache-2.0 */
/* Service offers: publishing, withdrawing, finding, and watching for new ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "varlink/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

/* Answers of the nodes around come by up to four hops, within this time. */
#define MESH_WAIT_S 2

static struct api_string_list words_of(const char *const *words, size_t cnt)
{
	return (struct api_string_list){.rows = (const char **)words, .cnt = cnt, .cap = cnt};
}

int weft_service_offer_publish(struct weft_client *client,
			       const struct weft_service_offer_params *params,
			       char out_id[WEFT_SERVICE_OFFER_ID_CAP], struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, params->timeout_ms, error);
	const struct api_publish_offer_in in = {
		.schema = params->schema,
		.values = words_of(params->values, params->value_cnt),
		.has_units = params->units != 0,
		.units = params->units,
		.has_ttl_hours = params->hours != 0,
		.ttl_hours = params->hours,
	};
	const struct api_publish_offer_out *out = api_publish_offer_call(&caller.caller, &in);
	int err = caller.caller.err;

	if (out && strlen(out->offer.offer_id) >= WEFT_SERVICE_OFFER_ID_CAP)
		err = client_failure_set(error, WEFT_EMALFORMED, "offer", "its id is too long",
					 NULL);
	else if (out)
		strcpy(out_id, out->offer.offer_id);
	varlink_caller_fini(&caller.caller);
	return err;
}

int weft_service_offer_revoke(struct weft_client *client, const char *id, int timeout_ms,
			      struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, timeout_ms, error);

	(void)api_revoke_offer_call(&caller.caller, &(struct api_revoke_offer_in){.offer_id = id});
	varlink_caller_fini(&caller.caller);
	return caller.caller.err;
}

static uint64_t uint_of(int64_t value)
{
	return value < 0 ? 0 : (uint64_t)value;
}

static int offer_tell(const struct weft_service_find *find, const struct api_offer *row,
		      uint64_t lost)
{
	size_t cnt = row->values.cnt;
	struct weft_service_value *values = calloc(cnt + 1, sizeof(*values));
	struct weft_service_offer offer = {
		.id = row->offer_id,
		.schema = row->schema,
		.provider = row->provider,
		.is_own = row->own,
		.units = uint_of(row->units),
		.published_s = uint_of(row->published_s),
		.expires_s = uint_of(row->expires_s),
		.lost = lost,
		.values = values,
		.value_cnt = cnt,
	};

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++)
		values[i] = (struct weft_service_value){
			row->values.rows[i].field, row->values.rows[i].value,
			row->values.rows[i].unit, row->values.rows[i].label};
	find->fn(find->arg, &offer, NULL);
	free(values);
	return 0;
}

/* mesh_ask waits until the nodes around had time to answer. */
static int mesh_ask(struct weft_client *client, const struct weft_service_find *find,
		    struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, find->timeout_ms, error);
	const struct api_ask_offers_in in = {.schema = find->schema,
					     .filters = words_of(find->filters, find->filter_cnt)};
	const struct api_ask_offers_out *out = api_ask_offers_call(&caller.caller, &in);
	struct timespec wait = {.tv_sec = out && out->neighbours ? MESH_WAIT_S : 0};

	while (nanosleep(&wait, &wait) < 0)
		;
	varlink_caller_fini(&caller.caller);
	return caller.caller.err;
}

int weft_service_offer_find(struct weft_client *client, const struct weft_service_find *find,
			    struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, find->timeout_ms, error);
	int err = find->asks_mesh ? mesh_ask(client, find, error) : 0;
	const struct api_find_offers_in in = {
		.schema = find->schema,
		.filters = words_of(find->filters, find->filter_cnt),
		.has_limit = find->limit != 0,
		.limit = find->limit,
	};
	const struct api_find_offers_out *out;

	if (err < 0)
		return err;
	out = api_find_offers_call(&caller.caller, &in);
	err = caller.caller.err;
	for (size_t i = 0; out && err == 0 && i < out->offers.cnt; i++)
		err = offer_tell(find, &out->offers.rows[i], 0);
	if (out && err == 0)
		err = (int)out->offers.cnt;
	else if (out)
		client_failure_memory(error);
	varlink_caller_fini(&caller.caller);
	return err;
}

struct weft_service_watch {
	struct ask *ask;
	struct weft_service_find find; /* fn and arg of it */
};

static void watch_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	const struct weft_service_watch *watch = arg;
	struct varlink_blocks blocks = {0};
	const struct api_watch_offers_out *out = NULL;
	struct weft_error own;
	int err = 0;

	if (!error)
		out = api_watch_offers_out_read(json_object_get(message, "parameters"), &blocks);
	if (out && out->offer)
		err = offer_tell(&watch->find, out->offer, uint_of(out->lost));
	varlink_blocks_free(&blocks);
	if (!is_last)
		return;
	if (!error)
		client_failure_lost(&own, err < 0 ? err : WEFT_ECLOSED);
	watch->find.fn(watch->find.arg, NULL, error ? error : &own);
}

int weft_service_offer_watch(struct weft_client *client, const struct weft_service_find *find,
			     struct weft_service_watch **out_watch, struct weft_error *error)
{
	struct weft_service_watch *watch = calloc(1, sizeof(*watch));
	const struct api_watch_offers_in in = {
		.schema = find->schema, .filters = words_of(find->filters, find->filter_cnt)};
	const struct ask_params asked = {
		.method = API_WATCH_OFFERS_METHOD,
		.parameters = watch ? api_watch_offers_in_write(&in) : NULL,
		.wants_more = true,
		.timeout_ms = find->timeout_ms,
		.fn = watch_reply,
		.gone = free,
		.arg = watch,
	};
	int err;

	if (!watch)
		return client_failure_memory(error);
	watch->find.fn = find->fn;
	watch->find.arg = find->arg;
	err = client_ask_start(client, &asked, &watch->ask, error);
	if (err < 0)
		free(watch);
	else
		*out_watch = watch;
	return err;
}

void weft_service_watch_close(struct weft_service_watch *watch)
{
	if (watch)
		client_ask_cancel(watch->ask);
}
