/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store on a disk that loses power, tears sectors, fails calls, or lies
 * (lying_disk.h), in random schedules. Each life of a store puts and deletes
 * for a while, then the power goes, in the middle of any call. The next life
 * begins with what the disk kept, which may be in the middle of the recovery
 * from the cut before.
 *
 * An acknowledged value is there, whole; any other is there whole or not at
 * all. An unreadable one is refused with a sentence; no value is shown that
 * was not put. Each seed runs in a child: none ends in a signal.
 *
 * SEED=N runs that one alone, SEEDS=N the first N (5).
 */
#include "store/store.h"

#include <signal.h>
#include <sys/wait.h>

#include "lying_image.h"
#include "support/check.h"
#include "support/scratch.h"

#define LIFE_CNT  8
#define SEED_S	  120 /* of one child; a hang */
#define ROW_CNT	  20
#define BLOB_CNT  10
#define VALUE_CAP 9000
#define STATE_CAP 64
#define OPS_MAX	  5

/* Every way in which the disk is bad; a seed goes through all of them. */
static const struct kind {
	const char *name;
	bool tears, lies;
	unsigned fault_per_1000;
} kinds[] = {
	{"honest", false, false, 0},
	{"tearing sectors", true, false, 0},
	{"failing", false, false, 15},
	{"lying", true, true, 0},
};
#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))

static const enum store_db row_dbs[] = {STORE_PEERS, STORE_PATHS, STORE_OUTBOARDS};
#define ROW_DB_CNT (sizeof(row_dbs) / sizeof(row_dbs[0]))

/* What is stored: the version of each row, 0 for none, and which blobs. */
struct state {
	uint32_t rows[ROW_DB_CNT][ROW_CNT];
	bool blobs[BLOB_CNT];
};

/* A state that may be found: base when it was acknowledged, else one that was asked for on top of it. */
struct claim {
	struct state state;
	unsigned op_cnt; /* of the disk, when it was asked for, or acknowledged */
	bool is_acknowledged;
};

static struct claim claims[2 * STATE_CAP];
static unsigned claim_cnt;
static uint32_t version; /* the newest */

/* --- values --- */

static void key_of(unsigned db, unsigned row, uint8_t key[static 32])
{
	memset(key, 0x11 * (int)(db + 1), 32);
	key[0] = (uint8_t)(row * 37);
	key[1] = (uint8_t)row;
}

static size_t value_of(unsigned db, unsigned row, uint32_t now, uint8_t value[static VALUE_CAP])
{
	size_t len = now % 7 == 0 ? 5000 + now % 3000 : 20 + now % 300;

	memcpy(value, &now, sizeof(now));
	for (size_t i = sizeof(now); i < len; i++)
		value[i] = (uint8_t)(i * 31 + now * 7 + row * 3 + db);
	return len;
}

static size_t blob_of(unsigned blob, uint8_t id[static 32], uint8_t value[static VALUE_CAP])
{
	memset(id, (int)blob + 1, 32);
	return value_of(9, blob, blob * 13 + 5, value);
}

/* --- looking --- */

/* The version, 0 for none; -1: it says that it cannot be read; -2: no such value was put. */
static int64_t row_version(struct store_snapshot *snapshot, unsigned db, unsigned row)
{
	uint8_t key[32], value[VALUE_CAP];
	const void *found;
	uint32_t now;
	size_t len;
	int err;

	key_of(db, row, key);
	err = store_get(snapshot, row_dbs[db], store_key(key, sizeof(key)), &found, &len);
	if (err == WEFT_EABSENT)
		return 0;
	if (err < 0)
		return -1;
	if (len < sizeof(now))
		return -2;
	memcpy(&now, found, sizeof(now));
	if (now == 0 || now > version || value_of(db, row, now, value) != len ||
	    memcmp(found, value, len) != 0)
		return -2;
	return now;
}

