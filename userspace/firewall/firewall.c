/* SPDX-License-Identifier: Apache-2.0 */
/* The firewall's parts in the order of their dependence. Home worker. */
#include "firewall.h"

#include <stdlib.h>

struct firewall *firewall_new(void)
{
	return calloc(1, sizeof(struct firewall));
}

int firewall_open(struct firewall *firewall, const struct firewall_params *params)
{
	firewall->params = *params;
	firewall->params.incidents = &firewall->incidents;
	firewall_drops_open(&firewall->drops, &firewall->params);
	return firewall_bans_open(&firewall->bans, &firewall->params);
}

void firewall_close(struct firewall *firewall)
{
	firewall_bans_close(&firewall->bans);
	firewall_drops_close(&firewall->drops);
	firewall_record_close(&firewall->record);
}

void firewall_free(struct firewall *firewall)
{
	free(firewall);
}
