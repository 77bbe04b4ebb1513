/* SPDX-License-Identifier: Apache-2.0 */
/* The rights of clients: the defaults, and the places of connections and WebSockets. */
#include "gateway/gateway_places.h"

#include <string.h>
#include <unistd.h>

#include "base/fair/load.h"
#include "gateway/local_user.h"
#include "gateway/rate.h"

#define OWN_PLACES 4 /* of root and the daemon's own user */

void gateway_config_defaults(struct gateway_config *config)
{
	*config = (struct gateway_config){
		.listen = {.family = ADDR_IPV4, .ip = {127, 0, 0, 1}, .port = 5030},
		.conn_cap = 256,
		.conn_addr_max = 64,
		.socket_cap = 32,
		.request_rate_per_s = 2,
		.request_burst = 10,
		.busy_rate_per_min = 60,
		.busy_burst = 60,
		.file_rate_per_s = 50,
		.file_burst = 1000,
		.memory_cap =
			64 * 1024 * 1024, /* twice what one stream may grant (quic.window_max) */
	};
}

static struct fair_config conns_config(const struct gateway_config *config)
{
	return (struct fair_config){
		.name = "gateway.connections",
		.kind = FAIR_WORK,
		.cap_cnt = config->conn_cap,
		.level_cnt = FAIR_PEER_LEVELS,
	};
}

static struct fair_config sockets_config(const struct gateway_config *config)
{
	return (struct fair_config){
		.name = "gateway.sockets",
		.kind = FAIR_LASTING,
		.cap_cnt = config->socket_cap,
		.level_cnt = FAIR_PEER_LEVELS,
	};
}

int gateway_places_init(struct gateway_places *places, struct arena *arena,
			const struct gateway_config *config)
{
	const struct fair_config conns = conns_config(config), sockets = sockets_config(config);
	uint32_t half_cnt = conns.cap_cnt / 2;
	int err = fair_places_init(&places->conns, arena, &conns);

	if (err == 0)
		err = fair_reserve(&places->conns.fair, FAIR_CHOSEN,
				   half_cnt < OWN_PLACES ? half_cnt : OWN_PLACES);
	places->sockets.fair.config = sockets;
	return err < 0 || !sockets.cap_cnt ? err
					   : fair_places_init(&places->sockets, arena, &sockets);
}

/* A user gets a /64 of the discard prefix (RFC 6666) by its number, which no client's address is in. */
struct gateway_client gateway_places_client(const struct gateway_places *places, int fd,
					    const struct addr *remote)
{
	const struct fair_paths *paths = &places->conns.paths;
	struct gateway_client client = {.remote = *remote};
	bool is_own;

	client.is_user = gateway_local_user_of(places->diag_fd, fd, remote, &client.uid);
	if (!client.is_user) {
		client.prefix = gateway_rate_prefix(remote);
		fair_path_of_addr(paths, remote, FAIR_UNKNOWN, &client.path);
		return client;
	}
	client.prefix = (struct addr){.family = ADDR_IPV6, .ip = {1}};
	memcpy(client.prefix.ip + 4, &client.uid, sizeof(client.uid));
	is_own = client.uid == 0 || client.uid == geteuid();
	fair_path_start(is_own ? FAIR_CHOSEN : FAIR_UNKNOWN, &client.path);
	fair_path_add(paths, &client.path, &client.uid, sizeof(client.uid));
	return client;
}

bool gateway_places_take(struct gateway_places *places, const struct gateway_place *wanted,
			 struct fair_item **out_victim)
{
	struct fair_path path = wanted->client->path;
	struct fair *fair = wanted->site ? &places->sockets.fair : &places->conns.fair;
	enum fair_verdict verdict = FAIR_BUSY;

	if (wanted->site) {
		/* Each has the token or a pass, so there is one class. */
		path.class = FAIR_UNKNOWN;
		fair_path_add(&places->sockets.paths, &path, wanted->site, strlen(wanted->site));
	}
	*out_victim = NULL;
	if (fair->config.cap_cnt)
		verdict = fair_take(fair, &path, wanted->item, wanted->now_ns, out_victim);
	if (verdict != FAIR_TAKEN_FROM)
		*out_victim = NULL;
	return verdict != FAIR_BUSY;
}

void gateway_places_refuse(const struct gateway_places *places, const struct gateway_client *client,
			   const char *pool, uint64_t now_ns)
{
	/* The address of a local user is this machine's: the user is named. */
	const struct load_who who = {.addr = client->is_user ? NULL : &client->remote,
				     .uid = client->is_user ? client->uid : 0};

	load_refuse(places->load, &who, pool, 0, now_ns);
}
