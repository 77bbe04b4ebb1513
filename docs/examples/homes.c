/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offers of a service: homes RENT prints the homes that cost at most so much, those that are known
 * first, then each new one, until the daemon ends.
 *
 *	cc homes.c $(pkg-config --cflags --libs weft) -o homes
 */
#include <stdio.h>
#include <weft/client.h>

static void home(void *arg, const struct weft_service_offer *offer, const struct weft_error *error)
{
	bool *is_over = arg;

	if (!offer) {
		fprintf(stderr, "homes: %s: %s\n", error->what, error->why);
		*is_over = true;
		return;
	}
	printf("%s", offer->id);
	for (size_t i = 0; i < offer->value_cnt; i++)
		printf(" %s=%s%s", offer->values[i].field, offer->values[i].value,
		       offer->values[i].unit);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char rent[32];
	const char *filters[] = {rent};
	bool is_over = false;
	const struct weft_service_find find = {.schema = "housing",
					       .filters = filters,
					       .filter_cnt = 1,
					       .timeout_ms = 5000,
					       .fn = home,
					       .arg = &is_over};
	struct weft_service_watch *watch;
	struct weft_client *client = NULL;
	struct weft_error error;

	snprintf(rent, sizeof(rent), "max_rent=%s", argc > 1 ? argv[1] : "1000");
	/* The watch comes first, so that none is missed in between; one may come twice then. */
	if (weft_client_open(NULL, 5000, &client, &error) < 0 ||
	    weft_service_offer_watch(client, &find, &watch, &error) < 0 ||
	    weft_service_offer_find(client, &find, &error) < 0) {
		fprintf(stderr, "homes: %s: %s\n", error.what, error.why);
		return 1;
	}
	while (!is_over && weft_client_dispatch(client, -1) >= 0)
		;
	weft_client_close(client);
	return 1;
}
