/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts of rows. The account of a built-in service lives as long as its tenant. That of a
 * program's service lives as long as there are rows of it: they outlive the offer.
 *
 * Rows of programs lie under "/UID/NAME@MAJOR", a zero and the key. No name begins with '/', so
 * they are one range of the database. Their places are shared: see is_beyond_share.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/tenant/tenant_state.h"

/* What programs take of a pool: the account that asks, its user, and all. */
struct share {
	uint64_t own, of_user, of_all;
};

/*
 * Rows are kept, so no share can be taken back from its holder. Hence the dynamic threshold of
 * Choudhury and Hahne (1998), as fair_may_hold has it. A program holds at most as much as stays
 * free, and a user three times as much.
 */
static bool is_beyond_share(const struct share *share, int64_t delta, uint64_t cap)
{
	uint64_t more = delta > 0 ? (uint64_t)delta : 0, left;

	if (!more)
		return false;
	if (share->of_all + more > cap)
		return true;
	left = cap - share->of_all - more;
	return share->own + more > left || share->of_user + more > 3 * left;
}

/* Sums what field has in the accounts of programs: uint64_t row_cnt, row_len, write_cnt. */
struct totals {
	struct share accounts, rows, len, writes;
};

static void share_add(struct share *share, uint64_t held, bool is_of_user)
{
	share->of_all += held;
	share->of_user += is_of_user ? held : 0;
}

/* totals_of: own is NULL, or an account of uid. */
static struct totals totals_of(const struct provider_tenants *node, const struct row_account *own,
			       uint32_t uid)
{
	const struct row_account *account = NULL;
	struct totals totals = {.accounts = {0}};

	while ((account = pool_next(&node->accounts, account))) {
		bool is_of_user = account->uid == uid;

		if (!account->is_of_program)
			continue;
		share_add(&totals.accounts, 1, is_of_user);
		share_add(&totals.rows, account->row_cnt, is_of_user);
		share_add(&totals.len, account->row_len, is_of_user);
		share_add(&totals.writes, account->write_cnt, is_of_user);
	}
	if (own) {
		totals.rows.own = own->row_cnt;
		totals.len.own = own->row_len;
		totals.writes.own = own->write_cnt;
	}
	return totals;
}

bool provider_account_has_share(const struct row_account *account, int64_t row_delta,
				int64_t len_delta)
{
	const struct provider_tenants *node = account->node;
	struct totals totals;

	if (!account->is_of_program)
		return true;
	totals = totals_of(node, account, account->uid);
	return !is_beyond_share(&totals.rows, row_delta, node->params.config.row_cap) &&
	       !is_beyond_share(&totals.len, len_delta, node->params.config.row_len_cap);
}

bool provider_account_may_write(const struct row_account *account)
{
	struct totals totals;

	if (!account->is_of_program)
		return account->write_cnt < PROVIDER_WRITE_MAX;
	totals = totals_of(account->node, account, account->uid);
	return !is_beyond_share(&totals.writes, 1, PROVIDER_PROGRAM_WRITE_MAX);
}

bool provider_run_has_share(const struct provider_tenant *tenant)
{
	const struct provider_tenant *other = NULL;
	struct share share = {.own = tenant->run_cnt};

	if (!tenant->declared.is_of_program)
		return true;
	while ((other = pool_next(&tenant->node->tenants, other)))
		if (other->declared.is_of_program)
			share_add(&share, other->run_cnt,
				  other->declared.uid == tenant->declared.uid);
	return !is_beyond_share(&share, 1, provider_program_runs_max(tenant->node));
}

/* ---- accounts ---- */

static struct row_account *account_new(struct provider_tenants *node)
{
	struct row_account *account = pool_acquire(&node->accounts);

	if (!account)
		return NULL;
	account->node = node;
	list_init(&account->writes);
	return account;
}

static size_t prefix_write(char prefix[static TENANT_PREFIX_CAP],
			   const struct provider_declaration *declared)
{
	int len = declared->is_of_program
			  ? snprintf(prefix, TENANT_PREFIX_CAP, "/%" PRIu32 "/%s@%" PRIu32,
				     declared->uid, declared->service, declared->major)
			  : snprintf(prefix, TENANT_PREFIX_CAP, "%s@%" PRIu32, declared->service,
				     declared->major);

	return (size_t)len + 1;
}

static struct row_account *account_find(const struct provider_tenants *node, const char *prefix)
{
	struct row_account *account = NULL;

	while ((account = pool_next(&node->accounts, account)))
		if (strcmp(account->prefix, prefix) == 0)
			break;
	return account;
}

