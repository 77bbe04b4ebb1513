/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first lines of weft status: is it well, what is wrong and what to do,
 * who can reach it, and which of its parts are on.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/monotonic.h"
#include "base/process/sandbox.h"
#include "shares/follow/follow.h"
#include "dht/dht.h"
#include "locate/mainline.h"
#include "node/last_crash.h"
#include "method_figures.h"
#include "api/methods.h"
#include "node/sharing/sharing_state.h"
#include "api/http/web.h"

#define TEXT_CAP	256
#define DHT_PATIENCE_NS (60 * NS_PER_S) /* a first start may take so long to find nodes */
#define STORE_FULL	9		/* tenths */

static void problem_add(json_t *problems, const char *what, const char *next)
{
	json_array_append_new(problems, json_pack("{s:s, s:s}", "what", what, "next", next));
}

/* --- the parts --- */

static bool listens_beyond_loopback(const struct node *node)
{
	for (unsigned i = 0; i < node->home.bound_cnt; i++) {
		if (!addr_is_loopback(&node->home.bound[i]))
			return true;
	}
	return false;
}

static bool is_seen(const struct node *node)
{
	struct addr external;

	return node->home.dht && (dht_external(node->home.dht, DHT_NET_IPV4, &external) ||
				  dht_external(node->home.dht, DHT_NET_IPV6, &external));
}

/* Who has dialled this node is the one proof that somebody can. */
static json_t *reachability_json(const struct node *node, const struct figures *figures)
{
	if (figures->quic.accepted_cnt)
		return json_sprintf("dialled by others, %" PRIu64 " times",
				    figures->quic.accepted_cnt);
	if (!listens_beyond_loopback(node))
		return json_string("from this machine alone: it listens on loopback");
	if (is_seen(node))
		return json_string("nobody has dialled it yet; the DHT sees its address");
	return json_string("nobody has dialled it yet");
}

static unsigned dht_good_cnt(const struct node *node, uint64_t now_ns)
{
	struct dht_stats stats;

	dht_stats(node->home.dht, now_ns, &stats);
	return stats.nodes[DHT_NET_IPV4].good + stats.nodes[DHT_NET_IPV6].good;
}

static json_t *dht_json(const struct node *node, uint64_t now_ns, json_t *problems)
{
	unsigned good_cnt;

	if (!node->home.dht)
		return json_string("off");
	good_cnt = dht_good_cnt(node, now_ns);
	if (good_cnt)
		return json_sprintf("%u node%s answer%s", good_cnt, good_cnt == 1 ? "" : "s",
				    good_cnt == 1 ? "s" : "");
	if (!node->config->mainline.bootstrap[0])
		return json_string("nobody is asked: dht.bootstrap is empty");
	if (now_ns - node->started_ns > DHT_PATIENCE_NS)
		problem_add(problems, "no node of the DHT answers",
			    "see that UDP goes out and comes back through firewalls, and that the "
			    "names in dht.bootstrap have addresses; weft dht status tells more");
	return json_string("no node answers yet");
}

static json_t *xdp_json(const struct node *node)
{
	char text[TEXT_CAP];
	size_t len = 0;

	for (unsigned i = 0; node->fastpath.xdp && i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(node->fastpath.xdp, i);

		if (info && len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s",
						len ? ", " : "", info->name,
						info->mode == XDP_NATIVE ? "native" : "generic");
	}
	return len ? json_string(text) : json_string("off");
}

static json_t *gateway_json(const struct node *node)
{
	return node->web ? json_sprintf("http://%s/", node->config->web.listen)
			 : json_string("off");
}

static bool follow_count(void *arg, const struct follow *follow)
{
	(void)follow;
	(*(unsigned *)arg)++;
	return true;
}

/* --- what is wrong --- */

static bool get_count(void *arg, const struct blobs_get *get)
{
	*(unsigned *)arg += get->state == BLOBS_GET_STOPPED;
	return true;
}

static void gets_look(const struct node *node, json_t *problems)
{
	unsigned stopped_cnt = 0;
	char text[TEXT_CAP];

	blobs_gets_each(node->home.content, get_count, &stopped_cnt);
	snprintf(text, sizeof(text), "%u get%s stopped", stopped_cnt, stopped_cnt == 1 ? "" : "s");
	if (stopped_cnt)
		problem_add(
			problems, text,
			"weft get list says why; then weft get resume ID or weft get cancel ID");
}

static void files_look(const struct node *node, json_t *problems)
{
	char path[TEXT_CAP], text[2 * TEXT_CAP];
	unsigned bad_cnt = blobs_bad_files(node->home.content, path, sizeof(path));

	if (!bad_cnt)
		return;
	snprintf(text, sizeof(text), "%u file%s went bad on the disk: %s%s", bad_cnt,
		 bad_cnt == 1 ? "" : "s", path, bad_cnt == 1 ? "" : " and others");
	problem_add(problems, text,
		    "put back a copy and run weft store check --files, which names them all, or "
		    "share the folder anew; what a get brought is fetched again");
}

static void store_look(const struct node *node, const struct figures *figures, json_t *problems)
{
	char text[TEXT_CAP];

	if (store_damage(node->store)) {
		snprintf(text, sizeof(text), "the store is damaged: %s", store_damage(node->store));
		problem_add(problems, text, NODE_DAMAGE_NEXT);
	}
	if (figures->store.map_used_len / STORE_FULL > figures->store.map_len_max / 10)
		problem_add(problems, "the store is nearly full",
			    "weft gc run, or a larger store.map_max in weft.conf");
}

static void sandbox_look(json_t *problems)
{
	struct sandbox_report report;
	char text[TEXT_CAP];

	sandbox_read_report(&report);
	snprintf(text, sizeof(text), "%" PRIu64 " system calls were refused to its threads",
		 report.refused_cnt);
	if (report.refused_cnt)
		problem_add(problems, text,
			    "tell its makers: the log names the call; node.sandbox = no goes on "
			    "without");
}

static void crash_look(const struct node *node, json_t *problems)
{
	char text[LAST_CRASH_TEXT_CAP];

	if (node->last_crash)
		problem_add(problems, node_last_crash_format(node->last_crash, text),
			    "send crash.last of the state folder to its makers");
}

json_t *api_json_health(struct node *node, const struct figures *figures, uint64_t now_ns)
{
	json_t *problems = json_array(), *health;
	unsigned follow_cnt = 0;

	crash_look(node, problems);
	sandbox_look(problems);
	store_look(node, figures, problems);
	gets_look(node, problems);
	files_look(node, problems);
	if (node->sharing)
		shares_follows_each(node->sharing->follows, follow_count, &follow_cnt);
	health = json_pack("{s:o, s:o, s:o, s:o, s:i}", "reachability",
			   reachability_json(node, figures), "dht",
			   dht_json(node, now_ns, problems), "xdp", xdp_json(node), "gateway",
			   gateway_json(node), "follows", (int)follow_cnt);
	json_object_set_new(health, "healthy", json_boolean(!json_array_size(problems)));
	json_object_set_new(health, "problems", problems);
	return health;
}
