/* SPDX-License-Identifier: Apache-2.0 */
/* Small records of the node's own, each a row of STORE_META under its name. Home worker. */
#include <errno.h>
#include <string.h>

#include "node/node_state.h"
#include "store/store.h"

size_t node_meta_read(const struct node *node, const char *name, void *dst, size_t cap)
{
	struct store_snapshot *snapshot;
	const void *value;
	size_t len = 0;

	if (!node->store || store_snapshot_open(node->store, &snapshot) < 0)
		return 0;
	if (store_get(snapshot, STORE_META, store_key(name, strlen(name)), &value, &len) == 0 &&
	    len <= cap)
		memcpy(dst, value, len);
	else
		len = 0;
	store_snapshot_close(snapshot);
	return len;
}

static void on_saved(void *arg, int err)
{
	(void)arg, (void)err;
}

int node_meta_write(struct node *node, const struct node_meta *row,
		    void (*done)(void *arg, int err), void *arg)
{
	struct store_batch *batch = node->store ? store_batch_new(node->store) : NULL;
	int err;

	if (!batch)
		return -ENOMEM;
	store_batch_put(batch, STORE_META, store_key(row->name, strlen(row->name)), row->bytes,
			row->len);
	err = store_submit(node->store, batch, done ? done : on_saved, arg);
	if (err < 0)
		store_batch_free(batch);
	return err;
}
