"""`corral policy apply` and `rollback`, against a real API and a real agent, on a terminal and in a pipe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from corral.cli.policy.history import KEPT, Former
from corral.documents.plan import FormerPolicies

from ...documents.checking import check
from ..managed import DENY_ALL, TO_DB, WITHIN_STACK, managed
from ..terminal import session

NOBODY = "127.0.0.1:1"


async def test_apply_changes_rancher_keeps_the_former_policy_and_waits(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        done = await place.corral("policy", "apply", place.file(TO_DB), "--yes")
        assert done.status == 0, done.errors
        assert "opens 1 service pair" in done.output
        assert "in force on this host " in done.output
        assert place.held == TO_DB
        (kept,) = (tmp_path / "state").iterdir()
        assert f"Rancher has the new policy; the former one is in {kept}\n" in done.output
        assert json.loads(kept.read_text()) == WITHIN_STACK
        assert kept.stat().st_mode & 0o777 == 0o600
        again = await place.corral("policy", "apply", place.file(TO_DB), "--yes")
        assert (again.status, "already: nothing to change" in again.output) == (0, True)
        assert len(list((tmp_path / "state").iterdir())) == 1


async def test_rollback_puts_the_former_policy_back_and_forth(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        for policy in (TO_DB, DENY_ALL):
            assert (await place.corral("policy", "apply", place.file(policy), "--yes", "--no-wait")).status == 0
        document = json.loads((await place.corral("policy", "rollback", "--list", "--json")).output)
        check(FormerPolicies, document)
        listed = document["former"]
        assert [entry["number"] for entry in listed] == [1, 2]
        assert Former(Path(listed[0]["file"]), datetime.now(UTC), "").read().as_json() == TO_DB
        text = (await place.corral("policy", "rollback", "--list")).output
        assert [line.split()[-1] for line in text.splitlines()] == [entry["file"] for entry in listed]
        back = await place.corral("policy", "rollback", "--yes", "--no-wait")
        assert (back.status, place.held) == (0, TO_DB)
        assert "closes" not in back.output
        await place.corral("policy", "rollback", "--yes", "--no-wait")
        assert place.held == DENY_ALL
        await place.corral("policy", "rollback", "--to", "4", "--yes", "--no-wait")
        assert place.held == WITHIN_STACK
        beyond = await place.corral("policy", "rollback", "--to", "9", "--yes")
        assert (beyond.status, "9 given; 1 to 5 is allowed" in beyond.errors) == (2, True)


async def test_rollback_of_nothing(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        refused = await place.corral("policy", "rollback", "--yes", "--no-wait")
        assert (refused.status, "no former policy is kept here" in refused.errors) == (2, True)
        assert "no former policy is kept here" in (await place.corral("policy", "rollback", "--list")).output


async def test_a_pipe_needs_yes(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        for arguments in (("apply", place.file(TO_DB)), ("rollback",)):
            refused = await place.corral("policy", *arguments)
            assert (refused.status, refused.output) == (2, "")
            assert "--yes is needed where nobody can be asked, as in a pipe: nothing was changed" in refused.errors
        assert place.held == WITHIN_STACK


async def test_a_plan_that_is_out_of_date_is_refused(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        stale = await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--expect", "000000000000")
        assert stale.status == 1
        assert "--expect: 000000000000 given, and the policy is fd4436eb6d81 now: nothing was changed" in stale.errors
        fresh = await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--expect", "fd4436eb6d81")
        assert (fresh.status, place.held) == (0, TO_DB)


async def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    async with (
        managed(tmp_path) as place,
        session("policy", "apply", place.file(TO_DB), variables=place.variables) as no,
    ):
        await no.shows("Apply it? [y/N]")
        assert "opens 1 service pair" in no.printed
        no.answer("n\n")
        assert (await no.ends(), place.held) == (1, WITHIN_STACK)
        assert "corral: nothing was changed" in no.printed


async def test_a_policy_that_changes_while_it_asks_is_left_alone(tmp_path: Path) -> None:
    async with (
        managed(tmp_path) as place,
        session("policy", "apply", place.file(TO_DB), variables=place.variables) as yes,
    ):
        await yes.shows("Apply it? [y/N]")
        place.running.environment.set_policy([], "deny")
        yes.answer("y\n")
        assert (await yes.ends(), place.held) == (1, DENY_ALL)
        assert "changed since the plan was made (fd4436eb6d81 is now" in yes.printed
        assert "nothing was changed" in yes.printed
        assert not list((tmp_path / "state").iterdir())


async def test_interrupted_while_it_asks_nothing_was_changed(tmp_path: Path) -> None:
    async with (
        managed(tmp_path) as place,
        session("policy", "apply", place.file(TO_DB), variables=place.variables) as one,
    ):
        await one.shows("Apply it? [y/N]")
        one.interrupt()
        assert (await one.ends(), place.held) == (130, WITHIN_STACK)
        assert "corral: interrupted: nothing was changed" in one.printed


async def test_interrupted_while_it_waits_it_says_what_was_done(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.listeners.clear()  # the metadata does not follow
        async with session("policy", "apply", place.file(TO_DB), "--yes", variables=place.variables) as one:
            await one.shows("Rancher has the new policy")
            one.interrupt()
            assert (await one.ends(), place.held) == (130, TO_DB)
        assert f"corral: interrupted: Rancher has the new policy; the former one is in {tmp_path}" in one.printed


async def test_an_agent_that_does_not_follow_is_reported_in_time(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.listeners.clear()
        late = await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--timeout", "100ms")
        assert late.status == 1
        assert "Rancher has the new policy, but the agent at" in late.errors
        assert "has not put it in force within 0.1 s" in late.errors
        assert (await place.corral("policy", "apply", place.file(WITHIN_STACK), "--yes", "--no-wait")).status == 0
        bad = await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--timeout", "soon")
        assert (bad.status, "--timeout: 'soon' given" in bad.errors) == (2, True)


async def test_without_an_agent_it_takes_a_topology(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        alone = await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--agent", NOBODY)
        assert (alone.status, place.held) == (3, WITHIN_STACK)
        topology = place.file((await place.running.get("/v1/topology"))[1], "topology.json")
        offline = ("--yes", "--agent", NOBODY, "--topology", topology)
        blind = await place.corral("policy", "apply", place.file(TO_DB), *offline)
        assert (blind.status, place.held) == (3, TO_DB)
        assert "Rancher has the new policy; whether it is in force is not known: no agent answers" in blind.errors
        done = await place.corral("policy", "apply", place.file(WITHIN_STACK), *offline, "--no-wait")
        assert (done.status, place.held) == (0, WITHIN_STACK)


async def test_what_rancher_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        empty = {"defaultPolicyAction": "", "policy": [{"within": "service", "action": "allow"}]}
        refused = await place.corral("policy", "apply", place.file(empty), "--yes")
        assert (refused.status, place.held) == (1, WITHIN_STACK)
        assert "Rancher refuses the policy (field defaultPolicyAction): " in refused.errors
        assert "is none of ('allow', 'deny'); nothing was changed" in refused.errors
        assert "no former policy" in (await place.corral("policy", "rollback", "--list")).output


async def test_rules_that_are_texts_are_written_as_rancher_takes_them(tmp_path: Path) -> None:
    """As the metadata service has been seen to show them."""
    async with managed(tmp_path) as place:
        rule = {"within": "service", "action": "allow"}
        as_text = {"defaultPolicyAction": "deny", "policy": [json.dumps({**rule, "type": "networkPolicyRule"})]}
        done = await place.corral("policy", "apply", place.file(as_text), "--yes")
        assert (done.status, place.held) == (0, {"defaultPolicyAction": "deny", "policy": [rule]}), done.errors


async def test_a_default_that_rancher_writes_down_is_the_same(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        environment = place.running.environment

        def complete(_: object) -> None:
            if place.held["defaultPolicyAction"] is None:
                environment.set_policy(place.held["policy"], "allow")

        environment.listeners.insert(0, complete)
        done = await place.corral("policy", "apply", place.file({"policy": WITHIN_STACK["policy"]}), "--yes")
        assert (done.status, place.held["defaultPolicyAction"]) == (0, "allow"), done.errors


async def test_another_network_than_that_of_the_plan_is_refused(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        for command in (("apply", "--yes"), ("plan",)):
            wrong = await place.corral("policy", command[0], place.file(TO_DB), *command[1:], "--network", "bridge")
            assert (wrong.status, place.held) == (2, WITHIN_STACK)
            assert "--network: bridge (1n4) given, but the environment of this plan has" in wrong.errors


async def test_what_was_not_replaced_takes_no_room_in_the_history(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        await place.corral("policy", "apply", place.file(TO_DB), "--yes", "--no-wait")
        for number in range(KEPT):
            (
                tmp_path
                / "state"
                / f"{place.running.environment.network.uuid}_20200101T0000{number:02}.000000Z_ab.json"
            ).write_text("{}")
        before = sorted((tmp_path / "state").iterdir())
        refused = await place.corral("policy", "apply", place.file({"defaultPolicyAction": "", "policy": []}), "--yes")
        assert (refused.status, sorted((tmp_path / "state").iterdir())) == (1, before)
        await place.corral("policy", "apply", place.file(DENY_ALL), "--yes", "--no-wait")
        assert len(list((tmp_path / "state").iterdir())) == KEPT


async def test_a_store_that_can_not_be_written_stops_it_before_anything_changes(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        blocked = place.file("", "blocked") + "/state"
        refused = await place.corral("policy", "apply", place.file(TO_DB), "--yes", CORRAL_STATE_DIR=blocked)
        assert (refused.status, place.held) == (2, WITHIN_STACK)
        assert f"CORRAL_STATE_DIR: the former policy can not be kept in {blocked}: Not a directory" in refused.errors


async def test_a_policy_that_rancher_holds_differently_is_noticed(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        environment = place.running.environment

        def interfere(_: object) -> None:
            if place.held == TO_DB:
                environment.set_policy([], "deny")

        environment.listeners.append(interfere)
        done = await place.corral("policy", "apply", place.file(TO_DB), "--yes")
        assert done.status == 1
        assert "Rancher took the policy, but holds another one now" in done.errors


async def test_a_bad_policy_in_rancher_can_be_replaced(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.set_policy([{"within": "stac", "action": "allow"}], "deny")
        done = await place.corral("policy", "apply", place.file(TO_DB), "--yes")
        assert (done.status, place.held) == (0, TO_DB)
        back = await place.corral("policy", "rollback", "--yes", "--no-wait")
        assert (back.status, place.held) == (2, TO_DB)
        assert "policy[0].within: given" in back.errors


async def test_rollback_passes_over_what_is_there_already(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        for policy in (TO_DB, DENY_ALL, TO_DB):
            await place.corral("policy", "apply", place.file(policy), "--yes", "--no-wait")
        place.running.environment.set_policy([], "deny")  # by somebody else: what was kept last
        assert (await place.corral("policy", "rollback", "--yes", "--no-wait")).status == 0
        assert place.held == TO_DB
        for kept in (tmp_path / "state").iterdir():
            if "fd4436eb6d81" not in kept.name:
                kept.unlink()
        place.running.environment.set_policy(WITHIN_STACK["policy"], "deny")
        same = await place.corral("policy", "rollback", "--yes")
        assert (same.status, "is the same as the present one" in same.errors) == (2, True)
