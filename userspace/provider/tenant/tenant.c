/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tenants of a node: what each declared, its timers, sockets, messages and counters. tenant_rows.c
 * has the rows, tenant_overlay.c the overlay.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "provider/tenant/tenant_state.h"

/* ---- the node's side ---- */

void provider_tenants_config_defaults(struct provider_tenants_config *config)
{
	*config = (struct provider_tenants_config){.row_cap = 1000000, .row_len_cap = 256ull << 20};
}

int provider_tenants_new(const struct provider_tenants_params *params,
			 struct provider_tenants **out_tenants)
{
	struct provider_tenants *node = calloc(1, sizeof(*node));
	int err;

	if (!node)
		return -ENOMEM;
	node->params = *params;
	random_fill(params->random, node->secret, sizeof(node->secret));
	err = arena_open(&node->arena, ARENA_GROWS);
	if (err < 0) {
		free(node);
		return err;
	}
	if ((err = pool_init(&node->tenants, &node->arena, sizeof(struct provider_tenant),
			     PROVIDER_TENANT_MAX)) < 0 ||
	    (err = pool_init(&node->accounts, &node->arena, sizeof(struct row_account),
			     PROVIDER_TENANT_MAX + PROVIDER_ACCOUNT_MAX)) < 0 ||
	    (err = pool_init(&node->runs, &node->arena, provider_run_len(), PROVIDER_RUN_MAX)) <
		    0 ||
	    (err = pool_init(&node->walks, &node->arena, provider_walk_len(), PROVIDER_WALK_MAX)) <
		    0) {
		provider_tenants_free(node);
		return err;
	}
	arena_fit(&node->arena);
	if ((err = provider_values_rule_add(node)) < 0 ||
	    (err = provider_accounts_load(node)) < 0) {
		provider_tenants_free(node);
		return err;
	}
	*out_tenants = node;
	return 0;
}

static bool has_writes(const struct provider_tenants *node)
{
	const struct row_account *account = NULL;

	while ((account = pool_next(&node->accounts, account)))
		if (account->write_cnt)
			return true;
	return false;
}

void provider_tenants_free(struct provider_tenants *tenants)
{
	if (!tenants)
		return;
	weft_assert(tenants->tenants.used_cnt == 0);
	if (has_writes(tenants))
		provider_tenants_flush(tenants);
	arena_close(&tenants->arena);
	free(tenants);
}

void provider_tenants_flush(struct provider_tenants *tenants)
{
	if (tenants->params.store)
		store_flush(tenants->params.store);
}

size_t provider_tenants_footprint(void)
{
	return sizeof(struct provider_tenants) +
	       PROVIDER_TENANT_MAX * sizeof(struct provider_tenant) +
	       (PROVIDER_TENANT_MAX + PROVIDER_ACCOUNT_MAX) * sizeof(struct row_account) +
	       PROVIDER_RUN_MAX * provider_run_len() + PROVIDER_WALK_MAX * provider_walk_len();
}

void provider_tenants_fills(const struct provider_tenants *tenants,
			    struct provider_tenants_fills *out)
{
	const struct provider_tenant *tenant = NULL;

	*out = (struct provider_tenants_fills){
		.tenant_cnt = tenants->tenants.used_cnt,
		.run_cnt = tenants->runs.used_cnt,
		.walk_cnt = tenants->walks.used_cnt,
		.program_run_cap = provider_program_runs_max(tenants),
		.refused_cnt = tenants->tenants.refused_cnt,
	};
	while ((tenant = pool_next(&tenants->tenants, tenant))) {
		out->refused_cnt += tenant->refused_cnt;
		out->program_run_cnt += tenant->declared.is_of_program ? tenant->run_cnt : 0;
	}
}

/* next_of_offer: the next tenant that stands behind an offer. */
static struct provider_tenant *next_of_offer(const struct provider_tenants *tenants,
					     const struct provider_tenant *tenant)
{
	struct provider_tenant *next = (struct provider_tenant *)(uintptr_t)tenant;

	do
		next = pool_next(&tenants->tenants, next);
	while (next && next->declared.is_for_rows);
	return next;
}

