/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new state folder of a backup file (backup_file.h). All of the file is read into a folder
 * beside, which takes its place at once. Before that nothing of the target changes. The key,
 * without which nothing there is of use, comes last. Offline: weftd --restore.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "base/folder.h"
#include "crypto/node_key.h"
#include "crypto/sealed_file.h"
#include "weftd/backup_restore.h"
#include "config/config.h"
#include "varlink/node.h"
#include "weftd/options.h"
#include "weftd/key_source.h"
#include "weftd/user.h"

#define STAGE_NAME    "restore"
#define SETTINGS_NAME "restored.conf"
#define BATCH_LEN     (256u << 10) /* bytes of rows in a commit, about */

struct restore {
	const struct node_config *config;
	const char *path;
	char stage[CONFIG_PATH_CAP + 16];
	char key_path[CONFIG_PATH_CAP + 16];
	struct sealed_reader *in;
	uint8_t *record; /* the one that was read last */
	uint32_t record_len, record_cap;
	const struct api_backup_head *head; /* of head_json, in blocks */
	json_t *head_json;
	struct varlink_blocks blocks;
	struct node_key *key;
	char *settings;
	struct store *store;
	struct store_batch *batch;
	size_t batch_len;
	int commit_err;
	uint64_t row_cnt, db_rows[STORE_DB_CNT];
	bool has_end;
	bool has_made_dir; /* the state folder was not there */
};

__attribute__((format(printf, 2, 3))) static int refuse(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "weft: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	return status;
}

/* --- records --- */

static int record_read(struct restore *restore, enum backup_record *out_kind)
{
	uint8_t bytes[5], *larger;
	struct cursor c = cursor_of(bytes, sizeof(bytes));
	int err = sealed_reader_take(restore->in, bytes, sizeof(bytes));

	if (err < 0)
		return err;
	*out_kind = (enum backup_record)cursor_u8(&c);
	restore->record_len = cursor_be32(&c);
	if (restore->record_len > BACKUP_RECORD_LEN_MAX)
		return WEFT_EDAMAGED;
	if (restore->record_len > restore->record_cap) {
		larger = realloc(restore->record, restore->record_len);
		if (!larger)
			return -ENOMEM;
		restore->record = larger;
		restore->record_cap = restore->record_len;
	}
	return sealed_reader_take(restore->in, restore->record, restore->record_len);
}

static int head_take(struct restore *restore)
{
	const char *bytes = (const char *)restore->record;

	if (restore->head)
		return WEFT_EDAMAGED;
	restore->head_json = json_loadb(bytes, restore->record_len, 0, NULL);
	restore->head =
		varlink_read(&api_backup_head_type, restore->head_json, &restore->blocks, NULL);
	if (!restore->head)
		return WEFT_EDAMAGED;
	if (restore->head->form != BACKUP_FORM || restore->head->schema > STORE_SCHEMA_VERSION)
		return WEFT_ENEWER;
	return 0;
}

static int key_take(struct restore *restore)
{
	int err = restore->record_len == NODE_KEY_SEED_LEN && !restore->key
			  ? node_key_from_seed(restore->record, &restore->key)
			  : WEFT_EDAMAGED;

	explicit_bzero(restore->record, restore->record_len);
	return err;
}

static void batch_committed(void *arg, int err)
{
	struct restore *restore = arg;

	if (restore->commit_err == 0)
		restore->commit_err = err;
}

static int batch_commit(struct restore *restore)
{
	int err;

	if (!restore->batch)
		return 0;
	err = store_submit(restore->store, restore->batch, batch_committed, restore);
	if (err < 0)
		return err;
	restore->batch = NULL;
	restore->batch_len = 0;
	(void)store_reap(restore->store);
	return restore->commit_err;
}

static bool db_find(const uint8_t *name, size_t len, enum store_db *out_db)
{
	for (unsigned db = 0; name && db < STORE_DB_CNT; db++) {
		const char *known = store_db_name((enum store_db)db);

		*out_db = (enum store_db)db;
		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return true;
	}
	return false;
}

