/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_LAST_CRASH_H
#define WEFT_BASE_PROCESS_LAST_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/process/crash.h"

/*
 * The report of an earlier run's crash (base/process/crash.h), and the file for
 * this run's: crash.report in the state folder, crash.last once it was
 * read. Main thread, at start and at the end.
 */
#define LAST_CRASH_TEXT_CAP 1024

struct last_crash {
	uint64_t died_at_s; /* 0: the earlier run ended well */
	char version[32];
	char build[CRASH_BUILD_CAP];
	char signal[16];
	unsigned code;	 /* the kernel's reason, 0: none */
	unsigned sender; /* process that sent the signal, 0: none */
	char thread[CRASH_THREAD_CAP];
	char invariant[80]; /* FILE:LINE, or empty */
	bool has_pc;	    /* pc lies within the program */
	uint64_t pc;
	unsigned return_cnt;
	uint64_t returns[CRASH_RETURNS_MAX];
};

/* last_crash_parse: false when text is no report; a report that ends early is one. */
bool last_crash_parse(const char *text, struct last_crash *out_crash);
/* last_crash_format writes one sentence, without the folder. */
const char *last_crash_format(const struct last_crash *crash, char text[LAST_CRASH_TEXT_CAP]);
/*
 * last_crash_open reads the report that an earlier run left in dir, and keeps it as crash.last.
 * It directs this run's report to a fresh file with reserved blocks. The file is locked: where
 * another process holds it nothing is read, and a crash is reported on standard error alone.
 * Returns: the descriptor for last_crash_close, or -errno.
 */
int last_crash_open(const char *dir, struct last_crash *out_crash);
/* last_crash_close removes the file: the run ended well. */
void last_crash_close(const char *dir, int fd);

#endif
