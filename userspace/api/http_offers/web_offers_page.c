/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of offers, made from the schemas: labels, help, units and choices are those of the schema's
 * file. Values come from any node. What is written passes api_http_html_write, or is of this file.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "web_offers_state.h"

#define TEXTAREA_MIN 120 /* characters from which on a text has several lines */

const char api_http_offers_style[] =
	"body{font:16px/1.5 sans-serif;max-width:60em;margin:1em auto;padding:0 1em;color:#222}\n"
	"a{color:#04567a}h1{font-size:1.5em}h2{font-size:1.2em}\n"
	"form p,fieldset{margin:.6em 0;border:0;padding:0}\n"
	"label{display:inline-block;min-width:14em}fieldset label{min-width:10em}\n"
	"input,select,textarea,button{font:inherit;padding:.2em .4em}textarea{width:100%}\n"
	"small{color:#666;display:block}table{border-collapse:collapse;width:100%}\n"
	"td,th{text-align:left;padding:.3em .6em;border-bottom:1px solid #ddd;vertical-align:top}\n"
	"dt{font-weight:bold}dd{margin:0 0 .5em;white-space:pre-line;overflow-wrap:anywhere}\n"
	".fault{color:#a00;font-weight:bold}\n";

/* --- text --- */

void api_http_html_write(FILE *out, const char *text)
{
	static const char special[] = "&<>\"'";
	static const char *const instead[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

	while (*text) {
		size_t len = strcspn(text, special);

		fwrite(text, 1, len, out);
		text += len;
		if (*text)
			fputs(instead[strchr(special, *text++) - special], out);
	}
}

void api_http_tagged_write(FILE *out, const char *before, const char *text, const char *after)
{
	fputs(before, out);
	api_http_html_write(out, text);
	fputs(after, out);
}

void api_http_page_begin(FILE *out, const char *title)
{
	api_http_tagged_write(out,
			      "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
			      "<meta name=\"viewport\" content=\"width=device-width\">\n"
			      "<link rel=\"stylesheet\" href=\"/offers/style.css\">\n<title>",
			      title, "</title>\n");
	api_http_tagged_write(out, "<h1>", title, "</h1>\n");
}

void api_http_fault_write(FILE *out, const struct web_offers_view *view)
{
	if (view->fault)
		api_http_tagged_write(out, "<p class=\"fault\" role=\"alert\">", view->fault,
				      "</p>\n");
}

void api_http_path_write(FILE *out, const struct schema *schema, const char *below)
{
	api_http_tagged_write(out, "/offers/", schema->name, below);
}

void api_http_time_write(FILE *out, int64_t seconds)
{
	time_t at = (time_t)seconds;
	struct tm parts;
	char text[40];

	if (gmtime_r(&at, &parts) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts))
		fputs(text, out);
}

/* --- controls --- */

/* A control of a form: of a field, or of a filter of it. */
struct control {
	const struct web_offers_view *view;
	const struct schema_field *field;
	const struct schema_filter *filter; /* NULL: of the field */
	const struct schema_fault *fault;
};

static const char *control_name(const struct control *control)
{
	return control->filter ? control->filter->name : control->field->name;
}

static bool is_several(const struct control *control)
{
	return control->filter ? control->filter->comparison == SCHEMA_ANY_OF ||
					 control->filter->comparison == SCHEMA_ALL_OF
			       : offers_schema_is_list(control->field->type);
}

static bool is_required(const struct control *control)
{
	return !control->filter && control->field->is_required;
}

/* A bound of a number, as it is typed. */
static void bound_write(FILE *out, const struct schema_field *field, const char *attribute,
			int64_t number)
{
	char text[SCHEMA_NUMBER_CAP];

	api_http_tagged_write(out, attribute, offers_schema_number_print(field, number, text),
			      "\"");
}

static void number_attributes_write(FILE *out, const struct control *control)
{
	const struct schema_field *field = control->field;

	fputs(" type=\"number\" step=\"", out);
	fputs(field->decimals ? "0." : "1", out);
	for (unsigned i = 1; i < field->decimals; i++)
		fputc('0', out);
	fputs(field->decimals ? "1\"" : "\"", out);
	/* A filter may ask for what no offer has. */
	if (control->filter)
		return;
	bound_write(out, field, " min=\"", field->min);
	bound_write(out, field, " max=\"", field->max);
}

