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
#include "base/jobs.h"
#include "base/timer.h"
#include "codec/json_heap.h"
#include "api/methods.h"
#include "store/store.h"

#define FINDING_CAP 1000
#define PROGRESS_NS (500 * NS_PER_MS)

struct checking {
	struct job job;
	struct timer timer;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	bool is_repairing;
	bool has_lost;	    /* a finding, for want of memory */
	bool is_unwanted;   /* atomic: the caller left */
	uint64_t read_len;  /* atomic, written by the job */
	uint64_t whole_len; /* about, as it began */
	json_t *findings;
	struct store_check_result result;
	int err;
};

/* --- in the job --- */

static void checking_report(void *arg, const char *finding)
{
	struct checking *checking = arg;

	if (json_array_size(checking->findings) < FINDING_CAP)
		json_array_append_new(checking->findings, json_string(finding));
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
	checking->err = store_check_until(checking->node->store, &ask, &checking->result);
	checking->has_lost = json_heap_swap_lost(false);
}

/* --- at home --- */

static void checking_progress(struct timer *timer, uint64_t now_ns)
{
	struct checking *checking = container_of(timer, struct checking, timer);
	uint64_t read_len = __atomic_load_n(&checking->read_len, __ATOMIC_RELAXED);

	/* What is added meanwhile is read, too. */
	if (read_len > checking->whole_len)
		read_len = checking->whole_len;
	control_reply_more(checking->call, json_pack("{s:{s:o, s:o}}", "progress", "bytes_done",
						     api_json_uint(read_len), "bytes",
						     api_json_uint(checking->whole_len)));
	timer_set(&checking->node->home.timers, timer, now_ns + PROGRESS_NS);
}

static void checking_reply(struct checking *checking)
{
	const struct store_check_result *result = &checking->result;
	size_t cnt = json_array_size(checking->findings);

	for (size_t i = 0; i < cnt && control_wants_more(checking->call); i++)
		control_reply_more(
			checking->call,
			json_pack("{s:O}", "finding", json_array_get(checking->findings, i)));
	control_reply(checking->call, json_pack("{s:{s:o, s:o, s:o, s:o, s:o}}", "result", "blobs",
						api_json_uint(result->blob_cnt), "blobs_bad",
						api_json_uint(result->blob_bad_cnt), "items",
						api_json_uint(result->item_cnt), "items_bad",
						api_json_uint(result->item_bad_cnt), "repaired",
						api_json_uint(result->repaired_cnt)));
}

static void checking_fail(const struct checking *checking)
{
	size_t cnt = json_array_size(checking->findings);
	const char *last =
		cnt ? json_string_value(json_array_get(checking->findings, cnt - 1)) : NULL;

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

	if (checking->call)
		control_on_gone(checking->call, NULL, NULL);
	timer_cancel(&checking->node->home.timers, &checking->timer);
	if (checking->has_lost)
		(void)json_heap_swap_lost(true);
	if (checking->call && checking->err < 0)
		checking_fail(checking);
	else if (checking->call)
		checking_reply(checking);
	checking->node->is_checking = false;
	json_decref(checking->findings);
	free(checking);
}

static void checking_caller_left(void *arg)
{
	struct checking *checking = arg;

	checking->call = NULL;
	timer_cancel(&checking->node->home.timers, &checking->timer);
	__atomic_store_n(&checking->is_unwanted, true, __ATOMIC_RELAXED);
}

void api_check_store(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	struct store_stats stats;
	struct checking *checking = node->is_checking ? NULL : calloc(1, sizeof(*checking));
	int err = node->is_checking ? WEFT_EBUSY : -ENOMEM;

	if (checking) {
		store_stats(node->store, &stats);
		checking->whole_len = stats.map_used_len + stats.segment_len;
		timer_init(&checking->timer, checking_progress);
		checking->job = (struct job){.run = checking_run, .done = checking_done};
		checking->node = node;
		checking->call = call;
		checking->is_repairing = json_is_true(json_object_get(parameters, "repair"));
		checking->findings = json_array();
		err = jobs_submit(node->home.jobs, &checking->job);
	}
	if (err < 0) {
		control_fail(call, err, "store", weft_err_text(err),
			     "a check may be running already: wait for it");
		if (checking)
			json_decref(checking->findings);
		free(checking);
		return;
	}
	node->is_checking = true;
	if (control_wants_more(call))
		timer_set(&node->home.timers, &checking->timer, now_ns + PROGRESS_NS);
	control_on_gone(call, checking_caller_left, checking);
}
