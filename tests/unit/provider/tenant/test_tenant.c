/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants: each capability is checked, each bound holds, and no tenant sees another's rows. */
#include "tenant_rig.h"

#define TAG 0x50

static uint64_t row_len(const struct provider_tenant *tenant)
{
	struct provider_tenant_view view;

	provider_tenant_view(tenant, &view);
	return view.row_len;
}

/* ---- what was not declared ---- */

static void fire(struct timer *timer, uint64_t now_ns)
{
	(void)timer, (void)now_ns;
}

static void overlay_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	(void)arg, (void)result, (void)now_ns;
	rig.done_cnt++;
}

static void overlay_value(void *arg, const uint8_t *value, size_t len,
			  const struct overlay_claim *claim)
{
	(void)arg, (void)value, (void)len, (void)claim;
}

static int overlay_get(struct provider_tenant *tenant, uint8_t tag, struct provider_run **out_run)
{
	const struct overlay_get_params params = {.name = "mbid:x",
						  .name_len = 6,
						  .tag = tag,
						  .value = overlay_value,
						  .done = overlay_done};

	return provider_overlay_get(tenant, &params, NS_PER_S, out_run);
}

static int ask_nobody(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		      struct mesh_request **out_request)
{
	(void)mesh, (void)ask, (void)now_ns, (void)out_request;
	rig.done_cnt++;
	return 0;
}

static void test_an_undeclared_capability_is_refused(void)
{
	const struct mesh_ask ask = {.type = MESH_ASK_ROOM};
	struct channel_socket socket = {.poller = NULL};
	struct provider_timer timer = {.tenant = NULL};
	const struct provider_row_range all = {.prefix_len = 0};
	struct provider_tenant_view view;
	struct mesh_request *request;
	struct provider_walk *walk;
	struct provider_run *run;
	struct provider_row row;
	char dst[8];

	start(&nothing);
	CHECK_EQ(put(rig.tenant, "a", "1"), WEFT_EREFUSED);
	CHECK_EQ(put(rig.tenant, "a", NULL), WEFT_EREFUSED);
	CHECK_EQ(provider_row_read(rig.tenant, "a", 1, dst, sizeof(dst)), WEFT_EREFUSED);
	walk = provider_walk_open(rig.tenant, &all);
	CHECK(!provider_walk_next(walk, &row));
	CHECK_EQ(provider_walk_close(walk), WEFT_EREFUSED);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &run), WEFT_EREFUSED);
	CHECK_EQ(provider_timer_acquire(rig.tenant, &timer, fire), WEFT_EREFUSED);
	CHECK_EQ(provider_socket_acquire(rig.tenant, &socket), WEFT_EREFUSED);
	CHECK_EQ(provider_peer_ask(rig.tenant, &ask, NS_PER_S, &request), WEFT_EREFUSED);
	CHECK_EQ(provider_peer_handle(rig.tenant, MESH_ASK_ROOM, NULL, NULL), WEFT_EREFUSED);
	provider_counter_add(rig.tenant, 0, 1);
	provider_tenant_view(rig.tenant, &view);
	CHECK_EQ(view.refused_cnt, 10);
	CHECK_EQ(view.counter_cnt, 0);
	stop();
}

static void test_a_tag_or_a_message_of_another_kind_is_refused(void)
{
	static const struct mesh_ops ops = {.ask = ask_nobody};
	const struct provider_declaration with = {.tags = {TAG},
						  .tag_cnt = 1,
						  .run_max = 1,
						  .messages = {MESH_ASK_ROOM},
						  .message_cnt = 1};
	struct mesh_ask ask = {.type = MESH_ASK_ROOM};
	struct mesh_request *request;
	struct provider_run *run;

	start(&with);
	CHECK_EQ(provider_peer_ask(rig.tenant, &ask, NS_PER_S, &request), WEFT_EUNREACHABLE);
	CHECK_EQ(overlay_get(rig.tenant, TAG + 1, &run), WEFT_EREFUSED);
	stop();
	memset(&rig, 0, sizeof(rig));
	rig.mesh.ops = &ops;
	scratch_make(rig.dir);
	random_init_seeded(&rig.random, 1);
	node_open();
	rig.tenant = tenant_open("app", &with);
	CHECK_EQ(provider_peer_ask(rig.tenant, &ask, NS_PER_S, &request), 0);
	ask.type = MESH_GET_CHUNK;
	CHECK_EQ(provider_peer_ask(rig.tenant, &ask, NS_PER_S, &request), WEFT_EREFUSED);
	CHECK_EQ(rig.done_cnt, 1);
	stop();
}

/* ---- rows ---- */

