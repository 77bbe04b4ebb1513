/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of NATS' request and reply over TLS, through nats-server, by its
 * documented client protocol. Each has one blocking connection and answers
 * what a read brought by one write.
 *
 *   rpc_nats serve ADDRESS PORT CERT
 *   rpc_nats call ADDRESS PORT CERT LENGTH IN_FLIGHT SECONDS
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/latencies.h"

#define BUFFER_LEN    (1u << 20)
#define IN_FLIGHT_MAX 128u
#define LEN_MAX	      65536u

struct nats {
	SSL *ssl;
	char in[BUFFER_LEN];
	size_t in_len;
	char out[BUFFER_LEN];
	size_t out_len;
	void (*message)(struct nats *nats, unsigned number, const char *reply_to,
			const char *payload, size_t len);
};

static struct nats nats;
static struct latencies latencies;
static uint64_t began_ns[IN_FLIGHT_MAX];
static char payload[LEN_MAX];
static size_t call_len;
static unsigned in_flight_cnt;

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "rpc_nats: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void put(const void *data, size_t len)
{
	if (len > sizeof(nats.out) - nats.out_len)
		fail("too much to send");
	memcpy(nats.out + nats.out_len, data, len);
	nats.out_len += len;
}

static void publish(const char *subject, const char *reply_to, const char *data, size_t len)
{
	char line[256];

	put(line, (size_t)snprintf(line, sizeof(line), "PUB %s %s%s%zu\r\n", subject, reply_to,
				   *reply_to ? " " : "", len));
	put(data, len);
	put("\r\n", 2);
}

static void flush(void)
{
	size_t len;

	if (nats.out_len && SSL_write_ex(nats.ssl, nats.out, nats.out_len, &len) != 1)
		fail("write");
	nats.out_len = 0;
}

/* MSG subject sid [reply-to] length; the length of the whole message, or 0: not all is there. */
static size_t take_message(const char *line, size_t line_len, size_t left)
{
	char subject[128], words[2][128] = {"", ""};
	unsigned sid, number = 0;
	const char *dot;
	size_t len;
	int cnt = sscanf(line, "MSG %127s %u %127s %127s", subject, &sid, words[0], words[1]);

	if (cnt < 3)
		fail("a message that is none");
	len = (size_t)atoi(words[cnt - 3]);
	if (left < line_len + len + 2)
		return 0;
	dot = strrchr(subject, '.');
	if (dot)
		number = (unsigned)atoi(dot + 1);
	nats.message(&nats, number, cnt == 4 ? words[0] : "", line + line_len, len);
	return line_len + len + 2;
}

static size_t take(char *data, size_t left)
{
	char *end = memchr(data, '\n', left);
	size_t line_len;

	if (!end)
		return 0;
	line_len = (size_t)(end - data) + 1;
	*end = '\0';
	if (strncmp(data, "MSG ", 4) == 0) {
		size_t len = take_message(data, line_len, left);

		*end = '\n';
		return len;
	}
	if (strncmp(data, "PING", 4) == 0)
		put("PONG\r\n", 6);
	else if (strncmp(data, "-ERR", 4) == 0)
		fail(data);
	return line_len;
}

static void turn(void)
{
	size_t len, done = 0, part;

	flush();
	if (SSL_read_ex(nats.ssl, nats.in + nats.in_len, sizeof(nats.in) - 1 - nats.in_len, &len) !=
	    1)
		fail("read");
	nats.in_len += len;
	nats.in[nats.in_len] = '\0';
	while ((part = take(nats.in + done, nats.in_len - done)))
		done += part;
	nats.in_len -= done;
	memmove(nats.in, nats.in + done, nats.in_len);
}

static void tls_start(int fd, const char *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || SSL_CTX_load_verify_file(ctx, cert) != 1 || !(nats.ssl = SSL_new(ctx)) ||
	    SSL_set1_host(nats.ssl, "bench") != 1 || SSL_set_fd(nats.ssl, fd) != 1)
		fail("TLS");
	SSL_set_verify(nats.ssl, SSL_VERIFY_PEER, NULL);
	if (SSL_connect(nats.ssl) != 1)
		fail("TLS handshake");
}

/* The server's INFO comes in the clear, then TLS begins. */
static void open_connection(const char *address, const char *port, const char *cert)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	static const char hello[] =
		"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true}\r\n";
	char c = 0;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || fd < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (c != '\n')
		if (read(fd, &c, 1) != 1)
			fail("no INFO");
	tls_start(fd, cert);
	put(hello, sizeof(hello) - 1);
}

static void serve_one(struct nats *at, unsigned number, const char *reply_to, const char *data,
		      size_t len)
{
	(void)at, (void)number;
	publish(reply_to, "", data, len);
}

static void serve(void)
{
	static const char sub[] = "SUB bench.echo 1\r\n";

	nats.message = serve_one;
	put(sub, sizeof(sub) - 1);
	for (;;)
		turn();
}

static void call_start(unsigned number)
{
	char inbox[64];

	began_ns[number] = clock_monotonic_ns();
	snprintf(inbox, sizeof(inbox), "_INBOX.bench.%u", number);
	publish("bench.echo", inbox, payload, call_len);
	in_flight_cnt++;
}

static void call_ended(struct nats *at, unsigned number, const char *reply_to, const char *data,
		       size_t len)
{
	(void)at, (void)reply_to, (void)data;
	if (number >= IN_FLIGHT_MAX || len != call_len)
		fail("a reply of another length");
	in_flight_cnt--;
	if (latencies_add(&latencies, began_ns[number], clock_monotonic_ns()))
		call_start(number);
}

static void run_calls(unsigned cnt, unsigned seconds)
{
	static const char sub[] = "SUB _INBOX.bench.* 1\r\n";

	nats.message = call_ended;
	put(sub, sizeof(sub) - 1);
	latencies_start(&latencies, seconds, clock_monotonic_ns());
	for (unsigned i = 0; i < cnt; i++)
		call_start(i);
	while (in_flight_cnt)
		turn();
	latencies_print(&latencies, NULL);
}

int main(int argc, char **argv)
{
	bool is_server = argc == 5 && strcmp(argv[1], "serve") == 0;
	unsigned cnt;

	if (!is_server && (argc != 8 || strcmp(argv[1], "call") != 0))
		fail("serve|call ADDRESS PORT CERT ...");
	open_connection(argv[2], argv[3], argv[4]);
	if (is_server)
		serve();
	call_len = (size_t)atoi(argv[5]);
	cnt = (unsigned)atoi(argv[6]);
	if (call_len > LEN_MAX || !cnt || cnt > IN_FLIGHT_MAX)
		fail("LENGTH to 65536, IN_FLIGHT 1 to 128");
	run_calls(cnt, (unsigned)atoi(argv[7]));
	return 0;
}
