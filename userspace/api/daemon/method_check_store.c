/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CheckStore: databases and blobs verified, in a job, which ends when its
 * caller leaves. Findings are collected there, bounded, and sent when it is
 * done; its progress is reported meanwhile.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "codec/json_heap.h"
#include "api/methods.h"
#include "store/store.h"

#define FINDING_CAP 1000
#define PROGRESS_NS (500 * NS_PER_MS)

struct checking {
	struct job job;
	struct timer timer;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	bool is_repairing;
	bool has_lost;		      /* a finding, for want of memory */
	bool is_unwanted;	      /* atomic: the caller left */
	uint64_t read_len;	      /* atomic, written by the job */
	uint64_t whole_len;	      /* about, as it began */
	struct varlink_blocks blocks; /* of findings; the job's until it is done */
	struct api_string_list findings;
	struct store_check_result result;
	int err;
};

/* --- in the job --- */

static void checking_report(void *arg, const char *finding)
{
	struct checking *checking = arg;

	if (checking->findings.cnt < FINDING_CAP)
		varlink_push(&checking->blocks, &checking->findings,
			     varlink_text(&checking->blocks, finding));
}

static bool checking_is_due(void *arg, size_t read_len)
{
	struct checking *checking = arg;

	__atomic_fetch_add(&checking->read_len, read_len, __ATOMIC_RELAXED);
	return __atomic_load_n(&checking->is_unwanted, __ATOMIC_RELAXED);
}

static void checking_run(struct job *job)
{
	struct checking *checking = (struct checking *)job;

	const struct store_check_ask ask = {
		.repairs = checking->is_repairing,
		.report = checking_report,
		.arg = checking,
		.stop = {checking_is_due, checking},
	};

	(void)json_heap_swap_lost(false);
	checking->err = store_check_until(checking->api->store, &ask, &checking->result);
	checking->has_lost = json_heap_swap_lost(false);
}

/* --- at home --- */

static void checking_progress(struct timer *timer, uint64_t now_ns)
{
	struct checking *checking = container_of(timer, struct checking, timer);
	uint64_t read_len = __atomic_load_n(&checking->read_len, __ATOMIC_RELAXED);

	/* Content that is added meanwhile is read, too. */
	if (read_len > checking->whole_len)
		read_len = checking->whole_len;
	api_reply_more(checking->call, check_store,
		       .progress = &(struct api_store_progress){api_uint(read_len),
								api_uint(checking->whole_len)});
	timer_set(&checking->api->home->timers, timer, now_ns + PROGRESS_NS);
}

static void checking_reply(struct checking *checking)
{
	const struct store_check_result *result = &checking->result;
	for (size_t i = 0; i < checking->findings.cnt && control_wants_more(checking->call); i++)
		api_reply_more(checking->call, check_store, .finding = checking->findings.rows[i]);
	api_reply(checking->call, check_store,
		  .result = &(struct api_store_check){
			  .blobs = api_uint(result->blob_cnt),
			  .blobs_bad = api_uint(result->blob_bad_cnt),
			  .items = api_uint(result->item_cnt),
			  .items_bad = api_uint(result->item_bad_cnt),
			  .repaired = api_uint(result->repaired_cnt),
		  });
}

static void checking_fail(const struct checking *checking)
{
	const struct api_string_list *findings = &checking->findings;
	const char *last = findings->cnt ? findings->rows[findings->cnt - 1] : NULL;

	if (checking->err == WEFT_EDAMAGED && last)
		control_fail(checking->call, checking->err, "store", last,
			     "stop weftd; weft backup restore DIR then puts a backup in its place, "
			     "weft store salvage keeps all of it that is sound");
	else
		control_fail(checking->call, checking->err, "store", weft_err_text(checking->err),
			     "see the daemon's log");
}

static void checking_done(struct job *job)
{
	struct checking *checking = (struct checking *)job;

	timer_cancel(&checking->api->home->timers, &checking->timer);
	if (checking->has_lost)
		(void)json_heap_swap_lost(true);
	if (checking->call && checking->err < 0)
		checking_fail(checking);
	else if (checking->call)
		checking_reply(checking);
	checking->api->is_checking = false;
	varlink_blocks_free(&checking->blocks);
	free(checking);
}

static void checking_caller_left(void *arg)
{
	struct checking *checking = arg;

	checking->call = NULL;
	timer_cancel(&checking->api->home->timers, &checking->timer);
	__atomic_store_n(&checking->is_unwanted, true, __ATOMIC_RELAXED);
}

void api_check_store(struct api *api, struct control_call *call,
		     const struct api_check_store_in *in, uint64_t now_ns)
{
	struct store_stats stats;
	struct checking *checking = api->is_checking ? NULL : calloc(1, sizeof(*checking));
	int err = api->is_checking ? WEFT_EBUSY : -ENOMEM;

	if (checking) {
		store_stats(api->store, &stats);
		checking->whole_len = stats.map_used_len + stats.segment_len;
		timer_init(&checking->timer, checking_progress);
		checking->job = (struct job){.run = checking_run, .done = checking_done};
		checking->api = api;
		checking->call = call;
		checking->is_repairing = in->repair;
		err = jobs_submit(api->home->jobs, &checking->job);
	}
	if (err < 0) {
		control_fail(call, err, "store", weft_err_text(err),
			     "a check may be running already: wait for it");
		free(checking);
		return;
	}
	api->is_checking = true;
	if (control_wants_more(call))
		timer_set(&api->home->timers, &checking->timer, now_ns + PROGRESS_NS);
	control_on_gone(call, checking_caller_left, checking);
}