int provider_account_open(struct provider_tenant *tenant)
{
	const struct provider_declaration *declared = &tenant->declared;
	struct provider_tenants *node = tenant->node;
	char prefix[TENANT_PREFIX_CAP];
	size_t prefix_len = prefix_write(prefix, declared);
	struct row_account *account = account_find(node, prefix);
	struct totals totals;

	if (account && account->tenant)
		return WEFT_EEXISTS;
	if (!account && declared->is_of_program) {
		totals = totals_of(node, NULL, declared->uid);
		if (declared->is_restored
			    ? totals.accounts.of_all >= PROVIDER_ACCOUNT_MAX
			    : is_beyond_share(&totals.accounts, 1, PROVIDER_ACCOUNT_MAX))
			return WEFT_EFULL;
	}
	if (!account && !(account = account_new(node)))
		return WEFT_EFULL;
	memcpy(account->prefix, prefix, prefix_len);
	account->prefix_len = prefix_len;
	account->is_of_program = declared->is_of_program;
	account->uid = declared->uid;
	account->tenant = tenant;
	tenant->account = account;
	return 0;
}

void provider_account_rest(struct row_account *account)
{
	if (account->tenant || account->write_cnt || (account->is_of_program && account->row_cnt))
		return;
	pool_release(&account->node->accounts, account);
}

/* prefix_read: an account's prefix as it stands in a key: "/UID/NAME@MAJOR" and a zero. */
static bool prefix_read(const uint8_t *key, size_t key_len, uint32_t *out_uid, size_t *out_len)
{
	const uint8_t *end = memchr(key, '\0', key_len);
	uint64_t uid = 0;
	size_t at = 1;

	if (!end || (size_t)(end - key) >= TENANT_PREFIX_CAP)
		return false;
	for (; key[at] >= '0' && key[at] <= '9' && uid <= UINT32_MAX; at++)
		uid = uid * 10 + (key[at] - '0');
	if (at == 1 || key[at] != '/' || uid > UINT32_MAX)
		return false;
	*out_uid = (uint32_t)uid;
	*out_len = (size_t)(end - key) + 1;
	return true;
}

/* row_load counts a stored row; the range is in order, so its account is mostly that of before. */
static struct row_account *row_load(struct provider_tenants *node, struct row_account *account,
				    const struct store_item *item)
{
	size_t prefix_len;
	uint32_t uid;

	if (!prefix_read(item->key, item->key_len, &uid, &prefix_len))
		return account;
	if (!account || strcmp(account->prefix, (const char *)item->key) != 0) {
		account = account_new(node);
		if (!account)
			return NULL;
		memcpy(account->prefix, item->key, prefix_len);
		account->prefix_len = prefix_len;
		account->is_of_program = true;
		account->uid = uid;
	}
	account->row_cnt++;
	account->row_len += item->key_len - prefix_len + item->value_len;
	return account;
}

int provider_accounts_load(struct provider_tenants *node)
{
	struct row_account *account = NULL;
	struct store_iter iter;
	struct store_item item;

	if (!node->params.store)
		return 0;
	iter = store_iter_fresh(node->params.store, STORE_ROWS, store_key("/", 1));
	while (store_iter_next_len(&iter, &item) && item.key_len && item.key[0] == '/')
		account = row_load(node, account, &item);
	return store_iter_end(&iter);
}

/* ---- what people see ---- */

void provider_rows_fills(const struct provider_tenants *tenants, struct provider_rows_fills *out)
{
	struct totals totals = totals_of(tenants, NULL, 0);

	*out = (struct provider_rows_fills){
		.account_cnt = (unsigned)totals.accounts.of_all,
		.row_cnt = totals.rows.of_all,
		.row_cap = tenants->params.config.row_cap,
		.row_len = totals.len.of_all,
		.row_len_cap = tenants->params.config.row_len_cap,
		.write_cnt = (unsigned)totals.writes.of_all,
	};
}

bool provider_accounts_next(struct provider_account_iter *iter, struct provider_account_view *out)
{
	const struct row_account *account = iter->at;
	const char *name, *major;

	do
		account = pool_next(&iter->tenants->accounts, account);
	while (account && !account->is_of_program);
	iter->at = account;
	if (!account)
		return false;
	name = strchr(account->prefix + 1, '/') + 1;
	major = strrchr(name, '@');
	*out = (struct provider_account_view){
		.uid = account->uid,
		.major = major ? (uint32_t)strtoul(major + 1, NULL, 10) : 0,
		.row_cnt = account->row_cnt,
		.row_len = account->row_len,
		.is_offered = account->tenant != NULL,
	};
	snprintf(out->service, sizeof(out->service), "%.*s", (int)strcspn(name, "@"), name);
	return true;
}
