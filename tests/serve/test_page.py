"""The page at `/`, in a real browser without a window."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abstractcore.errors import ServerError
from abstractcore.testing import FunctionLLM, ScriptedLLM, wait
from abstractcore.types import Usage

from .asking import get
from .conftest import Serving

Serve = Callable[..., Serving]
SECONDS = 30.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, driven by selenium through its own driver."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromium-driver are not installed: make browser")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The driver's own address must not go through a proxy of the environment.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        running = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        yield running
        running.quit()


class Page:
    """The page, as somebody in front of it uses it."""

    def __init__(self, browser: Any, url: str) -> None:
        self._browser = browser
        browser.get_log("browser")
        browser.get(url)

    def at(self, selector: str) -> Any:
        return self._browser.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [found.text for found in self._browser.find_elements("css selector", selector)]

    def until(self, holds: Callable[[], Any]) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self._browser, SECONDS, poll_frequency=0.02).until(lambda _: holds())

    def say(self, text: str) -> None:
        self.until(lambda: self.at("#model").get_attribute("value"))
        self.at("#prompt").send_keys(text + "\n")

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self._browser.get_log("browser")]


@pytest.fixture
def open_page(browser: Any) -> Callable[[Serving], Page]:
    return lambda serving: Page(browser, serving.url)


def test_a_talk_is_streamed_with_its_speed(serve: Serve, open_page: Callable[..., Page]) -> None:
    """The second question is asked with the first one's answer, and a model's markup stays text."""
    llm = ScriptedLLM([["Hello", wait(0.5), " <b>you</b>", Usage(5, 4)], "Four."])
    page = open_page(serve(models={"fast": llm, "other": llm}))

    page.say("Hi")
    page.until(lambda: page.texts(".assistant") == ["Hello <b>you</b>"])
    page.until(lambda: "4 tokens" in page.at("#speed").text)
    speed = page.at("#speed").text
    page.say("2+2?")
    page.until(lambda: page.texts(".assistant")[1:] == ["Four."])

    found = re.fullmatch(r"first token after ([\d.]+) s · 4 tokens · ([\d.]+) tokens/s", speed)
    assert found is not None, speed
    assert 0 < float(found[2]) <= 60
    assert [message["content"] for message in llm.requests[1].messages] == ["Hi", "Hello <b>you</b>", "2+2?"]
    assert page.texts(".user") == ["Hi", "2+2?"]
    assert page.texts("#model option") == ["fast", "other"]
    assert page.complaints() == []


def test_stop_stops_the_model(serve: Serve, open_page: Callable[..., Page]) -> None:
    serving = serve(models={"slow": ScriptedLLM([["Once", wait(60), "upon"]])})
    page = open_page(serving)

    page.say("A story.")
    page.until(lambda: page.texts(".assistant") == ["Once"])
    page.at("#stop").click()

    page.until(lambda: page.texts(".error") == ["stopped"])
    page.until(lambda: 'status="499"' in get(serving.url + "/metrics")[1].decode())


def test_what_goes_wrong_is_said(serve: Serve, open_page: Callable[..., Page]) -> None:
    page = open_page(serve(ServerError("it broke"), ["Well", ServerError("it broke off")], "fine"))

    page.say("Hi")
    page.until(lambda: page.texts(".error") == ["it broke"])
    page.say("Hi")
    page.until(lambda: page.texts(".error")[1:] == ["it broke off"])
    page.say("Hi")

    page.until(lambda: page.texts(".assistant") == ["Well", "fine"])


def test_a_key_is_asked_for_where_there_are_keys(serve: Serve, open_page: Callable[..., Page]) -> None:
    page = open_page(serve("Welcome.", keys=["the-right-key"]))

    page.until(lambda: page.at("#key").is_displayed())
    page.at("#key").send_keys("the-right-key\n")
    page.say("Hi")

    page.until(lambda: page.texts(".assistant") == ["Welcome."])


def test_the_page_loads_nothing_else_and_may_not(serve: Serve) -> None:
    """No resource of elsewhere stands in it, and its policy would not let one in."""
    status, body, headers = get(serve(models={"m": FunctionLLM(lambda _: "x")}).url)

    page = body.decode()
    assert status == 200
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:,)|https?://|@import|url\(", page)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
