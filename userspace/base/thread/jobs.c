/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thread has a ring in and a ring out, so the worker takes no lock.
 * A new job goes to the thread with the fewest in hand.
 */
#include "base/thread/jobs.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/process/crash.h"
#include "base/process/privilege.h"
#include "base/thread/ring.h"

/* jobs_reap_wait looks again after so long; a job that ends meanwhile ends the wait. */
#define REAP_WAIT_MS 20

struct jobs_thread {
	struct jobs *jobs;
	struct ring *in;  /* worker -> thread; closed: the thread ends */
	struct ring *out; /* thread -> worker */
	sem_t waiting;	  /* counts what is in the ring in */
	uint32_t in_hand; /* worker's */
	pthread_t id;
};

struct jobs {
	enum sandbox_role role;
	unsigned thread_cnt;
	uint32_t cap_cnt;
	uint32_t in_flight;
	uint64_t signal_cnt; /* of jobs handed to threads: raises of fd that were not read yet */
	int fd;
	int stop_fd;
	struct job *inline_head, **inline_tail; /* with thread_cnt 0 */
	struct jobs_thread threads[];
};

static const char *const thread_names[SANDBOX_ROLE_CNT] = {
	[SANDBOX_JOBS] = "jobs",
	[SANDBOX_IMPORT] = "import",
	[SANDBOX_LOOKUP] = "lookup",
};

static void *thread_main(void *arg)
{
	struct jobs_thread *thread = arg;
	const uint64_t one = 1;

	crash_thread_begin(thread_names[thread->jobs->role]);
	(void)privilege_drop();
	sandbox_enter(thread->jobs->role);
	for (;;) {
		struct job *job;

		while (sem_wait(&thread->waiting) < 0)
			;
		job = ring_pop(thread->in);
		if (!job) /* closed: else each count of waiting has its job */
			return NULL;
		job->run(job);
		weft_assert(ring_push(thread->out, job) == 0);
		/* A full counter still wakes the worker. */
		(void)!write(thread->jobs->fd, &one, sizeof(one));
	}
}

/* Signals are the workers' business: a handler here would wake no worker. */
static int thread_create(struct jobs_thread *thread)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&thread->id, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static int thread_start(struct jobs *jobs, struct jobs_thread *thread, uint32_t ring_cap)
{
	int err = -ENOMEM;

	thread->jobs = jobs;
	thread->in = ring_new(ring_cap);
	thread->out = ring_new(ring_cap);
	if (!thread->in || !thread->out)
		goto free_rings;
	sem_init(&thread->waiting, 0, 0);
	err = thread_create(thread);
	if (err == 0)
		return 0;
	sem_destroy(&thread->waiting);
free_rings:
	ring_free(thread->in);
	ring_free(thread->out);
	return err;
}

int jobs_new(unsigned thread_cnt, uint32_t cap_cnt, struct jobs **out_jobs)
{
	return jobs_new_as(SANDBOX_JOBS, thread_cnt, cap_cnt, out_jobs);
}

int jobs_new_as(enum sandbox_role role, unsigned thread_cnt, uint32_t cap_cnt,
		struct jobs **out_jobs)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs) + thread_cnt * sizeof(jobs->threads[0]));
	uint32_t ring_cap = 2;
	int err = 0;

	if (!jobs)
		return -ENOMEM;
	while (ring_cap < cap_cnt)
		ring_cap *= 2;
	jobs->role = role;
	jobs->cap_cnt = cap_cnt;
	jobs->inline_tail = &jobs->inline_head;
	jobs->fd = thread_cnt ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	jobs->stop_fd = thread_cnt ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (thread_cnt && (jobs->fd < 0 || jobs->stop_fd < 0))
		err = -errno;
	for (unsigned i = 0; err == 0 && i < thread_cnt; i++) {
		err = thread_start(jobs, &jobs->threads[i], ring_cap);
		jobs->thread_cnt += err == 0;
	}
	if (err < 0) {
		jobs_free(jobs);
		return err;
	}
	*out_jobs = jobs;
	return 0;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	if (jobs->stop_fd >= 0)
		(void)eventfd_write(jobs->stop_fd, 1);
	for (unsigned i = 0; i < jobs->thread_cnt; i++) {
		struct jobs_thread *thread = &jobs->threads[i];

		ring_close(thread->in);
		sem_post(&thread->waiting);
		pthread_join(thread->id, NULL);
		sem_destroy(&thread->waiting);
		ring_free(thread->in);
		ring_free(thread->out);
	}
	if (jobs->fd >= 0)
		close(jobs->fd);
	if (jobs->stop_fd >= 0)
		close(jobs->stop_fd);
	free(jobs);
}

static struct jobs_thread *thread_least_busy(struct jobs *jobs)
{
	struct jobs_thread *best = &jobs->threads[0];

	for (unsigned i = 1; i < jobs->thread_cnt; i++)
		if (jobs->threads[i].in_hand < best->in_hand)
			best = &jobs->threads[i];
	return best;
}

int jobs_submit(struct jobs *jobs, struct job *job)
{
	struct jobs_thread *thread;

	weft_assert(job->run && job->done);
	if (jobs->in_flight == jobs->cap_cnt)
		return WEFT_EFULL;
	jobs->in_flight++;
	if (!jobs->thread_cnt) {
		job->next = NULL;
		*jobs->inline_tail = job;
		jobs->inline_tail = &job->next;
		return 0;
	}
	jobs->signal_cnt++;
	thread = thread_least_busy(jobs);
	thread->in_hand++;
	weft_assert(ring_push(thread->in, job) == 0);
	sem_post(&thread->waiting);
	return 0;
}

/* Only what waited at the start: jobs that jobs make run in the next turn. */
static unsigned inline_reap(struct jobs *jobs)
{
	struct job *list = jobs->inline_head, *job;
	unsigned cnt = 0;

	jobs->inline_head = NULL;
	jobs->inline_tail = &jobs->inline_head;
	while ((job = list)) {
		list = job->next;
		job->run(job);
		jobs->in_flight--;
		job->done(job);
		cnt++;
	}
	return cnt;
}

unsigned jobs_reap(struct jobs *jobs)
{
	unsigned cnt = 0;
	uint64_t count;

	if (!jobs->thread_cnt)
		return inline_reap(jobs);
	/* Each turn of a worker asks: without a job on its way, not the kernel. */
	if (!jobs->signal_cnt || read(jobs->fd, &count, sizeof(count)) < 0)
		return 0;
	jobs->signal_cnt -= count;
	for (unsigned i = 0; i < jobs->thread_cnt; i++) {
		struct jobs_thread *thread = &jobs->threads[i];
		struct job *job;

		while ((job = ring_pop(thread->out))) {
			thread->in_hand--;
			jobs->in_flight--;
			job->done(job);
			cnt++;
		}
	}
	return cnt;
}

void jobs_reap_wait(struct jobs *jobs)
{
	struct pollfd ready = {.fd = jobs->fd, .events = POLLIN};

	if (jobs_reap(jobs) == 0)
		(void)poll(&ready, ready.fd >= 0, REAP_WAIT_MS);
}

int jobs_fd(const struct jobs *jobs)
{
	return jobs->fd;
}

int jobs_stop_fd(const struct jobs *jobs)
{
	return jobs->stop_fd;
}

uint32_t jobs_in_flight(const struct jobs *jobs)
{
	return jobs->in_flight;
}
