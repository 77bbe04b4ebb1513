/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store is damaged at one place of one of its files, 5,000 times over. A
 * child process then opens, reads, writes and reopens it. It may refuse the
 * store, or report a row or a blob as damaged, or find all as it was. It
 * never dies, never hangs, and never shows a row that was not put or passes
 * over one that was.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

#ifdef __SANITIZE_ADDRESS__
#define FLIP_CNT 500 /* each opens a store in a child, which takes ten times as long */
#else
#define FLIP_CNT 5000
#endif
#define LIFE_S	  5 /* of one child */
#define ROW_CNT	  100
#define BLOB_CNT  24
#define VALUE_CAP 9000
#define FILE_CAP  (2u << 20)
#define SMEAR_LEN 512u

static char dir[SCRATCH_CAP];
static uint64_t random_state;

static uint64_t random_next(void)
{
	/* SplitMix64 (Steele, Lea, Flood 2014). */
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* --- what the store has --- */

static const enum store_db row_dbs[] = {STORE_META,	 STORE_PEERS, STORE_SHARES,
					STORE_OUTBOARDS, STORE_PATHS, STORE_BANS};
#define ROW_DB_CNT (sizeof(row_dbs) / sizeof(row_dbs[0]))

static size_t key_of(enum store_db db, unsigned i, uint8_t key[static 64])
{
	memset(key, 0, 64);
	key[0] = (uint8_t)(i * 37);
	key[1] = (uint8_t)(db + 1);
	key[2] = (uint8_t)i;
	return db == STORE_BANS ? 33 : 32;
}

/* Most are short, some take pages of their own. */
static size_t value_of(enum store_db db, unsigned i, uint8_t value[static VALUE_CAP])
{
	size_t len = i % 19 == 0 ? 5000 + i * 17 % 3000 : 20 + (i * 7 + db) % 150;

	for (size_t k = 0; k < len; k++)
		value[k] = (uint8_t)(k * 31 + i * 7 + db);
	return len;
}

static bool was_deleted(unsigned i)
{
	return i % 5 == 3;
}

static void blob_id(unsigned i, uint8_t id[static 32])
{
	memset(id, (int)i + 1, 32);
}

static int open_at(const char *path, bool is_inline, struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = path;
	config.is_inline = is_inline;
	config.segment_len_max = 32 << 10;
	config.map_len_max = 64 << 20;
	config.proof_ns = 0;
	return store_open(&config, out_store);
}

static bool batch_apply(struct store *store, struct store_batch *batch)
{
	bool ok = store_submit(store, batch, NULL, NULL) == 0;

	store_flush(store);
	return ok;
}

static bool rows_put(struct store *store, enum store_db db)
{
	uint8_t key[64], value[VALUE_CAP];
	struct store_batch *batch = store_batch_new(store);

	for (unsigned i = 0; i < ROW_CNT; i++)
		store_batch_put(batch, db, store_key(key, key_of(db, i, key)), value,
				value_of(db, i, value));
	return batch_apply(store, batch);
}

static bool rows_thin(struct store *store, enum store_db db)
{
	struct store_batch *batch = store_batch_new(store);
	uint8_t key[64];

	for (unsigned i = 0; i < ROW_CNT; i++)
		if (was_deleted(i))
			store_batch_delete(batch, db, store_key(key, key_of(db, i, key)));
	return batch_apply(store, batch);
}

static bool store_fill(const char *path)
{
	uint8_t id[32], value[VALUE_CAP];
	struct store_batch *batch;
	struct store *store;
	bool ok;

	if (open_at(path, true, &store) < 0)
		return false;
	batch = store_batch_new(store);
	for (unsigned i = 0; i < BLOB_CNT; i++) {
		blob_id(i, id);
		store_batch_put_blob(batch, id, value, value_of(STORE_BLOBS, i * 19, value));
	}
	ok = batch_apply(store, batch);
	for (unsigned d = 0; d < ROW_DB_CNT; d++)
		ok = ok && rows_put(store, row_dbs[d]);
	for (unsigned d = 0; d < ROW_DB_CNT; d++)
		ok = ok && rows_thin(store, row_dbs[d]);
	store_close(store);
	return ok;
}

/* --- reading all of it --- */

enum outcome { RIGHT, REFUSED, NAMED, SILENT, OUTCOME_CNT };

static enum outcome worse(enum outcome a, enum outcome b)
{
	return a > b ? a : b;
}

static enum outcome outcome_of(int err)
{
	return err == WEFT_EDAMAGED ? NAMED : SILENT;
}

static enum outcome row_read(struct store_snapshot *snapshot, enum store_db db, unsigned i)
{
	uint8_t key[64], want[VALUE_CAP];
	size_t len, want_len = value_of(db, i, want);
	const void *value;
	int err = store_get(snapshot, db, store_key(key, key_of(db, i, key)), &value, &len);

	if (was_deleted(i))
		return err == WEFT_EABSENT ? RIGHT : outcome_of(err);
	if (err < 0)
		return outcome_of(err);
	return len == want_len && memcmp(value, want, len) == 0 ? RIGHT : SILENT;
}

static enum outcome rows_read(struct store *store, unsigned extra_cnt)
{
	struct store_snapshot *snapshot;
	enum outcome outcome = RIGHT;

	if (store_snapshot_open(store, &snapshot) < 0)
		return SILENT;
	for (unsigned d = 0; d < ROW_DB_CNT; d++) {
		unsigned cnt = 0, want = row_dbs[d] == STORE_META ? 2 : 0;
		struct store_iter iter = store_iter(snapshot, row_dbs[d], STORE_ALL);
		struct store_item item;
		int err;

		while (store_iter_next(&iter, &item))
			cnt++;
		err = store_iter_end(&iter);
		for (unsigned i = 0; i < ROW_CNT; i++) {
			outcome = worse(outcome, row_read(snapshot, row_dbs[d], i));
			want += !was_deleted(i);
		}
		want += row_dbs[d] == STORE_PATHS ? extra_cnt : 0;
		if (err < 0)
			outcome = worse(outcome, outcome_of(err));
		else if (cnt != want)
			outcome = SILENT;
	}
	store_snapshot_close(snapshot);
	return outcome;
}

static enum outcome blobs_read(struct store *store)
{
	uint8_t id[32], want[VALUE_CAP], got[VALUE_CAP];
	enum outcome outcome = RIGHT;

	for (unsigned i = 0; i < BLOB_CNT; i++) {
		size_t len = value_of(STORE_BLOBS, i * 19, want), half = len / 2;
		int err, part_err;

		blob_id(i, id);
		err = store_blob_read(store, id, 0, got, len);
		if (err < 0 || memcmp(got, want, len) != 0)
			outcome = worse(outcome, outcome_of(err));
		part_err = store_blob_read(store, id, half, got, len - half);
		if (part_err < 0 || memcmp(got, want + half, len - half) != 0)
			outcome = worse(outcome, outcome_of(part_err));
	}
	return outcome;
}

static void err_note(void *arg, int err)
{
	*(int *)arg = err;
}

/* A write lands on pages that the free list offers. */
static enum outcome row_add(struct store *store, unsigned n)
{
	struct store_batch *batch = store_batch_new(store);
	uint8_t key[32], id[32], value[VALUE_CAP];
	int err = 0;

	memset(key, 0xee, sizeof(key));
	key[31] = (uint8_t)n;
	store_batch_put(batch, STORE_PATHS, store_key(key, sizeof(key)), value,
			value_of(STORE_PATHS, 19, value));
	blob_id(100 + n, id);
	store_batch_put_blob(batch, id, value, 700);
	if (store_submit(store, batch, err_note, &err) < 0)
		return SILENT;
	store_flush(store);
	return err == 0 ? RIGHT : outcome_of(err);
}

/* Every other life has the store thread, and proves late databases on it. */
static enum outcome live(const char *path, bool is_inline)
{
	enum outcome outcome = RIGHT;
	struct store *store;

	for (unsigned n = 0; n < 2; n++) {
		int err = open_at(path, is_inline, &store);

		if (err < 0)
			return worse(outcome, err == WEFT_EDAMAGED ? REFUSED : SILENT);
		outcome = worse(outcome, rows_read(store, n));
		outcome = worse(outcome, blobs_read(store));
		/* Behind what is named, counts are others. */
		if (outcome == RIGHT)
			outcome = row_add(store, n);
		store_close(store);
		if (outcome != RIGHT)
			return outcome;
	}
	return outcome;
}

/* --- damage --- */

static struct image {
	char path[SCRATCH_CAP + 64];
	uint8_t *bytes;
	size_t len;
} images[16];
static unsigned image_cnt;

static bool image_load(const char *from, const char *to, const char *name)
{
	char path[SCRATCH_CAP + 64];
	struct image *image = &images[image_cnt];
	int fd = open(scratch_path(path, sizeof(path), from, name), O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0 || image_cnt == sizeof(images) / sizeof(images[0]))
		return false;
	scratch_path(image->path, sizeof(image->path), to, name);
	image->bytes = malloc(FILE_CAP);
	len = image->bytes ? read(fd, image->bytes, FILE_CAP) : -1;
	close(fd);
	image->len = len < 0 ? 0 : (size_t)len;
	image_cnt += len > 0;
	return len >= 0 && (size_t)len < FILE_CAP;
}

static bool images_load(const char *from, const char *to)
{
	char name[40];
	unsigned segment = 1;

	if (!image_load(from, to, "db/data.mdb") || !image_load(from, to, "db/lock.mdb"))
		return false;
	do
		snprintf(name, sizeof(name), "segments/%08x.seg", segment++);
	while (image_load(from, to, name));
	return segment > 4;
}

static void images_write(const char *to)
{
	char path[SCRATCH_CAP + 64];

	scratch_remove(to);
	(void)mkdir(to, 0700);
	(void)mkdir(scratch_path(path, sizeof(path), to, "db"), 0700);
	(void)mkdir(scratch_path(path, sizeof(path), to, "segments"), 0700);
	for (unsigned i = 0; i < image_cnt; i++)
		scratch_write(images[i].path, images[i].bytes, images[i].len);
}

/* A bit, a byte, or a sector of zeros; half of all in the databases. */
static void damage_one(char text[static 120])
{
	struct image *image = &images[random_next() % 2 ? 0 : random_next() % image_cnt];
	static uint8_t smear[SMEAR_LEN];
	size_t off = random_next() % image->len, len = 1;
	unsigned kind = (unsigned)(random_next() % 10);
	uint8_t byte = image->bytes[off];
	int fd = open(image->path, O_WRONLY | O_CLOEXEC);

	byte ^= kind < 8 ? (uint8_t)(1u << random_next() % 8) : (uint8_t)(1 + random_next() % 255);
	if (kind == 9) {
		off = off / SMEAR_LEN * SMEAR_LEN;
		len = SMEAR_LEN < image->len - off ? SMEAR_LEN : image->len - off;
	}
	if (pwrite(fd, kind == 9 ? smear : &byte, len, (off_t)off) != (ssize_t)len)
		printf("# %s cannot be damaged\n", image->path);
	close(fd);
	snprintf(text, 120, "%zu bytes at %zu of ...%s", len, off,
		 image->path + strlen(image->path) - 12);
}

/* OUTCOME_CNT: a signal, or the end of its time. */
static enum outcome child_run(const char *path, bool is_inline)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

		(void)dup2(null_fd, STDERR_FILENO);
		alarm(LIFE_S);
		_exit(live(path, is_inline));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) >= OUTCOME_CNT)
		return OUTCOME_CNT;
	return (enum outcome)WEXITSTATUS(status);
}

