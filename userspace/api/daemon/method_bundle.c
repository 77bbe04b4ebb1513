/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ExportSocial, ImportSocial. A job reads or writes a slice of the file; then the home worker has its
 * turn, with what is in memory. One run at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/social/method_post.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "crypto/sealed_file.h"
#include "social/bundle/bundle_export.h"
#include "social/bundle/bundle_import.h"
#include "social/social.h"
#include "store/store.h"

#define PROGRESS_NS (500 * NS_PER_MS)
#define TURN_NS	    NS_PER_MS /* until other work had its turn */

struct bundle_run {
	struct job job;
	struct timer timer;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	char *path;
	struct bundle_export *export;
	struct bundle_import *import; /* one of both */
	bool is_in_job, is_settling;
	int err;
	struct bundle_import_fault fault;
	uint64_t now_ns, progress_ns;
};

static void run_free(struct bundle_run *run)
{
	struct api *api = run->api;

	timer_cancel(&api->home->timers, &run->timer);
	if (run->call)
		control_on_gone(run->call, NULL, NULL);
	social_bundle_export_free(run->export);
	social_bundle_import_free(run->import);
	free(run->path);
	free(run);
	api->bundle_run = NULL;
}

void api_bundle_forget(struct api *api)
{
	struct bundle_run *run = api->bundle_run;

	if (!run)
		return;
	run->call = NULL;
	while (api->bundle_run && run->is_in_job)
		jobs_reap_wait(api->home->jobs);
	if (api->bundle_run)
		run_free(run);
}

static void run_caller_left(void *arg)
{
	((struct bundle_run *)arg)->call = NULL;
}

/* --- answers --- */

static struct api_bundle_written written_of(const struct bundle_run *run)
{
	struct bundle_export_count count;

	social_bundle_export_count(run->export, &count);
	return (struct api_bundle_written){.posts = api_uint(count.post_cnt),
					   .deletions = api_uint(count.deletion_cnt),
					   .profiles = api_uint(count.profile_cnt),
					   .follows = api_uint(count.person_cnt),
					   .bytes = api_uint(count.byte_cnt),
					   .sealed = count.is_sealed};
}

static void progress_say(struct bundle_run *run)
{
	struct bundle_import_count count;
	struct api_bundle_written written;

	if (run->export) {
		written = written_of(run);
		api_reply_more(run->call, export_social, .progress = &written);
		return;
	}
	social_bundle_import_count(run->import, &count);
	api_reply_more(run->call, import_social,
		       .progress = &(struct api_bundle_progress){
			       .step = count.is_judged ? API_BUNDLE_PROGRESS_STEP_TAKING
						       : API_BUNDLE_PROGRESS_STEP_CHECKING,
			       .done = api_uint(count.at_cnt),
			       .records = api_uint(count.record_cnt)});
}

static void done_say(struct bundle_run *run)
{
	struct varlink_blocks *blocks = control_blocks(run->call);
	static const uint8_t none[32];
	struct bundle_import_count count;
	struct api_bundle_written written;
	bool names_one;

	if (run->export) {
		written = written_of(run);
		api_reply(run->call, export_social, .written = &written);
		return;
	}
	social_bundle_import_count(run->import, &count);
	names_one = memcmp(count.first_left, none, sizeof(none)) != 0;
	api_reply(run->call, import_social,
		  .taken = &(struct api_bundle_taken){
			  .posts = api_uint(count.post_cnt),
			  .others = api_uint(count.other_cnt),
			  .known = api_uint(count.known_cnt),
			  .left = api_uint(count.left_cnt),
			  .first_left = names_one ? api_id(blocks, count.first_left) : NULL,
			  .why = count.first_why});
}