static void attributes_write(FILE *out, const struct control *control)
{
	switch (control->field->type) {
	case SCHEMA_NUMBER:
		if (!is_several(control))
			number_attributes_write(out, control);
		break;
	case SCHEMA_URL:
		fputs(" type=\"url\" placeholder=\"https://\"", out);
		break;
	case SCHEMA_TIME:
	case SCHEMA_TIMES:
		fputs(" placeholder=\"2027-01-31\"", out);
		break;
	case SCHEMA_TEXT:
		if (!control->filter)
			fprintf(out, " maxlength=\"%" PRId64 "\"", control->field->max);
		break;
	default:
		break;
	}
}

/* name_write begins a control's attributes; end: ".from" of a range, or "". */
static void name_write(FILE *out, const struct control *control, const char *end)
{
	api_http_tagged_write(out, " id=\"f-", control_name(control), end);
	api_http_tagged_write(out, "\" name=\"", control_name(control), end);
	fputs(is_required(control) ? "\" required" : "\"", out);
}

static void input_write(FILE *out, const struct control *control, const char *end)
{
	char name[SCHEMA_NAME_CAP + 8];
	const char *value;

	snprintf(name, sizeof(name), "%s%s", control_name(control), end);
	value = api_http_form_value(&control->view->form, name);
	fputs("<input", out);
	name_write(out, control, end);
	attributes_write(out, control);
	api_http_tagged_write(out, " value=\"", value ? value : "", "\">");
}

static void text_write(FILE *out, const struct control *control)
{
	const char *value = api_http_form_value(&control->view->form, control_name(control));

	fputs("<textarea rows=\"5\"", out);
	name_write(out, control, "");
	attributes_write(out, control);
	/* The first line end behind the tag is none of the text. */
	api_http_tagged_write(out, ">\n", value ? value : "", "</textarea>");
}

static void option_write(FILE *out, const struct control *control, const char *word,
			 const char *label)
{
	bool is_chosen = api_http_form_has(&control->view->form, control_name(control), word);

	api_http_tagged_write(out, "<option value=\"", word, is_chosen ? "\" selected>" : "\">");
	api_http_tagged_write(out, "", label, "</option>");
}

static void select_write(FILE *out, const struct control *control)
{
	const struct schema_field *field = control->field;

	fputs("<select", out);
	name_write(out, control, "");
	fputs("><option value=\"\">", out);
	fputs(control->filter ? "any</option>" : "</option>", out);
	for (unsigned i = 0; i < field->choice_cnt; i++)
		option_write(out, control, field->choices[i].word, field->choices[i].label);
	if (field->type == SCHEMA_FLAG) {
		option_write(out, control, "yes", "yes");
		option_write(out, control, "no", "no");
	}
	fputs("</select>", out);
}

/* Choices of which several may be ticked. */
static void boxes_write(FILE *out, const struct control *control)
{
	const struct schema_field *field = control->field;

	for (unsigned i = 0; i < field->choice_cnt; i++) {
		const char *word = field->choices[i].word;
		bool is_chosen =
			api_http_form_has(&control->view->form, control_name(control), word);

		api_http_tagged_write(out, "<label><input type=\"checkbox\" name=\"",
				      control_name(control), "\"");
		api_http_tagged_write(out, " value=\"", word, is_chosen ? "\" checked> " : "\"> ");
		api_http_tagged_write(out, "", field->choices[i].label, "</label>\n");
	}
}

static void label_write(FILE *out, const struct control *control)
{
	const struct schema_field *field = control->field;

	api_http_html_write(out, control->filter ? control->filter->label : field->label);
	if (field->unit[0])
		api_http_tagged_write(out, " (", field->unit, ")");
	if (is_required(control))
		fputs(" *", out);
}

/* fault_mark: beside the control, if there is one. */
static void fault_mark(FILE *out, const struct schema_fault *fault)
{
	if (!fault->what[0])
		return;
	api_http_tagged_write(out, "<span class=\"fault\" role=\"alert\">", fault->what, "");
	api_http_tagged_write(out, fault->next[0] ? "; " : "", fault->next, "</span>");
}

