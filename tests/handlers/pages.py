"""What a browser would make of a page: enough to test our own."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The tags, links, table cells and text of a page. Fails when its tags are not properly nested."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.text = ""
        self.path: list[str] = []
        self.feed(page)
        self.close()
        assert not self.path, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.path.append(tag)
        if tag == "a":
            self.links.append((dict(attrs)["href"] or "", ""))
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.path:
            self.text += data
        if "a" in self.path:
            href, text = self.links[-1]
            self.links[-1] = (href, text + data)
        if "td" in self.path:
            self.cells[-1] += data

    def names(self) -> list[str]:
        """The texts of the links to what is in this directory."""
        return [text for href, text in self.links if href.startswith("./")]
