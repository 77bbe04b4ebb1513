/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that bench/quic and bench/handshake-rate measure against: the
 * smallest honest loop over ngtcp2 and OpenSSL. GSO out, GRO and recvmmsg
 * in, AES-128-GCM, X25519, mutual Ed25519 raw public keys, CUBIC, large
 * windows and socket buffers. No limits, no tables, no timers but ngtcp2's.
 *
 *   receive ADDR PORT CONNS [ACKS]    counts the bytes of CONNS connections
 *   send    ADDR PORT CONNS SECONDS   fills them
 *   accept  ADDR PORT                 completes handshakes until killed
 *   dial    ADDR PORT SECONDS full|resumed
 *
 * Each prints one line of JSON. ACKS: received packets per ACK, 2 as
 * ngtcp2 has it.
 */
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#define CONN_CAP    256
#define CID_LEN	    8
#define TRAIN_CNT   16
#define TRAIN_LEN   65536
#define RUN_LEN	    65487
#define DGRAM_LEN   1452
#define NS_PER_S    1000000000ull
#define BUFFER_SIZE (4 << 20)
#define WINDOW	    (32u << 20)

enum role { RECEIVE, SEND, ACCEPT, DIAL };

struct conn {
	ngtcp2_conn *ngtcp2;
	SSL *ssl;
	ngtcp2_crypto_ossl_ctx *ossl;
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_path_storage path;
	int fd;
	int64_t stream;
	size_t off;	 /* in payload, which is sent over and over */
	bool is_ready;	 /* handshake done */
	bool is_touched; /* received something since it last wrote */
	bool is_over;
};

static struct conn conns[CONN_CAP];
static enum role role;
static SSL_CTX *tls;
static SSL_SESSION *ticket;
static bool is_resuming;
static size_t acks = 2;
static uint64_t turn_ns; /* ngtcp2 wants a time that never runs back */
static uint64_t bytes, first_ns, last_ns, handshakes, resumed, stop_ns;
static unsigned over_cnt, ready_cnt;
static uint8_t trains[TRAIN_CNT][TRAIN_LEN], run[RUN_LEN], payload[256 * 1024];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int accept_any(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = session;
	return 1;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	(void)ssl;
	(void)arg;
	(void)in_len;
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void tls_init(void)
{
	static const unsigned char types[] = {TLSEXT_cert_type_rpk};

	tls = SSL_CTX_new(TLS_method());
	SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set1_groups_list(tls, "X25519");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(tls, accept_any, NULL);
	SSL_CTX_use_PrivateKey(tls, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	SSL_CTX_set1_server_cert_type(tls, types, sizeof(types));
	SSL_CTX_set1_client_cert_type(tls, types, sizeof(types));
	SSL_CTX_set_alpn_select_cb(tls, select_alpn, NULL);
	SSL_CTX_set_alpn_protos(tls, (const unsigned char *)"\5bench", 6);
	SSL_CTX_set_num_tickets(tls, 1);
	SSL_CTX_set_session_id_context(tls, (const unsigned char *)"bench", 5);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls, keep_ticket);
}

static ngtcp2_conn *conn_of_ref(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct conn *)ref->user_data)->ngtcp2;
}

static void on_rand(uint8_t *dst, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	RAND_bytes(dst, (int)len);
}

/* The first byte of an id is the connection's index. */
static int on_new_cid(ngtcp2_conn *ngtcp2, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token,
		      size_t len, void *user)
{
	(void)ngtcp2;
	RAND_bytes(cid->data, (int)len);
	cid->data[0] = (uint8_t)((struct conn *)user - conns);
	cid->datalen = len;
	RAND_bytes(token->data, sizeof(token->data));
	return 0;
}

static int on_handshake(ngtcp2_conn *ngtcp2, void *user)
{
	struct conn *conn = user;

	conn->is_ready = true;
	handshakes++;
	ready_cnt++;
	resumed += SSL_session_reused(conn->ssl) == 1;
	if (role == SEND && ngtcp2_conn_open_bidi_stream(ngtcp2, &conn->stream, NULL) != 0)
		die("open stream");
	return 0;
}