static void test_one_row_more_than_declared_is_refused(void)
{
	start(&few_rows);
	CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	CHECK_EQ(put(rig.tenant, "b", "2"), 0);
	CHECK_EQ(put(rig.tenant, "c", "3"), 0);
	CHECK_EQ(put(rig.tenant, "d", "4"), WEFT_EFULL);
	store_flush(rig.store);
	CHECK_EQ(put(rig.tenant, "d", "4"), WEFT_EFULL);
	CHECK_EQ(put(rig.tenant, "c", "33"), 0); /* in its place */
	CHECK_EQ(put(rig.tenant, "a", NULL), 0);
	CHECK_EQ(put(rig.tenant, "d", "4"), 0);
	store_flush(rig.store);
	CHECK_EQ(row_cnt(rig.tenant), 3);
	CHECK_EQ(row_len(rig.tenant), 7);
	CHECK_STR(read_row(rig.tenant, "c"), "33");
	CHECK_STR(read_row(rig.tenant, "a"), "(none)");
	stop();
}

static void test_one_byte_more_than_declared_is_refused(void)
{
	start(&few_rows);
	CHECK_EQ(put(rig.tenant, "a", "123456789012345678901234567890"), WEFT_EFULL);
	CHECK_EQ(put(rig.tenant, "a", "12345678901234567890123456789"), 0);
	CHECK_EQ(put(rig.tenant, "b", ""), WEFT_EFULL);
	CHECK_EQ(put(rig.tenant, "a", "1234567890123456789012345678"), 0);
	CHECK_EQ(put(rig.tenant, "b", ""), 0);
	store_flush(rig.store);
	CHECK_EQ(row_len(rig.tenant), 30);
	stop();
}

static void test_waiting_writes_of_a_key_are_one_row(void)
{
	struct provider_write *write;

	start(&few_rows);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(put(rig.tenant, "a", i & 1 ? "123" : "1"), 0);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_EQ(row_len(rig.tenant), 4);
	write = provider_write_new(rig.tenant);
	provider_write_delete(write, "a", 1);
	provider_write_put(write, "b", 1, "1", 1);
	provider_write_put(write, "b", 1, "12", 2);
	provider_write_delete(write, "c", 1);
	CHECK_EQ(provider_write_submit(write, on_done, NULL), 0);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_EQ(row_len(rig.tenant), 3);
	store_flush(rig.store);
	CHECK_EQ(rig.done_cnt, 11);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_STR(read_row(rig.tenant, "b"), "12");
	/* What was counted is what is counted at the next start. */
	provider_tenant_close(rig.tenant);
	rig.tenant = tenant_open("app", &few_rows);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_EQ(row_len(rig.tenant), 3);
	stop();
}

static void test_failed_writes_give_back_their_room(void)
{
	start(&few_rows);
	CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	store_flush(rig.store);
	CHECK_EQ(put(rig.tenant, "a", "12345"), 0);
	CHECK_EQ(put(rig.tenant, "b", "1"), 0);
	CHECK_EQ(put(rig.tenant, "a", NULL), 0);
	CHECK_EQ(put(rig.tenant, "b", "123"), 0);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_EQ(row_len(rig.tenant), 4);
	store_freeze(rig.store);
	store_flush(rig.store);
	CHECK_EQ(rig.failed_cnt, 4);
	CHECK_EQ(row_cnt(rig.tenant), 1);
	CHECK_EQ(row_len(rig.tenant), 2);
	CHECK_STR(read_row(rig.tenant, "a"), "1");
	stop();
}

static void test_one_write_more_than_may_wait_is_refused(void)
{
	start(&many_rows);
	for (unsigned i = 0; i < PROVIDER_WRITE_MAX; i++)
		CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	CHECK_EQ(put(rig.tenant, "a", "1"), WEFT_EFULL);
	store_flush(rig.store);
	CHECK_EQ(put(rig.tenant, "a", "1"), 0);
	stop();
}

/* ---- places ---- */

static void test_one_run_more_than_declared_is_refused(void)
{
	const struct provider_declaration with = {.tags = {TAG}, .tag_cnt = 1, .run_max = 2};
	struct provider_tenant_view view;
	struct provider_run *runs[3];

	start(&with);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &runs[0]), 0);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &runs[1]), 0);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &runs[2]), WEFT_EFULL);
	provider_run_cancel(runs[0]);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &runs[2]), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(rig.done_cnt, 2);
	provider_tenant_view(rig.tenant, &view);
	CHECK_EQ(view.run_cnt, 0);
	/* The end of a tenant ends its runs. */
	CHECK_EQ(overlay_get(rig.tenant, TAG, &runs[0]), 0);
	provider_tenant_close(rig.tenant);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(rig.done_cnt, 2);
	rig.tenant = NULL;
	stop();
}

static void test_the_runs_of_a_node_have_a_bound(void)
{
	const struct provider_declaration with = {
		.tags = {TAG}, .tag_cnt = 1, .run_max = 2 * PROVIDER_RUN_MAX};
	struct provider_tenants_fills fills;
	struct provider_run *run;

	start(&with);
	for (unsigned i = 0; i < PROVIDER_RUN_MAX; i++)
		CHECK_EQ(overlay_get(rig.tenant, TAG, &run), 0);
	CHECK_EQ(overlay_get(rig.tenant, TAG, &run), WEFT_EFULL);
	provider_tenants_fills(rig.node, &fills);
	CHECK_EQ(fills.run_cnt, PROVIDER_RUN_MAX);
	CHECK_EQ(fills.tenant_cnt, 1);
	CHECK_EQ(fills.refused_cnt, 1);
	stop();
}

