/* SPDX-License-Identifier: Apache-2.0 */
/* weft xdp: plan, attach, keep, detach, status, mode. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

/* "60", "60s" or "5m" in seconds; at most a day. */
#define CONFIRM_MAX_S 86400

static bool seconds_parse(const char *text, uint64_t *out_s)
{
	size_t len = strlen(text);
	char digits[16];
	uint64_t factor = 1;

	if (len && (text[len - 1] == 's' || text[len - 1] == 'm')) {
		factor = text[len - 1] == 'm' ? 60 : 1;
		len--;
	}
	if (len >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
	if (!text_parse_count(digits, out_s) || !*out_s || *out_s > CONFIRM_MAX_S / factor)
		return false;
	*out_s *= factor;
	return true;
}

static void print_texts(const char *title, const json_t *texts)
{
	char clean[512];
	json_t *text;
	size_t idx;

	json_array_foreach(texts, idx, text)
		printf("%-*s  %s\n", FIELD_TITLE_WIDTH, idx ? "" : title,
		       text_clean(json_string_value(text), clean, sizeof(clean)));
}

static void print_plan(const struct invocation *inv, const json_t *reply)
{
	const json_t *plan = json_object_get(reply, "plan");

	fields_print(inv, plan, api_view_xdp_plan_show);
	if (!inv->has_terminal_out)
		return;
	print_texts("stays untouched", json_object_get(plan, "untouched"));
	print_texts("warnings", json_object_get(plan, "warnings"));
}

/* Whether text is one of words, which end with NULL; if not, it has been said what may stand there. */
static bool word_is_known(const char *what, const char *text, const char *const *words)
{
	char next[96];
	size_t len = 0;

	for (size_t i = 0; words[i]; i++)
		if (!text || strcmp(text, words[i]) == 0)
			return true;
	for (size_t i = 0; words[i]; i++)
		len += (size_t)snprintf(next + len, sizeof(next) - len, "%s%s",
					i ? ", " : "one of ", words[i]);
	client_say_error(STATUS_USAGE, what, "no such word", next);
	return false;
}

static bool device_words_are_known(const struct invocation *inv)
{
	static const char *const modes[] = {"auto", "native", "generic", NULL};
	static const char *const sends[] = {"auto", "udp", "af_xdp", NULL};

	return word_is_known("--mode", invocation_option(inv, "mode"), modes) &&
	       word_is_known("--send", invocation_option(inv, "send"), sends);
}

int run_xdp_plan(struct invocation *inv)
{
	if (!device_words_are_known(inv))
		return STATUS_USAGE;
	return client_show(inv, "PlanXdp", command_parameters(inv, "PlanXdp", "device"),
			   print_plan);
}

int run_xdp_attach(struct invocation *inv)
{
	const char *confirm = invocation_option(inv, "confirm");
	json_t *parameters;
	uint64_t confirm_s = 0;
	int status;

	if (confirm && !seconds_parse(confirm, &confirm_s))
		return client_say_error(STATUS_USAGE, confirm, "not a time such as 60s or 5m",
					"weft help xdp attach");
	if (!device_words_are_known(inv))
		return STATUS_USAGE;
	parameters = command_parameters(inv, "AttachXdp", "device");
	if (confirm)
		json_object_set_new(parameters, "confirm_ms",
				    json_integer((json_int_t)(confirm_s * 1000)));
	status = show_fields(inv, "AttachXdp", parameters, "device", api_view_xdp_device_show);
	if (status == STATUS_OK && confirm && !inv->is_json)
		fprintf(stderr, "weft: it is detached in %s unless you type: weft xdp keep %s\n",
			confirm, inv->args[0]);
	return status;
}

static void print_mode(const struct invocation *inv, const json_t *reply)
{
	(void)inv;
	printf("%s\n", field_text(reply, "mode"));
}

int run_xdp_mode(struct invocation *inv)
{
	static const char *const modes[] = {"auto", "normal", "pressured", "flood", NULL};

	if (!word_is_known("MODE", inv->args[0], modes))
		return STATUS_USAGE;
	return client_show(inv, "SetXdpMode", json_pack("{s:s}", "mode", inv->args[0]), print_mode);
}

/* The worker of each queue: for people, beside one device a line. */
static void print_queues(const struct invocation *inv, const json_t *devices)
{
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		printf("\n%s\n", field_text(device, "device"));
		table_print(inv, json_object_get(device, "receive"), api_view_xdp_queue_list,
			    "no queue");
	}
}

void print_xdp_status(const struct invocation *inv, const json_t *reply)
{
	if (inv->has_terminal_out)
		fields_print(inv, reply, api_view_show_xdp_out_show);
	table_print(inv, json_object_get(reply, "devices"), api_view_xdp_device_list,
		    "no device is attached");
	if (inv->has_terminal_out)
		print_queues(inv, json_object_get(reply, "devices"));
}
