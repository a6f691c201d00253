"""`tapbench bench city` with workers that live, die and run out of things."""

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import date

import pytest

from bench.city import crew
from bench.city.crew import MOST_TRIES, Alone, Processes
from bench.city.plan import CityPlan
from bench.city.run import run_city
from tests.needs import require_module
from tests.unmeasured import unmeasured

PLAN = CityPlan(200, date(2026, 9, 1), 1, 25)
ASKED = ("--trips", "200", "--shard", "25")
PATIENCE_S = 100.0

pytestmark = pytest.mark.timeout(240)  # processes start slowly on a busy machine


@pytest.fixture(scope="module")
def whole():
    """The day as one process plays it."""
    city = run_city(PLAN, Alone())
    assert city.is_good
    return city


class Once:
    """Does something to the worker that delivers the first shard."""

    def __init__(self, act):
        self._act, self.worker = act, None

    def __call__(self, city, result):
        if self.worker is None:
            self.worker = result.cost.worker
            self._act(self.worker)


def kill(worker):
    os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_day_is_the_same_with_any_number_of_workers(whole, workers):
    city = run_city(PLAN, Processes(workers))
    assert city.is_good
    assert (city.digest, city.tally) == (whole.digest, whole.tally)
    assert os.getpid() not in city.workers
    assert 1 <= len(city.workers) <= workers


def test_a_worker_that_is_killed_loses_nothing_and_counts_nothing_twice(whole):
    killer = Once(kill)
    city = run_city(PLAN, Processes(2), None, killer)
    assert city.is_good
    assert (city.digest, city.tally) == (whole.digest, whole.tally)
    assert city.played == PLAN.trips
    assert city.repeated > 0
    assert killer.worker is not None


def test_a_worker_that_hangs_is_killed_and_loses_nothing(whole, monkeypatch):
    monkeypatch.setattr(crew, "LEAST_PATIENCE_S", 5.0)
    monkeypatch.setattr(crew, "SLOWEST_TRIP_S", 0.0)
    stopper = Once(lambda worker: os.kill(worker, signal.SIGSTOP))
    city = run_city(PLAN, Processes(1), None, stopper)
    assert city.is_good
    assert (city.digest, city.tally) == (whole.digest, whole.tally)
    assert city.repeated > 0
    assert len(city.workers) == 2


def test_a_worker_that_hangs_while_another_dies_is_killed_too(whole):
    def stop_the_other(worker):
        for process in multiprocessing.active_children():
            os.kill(process.pid, signal.SIGKILL if process.pid == worker else signal.SIGSTOP)

    city = run_city(PLAN, Processes(2), None, Once(stop_the_other))
    assert city.is_good
    assert (city.digest, city.tally) == (whole.digest, whole.tally)
    assert city.repeated > 0


def test_a_worker_that_hangs_before_it_is_ready_is_killed_and_loses_nothing(whole, monkeypatch):
    monkeypatch.setattr(crew, "LEAST_PATIENCE_S", 1.0)
    monkeypatch.setattr(crew, "SLOWEST_TRIP_S", 0.5)
    workers = Processes(2)
    pool = workers._pool
    ask = pool.map

    def ask_and_stop_one(*arguments, **how):
        asked = ask(*arguments, **how)  # which starts them all
        os.kill(min(pool._processes), signal.SIGSTOP)
        return asked

    pool.map = ask_and_stop_one
    city = run_city(PLAN, workers)
    assert city.is_good
    assert (city.digest, city.tally) == (whole.digest, whole.tally)
    assert city.repeated > 0


def test_workers_that_die_again_and_again_end_the_run_with_a_sentence():
    dying = Processes(1)
    # Killed while it is given its shards, each time.
    original = dying._give_out

    def deadly(*arguments):
        given = original(*arguments)
        for process in list(dying._pool._processes.values()):
            process.kill()
        return given

    dying._give_out = deadly
    city = run_city(PLAN, dying)
    assert f"workers died {MOST_TRIES} times with shard" in city.incomplete
    assert not city.is_whole


