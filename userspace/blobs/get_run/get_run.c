/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a running get and the pump that decides what is next.
 *
 *	open the target -> manifest -> items -> empty directories
 *	-> next part -> ... -> flush records -> remove the staging directory
 *
 * Home worker. Jobs work on the data of their own struct. They also read the manifest and the
 * target, which do not change while a job is out.
 */
#include "get_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/target/removal.h"
#include "store/store.h"

#define RETRY_NS (10 * NS_PER_MS)
#define TELL_NS	 (250 * NS_PER_MS)

static void get_run_pump(struct timer *timer, uint64_t now_ns);

bool blobs_get_run_is_stopping(const struct get_run *get_run)
{
	return get_run->step == GET_RUN_ENDING;
}

void blobs_get_run_wake(struct get_run *get_run)
{
	timer_set(get_run->content->params.timers, &get_run->timer, get_run->get->gets->now_ns);
}

bool blobs_get_run_submit(struct get_run *get_run, struct job *job, job_fn run, job_fn done)
{
	job->run = run;
	job->done = done;
	if (jobs_submit(get_run->content->params.jobs, job) < 0) {
		get_run->must_retry_soon = true;
		return false;
	}
	get_run->out_cnt++;
	return true;
}

bool blobs_get_run_job_done(struct get_run *get_run)
{
	get_run->out_cnt--;
	blobs_get_run_wake(get_run);
	return !blobs_get_run_is_stopping(get_run);
}

const struct manifest_item *blobs_get_run_manifest_item(const struct get_run *get_run,
							uint32_t item)
{
	return &get_run->manifest->items[item];
}

const char *blobs_get_run_item_path(const struct get_run *get_run, uint32_t item,
				    char text[static OBJECT_PATH_LEN_MAX])
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, item);

	snprintf(text, OBJECT_PATH_LEN_MAX, "%.*s", (int)entry->path_len, entry->path);
	return text;
}

/* By its number in the collection: two items may have one content. */
void blobs_get_run_name(const struct get_run *get_run, uint32_t item,
			char name[static PLACING_NAME_CAP])
{
	snprintf(name, PLACING_NAME_CAP, "%u-%u", get_run->part.idx, item);
}

void blobs_get_run_stop_at_path(struct get_run *get_run, const char *path, size_t path_len, int err)
{
	int len = (int)path_len;

	switch (err) {
	case WEFT_EEXISTS:
		blobs_get_run_stop(get_run, err,
				   "%.*s: something else is there; remove it or replace it", len,
				   path);
		break;
	case WEFT_EUNSAFE:
		blobs_get_run_stop(get_run, err, "%.*s: a symbolic link stands in the way", len,
				   path);
		break;
	case -ENOSPC:
	case -EDQUOT:
		blobs_get_run_stop(get_run, err, "%.*s: no space left; make room and resume", len,
				   path);
		break;
	default:
		blobs_get_run_stop(get_run, err, "%.*s: %s", len, path, weft_err_text(err));
	}
}

void blobs_get_run_stop_at(struct get_run *get_run, uint32_t item, int err)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, item);

	blobs_get_run_stop_at_path(get_run, entry->path, entry->path_len, err);
}

static void requests_cancel(struct get_run *get_run)
{
	blobs_swarm_cancel(&get_run->part.ask);
	get_run->requests.ready = NULL;
	get_run->requests.ready_end = &get_run->requests.ready;
	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++) {
		struct get_run_slot *slot = &get_run->requests.slots[i];

		if (!slot->is_used || !slot->ask.swarm)
			continue;
		blobs_swarm_cancel(&slot->ask);
		blobs_get_run_slot_free(slot);
	}
	get_run->requests.asked_cnt = 0;
}

void blobs_get_run_clear(struct get_run *get_run)
{
	get_run->records.must_clear = true;
}

bool blobs_get_run_has_target(const struct get_run *get_run)
{
	return get_run->target.fd >= 0;
}

const struct swarm *blobs_get_run_swarm(const struct get_run *get_run)
{
	return get_run->swarm;
}

void blobs_get_run_stop(struct get_run *get_run, int err, const char *fmt, ...)
{
	va_list args;

	if (blobs_get_run_is_stopping(get_run))
		return;
	va_start(args, fmt);
	vsnprintf(get_run->end_detail, sizeof(get_run->end_detail), fmt, args);
	va_end(args);
	get_run->end_err = err;
	get_run->step = GET_RUN_ENDING;
	requests_cancel(get_run);
	blobs_get_run_wake(get_run);
}

