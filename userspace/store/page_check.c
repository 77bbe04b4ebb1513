/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB trusts its pages: a damaged one ends in a signal, in a loop, or in a value that was never
 * written. So pages.c reads the file before LMDB does. At a start that is the list of databases,
 * the free list and whatever the start reads. The late databases follow while there is time. The
 * rest follows on the store thread when it has nothing to commit, and at the latest before its
 * first use. A user of one waits for that one alone: the store thread stands still meanwhile,
 * wherever it is. Nothing writes to a database before it was read, so its pages are those of the
 * start until then.
 */
#include "store/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/byte_cursor.h"

int store_schema_version_parse(const MDB_val *key, const MDB_val *value, uint32_t *out_version)
{
	MDB_val bare = *value;
	bool has_check = value->mv_size != sizeof(*out_version);
	struct cursor c;
	int err = has_check ? store_row_check(store_env_databases[STORE_META].name, key, &bare) : 0;

	if (err < 0)
		return err;
	c = cursor_of(bare.mv_data, bare.mv_size);
	*out_version = cursor_be32(&c);
	if (c.bad || *out_version == 0 || (*out_version >= ENV_SCHEMA_CHECKS) != has_check)
		return WEFT_EDAMAGED;
	return 0;
}

/* --- its end --- */

#define STOP_ASK_PAGES 64u /* a system call each */

void store_proof_hurry(struct proof *proof)
{
	__atomic_store_n(&proof->is_hurried, true, __ATOMIC_RELAXED);
}

/* Under the lock, which this lets go. */
static void behind_give_way(struct proof *proof)
{
	if (!proof->has_behind || !pthread_equal(proof->behind, pthread_self()))
		return;
	while (__atomic_load_n(&proof->waiting_cnt, __ATOMIC_RELAXED))
		pthread_cond_wait(&proof->turn, &proof->lock);
}

/* The thread that would take the signal may be the one that waits for this walk. */
static bool proof_is_hurried(void *arg, size_t read_len)
{
	struct proof *proof = arg;
	struct pollfd stop = {.fd = proof->stop_fd, .events = POLLIN};

	(void)read_len;
	behind_give_way(proof);
	if (proof->stop_fd >= 0 && proof->asked_cnt++ % STOP_ASK_PAGES == 0 &&
	    poll(&stop, 1, 0) == 1)
		store_proof_hurry(proof);
	return __atomic_load_n(&proof->is_hurried, __ATOMIC_RELAXED);
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
	int err = store_row_check(reading->name, &key, &value);

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
	return store_schema_version_parse(&key, &value, &reading->version);
}

/* --- databases, under the lock --- */

