/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_TENANT_TENANT_STATE_H
#define WEFT_PROVIDER_TENANT_TENANT_STATE_H

#include "base/list.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "provider/tenant/tenant.h"
#include "store/store.h"

/* Private to tenant/: what a node and its tenants are. */

/* "NAME@MAJOR" and a NUL, behind "/UID/" for a program: keys of an offer's rows begin with it. */
#define TENANT_PREFIX_CAP (SERVICE_NAME_LEN_MAX + 24)
#define TENANT_KEY_CAP	  (TENANT_PREFIX_CAP + PROVIDER_ROW_KEY_LEN_MAX)

struct provider_tenants {
	struct provider_tenants_params params;
	struct arena arena;
	struct pool tenants, accounts, runs, walks;
	uint64_t secret[2];    /* of keys of rows */
	uint64_t value_number; /* of the latest value of a program */
};

/* The rows of an offer. Those of a program outlive it: tenant_account.c. */
struct row_account {
	struct provider_tenants *node;
	struct provider_tenant *tenant; /* NULL: at rest */
	bool is_of_program;
	uint32_t uid; /* of a program's user */
	char prefix[TENANT_PREFIX_CAP];
	size_t prefix_len;	 /* with its NUL */
	struct list_node writes; /* struct provider_write, oldest first */
	unsigned write_cnt;
	uint64_t row_cnt, row_len; /* when all writes are durable */
};

struct provider_tenant {
	struct provider_tenants *node;
	struct row_account *account;
	struct provider_declaration declared;
	char service[SERVICE_NAME_LEN_MAX + 1];
	char value_tags[PROVIDER_TAG_MAX][PROVIDER_VALUE_TAG_LEN_MAX + 1];
	char counter_names[PROVIDER_COUNTER_MAX][PROVIDER_COUNTER_NAME_MAX + 1];
	uint64_t counters[PROVIDER_COUNTER_MAX];
	unsigned timer_cnt, socket_cnt, run_cnt;
	uint64_t refused_cnt;
};

/* provider_tenant_refuse counts, and returns err. */
static inline int provider_tenant_refuse(struct provider_tenant *tenant, int err)
{
	tenant->refused_cnt++;
	return err;
}

/* provider_rows_count counts the rows in the store of a built-in service. 0 or -errno. */
WEFT_MUST_CHECK
int provider_rows_count(struct provider_tenant *tenant);

/*
 * tenant_account.c. provider_accounts_load counts the rows of programs at the start; 0 or -errno.
 * provider_account_open gives tenant its account; 0 or WEFT_EFULL. provider_account_rest releases
 * one that has no tenant, and nothing to keep.
 */
WEFT_MUST_CHECK
int provider_accounts_load(struct provider_tenants *node);
WEFT_MUST_CHECK
int provider_account_open(struct provider_tenant *tenant);
void provider_account_rest(struct row_account *account);
/* provider_account_has_share: an account may grow by so many rows and bytes, as others have to. */
bool provider_account_has_share(const struct row_account *account, int64_t row_delta,
				int64_t len_delta);
/* provider_account_may_write: one more write may be on its way to the disk. */
bool provider_account_may_write(const struct row_account *account);
/* tenant_values.c: the overlay's rule of values of programs. */
WEFT_MUST_CHECK
int provider_values_rule_add(struct provider_tenants *node);
/* provider_program_runs_max: of all programs at once; the node keeps the other half for itself. */
static inline unsigned provider_program_runs_max(const struct provider_tenants *node)
{
	unsigned half = node->params.overlay_run_cap / 2;

	return half < PROVIDER_RUN_MAX ? half : PROVIDER_RUN_MAX;
}
/* provider_run_has_share: a program may have one more run of the overlay. */
bool provider_run_has_share(const struct provider_tenant *tenant);
/*
 * provider_{walk,run}_len: bytes of one. provider_runs_end cancels those of tenant;
 * provider_runs_fail calls their done with err.
 */
size_t provider_walk_len(void);
size_t provider_run_len(void);
void provider_runs_end(struct provider_tenant *tenant);
void provider_runs_fail(struct provider_tenant *tenant, int err, uint64_t now_ns);

#endif