static void test_one_timer_or_socket_more_than_declared_is_refused(void)
{
	const struct provider_declaration with = {.timer_max = 1, .socket_max = 1};
	struct provider_timer timers[2] = {0};
	struct channel_socket sockets[2] = {0};

	start(&with);
	CHECK_EQ(provider_timer_acquire(rig.tenant, &timers[0], fire), 0);
	CHECK_EQ(provider_timer_acquire(rig.tenant, &timers[1], fire), WEFT_EFULL);
	CHECK(!provider_timer_is_set(&timers[1]));
	provider_timer_set(&timers[0], 2 * NS_PER_S);
	CHECK(provider_timer_is_set(&timers[0]));
	provider_timer_release(&timers[0]);
	provider_timer_release(&timers[0]); /* it has none any more */
	CHECK_EQ(timer_wheel_next_ns(&rig.timers), TIMER_NEVER);
	CHECK_EQ(provider_timer_acquire(rig.tenant, &timers[1], fire), 0);
	provider_timer_release(&timers[1]);
	CHECK_EQ(provider_socket_acquire(rig.tenant, &sockets[0]), 0);
	CHECK(sockets[0].timers == &rig.timers && sockets[0].poller != NULL);
	CHECK_EQ(provider_socket_acquire(rig.tenant, &sockets[1]), WEFT_EFULL);
	provider_socket_release(rig.tenant, &sockets[1]);
	provider_socket_release(rig.tenant, &sockets[0]);
	CHECK_EQ(provider_socket_acquire(rig.tenant, &sockets[1]), 0);
	provider_socket_release(rig.tenant, &sockets[1]);
	stop();
}

static void test_one_tenant_more_than_there_are_places_is_refused(void)
{
	struct provider_tenant *tenants[PROVIDER_TENANT_MAX], *more;
	char name[16];

	start(&nothing);
	for (unsigned i = 1; i < PROVIDER_TENANT_MAX; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		tenants[i] = tenant_open(name, &nothing);
	}
	CHECK_EQ(provider_tenant_open(rig.node, &(struct provider_declaration){.service = "more"},
				      &more),
		 WEFT_EFULL);
	for (unsigned i = 1; i < PROVIDER_TENANT_MAX; i++)
		provider_tenant_close(tenants[i]);
	stop();
}

static void test_a_declaration_is_checked(void)
{
	static const char *const counters[PROVIDER_COUNTER_MAX + 1] = {"a", "b", "c", "d", "e", "f",
								       "g", "h", "i", "j", "k", "l",
								       "m", "n", "o", "p", "q"};
	static const char *const odd[] = {"", "A", "a b", "a23456789012345678901234567890123"};
	struct provider_declaration with = {.service = "app", .major = 1};
	struct provider_tenant_view view;
	struct provider_tenant *tenant;

	start(&nothing);
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EEXISTS);
	with.service = "app@1";
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	with.service = "";
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	with.service = "b";
	with.tag_cnt = PROVIDER_TAG_MAX + 1;
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	with.tag_cnt = 0;
	with.message_cnt = PROVIDER_MESSAGE_MAX + 1;
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	with.message_cnt = 0;
	for (unsigned i = 0; i < 4; i++) {
		with.counters = &odd[i];
		with.counter_cnt = 1;
		CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	}
	with.counters = counters;
	with.counter_cnt = PROVIDER_COUNTER_MAX + 1;
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), WEFT_EMALFORMED);
	with.counter_cnt = PROVIDER_COUNTER_MAX;
	CHECK_EQ(provider_tenant_open(rig.node, &with, &tenant), 0);
	CHECK_EQ(provider_counter_find(tenant, "p"), 15);
	CHECK_EQ(provider_counter_find(tenant, "q"), -1);
	provider_counter_add(tenant, 15, 3);
	provider_counter_add(tenant, 15, 4);
	provider_counter_add(tenant, 16, 1); /* there is no such one */
	provider_tenant_view(tenant, &view);
	CHECK_STR(view.counter_names[15], "p");
	CHECK_EQ(view.counters[15], 7);
	CHECK_EQ(view.refused_cnt, 1);
	provider_tenant_close(tenant);
	stop();
}

int main(void)
{
	RUN(test_an_undeclared_capability_is_refused);
	RUN(test_a_tag_or_a_message_of_another_kind_is_refused);
	RUN(test_one_row_more_than_declared_is_refused);
	RUN(test_one_byte_more_than_declared_is_refused);
	RUN(test_waiting_writes_of_a_key_are_one_row);
	RUN(test_failed_writes_give_back_their_room);
	RUN(test_one_write_more_than_may_wait_is_refused);
	RUN(test_one_run_more_than_declared_is_refused);
	RUN(test_the_runs_of_a_node_have_a_bound);
	RUN(test_one_timer_or_socket_more_than_declared_is_refused);
	RUN(test_one_tenant_more_than_there_are_places_is_refused);
	RUN(test_a_declaration_is_checked);
	return check_done();
}
