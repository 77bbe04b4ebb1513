/* SPDX-License-Identifier: Apache-2.0 */
/* What services say of themselves: read from owners and unknown peers, and answered by the router. */
#include "service/directory/description.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/directory/read_only.h"
#include "support/check.h"
#include "support/service_rig.h"

static const char sound[] = "{\"about\":\"tea\",\"methods\":[{\"name\":\"Brew\",\"about\":\"makes "
			    "it\",\"stream\":false,"
			    "\"takes\":[{\"name\":\"leaf\",\"type\":\"?string\",\"about\":\"\"}],"
			    "\"gives\":[],\"example\":{\"leaf\":\"green\"}}]}";

static int load(const char *text, const char **out_why)
{
	json_t *json;
	int err = service_description_load(text, strlen(text), &json, out_why);

	if (err == 0)
		json_decref(json);
	return err;
}

static void test_a_sound_description_is_read_as_it_was_written(void)
{
	json_t *read, *wanted = json_loads(sound, 0, NULL);
	const char *why;

	CHECK_EQ(service_description_load(sound, strlen(sound), &read, &why), 0);
	CHECK(json_equal(read, wanted));
	json_decref(read);
	json_decref(wanted);
}

static void test_topics_are_read_and_a_service_without_any_has_none(void)
{
	static const char with[] = "{\"methods\":[],\"topics\":[{\"name\":\"orders/eu\",\"about\":"
				   "\"new ones\",\"gives\":[{\"name\":\"id\",\"type\":\"int\"}]}]}";
	static const char envelope[] = "{\"name\":\"shop\",\"version\":\"1.0.0\",\"read_only\":[],"
				       "\"description\":%s}";
	static const struct {
		const char *text;
		size_t cnt;
	} rows[] = {{with, 1}, {"{\"methods\":[]}", 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512];
		json_t *json;
		const char *why;
		int len = snprintf(text, sizeof(text), envelope, rows[i].text);

		CHECK_EQ(service_described_load(text, (size_t)len, &json, &why), 0);
		CHECK(json_is_array(json_object_get(json, "topics")));
		CHECK_EQ(json_array_size(json_object_get(json, "topics")), rows[i].cnt);
		json_decref(json);
	}
}

static void test_a_65th_topic_is_one_too_many(void)
{
	char text[4096];
	const char *why;

	for (unsigned cnt = 64; cnt <= 65; cnt++) {
		int len = snprintf(text, sizeof(text), "{\"methods\":[],\"topics\":[");

		for (unsigned i = 0; i < cnt; i++)
			len += snprintf(text + len, sizeof(text) - (size_t)len,
					"%s{\"name\":\"t%u\"}", i ? "," : "", i);
		snprintf(text + len, sizeof(text) - (size_t)len, "]}");
		CHECK_EQ(load(text, &why), cnt == 64 ? 0 : WEFT_EMALFORMED);
	}
	CHECK_STR(why, "more than 64 topics");
}

static void test_every_cut_of_a_description_is_refused(void)
{
	for (size_t len = 0; len < sizeof(sound) - 1; len++) {
		char *cut = malloc(len + 1);
		json_t *json;
		const char *why;

		memcpy(cut, sound, len);
		CHECK_EQ(service_description_load(cut, len, &json, &why), WEFT_EMALFORMED);
		CHECK_EQ(service_described_load(cut, len, &json, &why), WEFT_EMALFORMED);
		free(cut);
	}
}

static void test_what_is_no_description_is_refused_with_the_reason(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"[]", "no JSON object"},
		{"{}", "there is no list of \"methods\""},
		{"{\"methods\":[],\"topics\":{}}", "\"topics\" is no list"},
		{"{\"methods\":[],\"topics\":[{\"name\":\"a b\"}]}",
		 "a topic has no name of 1 to 96 letters, digits and . _ : / -"},
		{"{\"methods\":[],\"topics\":[7]}",
		 "a topic has no name of 1 to 96 letters, digits and . _ : / -"},
		{"{\"methods\":{}}", "there is no list of \"methods\""},
		{"{\"methods\":[{}]}", NULL},
		{"{\"methods\":[7]}", NULL},
		{"{\"methods\":[{\"name\":\"\"}]}", NULL},
		{"{\"methods\":[{\"name\":\"two words\"}]}", NULL},
		{"{\"methods\":[{\"name\":\"$describe\"}]}", NULL},
		{"{\"methods\":[{\"name\":\"A\"},{\"name\":\"A\"}]}", "a method is there twice"},
		{"{\"methods\":[{\"name\":\"A\",\"stream\":1}]}", NULL},
		{"{\"methods\":[{\"name\":\"A\",\"read_only\":1}]}", NULL},
		{"{\"methods\":[{\"name\":\"A\",\"example\":[]}]}", "an example is no JSON object"},
		{"{\"methods\":[{\"name\":\"A\",\"takes\":{}}]}", NULL},
		{"{\"methods\":[{\"name\":\"A\",\"takes\":[{\"name\":\"f\"}]}]}", NULL},
		{"{\"methods\":[{\"name\":\"A\",\"takes\":[{\"type\":\"int\"}]}]}", NULL},
		{"{\"about\":\"\\u001b[2J\",\"methods\":[]}", NULL},
		{"{\"about\":\"a\\nb\",\"methods\":[]}", NULL},
		{"{\"about\":\"a\\u0000b\",\"methods\":[]}", NULL},
		{"{\"methods\":[],\"methods\":[]}", "no JSON object"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = "";

		CHECK_EQ(load(rows[i].text, &why), WEFT_EMALFORMED);
		CHECK(*why && (!rows[i].why || strcmp(why, rows[i].why) == 0));
	}
}

