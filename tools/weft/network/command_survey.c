/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft dht survey: asks the DHT for the same items again and again. It prints how many were found,
 * how fast, and from how many nodes. Each answer is an observation: a line of the file of --out,
 * which a later survey reads first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "command/daemon_client.h"
#include "client/client_ask.h"
#include "print/output_table.h"
#include "print/text.h"
#include "varlink/printed.h"

#define KEYS_MAX	 10000
#define OBSERVATIONS_MAX 1000000
#define EVERY_DEFAULT_S	 600
#define LINE_CAP	 512

/* Not known: an age, or the holders of an item that was never asked for before. */
#define UNKNOWN UINT64_MAX

struct survey_key {
	char key[72], salt[72];
	int64_t seq;	  /* of the last item that was found; -1: none */
	uint64_t holders; /* at the last time that it was asked for */
};

struct observation {
	uint64_t age_s; /* by the sequence number, where that is a time */
	uint64_t holders, holders_before;
	uint64_t took_us;
	bool is_found;
};

struct survey {
	const struct invocation *inv;
	struct survey_key *keys;
	unsigned key_cnt;
	struct observation *observations;
	unsigned observation_cnt, observation_cap;
	FILE *out; /* NULL: none is wanted */
};

static uint64_t wall_now_s(void)
{
	return (uint64_t)time(NULL);
}

/* --- observations --- */

/* weft and pkarr number items by the clock, in microseconds; others in ms or s. UNKNOWN: neither. */
static uint64_t age_of(int64_t seq, uint64_t at_s)
{
	static const int64_t units_per_s[] = {1000000, 1000, 1};

	for (unsigned i = 0; i < 3; i++) {
		int64_t put_s = seq / units_per_s[i];

		/* From 2001 on; a minute in the future is a clock that is off. */
		if (put_s > 1000000000 && (uint64_t)put_s <= at_s + 60)
			return (uint64_t)put_s < at_s ? at_s - (uint64_t)put_s : 0;
	}
	return UNKNOWN;
}

struct answer {
	uint64_t at_s, took_us, holders;
	int64_t seq; /* -1: not found, or an item without one */
	bool is_found;
};

static bool survey_note(struct survey *survey, struct survey_key *key, const struct answer *answer)
{
	struct observation *observation;
	unsigned cap = survey->observation_cap ? 2 * survey->observation_cap : 1024;

	if (survey->observation_cnt == OBSERVATIONS_MAX)
		return false;
	if (survey->observation_cnt == survey->observation_cap) {
		observation = reallocarray(survey->observations, cap, sizeof(*observation));
		if (!observation)
			return false;
		survey->observations = observation;
		survey->observation_cap = cap;
	}
	if (answer->seq >= 0)
		key->seq = answer->seq;
	observation = &survey->observations[survey->observation_cnt++];
	*observation = (struct observation){.age_s = age_of(key->seq, answer->at_s),
					    .holders = answer->holders,
					    .holders_before = key->holders,
					    .took_us = answer->took_us,
					    .is_found = answer->is_found};
	key->holders = answer->holders;
	return true;
}

/* --- files --- */

static int say_line(const char *path, unsigned number, const char *why, const char *next)
{
	char what[320];

	snprintf(what, sizeof(what), "%s, line %u", path, number);
	return client_say_error(STATUS_USAGE, what, why, next);
}

static int keys_read(struct survey *survey, const char *path)
{
	char line[LINE_CAP], key[LINE_CAP], salt[LINE_CAP];
	FILE *file = fopen(path, "re");
	int status = STATUS_OK;

	if (!file)
		return client_say_error(STATUS_FAILED, path, strerror(errno), NULL);
	for (unsigned number = 1; status == STATUS_OK && fgets(line, sizeof(line), file);
	     number++) {
		int cnt = sscanf(line, "%511s %511s", key, salt);
		struct survey_key *at = &survey->keys[survey->key_cnt];

		if (cnt < 1 || key[0] == '#')
			continue;
		if (strlen(key) >= sizeof(at->key) || (cnt > 1 && strlen(salt) > 64))
			status = say_line(
				path, number, "no KEY, or a salt of more than 64 bytes",
				"a line is KEY, or KEY and a salt; KEY as of weft dht get");
		else if (survey->key_cnt == KEYS_MAX)
			status = say_line(path, number, "more than 10000 keys",
					  "split the file, and survey each part");
		else {
			*at = (struct survey_key){.seq = -1, .holders = UNKNOWN};
			strcpy(at->key, key);
			strcpy(at->salt, cnt > 1 ? salt : "");
			survey->key_cnt++;
		}
	}
	fclose(file);
	if (status == STATUS_OK && !survey->key_cnt)
		return client_say_error(STATUS_USAGE, path, "no key is in it",
					"a line is KEY, or KEY and a salt; KEY as of weft dht get");
	return status;
}