static void get_run_free(struct get_run *get_run)
{
	timer_cancel(get_run->content->params.timers, &get_run->timer);
	blobs_swarm_leave(get_run->swarm);
	for (uint32_t i = 0; i < get_run->requests.slot_cnt; i++)
		if (get_run->requests.slots[i].is_used)
			blobs_get_run_slot_free(&get_run->requests.slots[i]);
	blobs_get_run_range_free(get_run);
	blobs_get_run_check_fini(get_run);
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++)
		blobs_get_run_file_fini(&get_run->files[i]);
	for (unsigned i = 0; i < GET_RUN_JOBS_MAX; i++)
		blobs_target_dir_fini(&get_run->writes[i].dir);
	blobs_fetch_stored_free(get_run);
	blobs_manifest_free(get_run->part.root);
	free(get_run->part.root_buf);
	blobs_get_run_records_free(get_run);
	blobs_target_close(&get_run->target);
	blobs_removal_free(get_run->folder.removal);
	free(get_run->folder.intents);
	blobs_link_claims_fini(&get_run->folder.links);
	blobs_link_claims_fini(&get_run->folder.new_links);
	free(get_run->requests.slots);
	free(get_run);
}

/* --- jobs about the whole --- */

void blobs_get_run_step_submit(struct get_run *get_run, job_fn run, job_fn done)
{
	if (!get_run->step_is_out)
		get_run->step_is_out =
			blobs_get_run_submit(get_run, &get_run->step_job.job, run, done);
}

bool blobs_get_run_step_done(struct get_run *get_run)
{
	get_run->step_is_out = false;
	return blobs_get_run_job_done(get_run);
}

static void open_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	char name[TARGET_STAGE_CAP] = MANIFEST_STAGING_PREFIX "partial-";
	size_t at = strlen(name);

	for (size_t i = 0; i < 8; i++)
		at += (size_t)snprintf(name + at, sizeof(name) - at, "%02x",
				       get_run->get->asked.manifest_id[i]);
	step->err = get_run->is_clearing
			    ? blobs_target_discard(get_run->get->asked.target, name)
			    : blobs_target_open(&get_run->target, get_run->get->asked.target, name);
	if (!step->err && !get_run->is_clearing && get_run->get->view.folder &&
	    get_run->get->asked.folder.version_cnt && get_run->get->revision.base_version)
		step->err = blobs_target_open_versions(&get_run->target,
						       get_run->get->revision.base_version);
	if (!step->err && !get_run->is_clearing && get_run->get->view.folder)
		step->err = blobs_get_run_intents_load(get_run);
	if (!step->err && !get_run->is_clearing && get_run->get->view.folder)
		step->err = blobs_get_run_links_load(get_run);
}

static void open_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	if (get_run->is_clearing)
		blobs_get_run_stop(get_run, WEFT_ECANCELLED, "taken back");
	else if (step->err)
		blobs_get_run_stop(get_run, step->err, "%s: %s", get_run->get->asked.target,
				   weft_err_text(step->err));
	else
		blobs_get_run_manifest_begin(get_run, get_run->get->asked.manifest_id);
}

static void close_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;

	step->err = blobs_target_clear(&step->get_run->target);
}

static void close_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	if (step->err)
		blobs_get_run_stop(get_run, step->err,
				   "all is there, but %s/%s cannot be removed: %s",
				   get_run->get->asked.target, get_run->target.stage_name,
				   weft_err_text(step->err));
	else if (get_run->folder.link_left_cnt)
		blobs_get_run_stop(get_run, 0,
				   "%llu symbolic links left out: the filesystem has none",
				   (unsigned long long)get_run->folder.link_left_cnt);
	else
		blobs_get_run_stop(get_run, 0, "%s", "");
}

/* --- the pump --- */

static void items_run(struct get_run *get_run, uint64_t now_ns)
{
	bool has_room = get_run->records.placing.cnt < GET_RUN_RECORDS_MAX;

	if (has_room)
		blobs_get_run_check_run(get_run);
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++)
		if (get_run->files[i].step != FILE_UNUSED)
			blobs_get_run_file_run(&get_run->files[i]);
	blobs_get_run_writes_run(get_run);
	if (has_room)
		blobs_get_run_requests_run(get_run, now_ns);
	blobs_get_run_records_run(get_run, false);
	if (get_run->step == GET_RUN_ITEMS && get_run->items.done_cnt == get_run->items.cnt) {
		get_run->step = GET_RUN_DIRS;
		blobs_get_run_wake(get_run);
	}
}

static void flush_run(struct get_run *get_run)
{
	if (get_run->out_cnt > 0 || blobs_get_run_records_pending(get_run) ||
	    blobs_get_run_is_stopping(get_run))
		return;
	if (blobs_get_is_partial(get_run->get) && get_run->get->view.item_cnt == 0) {
		blobs_get_run_stop(
			get_run, WEFT_EABSENT,
			"no file of the collection is called as --only says, or all are excluded");
		return;
	}
	get_run->step = get_run->get->view.folder ? GET_RUN_REMOVING : GET_RUN_CLOSING;
	blobs_get_run_wake(get_run);
}

