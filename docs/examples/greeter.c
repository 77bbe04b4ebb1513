/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service: greeter SOCKET offers "greeter" until a signal ends it. Its method
 * Greet greets who the payload names.
 *
 *	cc greeter.c $(pkg-config --cflags --libs weft) -o greeter
 */
#include <signal.h>
#include <stdio.h>
#include <weft/client.h>

static volatile sig_atomic_t is_over;

static void stop(int signal_number)
{
	is_over = signal_number;
}

static void greet(void *ctx, struct weft_request *request, const struct weft_request_info *info)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "hello, %.*s", info->len < 64 ? (int)info->len : 64,
			   (const char *)info->payload);

	(void)ctx;
	weft_request_reply(request, text, (size_t)len);
}

int main(int argc, char **argv)
{
	static const struct weft_handler handler = {.call = greet};
	static const char *const read_only[] = {"Greet", NULL};
	struct weft_offering offering = {.name = "greeter",
					 .socket_path = argc > 1 ? argv[1] : "",
					 .read_only = read_only,
					 .handler = &handler};
	struct weft_client *client = NULL;
	struct weft_offer *offer;
	struct weft_error error;

	signal(SIGTERM, stop);
	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_offer_open(client, &offering, &offer, &error) < 0) {
		fprintf(stderr, "greeter: %s: %s\n", error.what, error.why);
		return 1;
	}
	while (!is_over)
		weft_client_dispatch(client, -1);
	weft_offer_close(offer);
	weft_client_close(client);
	return 0;
}