static void test_damage_is_refused_or_named_or_does_no_harm(void)
{
	char from[SCRATCH_CAP + 16], to[SCRATCH_CAP + 16], text[120];
	unsigned cnts[OUTCOME_CNT + 1] = {0};

	snprintf(from, sizeof(from), "%s/from", dir);
	snprintf(to, sizeof(to), "%s/to", dir);
	CHECK(store_fill(from));
	CHECK(images_load(from, to));
	images_write(to);
	CHECK_EQ(child_run(to, true), RIGHT);
	images_write(to);
	CHECK_EQ(child_run(to, false), RIGHT);
	for (unsigned i = 0; i < FLIP_CNT; i++) {
		enum outcome outcome;

		random_state = i;
		images_write(to);
		damage_one(text);
		outcome = child_run(to, i % 2);
		cnts[outcome]++;
		if (outcome >= SILENT)
			printf("# flip %u, %s: %s\n", i, text,
			       outcome == SILENT ? "a wrong value, silently" : "it died");
	}
	printf("# %u right, %u refused, %u named\n", cnts[RIGHT], cnts[REFUSED], cnts[NAMED]);
	CHECK_EQ(cnts[SILENT], 0);
	CHECK_EQ(cnts[OUTCOME_CNT], 0);
	/* The places that matter were hit. */
	CHECK(cnts[REFUSED] > FLIP_CNT / 5);
	CHECK(cnts[NAMED] > FLIP_CNT / 20);
	CHECK(cnts[RIGHT] > FLIP_CNT / 20);
	for (unsigned i = 0; i < image_cnt; i++)
		free(images[i].bytes);
}