static void step_run(struct get_run *get_run, uint64_t now_ns)
{
	switch (get_run->step) {
	case GET_RUN_OPENING:
		blobs_get_run_step_submit(get_run, open_run, open_done);
		break;
	case GET_RUN_LOADING:
	case GET_RUN_MANIFEST:
		blobs_get_run_manifest_run(get_run, now_ns);
		break;
	case GET_RUN_ITEMS:
		items_run(get_run, now_ns);
		break;
	case GET_RUN_RANGE_OPENING:
	case GET_RUN_RANGE:
		blobs_get_run_range_run(get_run);
		blobs_get_run_writes_run(get_run);
		if (get_run->step == GET_RUN_RANGE)
			blobs_get_run_requests_run(get_run, now_ns);
		break;
	case GET_RUN_DIRS:
		blobs_get_run_dirs_run(get_run);
		break;
	case GET_RUN_FLUSH:
		blobs_get_run_records_run(get_run, true);
		flush_run(get_run);
		break;
	case GET_RUN_REMOVING:
		blobs_get_run_removing_run(get_run);
		break;
	case GET_RUN_CLOSING:
		blobs_get_run_step_submit(get_run, close_run, close_done);
		break;
	case GET_RUN_ENDING:
		break;
	}
}

static void clear_done(struct job *job)
{
	struct get_run *get_run = ((struct get_run_step_job *)job)->get_run;

	get_run->is_clearing = true;
	get_run->get->ending.has_staged = get_run->step_job.err < 0;
	(void)blobs_get_run_step_done(get_run);
}

static void leave_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;

	step->err = blobs_target_leave(&step->get_run->target) ? 0 : WEFT_EEXISTS;
}

static void leave_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;

	step->get_run->has_left = true;
	step->get_run->get->ending.has_staged = step->err < 0;
	(void)blobs_get_run_step_done(step->get_run);
}

/*
 * Returns true when the run is gone. The staged files of a get that was cancelled for good go
 * before it ends. Those of another get stay for its resumption, unless a failed sync makes them
 * doubtful. The kernel reports a failed sync once, and goes on showing bytes that are not on the
 * disk.
 */
static bool end_run(struct get_run *get_run)
{
	struct get *get = get_run->get;
	char detail[GET_DETAIL_CAP];
	int err;

	blobs_get_run_records_run(get_run, true);
	if (get_run->out_cnt > 0 || blobs_get_run_records_pending(get_run))
		return false;
	if (((get->ending.is_cancelled && !get->ending.keeps_staged) ||
	     get_run->records.must_clear) &&
	    !get_run->is_clearing && get_run->target.fd >= 0) {
		blobs_get_run_step_submit(get_run, close_run, clear_done);
		return false;
	}
	if (get_run->end_err && !get_run->is_clearing && !get_run->has_left &&
	    get_run->target.fd >= 0) {
		blobs_get_run_step_submit(get_run, leave_run, leave_done);
		return false;
	}
	err = get_run->end_err;
	memcpy(detail, get_run->end_detail, sizeof(detail));
	get_run_free(get_run);
	blobs_get_ended(get, err, detail);
	return true;
}

static void progress_tell(struct get_run *get_run, uint64_t now_ns)
{
	const struct get *get = get_run->get;

	if (get->view.byte_done_cnt == get_run->told_byte_cnt ||
	    now_ns - get_run->told_ns < TELL_NS)
		return;
	get_run->told_ns = now_ns;
	get_run->told_byte_cnt = get->view.byte_done_cnt;
	blobs_get_tell(get, BLOBS_GET_PROGRESS, 0, get->manifest.title);
}

static void timer_next(struct get_run *get_run, uint64_t now_ns)
{
	struct timer_wheel *timers = get_run->content->params.timers;
	uint64_t next_ns = get_run->requests.look_ns > now_ns ? get_run->requests.look_ns : 0;
	uint64_t due_ns = blobs_get_run_records_due(get_run);

	if (timer_is_set(&get_run->timer))
		return;
	if (due_ns > now_ns && (next_ns == 0 || due_ns < next_ns))
		next_ns = due_ns;
	if (get_run->must_retry_soon)
		next_ns = now_ns + RETRY_NS;
	if (next_ns > 0)
		timer_set(timers, &get_run->timer, next_ns);
}

static void get_run_pump(struct timer *timer, uint64_t now_ns)
{
	struct get_run *get_run = (struct get_run *)timer;

	get_run->get->gets->now_ns = now_ns;
	get_run->must_retry_soon = false;
	step_run(get_run, now_ns);
	if (blobs_get_run_is_stopping(get_run) && end_run(get_run))
		return;
	progress_tell(get_run, now_ns);
	timer_next(get_run, now_ns);
}

