/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels over TLS and sockets. TLS reads what recv gave, and writes into the channel's own buffer
 * of one record. So a channel that its peer does not read keeps no more than that. Home.
 */
#include "tcp/tcp_channel.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/thread/poller.h"
#include "tcp/tcp.h"

#define READ_LEN (64u << 10)
/* One record with its head and tag, and TLS's own words: tickets, updates of keys, alerts. */
#define OUT_CAP (BYTE_CHANNEL_WRITE_MAX + 2048)
/*
 * Bytes that the kernel holds unsent. Few, since the speaker drops by its own rules what its peer
 * is too slow for. It can only drop what it still has.
 */
#define NOTSENT_LEN (32 << 10)

struct tcp_channel {
	struct byte_channel channel; /* first: the speaker's pointer is this one */
	struct poller_watch watch;
	struct tcp_channels *channels;
	SSL *ssl;
	const uint8_t *in; /* bytes that TLS may read, during input */
	size_t in_len;
	size_t out_begin, out_end;
	unsigned interest;
	bool is_waiting;  /* the speaker waits for writable */
	bool is_shut;	  /* nothing follows what is in out */
	bool is_in_event; /* close waits for its end */
	bool is_closed, is_overfull;
	uint8_t out[OUT_CAP];
};

struct tcp_channels {
	struct tcp_channels_params params;
	struct arena arena;
	struct pool pool;
	BIO_METHOD *bio;
	uint8_t *buffer; /* READ_LEN */
	uint8_t *plain;	 /* BYTE_CHANNEL_WRITE_MAX */
};

static struct tcp_channel *channel_of(struct byte_channel *channel)
{
	return (struct tcp_channel *)channel;
}

/* --- TLS's view (bio(7)) --- */

static int bio_read(BIO *bio, char *dst, size_t cap, size_t *out_len)
{
	struct tcp_channel *channel = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (!channel->in_len) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*out_len = cap < channel->in_len ? cap : channel->in_len;
	memcpy(dst, channel->in, *out_len);
	channel->in += *out_len;
	channel->in_len -= *out_len;
	return 1;
}

