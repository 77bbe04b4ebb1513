/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ForgetServiceRows: the rows of a program's service that is not offered are deleted in parts, so
 * that no turn takes long. Meanwhile the service is a tenant, and cannot be published. Home worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "method_service_target.h"
#include "method_service_tenant.h"

#define PART_ROWS 500

struct rows_forgetting {
	struct rows_forgetting *next; /* of api->rows_forgettings */
	struct api *api;
	struct control_call *call;	/* NULL: the caller left */
	struct provider_tenant *tenant; /* NULL: the daemon ends */
	uint64_t row_cnt;
	char name[SERVICE_NAME_LEN_MAX + 1];
};

static void forgetting_end(struct rows_forgetting *forgetting, int err)
{
	struct rows_forgetting **at = &forgetting->api->rows_forgettings;
	struct control_call *call = forgetting->call;

	if (call)
		control_on_gone(call, NULL, NULL);
	provider_tenant_leave(forgetting->tenant, forgetting->api->home->now_ns);
	if (call && err < 0)
		control_fail(call, err, forgetting->name, weft_err_text(err),
			     "some rows may be deleted; try again");
	else if (call)
		api_reply(call, forget_service_rows, .rows = api_uint(forgetting->row_cnt));
	while (*at != forgetting)
		at = &(*at)->next;
	*at = forgetting->next;
	free(forgetting);
}

static void forgetting_go_on(struct rows_forgetting *forgetting);

static void part_done(void *arg, int err)
{
	struct rows_forgetting *forgetting = arg;

	if (!forgetting->tenant)
		free(forgetting);
	else if (err < 0)
		forgetting_end(forgetting, err);
	else
		forgetting_go_on(forgetting);
}

/* part_delete: rows of the part, whose delete is on its way; 0: there are none, or an error. */
static int part_delete(struct rows_forgetting *forgetting)
{
	static const struct provider_row_range all = {.is_of_keys = true};
	struct provider_walk *walk = provider_walk_open(forgetting->tenant, &all);
	struct provider_write *write = provider_write_new(forgetting->tenant);
	struct provider_row row;
	int cnt = 0, err;

	for (; cnt < PART_ROWS && provider_walk_next(walk, &row); cnt++)
		provider_write_delete(write, row.key, row.key_len);
	err = provider_walk_close(walk);
	if (err == 0 && cnt)
		err = provider_write_submit(write, part_done, forgetting);
	if (!cnt || err < 0)
		provider_write_free(write);
	return err < 0 ? err : cnt;
}

static void forgetting_go_on(struct rows_forgetting *forgetting)
{
	int cnt = part_delete(forgetting);

	if (cnt <= 0)
		forgetting_end(forgetting, cnt);
	else
		forgetting->row_cnt += (uint64_t)cnt;
}

/* owner_read: whose rows; false: call was failed. */
static bool owner_read(struct control_call *call, const struct api_forget_service_rows_in *in,
		       uint32_t *out_uid)
{
	struct control_caller caller = {.uid = 0};
	bool is_known = control_caller(call, &caller);

	if (!is_known && !in->has_user) {
		control_fail(call, WEFT_EREFUSED, in->name, "rows belong to a user of this machine",
			     "call over the control socket, or name the user");
		return false;
	}
	*out_uid = in->has_user ? (uint32_t)in->user : caller.uid;
	if (in->has_user && (in->user < 0 || in->user > UINT32_MAX)) {
		control_fail_parameter(call, "user");
		return false;
	}
	if (!in->has_user || control_role_of(call) == CONTROL_ADMIN ||
	    (is_known && *out_uid == caller.uid))
		return true;
	control_fail(call, WEFT_EREFUSED, "user", "only an administrator names another user",
		     "run as root or as the daemon's user");
	return false;
}

/* Rows that are looked for, and then what was found. */
struct wanted_rows {
	const char *name;
	uint32_t major, uid;
	unsigned cnt;	 /* of versions that have some */
	bool is_at_rest; /* there are some, of a service that is not offered: view */
	struct provider_account_view view;
};

static void rows_find(const struct api *api, struct wanted_rows *wanted)
{
	struct provider_account_iter iter = {.tenants = api->tenants};
	struct provider_account_view view;

	while (api->tenants && provider_accounts_next(&iter, &view)) {
		if (view.uid != wanted->uid || strcmp(view.service, wanted->name) != 0 ||
		    (wanted->major != PROVIDER_MAJOR_ANY && view.major != wanted->major))
			continue;
		wanted->cnt++;
		if (view.is_offered)
			continue;
		wanted->is_at_rest = true;
		wanted->view = view;
	}
}

static void fail_unfound(struct control_call *call, const struct wanted_rows *wanted)
{
	if (wanted->cnt > 1)
		control_fail(call, WEFT_EREFUSED, wanted->name, "several versions of it have rows",
			     "name one of them: --version");
	else if (wanted->cnt)
		control_fail(call, WEFT_EREFUSED, wanted->name,
			     "it is offered, and its program uses its rows", "withdraw it first");
	else
		control_fail(call, WEFT_EABSENT, wanted->name,
			     "no rows of such a service are kept for this user",
			     "weft service rows shows all");
}

/* forgetting_open: 0 with a tenant for the rows. */
static int forgetting_open(struct rows_forgetting *forgetting,
			   const struct provider_account_view *view)
{
	const struct provider_declaration declared = {.service = view->service,
						      .major = view->major,
						      .is_of_program = true,
						      .is_for_rows = true,
						      .uid = view->uid,
						      .row_cnt_max = 1};

	memcpy(forgetting->name, view->service, sizeof(forgetting->name));
	return provider_tenant_open(forgetting->api->tenants, &declared, &forgetting->tenant);
}

void api_forget_service_rows(struct api *api, struct control_call *call,
			     const struct api_forget_service_rows_in *in, uint64_t now_ns)
{
	struct wanted_rows wanted = {.name = in->name};
	struct rows_forgetting *forgetting;
	int err;

	(void)now_ns;
	if (!api_services_are_on(api, call) ||
	    !api_service_major_read(call, in->version, &wanted.major) ||
	    !owner_read(call, in, &wanted.uid))
		return;
	rows_find(api, &wanted);
	if (wanted.cnt != 1 || !wanted.is_at_rest) {
		fail_unfound(call, &wanted);
		return;
	}
	forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting) {
		control_fail(call, -ENOMEM, in->name, "no memory", "free some and try again");
		return;
	}
	forgetting->api = api;
	if ((err = forgetting_open(forgetting, &wanted.view)) < 0) {
		free(forgetting);
		control_fail(call, err, in->name, weft_err_text(err), "try again");
		return;
	}
	forgetting->next = api->rows_forgettings;
	api->rows_forgettings = forgetting;
	control_hold(call, &forgetting->call);
	forgetting_go_on(forgetting);
}

void api_rows_forgettings_forget(struct api *api)
{
	while (api->rows_forgettings) {
		struct rows_forgetting *forgetting = api->rows_forgettings;

		api->rows_forgettings = forgetting->next;
		provider_tenant_leave(forgetting->tenant, api->home->now_ns);
		forgetting->tenant = NULL; /* the write under way frees it */
	}
}
