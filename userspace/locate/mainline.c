/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dht/ at home: its tables, its way in, what it remembers, and the address
 * records that it finds, for mesh/. Home worker.
 *
 * One value in the store is saved, a while after it changed
 * (dht_events.save) and at the end. A crash costs contacts that were met
 * since.
 */
#include "mainline.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/log.h"
#include "net/ingress/krpc_table_writer.h"
#include "dht/items/item.h"
#include "dht/items/pkarr.h"
#include "net/xdp/xdp.h"
#include "net/resolver.h"
#include "bootstrap.h"
#include "driver_answers.h"
#include "locate.h"
#include "store/store.h"

/* Keys that are looked for at once: as many as there are dials without an address, or so. */
#define LOOKS_MAX 64
/* The DHT's share of the time that a dial has (docs/dht.md); then relays of records have theirs. */
#define LOOK_BUDGET_NS (5 * NS_PER_S)

/* Names of the bootstrap list are looked up, one after the other; again while no node is known. */
#define NAME_TIMEOUT_NS (5 * NS_PER_S)
#define NAMES_AGAIN_NS	(60 * NS_PER_S)
#define NAME_ADDRS_MAX	4
#define BOOTSTRAP_PUBLIC                                                                           \
	"dht.libtorrent.org:25401, router.bittorrent.com:6881, dht.transmissionbt.com:6881, "      \
	"relay.pkarr.org:6881"

/* Where the state lies in the database of facts. */
#define STATE_KEY "mainline"

struct mainline_look {
	struct mainline *mainline;
	struct mesh_look *look; /* NULL: free */
	dht_handle handle;
	uint8_t key[MESH_KEY_LEN];
};

/* The bootstrap list on a job thread, which may wait for name servers. */
struct bootstrap_lookup {
	struct job job;
	struct mainline *mainline;
	int stop_fd; /* readable when the daemon ends */
	char list[MAINLINE_BOOTSTRAP_CAP];
	struct addr addrs[DHT_BOOTSTRAP_MAX];
	unsigned addr_cnt;
};

#define STATE_LOOK_NS (5 * NS_PER_S)
/* Until a node answers: its table is small then, and what follows waits for it. */
#define LOST_LOOK_NS NS_PER_MS

struct mainline {
	struct locate *locate;
	struct dht *dht;
	struct driver_answers *answers;
	uint8_t *state; /* state_cap bytes, for dht_save */
	size_t state_cap;
	bool is_save_due;
	bool is_saving;
	bool is_looking_up;
	bool is_draining;
	bool is_joined; /* as last reported */
	uint64_t looked_ns;
	uint64_t lost_ns; /* since when no node is known */
	struct timer names_timer;
	struct bootstrap_lookup names;
	struct mainline_look looks[LOOKS_MAX];
};

void locate_mainline_config_defaults(struct mainline_config *config)
{
	config->is_on = true;
	snprintf(config->bootstrap, sizeof(config->bootstrap), "%s", BOOTSTRAP_PUBLIC);
	dht_config_defaults(&config->dht);
}

static size_t state_cap(const struct mainline_config *config)
{
	return DHT_SAVE_CAP + (size_t)config->dht.own_cap * DHT_SAVE_OWN_LEN;
}

size_t locate_mainline_footprint(const struct mainline_config *config)
{
	if (!config->is_on)
		return 0;
	return dht_footprint(&config->dht) + state_cap(config) + locate_driver_answers_footprint() +
	       sizeof(struct mainline);
}

static void saved(void *arg, int err)
{
	struct mainline *mainline = arg;

	mainline->is_saving = false;
	/* A disk that is full now may have room by the next time. */
	if (err < 0)
		log_warn("contacts of the DHT were not saved: %s; a restart would begin with "
			 "older ones",
			 weft_err_text(err));
}

static void mainline_save(struct mainline *mainline)
{
	struct locate *locate = mainline->locate;
	struct store_batch *batch;
	int len = dht_save(mainline->dht, mainline->state, mainline->state_cap,
			   locate_now_ns(locate));

	mainline->is_save_due = false;
	if (len < 0 || !(batch = store_batch_new(locate->params.store)))
		return;
	store_batch_put(batch, STORE_META, store_key(STATE_KEY, strlen(STATE_KEY)), mainline->state,
			(size_t)len);
	mainline->is_saving = true;
	if (store_submit(locate->params.store, batch, saved, mainline) < 0) {
		mainline->is_saving = false;
		mainline->is_save_due = true;
		store_batch_free(batch);
	}
}

