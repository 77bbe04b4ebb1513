/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STORE_RIG_H
#define WEFT_TESTS_STORE_RIG_H

#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

/* A store in a scratch folder. */

struct outcome {
	unsigned cnt;
	int err;
};

static inline void outcome_note(void *arg, int err)
{
	struct outcome *outcome = arg;

	outcome->cnt++;
	outcome->err = err;
}

static inline struct store *store_of(const char *dir, bool is_inline)
{
	struct store_config config;
	struct store *store = NULL;
	int err;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = is_inline;
	config.map_len_max = 1ull << 30;
	err = store_open(&config, &store);
	if (err < 0)
		printf("# store_open: %d\n", err);
	return store;
}

static inline void key_of(unsigned n, uint8_t key[static 32])
{
	memset(key, 0, 32);
	for (int i = 0; i < 4; i++)
		key[i] = (uint8_t)(n >> (24 - 8 * i));
	key[31] = 0xa5;
}

/* put_one gives what done was told. */
static inline int put_one(struct store *store, enum store_db db, const void *key, size_t key_len,
			  const void *value, size_t len)
{
	struct store_batch *batch = store_batch_new(store);
	struct outcome outcome = {0, 1};
	int err;

	store_batch_put(batch, db, store_key(key, key_len), value, len);
	err = store_submit(store, batch, outcome_note, &outcome);
	if (err < 0) {
		store_batch_free(batch);
		return err;
	}
	store_flush(store);
	return outcome.cnt == 1 ? outcome.err : 1;
}

#endif
