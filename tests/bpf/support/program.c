/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/support/program.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static void *map_memory(const struct bpf_map *map)
{
	size_t len = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		die(bpf_map__name(map), errno);
	return at;
}

const char *program_open(struct program *program, uint32_t session_cap)
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
	err = bpf_map__set_max_entries(program->skel->maps.weft_sessions, session_cap);
	if (err < 0)
		die("size the map of proven addresses", err);
	err = bpf_map__set_max_entries(program->skel->maps.weft_relay_flows,
				       PROGRAM_RELAY_FLOW_CNT);
	if (err < 0)
		die("size the map of relay flows", err);
	err = weft_xdp__load(program->skel);
	if (err == -EPERM && geteuid() != 0) {
		program_close(program);
		return "machine: loading BPF programs takes root";
	}
	if (err < 0)
		die("load the program", err);
	program->fd = bpf_program__fd(program->skel->progs.weft_xdp);
	program->krpc = (struct weft_krpc_tables){
		.selves = map_memory(program->skel->maps.weft_krpc_selves),
		.buckets = map_memory(program->skel->maps.weft_krpc_buckets),
		.held = map_memory(program->skel->maps.weft_krpc_held),
		.reply_keys = map_memory(program->skel->maps.weft_krpc_keys),
	};
	program->relay = (struct weft_relay_tables){
		.keys = map_memory(program->skel->maps.weft_relay_keys),
		.flows = map_memory(program->skel->maps.weft_relay_flows),
		.grants = map_memory(program->skel->maps.weft_relay_grants),
		.flow_cnt = PROGRAM_RELAY_FLOW_CNT,
	};
	return NULL;
}

void program_close(struct program *program)
{
	if (program->krpc.selves) {
		munmap(program->krpc.selves,
		       WEFT_KRPC_FAMILY_CNT * sizeof(program->krpc.selves[0]));
		munmap(program->krpc.buckets,
		       WEFT_KRPC_BUCKETS_CNT * sizeof(program->krpc.buckets[0]));
		munmap(program->krpc.held, WEFT_KRPC_HELD_WORD_CNT * sizeof(__u64));
		munmap(program->krpc.reply_keys, sizeof(*program->krpc.reply_keys));
	}
	if (program->relay.keys) {
		munmap(program->relay.keys, sizeof(*program->relay.keys));
		munmap(program->relay.flows,
		       PROGRAM_RELAY_FLOW_CNT * sizeof(program->relay.flows[0]));
		munmap(program->relay.grants,
		       WEFT_RELAY_GRANT_CNT * sizeof(program->relay.grants[0]));
	}
	program->krpc = (struct weft_krpc_tables){.selves = NULL};
	program->relay = (struct weft_relay_tables){.keys = NULL};
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

void program_get_own(struct program *program, const char *map, uint32_t idx, void *out_value,
		     size_t len)
{
	uint8_t *values = malloc((size_t)program->cpu_cnt * len);
	int err = values ? bpf_map_lookup_elem(bpf_map__fd(map_named(program, map)), &idx, values)
			 : -ENOMEM;

	if (err < 0)
		die(map, err);
	memcpy(out_value, values + (size_t)program->cpu * len, len);
	free(values);
}

void program_get(struct program *program, const char *map, uint32_t idx, void *out_value)
{
	int err = bpf_map_lookup_elem(bpf_map__fd(map_named(program, map)), &idx, out_value);

	if (err < 0)
		die(map, err);
}

uint64_t program_count(struct program *program, enum weft_reason reason)
{
	struct weft_counter counter;

	program_get_own(program, "weft_counters", reason, &counter, sizeof(counter));
	return counter.packet_cnt;
}

void program_put(struct program *program, const char *map, const void *key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map_named(program, map)), key, value, BPF_ANY);

	if (err < 0)
		die(map, err);
}

bool program_first(struct program *program, const char *map, void *out_key, void *out_value)
{
	int fd = bpf_map__fd(map_named(program, map));

	return bpf_map_get_next_key(fd, NULL, out_key) == 0 &&
	       bpf_map_lookup_elem(fd, out_key, out_value) == 0;
}

bool program_next(struct program *program, const char *map, void *key, void *out_value)
{
	int fd = bpf_map__fd(map_named(program, map));

	return bpf_map_get_next_key(fd, key, key) == 0 &&
	       bpf_map_lookup_elem(fd, key, out_value) == 0;
}

static void map_empty(struct bpf_map *map)
{
	uint8_t key[32];
	int fd = bpf_map__fd(map);

	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		if (bpf_map_delete_elem(fd, key) < 0)
			die(bpf_map__name(map), errno);
}

static void map_zero(struct program *program, struct bpf_map *map)
{
	void *zeros = calloc((size_t)program->cpu_cnt, bpf_map__value_size(map));
	int err;

	if (!zeros)
		die("calloc", ENOMEM);
	for (__u32 i = 0; i < bpf_map__max_entries(map); i++) {
		err = bpf_map_update_elem(bpf_map__fd(map), &i, zeros, BPF_ANY);
		if (err < 0)
			die(bpf_map__name(map), err);
	}
	free(zeros);
}

static int keep_sample(void *out_last, void *sample, size_t len)
{
	memcpy(out_last, sample, len);
	return 0;
}

unsigned program_samples(struct program *program, struct weft_sample *out_last)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(program->skel->maps.weft_samples),
						    keep_sample, out_last, NULL);
	int cnt = ring ? ring_buffer__consume(ring) : -errno;

	if (cnt < 0)
		die("read samples", cnt);
	ring_buffer__free(ring);
	return (unsigned)cnt;
}

void program_clear(struct program *program)
{
	struct weft_sample last;

	map_empty(program->skel->maps.weft_sessions);
	map_empty(program->skel->maps.weft_bans_ipv4);
	map_empty(program->skel->maps.weft_bans_ipv6);
	map_zero(program, program->skel->maps.weft_validated);
	map_zero(program, program->skel->maps.weft_places);
	map_zero(program, program->skel->maps.weft_marks);
	map_zero(program, program->skel->maps.weft_totals);
	map_zero(program, program->skel->maps.weft_random_drops);
	map_zero(program, program->skel->maps.weft_counters);
	map_zero(program, program->skel->maps.weft_samplers);
	(void)program_samples(program, &last);
}
