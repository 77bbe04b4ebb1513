/* SPDX-License-Identifier: Apache-2.0 */
/* Services and trials: PublishService, CallService, WithdrawService, TestPolicy, BackupStore, CheckFiles. */
#include "node/node_state.h"
#include "provider/tenant/tenant.h"
#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;

static void begin(void)
{
	method_rig_init(&rig, 36);
	method_rig_add(&rig);
	method_rig_start(&rig);
}

static void test_a_call_of_a_service_answers_its_status(void)
{
	static const struct method_row rows[] = {
		{"CallService", "{'name':'pod-chat','method':'List','json':{}}", NULL, "status",
		 NULL, 0},
		{"CallService", "{'name':'pod-chat','method':'List','json':{}}", NULL,
		 "status_name", "OK", 0},
		{"CallService", "{'name':'pod-chat','method':'None','json':{}}", NULL,
		 "status_name", "MethodNotFound", 0},
		{"CallService", "{'name':'pod-chat','version':'^7','method':'List','json':{}}",
		 NULL, "status_name", "ServiceNotFound", 0},
		{"CallService", "{'name':'none','method':'List','json':{}}", NULL, "status_name",
		 "ServiceNotFound", 0},
		{"CallService", "{'method':'List'}", "InvalidParameter", "parameter", "name", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "CallService", "{'name':'pod-chat','method':'List','json':{}}"),
		  "");
	CHECK(method_at(&rig, "json.pods"));
	CHECK_EQ(method_cnt(&rig, "json.pods"), 0);
	method_rig_fini(&rig);
}

