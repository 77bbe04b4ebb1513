/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#define ROW(id, state)                                                                             \
	"{\"reservation_id\":\"" id "\",\"offer_id\":\"o\",\"side\":\"made\",\"state\":\"" state   \
	"\",\"units\":2,\"made_s\":1,\"changed_s\":2,\"expires_s\":3,\"message\":\"May I?\","      \
	"\"provider\":\"p\",\"reply_at\":\"r\"}"
#define EVENT(kind, id)                                                                            \
	"{\"continues\":true,\"parameters\":{\"event\":{\"seq\":1,\"at_s\":1,\"kind\":\"" kind     \
	"\",\"fields\":{\"reservation\":\"" id "\"}}}}"
#define FAILS                                                                                      \
	"{\"error\":\"net.weft.Node.Absent\",\"parameters\":{\"code\":-1005,\"what\":\"x\","       \
	"\"why\":\"no such reservation\",\"next\":\"\"}}"

static const char *const *events; /* of WatchEvents, up to NULL */
static char heard[512];		  /* parameters of the call before */

static void answer(int fd, const json_t *call)
{
	char *text = json_dumps(json_object_get(call, "parameters"), JSON_COMPACT | JSON_SORT_KEYS);
	const char *id = json_string_value(parameter(call, "reservation_id"));

	if (!call_is(call, "net.weft.Node.WatchEvents"))
		snprintf(heard, sizeof(heard), "%s", text);
	free(text);
	if (call_is(call, "net.weft.Node.WatchEvents"))
		for (const char *const *event = events; *event; event++)
			say_text(fd, *event);
	else if (call_is(call, "net.weft.Services.ListReservations") &&
		 !json_string_value(parameter(call, "cursor")))
		say_text(fd, "{\"parameters\":{\"reservations\":[" ROW(
				     "one", "asked") "],\"cursor\":\"5.one\",\"fills\":[]}}");
	else if (call_is(call, "net.weft.Services.ListReservations"))
		say_text(fd, "{\"parameters\":{\"reservations\":[" ROW(
				     "two", "refused") "],\"fills\":[]}}");
	else if (id && strcmp(id, "gone") == 0)
		say_text(fd, FAILS);
	else
		say_text(fd, "{\"parameters\":{\"reservation\":" ROW("one", "confirmed") "}}");
}

struct seen {
	char text[256];
	unsigned cnt, close_at;
	int err;
	bool is_over;
	struct weft_service_reservations_watch *watch;
};

static void on_reservation(void *arg, const struct weft_service_reservation *reservation,
			   const struct weft_error *error)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	if (!reservation) {
		seen->err = error->err;
		seen->is_over = true;
		return;
	}
	snprintf(seen->text + len, sizeof(seen->text) - len, "%s %d ", reservation->id,
		 (int)reservation->state);
	CHECK(!reservation->is_received && reservation->units == 2 && !reservation->answer);
	CHECK_EQ(strcmp(reservation->message, "May I?"), 0);
	if (++seen->cnt == seen->close_at)
		weft_service_reservations_watch_close(seen->watch);
}

static struct weft_service_reservations of(struct seen *seen, const char *id)
{
	return (struct weft_service_reservations){
		.id = id, .timeout_ms = 10000, .fn = on_reservation, .arg = seen};
}

static void test_one_or_all_are_given(void)
{
	struct weft_service_reservations which;
	struct weft_client *client;
	struct weft_error error;
	struct seen seen = {.cnt = 0};

	daemon_open(answer);
	client = client_of_fake();
	which = of(&seen, NULL);
	CHECK_EQ(weft_service_reservations_each(client, &which, &error), 2);
	CHECK_EQ(strcmp(heard, "{\"cursor\":\"5.one\",\"limit\":200}"), 0);
	which = of(&seen, "one");
	CHECK_EQ(weft_service_reservations_each(client, &which, &error), 1);
	CHECK_EQ(strcmp(seen.text, "one 1 two 3 one 2 "), 0);
	which = of(&seen, "gone");
	CHECK_EQ(weft_service_reservations_each(client, &which, &error), -1005);
	CHECK_EQ(strcmp(error.why, "no such reservation"), 0);
	weft_client_close(client);
	daemon_close();
}