static int db_prove(struct proof *proof, unsigned db, bool has_checks)
{
	struct reading reading = {.proof = proof, .name = store_env_databases[db].name};
	/* The step to schema 7 checks each row of the old ones, and leaves damaged rows there. */
	bool has_proof = has_checks && db < ENV_OLD_PODS;
	int err;

	__atomic_store_n(&proof->states[db], PROOF_READING, __ATOMIC_RELAXED);
	err = store_pages_walk(proof->pages, reading.name, has_proof ? row_prove : NULL, &reading);
	if (err == WEFT_EDAMAGED) {
		finding_keep(proof, store_pages_finding(proof->pages));
		__atomic_store_n(&proof->is_damaged, true, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&proof->states[db],
			 err == 0		? PROOF_SOUND
			 : err == WEFT_EDAMAGED ? PROOF_DAMAGED
						: PROOF_OPEN,
			 __ATOMIC_RELEASE);
	return err;
}

static void pages_end(struct proof *proof)
{
	store_pages_close(proof->pages);
	proof->pages = NULL;
	if (proof->fd >= 0)
		close(proof->fd);
	proof->fd = -1;
}

/* The smallest, so that most are soon ready. UINT_MAX: none is open. */
static unsigned db_open_first(const struct proof *proof)
{
	unsigned first = UINT_MAX;
	uint64_t least = UINT64_MAX;

	for (unsigned db = 0; db < ENV_DB_CNT; db++) {
		uint64_t cnt;

		if (proof->states[db] != PROOF_OPEN)
			continue;
		cnt = proof->pages ? store_pages_cnt(proof->pages, store_env_databases[db].name)
				   : 0;
		if (cnt < least) {
			least = cnt;
			first = db;
		}
	}
	return first;
}

static void waiting_end(struct proof *proof)
{
	__atomic_fetch_sub(&proof->waiting_cnt, 1, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&proof->turn);
}

/* Under the lock. The other reader must not wait for this caller. */
static void reading_await(struct proof *proof, unsigned db)
{
	if (proof->states[db] != PROOF_READING)
		return;
	waiting_end(proof);
	while (proof->states[db] == PROOF_READING)
		pthread_cond_wait(&proof->turn, &proof->lock);
	__atomic_fetch_add(&proof->waiting_cnt, 1, __ATOMIC_RELAXED);
}

int store_proof_need(struct proof *proof, unsigned db)
{
	uint8_t state = __atomic_load_n(&proof->states[db], __ATOMIC_ACQUIRE);
	int err = 0;

	if (state == PROOF_SOUND || state == PROOF_DAMAGED)
		return state == PROOF_DAMAGED ? WEFT_EDAMAGED : 0;
	__atomic_fetch_add(&proof->waiting_cnt, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&proof->lock);
	reading_await(proof, db);
	if (proof->states[db] == PROOF_OPEN)
		err = db_prove(proof, db, true);
	else if (proof->states[db] == PROOF_DAMAGED)
		err = WEFT_EDAMAGED;
	waiting_end(proof);
	pthread_mutex_unlock(&proof->lock);
	return err;
}

static bool is_reading(const struct proof *proof)
{
	for (unsigned db = 0; db < ENV_DB_CNT; db++)
		if (proof->states[db] == PROOF_READING)
			return true;
	return false;
}

bool store_proof_next(struct proof *proof)
{
	unsigned db;
	int err = 0;

	pthread_mutex_lock(&proof->lock);
	proof->behind = pthread_self();
	proof->has_behind = true;
	behind_give_way(proof);
	db = db_open_first(proof);
	if (db != UINT_MAX)
		err = db_prove(proof, db, true);
	else if (proof->pages && !is_reading(proof))
		pages_end(proof);
	proof->has_behind = false;
	pthread_cond_broadcast(&proof->turn);
	pthread_mutex_unlock(&proof->lock);
	/* Pages that the disk refuses are tried again at the first use. */
	return db != UINT_MAX && (err == 0 || err == WEFT_EDAMAGED);
}

/* The thread with the lock is reading: the row will be met again. */
void store_proof_note_gone(struct proof *proof)
{
	pthread_mutex_lock(&proof->lock);
	finding_keep(proof, "the databases are gone from the state folder");
	__atomic_store_n(&proof->is_damaged, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&proof->lock);
}

void store_proof_note_row(struct proof *proof, unsigned db)
{
	if (store_proof_finding(proof) || pthread_mutex_trylock(&proof->lock) != 0)
		return;
	row_finding_keep(proof, store_env_databases[db].name);
	__atomic_store_n(&proof->is_damaged, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&proof->lock);
}

const char *store_proof_finding(const struct proof *proof)
{
	return __atomic_load_n(&proof->is_damaged, __ATOMIC_ACQUIRE) ? proof->finding : NULL;
}

/* --- at a start --- */

/* 0 with the version that the file has, 0 for none. */
static int version_read(int fd, struct proof *proof, uint32_t *out_version)
{
	struct pages_config config = {.fd = fd, .stop = &proof->stop};
	struct reading reading = {.proof = proof};
	struct pages *pages;
	int err = store_pages_open(&config, &pages, proof->finding);

	if (err < 0)
		return err;
	err = store_pages_walk(pages, store_env_databases[STORE_META].name, version_note, &reading);
	if (err == WEFT_EDAMAGED)
		finding_keep(proof, store_pages_finding(pages));
	if (err == WEFT_EDAMAGED)
		finding_keep(proof, "the schema version is damaged");
	store_pages_close(pages);
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
			uint64_t cnt = store_pages_cnt(proof->pages, store_env_databases[db].name);

			if (store_env_databases[db].is_late != late ||
			    (late && cnt && !has_time(begin_ns, end_ns, done_cnt, cnt)))
				continue;
			err = db_prove(proof, db, has_checks);
			done_cnt += cnt;
		}
	return err;
}

static int file_prove(struct proof *proof, uint32_t version_max, uint64_t late_ns)
{
	struct pages_config config = {.fd = proof->fd, .stop = &proof->stop};
	uint32_t version;
	int err = version_read(proof->fd, proof, &version);

	if (err == 0 && version > version_max) {
		snprintf(proof->finding, sizeof(proof->finding),
			 "it has schema %u, and this version knows schemas up to %u", version,
			 version_max);
		err = WEFT_ENEWER;
	}
	if (err == 0)
		err = store_pages_open(&config, &proof->pages, proof->finding);
	if (err < 0)
		return err;
	/* Steps to the newest schema go over everything. */
	if (version < version_max)
		late_ns = UINT64_MAX;
	return dbs_prove(proof, late_ns, version >= ENV_SCHEMA_CHECKS);
}

int store_proof_open(struct proof *proof, const struct proof_config *config)
{
	int err;

	*proof = (struct proof){.fd = -1, .stop_fd = config->stop_fd};
	proof->stop = (struct store_stop){proof_is_hurried, proof};
	err = -pthread_mutex_init(&proof->lock, NULL);
	if (err == 0)
		err = -pthread_cond_init(&proof->turn, NULL);
	if (err < 0)
		return err;
	proof->fd = openat(config->dir_fd, "db/data.mdb", O_RDONLY | O_CLOEXEC);
	if (proof->fd < 0)
		err = errno == ENOENT ? WEFT_EABSENT : -errno;
	else
		err = file_prove(proof, config->version_max, config->late_ns);
	if (err == WEFT_EABSENT) {
		for (unsigned db = 0; db < ENV_DB_CNT; db++)
			proof->states[db] = PROOF_SOUND;
		proof->is_absent = true;
		err = 0;
	}
	if (err < 0 || db_open_first(proof) == UINT_MAX)
		pages_end(proof);
	return err;
}

void store_proof_close(struct proof *proof)
{
	if (!proof->pages && proof->fd < 0)
		return;
	pages_end(proof);
}
