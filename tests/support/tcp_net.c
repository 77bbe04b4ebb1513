/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tcp_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "support/tcp_speaker.h"
#include "tcp/tcp_state.h"

struct piece {
	struct piece *next;
	uint64_t at_ns;
	size_t len; /* 0: the end */
	uint8_t data[];
};

/* One end. What it sends waits in its pieces for the other end. */
struct tcp_link {
	struct tcp_link *next;
	struct tcp_net *net;
	struct tcp_node *node; /* NULL: a raw client */
	struct tcp_conn *conn; /* NULL: closed here, or raw */
	struct tcp_link *other;
	struct addr addr;
	struct piece *first, **last;
	uint64_t in_flight_len, acked_len, heard_cnt;
	uint64_t connect_at_ns; /* of a dial under way */
	struct tcp_node *dialled;
	bool is_closed, is_shut, is_blocked, is_lost;
};

/* --- links --- */

static struct tcp_link *link_new(struct tcp_net *net, struct tcp_node *node)
{
	struct tcp_link *link = calloc(1, sizeof(*link));

	weft_assert(link);
	link->net = net;
	link->node = node;
	link->last = &link->first;
	link->next = net->links;
	net->links = link;
	return link;
}

static void link_push(struct tcp_link *link, const void *data, size_t len)
{
	struct piece *piece = malloc(sizeof(*piece) + len);

	weft_assert(piece);
	piece->next = NULL;
	piece->at_ns = link->net->now_ns + link->net->delay_ns;
	piece->len = len;
	if (len)
		memcpy(piece->data, data, len);
	*link->last = piece;
	link->last = &piece->next;
	link->in_flight_len += len;
}

static int on_link_dial(struct tcp_links *links, struct tcp_conn *conn, const struct addr *remote,
			struct tcp_link **out_link)
{
	struct tcp_node *node = container_of(links, struct tcp_node, links);
	struct tcp_net *net = node->net;
	struct tcp_link *link = link_new(net, node);

	link->conn = conn;
	link->addr = node->addr;
	link->addr.port = (uint16_t)(40000 + node->conn_cnt);
	link->connect_at_ns = net->now_ns + 2 * net->delay_ns;
	for (unsigned i = 0; i < net->node_cnt; i++)
		if (addr_equal(&net->nodes[i]->addr, remote))
			link->dialled = net->nodes[i];
	net->link_cnt++;
	*out_link = link;
	return 0;
}

static ssize_t on_link_write(struct tcp_link *link, const struct iovec *pieces, unsigned cnt)
{
	size_t room = link->net->buffer_len - link->in_flight_len, total = 0;

	weft_assert(!link->is_shut && !link->is_closed);
	if (link->is_lost)
		return -ECONNRESET;
	for (unsigned i = 0; i < cnt && room; i++) {
		const uint8_t *at = pieces[i].iov_base;
		size_t left = pieces[i].iov_len < room ? pieces[i].iov_len : room;

		room -= left;
		total += left;
		while (left) {
			size_t len = link->net->cut_len && link->net->cut_len < left
					     ? link->net->cut_len
					     : left;

			link_push(link, at, len);
			at += len;
			left -= len;
		}
	}
	link->is_blocked = !room;
	return (ssize_t)total;
}

static void on_link_shut(struct tcp_link *link)
{
	link->is_shut = true;
	link_push(link, NULL, 0);
}

static void on_link_close(struct tcp_link *link, bool is_abort)
{
	weft_assert(!link->is_closed);
	link->is_closed = true;
	link->conn = NULL;
	link->net->link_cnt--;
	if (is_abort && link->other)
		link->other->is_lost = true;
	else if (!link->is_shut)
		link_push(link, NULL, 0);
}

static void on_link_figures(struct tcp_link *link, struct tcp_figures *out_figures)
{
	*out_figures = (struct tcp_figures){
		.rtt_ns = 2 * link->net->delay_ns,
		.acked_len = link->acked_len,
		.heard_cnt = link->heard_cnt,
		.cwnd_len = link->net->buffer_len,
		.mss_len = 1448,
	};
}

static const struct tcp_links_ops link_ops = {
	.dial = on_link_dial,
	.write = on_link_write,
	.shut = on_link_shut,
	.close = on_link_close,
	.figures = on_link_figures,
};

static struct tcp_link *link_accept(struct tcp_node *to, struct tcp_link *from)
{
	struct tcp_link *link = link_new(to->net, to);

