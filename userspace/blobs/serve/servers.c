/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The orders of home to its servers, and their reports. A function that is posted stands above
 * the one that posts it. Orders run on the server's thread and get its struct blobs. Reports run
 * on home's thread and get its struct blobs_servers.
 */
#include "blobs/serve/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/fair/load.h"
#include "base/monotonic.h"
#include "base/thread/mailbox.h"
#include "blobs/blobs_state.h"
#include "blobs/object.h"
#include "blobs/months.h"
#include "blobs/traffic_limits.h"
#include "blobs/rates/upload_parts.h"
#include "blobs/serve/in_progress.h"
#include "blobs/serve/serve.h"
#include "blobs/serve/served_index.h"
#include "weft/cid.h"

_Static_assert(UPLOAD_PARTS_MAX > WEFT_CID_WORKER_MAX, "a part for every worker there can be");

/* As often as servers report: parts follow where getters are within half a second. */
#define TELL_NS (250 * NS_PER_MS)
/* Manifests whose served bytes go in one report. */
#define SERVED_MAX 64

struct server {
	struct blobs_credit credits[BLOBS_ZONE_CNT]; /* of uploads, as given last */
	uint64_t before[BLOBS_ZONE_CNT];	     /* taken at the last look */
	struct blobs_stats stats;
	struct blobs_traffic traffic;
};

struct blobs_servers {
	struct blobs_servers_params params;
	struct timer timer;
	uint64_t divided_ns;			    /* 0: never */
	bool is_limits_due;			    /* they changed, or not all servers have them */
	struct upload_part parts[UPLOAD_PARTS_MAX]; /* home's first */
	unsigned credit_turn;			    /* the server that is granted first */
	struct server servers[];		    /* of worker 1 first */
};

/* --- orders --- */

static bool order(struct blobs_servers *servers, unsigned idx,
		  const struct mailbox_message *message)
{
	return servers->params.order(servers->params.ctx, idx, message);
}

static bool order_object(struct blobs_servers *servers, unsigned idx, mailbox_fn run,
			 void (*drop)(const void *bytes), void *object)
{
	const struct mailbox_message message = {
		.run = run, .drop = drop, .bytes = &object, .len = sizeof(object)};

	return object && order(servers, idx, &message);
}

/* The object that a message hands over: its bytes are the pointer. */
static void *object_of(const void *bytes)
{
	return *(void *const *)bytes;
}

static void served_drop(const void *bytes)
{
	blobs_served_index_free(object_of(bytes));
}

static void take_served(void *server, const void *bytes, size_t len)
{
	(void)len;
	blobs_take_served(server, object_of(bytes));
}

bool blobs_servers_spread_served(struct blobs_servers *servers)
{
	bool is_posted = true;

	for (unsigned i = 1; i <= servers->params.cnt; i++)
		is_posted &= order_object(servers, i, take_served, served_drop,
					  blobs_served_copy(servers->params.home));
	return is_posted;
}

static void in_progress_drop(const void *bytes)
{
	blobs_in_progress_free(object_of(bytes));
}

static void take_in_progress(void *object, const void *bytes, size_t len)
{
	struct blobs *server = object;

	(void)len;
	blobs_in_progress_take(blobs_serve_in_progress(server->serve), object_of(bytes));
	in_progress_drop(bytes);
}

struct in_progress *blobs_in_progress_copy(struct blobs *content)
{
	struct in_progress *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	blobs_in_progress_init(copy);
	if (blobs_in_progress_copy_list(blobs_serve_in_progress(content->serve), copy) == 0)
		return copy;
	blobs_in_progress_free(copy);
	return NULL;
}

void blobs_in_progress_free(struct in_progress *in_progress)
{
	if (in_progress)
		blobs_in_progress_fini(in_progress);
	free(in_progress);
}

/* A server without room gets them when they change again. */
static void spread_in_progress(struct blobs_servers *servers)
{
	if (!blobs_serve_in_progress(servers->params.home->serve)->is_changed)
		return;
	for (unsigned i = 1; i <= servers->params.cnt; i++)
		(void)order_object(servers, i, take_in_progress, in_progress_drop,
				   blobs_in_progress_copy(servers->params.home));
}

struct limits_order {
	uint64_t values[BLOBS_LIMIT_CNT];
	uint64_t upload_part;
	struct blobs_credit credits[BLOBS_ZONE_CNT];
};

static void take_limits(void *object, const void *bytes, size_t len)
{
	struct blobs *server = object;
	const struct limits_order *limits = bytes;

	(void)len;
	blobs_limits_take(server, limits->values, limits->upload_part,
			  blobs_serve_now_ns(server->serve));
	blobs_credits_take(server, limits->credits);
}

static bool spread_limits(struct blobs_servers *servers,
			  const uint64_t values[static BLOBS_LIMIT_CNT])
{
	bool is_posted = true;

	for (unsigned i = 1; i <= servers->params.cnt; i++) {
		struct limits_order limits = {.upload_part = servers->parts[i].part};
		const struct mailbox_message message = {
			.run = take_limits, .bytes = &limits, .len = sizeof(limits)};

		memcpy(limits.values, values, sizeof(limits.values));
		memcpy(limits.credits, servers->servers[i - 1].credits, sizeof(limits.credits));
		is_posted &= order(servers, i, &message);
	}
	return is_posted;
}

