/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_PROCESS_CRASH_H
#define WEFT_BASE_PROCESS_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A deadly signal leaves a report: one sentence on standard error and a few lines in a file that
 * was open before. It says which signal, in which thread, of which build, and where in the program
 * as offsets from the image's begin. It holds no address, no register and no byte of a stack, so it
 * may be published.
 */
#define CRASH_THREAD_CAP   16 /* as the kernel's names of threads */
#define CRASH_BUILD_CAP	   41 /* 20 bytes in hexadecimal */
#define CRASH_RETURNS_MAX  24
#define CRASH_REPORT_CAP   4096
#define CRASH_REPORT_MAGIC "weft-crash 1"

/*
 * crash_arm catches SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT for the
 * process. The program is named by version. Does nothing in builds with
 * sanitizers, which report themselves: returns false there.
 * Context: main thread, once, before it makes threads.
 */
bool crash_arm(const char *version);
/* crash_report_to names the file of the report, open for writing and empty; -1: none. */
void crash_report_to(int fd);
/*
 * crash_thread_begin names the calling thread (up to 15 characters) and
 * gives it a stack for the handler, so that a full stack is reported, too.
 */
void crash_thread_begin(const char *name);
/*
 * crash_region names memory [begin, begin + len) that is a file's: a fault there is reported
 * with hint, one clause of plain text. begin NULL: none. crash_hint adds hint to the next
 * report in any case. Both are borrowed for the process's life.
 */
void crash_region(const void *begin, size_t len, const char *hint);
void crash_hint(const char *hint);
/* crash_note keeps where an invariant broke, for the report of the abort that follows. */
void crash_note(const char *file, int line);

#endif