static int blob_look(struct store *store, struct store_snapshot *snapshot, unsigned blob)
{
	uint8_t id[32], value[VALUE_CAP], found[VALUE_CAP];
	size_t len = blob_of(blob, id, value);
	int64_t there = store_blob_len(snapshot, id);
	int err;

	if (there == WEFT_EABSENT)
		return 0;
	if (there < 0)
		return -1;
	if ((size_t)there != len)
		return -2;
	err = store_blob_read(store, id, 0, found, len);
	if (err < 0)
		return -1;
	return memcmp(found, value, len) == 0 ? 1 : -2;
}

struct look {
	struct state state;
	unsigned refused_cnt, wrong_cnt;
	bool is_closed; /* LMDB refuses everything after a meta page that it could not write */
};

static void store_look(struct store *store, struct look *out_look)
{
	struct store_snapshot *snapshot;

	*out_look = (struct look){0};
	out_look->is_closed = store_snapshot_open(store, &snapshot) < 0;
	if (out_look->is_closed)
		return;
	for (unsigned db = 0; db < ROW_DB_CNT; db++)
		for (unsigned row = 0; row < ROW_CNT; row++) {
			int64_t found = row_version(snapshot, db, row);

			out_look->refused_cnt += found == -1;
			out_look->wrong_cnt += found == -2;
			out_look->state.rows[db][row] = found > 0 ? (uint32_t)found : 0;
		}
	for (unsigned blob = 0; blob < BLOB_CNT; blob++) {
		int found = blob_look(store, snapshot, blob);

		out_look->refused_cnt += found == -1;
		out_look->wrong_cnt += found == -2;
		out_look->state.blobs[blob] = found == 1;
	}
	store_snapshot_close(snapshot);
}

static bool state_equal(const struct state *a, const struct state *b)
{
	return memcmp(a->rows, b->rows, sizeof(a->rows)) == 0 &&
	       memcmp(a->blobs, b->blobs, sizeof(a->blobs)) == 0;
}

/* What was acknowledged last before the cut, or what was asked for since. */
static bool state_is_claimed(const struct state *state, unsigned op_cnt)
{
	unsigned last = 0;

	for (unsigned i = 0; i < claim_cnt; i++)
		if (claims[i].is_acknowledged && claims[i].op_cnt <= op_cnt)
			last = i;
	for (unsigned i = last; i < claim_cnt; i++)
		if ((i == last || (!claims[i].is_acknowledged && claims[i].op_cnt <= op_cnt)) &&
		    state_equal(&claims[i].state, state))
			return true;
	return false;
}

/* --- one life --- */

static int open_at(const char *dir, char finding[static STORE_FINDING_CAP],
		   struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	config.segment_len_max = 20 << 10;
	config.map_len_max = 256 << 20;
	config.finding = finding;
	finding[0] = '\0';
	return store_open(&config, out_store);
}

static void claim_add(const struct state *state, bool is_acknowledged)
{
	if (claim_cnt == 2 * STATE_CAP)
		abort();
	claims[claim_cnt++] = (struct claim){*state, disk.op_cnt, is_acknowledged};
}

static void op_add(struct store_batch *batch, struct state *state)
{
	uint8_t key[32], value[VALUE_CAP];
	unsigned db = disk_pick(ROW_DB_CNT), row = disk_pick(ROW_CNT);
	unsigned blob = disk_pick(BLOB_CNT);

	key_of(db, row, key);
	switch (disk_pick(6)) {
	case 0:
	case 1:
	case 2:
		state->rows[db][row] = version;
		store_batch_put(batch, row_dbs[db], store_key(key, sizeof(key)), value,
				value_of(db, row, version, value));
		break;
	case 3:
		state->rows[db][row] = 0;
		store_batch_delete(batch, row_dbs[db], store_key(key, sizeof(key)));
		break;
	case 4:
		state->blobs[blob] = true;
		store_batch_put_blob(batch, key, value, blob_of(blob, key, value));
		break;
	default:
		state->blobs[blob] = false;
		(void)blob_of(blob, key, value);
		store_batch_delete_blob(batch, key);
	}
}