const struct provider_tenant *provider_tenants_next(const struct provider_tenants *tenants,
						    const struct provider_tenant *tenant)
{
	return next_of_offer(tenants, tenant);
}

struct provider_tenant *provider_tenant_find(const struct provider_tenants *tenants,
					     const char *service, uint32_t major)
{
	struct provider_tenant *tenant = NULL;

	while ((tenant = next_of_offer(tenants, tenant)))
		if (tenant->declared.major == major && strcmp(tenant->service, service) == 0)
			break;
	return tenant;
}

struct provider_tenant *provider_tenant_of_program(const struct provider_tenants *tenants,
						   const char *service, uint32_t major,
						   uint32_t uid)
{
	struct provider_tenant *tenant = NULL, *found = NULL;

	while ((tenant = next_of_offer(tenants, tenant))) {
		if (!tenant->declared.is_of_program || strcmp(tenant->service, service) != 0 ||
		    (major != PROVIDER_ANY_MAJOR && tenant->declared.major != major))
			continue;
		if (tenant->declared.uid == uid)
			return tenant;
		found = found ? found : tenant;
	}
	return found;
}

/* ---- a tenant's life ---- */

bool provider_counter_name_is_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len >= 1 && len <= PROVIDER_COUNTER_NAME_MAX && !name[len];
}

bool provider_value_tag_is_valid(const char *tag)
{
	size_t len = strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len >= 1 && len <= PROVIDER_VALUE_TAG_LEN_MAX && !tag[len];
}

