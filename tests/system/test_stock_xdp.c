/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreign QUIC clients against the answers of the BPF program: they take its
 * Retry and its version negotiation. The handshake that follows completes
 * with the engine behind AF_XDP, which saw none of that.
 *
 * 	here: veth0 10.77.0.1, the program, the engine  <-->  veth1 10.77.0.2
 * 	                                                in another namespace
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "net/packet_io.h"
#include "net/xdp/xdp.h"
#include "quic/quic.h"
#include "support/check.h"
#include "support/quic_take.h"
#include "weft/cid.h"
#include "weft/token.h"

#define ADDR	   "10.77.0.1"
#define PORT	   "7000"
#define CLIENT_S   "timeout 25 "
#define DEADLINE_S 40

static char netns[32];
static char python[256];

struct server {
	struct udp_config udp;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct xdp *xdp;
	struct quic_engine *engine;
	struct random random;
	struct node_key *key;
	char output[8192]; /* of the client */
	size_t output_len;
};

static void shell(const char *command)
{
	if (system(command) != 0) {
		printf("Bail out! failed: %s\n", command);
		exit(1);
	}
}

/* A client without a key gets its handshake and then a close: the speaker hears of nothing. */
static const struct transport_events no_events;

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void on_fault(void *ctx, unsigned device, enum xdp_fault fault, const char *detail)
{
	(void)ctx, (void)device;
	printf("# %s: %s\n", net_xdp_fault_name(fault), detail);
}

static void veths_make(void)
{
	char command[512];

	snprintf(netns, sizeof(netns), "bpf-stock-%d", (int)getpid());
	snprintf(command, sizeof(command),
		 "ip netns add %s && ip link add veth0 type veth peer name veth1 netns %s && "
		 "ip addr add " ADDR
		 "/24 dev veth0 && ip link set veth0 up && ip link set lo up && "
		 "ip -n %s addr add 10.77.0.2/24 dev veth1 && ip -n %s link set veth1 up",
		 netns, netns, netns, netns);
	shell(command);
}

static void veths_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "ip link del veth0; ip netns del %s", netns);
	shell(command);
}

static void set_policy(struct server *server, enum weft_mode mode)
{
	const struct weft_bucket_rate rate = {NS_PER_MS, NS_PER_S};
	const struct addr local = addr_of(ADDR ":" PORT);
	struct weft_config policy = {
		.mode = mode,
		.wall_offset_ns = clock_wall_s() * NS_PER_S - clock_monotonic_ns(),
		.validated = rate,
		.samples = rate,
		.token_life_ns = 60 * NS_PER_S,
	};
	struct weft_token_keys token_keys;

	for (unsigned total = 0; total < WEFT_TOTAL_CNT; total++)
		policy.totals[total] = rate;
	for (unsigned answer = 0; answer < WEFT_ANSWERS_CNT; answer++)
		policy.answers[answer] = rate;
	for (unsigned class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			policy.rates[class][level] = rate;
	if (quic_engine_token_keys(server->engine, &token_keys) < 0 ||
	    net_xdp_set_config(server->xdp, &policy) < 0 ||
	    net_xdp_set_cid_keys(server->xdp, quic_engine_cid_keys(server->engine)) < 0 ||
	    net_xdp_set_token_keys(server->xdp, &token_keys) < 0 ||
	    net_xdp_set_locals(server->xdp, &local, 1) < 0)
		abort();
}

static void server_open_engine(struct server *server)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {9};
	struct quic_engine_params params = {
		.events = &no_events,
		.random = &server->random,
		.sink = &server->tx->sink,
		.now_ns = clock_monotonic_ns(),
		.wall_s = clock_wall_s(),
	};

	random_init_system(&server->random);
	quic_config_defaults(&params.config);
	if (node_key_from_seed(seed, &server->key) < 0)
		abort();
	params.key = server->key;
	if (quic_engine_new(&params, &server->engine) < 0)
		abort();
}

static void server_open(struct server *server, enum weft_mode mode)
{
	const struct xdp_params params = {.on_fault = on_fault};
	struct xdp_config config;
	struct xdp_device *device;
	char why[XDP_WHY_CAP] = "";
	unsigned failed_idx;

	memset(server, 0, sizeof(*server));
	veths_make();
	server->udp = (struct udp_config){.listen = {addr_of("0.0.0.0:" PORT)}, .listen_cnt = 1};
	if (net_udp_open(&server->udp, &server->rx, &server->tx, &failed_idx) < 0)
		abort();
	server_open_engine(server);
	net_xdp_config_defaults(&config);
	/* Generic: there the far end needs nothing to take what is sent back. */
	config.mode = XDP_GENERIC;
	if (net_xdp_new(&params, &server->xdp) < 0 ||
	    net_xdp_device_open(server->xdp, &config, "veth0", &device, why) < 0 ||
	    net_xdp_take(server->xdp, device) < 0) {
		printf("Bail out! attach: %s\n", why);
		exit(1);
	}
	set_policy(server, mode);
}

static void server_close(struct server *server)
{
	net_xdp_free(server->xdp);
	quic_engine_free(server->engine);
	node_key_free(server->key);
	packet_tx_close(server->tx);
	packet_rx_close(server->rx);
	veths_remove();
}

static void serve_from(struct server *server, struct packet_rx *rx, uint64_t now_ns)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt = packet_rx_burst(rx, dgrams, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		quic_take(server->engine, &dgrams[i], now_ns);
}

