/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CONTENT_RIG_H
#define WEFT_TESTS_CONTENT_RIG_H

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs/blobs.h"
#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "blobs/share_table.h"
#include "crypto/blake3/blake3.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"

/*
 * One content with a store of its own and a mesh without peers, all inline: rig_turn does what a
 * worker's turn does.
 */
struct blobs_rig {
	char dir[SCRATCH_CAP]; /* holds state and whatever a test shares */
	struct store *store;
	struct jobs *jobs;
	struct timer_wheel timers;
	struct blobs *content;
	uint64_t now_ns;
	uint64_t wall_s;
	unsigned events[BLOBS_EVENT_CNT];
	int open_err;
};

struct rig_import {
	unsigned done_cnt, progress_cnt;
	int err;
	struct blobs_import told;
	char detail[512];
};

static inline int rig_mesh_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler,
				  void *ctx)
{
	(void)mesh, (void)type, (void)handler, (void)ctx;
	return 0;
}

static inline uint64_t rig_wall(void *ctx)
{
	return ((struct blobs_rig *)ctx)->wall_s++;
}

static inline void rig_event(void *ctx, const struct blobs_event *event)
{
	((struct blobs_rig *)ctx)->events[event->kind]++;
}

/* rig_open makes store and content in rig->dir with import_threads threads; 0 or the error. */
static inline int rig_open(struct blobs_rig *rig, unsigned import_threads)
{
	static const struct mesh_ops ops = {.handle = rig_mesh_handle};
	static const uint8_t own_key[32] = {1};
	struct store_config store_config;
	struct blobs_params params = {.own_key = own_key,
				      .mesh = {.ops = &ops},
				      .wall_s = rig_wall,
				      .on_event = rig_event,
				      .ctx = rig};
	char path[SCRATCH_CAP + 16];

	store_config_defaults(&store_config);
	store_config.dir = scratch_path(path, sizeof(path), rig->dir, "state");
	store_config.is_inline = true;
	store_config.map_len_max = 4ull << 30;
	rig->now_ns = 1000;
	rig->content = NULL;
	rig->store = NULL;
	rig->jobs = NULL;
	timer_wheel_init(&rig->timers, rig->now_ns);
	rig->open_err = store_open(&store_config, &rig->store);
	if (rig->open_err == 0)
		rig->open_err = jobs_new(0, 64, &rig->jobs);
	if (rig->open_err < 0)
		return rig->open_err;
	blobs_config_defaults(&params.config);
	params.config.import_threads = import_threads;
	params.config.chunk_buffer_cnt = 4;
	params.store = rig->store;
	params.jobs = rig->jobs;
	params.timers = &rig->timers;
	params.now_ns = rig->now_ns;
	rig->open_err = blobs_new(&params, &rig->content);
	return rig->open_err;
}

static inline void rig_close(struct blobs_rig *rig)
{
	blobs_free(rig->content);
	jobs_free(rig->jobs);
	store_close(rig->store);
	rig->content = NULL;
	rig->jobs = NULL;
	rig->store = NULL;
}

static inline bool rig_begin(struct blobs_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->wall_s = 5000;
	scratch_make(rig->dir);
	return rig_open(rig, 0) == 0;
}

static inline void rig_end(struct blobs_rig *rig)
{
	rig_close(rig);
	scratch_remove(rig->dir);
}

static inline void rig_turn(struct blobs_rig *rig)
{
	rig->now_ns += 200000000;
	blobs_reap(rig->content, rig->now_ns);
	(void)jobs_reap(rig->jobs);
	(void)store_reap(rig->store);
	timer_wheel_expire(&rig->timers, rig->now_ns);
}

static inline void rig_import_progress(void *arg, const struct blobs_import *import)
{
	struct rig_import *seen = arg;

	seen->progress_cnt++;
	seen->told = *import;
}

static inline void rig_import_done(void *arg, int err, const struct blobs_import *import,
				   const char *detail)
{
	struct rig_import *seen = arg;

	seen->done_cnt++;
	seen->err = err;
	seen->told = *import;
	snprintf(seen->detail, sizeof(seen->detail), "%s", detail);
}

/* rig_add asks for a share of dir/name; 0 or what blobs_share_add says. */
static inline int rig_add(struct blobs_rig *rig, const char *name, struct rig_import *seen)
{
	char path[4096];
	struct blobs_share_ask ask = {.path = scratch_path(path, sizeof(path), rig->dir, name),
				      .progress = rig_import_progress,
				      .done = rig_import_done,
				      .arg = seen};
	uint64_t id;

	memset(seen, 0, sizeof(*seen));
	seen->err = 1;
	return blobs_share_add(rig->content, &ask, rig->now_ns, &id);
}

/* rig_share does it to the end and gives the outcome. */
static inline int rig_share(struct blobs_rig *rig, const char *name, struct rig_import *seen)
{
	int err = rig_add(rig, name, seen);

	for (unsigned i = 0; err == 0 && i < 1000000 && !seen->done_cnt; i++)
		rig_turn(rig);
	return err < 0 ? err : seen->done_cnt == 1 ? seen->err : 1;
}

static inline void rig_mkdir(struct blobs_rig *rig, const char *name)
{
	char path[4096];

	mkdir(scratch_path(path, sizeof(path), rig->dir, name), 0755);
}

/* Bytes that differ by seed and position. */
static inline void rig_pattern(uint8_t *data, size_t len, unsigned seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)x;
	}
}

/* rig_backdate makes a file old, so that it is not racy. */
static inline void rig_backdate(const char *path)
{
	struct timespec times[2] = {{.tv_sec = 1500000000}, {.tv_sec = 1500000000}};

	utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static inline void rig_file(struct blobs_rig *rig, const char *name, size_t len, unsigned seed)
{
	char path[4096];
	uint8_t *data = malloc(len ? len : 1);

	rig_pattern(data, len, seed);
	scratch_write(scratch_path(path, sizeof(path), rig->dir, name), data, len);
	rig_backdate(path);
	free(data);
}

/* rig_manifest reads the manifest id from the store; bytes must be freed after it. */
static inline struct manifest *rig_manifest(struct blobs_rig *rig, const uint8_t *id,
					    uint8_t **out_bytes)
{
	struct store_snapshot *snapshot;
	struct manifest *manifest = NULL;
	uint8_t hash[32];
	int64_t len;

	*out_bytes = NULL;
	if (store_snapshot_open(rig->store, &snapshot) < 0)
		return NULL;
	len = store_blob_len(snapshot, id);
	store_snapshot_close(snapshot);
	if (len < 0)
		return NULL;
	*out_bytes = malloc((size_t)len);
	if (store_blob_read(rig->store, id, 0, *out_bytes, (size_t)len) < 0)
		return NULL;
	blake3_hash(*out_bytes, (size_t)len, hash);
	if (memcmp(hash, id, 32) != 0 ||
	    blobs_manifest_parse(*out_bytes, (size_t)len, &manifest) < 0)
		return NULL;
	return manifest;
}

#endif