static bool declaration_is_valid(const struct provider_declaration *declaration)
{
	size_t len = strspn(declaration->service, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	if (len < 1 || len > SERVICE_NAME_LEN_MAX || declaration->service[len] ||
	    declaration->tag_cnt > PROVIDER_TAG_MAX ||
	    declaration->value_tag_cnt > PROVIDER_TAG_MAX ||
	    declaration->message_cnt > PROVIDER_MESSAGE_MAX ||
	    declaration->counter_cnt > PROVIDER_COUNTER_MAX)
		return false;
	for (unsigned i = 0; i < declaration->counter_cnt; i++)
		if (!provider_counter_name_is_valid(declaration->counters[i]))
			return false;
	for (unsigned i = 0; i < declaration->value_tag_cnt; i++)
		if (!provider_value_tag_is_valid(declaration->value_tags[i]))
			return false;
	return true;
}

static void declaration_take(struct provider_tenant *tenant,
			     const struct provider_declaration *declaration)
{
	tenant->declared = *declaration;
	memcpy(tenant->service, declaration->service, strlen(declaration->service));
	tenant->declared.service = tenant->service;
	for (unsigned i = 0; i < declaration->value_tag_cnt; i++)
		memcpy(tenant->value_tags[i], declaration->value_tags[i],
		       strlen(declaration->value_tags[i]));
	for (unsigned i = 0; i < declaration->counter_cnt; i++)
		memcpy(tenant->counter_names[i], declaration->counters[i],
		       strlen(declaration->counters[i]));
}

/* Rules are of tags that are declared, and stay as long as the overlay does. */
static int rules_add(struct provider_tenant *tenant)
{
	const struct provider_declaration *declared = &tenant->declared;
	const struct overlay_seam *overlay = &tenant->node->params.overlay;
	int err = 0;

	for (unsigned i = 0; overlay->ops && i < declared->rule_cnt && err == 0; i++)
		err = memchr(declared->tags, declared->rules[i].tag, declared->tag_cnt)
			      ? overlay->ops->add_rule(overlay->overlay, &declared->rules[i])
			      : WEFT_EREFUSED;
	return err;
}

/* What a declaration only lent. */
static void declaration_let_go(struct provider_declaration *declared)
{
	declared->rules = NULL;
	declared->rule_cnt = 0;
	declared->counters = NULL;
	declared->value_tags = NULL;
}

/* rows_open: the rows of a program were counted at the start. */
static int rows_open(struct provider_tenant *tenant)
{
	int err = provider_account_open(tenant);

	return err < 0 || tenant->declared.is_of_program ? err : provider_rows_count(tenant);
}

/* tenant_release: the account of a program stays while it has rows. */
static void tenant_release(struct provider_tenant *tenant)
{
	if (tenant->account) {
		tenant->account->tenant = NULL;
		provider_account_rest(tenant->account);
	}
	pool_release(&tenant->node->tenants, tenant);
}

int provider_tenant_open(struct provider_tenants *tenants,
			 const struct provider_declaration *declaration,
			 struct provider_tenant **out_tenant)
{
	struct provider_tenant *tenant;
	int err;

	if (!declaration_is_valid(declaration))
		return WEFT_EMALFORMED;
	if (!declaration->is_for_rows &&
	    provider_tenant_find(tenants, declaration->service, declaration->major))
		return WEFT_EEXISTS;
	tenant = pool_acquire(&tenants->tenants);
	if (!tenant)
		return WEFT_EFULL;
	tenant->node = tenants;
	declaration_take(tenant, declaration);
	if ((err = rules_add(tenant)) < 0 || (err = rows_open(tenant)) < 0) {
		tenant_release(tenant);
		return err;
	}
	declaration_let_go(&tenant->declared);
	*out_tenant = tenant;
	return 0;
}

void provider_tenant_close(struct provider_tenant *tenant)
{
	if (!tenant)
		return;
	weft_assert(tenant->timer_cnt == 0 && tenant->socket_cnt == 0);
	provider_runs_end(tenant);
	if (tenant->account->write_cnt)
		provider_tenants_flush(tenant->node);
	tenant_release(tenant);
}

void provider_tenant_leave(struct provider_tenant *tenant, uint64_t now_ns)
{
	if (!tenant)
		return;
	weft_assert(tenant->declared.is_of_program);
	provider_runs_fail(tenant, WEFT_ECANCELLED, now_ns);
	tenant_release(tenant);
}

void provider_tenant_view(const struct provider_tenant *tenant, struct provider_tenant_view *out)
{
	const struct provider_declaration *declared = &tenant->declared;

	*out = (struct provider_tenant_view){
		.service = tenant->service,
		.major = declared->major,
		.is_of_program = declared->is_of_program,
		.uid = declared->uid,
		.row_cnt = tenant->account->row_cnt,
		.row_cnt_max = declared->row_cnt_max,
		.row_len = tenant->account->row_len,
		.row_len_max = declared->row_len_max,
		.write_cnt = tenant->account->write_cnt,
		.timer_cnt = tenant->timer_cnt,
		.timer_max = declared->timer_max,
		.socket_cnt = tenant->socket_cnt,
		.socket_max = declared->socket_max,
		.run_cnt = tenant->run_cnt,
		.run_max = declared->run_max,
		.refused_cnt = tenant->refused_cnt,
		.value_tag_cnt = declared->value_tag_cnt,
		.counter_cnt = declared->counter_cnt,
	};
	for (unsigned i = 0; i < declared->value_tag_cnt; i++)
		out->value_tags[i] = tenant->value_tags[i];
	for (unsigned i = 0; i < declared->counter_cnt; i++) {
		out->counter_names[i] = tenant->counter_names[i];
		out->counters[i] = tenant->counters[i];
	}
}

/* ---- counters ---- */

void provider_counter_add(struct provider_tenant *tenant, unsigned idx, uint64_t cnt)
{
	if (idx < tenant->declared.counter_cnt)
		tenant->counters[idx] += cnt;
	else
		tenant->refused_cnt++;
}

int provider_counter_find(const struct provider_tenant *tenant, const char *name)
{
	for (unsigned i = 0; i < tenant->declared.counter_cnt; i++)
		if (strcmp(tenant->counter_names[i], name) == 0)
			return (int)i;
	return -1;
}

/* ---- timers and sockets ---- */

/* place_take counts one more of at most max. */
static int place_take(struct provider_tenant *tenant, unsigned *cnt, unsigned max)
{
	if (*cnt >= max)
		return provider_tenant_refuse(tenant, max ? WEFT_EFULL : WEFT_EREFUSED);
	++*cnt;
	return 0;
}

int provider_timer_acquire(struct provider_tenant *tenant, struct provider_timer *timer,
			   timer_fn fire)
{
	int err = place_take(tenant, &tenant->timer_cnt, tenant->declared.timer_max);

	if (err < 0)
		return err;
	timer->tenant = tenant;
	timer_init(&timer->base, fire);
	return 0;
}

void provider_timer_release(struct provider_timer *timer)
{
	if (!timer->tenant)
		return;
	provider_timer_cancel(timer);
	timer->tenant->timer_cnt--;
	timer->tenant = NULL;
}

void provider_timer_set(struct provider_timer *timer, uint64_t at_ns)
{
	timer_set(timer->tenant->node->params.timers, &timer->base, at_ns);
}

void provider_timer_cancel(struct provider_timer *timer)
{
	if (provider_timer_is_set(timer))
		timer_cancel(timer->tenant->node->params.timers, &timer->base);
}

bool provider_timer_is_set(const struct provider_timer *timer)
{
	return timer->tenant && timer_is_set(&timer->base);
}

bool provider_sockets_are_there(const struct provider_tenant *tenant)
{
	return tenant->node->params.poller != NULL;
}

int provider_socket_acquire(struct provider_tenant *tenant, struct channel_socket *socket)
{
	const struct provider_tenants_params *node = &tenant->node->params;
	int err = node->poller
			  ? place_take(tenant, &tenant->socket_cnt, tenant->declared.socket_max)
			  : provider_tenant_refuse(tenant, WEFT_EREFUSED);

	if (err < 0)
		return err;
	socket->poller = node->poller;
	socket->timers = node->timers;
	return 0;
}

void provider_socket_release(struct provider_tenant *tenant, struct channel_socket *socket)
{
	if (!socket->poller)
		return;
	socket->poller = NULL;
	tenant->socket_cnt--;
}

/* ---- messages of the mesh ---- */

static bool message_is_declared(const struct provider_tenant *tenant, unsigned type)
{
	for (unsigned i = 0; i < tenant->declared.message_cnt; i++)
		if (tenant->declared.messages[i] == type)
			return true;
	return false;
}

bool provider_peers_are_there(const struct provider_tenant *tenant)
{
	return tenant->node->params.mesh.ops != NULL;
}

int provider_peer_ask(struct provider_tenant *tenant, const struct mesh_ask *ask, uint64_t now_ns,
		      struct mesh_request **out_request)
{
	const struct mesh_seam *mesh = &tenant->node->params.mesh;

	if (!message_is_declared(tenant, ask->type))
		return provider_tenant_refuse(tenant, WEFT_EREFUSED);
	return mesh->ops ? mesh->ops->ask(mesh->mesh, ask, now_ns, out_request) : WEFT_EUNREACHABLE;
}

void provider_peer_cancel(struct provider_tenant *tenant, struct mesh_request *request)
{
	tenant->node->params.mesh.ops->cancel(request);
}

int provider_peer_handle(struct provider_tenant *tenant, unsigned type, mesh_handler_fn handler,
			 void *ctx)
{
	const struct mesh_seam *mesh = &tenant->node->params.mesh;

	if (!message_is_declared(tenant, type))
		return provider_tenant_refuse(tenant, WEFT_EREFUSED);
	return mesh->ops ? mesh->ops->handle(mesh->mesh, type, handler, ctx) : WEFT_EUNREACHABLE;
}

const struct mesh_ops *provider_peer_ops(const struct provider_tenant *tenant)
{
	return tenant->node->params.mesh.ops;
}
