/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of lines. A terminal is made raw: eight bits, no echo, no signals, no software flow control,
 * no modem control lines. Worker that owns the engine.
 */
#include "tcp/line/tcp_tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "tcp/line/tcp_line.h"

#define READ_LEN 4096
#define OPEN_NS	 (5 * NS_PER_S)

struct tty {
	struct poller_watch watch; /* fd -1: not open */
	struct tcp_ttys *ttys;
	const struct tcp_line_config *config;
	uint64_t open_ns; /* when it is tried next */
	int err;	  /* as on_device heard it; 1: it has heard nothing */
	bool is_waiting;  /* the device takes nothing */
	uint8_t out[TCP_LINE_FRAME_MAX];
	size_t out_off, out_len; /* of the frame that has begun to leave */
};

struct tcp_ttys {
	struct tcp_ttys_params params;
	struct tcp_lines *lines;
	struct tty rows[TCP_LINES_MAX];
	unsigned cnt;
};

static unsigned tty_idx(const struct tty *tty)
{
	return (unsigned)(tty - tty->ttys->rows);
}

static void tty_tell(struct tty *tty, int err)
{
	if (err == tty->err)
		return;
	tty->err = err;
	tty->ttys->params.on_device(tty->ttys->params.ctx, tty_idx(tty), err);
}

/* Never inside an op of the engine: its connection is lost here. */
static void tty_fail(struct tty *tty, int err, uint64_t now_ns)
{
	if (tty->watch.fd >= 0) {
		poller_remove(tty->ttys->params.poller, &tty->watch);
		close(tty->watch.fd);
	}
	tty->watch.fd = -1;
	tty->out_len = 0;
	tty->is_waiting = false;
	tty->open_ns = now_ns + OPEN_NS;
	tcp_lines_set_up(tty->ttys->lines, tty_idx(tty), false, now_ns);
	tty_tell(tty, err);
}

/* --- output --- */

static void tty_watch(struct tty *tty, bool is_waiting)
{
	unsigned events = is_waiting ? POLLER_IN | POLLER_OUT : POLLER_IN;

	if (tty->is_waiting == is_waiting)
		return;
	tty->is_waiting = is_waiting;
	/* Out of memory: the next expire fails the device. */
	if (poller_change(tty->ttys->params.poller, &tty->watch, events) < 0)
		tty->open_ns = 0;
}

/* A device that broke is seen by its reader. */
static void tty_flush(struct tty *tty)
{
	uint64_t now_ns = clock_monotonic_ns();
	ssize_t n;

	while (tty->watch.fd >= 0) {
		if (tty->out_off == tty->out_len) {
			tty->out_off = 0;
			tty->out_len =
				tcp_lines_output(tty->ttys->lines, tty_idx(tty), tty->out, now_ns);
		}
		if (!tty->out_len)
			break;
		n = write(tty->watch.fd, tty->out + tty->out_off, tty->out_len - tty->out_off);
		if (n <= 0) {
			tty_watch(tty, true);
			return;
		}
		tty->out_off += (size_t)n;
	}
	if (tty->watch.fd >= 0)
		tty_watch(tty, false);
}

static void on_kick(void *ctx, unsigned idx)
{
	struct tcp_ttys *ttys = ctx;

	if (!ttys->rows[idx].is_waiting)
		tty_flush(&ttys->rows[idx]);
}

/* --- input --- */

static void tty_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct tty *tty = container_of(watch, struct tty, watch);
	uint8_t data[READ_LEN];
	ssize_t n;

	if (events & (POLLER_IN | POLLER_HANGUP)) {
		n = read(watch->fd, data, sizeof(data));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			tty_fail(tty, n < 0 ? -errno : -EPIPE, now_ns);
			return;
		}
		if (n > 0)
			tcp_lines_input(tty->ttys->lines, tty_idx(tty), data, (size_t)n, now_ns);
	}
	if (events & POLLER_OUT)
		tty_flush(tty);
}

/* --- opening --- */

/*
 * What is no terminal is no line. A file or a pipe gives back what this node wrote. A device such as
 * /dev/urandom says something at every turn.
 */
