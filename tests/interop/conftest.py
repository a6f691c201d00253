"""Rigs for tests against unmodified third-party programs: each test has a pcscd of its own."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from bench.cli.app import run_app
from bench.rig.pcscd import PrivatePcscd, RigError
from emulator.frontends.vpcd import VpcdFrontend
from reader.transport.pcsc import PcscCoupler
from tests.echo import EchoCard
from tests.needs import missing, require_module, require_tool

# pcscd looks into its slots every 0.4 s; the rest is for machines under load.
NOTICED_S = 30.0

Runner = Callable[..., str]
Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Run `tapbench` in this process, which is ten times as fast as in one of its own."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = run_app([*map(str, arguments)])
        return subprocess.CompletedProcess([], code, *capsys.readouterr())

    return run


@pytest.fixture
def pcscd() -> Iterator[PrivatePcscd]:
    """A private PC/SC service with two empty virtual readers, also for this process."""
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    try:
        rig = PrivatePcscd().__enter__()
    except RigError as error:
        if "not installed" in str(error):
            missing(str(error))
        raise
    with rig.in_process():
        yield rig
    rig.__exit__(None, None, None)


@pytest.fixture
def echo() -> EchoCard:
    return EchoCard()


@pytest.fixture
def inserted(pcscd: PrivatePcscd, echo: EchoCard) -> Iterator[VpcdFrontend]:
    """The echo card in the first slot, seen by pcscd and unpowered."""
    with VpcdFrontend(echo, pcscd.port).running() as frontend:
        with PcscCoupler(pcscd.reader_names[0]) as coupler:
            coupler.wait_card(NOTICED_S)
        yield frontend


@pytest.fixture
def coupler(pcscd: PrivatePcscd) -> Iterator[PcscCoupler]:
    with PcscCoupler(pcscd.reader_names[0]) as coupler:
        yield coupler


@pytest.fixture
def run(pcscd: PrivatePcscd) -> Runner:
    """Run a program against the private pcscd; returns what it prints on either stream."""

    def runner(*command: str, typed: str = "", status: int = 0, **environ: str) -> str:
        done = subprocess.run(
            command,
            input=typed,
            env={**pcscd.environ, "LC_ALL": "C.UTF-8", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    return runner
