/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB behind the store: the one file that opens environments and the
 * one list of databases. Transactions are begun by commit.c (writes),
 * store.c (snapshots) and store_check.c.
 */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/process/crash.h"
#include "base/byte_cursor.h"
#include "store/store_state.h"

#define ENV_PATH_CAP 4096
/* Address space beyond map_len_max, so that a full store can still delete. */
#define ENV_RESERVE_LEN (16ull << 20)

/* Late are those that grow with what is shared and stored, and that no load goes over. */
const struct env_database store_env_databases[ENV_DB_CNT] = {
	[STORE_META] = {"meta", 0, false},
	[STORE_PEERS] = {"peers", 32, false},
	[STORE_OBJECTS] = {"objects", 64, true},
	[STORE_PATHS] = {"paths", 32, true},
	[STORE_OUTBOARDS] = {"outboards", 32, true},
	[STORE_SHARES] = {"shares", 32, false},
	[STORE_GETS] = {"gets", 8, false},
	[STORE_BLOBS] = {"blobs", 32, true},
	[STORE_BANS] = {"bans", 33, false},
	[STORE_OFFERS] = {"offers", 0, false},
	[STORE_DIRECTORY] = {"directory", 36, false},
	[STORE_REPUTATION] = {"conduct", 32, false},
	[STORE_OVERLAY] = {"overlay", 65, false},
	[STORE_ROWS] = {"rows", 0, true},
	[STORE_PUBLISHED] = {"published", 32, false},
	[STORE_REVISIONS] = {"revisions", 40, false},
	[STORE_HEADS] = {"heads", 32, false},
	[STORE_FOLLOWS] = {"follows", 32, false},
	[STORE_ANNOUNCED] = {"announced", 0, true},
	[STORE_COMMUNITIES] = {"communities", 32, false},
	[STORE_MEMBERS] = {"members", 64, true},
	[STORE_COMMUNITY_SHARES] = {"community_shares", 64, true},
	[STORE_COMMUNITY_EVENTS] = {"community_events", 40, true},
	[STORE_SERVICE_OFFERS] = {"service_offers", 8, false},
	[STORE_ENDORSEMENTS] = {"endorsements", 36, false},
	[STORE_DEPOSITS] = {"deposits", 8, false},
	[STORE_RESERVATIONS] = {"reservations", 16, false},
	[STORE_WAYS] = {"ways", 17, false},
	[STORE_POSTS] = {"posts", 32, false},
	[STORE_POST_BODIES] = {"post_bodies", 32, true},
	[STORE_POST_AUTHORS] = {"post_authors", 72, true},
	[STORE_POST_REPLIES] = {"post_replies", 72, true},
	[STORE_POST_GONE] = {"post_gone", 32, false},
	[STORE_PEOPLE] = {"people", 33, false},
	[STORE_CIRCLES] = {"circles", 48, false},
	[STORE_DRAFTS] = {"drafts", 16, false},
	[STORE_GROUPS] = {"groups", 41, false},
	[STORE_ROUTES] = {"routes", 33, false},
	[STORE_REPLICAS] = {"replicas", 64, true},
	[ENV_SEGMENTS] = {"segments", SEGMENT_KEY_LEN, false},
	[ENV_OLD_PODS] = {"pods", 36, true},
	[ENV_OLD_MESSAGES] = {"pod_messages", 44, true},
	[ENV_OLD_TRACKS] = {"tracks", 52, true},
};

/*
 * Version 2 has bans, version 3 what services leave behind, version 4 shares with revisions, what
 * is followed, and communities. The databases were made empty on the way here. An older program
 * would admit banned peers, or collect as garbage what a revision refers to, and is refused.
 * Version 5 keeps rows of peers that are not unknown, which the peer table makes of the older ones
 * as it reads them. An older program would take them for unknown ones and throw them out. Version 6
 * gives every row a check (row.h). Version 7 has the rows of all services in one database: an
 * older program would not find its pods. Version 8 has service offers, endorsements, deposits,
 * reservations, and ways to their providers. Version 9 has posts, people and groups.
 */