static void on_swarm_change(void *arg, uint64_t now_ns)
{
	struct get_run *get_run = arg;

	get_run->get->gets->now_ns = now_ns;
	blobs_get_run_wake(get_run);
}

static void on_swarm_bad(void *arg, const uint8_t key[static MESH_KEY_LEN])
{
	struct get_run *get_run = arg;
	struct blobs_event event = {
		.kind = BLOBS_PEER_BAD,
		.id = get_run->get->view.id,
		.manifest_id = get_run->get->asked.manifest_id,
		.peer_key = key,
		.err = WEFT_EDAMAGED,
		.text = "bytes that do not match",
	};

	get_run->get->view.bad_chunk_cnt++;
	get_run->get->gets->bad_chunk_cnt++;
	blobs_tell(get_run->content, &event);
}

void blobs_get_run_hint(struct get_run *get_run, const struct link_node *node)
{
	struct mesh_peer hint = mesh_peer_at(node->key, &node->places);

	blobs_swarm_hint(get_run->swarm, &hint);
}

static bool swarm_begin(struct get_run *get_run)
{
	const struct get *get = get_run->get;
	const struct swarm_watcher watcher = {on_swarm_change, on_swarm_bad, get_run};

	get_run->swarm = blobs_swarm_join(get_run->content,
					  &(struct swarm_join){.id = get->asked.manifest_id},
					  get->gets->now_ns);
	if (!get_run->swarm)
		return false;
	blobs_swarm_watch(get_run->swarm, &watcher);
	for (unsigned i = 0; i < get->view.node_cnt; i++)
		blobs_get_run_hint(get_run, &get->asked.nodes[i]);
	return true;
}

/* A quarter of what the process may have is for gets. */
static size_t fd_cap(const struct blobs_config *config)
{
	struct rlimit limit;
	size_t cap = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur / 4;

	cap /= config->get_active_cap;
	return cap < GET_RUN_FDS_MAX ? cap : GET_RUN_FDS_MAX;
}

int blobs_get_run_start(struct get *get, bool is_clearing)
{
	const struct blobs_config *config = &get->gets->content->params.config;
	struct get_run *get_run = calloc(1, sizeof(*get_run));

	if (!get_run)
		return -ENOMEM;
	/* Twice as many slots as requests: while answers are written, others are asked for. */
	get_run->requests.slot_cnt = 2 * config->chunks_in_flight;
	get_run->requests.slots =
		calloc(get_run->requests.slot_cnt, sizeof(*get_run->requests.slots));
	get_run->get = get;
	get_run->content = get->gets->content;
	if (!get_run->requests.slots || !swarm_begin(get_run)) {
		free(get_run->requests.slots);
		free(get_run);
		return -ENOMEM;
	}
	get_run->is_clearing = is_clearing;
	blobs_get_folder_begin(get);
	blobs_get_run_intents_begin(get_run);
	blobs_target_init(&get_run->target);
	get_run->range.fd = get_run->range.sum_fd = -1;
	get_run->step_job.get_run = get_run;
	get_run->requests.ready_end = &get_run->requests.ready;
	get_run->items.ready_duplicates = GET_RUN_NONE;
	for (unsigned i = 0; i < GET_RUN_FILES_MAX; i++)
		get_run->files[i].fd = -1;
	for (unsigned i = 0; i < GET_RUN_JOBS_MAX; i++) {
		get_run->writes[i].get_run = get_run;
		blobs_target_dir_init(&get_run->writes[i].dir, &get_run->target);
	}
	get_run->records.fd_cap = fd_cap(config);
	get_run->records.sync.due_ns = get->gets->now_ns;
	blobs_get_run_check_init(get_run);
	timer_init(&get_run->timer, get_run_pump);
	get->get_run = get_run;
	blobs_get_state_set(get, BLOBS_GET_MANIFEST);
	get->view.item_cnt = get->view.item_done_cnt = 0;
	get->view.byte_cnt = get->view.byte_done_cnt = 0;
	get->view.reused_byte_cnt = get->view.received_byte_cnt = get->view.bad_chunk_cnt = 0;
	blobs_get_run_wake(get_run);
	return 0;
}

void blobs_get_run_abandon(struct get_run *get_run)
{
	blobs_get_run_stop(get_run, WEFT_ECANCELLED, "shut down");
	store_flush(get_run->content->params.store);
	while (get_run->out_cnt > 0)
		jobs_reap_wait(get_run->content->params.jobs);
	get_run->get->get_run = NULL;
	get_run_free(get_run);
}