static struct survey_key *key_lookup(struct survey *survey, const char *key, const char *salt)
{
	for (unsigned i = 0; i < survey->key_cnt; i++)
		if (strcmp(survey->keys[i].key, key) == 0 &&
		    strcmp(survey->keys[i].salt, salt) == 0)
			return &survey->keys[i];
	return NULL;
}

/* Keys that the key file no longer has, and a last line that was cut, are left out. */
static int out_read(struct survey *survey, const char *path)
{
	char line[LINE_CAP], key[72], salt[72];
	struct answer answer;
	unsigned is_found;

	while (fgets(line, sizeof(line), survey->out)) {
		struct survey_key *at;
		int cnt = sscanf(line,
				 "%" SCNu64 "\t%71[^\t]\t%71[^\t]\t%u\t%" SCNu64 "\t%" SCNu64
				 "\t%" SCNd64,
				 &answer.at_s, key, salt, &is_found, &answer.took_us,
				 &answer.holders, &answer.seq);

		if (line[0] == '#' || !strchr(line, '\n'))
			continue;
		if (cnt != 7 || is_found > 1)
			return client_say_error(STATUS_USAGE, path, "it is not a survey's file",
						"name another --out; a survey makes one by itself");
		at = key_lookup(survey, key, strcmp(salt, "-") == 0 ? "" : salt);
		answer.is_found = is_found;
		if (at && !survey_note(survey, at, &answer))
			return client_say_error(STATUS_FAILED, path,
						"more than 1000000 answers are in it",
						"name another --out");
	}
	return STATUS_OK;
}

static int out_open(struct survey *survey, const char *path)
{
	if (!path)
		return STATUS_OK;
	survey->out = fopen(path, "a+e");
	if (!survey->out)
		return client_say_error(STATUS_FAILED, path, strerror(errno), NULL);
	rewind(survey->out);
	return out_read(survey, path);
}

static bool out_write(struct survey *survey, const struct survey_key *key,
		      const struct answer *answer)
{
	return !survey->out ||
	       fprintf(survey->out,
		       "%" PRIu64 "\t%s\t%s\t%d\t%" PRIu64 "\t%" PRIu64 "\t%" PRId64 "\n",
		       answer->at_s, key->key, key->salt[0] ? key->salt : "-", answer->is_found,
		       answer->took_us, answer->holders, answer->seq) > 0;
}

/* --- rounds --- */

/* The outcome of one key. */
struct asking {
	struct answer answer;
	struct weft_error error;
	bool has_answer, is_done;
};

/* An error of the daemon that has an outcome is an item that was looked for and not found. */
static void asking_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct varlink_blocks blocks = {0};
	const struct api_get_dht_item_out *out =
		api_get_dht_item_out_read(json_object_get(message, "parameters"), &blocks);
	const struct api_dht_outcome *outcome = out ? out->outcome : NULL;
	struct asking *asking = arg;

	asking->is_done = is_last;
	asking->has_answer = outcome != NULL;
	asking->answer = (struct answer){.at_s = wall_now_s(), .seq = -1, .is_found = !error};
	if (outcome) {
		asking->answer.took_us = (uint64_t)outcome->took_us;
		asking->answer.holders = (uint64_t)outcome->holders;
	}
	if (out && out->item && out->item->has_seq)
		asking->answer.seq = out->item->seq;
	if (error)
		asking->error = *error;
	varlink_blocks_free(&blocks);
}

static int key_ask(struct weft_client *client, const struct survey_key *key, struct asking *asking)
{
	const struct api_get_dht_item_in in = {.key = key->key,
					       .salt = key->salt[0] ? key->salt : NULL,
					       .has_survey = true,
					       .survey = true};
	const struct ask_params params = {
		.method = API_GET_DHT_ITEM_METHOD,
		.parameters = api_get_dht_item_in_write(&in),
		.fn = asking_told,
		.arg = asking,
	};
	struct ask *ask;

	if (client_ask_start(client, &params, &ask, &asking->error) < 0)
		return STATUS_UNREACHABLE;
	if (client_ask_run(ask, &asking->is_done) < 0) {
		client_ask_cancel(ask);
		return STATUS_INTERRUPTED;
	}
	return asking->has_answer ? STATUS_OK : STATUS_FAILED;
}