/* --- and what is not damaged --- */

static bool change_randomly(struct store *store)
{
	static const enum store_db dbs[] = {STORE_META, STORE_PEERS, STORE_PATHS, STORE_BLOBS};
	struct store_batch *batch = store_batch_new(store);
	unsigned cnt = (unsigned)(random_next() % 60);
	uint8_t key[64], value[VALUE_CAP];

	for (unsigned k = 0; k < cnt; k++) {
		enum store_db db = dbs[random_next() % 4];
		unsigned i = (unsigned)(random_next() % 4000);
		size_t key_len = key_of(STORE_PEERS, i, key);

		memcpy(key + 8, &i, sizeof(i));
		if (db == STORE_BLOBS)
			store_batch_put_blob(batch, key, value, random_next() % 300);
		else if (random_next() % 5 < 2)
			store_batch_delete(batch, db, store_key(key, key_len));
		else
			store_batch_put(batch, db, store_key(key, key_len), value,
					random_next() % 9 ? random_next() % 400
							  : random_next() % VALUE_CAP);
	}
	return batch_apply(store, batch);
}

static void test_a_sound_store_is_never_refused(void)
{
	char path[SCRATCH_CAP + 16];
	struct store *store = NULL;

	snprintf(path, sizeof(path), "%s/sound", dir);
	random_state = 77;
	for (unsigned i = 0; i < 300; i++) {
		struct store_check_result result;

		CHECK_EQ(open_at(path, i % 2, &store), 0);
		for (unsigned k = 0; k < 10; k++)
			CHECK(change_randomly(store));
		if (i % 10 == 0)
			CHECK_EQ(store_check(store, false, NULL, NULL, &result), 0);
		store_close(store);
	}
}

int main(void)
{
	/* Each life syncs a dozen times: in memory where there is such a place. */
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	scratch_make(dir);
	RUN(test_a_sound_store_is_never_refused);
	RUN(test_damage_is_refused_or_named_or_does_no_harm);
	scratch_remove(dir);
	return check_done();
}
