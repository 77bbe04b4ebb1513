/* SPDX-License-Identifier: Apache-2.0 */
/* A backup file is written (backup_file.h): one snapshot of the store, row by row. In a job. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "base/folder.h"
#include "crypto/node_key.h"
#include "crypto/sealed_file.h"
#include "api/daemon/backup_file.h"

#define RECORD_HEAD_LEN 5u

/* These facts (STORE_META) belong to this disk or this moment. */
static const char *const facts_left_out[] = {"schema", "adopt", "segments", "mainline"};
#define BAD_FILE_PREFIX "bad-file:"

static const bool dbs_held[STORE_DB_CNT] = {
	[STORE_META] = true,
	[STORE_PEERS] = true,
	[STORE_BANS] = true,
	[STORE_REPUTATION] = true,
	[STORE_OFFERS] = true,
	[STORE_ROWS] = true,
	[STORE_PUBLISHED] = true,
	[STORE_HEADS] = true,
	[STORE_FOLLOWS] = true,
	[STORE_COMMUNITIES] = true,
	[STORE_MEMBERS] = true,
	[STORE_COMMUNITY_SHARES] = true,
	[STORE_COMMUNITY_EVENTS] = true,
	[STORE_POSTS] = true,
	[STORE_POST_BODIES] = true,
	[STORE_POST_AUTHORS] = true,
	[STORE_POST_REPLIES] = true,
	[STORE_POST_GONE] = true,
	[STORE_PEOPLE] = true,
	[STORE_CIRCLES] = true,
	[STORE_DRAFTS] = true,
	[STORE_GROUPS] = true,
};

bool api_backup_holds(enum store_db db, const void *key, size_t key_len)
{
	if (db >= STORE_DB_CNT || !dbs_held[db] || db != STORE_META)
		return db < STORE_DB_CNT && dbs_held[db];
	for (size_t i = 0; i < sizeof(facts_left_out) / sizeof(facts_left_out[0]); i++)
		if (key_len == strlen(facts_left_out[i]) &&
		    memcmp(key, facts_left_out[i], key_len) == 0)
			return false;
	return key_len < strlen(BAD_FILE_PREFIX) ||
	       memcmp(key, BAD_FILE_PREFIX, strlen(BAD_FILE_PREFIX)) != 0;
}

static void record_begin(struct sealed_writer *out, enum backup_record kind, size_t len)
{
	uint8_t head[RECORD_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	writer_u8(&w, (uint8_t)kind);
	writer_be32(&w, (uint32_t)len);
	sealed_writer_add(out, head, sizeof(head));
}

static void record_write(struct sealed_writer *out, enum backup_record kind, const void *data,
			 size_t len)
{
	record_begin(out, kind, len);
	sealed_writer_add(out, data, len);
}

struct rows {
	const struct backup_ask *ask;
	struct sealed_writer *out;
	enum store_db db;
	uint64_t row_cnt;
};

static int row_write(struct rows *rows, const struct store_item *item)
{
	const char *name = store_db_name(rows->db);
	uint8_t head[1 + BACKUP_ROW_NAME_MAX + 2];
	struct writer w = writer_of(head, sizeof(head));

	if (stop_is_due(&rows->ask->stop, item->key_len + item->value_len))
		return WEFT_ECANCELLED;
	if (!api_backup_holds(rows->db, item->key, item->key_len))
		return 0;
	writer_u8(&w, (uint8_t)strlen(name));
	writer_bytes(&w, name, strlen(name));
	writer_be16(&w, (uint16_t)item->key_len);
	record_begin(rows->out, BACKUP_ROW, writer_len(&w) + item->key_len + item->value_len);
	sealed_writer_add(rows->out, head, writer_len(&w));
	sealed_writer_add(rows->out, item->key, item->key_len);
	sealed_writer_add(rows->out, item->value, item->value_len);
	rows->row_cnt++;
	return 0;
}

static int rows_write(struct rows *rows)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(rows->ask->store, &snapshot);

	if (err < 0)
		return err;
	for (unsigned db = 0; db < STORE_DB_CNT && err == 0; db++) {
		struct store_iter iter = store_iter(snapshot, (enum store_db)db, STORE_ALL);
		struct store_item item;

		rows->db = (enum store_db)db;
		while (dbs_held[db] && store_iter_next(&iter, &item))
			iter.err = row_write(rows, &item);
		err = store_iter_end(&iter);
	}
	store_snapshot_close(snapshot);
	return err;
}

static int records_write(struct rows *rows)
{
	const struct backup_ask *ask = rows->ask;
	char *head = json_dumps(ask->head, JSON_COMPACT);
	uint8_t end[8];
	struct writer w = writer_of(end, sizeof(end));
	int err;

	if (!head)
		return -ENOMEM;
	record_write(rows->out, BACKUP_HEAD, head, strlen(head));
	free(head);
	record_write(rows->out, BACKUP_KEY, node_key_seed(ask->key), NODE_KEY_SEED_LEN);
	record_write(rows->out, BACKUP_SETTINGS, ask->settings, strlen(ask->settings));
	err = rows_write(rows);
	writer_be64(&w, rows->row_cnt);
	record_write(rows->out, BACKUP_END, end, sizeof(end));
	return err < 0 ? err : sealed_writer_finish(rows->out);
}

int api_backup_write(const struct backup_ask *ask, struct backup_result *out_result)
{
	struct rows rows = {.ask = ask};
	struct stat st = {0};
	int fd = open(ask->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;

	if (err < 0)
		return err;
	err = stop_is_due(&ask->stop, 0) ? WEFT_ECANCELLED
					 : sealed_writer_open(fd, ask->passphrase, &rows.out);
	if (err == 0)
		err = records_write(&rows);
	sealed_writer_close(rows.out);
	if (err == 0 && fstat(fd, &st) < 0)
		err = -errno;
	close(fd);
	if (err == 0)
		err = folder_sync_parent(ask->path);
	if (err < 0)
		(void)unlink(ask->path);
	else
		*out_result = (struct backup_result){rows.row_cnt, (uint64_t)st.st_size};
	return err;
}
