/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing, withdrawing, and what is left of it after a crash. */
#include "provider_rig.h"

static struct provider_spec full_spec(void)
{
	static const char *const args[] = {"-v", "two words"};
	static char own_user[16]; /* the user of the test */
	static const struct service_metadata metadata[] = {{"region", "eu"}, {"a", ""}};
	static const uint8_t allow[2][MESH_KEY_LEN] = {{1}, {2}};

	snprintf(own_user, sizeof(own_user), "%u", getuid());
	return (struct provider_spec){
		.name = "full",
		.version = "2.1.0",
		.kind = PROVIDER_EXEC,
		.target = "/bin/cat",
		.args = args,
		.args_cnt = 2,
		.metadata = metadata,
		.metadata_cnt = 2,
		.calls_per_min = 7,
		.payload_len_max = 8,
		.timeout_ns = 9 * NS_PER_S,
		.concurrency_max = 10,
		.memory_len_max = 64 << 20,
		.user = own_user,
		.is_unconfined = true,
		.allow = allow,
		.allow_cnt = 2,
		.is_hidden = true,
		.needs_signature = true,
	};
}

static struct provider_spec spec_of(const char *name, const char *version)
{
	return (struct provider_spec){
		.name = name, .version = version, .kind = PROVIDER_EXEC, .target = "/bin/cat"};
}

static unsigned offer_cnt(const struct prig *rig)
{
	struct provider_iter iter = {.provider = rig->provider};
	struct provider_view view;
	unsigned cnt = 0;

	while (provider_next(&iter, &view))
		cnt++;
	return cnt;
}

static int withdraw(struct prig *rig, const char *name, uint32_t major)
{
	unsigned done_cnt = rig->done_cnt;
	int err = provider_withdraw(rig->provider, name, major,
				    &(struct provider_waiter){prig_done, rig}, prig_now(rig));

	if (err < 0)
		return err;
	prig_run(rig);
	return rig->done_cnt == done_cnt + 1 ? rig->done_err : -EIO;
}

static void test_what_was_acknowledged_survives_a_crash(void)
{
	struct provider_spec spec = full_spec(), other = spec_of("other", "1.0.0");
	struct provider_view view;
	const char *why;
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &spec), 0);
	/* This one is not on the disk yet. */
	CHECK_EQ(provider_publish(rig.provider, &other, &(struct provider_waiter){prig_done, &rig},
				  prig_now(&rig), &why),
		 0);
	CHECK_EQ(offer_cnt(&rig), 2);
	CHECK_EQ(rig.done_cnt, 1);
	prig_stop(&rig, true);
	prig_start(&rig);
	prig_run(&rig);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_SOON(&rig, prig_view(&rig).state == PROVIDER_READY);
	view = prig_view(&rig);
	CHECK_STR(view.spec.name, "full");
	CHECK_STR(view.spec.version, "2.1.0");
	CHECK_EQ(view.spec.kind, PROVIDER_EXEC);
	CHECK_STR(view.spec.target, "/bin/cat");
	CHECK_EQ(view.spec.args_cnt, 2);
	CHECK_STR(view.spec.args[1], "two words");
	CHECK_EQ(view.spec.metadata_cnt, 2);
	CHECK_EQ(view.spec.calls_per_min, 7);
	CHECK_EQ(view.spec.payload_len_max, 8);
	CHECK_EQ(view.spec.timeout_ns, 9 * NS_PER_S);
	CHECK_EQ(view.spec.concurrency_max, 10);
	CHECK_EQ(view.spec.memory_len_max, 64 << 20);
	CHECK_EQ(atoi(view.spec.user), getuid());
	CHECK(view.spec.is_unconfined);
	CHECK_EQ(view.spec.allow_cnt, 2);
	CHECK_EQ(view.spec.allow[1][0], 2);
	CHECK(view.spec.is_hidden);
	CHECK(view.spec.needs_signature);
	CHECK_EQ(rig.event_cnts[PROVIDER_EVENT_DROPPED], 0);
	prig_fini(&rig);
}

static void test_a_withdrawal_survives_a_crash(void)
{
	struct provider_spec spec = full_spec();
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &spec), 0);
	CHECK_EQ(withdraw(&rig, "full", 2), 0);
	CHECK_EQ(offer_cnt(&rig), 0);
	prig_stop(&rig, true);
	prig_start(&rig);
	CHECK_EQ(offer_cnt(&rig), 0);
	CHECK_EQ(withdraw(&rig, "full", 2), WEFT_EABSENT);
	prig_fini(&rig);
}

