/* SPDX-License-Identifier: Apache-2.0 */
/* Which callers have the places of a program, and which one waits, when keys are free. */
#include "provider/exec/process_place.h"
#include "provider/waiting.h"

#include <string.h>

#include "base/assert.h"
#include "support/check.h"

#define CAP	    512
#define CONCURRENCY 16
#define STREAM_CNT  600
#define CALL_CNT    64
#define PROCESS_CNT 32

/* ---- the fabric, and an offer that is busy with CONCURRENCY ---- */

struct service_call {
	unsigned refused_cnt;
};

void service_refuse(struct service_call *call, const char *text, uint64_t wait_ns, uint64_t now_ns)
{
	(void)text, (void)now_ns;
	CHECK(wait_ns > 0);
	call->refused_cnt++;
}

void service_reply(struct service_call *call, const struct service_outcome *outcome,
		   uint64_t now_ns)
{
	(void)call, (void)outcome, (void)now_ns;
}

static struct {
	struct arena arena;
	struct provider provider;
	struct timer_wheel timers;
	struct offer offers[40];
	struct active actives[STREAM_CNT];
	unsigned network_of[STREAM_CNT];
	unsigned abandoned_cnt, last_abandoned;
	struct service_call calls[CALL_CNT];
	unsigned served[4]; /* calls handed to the program, by network */
} desk;

static void stream_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	(void)now_ns;
	CHECK_STR(why, "its place went to a caller that has fewer streams");
	desk.last_abandoned = (unsigned)(active - desk.actives);
	desk.abandoned_cnt++;
	provider_offer_leave(active);
}

static void call_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	(void)active, (void)why, (void)now_ns;
	CHECK(false); /* its program may be at work */
}

static const struct active_kind stream_kind = {.abandon = stream_abandon, .is_stream = true};
static const struct active_kind call_kind = {.abandon = call_abandon};

/* A caller of 10.0.NETWORK.HOST with the key of that number. */
static struct service_caller caller_of(unsigned network, unsigned key)
{
	struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, (uint8_t)network, 1}};
	struct service_caller caller = {.key = {(uint8_t)key, (uint8_t)(key >> 8)}};

	fair_path_of_addr(&desk.provider.paths, &addr, FAIR_UNKNOWN, &caller.path);
	fair_path_add(&desk.provider.paths, &caller.path, caller.key, sizeof(caller.key));
	return caller;
}

static void serve(void *ctx, struct service_call *call, const struct service_input *input,
		  uint64_t now_ns)
{
	(void)ctx, (void)input, (void)now_ns;
	desk.served[(call - desk.calls) / 32]++;
}

static const struct service_handler handler = {.call = serve};

static void start(void)
{
	const struct fair_config places = {.name = "places",
					   .kind = FAIR_LASTING,
					   .cap_cnt = CAP,
					   .level_cnt = FAIR_PEER_LEVELS + 1};
	const struct fair_config *config = &places;
	unsigned wait_cap = WAITING_CAP + 1;

	memset(&desk, 0, sizeof(desk));
	desk.provider.config.active_cap = CAP;
	desk.provider.config.process_cap = PROCESS_CNT;
	desk.provider.timers = &desk.timers;
	timer_wheel_init(&desk.timers, 0);
	if (arena_open(&desk.arena, ARENA_GROWS) < 0 ||
	    arena_open(&desk.provider.arena, ARENA_GROWS) < 0 ||
	    provider_process_places_init(&desk.provider) < 0 ||
	    fair_init(&desk.provider.places, &desk.arena, config, desk.provider.paths.secret) < 0 ||
	    pool_init(&desk.provider.waiting, &desk.arena, provider_waiting_len(), wait_cap) < 0 ||
	    pool_init(&desk.provider.turn_accounts, &desk.arena, sizeof(struct turns_account),
		      wait_cap * TURNS_PEER_LEVELS) < 0 ||
	    heap_new(1 << 20, &desk.provider.heap) < 0)
		abort();
	for (unsigned i = 0; i < 40; i++) {
		desk.offers[i].provider = &desk.provider;
		desk.offers[i].spec.view.concurrency_max = CONCURRENCY;
		list_init(&desk.offers[i].actives);
		provider_waiting_init(&desk.offers[i], &handler);
	}
}