static void test_a_call_says_what_is_given_and_no_more(void)
{
	static const struct weft_service_reserve_params least = {.offer_id = "o",
								 .timeout_ms = 10000};
	static const struct weft_service_reserve_params most = {.offer_id = "o",
								.message = "May I?",
								.reply_at = "r",
								.units = 2,
								.hours = 9,
								.timeout_ms = 10000};
	static const struct weft_service_reservation_answer said = {"one", "At six.", 10000};
	char id[WEFT_SERVICE_RESERVATION_ID_CAP];
	struct weft_client *client;

	daemon_open(answer);
	client = client_of_fake();
	CHECK_EQ(weft_service_offer_reserve(client, &least, id, NULL), 0);
	CHECK_EQ(strcmp(id, "one"), 0);
	CHECK_EQ(strcmp(heard, "{\"offer_id\":\"o\"}"), 0);
	CHECK_EQ(weft_service_offer_reserve(client, &most, id, NULL), 0);
	CHECK_EQ(strcmp(heard, "{\"hours\":9,\"message\":\"May I?\",\"offer_id\":\"o\","
			       "\"reply_at\":\"r\",\"units\":2}"),
		 0);
	heard[0] = '\0';
	CHECK_EQ(weft_service_reservation_confirm(client, &said, NULL), 0);
	CHECK_EQ(strcmp(heard, "{\"message\":\"At six.\",\"reservation_id\":\"one\"}"), 0);
	CHECK_EQ(weft_service_reservation_refuse(client, &said, NULL), 0);
	CHECK_EQ(weft_service_reservation_cancel(client, &said, NULL), 0);
	weft_client_close(client);
	daemon_close();
}

static void test_a_watch_gives_what_changes_and_all_where_events_were_missed(void)
{
	static const char *const rows[] = {
		EVENT("reservation.confirmed", "one"),
		EVENT("peer.connected", "one"),
		EVENT("reservation.asked", "gone"),
		"{\"continues\":true,\"parameters\":{\"gap\":7}}",
		"{\"continues\":true,\"parameters\":{\"event\":{\"kind\":\"reservation.asked\"}}}",
		EVENT("reservation.refused", "other"),
		"{\"error\":\"net.weft.Node.Busy\",\"parameters\":{\"code\":-1008,\"what\":\"x\","
		"\"why\":\"y\",\"next\":\"\"}}",
		NULL};
	/* id of the watch, when it is closed, what it hears */
	static const struct {
		const char *id;
		unsigned close_at;
		const char *text;
	} cases[] = {
		{NULL, 0, "one 2 one 1 two 3 one 2 "},
		{"one", 0, "one 2 one 1 "},
		{"tw", 0, "two 3 "},
		{"none", 0, ""},
		{NULL, 1, "one 2 "},
		{NULL, 2, "one 2 one 1 "},
	};

	events = rows;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = {.close_at = cases[i].close_at};
		struct weft_service_reservations which = of(&seen, cases[i].id);
		struct weft_client *client;

		daemon_open(answer);
		client = client_of_fake();
		CHECK_EQ(weft_service_reservations_watch(client, &which, &seen.watch, NULL), 0);
		UNTIL(client, seen.is_over || (seen.close_at && seen.cnt >= seen.close_at));
		CHECK_EQ(seen.err, seen.close_at ? 0 : -1008);
		if (strcmp(seen.text, cases[i].text) != 0)
			printf("# %zu: %s\n", i, seen.text);
		CHECK_EQ(strcmp(seen.text, cases[i].text), 0);
		weft_client_close(client);
		daemon_close();
	}
}

static void test_an_id_that_is_too_long_is_refused(void)
{
	char id[WEFT_SERVICE_RESERVATION_ID_CAP + 1];
	struct seen seen = {.cnt = 0};
	struct weft_service_reservations which = of(&seen, id);
	struct weft_client *client;
	struct weft_error error;

	static const char *const none[] = {NULL};

	events = none;
	daemon_open(answer);
	client = client_of_fake();
	memset(id, 'y', sizeof(id));
	id[WEFT_SERVICE_RESERVATION_ID_CAP] = '\0';
	CHECK_EQ(weft_service_reservations_watch(client, &which, &seen.watch, &error),
		 WEFT_EMALFORMED);
	id[WEFT_SERVICE_RESERVATION_ID_CAP - 1] = '\0';
	CHECK_EQ(weft_service_reservations_watch(client, &which, &seen.watch, &error), 0);
	weft_service_reservations_watch_close(NULL);
	weft_client_close(client);
	daemon_close();
}

int main(void)
{
	RUN(test_one_or_all_are_given);
	RUN(test_a_call_says_what_is_given_and_no_more);
	RUN(test_a_watch_gives_what_changes_and_all_where_events_were_missed);
	RUN(test_an_id_that_is_too_long_is_refused);
	return check_done();
}