/* The tables of the program in front of the node; NULL: there is none. */
static const struct weft_krpc_tables *driver_tables(const struct mainline *mainline)
{
	const struct locate_params *params = &mainline->locate->params;
	struct xdp *xdp = params->xdp(params->ctx);

	return xdp ? net_xdp_krpc_tables(xdp) : NULL;
}

static void event_tell(const struct mainline *mainline, const struct locate_event *event)
{
	mainline->locate->params.on_event(mainline->locate->params.ctx, event);
}

static bool knows_somebody(struct mainline *mainline, uint64_t now_ns)
{
	struct dht_stats stats;

	dht_stats(mainline->dht, now_ns, &stats);
	return stats.nodes[DHT_NET_IPV4].good || stats.nodes[DHT_NET_IPV6].good;
}

/* state_look reports when nodes of the DHT answer, and when none does any more. */
static void state_look(struct mainline *mainline, uint64_t now_ns)
{
	bool is_joined;

	if (now_ns - mainline->looked_ns < (mainline->is_joined ? STATE_LOOK_NS : LOST_LOOK_NS))
		return;
	mainline->looked_ns = now_ns;
	is_joined = knows_somebody(mainline, now_ns);
	if (is_joined && !mainline->is_joined)
		event_tell(mainline, &(struct locate_event){.kind = LOCATE_DHT_JOINED,
							    .took_ns = now_ns - mainline->lost_ns});
	else if (!is_joined && mainline->is_joined) {
		event_tell(mainline, &(struct locate_event){.kind = LOCATE_DHT_LOST});
		mainline->lost_ns = now_ns;
	}
	mainline->is_joined = is_joined;
}

void locate_mainline_turn(struct mainline *mainline)
{
	locate_driver_answers_turn(mainline->answers, mainline->dht, driver_tables(mainline),
				   locate_now_ns(mainline->locate));
	if (mainline->is_save_due && !mainline->is_saving)
		mainline_save(mainline);
	state_look(mainline, locate_now_ns(mainline->locate));
}

static void mainline_load(struct mainline *mainline)
{
	struct locate *locate = mainline->locate;
	struct store_snapshot *snapshot;
	const void *data;
	size_t len;

	if (store_snapshot_open(locate->params.store, &snapshot) < 0)
		return;
	if (store_get(snapshot, STORE_META, store_key(STATE_KEY, strlen(STATE_KEY)), &data, &len) ==
		    0 &&
	    dht_load(mainline->dht, data, len, locate_now_ns(locate)) < 0)
		log_warn("what was stored of the DHT is not readable; it begins anew");
	store_snapshot_close(snapshot);
}

static void on_save(void *ctx)
{
	((struct mainline *)ctx)->is_save_due = true;
}

static void on_external(void *ctx, const struct addr *addr)
{
	struct locate *locate = ((struct mainline *)ctx)->locate;
	const struct locate_event event = {
		.kind = LOCATE_DHT_ADDRESS,
		.net = addr->family == ADDR_IPV6 ? DHT_NET_IPV6 : DHT_NET_IPV4,
	};

	event_tell(ctx, &event);
	locate_publish_changed(locate->publish, locate_now_ns(locate));
}

static void on_held(void *ctx, const struct kad_id *key)
{
	struct mainline *mainline = ctx;

	locate_driver_answers_held(mainline->answers, key, driver_tables(mainline),
				   locate_now_ns(mainline->locate));
}

/* To every way by which a reply comes: home's own sockets, and the program. */
static void on_reply_keys(void *ctx, const struct weft_krpc_reply_keys *keys)
{
	struct mainline *mainline = ctx;
	const struct locate_params *params = &mainline->locate->params;
	const struct weft_krpc_tables *tables = driver_tables(mainline);

	params->reply_keys(params->ctx, keys);
	if (tables)
		net_krpc_tables_set_reply_keys(tables, keys);
}

static const struct dht_events dht_events = {
	.reply_keys = on_reply_keys,
	.external = on_external,
	.save = on_save,
	.held = on_held,
};

/* The networks follow from the addresses on which home listens. */
static struct dht_config dht_config_of(const struct locate *locate)
{
	struct dht_config config = locate->params.mainline->dht;

