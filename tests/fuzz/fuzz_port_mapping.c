/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "codec/port_mapping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct port_mapping_answer answer;
	struct port_mapping_request request = {.lifetime_s = 0};
	uint8_t out[PORT_MAPPING_WRITE_CAP];

	if (port_mapping_read(data, len, &answer) < 0)
		return 0;
	if ((answer.kind == PORT_MAPPING_REFUSED) != (answer.result != 0) ||
	    (answer.kind == PORT_MAPPING_ADDRESS && answer.external.family != ADDR_IPV4) ||
	    len > PORT_MAPPING_LEN_MAX)
		abort();
	/* A mapping is asked for again as it was given. */
	request.external = answer.external;
	request.lifetime_s = answer.lifetime_s;
	if (port_mapping_write_pcp(&request, out) != PORT_MAPPING_WRITE_CAP ||
	    port_mapping_write_nat_pmp(&request, out) > PORT_MAPPING_WRITE_CAP)
		abort();
	return 0;
}
