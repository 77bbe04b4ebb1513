/* SPDX-License-Identifier: Apache-2.0 */
/* AddBan, ListBans, RemoveBan, ShowWhy. */
#include "base/monotonic.h"
#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;

static void begin(void)
{
	method_rig_init(&rig, 31);
	method_rig_add(&rig);
	method_rig_start(&rig);
}

#define AT_192 "{'target':'192.0.2.1'}"
static char reason_127[300], reason_128[300];

static void test_targets_that_are_none_are_refused(void)
{
	static const struct method_row rows[] = {
		{"AddBan", "{'target':'192.0.2.1/24'}", "Invalid", "next",
		 "weft ban add 192.0.2.0/24 bans the whole prefix", 0},
		{"AddBan", "{'target':'0.0.0.0/0'}", "Invalid", "what", "0.0.0.0/0", 0},
		{"AddBan", "{'target':'192.0.2.1:7'}", "Invalid", "why",
		 "not an address, a prefix or a node id", 0},
		{"AddBan", "{'target':'2001:db8::zz'}", "Invalid", "what", "2001:db8::zz", 0},
		{"AddBan", "{'target':'192.0.2'}", "Invalid", "why",
		 "not an address, a prefix or a node id", 0},
		{"AddBan", "{'target':'zzz'}", "Invalid", "what", "zzz", 0},
		{"AddBan", "{}", "InvalidParameter", "parameter", "target", 0},
		{"AddBan", "{'target':'192.0.2.1','duration_s':0}", "Invalid", "what", "duration_s",
		 0},
		{"AddBan", "{'target':'192.0.2.1','duration_s':-1}", "Invalid", "what",
		 "duration_s", 0},
		{"AddBan", "{'target':'192.0.2.1','duration_s':3162240001}", "Invalid", "what",
		 "duration_s", 0},
		{"AddBan", reason_128, "Invalid", "what", "reason", 0},
		{"RemoveBan", AT_192, "NotFound", "code", NULL, WEFT_EABSENT},
	};

	snprintf(reason_128, sizeof(reason_128), "{'target':'192.0.2.1','reason':'%0128d'}", 0);
	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "ListBans", NULL), "");
	CHECK_EQ(method_cnt(&rig, "bans"), 0);
	method_rig_fini(&rig);
}

static void test_a_ban_is_shown_as_it_was_made_until_it_is_removed(void)
{
	static const struct method_row rows[] = {
		{"AddBan", AT_192, NULL, "ban.target", "192.0.2.1", 0},
		{"AddBan", reason_127, NULL, "ban.kind", "address", 0},
		{"AddBan", "{'target':'2001:db8::/48','reason':'spam'}", NULL, "ban.reason", "spam",
		 0},
		{"ListBans", NULL, NULL, "bans.1.target", "2001:db8::/48", 0},
		{"ListBans", NULL, NULL, "bans.1.scope", "all", 0},
		{"ListBans", NULL, NULL, "bans.1.expires_s", NULL, -1},
		{"RemoveBan", AT_192, NULL, "ban.target", "192.0.2.1", 0},
		{"RemoveBan", AT_192, "NotFound", "what", "192.0.2.1", 0},
		{"ListBans", NULL, NULL, "bans.0.target", "2001:db8::/48", 0},
	};
	long long added_s;

	snprintf(reason_127, sizeof(reason_127),
		 "{'target':'192.0.2.1','duration_s':3162240000,'reason':'%0127d'}", 0);
	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_EQ(method_cnt(&rig, "bans"), 1);
	CHECK_STR(method_ask(&rig, "AddBan", "{'target':'192.0.2.1','duration_s':60}"), "");
	added_s = method_number(&rig, "ban.added_s");
	CHECK(added_s > 1700000000);
	CHECK_EQ(method_number(&rig, "ban.expires_s"), added_s + 60);
	method_rig_fini(&rig);
}

static size_t bans_after(uint64_t for_ns)
{
	(void)sim_run(&rig.sim, for_ns, NULL, NULL);
	(void)method_ask(&rig, "ListBans", NULL);
	return method_cnt(&rig, "bans");
}