/* One after the other, so that the survey does not disturb what it measures. */
static int round_ask(struct survey *survey, struct weft_client *client, unsigned *out_found_cnt)
{
	for (unsigned i = 0; i < survey->key_cnt; i++) {
		struct survey_key *key = &survey->keys[i];
		struct asking asking = {0};
		int status = key_ask(client, key, &asking);

		if (status == STATUS_INTERRUPTED)
			return status;
		if (status != STATUS_OK)
			return client_say_error(status, asking.error.what, asking.error.why,
						asking.error.next);
		if (!survey_note(survey, key, &asking.answer))
			return client_say_error(STATUS_FAILED, "dht survey",
						"it has 1000000 answers, or no memory for more",
						"begin another one, with fewer keys or less often");
		if (!out_write(survey, key, &asking.answer))
			return client_say_error(STATUS_FAILED, "--out", strerror(errno), NULL);
		*out_found_cnt += asking.answer.is_found;
	}
	if (survey->out && (fflush(survey->out) || fsync(fileno(survey->out)) < 0))
		return client_say_error(STATUS_FAILED, "--out", strerror(errno), NULL);
	return STATUS_OK;
}

static int round_run(struct survey *survey, unsigned number)
{
	struct weft_client *client;
	unsigned found_cnt = 0;
	int status = control_client_open(survey->inv, &client);

	if (status != STATUS_OK)
		return status;
	status = round_ask(survey, client, &found_cnt);
	weft_client_close(client);
	if (status == STATUS_OK)
		fprintf(stderr, "round %u: %u of %u found\n", number, found_cnt, survey->key_cnt);
	return status;
}

/* False: a signal came. */
static bool wait_until(uint64_t at_ns)
{
	struct timespec at = {.tv_sec = (time_t)(at_ns / NS_PER_S),
			      .tv_nsec = (long)(at_ns % NS_PER_S)};

	while (!client_is_interrupted())
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0)
			return true;
	return false;
}

/* A daemon that is away for a while in days of rounds leaves a gap and ends nothing. */
static int rounds_run(struct survey *survey, uint64_t for_s, uint64_t every_s)
{
	uint64_t begin_ns = clock_monotonic_ns(), at_ns = begin_ns;

	for (unsigned number = 1;; number++) {
		int status = round_run(survey, number);

		if (status == STATUS_INTERRUPTED || (status != STATUS_OK && number == 1))
			return status;
		at_ns += every_s * NS_PER_S;
		if (at_ns - begin_ns >= for_s * NS_PER_S)
			return status;
		if (!wait_until(at_ns))
			return STATUS_INTERRUPTED;
	}
}

/* --- the tables --- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct bucket {
	const char *label;
	uint64_t end; /* values below it; UNKNOWN: the rest but what is not known */
};

static const struct bucket ages[] = {
	{"below 1 h", 3600},  {"1 to 2 h", 7200},    {"2 to 6 h", 6 * 3600},
	{"6 to 12 h", 43200}, {"12 to 24 h", 86400}, {"1 to 7 d", 7 * 86400},
	{"older", UNKNOWN},   {"not known", 0},
};

static const struct bucket holders[] = {
	{"none", 1},   {"1", 2},	{"2 to 3", 4},
	{"4 to 7", 8}, {"8 to 15", 16}, {"16 and more", UNKNOWN},
};

static uint64_t observation_age(const struct observation *observation)
{
	return observation->age_s;
}

static uint64_t observation_holders_before(const struct observation *observation)
{
	return observation->holders_before;
}

struct axis {
	const struct bucket *buckets;
	unsigned bucket_cnt;
	uint64_t (*value)(const struct observation *observation);
};

static const struct axis by_age = {ages, sizeof(ages) / sizeof(ages[0]), observation_age};
static const struct axis by_holders = {holders, sizeof(holders) / sizeof(holders[0]),
				       observation_holders_before};

/* The bucket of a value; a value that is not known is in the last if that has no end. */
static const struct bucket *bucket_of(const struct axis *axis, uint64_t value)
{
	const struct bucket *last = &axis->buckets[axis->bucket_cnt - 1];

	if (value == UNKNOWN)
		return last->end == 0 ? last : NULL;
	for (unsigned i = 0; i < axis->bucket_cnt; i++)
		if (value < axis->buckets[i].end)
			return &axis->buckets[i];
	return NULL;
}

/* bucket_row writes what was asked that belongs to bucket. False: nothing was. */
static bool bucket_row(const struct survey *survey, const struct axis *axis,
		       const struct bucket *bucket, uint64_t *scratch,
		       struct api_printed_bucket *out_row)
{
	struct varlink_blocks *blocks = survey->inv->blocks;
	unsigned asked_cnt = 0, found_cnt = 0;
	uint64_t holder_sum = 0;

