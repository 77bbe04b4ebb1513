/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object of a sync: looked for in our own store by a job, else asked of the
 * swarm. Its id is the BLAKE3 of its bytes, so it proves itself wherever it came from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow_sync.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"

static bool is_right(const struct sync_ask *ask, const uint8_t *bytes, size_t len)
{
	uint8_t id[32];

	blake3_hash(bytes, len, id);
	return memcmp(id, ask->id, sizeof(id)) == 0;
}

static void ask_end(struct sync_ask *ask, int err, uint64_t now_ns)
{
	ask->is_busy = false;
	ask->err = err;
	ask->got(ask, now_ns);
}

/* --- from the swarm --- */

static bool answer_check(void *arg, const struct message_answer *answer)
{
	return is_right(arg, answer->bytes, answer->len);
}

static void answer_take(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct sync_ask *ask = arg;

	ask->bytes = answer->message.bytes;
	ask->len = answer->message.len;
	ask_end(ask, answer->err, now_ns);
}

static int swarm_begin(struct sync_ask *ask, uint64_t now_ns)
{
	static const char what[] = "the share";

	ask->swarm.what = what;
	ask->swarm.what_len = sizeof(what) - 1;
	ask->swarm.buf = ask->buf;
	ask->swarm.cap = SYNC_REPLY_CAP;
	ask->swarm.check = answer_check;
	ask->swarm.done = answer_take;
	ask->swarm.arg = ask;
	return blobs_swarm_ask(ask->sync->swarm, &ask->swarm, now_ns);
}

/* --- from our own store --- */

static void store_read_run(struct job *job)
{
	struct sync_ask *ask = (struct sync_ask *)job;
	struct store *store = ask->sync->follows->params.store;
	struct store_snapshot *snapshot;
	int64_t len;

	ask->err = store_snapshot_open(store, &snapshot);
	if (ask->err < 0)
		return;
	len = store_blob_len(snapshot, ask->id);
	store_snapshot_close(snapshot);
	ask->err = len < 0 || (uint64_t)len > MANIFEST_LEN_MAX
			   ? WEFT_EABSENT
			   : store_blob_read(store, ask->id, 0, ask->buf, (size_t)len);
	if (ask->err == 0 && !is_right(ask, ask->buf, (size_t)len))
		ask->err = WEFT_EDAMAGED;
	ask->bytes = ask->buf;
	ask->len = (size_t)len;
}

static void store_read_done(struct job *job)
{
	struct sync_ask *ask = (struct sync_ask *)job;
	struct sync *sync = ask->sync;
	int err = 0;

	sync->follows->job_cnt--;
	sync->job_cnt--;
	if (!sync->followed) {
		shares_sync_free_unused(sync);
		return;
	}
	ask->is_stored = ask->err == 0;
	if (!ask->is_stored)
		err = swarm_begin(ask, sync->follows->now_ns);
	if (ask->is_stored || err < 0)
		ask_end(ask, err, sync->follows->now_ns);
}

int shares_sync_ask_start(struct sync_ask *ask, unsigned type,
			  void (*got)(struct sync_ask *ask, uint64_t now_ns), uint64_t now_ns)
{
	struct sync *sync = ask->sync;
	int err = 0;

	ask->is_stored = false;
	ask->got = got;
	memset(&ask->swarm, 0, sizeof(ask->swarm));
	ask->swarm.type = type;
	memcpy(ask->swarm.request.id, ask->id, sizeof(ask->id));
	if (!ask->buf)
		ask->buf = malloc(SYNC_REPLY_CAP);
	if (!ask->buf)
		return -ENOMEM;
	ask->job = (struct job){.run = store_read_run, .done = store_read_done};
	if (jobs_submit(sync->follows->params.jobs, &ask->job) == 0) {
		sync->job_cnt++;
		sync->follows->job_cnt++;
	} else {
		/* Many jobs wait: to ask others is no slower. */
		err = swarm_begin(ask, now_ns);
	}
	ask->is_busy = err == 0;
	return err;
}

/* --- to the store --- */

static void saved(void *arg, int err)
{
	struct sync *sync = arg;

	sync->save_cnt--;
	if (!sync->followed) {
		shares_sync_free_unused(sync);
		return;
	}
	if (err < 0)
		shares_sync_fail(sync, err, "it could not be saved");
	else if (!sync->err)
		sync->followed->is_head_unsaved = false; /* it went with the first batch */
	if (sync->step == SYNC_SAVING && !sync->save_cnt)
		shares_sync_step_done(sync, sync->follows->now_ns);
}

void shares_sync_save_flush(struct sync *sync)
{
	int err;

	if (!sync->batch)
		return;
	err = store_submit(sync->follows->params.store, sync->batch, saved, sync);
	if (err < 0) {
		store_batch_free(sync->batch);
		shares_sync_fail(sync, err, "it could not be saved");
	} else {
		sync->save_cnt++;
	}
	sync->batch = NULL;
	sync->batch_len = 0;
}

struct store_batch *shares_sync_batch(struct sync *sync)
{
	if (!sync->batch)
		sync->batch = store_batch_new(sync->follows->params.store);
	return sync->batch;
}

void shares_sync_save(struct sync *sync, const struct sync_ask *ask)
{
	if (ask->is_stored)
		return;
	store_batch_put_blob(shares_sync_batch(sync), ask->id, ask->bytes, ask->len);
	sync->batch_len += ask->len;
	if (sync->batch_len >= SYNC_BATCH_LEN)
		shares_sync_save_flush(sync);
}