static void export_fail(const struct bundle_run *run)
{
	static const struct control_failure_row rows[] = {
		{-EEXIST, "a file is there", "name another one, or replace it: --force"},
		{-ENOMEM, "no memory",
		 "sealing takes 256 MiB of memory for a second: allow them (MemoryMax, ulimit -v)"},
		{WEFT_EDAMAGED, "posts on the disk are damaged",
		 "weft store check says where the damage is"},
		{0, NULL,
		 "name a file where the daemon may write; under systemd that is its state folder"},
	};

	control_fail_of(run->call, run->err, run->path, rows);
}

static void import_fail(const struct bundle_run *run)
{
	struct varlink_blocks *blocks = control_blocks(run->call);
	static const uint8_t none[32];
	const struct bundle_import_fault *fault = &run->fault;
	const char *why = fault->why ? fault->why : weft_err_text(run->err);

	if (run->err == WEFT_ESEALED)
		control_fail(run->call, run->err, run->path, why,
			     "give the passphrase of the export: --passphrase-file");
	else if (memcmp(fault->id, none, sizeof(none)) != 0)
		control_fail(run->call, run->err, run->path,
			     varlink_format(blocks, "%s of it: %s; nothing was taken",
					    api_id(blocks, fault->id), why),
			     "export once more, and bring the file over unchanged");
	else
		control_fail(run->call, run->err, run->path, why,
			     "export once more; see that the daemon may read the file");
}

/* --- a run --- */

static void run_step(struct timer *timer, uint64_t now_ns);

static void run_end(struct bundle_run *run)
{
	if (run->call && run->err < 0 && run->export)
		export_fail(run);
	else if (run->call && run->err < 0)
		import_fail(run);
	else if (run->call)
		done_say(run);
	/* The call has ended. */
	run->call = NULL;
	run_free(run);
}

static void run_job(struct job *job)
{
	struct bundle_run *run = (struct bundle_run *)job;

	run->err = run->export ? social_bundle_slice(run->export)
			       : social_bundle_load(run->import, &run->fault);
}

static void on_settled(void *arg, int err)
{
	struct api *api = arg;
	struct bundle_run *run = api->bundle_run;

	if (!run || !run->is_settling)
		return;
	run->err = err;
	run_end(run);
}

/* What was given to the store before is durable when this is. */
static void run_settle(struct bundle_run *run)
{
	struct store_batch *batch = store_batch_new(run->api->store);
	int err = store_submit(run->api->store, batch, on_settled, run->api);

	run->is_settling = true;
	if (err == 0)
		return;
	store_batch_free(batch);
	if (err == WEFT_EFULL) {
		timer_set(&run->api->home->timers, &run->timer, run->now_ns + TURN_NS);
		return;
	}
	run->err = err;
	run_end(run);
}

static void run_job_done(struct job *job)
{
	struct bundle_run *run = (struct bundle_run *)job;

	run->is_in_job = false;
	if (run->err < 0 || !run->call || (run->err == 0 && run->export)) {
		run_end(run);
		return;
	}
	if (run->err == 0) {
		run_settle(run);
		return;
	}
	timer_set(&run->api->home->timers, &run->timer, 0);
}

static int run_submit(struct bundle_run *run)
{
	int err = run->export ? social_bundle_gather(run->export) : 0;

	if (err == 0)
		err = jobs_submit(run->api->home->jobs, &run->job);
	run->is_in_job = err == 0;
	return err;
}

static void run_step(struct timer *timer, uint64_t now_ns)
{
	struct bundle_run *run = container_of(timer, struct bundle_run, timer);
	int err = run->call ? 0 : WEFT_ECANCELLED;

	run->now_ns = now_ns;
	if (err == 0 && run->is_settling) {
		run_settle(run);
		return;
	}
	if (err == 0 && now_ns >= run->progress_ns && control_wants_more(run->call)) {
		progress_say(run);
		run->progress_ns = now_ns + PROGRESS_NS;
	}
	if (err == 0 && run->import && (err = social_bundle_apply(run->import, now_ns)) == 1) {
		timer_set(&run->api->home->timers, timer, now_ns + TURN_NS);
		return;
	}
	if (err == 0 && (err = run_submit(run)) == WEFT_EFULL) {
		timer_set(&run->api->home->timers, timer, now_ns + TURN_NS);
		return;
	}
	if (err < 0) {
		run->err = err;
		run_end(run);
	}
}

