"""The page in a browser: keyboard, screen readers, narrow screens, dark colours.

The page contains no script; those below only look at it.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys

from rotators.aws.failures import FailedStep, LoggedStep
from rotators.aws.secrets import Version
from rotators.aws.views import FailedRotation
from rotators.manage.details import Details, Replica, Timeline
from rotators.manage.failures import FailedRotations
from rotators.manage.page import html, message
from rotators.manage.report import InventoryReport, collect
from rotators.manage.serving import Dashboard
from rotators.manage.widget import shown
from tests.browser import chromium, console, look, missing
from tests.manage.test_report import NOW, entry

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        bool(missing()) and not os.environ.get("CI"),
        reason=f"not on PATH: {', '.join(missing())} (apt-get install chromium chromium-driver)",
    ),
]

NARROW = 360
A5, A4, ACROSS = 484, 718, 1047
"""Widths of paper in CSS pixels, without the margins that Chromium leaves (1 cm); the last is A4 across."""
LONG = "production/eu-west-1/" + "a_long_name_without_a_break" * 6
AXE = resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
FINDINGS = """
const done = arguments[arguments.length - 1];
axe.run().then(found => done(
  found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`))
));
"""
SCROLLED = """
const [table, done] = arguments;
(function look() { table.scrollLeft ? done(true) : setTimeout(look, 10) })();
"""
STACKED = """
return [...document.querySelectorAll(".stack tbody tr")].filter(row => row.checkVisibility()).filter(row => {
  const places = [...row.children].map(each => each.getBoundingClientRect());
  const labelled = [...row.querySelectorAll("td")].every(
    each => getComputedStyle(each, "::before").content.startsWith(`"${each.dataset.label}"`));
  return !labelled || places.some((place, number) => place.right > innerWidth || place.left < 0
    || number && place.top < places[number - 1].bottom);
}).map(row => row.textContent);
"""
IN_TABLES = """
const found = [...document.querySelectorAll(arguments[0])];
return found.filter(each => each.closest("table").checkVisibility()).length;
"""
CUT_OFF = """
const [shown, paper] = arguments;
return [...document.querySelectorAll(shown)].filter(each => {
  const place = each.getBoundingClientRect();
  return !each.checkVisibility({contentVisibilityAuto: true}) || !place.height || place.left < 0
    || place.right > paper || each.scrollWidth > each.clientWidth + 1 && each.localName !== "svg";
}).map(each => each.outerHTML.slice(0, 200));
"""
FOCUS = """
const each = document.activeElement, style = getComputedStyle(each), place = each.getBoundingClientRect();
return {
  name: each.getAttribute("href") || each.getAttribute("aria-label") || each.tagName,
  outline: style.outlineStyle === "solid" ? parseFloat(style.outlineWidth) : 0,
  inside: place.left >= 0 && place.right <= innerWidth && place.bottom > 0 && place.top < innerHeight,
};
"""


def console_page(*, dark: bool) -> str:
    """A page with the widget, with the background and colour of the console's theme (Cloudscape)."""
    back, text = ("#161d26", "#c6c6cd") if dark else ("#ffffff", "#0f141a")
    widget = shown(full()[0], dark=dark)
    style = f"margin: 0; background: {back}; color: {text}"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboard</title>'
    return f'{head}<body style="{style}"><main><h1>Dashboard</h1>{widget}</main></body></html>'


def report() -> str:
    """A page about `full`."""
    return html(*full())


def full() -> tuple[InventoryReport, Details]:
    """Every kind of secret, long texts, and more urgent secrets than the first table shows."""
    day = dt.timedelta(days=1)
    secrets = [
        entry("failed", RotationEnabled=True),
        entry(LONG, RotationEnabled=True, NextRotationDate=NOW - day),
        entry("fresh", RotationEnabled=True, LastRotatedDate=NOW - day, NextRotationDate=NOW + 5 * day),
        entry(
            "replica", PrimaryRegion="eu-central-1", KmsKeyId=f"arn:aws:kms:eu-west-1:123456789012:key/{LONG}"
        ),
        entry("owned", OwningService="rds", LastAccessedDate=NOW - day),
        entry("gone", DeletedDate=NOW),
        *(entry(f"never-{number}", RotationEnabled=True) for number in range(25)),
    ]
    failures = FailedRotations({secrets[0].arn: FailedRotation("RotationFailed", NOW, f"no route to {LONG}")})
    bad = FailedStep(LONG, "b", "setSecret", "store-unavailable", LONG, retryable=True)
    steps = [LoggedStep("a", NOW, "createSecret", 0.2, None), LoggedStep("b", NOW, "setSecret", 1.5, bad)]
    version = Version(LONG, ("AWSCURRENT", LONG), NOW, keys=(LONG,))
    details = Details(
        [Timeline(each, steps) for each in secrets[:4]],
        [(each, [version] * 3) for each in secrets[:12]],
        [(each, [Replica("eu-west-1", "Failed", LONG, LONG)] * 2) for each in secrets[:2]],
        Counter({"logs:FilterLogEvents": 1}),
    )
    return collect(secrets, failures, NOW), details


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of pages by their names: files, as `rotators report` writes them, and the dashboard."""
    folder: Path = tmp_path_factory.mktemp("pages")
    pages = {
        "report": report(),
        "calm": html(collect([entry("app")], FailedRotations({}), NOW), Details()),
        "empty": html(collect([], None, NOW), Details()),
        "message": message("The secrets could not be read", f"[access-denied] {LONG}"),
        "widget": console_page(dark=False),
        "dark widget": console_page(dark=True),
    }
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    with Dashboard(report) as server:
        files = {name: (folder / f"{name}.html").as_uri() for name in pages}
        yield {**files, "dashboard": server.address}


WIDGETS = ["widget", "dark widget"]
every_page = pytest.mark.parametrize("page", ["report", "calm", "empty", "message", "dashboard", *WIDGETS])


def press(browser: Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def focus(browser: Chrome) -> dict[str, Any]:
    """The element with the focus."""
    found: dict[str, Any] = browser.execute_script(FOCUS)
    return found


@every_page
def test_the_console_stays_empty(browser: Chrome, places: dict[str, str], page: str) -> None:
    look(browser, places[page])
    assert console(browser) == []


def test_the_page_loads_nothing_else(browser: Chrome, places: dict[str, str]) -> None:
    look(browser, places["dashboard"])
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded == []


@pytest.mark.parametrize(
    ("page", "width", "dark"),
    [
        *((page, NARROW, False) for page in ("report", "calm", "empty", "message")),
        *((page, 1200, True) for page in ("report", "calm", "empty", "message")),
        ("widget", NARROW, False),
        ("dark widget", 1200, True),
    ],
)
def test_no_rule_of_accessibility_is_broken(
    browser: Chrome, places: dict[str, str], page: str, width: int, dark: bool
) -> None:
    look(browser, places[page], width=width, dark=dark)
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    browser.execute_script(AXE)
    assert browser.execute_async_script(FINDINGS) == []


@every_page
def test_a_narrow_screen_needs_no_sideways_scrolling(
    browser: Chrome, places: dict[str, str], page: str
) -> None:
    look(browser, places[page], width=NARROW)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("width", [NARROW, 1200])
def test_tab_reaches_everything_visibly(browser: Chrome, places: dict[str, str], width: int) -> None:
    look(browser, places["report"], width=width)
    press(browser, Keys.TAB)
    reached = []
    while (found := focus(browser))["name"] != "BODY":  # after the last one
        reached.append(found)
        press(browser, Keys.TAB)
    sections = ["attention", "failures", "age", "due", "rotations", "replicas", "versions", "keys", "all"]
    assert [each["name"] for each in reached] == [
        "#content",
        *(f"#{name}" for name in sections),
        "SUMMARY",
        "Number of secrets by the age of their value",
        "Number of rotations that are due on each of the next 30 days",
        "SUMMARY",
        "All secrets, the most urgent first",
    ]
    assert [each["name"] for each in reached if each["outline"] < 2 or not each["inside"]] == []


def test_the_first_link_skips_the_navigation(browser: Chrome, places: dict[str, str]) -> None:
    look(browser, places["report"])
    press(browser, Keys.TAB, Keys.ENTER, Keys.TAB)
    assert focus(browser)["name"] == "SUMMARY"


def test_more_secrets_open_by_keyboard(browser: Chrome, places: dict[str, str]) -> None:
    look(browser, places["report"])
    press(browser, Keys.TAB, Keys.ENTER, Keys.TAB, Keys.ENTER)
    more = browser.find_element("css selector", "#attention ~ details table")
    assert f"rotators rotate {entry('never-24').id}" in more.text


def test_rows_are_stacked_on_a_narrow_screen(browser: Chrome, places: dict[str, str]) -> None:
    """Each cell has its own line, below the secret, and a label with the name of its column."""
    look(browser, places["report"], width=NARROW)
    assert browser.execute_script(STACKED) == []


def test_reasons_have_room_in_a_narrow_widget(browser: Chrome, places: dict[str, str]) -> None:
    """CloudWatch shows dashboards on phones too."""
    look(browser, places["widget"], width=NARROW)
    cell = browser.find_element("css selector", "td[data-label=Reason]")
    assert cell.rect["width"] > NARROW / 4


def test_stacked_rows_stay_rows_of_a_table(browser: Chrome, places: dict[str, str]) -> None:
    """Screen readers get tables from the roles, because the layout is no longer that of a table."""
    look(browser, places["report"], width=NARROW)
    browser.execute_cdp_cmd("Accessibility.enable", {})
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = Counter(each["role"]["value"] for each in tree)
    tags = {"table": "table", "row": "tr", "columnheader": "thead th", "cell": "td"}
    shown = {role: browser.execute_script(IN_TABLES, tag) for role, tag in tags.items()}
    assert {role: found[role] for role in shown} == shown


def test_wide_tables_scroll_by_keyboard(browser: Chrome, places: dict[str, str]) -> None:
    look(browser, places["report"], width=NARROW)
    table = browser.find_element("css selector", "#all + .scroll")
    browser.execute_script("arguments[0].focus()", table)
    press(browser, *[Keys.ARROW_RIGHT] * 3)
    assert browser.execute_async_script(SCROLLED, table)


def test_colours_follow_the_scheme(browser: Chrome, places: dict[str, str]) -> None:
    shades = []
    for dark in (False, True):
        look(browser, places["report"], dark=dark)
        shades.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert shades == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


@pytest.mark.parametrize("paper", [A5, A4, ACROSS])
def test_nothing_is_cut_off_on_paper(browser: Chrome, places: dict[str, str], paper: int) -> None:
    """Parts that are closed on the screen are open there."""
    look(browser, places["report"], width=paper, printed=True)
    shown = "h1, h2, h3, p, li:not(nav li), th, td, section svg, details table, .scroll"
    assert len(browser.find_elements("css selector", "details table")) == 2
    assert browser.execute_script(CUT_OFF, shown, paper) == []


def test_paper_has_light_colours(browser: Chrome, places: dict[str, str]) -> None:
    look(browser, places["report"], dark=True, printed=True)
    colours = "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
    assert browser.execute_script(colours) == ["rgb(255, 255, 255)", "rgb(27, 31, 36)"]
