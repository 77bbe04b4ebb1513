/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas that this node's own offers need stay. */
#include "api/schema_use.h"

#include <string.h>

#include "control/control.h"
#include "offers/service_offers.h"

static void on_own_offer(void *arg, const struct found_offer *offer)
{
	(void)offer;
	++*(unsigned *)arg;
}

bool api_schema_unused_check(struct service_offers *offers, struct control_call *call,
			     const struct schema *schema)
{
	struct varlink_blocks *blocks = control_blocks(call);
	unsigned cnt = 0;
	const struct own_offers_ask ask = {.schema = schema, .fn = on_own_offer, .arg = &cnt};
	int err = 0;

	if (schema->id > SCHEMA_ID_CORE_MAX)
		err = offers_each_own(offers, &ask);
	if (err < 0)
		control_fail(call, err, "offers", "they cannot be read", "see weft store check");
	else if (cnt)
		control_fail(call, WEFT_EREFUSED, schema->name,
			     varlink_format(blocks, "this node announces %u %s of it", cnt,
					    cnt == 1 ? "offer" : "offers"),
			     varlink_format(blocks,
					    "withdraw them first: weft offer list %s, then weft "
					    "offer revoke OFFER",
					    schema->name));
	return err == 0 && cnt == 0;
}

bool api_schemas_of_share_check(struct service_offers *offers, struct control_call *call,
				const uint8_t *share_id)
{
	struct schema_entry entry;

	for (unsigned i = 0; offers_schema_registry_at(offers_registry(offers), i, &entry); i++)
		if (entry.share_id && memcmp(entry.share_id, share_id, SCHEMA_SHARE_ID_LEN) == 0 &&
		    !api_schema_unused_check(offers, call, entry.schema))
			return false;
	return true;
}
