/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of offers in service messages, and of their schemas. */
#include "command/command.h"

#define PAGE WORD(WORD_COUNT, 1, 200, .why = "not a number from 1 to 200")
#define UNITS                                                                                      \
	WORD(WORD_COUNT, 1, UINT32_MAX, .why = "not a number of units",                            \
	     .next = "for example: --units 3")

/* clang-format off */
const struct command commands_of_offers[] = {
{ "schema", "list", "", "list the kinds of services whose offers this node knows", NULL,
	"weft schema list", NULL, 0, 0, { { 0 } },
	.call = { API_LIST_SCHEMAS, .parts = { SHOW_TABLE(list_schemas, schemas, schema_list, "no schema") } } },
{ "schema", "show", "NAME", "show the fields and filters of a kind of service",
	"With --text it prints the schema's file, to change it and to add it again.",
	"weft schema show housing", NULL, 1, 1,
	{ { "text", NULL, "print its text alone" } },
	.call = { API_SHOW_SCHEMA, .takes = { TAKE(show_schema, name) }, .print = print_schema } },
{ "schema", "add", "FILE", "add a kind of service, or a newer version of one that was added",
	"FILE is described in weft-schema(5); weft schema test FILE says what is wrong with it.\n"
	"Offers that come from now on are checked by it.",
	"weft schema add boats.ini", NULL, 1, 1, { { 0 } },
	.call = { API_ADD_SCHEMA, .fill = fill_schema_add, .done = "Offers that come from now on are checked by it." } },
{ "schema", "remove", "NAME", "forget a kind of service that was added here",
	"Its offers are not found any more. Those that come with weft stay.",
	"weft schema remove boats", NULL, 1, 1, { { 0 } },
	.call = { API_REMOVE_SCHEMA, .takes = { TAKE(remove_schema, name) }, .done = "Its offers are not found any more." } },
{ "schema", "test", "FILE [FIELD=VALUE...]", "compile the schema of a service, and list its fields and filters",
	"FILE is text, weft-schema(5), or a record of weft schema export. With fields of an offer it says\n"
	"whether that offer is valid, and how long. No daemon is asked.",
	"weft schema test bikes.ini size=28 price=12", .run = run_schema_test, 1, 16, { { 0 } } },
{ "schema", "export", "FILE RECORD", "write a schema as the record that other programs read",
	"RECORD is CBOR; it must not be there. No daemon is asked.",
	"weft schema export bikes.ini bikes.cbor", .run = run_schema_export, 2, 2, { { 0 } } },
{ "offer", "publish", "SCHEMA FIELD=VALUE...", "announce an offer of this node",
	"The fields are those of the schema: weft schema show SCHEMA. It is kept over restarts, and\n"
	"found by others until it expires or weft offer revoke withdraws it.",
	"weft offer publish housing room_type=apartment size=62 rent=900", NULL, 2, 40,
	{ { "units", "N", "how many of it there are; default 1" },
	  { "hours", "N", "it expires after so many; default: as the schema says" },
	  { "seed", NULL, "sign the payload alone, for nodes that know no other form" } },
	.call = { API_PUBLISH_OFFER, .takes = { TAKE(publish_offer, schema), TAKE(publish_offer, values) },
	  .parts = { SHOW_FIELDS(publish_offer, offer, offer_show), SHOW_PART("value", publish_offer, offer.values, offer_value_list) },
	  .words = { { "units", NULL, UNITS },
	    { "hours", "ttl_hours", WORD(WORD_COUNT, 1, 8760, .why = "not a number of hours up to 8760, a year") } } } },
{ "offer", "update", "OFFER FIELD=VALUE...", "change an offer of this node",
	"Fields that are not named stay; FIELD= takes one away. How long it lives stays as it is.",
	"weft offer update yqbk5n3t rent=850", NULL, 2, 40,
	{ { "units", "N", "how many of it there are from now on" } },
	.call = { API_UPDATE_OFFER, .takes = { TAKE(update_offer, offer_id), TAKE(update_offer, values) },
	  .parts = { SHOW_FIELDS(update_offer, offer, offer_show), SHOW_PART("value", update_offer, offer.values, offer_value_list) },
	  .words = { { "units", NULL, UNITS } } } },
{ "offer", "revoke", "OFFER", "withdraw an offer of this node", NULL,
	"weft offer revoke yqbk5n3t", NULL, 1, 1, { { 0 } },
	.call = { API_REVOKE_OFFER, .takes = { TAKE(revoke_offer, offer_id) }, .done = "Withdrawn." } },
{ "offer", "list", "[SCHEMA]", "list the offers of this node", NULL,
	"weft offer list", NULL, 0, 1,
	{ { 0 } },
	.call = { API_LIST_OFFERS, .takes = { TAKE(list_offers, schema) }, .parts = { SHOW_TABLE(list_offers, offers, offer_list,
	  "No offer: weft offer publish SCHEMA FIELD=VALUE... makes one") } } },
{ "offer", "show", "OFFER", "show an offer that this node has or keeps",
	"OFFER: its id, or the first 8 letters and more.",
	"weft offer show yqbk5n3t", NULL, 1, 1, { { 0 } },
	.call = { API_SHOW_OFFER, .takes = { TAKE(show_offer, offer_id) },
	  .parts = { SHOW_FIELDS(show_offer, offer, offer_show), SHOW_PART("value", show_offer, offer.values, offer_value_list) } } },
{ "offer", "find", "SCHEMA [FILTER=VALUE...]", "find offers, the newest first",
	"The filters are those of the schema: weft schema show SCHEMA. All of them are to fit. Offers\n"
	"that this node keeps are looked through; with --mesh the nodes around are asked first, for two\n"
	"seconds. They see the filters, and no name of this node. Ends with 4 when nothing is found.",
	"weft offer find housing max_rent=900 min_size=40 plz_prefix=101", .run = run_offer_find, 1, 17,
	{ { "mesh", NULL, "ask the nodes around, too" },
	  { "limit", "N", "rows at most, 1 to 200; default 20" },
	  { "cursor", "TEXT", "go on from there, as the page before said" } },
	.call = { .takes = { TAKE(find_offers, schema), TAKE(find_offers, filters) },
	  .words = { { "limit", NULL, PAGE } } } },
{ .table = commands_of_node },
};
/* clang-format on */
