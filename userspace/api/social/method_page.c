/* SPDX-License-Identifier: Apache-2.0 */
/* ShowSocial, OpenPeoplePage, ClosePages. */
#include "api/http/web_routes.h"
#include "api/methods.h"
#include "api/social/person_words.h"

#define CODE_LIFE_S 120 /* gateway/page/page_token.h */

void api_show_social(struct api *api, struct control_call *call,
		     const struct api_show_social_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	if (!api_people(api, call))
		return;
	api_reply(call, show_social,
		  .social = {.person = api_id(control_blocks(call), api->own_key)});
}

void api_open_people_page(struct api *api, struct control_call *call,
			  const struct api_open_people_page_in *in, uint64_t now_ns)
{
	char url[GATEWAY_PAGE_URL_CAP];

	(void)in;
	if (!api->social)
		control_fail(call, WEFT_EREFUSED, "social", "it is switched off",
			     "set social.enabled = yes in weft.conf and start weftd again");
	else if (!api->web)
		control_fail(call, WEFT_EREFUSED, "gateway", "it is off",
			     "set gateway.enabled = yes in weft.conf and start weftd again");
	else if (api->config->web.role != CONTROL_OPERATE)
		control_fail(call, WEFT_EREFUSED, "gateway.role",
			     "a page has that role, and needs operate",
			     "set gateway.role = operate in weft.conf and start weftd again");
	else if (api_http_page_issue(api->web, "/people/", now_ns, url) == 0)
		api_reply(call, open_people_page, .url = url, .expires_in_s = CODE_LIFE_S);
}

void api_close_pages(struct api *api, struct control_call *call,
		     const struct api_close_pages_in *in, uint64_t now_ns)
{
	(void)in, (void)now_ns;
	api_reply(call, close_pages, .closed = api_http_page_end_all(api->web));
}
