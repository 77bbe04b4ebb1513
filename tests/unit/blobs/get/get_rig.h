/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_GET_RIG_H
#define WEFT_TESTS_GET_RIG_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

/* Two nodes, of which B gets what A shares, and the files they do it with. */
#define BIG_LEN	 (3u * BLAKE3_CHUNK_LEN + 12345)
#define TURN_MAX 2000000u

static struct duo duo;
static uint8_t file_bytes[BIG_LEN]; /* of the file that was made last */

/*
 * file_make writes a file of len random bytes and the folders above it. It
 * is an hour old, as what was written this moment is not trusted, and no
 * two have one time.
 */
static inline void file_make(const char *name, size_t len, uint64_t seed)
{
	static long made_cnt;
	struct timespec made = {.tv_sec = (time_t)clock_wall_s() - 3600, .tv_nsec = ++made_cnt};
	struct random random;
	char command[SCRATCH_CAP + 400];
	char *slash;

	random_init_seeded(&random, seed);
	random_fill(&random, file_bytes, len);
	snprintf(command, sizeof(command), "%s", duo_path(&duo, name));
	slash = strrchr(command, '/');
	*slash = '\0';
	for (char *at = strchr(command + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(command, 0755);
		*at = '/';
	}
	mkdir(command, 0755);
	scratch_write(duo_path(&duo, name), file_bytes, len);
	utimensat(AT_FDCWD, duo_path(&duo, name), (struct timespec[2]){made, made}, 0);
}

/* A small folder with every kind of item. */
static inline void folder_make(void)
{
	file_make("in/a/small.txt", 1000, 1);
	file_make("in/a/big.bin", BIG_LEN, 2);
	file_make("in/b/chunk.bin", BLAKE3_CHUNK_LEN, 3);
	file_make("in/b/over.bin", BLAKE3_CHUNK_LEN + 1, 4);
	file_make("in/empty", 0, 5);
	file_make("in/z/deep/er/x", 20, 6);
	file_make("in/twin1", 5000, 7);
	file_make("in/twin2", 5000, 7);
	file_make("in/twin3big", BIG_LEN, 2);
	mkdir(duo_path(&duo, "in/hollow"), 0755);
}

static inline const struct blobs_get *get_run(const struct link *link, const char *target)
{
	uint64_t id = duo_get_start(&duo, link, target);

	return id ? duo_run(&duo, id, TURN_MAX) : NULL;
}

static inline void turns(unsigned cnt)
{
	while (cnt-- > 0)
		(void)duo_turn(&duo);
}

/* For on_answer: all but two chunks are an hour away. */
static inline void only_first_chunks(struct duo *d, struct duo_answer *answer)
{
	if (answer->type == MESH_CHUNK_DATA && ++d->hook_cnt > 2)
		answer->delay_ns = 3600 * NS_PER_S;
}

#endif
