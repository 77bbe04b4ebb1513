/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first lines of weft status: whether the node is well, what is wrong and what to do. Also
 * which nodes can reach it, and which of its parts are on.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/monotonic.h"
#include "base/process/sandbox.h"
#include "shares/follow/follow.h"
#include "dht/dht.h"
#include "locate/mainline.h"
#include "base/process/last_crash.h"
#include "api/daemon/clock_vote.h"
#include "api/figures.h"
#include "api/methods.h"
#include "api/http/web_routes.h"

#define PATH_CAP	256
#define DHT_PATIENCE_NS (60 * NS_PER_S) /* a first start may take so long to find nodes */
#define STORE_FULL	9		/* tenths */

/* Where what is wrong is noted. */
struct look {
	struct varlink_blocks *blocks;
	struct api_problem_list problems;
};

static void problem_add(struct look *look, const char *what, const char *next)
{
	varlink_push(look->blocks, &look->problems, {what, next});
}

/* --- the parts --- */

static bool listens_beyond_loopback(const struct api *api)
{
	for (unsigned i = 0; i < api->home->bound_cnt; i++) {
		if (!addr_is_loopback(&api->home->bound[i]))
			return true;
	}
	return false;
}

static bool is_seen(const struct api *api)
{
	struct addr external;

	return api->locate->dht && (dht_external(api->locate->dht, DHT_NET_IPV4, &external) ||
				    dht_external(api->locate->dht, DHT_NET_IPV6, &external));
}

/* Only a peer that has dialled this node, or has tested it, proves that a peer can. */
static const char *reachability(struct varlink_blocks *blocks, const struct api *api,
				const struct figures *figures)
{
	const struct reachability_view *view = reachability_show(api->reachability);

	if (view->kind != REACHABILITY_UNKNOWN)
		return varlink_format(blocks, "%s, shown by other nodes",
				      reachability_word(view->kind));
	if (figures->quic.accepted_cnt)
		return varlink_format(blocks, "dialled by others, %" PRIu64 " times",
				      figures->quic.accepted_cnt);
	if (!listens_beyond_loopback(api))
		return "from this machine alone: it listens on loopback";
	if (is_seen(api))
		return "no node has dialled it yet; the DHT sees its address";
	return "no node has dialled it yet";
}

/* Of the networks where this node is. */
static const char *mapping_life(struct varlink_blocks *blocks, const struct api *api,
				uint64_t now_ns)
{
	const char *text = NULL;
	struct reachability_life life;

	for (unsigned i = 0; reachability_life_at(api->reachability, i, now_ns, &life); i++) {
		const char *of = life.outside.family == ADDR_IPV6 ? "IPv6" : "IPv4";
		char kept[32];

		if (!life.is_present)
			continue;
		snprintf(kept, sizeof(kept), life.life_s ? "%u s" : "less than 5 s", life.life_s);
		text = varlink_format(blocks, "%s%s%s: %s, measured %" PRIu64 " min ago",
				      text ? text : "", text ? "; " : "", of, kept,
				      (uint64_t)(life.age_ns / (60 * NS_PER_S)));
	}
	return text ? text : "not measured, or there is no NAT";
}

static unsigned dht_good_cnt(const struct api *api, uint64_t now_ns)
{
	struct dht_stats stats;

	dht_stats(api->locate->dht, now_ns, &stats);
	return stats.nodes[DHT_NET_IPV4].good + stats.nodes[DHT_NET_IPV6].good;
}

static const char *dht_text(const struct api *api, uint64_t now_ns, struct look *look)
{
	unsigned good_cnt;

	if (!api->locate->dht)
		return "off";
	good_cnt = dht_good_cnt(api, now_ns);
	if (good_cnt)
		return varlink_format(look->blocks, "%u node%s answer%s", good_cnt,
				      good_cnt == 1 ? "" : "s", good_cnt == 1 ? "s" : "");
	if (!api->config->mainline.bootstrap[0])
		return "no node is asked: dht.bootstrap is empty";
	if (now_ns - api->started_ns > DHT_PATIENCE_NS)
		problem_add(look, "no node of the DHT answers",
			    "see that UDP goes out and comes back through firewalls, and that the "
			    "names in dht.bootstrap have addresses; weft dht status tells more");
	return "no node answers yet";
}

static const char *xdp_text(struct varlink_blocks *blocks, const struct api *api)
{
	const char *text = NULL;

	for (unsigned i = 0; api->fastpath->xdp && i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(api->fastpath->xdp, i);

		if (info)
			text = varlink_format(blocks, "%s%s%s %s", text ? text : "",
					      text ? ", " : "", info->name,
					      info->mode == XDP_NATIVE ? "native" : "generic");
	}
	return text ? text : "off";
}

/* --- what is wrong --- */

static void gets_look(const struct api *api, struct look *look)
{
	struct blobs_get_iter iter = {.content = api->home->content};
	const struct blobs_get *get;
	unsigned stopped_cnt = 0;

	while ((get = blobs_gets_next(&iter)))
		stopped_cnt += get->state == BLOBS_GET_STOPPED;
	if (stopped_cnt)
		problem_add(
			look,
			varlink_format(look->blocks, "%u get%s stopped", stopped_cnt,
				       stopped_cnt == 1 ? "" : "s"),
			"weft get list says why; then weft get resume ID or weft get cancel ID");
}

