/* SPDX-License-Identifier: Apache-2.0 */
/* One table of operations over two carriers, and how the second is opened. Each worker's own. */
#include "carriers.h"

#include <stdio.h>

#include "base/random.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "quic/quic.h"
#include "tcp/tcp.h"
#include "tcp/tcp_sockets.h"
#include "tcp_legs.h"
#include "worker.h"

static int op_dial(struct transport *transport, const struct transport_dial *dial, uint64_t now_ns,
		   struct transport_conn **out_conn)
{
	const struct carriers *carriers = (const struct carriers *)transport;
	struct transport *carrier = carriers->quic;

	if (addr_is_line(&dial->remote))
		carrier = carriers->line;
	else if (dial->remote.transport == ADDR_TCP)
		carrier = carriers->tcp;
	if (dial->remote.transport == ADDR_TCP && carriers->is_held)
		return WEFT_EUNREACHABLE;
	return carrier ? carrier->ops->dial(carrier, dial, now_ns, out_conn) : WEFT_EREFUSED;
}

static void op_close(struct transport_conn *conn, uint64_t code, const char *reason)
{
	conn->ops->close(conn, code, reason);
}

static int op_open(struct transport_conn *conn, void *user, struct transport_stream **out_stream)
{
	return conn->ops->open(conn, user, out_stream);
}

static int op_send(struct transport_stream *stream, const struct transport_span *span)
{
	return stream->ops->send(stream, span);
}

static int op_send_copy(struct transport_stream *stream, const void *data, size_t len)
{
	return stream->ops->send_copy(stream, data, len);
}

static void op_finish(struct transport_stream *stream)
{
	stream->ops->finish(stream);
}

static void op_reset(struct transport_stream *stream, uint64_t code)
{
	stream->ops->reset(stream, code);
}

static void op_consume(struct transport_stream *stream, size_t len)
{
	stream->ops->consume(stream, len);
}

static uint64_t op_acked(const struct transport_stream *stream)
{
	return stream->ops->acked(stream);
}

static void op_info(const struct transport_conn *conn, struct transport_conn_info *out_info)
{
	conn->ops->info(conn, out_info);
}

static int op_exporter(struct transport_conn *conn, const char *label, uint8_t *out, size_t len)
{
	return conn->ops->exporter(conn, label, out, len);
}

static void op_probe(struct transport_conn *conn)
{
	conn->ops->probe(conn);
}

static const struct transport_ops carriers_ops = {
	.dial = op_dial,
	.close = op_close,
	.open = op_open,
	.send = op_send,
	.send_copy = op_send_copy,
	.finish = op_finish,
	.reset = op_reset,
	.consume = op_consume,
	.acked = op_acked,
	.info = op_info,
	.exporter = op_exporter,
	.probe = op_probe,
};

struct transport *worker_carriers_init(struct worker *worker, const struct tcp_config *config)
{
	struct carriers *carriers = &worker->carriers;
	struct transport *tcp = worker->tcp ? tcp_engine_transport(worker->tcp) : NULL;

	*carriers = (struct carriers){
		.transport = {&carriers_ops},
		.quic = quic_engine_transport(worker->quic),
		.tcp = config->is_on ? tcp : NULL,
		.line = config->line_cnt ? tcp : NULL,
	};
	return &carriers->transport;
}

/* Home knows the peers that it follows and that were useful; a worker knows those that it met itself. */
enum fair_class worker_carriers_key_class(void *ctx, const uint8_t *key)
{
	struct worker *worker = ctx;

	return mesh_peer_class(worker->mesh, key);
}

int worker_carriers_open_tcp(struct worker *worker, const struct worker_params *params, char *what)
{
	struct tcp_engine_params tcp = {
		.config = *params->config->tcp,
		.key = params->key,
		.events = &mesh_transport_events,
		.ctx = worker->mesh,
		.random = params->random,
		.refuses = worker->ingress ? firewall_ingress_refuses_addr : NULL,
		.is_limited = worker->ingress ? firewall_ingress_limits : NULL,
		.refuses_ctx = worker->ingress,
		.key_class = worker_carriers_key_class,
		.class_ctx = worker,
		.pass = params->config->passes_http ? params->on_passed : NULL,
		.pass_ctx = params->ctx,
		.on_dgram = worker_leg_input,
		.dgram_ctx = worker,
		.load = &worker->load,
		.now_ns = params->now_ns,
	};

	snprintf(what, WORKER_WHAT_CAP, "TCP engine");
	tcp.config.site = params->config->mesh->site;
	return tcp_engine_new(&tcp, &worker->tcp);
}

/*
 * Where QUIC listens, TCP does. A port that another program has costs the node no more than TCP there.
 * A relay has home listen alone: it asks its ends by their sessions, and no peer behind a NAT is
 * dialled by TCP.
 */
int worker_carriers_listen(struct worker *worker, const struct worker_params *params, char *what)
{
	bool listens = worker->idx == 0 || !params->config->relay;
	struct addr listen[TCP_LISTEN_MAX];
	struct tcp_sockets_params sockets = {
		.engine = worker->tcp,
		.poller = worker->poller,
		.timers = &worker->timers,
		.listen = listen,
		.link_cap = tcp_config_link_cap(params->config->tcp),
		.is_shared = params->config->worker_cnt > 1,
		.proxy = params->config->tcp->proxy,
		.proxy_user = params->config->proxy_user,
	};

	if (!worker->tcp || !params->config->tcp->is_on)
		return 0;
	snprintf(what, WORKER_WHAT_CAP, "sockets of TCP");
	for (unsigned i = 0; i < worker->bound_cnt && i < TCP_LISTEN_MAX && listens; i++)
		listen[sockets.listen_cnt++] =
			tcp_config_addr(params->config->tcp, &worker->bound[i]);
	return tcp_sockets_open(&sockets, &worker->sockets);
}
