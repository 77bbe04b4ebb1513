/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_PROGRAM_USER_H
#define WEFT_PROVIDER_EXEC_PROGRAM_USER_H

#include <stdint.h>

#include "weft/err.h"

/* Private to provider/: the user that a program runs as. */
#define PROGRAM_USER_DEFAULT "nobody"

/*
 * provider_program_user_find looks name up in /etc/passwd, for a static program cannot load
 * libc's name services; a number is a user with the group of that number
 * unless the file knows it. 0, WEFT_EABSENT, -errno.
 */
WEFT_MUST_CHECK
int provider_program_user_find(const char *name, uint32_t *out_uid, uint32_t *out_gid);

#endif