static int step_adds_databases(MDB_txn *txn)
{
	(void)txn;
	return 0;
}

static int step_seals_rows(MDB_txn *txn)
{
	int err = 0;

	for (unsigned db = 0; db < ENV_DB_CNT && err == 0; db++)
		err = store_row_seal(txn, &store_env_of(txn)->dbs[db]);
	return err;
}

/* Keys of these begin with from, which to replaces in STORE_ROWS. */
struct row_move {
	unsigned db;
	struct store_key from, to;
};
#define TEXT_KEY(text) {text, sizeof(text) - 1}
static const struct row_move row_moves[] = {
	{ENV_OLD_PODS, TEXT_KEY(""), TEXT_KEY("pod-chat@1\0p")},
	{ENV_OLD_MESSAGES, TEXT_KEY(""), TEXT_KEY("pod-chat@1\0m")},
	{ENV_OLD_TRACKS, TEXT_KEY(""), TEXT_KEY("shadow-index@1\0")},
	{STORE_META, TEXT_KEY("room/"), TEXT_KEY("pod-chat@1\0r")},
};
#define MOVED_KEY_CAP 128

/*
 * Puts a copy: a put may move the pages that key and value lie in. WEFT_EDAMAGED: the row does not
 * pass its check, or its key has a length that none has.
 */
static int row_copy(MDB_txn *txn, const struct row_move *move, const MDB_val *key, MDB_val value)
{
	const struct env *env = store_env_of(txn);
	uint8_t moved[MOVED_KEY_CAP];
	struct writer w = writer_of(moved, sizeof(moved));
	void *copy;
	int err = store_row_check(env->dbs[move->db].name, key, &value);

	writer_bytes(&w, move->to.bytes, move->to.len);
	writer_bytes(&w, (const uint8_t *)key->mv_data + move->from.len,
		     key->mv_size - move->from.len);
	if (err < 0 || w.bad)
		return err < 0 ? err : WEFT_EDAMAGED;
	copy = malloc(value.mv_size + 1);
	if (!copy)
		return -ENOMEM;
	if (value.mv_size)
		memcpy(copy, value.mv_data, value.mv_size);
	err = store_row_put(txn, &env->dbs[STORE_ROWS], store_key(moved, writer_len(&w)), copy,
			    value.mv_size);
	free(copy);
	return err;
}

/* A damaged row stays where it is. */
static int row_move(MDB_txn *txn, const struct row_move *move, MDB_cursor *cursor,
		    const MDB_val *key, const MDB_val *value)
{
	int err = row_copy(txn, move, key, *value);

	if (err == WEFT_EDAMAGED) {
		store_env_of(txn)->skipped_cnt++;
		return 0;
	}
	return err < 0 ? err : store_row_err(mdb_cursor_del(cursor, 0));
}

static int rows_move(MDB_txn *txn, const struct row_move *move)
{
	MDB_val key = {move->from.len, (void *)(uintptr_t)move->from.bytes}, value;
	MDB_cursor_op op = key.mv_size ? MDB_SET_RANGE : MDB_FIRST;
	MDB_cursor *cursor;
	int err =
		store_row_err(mdb_cursor_open(txn, store_env_of(txn)->dbs[move->db].dbi, &cursor));

	if (err < 0)
		return err;
	while ((err = store_row_err(mdb_cursor_get(cursor, &key, &value, op))) == 0) {
		op = MDB_NEXT;
		if (key.mv_size < move->from.len ||
		    memcmp(key.mv_data, move->from.bytes, move->from.len) != 0)
			break;
		if ((err = row_move(txn, move, cursor, &key, &value)) < 0)
			break;
	}
	mdb_cursor_close(cursor);
	return err == WEFT_EABSENT ? 0 : err;
}

