/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of programs: they outlive their offers, belong to a user, and share the node's pool. */
#include "tenant_rig.h"

static const struct provider_declaration of_program = {
	.is_of_program = true, .uid = 1000, .row_cnt_max = 1000, .row_len_max = 1u << 20};

static struct provider_tenant *open_as(const char *name, uint32_t uid)
{
	struct provider_declaration with = of_program;

	with.uid = uid;
	return tenant_open(name, &with);
}

static struct provider_rows_fills fills(void)
{
	struct provider_rows_fills fills;

	provider_rows_fills(rig.node, &fills);
	return fills;
}

/* fill writes rows of len bytes until one is refused: how many there are then; the error. */
static unsigned fill(struct provider_tenant *tenant, size_t len, int *out_err)
{
	char key[16], value[512];
	unsigned cnt = (unsigned)row_cnt(tenant);

	memset(value, 'v', sizeof(value));
	value[len - 5] = '\0';
	for (;; cnt++) {
		snprintf(key, sizeof(key), "k%04u", cnt);
		*out_err = put(tenant, key, value);
		if (*out_err < 0)
			return cnt;
		store_flush(rig.store);
	}
}

static void again(void)
{
	provider_tenants_free(rig.node);
	store_close(rig.store);
	node_open();
}

static void test_rows_outlive_the_offer_and_the_daemon(void)
{
	struct provider_tenant *diary;

	start(&nothing);
	diary = open_as("diary", 1000);
	CHECK_EQ(put(diary, "a", "1"), 0);
	store_flush(rig.store);
	provider_tenant_leave(diary, NS_PER_S);
	CHECK_EQ(fills().account_cnt, 1);
	CHECK_EQ(fills().row_len, 2);
	diary = open_as("diary", 1000);
	CHECK_STR(read_row(diary, "a"), "1");
	CHECK_EQ(row_cnt(diary), 1);
	provider_tenant_leave(diary, NS_PER_S);
	provider_tenant_close(rig.tenant);
	again();
	CHECK_EQ(fills().row_cnt, 1);
	CHECK_EQ(fills().row_len, 2);
	diary = open_as("diary", 1000);
	CHECK_STR(read_row(diary, "a"), "1");
	CHECK_EQ(put(diary, "a", NULL), 0);
	store_flush(rig.store);
	provider_tenant_leave(diary, NS_PER_S);
	CHECK_EQ(fills().account_cnt, 0); /* it has nothing to keep */
	rig.tenant = NULL;
	stop();
}

static void test_rows_belong_to_the_user_that_wrote_them(void)
{
	struct provider_tenant *diary;

	start(&nothing);
	diary = open_as("diary", 1000);
	CHECK_EQ(put(diary, "a", "secret"), 0);
	store_flush(rig.store);
	provider_tenant_leave(diary, NS_PER_S);
	diary = open_as("diary", 100); /* the number of the other begins with it */
	CHECK_STR(read_row(diary, "a"), "(none)");
	CHECK_EQ(row_cnt(diary), 0);
	CHECK_EQ(put(diary, "a", "other"), 0);
	store_flush(rig.store);
	provider_tenant_leave(diary, NS_PER_S);
	diary = open_as("diary", 1000);
	CHECK_STR(read_row(diary, "a"), "secret");
	provider_tenant_leave(diary, NS_PER_S);
	CHECK_EQ(fills().account_cnt, 2);
	stop();
}

static void test_a_write_under_way_survives_the_end_of_its_offer(void)
{
	struct provider_tenant *diary;

	start(&nothing);
	diary = open_as("diary", 1000);
	CHECK_EQ(put(diary, "a", "1"), 0);
	provider_tenant_leave(diary, NS_PER_S);
	/* The next offer sees what is durable, and counts what will be. */
	diary = open_as("diary", 1000);
	CHECK_EQ(row_cnt(diary), 1);
	CHECK_EQ(rig.done_cnt, 0);
	store_flush(rig.store);
	CHECK_EQ(rig.done_cnt, 1);
	CHECK_STR(read_row(diary, "a"), "1");
	CHECK_EQ(put(diary, "b", "1"), 0);
	provider_tenant_leave(diary, NS_PER_S);
	provider_tenant_close(rig.tenant);
	again(); /* which waits for it */
	CHECK_EQ(rig.done_cnt, 2);
	CHECK_EQ(fills().row_cnt, 2);
	rig.tenant = NULL;
	stop();
}

static void test_a_failed_write_of_a_service_that_left_is_counted_back(void)
{
	struct provider_tenant *diary;

	start(&nothing);
	diary = open_as("diary", 1000);
	CHECK_EQ(put(diary, "a", "1"), 0);
	provider_tenant_leave(diary, NS_PER_S);
	store_freeze(rig.store);
	store_flush(rig.store);
	CHECK_EQ(rig.failed_cnt, 1);
	CHECK_EQ(fills().account_cnt, 0);
	stop();
}

