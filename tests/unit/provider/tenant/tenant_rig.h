/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_TENANT_RIG_H
#define WEFT_TESTS_TENANT_RIG_H

#include "provider/tenant/tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "mesh/seam.h"
#include "store/store.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"

/* Tenants of a node with a store. */

#define RIG_OVERLAY_RUN_CAP 64u

static struct {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct random random;
	struct timer_wheel timers;
	struct fake_overlay overlay;
	struct mesh_seam mesh;
	struct provider_tenants *node;
	struct provider_tenant *tenant;
	struct node_key *key; /* NULL: no values of programs */
	unsigned done_cnt, failed_cnt;
} rig;
/* Of the next start, which takes it back. */
static struct provider_tenants_config rig_config;

static inline uint64_t rig_wall_ms(void *ctx)
{
	(void)ctx;
	return rig.overlay.wall_s * 1000;
}

static inline void node_open(void)
{
	struct provider_tenants_params params = {.timers = &rig.timers,
						 .poller = (struct poller *)&rig,
						 .random = &rig.random,
						 .mesh = rig.mesh,
						 .key = rig.key,
						 .wall_ms = rig_wall_ms,
						 .config = rig_config,
						 .overlay_run_cap = RIG_OVERLAY_RUN_CAP,
						 .overlay = fake_overlay_seam(&rig.overlay)};
	struct store_config config;

	rig.overlay.rule_cnt = 0; /* as of a daemon that starts */
	store_config_defaults(&config);
	config.dir = rig.dir;
	config.is_inline = true;
	config.map_len_max = 1u << 30;
	config.batch_cap = 2 * PROVIDER_WRITE_MAX;
	if (store_open(&config, &rig.store) < 0)
		abort();
	params.store = rig.store;
	CHECK_EQ(provider_tenants_new(&params, &rig.node), 0);
}

static inline struct provider_tenant *tenant_open(const char *name,
						  const struct provider_declaration *with)
{
	struct provider_declaration declaration = *with;
	struct provider_tenant *tenant = NULL;

	declaration.service = name;
	declaration.major = 1;
	if (provider_tenant_open(rig.node, &declaration, &tenant) < 0)
		abort();
	return tenant;
}

static inline void start_with_key(const struct provider_declaration *with)
{
	struct node_key *key = rig.key;
	struct provider_tenants_config defaults;

	memset(&rig, 0, sizeof(rig));
	rig.key = key;
	provider_tenants_config_defaults(&defaults);
	rig_config.row_cap = rig_config.row_cap ? rig_config.row_cap : defaults.row_cap;
	rig_config.row_len_cap =
		rig_config.row_len_cap ? rig_config.row_len_cap : defaults.row_len_cap;
	scratch_make(rig.dir);
	random_init_seeded(&rig.random, 1);
	timer_wheel_init(&rig.timers, NS_PER_S);
	node_open();
	rig.tenant = tenant_open("app", with);
}

static inline void start(const struct provider_declaration *with)
{
	rig.key = NULL;
	start_with_key(with);
}

static inline void stop(void)
{
	provider_tenant_close(rig.tenant);
	provider_tenants_free(rig.node);
	store_close(rig.store);
	fake_overlay_fini(&rig.overlay);
	scratch_remove(rig.dir);
	memset(&rig_config, 0, sizeof(rig_config));
}

static inline void on_done(void *arg, int err)
{
	(void)arg;
	rig.done_cnt++;
	rig.failed_cnt += err < 0;
}

/* One put (value NULL: delete) as a write of its own. */
static inline int put(struct provider_tenant *tenant, const char *key, const char *value)
{
	struct provider_write *write = provider_write_new(tenant);
	int err;

	if (value)
		provider_write_put(write, key, strlen(key), value, strlen(value));
	else
		provider_write_delete(write, key, strlen(key));
	err = provider_write_submit(write, on_done, NULL);
	if (err < 0)
		provider_write_free(write);
	return err;
}

static inline const char *read_row(struct provider_tenant *tenant, const char *key)
{
	static char text[64];
	int len = provider_row_read(tenant, key, strlen(key), text, sizeof(text) - 1);

	text[len < 0 ? 0 : len] = '\0';
	return len < 0 ? "(none)" : text;
}

static inline uint64_t row_cnt(const struct provider_tenant *tenant)
{
	struct provider_tenant_view view;

	provider_tenant_view(tenant, &view);
	return view.row_cnt;
}

static const struct provider_declaration nothing;
static const struct provider_declaration few_rows = {.row_cnt_max = 3, .row_len_max = 30};
static const struct provider_declaration many_rows = {.row_cnt_max = 10000,
						      .row_len_max = 100 << 20};

#endif
