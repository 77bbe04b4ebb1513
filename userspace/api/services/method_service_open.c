/* SPDX-License-Identifier: Apache-2.0 */
/* OpenService: an address at which a browser may act as this node, at one service. Home worker. */
#include "api/methods.h"
#include "api/http/web_routes.h"

#define CODE_LIFE_S 120 /* gateway/websocket/pass.h */

static void fail_open(struct control_call *call, int err, const char *name)
{
	switch (err) {
	case WEFT_EABSENT:
		control_fail(call, err, name, "it is not in gateway.services",
			     "add it there and start weftd again");
		break;
	case WEFT_EREFUSED:
		control_fail(call, err, "gateway",
			     "services have no hosts of their own: it is off, serves no mesh or "
			     "listens elsewhere than on loopback",
			     "set gateway.enabled = yes and gateway.mesh = yes in weft.conf");
		break;
	default:
		control_fail(
			call, err, name,
			"no host can be called so: NAME or NAME@NODE, of a-z, 0-9 and inside -",
			"name a service without a point and without a version");
	}
}

void api_open_service(struct api *api, struct control_call *call,
		      const struct api_open_service_in *in, uint64_t now_ns)
{
	char url[GATEWAY_PASS_URL_CAP];
	int err = api_http_pass_issue(api->web, in->name, now_ns, url);

	if (err < 0)
		fail_open(call, err, in->name);
	else
		api_reply(call, open_service, .url = url, .expires_in_s = CODE_LIFE_S);
}
