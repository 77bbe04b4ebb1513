/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/program.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/weft_xdp.skel.h"

static void die(const char *what, int err)
{
	printf("Bail out! %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static int stay_on_one_cpu(void)
{
	cpu_set_t cpus;
	int cpu = sched_getcpu();

	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		die("sched_setaffinity", errno);
	return cpu;
}

const char *program_open(struct program *program)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	int err;

	libbpf_set_print(geteuid() == 0 ? print : say_nothing);
	program->cpu = stay_on_one_cpu();
	program->cpu_cnt = libbpf_num_possible_cpus();
	program->skel = weft_xdp__open();
	if (!program->skel)
		die("open the program", errno);
	program->skel->rodata->is_clock_given = true;
	err = weft_xdp__load(program->skel);
	if (err == -EPERM && geteuid() != 0) {
		program_close(program);
		return "machine: loading BPF programs takes root";
	}
	if (err < 0)
		die("load the program", err);
	program->fd = bpf_program__fd(program->skel->progs.weft_xdp);
	return NULL;
}

void program_close(struct program *program)
{
	weft_xdp__destroy(program->skel);
	program->skel = NULL;
}

void program_set_now(struct program *program, uint64_t now_ns)
{
	program->skel->bss->clock_ns = now_ns;
}

void program_run(struct program *program, const uint8_t *frame, size_t len,
		 struct program_result *out_result)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out_result->bytes, .data_size_out = sizeof(out_result->bytes),
		    .repeat = 1);
	int err = bpf_prog_test_run_opts(program->fd, &opts);

	if (err < 0)
		die("run the program", err);
	out_result->action = opts.retval;
	out_result->len = opts.data_size_out;
}

static struct bpf_map *map_named(struct program *program, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(program->skel->obj, name);

	if (!map)
		die(name, ENOENT);
	return map;
}

uint64_t program_count(struct program *program, enum weft_reason reason)
{
	struct weft_counter *counters = calloc((size_t)program->cpu_cnt, sizeof(*counters));
	__u32 idx = reason;
	uint64_t cnt;
	int err;

	if (!counters)
		die("calloc", ENOMEM);
	err = bpf_map_lookup_elem(bpf_map__fd(map_named(program, "weft_counters")), &idx, counters);
	if (err < 0)
		die("read a counter", err);
	cnt = counters[program->cpu].packet_cnt;
	free(counters);
	return cnt;
}

void program_put(struct program *program, const char *map, const void *key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map_named(program, map)), key, value, BPF_ANY);

	if (err < 0)
		die(map, err);
}