/* Help, and what is wrong with the value. */
static void notes_write(FILE *out, const struct control *control)
{
	const char *help = control->filter ? control->filter->help : control->field->help;

	if (is_several(control) && !control->field->choice_cnt)
		fputs("<small>Several are separated by commas.</small>", out);
	if (help[0])
		api_http_tagged_write(out, "<small>", help, "</small>");
	fault_mark(out, control->fault);
}

static void control_write(FILE *out, const struct control *control)
{
	const struct schema_field *field = control->field;
	bool is_range = control->filter && control->filter->comparison == SCHEMA_BETWEEN;

	if (is_several(control) && field->choice_cnt) {
		fputs("<fieldset><legend>", out);
		label_write(out, control);
		fputs("</legend>\n", out);
		boxes_write(out, control);
		notes_write(out, control);
		fputs("</fieldset>\n", out);
		return;
	}
	api_http_tagged_write(out, "<p><label for=\"f-", control_name(control),
			      is_range ? ".from\">" : "\">");
	label_write(out, control);
	fputs("</label> ", out);
	if (is_range) {
		input_write(out, control, ".from");
		fputs(" to ", out);
		input_write(out, control, ".to");
	} else if (field->choice_cnt || field->type == SCHEMA_FLAG) {
		select_write(out, control);
	} else if (!control->filter && field->type == SCHEMA_TEXT && field->max >= TEXTAREA_MIN) {
		text_write(out, control);
	} else {
		input_write(out, control, "");
	}
	notes_write(out, control);
	fputs("</p>\n", out);
}

void api_http_token_write(FILE *out)
{
	fputs("<p><label for=\"f-token\">Token of this node *</label> "
	      "<input id=\"f-token\" name=\"" WEB_FORM_TOKEN "\" type=\"password\" required "
	      "autocomplete=\"off\"><small>It is in the file gateway.token of the "
	      "node's state folder.</small></p>\n",
	      out);
}

/* --- pages --- */

void api_http_page_failure(FILE *out, const struct web_offers_view *view)
{
	api_http_page_begin(out, "Offers");
	api_http_fault_write(out, view);
	fputs("<p><a href=\"/offers\">All kinds of offers</a></p>\n", out);
}

void api_http_page_schemas(FILE *out, const struct web_offers_view *view)
{
	struct schema_registry *registry = offers_registry(api_http_offers_of(view->offers));
	struct schema_entry entry;

	api_http_page_begin(out, "Offers");
	fputs("<ul>\n", out);
	for (unsigned i = 0; offers_schema_registry_at(registry, i, &entry); i++) {
		fputs("<li><a href=\"", out);
		api_http_path_write(out, entry.schema, "\">");
		api_http_tagged_write(out, "", entry.schema->title, "</a>");
		api_http_tagged_write(out, "<small>", entry.schema->description, "</small></li>\n");
	}
	fputs("</ul>\n", out);
}

static void filters_write(FILE *out, const struct web_offers_view *view)
{
	const struct schema *schema = view->schema;

	fputs("<form action=\"", out);
	api_http_path_write(out, schema, "\">\n");
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		control_write(out,
			      &(struct control){view, &schema->fields[schema->filters[i].field],
						&schema->filters[i], &view->offers->faults[i]});
	fputs("<p><button>Find</button></p>\n</form>\n", out);
}

/* A form of its own, as its token must not get into an address. */
static void ask_write(FILE *out, const struct web_offers_view *view)
{
	fputs("<details><summary>Ask the nodes around, too</summary>\n<form method=\"post\" "
	      "action=\"",
	      out);
	api_http_path_write(out, view->schema, "/ask\">\n");
	fputs("<p>They see the filters above as they were last applied, and no name of this node. "
	      "It takes two seconds.</p>\n",
	      out);
	for (unsigned i = 0; i < view->form.cnt; i++) {
		const struct web_pair *pair = &view->form.pairs[i];

		if (!pair->value[0] || !api_http_form_is_filter(view->schema, pair->name))
			continue;
		api_http_tagged_write(out, "<input type=\"hidden\" name=\"", pair->name,
				      "\" value=\"");
		api_http_tagged_write(out, "", pair->value, "\">\n");
	}
	api_http_token_write(out);
	fputs("<p><button>Ask</button></p>\n</form></details>\n", out);
}