static int row_take(struct restore *restore)
{
	struct cursor c = cursor_of(restore->record, restore->record_len);
	size_t name_len = cursor_u8(&c), key_len;
	const uint8_t *name = cursor_bytes(&c, name_len), *key;
	enum store_db db;

	key_len = cursor_be16(&c);
	key = cursor_bytes(&c, key_len);
	if (c.bad || !db_find(name, name_len, &db) || !api_backup_holds(db, key, key_len))
		return WEFT_EDAMAGED;
	if (!restore->batch)
		restore->batch = store_batch_new(restore->store);
	store_batch_put(restore->batch, db, store_key(key, key_len), c.pos, cursor_left(&c));
	restore->batch_len += restore->record_len;
	restore->row_cnt++;
	restore->db_rows[db]++;
	return restore->batch_len < BATCH_LEN ? 0 : batch_commit(restore);
}

static int end_take(struct restore *restore)
{
	struct cursor c = cursor_of(restore->record, restore->record_len);
	uint64_t row_cnt = cursor_be64(&c);

	restore->has_end = true;
	if (c.bad || row_cnt != restore->row_cnt || !restore->head || !restore->key ||
	    !sealed_reader_is_at_end(restore->in))
		return WEFT_EDAMAGED;
	return batch_commit(restore);
}

static int record_take(struct restore *restore, enum backup_record kind)
{
	switch (kind) {
	case BACKUP_HEAD:
		return head_take(restore);
	case BACKUP_KEY:
		return key_take(restore);
	case BACKUP_SETTINGS:
		free(restore->settings);
		restore->settings = strndup((const char *)restore->record, restore->record_len);
		return restore->settings ? 0 : -ENOMEM;
	case BACKUP_ROW:
		return row_take(restore);
	case BACKUP_END:
		return end_take(restore);
	}
	return WEFT_EDAMAGED;
}

/* Rows of an older schema are brought up to date by the first start, as those of its node would. */
static int schema_put(struct restore *restore)
{
	uint32_t schema = (uint32_t)restore->head->schema;
	struct store_batch *batch;
	uint8_t value[4];
	struct writer w = writer_of(value, sizeof(value));

	if (schema == STORE_SCHEMA_VERSION)
		return 0;
	batch = store_batch_new(restore->store);
	writer_be32(&w, schema);
	store_batch_put(batch, STORE_META, store_key("schema", strlen("schema")), value,
			sizeof(value));
	restore->batch = batch;
	return batch_commit(restore);
}

static int records_take(struct restore *restore)
{
	enum backup_record kind;
	int err = 0;

	while (err == 0 && !restore->has_end) {
		err = record_read(restore, &kind);
		if (err == 0)
			err = record_take(restore, kind);
	}
	return err < 0 ? err : schema_put(restore);
}

/* --- the folder beside --- */

static void stage_clear(const struct restore *restore)
{
	static const char *const names[] = {
		"/db/data.mdb", "/db/lock.mdb",	   "/db", "/segments", "/lock",
		"/node.key",	"/" SETTINGS_NAME, ""};
	char path[sizeof(restore->stage) + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", restore->stage, names[i]);
		if (unlink(path) < 0)
			(void)rmdir(path);
	}
}

static int settings_save(const struct restore *restore)
{
	char path[sizeof(restore->stage) + 16];
	FILE *file;
	int err;

	snprintf(path, sizeof(path), "%s/" SETTINGS_NAME, restore->stage);
	file = fopen(path, "wxe");
	if (!file)
		return -errno;
	err = fputs(restore->settings ? restore->settings : "", file) < 0 ? -EIO : 0;
	if (fclose(file) != 0 && err == 0)
		err = -errno;
	return err;
}

static int stage_fill(struct restore *restore)
{
	struct store_config config;
	int err;

	store_config_defaults(&config);
	config.dir = restore->stage;
	config.is_inline = true;
	err = store_open(&config, &restore->store);
	if (err == 0) {
		err = records_take(restore);
		store_batch_free(restore->batch);
		store_close(restore->store);
	}
	return err < 0 ? err : settings_save(restore);
}

