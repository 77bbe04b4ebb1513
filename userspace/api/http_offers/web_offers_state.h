/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_OFFERS_WEB_OFFERS_STATE_H
#define WEFT_API_HTTP_OFFERS_WEB_OFFERS_STATE_H

#include <stdbool.h>
#include <stdio.h>

#include "api/api.h"
#include "api/methods.h"
#include "gateway/gateway.h"
#include "offers/schema/schema.h"
#include "offers/service_offers.h"
#include "varlink/node.h"
#include "web_offers.h"

/* Private to http_offers/. */

/* A list of the longest filters has some 50 pairs; a form, one for each choice that is ticked. */
#define WEB_FORM_PAIRS_MAX   512u
#define WEB_FORM_TOKEN	     ".token" /* no field is called so, as names have no point */
#define WEB_OFFERS_NAMES_CAP (OFFERS_WANTED_MAX * SCHEMA_NAME_CAP + SCHEMA_NAME_CAP)

struct web_pair {
	const char *name, *value; /* UTF-8, of lines that end with LF */
};

/* The parameters of a query, or of a form's body, and the words that were made of them. */
struct web_form {
	char *text;  /* what pairs point into */
	char *words; /* what words were written to */
	size_t words_len, words_cap;
	struct web_pair *pairs;
	unsigned cnt;
};

/* web_offers_form.c: 0, WEFT_EMALFORMED, WEFT_ETOOLARGE (too many pairs) or -ENOMEM. */
WEFT_MUST_CHECK
int api_http_form_read(const char *bytes, size_t len, struct web_form *out_form);
/* api_http_form_fini takes one that is all zero. */
void api_http_form_fini(struct web_form *form);
/* api_http_form_value: the first value of that name that is not empty, or NULL. */
const char *api_http_form_value(const struct web_form *form, const char *name);
/* api_http_form_number: out is left as it is for NULL. False: text is no number in 1 to max. */
bool api_http_form_number(const char *text, uint64_t max, uint64_t *out);
/* api_http_form_has: the pair of that name has value, beside others perhaps. */
bool api_http_form_has(const struct web_form *form, const char *name, const char *value);
/*
 * api_http_form_filter: FILTER=VALUE, or NULL where nothing is asked. Several values are joined;
 * a range may come as FILTER.from and FILTER.to. api_http_form_field: FIELD=VALUE, or NULL.
 * Both live as long as form.
 */
const char *api_http_form_filter(struct web_form *form, const struct schema_filter *filter);
/* api_http_form_word: NAME=VALUE of all the values of name, or NULL. */
const char *api_http_form_word(struct web_form *form, const char *name);
const char *api_http_form_field(struct web_form *form, const struct schema_field *field);
/*
 * api_http_form_query writes the pairs that are filters of schema as a query, percent-encoded, each
 * with a '&' behind it.
 */
void api_http_form_query(const struct web_form *form, const struct schema *schema, FILE *out);
/* api_http_form_is_filter: the pair's name is that of a filter, or of an end of its range. */
bool api_http_form_is_filter(const struct schema *schema, const char *name);
/* api_http_url_write percent-encodes text for a part of a path, or of a query. */
void api_http_url_write(FILE *out, const char *text);

/* Numbers of a form that are of no schema. */
enum web_number_kind { WEB_NUMBER_UNITS, WEB_NUMBER_HOURS, WEB_NUMBER_CNT };
struct web_number {
	const char *name, *label;
	uint64_t max; /* from 1 */
};
extern const struct web_number api_http_offers_numbers[WEB_NUMBER_CNT]; /* to publish */
extern const struct web_number api_http_reserve_numbers[WEB_NUMBER_CNT];

struct web_offers {
	struct api *api;
	unsigned held_cnt; /* requests that wait: publications and queries of the mesh */
	/* Of the request at hand. */
	struct schema_query query;
	struct schema_record record;
	struct schema_fault
		faults[SCHEMA_FIELDS_MAX]; /* by field or filter; what[0]: there is one */
	struct schema_fault number_faults[WEB_NUMBER_CNT];
};

