/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab-wire carries frames between pairs of devices of its network namespace.
 * It loads wire.bpf.c, and holds the frames that the program gives it
 * (delay_line.c). It obeys tools/lab. Standard input is a socket
 * (SOCK_SEQPACKET); each of its connections has one text message and one answer:
 *
 *   join A B                 frames in at A leave at B, and the other way
 *   set A KEY=VALUE...       of frames that come in at A; what is not named becomes 0
 *   show A                   settings and counters as KEY=VALUE; dropped is of the whole delay line
 *
 * The answer to what failed begins with "error: ". It ends on SIGTERM.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "delay_line.h"
#include "wire.bpf.h"
#include "tools/netlab/wire.skel.h"

#define HELD_BYTES_MAX	(256 << 20)
#define PERF_PAGE_CNT	1024 /* 4 MiB per CPU: 30 ms of 1 Gbit/s */
#define MESSAGE_LEN_MAX 1024
#define NS_PER_S	1000000000ULL
#define EVENT_CNT_MAX	8

struct lab_wire {
	struct wire *bpf;
	struct perf_buffer *held;
	struct delay_line *line;
	int epoll_fd;
};

/* The settings that a message may name, all unsigned integers. */
static const struct setting {
	const char *name;
	size_t offset;
} settings_table[] = {
	{"loss", offsetof(struct wire_settings, loss)},
	{"reorder", offsetof(struct wire_settings, reorder)},
	{"delay_ns", offsetof(struct wire_settings, delay_ns)},
	{"jitter_ns", offsetof(struct wire_settings, jitter_ns)},
	{"rate_bps", offsetof(struct wire_settings, rate_bps)},
	{"queue_ns", offsetof(struct wire_settings, queue_ns)},
};
#define SETTING_CNT (sizeof(settings_table) / sizeof(settings_table[0]))

struct answer {
	char text[MESSAGE_LEN_MAX];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct answer *answer, const char *format,
						      ...)
{
	size_t room = sizeof(answer->text) - answer->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(answer->text + answer->len, room, format, args);
	va_end(args);
	if (len > 0)
		answer->len += (size_t)len < room ? (size_t)len : room - 1;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int attach(struct lab_wire *wire, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(wire->bpf->progs.wire_carry));
	int err = bpf_tc_hook_create(&hook);

	if (err < 0 && err != -EEXIST)
		return err;
	err = bpf_tc_attach(&hook, &opts);
	if (err < 0)
		return err;
	return bpf_xdp_attach((int)ifindex, bpf_program__fd(wire->bpf->progs.wire_pass),
			      XDP_FLAGS_DRV_MODE, NULL);
}

static int join_one_way(struct lab_wire *wire, uint32_t in, uint32_t out)
{
	int cpu_cnt = libbpf_num_possible_cpus(), err;
	struct wire_settings settings = {.out_ifindex = out};
	struct wire_state state = {.dice = in};
	struct wire_counters *counters;

	if (cpu_cnt < 0)
		return cpu_cnt;
	counters = calloc((size_t)cpu_cnt, sizeof(*counters));
	if (!counters)
		return -ENOMEM;
	err = bpf_map_update_elem(bpf_map__fd(wire->bpf->maps.counters_of), &in, counters, BPF_ANY);
	free(counters);
	if (err < 0)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(wire->bpf->maps.state_of), &in, &state, BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(wire->bpf->maps.settings_of), &in, &settings, BPF_ANY) <
		    0)
		return -errno;
	return attach(wire, in);
}

static void answer_join(struct lab_wire *wire, char *words, struct answer *answer)
{
	char *a = strtok_r(NULL, " ", &words), *b = strtok_r(NULL, " ", &words);
	uint32_t a_idx = a ? if_nametoindex(a) : 0, b_idx = b ? if_nametoindex(b) : 0;
	int err;

	if (!a_idx || !b_idx) {
		say(answer, "error: join takes the names of two devices");
		return;
	}
	err = join_one_way(wire, a_idx, b_idx);
	if (err == 0)
		err = join_one_way(wire, b_idx, a_idx);
	if (err < 0)
		say(answer, "error: joining %s and %s: %s", a, b, strerror(-err));
}

