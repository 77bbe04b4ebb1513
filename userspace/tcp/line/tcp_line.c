/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as links of the engine. Inbound: a device's bytes become frames, frames become bytes of the
 * connection, which the engine gets at once. Outbound: the engine's records fill the window, and each
 * frame goes when the device takes it. Worker that owns the engine.
 */
#include "tcp/line/tcp_line.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"

struct tcp_link {
	struct tcp_lines *lines;
	struct tcp_conn *conn; /* NULL: none, or what it wrote last is on its way */
	struct tcp_line_arq arq;
	struct tcp_line_reader reader;
	bool is_up;
	bool is_write_refused; /* the engine waits for tcp_engine_writable */
};

struct tcp_lines {
	struct tcp_links links; /* first: the engine's pointer is this one */
	struct tcp_lines_params params;
	struct tcp_line_stats stats;
	struct tcp_link rows[TCP_LINES_MAX];
	unsigned cnt;
};

static unsigned link_idx(const struct tcp_link *link)
{
	return (unsigned)(link - link->lines->rows);
}

static void link_kick(struct tcp_link *link)
{
	if (link->is_up)
		link->lines->params.kick(link->lines->params.ctx, link_idx(link));
}

/* --- the engine's table --- */

static int op_dial(struct tcp_links *links, struct tcp_conn *conn, const struct addr *remote,
		   struct tcp_link **out_link)
{
	struct tcp_lines *lines = (struct tcp_lines *)links;
	unsigned idx = remote->port - 1u;
	struct tcp_link *link;

	if (idx >= lines->cnt || !lines->rows[idx].is_up)
		return -ENODEV;
	link = &lines->rows[idx];
	if (link->conn)
		return -EBUSY;
	link->conn = conn;
	link->is_write_refused = false;
	tcp_line_arq_open(&link->arq, (uint16_t)random_u64(lines->params.random));
	link_kick(link);
	*out_link = link;
	return 0;
}

static ssize_t op_write(struct tcp_link *link, const struct iovec *pieces, unsigned cnt)
{
	size_t total = 0, len;

	for (unsigned i = 0; i < cnt && !link->is_write_refused; i++) {
		len = tcp_line_arq_write(&link->arq, pieces[i].iov_base, pieces[i].iov_len);
		total += len;
		link->is_write_refused = len < pieces[i].iov_len;
	}
	link_kick(link);
	return (ssize_t)total;
}

static void op_shut(struct tcp_link *link)
{
	tcp_line_arq_finish(&link->arq);
	link_kick(link);
}

/* The last words stay in the window until they are acknowledged. */
static void op_close(struct tcp_link *link, bool is_abort)
{
	link->conn = NULL;
	if (is_abort || tcp_line_arq_is_drained(&link->arq))
		tcp_line_arq_end(&link->arq, true);
	link_kick(link);
}

static void op_figures(struct tcp_link *link, struct tcp_figures *out_figures)
{
	*out_figures = (struct tcp_figures){
		.rtt_ns = link->arq.rtt_ns,
		.cwnd_len = TCP_LINE_WINDOW * TCP_LINE_FRAME_MAX,
		.mss_len = TCP_LINE_FRAME_MAX,
		.lost_cnt = link->arq.repeated_cnt,
		.heard_cnt = link->arq.heard_cnt,
		.acked_len = link->arq.acked_len,
	};
}

static const struct tcp_links_ops line_ops = {
	.dial = op_dial,
	.write = op_write,
	.shut = op_shut,
	.close = op_close,
	.figures = op_figures,
};

/* --- frames --- */

static void link_lose(struct tcp_link *link, int err, uint64_t now_ns)
{
	if (link->conn)
		tcp_engine_lost(link->conn, err, now_ns);
	link->conn = NULL;
}

static void link_accept(struct tcp_link *link, uint16_t id, uint64_t now_ns)
{
	struct tcp_lines *lines = link->lines;
	const struct tcp_line_config *config = &lines->params.config->lines[link_idx(link)];
	const struct addr addr = addr_of_line(link_idx(link));

	link_lose(link, -ECONNRESET, now_ns);
	tcp_line_arq_accept(&link->arq, id, now_ns);
	link->is_write_refused = false;
	link->conn = tcp_engine_accept(lines->params.engine, link, &addr, &addr, now_ns);
	if (!link->conn) {
		tcp_line_arq_end(&link->arq, true);
		return;
	}
	if (config->has_key)
		tcp_engine_expect(link->conn, config->key);
}

static void link_go_on(struct tcp_link *link)
{
	if (!link->conn) {
		if (tcp_line_arq_is_drained(&link->arq))
			tcp_line_arq_end(&link->arq, true);
		return;
	}
	if (!link->is_write_refused)
		return;
	link->is_write_refused = false;
	tcp_engine_writable(link->conn);
}

