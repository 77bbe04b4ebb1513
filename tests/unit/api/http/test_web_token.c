/* SPDX-License-Identifier: Apache-2.0 */
#include "api/http/web_token.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "support/check.h"
#include "support/scratch.h"

static char dir[SCRATCH_CAP], path[SCRATCH_CAP + 16];
static char token[GATEWAY_TOKEN_CAP];
static struct random seeded;

static void start(void)
{
	scratch_make(dir);
	scratch_path(path, sizeof(path), dir, "token");
	random_init_seeded(&seeded, 7);
	memset(token, 0, sizeof(token));
}

static int load(bool may_make)
{
	return api_http_token_load(path, may_make, &seeded, token);
}

static int load_text(const char *text, mode_t mode)
{
	scratch_write(path, text, strlen(text));
	if (chmod(path, mode) < 0)
		abort();
	return load(false);
}

static void test_it_is_made_once_and_readable_by_its_owner_alone(void)
{
	char again[GATEWAY_TOKEN_CAP];
	struct stat st;

	start();
	CHECK_EQ(load(false), WEFT_EABSENT);
	CHECK_EQ(load(true), 0);
	CHECK_EQ(strlen(token), 64);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	memcpy(again, token, sizeof(again));
	CHECK_EQ(load(true), 0);
	CHECK_STR(token, again);
	scratch_remove(dir);
}

static void test_what_is_no_token_is_refused(void)
{
	static char text[200];

	start();
	memset(text, 't', sizeof(text) - 1);
	text[31] = '\0';
	CHECK_EQ(load_text(text, 0600), WEFT_EMALFORMED);
	text[31] = 't';
	text[32] = '\n';
	CHECK_EQ(load_text(text, 0600), 0);
	CHECK_EQ(strlen(token), 32);
	text[32] = 't';
	text[128] = '\0';
	CHECK_EQ(load_text(text, 0600), 0);
	CHECK_EQ(strlen(token), 128);
	text[128] = 't';
	CHECK_EQ(load_text(text, 0600), WEFT_EMALFORMED);
	text[5] = ' ';
	text[64] = '\0';
	CHECK_EQ(load_text(text, 0600), WEFT_EMALFORMED);
	CHECK_EQ(load_text("", 0600), WEFT_EMALFORMED);
	scratch_remove(dir);
}

static void test_one_that_others_read_is_refused(void)
{
	static const char text[] = "0123456789abcdefghijklmnopqrstuv\n";

	start();
	CHECK_EQ(load_text(text, 0640), WEFT_EREFUSED);
	CHECK_EQ(load_text(text, 0604), WEFT_EREFUSED);
	CHECK_EQ(load_text(text, 0400), 0);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_it_is_made_once_and_readable_by_its_owner_alone);
	RUN(test_what_is_no_token_is_refused);
	RUN(test_one_that_others_read_is_refused);
	return check_done();
}