static const struct schema_choice *choice_of(const struct schema_field *field, const char *word,
					     size_t len)
{
	for (unsigned i = 0; i < field->choice_cnt; i++)
		if (strlen(field->choices[i].word) == len &&
		    memcmp(field->choices[i].word, word, len) == 0)
			return &field->choices[i];
	return NULL;
}

/* Words of choices are shown by their labels. */
static void choices_write(FILE *out, const struct schema_field *field, const char *words)
{
	while (*words) {
		size_t len = strcspn(words, ",");
		const struct schema_choice *choice = choice_of(field, words, len);

		if (choice)
			api_http_html_write(out, choice->label);
		words += len;
		if (*words++ != ',')
			break;
		fputs(", ", out);
	}
}

/* Letters that write from right to left change nothing beside the value. */
static void value_write(FILE *out, const struct schema_field *field, const char *value)
{
	bool is_link = field->type == SCHEMA_URL &&
		       (strncmp(value, "https://", 8) == 0 || strncmp(value, "http://", 7) == 0);

	fputs("<bdi>", out);
	if (is_link)
		api_http_tagged_write(out, "<a rel=\"nofollow noopener noreferrer\" href=\"", value,
				      "\">");
	if (field->choice_cnt)
		choices_write(out, field, value);
	else
		api_http_html_write(out, value);
	fputs(is_link ? "</a></bdi>" : "</bdi>", out);
}

static const char *value_of(const struct api_offer *row, const struct schema_field *field)
{
	for (size_t i = 0; i < row->values.cnt; i++)
		if (strcmp(row->values.rows[i].field, field->name) == 0)
			return row->values.rows[i].value;
	return "";
}

static void row_write(FILE *out, const struct schema *schema, const struct api_offer *row)
{
	char letters[OFFER_REF_TEXT_MIN + 1];

	snprintf(letters, sizeof(letters), "%s", row->offer_id);
	fputs("<tr><td><a href=\"", out);
	api_http_path_write(out, schema, "/");
	api_http_tagged_write(out, "", row->offer_id, "\">");
	api_http_tagged_write(out, "", letters, "</a></td>");
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		if (!schema->fields[i].is_listed)
			continue;
		fputs("<td>", out);
		value_write(out, &schema->fields[i], value_of(row, &schema->fields[i]));
		fputs("</td>", out);
	}
	fputs("</tr>\n", out);
}

static void rows_write(FILE *out, const struct web_offers_view *view)
{
	const struct schema *schema = view->schema;

	fputs("<table>\n<tr><th>Offer</th>", out);
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		if (!schema->fields[i].is_listed)
			continue;
		fputs("<th>", out);
		label_write(out, &(struct control){.field = &(struct schema_field){
							   .label = schema->fields[i].label,
							   .unit = schema->fields[i].unit}});
		fputs("</th>", out);
	}
	fputs("</tr>\n", out);
	for (size_t i = 0; i < view->row_cnt; i++)
		row_write(out, schema, &view->rows[i]);
	fputs("</table>\n", out);
}

static void left_out_write(FILE *out, const struct web_offers_view *view)
{
	fprintf(out,
		"<p>%" PRId64 " offers more fit, whose providers are verified less. <a href=\"",
		view->left_out);
	api_http_path_write(out, view->schema, "?");
	api_http_form_query(&view->form, view->schema, out);
	fputs("level=0\">Show all</a></p>\n", out);
}

/* The next page has the same filters. */
static void more_write(FILE *out, const struct web_offers_view *view)
{
	fputs("<p><a rel=\"next\" href=\"", out);
	api_http_path_write(out, view->schema, "?");
	api_http_form_query(&view->form, view->schema, out);
	if (view->has_level)
		fprintf(out, "level=%u&amp;", view->level);
	api_http_tagged_write(out, "cursor=", view->cursor, "\">Older offers</a></p>\n");
}