static int on_data(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t off,
		   const uint8_t *data, size_t len, void *user, void *stream_user)
{
	(void)flags;
	(void)off;
	(void)data;
	(void)user;
	(void)stream_user;
	if (!first_ns)
		first_ns = turn_ns;
	last_ns = turn_ns;
	bytes += len;
	ngtcp2_conn_extend_max_stream_offset(ngtcp2, id, len);
	ngtcp2_conn_extend_max_offset(ngtcp2, len);
	return 0;
}

static const ngtcp2_callbacks callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
	.handshake_completed = on_handshake,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.recv_stream_data = on_data,
	.rand = on_rand,
	.get_new_connection_id2 = on_new_cid,
	.update_key = ngtcp2_crypto_update_key_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

static void conn_open(struct conn *conn, int fd, const struct sockaddr_in *local,
		      const struct sockaddr_in *remote, const ngtcp2_pkt_hd *hd)
{
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_cid scid, dcid;

	memset(conn, 0, sizeof(*conn));
	conn->fd = fd;
	conn->stream = -1;
	conn->ref = (ngtcp2_crypto_conn_ref){conn_of_ref, conn};
	ngtcp2_path_storage_init(&conn->path, (const ngtcp2_sockaddr *)local, sizeof(*local),
				 (const ngtcp2_sockaddr *)remote, sizeof(*remote), NULL);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = turn_ns;
	settings.max_tx_udp_payload_size = DGRAM_LEN;
	settings.no_tx_udp_payload_size_shaping = 1;
	settings.no_pmtud = 1;
	settings.max_window = WINDOW;
	settings.max_stream_window = WINDOW;
	settings.ack_thresh = acks;
	ngtcp2_transport_params_default(&params);
	params.initial_max_data = WINDOW;
	params.initial_max_stream_data_bidi_local = WINDOW;
	params.initial_max_stream_data_bidi_remote = WINDOW;
	params.initial_max_streams_bidi = 1;
	params.max_idle_timeout = 3 * NS_PER_S;
	scid.datalen = CID_LEN;
	RAND_bytes(scid.data, CID_LEN);
	scid.data[0] = (uint8_t)(conn - conns);
	if (hd) {
		params.original_dcid = hd->dcid;
		params.original_dcid_present = 1;
		ngtcp2_conn_server_new(&conn->ngtcp2, &hd->scid, &scid, &conn->path.path,
				       hd->version, &callbacks, &settings, &params, NULL, conn);
	} else {
		dcid.datalen = 16;
		RAND_bytes(dcid.data, 16);
		ngtcp2_conn_client_new(&conn->ngtcp2, &dcid, &scid, &conn->path.path,
				       NGTCP2_PROTO_VER_V1, &callbacks, &settings, &params, NULL,
				       conn);
	}
	conn->ssl = SSL_new(tls);
	ngtcp2_crypto_ossl_ctx_new(&conn->ossl, conn->ssl);
	if (hd) {
		SSL_set_accept_state(conn->ssl);
		ngtcp2_crypto_ossl_configure_server_session(conn->ssl);
	} else {
		SSL_set_connect_state(conn->ssl);
		ngtcp2_crypto_ossl_configure_client_session(conn->ssl);
		SSL_set_tlsext_host_name(conn->ssl, "bench.invalid");
		if (is_resuming && ticket) {
			SSL_set_session(conn->ssl, ticket);
			SSL_SESSION_free(ticket);
			ticket = NULL;
		}
	}
	SSL_set_app_data(conn->ssl, &conn->ref);
	ngtcp2_conn_set_tls_native_handle(conn->ngtcp2, conn->ossl);
}

