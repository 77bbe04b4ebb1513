/* SPDX-License-Identifier: Apache-2.0 */
/* Values of configuration keys, to and from text. Start-up and reload. */
#include "config/config_table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "tcp/line/tcp_line_text.h"
#include "tcp/tcp_proxy.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: format takes the first that divides. */
static const struct unit size_units[] = {
	{"T", 1ull << 40}, {"G", 1ull << 30}, {"M", 1ull << 20},
	{"K", 1ull << 10}, {"", 1},	      {NULL, 0},
};
static const struct unit rate_units[] = {
	{"gbit", 125000000}, {"mbit", 125000}, {"kbit", 125}, {"B", 1}, {NULL, 0},
};
static const struct unit duration_units[] = {
	{"d", 86400 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"s", NS_PER_S},
	{"ms", NS_PER_MS},
	{"us", NS_PER_US},
	{"ns", 1},
	{NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum config_type type)
{
	if (type == CONFIG_SIZE)
		return size_units;
	if (type == CONFIG_RATE)
		return rate_units;
	if (type == CONFIG_DURATION || type == CONFIG_SECONDS)
		return duration_units;
	return no_units;
}

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, CONFIG_WHY_CAP, fmt, args);
	va_end(args);
	return WEFT_EMALFORMED;
}

/* number_parse: digits and a unit, no sign, nothing else. */
static bool number_parse(const char *text, const struct unit *units, uint64_t *out_number)
{
	uint64_t number = 0;

	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	if (number == 0 && *text == '\0') {
		*out_number = 0;
		return true;
	}
	for (; units->suffix; units++) {
		if (strcasecmp(text, units->suffix) == 0)
			return !__builtin_mul_overflow(number, units->factor, out_number);
	}
	return false;
}

static const char *number_format(uint64_t number, const struct unit *units, char *text, size_t cap)
{
	if (number == 0) {
		snprintf(text, cap, "0");
		return text;
	}
	while (number % units->factor)
		units++;
	snprintf(text, cap, "%" PRIu64 "%s", number / units->factor, units->suffix);
	return text;
}

bool config_rate_parse(const char *text, uint64_t *out_per_s)
{
	return number_parse(text, rate_units, out_per_s);
}

const char *config_rate_format(uint64_t per_s, char *text, size_t cap)
{
	return number_format(per_s, rate_units, text, cap);
}

bool config_size_parse(const char *text, uint64_t *out_len)
{
	return number_parse(text, size_units, out_len);
}

const char *config_size_format(uint64_t len, char *text, size_t cap)
{
	return number_format(len, size_units, text, cap);
}

static uint64_t number_get(const struct config_key *key, const struct node_config *config)
{
	const void *at = (const char *)config + key->off;
	uint64_t wide;
	uint32_t narrow;
	uint16_t half;
	bool flag;

	switch (key->len) {
	case sizeof(wide):
		memcpy(&wide, at, sizeof(wide));
		return wide;
	case sizeof(narrow):
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	case sizeof(half):
		memcpy(&half, at, sizeof(half));
		return half;
	default:
		memcpy(&flag, at, sizeof(flag));
		return flag;
	}
}

static void number_set(const struct config_key *key, struct node_config *config, uint64_t number)
{
	void *at = (char *)config + key->off;
	uint32_t narrow = (uint32_t)number;
	uint16_t half = (uint16_t)number;
	bool flag = number != 0;

	switch (key->len) {
	case sizeof(number):
		memcpy(at, &number, sizeof(number));
		break;
	case sizeof(narrow):
		memcpy(at, &narrow, sizeof(narrow));
		break;
	case sizeof(half):
		memcpy(at, &half, sizeof(half));
		break;
	default:
		memcpy(at, &flag, sizeof(flag));
	}
}