static void stop(void)
{
	for (unsigned i = 0; i < 40; i++)
		provider_waiting_end(&desk.offers[i], 1);
	heap_free(desk.provider.heap);
	arena_close(&desk.provider.arena);
	arena_close(&desk.arena);
}

static bool enter(unsigned i, struct offer *offer, unsigned network, const struct active_kind *kind)
{
	const struct service_caller caller = caller_of(network, 1000 + i);

	desk.network_of[i] = network;
	if (kind->is_stream)
		provider_offer_make_room(offer, &caller, i + 1);
	return provider_offer_enter(offer, &desk.actives[i], kind, &caller, i + 1);
}

static void leave_all(struct offer *offer)
{
	while (!list_is_empty(&offer->actives))
		provider_offer_leave(container_of(offer->actives.next, struct active, link));
}

static void test_keys_of_one_network_leave_a_program_to_others(void)
{
	struct offer *offer = &desk.offers[0];
	unsigned cnt = 0;

	start();
	for (unsigned i = 0; i < CONCURRENCY; i++)
		CHECK(enter(i, offer, 1, &stream_kind));
	/* One more of that network gets none; another network gets its half, the youngest go. */
	CHECK(!enter(20, offer, 1, &stream_kind));
	CHECK_EQ(desk.provider.stats.refused_cnt, 1);
	for (unsigned i = 30; i < 30 + CONCURRENCY / 2; i++) {
		CHECK(enter(i, offer, 2, &stream_kind));
		CHECK_EQ(desk.last_abandoned, CONCURRENCY - 1 - cnt++);
	}
	CHECK(!enter(50, offer, 2, &stream_kind));
	CHECK_EQ(desk.abandoned_cnt, CONCURRENCY / 2);
	CHECK_EQ(offer->active_cnt, CONCURRENCY);
	leave_all(offer);
	CHECK_EQ(desk.provider.active_cnt, 0);
	CHECK_EQ(desk.provider.places.held_cnt, 0);
	stop();
}

static void test_a_call_under_way_is_never_taken_back(void)
{
	struct offer *offer = &desk.offers[0];

	start();
	for (unsigned i = 0; i < CONCURRENCY; i++)
		CHECK(enter(i, offer, 1, &call_kind));
	CHECK(!enter(50, offer, 2, &stream_kind));
	/* A stream beside them goes. */
	provider_offer_leave(&desk.actives[3]);
	CHECK(enter(3, offer, 1, &stream_kind));
	CHECK(enter(51, offer, 2, &stream_kind));
	CHECK_EQ(desk.last_abandoned, 3);
	leave_all(offer);
	stop();
}

static void test_one_program_leaves_places_to_the_others(void)
{
	unsigned i = 0;

	start();
	for (unsigned o = 0; o < CAP / CONCURRENCY; o++)
		for (unsigned n = 0; n < CONCURRENCY; n++)
			CHECK(enter(i++, &desk.offers[o], 1, &stream_kind));
	CHECK_EQ(desk.provider.active_cnt, CAP);
	CHECK(enter(i, &desk.offers[39], 2, &stream_kind));
	CHECK_EQ(desk.abandoned_cnt, 1);
	CHECK_EQ(desk.provider.active_cnt, CAP);
	for (unsigned o = 0; o < 40; o++)
		leave_all(&desk.offers[o]);
	stop();
}

static bool call_waits(unsigned i, unsigned network)
{
	const struct service_caller caller = caller_of(network, 2000 + i);
	const struct service_input input = {.caller = &caller, .method = "Do"};
	const struct waiting_call call = {&desk.calls[i], &input};

	return provider_waiting_takes(&desk.offers[0], &call, 100) && !desk.calls[i].refused_cnt;
}