static void files_look(const struct api *api, struct look *look)
{
	char path[PATH_CAP];
	unsigned bad_cnt = blobs_bad_files(api->home->content, path, sizeof(path));

	if (bad_cnt)
		problem_add(look,
			    varlink_format(look->blocks, "%u file%s went bad on the disk: %s%s",
					   bad_cnt, bad_cnt == 1 ? "" : "s", path,
					   bad_cnt == 1 ? "" : " and others"),
			    "put back a copy and run weft store check --files, which names them "
			    "all, or share the folder anew. Files of a get are fetched again");
}

static void store_look(const struct api *api, const struct figures *figures, struct look *look)
{
	if (store_damage(api->store))
		problem_add(look,
			    varlink_format(look->blocks, "the store is damaged: %s",
					   store_damage(api->store)),
			    API_DAMAGE_NEXT);
	if (figures->store.map_used_len / STORE_FULL > figures->store.map_len_max / 10)
		problem_add(look, "the store is nearly full",
			    "weft gc run, or a larger store.map_max in weft.conf");
}

static void sandbox_look(struct look *look)
{
	struct sandbox_report report;

	sandbox_read_report(&report);
	if (report.refused_cnt)
		problem_add(look,
			    varlink_format(look->blocks,
					   "%" PRIu64 " system calls were refused to its threads",
					   report.refused_cnt),
			    "tell its makers: the log names the call; node.sandbox = no goes on "
			    "without");
}

static void crash_look(const struct api *api, struct look *look)
{
	char text[LAST_CRASH_TEXT_CAP];

	if (api->last_crash)
		problem_add(look,
			    varlink_text(look->blocks, last_crash_format(api->last_crash, text)),
			    "send crash.last of the state folder to its makers");
}

#define MINUTE_S 60
#define HOUR_S	 3600
#define DAY_S	 86400

static const char *span_text(struct varlink_blocks *blocks, uint64_t span_s)
{
	if (span_s < 2 * MINUTE_S)
		return varlink_format(blocks, "%" PRIu64 " s", span_s);
	if (span_s < 2 * HOUR_S)
		return varlink_format(blocks, "%" PRIu64 " min", span_s / MINUTE_S);
	if (span_s < 2 * DAY_S)
		return varlink_format(blocks, "%" PRIu64 " h", span_s / HOUR_S);
	return varlink_format(blocks, "%" PRIu64 " days", span_s / DAY_S);
}

/* An unknown peer that only dialled this node has no vote: it would dial for that. */
static void clock_look(struct api *api, struct look *look)
{
	struct api_peer_iter iter = {.api = api};
	struct clock_vote vote = {.cnt = 0};
	struct mesh_peer_info peer;
	unsigned cnt;
	int64_t off_s;

	while (api_peers_next(&iter, &peer) && peer.is_connected)
		if (peer.conn.is_dialler ||
		    mesh_peer_class(api->home->mesh, peer.key) != FAIR_UNKNOWN)
			api_clock_vote_add(&vote, &peer.conn.remote, peer.skew_s);
	cnt = api_clock_vote_judge(&vote, config_live(api->config)->mesh.skew_max_s, &off_s);
	if (!cnt)
		return;
	problem_add(look,
		    varlink_format(
			    look->blocks,
			    "this machine's clock is at least %s %s those in %u of %u "
			    "networks of its peers",
			    span_text(look->blocks, off_s < 0 ? -(uint64_t)off_s : (uint64_t)off_s),
			    off_s < 0 ? "behind" : "ahead of", cnt, vote.cnt),
		    "set the clock of this machine; until then other nodes may refuse what it "
		    "signs, and it may refuse what they sign");
}

static void proxy_look(const struct api *api, struct look *look)
{
	struct api_proxy_problem problem;

	if (api_proxy_is_to_blame(api, &problem))
		problem_add(look, varlink_text(look->blocks, problem.why), problem.next);
}

struct api_health api_health(struct varlink_blocks *blocks, struct api *api,
			     const struct figures *figures, uint64_t now_ns)
{
	struct look look = {.blocks = blocks};
	unsigned follow_cnt = 0;
	const struct follow *follow = NULL;
	const char *dht;

	crash_look(api, &look);
	sandbox_look(&look);
	store_look(api, figures, &look);
	gets_look(api, &look);
	files_look(api, &look);
	proxy_look(api, &look);
	clock_look(api, &look);
	dht = dht_text(api, now_ns, &look);
	while (api->follows && (follow = shares_follows_next(api->follows, follow)))
		follow_cnt++;
	return (struct api_health){
		.healthy = !look.problems.cnt,
		.problems = look.problems,
		.reachability = reachability(blocks, api, figures),
		.mapping_life = mapping_life(blocks, api, now_ns),
		.dht = dht,
		.proxy = api_proxy_text(blocks, api),
		.xdp = xdp_text(blocks, api),
		.gateway = api->web ? varlink_format(blocks, "http://%s/", api->config->web.listen)
				    : "off",
		.follows = follow_cnt,
	};
}
