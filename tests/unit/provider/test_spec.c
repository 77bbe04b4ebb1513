/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "provider/spec.h"

static struct provider_spec exec_spec(void)
{
	return (struct provider_spec){
		.name = "box", .version = "1.2.3", .kind = PROVIDER_EXEC, .target = "/bin/cat"};
}

static struct provider_spec http_spec(void)
{
	return (struct provider_spec){.name = "web",
				      .version = "1.2.3",
				      .kind = PROVIDER_HTTP,
				      .target = "127.0.0.1:8080",
				      .health_path = "/health"};
}

static size_t spec_to_record(const struct provider_spec *spec, uint8_t record[SPEC_RECORD_CAP])
{
	struct writer w = writer_of(record, SPEC_RECORD_CAP);

	provider_spec_write(&w, spec);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_record_is_read_as_written_and_no_prefix_of_it(void)
{
	static struct spec spec, again;
	uint8_t record[SPEC_RECORD_CAP], other[SPEC_RECORD_CAP];
	struct provider_spec view = http_spec();
	size_t len;

	view.metadata = (const struct service_metadata[]){{"bb", "2"}, {"a", ""}, {"ba", "\u00e9"}};
	view.metadata_cnt = 3;
	view.allow = (const uint8_t[2][MESH_KEY_LEN]){{1}, {2}};
	view.allow_cnt = 2;
	view.description = "{\"methods\":[]}";
	view.body_len_max = 1 << 30;
	len = spec_to_record(&view, record);
	CHECK(len > 0);
	CHECK_EQ(provider_spec_parse(record, len, &spec), 0);
	CHECK_STR(spec.view.name, "web");
	CHECK_STR(spec.view.health_path, "/health");
	CHECK_STR(spec.view.description, "{\"methods\":[]}");
	CHECK_EQ(spec.view.body_len_max, 1 << 30);
	CHECK_EQ(spec.view.metadata_cnt, 3);
	CHECK_EQ(spec.view.allow[1][0], 2);
	CHECK_EQ(spec_to_record(&spec.view, other), len);
	CHECK_MEM(other, record, len);
	for (size_t part = 0; part < len; part++)
		CHECK_EQ(provider_spec_parse(record, part, &again), WEFT_EMALFORMED);
}

static void test_a_bound_of_bodies_is_of_http_and_costs_an_entry_of_metadata(void)
{
	static const struct service_metadata metadata[9] = {{"a", ""}, {"b", ""}, {"c", ""},
							    {"d", ""}, {"e", ""}, {"f", ""},
							    {"g", ""}, {"h", ""}, {"i", ""}};
	struct provider_spec view = http_spec(), program = exec_spec();
	const char *why;

	view.metadata = metadata;
	view.metadata_cnt = 9;
	CHECK_EQ(provider_spec_check(&view, &why), 0);
	view.body_len_max = PROVIDER_BODY_LEN_MAX;
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK_STR(why, "too many entries of metadata");
	view.metadata_cnt = 8;
	CHECK_EQ(provider_spec_check(&view, &why), 0);
	view.body_len_max++;
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	program.body_len_max = 1;
	CHECK_EQ(provider_spec_check(&program, &why), WEFT_EMALFORMED);
}

static void test_the_greatest_spec_fits_its_record(void)
{
	static char name[SERVICE_NAME_LEN_MAX + 1], target[PROVIDER_TARGET_LEN_MAX + 1],
		arg[PROVIDER_ARGS_LEN_MAX / PROVIDER_ARGS_MAX],
		value[PROVIDER_METADATA_LEN_MAX + 1];
	static uint8_t allow[PROVIDER_ALLOW_MAX][MESH_KEY_LEN];
	static struct service_metadata metadata[PROVIDER_METADATA_MAX];
	static char keys[PROVIDER_METADATA_MAX][2];
	const char *args[PROVIDER_ARGS_MAX];
	uint8_t record[SPEC_RECORD_CAP];
	static char method[PROVIDER_READ_ONLY_MAX][SERVICE_METHOD_LEN_MAX + 1];
	static char group[SERVICE_GROUP_LEN_MAX + 2], description[SERVICE_DESCRIPTION_LEN_MAX + 2];
	struct service_grant grants[PROVIDER_GRANT_MAX + 1];
	const char *methods[PROVIDER_READ_ONLY_MAX];
	static struct spec spec;
	struct provider_spec view = exec_spec();
	const char *why;
	size_t len;

	memset(name, 'n', sizeof(name) - 1);
	memset(target, '/', sizeof(target) - 1);
	memset(arg, 'a', sizeof(arg) - 1);
	memset(value, 'v', PROVIDER_METADATA_LEN_MAX - PROVIDER_METADATA_MAX);
	for (unsigned i = 0; i < PROVIDER_ARGS_MAX; i++)
		args[i] = arg;
	for (unsigned i = 0; i < PROVIDER_METADATA_MAX; i++) {
		keys[i][0] = (char)('a' + i);
		metadata[i] = (struct service_metadata){keys[i], i ? "" : value};
	}
	view.name = name;
	view.version = "999999999.999999999.999999999";
	view.target = target;
	view.args = args;
	view.args_cnt = PROVIDER_ARGS_MAX;
	view.metadata = metadata;
	view.metadata_cnt = PROVIDER_METADATA_MAX;
	view.allow = (const uint8_t(*)[MESH_KEY_LEN])allow;
	view.allow_cnt = PROVIDER_ALLOW_MAX;
	view.calls_per_min = view.payload_len_max = view.concurrency_max = UINT32_MAX;
	view.timeout_ns = view.memory_len_max = UINT64_MAX;
	view.user = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	for (unsigned i = 0; i < PROVIDER_READ_ONLY_MAX; i++) {
		memset(method[i], 'A' + (int)i, SERVICE_METHOD_LEN_MAX);
		methods[i] = method[i];
	}
	view.read_only = methods;
	view.read_only_cnt = PROVIDER_READ_ONLY_MAX;
	memset(group, 'g', SERVICE_GROUP_LEN_MAX);
	for (unsigned i = 0; i < PROVIDER_GRANT_MAX; i++)
		grants[i] = (struct service_grant){
			.method = method[i], .kind = SERVICE_GRANT_GROUP, .group = group};
	view.grants = grants;
	view.grant_cnt = PROVIDER_GRANT_MAX;
	memset(description, 'd', SERVICE_DESCRIPTION_LEN_MAX);
	view.description = description;
	CHECK_EQ(provider_spec_check(&view, &why), 0);
	len = spec_to_record(&view, record);
	CHECK(len > 0);
	CHECK_EQ(provider_spec_parse(record, len, &spec), 0);
	CHECK_EQ(spec.view.args_cnt, PROVIDER_ARGS_MAX);
	CHECK_EQ(spec.view.read_only_cnt, PROVIDER_READ_ONLY_MAX);
	CHECK_STR(spec.view.read_only[31], method[31]);
	CHECK_EQ(spec.view.grant_cnt, PROVIDER_GRANT_MAX);
	CHECK_STR(spec.view.grants[31].method, method[31]);
	CHECK_STR(spec.view.grants[31].group, group);
	CHECK_STR(spec.view.description, description);
	/* A byte more of each. */
	description[SERVICE_DESCRIPTION_LEN_MAX] = 'd';
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "description"));
	view.description = NULL;
	group[SERVICE_GROUP_LEN_MAX] = 'g';
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "group"));
	group[SERVICE_GROUP_LEN_MAX] = '\0';
	view.grant_cnt++;
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "32 rules"));
	view.grant_cnt = 0;
	value[PROVIDER_METADATA_LEN_MAX - PROVIDER_METADATA_MAX] = 'v';
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "metadata"));
	view.metadata_cnt = 0;
	view.read_only_cnt++;
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "32 read-only methods"));
	view.read_only_cnt = 0;
	view.allow_cnt++;
	CHECK_EQ(provider_spec_check(&view, &why), WEFT_EMALFORMED);
	CHECK(strstr(why, "callers"));
}

