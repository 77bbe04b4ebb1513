/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tenant a program may use, why a capability is refused, and AddServiceCounts. Home worker.
 */
#include "method_service_tenant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "method_service_target.h"

static bool is_offered(const struct api *api, const char *name, uint32_t major)
{
	struct provider_iter iter = {.provider = api->provider};
	struct provider_view view;

	while (api->provider && provider_next(&iter, &view))
		if (strcmp(view.spec.name, name) == 0 &&
		    (major == PROVIDER_MAJOR_ANY || view.major == major))
			return true;
	return false;
}

static void fail_absent(struct api *api, struct control_call *call, const char *name,
			uint32_t major)
{
	if (is_offered(api, name, major))
		control_fail(call, WEFT_EREFUSED, name, "its program declared no capabilities",
			     "declare rows, tags or counters when it is published");
	else
		control_fail(call, WEFT_EABSENT, name,
			     "no program of this node offers such a service",
			     "weft service list shows what is offered here");
}

struct provider_tenant *api_service_tenant(struct api *api, struct control_call *call,
					   const char *name, const char *version)
{
	struct provider_tenant_view view;
	struct provider_tenant *tenant;
	struct control_caller caller;
	uint32_t major;

	if (!api_services_are_on(api, call) || !api_service_major_read(call, version, &major))
		return NULL;
	if (!control_caller(call, &caller)) {
		control_fail(call, WEFT_EREFUSED, name,
			     "rows, tags and counters belong to a user of this machine",
			     "call over the control socket");
		return NULL;
	}
	tenant = api->tenants ? provider_tenant_of_program(api->tenants, name, major, caller.uid)
			      : NULL;
	if (!tenant) {
		fail_absent(api, call, name, major);
		return NULL;
	}
	provider_tenant_view(tenant, &view);
	if (view.uid == caller.uid || control_role_of(call) == CONTROL_ADMIN)
		return tenant;
	control_fail(call, WEFT_EREFUSED, name, "another user of this machine published it",
		     "call as that user, or publish a service of your own");
	return NULL;
}

void api_service_tenant_fail(struct control_call *call, int err, const char *name, const char *what)
{
	char why[96 + SERVICE_NAME_LEN_MAX];
	const char *next = "docs/providers.md has the limits";

	snprintf(why, sizeof(why), "%s", weft_err_text(err));
	if (err == WEFT_EREFUSED) {
		snprintf(why, sizeof(why), "%s did not declare the capability %s, or not this one",
			 name, what);
		next = "declare it when the service is published";
	} else if (err == WEFT_EFULL) {
		snprintf(why, sizeof(why), "%s has as much as it declared", name);
		next = "delete some, or declare more: withdraw the service and publish it again";
	} else if (err == WEFT_EBUSY) {
		snprintf(why, sizeof(why), "%s has its share of what all programs have", name);
		next = "delete some, try again, or raise service.rows and service.row_bytes";
	} else if (err == WEFT_ETOOLARGE) {
		snprintf(why, sizeof(why), "a key or a value is empty or longer than it may be");
	}
	control_fail(call, err, what, why, next);
}

bool api_service_bytes_read(struct control_call *call, const char *base64, const char *parameter,
			    struct service_bytes *out_bytes)
{
	int err = varlink_base64_read(control_blocks(call), base64, &out_bytes->data,
				      &out_bytes->len);

	if (err == -ENOMEM)
		control_fail(call, err, parameter, "no memory", "free some and try again");
	else if (err < 0)
		control_fail_parameter(call, parameter);
	return err == 0;
}

struct api_service_capabilities *api_service_capabilities(struct varlink_blocks *blocks,
							  const struct provider_tenant *tenant)
{
	struct api_service_capabilities *out = varlink_alloc(blocks, sizeof(*out));
	struct provider_tenant_view view;

	if (!out)
		return NULL;
	provider_tenant_view(tenant, &view);
	*out = (struct api_service_capabilities){
		.user = view.uid,
		.rows = api_uint(view.row_cnt),
		.rows_max = api_uint(view.row_cnt_max),
		.row_bytes = api_uint(view.row_len),
		.row_bytes_max = api_uint(view.row_len_max),
		.runs = view.run_cnt,
		.refused = api_uint(view.refused_cnt),
	};
	for (unsigned i = 0; i < view.value_tag_cnt; i++)
		varlink_push(blocks, &out->tags, varlink_text(blocks, view.value_tags[i]));
	for (unsigned i = 0; i < view.counter_cnt; i++)
		varlink_push(blocks, &out->counters,
			     {.counter = varlink_text(blocks, view.counter_names[i]),
			      .count = api_uint(view.counters[i])});
	return out;
}

/* ---- AddServiceCounts ---- */

static bool count_is_valid(struct control_call *call, struct provider_tenant *tenant,
			   const char *name, const struct api_service_count *count)
{
	if (count->count < 1) {
		control_fail_parameter(call, "counts");
		return false;
	}
	if (provider_counter_find(tenant, count->counter) >= 0)
		return true;
	provider_counter_add(tenant, PROVIDER_COUNTER_MAX, 1); /* it counts as refused */
	api_service_tenant_fail(call, WEFT_EREFUSED, name, "counters");
	return false;
}

void api_add_service_counts(struct api *api, struct control_call *call,
			    const struct api_add_service_counts_in *in, uint64_t now_ns)
{
	struct provider_tenant *tenant = api_service_tenant(api, call, in->name, in->version);

	(void)now_ns;
	if (!tenant)
		return;
	for (size_t i = 0; i < in->counts.cnt; i++)
		if (!count_is_valid(call, tenant, in->name, &in->counts.rows[i]))
			return;
	for (size_t i = 0; i < in->counts.cnt; i++)
		provider_counter_add(
			tenant, (unsigned)provider_counter_find(tenant, in->counts.rows[i].counter),
			(uint64_t)in->counts.rows[i].count);
	control_reply(call, NULL);
}
