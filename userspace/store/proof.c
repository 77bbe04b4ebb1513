/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB trusts its pages: a damaged one ends in a signal, in a loop, or in
 * a value that nobody wrote. So pages.c reads the file before LMDB does.
 * At a start that is the list of databases, the free list and whatever the
 * start reads; the late databases follow while there is time, then on the
 * store thread when it has nothing to commit, and at the latest before
 * their first use. Nothing writes to a database before it was read, so
 * its pages are those of the start until then.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"

int schema_version_parse(const MDB_val *key, const MDB_val *value, uint32_t *out_version)
{
	MDB_val bare = *value;
	bool has_check = value->mv_size != sizeof(*out_version);
	struct cursor c;
	int err = has_check ? row_check(env_databases[STORE_META].name, key, &bare) : 0;

	if (err < 0)
		return err;
	c = cursor_of(bare.mv_data, bare.mv_size);
	*out_version = cursor_be32(&c);
	if (c.bad || *out_version == 0 || (*out_version >= ENV_SCHEMA_CHECKS) != has_check)
		return WEFT_EDAMAGED;
	return 0;
}

/* --- rows --- */

struct reading {
	struct proof *proof;
	const char *name;
	uint32_t version; /* of META */
};

static void finding_keep(struct proof *proof, const char *finding)
{
	if (!proof->finding[0])
		snprintf(proof->finding, sizeof(proof->finding), "%s", finding);
}

static void row_finding_keep(struct proof *proof, const char *database)
{
	char finding[PAGES_FINDING_CAP];

	snprintf(finding, sizeof(finding), "database %s: the check of a row does not match",
		 database);
	finding_keep(proof, finding);
}

static int row_prove(void *arg, const struct pages_row *row)
{
	struct reading *reading = arg;
	struct proof *proof = reading->proof;
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};
	MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};
	int err = row_check(reading->name, &key, &value);

	if (err < 0)
		row_finding_keep(proof, reading->name);
	return err;
}

static int version_note(void *arg, const struct pages_row *row)
{
	struct reading *reading = arg;
	MDB_val key = {row->key_len, (void *)(uintptr_t)row->key};
	MDB_val value = {row->value_len, (void *)(uintptr_t)row->value};

	if (row->key_len != SCHEMA_KEY_LEN || memcmp(row->key, SCHEMA_KEY, SCHEMA_KEY_LEN) != 0)
		return 0;
	return schema_version_parse(&key, &value, &reading->version);
}

/* --- databases, under the lock --- */

static int db_prove(struct proof *proof, unsigned db, bool has_checks)
{
	struct reading reading = {.proof = proof, .name = env_databases[db].name};
	int err = pages_walk(proof->pages, reading.name, has_checks ? row_prove : NULL, &reading);

	if (err == WEFT_EDAMAGED) {
		finding_keep(proof, pages_finding(proof->pages));
		__atomic_store_n(&proof->is_damaged, true, __ATOMIC_RELEASE);
	}
	if (err == 0 || err == WEFT_EDAMAGED)
		__atomic_store_n(&proof->states[db], err == 0 ? PROOF_SOUND : PROOF_DAMAGED,
				 __ATOMIC_RELEASE);
	return err;
}

static void pages_end(struct proof *proof)
{
	pages_close(proof->pages);
	proof->pages = NULL;
	if (proof->fd >= 0)
		close(proof->fd);
	proof->fd = -1;
}

/* UINT_MAX: none is open. */
static unsigned db_open_first(const struct proof *proof)
{
	for (unsigned db = 0; db < ENV_DB_CNT; db++)
		if (proof->states[db] == PROOF_OPEN)
			return db;
	return UINT_MAX;
}

int proof_need(struct proof *proof, unsigned db)
{
	uint8_t state = __atomic_load_n(&proof->states[db], __ATOMIC_ACQUIRE);
	int err = state == PROOF_DAMAGED ? WEFT_EDAMAGED : 0;

	if (state != PROOF_OPEN)
		return err;
	pthread_mutex_lock(&proof->lock);
	if (proof->states[db] == PROOF_OPEN)
		err = db_prove(proof, db, true);
	else if (proof->states[db] == PROOF_DAMAGED)
		err = WEFT_EDAMAGED;
	pthread_mutex_unlock(&proof->lock);
	return err;
}