static int reseed(struct lab_wire *wire, uint32_t end, uint64_t seed)
{
	struct wire_state state = {.dice = seed};

	return bpf_map_update_elem(bpf_map__fd(wire->bpf->maps.state_of), &end, &state, BPF_EXIST);
}

static bool set_one(struct lab_wire *wire, uint32_t end, struct wire_settings *settings, char *word)
{
	char *value = strchr(word, '='), *rest;
	unsigned long long number;

	if (!value)
		return false;
	*value++ = '\0';
	errno = 0;
	number = strtoull(value, &rest, 10);
	if (errno || rest == value || *rest)
		return false;
	if (strcmp(word, "seed") == 0)
		return reseed(wire, end, number) == 0;
	for (size_t i = 0; i < SETTING_CNT; i++) {
		if (strcmp(word, settings_table[i].name) == 0) {
			memcpy((char *)settings + settings_table[i].offset, &number, 8);
			return true;
		}
	}
	return false;
}

/* Finds the end that the next word names and its settings; 0 when lab-wire has no such end. */
static uint32_t end_of(struct lab_wire *wire, char **words, struct wire_settings *out_settings)
{
	char *name = strtok_r(NULL, " ", words);
	uint32_t end = name ? if_nametoindex(name) : 0;

	if (end &&
	    bpf_map_lookup_elem(bpf_map__fd(wire->bpf->maps.settings_of), &end, out_settings) == 0)
		return end;
	return 0;
}

static void answer_set(struct lab_wire *wire, char *words, struct answer *answer)
{
	struct wire_settings old, settings = {0};
	uint32_t end = end_of(wire, &words, &old);
	char *word;

	if (!end) {
		say(answer, "error: set takes the name of a joined device");
		return;
	}
	settings.out_ifindex = old.out_ifindex;
	while ((word = strtok_r(NULL, " ", &words))) {
		if (!set_one(wire, end, &settings, word)) {
			say(answer, "error: %s is no setting or has no such value", word);
			return;
		}
	}
	if (bpf_map_update_elem(bpf_map__fd(wire->bpf->maps.settings_of), &end, &settings,
				BPF_EXIST) < 0)
		say(answer, "error: %s", strerror(errno));
}

static int sum_counters(struct lab_wire *wire, uint32_t end, struct wire_counters *out_sum)
{
	int cpu_cnt = libbpf_num_possible_cpus(), err = -ENOMEM;
	struct wire_counters sum = {0}, *each = NULL;

	if (cpu_cnt > 0)
		each = calloc((size_t)cpu_cnt, sizeof(*each));
	if (each)
		err = bpf_map_lookup_elem(bpf_map__fd(wire->bpf->maps.counters_of), &end, each);
	for (int i = 0; err == 0 && i < cpu_cnt; i++) {
		sum.frames += each[i].frames;
		sum.bytes += each[i].bytes;
		sum.lost += each[i].lost;
		sum.queue_full += each[i].queue_full;
		sum.held += each[i].held;
		sum.overrun += each[i].overrun;
	}
	free(each);
	*out_sum = sum;
	return err;
}

static void answer_show(struct lab_wire *wire, char *words, struct answer *answer)
{
	struct wire_settings settings = {0};
	uint32_t end = end_of(wire, &words, &settings);
	struct wire_counters sum;

	if (!end || sum_counters(wire, end, &sum) < 0) {
		say(answer, "error: show takes the name of a joined device");
		return;
	}
	for (size_t i = 0; i < SETTING_CNT; i++) {
		uint64_t value;

		memcpy(&value, (char *)&settings + settings_table[i].offset, sizeof(value));
		say(answer, "%s=%llu ", settings_table[i].name, (unsigned long long)value);
	}
	say(answer,
	    "frames=%llu bytes=%llu lost=%llu queue_full=%llu held=%llu overrun=%llu dropped=%llu",
	    sum.frames, sum.bytes, sum.lost, sum.queue_full, sum.held, sum.overrun,
	    (unsigned long long)delay_line_dropped_cnt(wire->line));
}

