/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subscriber: listen SERVICE TOPIC [POSITION] prints each event with its position, and how many are
 * lost, until the subscription ends.
 *
 *	cc listen.c $(pkg-config --cflags --libs weft) -o listen
 */
#include <stdbool.h>
#include <stdio.h>
#include <weft/client.h>

static void heard(void *arg, const struct weft_event *event, const struct weft_error *error)
{
	bool *is_over = arg;

	if (!event) {
		fprintf(stderr, "listen: %s: %s\n", error->what, error->why);
		*is_over = true;
		return;
	}
	if (event->lost)
		printf("lost %llu\n", (unsigned long long)event->lost);
	if (event->data)
		printf("%s %.*s\n", event->position, (int)event->len, (const char *)event->data);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct weft_client *client = NULL;
	struct weft_subscription *subscription;
	struct weft_error error;
	bool is_over = false;
	struct weft_subscribe_params params = {.target = {.service = argc > 1 ? argv[1] : ""},
					       .topic = argc > 2 ? argv[2] : "",
					       .since = argc > 3 ? argv[3] : NULL,
					       .fn = heard,
					       .arg = &is_over};

	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_subscribe(client, &params, &subscription, &error) < 0) {
		fprintf(stderr, "listen: %s: %s\n", error.what, error.why);
		return 1;
	}
	while (!is_over)
		weft_client_dispatch(client, -1);
	weft_client_close(client);
	return 1;
}