static int bio_write(BIO *bio, const char *src, size_t len, size_t *out_len)
{
	struct tcp_channel *channel = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len > OUT_CAP - channel->out_end) {
		channel->is_overfull = true;
		BIO_set_retry_write(bio);
		return 0;
	}
	memcpy(channel->out + channel->out_end, src, len);
	channel->out_end += len;
	*out_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *arg)
{
	(void)bio, (void)number, (void)arg;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weft channel");

	if (method && BIO_meth_set_read_ex(method, bio_read) &&
	    BIO_meth_set_write_ex(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* --- one channel --- */

static void channel_watch(struct tcp_channel *channel, unsigned interest)
{
	if (channel->interest == interest)
		return;
	channel->interest = interest;
	/* Out of memory: the channel ends, as its reader will see. */
	if (poller_change(channel->channels->params.poller, &channel->watch, interest) < 0)
		(void)shutdown(channel->watch.fd, SHUT_RDWR);
}

static void channel_free(struct tcp_channel *channel)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	/* A peer that reads nothing costs the kernel nothing from here on. */
	if (!channel->is_shut || channel->out_begin < channel->out_end)
		(void)setsockopt(channel->watch.fd, SOL_SOCKET, SO_LINGER, &at_once,
				 sizeof(at_once));
	poller_remove(channel->channels->params.poller, &channel->watch);
	close(channel->watch.fd);
	SSL_set_shutdown(channel->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(channel->ssl);
	pool_release(&channel->channels->pool, channel);
}

/* 1: out is empty; 0: the kernel takes no more now; -errno: the connection is lost. */
static int channel_send(struct tcp_channel *channel)
{
	size_t len = channel->out_end - channel->out_begin;
	ssize_t n = 0;

	if (len)
		n = send(channel->watch.fd, channel->out + channel->out_begin, len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n > 0)
		channel->out_begin += (size_t)n;
	if (channel->out_begin < channel->out_end) {
		channel_watch(channel, channel->interest | POLLER_OUT);
		return 0;
	}
	channel->out_begin = channel->out_end = 0;
	channel_watch(channel, channel->interest & ~(unsigned)POLLER_OUT);
	if (channel->is_shut)
		(void)shutdown(channel->watch.fd, SHUT_WR);
	return 1;
}

static int op_write(struct byte_channel *base, const void *data, size_t len)
{
	struct tcp_channel *channel = channel_of(base);
	size_t written_len;
	int rv;

	ERR_clear_error();
	if (SSL_write_ex(channel->ssl, data, len, &written_len) != 1 || channel->is_overfull)
		return WEFT_ECLOSED;
	rv = channel_send(channel);
	channel->is_waiting = rv == 0;
	return rv;
}

static void op_read(struct byte_channel *base, bool is_wanted)
{
	struct tcp_channel *channel = channel_of(base);
	unsigned out = channel->interest & POLLER_OUT;

	channel_watch(channel, is_wanted ? out | POLLER_IN : out);
}

static void op_shut(struct byte_channel *base)
{
	struct tcp_channel *channel = channel_of(base);

	channel->is_shut = true;
	ERR_clear_error();
	(void)SSL_shutdown(channel->ssl);
	/* A lost connection is seen by its reader. */
	(void)channel_send(channel);
}

static void op_close(struct byte_channel *base)
{
	struct tcp_channel *channel = channel_of(base);

	channel->is_closed = true;
	if (!channel->is_in_event)
		channel_free(channel);
}

static int op_exporter(struct byte_channel *base, const char *label, const uint8_t *context,
		       uint8_t *out)
{
	return SSL_export_keying_material(channel_of(base)->ssl, out, BYTE_CHANNEL_EXPORTER_LEN,
					  label, strlen(label), context, BYTE_CHANNEL_EXPORTER_LEN,
					  1) == 1
		       ? 0
		       : WEFT_ECLOSED;
}

static const struct byte_channel_ops channel_ops = {
	.write = op_write,
	.read = op_read,
	.shut = op_shut,
	.close = op_close,
	.exporter = op_exporter,
};

/* --- input --- */

static void channel_decrypt(struct tcp_channel *channel, uint64_t now_ns)
{
	struct tcp_channels *channels = channel->channels;
	size_t len;

	ERR_clear_error();
	while (!channel->is_closed &&
	       SSL_read_ex(channel->ssl, channels->plain, BYTE_CHANNEL_WRITE_MAX, &len) == 1)
		channels->params.events->input(&channel->channel, channels->plain, len, now_ns);
	if (channel->is_closed)
		return;
	if (SSL_get_error(channel->ssl, 0) != SSL_ERROR_WANT_READ || channel->is_overfull ||
	    channel_send(channel) < 0)
		channels->params.events->lost(&channel->channel, now_ns);
}

/* data has len bytes of the connection; 0: its end. */
static void channel_input(struct tcp_channel *channel, const uint8_t *data, size_t len,
			  uint64_t now_ns)
{
	channel->is_in_event = true;
	channel->in = data;
	channel->in_len = len;
	if (len)
		channel_decrypt(channel, now_ns);
	else
		channel->channels->params.events->lost(&channel->channel, now_ns);
	channel->in_len = 0;
	channel->is_in_event = false;
	if (channel->is_closed)
		channel_free(channel);
}

static void channel_read(struct tcp_channel *channel, uint64_t now_ns)
{
	uint8_t *buffer = channel->channels->buffer;
	ssize_t n = recv(channel->watch.fd, buffer, READ_LEN, MSG_DONTWAIT);

	if (n >= 0)
		channel_input(channel, buffer, (size_t)n, now_ns);
	else if (errno != EAGAIN && errno != EINTR)
		channel_input(channel, NULL, 0, now_ns);
}

/* False: channel is gone. */
static bool channel_writable(struct tcp_channel *channel, uint64_t now_ns)
{
	const struct byte_channel_events *events = channel->channels->params.events;
	int rv = channel_send(channel);

	if (rv < 0) {
		channel_input(channel, NULL, 0, now_ns);
		return false;
	}
	if (rv == 1 && channel->is_waiting) {
		channel->is_waiting = false;
		events->writable(&channel->channel, now_ns);
	}
	return true;
}

static void channel_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct tcp_channel *channel = container_of(watch, struct tcp_channel, watch);

	if (events & POLLER_OUT && !channel_writable(channel, now_ns))
		return;
	/* A connection that was cut is read, too: what came before counts. */
	if (events & (POLLER_IN | POLLER_HANGUP))
		channel_read(channel, now_ns);
}

/* --- all of them --- */

int tcp_channels_open(const struct tcp_channels_params *params, struct tcp_channels **out_channels)
{
	struct tcp_channels *channels = calloc(1, sizeof(*channels));
	int err;

	if (!channels)
		return -ENOMEM;
	channels->params = *params;
	err = arena_open(&channels->arena, ARENA_GROWS);
	if (err == 0)
		err = pool_init(&channels->pool, &channels->arena, sizeof(struct tcp_channel),
				params->channel_cap);
	if (err == 0) {
		channels->buffer = arena_alloc(&channels->arena, READ_LEN);
		channels->plain = arena_alloc(&channels->arena, BYTE_CHANNEL_WRITE_MAX);
		channels->bio = bio_method();
	}
	if (err == 0 && (!channels->buffer || !channels->plain || !channels->bio))
		err = WEFT_EFULL;
	if (err < 0) {
		tcp_channels_close(channels);
		return err;
	}
	arena_fit(&channels->arena);
	*out_channels = channels;
	return 0;
}

void tcp_channels_close(struct tcp_channels *channels)
{
	if (!channels)
		return;
	BIO_meth_free(channels->bio);
	arena_close(&channels->arena);
	free(channels);
}

static struct tcp_channel *channel_new(struct tcp_channels *channels,
				       const struct tcp_passed *passed)
{
	const int notsent_len = NOTSENT_LEN;
	struct tcp_channel *channel = pool_acquire(&channels->pool);
	BIO *bio = channel ? BIO_new(channels->bio) : NULL;

	if (!bio)
		goto release;
	channel->channel.ops = &channel_ops;
	channel->channel.remote = passed->remote;
	channel->channels = channels;
	channel->watch = (struct poller_watch){.ready = channel_ready, .fd = passed->fd};
	channel->interest = POLLER_IN;
	if (poller_add(channels->params.poller, &channel->watch, POLLER_IN) < 0)
		goto free_bio;
	(void)setsockopt(passed->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_len,
			 sizeof(notsent_len));
	channel->ssl = passed->ssl;
	BIO_set_data(bio, channel);
	BIO_set_init(bio, 1);
	SSL_set_bio(channel->ssl, bio, bio);
	return channel;
free_bio:
	BIO_free(bio);
release:
	if (channel)
		pool_release(&channels->pool, channel);
	return NULL;
}

void tcp_channels_take(struct tcp_channels *channels, const struct tcp_passed *passed,
		       uint64_t now_ns)
{
	const struct tcp_channels_params *params = &channels->params;
	struct tcp_channel *channel = channel_new(channels, passed);

	if (!channel)
		tcp_passed_drop(passed);
	else if (!params->events->opened(params->ctx, &channel->channel, now_ns))
		channel_free(channel);
	else if (passed->unread_len)
		channel_input(channel, passed->unread, passed->unread_len, now_ns);
}
