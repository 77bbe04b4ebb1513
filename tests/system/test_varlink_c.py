#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/varlink-c: a description that is wrong is refused with its place, and what it makes of a
right one is C that says the same."""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "varlink-c"
SHOP = """# SPDX-License-Identifier: Apache-2.0
# A shop.
interface a.Shop

# What is sold.
type Item (
  name: string,       # list: NAME; show: name "called"
  colour: ?(red, blue),
  default: int,       # list@9: SIZE bytes
  tags: []string,     # list: "Tags, all"
  sizes: [string]int
)

# Role: operate.
method BuyItem(item: Item, cnt: ?int) -> (left: []Item)

error Empty (item: ?Item)
"""
BAD = (
    ("type T (a: int", "shop.varlink:3: ',' expected in place of ''"),
    ("type T (a: Missing)", "T: there is no type Missing"),
    ("type T (a: T)", "T holds itself"),
    ("type T (a: int)\ntype T (b: int)", "T is there twice"),
    ("type T (a: [][]int)", r"shop.varlink:2: items are neither.*"),
    ("type T (a: []?int)", r"shop.varlink:2: items are neither.*"),
    ("type T (\n  a: int  # two words\n)", r"shop.varlink:3: 'two words' is not VIEW: .*"),
    ("type T (\n  a_s: int  # list: AT\n)", "a_s: say whether it is time or seconds"),
    ("type T (\n  a: int  # list: A quantity\n)", "t: a quantity needs the field unit"),
    ("type T (\n  a: int,  # list: A\n  b: int  # list: b\n)", "t: list mixes columns and fields"),
    ("method M() -> ()", r"shop.varlink:2: M: its comment names no role"),
    ("# Role: king.\nmethod M() -> ()", r"shop.varlink:3: M: its comment names no role"),
    ("methods M() -> ()", r"shop.varlink:2: type, method or error expected in place of 'methods'"),
    ("error E (a: int)\nerror F (a: string)", "F: a is another type in another error"),
    ("# Event: a.b, a.c.\ntype T ()\n# Event: a.c.\ntype U ()", "event a.c is of T and of U"),
    ("type T (a: int)\n$", r"shop.varlink:3: a character that varlink does not have"),
)


def made_of(*texts):
    """(exit code and stderr, {name: text} of what was made)"""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        files = [place / name for name, _ in zip(("shop.varlink", "staff.varlink"), texts)]
        for file, text in zip(files, texts):
            file.write_text(text)
        done = subprocess.run([TOOL, place / "out", *files], capture_output=True, text=True)
        return ((done.returncode, done.stderr.replace(f"{place}/", "")),
                {file.name: file.read_text() for file in (place / "out").rglob("*.*") if file.is_file()})


def test_a_wrong_description_is_refused_with_its_place(lab):
    for text, wanted in BAD:
        (code, said), made = made_of(f"interface a.Shop\n{text}\n")
        check_eq((code, made), (1, {}), f"of {text!r}")
        check(re.fullmatch(f"varlink-c: {wanted}\n", said), f"{text!r}: {said}")


def test_interfaces_share_types_and_a_description_has_those_of_others(lab):
    (code, said), made = made_of(SHOP, "interface a.Staff\n\n# Role: view.\nmethod Look() -> (item: Item)\n")
    check_eq((code, said), (0, ""), "two interfaces")
    check('{"Look", "a.Staff", VARLINK_VIEW,' in made["shop.c"], made["shop.c"])
    check('#define API_LOOK_METHOD "a.Staff.Look"\n' in made["shop_client.h"], made["shop_client.h"])
    check_eq(made["a.Staff.varlink"].count("type Item"), 1, made["a.Staff.varlink"])
    check_eq(made["a.Shop.varlink"].count("method Look"), 0, made["a.Shop.varlink"])


def test_areas_of_one_interface_have_one_description(lab):
    (code, _), made = made_of(SHOP, "# Of an area.\ninterface a.Shop\n\n# Role: view.\nmethod Look() -> (item: Item)\n")
    check_eq(code, 0, "two areas")
    check("#define API_SHOP_METHODS(X) \\\n\tX(BuyItem, buy_item, OPERATE)\n" in made["shop.h"], made["shop.h"])
    check("#define API_STAFF_METHODS(X) \\\n\tX(Look, look, VIEW)\n" in made["shop.h"], made["shop.h"])
    check_eq(made["a.Shop.varlink"].count("interface"), 1, "one description")


def test_a_description_becomes_structs_tables_and_views(lab):
    (code, said), made = made_of(SHOP)
    check_eq((code, said), (0, ""), "made")
    item = re.search(r"struct api_item \{\n(.*?)\n\};", made["shop.h"], re.S).group(1)
    check_eq(item.split("\n\t"), ["\tconst char *name;", "bool has_colour;", "enum api_item_colour colour;",
                                  "int64_t default_;", "struct api_string_list tags;",
                                  "struct api_int_map sizes;"], "fields")
    check('{"BuyItem", "a.Shop", VARLINK_OPERATE, &api_buy_item_in_type, &api_buy_item_out_type},' in made["shop.c"],
          made["shop.c"])
    check('VARLINK_NULLABLE(api_empty_error, "item", item, api_item_type)' in made["shop.c"], made["shop.c"])
    check('{"NAME", VARLINK_NEEDED(api_item, "name", name, api_string_type), COLUMN_TEXT, NULL},\n'
          '\t{"Tags, all", VARLINK_NEEDED(api_item, "tags", tags, api_string_list_type), COLUMN_TEXT, NULL},\n'
          '\t{"SIZE", VARLINK_NEEDED(api_item, "default", default_, api_int_type), COLUMN_BYTES, NULL},\n'
          in made["shop_views.c"], made["shop_views.c"])
    check('{"name", {"called", VARLINK_NEEDED(api_item, "name", name, api_string_type), COLUMN_TEXT, NULL}}'
          in made["shop_views.c"], made["shop_views.c"])
    check('#define API_BUY_ITEM (&api_shop_methods[0])\n' in made["shop_client.h"], made["shop_client.h"])


def test_one_struct_has_what_any_error_says(lab):
    _, made = made_of("interface a.Shop\nerror E (code: int, why: ?string)\nerror F (code: int, at: int)\n")
    failure = re.search(r"struct api_failure \{\n(.*?)\n\};", made["shop.h"], re.S).group(1)
    check_eq(failure.split("\n\t"), ["\tint64_t code;", "const char *why;", "bool has_at;", "int64_t at;"], "fields")
    check('#define API_F_ERROR "a.Shop.F"\n' in made["shop.h"], made["shop.h"])
    check("{API_F_ERROR, &api_f_error_type}," in made["shop.c"], made["shop.c"])


def test_a_kind_of_event_has_the_type_whose_comment_names_it(lab):
    (code, said), made = made_of("interface a.Shop\n# It is open.\n# Event: shop.opened,\n# shop.closed.\n"
                                 "type DoorEvent (at_s: int)\n# Event: of no kind\ntype T ()\n")
    check_eq((code, said), (0, ""), "made")
    check("#define API_SHOP_EVENT_CNT 2\n" in made["shop.h"], made["shop.h"])
    check('api_shop_events[] = {\n\t{"shop.closed", &api_door_event_type},\n'
          '\t{"shop.opened", &api_door_event_type},\n' in made["shop.c"], made["shop.c"])


def test_a_quantity_names_the_field_of_its_unit(lab):
    _, made = made_of("interface a.Shop\ntype T (\n  unit: ?(bytes, cnt),\n  size: int  # list: SIZE quantity\n)\n")
    check('COLUMN_QUANTITY, &(const struct varlink_field)VARLINK_FLAGGED(api_t, "unit", unit, api_t_unit_type)}'
          in made["shop_views.c"], made["shop_views.c"])


def test_notes_are_not_in_the_description_that_is_handed_out(lab):
    _, made = made_of(SHOP)
    check_eq(made["a.Shop.varlink"], re.sub(r" *# (list|show).*", "", SHOP), "the description")


FOREIGN = "interface a.Guest\n\nmethod Call(name: string, cnt: ?int) -> (json: ?object)\n\nerror Failed(why: string)\n"


def made_as(text):
    """(exit code and stderr, {name: text}) of --as guest."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "guest.varlink").write_text(text)
        done = subprocess.run([TOOL, place / "out", "--as", "guest", place / "guest.varlink"],
                              capture_output=True, text=True)
        return ((done.returncode, done.stderr.replace(f"{place}/", "")),
                {file.name: file.read_text() for file in (place / "out").rglob("*.*") if file.is_file()})


