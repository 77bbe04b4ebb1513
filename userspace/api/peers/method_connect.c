/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ConnectPeer: the error says as exactly as is known why it failed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "api/methods.h"

#define CONNECT_TIMEOUT_MS 10000

struct connecting {
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	uint8_t key[MESH_KEY_LEN];
	char name[ZBASE32_KEY_TEXT_CAP];
	struct addr addrs[MESH_PEER_ADDRS_MAX]; /* given; none: those known to mesh/ */
	unsigned addr_cnt;
	uint64_t started_ns;
};

static void connecting_caller_left(void *arg)
{
	((struct connecting *)arg)->call = NULL;
}

/* route_check asks the kernel for a way to addr; nothing is sent. 0 or -errno. */
static int route_check(const struct addr *addr)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(addr, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd < 0 || connect(fd, (const struct sockaddr *)&to, len) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

static bool has_known_address(const struct connecting *connecting)
{
	struct mesh_peer_info peer;

	return connecting->addr_cnt ||
	       (api_peer_lookup(connecting->api, connecting->name, &peer) == 1 &&
		peer.last_addr.family != ADDR_NONE);
}

/* The policy leaves no address to dial: the first of them, or NULL. */
static const struct addr *excluded_addr(const struct connecting *connecting,
					struct mesh_peer_info *peer)
{
	const struct mesh_ways *ways = config_live(connecting->api->config)->mesh.ways;

	for (unsigned i = 0; i < connecting->addr_cnt; i++)
		if (mesh_ways_rank(ways, &connecting->addrs[i]))
			return NULL;
	if (connecting->addr_cnt)
		return &connecting->addrs[0];
	if (api_peer_lookup(connecting->api, connecting->name, peer) != 1 ||
	    peer->last_addr.family == ADDR_NONE || mesh_ways_rank(ways, &peer->last_addr))
		return NULL;
	return &peer->last_addr;
}

static void connecting_fail_excluded(const struct connecting *connecting, const struct addr *addr)
{
	const char *network = mesh_network_name(mesh_network_of(addr));
	char why[128], next[96];

	snprintf(why, sizeof(why), "transport.%s does not name %s, so its address is not dialled",
		 network, mesh_way_name(mesh_way_of(addr)));
	snprintf(next, sizeof(next), "give another address, or set transport.%s in weft.conf(5)",
		 network);
	control_fail(connecting->call, WEFT_EREFUSED, connecting->name, why, next);
}

static bool has_no_relay(const struct connecting *connecting)
{
	struct mesh_peer_info peer = {0};

	if (api_peer_lookup(connecting->api, connecting->name, &peer) != 1)
		memcpy(peer.key, connecting->key, sizeof(peer.key));
	return api_no_relay(connecting->api, &peer) != NULL;
}

static void connecting_fail_silent(const struct connecting *connecting)
{
	const struct api *api = connecting->api;
	char why[192], addr[ADDR_TEXT_CAP] = "the addresses it was known by", more[32] = "";
	const struct addr *excluded;
	struct api_proxy_problem problem;
	struct mesh_peer_info peer;
	unsigned blocked_cnt = 0;
	int err = 0;

	if (has_no_relay(connecting)) {
		control_fail(connecting->call, WEFT_EUNREACHABLE, connecting->name,
			     "no address of it answers, and relay.unknown leaves no relay",
			     "weft why NODE says what helps");
		return;
	}
	if (!has_known_address(connecting)) {
		control_fail(connecting->call, WEFT_EUNREACHABLE, connecting->name,
			     "no address of it is known, and none was found",
			     "weft check NODE says which nodes were asked; or weft peer connect "
			     "NODE ADDRESS:PORT");
		return;
	}
	if ((excluded = excluded_addr(connecting, &peer))) {
		connecting_fail_excluded(connecting, excluded);
		return;
	}
	if (api_proxy_failed(api, connecting->started_ns, &problem)) {
		control_fail(connecting->call, WEFT_EUNREACHABLE, connecting->name, problem.why,
			     problem.next);
		return;
	}
	for (unsigned i = 0; i < connecting->addr_cnt; i++) {
		int route = route_check(&connecting->addrs[i]);

		blocked_cnt += route < 0;
		err = route < 0 ? route : err;
	}
	if (connecting->addr_cnt)
		addr_format(&connecting->addrs[0], addr);
	if (connecting->addr_cnt > 1)
		snprintf(more, sizeof(more), " and %u more", connecting->addr_cnt - 1);
	if (blocked_cnt && blocked_cnt == connecting->addr_cnt) {
		snprintf(why, sizeof(why), "no way from this machine to %s%s: %s", addr, more,
			 weft_err_text(err));
		control_fail(connecting->call, WEFT_EUNREACHABLE, connecting->name, why,
			     "check this machine's network: ip route get ADDRESS");
		return;
	}
	snprintf(why, sizeof(why), "no answer from %s%s within %.1f s", addr, more,
		 (double)(api->home->now_ns - connecting->started_ns) / NS_PER_S);
	control_fail(connecting->call, WEFT_EUNREACHABLE, connecting->name, why,
		     "check that weftd runs there on that port (weft status), and that no "
		     "firewall drops UDP");
}

static void connecting_fail_wrong_key(const struct connecting *connecting,
				      const uint8_t *actual_key)
{
	struct varlink_blocks *blocks = control_blocks(connecting->call);
	const char *id = api_id(blocks, actual_key);

	control_fail_with(
		connecting->call, WEFT_EWRONGKEY,
		&(struct api_failure){
			.what = connecting->name,
			.why = varlink_format(blocks, "another node answers there: %s",
					      id ? id : ""),
			.next = "check the address; or the node has a new key: ask for its id "
				"again",
			.wanted_key = api_id(blocks, connecting->key),
			.actual_key = id});
}

static uint64_t deferred_until(const struct connecting *connecting)
{
	return mesh_deferred_until(connecting->api->home->mesh, connecting->key);
}

static void connecting_fail_deferred(const struct connecting *connecting)
{
	uint64_t left_ns = deferred_until(connecting) - connecting->api->home->now_ns;
	unsigned long long left_s = left_ns / NS_PER_S + 1;
	char why[96], next[64];

	snprintf(why, sizeof(why), "it was busy or left, and wants no session for another %llu s",
		 left_s);
	snprintf(next, sizeof(next), "connect again in %llu s", left_s);
	control_fail(connecting->call, WEFT_EREFUSED, connecting->name, why, next);
}

static void connecting_fail(const struct connecting *connecting, int err, const uint8_t *actual_key)
{
	if (err == WEFT_EWRONGKEY && actual_key)
		connecting_fail_wrong_key(connecting, actual_key);
	else if (err == WEFT_EUNREACHABLE || err == WEFT_ETIMEOUT)
		connecting_fail_silent(connecting);
	else if (err == WEFT_EREFUSED && deferred_until(connecting))
		connecting_fail_deferred(connecting);
	else if (err == WEFT_EREFUSED)
		control_fail(connecting->call, err, connecting->name,
			     "it answered and refused the session: it is full, or speaks no "
			     "protocol or key of this kind",
			     "look at weft limits show and weft --version there");
	else if (err == WEFT_EFULL)
		control_fail(connecting->call, err, connecting->name,
			     "this node has no room for another connection",
			     "weft limits show tells which limit; raise it in weft.conf(5)");
	else
		control_fail(connecting->call, err, connecting->name, weft_err_text(err),
			     "try again; the daemon's log may tell more");
}

static void connecting_done(void *arg, int err, const uint8_t *actual_key)
{
	struct connecting *connecting = arg;
	struct mesh_peer_info peer = {0};

	if (connecting->call && err < 0) {
		connecting_fail(connecting, err, actual_key);
	} else if (connecting->call) {
		(void)api_peer_lookup(connecting->api, connecting->name, &peer);
		api_reply(connecting->call, connect_peer,
			  .peer = api_peer(connecting->call, connecting->api, &peer));
	}
	free(connecting);
}

bool api_addrs_read(struct control_call *call, const char *name,
		    const struct api_string_list *given,
		    struct addr out_addrs[static MESH_PEER_ADDRS_MAX], unsigned *out_cnt)
{
	if (given->cnt > MESH_PEER_ADDRS_MAX) {
		control_fail(call, WEFT_ETOOLARGE, name, "more than 8 addresses",
			     "give those that are likely to answer");
		return false;
	}
	for (size_t i = 0; i < given->cnt; i++) {
		const char *text = given->rows[i];

		if (addr_parse(text, &out_addrs[i]) < 0 || !out_addrs[i].port) {
			control_fail(call, WEFT_EMALFORMED, text, "not an address with a port",
				     "write it like 192.0.2.1:7000 or [2001:db8::1]:7000");
			return false;
		}
	}
	*out_cnt = (unsigned)given->cnt;
	return true;
}

/* connecting_is_banned: call was failed. */
static bool connecting_is_banned(const struct connecting *connecting, struct control_call *call)
{
	struct ban_target target = {.kind = BAN_KEY};
	const struct ban *ban;
	char why[2 * BAN_REASON_CAP];

	memcpy(target.key, connecting->key, sizeof(target.key));
	ban = firewall_ban_list_lookup(connecting->api->bans->list, &target);
	if (!ban)
		return false;
	snprintf(why, sizeof(why), "this node has banned it%s%s", ban->reason[0] ? ": " : "",
		 ban->reason);
	control_fail(call, WEFT_EREFUSED, connecting->name, why,
		     "weft ban remove NODE lets it in again");
	return true;
}

void api_connect_peer(struct api *api, struct control_call *call,
		      const struct api_connect_peer_in *in, uint64_t now_ns)
{
	const char *name = in->node_id;
	int64_t timeout_ms = in->timeout_ms;
	struct connecting *connecting = calloc(1, sizeof(*connecting));
	struct mesh_peer peer;
	int err = WEFT_EFULL;

	if (!connecting) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		return;
	}
	connecting->api = api;
	connecting->call = call;
	connecting->started_ns = now_ns;
	if (!api_node_id_read(api, call, name, connecting->key))
		goto free_connecting;
	zbase32_write(connecting->key, sizeof(connecting->key), connecting->name);
	if (connecting_is_banned(connecting, call))
		goto free_connecting;
	if (!api_addrs_read(call, connecting->name, &in->addresses, connecting->addrs,
			    &connecting->addr_cnt))
		goto free_connecting;
	peer = (struct mesh_peer){
		.addrs = connecting->addrs, .addr_cnt = connecting->addr_cnt, .is_chosen = true};
	memcpy(peer.key, connecting->key, sizeof(peer.key));
	if (timeout_ms <= 0 || timeout_ms > INT32_MAX)
		timeout_ms = CONNECT_TIMEOUT_MS;
	control_on_gone(call, connecting_caller_left, connecting);
	err = mesh_connect(api->home->mesh,
			   &(struct mesh_connect){.peer = &peer,
						  .timeout_ns = (uint64_t)timeout_ms * NS_PER_MS,
						  .done = connecting_done,
						  .arg = connecting},
			   now_ns);
	if (err == 0)
		return;
	control_on_gone(call, NULL, NULL);
	/* Key and addresses were looked at: what mesh/ misses is an address. */
	if (err == WEFT_EMALFORMED)
		control_fail(call, WEFT_EUNREACHABLE, name, "no address of it is known",
			     "weft peer connect NODE ADDRESS:PORT");
	else
		connecting_fail(connecting, err, NULL);
free_connecting:
	free(connecting);
}