/* A request at hand, and what is on its page. */
struct web_offers_view {
	struct web_offers *offers;
	struct gateway_exchange *exchange;
	const struct schema *schema;	  /* NULL: none is named, or several are */
	char names[WEB_OFFERS_NAMES_CAP]; /* of several schemas, with commas; "": there is one */
	struct offer_wanted wanted[OFFERS_WANTED_MAX]; /* as api_http_offers_check read it */
	unsigned wanted_cnt;
	struct web_form form;
	bool wants_html;
	bool has_token;
	bool has_level; /* of verification that is asked for, in place of the schema's */
	uint8_t level;
	const struct web_number *number_rows; /* WEB_NUMBER_CNT */
	uint64_t numbers[WEB_NUMBER_CNT];     /* 0: not said */
	uint64_t now_ns;
	const char *fault; /* of the whole page, or NULL */
	/* rows of a list, and how to go on; or the one of an offer's page */
	const struct api_offer *rows;
	size_t row_cnt;
	const char *cursor;
	int64_t left_out; /* offers that fit, of providers of a lower level */
	const struct api_reservation *reservations; /* of an offer, or the one of its own page */
	size_t reservation_cnt;
	const char *path; /* of the request, where the page asks for the token */
};

/* web_offers.c */
struct service_offers *api_http_offers_of(const struct web_offers *offers);
void api_http_offers_faults_clear(struct web_offers *offers);
/* api_http_offers_fail answers by an error: a page, or JSON. field: what it is about, or NULL. */
struct web_offers_failure {
	unsigned status;
	const char *name, *message, *field;
};
void api_http_offers_fail(struct web_offers_view *view, const struct web_offers_failure *failure);
/* api_http_offers_page answers by a page that write fills. */
void api_http_offers_page(struct web_offers_view *view, unsigned status,
			  void (*write)(FILE *out, const struct web_offers_view *view));
/* api_http_offers_json answers by json, which is taken. */
void api_http_offers_json(struct web_offers_view *view, unsigned status, json_t *json);
/* api_http_offers_absent answers by 404. */
void api_http_offers_absent(struct web_offers_view *view, const char *message);
/* api_http_offers_methods answers by 405. message: what this path takes. */
void api_http_offers_methods(struct web_offers_view *view, unsigned methods, const char *message);
/* api_http_offers_show answers by the offer of that name, and by its page with status. */
void api_http_offers_show(struct web_offers_view *view, const char *name, unsigned status);
/* api_http_offers_has: this node keeps an offer of that name, and of the view's schema. */
bool api_http_offers_has(const struct web_offers_view *view, const char *name);
/* api_http_offers_filters reads the filters of the form into offers->query. Returns how many are wrong. */
unsigned api_http_offers_filters(struct web_offers_view *view);
/* api_http_offers_check reads them, too. False: one is wrong, and the request was failed. */
bool api_http_offers_check(struct web_offers_view *view);
/* api_http_offers_list answers by the offers that fit, as JSON or a page. */
void api_http_offers_list(struct web_offers_view *view);

/* api_http_offers_is_own: a parameter of that name is none of a filter. */
bool api_http_offers_is_own(const char *name);

/*
 * web_offers_several.c: offers of several schemas. choose reads what is asked of them. False: the
 * request was failed. words writes it as FILTER=VALUE, and returns how many there are.
 */
bool api_http_offers_choose(struct web_offers_view *view);
size_t api_http_offers_words(struct web_offers_view *view,
			     const char *words[static WEB_FORM_PAIRS_MAX]);

/* web_offers_page.c; what writes parts of pages escapes text, and before and after are markup */
void api_http_html_write(FILE *out, const char *text);
void api_http_tagged_write(FILE *out, const char *before, const char *text, const char *after);
void api_http_page_begin(FILE *out, const char *title);
void api_http_fault_write(FILE *out, const struct web_offers_view *view);
void api_http_path_write(FILE *out, const struct schema *schema, const char *below);
void api_http_time_write(FILE *out, int64_t seconds);
void api_http_number_write(FILE *out, const struct web_offers_view *view,
			   enum web_number_kind kind);
