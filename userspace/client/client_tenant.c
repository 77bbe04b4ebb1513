/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of an offer: its rows, its values of the overlay, its counters. */
#include "client/client_offer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

#define ROWS_TIMEOUT_MS	 30000
#define COUNT_TIMEOUT_MS 5000

/* A call for an offer, with the memory of its parameters and its reply. */
struct tenant_call {
	struct client_offer_name name;
	struct client_caller caller;
	struct varlink_blocks blocks;
};

static struct tenant_call tenant_call_of(const struct weft_offer *offer, int timeout_ms,
					 struct weft_error *error)
{
	struct tenant_call call = {.name = client_offer_name(offer)};

	call.caller = client_caller_of(call.name.client, timeout_ms, error);
	return call;
}

/* tenant_call_end: the outcome of the call, or err, which a reply that cannot be read has. */
static int tenant_call_end(struct tenant_call *call, int err)
{
	struct weft_error *error = call->caller.error;

	if (call->caller.caller.err < 0)
		err = call->caller.caller.err;
	else if (err < 0)
		err = client_failure_lost(error, err);
	varlink_caller_fini(&call->caller.caller);
	varlink_blocks_free(&call->blocks);
	return err;
}

/* Without memory it is no base64, so the daemon refuses the call: an empty text would be written. */
static const char *base64_of(struct tenant_call *call, const void *data, size_t len)
{
	const char *text = varlink_base64(&call->blocks, data, len);

	return text ? text : "=";
}

/* ---- rows ---- */

int weft_rows_write(struct weft_offer *offer, const struct weft_row *rows, size_t cnt,
		    struct weft_error *error)
{
	struct tenant_call call = tenant_call_of(offer, ROWS_TIMEOUT_MS, error);
	struct api_write_service_rows_in in = {.name = call.name.name,
					       .version = call.name.version};

	for (size_t i = 0; i < cnt; i++) {
		const struct weft_row *row = &rows[i];

		varlink_push(&call.blocks, &in.changes,
			     {.key = base64_of(&call, row->key, row->key_len),
			      .value = row->value ? base64_of(&call, row->value, row->len) : NULL});
	}
	if (in.changes.cnt == cnt)
		(void)api_write_service_rows_call(&call.caller.caller, &in);
	return tenant_call_end(&call, in.changes.cnt == cnt ? 0 : -ENOMEM);
}

/* A row and what it points to. */
struct row_box {
	struct weft_row row;
	uint8_t bytes[];
};

static int row_box_new(struct weft_row row, struct weft_row **out_row)
{
	struct row_box *box = malloc(sizeof(*box) + row.key_len + row.len);

	if (!box)
		return -ENOMEM;
	box->row = (struct weft_row){.key = box->bytes,
				     .key_len = row.key_len,
				     .value = box->bytes + row.key_len,
				     .len = row.len};
	if (row.key_len)
		memcpy(box->bytes, row.key, row.key_len);
	if (row.len)
		memcpy(box->bytes + row.key_len, row.value, row.len);
	*out_row = &box->row;
	return 0;
}

void weft_row_free(struct weft_row *row)
{
	free(row);
}

int weft_row_read(struct weft_offer *offer, const void *key, size_t key_len,
		  struct weft_row **out_row, struct weft_error *error)
{
	struct tenant_call call = tenant_call_of(offer, ROWS_TIMEOUT_MS, error);
	struct weft_row row = {.key = key, .key_len = key_len};
	const struct api_read_service_row_in in = {
		.name = call.name.name,
		.version = call.name.version,
		.key = base64_of(&call, key, key_len),
	};
	const struct api_read_service_row_out *out =
		api_read_service_row_call(&call.caller.caller, &in);
	int err = out ? varlink_base64_read(&call.blocks, out->value, &row.value, &row.len) : 0;

	if (out && !out->value) {
		(void)tenant_call_end(&call, 0);
		return client_failure_set(error, WEFT_EABSENT, "row", "there is none of this key",
					  NULL);
	}
	if (out && err == 0)
		err = row_box_new(row, out_row);
	return tenant_call_end(&call, err);
}