static void configure(void *server, const void *bytes, size_t len)
{
	(void)len;
	blobs_configure(server, bytes);
}

bool blobs_servers_configure(struct blobs_servers *servers, const struct blobs_config *config)
{
	const struct mailbox_message message = {
		.run = configure, .bytes = config, .len = sizeof(*config)};
	bool is_posted = true;

	for (unsigned i = 1; i <= servers->params.cnt; i++)
		is_posted &= order(servers, i, &message);
	return is_posted;
}

static void note_member(void *object, const void *bytes, size_t len)
{
	struct blobs *server = object;

	(void)len;
	blobs_note_member(server, bytes, blobs_serve_now_ns(server->serve));
}

/* A lost report is made again. */
static void spread_member(struct blobs_servers *servers, unsigned but_idx,
			  const struct blobs_member *member)
{
	const struct blobs_servers_params *params = &servers->params;
	const struct mailbox_message message = {
		.run = note_member, .bytes = member, .len = sizeof(*member)};

	for (unsigned i = 1; i <= params->cnt; i++)
		if (i != but_idx && !params->is_crowded(params->ctx, i))
			(void)order(servers, i, &message);
}

void blobs_servers_spread_member(struct blobs_servers *servers, const struct blobs_member *member)
{
	spread_member(servers, 0, member);
}

/* --- reports --- */

/* cause: the peer; NULL: the server itself; without an address, peers together. */
static void report(struct blobs *server, mailbox_fn run, const void *bytes, size_t len,
		   const struct load_who *cause)
{
	const struct mailbox_message message = {.run = run, .bytes = bytes, .len = len};

	server->params.report(server->params.ctx, &message, cause);
}

static void file_changed_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;

	(void)len;
	blobs_forget_file(servers->params.home, bytes);
}

static void file_trusted_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;

	(void)len;
	blobs_trust_file(servers->params.home, bytes);
}

void blobs_server_report_file(struct blobs *server, bool is_changed, const struct object_file *file)
{
	report(server, is_changed ? file_changed_heard : file_trusted_heard, file, sizeof(*file),
	       &(struct load_who){0});
}

struct member_report {
	unsigned idx;
	struct blobs_member member;
};

static void member_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;
	const struct member_report *heard = bytes;
	struct blobs *home = servers->params.home;

	(void)len;
	blobs_note_member(home, &heard->member, blobs_serve_now_ns(home->serve));
	spread_member(servers, heard->idx, &heard->member);
}

void blobs_server_report_member(struct blobs *server, const struct blobs_member *member)
{
	const struct member_report told = {server->params.worker_idx, *member};

	report(server, member_heard, &told, sizeof(told),
	       &(struct load_who){.addr = &member->from, .key = member->key});
}

struct served {
	uint8_t manifest_id[32];
	uint64_t len;
};

struct served_report {
	struct blobs *server;
	unsigned cnt;
	struct served served[SERVED_MAX];
};

static void served_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;
	const struct served *served = bytes;

	for (size_t i = 0; i < len / sizeof(*served); i++)
		blobs_note_served(servers->params.home, served[i].manifest_id, served[i].len);
}

static void served_post(struct served_report *told)
{
	report(told->server, served_heard, told->served, told->cnt * sizeof(told->served[0]), NULL);
	told->cnt = 0;
}

static void served_write(void *arg, const uint8_t manifest_id[static 32], uint64_t len)
{
	struct served_report *told = arg;
	struct served *served = &told->served[told->cnt++];

	memcpy(served->manifest_id, manifest_id, sizeof(served->manifest_id));
	served->len = len;
	if (told->cnt == SERVED_MAX)
		served_post(told);
}

static void usages_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;
	struct blobs *home = servers->params.home;
	const struct blobs_usage *usages = bytes;

	for (size_t i = 0; i < len / sizeof(*usages); i++)
		blobs_note_usage(home, &usages[i], blobs_serve_now_ns(home->serve));
}

struct figures_report {
	unsigned idx;
	struct blobs_stats stats;
	struct blobs_traffic traffic;
};

static void figures_heard(void *object, const void *bytes, size_t len)
{
	struct blobs_servers *servers = object;
	const struct figures_report *heard = bytes;

	(void)len;
	servers->servers[heard->idx - 1].stats = heard->stats;
	servers->servers[heard->idx - 1].traffic = heard->traffic;
}

void blobs_server_report(struct blobs *server, uint64_t now_ns)
{
	struct served_report served = {.server = server};
	struct figures_report figures = {.idx = server->params.worker_idx};
	struct blobs_usage usages[2 * BLOBS_USAGE_MAX];
	unsigned usage_cnt;

	blobs_served_index_served_each(server->served_index, served_write, &served);
	if (served.cnt)
		served_post(&served);
	usage_cnt = blobs_read_usage_changes(server, usages);
	if (usage_cnt)
		report(server, usages_heard, usages, usage_cnt * sizeof(usages[0]), NULL);
	blobs_stats(server, &figures.stats);
	blobs_traffic(server, now_ns, &figures.traffic);
	report(server, figures_heard, &figures, sizeof(figures), NULL);
}

