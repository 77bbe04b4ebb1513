/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels over TLS and sockets. TLS reads what recv gave, and writes into the channel's own buffer
 * of one record. So a channel that its peer does not read keeps no more than that. One that is dialled
 * connects, asks the proxy if there is one, and makes its handshake before the speaker hears of it.
 * Home.
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
#include "tcp/tcp_proxy.h"
#include "tls/tls.h"

#define READ_LEN (64u << 10)
/* One record with its head and tag, and TLS's own words: tickets, updates of keys, alerts. */
#define OUT_CAP (BYTE_CHANNEL_WRITE_MAX + 2048)
/*
 * Bytes that the kernel holds unsent. Few, since the speaker drops by its own rules what its peer
 * is too slow for. It can only drop what it still has.
 */
#define NOTSENT_LEN (32 << 10)

enum channel_state {
	CHANNEL_OPEN,
	CHANNEL_CONNECTING,
	CHANNEL_ASKING,	 /* the proxy to connect it */
	CHANNEL_SHAKING, /* TLS */
};

struct tcp_channel {
	struct byte_channel channel; /* first: the speaker's pointer is this one */
	enum channel_state state;
	bool is_proxied, has_key; /* dialled: the peer shows key */
	uint8_t key[TRANSPORT_KEY_LEN];
	struct tcp_proxy_reader answer;
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
	SSL_CTX *web;	 /* NULL: none is dialled */
	struct addr proxy;
	char proxy_field[TCP_PROXY_FIELD_CAP]; /* "": it wants no user */
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

/* channel_send, and a writer that waits hears of the room. */
static int channel_drain(struct tcp_channel *channel, uint64_t now_ns)
{
	int rv = channel_send(channel);

	if (rv == 1 && channel->is_waiting) {
		channel->is_waiting = false;
		channel->channels->params.events->writable(&channel->channel, now_ns);
	}
	return rv;
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

static void channel_lose(struct tcp_channel *channel, const char *why, uint64_t now_ns)
{
	channel->channel.why = why;
	channel->channels->params.events->lost(&channel->channel, now_ns);
}

/* False: it goes on later, or not at all. */
static bool channel_shake(struct tcp_channel *channel, uint64_t now_ns)
{
	const struct tcp_channels_params *params = &channel->channels->params;
	uint8_t key[TRANSPORT_KEY_LEN];
	int rv;

	ERR_clear_error();
	rv = SSL_do_handshake(channel->ssl);
	if (rv != 1 && SSL_get_error(channel->ssl, rv) != SSL_ERROR_WANT_READ) {
		channel_lose(channel,
			     channel->has_key || SSL_get_verify_result(channel->ssl) == X509_V_OK
				     ? "it does not speak TLS 1.3 and HTTP"
				     : "no trusted authority says that its certificate is its own",
			     now_ns);
		return false;
	}
	if (channel->is_overfull || channel_send(channel) < 0) {
		channel_lose(channel, "the connection broke", now_ns);
		return false;
	}
	if (rv != 1)
		return false;
	if (channel->has_key &&
	    (!tls_peer_key(channel->ssl, key) || memcmp(key, channel->key, sizeof(key)) != 0)) {
		channel_lose(channel, "its certificate has another key", now_ns);
		return false;
	}
	channel->state = CHANNEL_OPEN;
	if (params->events->opened(params->ctx, &channel->channel, now_ns))
		return !channel->is_closed;
	channel->is_closed = true;
	return false;
}

static void channel_decrypt(struct tcp_channel *channel, uint64_t now_ns)
{
	struct tcp_channels *channels = channel->channels;
	size_t len;

	if (channel->state == CHANNEL_SHAKING && !channel_shake(channel, now_ns))
		return;
	ERR_clear_error();
	while (!channel->is_closed &&
	       SSL_read_ex(channel->ssl, channels->plain, BYTE_CHANNEL_WRITE_MAX, &len) == 1)
		channels->params.events->input(&channel->channel, channels->plain, len, now_ns);
	if (channel->is_closed)
		return;
	if (SSL_get_error(channel->ssl, 0) != SSL_ERROR_WANT_READ || channel->is_overfull ||
	    channel_drain(channel, now_ns) < 0)
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
		channel_lose(channel, NULL, now_ns);
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
	int rv;

	/* A writer may close it. */
	channel->is_in_event = true;
	rv = channel_drain(channel, now_ns);
	channel->is_in_event = false;
	if (channel->is_closed) {
		channel_free(channel);
		return false;
	}
	if (rv < 0)
		channel_input(channel, NULL, 0, now_ns);
	return rv >= 0;
}

/* --- dialling --- */

/* lost, outside of channel_input. */
static void channel_fail(struct tcp_channel *channel, const char *why, uint64_t now_ns)
{
	channel->is_in_event = true;
	channel_lose(channel, why, now_ns);
	channel->is_in_event = false;
	if (channel->is_closed)
		channel_free(channel);
}

static void channel_begin_tls(struct tcp_channel *channel, uint64_t now_ns)
{
	channel->state = CHANNEL_SHAKING;
	channel_watch(channel, POLLER_IN);
	channel->is_in_event = true;
	(void)channel_shake(channel, now_ns);
	channel->is_in_event = false;
	if (channel->is_closed)
		channel_free(channel);
}

/* A new socket takes the whole request, or the proxy is no use. */
static void channel_ask(struct tcp_channel *channel, uint64_t now_ns)
{
	char request[TCP_PROXY_REQUEST_CAP];
	size_t len = tcp_proxy_request_write(&channel->channel.remote,
					     channel->channels->proxy_field, request);
	ssize_t n = send(channel->watch.fd, request, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	explicit_bzero(request, sizeof(request));
	if (n != (ssize_t)len) {
		channel_fail(channel, "the proxy ended the connection", now_ns);
		return;
	}
	channel->state = CHANNEL_ASKING;
	channel_watch(channel, POLLER_IN);
}

static void channel_connected(struct tcp_channel *channel, uint64_t now_ns)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(channel->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err)
		channel_fail(channel,
			     channel->is_proxied ? "the proxy's address takes no connection"
						 : "its address takes no connection",
			     now_ns);
	else if (channel->is_proxied)
		channel_ask(channel, now_ns);
	else
		channel_begin_tls(channel, now_ns);
}

/* A server speaks after its client: bytes behind an answer that opens are not its own. */
static void channel_hear(struct tcp_channel *channel, uint64_t now_ns)
{
	char data[TCP_PROXY_ANSWER_MAX];
	size_t used = 0;
	ssize_t n = recv(channel->watch.fd, data, sizeof(data), MSG_DONTWAIT);
	int rv;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	rv = n > 0 ? tcp_proxy_read(&channel->answer, data, (size_t)n, &used) : WEFT_EMALFORMED;
	if (rv == 1 && channel->answer.status < 300 && used == (size_t)n)
		channel_begin_tls(channel, now_ns);
	else if (rv == 1 && channel->answer.status >= 300)
		channel_fail(channel, "the proxy refuses it; tcp.proxy", now_ns);
	else if (rv != 0)
		channel_fail(channel, "the proxy gave no answer of HTTP; tcp.proxy", now_ns);
}

static void channel_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct tcp_channel *channel = container_of(watch, struct tcp_channel, watch);

	if (channel->state == CHANNEL_CONNECTING) {
		channel_connected(channel, now_ns);
		return;
	}
	if (channel->state == CHANNEL_ASKING) {
		channel_hear(channel, now_ns);
		return;
	}
	if (events & POLLER_OUT && !channel_writable(channel, now_ns))
		return;
	/* A connection that was cut is read, too: what came before counts. */
	if (events & (POLLER_IN | POLLER_HANGUP))
		channel_read(channel, now_ns);
}

/* --- all of them --- */

static int dials_init(struct tcp_channels *channels, const struct tcp_channel_dials *dials)
{
	channels->proxy = dials->proxy;
	channels->web = tls_web_new(dials->ca_file);
	if (!channels->web)
		return WEFT_EABSENT;
	return dials->proxy_user ? tcp_proxy_field_write(dials->proxy_user, channels->proxy_field)
				 : 0;
}

int tcp_channels_open(const struct tcp_channels_params *params, struct tcp_channels **out_channels)
{
	struct tcp_channels *channels = calloc(1, sizeof(*channels));
	int err;

	if (!channels)
		return -ENOMEM;
	channels->params = *params;
	err = arena_open(&channels->arena, ARENA_GROWS);
	if (err == 0 && params->dials)
		err = dials_init(channels, params->dials);
	channels->params.dials = NULL;
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
	SSL_CTX_free(channels->web);
	explicit_bzero(channels->proxy_field, sizeof(channels->proxy_field));
	arena_close(&channels->arena);
	free(channels);
}

/* The descriptor, ssl and what they watch are passed's still when it fails. */
static struct tcp_channel *channel_new(struct tcp_channels *channels,
				       const struct tcp_passed *passed, unsigned interest)
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
	channel->interest = interest;
	if (poller_add(channels->params.poller, &channel->watch, interest) < 0)
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
	struct tcp_channel *channel = channel_new(channels, passed, POLLER_IN);

