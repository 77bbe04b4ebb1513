/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "reachability/path_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void place_check(const struct addr *addr)
{
	if (!addr->port || !addr_is_unicast(addr))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t ticket[PATH_TICKET_LEN], probe[WEFT_PROBE_LEN], out[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct path_dial_back asked;
	struct path_send_probe wanted;
	struct addr addr;

	if (reachability_dial_back_parse(data, len, &asked) == 0)
		reachability_dial_back_write(&w, &asked);
	if (reachability_send_probe_parse(data, len, &wanted) == 0)
		place_check(&wanted.addr);
	if (reachability_address_parse(data, len, &addr) == 0)
		place_check(&addr);
	if (reachability_probe_parse(data, len, ticket)) {
		reachability_probe_write(ticket, probe);
		if (len != sizeof(probe) || memcmp(probe, data, len) != 0)
			abort();
	}
	if (w.bad)
		abort();
	return 0;
}