/* methods_json: cnt methods, of which the first takes field_cnt fields. */
static char *methods_json(unsigned cnt, unsigned field_cnt)
{
	json_t *methods = json_array(), *root = json_pack("{s:o}", "methods", methods);
	char name[16], *text;

	for (unsigned i = 0; i < cnt; i++) {
		json_t *fields = json_array();

		for (unsigned j = 0; i == 0 && j < field_cnt; j++) {
			snprintf(name, sizeof(name), "f%u", j);
			json_array_append_new(fields,
					      json_pack("{s:s, s:s}", "name", name, "type", "int"));
		}
		snprintf(name, sizeof(name), "M%u", i);
		json_array_append_new(methods,
				      json_pack("{s:s, s:o}", "name", name, "takes", fields));
	}
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

static void check_bound(char *text, int wanted)
{
	const char *why;

	CHECK_EQ(load(text, &why), wanted);
	free(text);
}

/* about_json: an about of len bytes, padded behind to text_len bytes. */
static char *about_json(size_t len, size_t text_len)
{
	char *text = malloc(text_len + len + 64);
	size_t at;

	snprintf(text, 64, "{\"methods\":[],\"about\":\"");
	at = strlen(text);
	memset(text + at, 'a', len);
	strcpy(text + at + len, "\"}");
	at = strlen(text);
	for (; at < text_len; at++)
		text[at] = ' ';
	text[at] = '\0';
	return text;
}

static void test_each_bound_is_exceeded_by_one(void)
{
	check_bound(methods_json(64, 0), 0);
	check_bound(methods_json(65, 0), WEFT_EMALFORMED);
	check_bound(methods_json(1, 32), 0);
	check_bound(methods_json(1, 33), WEFT_EMALFORMED);
	check_bound(about_json(500, 0), 0);
	check_bound(about_json(501, 0), WEFT_EMALFORMED);
	check_bound(about_json(1, SERVICE_DESCRIPTION_LEN_MAX), 0);
	check_bound(about_json(1, SERVICE_DESCRIPTION_LEN_MAX + 1), WEFT_EMALFORMED);
}

static void test_fields_of_a_later_version_are_left_out(void)
{
	static const char later[] = "{\"methods\":[{\"name\":\"A\",\"cost\":7}],\"seen\":[1]}";
	json_t *read;
	const char *why;

	CHECK_EQ(service_description_load(later, strlen(later), &read, &why), 0);
	CHECK(!json_object_get(read, "seen"));
	CHECK(!json_object_get(json_array_get(json_object_get(read, "methods"), 0), "cost"));
	json_decref(read);
}

/* ---- asked of a provider ---- */

/* ask: what node B answers A of its service; *out_json is NULL when it refused. */
static enum service_status ask(struct srig *rig, const char *name, json_t **out_json)
{
	struct service_target target = {
		.name = name, .provider = rig->nodes[SRIG_B].key, .method = SERVICE_DESCRIBE};
	struct srig_ask asked;
	enum service_status status;
	const char *why;

	*out_json = NULL;
	if (srig_call_with(rig, &asked, SRIG_A, &target, NULL, 0, NULL, 0) < 0)
		return SERVICE_STATUS_CNT;
	srig_run(rig, 2 * PAIR_S);
	status = asked.cnt == 1 ? asked.answer.status : SERVICE_STATUS_CNT;
	if (status == SERVICE_OK &&
	    service_described_load((char *)asked.payload, asked.answer.len, out_json, &why) < 0)
		status = SERVICE_STATUS_CNT;
	srig_ask_fini(&asked);
	return status;
}

static bool is_read_only(const json_t *described, const char *name)
{
	const json_t *methods = json_object_get(described, "methods");

	for (size_t i = 0; i < json_array_size(methods); i++) {
		const json_t *method = json_array_get(methods, i);

		if (strcmp(json_string_value(json_object_get(method, "name")), name) == 0)
			return json_is_true(json_object_get(method, "read_only"));
	}
	return false;
}

static void test_a_peer_receives_the_description_of_the_owner(void)
{
	static const char *const read_only[] = {"Brew", "Smell\"\\"};
	const struct service_offering offering = {.name = "tea",
						  .version = "1.2.3",
						  .read_only = read_only,
						  .read_only_cnt = 2,
						  .description = sound,
						  .needs_signature = true};
	struct srig_provider provider = {.mode = SRIG_ECHO};
	struct srig rig;
	json_t *described;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer_with(&rig, &provider, SRIG_B, &offering));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "tea", 1), SERVICE_UNAUTHORIZED);
	CHECK_EQ(ask(&rig, "tea", &described), SERVICE_OK);
	CHECK_STR(json_string_value(json_object_get(described, "version")), "1.2.3");
	CHECK_STR(json_string_value(json_object_get(described, "about")), "tea");
	CHECK(json_is_true(json_object_get(described, "needs_signature")));
	CHECK_EQ(json_array_size(json_object_get(described, "methods")), 2);
	CHECK(is_read_only(described, "Brew") && is_read_only(described, "Smell\"\\"));
	CHECK_EQ(provider.call_cnt, 0); /* its program hears nothing of it */
	json_decref(described);
	srig_fini(&rig);
}

