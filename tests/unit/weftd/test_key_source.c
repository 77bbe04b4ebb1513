/* SPDX-License-Identifier: Apache-2.0 */
#include "weftd/key_source.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/node_key.h"
#include "config/config.h"
#include "support/check.h"
#include "support/scratch.h"

static char dir[SCRATCH_CAP];
static char message[KEY_SOURCE_MESSAGE_CAP];
static struct node_config config;

static void begin(void)
{
	scratch_make(dir);
	memset(&config, 0, sizeof(config));
	snprintf(config.state_dir, sizeof(config.state_dir), "%s/new/state", dir);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* load_public: the key's public half, or the error. */
static int load_public(uint8_t out_public[static NODE_KEY_LEN])
{
	struct node_key *key;
	int err = weftd_key_source_load(&config, &key, message);

	if (err < 0)
		return err;
	memcpy(out_public, node_key_public(key), NODE_KEY_LEN);
	node_key_free(key);
	return 0;
}

static void test_the_first_start_makes_the_key_that_later_ones_load(void)
{
	uint8_t first[NODE_KEY_LEN], second[NODE_KEY_LEN];
	char path[CONFIG_PATH_CAP + 16];
	struct stat st;

	begin();
	CHECK_EQ(load_public(first), 0);
	snprintf(path, sizeof(path), "%s/node.key", config.state_dir);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(stat(config.state_dir, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0700);
	CHECK_EQ(load_public(second), 0);
	CHECK_MEM(second, first, NODE_KEY_LEN);
	scratch_remove(dir);
}

static void test_a_named_key_file_must_be_there(void)
{
	uint8_t public[NODE_KEY_LEN];

	begin();
	snprintf(config.key_file, sizeof(config.key_file), "%s/other.key", dir);
	CHECK_EQ(load_public(public), WEFT_EABSENT);
	CHECK(strstr(message, "other.key: there is no such file"));
	scratch_remove(dir);
}

static void test_a_key_that_others_may_read_is_refused(void)
{
	uint8_t public[NODE_KEY_LEN];
	char path[CONFIG_PATH_CAP + 16];

	begin();
	CHECK_EQ(load_public(public), 0);
	snprintf(path, sizeof(path), "%s/node.key", config.state_dir);
	CHECK_EQ(chmod(path, 0640), 0);
	CHECK_EQ(load_public(public), WEFT_EREFUSED);
	CHECK(strstr(message, "mode 0600"));
	scratch_remove(dir);
}

static void test_credentials_come_before_the_state_folder(void)
{
	uint8_t of_state[NODE_KEY_LEN], of_credential[NODE_KEY_LEN];
	char path[CONFIG_PATH_CAP + 16];
	struct node_key *key;
	struct stat st;

	begin();
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, scratch_path(path, sizeof(path), dir, "node.key"), NULL), 0);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	CHECK_EQ(load_public(of_credential), 0);
	CHECK_MEM(of_credential, node_key_public(key), NODE_KEY_LEN);
	CHECK(stat(config.state_dir, &st) < 0);
	node_key_free(key);
	unsetenv("CREDENTIALS_DIRECTORY");
	CHECK_EQ(load_public(of_state), 0);
	CHECK(memcmp(of_state, of_credential, NODE_KEY_LEN) != 0);
	scratch_remove(dir);
}

static void test_a_passphrase_seals_and_is_needed_again(void)
{
	uint8_t first[NODE_KEY_LEN], second[NODE_KEY_LEN];
	char path[SCRATCH_CAP + 16];

	begin();
	scratch_write(scratch_path(path, sizeof(path), dir, "phrase"), "open sesame\nnot this\n",
		      21);
	snprintf(config.passphrase_file, sizeof(config.passphrase_file), "%s", path);
	CHECK_EQ(load_public(first), 0);
	CHECK_EQ(load_public(second), 0);
	CHECK_MEM(second, first, NODE_KEY_LEN);
	config.passphrase_file[0] = '\0';
	CHECK_EQ(load_public(second), WEFT_EUNKNOWN);
	CHECK(strstr(message, "sealed"));
	scratch_write(path, "wrong\n", 6);
	snprintf(config.passphrase_file, sizeof(config.passphrase_file), "%s", path);
	CHECK_EQ(load_public(second), WEFT_EDAMAGED);
	CHECK(strstr(message, "wrong passphrase"));
	scratch_write(path, "\n", 1);
	CHECK_EQ(load_public(second), WEFT_EMALFORMED);
	scratch_remove(dir);
}

static void test_a_proxy_user_is_read_and_judged(void)
{
	char path[SCRATCH_CAP + 16], user[KEY_SOURCE_PASSPHRASE_CAP];

	begin();
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), 0);
	CHECK_STR(user, "");
	scratch_write(scratch_path(path, sizeof(path), dir, "user"), "mole:of hills\nmore\n", 19);
	snprintf(config.proxy_user_file, sizeof(config.proxy_user_file), "%s", path);
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), 0);
	CHECK_STR(user, "mole:of hills");
	scratch_write(path, "secret\n", 7);
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), WEFT_EMALFORMED);
	CHECK(strstr(message, "USER:PASSWORD") && !strstr(message, "secret"));
	scratch_write(path, "\n", 1);
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), WEFT_EMALFORMED);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), -ENOENT);
	CHECK(strstr(message, path));
	config.proxy_user_file[0] = '\0';
	scratch_write(scratch_path(path, sizeof(path), dir, "tcp.proxy_user"), "a:b", 3);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	CHECK_EQ(weftd_key_source_proxy_user(&config, user, message), 0);
	CHECK_STR(user, "a:b");
	unsetenv("CREDENTIALS_DIRECTORY");
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_the_first_start_makes_the_key_that_later_ones_load);
	RUN(test_a_named_key_file_must_be_there);
	RUN(test_a_key_that_others_may_read_is_refused);
	RUN(test_credentials_come_before_the_state_folder);
	RUN(test_a_proxy_user_is_read_and_judged);
	RUN(test_a_passphrase_seals_and_is_needed_again);
	return check_done();
}
