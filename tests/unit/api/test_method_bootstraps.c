/* SPDX-License-Identifier: Apache-2.0 */
/* MakeBootstrap, AddBootstrap, ListBootstraps and RemoveBootstrap over the time that lists last. */
#include "codec/text/zbase32.h"
#include "locate/bootstrap.h"
#include "support/check.h"
#include "support/method_rig.h"

#define DAY_S 86400

static struct method_rig rig;
static char list[BOOTSTRAP_TEXT_CAP], parameters[2 * BOOTSTRAP_TEXT_CAP];

static void begin(void)
{
	method_rig_init(&rig, 52);
	method_rig_add(&rig);
	method_rig_start(&rig);
}

static const char *make(const char *more)
{
	const char *error;

	snprintf(parameters, sizeof(parameters), "{'entries':['192.0.2.1:6881']%s}", more);
	error = method_ask(&rig, "MakeBootstrap", parameters);
	snprintf(list, sizeof(list), "%s", method_text(&rig, "list"));
	return error;
}

static const char *add(const char *more)
{
	snprintf(parameters, sizeof(parameters), "{'list':'%s'%s}", list, more);
	return method_ask(&rig, "AddBootstrap", parameters);
}

/* A list of entry_cnt entries by a node of its own, made in_s from now. */
static void sign(uint8_t number, unsigned entry_cnt, int64_t in_s)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number, 52};
	uint8_t bytes[BOOTSTRAP_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct bootstrap_list made = {.serial = 1, .entry_cnt = entry_cnt};
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	made.made_s = (uint64_t)((int64_t)SIM_WALL_S + in_s);
	made.expires_s = made.made_s + 30 * DAY_S;
	for (unsigned i = 0; i < entry_cnt; i++)
		made.entries[i].addr = (struct addr){
			.family = ADDR_IPV4, .ip = {192, 0, 2, number}, .port = (uint16_t)(i + 1)};
	locate_bootstrap_list_write(&w, key, &made);
	CHECK(!w.bad);
	locate_bootstrap_text_write(bytes, writer_len(&w), list);
	node_key_free(key);
}

/* Adds the list and trusts its issuer, which may be any. */
static const char *add_trusted(void)
{
	char issuer[ZBASE32_KEY_TEXT_CAP], more[96];

	snprintf(parameters, sizeof(parameters), "{'list':'%s'}", list);
	if (method_ask(&rig, "ReadBootstrap", parameters)[0])
		return "unreadable";
	snprintf(issuer, sizeof(issuer), "%s", method_text(&rig, "bootstrap.issuer"));
	snprintf(more, sizeof(more), ",'trust':'%s'", issuer);
	return add(more);
}

static void test_a_list_lasts_as_long_as_it_says(void)
{
	begin();
	CHECK_STR(make(",'days':1"), "");
	CHECK_EQ(method_number(&rig, "bootstrap.expires_s") -
			 method_number(&rig, "bootstrap.made_s"),
		 DAY_S);
	CHECK_STR(add(""), "");
	CHECK_STR(method_text(&rig, "bootstrap.state"), "in_use");
	sim_set_clock(rig.node, DAY_S + 1);
	CHECK_STR(method_ask(&rig, "ListBootstraps", NULL), "");
	CHECK_STR(method_text(&rig, "bootstraps.0.state"), "expired");
	/* A newer one takes its place; what has expired is not taken. */
	CHECK_STR(make(",'days':1,'title':'next'"), "");
	CHECK_STR(add(""), "");
	CHECK_STR(make(",'days':1"), "");
	sim_set_clock(rig.node, 3 * DAY_S);
	CHECK_STR(add(""), "Refused");
	CHECK_STR(method_ask(&rig, "ListBootstraps", NULL), "");
	CHECK_EQ(method_cnt(&rig, "bootstraps"), 1);
	CHECK_STR(method_text(&rig, "bootstraps.0.title"), "next");
	method_rig_fini(&rig);
}

static void test_a_list_of_the_future_is_refused(void)
{
	begin();
	sign(1, 1, 200);
	CHECK_STR(add_trusted(), "");
	sign(2, 1, 400);
	CHECK_STR(add_trusted(), "Refused");
	method_rig_fini(&rig);
}

static void test_lists_of_so_many_issuers_are_kept(void)
{
	begin();
	for (uint8_t i = 0; i < BOOTSTRAP_LISTS_MAX; i++) {
		sign(i, BOOTSTRAP_ENTRIES_MAX, 0);
		CHECK_STR(add(""), "Refused");
		CHECK_STR(add_trusted(), "");
	}
	sign(BOOTSTRAP_LISTS_MAX, 1, 0);
	CHECK_STR(add_trusted(), "Refused");
	CHECK_STR(method_ask(&rig, "ListBootstraps", NULL), "");
	CHECK_EQ(method_cnt(&rig, "bootstraps"), BOOTSTRAP_LISTS_MAX);
	snprintf(parameters, sizeof(parameters), "{'issuer':'%s'}",
		 method_text(&rig, "bootstraps.0.issuer"));
	CHECK_STR(method_ask(&rig, "RemoveBootstrap", parameters), "");
	sign(BOOTSTRAP_LISTS_MAX, 1, 0);
	CHECK_STR(add_trusted(), "");
	method_rig_fini(&rig);
}

static void test_another_list_of_the_same_serial_is_refused(void)
{
	begin();
	sign(1, 2, 0);
	CHECK_STR(add_trusted(), "");
	CHECK_STR(add(""), "Refused");
	sign(1, 3, 0);
	CHECK_STR(add(""), "NotVerified");
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_list_lasts_as_long_as_it_says);
	RUN(test_a_list_of_the_future_is_refused);
	RUN(test_lists_of_so_many_issuers_are_kept);
	RUN(test_another_list_of_the_same_serial_is_refused);
	return check_done();
}