def test_a_worker_without_memory_ends_the_run_with_a_sentence_and_keeps_what_is_done():
    def starve(worker):
        with open(f"/proc/{worker}/statm") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(worker, resource.RLIMIT_AS, (size, size))

    plan = CityPlan(20_000, PLAN.day, 1, 4000)
    starving = Once(starve)
    city = run_city(plan, Processes(1), None, lambda *told: starving(*told))
    assert not city.is_whole
    assert city.digests
    assert "ran out of memory" in city.incomplete or "workers died" in city.incomplete


def command(*options, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "bench", "city", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def wait_for_shards(folder, count):
    until = time.monotonic() + PATIENCE_S
    while len(list(folder.glob("shard-*.json"))) < count:
        assert time.monotonic() < until, "no shard was played"
        time.sleep(0.02)


def are_gone(processes):
    until = time.monotonic() + PATIENCE_S
    while any(os.path.exists(f"/proc/{one}") for one in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def children(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return file.read().split()


def test_a_run_that_is_killed_goes_on_with_the_same_command(whole, tmp_path, here):
    folder = tmp_path / "city"
    running = command(*ASKED, "--workers", "2", "--out", folder)
    wait_for_shards(folder, 2)
    workers = children(running.pid)
    running.kill()
    running.communicate()
    assert workers
    assert are_gone(workers), "workers outlived who started them"
    there = len(list(folder.glob("shard-*.json")))
    assert 2 <= there < PLAN.shards
    assert json.loads((folder / "city.json").read_text())["incomplete"] == "the run has not ended"
    done = here("bench", "city", *ASKED, "--workers", "1", "--out", folder, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["detail"]["digest"] == whole.digest
    assert told["detail"]["tally"] == whole.tally.as_json()
    assert told["detail"]["played"] == PLAN.trips - 25 * there
    assert json.loads((folder / "city.json").read_text())["incomplete"] == ""


def test_ctrl_c_keeps_what_is_done_and_says_so(tmp_path):
    folder = tmp_path / "city"
    running = command("--trips", "40000", "--shard", "40", "--workers", "2", "--out", folder)
    wait_for_shards(folder, 1)
    workers = children(running.pid)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the workers too
    out, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130
    assert err.strip().count("\n") == 0
    assert "tapbench: the run was interrupted; the same command goes on with it" in err
    assert "Incomplete:" in out
    assert "interrupted" in json.loads((folder / "city.json").read_text())["incomplete"]
    assert are_gone(workers)


def test_ctrl_c_while_workers_start_is_one_sentence(tmp_path):
    running = command(*ASKED, "--workers", "2", "--out", tmp_path / "city")
    until = time.monotonic() + PATIENCE_S
    while len(workers := children(running.pid)) < 3:  # one of them counts semaphores
        assert time.monotonic() < until
        time.sleep(0.005)
    time.sleep(0.1)  # they load what they need
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130
    assert err.startswith("tapbench: the run was interrupted")
    assert err.count("\n") == 1
    assert are_gone(workers)


def test_a_worker_that_can_do_nothing_does_not_outlive_who_started_it(tmp_path):
    folder = tmp_path / "city"
    running = command("--trips", "40000", "--shard", "40", "--workers", "1", "--out", folder)
    wait_for_shards(folder, 1)
    workers = [one for one in children(running.pid) if is_a_worker(one)]
    for one in workers:
        os.kill(int(one), signal.SIGSTOP)
    running.kill()
    running.communicate()
    assert len(workers) == 1
    assert are_gone(workers)


def is_a_worker(process):
    with open(f"/proc/{process}/cmdline") as file:
        return "spawn_main" in file.read()


def test_workers_that_cannot_be_started_are_one_sentence(tmp_path):
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    running = command(*ASKED, "--workers", "2", preexec_fn=few_files, env=unmeasured())
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 2
    assert err.startswith("tapbench: no more processes can be started (Too many open files)")
    assert err.count("\n") == 1


def test_no_more_workers_are_started_than_there_are_shards(here):
    done = here("bench", "city", "--trips", "30", "--shard", "30", "--workers", "64", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["options"]["workers"], len(told["detail"]["workers"])) == (1, 1)


def test_a_whole_city_stays_whole_if_another_run_cannot_begin(here, tmp_path):
    require_module("ray", "tapbench[scale]")
    folder = tmp_path / "city"
    asked = ("bench", "city", "--trips", "30", "--shard", "30", "--out", folder)
    assert here(*asked).returncode == 0
    assert here(*asked, "--ray", "127.0.0.1:1").returncode == 2
    assert json.loads((folder / "city.json").read_text())["incomplete"] == ""


def test_a_full_disk_is_one_sentence_and_keeps_what_is_done(tmp_path):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    folder = tmp_path / "city"
    # The last shard is one trip, the others do not fit.
    asked = ("--trips", "401", "--shard", "400", "--workers", "1", "--json", "--out", folder)
    running = command(*asked, preexec_fn=little_room, env=unmeasured())
    out, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 2
    assert "no file can be written at" in err
    assert "File too large" in err
    assert err.count("\n") == 1
    assert "File too large" in json.loads(out)["incomplete"]
    assert not list(folder.glob(".tapbench-*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trips", "0"), "value for '--trips'"),
        (("--trips", "many"), "value for '--trips'"),
        (("--workers", "0"), "value for '--workers'"),
        (("--shard", "-5"), "value for '--shard'"),
        (("--day", "2026-02-30"), "value for '--day'"),
        (("--day", "1999-01-01"), "cards have dates from 2000 to 2099"),
        (("--trips", "1000000000", "--shard", "10"), "give a larger --shard"),
        (("--out", "/dev/null"), "no folder can be made at /dev/null"),
        (("--html", "/nowhere/page.html"), "there is no folder /nowhere"),
        (("--ray", "nonsense"), "nonsense is no address of a Ray cluster"),
        (("--ray", "http://127.0.0.1:1"), "is no address of a Ray cluster"),
        (("--ray", "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1"),
        (("--ray", "ray://127.0.0.1:1"), "expected HOST:PORT or local"),
        (("--scale-study", "--ray", "local"), "leave --out and --ray out"),
        (("--scale-study", "--trips", "5"), "give --trips 30 or more"),
    ],
)
def test_what_is_no_city_is_one_sentence(here, options, said):
    if "--ray" in options:
        require_module("ray", "tapbench[scale]")
    done = here("bench", "city", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tapbench: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_day_is_told_to_people_and_drawn(here, whole, tmp_path):
    page = tmp_path / "city.html"
    done = here("bench", "city", *ASKED, "--workers", "1", "--html", page)
    assert done.returncode == 0
    assert f"Digest {whole.digest}.\n" in done.stdout
    said = done.stdout.replace("\n", " ")
    assert "400 records cleared, 400 of them with the right TAC, 0 exceptions." in said
    assert "Taps by hour" in page.read_text()
    again = here("bench", "city", *ASKED, "--html", page)
    assert again.returncode == 2
    assert "give --force" in again.stderr


def test_a_run_by_ray_that_is_asked_to_end_says_what_is_done(tmp_path):
    require_module("ray", "tapbench[scale]")
    folder = tmp_path / "city"
    asked = ("--trips", "40000", "--shard", "40", "--workers", "1", "--ray", "local")
    running = command(*asked, "--json", "--out", folder)
    wait_for_shards(folder, 1)
    running.terminate()
    out, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 130
    # A worker of Ray that has lost its driver may have a word of its own.
    (said,) = [line for line in err.splitlines() if "task_manager.cc" not in line]
    assert said.startswith("tapbench: the run was interrupted")
    assert "interrupted" in json.loads(out)["incomplete"]


def test_ray_loses_nothing_when_a_worker_is_killed(whole):
    require_module("ray", "tapbench[scale]")
    # Ray starts threads and processes that a test's own process should not keep.
    script = """if True:
        import json, os, signal
        from tests.interop.test_city import Once, PLAN, kill
        from bench.city.ray_crew import RayCrew
        from bench.city.run import run_city
        killer = Once(kill)
        crew = RayCrew("local", 2)
        city = run_city(PLAN, crew, None, killer)
        later = [point for point in city.points[3:] if point[1] == killer.worker]
        print(json.dumps([city.digest, city.tally.as_json(), city.incomplete, len(later)]))
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    digest, tally, incomplete, later = json.loads(done.stdout)
    assert (digest, incomplete) == (whole.digest, "")
    assert tally == whole.tally.as_json()
    assert later == 0, "the worker that was killed went on"