/* rows_tell hands rows on. False: fn wants no more, or *out_err says what was wrong with one. */
static bool rows_tell(struct tenant_call *call, const struct weft_rows_read_params *params,
		      const struct api_read_service_rows_out *out, int *out_err)
{
	for (size_t i = 0; i < out->rows.cnt; i++) {
		const struct api_service_row *text = &out->rows.rows[i];
		struct weft_row row;

		*out_err = varlink_base64_read(&call->blocks, text->key, &row.key, &row.key_len);
		if (*out_err == 0)
			*out_err = varlink_base64_read(&call->blocks, text->value, &row.value,
						       &row.len);
		row.value = row.value ? row.value : ""; /* of no bytes */
		if (*out_err < 0 || !params->fn(params->arg, &row))
			return false;
	}
	return true;
}

int weft_rows_read(struct weft_offer *offer, const struct weft_rows_read_params *params,
		   struct weft_error *error)
{
	char *after = NULL;
	bool is_over = false;
	int err = 0;

	while (err == 0 && !is_over) {
		struct tenant_call call = tenant_call_of(offer, ROWS_TIMEOUT_MS, error);
		const struct api_read_service_rows_in in = {
			.name = call.name.name,
			.version = call.name.version,
			.prefix = params->prefix_len
					  ? base64_of(&call, params->prefix, params->prefix_len)
					  : NULL,
			.after = after,
		};
		const struct api_read_service_rows_out *out =
			api_read_service_rows_call(&call.caller.caller, &in);

		is_over = !out || !rows_tell(&call, params, out, &err) || !out->more ||
			  !out->rows.cnt;
		free(after);
		after = is_over ? NULL : strdup(out->rows.rows[out->rows.cnt - 1].key);
		if (!is_over && !after)
			err = -ENOMEM;
		err = tenant_call_end(&call, err);
	}
	free(after);
	return err;
}

/* ---- values ---- */

int weft_value_put(struct weft_offer *offer, const struct weft_value_put_params *params,
		   unsigned *out_nodes, struct weft_error *error)
{
	struct tenant_call call = tenant_call_of(offer, params->timeout_ms, error);
	const struct api_put_service_value_in in = {
		.name = call.name.name,
		.version = call.name.version,
		.tag = params->tag,
		.key = base64_of(&call, params->key, params->key_len),
		.value = base64_of(&call, params->value, params->len),
		API_IF(life_s, params->life_s, params->life_s),
	};
	const struct api_put_service_value_out *out =
		api_put_service_value_call(&call.caller.caller, &in);

	if (out && out_nodes)
		*out_nodes = (unsigned)out->nodes;
	return tenant_call_end(&call, 0);
}

static uint64_t uint_of(int64_t number)
{
	return number < 0 ? 0 : (uint64_t)number;
}

int weft_values_get(struct weft_offer *offer, const struct weft_values_get_params *params,
		    struct weft_error *error)
{
	struct tenant_call call = tenant_call_of(offer, params->timeout_ms, error);
	const struct api_get_service_values_in in = {
		.name = call.name.name,
		.version = call.name.version,
		.tag = params->tag,
		.key = base64_of(&call, params->key, params->key_len),
	};
	const struct api_get_service_values_out *out =
		api_get_service_values_call(&call.caller.caller, &in);
	int err = 0;

	for (size_t i = 0; out && i < out->values.cnt; i++) {
		const struct api_service_value *text = &out->values.rows[i];
		struct weft_value value = {.node = text->node,
					   .created_s = uint_of(text->created_s),
					   .expires_s = uint_of(text->expires_s)};

		err = varlink_base64_read(&call.blocks, text->value, &value.value, &value.len);
		if (err < 0 || !params->fn(params->arg, &value))
			break;
	}
	return tenant_call_end(&call, err);
}

/* ---- counters ---- */

int weft_count(struct weft_offer *offer, const char *counter, uint64_t cnt,
	       struct weft_error *error)
{
	struct tenant_call call = tenant_call_of(offer, COUNT_TIMEOUT_MS, error);
	struct api_add_service_counts_in in = {.name = call.name.name,
					       .version = call.name.version};

	varlink_push(&call.blocks, &in.counts,
		     {.counter = counter, .count = cnt > INT64_MAX ? INT64_MAX : (int64_t)cnt});
	(void)api_add_service_counts_call(&call.caller.caller, &in);
	return tenant_call_end(&call, 0);
}
