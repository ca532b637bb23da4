"""No text shows a secret, however it is spelt; what is used stays as it came."""

from __future__ import annotations

import base64
import html
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import RemoteError, TaskWatchError
from airflow_provider_taskwatch.core.flow import ask, ask_json, unreadable
from airflow_provider_taskwatch.core.judge import Memory, WaitRules, judge
from airflow_provider_taskwatch.core.mask import NO_MASK, Mask, is_secret_name, mask_error
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.plan import Plan
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.refusal import refusal
from airflow_provider_taskwatch.core.sign import masking, rejects_token
from airflow_provider_taskwatch.core.single_poll import last_poll
from airflow_provider_taskwatch.core.system import SystemDefaults
from airflow_provider_taskwatch.core.watch import PollResult, assess, watch
from airflow_provider_taskwatch.core.wire import Reply, get
from tests.play import play, reply, result_of
from tests.rows import each_row

SECRETS = st.text(string.ascii_letters + string.digits + "+/=&%\\\"'<>-_.~!*: äöß€", min_size=12, max_size=80).filter(
    lambda one: one == one.strip() and "  " not in one and len(set(one)) > 6
)
AROUND = st.text(string.ascii_lowercase + " .:{}<>", max_size=30)


def entities(text: str) -> str:
    return "".join(f"&#{ord(one)};" if not one.isalnum() else one for one in text)