static int step_moves_rows(MDB_txn *txn)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(row_moves) / sizeof(row_moves[0]) && err == 0; i++)
		err = rows_move(txn, &row_moves[i]);
	return err;
}

static const struct env_step env_steps[] = {{1, step_adds_databases}, {2, step_adds_databases},
					    {3, step_adds_databases}, {4, step_adds_databases},
					    {5, step_seals_rows},     {6, step_moves_rows},
					    {7, step_adds_databases}, {8, step_adds_databases}};
const struct env_schema store_env_schema_current = {
	.version = STORE_SCHEMA_VERSION,
	.steps = env_steps,
	.step_cnt = sizeof(env_steps) / sizeof(env_steps[0]),
};

struct env *store_env_of(MDB_txn *txn)
{
	return mdb_env_get_userctx(mdb_txn_env(txn));
}

int store_env_get(MDB_txn *txn, unsigned db, struct store_key key, const void **out_value,
		  size_t *out_len)
{
	struct env *env = store_env_of(txn);
	int err = store_proof_need(&env->proof, db);

	if (err < 0)
		return err;
	err = store_row_get(txn, &env->dbs[db], key, out_value, out_len);
	if (err == WEFT_EDAMAGED)
		store_proof_note_row(&env->proof, db);
	return err;
}

int64_t store_env_len(MDB_txn *txn, unsigned db, struct store_key key)
{
	struct env *env = store_env_of(txn);
	MDB_val k = {key.len, (void *)(uintptr_t)key.bytes}, value;
	int err = store_proof_need(&env->proof, db);

	if (err == 0)
		err = store_row_err(mdb_get(txn, env->dbs[db].dbi, &k, &value));
	return err < 0 ? err : (int64_t)store_row_len(&value);
}

int store_env_put(MDB_txn *txn, unsigned db, struct store_key key, const void *value,
		  size_t value_len)
{
	struct env *env = store_env_of(txn);
	int err = store_proof_need(&env->proof, db);

	return err < 0 ? err : store_row_put(txn, &env->dbs[db], key, value, value_len);
}

int store_env_delete(MDB_txn *txn, unsigned db, struct store_key key)
{
	struct env *env = store_env_of(txn);
	int err = store_proof_need(&env->proof, db);

	return err < 0 ? err : store_row_delete(txn, &env->dbs[db], key);
}

int store_env_cursor(MDB_txn *txn, unsigned db, MDB_cursor **out_cursor)
{
	struct env *env = store_env_of(txn);
	int err = store_proof_need(&env->proof, db);

	return err < 0 ? err : store_row_err(mdb_cursor_open(txn, env->dbs[db].dbi, out_cursor));
}

uint64_t store_env_used_len(const struct env *env)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(env->lmdb, &info);
	mdb_env_stat(env->lmdb, &stat);
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/*
 * Pages that deletes freed: records of database 0 begin with their count.
 * LMDB shows it to readers only. No reader slot: nothing counts as free.
 */