static int tty_make_raw(int fd, uint32_t baud)
{
	struct termios termios;

	if (!isatty(fd))
		return -ENOTTY;
	if (tcgetattr(fd, &termios) < 0)
		return -errno;
	cfmakeraw(&termios);
	termios.c_cflag &= ~(tcflag_t)(CRTSCTS | CSTOPB);
	termios.c_cflag |= CLOCAL | CREAD;
	termios.c_iflag &= ~(tcflag_t)(IXOFF | IXANY);
	termios.c_cc[VMIN] = 1;
	termios.c_cc[VTIME] = 0;
	if (baud && cfsetspeed(&termios, baud) < 0)
		return -errno;
	return tcsetattr(fd, TCSANOW, &termios) < 0 ? -errno : 0;
}

static void tty_open(struct tty *tty, uint64_t now_ns)
{
	int fd = open(tty->config->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int err = fd < 0 ? -errno : tty_make_raw(fd, tty->config->baud);

	tty->open_ns = UINT64_MAX;
	tty->watch.fd = fd;
	tty->watch.ready = tty_ready;
	if (err == 0)
		err = poller_add(tty->ttys->params.poller, &tty->watch, POLLER_IN);
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		tty->watch.fd = -1;
		tty_fail(tty, err, now_ns);
		return;
	}
	tcp_lines_set_up(tty->ttys->lines, tty_idx(tty), true, now_ns);
	tty_tell(tty, 0);
}

/* --- public --- */

int tcp_ttys_open(const struct tcp_ttys_params *params, struct tcp_ttys **out_ttys)
{
	struct tcp_ttys *ttys = calloc(1, sizeof(*ttys));
	struct tcp_lines_params lines = {
		.engine = params->engine,
		.config = params->config,
		.random = params->random,
		.kick = on_kick,
		.ctx = ttys,
	};
	int err;

	if (!ttys)
		return -ENOMEM;
	err = tcp_lines_new(&lines, &ttys->lines);
	if (err < 0) {
		free(ttys);
		return err;
	}
	ttys->params = *params;
	ttys->cnt = params->config->line_cnt;
	for (unsigned i = 0; i < ttys->cnt; i++) {
		ttys->rows[i].ttys = ttys;
		ttys->rows[i].config = &params->config->lines[i];
		ttys->rows[i].err = 1;
		tty_open(&ttys->rows[i], params->now_ns);
	}
	*out_ttys = ttys;
	return 0;
}

void tcp_ttys_close(struct tcp_ttys *ttys)
{
	if (!ttys)
		return;
	for (unsigned i = 0; i < ttys->cnt; i++) {
		if (ttys->rows[i].watch.fd < 0)
			continue;
		poller_remove(ttys->params.poller, &ttys->rows[i].watch);
		close(ttys->rows[i].watch.fd);
	}
	tcp_lines_free(ttys->lines);
	free(ttys);
}

void tcp_ttys_expire(struct tcp_ttys *ttys, uint64_t now_ns)
{
	tcp_lines_expire(ttys->lines, now_ns);
	for (unsigned i = 0; i < ttys->cnt; i++) {
		struct tty *tty = &ttys->rows[i];

		if (now_ns < tty->open_ns)
			continue;
		if (tty->watch.fd >= 0)
			tty_fail(tty, -ENOMEM, now_ns);
		else
			tty_open(tty, now_ns);
	}
}

uint64_t tcp_ttys_next_ns(const struct tcp_ttys *ttys)
{
	uint64_t next_ns = tcp_lines_next_ns(ttys->lines);

	for (unsigned i = 0; i < ttys->cnt; i++)
		next_ns = ttys->rows[i].open_ns < next_ns ? ttys->rows[i].open_ns : next_ns;
	return next_ns;
}

bool tcp_ttys_is_idle(const struct tcp_ttys *ttys, unsigned idx)
{
	return tcp_lines_is_idle(ttys->lines, idx);
}

void tcp_ttys_stats(const struct tcp_ttys *ttys, struct tcp_line_stats *out_stats)
{
	tcp_lines_stats(ttys->lines, out_stats);
}