void api_http_page_list(FILE *out, const struct web_offers_view *view)
{
	const struct schema *schema = view->schema;

	api_http_page_begin(out, schema->title);
	fputs("<p>", out);
	api_http_tagged_write(out, "", schema->description, " <a href=\"");
	api_http_path_write(out, schema, "/publish\">Publish an offer</a></p>\n");
	api_http_fault_write(out, view);
	filters_write(out, view);
	ask_write(out, view);
	fputs("<h2>Offers, the newest first</h2>\n", out);
	if (view->row_cnt)
		rows_write(out, view);
	else
		fputs("<p>No offer fits.</p>\n", out);
	if (view->left_out)
		left_out_write(out, view);
	if (view->cursor)
		more_write(out, view);
	fputs("<p><a href=\"/offers\">All kinds of offers</a></p>\n", out);
}

void api_http_page_offer(FILE *out, const struct web_offers_view *view)
{
	const struct schema *schema = view->schema;
	const struct api_offer *row = &view->rows[0];

	api_http_page_begin(out, schema->title);
	api_http_fault_write(out, view);
	fputs("<dl>\n", out);
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		const struct schema_field *field = &schema->fields[i];
		const char *value = value_of(row, field);

		if (!value[0])
			continue;
		api_http_tagged_write(out, "<dt>", field->label, "</dt><dd>");
		value_write(out, field, value);
		api_http_tagged_write(out, field->unit[0] ? " " : "", field->unit, "</dd>\n");
	}
	fprintf(out, "<dt>Units</dt><dd>%" PRId64 "</dd>\n<dt>Published</dt><dd>", row->units);
	api_http_time_write(out, row->published_s);
	fputs("</dd>\n<dt>Ends</dt><dd>", out);
	api_http_time_write(out, row->expires_s);
	api_http_tagged_write(out, "</dd>\n<dt>Provider</dt><dd><code>", row->provider,
			      "</code></dd>\n");
	api_http_tagged_write(out, "<dt>Offer</dt><dd><code>", row->offer_id,
			      "</code></dd>\n</dl>\n");
	api_http_reserve_write(out, view);
	fputs("<p><a href=\"", out);
	api_http_path_write(out, schema, "\">");
	api_http_tagged_write(out, "All offers: ", schema->title, "</a></p>\n");
}

const struct web_number api_http_offers_numbers[WEB_NUMBER_CNT] = {
	[WEB_NUMBER_UNITS] = {".units", "How many of it there are (1, if left empty)", UINT32_MAX},
	[WEB_NUMBER_HOURS] = {".hours", "Hours that it lives (as usual, if left empty)",
			      SERVICE_MESSAGE_LIFE_H_MAX},
};

void api_http_number_write(FILE *out, const struct web_offers_view *view, enum web_number_kind kind)
{
	const struct web_number *number = &view->number_rows[kind];
	const char *value = api_http_form_value(&view->form, number->name);
	const char *dash = number->name[0] == '.' ? "" : "-";

	fprintf(out,
		"<p><label for=\"f%s%s\">%s</label> <input id=\"f%s%s\" name=\"%s\" "
		"type=\"number\" min=\"1\" max=\"%" PRIu64 "\"",
		dash, number->name, number->label, dash, number->name, number->name, number->max);
	api_http_tagged_write(out, " value=\"", value ? value : "", "\">");
	fault_mark(out, &view->offers->number_faults[kind]);
	fputs("</p>\n", out);
}

void api_http_page_publish(FILE *out, const struct web_offers_view *view)
{
	const struct schema *schema = view->schema;

	api_http_page_begin(out, schema->title);
	api_http_tagged_write(
		out, "<p>", schema->description,
		" This node signs the offer and announces it. Fields with * are needed.</p>\n");
	api_http_fault_write(out, view);
	/* The browser checks the same bounds, and the node once more. */
	fputs("<form method=\"post\" action=\"", out);
	api_http_path_write(out, schema, "/publish\">\n");
	for (unsigned i = 0; i < schema->field_cnt; i++)
		control_write(out, &(struct control){view, &schema->fields[i], NULL,
						     &view->offers->faults[i]});
	api_http_number_write(out, view, WEB_NUMBER_UNITS);
	api_http_number_write(out, view, WEB_NUMBER_HOURS);
	api_http_token_write(out);
	fputs("<p><button>Publish</button></p>\n</form>\n<p><a href=\"", out);
	api_http_path_write(out, schema, "\">");
	api_http_tagged_write(out, "All offers: ", schema->title, "</a></p>\n");
}
