"""What a person does in a browser, counted: each click, key and scroll of a scenario is one call of `Person`."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

_IN_VIEW = """element => new Promise(resolve => {
    new IntersectionObserver((entries, observer) => {
        observer.disconnect();
        resolve(entries[0].intersectionRatio > 0.3);
    }).observe(element);
})"""

_TURNS, _NOTCH, _MOMENT = 60, 300, 50
"""Turns of the wheel at most, pixels of one, and milliseconds after it."""


class Person:
    """Acts on one page, without a pause between two acts.

    Attributes
    ----------
    clicks, keys, scrolls
        How often the mouse was pressed, a key was pressed, and something had to be scrolled into view first.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.keys = self.scrolls = 0

    def see(self, target: Locator) -> None:
        """Look at something; if it is not on the screen, turn the wheel until it is, which counts as one scroll."""
        target.wait_for()
        if self._shown(target):
            return
        self.scrolls += 1
        for _ in range(_TURNS):
            box = target.bounding_box()
            height = self.page.evaluate("innerHeight")
            assert box
            # Over what has to move, wherever that ends.
            self.page.mouse.move(box["x"] + box["width"] / 2, height / 2)
            self.page.mouse.wheel(0, _NOTCH if box["y"] > height / 2 else -_NOTCH)
            self.page.wait_for_timeout(_MOMENT)
            if self._shown(target):
                return
        raise AssertionError(f"never on the screen: {target}")

    @staticmethod
    def _shown(target: Locator) -> bool:
        return bool(target.evaluate(_IN_VIEW))

    def click(self, target: Locator) -> None:
        """Press the mouse on something that is shown and enabled."""
        self.see(target)
        target.click()
        self.clicks += 1

    def press(self, key: str) -> None:
        """Press one key, or keys held together."""
        self.page.keyboard.press(key)
        self.keys += 1

    def type(self, text: str) -> None:
        """Write where the focus is."""
        for letter in text:
            self.press(letter)
