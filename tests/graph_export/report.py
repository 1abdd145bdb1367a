#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reports in a real Chromium: what is shown, how keys move through the map, that nothing of a target is taken for markup or script, that
nothing is loaded. The files' bytes are looked at without a browser, too.

usage: report.py HAND_EXPORTS
STROBE_PICTURES=FOLDER keeps pictures of the pages there.
"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tap
from browser import Browser
from hand_truth import NAMES, Truth

FOLDER = tempfile.mkdtemp(prefix="strobe-report-")
SCRIPTS = 2  # the data, and the page's own
SHARED = []  # the browser, once it runs


def browser():
    if not SHARED:
        SHARED.append(Browser())
    return SHARED[0]


def path(name):
    return os.path.join(FOLDER, name + ".html")


class Reader(html.parser.HTMLParser):
    """What a page consists of."""

    def __init__(self):
        super().__init__()
        self.tags, self.policy, self.outside, self.data, self.inside = [], None, [], "", None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.inside = attributes.get("id") if tag == "script" else None
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        self.outside += [value for name, value in attrs if name in ("src", "href", "action") and not value.startswith("#")]
        self.outside += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, text):
        if self.inside == "data":
            self.data += text


def read(name):
    reader = Reader()
    with open(path(name), encoding="utf-8") as file:
        reader.feed(file.read())
    reader.data = json.loads(reader.data)
    return reader


def open_report(name, **features):
    page = browser().page()
    page.call("Runtime.enable")
    page.call("Log.enable")
    page.call("Network.enable")
    if features:
        page.call("Emulation.setEmulatedMedia", features=[{"name": key.replace("_", "-"), "value": value}
                                                          for key, value in features.items()])
    page.open("file://" + path(name))
    return page


def picture(page, name):
    if os.environ.get("STROBE_PICTURES"):
        page.picture(os.path.join(os.environ["STROBE_PICTURES"], name + ".png"))


def troubles(page):
    """What the browser complains of, and what it wanted to load."""
    page.run("1")
    found = []
    for event in page.events:
        method, about = event["method"], event["params"]
        if method == "Runtime.exceptionThrown" or (method == "Log.entryAdded" and about["entry"]["level"] == "error"):
            found.append(about)
        elif method == "Network.requestWillBeSent" and about["request"]["url"] != page.run("location.href"):
            found.append(about["request"]["url"])
    return found


FOCUS = "document.activeElement.getAttribute('aria-label')"
TRAIL = "[...document.querySelectorAll('#trail button')].map(one => one.textContent).join(' > ')"


def focused(page):
    """Name of the cell in focus."""
    return (page.run(FOCUS) or "").split(", ")[0]


@tap.case("a page is one file that refers to nothing else, with two scripts and a policy")
def whole():
    subprocess.run([sys.argv[1], FOLDER], check=True)
    for name in NAMES:
        page = read(name)
        tap.equal(page.tags.count("script"), SCRIPTS, name + ": scripts")
        tap.equal([tag for tag in page.tags if tag in ("img", "iframe", "link", "object", "embed")], [], name)
        tap.equal(page.outside, [], name + ": refers to")
        for part in ("default-src 'none'", "script-src 'sha256-", "style-src 'sha256-"):
            assert part in page.policy, page.policy
        assert "unsafe" not in page.policy, page.policy


@tap.case("its numbers are the graph's")
def numbers():
    for name in NAMES:
        data, truth = read(name).data, Truth(FOLDER, name)
        leaked = sum(node["size"] for node in truth.nodes if not node["reachable"])
        tap.equal(data["tree"][0][4], truth.nodes[0]["retained"] + leaked, name + ": total")
        tap.equal(sum(row[3] for row in data["tree"]), data["tree"][0][4], name + ": sum of own sizes")
        tap.equal(sum(row[2] for row in data["tree"]),
                  sum(1 for index, node in enumerate(truth.nodes) if node["reachable"] or node["size"]), name + ": objects")
        for index, row in enumerate(data["tree"][1:], 1):
            assert row[0] < index, "%s: group %d before its parent" % (name, index)
            assert str(row[1]) in data["names"], "%s: group %d has no name" % (name, index)


@tap.case("every page opens without a complaint, and loads nothing")
def opens():
    for name in NAMES:
        page = open_report(name)
        page.wait_for("document.querySelectorAll('#sections a').length == 8")
        tap.equal(troubles(page), [], name)
        tap.equal(page.run("document.querySelector('main').scrollWidth <= innerWidth"), True, name + ": fits")


@tap.case("names that would do harm are shown as they are, and do none")
def hostile():
    page = open_report("hostile")
    page.wait_for("document.querySelectorAll('.cell').length > 8")
    assert page.run("document.title").endswith("heap report"), page.run("document.title")
    tap.equal(page.run("document.scripts.length"), SCRIPTS, "scripts")
    tap.equal(page.run("document.querySelectorAll('img, iframe, main script').length"), 0, "elements that names made")
    labels = page.run("[...document.querySelectorAll('[role=treeitem]')].map(one => one.getAttribute('aria-label')).join('|')")
    assert "</script><script>document.title='harmed'</script>" in labels, labels
    assert "<img src=x onerror=\"document.title='harmed'\">" in labels, labels
    text = page.run("document.querySelector('#types').textContent")
    assert "<img src=x onerror=\"document.title='harmed'\">" in text and "__proto__" in text, text
    # Were one to slip through as markup, the policy would still stop it.
    page.run("document.body.append(document.createRange().createContextualFragment("
             "'<img src=x onerror=\"document.title=1\"><script>document.title=1<' + '/script>'))")
    page.run("new Promise(done => setTimeout(done, 100))")
    assert page.run("document.title").endswith("heap report"), "the policy lets scripts run"
    picture(page, "hostile")


