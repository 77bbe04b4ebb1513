/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a running get and the pump that decides what is next.
 *
 *	open the target -> manifest -> items -> empty directories
 *	-> next part -> ... -> flush records -> remove the staging directory
 *
 * Home worker; jobs work on what their own struct holds and read the
 * manifest and the target, which do not change while a job is out.
 */
#include "content/get/fetch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "content/get/removal.h"
#include "store/store.h"

#define RETRY_NS (10 * NS_PER_MS)
#define TELL_NS	 (250 * NS_PER_MS)

static void fetch_pump(struct timer *timer, uint64_t now_ns);

bool fetch_is_stopping(const struct fetch *fetch)
{
	return fetch->step == FETCH_ENDING;
}

void fetch_wake(struct fetch *fetch)
{
	timer_set(fetch->content->params.timers, &fetch->timer, fetch->get->gets->now_ns);
}

bool fetch_submit(struct fetch *fetch, struct job *job, job_fn run, job_fn done)
{
	job->run = run;
	job->done = done;
	if (jobs_submit(fetch->content->params.jobs, job) < 0) {
		fetch->must_retry_soon = true;
		return false;
	}
	fetch->out_cnt++;
	return true;
}

bool fetch_job_done(struct fetch *fetch)
{
	fetch->out_cnt--;
	fetch_wake(fetch);
	return !fetch_is_stopping(fetch);
}

const struct manifest_item *fetch_manifest_item(const struct fetch *fetch, uint32_t item)
{
	return &fetch->manifest->items[item];
}

const char *fetch_item_path(const struct fetch *fetch, uint32_t item,
			    char text[static OBJECT_PATH_LEN_MAX])
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);

	snprintf(text, OBJECT_PATH_LEN_MAX, "%.*s", (int)entry->path_len, entry->path);
	return text;
}

/* By its number in the collection: two items may have one content. */
void fetch_name(const struct fetch *fetch, uint32_t item, char name[static PLACING_NAME_CAP])
{
	snprintf(name, PLACING_NAME_CAP, "%u-%u", fetch->part_idx, item);
}

void fetch_stop_at_path(struct fetch *fetch, const char *path, size_t path_len, int err)
{
	int len = (int)path_len;

	switch (err) {
	case WEFT_EEXISTS:
		fetch_stop(fetch, err, "%.*s: something else is there; remove it or replace it",
			   len, path);
		break;
	case WEFT_EUNSAFE:
		fetch_stop(fetch, err, "%.*s: a symbolic link stands in the way", len, path);
		break;
	case -ENOSPC:
	case -EDQUOT:
		fetch_stop(fetch, err, "%.*s: no space left; make room and resume", len, path);
		break;
	default:
		fetch_stop(fetch, err, "%.*s: %s", len, path, weft_err_text(err));
	}
}

void fetch_stop_at(struct fetch *fetch, uint32_t item, int err)
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);

	fetch_stop_at_path(fetch, entry->path, entry->path_len, err);
}

static void requests_cancel(struct fetch *fetch)
{
	swarm_cancel(&fetch->manifest_ask);
	fetch->ready = NULL;
	fetch->ready_end = &fetch->ready;
	for (uint32_t i = 0; i < fetch->slot_cnt; i++) {
		struct fetch_slot *slot = &fetch->slots[i];

		if (!slot->is_used || !slot->ask.swarm)
			continue;
		swarm_cancel(&slot->ask);
		fetch_slot_free(slot);
	}
	fetch->asked_cnt = 0;
}

void fetch_stop(struct fetch *fetch, int err, const char *fmt, ...)
{
	va_list args;

	if (fetch_is_stopping(fetch))
		return;
	va_start(args, fmt);
	vsnprintf(fetch->end_detail, sizeof(fetch->end_detail), fmt, args);
	va_end(args);
	fetch->end_err = err;
	fetch->step = FETCH_ENDING;
	requests_cancel(fetch);
	fetch_wake(fetch);
}

