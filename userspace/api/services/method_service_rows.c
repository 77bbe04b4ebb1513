/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WriteServiceRows, ReadServiceRow, ReadServiceRows, ListStoredRows: rows of programs. Home worker;
 * a write is answered when it is durable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable_reply.h"
#include "method_service_target.h"
#include "method_service_tenant.h"

#define CHANGE_MAX	1000
#define ROW_VALUE_MAX	(256 * 1024)
#define WRITE_LEN_MAX	(512 * 1024)
#define READ_MAX	1000
#define READ_DEFAULT	100
#define READ_LEN_ENOUGH (256 * 1024) /* then a reply has no further row */

/* ---- writing ---- */

/* change_add: false: call was failed. *len grows by key and value. */
static bool change_add(struct control_call *call, const struct api_service_row_change *change,
		       struct provider_write *write, size_t *len)
{
	struct service_bytes key, value;

	if (!api_service_bytes_read(call, change->key, "key", &key) ||
	    !api_service_bytes_read(call, change->value, "value", &value))
		return false;
	*len += key.len + value.len;
	if (value.len > ROW_VALUE_MAX || *len > WRITE_LEN_MAX) {
		control_fail(call, WEFT_ETOOLARGE, "rows",
			     "a value is longer than 256 KiB, or all are than 512 KiB",
			     "write fewer rows at once");
		return false;
	}
	if (change->value)
		provider_write_put(write, key.data, key.len, value.len ? value.data : "",
				   value.len);
	else
		provider_write_delete(write, key.data, key.len);
	return true;
}

static struct provider_write *write_of(struct control_call *call, struct provider_tenant *tenant,
				       const struct api_service_row_change_list *changes)
{
	struct provider_write *write;
	size_t len = 0;

	if (changes->cnt < 1 || changes->cnt > CHANGE_MAX) {
		control_fail_parameter(call, "changes");
		return NULL;
	}
	write = provider_write_new(tenant);
	for (size_t i = 0; i < changes->cnt; i++)
		if (!change_add(call, &changes->rows[i], write, &len)) {
			provider_write_free(write);
			return NULL;
		}
	if (!write)
		control_fail(call, -ENOMEM, "rows", "no memory", "free some and try again");
	return write;
}

void api_write_service_rows(struct api *api, struct control_call *call,
			    const struct api_write_service_rows_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);
	struct api_durable_reply *waiting;
	struct provider_write *write;
	int err;

	(void)now_ns;
	if (!tenant || !(write = write_of(call, tenant, &in->changes)))
		return;
	waiting = api_durable_reply_new(call, "rows", "write them again", NULL);
	if (!waiting) {
		provider_write_free(write);
		return;
	}
	err = provider_write_submit(write, api_durable_reply_send, waiting);
	if (err == 0)
		return;
	provider_write_free(write);
	api_durable_reply_cancel(waiting);
	api_service_tenant_fail(call, err, in->name, "rows");
}

/* ---- reading ---- */

void api_read_service_row(struct api *api, struct control_call *call,
			  const struct api_read_service_row_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);
	struct service_bytes key;
	uint8_t *value;
	int len;

	(void)now_ns;
	if (!tenant || !api_service_bytes_read(call, in->key, "key", &key))
		return;
	value = varlink_alloc(control_blocks(call), ROW_VALUE_MAX);
	len = value ? provider_row_read(tenant, key.data, key.len, value, ROW_VALUE_MAX) : -ENOMEM;
	if (len == WEFT_EABSENT)
		api_reply(call, read_service_row, .value = NULL);
	else if (len < 0)
		api_service_tenant_fail(call, len, in->name, "rows");
	else
		api_reply(call, read_service_row,
			  .value = varlink_base64(control_blocks(call), value, (size_t)len));
}

/* A part of the rows, as ReadServiceRows asks for it. */
struct part {
	struct service_bytes prefix, after;
	uint64_t cnt;
};

static bool part_read(struct control_call *call, const struct api_read_service_rows_in *in,
		      struct part *part)
{
	part->cnt = in->has_count ? (uint64_t)in->count : READ_DEFAULT;
	if (in->has_count && (in->count < 1 || in->count > READ_MAX)) {
		control_fail_parameter(call, "count");
		return false;
	}
	if (!api_service_bytes_read(call, in->prefix, "prefix", &part->prefix) ||
	    !api_service_bytes_read(call, in->after, "after", &part->after))
		return false;
	if (part->after.len && (part->after.len < part->prefix.len ||
				(part->prefix.len && memcmp(part->after.data, part->prefix.data,
							    part->prefix.len) != 0))) {
		control_fail_parameter(call, "after");
		return false;
	}
	return true;
}

static bool is_key(const struct provider_row *row, const struct service_bytes *key)
{
	return row->key_len == key->len && memcmp(row->key, key->data, key->len) == 0;
}

/* rows_collect: whether there are more. */
static bool rows_collect(struct varlink_blocks *blocks, struct provider_walk *walk,
			 const struct part *part, struct api_service_row_list *rows)
{
	struct provider_row row;
	size_t len = 0;

	while (provider_walk_next(walk, &row)) {
		if (part->after.len && is_key(&row, &part->after))
			continue;
		if (rows->cnt == part->cnt || len >= READ_LEN_ENOUGH)
			return true;
		len += row.key_len + row.value_len;
		varlink_push(blocks, rows,
			     {.key = varlink_base64(blocks, row.key, row.key_len),
			      .value = varlink_base64(blocks, row.value, row.value_len)});
	}
	return false;
}

void api_read_service_rows(struct api *api, struct control_call *call,
			   const struct api_read_service_rows_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);
	struct api_service_row_list rows = {0};
	struct part part = {.cnt = 0};
	struct provider_row_range range;
	struct provider_walk *walk;
	bool has_more;
	int err;

	(void)now_ns;
	if (!tenant || !part_read(call, in, &part))
		return;
	range = (struct provider_row_range){.prefix = part.prefix.data,
					    .prefix_len = part.prefix.len,
					    .from = part.after.data,
					    .from_len = part.after.len};
	walk = provider_walk_open(tenant, &range);
	has_more = rows_collect(control_blocks(call), walk, &part, &rows);
	err = provider_walk_close(walk);
	if (err < 0)
		api_service_tenant_fail(call, err, in->name, "rows");
	else
		api_reply(call, read_service_rows, .rows = rows, .more = has_more);
}

void api_list_stored_rows(struct api *api, struct control_call *call,
			  const struct api_list_stored_rows_in *in, uint64_t now_ns)
{
	struct provider_account_iter iter = {.tenants = api->tenants};
	struct varlink_blocks *blocks = control_blocks(call);
	struct provider_account_view view;
	struct api_stored_rows_list stored = {0};

	(void)in, (void)now_ns;
	if (!api_services_are_on(api, call))
		return;
	while (api->tenants && provider_accounts_next(&iter, &view))
		varlink_push(blocks, &stored,
			     {.name = varlink_text(blocks, view.service),
			      .major = view.major,
			      .user = view.uid,
			      .rows = api_uint(view.row_cnt),
			      .bytes = api_uint(view.row_len),
			      .offered = view.is_offered});
	api_reply(call, list_stored_rows, .stored = stored);
}