static int stage_place(const struct restore *restore, const char *passphrase)
{
	static const char *const names[] = {"segments", "db", SETTINGS_NAME};
	const char *dir = restore->config->state_dir;
	char from[sizeof(restore->stage) + 16], to[sizeof(restore->stage) + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(from, sizeof(from), "%s/%s", restore->stage, names[i]);
		snprintf(to, sizeof(to), "%s/%s", dir, names[i]);
		if (rename(from, to) < 0)
			return -errno;
	}
	return node_key_save(restore->key, restore->key_path, passphrase);
}

/* --- before and after --- */

static const char *used_by(const struct restore *restore, char path[static CONFIG_PATH_CAP + 16])
{
	static const char *const names[] = {"node.key", "db", "segments"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, CONFIG_PATH_CAP + 16, "%s/%s", restore->config->state_dir, names[i]);
		if (access(path, F_OK) == 0)
			return path;
	}
	return access(restore->key_path, F_OK) == 0 ? restore->key_path : NULL;
}

static int used_refuse(const char *used)
{
	return refuse(OPTIONS_EXIT_REFUSED,
		      "%s is there: a backup makes a new node's folder and overwrites none; name "
		      "another with --state, or move this one away",
		      used);
}

/* The answer ends at the end of the line; no byte behind it is taken. */
static int passphrase_read(int fd, char passphrase[static SEALED_PASSPHRASE_CAP])
{
	size_t len = 0;

	while (len < SEALED_PASSPHRASE_CAP) {
		ssize_t n = read(fd, passphrase + len, 1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 || (n > 0 && passphrase[len] == '\n')) {
			passphrase[len] = '\0';
			return len ? 0 : WEFT_EMALFORMED;
		}
		len += n > 0;
	}
	return WEFT_ETOOLARGE;
}

static int failed(const struct restore *restore, int err)
{
	switch (err) {
	case WEFT_EMALFORMED:
		return refuse(OPTIONS_EXIT_STORE,
			      "%s is no backup of weft: weft backup create makes one",
			      restore->path);
	case WEFT_ESEALED:
		return refuse(OPTIONS_EXIT_STORE,
			      "%s: wrong passphrase: it is whole, and another one opens it",
			      restore->path);
	case WEFT_EDAMAGED:
		return refuse(OPTIONS_EXIT_STORE,
			      "%s was altered or cut short: nothing of it was used; take another "
			      "copy of it",
			      restore->path);
	case WEFT_ENEWER:
		return refuse(OPTIONS_EXIT_STORE,
			      "%s was made by weft %s with schema %" PRId64
			      "; this one knows up to %d: restore it with that version or a newer "
			      "one",
			      restore->path, restore->head->weft, restore->head->schema,
			      STORE_SCHEMA_VERSION);
	default:
		return refuse(EXIT_FAILURE, "%s: %s: nothing was restored", restore->path,
			      weft_err_text(err));
	}
}

static void shares_tell(const struct api_backup_head *head)
{
	for (size_t i = 0; i < head->published.cnt; i++)
		printf("put back the files of %s, then: weft share publish %s\n",
		       head->published.rows[i].path, head->published.rows[i].name);
	for (size_t i = 0; i < head->shares.cnt; i++)
		printf("put back the files of it, then: weft share add %s\n", head->shares.rows[i]);
}

static void restored_tell(const struct restore *restore)
{
	const uint64_t *rows = restore->db_rows;
	const struct api_backup_head *head = restore->head;
	time_t made_s = (time_t)head->made_s;
	char made[32], addr[BACKUP_ADDR_CAP];
	struct tm tm;

	strftime(made, sizeof(made), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&made_s, &tm));
	printf("restored node %s from %s, made %s on %s\n", head->node_id, restore->path, made,
	       head->machine);
	printf("keys of %" PRIu64 " shares and %" PRIu64 " communities, %" PRIu64
	       " follows, %" PRIu64 " heads, %" PRIu64 " bans, %" PRIu64 " services, %" PRIu64
	       " peers\n",
	       rows[STORE_PUBLISHED], rows[STORE_COMMUNITIES], rows[STORE_FOLLOWS],
	       rows[STORE_HEADS], rows[STORE_BANS], rows[STORE_OFFERS], rows[STORE_PEERS]);
	printf("the settings that were in force are in %s/" SETTINGS_NAME
	       ", which is not read: take over what still holds\n",
	       restore->config->state_dir);
	shares_tell(head);
	fflush(stdout);
	if (weftd_old_node_answers(&head->addresses, addr))
		fprintf(stderr,
			"warning: the old node may still run: %s, an address of it when the backup "
			"was made, answers QUIC. Two nodes with one key take each other's "
			"sessions and revisions: stop the old one before this one starts\n",
			addr);
}

