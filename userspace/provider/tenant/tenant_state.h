/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_TENANT_TENANT_STATE_H
#define WEFT_PROVIDER_TENANT_TENANT_STATE_H

#include "base/list.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "provider/tenant/tenant.h"
#include "store/store.h"

/* Private to tenant/: what a node and its tenants are. */

/* "NAME@MAJOR" and a NUL: the keys of an offer's rows begin with it. */
#define TENANT_PREFIX_CAP (SERVICE_NAME_LEN_MAX + 12)
#define TENANT_KEY_CAP	  (TENANT_PREFIX_CAP + PROVIDER_ROW_KEY_LEN_MAX)

struct provider_tenants {
	struct provider_tenants_params params;
	struct arena arena;
	struct pool tenants, runs, walks;
	uint64_t secret[2]; /* of keys of rows */
};

struct provider_tenant {
	struct provider_tenants *node;
	struct provider_declaration declared;
	char prefix[TENANT_PREFIX_CAP];
	size_t prefix_len; /* with its NUL */
	char service[SERVICE_NAME_LEN_MAX + 1];
	char counter_names[PROVIDER_COUNTER_MAX][PROVIDER_COUNTER_NAME_MAX + 1];
	uint64_t counters[PROVIDER_COUNTER_MAX];
	struct list_node writes; /* struct provider_write, oldest first */
	unsigned write_cnt, timer_cnt, socket_cnt, run_cnt;
	uint64_t row_cnt, row_len; /* when all writes are durable */
	uint64_t refused_cnt;
};

/* provider_tenant_refuse counts, and returns err. */
static inline int provider_tenant_refuse(struct provider_tenant *tenant, int err)
{
	tenant->refused_cnt++;
	return err;
}

/* provider_rows_count counts the rows in the store. 0 or -errno. */
WEFT_MUST_CHECK
int provider_rows_count(struct provider_tenant *tenant);
/* provider_{walk,run}_len: bytes of one. provider_runs_end cancels those of tenant. */
size_t provider_walk_len(void);
size_t provider_run_len(void);
void provider_runs_end(struct provider_tenant *tenant);

#endif
