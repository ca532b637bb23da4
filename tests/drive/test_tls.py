"""Certificates: what both drivers trust, and what they say of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_taskwatch.core.error import ConfigurationError, TokenError, TransportError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.wire import get
from demo.certificate import DAY, write_certificate
from tests.drive.conftest import Connect
from tests.drive.settings import oauth2_settings, settings_for
from tests.drive.station import Request, Station, station

NOT_TRUSTED = (
    "^the TLS certificate of https://127.0.0.1:[0-9]+ is not trusted: self.signed certificate; name its issuer"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Path:
    return write_certificate(folder / "ours.pem", "127.0.0.1")


@pytest.fixture(scope="module")
def other_name(folder: Path) -> Path:
    """A certificate for another host."""
    return write_certificate(folder / "other.pem", "other.example")


@pytest.fixture
def secure(certificate: Path) -> Iterator[Station]:
    with station(certificate) as one:
        yield one


def test_a_self_signed_certificate_is_refused_before_anything_is_sent(secure: Station, connect: Connect) -> None:
    with pytest.raises(TransportError, match=NOT_TRUSTED) as caught:
        connect(settings_for(secure)).run(ask(get("/")))
    assert (caught.value.sent, secure.requests) == (False, [])


def test_the_bundle_of_the_connection_makes_it_trusted(secure: Station, connect: Connect, certificate: Path) -> None:
    assert connect(settings_for(secure, verify=str(certificate))).run(ask(get("/"))).is_ok


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_without_verification_anything_is_accepted(secure: Station, connect: Connect) -> None:
    assert connect(settings_for(secure, verify=False)).run(ask(get("/"))).is_ok


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_bundle_of_the_environment_does_not_overrule_the_connection(
    secure: Station, connect: Connect, certificate: Path, other_name: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other_name))
    for verify in (str(certificate), False):
        assert connect(settings_for(secure, verify=verify)).run(ask(get("/"))).is_ok


def test_a_bundle_of_the_environment_is_trusted_if_the_connection_names_none(
    secure: Station, connect: Connect, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert connect(settings_for(secure)).run(ask(get("/"))).is_ok


def test_a_certificate_for_another_host_is_refused(connect: Connect, other_name: Path) -> None:
    with station(other_name) as one, pytest.raises(TransportError, match=r"is not trusted: .*127\.0\.0\.1") as caught:
        connect(settings_for(one, verify=str(other_name))).run(ask(get("/")))
    assert (caught.value.sent, one.requests) == (False, [])


def test_a_certificate_that_has_expired_is_refused(connect: Connect, folder: Path) -> None:
    expired = write_certificate(folder / "expired.pem", "127.0.0.1", ends_in=-DAY)
    with station(expired) as one, pytest.raises(TransportError, match=r"is not trusted: certificate has exp") as caught:
        connect(settings_for(one, verify=str(expired))).run(ask(get("/")))
    assert (caught.value.sent, one.requests) == (False, [])


@pytest.mark.parametrize("ends_in, message", [(DAY, r"127\.0\.0\.1"), (-DAY, "expired")])
def test_a_token_endpoint_with_a_wrong_certificate_gets_no_secret(
    connect: Connect, folder: Path, ends_in: timedelta, message: str
) -> None:
    wrong = write_certificate(folder / "wrong.pem", "127.0.0.1" if ends_in < DAY else "other.example", ends_in=ends_in)
    with station(wrong) as one, pytest.raises(TokenError, match=f"is not trusted: .*{message}"):
        connect(oauth2_settings(one, verify=str(wrong))).run(ask(get("/")))
    assert one.requests == []


def test_a_host_that_speaks_no_tls(remote: Station, connect: Connect) -> None:
    url = remote.url.replace("http:", "https:")
    with pytest.raises(TransportError, match=f"^no secure connection to {url}: ") as caught:
        connect(settings_for(url)).run(ask(get("/")))
    assert not caught.value.sent


def test_a_bundle_without_a_certificate(secure: Station, connect: Connect, tmp_path: Path) -> None:
    bundle = tmp_path / "empty.pem"
    bundle.write_text("nothing")
    with pytest.raises(Exception, match=r"CA bundle|no secure connection|not trusted") as caught:
        connect(settings_for(secure, verify=str(bundle))).run(ask(get("/")))
    assert type(caught.value).__module__.startswith("airflow_provider_taskwatch")


def test_a_missing_bundle_is_an_error_before_any_request(secure: Station, connect: Connect) -> None:
    message = "^connection 'remote': extra 'ca_bundle' names '/no/such.pem', which does not exist here$"
    with pytest.raises(ConfigurationError, match=message):
        connect(settings_for(secure, verify="/no/such.pem"))


def test_a_connection_that_breaks_after_the_request_may_have_been_sent(
    secure: Station, connect: Connect, certificate: Path
) -> None:
    secure.hang_up()
    with pytest.raises(TransportError) as caught:
        connect(settings_for(secure, verify=str(certificate))).run(ask(get("/")))
    assert (caught.value.sent, len(secure.requests)) == (True, 1)


def test_a_reset_after_the_request_may_have_been_sent(secure: Station, connect: Connect, certificate: Path) -> None:
    def answer(request: Request) -> Iterator[bytes]:
        request.reset()
        yield from ()

    secure.answer = answer
    with pytest.raises(TransportError) as caught:
        connect(settings_for(secure, verify=str(certificate))).run(ask(get("/")))
    assert caught.value.sent


def test_the_token_endpoint_is_trusted_no_more_than_the_host(secure: Station, connect: Connect) -> None:
    with pytest.raises(TokenError, match=r"^no token: the TLS certificate of .*/token is not") as caught:
        connect(oauth2_settings(secure)).run(ask(get("/")))
    assert (caught.value.transient, secure.requests) == (True, [])
