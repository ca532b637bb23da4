"""What setup.cfg cannot say: the README as a package index shows it, where a link into the repository leads nowhere."""

import re
from pathlib import Path

from setuptools import setup

LINK = re.compile(r"!?\[([^\]]*)\]\((?!https?://|#)([^)#]+)[^)]*\)")
WHERE = "\nPages and folders that are named here are in the source distribution.\n"


def without_relative_links(page: str) -> str:
    """The page with each link to a file of the repository replaced by its text and the name of the file."""
    return LINK.sub(lambda link: link[1] if link[2] in link[1] else f"{link[1]} (`{link[2]}`)", page)


if __name__ == "__main__":
    readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=without_relative_links(readme) + WHERE,
        long_description_content_type="text/markdown",
    )
