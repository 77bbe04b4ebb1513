/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "deposits/deposit_message.h"
#include "deposits/deposit_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[4 * MESH_ASK_LEN_MAX];

static void check_put(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct deposit_put_message message, again;

	if (deposits_put_parse(data, len, &message) < 0)
		return;
	deposits_put_write(&w, &message);
	if (w.bad || deposits_put_parse(out, writer_len(&w), &again) < 0 ||
	    again.sealed_len != message.sealed_len || again.expires_s != message.expires_s)
		abort();
}

static void check_put_answer(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct deposit_put_answer answer, again;

	if (deposits_put_answer_parse(data, len, &answer) < 0)
		return;
	deposits_put_answer_write(&w, &answer);
	if (w.bad || deposits_put_answer_parse(out, writer_len(&w), &again) < 0 ||
	    again.has_receipt != answer.has_receipt)
		abort();
}

static void check_pull(const uint8_t *data, size_t len)
{
	static const uint8_t session[MAILPULL_SESSION_LEN];
	struct writer w = writer_of(out, sizeof(out));
	struct deposit_pull_message message, again;
	uint8_t key[DEPOSIT_KEY_LEN];

	if (deposits_mailpull_verify(data, len, session, key) == 0)
		abort(); /* no seed of the corpus signs for that session */
	if (deposits_pull_parse(data, len, &message) < 0)
		return;
	deposits_pull_write(&w, &message);
	if (w.bad || deposits_pull_parse(out, writer_len(&w), &again) < 0 ||
	    again.after != message.after || again.mailpull_len != message.mailpull_len)
		abort();
}

static void check_page(const uint8_t *data, size_t len)
{
	static struct deposit_page page, again;
	struct writer w = writer_of(out, sizeof(out));

	if (deposits_page_parse(data, len, &page) < 0)
		return;
	deposits_page_write(&w, &page);
	if (w.bad || deposits_page_parse(out, writer_len(&w), &again) < 0 ||
	    again.row_cnt != page.row_cnt || again.next != page.next)
		abort();
}

static void check_ack(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct deposit_ack_message message, again;

	if (deposits_ack_parse(data, len, &message) < 0)
		return;
	deposits_ack_write(&w, &message);
	if (w.bad || deposits_ack_parse(out, writer_len(&w), &again) < 0 ||
	    again.receipt_cnt != message.receipt_cnt || again.id_cnt != message.id_cnt)
		abort();
}

static void check_record(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct deposit_record record;

	if (deposits_record_parse(data, len, &record) < 0)
		return;
	deposits_record_write(&w, &record);
	/* Without a receipt its place has zeros, whatever was there. */
	if (w.bad || writer_len(&w) != len)
		abort();
}

/* The first byte says which format; the others are one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t cnt;

	if (len < 1)
		return 0;
	switch (data[0] % 7) {
	case 0:
		check_put(data + 1, len - 1);
		break;
	case 1:
		check_put_answer(data + 1, len - 1);
		break;
	case 2:
		check_pull(data + 1, len - 1);
		break;
	case 3:
		check_page(data + 1, len - 1);
		break;
	case 4:
		check_ack(data + 1, len - 1);
		break;
	case 5:
		(void)!deposits_ack_answer_parse(data + 1, len - 1, &cnt);
		break;
	default:
		check_record(data + 1, len - 1);
		break;
	}
	return 0;
}
