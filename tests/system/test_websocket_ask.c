/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question over a WebSocket, over loopback. A thread takes one connection,
 * plain or TLS with a certificate made here, and sends the bytes of a row.
 */
#include "http/websocket.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "support/scratch.h"

#define PROTOCOL "mesh.v1"
#define HEAD	 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
#define PROVEN	 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"

static struct {
	int fd, stop_fd;
	uint16_t port;
	SSL_CTX *tls;	  /* NULL: plain */
	const char *head; /* %s: the proof */
	const char *frames;
	size_t frames_len;
	bool is_silent; /* behind the frames it waits for the client's end */
	char request[2048];
	uint8_t told[2048]; /* what the client said behind its request */
	size_t told_len;
	SSL *ssl;
	int client_fd;
} server;

static void server_listen(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);

	memset(&server, 0, sizeof(server));
	server.stop_fd = -1;
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.fd, (struct sockaddr *)&sin, len) < 0 || listen(server.fd, 1) < 0 ||
	    getsockname(server.fd, (struct sockaddr *)&sin, &len) < 0)
		abort();
	server.port = ntohs(sin.sin_port);
}

static ssize_t take(void *dst, size_t cap)
{
	return server.ssl ? SSL_read(server.ssl, dst, (int)cap)
			  : recv(server.client_fd, dst, cap, 0);
}

static void say(const void *data, size_t len)
{
	if (server.ssl)
		(void)SSL_write(server.ssl, data, (int)len);
	else
		(void)!send(server.client_fd, data, len, MSG_NOSIGNAL);
}

static void request_take(void)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && !strstr(server.request, "\r\n\r\n")) {
		n = take(server.request + len, sizeof(server.request) - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
}

static void head_say(void)
{
	char key[64] = "", accept[WEBSOCKET_ACCEPT_CAP], text[1024];
	const char *at = strstr(server.request, "Sec-WebSocket-Key: ");

	if (at)
		snprintf(key, sizeof(key), "%.24s", at + 19);
	http_websocket_accept(key, accept);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), server.head, accept);
#pragma GCC diagnostic pop
	say(text, strlen(text));
}

