/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_BAN_RULE_H
#define WEFT_FIREWALL_BAN_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"
#include "weft/xdp_maps.h"

struct cursor;
struct writer;

/*
 * A ban: the target that is kept out, the end, and the reason. The target is an address, all
 * addresses of a prefix, or a node key. Pure values; ban_list.h keeps them.
 */
#define BAN_KEY_LEN    32
#define BAN_REASON_CAP 128 /* bytes, with the NUL; UTF-8 */

enum ban_kind { BAN_IPV4, BAN_IPV6, BAN_KEY };

struct ban_target {
	enum ban_kind kind;
	struct addr addr;    /* no port; bits beyond prefix_len are 0 */
	unsigned prefix_len; /* 1..32 or 1..128 */
	uint8_t key[BAN_KEY_LEN];
};

struct ban {
	struct ban_target target;
	uint64_t added_s, expires_s; /* wall clock; expires 0: never */
	char reason[BAN_REASON_CAP];
	/*
	 * For a ban that the node made by itself: its cause; 0: an operator's ban. An operator's
	 * removal takes back all bans of the same cause. source is where the offender was, which
	 * pays for the place in the list.
	 */
	uint64_t cause;
	bool is_automatic;
	bool is_limit; /* no peer is kept out: unknown peers at the address get one slot of each pool */
	struct addr source;
};

bool firewall_ban_is_expired(const struct ban *ban, uint64_t wall_s);

/*
 * firewall_ban_target_parse reads "192.0.2.1", "192.0.2.0/24", "2001:db8::1" or
 * "2001:db8::/48"; IPv4 inside IPv6 (::ffff:192.0.2.1) is IPv4. Returns 0,
 * WEFT_EMALFORMED (nothing of the kind), WEFT_ETOOLARGE (a length that is 0 or
 * more than there are bits), or WEFT_EUNSAFE. With WEFT_EUNSAFE bits beyond the
 * prefix are set, and *out_target is the prefix that may have been meant.
 */
WEFT_MUST_CHECK
int firewall_ban_target_parse(const char *text, struct ban_target *out_target);
/* firewall_ban_target_of: addr alone, without its port; it is of a family. */
struct ban_target firewall_ban_target_of(const struct addr *addr);
/* firewall_ban_target_format writes what is parsed, or a key in z-base-32; returns buf. */
#define BAN_TARGET_TEXT_CAP 80
const char *firewall_ban_target_format(const struct ban_target *target,
				       char buf[static BAN_TARGET_TEXT_CAP]);
/* firewall_ban_target_has: addr, whatever its port, is in the prefix. */
bool firewall_ban_target_has(const struct ban_target *target, const struct addr *addr);
/* firewall_ban_target_cut: target's prefix made shorter, to prefix_len. */
struct ban_target firewall_ban_target_cut(const struct ban_target *target, unsigned prefix_len);

/* The name of a target in tables and in the store (STORE_BANS): equal for equal targets. */
#define BAN_ID_LEN 33
void firewall_ban_target_id(const struct ban_target *target, uint8_t out_id[static BAN_ID_LEN]);

/*
 * A record: {0: layout 1, 1: added, 2: expires, 3: reason, 5: cause, 6: is a limit,
 * 7: PeerAddr of the source} under its id; without 5 it is an operator's. With 4: 1 it
 * is of an earlier version and keeps nothing out.
 * Parsing gives WEFT_EABSENT for such a one, WEFT_ENEWER for a later layout, WEFT_EMALFORMED.
 */
#define BAN_RECORD_LEN_MAX 256
void firewall_ban_record_write(struct writer *w, const struct ban *ban);
WEFT_MUST_CHECK
int firewall_ban_record_parse(const uint8_t id[static BAN_ID_LEN], const void *data, size_t len,
			      struct ban *out_ban);

#endif