	config.site = locate->params.site;
	memset(config.is_on, 0, sizeof(config.is_on));
	for (unsigned i = 0; i < locate->params.bound_cnt; i++)
		config.is_on[locate->params.bound[i].family == ADDR_IPV6 ? DHT_NET_IPV6
									 : DHT_NET_IPV4] = true;
	return config;
}

static void names_add(struct bootstrap_lookup *names, const struct addr *addrs, unsigned cnt)
{
	for (unsigned i = 0; i < cnt && names->addr_cnt < DHT_BOOTSTRAP_MAX; i++)
		names->addrs[names->addr_cnt++] = addrs[i];
}

/* Job thread. Names that cannot be resolved are left out: one of several is enough. */
static void names_run(struct job *job)
{
	struct bootstrap_lookup *names = (struct bootstrap_lookup *)job;
	char *at = names->list, *word;
	struct resolver_target target;
	struct addr addrs[NAME_ADDRS_MAX];

	names->addr_cnt = 0;
	while ((word = strsep(&at, ", "))) {
		uint64_t deadline_ns = clock_monotonic_ns() + NAME_TIMEOUT_NS;
		int cnt;

		if (addr_parse(word, &addrs[0]) == 0)
			cnt = 1;
		else if (net_resolver_target_parse(word, &target) == 0)
			cnt = net_resolver_lookup(&target, deadline_ns, names->stop_fd, addrs,
						  NAME_ADDRS_MAX);
		else
			continue;
		if (cnt > 0)
			names_add(names, addrs, (unsigned)cnt);
	}
}

static void names_done(struct job *job)
{
	struct mainline *mainline = ((struct bootstrap_lookup *)job)->mainline;
	struct locate *locate = mainline->locate;

	mainline->is_looking_up = false;
	if (!mainline->dht || mainline->is_draining)
		return;
	mainline->names.addr_cnt += locate_bootstrap_addrs(
		locate->bootstrap, mainline->names.addrs + mainline->names.addr_cnt,
		DHT_BOOTSTRAP_MAX - mainline->names.addr_cnt);
	dht_bootstrap(mainline->dht, mainline->names.addrs, mainline->names.addr_cnt,
		      locate_now_ns(locate));
	if (!mainline->names.addr_cnt && mainline->names.list[0])
		log_warn("none of the names in dht.bootstrap has an address; nodes of earlier "
			 "runs are asked alone");
	timer_set(locate->params.timers, &mainline->names_timer,
		  locate_now_ns(locate) + NAMES_AGAIN_NS);
}

static void names_look_up(struct mainline *mainline)
{
	struct locate *locate = mainline->locate;

	snprintf(mainline->names.list, sizeof(mainline->names.list), "%s",
		 locate->params.mainline->bootstrap);
	mainline->is_looking_up = jobs_submit(locate->params.jobs, &mainline->names.job) == 0;
	if (!mainline->is_looking_up)
		timer_set(locate->params.timers, &mainline->names_timer,
			  locate_now_ns(locate) + NAMES_AGAIN_NS);
}

/* Name servers may have been out of reach, or names may have moved. */
static void names_again(struct timer *timer, uint64_t now_ns)
{
	struct mainline *mainline = container_of(timer, struct mainline, names_timer);

	if (knows_somebody(mainline, now_ns))
		timer_set(mainline->locate->params.timers, timer, now_ns + NAMES_AGAIN_NS);
	else if (!mainline->is_looking_up)
		names_look_up(mainline);
}

static void mainline_bootstrap(struct mainline *mainline)
{
	timer_init(&mainline->names_timer, names_again);
	mainline->names.mainline = mainline;
	mainline->names.job = (struct job){.run = names_run, .done = names_done};
	if (mainline->locate->params.mainline->bootstrap[0] ||
	    locate_bootstrap_list_at(mainline->locate->bootstrap, 0))
		names_look_up(mainline);
}

void locate_mainline_ways_changed(struct mainline *mainline)
{
	if (mainline && !mainline->is_looking_up && !mainline->is_draining)
		names_look_up(mainline);
}

