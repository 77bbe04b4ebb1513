/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores of contribution along traces of chance are in tests/vectors/contribution.json.
 * tests/conformance/test_contribution.py judges them by a model of twenty lines. With a path as its
 * argument this program writes that file instead, from the seed that may follow.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/contribution.h"
#include "support/check.h"

#define VECTORS	  "tests/vectors/contribution.json"
#define FILE_CAP  (256u << 10)
#define TRACE_CNT 12u
#define STEP_CNT  60u
#define SEED	  20261125u
#define START_S	  1700000000ull

static char *text;
static size_t text_len;
static uint64_t state;

static void text_add(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_len += (size_t)vsnprintf(text + text_len, FILE_CAP - text_len, fmt, args);
	va_end(args);
	if (text_len >= FILE_CAP)
		abort();
}

/* Numerical Recipes' generator: the same file on every machine. */
static uint64_t chance(uint64_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (state >> 33) % below;
}

/* Most steps follow each other closely, some after hours, and a few after weeks or backwards. */
static uint64_t pause_of(unsigned kind)
{
	if (kind < 12)
		return chance(90);
	if (kind < 18)
		return chance(3600);
	return kind < 19 ? chance(40 * 3600) : chance(60 * 86400);
}

static uint64_t bytes(void)
{
	static const uint64_t most[] = {300, 300000, 4000000, 1000000000};

	return chance(most[chance(4)]);
}

static void step_write(struct contribution *contribution, uint64_t wall_s, bool is_last)
{
	uint64_t kind = chance(6), len = bytes(), cnt = chance(4);

	if (kind < 3)
		contribution_answered(contribution, kind > 0, wall_s);
	else if (kind == 3)
		contribution_given(contribution, len, wall_s);
	else if (kind == 4)
		contribution_taken(contribution, len, wall_s);
	else
		contribution_relayed(contribution, (uint32_t)cnt, len, wall_s);
	text_add("  [%llu, \"%s\", %llu, %llu, %u]%s\n", (unsigned long long)wall_s,
		 kind == 0  ? "failed"
		 : kind < 3 ? "answered"
		 : kind < 4 ? "given"
		 : kind < 5 ? "taken"
			    : "relayed",
		 (unsigned long long)len, (unsigned long long)cnt, contribution_score(contribution),
		 is_last ? "" : ",");
}

static void traces_write(uint64_t seed)
{
	state = seed;
	text_add("{\n \"source\": \"Scores in thousandths along traces of chance: time, what "
		 "happened, bytes, flows, score "
		 "(tests/unit/conformance/test_contribution_vectors PATH).\",\n \"traces\": [\n");
	for (unsigned trace = 0; trace < TRACE_CNT; trace++) {
		struct contribution contribution = {0};
		uint64_t wall_s = START_S + chance(100000);

		text_add(" [\n");
		for (unsigned i = 0; i < STEP_CNT; i++) {
			wall_s += pause_of((unsigned)chance(20));
			if (chance(30) == 0)
				wall_s -= chance(300);
			step_write(&contribution, wall_s, i + 1 == STEP_CNT);
		}
		text_add(" ]%s\n", trace + 1 < TRACE_CNT ? "," : "");
	}
	text_add(" ]\n}\n");
}

static void test_scores_along_traces_are_as_in_the_vectors(void)
{
	FILE *file = fopen(VECTORS, "r");
	char *want = calloc(1, FILE_CAP);
	size_t len = 0;

	if (!want)
		abort();
	CHECK(file);
	if (file) {
		len = fread(want, 1, FILE_CAP - 1, file);
		fclose(file);
	}
	traces_write(SEED);
	CHECK_EQ(text_len, len);
	CHECK(text_len == len && memcmp(text, want, len) == 0);
	free(want);
}

int main(int argc, char **argv)
{
	FILE *file;

	text = calloc(1, FILE_CAP);
	if (!text)
		abort();
	if (argc < 2) {
		RUN(test_scores_along_traces_are_as_in_the_vectors);
		free(text);
		return check_done();
	}
	file = fopen(argv[1], "w");
	if (!file)
		return 1;
	traces_write(argc > 2 ? strtoull(argv[2], NULL, 10) : SEED);
	fwrite(text, 1, text_len, file);
	free(text);
	return fclose(file) == 0 ? 0 : 1;
}
