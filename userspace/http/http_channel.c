/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection for one request. The socket does not block; each step that
 * would is waited for until the one deadline.
 */
#include "http_channel.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"

#define ADDRS_MAX 8
/* One silent address is not to use up the time of the others. */
#define CONNECT_NS (3 * NS_PER_S)

/* wait_for: 0 when fd is ready, WEFT_ETIMEOUT, WEFT_ECANCELLED or -errno. */
static int wait_for(const struct channel *channel, int fd, short events, uint64_t deadline_ns)
{
	struct pollfd watches[] = {{.fd = fd, .events = events},
				   {.fd = channel->stop_fd, .events = POLLIN}};

	for (;;) {
		uint64_t now_ns = clock_monotonic_ns();
		int ready;

		if (now_ns >= deadline_ns)
			return WEFT_ETIMEOUT;
		ready = poll(watches, 2, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
		if (ready > 0)
			return watches[1].revents ? WEFT_ECANCELLED : 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

static int channel_wait(const struct channel *channel, short events)
{
	return wait_for(channel, channel->fd, events, channel->deadline_ns);
}

static int addr_connect(const struct channel *channel, const struct addr *addr,
			uint64_t deadline_ns)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0, failure;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, len) < 0) {
		err = errno == EINPROGRESS ? wait_for(channel, fd, POLLOUT, deadline_ns) : -errno;
		len = sizeof(failure);
		if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) == 0)
			err = -failure;
	}
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/* Another's word may not lead to what this machine, or its link, has for itself. */
static bool is_own_place(const struct addr *addr)
{
	return addr_is_loopback(addr) || addr_is_wildcard(addr) || addr_is_link_local(addr);
}

/* host_connect tries one address after the other. */
static int host_connect(const struct channel *channel, const struct url *url)
{
	const uint64_t deadline_ns = channel->deadline_ns;
	struct addr addrs[ADDRS_MAX];
	int cnt =
		net_resolver_lookup(&url->target, deadline_ns, channel->stop_fd, addrs, ADDRS_MAX);

	if (cnt < 0)
		return cnt;
	for (int i = 0; i < cnt; i++) {
		uint64_t until_ns = clock_monotonic_ns() + CONNECT_NS;
		int fd;

		if (url->is_foreign && is_own_place(&addrs[i]))
			continue;
		fd = addr_connect(channel, &addrs[i],
				  until_ns < deadline_ns ? until_ns : deadline_ns);
		if (fd >= 0 || fd == WEFT_ECANCELLED)
			return fd;
	}
	return clock_monotonic_ns() >= deadline_ns ? WEFT_ETIMEOUT : WEFT_EUNREACHABLE;
}

/*
 * channel_retry waits for what the last call of OpenSSL's wants; 0: call again.
 * The thread's error queue was empty before that call, or it would be asked about older failures.
 */
static int channel_retry(struct channel *channel, int result)
{
	switch (SSL_get_error(channel->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return channel_wait(channel, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return channel_wait(channel, POLLOUT);
	default:
		break;
	}
	return SSL_get_verify_result(channel->ssl) == X509_V_OK ? WEFT_EUNREACHABLE
								: WEFT_EWRONGKEY;
}

/* tls_expect names the host that the certificate has to be of. */
static bool tls_expect(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int tls_begin(struct channel *channel, const char *host, const char *ca_file)
{
	int result, err;

	channel->ctx = SSL_CTX_new(TLS_client_method());
	if (!channel->ctx)
		return -ENOMEM;
	if (SSL_CTX_set_min_proto_version(channel->ctx, TLS1_2_VERSION) != 1 ||
	    (ca_file ? SSL_CTX_load_verify_file(channel->ctx, ca_file)
		     : SSL_CTX_set_default_verify_paths(channel->ctx)) != 1)
		return WEFT_EWRONGKEY;
	SSL_CTX_set_verify(channel->ctx, SSL_VERIFY_PEER, NULL);
	channel->ssl = SSL_new(channel->ctx);
	if (!channel->ssl || SSL_set_fd(channel->ssl, channel->fd) != 1 ||
	    !tls_expect(channel->ssl, host))
		return -ENOMEM;
	for (;;) {
		ERR_clear_error();
		result = SSL_connect(channel->ssl);
		if (result == 1)
			return 0;
		err = channel_retry(channel, result);
		if (err < 0)
			return err;
	}
}

int http_channel_open(struct channel *channel, const struct url *url, const char *ca_file,
		      uint64_t deadline_ns, int stop_fd)
{
	*channel = (struct channel){.fd = -1, .deadline_ns = deadline_ns, .stop_fd = stop_fd};
	channel->fd = host_connect(channel, url);
	if (channel->fd < 0)
		return channel->fd;
	return url->is_tls ? tls_begin(channel, url->target.host, ca_file) : 0;
}

void http_channel_close(struct channel *channel)
{
	SSL_free(channel->ssl);
	SSL_CTX_free(channel->ctx);
	if (channel->fd >= 0)
		close(channel->fd);
	*channel = (struct channel){.fd = -1};
}

static int plain_write(struct channel *channel, const void *data, size_t len)
{
	ssize_t n = send(channel->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0)
		return (int)n;
	if (errno != EAGAIN && errno != EINTR)
		return WEFT_EUNREACHABLE;
	return channel_wait(channel, POLLOUT);
}

static int tls_write(struct channel *channel, const void *data, size_t len)
{
	int n;

	ERR_clear_error();
	n = SSL_write(channel->ssl, data, (int)len);

	return n > 0 ? n : channel_retry(channel, n);
}

int http_channel_write(struct channel *channel, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		int n = channel->ssl ? tls_write(channel, at, len) : plain_write(channel, at, len);

		if (n < 0)
			return n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int plain_read(struct channel *channel, void *dst, size_t cap, bool *out_is_end)
{
	ssize_t n = recv(channel->fd, dst, cap, 0);

	*out_is_end = n == 0;
	if (n >= 0)
		return (int)n;
	if (errno != EAGAIN && errno != EINTR)
		return WEFT_EUNREACHABLE;
	return channel_wait(channel, POLLIN);
}

static int tls_read(struct channel *channel, void *dst, size_t cap, bool *out_is_end)
{
	int n;

	ERR_clear_error();
	n = SSL_read(channel->ssl, dst, (int)cap);

	/* Without the peer's close_notify, a third party may have made the end. */
	*out_is_end = n <= 0 && SSL_get_error(channel->ssl, n) == SSL_ERROR_ZERO_RETURN;
	if (n > 0 || *out_is_end)
		return n > 0 ? n : 0;
	return channel_retry(channel, n);
}

int http_channel_read(struct channel *channel, void *dst, size_t cap)
{
	bool is_end = false;
	int n;

	do {
		n = channel->ssl ? tls_read(channel, dst, cap, &is_end)
				 : plain_read(channel, dst, cap, &is_end);
	} while (n == 0 && !is_end);
	return n;
}
