"""What nobody sees in a pasted credential is named, without showing it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.hidden import oddity
from tests.rows import each_row


@each_row(
    "text, words",
    [
        ("secret\n", "ends in a line break"),
        ("secret\r\n", "ends in a line break"),
        ("\nsecret", "holds a control character, such as a line break or a tab"),
        ("se\ncret", "holds a control character, such as a line break or a tab"),
        ("se\tcret", "holds a control character, such as a line break or a tab"),
        ("se\x00cret", "holds a control character, such as a line break or a tab"),
        ("se\x7fcret", "holds a control character, such as a line break or a tab"),
        ("se\x85cret", "holds a control character, such as a line break or a tab"),
        ("\ufeffsecret", "holds a byte order mark"),
        ("sec\u200bret", "holds an invisible character"),
        ("secret\u200d", "holds an invisible character"),
        ("sec\u2028ret", "holds a line separator"),
        ("sec\u2029ret", "holds a paragraph separator"),
        ("sec\ud83dret", "holds half a surrogate pair"),
        (" secret", "begins or ends with a blank"),
        ("secret\u00a0", "begins or ends with a blank"),
        ("se cret-pässwörd/+=%:", ""),
        ("", ""),
    ],
)
def test_what_nobody_sees_is_named(text, words):
    assert oddity(text) == words


@given(text=st.text(max_size=20))
def test_whatever_is_found_is_named_without_the_text(text):
    assert len(text) < 4 or text not in oddity(text)
