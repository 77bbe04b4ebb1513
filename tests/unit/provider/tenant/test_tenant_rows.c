/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a tenant: durable, its own, and in order. */
#include "tenant_rig.h"

static void test_an_acknowledged_write_survives_a_crash(void)
{
	start(&few_rows);
	CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	store_flush(rig.store);
	CHECK_EQ(rig.done_cnt - rig.failed_cnt, 1);
	CHECK_EQ(put(rig.tenant, "b", "2"), 0); /* nothing says that it is there */
	store_freeze(rig.store);
	provider_tenant_close(rig.tenant);
	provider_tenants_free(rig.node);
	store_crash(rig.store);
	node_open();
	rig.tenant = tenant_open("app", &few_rows);
	CHECK_STR(read_row(rig.tenant, "a"), "1");
	CHECK_STR(read_row(rig.tenant, "b"), "(none)");
	CHECK_EQ(row_cnt(rig.tenant), 1);
	stop();
}

static void test_a_tenant_neither_sees_nor_fills_the_rows_of_another(void)
{
	static const struct provider_row_range all = {.prefix_len = 0};
	/* The names of the others begin as the first one's does, or end so. */
	static const char *const names[] = {"app.x", "ap", "app-1", "b"};
	struct provider_tenant *others[4], *second;
	struct provider_declaration major = few_rows;
	struct provider_walk *walk;
	struct provider_row row;

	start(&few_rows);
	major.service = "app";
	major.major = 2;
	CHECK_EQ(provider_tenant_open(rig.node, &major, &second), 0);
	CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	CHECK_EQ(put(second, "a", "2"), 0);
	for (unsigned i = 0; i < 4; i++) {
		others[i] = tenant_open(names[i], &few_rows);
		CHECK_EQ(put(others[i], "a", names[i]), 0);
		CHECK_EQ(put(others[i], "b", "x"), 0);
		CHECK_EQ(put(others[i], "c", "x"), 0);
	}
	store_flush(rig.store);
	CHECK_STR(read_row(rig.tenant, "a"), "1");
	CHECK_STR(read_row(second, "a"), "2");
	CHECK_STR(read_row(rig.tenant, "b"), "(none)");
	CHECK_EQ(row_cnt(rig.tenant), 1);
	walk = provider_walk_open(rig.tenant, &all);
	CHECK(provider_walk_next(walk, &row));
	CHECK_EQ(row.key_len, 1);
	CHECK(!provider_walk_next(walk, &row));
	CHECK_EQ(provider_walk_close(walk), 0);
	CHECK_EQ(put(others[0], "d", "x"), WEFT_EFULL);
	CHECK_EQ(put(rig.tenant, "d", "x"), 0);
	provider_tenant_close(second);
	for (unsigned i = 0; i < 4; i++)
		provider_tenant_close(others[i]);
	stop();
}

static void test_a_walk_has_the_rows_of_its_prefix_in_order(void)
{
	static const char *const keys[] = {"k2", "k1", "k10", "j", "l", "k"};
	const struct provider_row_range prefix = {.prefix = "k", .prefix_len = 1};
	const struct provider_row_range from = {
		.prefix = "k", .prefix_len = 1, .from = "k10", .from_len = 3};
	struct provider_walk *walks[PROVIDER_WALK_MAX];
	struct provider_row row;
	char seen[32] = "";

	start(&many_rows);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(put(rig.tenant, keys[i], "v"), 0);
	store_flush(rig.store);
	walks[0] = provider_walk_open(rig.tenant, &prefix);
	while (provider_walk_next(walks[0], &row)) {
		strncat(seen, (const char *)row.key, row.key_len);
		strcat(seen, " ");
	}
	CHECK_EQ(provider_walk_close(walks[0]), 0);
	CHECK_STR(seen, "k k1 k10 k2 ");
	walks[0] = provider_walk_open(rig.tenant, &from);
	CHECK(provider_walk_next(walks[0], &row));
	CHECK_MEM(row.key, "k10", 3);
	for (unsigned i = 1; i < PROVIDER_WALK_MAX; i++)
		walks[i] = provider_walk_open(rig.tenant, &prefix);
	CHECK(provider_walk_open(rig.tenant, &prefix) == NULL);
	CHECK_EQ(provider_walk_close(NULL), WEFT_EFULL);
	for (unsigned i = 0; i < PROVIDER_WALK_MAX; i++)
		CHECK_EQ(provider_walk_close(walks[i]), 0);
	stop();
}

static int put_lens(size_t key_len, size_t value_len)
{
	static char bytes[PROVIDER_ROW_VALUE_LEN_MAX + 1];
	struct provider_write *write = provider_write_new(rig.tenant);
	int err;

	provider_write_put(write, bytes, key_len, bytes, value_len);
	err = provider_write_submit(write, on_done, NULL);
	if (err < 0)
		provider_write_free(write);
	return err;
}

static void test_keys_and_values_have_bounds(void)
{
	start(&many_rows);
	CHECK_EQ(put_lens(0, 1), WEFT_ETOOLARGE);
	CHECK_EQ(put_lens(PROVIDER_ROW_KEY_LEN_MAX, 0), 0);
	CHECK_EQ(put_lens(PROVIDER_ROW_KEY_LEN_MAX + 1, 0), WEFT_ETOOLARGE);
	CHECK_EQ(put_lens(1, PROVIDER_ROW_VALUE_LEN_MAX), 0);
	CHECK_EQ(put_lens(1, PROVIDER_ROW_VALUE_LEN_MAX + 1), WEFT_ETOOLARGE);
	CHECK_EQ(provider_write_submit(NULL, NULL, NULL), -ENOMEM);
	store_flush(rig.store);
	CHECK_EQ(row_cnt(rig.tenant), 2);
	stop();
}

int main(void)
{
	RUN(test_an_acknowledged_write_survives_a_crash);
	RUN(test_a_tenant_neither_sees_nor_fills_the_rows_of_another);
	RUN(test_a_walk_has_the_rows_of_its_prefix_in_order);
	RUN(test_keys_and_values_have_bounds);
	return check_done();
}