static bool told_take(void)
{
	ssize_t n = take(server.told + server.told_len, sizeof(server.told) - server.told_len);

	server.told_len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void *server_run(void *arg)
{
	server.client_fd = accept(server.fd, NULL, NULL);
	if (server.tls) {
		server.ssl = SSL_new(server.tls);
		SSL_set_fd(server.ssl, server.client_fd);
		if (SSL_accept(server.ssl) != 1)
			goto close;
	}
	request_take();
	if (server.head)
		head_say();
	/* The question, of 14 bytes. */
	while (server.frames && server.told_len < 14 && told_take())
		;
	say(server.frames, server.frames_len);
	if (server.stop_fd >= 0)
		eventfd_write(server.stop_fd, 1);
	while (server.is_silent && server.told_len < sizeof(server.told) && told_take())
		;
close:
	SSL_free(server.ssl);
	close(server.client_fd);
	return arg;
}

static const uint8_t nonce[20] = "0123456789abcdefMASK";
static uint8_t answer[16];

static int ask_at(struct websocket_ask *ask, const char *scheme, const char *host)
{
	char url[96];
	pthread_t thread;
	int err;

	snprintf(url, sizeof(url), "%s://%s:%u/at?x", scheme, host, server.port);
	ask->url = url;
	ask->protocol = PROTOCOL;
	ask->question = (const uint8_t *)"question";
	ask->question_len = 8;
	ask->random = nonce;
	ask->timeout_ns = ask->timeout_ns ? ask->timeout_ns : 20 * NS_PER_S;
	ask->stop_fd = server.stop_fd;
	ask->answer = answer;
	ask->answer_cap = sizeof(answer);
	if (pthread_create(&thread, NULL, server_run, NULL) != 0)
		abort();
	err = http_websocket_ask(ask);
	pthread_join(thread, NULL);
	close(server.fd);
	return err;
}

static int ask_plain(struct websocket_ask *ask)
{
	return ask_at(ask, "ws", "127.0.0.1");
}

static void test_the_question_is_masked_and_the_answer_is_the_first_binary_message(void)
{
	struct websocket_ask ask = {.url = NULL};
	static const uint8_t mask[4] = "MASK";
	uint8_t question[8];
	struct websocket_head head;
	char want[320];

	server_listen();
	server.head = HEAD PROVEN;
	server.frames = "\x81\x02hi\x82\x03yes";
	server.frames_len = 9;
	CHECK_EQ(ask_plain(&ask), 0);
	CHECK_EQ(ask.status, 101);
	CHECK_EQ(ask.answer_len, 3);
	CHECK_MEM(answer, "yes", 3);
	snprintf(want, sizeof(want),
		 "GET /at?x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: weft\r\n"
		 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		 "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
		 "Sec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n",
		 server.port);
	CHECK_STR(server.request, want);
	CHECK_EQ(http_websocket_head_parse(server.told, server.told_len, &head), 6);
	CHECK_EQ(head.opcode, WEBSOCKET_BINARY);
	CHECK(head.is_masked && head.is_final);
	CHECK_EQ(head.len, 8);
	CHECK_MEM(head.mask, mask, 4);
	CHECK_EQ(server.told_len, 14);
	memcpy(question, server.told + 6, sizeof(question));
	http_websocket_mask(question, sizeof(question), head.mask, 0);
	CHECK_MEM(question, "question", 8);
}

static void test_a_ping_before_the_answer_is_answered(void)
{
	struct websocket_ask ask = {.url = NULL};
	struct websocket_head head;
	const uint8_t *pong;

	server_listen();
	server.head = HEAD PROVEN;
	server.frames = "\x89\x04ping\x82\x02ok";
	server.frames_len = 10;
	server.is_silent = true;
	CHECK_EQ(ask_plain(&ask), 0);
	CHECK_MEM(answer, "ok", 2);
	CHECK_EQ(server.told_len, 14 + 10);
	pong = server.told + 14;
	CHECK_EQ(http_websocket_head_parse(pong, 10, &head), 6);
	CHECK_EQ(head.opcode, WEBSOCKET_PONG);
	CHECK_EQ(head.len, 4);
	CHECK_EQ(pong[6] ^ head.mask[0], 'p');
	CHECK_EQ(pong[9] ^ head.mask[3], 'g');
}

static void test_a_handshake_without_its_proof_is_malformed(void)
{
	static const struct {
		const char *head;
		int err;
		unsigned status;
	} rows[] = {
		{HEAD "Sec-WebSocket-Accept: x%s\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n",
		 WEFT_EMALFORMED, 101},
		{HEAD "Sec-WebSocket-Accept: %s\r\n\r\n", WEFT_EMALFORMED, 101},
		{HEAD "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: mesh.v2\r\n\r\n",
		 WEFT_EMALFORMED, 101},
		{"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" PROVEN,
		 WEFT_EMALFORMED, 101},
		{"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n" PROVEN, WEFT_EMALFORMED, 101},
		/* Told, for the caller to judge. */
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0, 403},
		{"SSH-2.0-OpenSSH_10\r\n\r\n", WEFT_EMALFORMED, 0},
		{"HTTP/1.1 101", WEFT_EUNREACHABLE, 0},
		{"", WEFT_EUNREACHABLE, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct websocket_ask ask = {.url = NULL};

		server_listen();
		server.head = rows[i].head;
		CHECK_EQ(ask_plain(&ask), rows[i].err);
		CHECK_EQ(ask.status, rows[i].status);
		CHECK_EQ(ask.answer_len, 0);
	}
}

static void test_an_answer_that_is_none_is_refused(void)
{
	static const struct {
		const char *frames;
		size_t len;
		int err;
	} rows[] = {
		{"\x82\x10"
		 "0123456789abcdef",
		 18, 0},
		{"\x82\x11"
		 "0123456789abcdefg",
		 19, WEFT_ETOOLARGE},
		{"\x82\x00", 2, 0},
		{"\x88\x00", 2, WEFT_EUNREACHABLE},
		{"\x02\x02hi", 4, WEFT_EMALFORMED},	 /* not final */
		{"\x80\x02hi", 4, WEFT_EMALFORMED},	 /* goes on with nothing */
		{"\x82\x82MASKhi", 8, WEFT_EMALFORMED},	 /* a server masks nothing */
		{"\xc2\x02hi", 4, WEFT_EMALFORMED},	 /* reserved */
		{"\x82\x7e\x7f\xff", 4, WEFT_ETOOLARGE}, /* longer than is ever read */
		{"\x82\x03hi", 4, WEFT_EUNREACHABLE},	 /* cut short */
		{"\x82", 1, WEFT_EUNREACHABLE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct websocket_ask ask = {.url = NULL};
		int err;

		server_listen();
		server.head = HEAD PROVEN;
		server.frames = rows[i].frames;
		server.frames_len = rows[i].len;
		err = ask_plain(&ask);
		if (err != rows[i].err)
			printf("# row %zu\n", i);
		CHECK_EQ(err, rows[i].err);
		CHECK_EQ(ask.answer_len, err ? 0 : rows[i].len - 2);
	}
}

static void test_text_and_pings_without_end_are_given_up(void)
{
	static char frames[65 * 3];
	struct websocket_ask ask = {.url = NULL};

	for (size_t i = 0; i < 65; i++)
		memcpy(frames + 3 * i, i < 64 ? "\x81\x01x" : "\x82\x01y", 3);
	server_listen();
	server.head = HEAD PROVEN;
	server.frames = frames;
	server.frames_len = sizeof(frames);
	CHECK_EQ(ask_plain(&ask), WEFT_EMALFORMED);
	memcpy(frames + 3 * 63, "\x82\x01y", 3);
	server_listen();
	server.head = HEAD PROVEN;
	server.frames = frames;
	server.frames_len = sizeof(frames);
	CHECK_EQ(ask_plain(&ask), 0);
	CHECK_EQ(answer[0], 'y');
}

static void test_silence_and_cancellation_end_it(void)
{
	struct websocket_ask ask = {.timeout_ns = 50 * NS_PER_MS};

	server_listen();
	server.head = HEAD PROVEN;
	server.is_silent = true;
	CHECK_EQ(ask_plain(&ask), WEFT_ETIMEOUT);
	ask.timeout_ns = 600 * NS_PER_S;
	server_listen();
	server.head = HEAD PROVEN;
	server.is_silent = true;
	server.stop_fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(ask_plain(&ask), WEFT_ECANCELLED);
	close(server.stop_fd);
}

static void test_urls_of_other_schemes_are_refused(void)
{
	static const char *const urls[] = {"http://127.0.0.1/", "w://127.0.0.1/", "ws:/x", "",
					   "wss:"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct websocket_ask ask = {.url = urls[i], .random = nonce, .protocol = PROTOCOL};

		CHECK_EQ(http_websocket_ask(&ask), WEFT_EMALFORMED);
	}
}

/* --- TLS --- */

static char dir[SCRATCH_CAP], ca_file[256], other_file[256];

/* A certificate of 127.0.0.1 and localhost that vouches for itself; its PEM goes to path. */
static SSL_CTX *tls_make(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *names =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	FILE *file = fopen(path, "w");

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_add_ext(cert, names, -1);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_X509(file, cert);
	fclose(file);
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_EXTENSION_free(names);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static int ask_tls(struct websocket_ask *ask, SSL_CTX *tls, const char *host, const char *ca)
{
	server_listen();
	server.tls = tls;
	server.head = HEAD PROVEN;
	server.frames = "\x82\x03yes";
	server.frames_len = 5;
	ask->ca_file = ca;
	return ask_at(ask, "wss", host);
}

static void test_tls_asks_only_a_host_that_a_named_authority_vouches_for(void)
{
	SSL_CTX *tls, *other;
	struct websocket_ask ask = {.url = NULL};

	scratch_make(dir);
	scratch_path(ca_file, sizeof(ca_file), dir, "ca.pem");
	scratch_path(other_file, sizeof(other_file), dir, "other.pem");
	tls = tls_make(ca_file);
	other = tls_make(other_file);
	CHECK_EQ(ask_tls(&ask, tls, "127.0.0.1", ca_file), 0);
	CHECK_EQ(ask.answer_len, 3);
	CHECK_EQ(ask_tls(&ask, tls, "localhost", ca_file), 0);
	CHECK_EQ(ask_tls(&ask, tls, "127.0.0.1", other_file), WEFT_EWRONGKEY);
	CHECK_EQ(ask_tls(&ask, other, "127.0.0.1", ca_file), WEFT_EWRONGKEY);
	/* The machine's own authorities know it neither. */
	CHECK_EQ(ask_tls(&ask, tls, "127.0.0.1", NULL), WEFT_EWRONGKEY);
	SSL_CTX_free(tls);
	SSL_CTX_free(other);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_the_question_is_masked_and_the_answer_is_the_first_binary_message);
	RUN(test_a_ping_before_the_answer_is_answered);
	RUN(test_a_handshake_without_its_proof_is_malformed);
	RUN(test_an_answer_that_is_none_is_refused);
	RUN(test_text_and_pings_without_end_are_given_up);
	RUN(test_silence_and_cancellation_end_it);
	RUN(test_urls_of_other_schemes_are_refused);
	RUN(test_tls_asks_only_a_host_that_a_named_authority_vouches_for);
	return check_done();
}
