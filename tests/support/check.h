/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CHECK_H
#define WEFT_TESTS_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * TAP for C: main lists RUN(test_a_claim) and returns check_done(). A failed
 * CHECK prints its place and values and ends that test.
 */
extern unsigned check_test_cnt;
extern unsigned check_fail_cnt;
extern bool check_failed;

int check_done(void);
void check_hex(const char *name, const void *data, size_t len);

#define RUN(test)                                                                                  \
	do {                                                                                       \
		check_failed = false;                                                              \
		test();                                                                            \
		check_test_cnt++;                                                                  \
		check_fail_cnt += check_failed;                                                    \
		printf("%sok %u - %s\n", check_failed ? "not " : "", check_test_cnt, #test);       \
		fflush(stdout);                                                                    \
	} while (0)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);              \
			check_failed = true;                                                       \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define CHECK_EQ(got, want)                                                                        \
	do {                                                                                       \
		long long check_got = (long long)(got), check_want = (long long)(want);            \
		if (check_got != check_want) {                                                     \
			printf("# %s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__, #got,       \
			       check_got, check_want);                                             \
			check_failed = true;                                                       \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define CHECK_MEM(got, want, len)                                                                  \
	do {                                                                                       \
		if (memcmp(got, want, len) != 0) {                                                 \
			printf("# %s:%d: %s differs\n", __FILE__, __LINE__, #got);                 \
			check_hex("got ", got, len);                                               \
			check_hex("want", want, len);                                              \
			check_failed = true;                                                       \
			return;                                                                    \
		}                                                                                  \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		if (strcmp(got, want) != 0) {                                                      \
			printf("# %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got,   \
			       got, want);                                                         \
			check_failed = true;                                                       \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* SKIP_ALL ends the program: exit 77 with the reason, after a TAP plan prove understands. */
#define SKIP_ALL(reason)                                                                           \
	do {                                                                                       \
		printf("1..0 # SKIP %s\n", (reason));                                              \
		exit(0);                                                                           \
	} while (0)

#endif
