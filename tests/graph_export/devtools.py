#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Heap snapshots in the Memory panel of a real Chromium: its own code reads them, its own panel shows them.

usage: devtools.py HAND_EXPORTS DEVTOOLS_JS
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

import tap
from browser import Browser, Files
from hand_truth import NAMES, Truth, match
from heapsnapshot import Snapshot

FOLDER = tempfile.mkdtemp(prefix="strobe-devtools-")
# All text that is shown, from the shadows too.
SHOWN = """(() => { const walk = node => node.nodeType == 3 ? node.data : [...(node.shadowRoot ? [node.shadowRoot] : []),
  ...node.childNodes].map(walk).join(' '); return walk(document.body); })()"""
# Where a text is shown.
PLACE = """text => { const find = node => node.nodeType == 3 ? node.data.includes(text) && node.parentElement :
  [...(node.shadowRoot ? [node.shadowRoot] : []), ...node.childNodes].reduce((found, child) => found || find(child), null);
  const box = find(document.body).getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }"""
OPEN = """(async (url, name) => {
  const UI = await import('/devtools/ui/legacy/legacy.js');
  await UI.ViewManager.ViewManager.instance().showView('heap-profiler');
  const profiler = await import('/devtools/panels/profiler/profiler.js');
  const panel = profiler.HeapProfilerPanel.HeapProfilerPanel.instance();
  await panel.loadFromFile(new File([await (await fetch(url)).text()], name));
})"""


def script():
    with open(sys.argv[2], encoding="utf-8") as file:
        return "".join(line for line in file if not line.startswith("//"))


def open_frontend(browser, extra=""):
    page = browser.page()
    page.call("Page.setBypassCSP", enabled=True)
    page.open("http://127.0.0.1:%d/devtools/devtools_app.html%s" % (browser.port, extra))
    return page


@tap.case("DevTools' own code finds every node, every edge and the same retained sizes")
def read_by_its_code():
    with Browser() as browser, Files(FOLDER) as files:
        page, code = open_frontend(browser), script()
        for name in NAMES:
            for suffix in ("heapsnapshot", "leaks.heapsnapshot"):
                file = "%s.%s" % (name, suffix)
                found = page.run("(%s)(%r, 1)" % (code, files.url + file))
                truth, snapshot = Truth(FOLDER, name), Snapshot(os.path.join(FOLDER, file))
                tap.equal(found["count"], len(snapshot.nodes), file + ": nodes")
                tap.equal(found["edges"], sum(len(node["edges"]) for node in snapshot.nodes), file + ": edges")
                for i, place in match(snapshot, truth, "leaks" in suffix).items():
                    if truth.nodes[i]["reachable"]:
                        tap.equal(found["nodes"][place][2], truth.nodes[i]["retained"], "%s: retained of %d" % (file, i))
                        assert found["nodes"][place][4] < 1000, "%s: %d has no distance" % (file, i)


@tap.case("the Memory panel opens a file and shows its types")
def shown_by_its_panel():
    with Browser() as browser, Files(FOLDER) as files:
        browser.page()
        with urllib.request.urlopen("http://127.0.0.1:%d/json/list" % browser.port, timeout=60) as answer:
            target = next(one["id"] for one in json.load(answer) if one["type"] == "page")
        page = open_frontend(browser, "?ws=127.0.0.1:%d/devtools/page/%s&panel=heap-profiler" % (browser.port, target))
        page.wait_for(SHOWN + ".includes('Memory')")
        page.run("(%s)(%r, 'small.heapsnapshot')" % (OPEN, files.url + "small.leaks.heapsnapshot"))
        page.wait_for(SHOWN + ".includes('small (376')")
        x, y = page.run("(%s)('(376')" % PLACE)
        for kind in ("mousePressed", "mouseReleased"):
            page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        page.wait_for(SHOWN + ".includes('struct pair []')")
        text = page.run(SHOWN)
        assert "struct list" in text and "(untyped, 40 bytes)" in text, text
        if os.environ.get("STROBE_PICTURES"):
            page.picture(os.path.join(os.environ["STROBE_PICTURES"], "memory-panel.png"))


subprocess.run([sys.argv[1], FOLDER], check=True)
try:
    tap.run()
finally:
    shutil.rmtree(FOLDER)
