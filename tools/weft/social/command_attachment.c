/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft post save: an attachment becomes a file. It is written beside its place, and gets its name when
 * it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/text/base64.h"
#include "command/command_path.h"
#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/progress.h"
#include "print/text.h"

#define PART_END ".weft-part"

struct saving {
	struct invocation *inv;
	char path[PATH_MAX], part_path[PATH_MAX];
	bool is_folder;
	int fd;
	uint64_t done, size;
	struct progress progress;
};

static int save_fail(const char *path, int err)
{
	bool is_there = err == EEXIST;

	return client_say_error(STATUS_FAILED, path, strerror(err),
				is_there ? "give another path, or --force to replace the file"
					 : "see that the folder is there and can be written");
}

/* A folder gets the name that the author gave; one without a name is called by its number. */
static int place_open(struct saving *saving, const struct api_read_attachment_out *first)
{
	const char *name = first->name ? first->name : "attachment";
	size_t len = strlen(saving->path);
	int more;

	if (saving->is_folder) {
		more = snprintf(saving->path + len, sizeof(saving->path) - len, "/%s", name);
		if (more < 0 || (size_t)more >= sizeof(saving->path) - len)
			return save_fail(name, ENAMETOOLONG);
	}
	more = snprintf(saving->part_path, sizeof(saving->part_path), "%s" PART_END, saving->path);
	if (more < 0 || (size_t)more >= sizeof(saving->part_path))
		return save_fail(saving->path, ENAMETOOLONG);
	if (!invocation_option(saving->inv, "force") && access(saving->path, F_OK) == 0)
		return save_fail(saving->path, EEXIST);
	saving->fd = open(saving->part_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			  0666);
	return saving->fd < 0 ? save_fail(saving->part_path, errno) : STATUS_OK;
}

static int bytes_write(struct saving *saving, const char *text)
{
	size_t text_len = strlen(text), len = 0;
	uint8_t *bytes = malloc(text_len + 1);
	bool is_read = bytes && base64_read(text, text_len, bytes, text_len, &len) == 0;
	size_t at = 0;

	while (is_read && at < len) {
		ssize_t put = write(saving->fd, bytes + at, len - at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			break;
		at += (size_t)put;
	}
	free(bytes);
	saving->done += at;
	if (!is_read)
		return save_fail(saving->path, bytes ? EBADMSG : ENOMEM);
	return at < len ? save_fail(saving->part_path, errno) : STATUS_OK;
}

static int part_ask(struct saving *saving, const struct api_read_attachment_out **out)
{
	const struct api_read_attachment_in in = {.post = saving->inv->args[0],
						  .index = atoi(saving->inv->args[1]),
						  .offset = (int64_t)saving->done};
	struct client_call call = {.request = api_read_attachment_request(&in)};
	int status = client_call(saving->inv, &call);

	if (status == STATUS_OK)
		*out = call.last.out;
	return status;
}

/* Parts come until the size that the first one says is there. */
static int parts_read(struct saving *saving)
{
	const struct api_read_attachment_out *part;
	int status = part_ask(saving, &part);

	if (status != STATUS_OK || (status = place_open(saving, part)) != STATUS_OK)
		return status;
	saving->size = (uint64_t)part->size;
	while ((status = bytes_write(saving, part->base64)) == STATUS_OK &&
	       saving->done < saving->size) {
		const struct progress_state state = {
			.verb = "saving", .done = saving->done, .cnt = saving->size};

		if (!*part->base64)
			return save_fail(saving->path, EBADMSG);
		progress_show(&saving->progress, &state);
		if ((status = part_ask(saving, &part)) != STATUS_OK)
			return status;
	}
	return status;
}

static int file_name(struct saving *saving)
{
	unsigned flags = invocation_option(saving->inv, "force") ? 0 : RENAME_NOREPLACE;
	int err = fsync(saving->fd) < 0 ? errno : 0;

	if (err == 0 && renameat2(AT_FDCWD, saving->part_path, AT_FDCWD, saving->path, flags) < 0)
		err = errno;
	/* A file system that cannot refuse to replace: what stood there was looked for before. */
	if (err == EINVAL && rename(saving->part_path, saving->path) == 0)
		err = 0;
	return err ? save_fail(saving->path, err) : STATUS_OK;
}

int run_post_save(struct invocation *inv)
{
	struct saving saving = {.inv = inv, .fd = -1};
	char *end;
	struct stat st;
	int status;

	if (strtol(inv->args[1], &end, 10) < 0 || *end || end == inv->args[1])
		return client_say_error(STATUS_USAGE, inv->args[1], "it is no number",
					"weft post show lists attachments, from 0 on");
	if (!path_absolute(inv->args[2], saving.path))
		return save_fail(inv->args[2], ENAMETOOLONG);
	saving.is_folder = stat(saving.path, &st) == 0 && S_ISDIR(st.st_mode);
	progress_init(&saving.progress, inv->has_terminal_err);
	status = parts_read(&saving);
	progress_clear(&saving.progress);
	if (status == STATUS_OK)
		status = file_name(&saving);
	if (saving.fd >= 0) {
		close(saving.fd);
		if (status != STATUS_OK)
			(void)unlink(saving.part_path);
	}
	if (status == STATUS_OK && inv->is_json)
		text_print_json(json_pack("{s:s, s:I}", "path", saving.path, "size",
					  (json_int_t)saving.size));
	else if (status == STATUS_OK)
		printf("%s\n", saving.path);
	return status;
}
