/* SPDX-License-Identifier: Apache-2.0 */
#include "service/directory/service_id.h"

#include "service/service.h"
#include "support/check.h"
#include "support/hex_digits.h"

static void test_names(void)
{
	static const struct {
		const char *name;
		bool is_valid;
	} rows[] = {
		{"a", true},	{"pod-chat", true},   {"a.b-c.9", true}, {"0", true},
		{"", false},	{"-a", false},	      {"a-", false},	 {".a", false},
		{"a.", false},	{"Pod", false},	      {"a b", false},	 {"a/b", false},
		{"a_b", false}, {"h\xc3\xa4", false}, {"a:b", false},	 {"a\n", false},
		{"a@1", false},
	};
	char longest[SERVICE_NAME_LEN_MAX + 1];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (service_name_is_valid(rows[i].name, strlen(rows[i].name)) != rows[i].is_valid)
			printf("# \"%s\"\n", rows[i].name);
		CHECK_EQ(service_name_is_valid(rows[i].name, strlen(rows[i].name)),
			 rows[i].is_valid);
	}
	memset(longest, 'a', sizeof(longest));
	CHECK(service_name_is_valid(longest, SERVICE_NAME_LEN_MAX));
	CHECK(!service_name_is_valid(longest, SERVICE_NAME_LEN_MAX + 1));
	CHECK(!service_name_is_valid("a\0b", 3));
}

/* printf %s 'svc:pod-chat:peer:xyz' | sha256sum */
static void test_id_is_the_hash_of_name_and_owner(void)
{
	uint8_t want[SERVICE_ID_LEN], got[SERVICE_ID_LEN];

	hex_parse("d947c11f5962d1caecde9fc2e4e1fc54f0ac23fae43e86efe5f6ada5af0c94f1", want);
	service_id_of_peer("pod-chat", "peer:xyz", got);
	CHECK_MEM(got, want, sizeof(want));
	service_id_of_peer("pod-chas", "peer:xyz", got);
	CHECK(memcmp(got, want, sizeof(want)) != 0);
}

/* printf %s 'svc:echo:peer:' and the text of the first key of tests/vectors/keys.json | sha256sum */
static void test_owner_is_written_in_z_base_32(void)
{
	uint8_t key[32], want[SERVICE_ID_LEN], got[SERVICE_ID_LEN];

	hex_parse("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", key);
	service_id_of("echo", key, got);
	service_id_of_peer("echo", "peer:47pjoycnsrfmxikm95jh13y88e8qnhzu5kungjpxyepgt7a8krpy",
			   want);
	CHECK_MEM(got, want, sizeof(want));
}

int main(void)
{
	RUN(test_names);
	RUN(test_id_is_the_hash_of_name_and_owner);
	RUN(test_owner_is_written_in_z_base_32);
	return check_done();
}
