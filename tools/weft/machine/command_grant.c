/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft relay grant-new, grant-list, grant-show, grant-revoke and grant-lend. All work on files and keys alone; no daemon is asked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/text/zbase32.h"
#include "command/daemon_client.h"
#include "crypto/node_key.h"
#include "machine/grant_file.h"
#include "print/text.h"
#include "relay/grants/grant_record.h"
#include "relay/grants/grant_revocations.h"
#include "varlink/printed.h"

#define FLOWS_DEFAULT  16
#define LIFE_DEFAULT_S (30ull * 86400)

static uint64_t wall_now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

/* --- words --- */

static int key_word(const char *word, size_t len, uint8_t key[static 32])
{
	if (len == ZBASE32_TEXT_LEN(32) && zbase32_parse(word, len, key, 32) == 32 &&
	    node_key_is_sound(key))
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, word, "no key of a node",
				"a key has 52 letters, as weft node id shows it");
}

/* key_words: word has one a line; at most 8. */
static int key_words(const char *words, uint8_t (*keys)[32], uint32_t *out_cnt)
{
	uint32_t cnt = 0;
	int status = STATUS_OK;

	while (words && *words && status == STATUS_OK) {
		size_t len = strcspn(words, "\n");

		if (cnt == RELAY_GRANT_RELAYS_MAX)
			return client_say_error(STATUS_USAGE, words, "more than 8 keys", NULL);
		status = key_word(words, len, keys[cnt++]);
		words += len + (words[len] == '\n');
	}
	*out_cnt = cnt;
	return status;
}
_Static_assert(RELAY_SET_KEYS_MAX == RELAY_GRANT_RELAYS_MAX, "key_words has one limit");

struct number_word {
	const char *option;
	uint64_t min, max;
	bool is_size;
};

/* An option that was not given leaves *out as it is. */
static int number_word(const struct invocation *inv, const struct number_word *rule, uint64_t *out)
{
	const char *text = invocation_option(inv, rule->option);
	uint64_t number = 0;
	char why[128];
	bool is_read;

	if (!text)
		return STATUS_OK;
	is_read = rule->is_size ? text_parse_size(text, strlen(text), &number)
				: text_parse_count(text, &number);
	if (is_read && number >= rule->min && number <= rule->max) {
		*out = number;
		return STATUS_OK;
	}
	snprintf(why, sizeof(why), "--%s takes a number from %llu to %llu", rule->option,
		 (unsigned long long)rule->min, (unsigned long long)rule->max);
	return client_say_error(STATUS_USAGE, text, why, NULL);
}

static int seconds_word(const struct invocation *inv, const char *option, uint64_t *out)
{
	const char *text = invocation_option(inv, option);

	if (!text || (text_parse_seconds(text, out) && *out <= RELAY_GRANT_LIFE_S_MAX))
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, text, "not a length of time of at most 400 days",
				"for example 90s, 10m, 12h or 7d");
}

/* --- what an operator signed --- */

struct signed_grant {
	uint8_t bytes[RELAY_SHOWN_LEN_MAX];
	struct relay_shown shown;
};

static int grant_read(const char *name, const char *text, struct signed_grant *out)
{
	size_t len;
	int err = relay_grant_text_read(text, out->bytes, &len);

	if (err == 0)
		err = relay_shown_parse(out->bytes, len, &out->shown);
	if (err == 0)
		err = relay_shown_verify(&out->shown);
	if (err == 0)
		return STATUS_OK;
	return client_say_error(STATUS_NOT_VERIFIED, name,
				relay_grant_fault_text(err == WEFT_EDAMAGED
							       ? RELAY_GRANT_FORGED
							       : RELAY_GRANT_MALFORMED),
				NULL);
}

/* The revocation list at path. cnt, below and serial are 0 where there is none. */
static int revocations_read(const struct invocation *inv, const char *path,
			    struct relay_revocations *out)
{
	static uint8_t bytes[RELAY_REVOCATIONS_LEN_MAX];
	size_t len;
	char *text;
	int err, status = grant_file_read(inv, path, &text);

	memset(out, 0, sizeof(*out));
	if (status != STATUS_OK || !text)
		return status;
	err = relay_revocations_text_read(text, bytes, &len);
	if (err == 0)
		err = relay_revocations_parse(bytes, len, out);
	return err == 0 ? STATUS_OK
			: client_say_error(STATUS_NOT_VERIFIED, path,
					   "the revocation list was forged or changed", NULL);
}