	if (!channel)
		tcp_passed_drop(passed);
	else if (!params->events->opened(params->ctx, &channel->channel, now_ns))
		channel_free(channel);
	else if (passed->unread_len)
		channel_input(channel, passed->unread, passed->unread_len, now_ns);
}

static int fd_connect(const struct addr *addr)
{
	const int one = 1;
	struct sockaddr_storage sa;
	unsigned len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int tcp_channels_dial(struct tcp_channels *channels, const struct tcp_channel_target *target,
		      struct byte_channel **out_channel)
{
	bool is_proxied = channels->proxy.family != ADDR_NONE && tcp_proxy_serves(&target->addr);
	struct tcp_passed dialled = {.remote = target->addr};
	struct tcp_channel *channel;

	dialled.fd = fd_connect(is_proxied ? &channels->proxy : &target->addr);
	if (dialled.fd < 0)
		return dialled.fd;
	dialled.ssl = tls_web_dial(channels->web, target->name);
	channel = dialled.ssl ? channel_new(channels, &dialled, POLLER_OUT) : NULL;
	if (!channel) {
		tcp_passed_drop(&dialled);
		return WEFT_EFULL;
	}
	channel->state = CHANNEL_CONNECTING;
	channel->is_proxied = is_proxied;
	channel->channel.user = target->user;
	channel->has_key = target->key != NULL;
	if (target->key)
		memcpy(channel->key, target->key, sizeof(channel->key));
	*out_channel = &channel->channel;
	return 0;
}