static void test_a_name_is_offered_once_for_each_major_version(void)
{
	struct provider_spec first = spec_of("box", "1.0.0"), same = spec_of("box", "1.0.0"),
			     next = spec_of("box", "1.1.0"), second = spec_of("box", "2.0.0");
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &first), 0);
	CHECK_EQ(prig_publish(&rig, &same), 0);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_EQ(prig_publish(&rig, &next), WEFT_EEXISTS);
	CHECK_EQ(prig_publish(&rig, &second), 0);
	CHECK_EQ(offer_cnt(&rig), 2);
	CHECK_EQ(withdraw(&rig, "box", 3), WEFT_EABSENT);
	CHECK_EQ(withdraw(&rig, "box", 1), 0);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_EQ(prig_publish(&rig, &next), 0);
	CHECK_EQ(withdraw(&rig, "box", PROVIDER_MAJOR_ANY), 0);
	CHECK_EQ(offer_cnt(&rig), 0);
	prig_fini(&rig);
}

static void test_a_name_that_weft_offers_itself_is_taken(void)
{
	static const struct service_handler handler = {.call = NULL};
	struct service_offering own = {.name = "echo", .version = "1.0.0", .handler = &handler};
	struct provider_spec spec = spec_of("echo", "1.2.0");
	struct service_offer *offer;
	const char *why = NULL;
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(service_offer(rig.service, &own, prig_now(&rig), &offer, &why), 0);
	CHECK_EQ(provider_publish(rig.provider, &spec, &(struct provider_waiter){prig_done, &rig},
				  prig_now(&rig), &why),
		 WEFT_EEXISTS);
	CHECK(strstr(why, "offered already"));
	CHECK_EQ(offer_cnt(&rig), 0);
	service_withdraw(offer, prig_now(&rig));
	prig_fini(&rig);
}

static void test_what_the_disk_refuses_is_undone(void)
{
	struct provider_spec kept = spec_of("kept", "1.0.0"), lost = spec_of("lost", "1.0.0");
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &kept), 0);
	store_freeze(rig.store); /* every commit fails from now on */
	CHECK_EQ(prig_publish(&rig, &lost), -EIO);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_EQ(withdraw(&rig, "kept", 1), -EIO);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_SOON(&rig, prig_view(&rig).state == PROVIDER_READY);
	/* It is no longer on its way out. */
	CHECK_EQ(withdraw(&rig, "kept", 1), -EIO);
	prig_fini(&rig);
}

static void test_one_offer_too_many_is_refused(void)
{
	char name[16];
	struct prig rig;

	prig_init(&rig);
	for (unsigned i = 0; i <= rig.config.offer_cap; i++) {
		struct provider_spec spec = spec_of(name, "1.0.0");

		snprintf(name, sizeof(name), "box-%u", i);
		CHECK_EQ(prig_publish(&rig, &spec), i < rig.config.offer_cap ? 0 : WEFT_EFULL);
	}
	CHECK_EQ(offer_cnt(&rig), rig.config.offer_cap);
	prig_fini(&rig);
}

static void test_one_change_too_many_is_refused_at_once(void)
{
	struct provider_spec spec = spec_of("box", "1.0.0");
	struct prig rig;
	const char *why;
	int err = 0;
	unsigned taken = 0;

	prig_init(&rig);
	for (; err == 0 && taken < 1000; taken++)
		err = provider_publish(rig.provider, &spec,
				       &(struct provider_waiter){prig_done, &rig}, prig_now(&rig),
				       &why);
	CHECK_EQ(err, WEFT_EFULL);
	CHECK_EQ(withdraw(&rig, "box", 1), WEFT_EFULL);
	CHECK_SOON(&rig, rig.done_cnt == taken - 1);
	CHECK_EQ(offer_cnt(&rig), 1);
	CHECK_EQ(withdraw(&rig, "box", 1), 0);
	prig_fini(&rig);
}

static void test_an_owner_that_forgets_gets_no_callback(void)
{
	struct provider_spec spec = spec_of("box", "1.0.0");
	const char *why;
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(provider_publish(rig.provider, &spec, &(struct provider_waiter){prig_done, &rig},
				  prig_now(&rig), &why),
		 0);
	provider_forget(rig.provider, &rig);
	prig_run(&rig);
	CHECK_EQ(rig.done_cnt, 0);
	CHECK_EQ(offer_cnt(&rig), 1);
	prig_fini(&rig);
}