/* An operator's files, while no other run changes them. */
struct operator_files {
	struct node_key *key;
	char grants[PATH_MAX], revoked[PATH_MAX];
	char *text; /* of grants; NULL: there are none */
	struct relay_revocations revocations;
};

static int operator_open(const struct invocation *inv, struct operator_files *files)
{
	const char *path = inv->args[0];
	int status = grant_file_key_load(inv, path, &files->key);

	if (status == STATUS_OK)
		status = grant_file_lock(path);
	if (status == STATUS_OK)
		status = grant_file_name(path, "grants", files->grants);
	if (status == STATUS_OK)
		status = grant_file_name(path, "revoked", files->revoked);
	if (status == STATUS_OK)
		status = grant_file_read(inv, files->grants, &files->text);
	if (status == STATUS_OK)
		status = revocations_read(inv, files->revoked, &files->revocations);
	if (status == STATUS_OK && files->revocations.serial &&
	    memcmp(files->revocations.issuer, node_key_public(files->key), NODE_KEY_LEN) != 0)
		status = client_say_error(STATUS_NOT_VERIFIED, files->revoked,
					  "another operator signed it", NULL);
	return status;
}

/* grants_each calls fn with every grant of the file; a line that is damaged ends it. */
static int grants_each(struct operator_files *files,
		       void (*fn)(void *ctx, const struct relay_shown *shown), void *ctx)
{
	char *at = files->text, line[RELAY_GRANT_TEXT_CAP];
	struct signed_grant grant;
	int status = STATUS_OK;

	while (at && *at && status == STATUS_OK) {
		size_t len = strcspn(at, "\n");

		if (len >= sizeof(line))
			return client_say_error(STATUS_NOT_VERIFIED, files->grants,
						"a line is too long", NULL);
		memcpy(line, at, len);
		line[len] = '\0';
		status = grant_read(files->grants, line, &grant);
		if (status == STATUS_OK)
			fn(ctx, &grant.shown);
		at += len + (at[len] == '\n');
	}
	return status;
}

static void serial_max(void *ctx, const struct relay_shown *shown)
{
	uint64_t *max = ctx;

	if (shown->grant.serial > *max)
		*max = shown->grant.serial;
}

/* --- new --- */

static int grant_terms(const struct invocation *inv, struct relay_grant_record *grant)
{
	const struct number_word rate = {"rate", RELAY_GRANT_PER_S_MIN, RELAY_GRANT_BYTES_MAX,
					 true};
	const struct number_word burst = {"burst", RELAY_GRANT_BURST_MIN, RELAY_GRANT_BYTES_MAX,
					  true};
	const struct number_word month = {"month", 1, RELAY_GRANT_BYTES_MAX, true};
	const struct number_word flows = {"flows", 1, RELAY_GRANT_FLOWS_MAX, false};
	uint64_t flow_max = FLOWS_DEFAULT, begins_s = 0, life_s = LIFE_DEFAULT_S;
	int status = key_word(inv->args[1], strlen(inv->args[1]), grant->holder);

	if (status != STATUS_OK || (status = number_word(inv, &rate, &grant->per_s)) ||
	    (status = number_word(inv, &burst, &grant->burst_len)) ||
	    (status = number_word(inv, &month, &grant->month_len)) ||
	    (status = number_word(inv, &flows, &flow_max)) ||
	    (status = seconds_word(inv, "begins", &begins_s)) ||
	    (status = seconds_word(inv, "for", &life_s)) ||
	    (status = key_words(invocation_option(inv, "relay"), grant->relays, &grant->relay_cnt)))
		return status;
	if (grant->burst_len && !grant->per_s)
		return client_say_error(STATUS_USAGE, "--burst", "a burst is of a rate",
					"give --rate, too");
	if (grant->per_s && !grant->burst_len)
		grant->burst_len =
			grant->per_s < RELAY_GRANT_BURST_MIN ? RELAY_GRANT_BURST_MIN : grant->per_s;
	grant->flow_max = (uint32_t)flow_max;
	grant->is_content = invocation_option(inv, "content") != NULL;
	grant->not_before_s = wall_now_s() + begins_s;
	grant->expires_s = grant->not_before_s + life_s;
	return STATUS_OK;
}

static int grant_serial(const struct invocation *inv, struct operator_files *files,
			struct relay_grant_record *grant)
{
	const struct number_word rule = {"serial", 1, INT64_MAX, false};
	uint64_t max = 0;
	int status = grants_each(files, serial_max, &max);