static void note(void *arg, int err)
{
	*(int *)arg = err;
}

/* One batch; io_state is what is stored before and after. */
static void batch_run(struct store *store, struct state *io_state)
{
	struct store_batch *batch = store_batch_new(store);
	struct state asked = *io_state;
	int err = 1;

	version++;
	for (unsigned i = 0, cnt = 1 + disk_pick(OPS_MAX); i < cnt; i++)
		op_add(batch, &asked);
	claim_add(&asked, false);
	if (store_submit(store, batch, note, &err) < 0)
		abort();
	store_flush(store);
	if (err < 0)
		return;
	*io_state = asked;
	claim_add(io_state, true);
}

/* Works until it has had enough; what it shows meanwhile is what was acknowledged. */
static bool life_work(struct store *store, struct state *io_state, const struct kind *kind)
{
	unsigned cnt = disk_pick(16);
	struct look look;

	for (unsigned i = 0; i < cnt; i++) {
		if (disk_chance(120))
			(void)!store_compact(store);
		else
			batch_run(store, io_state);
	}
	disk.fault_per_1000 = 0;
	store_look(store, &look);
	if (look.is_closed)
		return kind->fault_per_1000;
	if (look.wrong_cnt == 0 && look.refused_cnt == 0 && state_equal(&look.state, io_state))
		return true;
	printf("# a %s disk, %s: %u wrong, %u refused\n", kind->name,
	       "what is shown is not what was acknowledged", look.wrong_cnt, look.refused_cnt);
	return false;
}

static char names[DISK_FILE_CAP][DISK_NAME_CAP];
static unsigned name_cnt;

static void folders_make(const char *root, unsigned life, char dir[static SCRATCH_CAP])
{
	char path[SCRATCH_CAP + 16];

	snprintf(dir, SCRATCH_CAP, "%s/%u", root, life);
	snprintf(path, sizeof(path), "%s/db", dir);
	if (mkdir(dir, 0700) < 0 || mkdir(path, 0700) < 0)
		abort();
	snprintf(path, sizeof(path), "%s/segments", dir);
	if (mkdir(path, 0700) < 0)
		abort();
}

/* A refused store has a sentence, and all that was acknowledged comes out of it. */
static bool refusal_is_right(const char *dir, int err, const char *finding, const struct kind *kind)
{
	struct store_salvage_result result;

	if (err != WEFT_EDAMAGED || !finding[0] || (!kind->tears && !kind->lies)) {
		printf("# a %s disk: refused with %d, %s\n", kind->name, err, finding);
		return false;
	}
	err = store_salvage(dir, NULL, NULL, &result);
	if (err < 0 && !kind->lies)
		printf("# a %s disk: %s; salvage: %d\n", kind->name, finding, err);
	return err == 0 || kind->lies;
}

/*
 * What the cut left, opened; io_state becomes what is found there.
 * 1: go on with it; 0: it is refused, rightly, and salvaged; -1: not right.
 */
static int image_judge(const char *dir, unsigned end, const struct kind *kind,
		       struct state *io_state)
{
	char finding[STORE_FINDING_CAP];
	struct store *store;
	struct look look;
	int err = open_at(dir, finding, &store);
	bool is_refused = err < 0;

	if (is_refused && !refusal_is_right(dir, err, finding, kind))
		return -1;
	if (is_refused && (kind->lies || open_at(dir, finding, &store) < 0))
		return kind->lies ? 0 : -1;
	store_look(store, &look);
	store_close(store);
	*io_state = look.state;
	if (kind->lies)
		return look.wrong_cnt ? -1 : look.refused_cnt == 0;
	if (!look.is_closed && look.wrong_cnt == 0 && look.refused_cnt == 0 &&
	    state_is_claimed(&look.state, end))
		return !is_refused;
	printf("# a %s disk, cut after %u of %u calls: %u wrong, %u refused, %s\n", kind->name, end,
	       disk.op_cnt, look.wrong_cnt, look.refused_cnt,
	       "what is there is not what was acknowledged");
	return -1;
}