@tap.case("the map is moved through with keys: arrows, Enter, Escape, Home")
def keys():
    page = open_report("small")
    page.wait_for("document.querySelectorAll('.cell').length > 4")
    page.run("document.querySelector('#trail button').focus()")
    page.key("Tab")
    first = focused(page)
    tap.equal(first, "prog", "first in focus")
    ring = page.run("getComputedStyle(document.activeElement).outlineStyle")
    tap.equal(ring, "solid", "the focus is seen")
    picture(page, "keys-focus")
    seen = {first}
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.key(key)
        seen.add(focused(page))
    assert len(seen) >= 3, seen
    tap.equal(page.run("document.querySelectorAll('#treemap [tabindex=\"0\"]').length"), 1, "in the order of Tab")
    page.key("Home")
    tap.equal(focused(page), "prog", "after Home")
    page.key("Enter")
    tap.equal(page.run(TRAIL), "All memory > prog", "trail")
    tap.equal(focused(page), ".bss", "in focus inside")
    page.key("Enter")
    page.key("Enter")
    tap.equal(page.run(TRAIL), "All memory > prog > .bss > struct pair []", "trail inside")
    page.key("Escape")
    tap.equal(focused(page), "struct pair []", "in focus after Escape")
    page.key("Escape")
    page.key("Escape")
    page.key("Escape")
    tap.equal((page.run(TRAIL), focused(page)), ("All memory", "prog"), "back out")
    detail = page.run("document.querySelector('#detail').textContent")
    assert "prog" in detail and "retains 224 B" in detail, detail
    tap.equal(troubles(page), [])


@tap.case("what is searched for is marked, and everything else hidden")
def search():
    page = open_report("small")
    page.wait_for("document.querySelectorAll('.cell').length > 4")
    page.key("/")
    tap.equal(page.run("document.activeElement.id"), "search", "'/' leads to the search")
    for letter in "pair":
        page.key(letter)
    page.wait_for("document.querySelectorAll('.cell.hit').length > 0")
    shown = page.run("[...document.querySelectorAll('#type-table tbody tr:not(.hidden)')].map(row => row.cells[0].textContent)")
    assert shown and all("pair" in name for name in shown), shown
    assert "1 in the map" in page.run("document.getElementById('found').textContent")
    picture(page, "search")
    page.key("Enter")
    tap.equal(focused(page), "struct pair []", "Enter leads there")
    page.run("document.getElementById('search').focus()")
    page.key("Escape")
    tap.equal(page.run("document.querySelectorAll('.hidden, .hit').length"), 0, "nothing is hidden afterwards")


@tap.case("tables are sorted by their heads, with keys too")
def sorting():
    page = open_report("random7")
    page.wait_for("document.querySelectorAll('#type-table tbody tr').length > 2")
    names = "[...document.querySelectorAll('#type-table tbody tr')].map(row => row.cells[0].textContent)"
    by_size = page.run(names)
    page.run("document.querySelector('#type-table th button').focus()")
    page.key("Enter")
    tap.equal(page.run(names), sorted(by_size), "by name")
    tap.equal(page.run("document.querySelector('#type-table th').getAttribute('aria-sort')"), "ascending", "aria-sort")
    page.key("Enter")
    tap.equal(page.run(names), sorted(by_size, reverse=True), "by name, downwards")
    page.run("document.querySelectorAll('#type-table th button')[1].click()")
    counts = page.run("[...document.querySelectorAll('#type-table tbody tr')].map(row => Number(row.cells[1].textContent))")
    tap.equal(counts, sorted(counts, reverse=True), "by count")


@tap.case("in the dark it is dark, and text stands out from its ground")
def schemes():
    # WCAG 2: contrast of what is written, at least 4.5 : 1.
    contrast = """(selector => { const parts = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = color => parts(color).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const ground = element => { for (; element; element = element.parentElement) { const color = getComputedStyle(element).backgroundColor;
        if (!/, 0\\)$/.test(color)) return color; } return 'rgb(255, 255, 255)'; };
      return Math.min(...[...document.querySelectorAll(selector)].map(one => { const a = light(getComputedStyle(one).color), b = light(ground(one));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); })); })"""
    grounds = {}
    for scheme in ("light", "dark"):
        page = open_report("small", prefers_color_scheme=scheme)
        page.wait_for("document.querySelectorAll('.cell').length > 4")
        grounds[scheme] = sum(int(part) for part in re.findall(r"\d+", page.run("getComputedStyle(document.body).backgroundColor")))
        for selector in ("h1, h2, td, th button, .number b", ".hint, .legend, caption, #about", ".cell .name"):
            got = page.run("%s(%s)" % (contrast, json.dumps(selector)))
            assert got >= 4.5, "%s: %s has a contrast of %.1f" % (scheme, selector, got)
        picture(page, scheme)
    assert grounds["dark"] < 200 < 600 < grounds["light"], grounds


try:
    tap.run()
finally:
    for one in SHARED:
        one.close()
    shutil.rmtree(FOLDER)
