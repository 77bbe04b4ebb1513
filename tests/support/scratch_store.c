/* SPDX-License-Identifier: Apache-2.0 */
#include "support/scratch_store.h"

#include <stdlib.h>

struct store *scratch_store(const char *dir, bool is_inline)
{
	struct store_config config;
	struct store *store;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = is_inline;
	if (store_open(&config, &store) < 0)
		abort();
	return store;
}