int locate_mainline_open(struct locate *locate, char *what)
{
	const struct mainline_config *config = locate->params.mainline;
	struct dht_params params = {
		.load = locate->params.load,
		.config = dht_config_of(locate),
		.events = &dht_events,
		.random = locate->params.random,
		.sink = locate->params.sink,
		.now_ns = locate_now_ns(locate),
		.wall_us = locate_wall_us(locate),
	};
	struct mainline *mainline;
	int err;

	if (!config->is_on)
		return 0;
	snprintf(what, LOCATE_WHAT_CAP, "tables of the DHT");
	mainline = calloc(1, sizeof(*mainline));
	if (!mainline)
		return -ENOMEM;
	locate->mainline = mainline;
	mainline->locate = locate;
	mainline->names.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mainline->names.stop_fd < 0)
		return -errno;
	mainline->state_cap = state_cap(config);
	mainline->state = malloc(mainline->state_cap);
	if (!mainline->state)
		return -ENOMEM;
	params.ctx = mainline;
	if ((err = locate_driver_answers_new(&params.config, params.now_ns, &mainline->answers)) <
	    0)
		return err;
	if ((err = dht_new(&params, &mainline->dht)) < 0)
		return err;
	locate->dht = mainline->dht;
	mainline->lost_ns = locate_now_ns(locate);
	on_reply_keys(mainline, dht_reply_keys(mainline->dht));
	mainline_load(mainline);
	mainline_bootstrap(mainline);
	return 0;
}

void locate_mainline_drain(struct mainline *mainline)
{
	if (!mainline)
		return;
	mainline->is_draining = true;
	(void)eventfd_write(mainline->names.stop_fd, 1);
}

void locate_mainline_stop(struct locate *locate)
{
	struct mainline *mainline = locate->mainline;

	if (!mainline || !mainline->dht)
		return;
	mainline_save(mainline);
	timer_cancel(locate->params.timers, &mainline->names_timer);
	locate_driver_answers_stop(driver_tables(mainline));
	locate_mainline_drain(mainline);
	locate->dht = NULL;
	dht_free(mainline->dht);
	mainline->dht = NULL;
}

void locate_mainline_free(struct mainline *mainline)
{
	if (!mainline)
		return;
	mainline->locate->mainline = NULL;
	locate_driver_answers_free(mainline->answers);
	if (mainline->names.stop_fd >= 0)
		close(mainline->names.stop_fd);
	free(mainline->state);
	free(mainline);
}

static void look_item(void *ctx, const struct dht_item *item)
{
	struct mainline_look *slot = ctx;
	struct locate *locate = slot->mainline->locate;
	struct pkarr_packet packet;

	if (dht_pkarr_packet_of_item(item, &packet) == 0)
		locate_tell(locate, &packet, slot->look);
}

static void look_ended(void *ctx, const struct dht_outcome *outcome)
{
	struct mainline_look *slot = ctx;
	struct mesh_look *look = slot->look;

	slot->look = NULL;
	look->ended(look, outcome->err == WEFT_EABSENT ? 0 : outcome->err,
		    locate_now_ns(slot->mainline->locate));
}

static int mainline_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
			 uint64_t now_ns, void **out_run)
{
	struct mainline *mainline = ctx;
	struct dht_get_params params = {.budget_ns = LOOK_BUDGET_NS};
	struct dht_asker asker = {.item = look_item, .ended = look_ended};
	unsigned i = 0;

	while (i < LOOKS_MAX && mainline->looks[i].look)
		i++;
	if (i == LOOKS_MAX) {
		mainline->locate->stats.refused_cnt++;
		return WEFT_EFULL;
	}
	memcpy(mainline->looks[i].key, key, MESH_KEY_LEN);
	params.key = mainline->looks[i].key;
	dht_item_target_of_key(key, NULL, 0, &params.target);
	asker.ctx = &mainline->looks[i];
	mainline->looks[i].mainline = mainline;
	mainline->looks[i].handle = dht_get(mainline->dht, &params, &asker, now_ns);
	if (!mainline->looks[i].handle)
		return WEFT_EUNREACHABLE;
	mainline->locate->stats.dht_lookup_cnt++;
	mainline->looks[i].look = look;
	*out_run = &mainline->looks[i];
	return 0;
}

static void mainline_cancel(void *ctx, void *run)
{
	struct mainline *mainline = ctx;
	struct mainline_look *slot = run;

	dht_cancel(mainline->dht, slot->handle);
	slot->look = NULL;
}

struct mesh_locator locate_mainline_locator(struct mainline *mainline)
{
	return (struct mesh_locator){
		.name = "mainline",
		.budget_ns = LOOK_BUDGET_NS,
		.look = mainline_look,
		.cancel = mainline_cancel,
		.ctx = mainline,
	};
}
