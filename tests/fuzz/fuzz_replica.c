/* SPDX-License-Identifier: Apache-2.0 */
/* Messages 610 to 614 and notes on replicas: what is read is written again, and read as before. */
#include <stdlib.h>
#include <string.h>

#include "social/object/replica_note.h"
#include "social/replicas/replica_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[2 * REPLICA_PIECE_LEN_MAX];

static void check_check(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct replica_check check, again;

	if (social_check_parse(data, len, &check) < 0)
		return;
	social_check_write(&w, &check);
	if (w.bad || social_check_parse(out, writer_len(&w), &again) < 0 ||
	    again.post_cnt != check.post_cnt)
		abort();
}

static void check_status(const uint8_t *data, size_t len)
{
	static struct replica_status status, again;
	struct writer w = writer_of(out, sizeof(out));

	if (social_status_parse(data, len, &status) < 0)
		return;
	social_status_write(&w, &status);
	if (w.bad || social_status_parse(out, writer_len(&w), &again) < 0 ||
	    again.row_cnt != status.row_cnt)
		abort();
}

static void check_offer(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct replica_offer offer, again;

	if (social_offer_parse(data, len, &offer) < 0)
		return;
	if (offer.off + offer.len > replica_offer_len(&offer))
		abort();
	social_offer_write(&w, &offer);
	if (w.bad || social_offer_parse(out, writer_len(&w), &again) < 0 ||
	    again.off != offer.off || again.len != offer.len)
		abort();
}

static void check_answers(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct replica_accept accept, accept_again;
	struct replica_refuse refuse, refuse_again;

	if (social_accept_parse(data, len, &accept) == 0) {
		social_accept_write(&w, &accept);
		if (w.bad || social_accept_parse(out, writer_len(&w), &accept_again) < 0 ||
		    accept_again.off != accept.off)
			abort();
	}
	w = writer_of(out, sizeof(out));
	if (social_refuse_parse(data, len, &refuse) == 0) {
		social_refuse_write(&w, &refuse);
		if (w.bad || social_refuse_parse(out, writer_len(&w), &refuse_again) < 0 ||
		    refuse_again.room_len != refuse.room_len)
			abort();
	}
}

static void check_note(const uint8_t *data, size_t len)
{
	static const uint8_t key[CONTENT_KEY_LEN];
	uint8_t note[REPLICA_NOTE_LEN_MAX];
	struct replica_note read;
	size_t note_len;

	if (social_replica_read(data, len, &read) == 0 && read.state > REPLICA_GONE)
		abort();
	if (social_replica_open(key, data, len, note, &note_len) == 0 && note_len > sizeof(note))
		abort();
}

/* The first byte says which format; the others are one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	switch (data[0] % 5) {
	case 0:
		check_check(data + 1, len - 1);
		break;
	case 1:
		check_status(data + 1, len - 1);
		break;
	case 2:
		check_offer(data + 1, len - 1);
		break;
	case 3:
		check_answers(data + 1, len - 1);
		break;
	default:
		check_note(data + 1, len - 1);
		break;
	}
	return 0;
}
