/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WEFTD_OPTIONS_H
#define WEFT_WEFTD_OPTIONS_H

#include <limits.h>

#include "config/config.h"

/* weftd's command line: what to do, and lines stronger than the configuration's. */
enum options_mode {
	OPTIONS_RUN,
	OPTIONS_PLAN,
	OPTIONS_CHECK,
	OPTIONS_PRINT,
	OPTIONS_REFERENCE,
	OPTIONS_VERSION,
	OPTIONS_SALVAGE,
	OPTIONS_RESTORE,
};

#define OPTIONS_OVERRIDE_CAP 64
#define OPTIONS_EXIT_USAGE   2 /* also of a configuration with a fault */
/* The store is refused: damaged, of a newer version, sealed by another key. No restart helps. */
#define OPTIONS_EXIT_STORE   7
#define OPTIONS_EXIT_REFUSED 5 /* a state folder that is in use is not overwritten */

struct daemon_options {
	enum options_mode mode;
	bool is_json;		 /* of the version */
	const char *config_file; /* NULL: not given */
	const char *backup;	 /* of OPTIONS_RESTORE: a file, or the folder of a whole copy */
	int passphrase_fd;	 /* of it; standard input unless given */
	struct config_override overrides[OPTIONS_OVERRIDE_CAP];
	unsigned override_cnt;
	char texts[OPTIONS_OVERRIDE_CAP][PATH_MAX]; /* what overrides point to */
};

/*
 * weftd_options_read fills out_options, which is zero before. Returns -1 to go
 * on, or the exit status: help was printed, or the fault was said.
 */
int weftd_options_read(int argc, char **argv, struct daemon_options *out_options);

#endif
