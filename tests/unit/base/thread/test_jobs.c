/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/thread/jobs.h"
#include "support/check.h"

#define CAP 16

struct sum_job {
	struct job job;
	unsigned run_cnt;
	unsigned done_cnt;
};

static unsigned done_order[4 * CAP];
static unsigned done_cnt;
static struct sum_job sums[CAP];
static struct jobs *jobs;

static void sum_run(struct job *job)
{
	((struct sum_job *)job)->run_cnt++;
}

static void sum_done(struct job *job)
{
	struct sum_job *sum = (struct sum_job *)job;

	sum->done_cnt++;
	done_order[done_cnt++] = (unsigned)(sum - sums);
}

static void sums_reset(void)
{
	memset(sums, 0, sizeof(sums));
	for (unsigned i = 0; i < CAP; i++)
		sums[i].job = (struct job){.run = sum_run, .done = sum_done};
	done_cnt = 0;
}

static void jobs_wait(void)
{
	struct pollfd fd = {.fd = jobs_fd(jobs), .events = POLLIN};

	while (jobs_in_flight(jobs) > 0) {
		if (fd.fd >= 0 && poll(&fd, 1, 120000) != 1)
			return;
		jobs_reap(jobs);
	}
}

static void fill_and_wait(unsigned thread_cnt)
{
	struct job extra = {.run = sum_run, .done = sum_done};

	CHECK_EQ(jobs_new(thread_cnt, CAP, &jobs), 0);
	sums_reset();
	for (unsigned round = 1; round <= 4; round++) {
		for (unsigned i = 0; i < CAP; i++)
			CHECK_EQ(jobs_submit(jobs, &sums[i].job), 0);
		CHECK_EQ(jobs_submit(jobs, &extra), WEFT_EFULL);
		jobs_wait();
		CHECK_EQ(jobs_in_flight(jobs), 0);
		for (unsigned i = 0; i < CAP; i++) {
			CHECK_EQ(sums[i].run_cnt, round);
			CHECK_EQ(sums[i].done_cnt, round);
		}
	}
	jobs_free(jobs);
}

static void test_each_job_runs_and_is_done_once(void)
{
	for (unsigned thread_cnt = 0; thread_cnt <= 3 && !check_failed; thread_cnt++)
		fill_and_wait(thread_cnt);
}

static void test_without_threads_jobs_run_in_order_inside_reap(void)
{
	CHECK_EQ(jobs_new(0, CAP, &jobs), 0);
	CHECK_EQ(jobs_fd(jobs), -1);
	sums_reset();
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(jobs_submit(jobs, &sums[CAP - 1 - i].job), 0);
	CHECK_EQ(sums[0].run_cnt, 0);
	CHECK_EQ(jobs_reap(jobs), CAP);
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(done_order[i], CAP - 1 - i);
	CHECK_EQ(jobs_reap(jobs), 0);
	jobs_free(jobs);
}

static void again_done(struct job *job)
{
	struct sum_job *sum = (struct sum_job *)job;

	if (++sum->done_cnt < 5 && jobs_submit(jobs, job) < 0)
		abort();
}

/* The full pool has room again by the time done is called. */
static void test_done_may_submit_again(void)
{
	for (unsigned thread_cnt = 0; thread_cnt < 2; thread_cnt++) {
		CHECK_EQ(jobs_new(thread_cnt, 1, &jobs), 0);
		sums_reset();
		sums[0].job.done = again_done;
		CHECK_EQ(jobs_submit(jobs, &sums[0].job), 0);
		jobs_wait();
		CHECK_EQ(sums[0].run_cnt, 5);
		CHECK_EQ(sums[0].done_cnt, 5);
		jobs_free(jobs);
	}
}

static sem_t started, let_go;

static void gate_run(struct job *job)
{
	sum_run(job);
	sem_post(&started);
	sem_wait(&let_go);
}

static void *open_gate(void *arg)
{
	(void)arg;
	sem_post(&let_go);
	return NULL;
}

static void test_free_waits_for_what_runs_and_drops_what_waits(void)
{
	pthread_t opener;

	sem_init(&started, 0, 0);
	sem_init(&let_go, 0, 0);
	CHECK_EQ(jobs_new(1, CAP, &jobs), 0);
	sums_reset();
	sums[0].job.run = gate_run;
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(jobs_submit(jobs, &sums[i].job), 0);
	sem_wait(&started);
	/* The gate may open before free closes the queue: then some jobs run, which is no error. */
	CHECK_EQ(pthread_create(&opener, NULL, open_gate, NULL), 0);
	jobs_free(jobs);
	pthread_join(opener, NULL);
	CHECK_EQ(sums[0].run_cnt, 1);
	CHECK_EQ(done_cnt, 0);
}

int main(void)
{
	RUN(test_each_job_runs_and_is_done_once);
	RUN(test_without_threads_jobs_run_in_order_inside_reap);
	RUN(test_done_may_submit_again);
	RUN(test_free_waits_for_what_runs_and_drops_what_waits);
	return check_done();
}