static int count_parse(const struct config_key *key, const char *text, struct node_config *config,
		       char *why)
{
	uint64_t number, factor = key->type == CONFIG_SECONDS ? NS_PER_S : 1;
	char range[CONFIG_WHY_CAP];

	if (!number_parse(text, units_of(key->type), &number)) {
		if (key->type == CONFIG_COUNT)
			return refuse(why, "\"%.64s\" is not a number", text);
		if (key->type == CONFIG_SIZE)
			return refuse(why, "\"%.64s\" is not a size such as 64M", text);
		if (key->type == CONFIG_RATE)
			return refuse(why, "\"%.64s\" is not a rate such as 10mbit", text);
		return refuse(why, "\"%.64s\" is not a time with its unit such as 10s", text);
	}
	if (number % factor || number / factor < key->min || number / factor > key->max) {
		(void)refuse(why, "%.64s is out of range, %s", text,
			     config_range_format(key, range));
		return WEFT_ETOOLARGE;
	}
	number_set(key, config, number / factor);
	return 0;
}

static bool text_is_yes(const char *text)
{
	return !strcasecmp(text, "yes") || !strcasecmp(text, "true") || !strcasecmp(text, "on") ||
	       !strcmp(text, "1");
}

static bool text_is_no(const char *text)
{
	return !strcasecmp(text, "no") || !strcasecmp(text, "false") || !strcasecmp(text, "off") ||
	       !strcmp(text, "0");
}

static int bool_parse(const struct config_key *key, const char *text, struct node_config *config,
		      char *why)
{
	bool is_yes = text_is_yes(text);

	if (!is_yes && !text_is_no(text))
		return refuse(why, "\"%.64s\" is neither yes nor no", text);
	number_set(key, config, is_yes == (key->type == CONFIG_BOOL));
	return 0;
}

/* choice_at copies the word at place idx; false: there are fewer. */
static bool choice_at(const struct config_key *key, uint64_t idx, char word[static 32])
{
	const char *at = key->choices;

	for (; idx && at; idx--) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return false;
	snprintf(word, 32, "%.*s", (int)strcspn(at, " "), at);
	return true;
}

/* choice_is: word is written with other letters of a switch, too: on or true for yes. */
static bool choice_is(const char *word, const char *text)
{
	if (strcmp(word, "yes") == 0)
		return text_is_yes(text);
	if (strcmp(word, "no") == 0)
		return text_is_no(text);
	return strcmp(word, text) == 0;
}

static int choice_parse(const struct config_key *key, const char *text, struct node_config *config,
			char *why)
{
	char word[32];

	for (uint64_t i = 0; choice_at(key, i, word); i++) {
		if (choice_is(word, text)) {
			number_set(key, config, key->min + i);
			return 0;
		}
	}
	return refuse(why, "\"%.64s\" is none of: %s", text, key->choices);
}

static int text_parse(const struct config_key *key, const char *text, struct node_config *config,
		      char *why)
{
	char *field = (char *)config + key->off;

	if (strlen(text) > key->max) {
		(void)refuse(why, "longer than %" PRIu64 " bytes", key->max);
		return WEFT_ETOOLARGE;
	}
	if (key->type == CONFIG_PATH && *text && *text != '/')
		return refuse(why, "\"%.64s\" is not an absolute path", text);
	memset(field, 0, key->len);
	memcpy(field, text, strlen(text));
	return 0;
}

static int addrs_parse(const struct config_key *key, const char *text, bool is_appended,
		       struct node_config *config, char *why)
{
	struct addr *addrs = (void *)((char *)config + key->off);
	unsigned *field_cnt = (void *)((char *)config + key->cnt_off);
	struct addr list[CONFIG_ADDRS_MAX] = {0};
	unsigned cnt = is_appended ? *field_cnt : 0;
	char one[ADDR_TEXT_CAP];

	memcpy(list, addrs, cnt * sizeof(list[0]));
	while (*text) {
		size_t len = strcspn(text, ", \t");

		if (len && cnt == CONFIG_ADDRS_MAX) {
			(void)refuse(why, "more than %d addresses", CONFIG_ADDRS_MAX);
			return WEFT_ETOOLARGE;
		}
		snprintf(one, sizeof(one), "%.*s", (int)len, text);
		if (len && (len >= sizeof(one) || addr_parse(one, &list[cnt]) < 0))
			return refuse(why, "\"%.64s\" is not ADDRESS:PORT or [ADDRESS]:PORT", one);
		cnt += len != 0;
		text += len + (text[len] != '\0');
	}
	if (cnt < key->min)
		return refuse(why, "at least one address is needed");
	memcpy(addrs, list, sizeof(list));
	*field_cnt = cnt;
	return 0;
}