static void test_a_service_says_what_it_takes_and_gives(void)
{
	static const struct method_row rows[] = {
		{"DescribeService", "{'name':'pod-chat'}", NULL, "service.name", "pod-chat", 0},
		{"DescribeService", "{'name':'pod-chat'}", NULL, "service.methods.0.name", "List",
		 0},
		{"DescribeService", "{'name':'none'}", NULL, "status_name", "ServiceNotFound", 0},
		{"DescribeService", "{}", "InvalidParameter", "parameter", "name", 0},
		{"PublishService", "{'name':'web','http':'127.0.0.1:1','description':'[]'}",
		 "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"PublishService",
		 "{'name':'web','http':'127.0.0.1:1','description':'interface a.b\\nmethod'}",
		 "Invalid", "why", "line 2 is no varlink interface description", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

static void test_an_offer_without_a_valid_name_version_or_target_is_refused(void)
{
	static const struct method_row rows[] = {
		{"PublishService", "{'name':'Bad Name','http':'127.0.0.1:1'}", "Invalid", "code",
		 NULL, WEFT_EMALFORMED},
		{"PublishService", "{'name':'web','version':'one','http':'127.0.0.1:1'}", "Invalid",
		 "code", NULL, WEFT_EMALFORMED},
		{"PublishService", "{'name':'web'}", "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"WithdrawService", "{'name':'web'}", "NotFound", "what", "web", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "ListServices", NULL), "");
	CHECK(method_cnt(&rig, "offers") >= 1);
	for (size_t i = 0; i < method_cnt(&rig, "offers"); i++) {
		char path[64];

		snprintf(path, sizeof(path), "offers.%zu.name", i);
		CHECK(strcmp(method_text(&rig, path), "web") != 0);
	}
	method_rig_fini(&rig);
}

/* Calls from within are those of the gateway: they come from no user of this machine. */
static void test_a_call_without_a_user_has_no_rows(void)
{
	static const struct method_row rows[] = {
		{"PublishService", "{'name':'web','http':'127.0.0.1:1','counters':['a']}",
		 "Refused", "code", NULL, WEFT_EREFUSED},
		{"PublishService", "{'name':'web','http':'127.0.0.1:1','rows':0}",
		 "InvalidParameter", "parameter", "rows", 0},
		{"PublishService",
		 "{'name':'web','http':'127.0.0.1:1','tags':['1','2','3','4','5','6','7','8','9']}",
		 "Invalid", "what", "tags", 0},
		{"WriteServiceRows", "{'name':'web','changes':[{'key':'YQ=='}]}", "Refused", "code",
		 NULL, WEFT_EREFUSED},
		{"ReadServiceRow", "{'name':'web','key':'YQ=='}", "Refused", "code", NULL,
		 WEFT_EREFUSED},
		{"GetServiceValues", "{'name':'web','tag':'a','key':'YQ=='}", "Refused", "code",
		 NULL, WEFT_EREFUSED},
		{"AddServiceCounts", "{'name':'web','counts':[]}", "Refused", "code", NULL,
		 WEFT_EREFUSED},
		{"WriteServiceRows", "{'name':'web','version':'x','changes':[]}", "Invalid", "what",
		 "x", 0},
		{"ForgetServiceRows", "{'name':'web'}", "Refused", "code", NULL, WEFT_EREFUSED},
		{"ForgetServiceRows", "{'name':'web','user':7}", "NotFound", "what", "web", 0},
		{"ForgetServiceRows", "{'name':'web','user':4294967296}", "InvalidParameter",
		 "parameter", "user", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "ListStoredRows", NULL), "");
	CHECK_EQ(method_cnt(&rig, "stored"), 0);
	rig.role = CONTROL_OPERATE;
	CHECK_STR(method_ask(&rig, "ForgetServiceRows", "{'name':'web','user':0}"), "Refused");
	rig.role = CONTROL_VIEW;
	CHECK_STR(method_ask(&rig, "ForgetServiceRows", "{'name':'web','user':0}"),
		  "PermissionDenied");
	method_rig_fini(&rig);
}

/* rows_add leaves cnt rows of a service of user 7 that is not offered. */
static void rows_add(unsigned cnt)
{
	const struct provider_declaration with = {.service = "old",
						  .major = 1,
						  .is_of_program = true,
						  .uid = 7,
						  .row_cnt_max = cnt,
						  .row_len_max = 100ull * cnt};
	struct api *api = rig.node->node->api;
	struct provider_tenant *tenant;
	struct provider_write *write;
	char key[16];

	CHECK_EQ(provider_tenant_open(api->tenants, &with, &tenant), 0);
	write = provider_write_new(tenant);
	for (unsigned i = 0; i < cnt; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		provider_write_put(write, key, strlen(key), "v", 1);
	}
	CHECK_EQ(provider_write_submit(write, NULL, NULL), 0);
	store_flush(rig.node->node->store);
	provider_tenant_leave(tenant, rig.sim.now_ns);
}

static void ignore(void *arg, const char *error, const json_t *parameters)
{
	(void)arg, (void)error, (void)parameters;
}

static void test_rows_are_forgotten_in_parts(void)
{
	begin();
	rows_add(1200);
	CHECK_STR(method_ask(&rig, "ListStoredRows", NULL), "");
	CHECK_EQ(method_number(&rig, "stored.0.rows"), 1200);
	CHECK_STR(method_ask(&rig, "ForgetServiceRows", "{'name':'old','user':7}"), "");
	CHECK_EQ(method_number(&rig, "rows"), 1200);
	CHECK_STR(method_ask(&rig, "ListStoredRows", NULL), "");
	CHECK_EQ(method_cnt(&rig, "stored"), 0);
	method_rig_fini(&rig);
}

/* A part is on its way to the disk, and its call is gone. */
static void test_the_end_of_a_node_ends_a_deletion(void)
{
	json_t *parameters = json_pack("{s:s, s:i}", "name", "old", "user", 7);
	const struct control_ask ask = {.role = CONTROL_ADMIN,
					.method = "ForgetServiceRows",
					.parameters = parameters,
					.answered = ignore};
	struct control_call *call;

	begin();
	rows_add(1200);
	CHECK_EQ(control_ask(rig.node->node->api->control, &ask, rig.sim.now_ns, &call), 0);
	CHECK(call != NULL);
	json_decref(parameters);
	method_rig_fini(&rig);
}

static void test_checks_trials_and_keys_say_what_they_found(void)
{
	static const struct method_row rows[] = {
		{"TestPolicy", "{'changes':{'limits.initial':'10'}}", "Invalid", "what",
		 "limits.initial", 0},
		{"TestPolicy", "{'changes':{'nope':'10'}}", "Invalid", "what", "nope", 0},
		{"CheckFiles", NULL, NULL, "result.files", NULL, 0},
		{"CheckFiles", NULL, NULL, "result.files_bad", NULL, 0},
		{"ShowSearch", NULL, NULL, "search.shares_followed", NULL, 0},
		{"Search", "{'query':'a','page':2}", NULL, "page", NULL, 2},
		{"ShowSearch", NULL, NULL, "search.queries", NULL, 1},
		{"ExportShareKey", "{'name':'a','path':'/nonexistent/key'}", "NotFound", "what",
		 "a", 0},
		{"NewShare", "{'name':'a','tags':['b']}", NULL, "share.tags.0", "b", 0},
		{"RetireShare", "{'name':'a'}", NULL, NULL, NULL, 0},
		{"RetireShare", "{'name':'a'}", "NotFound", "what", "a", 0},
		{"MakeCommunityToken", "{'name':'none','node_id':'zz'}", "NotFound", "what", "none",
		 0},
	};
	char parameters[2 * SCRATCH_CAP];

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	snprintf(parameters, sizeof(parameters), "{'path':'%s'}", sim_path(&rig.sim, "backup"));
	CHECK_STR(method_ask(&rig, "BackupStore", parameters), "");
	CHECK(method_ask(&rig, "BackupStore", parameters)[0]); /* there is one */
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_call_of_a_service_answers_its_status);
	RUN(test_a_service_says_what_it_takes_and_gives);
	RUN(test_an_offer_without_a_valid_name_version_or_target_is_refused);
	RUN(test_a_call_without_a_user_has_no_rows);
	RUN(test_rows_are_forgotten_in_parts);
	RUN(test_the_end_of_a_node_ends_a_deletion);
	RUN(test_checks_trials_and_keys_say_what_they_found);
	return check_done();
}