static void fetch_free(struct fetch *fetch)
{
	timer_cancel(fetch->content->params.timers, &fetch->timer);
	swarm_leave(fetch->swarm);
	for (uint32_t i = 0; i < fetch->slot_cnt; i++)
		if (fetch->slots[i].is_used)
			fetch_slot_free(&fetch->slots[i]);
	fetch_range_free(fetch);
	fetch_check_fini(fetch);
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++)
		fetch_file_fini(&fetch->files[i]);
	for (unsigned i = 0; i < FETCH_JOBS_MAX; i++)
		target_dir_fini(&fetch->writes[i].dir);
	fetch_volume_free(fetch);
	manifest_free(fetch->root);
	free(fetch->root_buf);
	fetch_records_free(fetch);
	target_close(&fetch->target);
	removal_free(fetch->removal);
	free(fetch->intents);
	link_claims_fini(&fetch->links);
	link_claims_fini(&fetch->new_links);
	free(fetch->slots);
	free(fetch);
}

/* --- jobs about the whole --- */

void fetch_step_submit(struct fetch *fetch, job_fn run, job_fn done)
{
	if (!fetch->step_is_out)
		fetch->step_is_out = fetch_submit(fetch, &fetch->step_job.job, run, done);
}

bool fetch_step_done(struct fetch *fetch)
{
	fetch->step_is_out = false;
	return fetch_job_done(fetch);
}

static void open_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	char name[TARGET_STAGE_CAP] = MANIFEST_STAGING_PREFIX "partial-";
	size_t at = strlen(name);

	for (size_t i = 0; i < 8; i++)
		at += (size_t)snprintf(name + at, sizeof(name) - at, "%02x",
				       fetch->get->manifest_id[i]);
	step->err = fetch->is_clearing ? target_discard(fetch->get->target, name)
				       : target_open(&fetch->target, fetch->get->target, name);
	if (!step->err && !fetch->is_clearing && fetch->get->view.folder &&
	    fetch->get->folder.version_cnt && fetch->get->base_version)
		step->err = target_open_versions(&fetch->target, fetch->get->base_version);
	if (!step->err && !fetch->is_clearing && fetch->get->view.folder)
		step->err = fetch_intents_load(fetch);
	if (!step->err && !fetch->is_clearing && fetch->get->view.folder)
		step->err = fetch_links_load(fetch);
}

static void open_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (fetch->is_clearing)
		fetch_stop(fetch, WEFT_ECANCELLED, "taken back");
	else if (step->err)
		fetch_stop(fetch, step->err, "%s: %s", fetch->get->target,
			   weft_err_text(step->err));
	else
		fetch_manifest_begin(fetch, fetch->get->manifest_id);
}

static void close_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;

	step->err = target_clear(&step->fetch->target);
}

static void close_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (step->err)
		fetch_stop(fetch, step->err, "all is there, but %s/%s cannot be removed: %s",
			   fetch->get->target, fetch->target.stage_name, weft_err_text(step->err));
	else if (fetch->link_left_cnt)
		fetch_stop(fetch, 0, "%llu symbolic links left out: the filesystem has none",
			   (unsigned long long)fetch->link_left_cnt);
	else
		fetch_stop(fetch, 0, "%s", "");
}

/* --- the pump --- */

static void items_run(struct fetch *fetch, uint64_t now_ns)
{
	bool has_room = fetch->placing.cnt < FETCH_RECORDS_MAX;

	if (has_room)
		fetch_check_run(fetch);
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++)
		if (fetch->files[i].step != FILE_UNUSED)
			fetch_file_run(&fetch->files[i]);
	fetch_writes_run(fetch);
	if (has_room)
		fetch_requests_run(fetch, now_ns);
	fetch_records_run(fetch, false);
	if (fetch->step == FETCH_ITEMS && fetch->done_cnt == fetch->item_cnt) {
		fetch->step = FETCH_DIRS;
		fetch_wake(fetch);
	}
}

static void flush_run(struct fetch *fetch)
{
	if (fetch->out_cnt > 0 || fetch_records_pending(fetch) || fetch_is_stopping(fetch))
		return;
	if (get_is_partial(fetch->get) && fetch->get->view.item_cnt == 0) {
		fetch_stop(
			fetch, WEFT_EABSENT,
			"no file of the collection is called as --only says, or all are excluded");
		return;
	}
	fetch->step = fetch->get->view.folder ? FETCH_REMOVING : FETCH_CLOSING;
	fetch_wake(fetch);
}

