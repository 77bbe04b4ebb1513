/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/reservation_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t zeros[NODE_KEY_SIG_LEN];

/*
 * The input is what a box says. The box itself is made as it should be.
 */
static void check_inside(struct service_message msg, const uint8_t *data, size_t len)
{
	static const char *const infos[] = {"mesh/svc/reserve/v1", "mesh/svc/confirm/v1",
					    "mesh/svc/cancel/v1"};
	uint8_t key[AGREED_KEY_LEN], bound[68] = {2}, opened[RESERVATION_CONTENT_LEN_MAX];
	uint8_t bytes[RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN];
	struct reservation_seal seal = {.service = 2};
	const struct agreed_purpose purpose = {seal.offer_id, OFFER_ID_LEN,
					       infos[msg.type - SERVICE_MESSAGE_RESERVE]};
	const struct agreed_box box = {key, zeros, bound, sizeof(bound)};
	const struct reservation_message reservation = {zeros, zeros, zeros,
							zeros, bytes, len + AGREED_TAG_LEN};
	struct reservation_content content;
	int err;

	if (len > sizeof(opened))
		return;
	agreed_key(seal.shared, &purpose, key);
	agreed_box_seal(&box, data, len, bytes);
	err = offers_reservation_open(&seal, &msg, &reservation, opened, &content);
	if (err == 0 && (content.units == 0 || content.text_len > RESERVATION_TEXT_LEN_MAX ||
			 (content.consumer != NULL) != (msg.type == SERVICE_MESSAGE_RESERVE)))
		abort();
}

/* The first byte says the type, and whether the rest is a payload or what a box says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_message msg = {.service = 2, .provider = zeros, .signature = zeros};
	struct reservation_message reservation;
	uint8_t out[RESERVATION_LEN_MAX];

	if (len < 1)
		return 0;
	msg.type = (uint8_t)(SERVICE_MESSAGE_RESERVE + data[0] % 3);
	msg.payload = data + 1;
	msg.payload_len = len - 1;
	if (data[0] & 0x80)
		check_inside(msg, data + 1, len - 1);
	else if (offers_reservation_parse(&msg, &reservation) == 0) {
		struct reservation_content content;
		struct reservation_seal seal;
		struct node_key *key = NULL;

		/* With a secret of its own, no key is needed. */
		if (reservation.box_len <= AGREED_TAG_LEN)
			abort();
		if (offers_reservation_meet(&seal, &msg, &reservation, key, zeros) == 0 &&
		    offers_reservation_open(&seal, &msg, &reservation, out, &content) == 0)
			abort(); /* nothing is sealed for that key by chance */
	}
	return 0;
}