static void obey(struct lab_wire *wire, char *message, struct answer *answer)
{
	char *words, *verb = strtok_r(message, " ", &words);

	if (verb && strcmp(verb, "join") == 0)
		answer_join(wire, words, answer);
	else if (verb && strcmp(verb, "set") == 0)
		answer_set(wire, words, answer);
	else if (verb && strcmp(verb, "show") == 0)
		answer_show(wire, words, answer);
	else
		say(answer, "error: the words are join, set and show");
	if (answer->len == 0)
		say(answer, "ok");
}

static void accept_client(struct lab_wire *wire)
{
	int fd = accept4(STDIN_FILENO, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= 0 && epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		close(fd);
}

static void serve_client(struct lab_wire *wire, int fd)
{
	char message[MESSAGE_LEN_MAX + 1];
	struct answer answer = {.len = 0};
	ssize_t len = recv(fd, message, MESSAGE_LEN_MAX, 0);

	if (len > 0) {
		message[len] = '\0';
		obey(wire, message, &answer);
		(void)send(fd, answer.text, answer.len, MSG_NOSIGNAL);
	}
	close(fd);
}

static void on_held(void *ctx, int cpu, void *data, __u32 size)
{
	const struct wire_held *held = data;
	struct lab_wire *wire = ctx;

	(void)cpu;
	if (size >= sizeof(*held) && size - sizeof(*held) >= held->len)
		delay_line_put(wire->line, held, held + 1);
}

/* Sleeps until the next departure or the next event. */
static int wait_events(struct lab_wire *wire, struct epoll_event *events)
{
	uint64_t now_ns = monotonic_ns(), next_ns = delay_line_send(wire->line, now_ns);
	uint64_t sleep_ns = next_ns - now_ns;
	struct timespec timeout = {.tv_sec = (time_t)(sleep_ns / NS_PER_S),
				   .tv_nsec = (long)(sleep_ns % NS_PER_S)};

	return epoll_pwait2(wire->epoll_fd, events, EVENT_CNT_MAX,
			    next_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

static int run(struct lab_wire *wire)
{
	struct epoll_event events[EVENT_CNT_MAX];
	int held_fd = perf_buffer__epoll_fd(wire->held);

	for (;;) {
		int cnt = wait_events(wire, events);

		if (cnt < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < cnt; i++) {
			if (events[i].data.fd == STDIN_FILENO)
				accept_client(wire);
			else if (events[i].data.fd == held_fd)
				(void)perf_buffer__consume(wire->held);
			else
				serve_client(wire, events[i].data.fd);
		}
	}
}

static int watch(struct lab_wire *wire, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_all(struct lab_wire *wire)
{
	int err;

	wire->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	wire->line = delay_line_new(HELD_BYTES_MAX);
	wire->bpf = wire__open_and_load();
	if (wire->epoll_fd < 0 || !wire->line || !wire->bpf)
		return -errno;
	wire->held = perf_buffer__new(bpf_map__fd(wire->bpf->maps.delay_line), PERF_PAGE_CNT,
				      on_held, NULL, wire, NULL);
	if (!wire->held)
		return -errno;
	err = watch(wire, STDIN_FILENO);
	return err < 0 ? err : watch(wire, perf_buffer__epoll_fd(wire->held));
}

/* It ends by a signal, and the kernel takes back everything with the process. */
int main(void)
{
	struct lab_wire wire = {.epoll_fd = -1};
	int is_listening = 0, err;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &is_listening,
		       &(socklen_t){sizeof(is_listening)}) < 0 ||
	    !is_listening) {
		fprintf(stderr,
			"lab-wire: is started by tools/lab, which gives it a listening socket\n");
		return 2;
	}
	err = open_all(&wire);
	if (err == 0)
		err = run(&wire);
	fprintf(stderr, "lab-wire: %s\n", strerror(-err));
	return 1;
}
