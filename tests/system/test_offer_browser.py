#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pages of offers in a real browser: its forms, what it says of its Origin, and scripts that are not run."""
import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from browser import Browser
from gateway_pair import join
from lab import OK, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, token_of, url_of

FLAT = {"room_type": "apartment", "size": "62", "rent": "900", "available_from": "2027-01-01",
        "postcode": "10115"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)><svg onload=alert(3)>"


@contextlib.contextmanager
def browser():
    page = Browser()
    try:
        yield page
        check_eq(page.dialogs, [], "no page runs a script")
    finally:
        page.close()


def start(lab, name="a"):
    return lab.daemon(name, config=GATEWAY + QUICK).start()


def publish(node, **values):
    done = node.weft("offer", "publish", "housing", *(f"{key}={value}" for key, value in {**FLAT, **values}.items()))
    check_eq(done.returncode, OK, done.stderr)


def test_a_flat_is_published_and_found_by_forms_alone(lab):
    with browser() as page:
        node = start(lab)
        page.open(url_of(node) + "/offers")
        check("Homes to let" in page.text(), page.text())
        check_eq(page.value("getComputedStyle(document.body).maxWidth"), "960px", "the style sheet is applied")
        page.open(url_of(node) + "/offers/housing/publish")
        page.fill(**FLAT, title="Light & quiet")
        page.value("document.getElementById('f-token').value = 'wrong'")
        page.send("form")
        check("token is missing or wrong" in page.text(), page.text())
        check_eq(page.value("document.getElementById('f-rent').value"), "900", "what was typed stays")
        page.value(f"document.getElementById('f-token').value = '{token_of(node)}'")
        page.send("form")
        check(page.path().startswith("/offers/housing/"), page.path())
        check("900 EUR" in page.text() and "Light & quiet" in page.text(), page.text())
        page.open(url_of(node) + "/offers/housing")
        check("Light & quiet" in page.text(), page.text())
        page.fill(max_rent="899")
        page.send("form")
        check("No offer fits" in page.text(), page.text())
        page.fill(max_rent="900", plz_prefix="101", room_type="apartment")
        page.send("form")
        check("Light & quiet" in page.text(), page.text())
        check_eq(page.value("document.querySelectorAll('table tr').length"), 2, "a head and a row")


def test_the_browser_refuses_a_form_that_is_not_filled_in(lab):
    with browser() as page:
        page.open(url_of(start(lab)) + "/offers/housing/publish")
        check_eq(page.value("document.querySelector('form').checkValidity()"), False, "nothing is there")
        page.fill(**{**FLAT, "rent": "70000"})
        check_eq(page.value("document.getElementById('f-rent').checkValidity()"), False, "a bound of the schema")
        page.fill(rent="65535", rooms="2.5")
        check_eq(page.value("document.getElementById('f-rent').checkValidity()"), True, "up to it")
        check_eq(page.value("document.getElementById('f-rooms').checkValidity()"), True, "decimals")


def test_words_of_other_nodes_run_nothing_in_a_browser(lab):
    with browser() as page:
        a, b = start(lab), start(lab, "b")
        join(b, a)
        publish(b, title=EVIL[:80], description=EVIL, url="https://example.org/\"onclick=alert(4)//")
        path = url_of(a) + "/offers/housing"
        wait_for(lambda: a.json("offer", "find", "housing")["offers"], "it is at a")
        offer = a.json("offer", "find", "housing")["offers"][0]["offer_id"]
        for at in (path, f"{path}/{offer}", f"{path}?plz_prefix=%3Cscript%3Ealert(5)%3C/script%3E"):
            page.open(at)
            check_eq(page.value("document.scripts.length + document.images.length + "
                                "document.querySelectorAll('svg, iframe, [onclick]').length"), 0, at)
        page.open(f"{path}/{offer}")
        check(EVIL in page.text(), "it is shown as it is")
        check_eq(page.value("[...document.links].map(a => a.protocol + a.host).filter(h => h.startsWith('https'))"),
                 ["https:example.org"], "the link is the provider's, and its quote is in it")


def test_the_mesh_is_asked_by_a_form(lab):
    with browser() as page:
        node = start(lab)
        publish(node)
        page.open(url_of(node) + "/offers/housing?max_rent=950")
        page.value(f"document.querySelector('details #f-token').value = '{token_of(node)}'")
        page.value("document.querySelector('details').open = true")
        page.send("details form")
        check_eq(page.path(), "/offers/housing?max_rent=950", "back at the list, without the token")
        check("10115" in page.text() or "Flat" in page.text(), page.text())


def unlock(page, node):
    page.value(f"document.getElementById('f-token').value = '{token_of(node)}'")


def test_a_flat_is_reserved_and_confirmed_by_forms_alone(lab):
    with browser() as page:
        between, provider, consumer = start(lab), start(lab, "b"), start(lab, "c")
        join(provider, between)
        join(consumer, between)
        publish(provider)

        def path_here():
            consumer.weft("offer", "find", "housing", "--mesh")
            found = consumer.json("offer", "find", "housing")["offers"]
            return found and f"/offers/housing/{found[0]['offer_id']}"

        path = wait_for(path_here, "the consumer has it")
        page.open(url_of(consumer) + path)
        page.fill(units="2", message=EVIL)
        unlock(page, consumer)
        page.send("form")
        check("It is not reserved" in page.text() and "units" in page.text(), page.text())
        check_eq(page.value("document.getElementById('f-message').value"), EVIL, "what was typed stays")
        page.fill(units="", hours="169")
        check_eq(page.value("document.querySelector('form').checkValidity()"), False, "a week at most")
        page.fill(hours="24")
        unlock(page, consumer)
        page.send("form")
        mine = page.path()
        check(mine.startswith(path + "/reservations/") and EVIL not in page.text(), page.text())
        unlock(page, consumer)
        page.send("form")
        check("asked" in page.text() and EVIL in page.text(), page.text())
        wait_for(lambda: provider.json("reservation", "list")["reservations"], "the provider has it")
        page.open(url_of(provider) + path)
        check_eq(page.value("document.querySelectorAll('form').length"), 0, "a provider does not reserve its own")
        page.open(url_of(provider) + page.value("[...document.links].map(a => a.pathname)"
                                                ".find(path => path.endsWith('/reservations'))"))
        unlock(page, provider)
        page.send("form")
        check(EVIL in page.text(), page.text())
        page.open(page.value("[...document.links].map(a => a.href).find(at => at.includes('/reservations/'))"))
        unlock(page, provider)
        page.send("form")
        check_eq(page.value("document.scripts.length + document.images.length"), 0, "words of the consumer")
        page.fill(message="At six.")
        unlock(page, provider)
        page.send("form")
        check("confirmed" in page.text() and "At six." in page.text(), page.text())

        def is_answered():
            page.open(url_of(consumer) + mine)
            unlock(page, consumer)
            page.send("form")
            return "confirmed" in page.text()

        wait_for(is_answered, "the consumer sees it", pause=1)
        check("At six." in page.text(), page.text())


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