static void test_the_rules_of_a_spec(void)
{
	static char long_name[SERVICE_NAME_LEN_MAX + 2], long_path[PROVIDER_TARGET_LEN_MAX + 2],
		long_arg[PROVIDER_ARGS_LEN_MAX + 1], long_health[PROVIDER_PATH_LEN_MAX + 2];
	static const char *const an_arg[] = {long_arg};
	static const char *const arg_of_no_text[] = {"\xff"};
	static const struct service_metadata kind[] = {{"kind", "http"}};
	static const char *const methods[] = {"List", "Get"}, *const longer[] = {long_name, ""};
	static const struct service_metadata twice[] = {{"a", "1"}, {"a", "2"}};
	static const struct service_metadata empty[] = {{"", "1"}};
	static const struct service_metadata many[PROVIDER_METADATA_MAX] = {
		{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""},
		{"f", ""}, {"g", ""}, {"h", ""}, {"i", ""}, {"j", ""}};
	const struct {
		const char *why; /* NULL: it is taken */
		struct provider_spec spec;
	} rows[] = {
#define ROW(told, kind_, target_, ...)                                                             \
	{                                                                                          \
		told,                                                                              \
		{                                                                                  \
			.kind = kind_, .target = target_, __VA_ARGS__                              \
		}                                                                                  \
	}
		ROW(NULL, PROVIDER_HTTP, "127.0.0.1:80", .version = "1.0.0"),
		ROW(NULL, PROVIDER_HTTP, "[::1]:80", .version = "1.0.0"),
		ROW(NULL, PROVIDER_HTTP, "unix:/run/x", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "localhost:80", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "127.0.0.1", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "127.0.0.1:0", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "0.0.0.0:80", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "unix:run", .version = "1.0.0"),
		ROW("address and port", PROVIDER_HTTP, "http://127.0.0.1:80", .version = "1.0.0"),
		ROW("target", PROVIDER_HTTP, "", .version = "1.0.0"),
		ROW("absolute", PROVIDER_SOCKET, "run/x", .version = "1.0.0"),
		ROW("absolute", PROVIDER_EXEC, "cat", .version = "1.0.0"),
		ROW("target", PROVIDER_EXEC, long_path, .version = "1.0.0"),
		ROW("name", PROVIDER_EXEC, "/x", .name = ""),
		ROW("name", PROVIDER_EXEC, "/x", .name = long_name),
		ROW("version", PROVIDER_EXEC, "/x", .version = "1.0"),
		ROW("version", PROVIDER_EXEC, "/x", .version = ""),
		ROW("arguments", PROVIDER_HTTP, "127.0.0.1:80", .args = an_arg, .args_cnt = 1),
		ROW("arguments", PROVIDER_EXEC, "/x", .args = an_arg, .args_cnt = 1),
		ROW("arguments", PROVIDER_EXEC, "/x", .args_cnt = PROVIDER_ARGS_MAX + 1),
		ROW("UTF-8", PROVIDER_EXEC, "/x", .args = arg_of_no_text, .args_cnt = 1),
		ROW("health", PROVIDER_EXEC, "/x", .health_path = "/"),
		ROW("health", PROVIDER_HTTP, "127.0.0.1:80", .health_path = "x"),
		ROW("health", PROVIDER_HTTP, "127.0.0.1:80", .health_path = long_health),
		ROW("health", PROVIDER_HTTP, "127.0.0.1:80", .health_path = "/ HTTP/1.1\r\nx: y"),
		ROW("memory", PROVIDER_SOCKET, "/x", .memory_len_max = 1),
		ROW("user", PROVIDER_SOCKET, "/x", .user = "nobody"),
		ROW("unconfined", PROVIDER_HTTP, "127.0.0.1:80", .is_unconfined = true),
		ROW("no name of a user", PROVIDER_EXEC, "/x", .user = ""),
		ROW("no name of a user", PROVIDER_EXEC, "/x", .user = "a:b"),
		ROW("no name of a user", PROVIDER_EXEC, "/x",
		    .user = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
		ROW("kind", PROVIDER_EXEC, "/x", .metadata = kind, .metadata_cnt = 1),
		ROW("twice", PROVIDER_EXEC, "/x", .metadata = twice, .metadata_cnt = 2),
		ROW("key", PROVIDER_EXEC, "/x", .metadata = empty, .metadata_cnt = 1),
		ROW(NULL, PROVIDER_EXEC, "/x", .metadata = many, .metadata_cnt = 10),
		ROW(NULL, PROVIDER_HTTP, "127.0.0.1:80", .metadata = many, .metadata_cnt = 9),
		ROW("entries", PROVIDER_HTTP, "127.0.0.1:80", .metadata = many, .metadata_cnt = 10),
		ROW("entries", PROVIDER_EXEC, "/x", .metadata = many, .metadata_cnt = 11),
		ROW(NULL, PROVIDER_SOCKET, "/x", .read_only = methods, .read_only_cnt = 2),
		ROW("too long", PROVIDER_EXEC, "/x", .read_only = longer, .read_only_cnt = 1),
		ROW("empty", PROVIDER_EXEC, "/x", .read_only = longer + 1, .read_only_cnt = 1),
		ROW("HTTP", PROVIDER_HTTP, "127.0.0.1:80", .read_only = methods,
		    .read_only_cnt = 1),
#undef ROW
	};

	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(long_path, '/', sizeof(long_path) - 1);
	memset(long_arg, 'a', sizeof(long_arg) - 1);
	memset(long_health, '/', sizeof(long_health) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct provider_spec spec = rows[i].spec;
		const char *why = "";
		int err;

		spec.name = spec.name ? spec.name : "n";
		spec.version = spec.version ? spec.version : "1.0.0";
		err = provider_spec_check(&spec, &why);
		if ((err == 0) != !rows[i].why || (rows[i].why && !strstr(why, rows[i].why)))
			printf("# row %zu: \"%s\", want \"%s\"\n", i, why,
			       rows[i].why ? rows[i].why : "");
		CHECK_EQ(err, rows[i].why ? WEFT_EMALFORMED : 0);
		CHECK(!rows[i].why || strstr(why, rows[i].why));
	}
}

static void test_a_daemon_that_knows_no_grants_takes_no_record_with_some(void)
{
	static struct spec spec;
	const struct service_grant grants[] = {
		{.method = "Write", .kind = SERVICE_GRANT_NODE, .id = {7}, .group = ""},
		{.method = "", .kind = SERVICE_GRANT_COMMUNITY, .id = {8}, .group = ""},
	};
	uint8_t record[SPEC_RECORD_CAP];
	struct provider_spec view = exec_spec();
	size_t len = spec_to_record(&view, record);

	CHECK_MEM(record + 1, "\0\1", 2);
	view.grants = grants;
	view.grant_cnt = 2;
	len = spec_to_record(&view, record);
	CHECK_MEM(record + 1, "\0\2", 2);
	CHECK_EQ(provider_spec_parse(record, len, &spec), 0);
	CHECK_STR(spec.view.grants[0].method, "Write");
	CHECK_EQ(spec.view.grants[0].id[0], 7);
	CHECK_EQ(spec.view.grants[1].kind, SERVICE_GRANT_COMMUNITY);
	for (size_t part = 0; part < len; part++)
		CHECK_EQ(provider_spec_parse(record, part, &spec), WEFT_EMALFORMED);
	record[2] = 1;
	CHECK_EQ(provider_spec_parse(record, len, &spec), WEFT_EMALFORMED);
}

static struct provider_spec socket_spec(void)
{
	return (struct provider_spec){
		.name = "box", .version = "1.2.3", .kind = PROVIDER_SOCKET, .target = "/run/x"};
}

static void test_capabilities_are_kept_and_no_older_daemon_takes_the_record(void)
{
	static const char tag[] = "a234567890123456", name[] = "a2345678901234567890123456789012";
	static char tags_of[PROVIDER_TAG_MAX][20], names_of[PROVIDER_COUNTER_MAX][40];
	const char *tags[PROVIDER_TAG_MAX], *counters[PROVIDER_COUNTER_MAX];
	uint8_t record[SPEC_RECORD_CAP], other[SPEC_RECORD_CAP];
	struct provider_spec view = socket_spec();
	static struct spec spec, again;
	const char *why;
	size_t len;

	for (unsigned i = 0; i < PROVIDER_TAG_MAX; i++) {
		tags[i] = strcpy(tags_of[i], tag);
		tags_of[i][0] = (char)('a' + i);
	}
	for (unsigned i = 0; i < PROVIDER_COUNTER_MAX; i++) {
		counters[i] = strcpy(names_of[i], name);
		names_of[i][0] = (char)('a' + i);
	}
	view.capabilities = (struct provider_capabilities){.uid = UINT32_MAX,
							   .row_cnt_max = PROVIDER_ROWS_MAX,
							   .row_len_max = PROVIDER_ROWS_LEN_MAX,
							   .value_tags = tags,
							   .value_tag_cnt = PROVIDER_TAG_MAX,
							   .counters = counters,
							   .counter_cnt = PROVIDER_COUNTER_MAX};
	CHECK_EQ(provider_spec_check(&view, &why), 0);
	len = spec_to_record(&view, record);
	CHECK(len > 0);
	CHECK_MEM(record + 1, "\0\3", 2);
	CHECK_EQ(provider_spec_parse(record, len, &spec), 0);
	CHECK_EQ(spec.view.capabilities.uid, UINT32_MAX);
	CHECK_EQ(spec.view.capabilities.row_cnt_max, PROVIDER_ROWS_MAX);
	CHECK_EQ(spec.view.capabilities.row_len_max, PROVIDER_ROWS_LEN_MAX);
	CHECK_STR(spec.view.capabilities.value_tags[7], tags[7]);
	CHECK_STR(spec.view.capabilities.counters[15], counters[15]);
	CHECK_EQ(spec_to_record(&spec.view, other), len);
	CHECK_MEM(other, record, len);
	for (size_t part = 0; part < len; part++)
		CHECK_EQ(provider_spec_parse(record, part, &again), WEFT_EMALFORMED);
	record[2] = 2;
	CHECK_EQ(provider_spec_parse(record, len, &again), WEFT_EMALFORMED);
}

static void test_the_rules_of_capabilities(void)
{
	static const char *const twice[] = {"a", "a"}, *const odd[] = {"A"}, *const empty[] = {""};
	static const char *const long_tag[] = {"a2345678901234567"};
	static const char *const long_name[] = {"a23456789012345678901234567890123"};
	static const struct {
		const char *why; /* NULL: it is taken */
		enum provider_kind kind;
		struct provider_capabilities capabilities;
	} rows[] = {
		{NULL, PROVIDER_HTTP, {.counters = twice, .counter_cnt = 1}},
		{NULL, PROVIDER_EXEC, {.uid = 7}},
		{"control socket", PROVIDER_EXEC, {.counters = twice, .counter_cnt = 1}},
		{"bound", PROVIDER_SOCKET, {.row_cnt_max = 1}},
		{"bound", PROVIDER_SOCKET, {.row_len_max = 1}},
		{NULL, PROVIDER_SOCKET, {.row_cnt_max = 1, .row_len_max = 1}},
		{"more rows",
		 PROVIDER_SOCKET,
		 {.row_cnt_max = PROVIDER_ROWS_MAX + 1, .row_len_max = 1}},
		{"more rows",
		 PROVIDER_SOCKET,
		 {.row_cnt_max = 1, .row_len_max = PROVIDER_ROWS_LEN_MAX + 1}},
		{"twice", PROVIDER_SOCKET, {.counters = twice, .counter_cnt = 2}},
		{"twice", PROVIDER_SOCKET, {.value_tags = twice, .value_tag_cnt = 2}},
		{"tag", PROVIDER_SOCKET, {.value_tags = odd, .value_tag_cnt = 1}},
		{"tag", PROVIDER_SOCKET, {.value_tags = empty, .value_tag_cnt = 1}},
		{"tag", PROVIDER_SOCKET, {.value_tags = long_tag, .value_tag_cnt = 1}},
		{"more than 8", PROVIDER_SOCKET, {.value_tag_cnt = PROVIDER_TAG_MAX + 1}},
		{"counter", PROVIDER_SOCKET, {.counters = odd, .counter_cnt = 1}},
		{"counter", PROVIDER_SOCKET, {.counters = long_name, .counter_cnt = 1}},
		{"more than 16", PROVIDER_SOCKET, {.counter_cnt = PROVIDER_COUNTER_MAX + 1}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct provider_spec spec = socket_spec();
		const char *why = "";

		spec.kind = rows[i].kind;
		spec.target = spec.kind == PROVIDER_HTTP ? "127.0.0.1:80" : "/run/x";
		spec.capabilities = rows[i].capabilities;
		CHECK_EQ(provider_spec_check(&spec, &why), rows[i].why ? WEFT_EMALFORMED : 0);
		CHECK(!rows[i].why || strstr(why, rows[i].why));
	}
}

static void test_records_of_other_versions(void)
{
	static struct spec spec;

	CHECK_EQ(provider_spec_parse((const uint8_t *)"\xa1\0\4", 3, &spec), WEFT_EUNKNOWN);
	CHECK_EQ(provider_spec_parse((const uint8_t *)"\xa1\0\3", 3, &spec), WEFT_EMALFORMED);
	CHECK_EQ(provider_spec_parse((const uint8_t *)"\xa1\0\2", 3, &spec), WEFT_EMALFORMED);
	CHECK_EQ(provider_spec_parse((const uint8_t *)"\xa1\0\0", 3, &spec), WEFT_EMALFORMED);
	CHECK_EQ(provider_spec_parse((const uint8_t *)"\xa0", 1, &spec), WEFT_EMALFORMED);
	CHECK_EQ(provider_spec_parse((const uint8_t *)"", 0, &spec), WEFT_EMALFORMED);
}

static void test_keys_in_the_store_are_of_name_and_major_version(void)
{
	char key[SPEC_KEY_CAP];
	struct provider_spec view = exec_spec();

	CHECK_EQ(provider_spec_key_write(key, "box", provider_spec_major(&view)), 5);
	CHECK_STR(key, "box@1");
}

static void test_kinds_have_names(void)
{
	enum provider_kind kind;

	for (unsigned i = 0; i < PROVIDER_KIND_CNT; i++) {
		CHECK(provider_kind_parse(provider_kind_name((enum provider_kind)i), &kind));
		CHECK_EQ(kind, i);
	}
	CHECK(!provider_kind_parse("builtin", &kind));
}

int main(void)
{
	RUN(test_a_record_is_read_as_written_and_no_prefix_of_it);
	RUN(test_a_bound_of_bodies_is_of_http_and_costs_an_entry_of_metadata);
	RUN(test_the_greatest_spec_fits_its_record);
	RUN(test_the_rules_of_a_spec);
	RUN(test_a_daemon_that_knows_no_grants_takes_no_record_with_some);
	RUN(test_capabilities_are_kept_and_no_older_daemon_takes_the_record);
	RUN(test_the_rules_of_capabilities);
	RUN(test_records_of_other_versions);
	RUN(test_keys_in_the_store_are_of_name_and_major_version);
	RUN(test_kinds_have_names);
	return check_done();
}
