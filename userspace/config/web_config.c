/* SPDX-License-Identifier: Apache-2.0 */
#include "config/web_config.h"

#include <string.h>

#include "base/monotonic.h"

void config_web_defaults(struct web_config *config)
{
	gateway_config_defaults(&config->gateway);
	addr_format(&config->gateway.listen, config->listen);
	config->role = CONTROL_OPERATE;
	config->body_len_max = 1024 * 1024;
	config->timeout_ns = 30 * NS_PER_S;
	config->pkarr_use = WEB_PKARR_YES;
	config->pkarr_cache_cap = 1024;
}

const char *config_web_fault(const struct web_config *config)
{
	struct gateway_names names;
	struct addr listen;
	bool is_remote = addr_parse(config->listen, &listen) == 0 && !addr_is_loopback(&listen);

	if (!config->gateway.is_on)
		return NULL;
	if (is_remote && !config->is_exposed)
		return "gateway.listen: other machines can reach this address, and whoever does "
		       "acts "
		       "as this node; say by gateway.expose = yes that this is meant";
	if (is_remote && !config->token_file[0])
		return "gateway.token_file: other machines can reach gateway.listen; name the file "
		       "of a token of your own";
	if (config->serves_mesh && !config->services[strspn(config->services, " ,")])
		return "gateway.services: no service is named; name those that programs may call, "
		       "or "
		       "leave gateway.mesh off";
	if (gateway_names_parse(config->hosts, &names) < 0)
		return "gateway.hosts: more than 32 names, or one of more than 127 letters";
	if (gateway_names_parse(config->origins, &names) < 0)
		return "gateway.origins: more than 32 names, or one of more than 127 letters";
	if (gateway_names_parse(config->services, &names) < 0)
		return "gateway.services: more than 32 names, or one of more than 127 letters";
	return NULL;
}