/* The last byte stays zero; what does not fit ends it as the client's end would. */
static ssize_t output_read(struct server *server, int fd)
{
	size_t len = server->output_len;
	ssize_t n = 0;

	if (len < sizeof(server->output) - 1)
		n = read(fd, server->output + len, sizeof(server->output) - 1 - len);
	server->output_len += n > 0 ? (size_t)n : 0;
	return n;
}

/* Serves, and reads what the client prints, until it ends. */
static bool serve(struct server *server, FILE *client)
{
	struct pollfd fds[] = {
		{.fd = net_xdp_queue_of(server->xdp, 0, 0)->rx->fd, .events = POLLIN},
		{.fd = server->rx->fd, .events = POLLIN},
		{.fd = fileno(client), .events = POLLIN},
	};
	uint64_t stop_ns = clock_monotonic_ns() + DEADLINE_S * NS_PER_S, now_ns;
	ssize_t len = 1;

	while ((now_ns = clock_monotonic_ns()) < stop_ns && len > 0) {
		serve_from(server, net_xdp_queue_of(server->xdp, 0, 0)->rx, now_ns);
		serve_from(server, server->rx, now_ns);
		quic_engine_expire(server->engine, now_ns);
		quic_engine_flush(server->engine, now_ns);
		(void)packet_tx_flush(server->tx);
		/* Timers are checked in between: the loop of a test need not be fast. */
		(void)poll(fds, 3, 5);
		if (!(fds[2].revents & (POLLIN | POLLHUP)))
			continue;
		len = output_read(server, fds[2].fd);
	}
	return len == 0;
}

/* False when it hangs. What it prints is in server->output. */
static bool run_client(struct server *server, const char *command)
{
	char line[512];
	FILE *client;
	bool is_over;

	snprintf(line, sizeof(line), "exec ip netns exec %s " CLIENT_S "%s 2>&1", netns, command);
	client = popen(line, "r");
	if (!client)
		return false;
	is_over = serve(server, client);
	(void)pclose(client);
	return is_over;
}

/* What is left of a run when everything is taken down again. */
struct outcome {
	bool is_over, is_shaken;
	struct weft_counter counters[WEFT_REASON_CNT];
	struct quic_stats stats;
};

/* Runs command beyond the wire; is_shaken when it prints wanted. */
static struct outcome meet(enum weft_mode mode, const char *command, const char *wanted)
{
	struct outcome outcome = {0};
	struct server server;

	server_open(&server, mode);
	outcome.is_over = run_client(&server, command);
	outcome.is_shaken = strstr(server.output, wanted) != NULL;
	net_xdp_counters(server.xdp, outcome.counters);
	quic_engine_stats(server.engine, &outcome.stats);
	server_close(&server);
	if (outcome.is_over && outcome.is_shaken)
		return outcome;
	for (unsigned reason = 0; reason < WEFT_REASON_CNT; reason++)
		if (outcome.counters[reason].packet_cnt)
			printf("# %s %llu\n", weft_reason_word(reason),
			       (unsigned long long)outcome.counters[reason].packet_cnt);
	for (char *line = strtok(server.output, "\n"); line; line = strtok(NULL, "\n"))
		printf("# client: %s\n", line);
	return outcome;
}

#define COUNT(outcome, reason) ((outcome).counters[WEFT_REASON_##reason].packet_cnt)

#define S_CLIENT                                                                                   \
	"sh -c 'openssl s_client -quic -connect " ADDR ":" PORT                                    \
	" -alpn mesh/1 -servername mesh.invalid </dev/null'"

static void test_openssl_takes_the_programs_retry(void)
{
	struct outcome outcome = meet(WEFT_MODE_PRESSURED, S_CLIENT, "BEGIN CERTIFICATE");

	CHECK(outcome.is_over && outcome.is_shaken);
	/*
	 * The program asked, for each datagram of the first flight, and the
	 * engine took its token. The client repeats that in each Initial, also
	 * under the engine's own id.
	 */
	CHECK(COUNT(outcome, RETRY_SENT) >= 1);
	CHECK(COUNT(outcome, RETRIED) >= 1);
	CHECK(COUNT(outcome, SESSION) >= 1);
	CHECK_EQ(COUNT(outcome, BAD_TOKEN), 0);
	CHECK_EQ(outcome.stats.retry_sent_cnt, 0);
	CHECK_EQ(outcome.stats.accepted_cnt, 1);
	CHECK_EQ(outcome.stats.bad_token_cnt, 0);
}

static void test_aioquic_is_led_to_version_1(void)
{
	char command[384];
	struct outcome outcome;

	snprintf(command, sizeof(command), "python3 %s " ADDR " " PORT, python);
	outcome = meet(WEFT_MODE_NORMAL, command, "version 1\n");
	CHECK(outcome.is_over && outcome.is_shaken);
	CHECK_EQ(COUNT(outcome, VERSION_SENT), 1);
	CHECK(COUNT(outcome, INITIAL) >= 1);
	CHECK_EQ(outcome.stats.version_sent_cnt, 0);
	CHECK_EQ(outcome.stats.accepted_cnt, 1);
}

int main(void)
{
	if (geteuid() != 0)
		SKIP_ALL("machine: network namespaces and BPF programs take root");
	if (!getcwd(python, sizeof(python) - 64) || unshare(CLONE_NEWNET) < 0)
		SKIP_ALL("machine: no network namespace can be made here");
	strcat(python, "/tests/system/support/version_client.py");
	signal(SIGPIPE, SIG_IGN);
	RUN(test_openssl_takes_the_programs_retry);
	RUN(test_aioquic_is_led_to_version_1);
	return check_done();
}