static void conn_close(struct conn *conn)
{
	ngtcp2_conn_del(conn->ngtcp2);
	SSL_set_app_data(conn->ssl, NULL);
	/* Freed without it, a session counts as broken and its ticket with it. */
	SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	ngtcp2_crypto_ossl_ctx_del(conn->ossl);
	SSL_free(conn->ssl);
	conn->ngtcp2 = NULL;
	conn->is_over = true;
	over_cnt++;
}

static int udp_socket(const struct sockaddr_in *local)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, size = BUFFER_SIZE;

	if (fd < 0 || (local && bind(fd, (const struct sockaddr *)local, sizeof(*local)) < 0))
		die("bind");
	setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static void run_send(struct conn *conn, size_t len, size_t segment_len)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct iovec iov = {run, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	uint16_t segment = (uint16_t)segment_len;

	if (role == RECEIVE || role == ACCEPT) {
		msg.msg_name = conn->path.path.remote.addr;
		msg.msg_namelen = conn->path.path.remote.addrlen;
	}
	if (len > segment_len) {
		struct cmsghdr *c = (void *)control;

		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(segment));
		memcpy(CMSG_DATA(c), &segment, sizeof(segment));
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
	}
	if (sendmsg(conn->fd, &msg, 0) < 0)
		die("sendmsg");
}

static ngtcp2_ssize write_packet(ngtcp2_conn *ngtcp2, ngtcp2_path *path, ngtcp2_pkt_info *info,
				 uint8_t *dst, size_t cap, ngtcp2_tstamp at, void *user)
{
	struct conn *conn = user;
	ngtcp2_vec vec = {payload + conn->off, sizeof(payload) - conn->off};
	ngtcp2_ssize taken = 0, len;

	len = ngtcp2_conn_writev_stream(ngtcp2, path, info, dst, cap, &taken,
					NGTCP2_WRITE_STREAM_FLAG_NONE, conn->stream, &vec,
					conn->stream >= 0, at);
	if (taken > 0)
		conn->off = (conn->off + (size_t)taken) % sizeof(payload);
	return len;
}

static void conn_write(struct conn *conn)
{
	for (int turn = 0; turn < 8; turn++) {
		size_t quantum = ngtcp2_conn_get_send_quantum(conn->ngtcp2), segment_len;
		ngtcp2_pkt_info info;
		ngtcp2_ssize len;

		if (quantum < DGRAM_LEN)
			quantum = DGRAM_LEN;
		len = ngtcp2_conn_write_aggregate_pkt2(conn->ngtcp2, NULL, &info, run,
						       quantum < RUN_LEN ? quantum : RUN_LEN,
						       &segment_len, write_packet, 0, turn_ns);
		if (len < 0) {
			fprintf(stderr, "write: %s\n", ngtcp2_strerror((int)len));
			conn_close(conn);
			return;
		}
		if (len == 0)
			break;
		run_send(conn, (size_t)len, segment_len);
	}
	ngtcp2_conn_update_pkt_tx_time(conn->ngtcp2, turn_ns);
}

static void conn_read(struct conn *conn, uint8_t *data, size_t len)
{
	int err = ngtcp2_conn_read_pkt(conn->ngtcp2, &conn->path.path, NULL, data, len, turn_ns);

	if (err != 0) {
		if (err != NGTCP2_ERR_DRAINING)
			fprintf(stderr, "read: %s\n", ngtcp2_strerror(err));
		conn_close(conn);
		return;
	}
	conn->is_touched = true;
}