static void test_a_program_may_hold_as_much_as_stays_free(void)
{
	struct provider_tenant *first, *second, *third;
	int err;

	rig_config.row_cap = 16;
	rig_config.row_len_cap = 1u << 20;
	start(&nothing);
	first = open_as("first", 1000);
	second = open_as("second", 1001);
	CHECK_EQ(fill(first, 10, &err), 8);
	CHECK_EQ(err, WEFT_EBUSY);
	CHECK_EQ(fill(second, 10, &err), 4);
	CHECK_EQ(err, WEFT_EBUSY);
	third = open_as("third", 1002);
	CHECK_EQ(fill(third, 10, &err), 2);
	/* What lets rows shrink, or stay, is never refused. */
	CHECK_EQ(put(first, "k0000", "x"), 0);
	CHECK_EQ(put(first, "k0001", NULL), 0);
	store_flush(rig.store);
	CHECK_EQ(put(first, "k0001", "x"), WEFT_EBUSY);
	CHECK_EQ(fill(third, 10, &err), 2);
	provider_tenant_leave(first, NS_PER_S);
	provider_tenant_leave(second, NS_PER_S);
	provider_tenant_leave(third, NS_PER_S);
	/* Rows at rest count: the services of one user have three quarters at most. */
	third = open_as("late", 1002);
	CHECK_EQ(fill(third, 10, &err), 1);
	provider_tenant_leave(third, NS_PER_S);
	stop();
}

static void test_a_user_has_three_quarters_with_any_number_of_services(void)
{
	struct provider_tenant *tenants[8], *other;
	unsigned cnt = 0;
	char name[8];
	int err;

	rig_config.row_cap = 64;
	start(&nothing);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		tenants[i] = open_as(name, 1000);
		cnt += fill(tenants[i], 10, &err);
	}
	CHECK_EQ(cnt, 48);
	other = open_as("other", 1001);
	CHECK_EQ(fill(other, 10, &err), 8);
	provider_tenant_leave(other, NS_PER_S);
	for (unsigned i = 0; i < 8; i++)
		provider_tenant_leave(tenants[i], NS_PER_S);
	stop();
}

static void test_bytes_are_shared_as_rows_are(void)
{
	struct provider_tenant *first, *second;
	int err;

	rig_config.row_cap = 1000;
	rig_config.row_len_cap = 4096;
	start(&nothing);
	first = open_as("first", 1000);
	second = open_as("second", 1001);
	CHECK_EQ(fill(first, 256, &err), 8);
	CHECK_EQ(err, WEFT_EBUSY);
	CHECK_EQ(fill(second, 256, &err), 4);
	provider_tenant_leave(first, NS_PER_S);
	provider_tenant_leave(second, NS_PER_S);
	stop();
}

static void test_writes_of_programs_are_shared(void)
{
	struct provider_tenant *first, *second;
	unsigned cnt = 0;

	start(&nothing);
	first = open_as("first", 1000);
	second = open_as("second", 1001);
	while (put(first, "a", "1") == 0)
		cnt++;
	CHECK_EQ(cnt, PROVIDER_PROGRAM_WRITE_MAX / 2);
	CHECK_EQ(put(first, "a", "1"), WEFT_EBUSY);
	CHECK_EQ(put(second, "a", "1"), 0);
	store_flush(rig.store);
	CHECK_EQ(put(first, "a", "1"), 0);
	provider_tenant_leave(first, NS_PER_S);
	provider_tenant_leave(second, NS_PER_S);
	stop();
}

static void test_accounts_of_a_user_are_bounded(void)
{
	struct provider_declaration with = of_program;
	struct provider_tenant *tenants[PROVIDER_TENANT_MAX];
	unsigned cnt = 0;
	char name[8];

	start(&nothing);
	for (;; cnt++) {
		snprintf(name, sizeof(name), "n%u", cnt);
		with.service = name;
		if (provider_tenant_open(rig.node, &with, &tenants[cnt]) < 0)
			break;
	}
	CHECK_EQ(cnt, 3 * PROVIDER_ACCOUNT_MAX / 4);
	with.uid = 1001;
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenants[cnt]), 0);
	for (unsigned i = 0; i <= cnt; i++)
		provider_tenant_leave(tenants[i], NS_PER_S);
	stop();
}

static void test_rows_at_rest_are_listed(void)
{
	struct provider_account_iter iter;
	struct provider_account_view view;
	struct provider_tenant *diary;

	start(&nothing);
	diary = open_as("my.diary-2", 4294967295u);
	CHECK_EQ(put(diary, "a", "12"), 0);
	store_flush(rig.store);
	provider_tenant_leave(diary, NS_PER_S);
	provider_tenant_close(rig.tenant);
	again();
	iter = (struct provider_account_iter){.tenants = rig.node};
	CHECK(provider_accounts_next(&iter, &view));
	CHECK_STR(view.service, "my.diary-2");
	CHECK_EQ(view.major, 1);
	CHECK_EQ(view.uid, 4294967295u);
	CHECK_EQ(view.row_cnt, 1);
	CHECK_EQ(view.row_len, 3);
	CHECK(!view.is_offered);
	CHECK(!provider_accounts_next(&iter, &view));
	rig.tenant = NULL;
	stop();
}