static uint64_t env_free_len(struct env *env)
{
	MDB_cursor *cursor;
	MDB_txn *txn;
	MDB_stat stat;
	MDB_val key, value;
	uint64_t page_cnt = 0;

	if (mdb_txn_begin(env->lmdb, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
		return 0;
	mdb_env_stat(env->lmdb, &stat);
	if (mdb_cursor_open(txn, 0, &cursor) == MDB_SUCCESS) {
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
			size_t cnt;

			memcpy(&cnt, value.mv_data, sizeof(cnt));
			page_cnt += cnt;
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return page_cnt * stat.ms_psize;
}

int store_env_room(struct env *env, uint64_t put_len)
{
	uint64_t used_len = store_env_used_len(env) + put_len;
	uint64_t free_len;
	struct statvfs fs;

	if (used_len <= env->map_len / 4 * 3)
		return 0;
	free_len = env_free_len(env);
	used_len -= free_len < used_len ? free_len : used_len;
	while (used_len > env->map_len / 4 * 3 && env->map_len < env->map_len_max) {
		uint64_t next_len = env->map_len * 2;

		if (next_len > env->map_len_max)
			next_len = env->map_len_max;
		if (fstatvfs(env->dir_fd, &fs) < 0)
			return -errno;
		if (fs.f_bavail * fs.f_frsize < next_len - env->map_len)
			return used_len > env->map_len ? -ENOSPC : 0;
		env->map_len = next_len;
	}
	return used_len > env->map_len ? WEFT_EFULL : 0;
}

/* Before ENV_SCHEMA_CHECKS the version was a row without a check. */
static int env_version_get(struct env *env, MDB_txn *txn, uint32_t *out_version)
{
	MDB_val key = {SCHEMA_KEY_LEN, (void *)(uintptr_t)SCHEMA_KEY}, value;
	int err = store_row_err(mdb_get(txn, env->dbs[STORE_META].dbi, &key, &value));

	return err < 0 ? err : store_schema_version_parse(&key, &value, out_version);
}

static int env_migrate(MDB_txn *txn, const struct env_schema *schema, uint32_t version)
{
	uint8_t value[4];
	struct writer w = writer_of(value, sizeof(value));

	while (version < schema->version) {
		const struct env_step *step = NULL;
		int err;

		for (unsigned i = 0; i < schema->step_cnt; i++)
			if (schema->steps[i].from == version)
				step = &schema->steps[i];
		if (!step)
			return WEFT_EUNKNOWN;
		err = step->run(txn);
		if (err < 0)
			return err;
		version++;
	}
	writer_be32(&w, version);
	return store_env_put(txn, STORE_META, store_key(SCHEMA_KEY, SCHEMA_KEY_LEN), value,
			     sizeof(value));
}

static int env_db_open(struct env *env, MDB_txn *txn, unsigned db)
{
	env->dbs[db].name = store_env_databases[db].name;
	return store_row_err(mdb_dbi_open(txn, env->dbs[db].name, MDB_CREATE, &env->dbs[db].dbi));
}

/* The version is read before any other database is made or looked at. */
static int env_schema_apply(struct env *env, MDB_txn *txn, const struct env_schema *schema)
{
	uint32_t version = 0;
	bool is_fresh;
	int err;

	err = env_db_open(env, txn, STORE_META);
	if (err < 0)
		return err;
	err = env_version_get(env, txn, &version);
	is_fresh = err == WEFT_EABSENT;
	if (err < 0 && !is_fresh)
		return err;
	if (version > schema->version)
		return WEFT_ENEWER;
	for (unsigned db = STORE_META + 1; db < ENV_DB_CNT; db++) {
		err = env_db_open(env, txn, db);
		if (err < 0)
			return err;
	}
	if (version == schema->version)
		return 0;
	return env_migrate(txn, schema, is_fresh ? schema->version : version);
}

static int env_setup(struct env *env, const struct env_schema *schema)
{
	MDB_txn *txn;
	int err;

	err = store_row_err(mdb_txn_begin(env->lmdb, NULL, 0, &txn));
	if (err < 0)
		return err;
	err = env_schema_apply(env, txn, schema);
	if (err < 0) {
		mdb_txn_abort(txn);
		return err;
	}
	return store_row_err(mdb_txn_commit(txn));
}

/* LMDB syncs its file, not the directory that names it. */
static int env_dir_sync(int dir_fd)
{
	int fd = openat(dir_fd, "db", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 || fsync(dir_fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Pages that were sound when they were read are not any more; the abort that follows is reported. */
static void lmdb_gave_up(MDB_env *lmdb, const char *message)
{
	(void)lmdb, (void)message;
	crash_hint(STORE_CRASH_HINT);
}

#define FRESH_DIR "new" /* in db/ */

static int fresh_fill(const char *path, uint64_t map_len)
{
	MDB_env *lmdb;
	int err = store_row_err(mdb_env_create(&lmdb));

	if (err < 0)
		return err;
	err = store_row_err(mdb_env_set_mapsize(lmdb, map_len));
	if (err == 0)
		err = store_row_err(mdb_env_open(lmdb, path, MDB_NOLOCK, 0600));
	mdb_env_close(lmdb);
	return err;
}

static int fresh_place(int db_fd)
{
	int fd = openat(db_fd, FRESH_DIR "/data.mdb", O_RDWR | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 || renameat(db_fd, FRESH_DIR "/data.mdb", db_fd, "data.mdb") < 0 ||
	    fsync(db_fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/*
 * LMDB writes both meta pages, but syncs them only with the first commit. A
 * power cut before would leave a file that is not empty and has no meta
 * pages. So it gets its name when they are on the disk.
 */
static int fresh_make(int dir_fd, const char *dir, uint64_t map_len)
{
	char path[ENV_PATH_CAP];
	int db_fd = openat(dir_fd, "db", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (db_fd < 0)
		return -errno;
	if ((size_t)snprintf(path, sizeof(path), "%s/" FRESH_DIR, dir) >= sizeof(path))
		err = -ENAMETOOLONG;
	else if ((mkdirat(db_fd, FRESH_DIR, 0700) < 0 && errno != EEXIST) ||
		 (unlinkat(db_fd, FRESH_DIR "/data.mdb", 0) < 0 && errno != ENOENT))
		err = -errno;
	if (err == 0)
		err = fresh_fill(path, map_len);
	if (err == 0)
		err = fresh_place(db_fd);
	(void)unlinkat(db_fd, FRESH_DIR, AT_REMOVEDIR);
	close(db_fd);
	return err;
}

static int env_begin(struct env *env, const struct store_config *config, int dir_fd,
		     const struct env_schema *schema)
{
	const struct proof_config proof = {
		.dir_fd = dir_fd,
		.stop_fd = config->stop_fd,
		.version_max = schema->version,
		.late_ns = config->is_inline ? UINT64_MAX : config->proof_ns,
	};
	char path[ENV_PATH_CAP];
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/db", config->dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdirat(dir_fd, "db", 0700) < 0 && errno != EEXIST)
		return -errno;
	err = store_proof_open(&env->proof, &proof);
	if (err == 0 && env->proof.is_absent)
		err = fresh_make(dir_fd, path, config->map_len_max + ENV_RESERVE_LEN);
	if (err < 0)
		return err;
	err = store_row_err(mdb_env_create(&env->lmdb));
	if (err < 0)
		return err;
	(void)mdb_env_set_assert(env->lmdb, lmdb_gave_up);
	(void)mdb_env_set_userctx(env->lmdb, env);
	err = store_row_err(mdb_env_set_maxdbs(env->lmdb, ENV_DB_CNT));
	if (err == 0)
		err = store_row_err(mdb_env_set_maxreaders(env->lmdb, config->reader_cap));
	if (err == 0)
		err = store_row_err(
			mdb_env_set_mapsize(env->lmdb, config->map_len_max + ENV_RESERVE_LEN));
	if (err == 0)
		err = store_row_err(mdb_env_open(env->lmdb, path, MDB_NOTLS, 0600));
	if (err == 0)
		err = env_setup(env, schema);
	return err < 0 ? err : env_dir_sync(dir_fd);
}

int store_env_open(struct env *env, const struct store_config *config, int dir_fd,
		   const struct env_schema *schema)
{
	int err;

	*env = (struct env){.map_len = config->map_len,
			    .map_len_max = config->map_len_max,
			    .dir_fd = dir_fd,
			    .proof.fd = -1};
	err = env_begin(env, config, dir_fd, schema);
	if (err < 0) {
		if (config->finding)
			memcpy(config->finding, env->proof.finding, STORE_FINDING_CAP);
		store_env_close(env);
	}
	return err;
}

void store_env_close(struct env *env)
{
	if (env->lmdb)
		mdb_env_close(env->lmdb);
	env->lmdb = NULL;
	store_proof_close(&env->proof);
}
