"""Pages for people: whole, small, and without anything that came from outside as HTML."""

from html.parser import HTMLParser

from clerestory.handlers.api.pages import error_page, page


class Reader(HTMLParser):
    """Takes the tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_an_error_is_a_title_and_a_sentence() -> None:
    read = Reader(error_page(404, "Not Found", "There is no such file."))
    assert read.tags == ["html", "head", "meta", "meta", "title", "style", "body", "h1", "p"]
    assert read.text.count("404 Not Found") == 2
    assert "There is no such file." in read.text
    assert "p" not in Reader(error_page(500, "Internal Server Error", "")).tags


def test_what_comes_from_outside_is_escaped() -> None:
    text = error_page(400, "Bad <b>", '<script>alert("&")</script>')
    assert "script" not in Reader(text).tags
    assert '<script>alert("&")</script>' in "".join(Reader(text).text)
    assert "b" not in Reader(page("<b>", "")).tags


def test_a_page_loads_nothing() -> None:
    text = error_page(404, "Not Found", "There is no such file.")
    assert "http" not in text
    assert "src" not in text
    assert len(text) < 1500