static void step_run(struct fetch *fetch, uint64_t now_ns)
{
	switch (fetch->step) {
	case FETCH_OPENING:
		fetch_step_submit(fetch, open_run, open_done);
		break;
	case FETCH_LOADING:
	case FETCH_MANIFEST:
		fetch_manifest_run(fetch, now_ns);
		break;
	case FETCH_ITEMS:
		items_run(fetch, now_ns);
		break;
	case FETCH_RANGE_OPENING:
	case FETCH_RANGE:
		fetch_range_run(fetch);
		fetch_writes_run(fetch);
		if (fetch->step == FETCH_RANGE)
			fetch_requests_run(fetch, now_ns);
		break;
	case FETCH_DIRS:
		fetch_dirs_run(fetch);
		break;
	case FETCH_FLUSH:
		fetch_records_run(fetch, true);
		flush_run(fetch);
		break;
	case FETCH_REMOVING:
		fetch_removing_run(fetch);
		break;
	case FETCH_CLOSING:
		fetch_step_submit(fetch, close_run, close_done);
		break;
	case FETCH_ENDING:
		break;
	}
}

static void clear_done(struct job *job)
{
	struct fetch *fetch = ((struct fetch_step_job *)job)->fetch;

	fetch->is_clearing = true;
	fetch->get->has_staged = fetch->step_job.err < 0;
	(void)fetch_step_done(fetch);
}

static void leave_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;

	step->err = target_leave(&step->fetch->target) ? 0 : WEFT_EEXISTS;
}

static void leave_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;

	step->fetch->has_left = true;
	step->fetch->get->has_staged = step->err < 0;
	(void)fetch_step_done(step->fetch);
}

/*
 * True when fetch is gone. What a get has staged that was cancelled for good
 * goes before it ends; what another one has staged is for its resumption, unless a failed
 * sync makes it doubtful: the kernel tells that once, and goes on showing
 * bytes that are not on the disk.
 */
static bool end_run(struct fetch *fetch)
{
	struct get *get = fetch->get;
	char detail[GET_DETAIL_CAP];
	int err;

	fetch_records_run(fetch, true);
	if (fetch->out_cnt > 0 || fetch_records_pending(fetch))
		return false;
	if (((get->is_cancelled && !get->keeps_staged) || fetch->must_clear) &&
	    !fetch->is_clearing && fetch->target.fd >= 0) {
		fetch_step_submit(fetch, close_run, clear_done);
		return false;
	}
	if (fetch->end_err && !fetch->is_clearing && !fetch->has_left && fetch->target.fd >= 0) {
		fetch_step_submit(fetch, leave_run, leave_done);
		return false;
	}
	err = fetch->end_err;
	memcpy(detail, fetch->end_detail, sizeof(detail));
	fetch_free(fetch);
	get_ended(get, err, detail);
	return true;
}

static void progress_tell(struct fetch *fetch, uint64_t now_ns)
{
	const struct get *get = fetch->get;

	if (get->view.byte_done_cnt == fetch->told_byte_cnt || now_ns - fetch->told_ns < TELL_NS)
		return;
	fetch->told_ns = now_ns;
	fetch->told_byte_cnt = get->view.byte_done_cnt;
	get_tell(get, CONTENT_GET_PROGRESS, 0, get->title);
}

static void timer_next(struct fetch *fetch, uint64_t now_ns)
{
	struct timer_wheel *timers = fetch->content->params.timers;
	uint64_t next_ns = fetch->look_ns > now_ns ? fetch->look_ns : 0;
	uint64_t due_ns = fetch_records_due(fetch);

	if (timer_is_set(&fetch->timer))
		return;
	if (due_ns > now_ns && (next_ns == 0 || due_ns < next_ns))
		next_ns = due_ns;
	if (fetch->must_retry_soon)
		next_ns = now_ns + RETRY_NS;
	if (next_ns > 0)
		timer_set(timers, &fetch->timer, next_ns);
}

static void fetch_pump(struct timer *timer, uint64_t now_ns)
{
	struct fetch *fetch = (struct fetch *)timer;

	fetch->get->gets->now_ns = now_ns;
	fetch->must_retry_soon = false;
	step_run(fetch, now_ns);
	if (fetch_is_stopping(fetch) && end_run(fetch))
		return;
	progress_tell(fetch, now_ns);
	timer_next(fetch, now_ns);
}

