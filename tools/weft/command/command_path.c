/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as the daemon needs them. */
#include "command/command_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool path_existing(const char *name, char path[static PATH_MAX])
{
	if (realpath(name, path))
		return true;
	snprintf(path, PATH_MAX, "%s", strerror(errno));
	return false;
}

bool path_absolute(const char *name, char path[static PATH_MAX])
{
	char cwd[PATH_MAX];

	if (*name == '/')
		return snprintf(path, PATH_MAX, "%s", name) < PATH_MAX;
	if (!*name || !getcwd(cwd, sizeof(cwd)))
		return false;
	return snprintf(path, PATH_MAX, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, name) < PATH_MAX;
}