	link->addr = to->addr;
	link->other = from;
	from->other = link;
	link->conn = tcp_engine_accept(to->engine, link, &to->addr, &from->addr, to->net->now_ns);
	if (!link->conn) {
		link->is_closed = true;
		from->is_lost = true;
		return NULL;
	}
	to->net->link_cnt++;
	return link;
}

static void link_connect(struct tcp_link *link)
{
	struct tcp_node *to = link->dialled;

	link->connect_at_ns = 0;
	if (to && to->is_silent)
		return;
	if (!to || to->is_deaf || !link_accept(to, link))
		tcp_engine_lost(link->conn, -ECONNREFUSED, link->net->now_ns);
	else
		tcp_engine_connected(link->conn, &link->addr, link->net->now_ns);
}

/* The first piece of link reaches the other end. False: it has to wait. */
static bool link_deliver(struct tcp_link *link)
{
	struct piece *piece = link->first;
	struct tcp_link *other = link->other;

	if (other && other->conn && piece->len && !tcp_engine_wants(other->conn))
		return false;
	link->first = piece->next;
	if (!link->first)
		link->last = &link->first;
	link->in_flight_len -= piece->len;
	link->acked_len += piece->len;
	link->heard_cnt++;
	if (other) {
		other->heard_cnt++;
		if (other->conn)
			(void)tcp_engine_input(other->conn, piece->data, piece->len,
					       link->net->now_ns);
		else if (!piece->len)
			other->is_lost = true;
	}
	free(piece);
	if (link->is_blocked && link->conn) {
		link->is_blocked = false;
		tcp_engine_writable(link->conn);
	}
	return true;
}

static void link_turn(struct tcp_link *link)
{
	uint64_t now_ns = link->net->now_ns;

	if (link->net->is_cut)
		return;
	if (link->conn && link->connect_at_ns && now_ns >= link->connect_at_ns)
		link_connect(link);
	while (link->first && link->first->at_ns <= now_ns && link_deliver(link))
		;
	if (link->is_lost && link->conn)
		tcp_engine_lost(link->conn, -ECONNRESET, now_ns);
}

static void on_dgram(void *ctx, const uint8_t *key, const struct tcp_dgram *dgram, uint64_t now_ns)
{
	struct tcp_node *node = ctx;

	(void)now_ns;
	node->dgram_cnt++;
	node->dgram_len = dgram->len;
	node->dgram_ecn = dgram->ecn;
	memcpy(node->dgram_key, key, sizeof(node->dgram_key));
	memcpy(node->dgram, dgram->data, dgram->len);
	/* Receivers decrypt in place. */
	memset(dgram->data, 0, dgram->len);
}

/* --- nodes and time --- */

void tcp_net_init(struct tcp_net *net, uint64_t seed)
{
	memset(net, 0, sizeof(*net));
	net->now_ns = NS_PER_S;
	net->delay_ns = 5 * NS_PER_MS;
	net->buffer_len = 256 << 10;
	random_init_seeded(&net->random, seed);
	tcp_speaker_init();
}

static void node_free(struct tcp_node *node)
{
	tcp_engine_free(node->engine);
	node_key_free(node->key);
	for (unsigned i = 0; i < node->stream_cnt && i < TCP_NET_STREAMS; i++)
		weft_assert(node->streams[i].spans_out == 0);
	free(node);
}

void tcp_net_fini(struct tcp_net *net)
{
	struct tcp_link *link;
	struct piece *piece;

	for (unsigned i = 0; i < net->node_cnt; i++)
		node_free(net->nodes[i]);
	weft_assert(net->link_cnt == 0);
	while ((link = net->links)) {
		net->links = link->next;
		while ((piece = link->first)) {
			link->first = piece->next;
			free(piece);
		}
		free(link);
	}
}

void tcp_net_config(struct tcp_config *config)
{
	tcp_config_defaults(config);
	config->conn_cap = 32;
	config->conn_per_key_cap = 32;
	config->handshake_cap = 32;
	config->stream_cap = 512;
	config->heap_cap = 4 << 20;
	config->handshake_timeout_ns = 5 * NS_PER_S;
	config->idle_timeout_ns = 30 * NS_PER_S;
	config->keepalive_ns = 0;
}

struct tcp_node *tcp_net_add(struct tcp_net *net, unsigned seed, const struct tcp_config *config)
{
	struct tcp_node *node = calloc(1, sizeof(*node));
	struct tcp_engine_params params = {.events = &tcp_speaker,
					   .ctx = node,
					   .random = &net->random,
					   .on_dgram = on_dgram,
					   .dgram_ctx = node,
					   .now_ns = net->now_ns};
	uint8_t key_seed[32] = {(uint8_t)seed, (uint8_t)(seed >> 8), 1};

