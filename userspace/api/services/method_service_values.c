/* SPDX-License-Identifier: Apache-2.0 */
/* PutServiceValue, GetServiceValues: overlay values of programs. Home worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "found_values.h"
#include "method_service_target.h"
#include "method_service_tenant.h"
#include "provider/tenant/program_value.h"

#define LIFE_DEFAULT_S 86400

/* A put or a get that its caller waits for. */
struct value_call {
	struct control_call *call;
	struct provider_run *run;
	uint64_t expires_s; /* of a put */
	struct found_values found;
};

static void value_gone(void *arg)
{
	struct value_call *waiting = arg;

	provider_run_cancel(waiting->run);
	free(waiting);
}

static struct value_call *value_call_new(struct control_call *call)
{
	struct value_call *waiting = calloc(1, sizeof(*waiting));

	if (waiting)
		waiting->call = call;
	else
		control_fail(call, -ENOMEM, "tags", "no memory", "free some and try again");
	return waiting;
}

/* begun: the run is under way, or err says why not and call is failed. */
static void begun(struct value_call *waiting, int err, const char *name)
{
	struct control_call *call = waiting->call;

	if (err == 0) {
		control_on_gone(call, value_gone, waiting);
		return;
	}
	free(waiting);
	if (err == WEFT_EUNREACHABLE)
		control_fail(call, err, "tags", "this node is in no overlay",
			     "weft overlay status says why");
	else
		api_service_tenant_fail(call, err, name, "tags");
}

static void fail_ended(struct control_call *call, int err)
{
	static const struct control_failure_row rows[] = {
		{WEFT_ECANCELLED, "the service was withdrawn meanwhile", "publish it again"},
		{WEFT_EREFUSED, "no node of the overlay took the value",
		 "weft overlay status shows those that could; try again"},
		{WEFT_EUNREACHABLE, "no node of the overlay could be asked",
		 "weft overlay status shows which are known"},
		{0, NULL, "try again"},
	};

	control_fail_of(call, err, "tags", rows);
}

static void put_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct value_call *waiting = arg;
	struct control_call *call = waiting->call;

	(void)now_ns;
	control_on_gone(call, NULL, NULL);
	if (!result->stored_cnt)
		fail_ended(call, result->err < 0 ? result->err : WEFT_EREFUSED);
	else
		api_reply(call, put_service_value, .nodes = result->stored_cnt,
			  .expires_s = api_uint(waiting->expires_s));
	free(waiting);
}

void api_put_service_value(struct api *api, struct control_call *call,
			   const struct api_put_service_value_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);
	struct provider_value_put put = {
		.key.tag = in->tag, .life_s = LIFE_DEFAULT_S, .done = put_done};
	struct service_bytes key, value;
	struct value_call *waiting;

	if (!tenant || !api_service_bytes_read(call, in->key, "key", &key) ||
	    !api_service_bytes_read(call, in->value, "value", &value))
		return;
	if (in->has_life_s && (in->life_s < (int64_t)PROGRAM_VALUE_LIFE_MIN_S ||
			       in->life_s > (int64_t)PROGRAM_VALUE_LIFE_MAX_S)) {
		control_fail_parameter(call, "life_s");
		return;
	}
	if (!(waiting = value_call_new(call)))
		return;
	if (in->has_life_s)
		put.life_s = (uint32_t)in->life_s;
	put.key.bytes = key.data;
	put.key.len = key.len;
	put.bytes = value.data;
	put.len = value.len;
	put.arg = waiting;
	waiting->expires_s = api->wall_us(api->ctx) / 1000000 + put.life_s;
	begun(waiting, provider_value_put(tenant, &put, now_ns, &waiting->run), in->name);
}

/* ---- GetServiceValues ---- */

static void got_value(void *arg, const uint8_t *value, size_t len,
		      const struct overlay_claim *claim)
{
	struct value_call *waiting = arg;
	struct program_value parsed;
	struct found_value *found;

	if (provider_program_value_parse(value, len, &parsed) < 0 ||
	    parsed.len > PROGRAM_VALUE_LEN_MAX ||
	    !(found = api_found_value_place(&waiting->found, control_blocks(waiting->call), claim)))
		return;
	found->claim = *claim;
	found->len = parsed.len;
	if (parsed.len)
		memcpy(found->bytes, parsed.bytes, parsed.len);
}

static void get_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct value_call *waiting = arg;
	struct control_call *call = waiting->call;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_service_value_list values = {0};

	(void)now_ns;
	control_on_gone(call, NULL, NULL);
	for (unsigned i = 0; i < waiting->found.cnt; i++) {
		const struct found_value *found = waiting->found.values[i];

		varlink_push(blocks, &values,
			     {.node = api_id(blocks, found->claim.writer),
			      .value = varlink_base64(blocks, found->bytes, found->len),
			      .created_s = api_uint(found->claim.created_s),
			      .expires_s = api_uint(found->claim.expires_s)});
	}
	if (result->err < 0 && !values.cnt)
		fail_ended(call, result->err);
	else
		api_reply(call, get_service_values, .values = values, .asked = result->asked_cnt);
	free(waiting);
}

void api_get_service_values(struct api *api, struct control_call *call,
			    const struct api_get_service_values_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);
	struct provider_value_get get = {.key.tag = in->tag, .value = got_value, .done = get_done};
	struct value_call *waiting;
	struct service_bytes key;

	if (!tenant || !api_service_bytes_read(call, in->key, "key", &key) ||
	    !(waiting = value_call_new(call)))
		return;
	get.key.bytes = key.data;
	get.key.len = key.len;
	get.arg = waiting;
	begun(waiting, provider_value_get(tenant, &get, now_ns, &waiting->run), in->name);
}
