/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/grant_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "crypto/node_key.h"
#include "machine/passphrase.h"

int grant_file_name(const char *path, const char *suffix, char name[static PATH_MAX])
{
	int len = snprintf(name, PATH_MAX, "%s.%s", path, suffix);

	return len > 0 && len < PATH_MAX
		       ? STATUS_OK
		       : client_say_error(STATUS_USAGE, path, "the name is too long", NULL);
}

static int folder_sync(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	int fd, err;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static bool has_passphrase(const struct invocation *inv)
{
	return invocation_option(inv, "passphrase-file") || invocation_option(inv, "passphrase-fd");
}

/* A link fails where the name is taken, so two runs at once make one key. */
static int key_save(const struct node_key *key, const char *path, const char *passphrase)
{
	char made[PATH_MAX], suffix[32];
	int err;

	snprintf(suffix, sizeof(suffix), "new-%d", (int)getpid());
	if (grant_file_name(path, suffix, made) != STATUS_OK)
		return -ENAMETOOLONG;
	err = node_key_save(key, made, passphrase);
	if (err == 0 && link(made, path) < 0)
		err = -errno;
	(void)unlink(made);
	return err < 0 ? err : folder_sync(path);
}

int grant_file_key_new(const struct invocation *inv, const char *path, struct node_key **out_key)
{
	char passphrase[PASSPHRASE_CAP] = "";
	bool is_sealed = has_passphrase(inv);
	struct node_key *key = NULL;
	struct stat st;
	int err, status = STATUS_OK;

	if (lstat(path, &st) == 0)
		return client_say_error(STATUS_REFUSED, path, "there is a file of that name",
					"a key is never overwritten; name another file");
	if (is_sealed)
		status = passphrase_ask(inv, true, passphrase);
	if (status != STATUS_OK)
		return status;
	err = node_key_generate(&key);
	if (err == 0)
		err = key_save(key, path, is_sealed ? passphrase : NULL);
	explicit_bzero(passphrase, sizeof(passphrase));
	if (err == 0) {
		*out_key = key;
		return STATUS_OK;
	}
	node_key_free(key);
	return client_say_error(err == -EEXIST ? STATUS_REFUSED : STATUS_FAILED, path,
				err > -1000 ? strerror(-err) : "the key was not written", NULL);
}

static const char *load_fault(int err)
{
	switch (err) {
	case WEFT_EABSENT:
		return "there is no such file";
	case WEFT_EREFUSED:
		return "others may read the key; its mode has to be 0600, and you its owner";
	case WEFT_EDAMAGED:
		return "the passphrase is wrong, or the key was changed";
	case WEFT_EMALFORMED:
		return "it has no key";
	default:
		return err > -1000 ? strerror(-err) : "the key cannot be read";
	}
}

int grant_file_key_load(const struct invocation *inv, const char *path, struct node_key **out_key)
{
	char passphrase[PASSPHRASE_CAP];
	int err = node_key_load(path, NULL, out_key);

	if (err == WEFT_EUNKNOWN) {
		int status = passphrase_ask(inv, false, passphrase);

		if (status != STATUS_OK)
			return status;
		err = node_key_load(path, passphrase, out_key);
		explicit_bzero(passphrase, sizeof(passphrase));
	}
	if (err == 0)
		return STATUS_OK;
	return client_say_error(err == WEFT_EABSENT    ? STATUS_NOT_FOUND
				: err == WEFT_EREFUSED ? STATUS_REFUSED
						       : STATUS_FAILED,
				path, load_fault(err), NULL);
}

int grant_file_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* The end of the process gives it back. */
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return client_say_error(STATUS_FAILED, path, strerror(errno), NULL);
	return STATUS_OK;
}

int grant_file_read(const struct invocation *inv, const char *path, char **out_text)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	char *text = NULL;
	size_t len = 0;

	*out_text = NULL;
	if (!file && errno == ENOENT)
		return STATUS_OK;
	if (!file || fstat(fileno(file), &st) < 0 || !S_ISREG(st.st_mode))
		goto say;
	if (st.st_size <= GRANT_FILE_LEN_MAX)
		text = varlink_alloc(inv->blocks, (size_t)st.st_size + 1);
	if (text)
		len = fread(text, 1, (size_t)st.st_size, file);
	if (!text || ferror(file))
		goto say;
	fclose(file);
	if (strlen(text) != len)
		return client_say_error(STATUS_FAILED, path, "it is no text", NULL);
	*out_text = text;
	return STATUS_OK;
say:
	if (file)
		fclose(file);
	return client_say_error(STATUS_FAILED, path, "it cannot be read, or is too long", NULL);
}

int grant_file_replace(const char *path, const char *before, const char *line)
{
	char made[PATH_MAX];
	int err, fd;
	FILE *file;

	if (grant_file_name(path, "new", made) != STATUS_OK)
		return STATUS_USAGE;
	(void)unlink(made);
	fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		err = errno;
		if (fd >= 0)
			close(fd);
		return client_say_error(STATUS_FAILED, made, strerror(err), NULL);
	}
	fprintf(file, "%s%s\n", before ? before : "", line);
	err = fflush(file) || fsync(fd) < 0 ? errno : 0;
	if (fclose(file) && !err)
		err = errno;
	if (!err && rename(made, path) < 0)
		err = errno;
	if (!err && folder_sync(path) < 0)
		err = EIO;
	if (!err)
		return STATUS_OK;
	(void)unlink(made);
	return client_say_error(STATUS_FAILED, path, strerror(err), NULL);
}