static void on_swarm_change(void *arg, uint64_t now_ns)
{
	struct fetch *fetch = arg;

	fetch->get->gets->now_ns = now_ns;
	fetch_wake(fetch);
}

static void on_swarm_bad(void *arg, const uint8_t key[static MESH_KEY_LEN])
{
	struct fetch *fetch = arg;
	struct content_event event = {
		.kind = CONTENT_PEER_BAD,
		.id = fetch->get->view.id,
		.manifest_id = fetch->get->manifest_id,
		.peer_key = key,
		.err = WEFT_EDAMAGED,
		.text = "bytes that do not match",
	};

	fetch->get->view.bad_chunk_cnt++;
	fetch->get->gets->bad_chunk_cnt++;
	content_tell(fetch->content, &event);
}

void fetch_hint(struct fetch *fetch, const struct link_node *node)
{
	struct mesh_peer hint = {.addrs = node->addrs, .addr_cnt = node->addr_cnt};

	memcpy(hint.key, node->key, sizeof(hint.key));
	swarm_hint(fetch->swarm, &hint);
}

static bool swarm_begin(struct fetch *fetch)
{
	const struct get *get = fetch->get;
	const struct swarm_watcher watcher = {on_swarm_change, on_swarm_bad, fetch};

	fetch->swarm =
		swarm_join(fetch->content->swarms, get->manifest_id, NULL, 0, get->gets->now_ns);
	if (!fetch->swarm)
		return false;
	swarm_watch(fetch->swarm, &watcher);
	for (unsigned i = 0; i < get->view.node_cnt; i++)
		fetch_hint(fetch, &get->nodes[i]);
	return true;
}

/* A quarter of what the process may have is for gets. */
static size_t fd_cap(const struct content_config *config)
{
	struct rlimit limit;
	size_t cap = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur / 4;

	cap /= config->get_active_cap;
	return cap < FETCH_FDS_MAX ? cap : FETCH_FDS_MAX;
}

int fetch_start(struct get *get, bool is_clearing)
{
	const struct content_config *config = &get->gets->content->params.config;
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return -ENOMEM;
	/* Twice as many slots as requests: while answers are written, others are asked for. */
	fetch->slot_cnt = 2 * config->chunks_in_flight;
	fetch->slots = calloc(fetch->slot_cnt, sizeof(*fetch->slots));
	fetch->get = get;
	fetch->content = get->gets->content;
	if (!fetch->slots || !swarm_begin(fetch)) {
		free(fetch->slots);
		free(fetch);
		return -ENOMEM;
	}
	fetch->is_clearing = is_clearing;
	get_folder_begin(get);
	fetch_intents_begin(fetch);
	target_init(&fetch->target);
	fetch->range_fd = fetch->range_sum_fd = -1;
	fetch->step_job.fetch = fetch;
	fetch->ready_end = &fetch->ready;
	fetch->ready_twins = FETCH_NONE;
	for (unsigned i = 0; i < FETCH_FILES_MAX; i++)
		fetch->files[i].fd = -1;
	for (unsigned i = 0; i < FETCH_JOBS_MAX; i++) {
		fetch->writes[i].fetch = fetch;
		target_dir_init(&fetch->writes[i].dir);
	}
	fetch->fd_cap = fd_cap(config);
	fetch->sync.due_ns = get->gets->now_ns;
	fetch_check_init(fetch);
	timer_init(&fetch->timer, fetch_pump);
	get->fetch = fetch;
	get->view.state = CONTENT_GET_MANIFEST;
	get->view.item_cnt = get->view.item_done_cnt = 0;
	get->view.byte_cnt = get->view.byte_done_cnt = 0;
	get->view.reused_byte_cnt = get->view.received_byte_cnt = get->view.bad_chunk_cnt = 0;
	fetch_wake(fetch);
	return 0;
}

void fetch_abandon(struct fetch *fetch)
{
	fetch_stop(fetch, WEFT_ECANCELLED, "shut down");
	store_flush(fetch->content->params.store);
	while (fetch->out_cnt > 0)
		jobs_reap_wait(fetch->content->params.jobs);
	fetch->get->fetch = NULL;
	fetch_free(fetch);
}