static void test_free_keys_fill_no_queue(void)
{
	struct offer *offer = &desk.offers[0];

	start();
	for (unsigned i = 0; i < CONCURRENCY; i++)
		CHECK(enter(i, offer, 1, &call_kind));
	/* Each with a key of its own. */
	for (unsigned i = 0; i < WAITING_CAP; i++)
		CHECK(call_waits(i, 1));
	CHECK(call_waits(WAITING_CAP, 2));
	CHECK_EQ(desk.calls[0].refused_cnt, 1);
	CHECK(!call_waits(WAITING_CAP - 1, 1));
	/* Its turn comes with the second place that gets free, and not with the 32nd. */
	for (unsigned i = 0; i < 2; i++) {
		provider_offer_leave(&desk.actives[i]);
		timer_wheel_expire(&desk.timers, 200 + i);
	}
	CHECK_EQ(desk.served[1], 1);
	leave_all(offer);
	stop();
}

static bool process_starts(struct fair_item *place, unsigned network, unsigned key)
{
	struct service_caller caller = caller_of(network, key);

	return provider_process_place_take(&desk.provider, &caller, place, 100);
}

static void test_free_keys_of_one_network_leave_processes_to_others(void)
{
	struct fair_item places[PROCESS_CNT + 1] = {{.is_held = false}};
	struct service_caller own = caller_of(9, 9);
	struct fair_view view;
	unsigned cnt = 0;

	start();
	/* Each with a key of its own: three times what is left free. */
	while (process_starts(&places[cnt], 1, 5000 + cnt))
		cnt++;
	CHECK_EQ(cnt, 24);
	for (unsigned i = 0; i < 6; i++)
		CHECK(process_starts(&places[cnt++], 2, i));
	CHECK(!process_starts(&places[cnt], 2, 7));
	/* A network that has none gets one as long as one is free, and so does this node. */
	CHECK(process_starts(&places[cnt++], 3, 1));
	own.is_local = true;
	CHECK(provider_process_place_take(&desk.provider, &own, &places[cnt++], 100));
	CHECK_EQ(cnt, PROCESS_CNT);
	CHECK(!process_starts(&places[cnt], 4, 1));
	provider_process_places(&desk.provider, &view);
	CHECK_EQ(view.held_cnts[FAIR_UNKNOWN], PROCESS_CNT - 1);
	CHECK_EQ(view.held_cnts[FAIR_CHOSEN], 1);
	CHECK_EQ(view.refused_cnts[FAIR_UNKNOWN], 3);
	for (unsigned i = 0; i < cnt; i++)
		provider_process_place_release(&desk.provider, &places[i]);
	CHECK_EQ(desk.provider.process_places.held_cnt, 0);
	stop();
}

static void test_one_process_is_for_any_caller(void)
{
	struct fair_item place = {.is_held = false}, other = {.is_held = false};
	const struct provider_config config = {.process_cap = 1};
	struct arena arena;

	start();
	arena = desk.provider.arena;
	desk.provider.config = config;
	weft_assert(arena_open(&desk.provider.arena, ARENA_GROWS) == 0);
	weft_assert(provider_process_places_init(&desk.provider) == 0);
	CHECK(process_starts(&place, 1, 1));
	CHECK(!process_starts(&other, 2, 2));
	provider_process_place_release(&desk.provider, &place);
	CHECK(process_starts(&other, 2, 2));
	arena_close(&desk.provider.arena);
	desk.provider.arena = arena;
	stop();
}

int main(void)
{
	RUN(test_keys_of_one_network_leave_a_program_to_others);
	RUN(test_a_call_under_way_is_never_taken_back);
	RUN(test_one_program_leaves_places_to_the_others);
	RUN(test_free_keys_fill_no_queue);
	RUN(test_free_keys_of_one_network_leave_processes_to_others);
	RUN(test_one_process_is_for_any_caller);
	return check_done();
}
