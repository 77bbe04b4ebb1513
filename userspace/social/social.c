/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the social layer, opened from below. */
#include "social/social.h"

#include <errno.h>
#include <stdlib.h>

#include "social/social_state.h"

void social_config_defaults(struct social_config *config)
{
	*config = (struct social_config){.is_on = true};
}

int social_open(const struct social_params *params, struct social **out_social)
{
	struct social *social = calloc(1, sizeof(*social));

	if (!social)
		return -ENOMEM;
	social->config = params->config;
	social->ground = params->ground;
	*out_social = social;
	return 0;
}

void social_stop(struct social *social)
{
	if (!social || social->is_stopped)
		return;
	social->is_stopped = true;
}

void social_close(struct social *social)
{
	if (!social)
		return;
	social_stop(social);
	free(social);
}

void social_session_up(struct social *social, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns)
{
	(void)key, (void)now_ns;
	if (!social)
		return;
}
