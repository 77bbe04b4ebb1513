/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The far side of weft forward. gateway_stream (judges, dials) -> tunnel_ready (connected) ->
 * service/sockets/channel_socket.c, until either side ends, or tunnel_guard does. Home worker.
 */
#include "builtin/tunnels/private_gateway.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/memory/heap.h"
#include "base/monotonic.h"

#define SERVICE_NAME "private-gateway"
#define METHOD	     "OpenTunnel"
#define MINUTE_NS    (60 * NS_PER_S)

struct tunnel {
	struct channel_socket socket; /* first */
	struct private_gateway *gateway;
	struct poller_watch watch; /* while it is dialled */
	struct provider_timer guard;
	bool is_dialling;
	uint64_t began_ns;
	uint8_t key[MESH_KEY_LEN];
};

static void dial_stop(struct tunnel *tunnel)
{
	if (tunnel->is_dialling)
		poller_remove(tunnel->socket.poller, &tunnel->watch);
	tunnel->is_dialling = false;
}

static void tunnel_release(struct tunnel *tunnel)
{
	if (tunnel->is_dialling) {
		dial_stop(tunnel);
		close(tunnel->watch.fd);
	}
	provider_timer_release(&tunnel->guard);
	provider_socket_release(tunnel->gateway->tenant, &tunnel->socket);
	pool_release(&tunnel->gateway->tunnels, tunnel);
}

static void tunnel_end(struct tunnel *tunnel, enum service_status status, const char *text)
{
	service_channel_socket_end(&tunnel->socket, status, text);
	tunnel_release(tunnel);
}

static void tunnel_over(struct channel_socket *socket, const struct service_answer *answer,
			uint64_t now_ns)
{
	(void)answer, (void)now_ns;
	tunnel_release(container_of(socket, struct tunnel, socket));
}

static const struct channel_socket_owner tunnel_owner = {.over = tunnel_over};

/* guard_set sets the timer for the next end that may be due. */
static void guard_set(struct tunnel *tunnel)
{
	const struct builtin_forward_config *config = &tunnel->gateway->config;
	uint64_t at_ns = tunnel->began_ns + config->life_ns;
	uint64_t idle_at_ns = tunnel->socket.moved_ns + config->idle_ns;

	if (tunnel->is_dialling)
		idle_at_ns = tunnel->began_ns + config->dial_ns;
	provider_timer_set(&tunnel->guard, at_ns < idle_at_ns ? at_ns : idle_at_ns);
}

static void tunnel_guard(struct timer *timer, uint64_t now_ns)
{
	struct tunnel *tunnel = container_of(timer, struct tunnel, guard.base);
	const struct builtin_forward_config *config = &tunnel->gateway->config;

	if (now_ns - tunnel->began_ns >= config->life_ns)
		tunnel_end(tunnel, SERVICE_TIMEOUT, "the tunnel was open for as long as it may be");
	else if (tunnel->is_dialling && now_ns - tunnel->began_ns >= config->dial_ns)
		tunnel_end(tunnel, SERVICE_TIMEOUT, "the server does not answer");
	else if (!tunnel->is_dialling && now_ns - tunnel->socket.moved_ns >= config->idle_ns)
		tunnel_end(tunnel, SERVICE_TIMEOUT,
			   "no byte moved for as long as a tunnel may idle");
	else
		guard_set(tunnel);
}

/* --- dialling --- */

static const char *dial_text(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "nothing listens at the server's port";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "there is no route to the server";
	default:
		return "the server cannot be reached";
	}
}

/* tunnel_connected says so to the peer, and lets bytes pass. */
static void tunnel_connected(struct tunnel *tunnel, uint64_t now_ns)
{
	const struct service_piece mark = {.is_last = true};

	dial_stop(tunnel);
	service_channel_socket_start(&tunnel->socket, tunnel->watch.fd, now_ns);
	if (service_channel_send(tunnel->socket.channel, &mark, NULL, NULL) < 0)
		tunnel_end(tunnel, SERVICE_UNAVAILABLE, "the stream has no room for its beginning");
	else
		guard_set(tunnel);
}

static void tunnel_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct tunnel *tunnel = container_of(watch, struct tunnel, watch);
	int err = 0;
	socklen_t len = sizeof(err);

	(void)events;
	if (getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err)
		tunnel_end(tunnel, SERVICE_UNAVAILABLE, dial_text(err));
	else
		tunnel_connected(tunnel, now_ns);
}

/* dial: a descriptor that connects, or -errno. */
static int dial(const struct addr *target)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(target, &sa);
	int one = 1, err;
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* --- judging --- */