	weft_assert(node && net->node_cnt < TCP_NET_NODES);
	weft_assert(node_key_from_seed(key_seed, &node->key) == 0);
	tcp_net_config(&params.config);
	if (config)
		params.config = *config;
	params.key = node->key;
	weft_assert(tcp_engine_new(&params, &node->engine) == 0);
	node->net = net;
	node->links.ops = &link_ops;
	tcp_engine_set_links(node->engine, &node->links);
	node->transport = tcp_engine_transport(node->engine);
	node->is_consuming = true;
	node->addr = (struct addr){.ip = {10, 0, 0, (uint8_t)(net->node_cnt + 1)},
				   .port = 7001,
				   .family = ADDR_IPV4,
				   .transport = ADDR_TCP};
	net->nodes[net->node_cnt++] = node;
	return node;
}

const uint8_t *tcp_node_key(const struct tcp_node *node)
{
	return node_key_public(node->key);
}

static void net_turn(struct tcp_net *net)
{
	for (struct tcp_link *link = net->links; link; link = link->next)
		link_turn(link);
	for (unsigned i = 0; i < net->node_cnt; i++) {
		tcp_engine_expire(net->nodes[i]->engine, net->now_ns);
		tcp_engine_flush(net->nodes[i]->engine, net->now_ns);
	}
}

static uint64_t net_next_ns(const struct tcp_net *net)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned i = 0; i < net->node_cnt; i++) {
		uint64_t at_ns = tcp_engine_next_ns(net->nodes[i]->engine);

		next_ns = at_ns < next_ns ? at_ns : next_ns;
	}
	for (const struct tcp_link *link = net->links; link && !net->is_cut; link = link->next) {
		if (link->first && link->first->at_ns < next_ns)
			next_ns = link->first->at_ns;
		if (link->conn && link->connect_at_ns && link->connect_at_ns < next_ns)
			next_ns = link->connect_at_ns;
		if (link->conn && link->is_lost)
			next_ns = net->now_ns;
	}
	return next_ns;
}

bool tcp_net_run(struct tcp_net *net, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = net->now_ns + for_ns, next_ns;

	for (;;) {
		net_turn(net);
		if (done && done(arg))
			return true;
		next_ns = net_next_ns(net);
		if (next_ns > end_ns)
			break;
		if (next_ns > net->now_ns)
			net->now_ns = next_ns;
	}
	net->now_ns = end_ns;
	net_turn(net);
	return done && done(arg);
}

struct tcp_test_conn *tcp_net_dial(struct tcp_node *from, struct tcp_node *to, const uint8_t *key)
{
	struct tcp_test_conn *record = tcp_speaker_conn(from, NULL);
	struct transport_dial dial = {.remote = to->addr, .user = record};

	memcpy(dial.peer_key, key ? key : tcp_node_key(to), TRANSPORT_KEY_LEN);
	if (from->transport->ops->dial(from->transport, &dial, from->net->now_ns, &record->conn) <
	    0) {
		record->conn = NULL;
		record->is_closed = true;
	}
	return record;
}

static bool is_settled(void *arg)
{
	struct tcp_test_conn *record = arg;

	return record->is_ready || record->is_closed;
}

struct tcp_test_conn *tcp_net_connect(struct tcp_node *from, struct tcp_node *to)
{
	struct tcp_test_conn *record = tcp_net_dial(from, to, NULL);

	(void)tcp_net_run(from->net, 10 * NS_PER_S, is_settled, record);
	/* The other side is ready half a round trip later. */
	(void)tcp_net_run(from->net, 2 * from->net->delay_ns, NULL, NULL);
	return record->is_ready ? record : NULL;
}

void tcp_net_inject(struct tcp_test_conn *record, const void *data, size_t len)
{
	struct tcp_conn *conn = tcp_conn_of(record->conn);
	size_t written_len;

	if (len)
		weft_assert(SSL_write_ex(conn->ssl, data, len, &written_len) == 1);
	tcp_conn_want_write(conn);
}

/* --- clients without an engine --- */

struct tcp_link *tcp_raw_connect(struct tcp_node *to, const struct addr *from)
{
	struct tcp_link *link = link_new(to->net, NULL);

	link->addr = *from;
	return link_accept(to, link) ? link : NULL;
}

void tcp_raw_say(struct tcp_link *link, const void *data, size_t len)
{
	link_push(link, data, len);
}

bool tcp_raw_is_open(const struct tcp_link *link)
{
	return !link->is_lost && link->other && link->other->conn;
}