static void test_a_service_without_a_description_lists_its_read_only_methods(void)
{
	static const char *const all[] = {SERVICE_READ_ONLY_ALL}, *const one[] = {"Look"};
	struct service_offering offering = {
		.name = "bare", .version = "1.0.0", .read_only = one, .read_only_cnt = 1};
	struct srig_provider provider = {.mode = SRIG_ECHO}, second = {.mode = SRIG_ECHO};
	struct srig rig;
	json_t *described;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer_with(&rig, &provider, SRIG_B, &offering));
	offering.name = "free";
	offering.read_only = all;
	CHECK(srig_offer_with(&rig, &second, SRIG_B, &offering));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "bare", 1), SERVICE_OK);
	CHECK_EQ(ask(&rig, "bare", &described), SERVICE_OK);
	CHECK(is_read_only(described, "Look"));
	json_decref(described);
	CHECK_EQ(ask(&rig, "free", &described), SERVICE_OK);
	CHECK_EQ(json_array_size(json_object_get(described, "methods")), 0);
	json_decref(described);
	srig_fini(&rig);
}

static void test_a_caller_without_methods_learns_nothing(void)
{
	static const uint8_t other[1][MESH_KEY_LEN] = {{7}};
	struct service_grant grant = {.method = "Brew", .group = ""};
	struct service_offering offering = {
		.name = "tea", .version = "1.0.0", .allow = other, .allow_cnt = 1};
	struct srig_provider provider = {.mode = SRIG_ECHO};
	struct srig rig;
	json_t *described;

	srig_init(&rig, 2, NULL);
	CHECK(srig_offer_with(&rig, &provider, SRIG_B, &offering));
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "tea", 1), SERVICE_FORBIDDEN);
	CHECK_EQ(ask(&rig, "tea", &described), SERVICE_FORBIDDEN);
	memcpy(grant.id, rig.nodes[SRIG_A].key, MESH_KEY_LEN);
	offering.grants = &grant;
	offering.grant_cnt = 1;
	CHECK_EQ(service_set_access(provider.offer, &offering), 0);
	CHECK_EQ(ask(&rig, "tea", &described), SERVICE_OK);
	json_decref(described);
	srig_fini(&rig);
}

static void test_an_offer_with_too_long_a_description_is_refused(void)
{
	char *text = about_json(1, SERVICE_DESCRIPTION_LEN_MAX + 1);
	struct service_offering offering = {.name = "tea", .version = "1.0.0", .description = text};
	struct srig_provider provider = {.mode = SRIG_ECHO};
	struct srig rig;

	srig_init(&rig, 1, NULL);
	CHECK(!srig_offer_with(&rig, &provider, SRIG_A, &offering));
	text[SERVICE_DESCRIPTION_LEN_MAX] = '\0';
	CHECK(srig_offer_with(&rig, &provider, SRIG_A, &offering));
	free(text);
	srig_fini(&rig);
}

int main(void)
{
	RUN(test_a_sound_description_is_read_as_it_was_written);
	RUN(test_topics_are_read_and_a_service_without_any_has_none);
	RUN(test_a_65th_topic_is_one_too_many);
	RUN(test_every_cut_of_a_description_is_refused);
	RUN(test_what_is_no_description_is_refused_with_the_reason);
	RUN(test_each_bound_is_exceeded_by_one);
	RUN(test_fields_of_a_later_version_are_left_out);
	RUN(test_a_peer_receives_the_description_of_the_owner);
	RUN(test_a_service_without_a_description_lists_its_read_only_methods);
	RUN(test_a_caller_without_methods_learns_nothing);
	RUN(test_an_offer_with_too_long_a_description_is_refused);
	return check_done();
}