def escapes(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


SPELLINGS = {
    "plain": str,
    "upper": str.upper,
    "url": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "small form": lambda text: quote_plus(text).lower(),
    "url twice": lambda text: quote(quote(text, safe="")),
    "url three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "json": lambda text: json.dumps(text),
    "hex escapes": lambda text: "".join(f"\\x{ord(one):02x}" if one < "\x80" else one for one in text),
    "json, unescaped": lambda text: json.dumps(text, ensure_ascii=False),
    "php": lambda text: json.dumps(text).replace("/", "\\/"),
    "python": lambda text: repr(text + "'\"")[1:-1].removesuffix("\\'\""),
    "addslashes": lambda text: "".join(f"\\{one}" if one in "\\'\"" else one for one in text),
    "json in json": lambda text: json.dumps(json.dumps(text)),
    "escapes": escapes,
    "html": html.escape,
    "entities": entities,
    "form in html": lambda text: html.escape(quote_plus(text)),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "a pair": lambda text: base64.b64encode(f"me:{text}".encode()).decode(),
    "a pair, url": lambda text: quote(base64.b64encode(f"me:{text}".encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
}


def shows(text: str, secret: str) -> bool:
    """Whether eight characters of the secret in a row are to be seen."""
    return any(secret[at : at + 8].lower() in text.lower() for at in range(len(secret) - 7))


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@settings(max_examples=10, deadline=None)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_no_text_shows_a_secret_in_any_spelling(spell, secret, before, after):
    spelt = spell(secret)
    masked = Mask((secret,)).text(f"{before} {spelt} {after}")
    assert "***" in masked
    assert spelt not in masked
    assert not shows(masked, secret)


@settings(max_examples=30, deadline=None)
@given(
    secret=SECRETS,
    spell=st.sampled_from(list(SPELLINGS.values())),
    size=st.integers(0, 900),
    status=st.integers(200, 599),
)
def test_no_error_made_of_a_reply_shows_a_secret_at_any_cut(secret, spell, size, status):
    got = Reply(status=status, body=("x" * size + " " + spell(secret)).encode(), mask=Mask((secret,)))
    for error in (refusal(get("/x"), got), unreadable(get("/x"), got, "is odd")):
        assert not shows(str(error), secret)
        assert spell(secret) not in str(error)


@each_row("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_body_of_any_encoding_shows_no_secret(encoding):
    got = Reply(status=400, body="you sent pässword-of-ours".encode(encoding), mask=Mask(("pässword-of-ours",)))
    assert "of-ours" not in got.text().replace("\ufffd", "")
    assert "***" in got.text()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["acme-production", "7"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(
    content=st.dictionaries(st.text(max_size=8), VALUES, max_size=5),
    secret=st.sampled_from(["acme-production", "7", "null"]),
)
def test_a_reply_in_use_is_not_masked(content, secret):
    got = Reply(status=200, body=json.dumps(content).encode(), mask=Mask((secret,)))
    assert result_of(masking(ask_json(get("/x"))), got) == content


def reading(secret, **fields):
    got = Reply(status=200, mask=Mask((secret,)))

    def observe():
        yield from ask(get("/x"))
        return Observation(**fields)

    return result_of(masking(observe()), got)


def test_an_observation_is_not_masked_and_its_outcome_is():
    ref = "acme-production-7"
    seen = reading(
        "acme-production",
        ref=ref,
        phase=Phase.FAILED,
        status="acme-production",
        message="sent acme-production",
        result={"id": ref, "said": ["acme-production"]},
    )
    assert (seen.ref, seen.status, seen.result["said"]) == (ref, "acme-production", ["acme-production"])
    _, _, outcome = judge(Memory(), seen, WaitRules(), 1.0, "task")
    assert outcome is not None
    assert (outcome.ref, outcome.result) == (ref, {"id": ref, "said": ["***"]})
    assert (outcome.status, outcome.message) == ("***", "task acme-production-7: failed (***): sent ***")


def test_each_of_several_observations_carries_the_mask():
    def observe_many():
        yield from ask(get("/x"))
        return {"1": Observation(ref="1", phase=Phase.RUNNING, message="hush-hush")}

    found = result_of(masking(observe_many()), Reply(status=200, mask=Mask(("hush-hush",))))
    assert found["1"].describe() == "running: ***"


def test_an_error_made_of_content_shows_no_secret_nor_does_its_cause():
    def flow():
        got = yield from ask_json(get("/x"))
        try:
            raise ValueError(got["said"])
        except ValueError as cause:
            raise RemoteError(method="GET", path=f"/{got['said']}", status=400, message=got["said"]) from cause

    answer = Reply(status=200, body=b'{"said": "hush-hush-token"}', mask=Mask(("hush-hush-token",)))
    with pytest.raises(TaskWatchError) as caught:
        result_of(masking(flow()), answer)
    error = caught.value
    assert not any("hush" in repr(one) for one in (error, error.__cause__, vars(error)))


def test_a_reply_that_is_not_json_leaves_none_of_it_in_the_error():
    with pytest.raises(ValueError, match="Expecting") as caught:
        reply(200, "hush-hush").json()
    assert vars(caught.value) == {}
    assert caught.value.__context__ is None


def test_the_reply_to_a_start_is_masked_in_result_and_summary():
    started = Started(ref=None, reply={"a": "client-secret-1", "b": "short"}, mask=Mask(("client-secret-1", "short")))
    assert started.result == {"a": "***", "b": "short"}
    assert started.summary == "{'a': '***', 'b': '***'}"


def test_a_mask_shows_nothing_and_knows_what_is_too_short():
    assert "hush" not in repr(Mask(("hush-hush",)))
    assert Mask(("abcd", "")).text("abcd") == "abcd"
    assert Mask(("same",)).also("same", "").secrets == ("same",)
    assert NO_MASK.data({"a": 1}) == {"a": 1}


def test_data_are_masked_at_any_depth_and_numbers_too():
    mask = Mask(("123456789012", "of-ours-and-longer"))
    assert mask.data({"a": [123456789012, True, 1.5, ("x of-ours-and-longer",)]}) == {
        "a": ["***", True, 1.5, ["x ***"]]
    }
    assert mask.data({"of-ours-and-longer": 1}) == {"***": 1}
    deep: object = "of-ours-and-longer"
    for _ in range(300):
        deep = [deep]
    assert "of-ours" not in repr(mask.data(deep))


def test_an_error_without_a_cause_is_masked_too():
    error = TaskWatchError("a hush-hush b", 7)
    mask_error(error, Mask(("hush-hush",)))
    assert error.args == ("a *** b", 7)


@each_row(
    "name", ["password", "client_assertion", "subject_token", "refresh_token", "api-key", "pin", "code", "X_SECRET"]
)
def test_a_parameter_that_is_a_secret_by_its_name(name):
    assert is_secret_name(name)


@each_row(
    "name",
    [
        "grant_type",
        "scope",
        "audience",
        "resource",
        "tenant",
        "username",
        "subject_token_type",
        "client_assertion_type",
        "requested_token_type",
        "token_type_hint",
    ],
)
def test_a_parameter_that_names_a_type_is_not_secret(name):
    assert not is_secret_name(name)


def test_the_original_message_of_a_refusal_can_be_searched():
    answer = Reply(status=503, body=b'{"error": "system", "message": "down"}', mask=Mask(("system",)))
    error = refusal(get("/x"), answer)
    assert str(error) == "GET /x answered 503: ***: down"
    assert error.says("^system(:|$)")
    assert error.with_message("in other words").says("^system(:|$)")
    assert "system" not in repr(vars(error))


def test_a_rejection_is_recognized_with_any_secret():
    rejected = rejects_token(False, "token has expired")
    body = b'{"message": "The access token has expired."}'
    assert rejected(Reply(status=403, body=body, mask=Mask(("access token", "expired"))))


def test_a_cause_that_contains_a_secret_is_removed():
    error, cause = TaskWatchError("no"), OSError(2, RuntimeError("/keys/hush-hush"))
    error.__cause__ = cause
    mask_error(error, Mask(("hush-hush",)))
    assert (error.__cause__, error.__context__) == (None, None)


class Echoing(SystemDefaults):
    noun = "job"

    def observe(self, ref):
        said = (yield from ask_json(get(f"/jobs/{ref}")))["said"]
        return Observation(ref=ref, phase=Phase.FAILED, status=said, message=said, result={"said": said, "id": ref})

    def explain(self, seen, options):
        return (yield from ask_json(get("/why")))["said"]


ECHO = Reply(status=200, body=b'{"said": "client-secret-7"}', mask=Mask(("client-secret-7",)))


def test_the_outcome_of_a_task_shows_no_secret():
    outcome = result_of(masking(last_poll(Echoing(), Plan(ref="client-secret-7-1"), 10.0)), ECHO, ECHO)
    assert outcome is not None
    assert (outcome.ref, outcome.result) == ("client-secret-7-1", {"said": "***", "id": "client-secret-7-1"})
    assert (outcome.status, outcome.message) == ("***", "job ***-1: failed (***): ***\n***")


def test_one_poll_that_is_weighed_shows_no_secret():
    seen = result_of(masking(Echoing().observe("7")), ECHO)
    assessed = result_of(
        masking(assess(Echoing(), Plan(ref="7"), Memory(), PollResult(age=1.0, observation=seen))), ECHO
    )
    assert "client-secret" not in repr(assessed.outcome)
    assert assessed.observation.status == "client-secret-7"
    assert "client-secret" not in assessed.observation.describe()
    alone = result_of(masking(assess(Echoing(), Plan(ref="7"), Memory(), PollResult(age=1.0, observation=absent("7")))))
    assert alone.outcome is None


def test_a_whole_wait_shows_no_secret_in_its_outcome():
    seen = result_of(masking(Echoing().observe("7")), ECHO)
    _, outcome = play(watch(Echoing(), Plan(ref="7"), 0.0), PollResult(age=1.0, observation=seen), ECHO)
    assert "client-secret" not in repr(outcome)
    assert outcome.message == "job 7: failed (***): ***\n***"


def test_secrets_in_several_spellings_are_all_masked():
    secrets = ("first/secret+of=ours", "second&secret<of>ours", "third secret/of ours")
    first, second, third = secrets
    text = f"{quote(first, safe='')} and {html.escape(second)} and {json.dumps(escapes(third))} and {quote_plus(third)}"
    masked = Mask(secrets).text(text)
    assert masked.count("***") == 4
    assert not any(shows(masked, one) for one in secrets)


def test_a_secret_that_looks_encoded_is_hidden_in_a_text_that_spells_it_in_several_ways():
    secret = "p&ss'w/+=%41x"
    said = Mask((secret,)).text(f"{html.escape(secret)} and {quote(secret)} and {quote_plus(secret)}")
    assert said == "*** and *** and ***"


def test_a_part_of_a_secret_is_masked_where_a_text_was_cut():
    mask = Mask(("correct horse battery",))
    assert mask.text("token correct horse") == "token ***"
    assert mask.text("horse battery is the token") == "*** is the token"


def test_a_secret_of_padding_only_is_masked():
    assert Mask(("======",)).text("a ====== b") == "a *** b"


def test_a_text_with_too_many_spellings_is_masked_as_a_whole():
    secret = spelling = "secret/word/one"
    text = [secret]
    for _ in range(12):
        spelling = quote(spelling, safe="")
        text.append(spelling)
    assert Mask((secret,)).text(" ".join(text)) == "***"
