"""What nobody sees in a pasted credential is named, without showing it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.connection import invisible_in
from tests.rows import each_row


@each_row(
    "text, words",
    [
        ("secret\n", "ends in a line break"),
        ("secret\r\n", "ends in a line break"),
        ("\nsecret", "contains a control character, such as a line break or a tab"),
        ("se\ncret", "contains a control character, such as a line break or a tab"),
        ("se\tcret", "contains a control character, such as a line break or a tab"),
        ("se\x00cret", "contains a control character, such as a line break or a tab"),
        ("se\x7fcret", "contains a control character, such as a line break or a tab"),
        ("se\x85cret", "contains a control character, such as a line break or a tab"),
        ("\ufeffsecret", "contains a byte order mark"),
        ("sec\u200bret", "contains an invisible character"),
        ("secret\u200d", "contains an invisible character"),
        ("sec\u2028ret", "contains a line separator"),
        ("sec\u2029ret", "contains a paragraph separator"),
        ("sec\ud83dret", "contains half a surrogate pair"),
        (" secret", "begins or ends with a space"),
        ("secret\u00a0", "begins or ends with a space"),
        ("se cret-pässwörd/+=%:", ""),
        ("", ""),
    ],
)
def test_what_nobody_sees_is_named(text, words):
    assert invisible_in(text) == words


@given(text=st.text(max_size=20))
def test_whatever_is_found_is_named_without_the_text(text):
    assert len(text) < 4 or text not in invisible_in(text)
