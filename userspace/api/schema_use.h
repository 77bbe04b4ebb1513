/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SCHEMA_USE_H
#define WEFT_API_SCHEMA_USE_H

#include <stdbool.h>
#include <stdint.h>

struct control_call;
struct schema;
struct service_offers;

/*
 * Whether this node has offers that need a schema. Without it they would be neither listed nor
 * withdrawn, and still announced. False: it has some, and call was failed. A service of the core has
 * a schema in any case.
 */
bool api_schema_unused_check(struct service_offers *offers, struct control_call *call,
			     const struct schema *schema);
/* api_schemas_of_share_check: of all that a share brings, of SCHEMA_SHARE_ID_LEN. */
bool api_schemas_of_share_check(struct service_offers *offers, struct control_call *call,
				const uint8_t *share_id);

#endif