static int site_parse(const struct config_key *key, const char *text, struct node_config *config,
		      char *why)
{
	struct fair_site *site = (void *)((char *)config + key->off);

	if (fair_site_parse(text, site) < 0)
		return refuse(why, "\"%.64s\" is not PREFIX/BITS:LENGTH", text);
	return 0;
}

/* The text is not repeated: a password may stand in it by mistake. */
static int proxy_parse(const struct config_key *key, const char *text, struct node_config *config,
		       char *why)
{
	struct addr addr = {0};

	if (strchr(text, '@'))
		return refuse(why, "a user and a password do not belong here: they are the first "
				   "line of tcp.proxy_user_file");
	if (*text && tcp_proxy_parse(text, &addr) < 0)
		return refuse(why, "it is not http://ADDRESS:PORT; of a name, give the address");
	memcpy((char *)config + key->off, &addr, sizeof(addr));
	return 0;
}

static void proxy_format(const struct config_key *key, const struct node_config *config, char *text)
{
	struct addr addr;
	char authority[ADDR_TEXT_CAP];

	memcpy(&addr, (const char *)config + key->off, sizeof(addr));
	text[0] = '\0';
	if (addr.family == ADDR_NONE)
		return;
	addr.transport = ADDR_UDP; /* the text of TCP has a word in front */
	snprintf(text, CONFIG_VALUE_CAP, "http://%s", addr_format(&addr, authority));
}

static int ways_parse(const struct config_key *key, const char *text, struct node_config *config,
		      char *why)
{
	bool is_lan = key->off == offsetof(struct node_config, mesh.ways[MESH_NETWORK_LAN]);
	struct mesh_ways ways;
	const char *word;
	size_t len;
	int err = mesh_ways_parse(text, &ways, &word, &len);

	len = len < 64 ? len : 64;
	if (err < 0)
		return refuse(why,
			      "\"%.*s\" is no list of quic, quic6, quic4, tcp, tcp6, tcp4, relay, "
			      "websocket, each family once, or none",
			      (int)len, word);
	if (is_lan && (ways.ranks[MESH_WAY_RELAY] || ways.ranks[MESH_WAY_WEBSOCKET]))
		return refuse(why, "relay and websocket are named in transport.internet, for all "
				   "relays");
	memcpy((char *)config + key->off, &ways, sizeof(ways));
	return 0;
}

static int lines_parse(const char *text, struct node_config *config, char *why)
{
	const char *word;
	size_t len;
	int err = tcp_line_text_parse(text, &config->tcp, &word, &len);

	if (err == WEFT_ETOOLARGE)
		return refuse(why, "a node has at most %u lines", TCP_LINES_MAX);
	if (err < 0)
		return refuse(why,
			      "\"%.*s\" is no PATH[:BAUD][@KEY] of a device that is not named "
			      "twice, with a rate of terminals and a node's key",
			      len < 64 ? (int)len : 64, word);
	return 0;
}

int config_value_parse(const struct config_key *key, const char *text, bool is_appended,
		       struct node_config *config, char why[static CONFIG_WHY_CAP])
{
	switch (key->type) {
	case CONFIG_PATH:
	case CONFIG_NAME:
		return text_parse(key, text, config, why);
	case CONFIG_BOOL:
	case CONFIG_BOOL_NOT:
		return bool_parse(key, text, config, why);
	case CONFIG_CHOICE:
		return choice_parse(key, text, config, why);
	case CONFIG_ADDRS:
		return addrs_parse(key, text, is_appended, config, why);
	case CONFIG_SITE:
		return site_parse(key, text, config, why);
	case CONFIG_PROXY:
		return proxy_parse(key, text, config, why);
	case CONFIG_WAYS:
		return ways_parse(key, text, config, why);
	case CONFIG_LINES:
		return lines_parse(text, config, why);
	case CONFIG_COUNT:
	case CONFIG_SIZE:
	case CONFIG_RATE:
	case CONFIG_DURATION:
	case CONFIG_SECONDS:
		break;
	}
	return count_parse(key, text, config, why);
}

