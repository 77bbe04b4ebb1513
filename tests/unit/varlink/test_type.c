/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the control interface between JSON and the structs that tools/varlink-c makes. */
#include "varlink/node.h"

#include <errno.h>

#include "codec/json_heap.h"
#include "support/check.h"
#include "support/fail_alloc.h"

/* In text ' is ": a row is read more easily so. */
static json_t *json_of(const char *text)
{
	char *quoted = strdup(text);
	json_t *json;

	for (char *c = quoted; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json = json_loads(quoted, JSON_DECODE_ANY, NULL);
	free(quoted);
	return json;
}

static const struct varlink_type *const buy = &api_call_service_in_type; /* object */
static const struct varlink_type *const attach = &api_attach_xdp_in_type;
static const struct varlink_type *const try = &api_test_policy_in_type;
static const struct varlink_type *const hit = &api_search_hit_type;
static const struct varlink_type *const reply = &api_list_drops_out_type;

#define SNIPPET_OF(length)                                                                         \
	"{'text':'ab','cut_before':false,'cut_behind':true,'marks':[{'offset':1,'length':" length  \
	"}]}"
#define SNIPPET SNIPPET_OF("1")
#define HIT(score, more)                                                                           \
	"{'path':'a/b','size':7,'score':" score ",'content_id':'c','share_id':'s','share':'t',"    \
	"'trust':'normal','collection_id':'d','tags':['x','y'],'shown':" SNIPPET more "}"
#define DROP "{'reason':'r','text':'t','packets':1,'bytes':2,'per_s':3}"

static void test_each_wrong_field_is_named(void)
{
	const struct {
		const struct varlink_type *type;
		const char *json;
		const char *field; /* NULL: it follows */
	} rows[] = {
		{attach, "{'device':'eth0'}", NULL},
		{attach, "{'device':'eth0','mode':null,'confirm_ms':5,'send':'af_xdp'}", NULL},
		{attach, "{}", "device"},
		{attach, "{'device':null}", "device"},
		{attach, "{'device':7}", "device"},
		{attach, "{'device':'eth0','mode':'fast'}", "mode"},
		{attach, "{'device':'eth0','mode':1}", "mode"},
		{attach, "{'device':'eth0','confirm_ms':'5'}", "confirm_ms"},
		{attach, "{'device':'eth0','confirm_ms':5.0}", "confirm_ms"},
		{attach, "{'device':'eth0','speed':1}", "speed"},
		{attach, "{'mode':'fast','device':'eth0','speed':1}", "mode"},
		{attach, "[]", ""},
		{buy, "{'name':'a','method':'m','json':{'x':[1]},'sign':true}", NULL},
		{buy, "{'name':'a','method':'m','json':[1]}", "json"},
		{buy, "{'name':'a','method':'m','sign':1}", "sign"},
		{try, "{'changes':{}}", NULL},
		{try, "{'changes':{'a':'1','b':'2'},'since':9}", NULL},
		{try, "{'changes':{'a':1}}", "changes.a"},
		{try, "{'changes':{'a':null}}", "changes.a"},
		{try, "{'changes':['a']}", "changes"},
		{hit, HIT("1.5", ""), NULL},
		{hit, HIT("2", ",'about':" SNIPPET), NULL},
		{hit, HIT("'2'", ""), "score"},
		{hit, HIT("2", ",'about':{}"), "about.text"},
		{hit, HIT("2", ",'about':" SNIPPET_OF("1,'by':2")), "about.marks[0].by"},
		{hit, HIT("2", ",'about':" SNIPPET_OF("'1'")), "about.marks[0].length"},
		{hit, HIT("2", ",'about':[]"), "about"},
		{hit, HIT("2", ",'mime':[]"), "mime"},
		{reply, "{'since_s':1,'drops':[" DROP "," DROP "]}", NULL},
		{reply, "{'since_s':1,'drops':[" DROP ",{}]}", "drops[1].reason"},
		{reply, "{'since_s':1,'drops':[" DROP ",null]}", "drops[1]"},
		{reply, "{'since_s':1,'drops':{}}", "drops"},
		{reply, "{'since_s':true,'drops':[]}", "since_s"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char checked[VARLINK_FIELD_CAP], parsed[VARLINK_FIELD_CAP];
		json_t *json = json_of(rows[i].json);
		struct varlink_blocks blocks = {0};
		const char *field = rows[i].field ? rows[i].field : "";
		const void *made = NULL;
		int err = varlink_parse(rows[i].type, json, &blocks, &made, parsed);

		CHECK(json != NULL);
		CHECK_EQ(err, rows[i].field ? WEFT_EMALFORMED : 0);
		CHECK_EQ(made != NULL, rows[i].field == NULL);
		CHECK_EQ(varlink_check(rows[i].type, json, checked), rows[i].field == NULL);
		CHECK_STR(parsed, field);
		CHECK_STR(checked, field);
		varlink_blocks_free(&blocks);
		json_decref(json);
	}
}

static void test_every_kind_of_field_is_read(void)
{
	json_t *json = json_of(HIT("2", ",'about':" SNIPPET));
	struct varlink_blocks blocks = {0};
	const struct api_search_hit *row;
	char field[VARLINK_FIELD_CAP];
	const void *made;

	CHECK_EQ(varlink_parse(hit, json, &blocks, &made, field), 0);
	row = made;
	CHECK_STR(row->path, "a/b");
	CHECK_EQ(row->size, 7);
	CHECK(row->score > 1.9 && row->score < 2.1);
	CHECK(row->mime == NULL);
	CHECK_EQ(row->tags.cnt, 2);
	CHECK_STR(row->tags.rows[1], "y");
	CHECK(!row->shown.cut_before && row->shown.cut_behind);
	CHECK_EQ(row->shown.marks.rows[0].offset, 1);
	CHECK_STR(row->about->text, "ab");
	varlink_blocks_free(&blocks);
	json_decref(json);
	json = json_of("{'device':'eth0','send':'udp'}");
	CHECK_EQ(varlink_parse(attach, json, &blocks, &made, field), 0);
	CHECK(((const struct api_attach_xdp_in *)made)->has_send);
	CHECK(!((const struct api_attach_xdp_in *)made)->has_mode);
	CHECK_EQ(((const struct api_attach_xdp_in *)made)->send, API_ATTACH_XDP_IN_SEND_UDP);
	varlink_blocks_free(&blocks);
	json_decref(json);
	json = json_of("{'changes':{'limits.krpc_rate':'50'}}");
	CHECK_EQ(varlink_parse(try, json, &blocks, &made, field), 0);
	CHECK_EQ(((const struct api_test_policy_in *)made)->changes.cnt, 1);
	CHECK_STR(((const struct api_test_policy_in *)made)->changes.rows[0].key,
		  "limits.krpc_rate");
	CHECK_STR(((const struct api_test_policy_in *)made)->changes.rows[0].value, "50");
	varlink_blocks_free(&blocks);
	json_decref(json);
}

static void test_what_was_read_is_written_as_it_was(void)
{
	const struct {
		const struct varlink_type *type;
		const char *json;
	} rows[] = {
		{attach, "{'device':'eth0','mode':'generic','confirm_ms':0}"},
		{buy, "{'name':'a','method':'m','json':{'x':[1]},'sign':false}"},
		{try, "{'changes':{'a':'1','b':'2'},'since':9}"},
		{hit, HIT("1.5", ",'mime':'','about':" SNIPPET)},
		{reply, "{'since_s':1,'drops':[" DROP "," DROP "]}"},
		{&api_reload_in_type, "{}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = json_of(rows[i].json), *written;
		struct varlink_blocks blocks = {0};
		char field[VARLINK_FIELD_CAP];
		const void *made;

		CHECK_EQ(varlink_parse(rows[i].type, json, &blocks, &made, field), 0);
		written = varlink_write(rows[i].type, made);
		CHECK(json_equal(json, written));
		json_decref(written);
		varlink_blocks_free(&blocks);
		json_decref(json);
	}
}

static void test_what_is_missing_is_not_written(void)
{
	json_t *json = api_attach_xdp_in_write(&(struct api_attach_xdp_in){.device = "eth0"});

	CHECK_EQ(json_object_size(json), 1);
	json_decref(json);
	/* A text that is needed is there, even when its memory was not. */
	json = api_attach_xdp_in_write(&(struct api_attach_xdp_in){0});
	CHECK_STR(json_string_value(json_object_get(json, "device")), "");
	json_decref(json);
}

static void test_a_text_that_is_no_utf_8_is_written_all_the_same(void)
{
	json_t *json = api_attach_xdp_in_write(&(struct api_attach_xdp_in){.device = "a\xff\x62"});

	CHECK_STR(json_string_value(json_object_get(json, "device")), "a?b");
	json_decref(json);
}

static void test_a_long_path_is_cut_at_its_end(void)
{
	char long_name[VARLINK_FIELD_CAP + 10], field[VARLINK_FIELD_CAP];
	json_t *json = json_object(), *changes = json_object();

	memset(long_name, 'x', sizeof(long_name));
	long_name[VARLINK_FIELD_CAP - 1] = '\0';
	json_object_set_new(json, long_name, json_null());
	CHECK(!varlink_check(&api_reload_in_type, json, field));
	CHECK_STR(field, long_name);
	long_name[VARLINK_FIELD_CAP - 1] = 'x';
	long_name[VARLINK_FIELD_CAP] = '\0';
	json_object_clear(json);
	json_object_set_new(json, long_name, json_null());
	CHECK(!varlink_check(&api_reload_in_type, json, field));
	CHECK_EQ(strlen(field), VARLINK_FIELD_CAP - 1);
	/* The outer names stay. */
	json_object_clear(json);
	json_object_set_new(changes, long_name, json_integer(1));
	json_object_set_new(json, "changes", changes);
	CHECK(!varlink_check(try, json, field));
	CHECK_EQ(strlen(field), VARLINK_FIELD_CAP - 1);
	CHECK(strncmp(field, "changes.xxx", strlen("changes.xxx")) == 0);
	json_decref(json);
}

static void test_lists_grow_as_rows_come(void)
{
	struct api_list_drops_out out = {.since_s = 4};
	struct varlink_blocks blocks = {0};
	json_t *json;

	for (unsigned i = 0; i < 1000; i++)
		varlink_push(
			&blocks, &out.drops,
			{.reason = varlink_format(&blocks, "r%u", i), .text = "t", .packets = i});
	CHECK_EQ(out.drops.cnt, 1000);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(out.drops.rows[i].packets, i);
	CHECK_STR(out.drops.rows[999].reason, "r999");
	json = api_list_drops_out_write(&out);
	CHECK_EQ(json_array_size(json_object_get(json, "drops")), 1000);
	json_decref(json);
	varlink_blocks_free(&blocks);
	CHECK(blocks.first == NULL);
}

static void test_an_optional_field_is_there_by_its_condition(void)
{
	for (int64_t rtt_us = 0; rtt_us < 2; rtt_us++) {
		const struct api_ping ping = {.node_id = "n",
					      API_IF(rtt_us, rtt_us > 0, 9 / rtt_us)};
		json_t *json = api_ping_write(&ping);

		CHECK_EQ(json_integer_value(json_object_get(json, "rtt_us")), 9 * rtt_us);
		CHECK_EQ(json_object_get(json, "rtt_us") != NULL, rtt_us > 0);
		json_decref(json);
	}
}

static void test_a_reply_of_another_version_is_read_and_a_wrong_one_names_its_field(void)
{
	const struct {
		const char *json;
		const char *field; /* NULL: it is read */
	} rows[] = {
		{"{'since_s':5,'drops':[" DROP "],'new':1}", NULL},
		{"{'drops':[{'reason':'r'}]}", NULL},
		{"{'since_s':5}", NULL},
		{"{'since_s':'5','drops':[]}", "since_s"},
		{"{'since_s':5,'drops':[1]}", "drops[0]"},
		{"{'since_s':5,'drops':[" DROP ",{'reason':1}]}", "drops[1].reason"},
		{"[]", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = json_of(rows[i].json);
		char field[VARLINK_FIELD_CAP] = "?";
		struct varlink_blocks blocks = {0};
		const struct api_list_drops_out *out = varlink_read(reply, json, &blocks, field);

		CHECK_EQ(out != NULL, rows[i].field == NULL);
		CHECK_STR(field, rows[i].field ? rows[i].field : "");
		if (out && out->drops.cnt)
			CHECK_STR(out->drops.rows[0].reason, "r");
		if (out && out->drops.cnt && out->drops.rows[0].packets == 0)
			CHECK_STR(out->drops.rows[0].text, "");
		varlink_blocks_free(&blocks);
		json_decref(json);
	}
}

static void test_a_part_is_found_by_its_type(void)
{
	const struct api_dht_outcome outcome = {.asked = 3};
	const struct api_get_dht_item_out got = {.outcome = &outcome};
	const struct api_put_dht_item_out put = {.outcome = outcome};

	CHECK(varlink_part(&api_get_dht_item_out_type, &api_dht_outcome_type, &got) == &outcome);
	CHECK(varlink_part(&api_put_dht_item_out_type, &api_dht_outcome_type, &put) ==
	      &put.outcome);
	CHECK(!varlink_part(&api_get_dht_item_out_type, &api_dht_step_type, &got));
	CHECK(!varlink_part(&api_get_dht_item_out_type, &api_peer_type, &got));
}

static void test_lost_memory_is_noted_and_nothing_is_half_read(void)
{
	json_t *json = json_of(HIT("2", ",'about':" SNIPPET));
	struct varlink_blocks blocks = {0};
	char field[VARLINK_FIELD_CAP];
	const void *made = NULL;

	(void)json_heap_swap_lost(false);
	fail_alloc_arm(1, 1);
	CHECK_EQ(varlink_parse(hit, json, &blocks, &made, field), -ENOMEM);
	CHECK(fail_alloc_disarm());
	CHECK(made == NULL);
	CHECK(json_heap_swap_lost(false));
	varlink_blocks_free(&blocks);
	json_decref(json);
}

static void test_a_lost_text_is_written_without_memory(void)
{
	bool has_failed = true;

	json_heap_begin();
	for (unsigned n = 1; has_failed; n++) {
		json_t *json;

		(void)json_heap_swap_lost(false);
		fail_alloc_arm(n, 40);
		json = api_attach_xdp_in_write(&(struct api_attach_xdp_in){0});
		has_failed = fail_alloc_disarm();
		CHECK_EQ(json_heap_swap_lost(false), has_failed);
		json_decref(json);
	}
}

int main(void)
{
	RUN(test_each_wrong_field_is_named);
	RUN(test_every_kind_of_field_is_read);
	RUN(test_what_was_read_is_written_as_it_was);
	RUN(test_what_is_missing_is_not_written);
	RUN(test_a_text_that_is_no_utf_8_is_written_all_the_same);
	RUN(test_a_long_path_is_cut_at_its_end);
	RUN(test_lists_grow_as_rows_come);
	RUN(test_an_optional_field_is_there_by_its_condition);
	RUN(test_a_reply_of_another_version_is_read_and_a_wrong_one_names_its_field);
	RUN(test_a_part_is_found_by_its_type);
	RUN(test_lost_memory_is_noted_and_nothing_is_half_read);
	RUN(test_a_lost_text_is_written_without_memory);
	return check_done();
}