/* Packets of known ids go by their first byte; the rest is an Initial or dropped. */
static void datagram(int fd, const struct sockaddr_in *local, const struct sockaddr_in *remote,
		     uint8_t *data, size_t len)
{
	ngtcp2_version_cid ids;
	ngtcp2_pkt_hd hd;
	struct conn *conn = NULL;

	if (ngtcp2_pkt_decode_version_cid(&ids, data, len, CID_LEN) != 0)
		return;
	if (ids.dcidlen == CID_LEN)
		conn = &conns[ids.dcid[0]];
	for (struct conn *c = conns; !conn && c < conns + CONN_CAP; c++)
		if (c->ngtcp2 && memcmp(c->path.path.remote.addr, remote,
					offsetof(struct sockaddr_in, sin_zero)) == 0)
			conn = c;
	if (!conn) {
		if (ngtcp2_accept(&hd, data, len) != 0)
			return;
		for (conn = conns; conn->ngtcp2; conn++)
			if (conn == conns + CONN_CAP - 1)
				return;
		conn_open(conn, fd, local, remote, &hd);
	}
	if (conn->ngtcp2)
		conn_read(conn, data, len);
}

static void receive(int fd, const struct sockaddr_in *local)
{
	_Alignas(struct cmsghdr) static uint8_t control[TRAIN_CNT][64];
	static struct sockaddr_in names[TRAIN_CNT];
	static struct mmsghdr headers[TRAIN_CNT];
	static struct iovec iovs[TRAIN_CNT];
	int cnt;

	for (int i = 0; i < TRAIN_CNT; i++) {
		iovs[i] = (struct iovec){trains[i], TRAIN_LEN};
		headers[i].msg_hdr = (struct msghdr){&names[i],	 sizeof(names[i]),   &iovs[i], 1,
						     control[i], sizeof(control[i]), 0};
	}
	cnt = recvmmsg(fd, headers, TRAIN_CNT, MSG_DONTWAIT, NULL);
	turn_ns = now();
	for (int i = 0; i < cnt; i++) {
		size_t len = headers[i].msg_len, segment_len = len;
		struct msghdr *msg = &headers[i].msg_hdr;

		for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
			if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
				segment_len = (size_t)*(int *)(void *)CMSG_DATA(c);
		for (size_t off = 0; off < len; off += segment_len)
			datagram(fd, local, &names[i], trains[i] + off,
				 len - off < segment_len ? len - off : segment_len);
	}
}

static void print_result(void)
{
	printf("{\"bytes\":%llu,\"ns\":%llu,\"handshakes\":%llu,\"resumed\":%llu}\n",
	       (unsigned long long)bytes, (unsigned long long)(last_ns - first_ns),
	       (unsigned long long)handshakes, (unsigned long long)resumed);
	fflush(stdout);
}

static void conn_say_goodbye(struct conn *conn)
{
	ngtcp2_ccerr ccerr;
	ngtcp2_pkt_info info;
	ngtcp2_ssize len;

	ngtcp2_ccerr_default(&ccerr);
	len = ngtcp2_conn_write_connection_close(conn->ngtcp2, NULL, &info, run, DGRAM_LEN, &ccerr,
						 now());
	if (len > 0)
		run_send(conn, (size_t)len, (size_t)len);
	conn_close(conn);
}

static uint64_t next_expiry(void)
{
	uint64_t next = UINT64_MAX;

	for (struct conn *c = conns; c < conns + CONN_CAP; c++) {
		uint64_t at = c->ngtcp2 ? ngtcp2_conn_get_expiry(c->ngtcp2) : UINT64_MAX;

		next = at < next ? at : next;
	}
	return next;
}

static void wait_and_receive(struct pollfd *fds, unsigned fd_cnt, const struct sockaddr_in *local)
{
	uint64_t next = next_expiry(), at = now();
	struct timespec wait = {0};

	if (stop_ns && next > stop_ns)
		next = stop_ns;
	if (next > at) {
		wait.tv_sec = (time_t)((next - at) / NS_PER_S % 3600);
		wait.tv_nsec = (long)((next - at) % NS_PER_S);
	}
	ppoll(fds, fd_cnt, &wait, NULL);
	for (unsigned i = 0; i < fd_cnt; i++)
		if (fds[i].revents)
			receive(fds[i].fd, local);
}