/* An administrator or NTP sets the clock: what is over by the new one ends within two seconds. */
static void test_a_ban_ends_by_a_clock_that_was_set(void)
{
	static const char *const add = "{'target':'192.0.2.1','duration_s':3600}";

	begin();
	CHECK_STR(method_ask(&rig, "AddBan", add), "");
	CHECK_EQ(bans_after(5 * NS_PER_S), 1);
	sim_set_clock(rig.node, 3590);
	CHECK_EQ(bans_after(2 * NS_PER_S), 1);
	CHECK_EQ(bans_after(5 * NS_PER_S), 0);
	CHECK_STR(method_ask(&rig, "AddBan", add), "");
	CHECK_EQ(bans_after(5 * NS_PER_S), 1);
	sim_set_clock(rig.node, 3590 + 3600);
	CHECK_EQ(bans_after(2 * NS_PER_S), 0);
	CHECK_STR(method_ask(&rig, "AddBan", add), "");
	sim_set_clock(rig.node, 0);
	CHECK_EQ(bans_after(3602 * NS_PER_S), 1);
	method_rig_fini(&rig);
}

/* Bans of an address and of the prefix around it: the question names them, and what happened. */
static void test_why_shows_bans_and_manual_actions(void)
{
	static const struct method_row rows[] = {
		{"AddBan", AT_192, NULL, "ban.target", "192.0.2.1", 0},
		{"ShowWhy", "{'who':'192.0.2.1'}", NULL, "ban.target", "192.0.2.1", 0},
		{"ShowWhy", "{'who':'192.0.2.1'}", NULL, "incidents.0.kind", "banned", 0},
		{"RemoveBan", AT_192, NULL, "ban.kind", "address", 0},
		{"ShowWhy", "{'who':'192.0.2.1'}", NULL, "ban.target", "", 0},
		{"ShowWhy", "{'who':'192.0.2.1'}", NULL, "incidents.1.kind", "ban_removed", 0},
		{"AddBan", "{'target':'2001:db8::/48'}", NULL, "ban.target", "2001:db8::/48", 0},
		{"ShowWhy", "{'who':'2001:db8::5'}", NULL, "ban.target", "2001:db8::/48", 0},
		{"ShowWhy", "{'who':'2001:db9::5'}", NULL, "ban.target", "", 0},
		{"ShowWhy", "{'who':'nobody'}", "Invalid", "what", "nobody", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "ShowWhy", "{'who':'192.0.2.1'}"), "");
	CHECK_EQ(method_cnt(&rig, "incidents"), 2);
	CHECK_EQ(method_number(&rig, "lost"), 0);
	CHECK_STR(method_ask(&rig, "ShowWhy", "{'who':'2001:db9::5'}"), "");
	CHECK_EQ(method_cnt(&rig, "incidents"), 0);
	method_rig_fini(&rig);
}

/* Bans are the administrator's; others see less of them, or nothing. */
static void test_each_role_may_do_its_own(void)
{
	static const struct {
		const char *method, *parameters;
		enum control_role needed;
	} rows[] = {
		{"ListDrops", NULL, CONTROL_VIEW},
		{"ListBans", NULL, CONTROL_OPERATE},
		{"ShowSeeding", NULL, CONTROL_OPERATE},
		{"AddBan", AT_192, CONTROL_ADMIN},
		{"RemoveBan", AT_192, CONTROL_ADMIN},
		{"ShowWhy", "{'who':'192.0.2.1'}", CONTROL_ADMIN},
		{"Reload", NULL, CONTROL_ADMIN},
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (rig.role = CONTROL_VIEW; rig.role <= CONTROL_ADMIN; rig.role++) {
			bool is_done =
				method_ask(&rig, rows[i].method, rows[i].parameters)[0] == '\0';

			if (is_done != (rig.role >= rows[i].needed))
				printf("# %s as %d\n", rows[i].method, rig.role);
			CHECK_EQ(is_done, rig.role >= rows[i].needed);
		}
	}
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_targets_that_are_none_are_refused);
	RUN(test_a_ban_is_shown_as_it_was_made_until_it_is_removed);
	RUN(test_a_ban_ends_by_a_clock_that_was_set);
	RUN(test_why_shows_bans_and_manual_actions);
	RUN(test_each_role_may_do_its_own);
	return check_done();
}
