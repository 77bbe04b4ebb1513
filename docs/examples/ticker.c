/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events to many: ticker SOCKET offers "ticker" and publishes each line of its standard input on the
 * topic "lines", until that or the daemon ends.
 *
 *	cc ticker.c $(pkg-config --cflags --libs weft) -o ticker
 */
#include <stdio.h>
#include <string.h>
#include <weft/client.h>

int main(int argc, char **argv)
{
	static const struct weft_handler handler = {.call = NULL};
	struct weft_offering offering = {
		.name = "ticker", .socket_path = argc > 1 ? argv[1] : "", .handler = &handler};
	struct weft_client *client = NULL;
	struct weft_offer *offer;
	struct weft_error error;
	char line[4096];

	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_offer_open(client, &offering, &offer, &error) < 0) {
		fprintf(stderr, "ticker: %s: %s\n", error.what, error.why);
		return 1;
	}
	puts("offered");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		struct weft_publish_params event = {.service = "ticker",
						    .topic = "lines",
						    .data = line,
						    .len = strcspn(line, "\n"),
						    .timeout_ms = 5000};

		if (weft_publish(client, &event, NULL, &error) < 0)
			fprintf(stderr, "ticker: %s: %s\n", error.what, error.why);
	}
	weft_offer_close(offer);
	weft_client_close(client);
	return 0;
}
