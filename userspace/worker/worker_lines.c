/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "tcp/line/tcp_tty.h"
#include "tcp/tcp.h"
#include "worker.h"

/* A dial costs the line a frame of 11 bytes each 2 to 8 s. */
#define DIAL_NS	    (5 * NS_PER_S)
#define DIAL_MAX_NS (60 * NS_PER_S)
#define CONNECT_NS  (60 * NS_PER_S)

struct line_dial {
	struct worker_lines *lines;
	unsigned idx;
	uint64_t due_ns, pause_ns; /* due_ns UINT64_MAX: not, or one is under way */
};

struct worker_lines {
	struct worker *worker;
	const struct tcp_config *config;
	struct tcp_ttys *ttys;
	struct line_dial dials[TCP_LINES_MAX];
	void (*on_line)(void *ctx, const char *path, int err);
	void *ctx;
};

static void on_device(void *ctx, unsigned idx, int err)
{
	struct worker_lines *lines = ctx;

	if (lines->on_line)
		lines->on_line(lines->ctx, lines->config->lines[idx].path, err);
}

static void dial_again(struct line_dial *dial)
{
	dial->due_ns = dial->lines->worker->now_ns + dial->pause_ns;
}

static void on_connected(void *arg, int err, const uint8_t *actual_key)
{
	struct line_dial *dial = arg;

	(void)actual_key;
	dial->pause_ns = err < 0 ? 2 * dial->pause_ns : DIAL_NS;
	if (dial->pause_ns > DIAL_MAX_NS)
		dial->pause_ns = DIAL_MAX_NS;
	dial_again(dial);
}

static void dial_turn(struct line_dial *dial, uint64_t now_ns)
{
	const struct tcp_line_config *config = &dial->lines->config->lines[dial->idx];
	const struct addr remote = addr_of_line(dial->idx);
	struct mesh *mesh = dial->lines->worker->mesh;
	struct mesh_peer peer = {.addrs = &remote, .addr_cnt = 1, .is_chosen = true};
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = CONNECT_NS, .done = on_connected, .arg = dial};
	struct mesh_session_path path;

	memcpy(peer.key, config->key, sizeof(peer.key));
	dial->due_ns = UINT64_MAX;
	if (!tcp_ttys_is_idle(dial->lines->ttys, dial->idx) ||
	    mesh_session_path(mesh, config->key, 0, &path) ||
	    mesh_connect(mesh, &connect, now_ns) < 0)
		dial_again(dial);
}

int worker_lines_open(struct worker *worker, const struct worker_params *params, char *what)
{
	const struct tcp_config *config = params->config->tcp;
	struct worker_lines *lines;
	struct tcp_ttys_params ttys = {
		.engine = worker->tcp,
		.config = config,
		.poller = worker->poller,
		.random = params->random,
		.on_device = on_device,
		.now_ns = params->now_ns,
	};

	if (!worker->tcp || worker->idx || !config->line_cnt)
		return 0;
	snprintf(what, WORKER_WHAT_CAP, "lines");
	lines = calloc(1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	worker->lines = lines;
	lines->worker = worker;
	lines->config = config;
	lines->on_line = params->on_line;
	lines->ctx = params->ctx;
	for (unsigned i = 0; i < TCP_LINES_MAX; i++)
		lines->dials[i] = (struct line_dial){
			.lines = lines,
			.idx = i,
			.due_ns = i < config->line_cnt && config->lines[i].has_key ? params->now_ns
										   : UINT64_MAX,
			.pause_ns = DIAL_NS,
		};
	ttys.ctx = lines;
	return tcp_ttys_open(&ttys, &lines->ttys);
}

void worker_lines_close(struct worker_lines *lines)
{
	if (!lines)
		return;
	tcp_ttys_close(lines->ttys);
	free(lines);
}

void worker_lines_expire(struct worker_lines *lines, uint64_t now_ns)
{
	if (!lines)
		return;
	tcp_ttys_expire(lines->ttys, now_ns);
	for (unsigned i = 0; i < lines->config->line_cnt; i++)
		if (now_ns >= lines->dials[i].due_ns)
			dial_turn(&lines->dials[i], now_ns);
}

uint64_t worker_lines_next_ns(const struct worker_lines *lines)
{
	uint64_t next_ns = lines ? tcp_ttys_next_ns(lines->ttys) : UINT64_MAX;

	for (unsigned i = 0; lines && i < lines->config->line_cnt; i++)
		next_ns = lines->dials[i].due_ns < next_ns ? lines->dials[i].due_ns : next_ns;
	return next_ns;
}

void worker_lines_stats(const struct worker_lines *lines, struct tcp_line_stats *out_stats)
{
	if (lines)
		tcp_ttys_stats(lines->ttys, out_stats);
}
