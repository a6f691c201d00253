"""The seed walked as its reader would: every command of the page, in order, with its output."""

import pytest

from tests.walkthrough import PAGE, run, sections

HEADINGS = ("申领", "定义", "办理", "充值", "有效期及延期", "补办", "退资", "退卡", "支持机型")
"""The seed's section headings, in its order; the three of its parts are headings of no rule."""


def test_every_heading_of_the_seed_is_walked():
    found = sections(PAGE.read_text("utf-8"))
    assert tuple(found) == HEADINGS
    assert all(len(steps) > 2 for steps in found.values())


@pytest.mark.timeout(300)
def test_every_command_prints_what_the_page_says(tmp_path):
    for heading, steps in sections(PAGE.read_text("utf-8")).items():
        for step in steps:
            assert run(step.command, tmp_path) == step.output, (heading, step.command)