void api_http_token_write(FILE *out);
void api_http_page_schemas(FILE *out, const struct web_offers_view *view);
void api_http_page_list(FILE *out, const struct web_offers_view *view);
void api_http_page_offer(FILE *out, const struct web_offers_view *view);
void api_http_page_publish(FILE *out, const struct web_offers_view *view);
void api_http_page_failure(FILE *out, const struct web_offers_view *view);
extern const char api_http_offers_style[];

/* web_offers_page_reserve.c: the part of an offer's page, and pages of reservations */
void api_http_reserve_write(FILE *out, const struct web_offers_view *view);
void api_http_page_reservations(FILE *out, const struct web_offers_view *view);
void api_http_page_reservation(FILE *out, const struct web_offers_view *view);
void api_http_page_locked(FILE *out, const struct web_offers_view *view); /* asks for the token */

/* web_offers_legacy.c */
struct gateway_route api_http_offers_legacy_route(struct web_offers *offers);

/* web_offers_events.c */
void api_http_offers_events(struct web_offers_view *view, const struct gateway_request *request);

/* web_offers_held.c: requests that wait, and what they have in common */
#define WEB_OFFERS_HELD_MAX 16u
#define WEB_FAILURE_CAP	    512
extern const struct web_offers_failure api_http_no_token;
struct web_held {
	struct timer timer;
	struct web_offers_view view;
	struct control_call *call; /* NULL: none, or answered */
	/* error NULL: parameters are the reply's; else the error's */
	void (*answered)(struct web_held *held, const char *error, const json_t *parameters);
	char schema[SCHEMA_NAME_CAP];
	char offer[OFFER_REF_TEXT_CAP], reservation[RESERVATION_REF_TEXT_CAP]; /* "": none */
	bool is_form;
};
/* api_http_held_new takes the view's form. NULL: the request was failed. */
struct web_held *api_http_held_new(struct web_offers_view *view);
void api_http_held_free(struct web_held *held);
/* api_http_held_wake: the schema may have changed, or gone. False: the request was failed. */
bool api_http_held_wake(struct web_held *held);
/*
 * api_http_held_ask asks the daemon's method, and answered answers the request. parameters are taken;
 * NULL: there was no memory for them. offer, reservation: that it is about, or NULL.
 */
struct web_held_ask {
	const char *method, *offer, *reservation;
	json_t *parameters;
	void (*answered)(struct web_held *held, const char *error, const json_t *parameters);
};
void api_http_held_ask(struct web_offers_view *view, const struct web_held_ask *ask);
/* api_http_held_why: what, and why not by the parameters of an error. */
void api_http_held_why(const char *what, const json_t *parameters,
		       char text[static WEB_FAILURE_CAP]);
/* api_http_see_other: the browser goes on at path by GET. path is taken, and may be NULL. */
void api_http_see_other(const struct web_offers_view *view, char *path);
/* api_http_has_right: the request shows the token, in its head or its form. An address is no place for it. */
bool api_http_has_right(const struct web_offers_view *view, const struct gateway_request *request);
/* api_http_numbers_read: those of number_rows; each that is wrong in faults. Returns how many are. */
unsigned api_http_numbers_read(struct web_offers_view *view);

/* web_offers_write.c: POST, and ?ask=1 */
void api_http_offers_publish(struct web_offers_view *view, const struct gateway_request *request);
/* api_http_offers_ask answers by the list when the nodes around have had time to. */
void api_http_offers_ask(struct web_offers_view *view, const struct gateway_request *request);

/* web_offers_reserve.c: the body is JSON, and no form */
bool api_http_offers_is_json(const struct gateway_request *request);
/* api_http_offers_below: what is below an offer's path. False: nothing is there. */
bool api_http_offers_below(struct web_offers_view *view, const struct gateway_request *request,
			   const char *rest);
#define WEB_RESERVATIONS_MAX 50u /* that a list has, the newest */

#endif