def test_an_interface_of_others_needs_no_roles_and_has_names_of_its_own(lab):
    (code, said), made = made_as(FOREIGN)
    check_eq((code, said, sorted(made)), (0, "", ["guest.c", "guest.h"]), "made")
    for wanted in ('#define API_GUEST_CALL "a.Guest.Call"\n', '#define API_GUEST_FAILED "a.Guest.Failed"\n',
                   "struct api_guest_call_in {\n\tconst char *name;\n\tbool has_cnt;\n\tint64_t cnt;\n};",
                   "struct api_guest_failed_error {\n\tconst char *why;\n};"):
        check(wanted in made["guest.h"], made["guest.h"])
    check('VARLINK_NULLABLE(api_guest_call_out, "json", json, api_object_type)' in made["guest.c"], made["guest.c"])
    check("api_interfaces" not in made["guest.c"], "tables that would be there twice")


def test_lists_of_texts_are_the_nodes_and_lists_of_own_types_are_made(lab):
    (code, said), made = made_as("interface a.Guest\ntype Row (n: int)\n"
                                 "method M() -> (names: []string, rows: []Row)\n")
    check_eq((code, said), (0, ""), "made")
    check('#include "varlink/node.h"\n' in made["guest.h"], made["guest.h"])
    check("struct api_string_list names;\n" in made["guest.h"], made["guest.h"])
    check("struct api_string_list {" not in made["guest.h"], "the node's list twice")
    check("struct api_guest_row_list {\n" in made["guest.h"], made["guest.h"])
    check("api_string_list_type =" not in made["guest.c"], made["guest.c"])
    check("api_guest_row_list_type = VARLINK_LIST_OF(guest_row)" in made["guest.c"], made["guest.c"])


def test_methods_of_org_varlink_service_are_made_by_as(lab):
    _, made = made_as("interface org.varlink.service\nmethod GetInfo() -> (vendor: string)\n")
    check("struct api_guest_get_info_out {\n\tconst char *vendor;\n};" in made["guest.h"], made["guest.h"])


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