const struct blobs_stats *blobs_servers_stats(const struct blobs_servers *servers, unsigned idx)
{
	return &servers->servers[idx - 1].stats;
}

const struct blobs_traffic *blobs_servers_traffic(const struct blobs_servers *servers, unsigned idx)
{
	return &servers->servers[idx - 1].traffic;
}

/* --- limits, of which each worker has a part --- */

static void part_read(struct upload_part *part, const struct blobs_traffic *traffic)
{
	part->charged_cnt = traffic->upload_charged_cnt;
	part->is_waiting = traffic->upload_waiting_cnt > 0;
}

static void parts_read(struct blobs_servers *servers, uint64_t now_ns)
{
	struct blobs_traffic traffic;

	blobs_traffic(servers->params.home, now_ns, &traffic);
	part_read(&servers->parts[0], &traffic);
	for (unsigned i = 1; i <= servers->params.cnt; i++)
		part_read(&servers->parts[i], blobs_servers_traffic(servers, i));
}

/* A server's own count comes with its figures; home grants what it may take. */
static void credit_grow(struct blobs_servers *servers, struct server *server, unsigned zone,
			uint64_t now_ns)
{
	struct blobs_credit home[BLOBS_ZONE_CNT], *credit = &server->credits[zone];
	uint64_t rate;

	blobs_credits_get(servers->params.home, home);
	credit->taken = server->traffic.upload_taken[zone];
	if (home[zone].is_capped && !credit->is_capped)
		credit->granted = credit->taken;
	credit->is_capped = home[zone].is_capped;
	credit->is_reached = home[zone].is_reached;
	credit->per_s = home[zone].per_s;
	rate = (credit->taken - server->before[zone]) * (NS_PER_S / TELL_NS);
	server->before[zone] = credit->taken;
	if (credit->is_capped)
		credit->granted += blobs_month_grant(servers->params.home, BLOBS_UPLOADS,
						     (enum blobs_zone)zone,
						     blobs_credit_lack(credit, rate), now_ns);
}

/* True: there are caps. Servers take turns, as a glide has little for each. */
static bool credits_grow(struct blobs_servers *servers, uint64_t now_ns)
{
	unsigned cnt = servers->params.cnt;
	bool has_cap = false;

	servers->credit_turn++;
	for (unsigned k = 0; k < cnt; k++) {
		struct server *server = &servers->servers[(servers->credit_turn + k) % cnt];

		for (unsigned zone = 0; zone < BLOBS_ZONE_CNT; zone++) {
			has_cap |= server->credits[zone].is_capped;
			credit_grow(servers, server, zone, now_ns);
			has_cap |= server->credits[zone].is_capped;
		}
	}
	return has_cap;
}

static void divide_limits(struct blobs_servers *servers, uint64_t now_ns)
{
	uint64_t values[BLOBS_LIMIT_CNT];
	uint64_t span_ns = servers->divided_ns ? now_ns - servers->divided_ns : 0;

	blobs_limits_get(servers->params.home, values);
	servers->is_limits_due |= credits_grow(servers, now_ns);
	if (!values[BLOBS_LIMIT_UPLOAD] && !servers->is_limits_due)
		return;
	parts_read(servers, now_ns);
	blobs_upload_parts_divide(servers->parts, 1 + servers->params.cnt,
				  values[BLOBS_LIMIT_UPLOAD], span_ns);
	servers->divided_ns = now_ns;
	blobs_limits_take(servers->params.home, values, servers->parts[0].part, now_ns);
	servers->is_limits_due = !spread_limits(servers, values);
}

static void tell_due(struct timer *timer, uint64_t now_ns)
{
	struct blobs_servers *servers = container_of(timer, struct blobs_servers, timer);

	timer_set(servers->params.timers, timer, now_ns + TELL_NS);
	divide_limits(servers, now_ns);
	spread_in_progress(servers);
}

void blobs_servers_limits_changed(struct blobs_servers *servers)
{
	servers->is_limits_due = true;
	if (timer_is_set(&servers->timer))
		timer_set(servers->params.timers, &servers->timer, 0);
}

int blobs_servers_new(const struct blobs_servers_params *params, struct blobs_servers **out_servers)
{
	struct blobs_servers *servers =
		calloc(1, sizeof(*servers) + params->cnt * sizeof(servers->servers[0]));

	if (!servers)
		return -ENOMEM;
	servers->params = *params;
	servers->is_limits_due = true;
	timer_init(&servers->timer, tell_due);
	*out_servers = servers;
	return 0;
}

void blobs_servers_start(struct blobs_servers *servers, uint64_t now_ns)
{
	tell_due(&servers->timer, now_ns);
}

void blobs_servers_free(struct blobs_servers *servers)
{
	if (servers)
		timer_cancel(servers->params.timers, &servers->timer);
	free(servers);
}
