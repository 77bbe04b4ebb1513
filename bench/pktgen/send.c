/* SPDX-License-Identifier: Apache-2.0 */
/* Live frames through BPF_PROG_RUN, in slices as long as the rate allows. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/pktgen/pktgen.skel.h"
#include "run.h"

#define NS_PER_S  1000000000ULL
#define SLICE_NS  1000000ULL /* a rate is kept within each millisecond */
#define SLICE_CNT 16384	     /* without a rate: frames between two looks at the clock */

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

static int send_slice(struct pktgen *bpf, const struct send_request *request, uint64_t cnt)
{
	struct xdp_md ctx = {.data_end = (uint32_t)request->frame.len,
			     .ingress_ifindex = request->ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = request->frame.bytes,
		    .data_size_in = (uint32_t)request->frame.len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = (int)cnt,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = request->batch);

	return bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.pktgen_send), &opts);
}

/* How many frames may leave now; 0: wait. */
static uint64_t slice_cnt(const struct send_request *request, uint64_t sent_cnt, uint64_t spent_ns)
{
	uint64_t cnt = SLICE_CNT;

	if (request->rate_pps) {
		uint64_t due = (uint64_t)((__uint128_t)request->rate_pps * spent_ns / NS_PER_S);

		/* What was missed is not made up for in one burst. */
		cnt = due > sent_cnt ? due - sent_cnt : 0;
		if (cnt > request->rate_pps * 10 * SLICE_NS / NS_PER_S + 1)
			cnt = request->rate_pps * 10 * SLICE_NS / NS_PER_S + 1;
	}
	if (request->cnt && cnt > request->cnt - sent_cnt)
		cnt = request->cnt - sent_cnt;
	return cnt;
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
	uint64_t begin_ns = monotonic_ns(), begin_cpu_ns = cpu_ns(), spent_ns = 0, sent_cnt = 0;
	uint64_t end_ns = (uint64_t)(request->seconds * (double)NS_PER_S);
	int err = 0;

	while (!stop_wanted() && err == 0 && (!end_ns || spent_ns < end_ns) &&
	       (!request->cnt || sent_cnt < request->cnt)) {
		uint64_t cnt = slice_cnt(request, sent_cnt, spent_ns);

		if (cnt)
			err = send_slice(bpf, request, cnt);
		else
			clock_nanosleep(CLOCK_MONOTONIC, 0,
					&(struct timespec){.tv_nsec = SLICE_NS / 4}, NULL);
		sent_cnt += cnt;
		spent_ns = monotonic_ns() - begin_ns;
		if (err == -EINTR)
			err = 0;
	}
	*out_outcome = (struct outcome){sent_cnt, spent_ns, cpu_ns() - begin_cpu_ns};
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