static void test_a_stop_with_changes_that_wait(void)
{
	struct provider_spec spec = spec_of("box", "1.0.0");
	const char *why;
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(provider_publish(rig.provider, &spec, &(struct provider_waiter){prig_done, &rig},
				  prig_now(&rig), &why),
		 0);
	prig_stop(&rig, false);
	CHECK_EQ(rig.done_cnt, 0);
	prig_start(&rig);
	CHECK_EQ(offer_cnt(&rig), 1);
	prig_fini(&rig);
}

static void record_put(struct prig *rig, const char *key, const void *record, size_t len)
{
	struct store_batch *batch = store_batch_new(rig->store);

	store_batch_put(batch, STORE_OFFERS, store_key(key, strlen(key)), record, len);
	weft_assert(store_submit(rig->store, batch, NULL, NULL) == 0);
	store_flush(rig->store);
}

static void test_an_invalid_record_is_reported_and_left_alone(void)
{
	struct provider_spec spec = spec_of("box", "1.0.0");
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &spec), 0);
	record_put(&rig, "a-later-one@1", "\xa1\0\2", 3);
	record_put(&rig, "rubbish@1", "\xff", 1);
	prig_stop(&rig, false);
	for (unsigned i = 0; i < 2; i++) {
		prig_start(&rig);
		CHECK_EQ(offer_cnt(&rig), 1);
		CHECK_EQ(rig.event_cnts[PROVIDER_EVENT_DROPPED], 2);
		if (i == 0)
			prig_stop(&rig, false);
	}
	prig_fini(&rig);
}

static void test_publishing_follows_metadata_and_readiness(void)
{
	struct provider_spec spec = {
		.name = "web", .version = "1.0.0", .kind = PROVIDER_HTTP, .target = "127.0.0.1:1"};
	struct prig rig;
	struct provider_view view;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &spec), 0);
	view = prig_view(&rig);
	CHECK_EQ(view.state, PROVIDER_DOWN); /* port 1 is closed */
	CHECK_EQ(view.spec.metadata_cnt, 0); /* what one published, not what is told for it */
	CHECK_EQ(rig.event_cnts[PROVIDER_EVENT_DOWN], 1);
	prig_fini(&rig);
}

static void test_http_services_say_so(void)
{
	struct provider_spec spec = {
		.name = "web", .version = "1.0.0", .kind = PROVIDER_HTTP, .target = "127.0.0.1:1"};
	struct service_iter iter = {0};
	struct service_info info;
	bool is_http = false;
	struct prig rig;

	prig_init(&rig);
	CHECK_EQ(prig_publish(&rig, &spec), 0);
	iter.service = rig.service;
	while (service_next(&iter, &info))
		for (unsigned i = 0; i < info.metadata_cnt; i++)
			is_http |= strcmp(info.metadata[i].key, "kind") == 0 &&
				   strcmp(info.metadata[i].value, "http") == 0;
	CHECK(is_http);
	prig_fini(&rig);
}

static void test_footprints_grow_with_the_caps(void)
{
	struct provider_config small, large;

	provider_config_defaults(&small);
	large = small;
	large.active_cap *= 2;
	large.memory_len *= 2;
	CHECK(provider_footprint(&large) > provider_footprint(&small) + small.memory_len);
	CHECK(provider_watch_cap(&large) >= provider_watch_cap(&small) + small.active_cap);
}

int main(void)
{
	RUN(test_what_was_acknowledged_survives_a_crash);
	RUN(test_a_withdrawal_survives_a_crash);
	RUN(test_a_name_is_offered_once_for_each_major_version);
	RUN(test_a_name_that_weft_offers_itself_is_taken);
	RUN(test_what_the_disk_refuses_is_undone);
	RUN(test_one_offer_too_many_is_refused);
	RUN(test_one_change_too_many_is_refused_at_once);
	RUN(test_an_owner_that_forgets_gets_no_callback);
	RUN(test_a_stop_with_changes_that_wait);
	RUN(test_an_invalid_record_is_reported_and_left_alone);
	RUN(test_publishing_follows_metadata_and_readiness);
	RUN(test_http_services_say_so);
	RUN(test_footprints_grow_with_the_caps);
	return check_done();
}
