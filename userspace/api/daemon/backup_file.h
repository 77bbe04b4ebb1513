/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DAEMON_BACKUP_FILE_H
#define WEFT_API_DAEMON_BACKUP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "store/stop.h"
#include "store/store.h"

struct node_config;
struct node_key;

/*
 * A backup file: what makes a node the one it is, sealed by a passphrase (crypto/sealed_file.h).
 * Records of kind u8, length u32be and bytes, in this order:
 *	HEAD	 JSON of the type BackupHead (include/varlink/store.varlink)
 *	KEY	 the seed of the node's key, under which the keys of shares and communities are sealed
 *	SETTINGS the lines of the configuration that were no defaults
 *	ROW	 database name u8 length and bytes, key u16be length and bytes, value
 *	END	 rows u64be
 * Rows are of one commit. There is no content in it: neither blobs nor where files lie.
 */
enum backup_record { BACKUP_HEAD, BACKUP_KEY, BACKUP_SETTINGS, BACKUP_ROW, BACKUP_END };
#define BACKUP_FORM	      1
#define BACKUP_RECORD_LEN_MAX (16u << 20)
#define BACKUP_ROW_NAME_MAX   64u

/* api_backup_holds: rows of db, and of STORE_META those of key, are part of a backup. */
bool api_backup_holds(enum store_db db, const void *key, size_t key_len);

/*
 * api_backup_write makes the file at path, which must not be there yet, and removes it again on
 * an error. 0, -EEXIST, WEFT_ECANCELLED (stop), WEFT_EDAMAGED (of the store) or -errno.
 * Context: a job.
 */
struct backup_ask {
	struct store *store;
	const struct node_key *key;
	const char *path;
	const char *passphrase;
	const json_t *head;
	const char *settings;
	struct store_stop stop;
};
struct backup_result {
	uint64_t row_cnt, byte_cnt;
};
WEFT_MUST_CHECK
int api_backup_write(const struct backup_ask *ask, struct backup_result *out_result);

#endif