	if (files->revocations.below > max + 1)
		max = files->revocations.below - 1;
	grant->serial = max + 1;
	if (status == STATUS_OK)
		status = number_word(inv, &rule, &grant->serial);
	if (status == STATUS_OK && relay_revocations_have(&files->revocations, grant->serial))
		return client_say_error(STATUS_REFUSED, "--serial",
					"grants with this serial are revoked", NULL);
	return status;
}

static void json_show(json_t *json)
{
	text_print_json(json);
	json_decref(json);
}

static int signed_grant_show(const struct invocation *inv, const char *text)
{
	if (inv->is_json)
		json_show(api_printed_signed_grant_write(
			&(struct api_printed_signed_grant){.grant = text}));
	else
		printf("%s\n", text);
	return STATUS_OK;
}

static int grant_sign(const struct invocation *inv, struct operator_files *files)
{
	struct relay_grant_record grant = {.serial = 0};
	char text[RELAY_GRANT_TEXT_CAP];
	uint8_t bytes[RELAY_GRANT_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int status = grant_terms(inv, &grant);

	if (status == STATUS_OK)
		status = grant_serial(inv, files, &grant);
	if (status != STATUS_OK)
		return status;
	relay_grant_record_write(&w, files->key, &grant);
	if (w.bad)
		return client_say_error(STATUS_FAILED, inv->args[1], "the grant is too long", NULL);
	relay_grant_text_write(bytes, writer_len(&w), text);
	/* Its serial is used before the grant leaves. */
	status = grant_file_replace(files->grants, files->text, text);
	return status == STATUS_OK ? signed_grant_show(inv, text) : status;
}

int run_relay_grant_new(struct invocation *inv)
{
	struct operator_files files = {.key = NULL};
	int status = operator_open(inv, &files);

	if (status == STATUS_OK)
		status = grant_sign(inv, &files);
	node_key_free(files.key);
	return status;
}

/* --- list and show --- */

static const char *grant_state(const struct relay_shown *shown,
			       const struct relay_revocations *list)
{
	bool is_of_list = list->serial && memcmp(list->issuer, shown->grant.issuer, 32) == 0;

	if (is_of_list && relay_revocations_have(list, shown->grant.serial))
		return "revoked";
	if (shown->has_set && shown->set_expires_s <= wall_now_s())
		return "expired";
	switch (relay_grant_times_judge(&shown->grant, wall_now_s())) {
	case RELAY_GRANT_EARLY:
		return "early";
	case RELAY_GRANT_EXPIRED:
		return "expired";
	default:
		return "valid";
	}
}

static struct api_string_list keys_of(struct varlink_blocks *blocks, const uint8_t (*keys)[32],
				      uint32_t cnt)
{
	struct api_string_list list = {0};
	char text[ZBASE32_KEY_TEXT_CAP];

	for (uint32_t i = 0; i < cnt; i++)
		varlink_push(blocks, &list, varlink_text(blocks, zbase32_write(keys[i], 32, text)));
	return list;
}

static struct api_printed_grant grant_of(struct varlink_blocks *blocks,
					 const struct relay_shown *shown,
					 const struct relay_revocations *list)
{
	const struct relay_grant_record *grant = &shown->grant;
	char issuer[ZBASE32_KEY_TEXT_CAP], holder[ZBASE32_KEY_TEXT_CAP];
	struct api_printed_grant out = {
		.operator= varlink_text(blocks, zbase32_write(grant->issuer, 32, issuer)),
		.serial = api_uint(grant->serial),
		.holder = varlink_text(blocks, zbase32_write(grant->holder, 32, holder)),
		.rate = api_uint(grant->per_s),
		.burst = api_uint(grant->burst_len),
		.month = api_uint(grant->month_len),
		.flows = api_uint(grant->flow_max),
		.content = grant->is_content,
		.not_before_s = api_uint(grant->not_before_s),
		.expires_s = api_uint(grant->expires_s),
		.state = grant_state(shown, list),
		.relays = keys_of(blocks, grant->relays, grant->relay_cnt),
	};

	if (shown->has_set) {
		API_SET(&out, lent_to, keys_of(blocks, shown->keys, shown->key_cnt));
		API_SET(&out, lent_until_s, api_uint(shown->set_expires_s));
	}
	return out;
}

/* One line: a pipe and people get the same columns. */
static void grant_line(const struct api_printed_grant *grant)
{
	printf("%" PRId64 "\t%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
	       "\t%s\t%" PRId64 "\t%" PRId64 "\t%s\n",
	       grant->serial, grant->holder, grant->state, grant->rate, grant->burst, grant->month,
	       grant->flows, grant->content ? "yes" : "no", grant->not_before_s, grant->expires_s,
	       grant->operator);
}

struct listing {
	struct varlink_blocks *blocks;
	const struct relay_revocations *list;
	struct api_printed_grants out;
};

static void listing_add(void *ctx, const struct relay_shown *shown)
{
	struct listing *listing = ctx;

	varlink_push(listing->blocks, &listing->out.grants,
		     grant_of(listing->blocks, shown, listing->list));
}

static void grants_print(const struct invocation *inv, const struct api_printed_grants *out)
{
	if (inv->is_json) {
		json_show(api_printed_grants_write(out));
		return;
	}
	for (size_t i = 0; i < out->grants.cnt; i++)
		grant_line(&out->grants.rows[i]);
	if (!out->grants.cnt && inv->has_terminal_out)
		printf("no grant was signed; weft relay grant-new signs one\n");
}

int run_relay_grant_list(struct invocation *inv)
{
	struct operator_files files = {.key = NULL};
	struct listing listing = {.blocks = inv->blocks, .list = &files.revocations};
	int status = operator_open(inv, &files);

	if (status == STATUS_OK)
		status = grants_each(&files, listing_add, &listing);
	if (status == STATUS_OK)
		grants_print(inv, &listing.out);
	node_key_free(files.key);
	return status;
}

/* grant_arg: the grant that is the argument, or that the file of its name has. */
static int grant_arg(const struct invocation *inv, const char *word, struct signed_grant *out)
{
	char *text;
	int status;

	if (strncmp(word, RELAY_GRANT_SCHEME, sizeof(RELAY_GRANT_SCHEME) - 1) == 0)
		return grant_read("the grant", word, out);
	status = grant_file_read(inv, word, &text);
	if (status != STATUS_OK)
		return status;
	return text ? grant_read(word, text, out)
		    : client_say_error(STATUS_NOT_FOUND, word, "no grant, and no file",
				       "a grant begins with " RELAY_GRANT_SCHEME);
}

/* With --operator and --relay as that relay judges it for the key of --user. */
static int grant_judge(const struct invocation *inv, const struct signed_grant *grant,
		       const struct relay_revocations *list)
{
	const char *words[] = {invocation_option(inv, "operator"), invocation_option(inv, "relay"),
			       invocation_option(inv, "user")};
	struct relay_grant_place place = {.issuer = grant->shown.grant.issuer,
					  .wall_s = wall_now_s()};
	enum relay_grant_fault fault;
	uint8_t keys[3][32];

	for (size_t i = 0; i < 3; i++)
		if (words[i] && key_word(words[i], strlen(words[i]), keys[i]) != STATUS_OK)
			return STATUS_USAGE;
	if (words[0])
		place.issuer = keys[0];
	place.relay = words[1] ? keys[1] : NULL;
	place.user = words[2] ? keys[2] : NULL;
	fault = relay_shown_judge(&grant->shown, &place);
	if (fault == RELAY_GRANT_FINE && strcmp(grant_state(&grant->shown, list), "revoked") == 0)
		fault = RELAY_GRANT_REVOKED;
	return fault == RELAY_GRANT_FINE ? STATUS_OK
					 : client_say_error(STATUS_REFUSED, "the grant",
							    relay_grant_fault_text(fault), NULL);
}

int run_relay_grant_show(struct invocation *inv)
{
	static struct relay_revocations list;
	const char *revoked = invocation_option(inv, "revoked");
	struct api_printed_grant shown;
	struct signed_grant grant;
	int status = grant_arg(inv, inv->args[0], &grant);

	if (status == STATUS_OK && revoked)
		status = revocations_read(inv, revoked, &list);
	if (status == STATUS_OK && revoked && !list.serial)
		status = client_say_error(STATUS_NOT_FOUND, revoked, "there is no such file", NULL);
	if (status != STATUS_OK)
		return status;
	shown = grant_of(inv->blocks, &grant.shown, &list);
	if (inv->is_json)
		json_show(api_printed_grant_write(&shown));
	else
		grant_line(&shown);
	return grant_judge(inv, &grant, &list);
}

/* --- revoke and lend --- */

static int serials_add(const struct invocation *inv, struct relay_revocations *list)
{
	const struct number_word rule = {"below", 1, INT64_MAX, false};
	uint64_t below = 0, serial;
	int err = 0, status = number_word(inv, &rule, &below);

	if (status == STATUS_OK && inv->arg_cnt == 1 && !below)
		return client_say_error(STATUS_USAGE, "grant-revoke", "no serial is named",
					"name serials, as weft relay grant-list shows them");
	for (unsigned i = 1; i < inv->arg_cnt && status == STATUS_OK; i++) {
		if (!text_parse_count(inv->args[i], &serial) || !serial || serial > INT64_MAX)
			return client_say_error(STATUS_USAGE, inv->args[i], "no serial of a grant",
						NULL);
		err = relay_revocations_add(list, serial);
		if (err == WEFT_EFULL)
			return client_say_error(STATUS_REFUSED, inv->args[i],
						"4,096 serials are revoked one by one",
						"revoke the oldest together, by --below SERIAL");
	}
	if (below)
		relay_revocations_raise(list, below);
	return status;
}

static int revocations_sign(const struct invocation *inv, struct operator_files *files)
{
	static uint8_t bytes[RELAY_REVOCATIONS_LEN_MAX];
	static char text[RELAY_REVOCATIONS_TEXT_CAP];
	struct relay_revocations *list = &files->revocations;
	struct writer w = writer_of(bytes, sizeof(bytes));
	int status = serials_add(inv, list);

	if (status != STATUS_OK)
		return status;
	list->serial++;
	list->made_s = wall_now_s();
	relay_revocations_write(&w, files->key, list);
	if (w.bad)
		return client_say_error(STATUS_REFUSED, files->revoked, "the list is too long",
					"revoke the oldest together, by --below SERIAL");
	relay_revocations_text_write(bytes, writer_len(&w), text);
	status = grant_file_replace(files->revoked, NULL, text);
	if (status == STATUS_OK && inv->is_json)
		json_show(api_printed_signed_revocations_write(
			&(struct api_printed_signed_revocations){.revocations = text}));
	else if (status == STATUS_OK)
		printf("%s\n", text);
	return status;
}

int run_relay_grant_revoke(struct invocation *inv)
{
	struct operator_files files = {.key = NULL};
	int status = operator_open(inv, &files);

	if (status == STATUS_OK)
		status = revocations_sign(inv, &files);
	node_key_free(files.key);
	return status;
}

static int set_sign(const struct invocation *inv, const struct node_key *key,
		    struct signed_grant *grant)
{
	struct relay_shown *shown = &grant->shown;
	uint8_t bytes[RELAY_SHOWN_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	char text[RELAY_GRANT_TEXT_CAP];
	uint64_t life_s = 86400;
	int status = seconds_word(inv, "for", &life_s);

	for (unsigned i = 2; i < inv->arg_cnt && status == STATUS_OK; i++) {
		if (shown->key_cnt == RELAY_SET_KEYS_MAX)
			return client_say_error(STATUS_USAGE, inv->args[i], "more than 8 keys",
						NULL);
		status =
			key_word(inv->args[i], strlen(inv->args[i]), shown->keys[shown->key_cnt++]);
	}
	if (status != STATUS_OK)
		return status;
	shown->set_expires_s = wall_now_s() + life_s;
	relay_set_write(&w, key, shown);
	if (w.bad)
		return client_say_error(STATUS_FAILED, inv->args[1], "the key set is too long",
					NULL);
	return signed_grant_show(inv, relay_grant_text_write(bytes, writer_len(&w), text));
}

int run_relay_grant_lend(struct invocation *inv)
{
	struct node_key *key = NULL;
	struct signed_grant grant;
	int status = grant_arg(inv, inv->args[1], &grant);

	if (status == STATUS_OK && grant.shown.has_set)
		return client_say_error(STATUS_USAGE, inv->args[1], "it is lent already",
					"lend the grant as its operator signed it");
	if (status == STATUS_OK)
		status = grant_file_key_load(inv, inv->args[0], &key);
	if (status == STATUS_OK &&
	    memcmp(node_key_public(key), grant.shown.grant.holder, NODE_KEY_LEN) != 0)
		status = client_say_error(STATUS_REFUSED, inv->args[0],
					  "the grant's holder has another key", NULL);
	if (status == STATUS_OK)
		status = set_sign(inv, key, &grant);
	node_key_free(key);
	return status;
}
