/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas: stepped up, or refused. */
#include "store_check_rig.h"

/* --- schema --- */

static int step_from_7(MDB_txn *txn)
{
	return store_env_put(txn, STORE_META, store_key("stepped", 7), "7", 1);
}

static int step_from_8(MDB_txn *txn)
{
	int err = store_env_delete(txn, STORE_META, store_key("stepped", 7));

	return err < 0 ? err : store_env_put(txn, STORE_META, store_key("stepped", 7), "78", 2);
}

static int step_fails(MDB_txn *txn)
{
	int err = store_env_delete(txn, STORE_META, store_key("stepped", 7));

	return err < 0 ? err : -EIO;
}

static bool stepped_is(struct env *env, const char *want)
{
	MDB_txn *txn;
	const void *value = NULL;
	size_t len = 0;
	bool is;

	if (mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &txn) != 0)
		return false;
	is = store_env_get(txn, STORE_META, store_key("stepped", 7), &value, &len) == 0
		     ? len == strlen(want) && memcmp(value, want, len) == 0
		     : *want == '\0';
	mdb_txn_abort(txn);
	return is;
}

static void test_an_older_schema_is_stepped_up_whole_or_not_at_all(void)
{
	static const struct env_step good[] = {{8, step_from_8}, {7, step_from_7}};
	static const struct env_step bad[] = {{7, step_from_7}, {8, step_from_8}, {9, step_fails}};
	char dir[SCRATCH_CAP];
	struct env env;

	scratch_make(dir);
	CHECK_EQ(env_open_as(dir, 7, NULL, 0, &env), 0);
	CHECK(stepped_is(&env, ""));
	store_env_close(&env);
	CHECK_EQ(env_open_as(dir, 9, good, 1, &env), WEFT_EUNKNOWN);
	CHECK_EQ(env_open_as(dir, 10, bad, 3, &env), -EIO);
	CHECK_EQ(env_open_as(dir, 7, NULL, 0, &env), 0);
	CHECK(stepped_is(&env, ""));
	store_env_close(&env);
	CHECK_EQ(env_open_as(dir, 9, good, 2, &env), 0);
	CHECK(stepped_is(&env, "78"));
	store_env_close(&env);
	CHECK_EQ(env_open_as(dir, 9, good, 2, &env), 0);
	store_env_close(&env);
	scratch_remove(dir);
}

static void test_a_newer_schema_is_refused_and_left_alone(void)
{
	char dir[SCRATCH_CAP];
	struct store *store;
	struct env env;

	scratch_make(dir);
	CHECK_EQ(env_open_as(dir, STORE_SCHEMA_VERSION + 1, NULL, 0, &env), 0);
	store_env_close(&env);
	CHECK_EQ(open_store(dir, &store), WEFT_ENEWER);
	CHECK_EQ(env_open_as(dir, STORE_SCHEMA_VERSION + 1, NULL, 0, &env), 0);
	store_env_close(&env);
	scratch_remove(dir);
}

static void test_the_refusal_of_a_newer_schema_names_both(void)
{
	char dir[SCRATCH_CAP], finding[STORE_FINDING_CAP] = "", want[STORE_FINDING_CAP];
	struct store_config config;
	struct store *store;
	struct env env;

	scratch_make(dir);
	CHECK_EQ(env_open_as(dir, STORE_SCHEMA_VERSION + 1, NULL, 0, &env), 0);
	store_env_close(&env);
	store_config_defaults(&config);
	config.dir = dir;
	config.finding = finding;
	CHECK_EQ(store_open(&config, &store), WEFT_ENEWER);
	snprintf(want, sizeof(want), "it has schema %d, and this version knows schemas up to %d",
		 STORE_SCHEMA_VERSION + 1, STORE_SCHEMA_VERSION);
	CHECK_STR(finding, want);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_an_older_schema_is_stepped_up_whole_or_not_at_all);
	RUN(test_a_newer_schema_is_refused_and_left_alone);
	RUN(test_the_refusal_of_a_newer_schema_names_both);
	return check_done();
}