static bool member_is(const struct private_gateway *gateway, const struct forward_member *member,
		      const uint8_t *key)
{
	if (!member->is_community)
		return memcmp(member->id, key, MESH_KEY_LEN) == 0;
	return gateway->is_member && gateway->is_member(gateway->ctx, member->id, key);
}

static bool is_allowed(const struct private_gateway *gateway, const uint8_t *key,
		       const struct addr *target)
{
	for (unsigned i = 0; i < gateway->allow.member_cnt; i++) {
		const struct forward_member *member = &gateway->allow.members[i];

		for (unsigned t = 0; t < member->target_cnt; t++)
			if (addr_is_same_host(&member->targets[t], target) &&
			    member->targets[t].port == target->port &&
			    member_is(gateway, member, key))
				return true;
	}
	return false;
}

/* peers_count: other peers with tunnels, and tunnels of the peer of key. */
static unsigned peers_count(const struct private_gateway *gateway, const uint8_t *key,
			    unsigned *out_own_cnt)
{
	const uint8_t *others[TUNNEL_MAX];
	const struct tunnel *tunnel = NULL;
	unsigned other_cnt = 0;

	*out_own_cnt = 0;
	while ((tunnel = pool_next(&gateway->tunnels, tunnel))) {
		unsigned i = 0;

		if (memcmp(tunnel->key, key, MESH_KEY_LEN) == 0) {
			++*out_own_cnt;
			continue;
		}
		while (i < other_cnt && memcmp(others[i], tunnel->key, MESH_KEY_LEN) != 0)
			i++;
		if (i == other_cnt)
			others[other_cnt++] = tunnel->key;
	}
	return other_cnt;
}

/* bound_hit: the limit that one more tunnel of the peer would exceed, or NULL. */
static const char *bound_hit(const struct private_gateway *gateway, const uint8_t *key,
			     uint64_t now_ns)
{
	uint64_t oldest_ns = gateway->began_ns[gateway->began_idx];
	unsigned own_cnt, other_cnt = peers_count(gateway, key, &own_cnt);

	if (own_cnt >= TUNNEL_PER_PEER_MAX)
		return "this node has its 2 tunnels open there";
	if (other_cnt >= FORWARD_MEMBER_MAX)
		return "3 other members have tunnels open there";
	if (gateway->tunnels.used_cnt >= TUNNEL_MAX)
		return "all 5 tunnels are open there";
	if (oldest_ns && now_ns - oldest_ns < MINUTE_NS)
		return "5 tunnels were opened there within a minute: try again";
	return NULL;
}

static void tunnel_start(struct private_gateway *gateway, struct service_channel *channel,
			 const uint8_t *key, int fd, uint64_t now_ns)
{
	struct tunnel *tunnel = pool_acquire(&gateway->tunnels);
	int err;

	weft_assert(tunnel); /* bound_hit has counted */
	err = provider_timer_acquire(gateway->tenant, &tunnel->guard, tunnel_guard);
	weft_assert(err == 0); /* as many are declared as tunnels, and sockets likewise */
	err = provider_socket_acquire(gateway->tenant, &tunnel->socket);
	weft_assert(err == 0);
	service_channel_socket_init(&tunnel->socket);
	tunnel->socket.owner = &tunnel_owner;
	tunnel->socket.memory = gateway->memory;
	tunnel->socket.channel = channel;
	tunnel->gateway = gateway;
	tunnel->watch = (struct poller_watch){.ready = tunnel_ready, .fd = fd};
	tunnel->began_ns = now_ns;
	tunnel->is_dialling = true;
	memcpy(tunnel->key, key, MESH_KEY_LEN);
	gateway->began_ns[gateway->began_idx] = now_ns;
	gateway->began_idx = (gateway->began_idx + 1) % TUNNEL_PER_MIN;
	service_channel_accept(channel, &service_channel_socket_events, &tunnel->socket);
	if (poller_add(tunnel->socket.poller, &tunnel->watch, POLLER_OUT) == 0) {
		guard_set(tunnel);
		return;
	}
	tunnel->is_dialling = false;
	close(fd);
	tunnel_end(tunnel, SERVICE_UNAVAILABLE, "too many descriptors are watched there");
}

static bool target_read(const struct service_input *input, struct addr *out_target)
{
	char text[ADDR_TEXT_CAP];

	if (input->len >= sizeof(text))
		return false;
	memcpy(text, input->data, input->len);
	text[input->len] = '\0';
	return strlen(text) == input->len && addr_parse(text, out_target) == 0 &&
	       out_target->port != 0 && addr_is_unicast(out_target);
}