static void link_frame(struct tcp_link *link, const struct tcp_line_frame *frame, uint64_t now_ns)
{
	const struct addr own = addr_of_line(link_idx(link));
	unsigned news = tcp_line_arq_input(&link->arq, frame, now_ns);

	if (news & TCP_LINE_NEWS_ASKED)
		link_accept(link, frame->id, now_ns);
	if (news & TCP_LINE_NEWS_OPENED && link->conn)
		tcp_engine_connected(link->conn, &own, now_ns);
	if (news & TCP_LINE_NEWS_ROOM)
		link_go_on(link);
	if (news & TCP_LINE_NEWS_DATA && link->conn)
		(void)tcp_engine_input(link->conn, frame->data, frame->len, now_ns);
	if (news & TCP_LINE_NEWS_FINISHED && link->conn)
		(void)tcp_engine_input(link->conn, NULL, 0, now_ns);
	if (news & TCP_LINE_NEWS_ENDED) {
		link_lose(link, -ECONNRESET, now_ns);
		tcp_line_arq_end(&link->arq, false);
	}
}

/* --- public --- */

int tcp_lines_new(const struct tcp_lines_params *params, struct tcp_lines **out_lines)
{
	struct tcp_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return -ENOMEM;
	lines->links.ops = &line_ops;
	lines->params = *params;
	lines->cnt = params->config->line_cnt;
	for (unsigned i = 0; i < lines->cnt; i++) {
		lines->rows[i].lines = lines;
		tcp_line_arq_init(&lines->rows[i].arq, &lines->stats);
	}
	tcp_engine_set_lines(params->engine, &lines->links);
	*out_lines = lines;
	return 0;
}

void tcp_lines_free(struct tcp_lines *lines)
{
	free(lines);
}

void tcp_lines_set_up(struct tcp_lines *lines, unsigned idx, bool is_up, uint64_t now_ns)
{
	struct tcp_link *link = &lines->rows[idx];

	link->is_up = is_up;
	link->reader = (struct tcp_line_reader){0};
	if (is_up)
		return;
	lines->stats.device_failed_cnt++;
	link_lose(link, -EIO, now_ns);
	tcp_line_arq_init(&link->arq, &lines->stats);
}

void tcp_lines_input(struct tcp_lines *lines, unsigned idx, const void *data, size_t len,
		     uint64_t now_ns)
{
	struct tcp_link *link = &lines->rows[idx];
	struct cursor c = cursor_of(data, len);
	struct tcp_line_frame frame;
	int rv;

	lines->stats.received_len += len;
	while ((rv = tcp_line_frame_read(&link->reader, &c, &frame))) {
		lines->stats.damaged_cnt += rv < 0;
		lines->stats.received_cnt += rv > 0;
		if (rv > 0)
			link_frame(link, &frame, now_ns);
	}
	link_kick(link);
}

size_t tcp_lines_output(struct tcp_lines *lines, unsigned idx,
			uint8_t out[static TCP_LINE_FRAME_MAX], uint64_t now_ns)
{
	struct tcp_line_frame frame;
	size_t len;

	if (!lines->rows[idx].is_up || !tcp_line_arq_next(&lines->rows[idx].arq, now_ns, &frame))
		return 0;
	len = tcp_line_frame_write(&frame, out);
	lines->stats.sent_len += len;
	return len;
}

void tcp_lines_expire(struct tcp_lines *lines, uint64_t now_ns)
{
	for (unsigned i = 0; i < lines->cnt; i++) {
		struct tcp_link *link = &lines->rows[i];

		if (now_ns < tcp_line_arq_next_ns(&link->arq))
			continue;
		if (!tcp_line_arq_expire(&link->arq, now_ns)) {
			link_lose(link, -ETIMEDOUT, now_ns);
			tcp_line_arq_end(&link->arq, true);
		}
		link_kick(link);
	}
}

uint64_t tcp_lines_next_ns(const struct tcp_lines *lines)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < lines->cnt; i++) {
		uint64_t at_ns = tcp_line_arq_next_ns(&lines->rows[i].arq);

		next_ns = at_ns < next_ns ? at_ns : next_ns;
	}
	return next_ns;
}

bool tcp_lines_is_idle(const struct tcp_lines *lines, unsigned idx)
{
	return idx < lines->cnt && lines->rows[idx].is_up && !lines->rows[idx].conn;
}

void tcp_lines_stats(const struct tcp_lines *lines, struct tcp_line_stats *out_stats)
{
	*out_stats = lines->stats;
	out_stats->up_cnt = out_stats->conn_cnt = 0;
	for (unsigned i = 0; i < lines->cnt; i++) {
		out_stats->up_cnt += lines->rows[i].is_up;
		out_stats->conn_cnt += lines->rows[i].conn != NULL;
	}
}