static void write_all(void)
{
	turn_ns = now();
	for (struct conn *c = conns; c < conns + CONN_CAP; c++) {
		if (c->ngtcp2 && ngtcp2_conn_get_expiry(c->ngtcp2) <= turn_ns) {
			int err = ngtcp2_conn_handle_expiry(c->ngtcp2, turn_ns);

			if (err != 0) {
				fprintf(stderr, "expiry: %s\n", ngtcp2_strerror(err));
				conn_close(c);
				continue;
			}
			c->is_touched = true;
		}
		if (c->ngtcp2 && c->is_touched) {
			c->is_touched = false;
			conn_write(c);
		}
	}
}

static void serve(const struct sockaddr_in *local, unsigned conn_cnt)
{
	struct pollfd fd = {.fd = udp_socket(local), .events = POLLIN};

	while (role == ACCEPT || over_cnt < conn_cnt) {
		wait_and_receive(&fd, 1, local);
		write_all();
	}
	print_result();
}

static void conn_dial(struct conn *conn, struct pollfd *fd, const struct sockaddr_in *remote)
{
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	turn_ns = now();
	fd->fd = udp_socket(NULL);
	fd->events = POLLIN;
	if (connect(fd->fd, (const struct sockaddr *)remote, sizeof(*remote)) < 0 ||
	    getsockname(fd->fd, (struct sockaddr *)&local, &len) < 0)
		die("connect");
	conn_open(conn, fd->fd, &local, remote, NULL);
	conn->is_touched = true;
}

static void fill(const struct sockaddr_in *remote, unsigned conn_cnt, unsigned seconds)
{
	static struct pollfd fds[CONN_CAP];

	for (unsigned i = 0; i < conn_cnt; i++)
		conn_dial(&conns[i], &fds[i], remote);
	while (!stop_ns || now() < stop_ns) {
		write_all();
		wait_and_receive(fds, conn_cnt, NULL);
		if (over_cnt)
			die("a connection closed early");
		if (!stop_ns && ready_cnt == conn_cnt)
			stop_ns = now() + seconds * NS_PER_S;
	}
	for (unsigned i = 0; i < conn_cnt; i++)
		if (conns[i].ngtcp2)
			conn_say_goodbye(&conns[i]);
	print_result();
}

/* One handshake after the other; the next begins when the last is confirmed. */
static void dial(const struct sockaddr_in *remote, unsigned seconds)
{
	struct pollfd fd;

	first_ns = now();
	while (now() < first_ns + seconds * NS_PER_S) {
		conn_dial(&conns[0], &fd, remote);
		while (conns[0].ngtcp2 && !ngtcp2_conn_get_handshake_completed(conns[0].ngtcp2)) {
			write_all();
			wait_and_receive(&fd, 1, NULL);
		}
		while (conns[0].ngtcp2 && is_resuming && !ticket) {
			write_all();
			wait_and_receive(&fd, 1, NULL);
		}
		write_all();
		if (conns[0].ngtcp2)
			conn_say_goodbye(&conns[0]);
		close(fd.fd);
	}
	last_ns = now();
	print_result();
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"receive", "send", "accept", "dial"};
	struct sockaddr_in addr = {.sin_family = AF_INET};

	if (argc < 4)
		return 2;
	while (strcmp(argv[1], names[role]) != 0)
		if (++role > DIAL)
			return 2;
	inet_pton(AF_INET, argv[2], &addr.sin_addr);
	addr.sin_port = htons((uint16_t)atoi(argv[3]));
	ngtcp2_crypto_ossl_init();
	tls_init();
	if (role == RECEIVE && argc > 5)
		acks = (size_t)atoi(argv[5]);
	if (role == RECEIVE)
		serve(&addr, (unsigned)atoi(argv[4]));
	else if (role == ACCEPT)
		serve(&addr, 0);
	else if (role == SEND)
		fill(&addr, (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]));
	else {
		is_resuming = strcmp(argv[5], "resumed") == 0;
		dial(&addr, (unsigned)atoi(argv[4]));
	}
	return 0;
}