static void gateway_stream(void *ctx, struct service_channel *channel,
			   const struct service_input *input, uint64_t now_ns)
{
	struct private_gateway *gateway = ctx;
	const uint8_t *key = input->caller->key;
	enum service_status status = SERVICE_INVALID_PAYLOAD;
	const char *why = "the head is the ADDRESS:PORT of a server";
	struct addr target;
	int fd = -1;

	if (strcmp(input->method, METHOD) != 0) {
		status = SERVICE_METHOD_NOT_FOUND;
		why = "its streams are of method " METHOD;
	} else if (!target_read(input, &target)) {
		/* as above */
	} else if (!is_allowed(gateway, key, &target)) {
		status = SERVICE_FORBIDDEN;
		why = "forward.allow of that node does not list this server for this node";
	} else if ((why = bound_hit(gateway, key, now_ns))) {
		status = SERVICE_RATE_LIMITED;
	} else if ((fd = dial(&target)) < 0) {
		status = SERVICE_UNAVAILABLE;
		why = dial_text(-fd);
	} else {
		tunnel_start(gateway, channel, key, fd, now_ns);
		return;
	}
	gateway->refused_cnt++;
	service_channel_end(channel, status, why);
}

const struct service_handler builtin_gateway_handler = {.stream = gateway_stream};

/* --- life --- */

void builtin_gateway_declare(const struct builtin_config *config, struct provider_declaration *out)
{
	(void)config;
	out->service = SERVICE_NAME;
	out->timer_max = TUNNEL_MAX;
	out->socket_max = TUNNEL_MAX;
}

int builtin_gateway_init(struct private_gateway *gateway, struct arena *arena,
			 const struct builtin_params *params, struct provider_tenant *tenant)
{
	int err = builtin_forward_allow_parse(params->config.forward.allow, &gateway->allow);

	if (err < 0 || !gateway->allow.member_cnt)
		return err;
	gateway->config = params->config.forward;
	gateway->tenant = tenant;
	gateway->is_member = params->is_member;
	gateway->ctx = params->ctx;
	err = pool_init(&gateway->tunnels, arena, sizeof(struct tunnel), TUNNEL_MAX);
	return err < 0 ? err : heap_new(TUNNEL_MEMORY_LEN, &gateway->memory);
}

int builtin_gateway_offer(struct private_gateway *gateway, struct service *service, uint64_t now_ns)
{
	const struct service_offering offering = {
		.name = SERVICE_NAME,
		.version = "1.0.0",
		.handler = &builtin_gateway_handler,
		.ctx = gateway,
	};
	const char *why;

	/* A simulated node has no poller, and no servers. */
	if (!gateway->allow.member_cnt || !provider_sockets_are_there(gateway->tenant))
		return 0;
	return service_offer(service, &offering, now_ns, &gateway->offer, &why);
}

void builtin_gateway_fini(struct private_gateway *gateway, uint64_t now_ns)
{
	struct tunnel *tunnel = NULL;

	while (gateway->memory && (tunnel = pool_next(&gateway->tunnels, tunnel)))
		tunnel_end(tunnel, SERVICE_UNAVAILABLE, "the node stops");
	if (gateway->offer)
		service_withdraw(gateway->offer, now_ns);
	gateway->offer = NULL;
	heap_free(gateway->memory);
	gateway->memory = NULL;
}

void builtin_gateway_fills(const struct private_gateway *gateway, uint64_t now_ns,
			   struct builtin_tunnels *out)
{
	const struct tunnel *tunnel = NULL;
	unsigned own_cnt;

	*out = (struct builtin_tunnels){.tunnel_cap = TUNNEL_MAX,
					.of_peer_cap = TUNNEL_PER_PEER_MAX,
					.member_cap = FORWARD_MEMBER_MAX,
					.new_cap = TUNNEL_PER_MIN,
					.refused_cnt = gateway->refused_cnt};
	for (unsigned i = 0; i < TUNNEL_PER_MIN; i++)
		out->new_cnt += gateway->began_ns[i] && now_ns - gateway->began_ns[i] < MINUTE_NS;
	if (!gateway->memory)
		return;
	out->tunnel_cnt = gateway->tunnels.used_cnt;
	while ((tunnel = pool_next(&gateway->tunnels, tunnel))) {
		out->member_cnt = peers_count(gateway, tunnel->key, &own_cnt) + 1;
		if (own_cnt > out->of_peer_cnt)
			out->of_peer_cnt = own_cnt;
	}
}