static int folder_take(struct restore *restore)
{
	const char *dir = restore->config->state_dir;
	int err = folder_make_parents(dir, 0700), fd;

	if (err < 0)
		return err;
	restore->has_made_dir = mkdir(dir, 0700) == 0;
	if (!restore->has_made_dir && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return WEFT_EBUSY;
	}
	return fd < 0 ? -errno : fd;
}

static int restore_run(struct restore *restore, const char *sealing)
{
	char used[CONFIG_PATH_CAP + 16];
	int dir_fd, err;

	dir_fd = folder_take(restore);
	if (dir_fd < 0)
		return refuse(EXIT_FAILURE, "%s: %s", restore->config->state_dir,
			      weft_err_text(dir_fd));
	/* Again, with the folder locked. */
	if (used_by(restore, used)) {
		close(dir_fd);
		return used_refuse(used);
	}
	stage_clear(restore); /* what a kill left of an earlier one */
	err = stage_fill(restore);
	if (err == 0)
		err = stage_place(restore, sealing);
	if (err == 0 && fsync(dir_fd) < 0)
		err = -errno;
	stage_clear(restore);
	close(dir_fd);
	if (err == 0) {
		restored_tell(restore);
		return EXIT_SUCCESS;
	}
	if (restore->has_made_dir)
		(void)rmdir(restore->config->state_dir);
	return failed(restore, err);
}

static int restore_open(struct restore *restore, int fd, int passphrase_fd)
{
	char passphrase[SEALED_PASSPHRASE_CAP], sealing[KEY_SOURCE_PASSPHRASE_CAP] = "";
	char message[KEY_SOURCE_MESSAGE_CAP > USER_MESSAGE_CAP ? KEY_SOURCE_MESSAGE_CAP
							       : USER_MESSAGE_CAP];
	int err = passphrase_read(passphrase_fd, passphrase), status;

	if (err < 0)
		return refuse(OPTIONS_EXIT_USAGE, "the passphrase: %s", weft_err_text(err));
	err = weftd_key_source_passphrase(restore->config, sealing, message);
	if (err < 0) {
		explicit_bzero(passphrase, sizeof(passphrase));
		return refuse(EXIT_FAILURE, "%s", message);
	}
	err = sealed_reader_open(fd, passphrase, &restore->in);
	explicit_bzero(passphrase, sizeof(passphrase));
	if (err < 0)
		status = failed(restore, err);
	else if (restore->config->user[0] && weftd_user_become(restore->config, message) < 0)
		status = refuse(EXIT_FAILURE, "%s", message);
	else
		status = restore_run(restore, sealing[0] ? sealing : NULL);
	explicit_bzero(sealing, sizeof(sealing));
	return status;
}

static void restore_fini(struct restore *restore)
{
	if (restore->record)
		explicit_bzero(restore->record, restore->record_cap);
	free(restore->record);
	free(restore->settings);
	varlink_blocks_free(&restore->blocks);
	json_decref(restore->head_json);
	node_key_free(restore->key);
	sealed_reader_close(restore->in);
}

int weftd_backup_restore(const struct node_config *config, const char *path, int passphrase_fd)
{
	struct restore restore = {.config = config, .path = path};
	char used[CONFIG_PATH_CAP + 16];
	int fd, status;

	snprintf(restore.stage, sizeof(restore.stage), "%s/" STAGE_NAME, config->state_dir);
	if (config->key_file[0])
		snprintf(restore.key_path, sizeof(restore.key_path), "%s", config->key_file);
	else
		snprintf(restore.key_path, sizeof(restore.key_path), "%s/node.key",
			 config->state_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(EXIT_FAILURE, "%s: %s", path, strerror(errno));
	if (used_by(&restore, used)) {
		close(fd);
		return used_refuse(used);
	}
	status = restore_open(&restore, fd, passphrase_fd);
	restore_fini(&restore);
	close(fd);
	return status;
}