/* The store is opened, works, and is closed or left; faults begin before it is open. */
static bool life_run(const char *dir, const struct kind *kind, struct state *io_state)
{
	char finding[STORE_FINDING_CAP];
	struct store *store;
	bool is_right;
	int err;

	claim_cnt = 0;
	disk_begin(dir, names, name_cnt);
	claim_add(io_state, true);
	disk.lies = kind->lies;
	disk.fault_per_1000 = kind->fault_per_1000;
	err = open_at(dir, finding, &store);
	if (err < 0 && disk.fault_per_1000) {
		/* What the disk refused once is no damage. */
		disk.fault_per_1000 = 0;
		if (err == WEFT_EDAMAGED)
			printf("# a %s disk: opened with %d, %s\n", kind->name, err, finding);
		err = err == WEFT_EDAMAGED ? err : open_at(dir, finding, &store);
	}
	if (err < 0) {
		printf("# a %s disk: cannot be opened: %d, %s\n", kind->name, err, finding);
		disk_end();
		return kind->lies && err == WEFT_EDAMAGED;
	}
	is_right = life_work(store, io_state, kind);
	if (disk_chance(500)) {
		store_close(store);
		disk_end();
	} else {
		disk_end();
		store_crash(store);
	}
	return is_right;
}

/* Lives of one kind, until the store is refused. */
static bool kind_run(const char *root, const struct kind *kind)
{
	struct state state = {0};
	char dir[SCRATCH_CAP], next[SCRATCH_CAP];

	version = 0;
	name_cnt = 0;
	folders_make(root, 0, dir);
	for (unsigned life = 1; life <= LIFE_CNT; life++) {
		unsigned end;
		int judged;

		if (!life_run(dir, kind, &state))
			return false;
		end = disk_pick(disk.op_cnt + 1);
		folders_make(root, life, dir);
		name_cnt = disk_image(dir, end, kind->tears, names);
		/* The next life begins with the cut, not with what a look at it mended. */
		folders_make(root, 100 + life, next);
		disk_copy(dir, next, names, name_cnt);
		judged = image_judge(next, end, kind, &state);
		disk_forget();
		if (judged <= 0)
			return judged == 0;
	}
	return true;
}

static int seed_run(uint64_t seed)
{
	char root[SCRATCH_CAP], place[SCRATCH_CAP + 8];
	bool is_right = true;

	alarm(SEED_S);
	scratch_make(root);
	for (unsigned k = 0; k < KIND_CNT && is_right; k++) {
		disk.random = seed * 1000 + k;
		snprintf(place, sizeof(place), "%s/k%u", root, k);
		is_right = mkdir(place, 0700) == 0 && kind_run(place, &kinds[k]);
	}
	scratch_remove(root);
	fflush(stdout);
	return is_right ? 0 : 1;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void
test_what_was_acknowledged_survives_a_bad_disk_and_nothing_is_shown_that_was_not_put(void)
{
	uint64_t one = number_of("SEED", 0), last = one ? one : number_of("SEEDS", 5);

	for (uint64_t seed = one ? one : 1; seed <= last; seed++) {
		int status = 0;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0)
			_exit(seed_run(seed));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			printf("# seed %llu: %s %d\n", (unsigned long long)seed,
			       WIFSIGNALED(status) ? "signal" : "status",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		CHECK_EQ(status, 0);
	}
}

int main(void)
{
	RUN(test_what_was_acknowledged_survives_a_bad_disk_and_nothing_is_shown_that_was_not_put);
	return check_done();
}
