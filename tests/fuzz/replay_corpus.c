/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: runs one fuzz target without a fuzzer, over each file of
 * tests/corpus/<program's name>/ and over every truncation of it. The
 * buffer has exactly that length, so a sanitizer sees the first byte read
 * too far. The empty input always runs. Started in the repository's top
 * directory; prints TAP, one line per file.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inputs longer than this are run whole and truncated at this many places. */
#define TRUNCATION_CNT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void run_exact(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	/* With len 0 the pointer is one past the end, so any read is seen. */
	LLVMFuzzerTestOneInput(len ? copy : copy + 1, len);
	free(copy);
}

static void run_truncations(const uint8_t *data, size_t len)
{
	size_t step = len / TRUNCATION_CNT_MAX + 1;

	for (size_t cut = 0; cut < len; cut += step)
		run_exact(data, cut);
	run_exact(data, len);
}

/* Returns the file's bytes, to be freed, or NULL with a reason printed. */
static uint8_t *read_whole(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long len = -1;

	if (file && fseek(file, 0, SEEK_END) == 0)
		len = ftell(file);
	if (len >= 0 && fseek(file, 0, SEEK_SET) == 0)
		data = malloc((size_t)len + 1);
	if (data && fread(data, 1, (size_t)len, file) != (size_t)len) {
		free(data);
		data = NULL;
	}
	if (!data)
		printf("# %s: %s\n", path, strerror(errno));
	else
		*out_len = (size_t)len;
	if (file)
		fclose(file);
	return data;
}

static int is_seed(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent **entries;
	int entry_cnt, bad_cnt = 0;

	(void)argc;
	snprintf(dir, sizeof(dir), "tests/corpus/%s", name);
	entry_cnt = scandir(dir, &entries, is_seed, alphasort);
	if (entry_cnt <= 0) {
		printf("1..1\nnot ok 1 - %s has seeds\n", dir);
		return 1;
	}
	run_exact((const uint8_t *)"", 0);
	printf("1..%d\n", entry_cnt);
	for (int i = 0; i < entry_cnt; i++) {
		size_t len = 0;
		uint8_t *data = NULL;

		if (snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name) <
		    (int)sizeof(path))
			data = read_whole(path, &len);
		if (data)
			run_truncations(data, len);
		printf("%sok %d - %s\n", data ? "" : "not ", i + 1, entries[i]->d_name);
		fflush(stdout);
		bad_cnt += !data;
		free(data);
		free(entries[i]);
	}
	free(entries);
	return bad_cnt ? 1 : 0;
}