bool proof_next(struct proof *proof)
{
	unsigned db;
	int err = 0;

	pthread_mutex_lock(&proof->lock);
	db = db_open_first(proof);
	if (db != UINT_MAX)
		err = db_prove(proof, db, true);
	else if (proof->pages)
		pages_end(proof);
	pthread_mutex_unlock(&proof->lock);
	/* What the disk refuses is tried again at the first use. */
	return db != UINT_MAX && (err == 0 || err == WEFT_EDAMAGED);
}

/* The thread with the lock is reading: the row will be met again. */
void proof_note_row(struct proof *proof, unsigned db)
{
	if (proof_finding(proof) || pthread_mutex_trylock(&proof->lock) != 0)
		return;
	row_finding_keep(proof, env_databases[db].name);
	__atomic_store_n(&proof->is_damaged, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&proof->lock);
}

const char *proof_finding(const struct proof *proof)
{
	return __atomic_load_n(&proof->is_damaged, __ATOMIC_ACQUIRE) ? proof->finding : NULL;
}

/* --- at a start --- */

/* 0 with the version that the file has, 0 for none. */
static int version_read(int fd, struct proof *proof, uint32_t *out_version)
{
	struct pages_config config = {.fd = fd};
	struct reading reading = {.proof = proof};
	struct pages *pages;
	int err = pages_open(&config, &pages, proof->finding);

	if (err < 0)
		return err;
	err = pages_walk(pages, env_databases[STORE_META].name, version_note, &reading);
	if (err == WEFT_EDAMAGED)
		finding_keep(proof, pages_finding(pages));
	if (err == WEFT_EDAMAGED)
		finding_keep(proof, "the schema version is damaged");
	pages_close(pages);
	*out_version = reading.version;
	return err;
}

/* Whether a database of cnt pages can be read until end_ns, at the pace so far. */
static bool has_time(uint64_t begin_ns, uint64_t end_ns, uint64_t done_cnt, uint64_t cnt)
{
	uint64_t now_ns = clock_monotonic_ns();

	return end_ns == UINT64_MAX ||
	       (now_ns < end_ns && (now_ns - begin_ns) / (done_cnt + 1) * cnt < end_ns - now_ns);
}

static int dbs_prove(struct proof *proof, uint64_t late_ns, bool has_checks)
{
	uint64_t begin_ns = clock_monotonic_ns(), done_cnt = 0;
	uint64_t end_ns = late_ns == UINT64_MAX ? late_ns : begin_ns + late_ns;
	int err = 0;

	for (int late = 0; late < 2; late++)
		for (unsigned db = 0; db < ENV_DB_CNT && err == 0; db++) {
			uint64_t cnt = pages_cnt(proof->pages, env_databases[db].name);

			if (env_databases[db].is_late != late ||
			    (late && cnt && !has_time(begin_ns, end_ns, done_cnt, cnt)))
				continue;
			err = db_prove(proof, db, has_checks);
			done_cnt += cnt;
		}
	return err;
}

static int file_prove(struct proof *proof, uint32_t version_max, uint64_t late_ns)
{
	struct pages_config config = {.fd = proof->fd};
	uint32_t version;
	int err = version_read(proof->fd, proof, &version);

	if (err == 0 && version > version_max)
		err = WEFT_ENEWER;
	if (err == 0)
		err = pages_open(&config, &proof->pages, proof->finding);
	if (err < 0)
		return err;
	/* Steps to the newest schema go over everything. */
	if (version < version_max)
		late_ns = UINT64_MAX;
	return dbs_prove(proof, late_ns, version >= ENV_SCHEMA_CHECKS);
}

int proof_open(struct proof *proof, int dir_fd, uint32_t version_max, uint64_t late_ns)
{
	int err;

	*proof = (struct proof){.fd = -1};
	err = -pthread_mutex_init(&proof->lock, NULL);
	if (err < 0)
		return err;
	proof->fd = openat(dir_fd, "db/data.mdb", O_RDONLY | O_CLOEXEC);
	if (proof->fd < 0)
		err = errno == ENOENT ? WEFT_EABSENT : -errno;
	else
		err = file_prove(proof, version_max, late_ns);
	if (err == WEFT_EABSENT) {
		for (unsigned db = 0; db < ENV_DB_CNT; db++)
			proof->states[db] = PROOF_SOUND;
		err = 0;
	}
	if (err < 0 || db_open_first(proof) == UINT_MAX)
		pages_end(proof);
	return err;
}

void proof_close(struct proof *proof)
{
	if (!proof->pages && proof->fd < 0)
		return;
	pages_end(proof);
}
