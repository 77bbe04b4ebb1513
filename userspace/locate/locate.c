/* SPDX-License-Identifier: Apache-2.0 */
#include "locate.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/node_key.h"

static void locators_list(struct locate *locate)
{
	if (locate->mainline)
		locate->locators[locate->locator_cnt++] = locate_mainline_locator(locate->mainline);
	if (locate->pkarr_client)
		locate->locators[locate->locator_cnt++] =
			locate_pkarr_relay_locator(locate->pkarr_client);
	if (locate->signaling)
		locate->locators[locate->locator_cnt++] =
			locate_signaling_locator(locate->signaling);
}

void locate_tell(struct locate *locate, const struct pkarr_packet *packet, struct mesh_look *look)
{
	struct pkarr_record record;
	struct mesh_found found = {
		.seq = packet->seq,
		.is_over = locate_publish_record_is_over(locate, packet->seq),
	};

	if (dht_pkarr_record_read(packet, locate->params.publish->policy.allows_private, &record) <
	    0)
		return;
	locate->stats.found_cnt++;
	found.addrs = record.addrs;
	found.addr_cnt = record.addr_cnt;
	found.vias = record.vias;
	found.via_cnt = record.via_cnt;
	(void)look->found(look, &found, locate_now_ns(locate));
}

struct locate *locate_new(void)
{
	return calloc(1, sizeof(struct locate));
}

int locate_open(struct locate *locate, const struct locate_params *params, char *what)
{
	int err;

	locate->params = *params;
	locate->own_key = node_key_public(params->key);
	snprintf(what, LOCATE_WHAT_CAP, "bootstrap lists");
	if ((err = locate_bootstrap_open(locate)) < 0 ||
	    (err = locate_mainline_open(locate, what)) < 0)
		return err;
	if (!params->mainline->is_only && ((err = locate_pkarr_relay_open(locate, what)) < 0 ||
					   (err = locate_signaling_open(locate, what)) < 0))
		return err;
	if ((err = locate_publish_open(locate)) < 0 || (err = locate_json_record_open(locate)) < 0)
		return err;
	locators_list(locate);
	return 0;
}

void locate_close(struct locate *locate)
{
	locate_json_record_close(locate->json_record);
	locate_publish_close(locate->publish);
	locate_pkarr_relay_close(locate->pkarr_client);
	locate_signaling_close(locate->signaling);
}

void locate_stop(struct locate *locate)
{
	locate_mainline_stop(locate);
	locate_bootstrap_stop(locate->bootstrap);
}

void locate_free(struct locate *locate)
{
	if (!locate)
		return;
	locate_bootstrap_free(locate->bootstrap);
	locate_mainline_free(locate->mainline);
	free(locate);
}

bool locate_turn(struct locate *locate)
{
	bool is_busy = locate_pkarr_relay_turn(locate->pkarr_client);

	is_busy |= locate_signaling_turn(locate->signaling);
	if (locate->mainline)
		locate_mainline_turn(locate->mainline);
	return is_busy;
}
