/* SPDX-License-Identifier: Apache-2.0 */
/* Names of /etc/passwd. Reads a small file: at a publish and before a program is started. */
#include "program_user.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 4294967294ul

/* number_read: false: name is none. */
static bool number_read(const char *name, unsigned long *out_number)
{
	char *end;

	if (*name < '0' || *name > '9')
		return false;
	errno = 0;
	*out_number = strtoul(name, &end, 10);
	return !*end && errno == 0 && *out_number < ID_MAX;
}

int provider_program_user_find(const char *name, uint32_t *out_uid, uint32_t *out_gid)
{
	unsigned long number = 0;
	bool is_number = number_read(name, &number), is_found = false;
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *user;

	if (!file && !is_number)
		return -errno;
	while (file && !is_found && (user = fgetpwent(file)) != NULL) {
		is_found = is_number ? user->pw_uid == number : strcmp(user->pw_name, name) == 0;
		if (is_found) {
			*out_uid = user->pw_uid;
			*out_gid = user->pw_gid;
		}
	}
	if (file)
		fclose(file);
	if (is_found)
		return 0;
	if (!is_number)
		return WEFT_EABSENT;
	*out_uid = *out_gid = (uint32_t)number;
	return 0;
}