/* A user has 96 accounts, then another takes what it may: a start in any order has them all. */
static void test_accounts_come_back_in_any_order(void)
{
	struct provider_declaration with = of_program;
	struct provider_tenant *tenants[PROVIDER_TENANT_MAX];
	unsigned cnt, other_cnt = 24;
	char name[8];

	start(&nothing);
	with.is_restored = true;
	with.service = name;
	with.uid = 1001;
	for (cnt = 0; cnt < other_cnt; cnt++) {
		snprintf(name, sizeof(name), "n%u", cnt);
		CHECK_EQ(provider_tenant_open(rig.node, &with, &tenants[cnt]), 0);
	}
	with.uid = 1000;
	for (; cnt < other_cnt + 3 * PROVIDER_ACCOUNT_MAX / 4; cnt++) {
		snprintf(name, sizeof(name), "n%u", cnt);
		CHECK_EQ(provider_tenant_open(rig.node, &with, &tenants[cnt]), 0);
	}
	while (cnt)
		provider_tenant_leave(tenants[--cnt], NS_PER_S);
	stop();
}

static struct provider_tenant *open_for_rows(const char *name, uint32_t uid, int *out_err)
{
	struct provider_declaration with = of_program;
	struct provider_tenant *tenant = NULL;

	with.service = name;
	with.major = 1;
	with.uid = uid;
	with.is_for_rows = true;
	*out_err = provider_tenant_open(rig.node, &with, &tenant);
	return tenant;
}

static void test_work_on_rows_at_rest_hides_no_offer(void)
{
	struct provider_tenant *own, *other, *work;
	int err;

	start(&nothing);
	own = open_as("diary", 1000);
	CHECK_EQ(put(own, "a", "1"), 0);
	store_flush(rig.store);
	CHECK(!open_for_rows("diary", 1000, &err));
	CHECK_EQ(err, WEFT_EEXISTS);
	provider_tenant_leave(own, NS_PER_S);
	other = open_as("diary", 1001);
	work = open_for_rows("diary", 1000, &err);
	CHECK_EQ(err, 0);
	CHECK_EQ(row_cnt(work), 1);
	CHECK(provider_tenant_find(rig.node, "diary", 1) == other);
	CHECK(provider_tenant_of_program(rig.node, "diary", 1, 1000) == other);
	provider_tenant_leave(other, NS_PER_S);
	CHECK(!provider_tenant_find(rig.node, "diary", 1));
	provider_tenant_leave(work, NS_PER_S);
	stop();
}

static void test_a_users_own_service_comes_before_others(void)
{
	struct provider_declaration second = of_program;
	struct provider_tenant *others, *own;

	start(&nothing);
	others = open_as("diary", 1001);
	second.service = "diary";
	second.major = 2;
	CHECK_EQ(provider_tenant_open(rig.node, &second, &own), 0);
	CHECK(provider_tenant_of_program(rig.node, "diary", PROVIDER_ANY_MAJOR, 1000) == own);
	CHECK(provider_tenant_of_program(rig.node, "diary", PROVIDER_ANY_MAJOR, 1001) == others);
	CHECK(provider_tenant_of_program(rig.node, "diary", PROVIDER_ANY_MAJOR, 1002) == others);
	provider_tenant_leave(others, NS_PER_S);
	provider_tenant_leave(own, NS_PER_S);
	stop();
}

static void test_keys_are_walked_without_values(void)
{
	static const struct provider_row_range all = {.is_of_keys = true};
	struct provider_tenant *diary;
	struct provider_walk *walk;
	struct provider_row row = {NULL};
	unsigned cnt = 0;

	start(&nothing);
	diary = open_as("diary", 1000);
	CHECK_EQ(put(diary, "a", "1"), 0);
	CHECK_EQ(put(diary, "b", "12"), 0);
	store_flush(rig.store);
	walk = provider_walk_open(diary, &all);
	for (; provider_walk_next(walk, &row); cnt++) {
		CHECK_EQ(row.key_len, 1);
		CHECK(!row.value);
	}
	CHECK_EQ(provider_walk_close(walk), 0);
	CHECK_EQ(cnt, 2);
	CHECK_EQ(row.value_len, 2);
	provider_tenant_leave(diary, NS_PER_S);
	stop();
}

int main(void)
{
	RUN(test_rows_outlive_the_offer_and_the_daemon);
	RUN(test_rows_belong_to_the_user_that_wrote_them);
	RUN(test_a_write_under_way_survives_the_end_of_its_offer);
	RUN(test_a_failed_write_of_a_service_that_left_is_counted_back);
	RUN(test_a_program_may_hold_as_much_as_stays_free);
	RUN(test_a_user_has_three_quarters_with_any_number_of_services);
	RUN(test_bytes_are_shared_as_rows_are);
	RUN(test_writes_of_programs_are_shared);
	RUN(test_accounts_of_a_user_are_bounded);
	RUN(test_rows_at_rest_are_listed);
	RUN(test_keys_are_walked_without_values);
	RUN(test_accounts_come_back_in_any_order);
	RUN(test_work_on_rows_at_rest_hides_no_offer);
	RUN(test_a_users_own_service_comes_before_others);
	return check_done();
}
