/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between weftd and its launcher, which lives with more privilege than weftd. */
#include "provider/exec/launch_message.h"

#include <string.h>

#include "support/check.h"

static uint8_t data[LAUNCH_MESSAGE_LEN_MAX];

static const struct launch_message messages[] = {
	{.kind = LAUNCH_SETUP,
	 .setup = {.program_cap = 96, .hidden_cnt = 2, .hidden = {"/var/lib/weft", "/run/weft"}}},
	{.kind = LAUNCH_READY,
	 .ready = {.can_change_user = true, .has_cgroup = true, .hide_err = 1}},
	{.kind = LAUNCH_START,
	 .start = {.id = 0x0102030405060708,
		   .flags = LAUNCH_UNCONFINED,
		   .uid = 1000,
		   .gid = 1001,
		   .memory_len_max = 1ull << 40,
		   .cpu_s_max = 30,
		   .life_ms = 60000,
		   .argv_cnt = 2,
		   .envp_cnt = 1,
		   .argv = {"/usr/bin/true", ""},
		   .envp = {"WEFT_METHOD=Do"}}},
	{.kind = LAUNCH_KILL, .end = {.id = 7}},
	{.kind = LAUNCH_FAILED, .end = {.id = 8, .step = LAUNCH_STEP_EXEC, .err = 13}},
	{.kind = LAUNCH_ENDED, .end = {.id = 9, .code = 256 + 9}},
};
#define MESSAGE_CNT (sizeof(messages) / sizeof(messages[0]))

static void test_what_is_written_reads_the_same(void)
{
	for (unsigned i = 0; i < MESSAGE_CNT; i++) {
		static uint8_t again[LAUNCH_MESSAGE_LEN_MAX];
		struct launch_message got;
		int len = provider_launch_write(&messages[i], data);

		CHECK(len > 0);
		CHECK_EQ(provider_launch_parse(data, (size_t)len, &got), 0);
		CHECK_EQ(got.kind, messages[i].kind);
		CHECK_EQ(provider_launch_write(&got, again), len);
		CHECK_MEM(again, data, (size_t)len);
	}
	CHECK_EQ(provider_launch_write(&messages[2], data), 76);
}

static void test_every_prefix_is_refused(void)
{
	for (unsigned i = 0; i < MESSAGE_CNT; i++) {
		int len = provider_launch_write(&messages[i], data);
		struct launch_message got = {.kind = LAUNCH_KILL, .end = {.id = 42}};

		for (int cut = 0; cut < len; cut++) {
			/* Of its own length, so that a read past the end is seen. */
			uint8_t *copy = malloc((size_t)cut + (cut == 0));

			memcpy(copy, data, (size_t)cut);
			CHECK_EQ(provider_launch_parse(copy, (size_t)cut, &got), WEFT_EMALFORMED);
			free(copy);
		}
		CHECK_EQ(got.end.id, 42);
		data[len] = 0;
		CHECK_EQ(provider_launch_parse(data, (size_t)len + 1, &got), WEFT_EMALFORMED);
	}
}

static void test_what_no_weftd_says_is_refused(void)
{
	static const struct {
		const char *why;
		unsigned message, at;
		int byte;
		unsigned cnt; /* of them */
	} rows[] = {
		{"another version", 0, 0, 2, 1},
		{"no kind", 0, 1, 0, 1},
		{"kind after the last", 0, 1, LAUNCH_ENDED + 1, 1},
		{"more hidden paths than there may be", 0, 6, LAUNCH_HIDDEN_MAX + 1, 1},
		{"a path without its end", 0, 22, 'x', 1},
		{"a path that ends early", 0, 12, 0, 1},
		{"an unknown flag", 2, 13, 4, 1},
		{"a user of ours with a group of another", 2, 14, 0xff, 4},
		{"no program", 2, 38, 0, 1},
		{"more arguments than there may be", 2, 38, LAUNCH_ARGS_MAX + 1, 1},
		{"a step after the last", 4, 10, LAUNCH_STEP_CNT, 1},
		{"a failure without an error", 4, 14, 0, 1},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int len = provider_launch_write(&messages[rows[i].message], data);
		struct launch_message got;

		memset(data + rows[i].at, rows[i].byte, rows[i].cnt);
		CHECK_EQ(provider_launch_parse(data, (size_t)len, &got), WEFT_EMALFORMED);
		if (provider_launch_parse(data, (size_t)len, &got) == 0)
			printf("# %s\n", rows[i].why);
	}
}

static void test_texts_beyond_a_message_are_not_written(void)
{
	static char text[LAUNCH_MESSAGE_LEN_MAX];
	struct launch_message message = messages[2];
	size_t room = sizeof(data) - (size_t)provider_launch_write(&message, data);

	/* The second argument is empty: room bytes more fill the message. */
	memset(text, 'x', room);
	text[room] = 0;
	message.start.argv[1] = text;
	CHECK_EQ(provider_launch_write(&message, data), LAUNCH_MESSAGE_LEN_MAX);
	text[room] = 'x';
	CHECK_EQ(provider_launch_write(&message, data), WEFT_ETOOLARGE);
}

int main(void)
{
	RUN(test_what_is_written_reads_the_same);
	RUN(test_every_prefix_is_refused);
	RUN(test_what_no_weftd_says_is_refused);
	RUN(test_texts_beyond_a_message_are_not_written);
	return check_done();
}
