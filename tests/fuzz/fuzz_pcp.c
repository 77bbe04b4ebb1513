/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "codec/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pcp_answer answer;
	struct pcp_request request = {.lifetime_s = 0};
	uint8_t out[PCP_WRITE_CAP];

	if (pcp_read(data, len, &answer) < 0)
		return 0;
	if ((answer.kind == PCP_REFUSED) != (answer.result != 0) ||
	    (answer.kind == PCP_ADDRESS && answer.external.family != ADDR_IPV4) ||
	    len > PCP_LEN_MAX)
		abort();
	/* A mapping is asked for again as it was given. */
	request.transport = answer.transport;
	request.external = answer.external;
	request.lifetime_s = answer.lifetime_s;
	if (pcp_write_map(&request, out) != PCP_WRITE_CAP ||
	    pcp_write_nat_pmp_map(&request, out) > PCP_WRITE_CAP)
		abort();
	return 0;
}
