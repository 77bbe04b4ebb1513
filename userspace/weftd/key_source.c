/* SPDX-License-Identifier: Apache-2.0 */
/* Where the node's key comes from. Start-up only. */
#include "weftd/key_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "crypto/node_key.h"
#include "config/config.h"
#include "tcp/tcp_proxy.h"

/* credential_path: false when the service manager gave no credential of that name. */
static bool credential_path(const char *name, char path[static CONFIG_PATH_CAP])
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir && *dir == '/' &&
	       snprintf(path, CONFIG_PATH_CAP, "%s/%s", dir, name) < CONFIG_PATH_CAP &&
	       access(path, F_OK) == 0;
}

/*
 * secret_read reads the first line of the file at configured, else of the credential; "" where there
 * is neither. what names it in message.
 */
static int secret_read(const char *configured, const char *credential, const char *what,
		       char secret[static KEY_SOURCE_PASSPHRASE_CAP],
		       char message[static KEY_SOURCE_MESSAGE_CAP])
{
	char path[CONFIG_PATH_CAP];
	FILE *file;
	int err = 0;

	secret[0] = '\0';
	snprintf(path, sizeof(path), "%s", configured);
	if (!*path && !credential_path(credential, path))
		return 0;
	file = fopen(path, "re");
	if (!file) {
		err = -errno;
		snprintf(message, KEY_SOURCE_MESSAGE_CAP, "%s file %s: %s", what, path,
			 strerror(-err));
		return err;
	}
	/* Unbuffered: the secret stays in no other buffer. */
	setvbuf(file, NULL, _IONBF, 0);
	if (!fgets(secret, KEY_SOURCE_PASSPHRASE_CAP, file))
		secret[0] = '\0';
	fclose(file);
	secret[strcspn(secret, "\r\n")] = '\0';
	if (!*secret) {
		snprintf(message, KEY_SOURCE_MESSAGE_CAP, "%s file %s: its first line is empty",
			 what, path);
		return WEFT_EMALFORMED;
	}
	return 0;
}

int weftd_key_source_passphrase(const struct node_config *config,
				char passphrase[static KEY_SOURCE_PASSPHRASE_CAP],
				char message[static KEY_SOURCE_MESSAGE_CAP])
{
	return secret_read(config->passphrase_file, "node.passphrase", "passphrase", passphrase,
			   message);
}

int weftd_key_source_proxy_user(const struct node_config *config,
				char user[static KEY_SOURCE_PASSPHRASE_CAP],
				char message[static KEY_SOURCE_MESSAGE_CAP])
{
	char field[TCP_PROXY_FIELD_CAP];
	int err =
		secret_read(config->proxy_user_file, "tcp.proxy_user", "proxy user", user, message);

	if (err < 0 || !*user)
		return err;
	err = tcp_proxy_field_write(user, field);
	explicit_bzero(field, sizeof(field));
	if (err < 0)
		snprintf(message, KEY_SOURCE_MESSAGE_CAP,
			 "proxy user file: its first line is not USER:PASSWORD of at most %d "
			 "bytes",
			 TCP_PROXY_USER_MAX);
	return err;
}

static int load_or_make(const char *path, const char *passphrase, struct node_key **out_key)
{
	struct node_key *key;
	int err = node_key_load(path, passphrase, out_key);

	if (err != WEFT_EABSENT)
		return err;
	err = node_key_generate(&key);
	if (err < 0)
		return err;
	err = node_key_save(key, path, passphrase);
	node_key_free(key);
	/* As every later start has it; and what cannot be read back is better known now. */
	return err < 0 ? err : node_key_load(path, passphrase, out_key);
}

/*
 * state_key_load: two daemons started at once on one new folder must not
 * each make a key, so the folder is locked meanwhile.
 */
static int state_key_load(const char *state_dir, const char *path, const char *passphrase,
			  struct node_key **out_key)
{
	int fd, err = folder_make_parents(state_dir, 0700);

	if (err == 0 && mkdir(state_dir, 0700) < 0 && errno != EEXIST)
		err = -errno;
	if (err < 0)
		return err;
	fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX) < 0 ? -errno : load_or_make(path, passphrase, out_key);
	close(fd);
	return err;
}

static const char *key_error_text(int err)
{
	switch (err) {
	case WEFT_EABSENT:
		return "there is no such file";
	case WEFT_EMALFORMED:
		return "not a key file of weft";
	case WEFT_EREFUSED:
		return "others may read it; it must be the daemon's own, with mode 0600";
	case WEFT_EDAMAGED:
		return "wrong passphrase, or the file was altered";
	case WEFT_EUNKNOWN:
		return "it is sealed; name the passphrase with --passphrase-file";
	default:
		return weft_err_text(err);
	}
}

int weftd_key_source_load(const struct node_config *config, struct node_key **out_key,
			  char message[static KEY_SOURCE_MESSAGE_CAP])
{
	char path[CONFIG_PATH_CAP + 16], passphrase[KEY_SOURCE_PASSPHRASE_CAP];
	const char *sealing;
	int err = weftd_key_source_passphrase(config, passphrase, message);

	if (err < 0)
		return err;
	sealing = *passphrase ? passphrase : NULL;
	snprintf(path, sizeof(path), "%s", config->key_file);
	if (*path || credential_path("node.key", path)) {
		err = node_key_load(path, sealing, out_key);
	} else {
		snprintf(path, sizeof(path), "%s/node.key", config->state_dir);
		err = state_key_load(config->state_dir, path, sealing, out_key);
	}
	explicit_bzero(passphrase, sizeof(passphrase));
	if (err < 0)
		snprintf(message, KEY_SOURCE_MESSAGE_CAP, "node key %s: %s", path,
			 key_error_text(err));
	return err;
}
