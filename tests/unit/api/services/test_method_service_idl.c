/* SPDX-License-Identifier: Apache-2.0 */
/* A program's varlink interface as the description of its service. */
#include "api/services/method_service_idl.h"

#include <stdlib.h>
#include <string.h>

#include "service/directory/description.h"
#include "support/check.h"

static const char tea[] =
	"# A shop.\n"
	"interface org.example.tea\n"
	"\n"
	"type Leaf (name: string, colour: (green, black), notes: ?[]string)\n"
	"# Makes a pot\n"
	"#   of tea.\n"
	"# Example: {\"leaf\": \"sencha\"}\n"
	"method Brew(leaf: string, minutes: ?int, leaves: [string]Leaf) -> (pot: Leaf)\n"
	"method List() -> ()\n"
	"error Cold (why: string)\n";

static const json_t *method_of(const json_t *description, const char *name)
{
	const json_t *methods = json_object_get(description, "methods");

	for (size_t i = 0; i < json_array_size(methods); i++) {
		const json_t *method = json_array_get(methods, i);

		if (strcmp(json_string_value(json_object_get(method, "name")), name) == 0)
			return method;
	}
	return NULL;
}

static const char *type_of(const json_t *method, const char *list, size_t idx)
{
	return json_string_value(
		json_object_get(json_array_get(json_object_get(method, list), idx), "type"));
}

static void test_an_interface_shows_methods_types_words_and_examples(void)
{
	char why[SERVICE_IDL_WHY_CAP], *text;
	json_t *json, *loaded;
	const json_t *brew;
	const char *reason;

	CHECK_EQ(api_service_idl_description(tea, &json, why), 0);
	CHECK_EQ(json_array_size(json_object_get(json, "methods")), 2);
	brew = method_of(json, "Brew");
	CHECK_STR(json_string_value(json_object_get(brew, "about")), "Makes a pot of tea.");
	CHECK_STR(json_string_value(json_object_get(json_object_get(brew, "example"), "leaf")),
		  "sencha");
	CHECK_STR(type_of(brew, "takes", 0), "string");
	CHECK_STR(type_of(brew, "takes", 1), "?int");
	CHECK_STR(type_of(brew, "takes", 2),
		  "[string](name: string, colour: (green, black), notes: ?[]string)");
	CHECK_STR(json_string_value(json_object_get(method_of(json, "List"), "about")), "");
	text = json_dumps(json, JSON_COMPACT);
	CHECK_EQ(service_description_load(text, strlen(text), &loaded, &reason), 0);
	json_decref(loaded);
	json_decref(json);
	free(text);
}

static void test_what_is_no_interface_is_refused_with_its_line(void)
{
	char why[SERVICE_IDL_WHY_CAP];
	json_t *json;

	CHECK_EQ(api_service_idl_description("interface a.b\nmethod M(", &json, why),
		 WEFT_EMALFORMED);
	CHECK_STR(why, "line 2 is no varlink interface description");
	CHECK_EQ(api_service_idl_description("interface a.b\n# Example: {\nmethod M() -> ()", &json,
					     why),
		 WEFT_EMALFORMED);
	CHECK_STR(why, "the example of method M is no JSON object in one line");
}

static void test_every_cut_of_an_interface_is_read_within_bounds(void)
{
	char why[SERVICE_IDL_WHY_CAP];

	for (size_t len = 0; len < sizeof(tea); len++) {
		char *cut = strndup(tea, len);
		json_t *json;

		if (api_service_idl_description(cut, &json, why) == 0)
			json_decref(json);
		free(cut);
	}
}

/* Types that hold themselves, and types too long to spell out, have an end. */
static void test_types_are_spelled_out_within_bounds(void)
{
	static const char round[] = "interface a.b\ntype T (t: ?T, u: []T)\nmethod M(t: T) -> ()\n";
	char why[SERVICE_IDL_WHY_CAP], text[4096] = "interface a.b\ntype T (";
	json_t *json;

	CHECK_EQ(api_service_idl_description(round, &json, why), 0);
	CHECK(strlen(type_of(method_of(json, "M"), "takes", 0)) <= 500);
	json_decref(json);
	for (unsigned i = 0; i < 100; i++)
		sprintf(text + strlen(text), "%sfield%u: string", i ? ", " : "", i);
	strcat(text, ")\nmethod M(t: T) -> ()\n");
	CHECK_EQ(api_service_idl_description(text, &json, why), 0);
	CHECK_STR(type_of(method_of(json, "M"), "takes", 0), "T");
	json_decref(json);
}

int main(void)
{
	RUN(test_an_interface_shows_methods_types_words_and_examples);
	RUN(test_what_is_no_interface_is_refused_with_its_line);
	RUN(test_every_cut_of_an_interface_is_read_within_bounds);
	RUN(test_types_are_spelled_out_within_bounds);
	return check_done();
}
