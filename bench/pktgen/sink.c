/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what arrives, without a stack behind it. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/pktgen/pktgen.skel.h"
#include "run.h"

#define NS_PER_S 1000000000ULL

static void sum_received(struct pktgen *bpf, struct pktgen_counter *out_sum)
{
	int cpu_cnt = libbpf_num_possible_cpus();
	struct pktgen_counter *each = calloc(cpu_cnt > 0 ? (size_t)cpu_cnt : 1, sizeof(*each));
	uint32_t only = 0;

	*out_sum = (struct pktgen_counter){0};
	if (each && bpf_map_lookup_elem(bpf_map__fd(bpf->maps.received), &only, each) == 0) {
		for (int i = 0; i < cpu_cnt; i++) {
			out_sum->frame_cnt += each[i].frame_cnt;
			out_sum->byte_cnt += each[i].byte_cnt;
		}
	}
	free(each);
}

static void wait_and_tell(struct pktgen *bpf, const struct sink_request *request)
{
	uint64_t begin_ns = monotonic_ns(), next_ns = begin_ns + NS_PER_S, now_ns;
	uint64_t end_ns = request->seconds > 0
				  ? begin_ns + (uint64_t)(request->seconds * (double)NS_PER_S)
				  : UINT64_MAX;
	struct pktgen_counter last = {0}, sum;

	while (!stop_wanted() && (now_ns = monotonic_ns()) < end_ns) {
		uint64_t until_ns = next_ns < end_ns ? next_ns : end_ns;
		struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
					 .tv_nsec = (long)(until_ns % NS_PER_S)};

		if (now_ns < until_ns) {
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
			continue;
		}
		next_ns += NS_PER_S;
		sum_received(bpf, &sum);
		if (!request->is_quiet)
			fprintf(stderr, "%llu frames/s, %.3f Gbit/s\n",
				sum.frame_cnt - last.frame_cnt,
				(double)(sum.byte_cnt - last.byte_cnt) * 8e-9);
		last = sum;
	}
}

int sink_run(const struct sink_request *request)
{
	struct pktgen *bpf = pktgen__open_and_load();
	uint64_t begin_ns;
	struct pktgen_counter sum;
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = request->is_generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int link_fd;

	if (!bpf) {
		fprintf(stderr, "pktgen: the kernel refuses the program: %s\n", strerror(errno));
		return 1;
	}
	/* A link goes with its process, so that nothing stays attached. */
	link_fd = bpf_link_create(bpf_program__fd(bpf->progs.pktgen_sink), (int)request->ifindex,
				  BPF_XDP, &opts);
	if (link_fd < 0) {
		fprintf(stderr, "pktgen: attaching to %s: %s%s\n", request->device,
			strerror(-link_fd),
			link_fd == -EBUSY
				? "; another XDP program is there: ip link set dev DEVICE xdp off"
				: "");
		pktgen__destroy(bpf);
		return 1;
	}
	begin_ns = monotonic_ns();
	wait_and_tell(bpf, request);
	sum_received(bpf, &sum);
	printf("{\"frames\": %llu, \"bytes\": %llu, \"ns\": %llu}\n", sum.frame_cnt, sum.byte_cnt,
	       (unsigned long long)(monotonic_ns() - begin_ns));
	pktgen__destroy(bpf);
	return 0;
}
