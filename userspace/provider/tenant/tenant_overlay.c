/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay for tenants: the tag of a value is declared, and runs have places. */
#include <string.h>

#include "provider/tenant/program_value.h"
#include "provider/tenant/tenant_state.h"

struct provider_run {
	struct provider_tenant *tenant;
	struct overlay_run *run; /* NULL: it does not run */
	overlay_value_fn value;
	overlay_done_fn done;
	void *arg;
};

size_t provider_run_len(void)
{
	return sizeof(struct provider_run);
}

static void run_release(struct provider_run *run)
{
	struct provider_tenant *tenant = run->tenant;

	tenant->run_cnt--;
	pool_release(&tenant->node->runs, run);
}

static void on_value(void *arg, const uint8_t *value, size_t len, const struct overlay_claim *claim)
{
	const struct provider_run *run = arg;

	run->value(run->arg, value, len, claim);
}

static void on_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	const struct provider_run ended = *(struct provider_run *)arg;

	run_release(arg);
	ended.done(ended.arg, result, now_ns);
}

/* Words that are tags of values share one tag of the overlay. */
static bool tag_is_declared(const struct provider_declaration *declared, uint8_t tag)
{
	return memchr(declared->tags, tag, declared->tag_cnt) ||
	       (declared->value_tag_cnt && tag == PROGRAM_VALUE_OVERLAY_TAG);
}

/* run_begin: 0 with a run that has a place. */
static int run_begin(struct provider_tenant *tenant, const uint8_t *tag,
		     struct provider_run **out_run)
{
	const struct provider_declaration *declared = &tenant->declared;
	struct provider_run *run;

	if (!tag || !tag_is_declared(declared, *tag))
		return provider_tenant_refuse(tenant, WEFT_EREFUSED);
	if (!tenant->node->params.overlay.ops)
		return WEFT_EUNREACHABLE;
	if (tenant->run_cnt >= declared->run_max)
		return provider_tenant_refuse(tenant, WEFT_EFULL);
	if (!provider_run_has_share(tenant))
		return provider_tenant_refuse(tenant, WEFT_EBUSY);
	if (!(run = pool_acquire(&tenant->node->runs)))
		return provider_tenant_refuse(tenant, WEFT_EFULL);
	run->tenant = tenant;
	tenant->run_cnt++;
	*out_run = run;
	return 0;
}

/* run_settle: the overlay took it, or err says why not. */
static int run_settle(struct provider_run *run, int err, struct provider_run **out_run)
{
	if (err < 0)
		run_release(run);
	else
		*out_run = run;
	return err;
}

bool provider_overlay_is_there(const struct provider_tenant *tenant)
{
	return tenant->node->params.overlay.ops != NULL;
}

int provider_overlay_put(struct provider_tenant *tenant, const struct overlay_put_params *params,
			 uint64_t now_ns, struct provider_run **out_run)
{
	const struct overlay_seam *overlay = &tenant->node->params.overlay;
	struct overlay_put_params asked = *params;
	struct provider_run *run;
	int err = run_begin(tenant, params->value.len ? params->value.bytes : NULL, &run);

	if (err < 0)
		return err;
	run->done = params->done;
	run->arg = params->arg;
	asked.done = on_done;
	asked.arg = run;
	err = overlay->ops->put(overlay->overlay, &asked, now_ns, &run->run);
	return run_settle(run, err, out_run);
}

int provider_overlay_get(struct provider_tenant *tenant, const struct overlay_get_params *params,
			 uint64_t now_ns, struct provider_run **out_run)
{
	const struct overlay_seam *overlay = &tenant->node->params.overlay;
	struct overlay_get_params asked = *params;
	struct provider_run *run;
	int err = run_begin(tenant, &params->tag, &run);

	if (err < 0)
		return err;
	run->value = params->value;
	run->done = params->done;
	run->arg = params->arg;
	asked.value = on_value;
	asked.done = on_done;
	asked.arg = run;
	err = overlay->ops->get(overlay->overlay, &asked, now_ns, &run->run);
	return run_settle(run, err, out_run);
}

void provider_run_cancel(struct provider_run *run)
{
	run->tenant->node->params.overlay.ops->cancel(run->run);
	run_release(run);
}

void provider_runs_fail(struct provider_tenant *tenant, int err, uint64_t now_ns)
{
	const struct overlay_result failed = {.err = err};
	struct provider_run *run = NULL;

	while ((run = pool_next(&tenant->node->runs, run))) {
		if (run->tenant != tenant)
			continue;
		tenant->node->params.overlay.ops->cancel(run->run);
		on_done(run, &failed, now_ns);
	}
}

void provider_runs_end(struct provider_tenant *tenant)
{
	struct provider_run *run = NULL;

	while ((run = pool_next(&tenant->node->runs, run)))
		if (run->tenant == tenant)
			provider_run_cancel(run);
}
