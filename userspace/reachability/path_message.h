/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_PATH_MESSAGE_H
#define WEFT_REACHABILITY_PATH_MESSAGE_H

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "weft/classify.h"
#include "weft/err.h"

/*
 * The messages by which nodes tell each other their addresses (docs/wire/probe.md), and the
 * datagram that a third node sends. It is 0x9d, PATH_PROBE_DIALLED_BACK, and the ticket as it was
 * asked for.
 */
#define PATH_TICKET_LEN		30
#define PATH_PROBE_DIALLED_BACK 3
#define PATH_MESSAGE_LEN_MAX	128

/* DIAL_BACK: send a probe with this ticket to my address, at this port if it is not 0. */
struct path_dial_back {
	uint8_t ticket[PATH_TICKET_LEN];
	uint16_t port;
};
/* SEND_PROBE: one probe with this ticket to addr, at once or so many seconds later. */
#define PATH_AFTER_S_MAX 120
struct path_send_probe {
	uint8_t ticket[PATH_TICKET_LEN];
	struct addr addr;
	uint16_t after_s;
};

/*
 * reachability_{dial_back,send_probe,address}_{write,parse}: an address answers OBSERVED_ADDR and
 * DIAL_BACK. Parsing gives 0 or WEFT_EMALFORMED; an address is one host's, of UDP, and has a port.
 */
void reachability_dial_back_write(struct writer *w, const struct path_dial_back *message);
WEFT_MUST_CHECK
int reachability_dial_back_parse(const uint8_t *data, size_t len,
				 struct path_dial_back *out_message);
void reachability_send_probe_write(struct writer *w, const struct path_send_probe *message);
WEFT_MUST_CHECK
int reachability_send_probe_parse(const uint8_t *data, size_t len,
				  struct path_send_probe *out_message);
void reachability_address_write(struct writer *w, const struct addr *addr);
WEFT_MUST_CHECK
int reachability_address_parse(const uint8_t *data, size_t len, struct addr *out_addr);

/* reachability_probe_write: WEFT_PROBE_LEN bytes; parse: false: of another kind. */
void reachability_probe_write(const uint8_t ticket[static PATH_TICKET_LEN],
			      uint8_t out[static WEFT_PROBE_LEN]);
bool reachability_probe_parse(const uint8_t *data, size_t len,
			      uint8_t out_ticket[static PATH_TICKET_LEN]);

#endif