	for (unsigned i = 0; i < survey->observation_cnt; i++) {
		const struct observation *at = &survey->observations[i];

		if (bucket_of(axis, axis->value(at)) != bucket)
			continue;
		asked_cnt++;
		if (!at->is_found)
			continue;
		scratch[found_cnt++] = at->took_us;
		holder_sum += at->holders;
	}
	if (!asked_cnt)
		return false;
	qsort(scratch, found_cnt, sizeof(*scratch), compare_u64);
	*out_row = (struct api_printed_bucket){
		.group = bucket->label,
		.asked = asked_cnt,
		.found = found_cnt,
		.percent = varlink_format(blocks, "%.1f", 100.0 * found_cnt / asked_cnt),
		.median_us = found_cnt ? (int64_t)scratch[found_cnt / 2] : 0,
		.p95_us = found_cnt ? (int64_t)scratch[found_cnt * 95 / 100] : 0,
		.holders_mean = varlink_format(blocks, "%.1f",
					       found_cnt ? (double)holder_sum / found_cnt : 0)};
	return true;
}

static struct api_printed_bucket_list axis_rows(const struct survey *survey,
						const struct axis *axis, uint64_t *scratch)
{
	struct api_printed_bucket_list list = {0};
	struct api_printed_bucket row;

	for (unsigned i = 0; i < axis->bucket_cnt; i++)
		if (bucket_row(survey, axis, &axis->buckets[i], scratch, &row))
			varlink_push(survey->inv->blocks, &list, row);
	return list;
}

/* The columns but the first, whose heading says by what the rows are. */
#define SURVEY_COLUMNS(heading)                                                                    \
	{COLUMN_OF(heading, api_printed_bucket, group, string, TEXT),                              \
	 COLUMN_OF("ASKED", api_printed_bucket, asked, int, COUNT),                                \
	 COLUMN_OF("FOUND", api_printed_bucket, found, int, COUNT),                                \
	 COLUMN_OF("%", api_printed_bucket, percent, string, TEXT),                                \
	 COLUMN_OF("MEDIAN", api_printed_bucket, median_us, int, RTT),                             \
	 COLUMN_OF("P95", api_printed_bucket, p95_us, int, RTT),                                   \
	 COLUMN_OF("HOLDERS", api_printed_bucket, holders_mean, string, TEXT),                     \
	 {0}}

static void survey_print(const struct survey *survey)
{
	static const struct column age_columns[] = SURVEY_COLUMNS("AGE");
	static const struct column holder_columns[] = SURVEY_COLUMNS("HELD BY BEFORE");
	uint64_t *scratch = calloc(survey->observation_cnt + 1, sizeof(*scratch));
	struct api_printed_survey report;
	json_t *json;

	if (!scratch)
		return;
	report.by_age = axis_rows(survey, &by_age, scratch);
	report.by_holders = axis_rows(survey, &by_holders, scratch);
	free(scratch);
	if (!survey->inv->is_json) {
		show_part(survey->inv, "age", TABLE_ROWS(report.by_age), age_columns);
		show_part(survey->inv, "holders", TABLE_ROWS(report.by_holders), holder_columns);
		return;
	}
	json = api_printed_survey_write(&report);
	text_print_json(json);
	json_decref(json);
}

/* --- the command --- */

static int time_read(const struct invocation *inv, const char *option, uint64_t *seconds)
{
	const char *text = invocation_option(inv, option);
	char what[16];

	if (!text || text_parse_seconds(text, seconds))
		return STATUS_OK;
	snprintf(what, sizeof(what), "--%s", option);
	return client_say_error(STATUS_USAGE, what, "not a time", "such as 90s, 10m, 12h, 7d");
}

int run_dht_survey(struct invocation *inv)
{
	struct survey survey = {.inv = inv};
	uint64_t for_s = 0, every_s = EVERY_DEFAULT_S;
	int status;

	survey.keys = calloc(KEYS_MAX + 1, sizeof(*survey.keys));
	if (!survey.keys)
		return client_say_error(STATUS_FAILED, "dht survey", strerror(ENOMEM), NULL);
	if ((status = time_read(inv, "for", &for_s)) == STATUS_OK &&
	    (status = time_read(inv, "every", &every_s)) == STATUS_OK &&
	    (status = keys_read(&survey, inv->args[0])) == STATUS_OK &&
	    (status = out_open(&survey, invocation_option(inv, "out"))) == STATUS_OK) {
		client_catch_interrupt();
		status = rounds_run(&survey, for_s, every_s);
		if (survey.observation_cnt)
			survey_print(&survey);
	}
	if (survey.out && fclose(survey.out) != 0 && status == STATUS_OK)
		status = client_say_error(STATUS_FAILED, "--out", strerror(errno), NULL);
	free(survey.observations);
	free(survey.keys);
	return status;
}