/* NULL: call was failed. */
static struct bundle_run *run_new(struct api *api, struct control_call *call, const char *path,
				  const char *passphrase)
{
	size_t len = passphrase ? strlen(passphrase) : SEALED_PASSPHRASE_LEN_MIN;
	struct bundle_run *run = NULL;

	if (path[0] != '/' || path[1] == '\0' || path[strlen(path) - 1] == '/')
		control_fail(call, WEFT_EMALFORMED, "path", "it is no absolute path of a file",
			     "name the file from / on");
	else if (len < SEALED_PASSPHRASE_LEN_MIN || len >= SEALED_PASSPHRASE_CAP)
		control_fail(call, WEFT_EMALFORMED, "passphrase", "not of 8 to 1023 bytes",
			     "take several words");
	else if (api->bundle_run)
		control_fail(call, WEFT_EBUSY, "social", "another export or import is under way",
			     "wait for it");
	else if (!(run = calloc(1, sizeof(*run))) || !(run->path = strdup(path))) {
		free(run);
		run = NULL;
		control_fail(call, -ENOMEM, path, "no memory", "free some and try again");
	}
	if (run) {
		run->api = api;
		run->call = call;
		run->job = (struct job){.run = run_job, .done = run_job_done};
		timer_init(&run->timer, run_step);
	}
	return run;
}

static void run_start(struct bundle_run *run, int err, uint64_t now_ns)
{
	run->api->bundle_run = run;
	if (err < 0) {
		run->err = err;
		run_end(run);
		return;
	}
	run->progress_ns = now_ns + PROGRESS_NS;
	control_on_gone(run->call, run_caller_left, run);
	run_step(&run->timer, now_ns);
}

void api_export_social(struct api *api, struct control_call *call,
		       const struct api_export_social_in *in, uint64_t now_ns)
{
	bool has_keys = in->has_keys && in->keys;
	struct bundle_run *run;
	struct bundle_export_params params;

	if (!api_reader(api, call))
		return;
	if (has_keys && !in->passphrase) {
		control_fail(call, WEFT_EMALFORMED, "keys", "a file with keys is sealed",
			     "give a passphrase");
		return;
	}
	if (!(run = run_new(api, call, in->path, in->passphrase)))
		return;
	params = (struct bundle_export_params){
		.people = social_people(api->social),
		.read = social_read_of(api->social),
		.groups = social_groups_of(api->social),
		.store = api->store,
		.path = in->path,
		.passphrase = in->passphrase,
		.has_keys = has_keys,
		.has_others = !in->has_posts || in->posts != API_EXPORT_SOCIAL_IN_POSTS_OWN,
		.has_hosted = in->has_posts && in->posts == API_EXPORT_SOCIAL_IN_POSTS_ALL,
		.replaces = in->has_replace && in->replace};
	run_start(run, social_bundle_export_new(&params, &run->export), now_ns);
}

void api_import_social(struct api *api, struct control_call *call,
		       const struct api_import_social_in *in, uint64_t now_ns)
{
	struct bundle_run *run;
	struct bundle_import_params params;

	if (!api_reader(api, call) || !(run = run_new(api, call, in->path, in->passphrase)))
		return;
	params = (struct bundle_import_params){.people = social_people(api->social),
					       .groups = social_groups_of(api->social),
					       .intake = social_intake_of(api->social),
					       .posts = social_posts_of(api->social),
					       .read = social_read_of(api->social),
					       .write = social_write_of(api->social),
					       .path = in->path,
					       .passphrase = in->passphrase};
	run_start(run, social_bundle_import_new(&params, &run->import), now_ns);
}
