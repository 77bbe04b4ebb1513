/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_STORE_CHECK_RIG_H
#define WEFT_TESTS_STORE_CHECK_RIG_H

#include "store/env.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

/* A store that was damaged or is of another version. */

static inline int open_store(const char *dir, struct store **out_store)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	config.segment_len_max = 64 << 10;
	config.map_len_max = 1ull << 30;
	return store_open(&config, out_store);
}

static inline int env_open_as(const char *dir, uint32_t version, const struct env_step *steps,
			      unsigned step_cnt, struct env *env)
{
	struct env_schema schema = {version, steps, step_cnt};
	struct store_config config;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	store_config_defaults(&config);
	config.dir = dir;
	config.map_len_max = 1ull << 30;
	err = store_env_open(env, &config, fd, &schema);
	close(fd);
	return err;
}

#endif
