/* SPDX-License-Identifier: Apache-2.0 */
/* Shares, gets, published shares and communities by the methods that make and show them. */
#include <sys/stat.h>

#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;
static char text[4096];

static void begin(void)
{
	static const uint8_t bytes[300000];

	method_rig_init(&rig, 34);
	method_rig_add(&rig);
	method_rig_start(&rig);
	(void)mkdir(sim_path(&rig.sim, "in"), 0755);
	scratch_write(sim_path(&rig.sim, "in/small"), bytes, 1000);
	scratch_write(sim_path(&rig.sim, "in/big"), bytes, sizeof(bytes));
}

/* The parameters are more, and the path of the folder. */
static const char *ask_of_folder(const char *method, const char *more)
{
	snprintf(text, sizeof(text), "{'path':'%s',%s}", sim_path(&rig.sim, "in"), more);
	return method_ask(&rig, method, text);
}

static void test_a_folder_is_shared_shown_and_removed(void)
{
	char id[64];

	begin();
	CHECK_STR(ask_of_folder("AddShare", "'title':'two files'"), "");
	CHECK_EQ(method_number(&rig, "import.files"), 2);
	CHECK_EQ(method_number(&rig, "import.files_done"), 2);
	CHECK_EQ(method_number(&rig, "import.bytes"), 301000);
	CHECK_EQ(method_number(&rig, "import.bytes_done"), 301000);
	CHECK_EQ(method_number(&rig, "import.skipped_unreadable"), 0);
	CHECK(strncmp(method_text(&rig, "link"), "mesh:", 5) == 0);
	CHECK_STR(method_ask(&rig, "ListShares", NULL), "");
	CHECK_EQ(method_cnt(&rig, "shares"), 1);
	CHECK_EQ(method_cnt(&rig, "imports"), 0);
	CHECK_STR(method_text(&rig, "shares.0.title"), "two files");
	CHECK_STR(method_text(&rig, "shares.0.path"), sim_path(&rig.sim, "in"));
	CHECK_EQ(method_number(&rig, "shares.0.items"), 2);
	CHECK_EQ(method_number(&rig, "shares.0.bytes"), 301000);
	CHECK_EQ(method_number(&rig, "shares.0.served_bytes"), 0);
	CHECK_EQ(method_number(&rig, "shares.0.changed_files"), 0);
	snprintf(id, sizeof(id), "%s", method_text(&rig, "shares.0.collection_id"));
	snprintf(text, sizeof(text), "{'share':'%s'}", id);
	CHECK_STR(method_ask(&rig, "ListShareItems", text), "");
	CHECK_EQ(method_cnt(&rig, "items"), 2);
	CHECK_STR(method_ask(&rig, "RemoveShare", text), "");
	CHECK_STR(method_text(&rig, "collection_id"), id);
	CHECK_STR(method_ask(&rig, "RemoveShare", text), "NotFound");
	CHECK_STR(method_ask(&rig, "ListShares", NULL), "");
	CHECK_EQ(method_cnt(&rig, "shares"), 0);
	method_rig_fini(&rig);
}

static void test_a_published_share_is_one_of_its_name(void)
{
	static const struct method_row rows[] = {
		{"NewShare", "{'name':'x','title':'a title'}", NULL, "share.state", "empty", 0},
		{"NewShare", "{'name':'x'}", "Refused", "name", "WEFT_EEXISTS", 0},
		{"NewShare", "{'name':''}", "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"ShowShare", "{'name':'x'}", NULL, "share.name", "x", 0},
		{"ShowShare", "{'name':'x'}", NULL, "share.revision", NULL, 0},
		{"ShowShare", "{'name':'x'}", NULL, "share.public", NULL, 0},
		{"SetShare", "{'name':'x','public':true}", NULL, "share.public", NULL, 1},
		{"ShowShare", "{'name':'x'}", NULL, "share.public", NULL, 1},
		{"ListShares", NULL, NULL, "published.0.name", "x", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(ask_of_folder("PublishShare", "'name':'x'"), "");
	CHECK_STR(method_ask(&rig, "ShowShare", "{'name':'x'}"), "");
	CHECK_EQ(method_number(&rig, "share.revision"), 1);
	CHECK_EQ(method_number(&rig, "share.items"), 2);
	CHECK_EQ(method_number(&rig, "share.bytes"), 301000);
	CHECK_EQ(method_cnt(&rig, "revisions"), 1);
	method_rig_fini(&rig);
}

static void test_a_community_is_made_once_linked_and_left(void)
{
	static const struct method_row rows[] = {
		{"CreateCommunity", "{'name':'club'}", NULL, "community.name", "club", 0},
		{"CreateCommunity", "{'name':'club'}", "Refused", "name", "WEFT_EEXISTS", 0},
		{"CreateCommunity", "{'name':'strict','strict':true}", NULL, "community.strict",
		 NULL, 1},
		{"CreateCommunity", "{'name':'a\\nb'}", "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"ListCommunities", NULL, NULL, "fills.0.used", NULL, 2},
		{"ListCommunities", NULL, NULL, "communities.1.ours", NULL, 1},
		{"ListCommunityShares", "{'name':'club'}", NULL, "shares.0", "", 0},
		{"LeaveCommunity", "{'name':'club'}", NULL, NULL, NULL, 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	/* It is gone when those of its members that are there were told. */
	(void)sim_run(&rig.sim, 600 * NS_PER_S, NULL, NULL);
	CHECK_STR(method_ask(&rig, "LeaveCommunity", "{'name':'club'}"), "NotFound");
	CHECK_STR(method_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(method_cnt(&rig, "communities"), 1);
	CHECK_STR(method_text(&rig, "communities.0.name"), "strict");
	CHECK_STR(method_ask(&rig, "LinkCommunity", "{'name':'strict'}"), "");
	CHECK(strncmp(method_text(&rig, "link"), "mesh:", 5) == 0);
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_folder_is_shared_shown_and_removed);
	RUN(test_a_published_share_is_one_of_its_name);
	RUN(test_a_community_is_made_once_linked_and_left);
	return check_done();
}
