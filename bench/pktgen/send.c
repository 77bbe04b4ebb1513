/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live frames through BPF_PROG_RUN. To begin and to end a run costs the
 * kernel tens of milliseconds of waiting, so a run lasts until a signal ends
 * it. The program keeps the rate: it turns idle until its time.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "bench/pktgen/pktgen.skel.h"
#include "run.h"

#define NS_PER_S   1000000000ULL
#define US_PER_S   1000000ULL
#define REPEAT_MAX (1 << 30)
#define TURN_CNT   (1 << 20) /* of a rated run between two looks at what was sent */

static int fill_maps(struct pktgen *bpf, const struct send_request *request)
{
	uint32_t only = 0;

	if (bpf_map_update_elem(bpf_map__fd(bpf->maps.config_of), &only, &request->config,
				BPF_ANY) < 0)
		return -errno;
	for (uint32_t i = 0; i < request->config.id_cnt; i++) {
		if (bpf_map_update_elem(bpf_map__fd(bpf->maps.ids), &i, &request->ids[i], BPF_ANY) <
		    0)
			return -errno;
	}
	return 0;
}

static int run_once(struct pktgen *bpf, const struct send_request *request, uint64_t repeat)
{
	const uint32_t len = (uint32_t)request->frame.len + PKTGEN_TAIL_LEN;
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = request->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = request->frame.bytes, .data_size_in = len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = (int)repeat,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = request->batch);

	return bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.pktgen_send), &opts);
}

/* A signal ends a run; it comes again in case the first found none. */
static void stop_after(double seconds)
{
	uint64_t us = (uint64_t)(seconds * (double)US_PER_S);
	struct itimerval timer = {
		.it_value = {.tv_sec = (time_t)(us / US_PER_S), .tv_usec = (long)(us % US_PER_S)},
		.it_interval = {.tv_usec = 1000}};

	if (us)
		setitimer(ITIMER_REAL, &timer, NULL);
}

static uint64_t cpu_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * NS_PER_S + (uint64_t)spent.tv_nsec;
}

/* What was sent, in how long, and the CPU it took: receiving softirqs of a veth included. */
struct outcome {
	uint64_t cnt, ns, cpu_ns;
};

static int send_all(struct pktgen *bpf, const struct send_request *request,
		    struct outcome *out_outcome)
{
	const uint64_t limit = request->cnt ? request->cnt : UINT64_MAX;
	uint64_t begin_ns = monotonic_ns(), begin_cpu_ns = cpu_ns(), sent_cnt = 0;
	int err = 0;

	stop_after(request->seconds);
	while (!stop_wanted() && err == 0 && sent_cnt < limit) {
		uint64_t left = limit - sent_cnt,
			 max = request->config.gap_ns ? TURN_CNT : REPEAT_MAX;

		err = run_once(bpf, request, request->config.gap_ns || left > max ? max : left);
		if (err == -EINTR)
			err = 0;
		sent_cnt = bpf->bss->sent_cnt;
	}
	*out_outcome =
		(struct outcome){sent_cnt, monotonic_ns() - begin_ns, cpu_ns() - begin_cpu_ns};
	return err;
}

int send_run(const struct send_request *request)
{
	struct pktgen *bpf = pktgen__open_and_load();
	struct outcome outcome = {0};
	int err;

	if (!bpf) {
		fprintf(stderr, "pktgen: the kernel refuses the program: %s\n", strerror(errno));
		return 1;
	}
	err = fill_maps(bpf, request);
	if (err == 0)
		err = send_all(bpf, request, &outcome);
	if (err < 0)
		fprintf(stderr, "pktgen: sending on %s: %s%s\n", request->device, strerror(-err),
			err == -EINVAL ? " (live frames need Linux 5.18)" : "");
	else
		printf("{\"frames\": %llu, \"ns\": %llu, \"cpu_ns\": %llu, \"frame_len\": %zu}\n",
		       (unsigned long long)outcome.cnt, (unsigned long long)outcome.ns,
		       (unsigned long long)outcome.cpu_ns, request->frame.len);
	pktgen__destroy(bpf);
	return err < 0;
}
