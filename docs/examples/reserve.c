/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reserves an offer: reserve OFFER MESSAGE asks its provider for one unit, and waits for the answer.
 *
 *	cc reserve.c $(pkg-config --cflags --libs weft) -o reserve
 */
#include <stdio.h>
#include <weft/client.h>

static void changed(void *arg, const struct weft_service_reservation *reservation,
		    const struct weft_error *error)
{
	static const char *const words[] = {"?",       "asked",	    "confirmed",
					    "refused", "cancelled", "expired"};
	int *state = arg;

	if (!reservation) {
		fprintf(stderr, "reserve: %s: %s\n", error->what, error->why);
		*state = -1;
		return;
	}
	*state = (int)reservation->state;
	printf("%s %s\n", words[reservation->state],
	       reservation->answer ? reservation->answer : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char id[WEFT_SERVICE_RESERVATION_ID_CAP];
	const struct weft_service_reserve_params params = {.offer_id = argc > 1 ? argv[1] : "",
							   .message = argc > 2 ? argv[2] : NULL,
							   .timeout_ms = 5000};
	int state = 0;
	struct weft_service_reservations which = {
		.id = id, .timeout_ms = 5000, .fn = changed, .arg = &state};
	struct weft_service_reservations_watch *watch;
	struct weft_client *client = NULL;
	struct weft_error error;

	/* The daemon keeps it: another program may wait for the answer, too, with the same id. */
	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_service_offer_reserve(client, &params, id, &error) < 0 ||
	    weft_service_reservations_watch(client, &which, &watch, &error) < 0 ||
	    weft_service_reservations_each(client, &which, &error) < 0) {
		fprintf(stderr, "reserve: %s: %s\n", error.what, error.why);
		return 1;
	}
	while (state == WEFT_SERVICE_RESERVATION_ASKED && weft_client_dispatch(client, -1) >= 0)
		;
	weft_client_close(client);
	return state == WEFT_SERVICE_RESERVATION_CONFIRMED ? 0 : 1;
}
