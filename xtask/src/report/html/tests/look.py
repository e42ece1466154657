"""Opens pages in headless Chromium at two widths, light and dark; prints what is wrong with them as JSON.

look.py CHROMIUM DRIVER FOLDER PAGE... writes screenshots and a PDF of each page into FOLDER.
"""

import base64
import json
import os
import pathlib
import sys

from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

WIDTHS = (360, 1280)
SCHEMES = ("light", "dark")
# What can be reached by keyboard.
REACHABLE = """return [...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
    .filter(e => e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})).length"""
# Lines to paste that do not show whole; a diff's lines keep their columns.
CUT = """return [...document.querySelectorAll('pre:not(.diff), dd')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 40))"""
FOCUSED = """const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
    return [e.tagName, e.textContent.trim().slice(0, 40), r.width > 0 && s.outlineStyle !== 'none']"""


def start(chromium, driver):
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    arguments = ["--headless=new", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]
    # Root has no sandbox; the pages are our own files.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def show(browser, page, width, scheme, media="screen"):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    browser.get(page.resolve().as_uri())


def picture(browser, file, width):
    height = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["height"]
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 8000), "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    file.write_bytes(base64.b64decode(shot["data"]))


def look(browser, page, folder):
    for width in WIDTHS:
        for scheme in SCHEMES:
            show(browser, page, width, scheme)
            where = f"{page.name} at {width} px, {scheme}"
            picture(browser, folder / f"{page.stem}-{width}-{scheme}.png", width)
            # With everything open: a table may scroll inside itself, the page may not.
            browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
            cut = browser.execute_script(CUT)
            if cut:
                yield f"{where}: cut off, to be scrolled: {cut}"
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            if wide > width:
                yield f"{where}: the page is {wide} px wide"
            for rule in Axe().run(browser)["violations"]:
                nodes = [node["html"][:160] for node in rule["nodes"][:3]]
                yield f"{where}: {rule['id']}: {rule['help']}: {nodes}"
            loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
            if loaded:
                yield f"{where}: it loads {loaded}"
            errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
            if errors:
                yield f"{where}: {errors}"
        picture(browser, folder / f"{page.stem}-{width}-open.png", width)


def keyboard(browser, page):
    show(browser, page, WIDTHS[-1], "light")
    wanted = browser.execute_script(REACHABLE)
    opened = "return document.activeElement.parentElement.open"
    seen = []
    for _ in range(wanted + 5):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        tag, text, visible = browser.execute_script(FOCUSED)
        if tag == "BODY":
            break
        seen.append(text)
        if not visible:
            yield f"{page.name}: {tag} {text!r} has the focus and does not show it"
        if tag == "SUMMARY":
            before = browser.execute_script(opened)
            ActionChains(browser).send_keys(Keys.ENTER).perform()
            if browser.execute_script(opened) == before:
                yield f"{page.name}: {text!r} does not open by keyboard"
            ActionChains(browser).send_keys(Keys.ENTER).perform()
    if len(seen) != wanted:
        yield f"{page.name}: {wanted} things can be used, TAB reaches {len(seen)}: {seen}"
    if not seen or not seen[0].startswith("Skip"):
        yield f"{page.name}: the first stop is {seen[:1]}, not the way past the navigation"


def paper(browser, page, folder):
    show(browser, page, 794, "dark", "print")
    # On paper nothing can be opened: every table must be there, dark on white.
    hidden = browser.execute_script(
        "return [...document.querySelectorAll('details > :not(summary)')]"
        ".filter(e => !e.checkVisibility() || e.getBoundingClientRect().height < 1).length"
    )
    if hidden:
        yield f"{page.name}: {hidden} parts are closed on paper"
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    if ground != "rgb(255, 255, 255)":
        yield f"{page.name}: the paper is {ground}"
    picture(browser, folder / f"{page.stem}-paper.png", 794)
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    (folder / f"{page.stem}.pdf").write_bytes(base64.b64decode(pdf["data"]))


def main():
    chromium, driver, folder, *pages = sys.argv[1:]
    browser = start(chromium, driver)
    problems = []
    try:
        for page in map(pathlib.Path, pages):
            problems += look(browser, page, pathlib.Path(folder))
            problems += keyboard(browser, page)
            problems += paper(browser, page, pathlib.Path(folder))
    finally:
        browser.quit()
    print(json.dumps(problems, indent=1))


main()
