/* SPDX-License-Identifier: Apache-2.0 */
#include "web_token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/text/hex.h"

#define SECRET_LEN 32

static int token_make(const char *path, struct random *random)
{
	uint8_t secret[SECRET_LEN];
	char text[2 * SECRET_LEN + 2];
	ssize_t n;
	int err = 0, fd;

	random_fill(random, secret, sizeof(secret));
	hex_write(secret, sizeof(secret), text);
	memcpy(text + 2 * SECRET_LEN, "\n", 2);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, text, 2 * SECRET_LEN + 1);
	if (n != 2 * SECRET_LEN + 1)
		err = n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && err == 0)
		err = -errno;
	if (err < 0)
		(void)unlink(path);
	return err;
}

static int token_read(int fd, char out_token[static GATEWAY_TOKEN_CAP])
{
	char text[GATEWAY_TOKEN_CAP + 1] = "";
	ssize_t n = read(fd, text, sizeof(text) - 1);
	struct stat st;
	size_t len;

	if (n < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_mode & 0077)
		return WEFT_EREFUSED;
	len = strcspn(text, "\r\n");
	if (len < GATEWAY_TOKEN_LEN_MIN || len >= GATEWAY_TOKEN_CAP)
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return WEFT_EMALFORMED;
	memset(out_token, 0, GATEWAY_TOKEN_CAP);
	memcpy(out_token, text, len);
	return 0;
}

int api_http_token_load(const char *path, bool may_make, struct random *random,
			char out_token[static GATEWAY_TOKEN_CAP])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err;

	if (fd < 0 && errno == ENOENT && may_make) {
		err = token_make(path, random);
		if (err < 0)
			return err;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return errno == ENOENT ? WEFT_EABSENT : -errno;
	err = token_read(fd, out_token);
	close(fd);
	return err;
}
