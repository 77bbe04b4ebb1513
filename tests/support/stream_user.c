/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stream_user.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static void note(struct stream_user *user, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct stream_user *user, const char *format, ...)
{
	size_t left = sizeof(user->log) - user->log_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(user->log + user->log_len, left, format, args);
	va_end(args);
	user->log_len += (size_t)len < left ? (size_t)len : left - 1;
}

static void user_event(struct stream_user *user, char event)
{
	weft_assert(user->stream);
	if (user->resets_in != event)
		return;
	user->ops->reset(user->stream, 99);
	user->stream = NULL;
}

static void on_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct stream_user *user = arg;

	(void)now_ns;
	note(user, "%sf%u:%zu", user->log_len ? " " : "", frame->type, frame->payload_len);
	user->last_flags = frame->flags;
	user->is_in_data = false;
	user_event(user, 'f');
}

static void on_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct stream_user *user = arg;

	(void)now_ns;
	weft_assert(len);
	note(user, "%s%.*s", user->is_in_data ? "" : " d:", (int)len, (const char *)data);
	user->is_in_data = true;
	user->data_len += len;
	if (user->keeps)
		user->kept_len += len;
	else
		user->ops->consume(user->stream, len);
	user_event(user, 'd');
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct stream_user *user = arg;

	(void)now_ns;
	note(user, " fin");
	user_event(user, 'n');
}

static void on_writable(void *arg, uint64_t now_ns)
{
	struct stream_user *user = arg;

	(void)now_ns;
	note(user, " writable");
	user->is_in_data = false;
	user_event(user, 'w');
}

static void on_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct stream_user *user = arg;

	note(user, end->code ? " end:%d/%u" : " end:%d", end->err, (unsigned)end->code);
	user->end = *end;
	if (end->actual_key)
		memcpy(user->actual_key, end->actual_key, sizeof(user->actual_key));
	user->ended_at_ns = now_ns;
	user->ended_cnt++;
	user_event(user, 'e');
	user->stream = NULL;
}

const struct mesh_stream_events stream_user_events = {
	.frame = on_frame,
	.data = on_data,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

int stream_host_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
		       struct mesh_stream_user *out_user)
{
	struct stream_host *host = ctx;
	struct stream_user *user;

	(void)type;
	(void)now_ns;
	if (host->resets)
		host->ops->reset(stream, 7);
	if (host->refusal)
		return host->refusal;
	if (host->cnt == STREAM_HOST_USERS)
		return WEFT_EFULL;
	user = &host->users[host->cnt++];
	user->stream = stream;
	user->ops = host->ops;
	*out_user = (struct mesh_stream_user){&stream_user_events, user};
	return 0;
}

int stream_user_open(struct stream_user *user, struct mesh_stream_seam seam, uint8_t key_byte,
		     const struct addr *addr, uint64_t now_ns)
{
	struct mesh_stream_open open = {
		.peer = {.addrs = addr, .addr_cnt = addr ? 1 : 0},
		.timeout_ns = 20ull * 1000 * 1000 * 1000,
		.events = &stream_user_events,
		.arg = user,
	};
	int err;

	memset(open.peer.key, key_byte, sizeof(open.peer.key));
	user->ops = seam.ops;
	err = seam.ops->open(seam.mesh, &open, now_ns, &user->stream);
	weft_assert(!user->log_len);
	return err;
}

static void tail_done(void *arg)
{
	struct stream_user *user = arg;

	weft_assert(user->lent_cnt);
	user->lent_cnt--;
}

int stream_user_say(struct stream_user *user, unsigned type, const char *head, const char *tail)
{
	size_t head_len = strlen(head), tail_len = tail ? strlen(tail) : 0;
	struct transport_span span = {(const uint8_t *)tail, tail_len, tail_done, user};
	struct mesh_stream_frame frame = {.type = type, .payload_len = head_len + tail_len};
	int err = user->ops->send(user->stream, &frame, head, head_len, tail ? &span : NULL);

	if (!err && tail)
		user->lent_cnt++;
	return err;
}
