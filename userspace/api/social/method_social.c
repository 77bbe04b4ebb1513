/* SPDX-License-Identifier: Apache-2.0 */
/* ShowSocial. */
#include "api/methods.h"

void api_show_social(struct api *api, struct control_call *call,
		     const struct api_show_social_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	if (!api->social) {
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
		return;
	}
	api_reply(call, show_social,
		  .social = {.person = api_id(control_blocks(call), api->own_key)});
}
