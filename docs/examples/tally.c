/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that keeps rows: tally SOCKET offers "tally" until a signal ends it. Its method Add adds
 * one to the number of the caller, and answers it. No number that was answered is lost. Build it by
 *	cc tally.c $(pkg-config --cflags --libs weft) -o tally
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <weft/client.h>

static volatile sig_atomic_t is_over;
static struct weft_offer *offer;

static void stop(int signal_number)
{
	is_over = signal_number;
}

static void add(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	unsigned cnt = 0;
	struct weft_row *kept = NULL, row = {info->caller, strlen(info->caller), &cnt, sizeof(cnt)};
	struct weft_error error;
	char text[16];
	int err = weft_row_read(offer, row.key, row.key_len, &kept, &error);

	if (err == 0)
		memcpy(&cnt, kept->value, sizeof(cnt));
	weft_row_free(kept);
	snprintf(text, sizeof(text), "%u", ++cnt);
	if ((err < 0 && err != WEFT_EABSENT) || weft_rows_write(offer, &row, 1, &error) < 0 ||
	    weft_count(offer, "added", 1, &error) < 0)
		weft_request_fail(request, WEFT_CALL_UNAVAILABLE, error.why);
	else
		weft_request_reply(request, text, strlen(text));
	(void)ctx;
}

int main(int argc, char **argv)
{
	static const char *const counters[] = {"added", NULL};
	const struct weft_handler handler = {.call = add};
	const struct weft_offering offering = {"tally", .socket_path = argv[argc - 1],
					       .handler = &handler};
	const struct weft_capabilities with = {
		.rows = 1000, .row_bytes = 100000, .counters = counters};
	struct weft_client *client = NULL;
	struct weft_error error;

	signal(SIGTERM, stop);
	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_offer_open_with(client, &offering, &with, &offer, &error) < 0)
		return fprintf(stderr, "tally: %s: %s\n", error.what, error.why), 1;
	while (!is_over)
		weft_client_dispatch(client, -1);
	weft_offer_close(offer);
	weft_client_close(client);
}
