/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_THREAD_JOBS_H
#define WEFT_BASE_THREAD_JOBS_H

#include <stdint.h>

#include "base/process/sandbox.h"
#include "weft/err.h"

/*
 * Work that may wait on a disk or burn a core runs here, never on a
 * worker. A job is embedded in its owner's object. run is called on a
 * pool thread and may touch only what the job owns. done is called later
 * on the worker, from jobs_reap. Jobs start in submission order and end
 * in any order.
 *
 * With thread_cnt 0 jobs run inside jobs_reap, in order, on the caller's
 * thread: so the simulator and tests replay exactly.
 */
struct jobs;
struct job;
typedef void (*job_fn)(struct job *job);

struct job {
	struct job *next;
	job_fn run;
	job_fn done;
};

/*
 * jobs_new starts thread_cnt threads, at most cap_cnt jobs in flight.
 * Returns: 0 with *out_jobs, or -errno.
 */
WEFT_MUST_CHECK
int jobs_new(unsigned thread_cnt, uint32_t cap_cnt, struct jobs **out_jobs);
/* jobs_new_as: threads that enter another sandbox than SANDBOX_JOBS. */
WEFT_MUST_CHECK
int jobs_new_as(enum sandbox_role role, unsigned thread_cnt, uint32_t cap_cnt,
		struct jobs **out_jobs);
/*
 * jobs_free waits for what runs and drops what waits; done is not called for
 * either. First it makes jobs_stop_fd readable: a job that waits for others
 * than the disk watches it, not to hold up the end. -1 with thread_cnt 0.
 */
void jobs_free(struct jobs *jobs);
int jobs_stop_fd(const struct jobs *jobs);
/* jobs_submit: 0, or WEFT_EFULL with the job still the caller's. Worker only. */
WEFT_MUST_CHECK
int jobs_submit(struct jobs *jobs, struct job *job);
/* jobs_reap calls done for what has ended; returns how many. Worker only. */
unsigned jobs_reap(struct jobs *jobs);
/*
 * jobs_reap_wait reaps for a caller that stops and has a job out. When none has ended it waits
 * for one first, but not for long: the caller calls it until its own job is done.
 */
void jobs_reap_wait(struct jobs *jobs);
/* jobs_fd becomes readable when jobs_reap has work; -1 with thread_cnt 0. */
int jobs_fd(const struct jobs *jobs);
uint32_t jobs_in_flight(const struct jobs *jobs);

#endif