static void addrs_format(const struct config_key *key, const struct node_config *config, char *text)
{
	const struct addr *addrs = (const void *)((const char *)config + key->off);
	unsigned cnt;
	char one[ADDR_TEXT_CAP];
	size_t len = 0;

	memcpy(&cnt, (const char *)config + key->cnt_off, sizeof(cnt));
	text[0] = '\0';
	for (unsigned i = 0; i < cnt; i++)
		len += (size_t)snprintf(text + len, CONFIG_VALUE_CAP - len, "%s%s", i ? ", " : "",
					addr_format(&addrs[i], one));
}

const char *config_value_format(const struct config_key *key, const struct node_config *config,
				char text[static CONFIG_VALUE_CAP])
{
	uint64_t number;
	char word[32];

	switch (key->type) {
	case CONFIG_PATH:
	case CONFIG_NAME:
		snprintf(text, CONFIG_VALUE_CAP, "%s", (const char *)config + key->off);
		return text;
	case CONFIG_ADDRS:
		addrs_format(key, config, text);
		return text;
	case CONFIG_SITE:
		return fair_site_format((const void *)((const char *)config + key->off), text);
	case CONFIG_PROXY:
		proxy_format(key, config, text);
		return text;
	case CONFIG_WAYS:
		return mesh_ways_format((const void *)((const char *)config + key->off), text);
	case CONFIG_LINES:
		return tcp_line_text_format(&config->tcp, text, CONFIG_VALUE_CAP);
	default:
		number = number_get(key, config);
	}
	if (key->type == CONFIG_CHOICE) {
		bool is_known = choice_at(key, number - key->min, word);

		weft_assert(is_known);
		snprintf(text, CONFIG_VALUE_CAP, "%s", word);
	} else if (key->type == CONFIG_BOOL || key->type == CONFIG_BOOL_NOT) {
		snprintf(text, CONFIG_VALUE_CAP, "%s",
			 (number != 0) == (key->type == CONFIG_BOOL) ? "yes" : "no");
	} else {
		number *= key->type == CONFIG_SECONDS ? NS_PER_S : 1;
		(void)number_format(number, units_of(key->type), text, CONFIG_VALUE_CAP);
	}
	return text;
}

const char *config_range_format(const struct config_key *key, char text[static CONFIG_WHY_CAP])
{
	uint64_t factor = key->type == CONFIG_SECONDS ? NS_PER_S : 1;
	char low[32], high[32];

	switch (key->type) {
	case CONFIG_PATH:
		return "an absolute path";
	case CONFIG_NAME:
		return "a name";
	case CONFIG_BOOL:
	case CONFIG_BOOL_NOT:
		return "yes or no";
	case CONFIG_ADDRS:
		return "up to 8 addresses, separated by commas";
	case CONFIG_SITE:
		return "PREFIX/BITS:LENGTH";
	case CONFIG_PROXY:
		return "http://ADDRESS:PORT";
	case CONFIG_WAYS:
		return "quic, quic6, quic4, tcp, tcp6, tcp4, relay, websocket in an order, or none";
	case CONFIG_LINES:
		return "up to 4 of PATH[:BAUD][@KEY], separated by commas";
	case CONFIG_CHOICE:
		snprintf(text, CONFIG_WHY_CAP, "one of: %s", key->choices);
		return text;
	default:
		break;
	}
	snprintf(text, CONFIG_WHY_CAP, "%s to %s",
		 number_format(key->min * factor, units_of(key->type), low, sizeof(low)),
		 number_format(key->max * factor, units_of(key->type), high, sizeof(high)));
	return text;
}
