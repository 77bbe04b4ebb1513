/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_JSON_RECORD_H
#define WEFT_LOCATE_JSON_RECORD_H

struct locate;
struct json_record;

/*
 * The address record once more, as JSON under the salt tom-addr-v1 of this node's key. It is for
 * nodes of the ToM network, which read no other (dht.publish_json):
 *
 *	{"node_id": 64 hexadecimal digits, "relay_urls": [...], "direct_addrs": ["IP:PORT", ...],
 *	 "timestamp": milliseconds since 1970}
 *
 * It says what the record of address_record.h says, so nothing that dht.publish forbids. Its readers
 * ignore what is older than two hours: it is signed and put anew each 30 minutes. Home worker.
 */

/* locate_json_record_open: 0 with node's json_record set, unless it is not wanted; or -ENOMEM. */
int locate_json_record_open(struct locate *locate);
/* locate_json_record_close takes NULL. */
void locate_json_record_close(struct json_record *record);

#endif
